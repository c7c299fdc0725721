#include "base/log.h"
#include "store/commit_log.h"

static const char *const write_sql[W_COUNT] = {
    [W_BEGIN] = "BEGIN IMMEDIATE",
    [W_COMMIT] = "COMMIT",
    [W_ROLLBACK] = "ROLLBACK",
    [W_RUN_INSERT] = "INSERT INTO run VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [W_RUN_UPDATE] =
        "UPDATE run SET status = ?4, due_ns = ?5, queue = ?6, priority = ?7, seq = ?8,"
        " state = ?10 WHERE run = ?1",
    [W_RUN_DELETE] = "DELETE FROM run WHERE run = ?1",
    [W_RUN_HIDE_OLDER] =
        "UPDATE workflow SET hidden = 1 WHERE (ns, workflow_id) ="
        " (SELECT ns, workflow_id FROM run WHERE run = ?1) AND run < ?1 AND NOT EXISTS"
        " (SELECT 1 FROM workflow w, run r WHERE r.run = ?1 AND w.ns = r.ns"
        " AND w.workflow_id = r.workflow_id AND w.run > ?1)",
    [W_RUN_DELETE_NAME] =
        "DELETE FROM workflow WHERE (ns, workflow_id, run) ="
        " (SELECT ns, workflow_id, run FROM run WHERE run = ?1)",
    [W_RUN_DELETE_ITEMS] = "DELETE FROM item WHERE key BETWEEN ?1 AND ?2",
    [W_RUN_DELETE_HISTORY] = "DELETE FROM history WHERE key BETWEEN ?1 AND ?2",
    [W_RUN_DELETE_ATTEMPTS] = "DELETE FROM attempt WHERE key BETWEEN ?1 AND ?2",
    [W_HIGH_WATER_RUN] = "UPDATE high_water SET deleted_run = ?1 WHERE id = 1 AND deleted_run < ?1",
    [W_HIGH_WATER_SEQ] = "UPDATE high_water SET seq = ?1 WHERE id = 1",
    [W_ITEM_PUT] = "INSERT OR REPLACE INTO item VALUES(?1, ?4, ?5, ?6, ?7, ?8, ?10)",
    [W_ITEM_DELETE] = "DELETE FROM item WHERE key = ?1",
    [W_HISTORY_ADD] = "INSERT INTO history VALUES(?1, ?2)",
    [W_CURRENT_PUT] = "INSERT INTO workflow VALUES(?1, ?2, ?3, 0)",
    [W_CURRENT_GET] = SQLITE_CURRENT_RUN("?1", "?2"),
    [W_RUN_FACTS] =
        "SELECT EXISTS(SELECT 1 FROM run WHERE run = ?1),"
        " coalesce((SELECT max(key) FROM history WHERE key BETWEEN ?2 AND ?3), 0)",
    [W_RUN_NAME] = "SELECT ns, workflow_id FROM run WHERE run = ?1",
    [W_MISFIT_ADD] = "INSERT INTO misfit VALUES(?1, ?2, ?3, ?4)",
    [W_LAST_COMMIT] = "UPDATE commit_log SET last_commit = ?1 WHERE id = 1",
    [W_ATTEMPT_PUT] =
        "INSERT INTO attempt VALUES(?1, ?2, ?3)"
        " ON CONFLICT(key, attempt) DO UPDATE SET blob = ?3",
    [W_ATTEMPT_DELETE] = "DELETE FROM attempt WHERE key = ?1 AND attempt = ?2",
    [W_NAMED_PUT] = "INSERT INTO named VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET blob = ?2",
    [W_NAMED_DELETE] = "DELETE FROM named WHERE name = ?1",
    [W_VISIBLE_ADD] =
        "INSERT INTO visible VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
        " ?15, ?16, ?17, ?18, ?19)",
    [W_VISIBLE_CLOSE] =
        "UPDATE visible SET attributes = iif(?8, attributes, ?2), status = ?3, ended = ?4,"
        " events = ?5, history_bytes = ?6, transitions = ?7 WHERE run = ?1",
    [W_VISIBLE_ATTRIBUTES] = "UPDATE visible SET attributes = ?2 WHERE run = ?1",
    [W_VISIBLE_GET] =
        "SELECT ns, status, ended, started, division IS NOT NULL, attributes FROM visible"
        " WHERE run = ?1",
    [W_VISIBLE_DELETE] = "DELETE FROM visible WHERE run = ?1",
    [W_VISIBLE_COUNT] =
        "INSERT INTO visible_count VALUES(?1, ?2, ?3)"
        " ON CONFLICT(ns, status) DO UPDATE SET n = n + ?3",
    [W_ATTRIBUTE_ADD] =
        "INSERT INTO attribute VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    [W_ATTRIBUTE_DELETE] =
        "DELETE FROM attribute WHERE attribute = ?1 AND value = ?2 AND ended = ?3"
        " AND started = ?4 AND run = ?5",
};

static int on_wal(void *arg, sqlite3 *db, const char *schema, int pages) {
  sqlite_writer *w = arg;
  if ((uint32_t)pages < w->wal_pages) w->backfilled = 0; /* it began anew */
  w->wal_pages = (uint32_t)pages;
  return SQLITE_OK;
}

static hash_key random_key(void) {
  hash_key key;
  sqlite3_randomness((int)sizeof key, &key);
  return key;
}

err *sqlite_writer_prepare(sqlite_writer *w, arena *a) {
  (void)pthread_mutex_init(&w->mu, NULL);
  w->key = random_key();
  w->open = overlay_new(w->key);
  TRY(sqlite_prepare_all(w->db, w->path, write_sql, W_COUNT, w->st, a));
  TRY(sqlite_get_int(w->db, w->path, "SELECT seq FROM high_water", &w->seq_reserved, a));
  (void)sqlite3_wal_hook(w->db, on_wal, w);
  return NULL;
}

void sqlite_writer_release(sqlite_writer *w) {
  commit_log_close(w->log, true);
  overlay_free(w->open);
  overlay_free(w->flushing);
  (void)pthread_mutex_destroy(&w->mu);
  sqlite_finalize_all(w->st, W_COUNT);
  (void)sqlite3_close(w->db);
  w->db = NULL;
  arena_release(&w->scratch);
  arena_release(&w->batch_scratch);
  arena_release(&w->failure_arena);
}

/* --- one row --- */

static void bind_blob(sqlite3_stmt *st, int at, const bytes *b) {
  if (b) {
    (void)sqlite3_bind_blob64(st, at, b->p, b->n, SQLITE_STATIC);
  } else {
    (void)sqlite3_bind_null(st, at);
  }
}

/* The same numbers in W_RUN_INSERT, W_RUN_UPDATE and W_ITEM_PUT. */
static void bind_state(sqlite3_stmt *st, int64_t key, int32_t status_or_kind, const store_row *r) {
  sqlite_bind_int(st, 1, key);
  sqlite_bind_int(st, 4, status_or_kind);
  sqlite_bind_int(st, 5, r->due_ns);
  sqlite_bind_int(st, 6, r->queued.queue);
  sqlite_bind_int(st, 7, r->queued.priority);
  sqlite_bind_int(st, 8, r->queued.seq);
  bind_blob(st, 10, r->blob);
}

static int delete_run(sqlite_writer *w, int64_t run) {
  int gone = sqlite_visible_delete(w, run);
  if (gone != SQLITE_OK) return gone;
  static const sqlite_write_stmt by_key[] = {W_RUN_DELETE_ITEMS, W_RUN_DELETE_HISTORY,
                                             W_RUN_DELETE_ATTEMPTS};
  /* Before the run's row, which says what its name is. */
  static const sqlite_write_stmt by_run[] = {W_RUN_HIDE_OLDER, W_RUN_DELETE_NAME, W_RUN_DELETE,
                                             W_HIGH_WATER_RUN};
  for (size_t i = 0; i < ARRAY_LEN(by_key) + ARRAY_LEN(by_run); i++) {
    bool is_key = i < ARRAY_LEN(by_key);
    sqlite3_stmt *st = w->st[is_key ? by_key[i] : by_run[i - ARRAY_LEN(by_key)]];
    sqlite_bind_int(st, 1, is_key ? store_row_key(run, 0) : run);
    if (is_key) sqlite_bind_int(st, 2, store_row_key(run, ROW_ID_MAX));
    int rc = sqlite_run(st);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

static int write_run(sqlite_writer *w, const store_row *r) {
  bool insert = r->kind == ROW_RUN_INSERT;
  sqlite3_stmt *st = w->st[insert ? W_RUN_INSERT : W_RUN_UPDATE];
  bind_state(st, r->run, r->status, r);
  if (insert) {
    sqlite_bind_int(st, 2, r->ns);
    sqlite_bind_text(st, 3, r->workflow_id);
    bind_blob(st, 9, r->info);
  }
  int rc = sqlite_run(st);
  return rc == SQLITE_OK && sqlite3_changes(w->db) != 1 ? SQLITE_NOTFOUND : rc;
}

int sqlite_write_row(sqlite_writer *w, const store_row *r) {
  sqlite3_stmt *st = NULL;
  int64_t key = store_row_key(r->run, r->id);
  switch (r->kind) {
    case ROW_RUN_INSERT:
    case ROW_RUN_UPDATE:
      return write_run(w, r);
    case ROW_RUN_DELETE:
      return delete_run(w, r->run);
    case ROW_ITEM_PUT:
      st = w->st[W_ITEM_PUT];
      bind_state(st, key, r->item_kind, r);
      break;
    case ROW_ITEM_DELETE:
      st = w->st[W_ITEM_DELETE];
      sqlite_bind_int(st, 1, key);
      break;
    case ROW_HISTORY_ADD:
      st = w->st[W_HISTORY_ADD];
      sqlite_bind_int(st, 1, key);
      bind_blob(st, 2, r->blob);
      break;
    case ROW_ATTEMPT_PUT:
    case ROW_ATTEMPT_DELETE:
      st = w->st[r->kind == ROW_ATTEMPT_PUT ? W_ATTEMPT_PUT : W_ATTEMPT_DELETE];
      sqlite_bind_int(st, 1, key);
      sqlite_bind_int(st, 2, r->attempt);
      if (r->kind == ROW_ATTEMPT_PUT) bind_blob(st, 3, r->blob);
      break;
    case ROW_NAMED_PUT:
    case ROW_NAMED_DELETE:
      st = w->st[r->kind == ROW_NAMED_PUT ? W_NAMED_PUT : W_NAMED_DELETE];
      sqlite_bind_text(st, 1, r->name);
      if (r->kind == ROW_NAMED_PUT) bind_blob(st, 2, r->blob);
      break;
    case ROW_VISIBLE_PUT:
      return sqlite_visible_put(w, r);
    case ROW_CURRENT_PUT:
      st = w->st[W_CURRENT_PUT];
      sqlite_bind_int(st, 1, r->ns);
      sqlite_bind_text(st, 2, r->workflow_id);
      sqlite_bind_int(st, 3, r->run);
      break;
  }
  ASSERT(st);
  return sqlite_run(st);
}

/* --- checkpoints --- */

/* A failure is tried again later; the WAL keeps everything. Nobody waits for a checkpoint, so only
 * the log can tell. */
static void checkpoint(sqlite_writer *w, int mode) {
  int in_wal = 0, moved = 0;
  int rc = sqlite3_wal_checkpoint_v2(w->db, NULL, mode, &in_wal, &moved);
  bool failed = rc != SQLITE_OK && rc != SQLITE_BUSY;
  if (failed && !w->checkpoint_failing) {
    LOG(WARN, "moving data from the WAL to the database file fails; trying again with every pause",
        LOG_S("file", w->path), LOG_S("reason", sqlite3_errmsg(w->db)));
  }
  w->checkpoint_failing = failed;
  if (rc != SQLITE_OK || in_wal < 0) return;
  w->checkpoints++;
  w->wal_pages = (uint32_t)in_wal;
  w->backfilled = (uint32_t)moved;
}

void sqlite_writer_checkpoint(sqlite_writer *w) { checkpoint(w, SQLITE_CHECKPOINT_PASSIVE); }

void sqlite_writer_truncate_wal(sqlite_writer *w) { checkpoint(w, SQLITE_CHECKPOINT_TRUNCATE); }

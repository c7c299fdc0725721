#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "store/sqlite_int.h"

#define CURRENT SQLITE_CURRENT_RUN("?1", "?2")

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
    [W_CURRENT_ADD] = "INSERT INTO workflow SELECT ?1, ?2, ?3, 0 WHERE NOT EXISTS(" CURRENT ")",
    [W_CURRENT_MOVE] = "INSERT INTO workflow SELECT ?1, ?2, ?3, 0 WHERE ?4 = (" CURRENT ")",
    [W_CURRENT_GET] = CURRENT,
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

err *sqlite_writer_prepare(sqlite_writer *w, arena *a) {
  TRY(sqlite_prepare_all(w->db, w->path, write_sql, W_COUNT, w->st, a));
  TRY(sqlite_get_int(w->db, w->path, "SELECT seq FROM high_water", &w->seq_reserved, a));
  (void)sqlite3_wal_hook(w->db, on_wal, w);
  return NULL;
}

void sqlite_writer_release(sqlite_writer *w) {
  sqlite_finalize_all(w->st, W_COUNT);
  (void)sqlite3_close(w->db);
  w->db = NULL;
  arena_release(&w->scratch);
}

/* --- one row --- */

static int run_stmt(sqlite3_stmt *st) {
  int rc = sqlite3_step(st);
  (void)sqlite3_reset(st);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static void bind_int(sqlite3_stmt *st, int at, int64_t v) { (void)sqlite3_bind_int64(st, at, v); }

static void bind_text(sqlite3_stmt *st, int at, span s) {
  (void)sqlite3_bind_text64(st, at, s.p ? (const char *)s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_blob(sqlite3_stmt *st, int at, const bytes *b) {
  if (b) {
    (void)sqlite3_bind_blob64(st, at, b->p, b->n, SQLITE_STATIC);
  } else {
    (void)sqlite3_bind_null(st, at);
  }
}

/* The same numbers in W_RUN_INSERT, W_RUN_UPDATE and W_ITEM_PUT. */
static void bind_state(sqlite_writer *w, sqlite3_stmt *st, int64_t key, int32_t status_or_kind,
                       const store_row *r) {
  bind_int(st, 1, key);
  bind_int(st, 4, status_or_kind);
  bind_int(st, 5, r->due_ns);
  bind_int(st, 6, r->queued.queue);
  bind_int(st, 7, r->queued.priority);
  bind_int(st, 8, r->queued.seq);
  bind_blob(st, 10, r->blob);
  w->batch_seq = MAX(w->batch_seq, r->queued.seq);
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
    bind_int(st, 1, is_key ? store_row_key(run, 0) : run);
    if (is_key) bind_int(st, 2, store_row_key(run, ROW_ID_MAX));
    int rc = run_stmt(st);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

static int write_run(sqlite_writer *w, const store_row *r) {
  bool insert = r->kind == ROW_RUN_INSERT;
  sqlite3_stmt *st = w->st[insert ? W_RUN_INSERT : W_RUN_UPDATE];
  bind_state(w, st, r->run, r->status, r);
  if (insert) {
    bind_int(st, 2, r->ns);
    bind_text(st, 3, r->workflow_id);
    bind_blob(st, 9, r->info);
  }
  int rc = run_stmt(st);
  return rc == SQLITE_OK && sqlite3_changes(w->db) != 1 ? SQLITE_NOTFOUND : rc;
}

/* SQLITE_NOTFOUND: there is no such run. */
static int write_row(sqlite_writer *w, const store_row *r) {
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
      bind_state(w, st, key, r->item_kind, r);
      break;
    case ROW_ITEM_DELETE:
      st = w->st[W_ITEM_DELETE];
      bind_int(st, 1, key);
      break;
    case ROW_HISTORY_ADD:
      st = w->st[W_HISTORY_ADD];
      bind_int(st, 1, key);
      bind_blob(st, 2, r->blob);
      break;
    case ROW_ATTEMPT_PUT:
    case ROW_ATTEMPT_DELETE:
      st = w->st[r->kind == ROW_ATTEMPT_PUT ? W_ATTEMPT_PUT : W_ATTEMPT_DELETE];
      bind_int(st, 1, key);
      bind_int(st, 2, r->attempt);
      if (r->kind == ROW_ATTEMPT_PUT) bind_blob(st, 3, r->blob);
      break;
    case ROW_NAMED_PUT:
    case ROW_NAMED_DELETE:
      st = w->st[r->kind == ROW_NAMED_PUT ? W_NAMED_PUT : W_NAMED_DELETE];
      bind_text(st, 1, r->name);
      if (r->kind == ROW_NAMED_PUT) bind_blob(st, 2, r->blob);
      break;
    case ROW_VISIBLE_PUT:
      return sqlite_visible_put(w, r);
    case ROW_CURRENT_PUT:
      return SQLITE_OK; /* done before the step's other rows */
  }
  ASSERT(st);
  return run_stmt(st);
}

/* Sets step->status to STORE_CONFLICT when `current` names another run than expected. */
static int write_current(sqlite_writer *w, store_step *step, const store_row *r) {
  sqlite3_stmt *st = w->st[r->expected_run ? W_CURRENT_MOVE : W_CURRENT_ADD];
  bind_int(st, 1, r->ns);
  bind_text(st, 2, r->workflow_id);
  bind_int(st, 3, r->run);
  if (r->expected_run) bind_int(st, 4, r->expected_run);
  int rc = run_stmt(st);
  if (rc != SQLITE_OK || sqlite3_changes(w->db) == 1) return rc;
  st = w->st[W_CURRENT_GET];
  bind_int(st, 1, r->ns);
  bind_text(st, 2, r->workflow_id);
  rc = sqlite3_step(st);
  step->status = STORE_CONFLICT;
  step->conflict_run = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
  (void)sqlite3_reset(st);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* --- a batch --- */

typedef struct refusal {
  int64_t run, conflict_run;
  store_status status;
} refusal;

/* What is known of a batch while it is written. */
typedef struct batch_plan {
  store_step **steps;
  size_t n_steps;
  bool **superseded; /* per step, per row; NULL: none of the step's */
  refusal *refusals; /* runs with a step refused */
  size_t n_refusals;
} batch_plan;

typedef struct run_mark {
  int64_t run; /* 0: free */
  bool updated_later;
} run_mark;

static run_mark *find_mark(run_mark *marks, size_t mask, int64_t run) {
  size_t i = hash_u64((uint64_t)run) & mask;
  while (marks[i].run && marks[i].run != run) i = (i + 1) & mask;
  marks[i].run = run;
  return &marks[i];
}

/* An update of a run that a later step of the same run repeats need not be written, as long as all
 * steps share one transaction and the later step cannot be refused on its own. Goes backward. */
static void find_superseded(sqlite_writer *w, batch_plan *p) {
  size_t size = 4;
  while (size < p->n_steps * 2) size *= 2;
  run_mark *marks = arena_array(&w->scratch, run_mark, size);
  p->superseded = arena_array(&w->scratch, bool *, p->n_steps);
  for (size_t i = p->n_steps; i-- > 0;) {
    store_step *s = p->steps[i];
    run_mark *m = find_mark(marks, size - 1, s->run);
    bool may_conflict = false;
    for (size_t k = s->n_rows; k-- > 0;) {
      const store_row *r = &s->rows[k];
      may_conflict |= r->kind == ROW_CURRENT_PUT;
      if (r->kind != ROW_RUN_UPDATE || r->run != s->run) continue;
      if (m->updated_later) {
        if (!p->superseded[i]) p->superseded[i] = arena_array(&w->scratch, bool, s->n_rows);
        p->superseded[i][k] = true;
      }
      m->updated_later = true;
    }
    if (may_conflict) m->updated_later = false;
  }
}

static batch_plan make_plan(sqlite_writer *w, store_batch *b) {
  batch_plan p = {0};
  for (store_step *s = b->steps; s; s = s->next) p.n_steps++;
  p.steps = arena_array(&w->scratch, store_step *, p.n_steps);
  p.refusals = arena_array(&w->scratch, refusal, p.n_steps);
  size_t n = 0;
  for (store_step *s = b->steps; s; s = s->next) p.steps[n++] = s;
  find_superseded(w, &p);
  return p;
}

static void refuse(batch_plan *p, const store_step *s) {
  p->refusals[p->n_refusals++] =
      (refusal){.run = s->run, .status = s->status, .conflict_run = s->conflict_run};
}

/* Gives the step the fate of an earlier refused step of its run. */
static bool refused_before(const batch_plan *p, store_step *s) {
  for (size_t i = 0; i < p->n_refusals && s->run; i++) {
    if (p->refusals[i].run != s->run) continue;
    s->status = p->refusals[i].status;
    s->conflict_run = p->refusals[i].conflict_run;
    return true;
  }
  return false;
}

/* Leaves step->status as STORE_OK or STORE_CONFLICT when it returns SQLITE_OK. */
static int write_step(sqlite_writer *w, store_step *s, const bool *superseded) {
  s->status = STORE_OK;
  s->conflict_run = 0;
  for (size_t i = 0; i < s->n_rows; i++) {
    if (s->rows[i].kind != ROW_CURRENT_PUT) continue;
    int rc = write_current(w, s, &s->rows[i]);
    if (rc != SQLITE_OK || s->status == STORE_CONFLICT) return rc;
    break;
  }
  for (size_t i = 0; i < s->n_rows; i++) {
    if (superseded && superseded[i]) continue;
    int rc = write_row(w, &s->rows[i]);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

static int commit(sqlite_writer *w) {
  int64_t reserve = 0;
  int counted = sqlite_counts_write(w);
  if (counted != SQLITE_OK) return counted;
  if (w->batch_seq > w->seq_reserved) {
    reserve = w->batch_seq + SQLITE_STORE_SEQ_RESERVE;
    bind_int(w->st[W_HIGH_WATER_SEQ], 1, reserve);
    int rc = run_stmt(w->st[W_HIGH_WATER_SEQ]);
    if (rc != SQLITE_OK) return rc;
  }
  int rc = run_stmt(w->st[W_COMMIT]);
  if (rc != SQLITE_OK) return rc;
  w->commits++;
  if (reserve) w->seq_reserved = reserve;
  return SQLITE_OK;
}

static void transaction_failed(sqlite_writer *w, store_batch *b, int rc) {
  if (rc == SQLITE_NOTFOUND) {
    b->error = ERR(&b->arena, INTERNAL, "a run that %s does not hold was to be updated", w->path);
  } else {
    b->error = SQLITE_ERROR_AT(&b->arena, w->db, rc, w->path);
  }
  if (!sqlite3_get_autocommit(w->db)) (void)run_stmt(w->st[W_ROLLBACK]);
}

static bool write_together(sqlite_writer *w, store_batch *b, batch_plan *p) {
  w->batch_seq = 0;
  sqlite_counts_begin(w);
  int rc = run_stmt(w->st[W_BEGIN]);
  for (size_t i = 0; i < p->n_steps && rc == SQLITE_OK; i++) {
    store_step *s = p->steps[i];
    if (refused_before(p, s)) continue;
    rc = write_step(w, s, p->superseded[i]);
    if (rc == SQLITE_OK && s->status != STORE_OK) refuse(p, s);
  }
  if (rc == SQLITE_OK) rc = commit(w);
  if (rc == SQLITE_OK) return true;
  transaction_failed(w, b, rc);
  return false;
}

static void write_alone(sqlite_writer *w, store_batch *b, batch_plan *p, store_step *s) {
  w->batch_seq = 0;
  sqlite_counts_begin(w);
  int rc = run_stmt(w->st[W_BEGIN]);
  if (rc == SQLITE_OK) rc = write_step(w, s, NULL);
  if (rc == SQLITE_OK) rc = commit(w);
  if (rc != SQLITE_OK) {
    transaction_failed(w, b, rc);
    s->status = STORE_FAILED;
  }
  if (s->status != STORE_OK) refuse(p, s);
}

void sqlite_writer_apply(sqlite_writer *w, store_batch *b) {
  arena_reset(&w->scratch);
  b->error = NULL;
  batch_plan p = make_plan(w, b);
  if (!write_together(w, b, &p)) {
    /* A full disk may still have room inside the WAL once it is checkpointed. */
    sqlite_writer_checkpoint(w);
    p.n_refusals = 0;
    for (size_t i = 0; i < p.n_steps; i++) {
      if (!refused_before(&p, p.steps[i])) write_alone(w, b, &p, p.steps[i]);
    }
  }
  for (size_t i = 0; i < p.n_steps; i++) {
    if (p.steps[i]->status != STORE_OK) continue;
    w->steps++;
    w->rows += p.steps[i]->n_rows;
  }
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

/* From the overlay to the tables, in transactions that need no sync of their own: until the WAL is
 * synced, the commit log holds what they say. */
#include "base/log.h"
#include "store/commit_log.h"
#include "store/row_code.h"

static void forget_failure(sqlite_writer *w) {
  w->failure = NULL;
  arena_reset(&w->failure_arena);
}

/* Nothing of the transaction is in tables; `flushing` stays for another try. */
static void flush_failed(sqlite_writer *w, int rc) {
  forget_failure(w);
  w->failure = SQLITE_ERROR_AT(&w->failure_arena, w->db, rc, w->path);
  if (!sqlite3_get_autocommit(w->db)) (void)sqlite_run(w->st[W_ROLLBACK]);
  w->next = NULL;
}

static int begin(sqlite_writer *w) {
  arena_reset(&w->scratch);
  sqlite_counts_begin(w);
  w->next = w->flushing->first;
  return sqlite_run(w->st[W_BEGIN]);
}

/* Every step was checked before it was committed, so a row that does not fit is our own mistake. It
 * must neither be lost nor stand in the way of all others. */
static int keep_misfit(sqlite_writer *w, const store_row *r, const char *why) {
  LOG(ERROR,
      "a row that was committed does not fit the tables; it is kept in the table misfit. Please "
      "report this with the file",
      LOG_S("file", w->path), LOG_I("run", r->run), LOG_I("kind", r->kind), LOG_S("reason", why));
  buf row = BUF_INIT;
  row_encode(r, &row);
  sqlite3_stmt *st = w->st[W_MISFIT_ADD];
  sqlite_bind_int(st, 1, r->run);
  sqlite_bind_int(st, 2, r->kind);
  sqlite_bind_text(st, 3, span_cstr(why));
  (void)sqlite3_bind_blob64(st, 4, row.p, row.n, SQLITE_STATIC);
  int rc = sqlite_run(st);
  buf_release(&row);
  return rc;
}

static int write_row(sqlite_writer *w, const store_row *r) {
  int rc = sqlite_write_row(w, r);
  if (rc == SQLITE_NOTFOUND) return keep_misfit(w, r, "there is no such run");
  if ((rc & 0xff) == SQLITE_CONSTRAINT) {
    return keep_misfit(w, r, arena_printf(&w->scratch, "%s", sqlite3_errmsg(w->db)));
  }
  return rc;
}

static int write_numbers(sqlite_writer *w, int64_t *ret_reserve) {
  int rc = sqlite_counts_write(w);
  *ret_reserve = w->seq_reserved;
  if (rc == SQLITE_OK && w->flushing->largest_seq > w->seq_reserved) {
    *ret_reserve = w->flushing->largest_seq + SQLITE_STORE_SEQ_RESERVE;
    sqlite_bind_int(w->st[W_HIGH_WATER_SEQ], 1, *ret_reserve);
    rc = sqlite_run(w->st[W_HIGH_WATER_SEQ]);
  }
  if (rc != SQLITE_OK) return rc;
  sqlite_bind_int(w->st[W_LAST_COMMIT], 1, w->flushing->last_commit);
  return sqlite_run(w->st[W_LAST_COMMIT]);
}

/* The log's file may be used anew only when this is durable. */
static int sync_wal(sqlite_writer *w) {
  sqlite3_file *f = NULL;
  if (!commit_log_is_synced(w->log)) {
    w->wal_synced = true;
    return SQLITE_OK;
  }
  int rc = sqlite3_file_control(w->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);
  if (rc == SQLITE_OK && f && f->pMethods) {
    rc = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
  }
  w->wal_synced = rc == SQLITE_OK;
  return rc;
}

static int end(sqlite_writer *w) {
  int64_t reserve;
  int rc = write_numbers(w, &reserve);
  if (rc == SQLITE_OK) rc = sqlite_run(w->st[W_COMMIT]);
  if (rc != SQLITE_OK) return rc;
  w->wal_synced = false;
  w->seq_reserved = reserve;
  w->in_tables = w->flushing->last_commit;
  overlay *done = w->flushing;
  (void)pthread_mutex_lock(&w->mu);
  w->flushing = NULL;
  (void)pthread_mutex_unlock(&w->mu);
  overlay_free(done);
  w->next = NULL;
  return sync_wal(w);
}

bool sqlite_writer_touches(sqlite_writer *w, int64_t run) {
  (void)pthread_mutex_lock(&w->mu);
  bool yes = overlay_touches(w->open, run) || overlay_touches(w->flushing, run);
  (void)pthread_mutex_unlock(&w->mu);
  return yes;
}

static bool flush(sqlite_writer *w, size_t n_rows) {
  forget_failure(w);
  int rc = w->next ? SQLITE_OK : begin(w);
  for (; rc == SQLITE_OK && w->next && n_rows > 0; n_rows--, w->next = w->next->next) {
    if (!w->next->gone) rc = write_row(w, &w->next->row);
  }
  if (rc == SQLITE_OK && !w->next) rc = end(w);
  if (rc != SQLITE_OK) flush_failed(w, rc);
  return rc == SQLITE_OK;
}

bool sqlite_writer_flush_some(sqlite_writer *w, size_t n_rows) {
  return !w->flushing || (flush(w, n_rows) && !w->flushing);
}

bool sqlite_writer_begin_flush(sqlite_writer *w) {
  if (!sqlite_writer_flush_some(w, SIZE_MAX)) return false;
  int rc = w->wal_synced ? SQLITE_OK : sync_wal(w);
  if (rc != SQLITE_OK) {
    flush_failed(w, rc);
    return false;
  }
  overlay *next = overlay_new(w->key);
  (void)pthread_mutex_lock(&w->mu);
  w->flushing = w->open;
  w->open = next;
  (void)pthread_mutex_unlock(&w->mu);
  commit_log_switch(w->log);
  return true;
}

bool sqlite_writer_flush_all(sqlite_writer *w) {
  if (!sqlite_writer_flush_some(w, SIZE_MAX)) return false;
  if (!w->open->first) return true;
  return sqlite_writer_begin_flush(w) && sqlite_writer_flush_some(w, SIZE_MAX);
}

/* --- start and end --- */

static err *replay(void *arg, int64_t number, span content) {
  sqlite_writer *w = arg;
  w->last_commit = number;
  if (overlay_add(w->open, number, content)) return NULL;
  return ERR(&w->batch_scratch, DATA_LOSS, "commit %lld in the log of %s cannot be read",
             (long long)number, w->path);
}

err *sqlite_writer_recover(sqlite_writer *w, sqlite_vfs *v, bool sync, arena *a) {
  int64_t database;
  TRY(sqlite_get_int(w->db, w->path, "SELECT database FROM commit_log", &database, a));
  TRY(sqlite_get_int(w->db, w->path, "SELECT last_commit FROM commit_log", &w->in_tables, a));
  w->last_commit = w->in_tables;
  w->wal_synced = true;
  TRY(commit_log_open(v, w->path, database, sync, a, &w->log));
  TRY(commit_log_replay(w->log, w->in_tables, replay, w, a));
  if (!sqlite_writer_flush_all(w)) return err_dup(a, w->failure);
  return sqlite_get_int(w->db, w->path,
                        "SELECT max((SELECT coalesce(max(run), 0) FROM run),"
                        " (SELECT deleted_run FROM high_water))",
                        &w->largest_run, a);
}

void sqlite_writer_finish(sqlite_writer *w) {
  bool done = sqlite_writer_flush_all(w);
  commit_log_close(w->log, !done);
  w->log = NULL;
}

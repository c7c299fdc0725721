#include <string.h>

#include "store/sqlite_int.h"

#define RUN_COLUMNS "run, ns, workflow_id, status, due_ns, queue, priority, seq, info, state"

static const char *const read_sql[R_COUNT] = {
    [R_BEGIN] = "BEGIN",
    [R_COMMIT] = "COMMIT",
    [R_RUN] = "SELECT " RUN_COLUMNS " FROM run WHERE run = ?1",
    [R_ITEMS] =
        "SELECT key, kind, due_ns, queue, priority, seq, blob FROM item"
        " WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    [R_CURRENT] = SQLITE_CURRENT_RUN("?1", "?2"),
    [R_HISTORY] =
        "SELECT key, blob FROM history WHERE key >= coalesce((SELECT max(key) FROM history"
        " WHERE key BETWEEN ?1 AND ?2), ?2) AND key < ?3 ORDER BY key",
    [R_DUE_RUNS] =
        "SELECT due_ns, run FROM run INDEXED BY run_due"
        " WHERE due_ns > 0 AND (due_ns, run) > (?1, ?2) AND due_ns <= ?3"
        " ORDER BY due_ns, run",
    [R_DUE_ITEMS] =
        "SELECT due_ns, key FROM item INDEXED BY item_due"
        " WHERE due_ns > 0 AND (due_ns, key) > (?1, ?2) AND due_ns <= ?3"
        " ORDER BY due_ns, key",
    [R_QUEUE_RUNS] =
        "SELECT priority, seq, run FROM run INDEXED BY run_queue WHERE queue > 0"
        " AND queue = ?1 AND (priority, seq) > (?2, ?3) ORDER BY priority, seq, run",
    [R_QUEUE_ITEMS] =
        "SELECT priority, seq, key FROM item INDEXED BY item_queue WHERE queue > 0"
        " AND queue = ?1 AND (priority, seq) > (?2, ?3) ORDER BY priority, seq, key",
    [R_ATTEMPTS] =
        "SELECT key, attempt, blob FROM attempt WHERE key BETWEEN ?1 AND ?2"
        " ORDER BY key, attempt",
    [R_BACKLOG] =
        "SELECT priority, COUNT(*), MIN(seq) FROM ("
        " SELECT priority, seq FROM run INDEXED BY run_queue WHERE queue > 0 AND queue = ?1"
        " UNION ALL"
        " SELECT priority, seq FROM item INDEXED BY item_queue WHERE queue > 0 AND queue = ?1"
        ") GROUP BY priority ORDER BY priority",
    [R_NAMED] = "SELECT name, blob FROM named WHERE name >= ?1 ORDER BY name",
};

err *sqlite_reader_prepare(sqlite_reader *r, arena *a) {
  return sqlite_prepare_all(r->db, r->path, read_sql, R_COUNT, r->st, a);
}

void sqlite_reader_release(sqlite_reader *r) {
  sqlite_finalize_all(r->st, R_COUNT);
  (void)sqlite3_close(r->db);
  r->db = NULL;
}

static int64_t column_int(sqlite3_stmt *st, int at) { return sqlite3_column_int64(st, at); }

static span column_text(sqlite3_stmt *st, int at, arena *a) {
  const void *p = sqlite3_column_text(st, at);
  return arena_dup(a, span_of(p, (size_t)sqlite3_column_bytes(st, at)));
}

static bytes *column_blob(sqlite3_stmt *st, int at) {
  if (sqlite3_column_type(st, at) == SQLITE_NULL) return NULL;
  const void *p = sqlite3_column_blob(st, at);
  return bytes_copy(span_of(p, (size_t)sqlite3_column_bytes(st, at)));
}

/* Appends to l->rows, which has room for a power of two. */
static store_row *add_row(store_load *l) {
  size_t n = l->n_rows;
  if ((n & (n - 1)) == 0) {
    store_row *more = arena_array(&l->arena, store_row, n ? n * 2 : 1);
    if (n) memcpy(more, l->rows, n * sizeof *more);
    l->rows = more;
  }
  return &l->rows[l->n_rows++];
}

static void set_key(store_row *r, int64_t key) {
  r->run = key >> ROW_ID_BITS;
  r->id = key & ROW_ID_MAX;
}

/* SQLITE_ROW and SQLITE_DONE, or an error. */
static int next(sqlite3_stmt *st) {
  int rc = sqlite3_step(st);
  if (rc != SQLITE_ROW) (void)sqlite3_reset(st);
  return rc;
}

static void bind_key_range(sqlite3_stmt *st, int64_t run, int64_t from_id, int64_t to_id) {
  (void)sqlite3_bind_int64(st, 1, store_row_key(run, from_id));
  (void)sqlite3_bind_int64(st, 2, store_row_key(run, to_id));
}

static int load_items(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_ITEMS];
  bind_key_range(st, l->run, 0, ROW_ID_MAX);
  int rc;
  while ((rc = next(st)) == SQLITE_ROW) {
    store_row *row = add_row(l);
    set_key(row, column_int(st, 0));
    row->kind = ROW_ITEM_PUT;
    row->item_kind = (int32_t)column_int(st, 1);
    row->due_ns = column_int(st, 2);
    row->queued = (store_queued){.queue = column_int(st, 3),
                                 .priority = (int32_t)column_int(st, 4),
                                 .seq = column_int(st, 5)};
    row->blob = column_blob(st, 6);
  }
  return rc;
}

static int load_run(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_RUN];
  (void)sqlite3_bind_int64(st, 1, l->run);
  int rc = next(st);
  if (rc != SQLITE_ROW) return rc;
  l->found = true;
  l->row = (store_row){
      .kind = ROW_RUN_INSERT,
      .run = column_int(st, 0),
      .ns = column_int(st, 1),
      .workflow_id = column_text(st, 2, &l->arena),
      .status = (int32_t)column_int(st, 3),
      .due_ns = column_int(st, 4),
      .queued = {.queue = column_int(st, 5),
                 .priority = (int32_t)column_int(st, 6),
                 .seq = column_int(st, 7)},
      .info = column_blob(st, 8),
      .blob = column_blob(st, 9),
  };
  (void)sqlite3_reset(st);
  return load_items(r, l);
}

static int load_current(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_CURRENT];
  (void)sqlite3_bind_int64(st, 1, l->ns);
  (void)sqlite3_bind_text64(st, 2, l->workflow_id.p ? (const char *)l->workflow_id.p : "",
                            l->workflow_id.n, SQLITE_STATIC, SQLITE_UTF8);
  int rc = next(st);
  if (rc != SQLITE_ROW) return rc;
  l->run = column_int(st, 0);
  (void)sqlite3_reset(st);
  return load_run(r, l);
}

static int load_history(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_HISTORY];
  bind_key_range(st, l->run, 0, l->from_id);
  int64_t until = l->until_id ? l->until_id : ROW_ID_MAX + 1;
  (void)sqlite3_bind_int64(st, 3, store_row_key(l->run, 0) + until);
  size_t n_bytes = 0;
  int rc;
  while ((rc = next(st)) == SQLITE_ROW) {
    n_bytes += (size_t)sqlite3_column_bytes(st, 1);
    if (l->max_bytes && l->n_rows && n_bytes > l->max_bytes) {
      l->more = true;
      (void)sqlite3_reset(st);
      return SQLITE_DONE;
    }
    store_row *row = add_row(l);
    set_key(row, column_int(st, 0));
    row->kind = ROW_HISTORY_ADD;
    row->blob = column_blob(st, 1);
    l->found = true;
  }
  return rc;
}

/* A run stands before its items of the same order. */
static int compare(sqlite3_stmt *runs, sqlite3_stmt *items, int n_columns) {
  for (int i = 0; i < n_columns; i++) {
    int64_t a = column_int(runs, i), b = column_int(items, i);
    if (a != b) return a < b ? -1 : 1;
  }
  int64_t a = store_row_key(column_int(runs, n_columns), 0), b = column_int(items, n_columns);
  return (a > b) - (a < b);
}

/* Merges rows of `run` and of `item` by the first `n_columns`, then by key, up to l->limit. */
static int merge(store_load *l, sqlite3_stmt *runs, sqlite3_stmt *items, int n_columns) {
  int run_rc = next(runs), item_rc = next(items);
  while ((run_rc == SQLITE_ROW || run_rc == SQLITE_DONE) &&
         (item_rc == SQLITE_ROW || item_rc == SQLITE_DONE)) {
    if (run_rc == SQLITE_DONE && item_rc == SQLITE_DONE) return SQLITE_DONE;
    if (l->limit && l->n_rows == l->limit) {
      l->more = true;
      (void)sqlite3_reset(runs);
      (void)sqlite3_reset(items);
      return SQLITE_DONE;
    }
    bool is_run =
        item_rc == SQLITE_DONE || (run_rc == SQLITE_ROW && compare(runs, items, n_columns) < 0);
    sqlite3_stmt *st = is_run ? runs : items;
    store_row *row = add_row(l);
    int64_t key = column_int(st, n_columns);
    set_key(row, is_run ? store_row_key(key, 0) : key);
    row->kind = is_run ? ROW_RUN_UPDATE : ROW_ITEM_PUT;
    if (n_columns == 1) {
      row->due_ns = column_int(st, 0);
    } else {
      row->queued = (store_queued){.queue = l->queued.queue,
                                   .priority = (int32_t)column_int(st, 0),
                                   .seq = column_int(st, 1)};
    }
    *(is_run ? &run_rc : &item_rc) = next(st);
  }
  (void)sqlite3_reset(runs);
  (void)sqlite3_reset(items);
  return run_rc == SQLITE_ROW || run_rc == SQLITE_DONE ? item_rc : run_rc;
}

static int load_due(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *runs = r->st[R_DUE_RUNS], *items = r->st[R_DUE_ITEMS];
  (void)sqlite3_bind_int64(runs, 1, l->after_due_ns);
  (void)sqlite3_bind_int64(runs, 2, l->after_key >> ROW_ID_BITS);
  (void)sqlite3_bind_int64(runs, 3, l->until_ns);
  (void)sqlite3_bind_int64(items, 1, l->after_due_ns);
  (void)sqlite3_bind_int64(items, 2, l->after_key);
  (void)sqlite3_bind_int64(items, 3, l->until_ns);
  return merge(l, runs, items, 1);
}

static int load_queue(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st[] = {r->st[R_QUEUE_RUNS], r->st[R_QUEUE_ITEMS]};
  for (size_t i = 0; i < ARRAY_LEN(st); i++) {
    (void)sqlite3_bind_int64(st[i], 1, l->queued.queue);
    (void)sqlite3_bind_int64(st[i], 2, l->queued.priority);
    (void)sqlite3_bind_int64(st[i], 3, l->queued.seq);
  }
  return merge(l, st[0], st[1], 2);
}

static int load_backlog(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_BACKLOG];
  (void)sqlite3_bind_int64(st, 1, l->queued.queue);
  int rc;
  while ((rc = next(st)) == SQLITE_ROW) {
    store_row *row = add_row(l);
    row->queued = (store_queued){
        .queue = l->queued.queue, .priority = (int32_t)column_int(st, 0), .seq = column_int(st, 2)};
    row->id = column_int(st, 1);
  }
  return rc;
}

static int load_attempts(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_ATTEMPTS];
  bind_key_range(st, l->run, l->id, l->id ? l->id : ROW_ID_MAX);
  int rc;
  while ((rc = next(st)) == SQLITE_ROW) {
    store_row *row = add_row(l);
    set_key(row, column_int(st, 0));
    row->kind = ROW_ATTEMPT_PUT;
    row->attempt = (int32_t)column_int(st, 1);
    row->blob = column_blob(st, 2);
  }
  return rc;
}

static int load_named(sqlite_reader *r, store_load *l) {
  sqlite3_stmt *st = r->st[R_NAMED];
  (void)sqlite3_bind_text64(st, 1, l->name.p ? (const char *)l->name.p : "", l->name.n,
                            SQLITE_STATIC, SQLITE_UTF8);
  int rc;
  while ((rc = next(st)) == SQLITE_ROW) {
    span name = span_of(sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    if (!span_starts_with(name, l->name)) {
      (void)sqlite3_reset(st);
      return SQLITE_DONE;
    }
    store_row *row = add_row(l);
    row->kind = ROW_NAMED_PUT;
    row->name = arena_dup(&l->arena, name);
    row->blob = column_blob(st, 1);
  }
  return rc;
}

static int load(sqlite_reader *r, store_load *l) {
  switch (l->kind) {
    case LOAD_RUN:
      return load_run(r, l);
    case LOAD_CURRENT:
      return load_current(r, l);
    case LOAD_HISTORY:
      return load_history(r, l);
    case LOAD_DUE:
      return load_due(r, l);
    case LOAD_QUEUE:
      return load_queue(r, l);
    case LOAD_BACKLOG:
      return load_backlog(r, l);
    case LOAD_ATTEMPTS:
      return load_attempts(r, l);
    case LOAD_NAMED:
      return load_named(r, l);
  }
  PANIC("unknown kind of load %d", (int)l->kind);
}

static void drop_results(store_load *l) {
  bytes_unref(l->row.info);
  bytes_unref(l->row.blob);
  for (size_t i = 0; i < l->n_rows; i++) bytes_unref(l->rows[i].blob);
  l->row = (store_row){0};
  l->rows = NULL;
  l->n_rows = 0;
  l->found = l->more = false;
}

void sqlite_reader_load(sqlite_reader *r, store_load *l) {
  r->loads++;
  /* One transaction, so that a run and its items are of the same moment. */
  int rc = next(r->st[R_BEGIN]);
  if (rc == SQLITE_DONE) rc = load(r, l);
  if (rc != SQLITE_DONE) {
    l->error = SQLITE_ERROR_AT(&l->arena, r->db, rc, r->path);
    drop_results(l);
  }
  if (!sqlite3_get_autocommit(r->db)) (void)next(r->st[R_COMMIT]);
}

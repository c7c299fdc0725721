/* The record by which a run is found, its attributes, and how many there are of each status. */
#include "store/sqlite_int.h"

static void bind_optional(sqlite3_stmt *st, int at, span s) {
  if (s.p) {
    sqlite_bind_text(st, at, s);
  } else {
    (void)sqlite3_bind_null(st, at);
  }
}

void sqlite_bind_value(sqlite3_stmt *st, int at, const store_value *v) {
  switch (v->kind) {
    case VALUE_NULL:
      (void)sqlite3_bind_null(st, at);
      return;
    case VALUE_INT:
      sqlite_bind_int(st, at, v->i);
      return;
    case VALUE_REAL:
      (void)sqlite3_bind_double(st, at, v->real);
      return;
    case VALUE_TEXT:
      sqlite_bind_text(st, at, v->text);
      return;
  }
}

/* --- counts --- */

void sqlite_counts_begin(sqlite_writer *w) {
  w->counts = NULL;
  w->n_counts = w->cap_counts = 0;
}

static void count(sqlite_writer *w, int64_t ns, int32_t status, int64_t by) {
  for (size_t i = 0; i < w->n_counts; i++) {
    if (w->counts[i].ns != ns || w->counts[i].status != status) continue;
    w->counts[i].by += by;
    return;
  }
  if (w->n_counts == w->cap_counts) {
    size_t cap = MAX((size_t)8, w->cap_counts * 2);
    sqlite_count *more = arena_array(&w->scratch, sqlite_count, cap);
    if (w->n_counts) memcpy(more, w->counts, w->n_counts * sizeof *more);
    w->counts = more;
    w->cap_counts = cap;
  }
  w->counts[w->n_counts++] = (sqlite_count){.ns = ns, .status = status, .by = by};
}

int sqlite_counts_write(sqlite_writer *w) {
  for (size_t i = 0; i < w->n_counts; i++) {
    const sqlite_count *c = &w->counts[i];
    sqlite3_stmt *st = w->st[W_VISIBLE_COUNT];
    if (!c->by) continue;
    sqlite_bind_int(st, 1, c->ns);
    sqlite_bind_int(st, 2, c->status);
    sqlite_bind_int(st, 3, c->by);
    int rc = sqlite_run(st);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

/* --- attributes --- */

/* Where a record stands in the indexes. */
typedef struct place {
  int64_t run, ns, ended, started;
  int32_t status;
  bool divided;
  span attributes;
} place;

static int write_attributes(sqlite_writer *w, const place *p, bool add) {
  sqlite3_stmt *st = w->st[add ? W_ATTRIBUTE_ADD : W_ATTRIBUTE_DELETE];
  store_attribute a;
  for (size_t at = 0; store_attributes_next(p->attributes, &at, &a);) {
    if (a.unindexed) continue;
    sqlite_bind_int(st, 1, a.id * 2 + p->divided);
    sqlite_bind_value(st, 2, &a.value);
    sqlite_bind_int(st, 3, p->ended);
    sqlite_bind_int(st, 4, p->started);
    sqlite_bind_int(st, 5, p->run);
    if (add) sqlite_bind_int(st, 6, p->status);
    int rc = sqlite_run(st);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

/* --- records --- */

static void bind_attributes(sqlite3_stmt *st, int at, span attributes) {
  if (attributes.n) {
    (void)sqlite3_bind_blob64(st, at, attributes.p, attributes.n, SQLITE_STATIC);
  } else {
    (void)sqlite3_bind_null(st, at);
  }
}

/* ?1 to ?19 in the order of the table's columns. */
static void bind_record(sqlite3_stmt *st, const store_row *r, span attributes) {
  const store_visible *v = r->visible;
  span texts[] = {v->run_id, v->type, v->queue};
  span optional[] = {v->parent_workflow_id, v->parent_run_id, v->root_workflow_id, v->root_run_id,
                     v->division};
  int64_t closed[] = {v->events, v->history_bytes, v->transitions};
  sqlite_bind_int(st, 1, r->run);
  sqlite_bind_int(st, 2, r->ns);
  sqlite_bind_int(st, 3, r->status);
  sqlite_bind_int(st, 4, v->closed_ns ? v->closed_ns : INT64_MAX);
  sqlite_bind_int(st, 5, v->started_ns);
  sqlite_bind_int(st, 6, v->execution_ns);
  sqlite_bind_text(st, 7, r->workflow_id);
  for (size_t i = 0; i < ARRAY_LEN(texts); i++) sqlite_bind_text(st, 8 + (int)i, texts[i]);
  for (size_t i = 0; i < ARRAY_LEN(optional); i++) bind_optional(st, 11 + (int)i, optional[i]);
  for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
    if (v->closed_ns) {
      sqlite_bind_int(st, 16 + (int)i, closed[i]);
    } else {
      (void)sqlite3_bind_null(st, 16 + (int)i);
    }
  }
  bind_attributes(st, 19, attributes);
}

static int add_record(sqlite_writer *w, const store_row *r) {
  const store_visible *v = r->visible;
  place p = {.run = r->run,
             .ns = r->ns,
             .ended = v->closed_ns ? v->closed_ns : INT64_MAX,
             .started = v->started_ns,
             .status = r->status,
             .divided = v->division.p != NULL,
             .attributes = store_attributes_encode(v->attributes, v->n_attributes, &w->scratch)};
  bind_record(w->st[W_VISIBLE_ADD], r, p.attributes);
  int rc = sqlite_run(w->st[W_VISIBLE_ADD]);
  if (rc == SQLITE_OK) rc = write_attributes(w, &p, true);
  if (rc == SQLITE_OK && !p.divided) count(w, r->ns, r->status, 1);
  return rc;
}

int sqlite_visible_delete(sqlite_writer *w, int64_t run) {
  sqlite3_stmt *st = w->st[W_VISIBLE_GET];
  sqlite_bind_int(st, 1, run);
  int rc = sqlite3_step(st);
  if (rc != SQLITE_ROW) {
    (void)sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
  }
  place p = {.run = run,
             .ns = sqlite3_column_int64(st, 0),
             .status = sqlite3_column_int(st, 1),
             .ended = sqlite3_column_int64(st, 2),
             .started = sqlite3_column_int64(st, 3),
             .divided = sqlite3_column_int(st, 4) != 0};
  const void *blob = sqlite3_column_blob(st, 5);
  p.attributes = arena_dup(&w->scratch, span_of(blob, (size_t)sqlite3_column_bytes(st, 5)));
  (void)sqlite3_reset(st);
  rc = write_attributes(w, &p, false);
  if (rc != SQLITE_OK) return rc;
  if (!p.divided) count(w, p.ns, p.status, -1);
  sqlite_bind_int(w->st[W_VISIBLE_DELETE], 1, run);
  return sqlite_run(w->st[W_VISIBLE_DELETE]);
}

/* Only what differs, where no index of attributes has to follow. */
static int update_record(sqlite_writer *w, const store_row *r, bool *ret_found) {
  const store_visible *v = r->visible;
  sqlite3_stmt *st = w->st[v->closed_ns ? W_VISIBLE_CLOSE : W_VISIBLE_ATTRIBUTES];
  const bool stay = v->change == ATTRIBUTES_STAY;
  *ret_found = true;
  if (stay && !v->closed_ns) return SQLITE_OK;
  sqlite_bind_int(st, 1, r->run);
  bind_attributes(st, 2, store_attributes_encode(v->attributes, v->n_attributes, &w->scratch));
  if (v->closed_ns) {
    sqlite_bind_int(st, 3, r->status);
    sqlite_bind_int(st, 4, v->closed_ns);
    sqlite_bind_int(st, 5, v->events);
    sqlite_bind_int(st, 6, v->history_bytes);
    sqlite_bind_int(st, 7, v->transitions);
    sqlite_bind_int(st, 8, stay);
  }
  int rc = sqlite_run(st);
  *ret_found = rc == SQLITE_OK && sqlite3_changes(w->db) == 1;
  if (!*ret_found || r->status == v->was_status) return rc;
  count(w, r->ns, v->was_status, -1);
  count(w, r->ns, r->status, 1);
  return SQLITE_OK;
}

int sqlite_visible_put(sqlite_writer *w, const store_row *r) {
  const store_visible *v = r->visible;
  if (v->was_status && v->change != ATTRIBUTES_ANEW && !v->division.p) {
    bool found;
    int rc = update_record(w, r, &found);
    if (rc != SQLITE_OK || found) return rc;
  } else if (v->was_status) {
    int rc = sqlite_visible_delete(w, r->run);
    if (rc != SQLITE_OK) return rc;
  }
  return add_record(w, r);
}

/* Lists, on a connection of their own that only reads. Everything of one query is of one moment. */
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "store/sqlite_query_sql.h"

enum { STEPS_BETWEEN_LOOKS = 2000 }; /* of SQLite's machine, between looks at the clock */

static int64_t monotonic_ns(void) {
  struct timespec ts;
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int is_over(void *arg) { return monotonic_ns() > ((const sqlite_querier *)arg)->until_ns; }

err *sqlite_querier_prepare(sqlite_querier *q, arena *a) {
  int rc = sql_add_functions(q->db);
  if (rc != SQLITE_OK) return SQLITE_ERROR_AT(a, q->db, rc, q->path);
  sqlite3_progress_handler(q->db, STEPS_BETWEEN_LOOKS, is_over, q);
  return NULL;
}

void sqlite_querier_release(sqlite_querier *q) {
  (void)sqlite3_close(q->db);
  q->db = NULL;
}

/* Texts are valid until the statement goes on. */
static store_value borrowed_value(sqlite3_stmt *st, int at) {
  switch (sqlite3_column_type(st, at)) {
    case SQLITE_INTEGER:
      return VALUE_OF_INT(sqlite3_column_int64(st, at));
    case SQLITE_FLOAT:
      return VALUE_OF_REAL(sqlite3_column_double(st, at));
    case SQLITE_TEXT: {
      const void *p = sqlite3_column_text(st, at);
      return VALUE_OF_TEXT(span_of(p, (size_t)sqlite3_column_bytes(st, at)));
    }
    default:
      return (store_value){.kind = VALUE_NULL};
  }
}

static store_value column_value(sqlite3_stmt *st, int at, arena *a) {
  store_value v = borrowed_value(st, at);
  if (v.kind == VALUE_TEXT) v.text = arena_dup(a, v.text);
  return v;
}

/* --- pages --- */

/* A source's statement and the record it stands at. */
typedef struct cursor {
  sqlite3_stmt *st;
  bool live;
  store_found at;
} cursor;

static void add_after(sql *s, const store_query *q) {
  if (!q->has_after) return;
  sql_add(s, " AND (");
  if (q->ordered && q->after.key.kind != VALUE_NULL) {
    sql_field(s, &q->order);
    sql_add(s, q->descending ? " < " : " > ");
    sql_bind(s, q->after.key);
    sql_add(s, " OR ");
    sql_field(s, &q->order);
    sql_add(s, " IS NULL OR ");
  }
  if (q->ordered) {
    sql_field(s, &q->order);
    sql_add(s, " IS ");
    sql_bind(s, q->after.key);
    sql_add(s, " AND ");
  }
  const char *t = s->position;
  sql_add(s, t[0] == 'a' ? "(a.ended, a.started, a.run) < (" : "(v.ended, v.started, v.run) < (");
  sql_bind(s, VALUE_OF_INT(q->after.ended_ns));
  sql_add(s, ", ");
  sql_bind(s, VALUE_OF_INT(q->after.started_ns));
  sql_add(s, ", ");
  sql_bind(s, VALUE_OF_INT(q->after.run));
  sql_add(s, "))");
}

static void add_position(sql *s, const char *columns) {
  for (const char *c = columns; *c; c++) {
    if (*c == '%') {
      sql_add(s, s->position);
    } else {
      buf_addb(&s->text, (uint8_t)*c);
    }
  }
}

static void add_page(sql *s, const sql_plan *p, const sql_source *src) {
  const store_query *q = p->query;
  s->position = src->kind == SOURCE_ATTRIBUTE ? "a" : "v";
  add_position(s, "SELECT %.run, %.status, %.ended, %.started, ");
  if (q->ordered) {
    sql_field(s, &q->order);
  } else {
    sql_add(s, "NULL");
  }
  sql_add(s, " AS key");
  sql_add_source(s, p, src);
  add_after(s, q);
  sql_add(s, " ORDER BY ");
  if (q->ordered) sql_add(s, q->descending ? "key IS NULL, key DESC, " : "key IS NULL, key, ");
  add_position(s, "%.ended DESC, %.started DESC, %.run DESC LIMIT ");
  sql_bind(s, VALUE_OF_INT((int64_t)q->limit + 1));
}

static int advance(cursor *c, arena *a) {
  int rc = sqlite3_step(c->st);
  c->live = rc == SQLITE_ROW;
  if (!c->live) return rc;
  c->at = (store_found){.run = sqlite3_column_int64(c->st, 0),
                        .status = sqlite3_column_int(c->st, 1),
                        .place = {.ended_ns = sqlite3_column_int64(c->st, 2),
                                  .started_ns = sqlite3_column_int64(c->st, 3),
                                  .run = sqlite3_column_int64(c->st, 0),
                                  .key = column_value(c->st, 4, a)}};
  return SQLITE_DONE;
}

static cursor *first_of(const store_query *q, cursor *cursors, size_t n) {
  cursor *first = NULL;
  for (size_t i = 0; i < n; i++) {
    if (!cursors[i].live) continue;
    if (!first || store_place_cmp(q, &cursors[i].at.place, &first->at.place) < 0) {
      first = &cursors[i];
    }
  }
  return first;
}

static int merge(store_query *q, cursor *cursors, size_t n) {
  q->found = arena_array(&q->arena, store_found, q->limit);
  for (cursor *c = first_of(q, cursors, n); c; c = first_of(q, cursors, n)) {
    if (q->n_found == q->limit) {
      q->more = true;
      break;
    }
    q->found[q->n_found++] = c->at;
    int rc = advance(c, &q->arena);
    if (rc != SQLITE_DONE) return rc;
  }
  return SQLITE_DONE;
}

static int load_rows(sqlite_querier *self, store_query *q) {
  sqlite3_stmt *st;
  int rc = sqlite3_prepare_v2(self->db, "SELECT info, state FROM run WHERE run = ?", -1, &st, NULL);
  for (size_t i = 0; i < q->n_found && rc == SQLITE_OK; i++) {
    bytes **blobs[] = {&q->found[i].info, &q->found[i].state};
    (void)sqlite3_bind_int64(st, 1, q->found[i].run);
    rc = sqlite3_step(st);
    for (int k = 0; k < 2 && rc == SQLITE_ROW; k++) {
      const void *p = sqlite3_column_blob(st, k);
      *blobs[k] = bytes_copy(span_of(p, (size_t)sqlite3_column_bytes(st, k)));
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) rc = sqlite3_reset(st);
  }
  (void)sqlite3_finalize(st);
  return rc == SQLITE_OK ? SQLITE_DONE : rc;
}

static int page(sqlite_querier *self, store_query *q, const sql_plan *p) {
  cursor *cursors = arena_array(&q->arena, cursor, p->n_sources + 1);
  int rc = SQLITE_DONE;
  for (size_t i = 0; i < p->n_sources && rc == SQLITE_DONE; i++) {
    sql s = {.arena = &q->arena};
    add_page(&s, p, &p->sources[i]);
    cursors[i].st = sql_prepare(&s, self->db, &rc);
    if (cursors[i].st) rc = advance(&cursors[i], &q->arena);
  }
  if (rc == SQLITE_DONE) rc = merge(q, cursors, p->n_sources);
  for (size_t i = 0; i < p->n_sources; i++) (void)sqlite3_finalize(cursors[i].st);
  return rc == SQLITE_DONE ? load_rows(self, q) : rc;
}

/* --- counts --- */

/* Groups by value while records go by: SQLite would sort all records first, and cannot be
 * interrupted while it does. */
typedef struct groups {
  store_query *query;
  size_t *slots; /* index + 1 in query->groups; 0: free */
  size_t mask, cap;
} groups;

/* Numbers that are equal have one hash, whatever their kind. */
static uint64_t value_hash(const store_value *v) {
  static const hash_key key = {1, 2};
  if (v->kind == VALUE_NULL) return 0;
  if (v->kind == VALUE_TEXT) return hash_bytes(key, v->text);
  bool fits = v->kind == VALUE_REAL && v->real > -0x1p62 && v->real < 0x1p62;
  return hash_u64((uint64_t)(fits ? (int64_t)v->real : v->i));
}

static size_t *slot_of(const groups *g, const store_value *v) {
  size_t at = value_hash(v) & g->mask;
  while (g->slots[at] && store_value_cmp(&g->query->groups[g->slots[at] - 1].value, v) != 0) {
    at = (at + 1) & g->mask;
  }
  return &g->slots[at];
}

static void grow(groups *g) {
  store_query *q = g->query;
  g->cap = g->cap ? g->cap * 2 : 16;
  g->mask = g->cap * 2 - 1;
  store_group *more = arena_array(&q->arena, store_group, g->cap);
  if (q->n_groups) memcpy(more, q->groups, q->n_groups * sizeof *more);
  q->groups = more;
  g->slots = arena_array(&q->arena, size_t, g->mask + 1);
  for (size_t i = 0; i < q->n_groups; i++) *slot_of(g, &q->groups[i].value) = i + 1;
}

static void add_group(groups *g, store_value v, int64_t count) {
  store_query *q = g->query;
  q->count += count;
  if (q->kind == QUERY_COUNT) return;
  if (q->n_groups == g->cap) grow(g);
  size_t *slot = slot_of(g, &v);
  if (!*slot) {
    if (v.kind == VALUE_TEXT) v.text = arena_dup(&q->arena, v.text);
    q->groups[q->n_groups++] = (store_group){.value = v};
    *slot = q->n_groups;
  }
  q->groups[*slot - 1].count += count;
}

static int by_value(const void *a, const void *b) {
  return store_value_cmp(&((const store_group *)a)->value, &((const store_group *)b)->value);
}

/* Rows of (value, count). */
static int take_groups(groups *g, sqlite3_stmt *st) {
  int rc;
  while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
    int64_t n = sqlite3_column_int64(st, 1);
    if (n) add_group(g, borrowed_value(st, 0), n);
  }
  (void)sqlite3_finalize(st);
  return rc;
}

static int count_sources(sqlite_querier *self, store_query *q, const sql_plan *p) {
  groups g = {.query = q};
  int rc = SQLITE_DONE;
  for (size_t i = 0; i < p->n_sources && rc == SQLITE_DONE; i++) {
    sql s = {.arena = &q->arena, .position = p->sources[i].kind == SOURCE_ATTRIBUTE ? "a" : "v"};
    if (q->kind == QUERY_GROUP) {
      sql_add(&s, "SELECT ");
      sql_field(&s, &q->group);
      sql_add(&s, ", 1");
    } else {
      sql_add(&s, "SELECT NULL, count(*)");
    }
    sql_add_source(&s, p, &p->sources[i]);
    sqlite3_stmt *st = sql_prepare(&s, self->db, &rc);
    if (st) rc = take_groups(&g, st);
  }
  if (q->n_groups > 1) qsort(q->groups, q->n_groups, sizeof *q->groups, by_value);
  return rc;
}

/* --- the whole --- */

/* What is kept as counters needs no counting. */
static bool is_counted(const store_query *q) {
  if (q->kind == QUERY_PAGE || q->divided || !sql_only_status(q->where)) return false;
  return q->kind == QUERY_COUNT || q->group.column == COLUMN_STATUS;
}

static int read_counts(sqlite_querier *self, store_query *q, int64_t *counts) {
  sqlite3_stmt *st;
  int rc = sqlite3_prepare_v2(self->db, "SELECT status, n FROM visible_count WHERE ns = ?", -1, &st,
                              NULL);
  if (rc != SQLITE_OK) return rc;
  (void)sqlite3_bind_int64(st, 1, q->ns);
  while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
    int status = sqlite3_column_int(st, 0);
    if (status >= 1 && status <= STORE_STATUS_MAX) counts[status] = sqlite3_column_int64(st, 1);
  }
  (void)sqlite3_finalize(st);
  return rc;
}

static int run(sqlite_querier *self, store_query *q) {
  int64_t counts[STORE_STATUS_MAX + 1] = {0};
  int rc = read_counts(self, q, counts);
  if (rc != SQLITE_DONE) return rc;
  if (is_counted(q)) {
    groups g = {.query = q};
    uint32_t wanted = sql_statuses(q->where);
    for (int i = 1; i <= STORE_STATUS_MAX; i++) {
      if (counts[i] && wanted & 1u << i) add_group(&g, VALUE_OF_INT(i), counts[i]);
    }
    return SQLITE_DONE;
  }
  sql_plan plan;
  sql_make_plan(&plan, q, counts, &q->arena);
  return q->kind == QUERY_PAGE ? page(self, q, &plan) : count_sources(self, q, &plan);
}

static void failed(sqlite_querier *self, store_query *q, int rc) {
  store_query_release(q);
  store_query_begin(q);
  if ((rc & 0xff) != SQLITE_INTERRUPT) {
    q->error = SQLITE_ERROR_AT(&q->arena, self->db, rc, self->path);
    return;
  }
  q->error =
      ERR(&q->arena, DEADLINE_EXCEEDED,
          "the query would have to look at too many workflows one by one and was ended after"
          " %lld ms; add a condition on ExecutionStatus, WorkflowType, CloseTime, WorkflowId,"
          " RunId or a search attribute of your own, joined with AND: these have an index",
          (long long)q->deadline_ms);
}

void sqlite_querier_run(sqlite_querier *self, store_query *q) {
  char *message = NULL;
  self->until_ns = q->deadline_ms ? monotonic_ns() + q->deadline_ms * NS_PER_MS : INT64_MAX;
  int rc = sqlite3_exec(self->db, "BEGIN", NULL, NULL, &message);
  sqlite3_free(message);
  if (rc == SQLITE_OK) rc = run(self, q);
  if (rc != SQLITE_DONE) failed(self, q, rc);
  self->until_ns = INT64_MAX;
  if (!sqlite3_get_autocommit(self->db)) {
    (void)sqlite3_exec(self->db, "COMMIT", NULL, NULL, NULL);
  }
}

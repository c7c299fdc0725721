/* How SQLite comes to the records of a query: by an attribute's index, by type and status or by
 * status alone in the order of lists, or through all records of the namespace. */
#include "store/sqlite_query_sql.h"

enum { MOST_SOURCES = 32 };

/* Conjuncts of the whole predicate, in order. */
typedef struct conjuncts {
  const store_pred **v;
  size_t n;
} conjuncts;

static size_t count_conjuncts(const store_pred *p) {
  if (!p) return 0;
  if (p->op != OP_AND) return 1;
  size_t n = 0;
  for (size_t i = 0; i < p->n_args; i++) n += count_conjuncts(p->args[i]);
  return n;
}

static void add_conjuncts(conjuncts *c, const store_pred *p) {
  if (!p) return;
  if (p->op != OP_AND) {
    c->v[c->n++] = p;
    return;
  }
  for (size_t i = 0; i < p->n_args; i++) add_conjuncts(c, p->args[i]);
}

static conjuncts conjuncts_of(const store_pred *where, arena *a) {
  conjuncts c = {.v = arena_zalloc_many(a, sizeof(store_pred *), count_conjuncts(where) + 1)};
  add_conjuncts(&c, where);
  return c;
}

static bool is_status(const store_pred *p) {
  return p->op == OP_IN && p->field.column == COLUMN_STATUS;
}

static uint32_t status_bits(const store_pred *p) {
  uint32_t bits = 0;
  for (size_t i = 0; i < p->n_values; i++) {
    const store_value *v = &p->values[i];
    if (v->kind == VALUE_INT && v->i >= 0 && v->i <= STORE_STATUS_MAX) bits |= 1u << v->i;
  }
  return bits;
}

uint32_t sql_statuses(const store_pred *where) {
  if (!where) return UINT32_MAX;
  if (is_status(where)) return status_bits(where);
  uint32_t bits = UINT32_MAX;
  for (size_t i = 0; where->op == OP_AND && i < where->n_args; i++) {
    bits &= sql_statuses(where->args[i]);
  }
  return bits;
}

bool sql_only_status(const store_pred *where) {
  if (!where || is_status(where)) return true;
  bool only = where->op == OP_AND;
  for (size_t i = 0; only && i < where->n_args; i++) only = sql_only_status(where->args[i]);
  return only;
}

/* Status, ended and started lie in every index. */
static bool field_needs_record(const store_field *f) {
  return f->column != COLUMN_STATUS && f->column != COLUMN_STARTED && f->column != COLUMN_CLOSED;
}

static bool needs_record(const store_pred *p) {
  if (p->op > OP_NOT) return field_needs_record(&p->field);
  for (size_t i = 0; i < p->n_args; i++) {
    if (needs_record(p->args[i])) return true;
  }
  return false;
}

/* Records that are in two sources would be counted twice. */
static bool attribute_drives(const store_pred *p) {
  if (p->op != OP_IN || p->field.column != COLUMN_ATTRIBUTE || !p->n_values) return false;
  if (p->field.unindexed || p->n_values > MOST_SOURCES / 2) return false;
  return p->n_values == 1 || !p->field.many;
}

/* The index of types has records without a division only, and is read once for each status. */
static bool type_drives(const store_query *q, const store_pred *p, uint32_t statuses) {
  if (p->op != OP_IN || p->field.column != COLUMN_TYPE || q->divided) return false;
  return p->n_values * (size_t)__builtin_popcount(statuses) <= MOST_SOURCES;
}

/* An attribute has more values than there are types, so its index comes first. */
static const store_pred *driver_of(const store_query *q, const conjuncts *all, uint32_t statuses) {
  for (size_t i = 0; i < all->n; i++) {
    if (attribute_drives(all->v[i])) return all->v[i];
  }
  for (size_t i = 0; i < all->n; i++) {
    if (type_drives(q, all->v[i], statuses)) return all->v[i];
  }
  return NULL;
}

/* Runs that are named are few. */
static bool names_runs(const store_pred *p) {
  return p->op == OP_IN && (p->field.column == COLUMN_WORKFLOW_ID || p->field.column == COLUMN_RUN);
}

static void add_source(sql_plan *p, sql_source s) { p->sources[p->n_sources++] = s; }

static bool repeats(const store_pred *d, size_t at) {
  for (size_t i = 0; i < at; i++) {
    if (store_value_cmp(&d->values[i], &d->values[at]) == 0) return true;
  }
  return false;
}

/* `s` for each status, and each kind of record that the query wants. */
static void add_per_status(sql_plan *p, uint32_t statuses, sql_source s) {
  int most = p->query->divided ? 2 : 1;
  for (s.status = 1; s.status <= STORE_STATUS_MAX; s.status++) {
    for (int d = 0; d < most && (statuses & 1u << s.status); d++) {
      s.divided = d;
      add_source(p, s);
    }
  }
}

static void add_driven(sql_plan *p, uint32_t statuses) {
  bool by_type = p->driver->field.column == COLUMN_TYPE;
  int most = p->query->divided ? 2 : 1;
  for (size_t i = 0; i < p->driver->n_values; i++) {
    sql_source s = {.kind = by_type ? SOURCE_TYPE : SOURCE_ATTRIBUTE,
                    .value = p->driver->values[i]};
    if (repeats(p->driver, i)) continue;
    if (by_type) {
      add_per_status(p, statuses, s);
      continue;
    }
    for (int d = 0; d < most; d++) {
      s.divided = d;
      add_source(p, s);
    }
  }
}

static void add_sources(sql_plan *p, uint32_t statuses, bool by_status) {
  const store_query *q = p->query;
  p->n_sources = 0;
  if (p->driver) {
    add_driven(p, statuses);
  } else if (by_status) {
    add_per_status(p, statuses, (sql_source){.kind = SOURCE_STATUS});
  } else {
    add_source(p, (sql_source){.kind = SOURCE_ALL, .divided = q->divided});
  }
}

/* The records of these statuses are found one by one through the index, which costs several times
 * what a record costs when all are read. */
static bool are_few(const int64_t *counts, uint32_t statuses) {
  int64_t all = 0, wanted = 0;
  for (int i = 1; i <= STORE_STATUS_MAX; i++) {
    all += counts[i];
    if (statuses & 1u << i) wanted += counts[i];
  }
  return wanted <= all / 8;
}

static uint32_t statuses_present(const store_query *q, const int64_t *counts) {
  uint32_t present = q->divided ? UINT32_MAX : 0;
  for (int i = 1; i <= STORE_STATUS_MAX; i++) {
    if (counts[i]) present |= 1u << i;
  }
  return present;
}

void sql_make_plan(sql_plan *p, const store_query *q, const int64_t counts[STORE_STATUS_MAX + 1],
                   arena *a) {
  conjuncts all = conjuncts_of(q->where, a);
  uint32_t statuses = sql_statuses(q->where) & statuses_present(q, counts);
  bool named = false;
  *p = (sql_plan){.query = q};
  p->rest = arena_zalloc_many(a, sizeof(store_pred *), all.n + 1);
  p->sources = arena_array(a, sql_source, MOST_SOURCES);
  for (size_t i = 0; i < all.n; i++) named = named || names_runs(all.v[i]);
  if (!named) p->driver = driver_of(q, &all, statuses);
  for (size_t i = 0; i < all.n; i++) {
    if (all.v[i] == p->driver) continue;
    p->rest[p->n_rest++] = all.v[i];
    p->needs_record = p->needs_record || needs_record(all.v[i]);
  }
  /* Only of records without a division is an attribute's id of one namespace. */
  if (q->divided && p->driver) p->needs_record = true;
  if (q->kind == QUERY_GROUP && field_needs_record(&q->group)) p->needs_record = true;
  if (q->kind == QUERY_PAGE && q->ordered && field_needs_record(&q->order)) p->needs_record = true;
  bool in_order = q->kind == QUERY_PAGE && !q->ordered && !named;
  bool few = !named && !q->divided && are_few(counts, statuses);
  add_sources(p, statuses, in_order || few || !p->needs_record);
}

/* --- sources as SQL --- */

static void add_status(sql *s, const sql_plan *p, const sql_source *src) {
  s->position = "v";
  sql_add(s, src->divided ? " FROM visible v INDEXED BY visible_divided WHERE v.ns = "
                          : " FROM visible v INDEXED BY visible_order WHERE v.ns = ");
  sql_bind(s, VALUE_OF_INT(p->query->ns));
  sql_add(s, " AND v.status = ");
  sql_bind(s, VALUE_OF_INT(src->status));
  sql_add(s, src->divided ? " AND v.division IS NOT NULL" : " AND v.division IS NULL");
}

static void add_type(sql *s, const sql_plan *p, const sql_source *src) {
  s->position = "v";
  sql_add(s, " FROM visible v INDEXED BY visible_type WHERE v.ns = ");
  sql_bind(s, VALUE_OF_INT(p->query->ns));
  sql_add(s, " AND v.type = ");
  sql_bind(s, src->value);
  sql_add(s, " AND v.status = ");
  sql_bind(s, VALUE_OF_INT(src->status));
  sql_add(s, " AND v.division IS NULL");
}

static void add_attribute(sql *s, const sql_plan *p, const sql_source *src) {
  s->position = "a";
  sql_add(s, " FROM attribute a");
  if (p->needs_record) sql_add(s, " CROSS JOIN visible v ON v.run = a.run");
  sql_add(s, " WHERE a.attribute = ");
  sql_bind(s, VALUE_OF_INT(p->driver->field.attribute * 2 + src->divided));
  sql_add(s, " AND a.value = ");
  sql_bind(s, src->value);
  if (!p->needs_record) return;
  sql_add(s, " AND v.ns = ");
  sql_bind(s, VALUE_OF_INT(p->query->ns));
}

static void add_named(sql *s, const sql_plan *p, const store_pred *name) {
  sql_add(s, " AND v.run IN (");
  for (size_t i = 0; i < name->n_values; i++) {
    if (i) sql_add(s, name->field.column == COLUMN_RUN ? ", " : " UNION ALL ");
    if (name->field.column == COLUMN_WORKFLOW_ID) {
      sql_add(s, "SELECT run FROM workflow WHERE ns = ");
      sql_bind(s, VALUE_OF_INT(p->query->ns));
      sql_add(s, " AND workflow_id = ");
    }
    sql_bind(s, name->values[i]);
  }
  sql_add(s, ")");
}

static void add_all(sql *s, const sql_plan *p, const sql_source *src) {
  const store_pred *name = NULL;
  s->position = "v";
  for (size_t i = 0; i < p->n_rest && !name; i++) {
    if (names_runs(p->rest[i])) name = p->rest[i];
  }
  sql_add(s, name ? " FROM visible v WHERE v.ns = " : " FROM visible v NOT INDEXED WHERE v.ns = ");
  sql_bind(s, VALUE_OF_INT(p->query->ns));
  if (!src->divided) sql_add(s, " AND v.division IS NULL");
  if (name) add_named(s, p, name);
}

/* A bound on the time of closing that the index can use; what is open is sorted out afterwards. */
static void add_ended_bound(sql *s, const store_pred *p) {
  static const char *const ops[] = {[OP_LESS] = " < ",
                                    [OP_LESS_EQUAL] = " <= ",
                                    [OP_GREATER] = " > ",
                                    [OP_GREATER_EQUAL] = " >= "};
  if (p->op < OP_LESS || p->op > OP_GREATER_EQUAL || p->field.column != COLUMN_CLOSED) return;
  sql_add(s, " AND ");
  sql_add(s, s->position);
  sql_add(s, ".ended");
  sql_add(s, ops[p->op]);
  sql_bind(s, p->values[0]);
}

void sql_add_source(sql *s, const sql_plan *p, const sql_source *src) {
  switch (src->kind) {
    case SOURCE_STATUS:
      add_status(s, p, src);
      break;
    case SOURCE_TYPE:
      add_type(s, p, src);
      break;
    case SOURCE_ATTRIBUTE:
      add_attribute(s, p, src);
      break;
    case SOURCE_ALL:
      add_all(s, p, src);
      break;
  }
  for (size_t i = 0; i < p->n_rest; i++) {
    add_ended_bound(s, p->rest[i]);
    sql_add(s, " AND ");
    sql_pred(s, p->rest[i]);
  }
}

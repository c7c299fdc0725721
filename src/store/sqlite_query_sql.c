#include "store/sqlite_query_sql.h"

#define OPEN "9223372036854775807"

void sql_add(sql *s, const char *text) { buf_adds(&s->text, text); }

void sql_bind(sql *s, store_value v) {
  if (s->n_binds == s->cap_binds) {
    size_t cap = MAX((size_t)16, s->cap_binds * 2);
    store_value *more = arena_array(s->arena, store_value, cap);
    if (s->n_binds) memcpy(more, s->binds, s->n_binds * sizeof *more);
    s->binds = more;
    s->cap_binds = cap;
  }
  s->binds[s->n_binds++] = v;
  sql_add(s, "?");
}

sqlite3_stmt *sql_prepare(sql *s, sqlite3 *db, int *ret_rc) {
  sqlite3_stmt *st = NULL;
  *ret_rc = sqlite3_prepare_v2(db, (const char *)s->text.p, (int)s->text.n, &st, NULL);
  for (size_t i = 0; i < s->n_binds && st; i++) sqlite_bind_value(st, (int)i + 1, &s->binds[i]);
  buf_release(&s->text);
  return st;
}

/* --- predicates --- */

/* What the index of an order holds too; the table is that of the plan. */
static const char *const position_columns[COLUMN_COUNT] = {
    [COLUMN_STATUS] = "%.status",
    [COLUMN_STARTED] = "%.started",
    [COLUMN_CLOSED] = "nullif(%.ended, " OPEN ")",
};
static const char *const record_columns[COLUMN_COUNT] = {
    [COLUMN_RUN] = "v.run",
    [COLUMN_WORKFLOW_ID] = "v.workflow_id",
    [COLUMN_RUN_ID] = "v.run_id",
    [COLUMN_TYPE] = "v.type",
    [COLUMN_QUEUE] = "v.queue",
    [COLUMN_EXECUTION] = "v.execution",
    [COLUMN_PARENT_WORKFLOW_ID] = "v.parent_workflow_id",
    [COLUMN_PARENT_RUN_ID] = "v.parent_run_id",
    [COLUMN_ROOT_WORKFLOW_ID] = "coalesce(v.root_workflow_id, v.workflow_id)",
    [COLUMN_ROOT_RUN_ID] = "coalesce(v.root_run_id, v.run_id)",
    [COLUMN_DIVISION] = "v.division",
    [COLUMN_EVENTS] = "v.events",
    [COLUMN_HISTORY_BYTES] = "v.history_bytes",
    [COLUMN_DURATION] = "(nullif(v.ended, " OPEN ") - v.execution)",
    [COLUMN_TRANSITIONS] = "v.transitions",
};

void sql_field(sql *s, const store_field *f) {
  if (f->column == COLUMN_ATTRIBUTE) {
    sql_add(s, "attribute(v.attributes, ");
    sql_bind(s, VALUE_OF_INT(f->attribute));
    sql_add(s, ")");
    return;
  }
  const char *column = position_columns[f->column];
  if (!column) {
    sql_add(s, record_columns[f->column]);
    return;
  }
  const char *mark = strchr(column, '%');
  buf_add(&s->text, span_of(column, (size_t)(mark - column)));
  sql_add(s, s->position);
  sql_add(s, mark + 1);
}

static void add_values(sql *s, const store_pred *p) {
  for (size_t i = 0; i < p->n_values; i++) {
    if (i) sql_add(s, ", ");
    sql_bind(s, p->values[i]);
  }
}

static void add_in(sql *s, const store_pred *p) {
  if (p->field.many) {
    sql_add(s, "attribute_among(v.attributes, ");
    sql_bind(s, VALUE_OF_INT(p->field.attribute));
    sql_add(s, ", ");
    add_values(s, p);
    sql_add(s, ")");
    return;
  }
  sql_field(s, &p->field);
  sql_add(s, p->n_values == 1 ? " = " : " IN (");
  add_values(s, p);
  if (p->n_values != 1) sql_add(s, ")");
}

static void add_args(sql *s, const store_pred *p, const char *between) {
  ASSERT(p->n_args);
  for (size_t i = 0; i < p->n_args; i++) {
    if (i) sql_add(s, between);
    sql_pred(s, p->args[i]);
  }
}

static void add_comparison(sql *s, const store_pred *p, const char *op) {
  sql_field(s, &p->field);
  sql_add(s, op);
  sql_bind(s, p->values[0]);
}

void sql_pred(sql *s, const store_pred *p) {
  static const char *const comparisons[] = {[OP_LESS] = " < ",
                                            [OP_LESS_EQUAL] = " <= ",
                                            [OP_GREATER] = " > ",
                                            [OP_GREATER_EQUAL] = " >= "};
  sql_add(s, "(");
  switch (p->op) {
    case OP_AND:
      add_args(s, p, " AND ");
      break;
    case OP_OR:
      add_args(s, p, " OR ");
      break;
    case OP_NOT:
      sql_add(s, "NOT ");
      sql_pred(s, p->args[0]);
      break;
    case OP_IN:
      add_in(s, p);
      break;
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_GREATER:
    case OP_GREATER_EQUAL:
      add_comparison(s, p, comparisons[p->op]);
      break;
    case OP_PREFIX:
      sql_add(s, "has_prefix(");
      add_comparison(s, p, ", ");
      sql_add(s, ")");
      break;
    case OP_MISSING:
      sql_field(s, &p->field);
      sql_add(s, " IS NULL");
      break;
  }
  sql_add(s, ")");
}

/* --- functions --- */

static span blob_of(sqlite3_value *v) {
  const void *p = sqlite3_value_blob(v);
  return span_of(p, (size_t)sqlite3_value_bytes(v));
}

static store_value value_of(sqlite3_value *v) {
  switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      return VALUE_OF_INT(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
      return VALUE_OF_REAL(sqlite3_value_double(v));
    case SQLITE_TEXT:
      return VALUE_OF_TEXT(span_of(sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v)));
    default:
      return (store_value){.kind = VALUE_NULL};
  }
}

static void attribute(sqlite3_context *c, int n, sqlite3_value **args) {
  span in = blob_of(args[0]);
  int64_t id = sqlite3_value_int64(args[1]);
  store_attribute a;
  for (size_t at = 0; store_attributes_next(in, &at, &a);) {
    if (a.id != id) continue;
    if (a.value.kind == VALUE_INT) sqlite3_result_int64(c, a.value.i);
    if (a.value.kind == VALUE_REAL) sqlite3_result_double(c, a.value.real);
    if (a.value.kind == VALUE_TEXT) {
      sqlite3_result_text64(c, (const char *)a.value.text.p, a.value.text.n, SQLITE_TRANSIENT,
                            SQLITE_UTF8);
    }
    return;
  }
}

static void attribute_among(sqlite3_context *c, int n, sqlite3_value **args) {
  span in = blob_of(args[0]);
  int64_t id = sqlite3_value_int64(args[1]);
  store_attribute a;
  bool found = false;
  for (size_t at = 0; !found && store_attributes_next(in, &at, &a);) {
    for (int i = 2; i < n && a.id == id && !found; i++) {
      store_value v = value_of(args[i]);
      found = store_value_cmp(&a.value, &v) == 0;
    }
  }
  sqlite3_result_int(c, found);
}

static void has_prefix(sqlite3_context *c, int n, sqlite3_value **args) {
  store_value text = value_of(args[0]), prefix = value_of(args[1]);
  if (text.kind == VALUE_NULL) return;
  sqlite3_result_int(c, store_value_has_prefix(&text, &prefix));
}

int sql_add_functions(sqlite3 *db) {
  const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
  int rc = sqlite3_create_function(db, "attribute", 2, flags, NULL, attribute, NULL, NULL);
  if (rc == SQLITE_OK) {
    rc = sqlite3_create_function(db, "attribute_among", -1, flags, NULL, attribute_among, NULL,
                                 NULL);
  }
  if (rc == SQLITE_OK) {
    rc = sqlite3_create_function(db, "has_prefix", 2, flags, NULL, has_prefix, NULL, NULL);
  }
  return rc;
}

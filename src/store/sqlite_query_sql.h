/* sqlite_query_sql.h - a query as SQL with bound values; for sqlite_query.c only. */
#ifndef PERDURE_STORE_SQLITE_QUERY_SQL_H
#define PERDURE_STORE_SQLITE_QUERY_SQL_H

#include "base/buf.h"
#include "store/sqlite_int.h"

/* A statement in the making. Values are bound in the order in which they were added. */
typedef struct sql {
  buf text;
  store_value *binds;
  size_t n_binds, cap_binds;
  arena *arena;
  const char *position; /* table that holds status, ended, started and run: "v" or "a" */
} sql;

void sql_add(sql *s, const char *text);
void sql_bind(sql *s, store_value v);
void sql_field(sql *s, const store_field *f);
void sql_pred(sql *s, const store_pred *p);
/* Prepares and binds. NULL: *ret_rc says why. */
sqlite3_stmt *sql_prepare(sql *s, sqlite3 *db, int *ret_rc);

/* What the statements call: attribute(), attribute_among(), has_prefix(). */
int sql_add_functions(sqlite3 *db);

/* --- plans --- */

/* One ordered way to records; the answer is merged from all of a plan's. */
typedef struct sql_source {
  enum { SOURCE_STATUS, SOURCE_TYPE, SOURCE_ATTRIBUTE, SOURCE_ALL } kind;
  int32_t status;    /* SOURCE_STATUS, SOURCE_TYPE */
  bool divided;      /* records with a division; SOURCE_ALL: both when the query wants both */
  store_value value; /* SOURCE_TYPE, SOURCE_ATTRIBUTE */
} sql_source;

typedef struct sql_plan {
  const store_query *query;
  const store_pred **rest; /* conjuncts that the sources do not imply */
  size_t n_rest;
  const store_pred *driver; /* the conjunct that the index of an attribute or the type answers */
  bool needs_record;        /* `rest` or the result looks beyond status, ended and started */
  sql_source *sources;
  size_t n_sources;
} sql_plan;

/* `counts`: how many records without a division there are of each status. */
void sql_make_plan(sql_plan *p, const store_query *q, const int64_t counts[STORE_STATUS_MAX + 1],
                   arena *a);
/* Statuses that the predicate allows, as bits. */
uint32_t sql_statuses(const store_pred *where);
/* Whether only the status is asked for. */
bool sql_only_status(const store_pred *where);
/* " FROM ... WHERE ..." of one source. */
void sql_add_source(sql *s, const sql_plan *p, const sql_source *src);

#endif

/* visible.h - what lists see: the record of a run by which it is found, and what can be asked.
 *
 * A run that is to be found has one record, written in the same transaction as the run
 * (ROW_VISIBLE_PUT of store.h) and deleted with it. It holds the columns below and any number of
 * attributes: numbered by the caller and typed by their values. Records of two namespaces may share
 * an attribute's number only where those of one have divisions. An
 * attribute with several values (the members of a list, the words of a text) is several entries
 * with one id. An attribute that nearly every record has and changes may be left out of the index:
 * queries look at it record by record.
 *
 * A query is a tree of predicates over columns and attributes, an order and a position. Predicates
 * have the three values of SQL: a comparison with what a record does not have is unknown, NOT keeps
 * it unknown, and only what is true is in the answer. Of an attribute that is `many`, IN means that
 * one of its values is among those given; that is never unknown.
 *
 * Records without a division are what lists show unless they ask for others: they are counted per
 * namespace and status as they are written.
 */
#ifndef PERDURE_STORE_VISIBLE_H
#define PERDURE_STORE_VISIBLE_H

#include "base/bytes.h"
#include "base/env.h"
#include "base/err.h"

typedef struct store_value {
  enum { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT } kind;
  union {
    int64_t i;
    double real;
  };
  span text;
} store_value;

#define VALUE_OF_INT(v) ((store_value){.kind = VALUE_INT, .i = (v)})
#define VALUE_OF_REAL(v) ((store_value){.kind = VALUE_REAL, .real = (v)})
#define VALUE_OF_TEXT(v) ((store_value){.kind = VALUE_TEXT, .text = (v)})

/* In order: nothing, numbers by size, texts by bytes. */
int store_value_cmp(const store_value *a, const store_value *b);
/* Of texts; letters of ASCII are the same in either case. */
bool store_value_has_prefix(const store_value *v, const store_value *prefix);

typedef struct store_attribute {
  int64_t id; /* > 0 */
  store_value value;
  bool unindexed; /* the same for every entry of an id */
} store_attribute;

/* Attributes in one piece of memory, as they are stored. */
span store_attributes_encode(const store_attribute *v, size_t n, arena *a);
/* The first attribute after *at, which begins at 0; false: there is none. */
bool store_attributes_next(span in, size_t *at, store_attribute *ret_attribute);

typedef enum store_column {
  COLUMN_RUN, /* the key */
  COLUMN_WORKFLOW_ID,
  COLUMN_RUN_ID,
  COLUMN_TYPE,
  COLUMN_QUEUE,
  COLUMN_STATUS,
  COLUMN_STARTED,
  COLUMN_EXECUTION,
  COLUMN_CLOSED,
  COLUMN_PARENT_WORKFLOW_ID,
  COLUMN_PARENT_RUN_ID,
  COLUMN_ROOT_WORKFLOW_ID,
  COLUMN_ROOT_RUN_ID,
  COLUMN_DIVISION,
  COLUMN_EVENTS, /* this and the rest: of closed runs */
  COLUMN_HISTORY_BYTES,
  COLUMN_DURATION,
  COLUMN_TRANSITIONS,
  COLUMN_COUNT,
  COLUMN_ATTRIBUTE = COLUMN_COUNT,
} store_column;

/* What becomes of the attributes of the record before. Only a record without indexed ones may close
 * with another change than ATTRIBUTES_ANEW. */
typedef enum store_attributes_change {
  ATTRIBUTES_ANEW,      /* these are all, and any may differ */
  ATTRIBUTES_UNINDEXED, /* these are all; those that differ are unindexed */
  ATTRIBUTES_STAY,      /* none are given */
} store_attributes_change;

/* Texts with p == NULL are not there. A root that is not given is the run itself. */
typedef struct store_visible {
  int32_t was_status; /* of the record this one replaces; 0: it is the first */
  store_attributes_change change;
  span run_id, type, queue;
  int64_t started_ns, execution_ns, closed_ns; /* closed_ns 0: open */
  span parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, division;
  int64_t events, history_bytes, transitions; /* kept when the run is closed */
  store_attribute *attributes;
  size_t n_attributes;
} store_visible;

/* --- queries --- */

/* A column, or the attribute with this id. */
typedef struct store_field {
  store_column column;
  int64_t attribute;
  bool many, unindexed;
} store_field;

typedef enum store_op {
  OP_AND,
  OP_OR,
  OP_NOT,
  OP_IN, /* one value or more */
  OP_LESS,
  OP_LESS_EQUAL,
  OP_GREATER,
  OP_GREATER_EQUAL,
  OP_PREFIX,  /* of a text; letters of ASCII match in either case */
  OP_MISSING, /* not there; never unknown */
} store_op;

typedef struct store_pred {
  store_op op;
  struct store_pred **args; /* OP_AND, OP_OR: one or more; OP_NOT: one */
  size_t n_args;
  store_field field;
  store_value *values;
  size_t n_values;
} store_pred;

/* The place of a record in an order. */
typedef struct store_place {
  store_value key;  /* of `order`, if there is one */
  int64_t ended_ns; /* INT64_MAX: open */
  int64_t started_ns, run;
} store_place;

typedef struct store_group {
  store_value value;
  int64_t count;
} store_group;

typedef struct store_found {
  int64_t run;
  int32_t status;
  store_place place;
  bytes *info, *state; /* of the run's row; dropped by the caller */
} store_found;

enum { STORE_STATUS_MAX = 15 }; /* a status is 1 or more */

typedef enum store_query_kind { QUERY_PAGE, QUERY_COUNT, QUERY_GROUP } store_query_kind;

/* A query: the caller embeds it and owns the arena with the results. */
typedef struct store_query {
  env_task task; /* posted when done; run is set by the caller */
  store_query_kind kind;
  int64_t ns;
  const store_pred *where; /* NULL: every record */
  bool divided;            /* records in divisions too; otherwise only those without */
  int64_t deadline_ms;     /* from when it begins; 0: none */
  /* QUERY_PAGE: up to `limit` records after a place. Open runs first, then the one that closed
   * last; of those that closed together the one that started last. `ordered`: first by `order`,
   * records that have no value of it last. */
  bool ordered, descending, has_after;
  store_field order;
  store_place after;
  size_t limit;
  store_field group; /* QUERY_GROUP: records by this value, which is not `many` */
  /* results */
  arena arena;
  err *error; /* DEADLINE_EXCEEDED when the deadline ended it */
  store_found *found;
  size_t n_found;
  bool more;           /* QUERY_PAGE: `limit` ended it */
  int64_t count;       /* QUERY_COUNT, QUERY_GROUP: records in all */
  store_group *groups; /* by value */
  size_t n_groups;
} store_query;

/* In the order of the query. */
int store_place_cmp(const store_query *q, const store_place *a, const store_place *b);
/* For backings: the results, empty. */
void store_query_begin(store_query *q);
void store_query_release(store_query *q);

#endif

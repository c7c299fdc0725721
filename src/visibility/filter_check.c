/* filter_check.c - the tree of a filter as predicates over what lists see. */
#include <stdlib.h>

#include "visibility/filter_int.h"

typedef struct checker {
  const filter_context *c;
  arena *arena;
  bool divided;
} checker;

/* --- names --- */

static const span schedule_id = SPAN_INIT("ScheduleId");

static err *find(checker *k, const node *n, attribute *ret) {
  const pb_store_Namespace *ns = k->c->ns;
  bool known = attribute_find_to_ask(ns, n->text, k->arena, ret);
  if (!known && span_eq(n->text, schedule_id)) known = attribute_find(ns, SPAN("WorkflowId"), ret);
  if (!known) {
    return filter_error(k->arena, n->at, "invalid search attribute: %.*s", SPAN_ARG(n->text));
  }
  ret->name = n->text;
  if (ret->field.column == COLUMN_DIVISION) k->divided = true;
  return NULL;
}

static err *find_left(checker *k, const node *left, attribute *ret) {
  static const char *const types[] = {[NODE_TEXT] = "*sqlparser.SQLVal",
                                      [NODE_NUMBER] = "*sqlparser.SQLVal",
                                      [NODE_BOOL] = "sqlparser.BoolVal",
                                      [NODE_CALL] = "*sqlparser.FuncExpr"};
  if (left->type == NODE_NAME) return find(k, left, ret);
  span type = left->type == NODE_OTHER ? left->text : span_cstr(types[left->type]);
  return filter_error(k->arena, left->at, "invalid expression: must be a column name but was %.*s",
                      SPAN_ARG(type));
}

/* --- predicates --- */

static store_pred *leaf(checker *k, store_op op, const attribute *at, size_t n_values) {
  store_pred *p = arena_new(k->arena, store_pred);
  p->op = op;
  p->field = at->field;
  p->values = arena_array(k->arena, store_value, n_values);
  p->n_values = n_values;
  return p;
}

static store_pred *joined(checker *k, store_op op, size_t n) {
  store_pred *p = arena_new(k->arena, store_pred);
  p->op = op;
  p->args = arena_zalloc_many(k->arena, sizeof(store_pred *), n + 1);
  return p;
}

static store_pred * not(checker * k, bool negated, store_pred *inner) {
  if (!negated) return inner;
  store_pred *p = joined(k, OP_NOT, 1);
  p->args[p->n_args++] = inner;
  return p;
}

typedef enum group_of_types { G_KEYWORD, G_LIST, G_TEXT, G_NUMBER, G_BOOL } group_of_types;

static group_of_types group_of(const attribute *at) {
  switch (at->type) {
    case PB_INDEXED_VALUE_TYPE_KEYWORD:
      return G_KEYWORD;
    case PB_INDEXED_VALUE_TYPE_KEYWORD_LIST:
      return G_LIST;
    case PB_INDEXED_VALUE_TYPE_TEXT:
      return G_TEXT;
    case PB_INDEXED_VALUE_TYPE_BOOL:
      return G_BOOL;
    default:
      return G_NUMBER;
  }
}

#define ON(type) (1u << (type))
enum { ON_SCALARS = ON(G_KEYWORD) | ON(G_NUMBER) | ON(G_BOOL), ON_ALL = 0xff };

static const struct {
  const char *name;
  store_op op;
  bool negated;
  unsigned types;
} operators[] = {
    {"=", OP_IN, false, ON_ALL},
    {"!=", OP_IN, true, ON_ALL},
    {"<", OP_LESS, false, ON_SCALARS},
    {"<=", OP_LESS_EQUAL, false, ON_SCALARS},
    {">", OP_GREATER, false, ON_SCALARS},
    {">=", OP_GREATER_EQUAL, false, ON_SCALARS},
    {"IN", OP_IN, false, ON_SCALARS | ON(G_LIST)},
    {"NOT IN", OP_IN, true, ON_SCALARS | ON(G_LIST)},
    {"STARTS_WITH", OP_PREFIX, false, ON(G_KEYWORD)},
    {"NOT STARTS_WITH", OP_PREFIX, true, ON(G_KEYWORD)},
};

static err *not_supported(checker *k, const node *n, const attribute *at) {
  return filter_error(
      k->arena, n->at,
      "operation is not supported: operator '%s' not supported for %s type search attribute '%.*s'",
      n->op, attribute_type_name(at->type), SPAN_ARG(at->name));
}

/* --- values --- */

static err *value_of(checker *k, const attribute *at, const node *n, store_value *ret) {
  TRY(filter_value(at, n, k->arena, ret));
  if (span_eq(at->name, schedule_id)) {
    ret->text = arena_spanf(k->arena, FILTER_SCHEDULE_PREFIX "%.*s", SPAN_ARG(ret->text));
  }
  return NULL;
}

/* The words of a text; a run has the attribute's text if it has one of them. */
static err *add_words(checker *k, const attribute *at, const node *n, store_pred *p) {
  attribute_values words = {.arena = k->arena};
  fold_words(n->text, &words);
  p->values = words.v;
  p->n_values = words.n;
  if (words.n) return NULL;
  return filter_error(k->arena, n->at,
                      "invalid expression: no tokens found filtering on Text type search attribute "
                      "%.*s",
                      SPAN_ARG(at->name));
}

/* A run is found by the key in its id; the id is compared too. */
static store_pred *run_id_pred(checker *k, store_pred *p) {
  attribute key = {.field = {.column = COLUMN_RUN}};
  store_pred *keys = leaf(k, OP_IN, &key, p->n_values), *both = joined(k, OP_AND, 2);
  for (size_t i = 0; i < p->n_values; i++) {
    int64_t run;
    keys->values[i] = VALUE_OF_INT(k->c->run_key(p->values[i].text, &run) ? run : 0);
  }
  both->args[both->n_args++] = keys;
  both->args[both->n_args++] = p;
  return both;
}

/* --- nodes --- */

static err *check(checker *k, const node *n, store_pred **ret);

static err *check_compare(checker *k, const node *n, store_pred **ret) {
  attribute at;
  TRY(find_left(k, n->args[0], &at));
  size_t n_values = n->n_args - 1;
  store_pred *p = leaf(k, OP_IN, &at, n_values);
  for (size_t i = 0; i < n_values; i++) TRY(value_of(k, &at, n->args[i + 1], &p->values[i]));
  for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
    if (strcmp(operators[i].name, n->op) != 0) continue;
    if (!(operators[i].types & ON(group_of(&at)))) break;
    p->op = operators[i].op;
    if (at.type == PB_INDEXED_VALUE_TYPE_TEXT) TRY(add_words(k, &at, n->args[1], p));
    if (p->op == OP_IN && at.field.column == COLUMN_RUN_ID) p = run_id_pred(k, p);
    *ret = not(k, operators[i].negated, p);
    return NULL;
  }
  return not_supported(k, n, &at);
}

static err *check_between(checker *k, const node *n, store_pred **ret) {
  static const store_op ops[] = {OP_GREATER_EQUAL, OP_LESS_EQUAL};
  attribute at;
  TRY(find_left(k, n->args[0], &at));
  store_pred *both = joined(k, OP_AND, 2);
  for (size_t i = 0; i < 2; i++) {
    store_pred *p = leaf(k, ops[i], &at, 1);
    TRY(value_of(k, &at, n->args[i + 1], &p->values[0]));
    both->args[both->n_args++] = p;
  }
  if (group_of(&at) != G_KEYWORD && group_of(&at) != G_NUMBER) {
    return filter_error(k->arena, n->at,
                        "invalid expression: cannot do range condition on search attribute '%.*s' "
                        "of type %s",
                        SPAN_ARG(at.name), attribute_type_name(at.type));
  }
  *ret = not(k, n->negated, both);
  return NULL;
}

static err *check_joined(checker *k, const node *n, store_op op, store_pred **ret) {
  store_pred *p = joined(k, op, n->n_args);
  for (size_t i = 0; i < n->n_args; i++) {
    TRY(check(k, n->args[i], &p->args[i]));
    p->n_args++;
  }
  *ret = p;
  return NULL;
}

/* A value where a condition should be. */
static err *check_bare(checker *k, const node *n) {
  const char *what = "expression of type *sqlparser.SQLVal";
  if (n->type == NODE_OTHER && n->n_args) return check_bare(k, n->args[0]);
  if (n->type == NODE_NAME) {
    return filter_error(k->arena, n->at, "invalid expression: incomplete expression");
  }
  if (n->type == NODE_BOOL) what = "expression of type sqlparser.BoolVal";
  if (n->type == NODE_CALL) what = "function expression";
  if (n->type == NODE_OTHER) {
    what = arena_printf(k->arena, "expression of type %.*s", SPAN_ARG(n->text));
  }
  return filter_error(k->arena, n->at, "operation is not supported: %s", what);
}

static err *check(checker *k, const node *n, store_pred **ret) {
  attribute at;
  switch (n->type) {
    case NODE_AND:
      return check_joined(k, n, OP_AND, ret);
    case NODE_OR:
      return check_joined(k, n, OP_OR, ret);
    case NODE_NOT:
      return check_joined(k, n, OP_NOT, ret);
    case NODE_COMPARE:
    case NODE_IN:
      return check_compare(k, n, ret);
    case NODE_BETWEEN:
      return check_between(k, n, ret);
    case NODE_IS_NULL:
      TRY(find_left(k, n->args[0], &at));
      *ret = not(k, n->negated, leaf(k, OP_MISSING, &at, 0));
      return NULL;
    default:
      return check_bare(k, n);
  }
}

static err *check_by(checker *k, const node *n, const char *clause, attribute *ret) {
  TRY(find(k, n, ret));
  if (!ret->field.many) return NULL;
  return filter_error(k->arena, n->at,
                      "operation is not supported: '%s BY' clause is not supported for search "
                      "attribute %.*s",
                      clause, SPAN_ARG(n->text));
}

err *filter_read(const filter_context *c, span text, filter *ret) {
  checker k = {.c = c, .arena = c->arena};
  filter_tree tree;
  filter f = {0};
  if (text.n > FILTER_BYTES) {
    return filter_error(c->arena, FILTER_BYTES, "it is longer than %d bytes", FILTER_BYTES);
  }
  TRY(filter_parse(text, c->arena, &tree));
  if (tree.where) {
    store_pred *where;
    TRY(check(&k, tree.where, &where));
    f.where = where;
  }
  if (tree.order) TRY(check_by(&k, tree.order, "ORDER", &f.order));
  if (tree.group) TRY(check_by(&k, tree.group, "GROUP", &f.group));
  f.ordered = tree.order != NULL;
  f.descending = tree.descending;
  f.grouped = tree.group != NULL;
  f.divided = k.divided;
  *ret = f;
  return NULL;
}

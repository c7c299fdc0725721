/* filter_parse.c - tokens to a tree, by the grammar of a WHERE clause.
 *
 *   or    := and { OR and }           and := not { AND not }         not := NOT not | condition
 *   condition := operand [ sign operand | [NOT] IN (...) | [NOT] BETWEEN operand AND operand
 *                        | [NOT] STARTS_WITH operand | IS [NOT] NULL ]
 *   operand := name | text | number | TRUE | FALSE | NULL | - operand | ( or ) | name ( ... )
 */
#include <stdarg.h>
#include <stdio.h>

#include "visibility/filter_int.h"

/* The original parses a statement around the filter, and counts from there; "where " is part of it
 * when there are conditions. */
enum { STATEMENT_BYTES = 21, WHERE_BYTES = 6 };

typedef struct parser {
  lexer lexer;
  arena *arena;
  token t; /* the next one */
  int depth;
  size_t conditions;
  bool bare; /* no condition comes before ORDER BY or GROUP BY */
} parser;

err *filter_error(arena *a, size_t at, const char *fmt, ...) {
  char text[1024];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  return ERR(a, INVALID_ARGUMENT, "invalid query: %s (at character %zu of the query)", text,
             at + 1);
}

static void next(parser *p) { lexer_next(&p->lexer, &p->t); }

static err *syntax_error(parser *p) {
  size_t position = STATEMENT_BYTES + (p->bare ? 0 : WHERE_BYTES) + p->t.end + 1;
  bool named = p->t.text.n && p->t.type != TOKEN_SIGN;
  return filter_error(
      p->arena, p->t.begin, "malformed SQL query: syntax error at position %zu%s%.*s%s", position,
      named ? " near '" : "", SPAN_ARG(named ? p->t.text : SPAN_NONE), named ? "'" : "");
}

static bool is_word(const parser *p, const char *word) {
  return p->t.type == TOKEN_WORD && span_eq(p->t.text, span_cstr(word));
}

static bool is_sign(const parser *p, const char *sign) {
  return p->t.type == TOKEN_SIGN && span_eq(p->t.text, span_cstr(sign));
}

static bool accept_word(parser *p, const char *word) {
  if (!is_word(p, word)) return false;
  next(p);
  return true;
}

static bool accept_sign(parser *p, const char *sign) {
  if (!is_sign(p, sign)) return false;
  next(p);
  return true;
}

static err *expect_sign(parser *p, const char *sign) {
  return accept_sign(p, sign) ? NULL : syntax_error(p);
}

static node *make(parser *p, node_type type, size_t at) {
  node *n = arena_new(p->arena, node);
  n->type = type;
  n->at = at;
  return n;
}

static void add_arg(parser *p, node *n, node *arg) {
  size_t k = n->n_args;
  if ((k & (k - 1)) == 0) {
    node **more = arena_zalloc_many(p->arena, sizeof(node *), k ? k * 2 : 1);
    if (k) memcpy(more, n->args, k * sizeof(node *));
    n->args = more;
  }
  n->args[n->n_args++] = arg;
}

static node *other(parser *p, size_t at, const char *what) {
  node *n = make(p, NODE_OTHER, at);
  n->text = span_cstr(what);
  return n;
}

static err *parse_or(parser *p, node **ret);

/* --- operands --- */

static err *parse_operand(parser *p, node **ret);

static err *parse_call(parser *p, node *n) {
  int open = 1;
  n->type = NODE_CALL;
  while (open) {
    if (p->t.type == TOKEN_END || p->t.type == TOKEN_BAD) return syntax_error(p);
    open += is_sign(p, "(") - is_sign(p, ")");
    next(p);
  }
  return NULL;
}

static err *parse_name(parser *p, node **ret) {
  node *n = make(p, NODE_NAME, p->t.begin);
  n->text = p->t.text;
  next(p);
  while (accept_sign(p, ".")) {
    if (p->t.type != TOKEN_NAME) return syntax_error(p);
    n->text = arena_spanf(p->arena, "%.*s.%.*s", SPAN_ARG(n->text), SPAN_ARG(p->t.text));
    next(p);
  }
  *ret = n;
  return accept_sign(p, "(") ? parse_call(p, n) : NULL;
}

static err *parse_literal(parser *p, node_type type, node **ret) {
  *ret = make(p, type, p->t.begin);
  (*ret)->text = p->t.text;
  next(p);
  return NULL;
}

/* "+5", "-5"; of nothing else. */
static err *parse_signed(parser *p, node **ret) {
  size_t at = p->t.begin;
  span sign = p->t.text;
  next(p);
  bool number = p->t.type == TOKEN_NUMBER;
  TRY(parse_operand(p, ret));
  if (sign.p[0] == '!' || sign.p[0] == '~') {
    return filter_error(p->arena, at, "operation is not supported: unary operator \"%.*s\"",
                        SPAN_ARG(sign));
  }
  if (!number) {
    span rest = span_of(p->lexer.in.p + at, p->t.begin - at);
    return filter_error(p->arena, at,
                        "invalid expression: unary operator not supported in \"%.*s\"",
                        SPAN_ARG(rest));
  }
  (*ret)->at = at;
  if (sign.p[0] == '-') (*ret)->text = arena_spanf(p->arena, "-%.*s", SPAN_ARG((*ret)->text));
  return NULL;
}

static err *parse_group(parser *p, node **ret) {
  next(p);
  TRY(parse_or(p, ret));
  if ((*ret)->type >= NODE_NAME) {
    node *inner = *ret;
    *ret = other(p, inner->at, is_sign(p, ",") ? "sqlparser.ValTuple" : "*sqlparser.ParenExpr");
    add_arg(p, *ret, inner);
    while (accept_sign(p, ",")) TRY(parse_operand(p, &inner));
  }
  return expect_sign(p, ")");
}

static err *parse_operand(parser *p, node **ret) {
  size_t at = p->t.begin;
  if (p->t.type == TOKEN_NAME) return parse_name(p, ret);
  if (p->t.type == TOKEN_TEXT) return parse_literal(p, NODE_TEXT, ret);
  if (p->t.type == TOKEN_NUMBER) return parse_literal(p, NODE_NUMBER, ret);
  if (is_word(p, "true") || is_word(p, "false")) return parse_literal(p, NODE_BOOL, ret);
  if (is_sign(p, "+") || is_sign(p, "-") || is_sign(p, "!") || is_sign(p, "~")) {
    return parse_signed(p, ret);
  }
  if (accept_word(p, "null")) {
    *ret = other(p, at, "*sqlparser.NullVal");
    return NULL;
  }
  if (!is_sign(p, "(")) return syntax_error(p);
  return parse_group(p, ret);
}

/* --- conditions --- */

static err *parse_list(parser *p, node *n) {
  TRY(expect_sign(p, "("));
  do {
    node *value;
    TRY(parse_operand(p, &value));
    add_arg(p, n, value);
  } while (accept_sign(p, ","));
  return expect_sign(p, ")");
}

static err *parse_is(parser *p, node *n) {
  n->type = NODE_IS_NULL;
  n->negated = accept_word(p, "not");
  if (accept_word(p, "null")) return NULL;
  if (!is_word(p, "true") && !is_word(p, "false")) return syntax_error(p);
  return filter_error(p->arena, p->t.begin,
                      "invalid expression: 'IS' operator can only be used as 'IS NULL' or 'IS NOT "
                      "NULL'");
}

static const struct {
  const char *word, *op, *not_op;
} named_operators[] = {{"starts_with", "STARTS_WITH", "NOT STARTS_WITH"},
                       {"like", "LIKE", "NOT LIKE"},
                       {"regexp", "REGEXP", "NOT REGEXP"},
                       {"rlike", "REGEXP", "NOT REGEXP"}};
static const char *const signs[] = {"=", "!=", "<>", "<", ">", "<=", ">=", "<=>"};

static err *parse_compared(parser *p, node *n, const char *op) {
  node *value;
  n->op = op;
  n->type = NODE_COMPARE;
  TRY(parse_operand(p, &value));
  add_arg(p, n, value);
  return NULL;
}

static err *parse_between(parser *p, node *n) {
  node *value;
  n->type = NODE_BETWEEN;
  TRY(parse_operand(p, &value));
  add_arg(p, n, value);
  if (!accept_word(p, "and")) return syntax_error(p);
  TRY(parse_operand(p, &value));
  add_arg(p, n, value);
  return NULL;
}

/* What follows the operand on the left, which is n's first argument. */
static err *parse_comparison(parser *p, node *n) {
  for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
    if (!accept_sign(p, signs[i])) continue;
    return parse_compared(p, n, strcmp(signs[i], "<>") == 0 ? "!=" : signs[i]);
  }
  if (accept_word(p, "is")) return parse_is(p, n);
  n->negated = accept_word(p, "not");
  for (size_t i = 0; i < ARRAY_LEN(named_operators); i++) {
    if (!accept_word(p, named_operators[i].word)) continue;
    return parse_compared(p, n, n->negated ? named_operators[i].not_op : named_operators[i].op);
  }
  if (accept_word(p, "in")) {
    n->type = NODE_IN;
    n->op = n->negated ? "NOT IN" : "IN";
    return parse_list(p, n);
  }
  return accept_word(p, "between") ? parse_between(p, n) : syntax_error(p);
}

static bool begins_comparison(const parser *p) {
  static const char *const begins[] = {"is",          "not",  "in",     "between",
                                       "starts_with", "like", "regexp", "rlike"};
  for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
    if (is_sign(p, signs[i])) return true;
  }
  for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
    if (is_word(p, begins[i])) return true;
  }
  return false;
}

static err *too_much(parser *p, const char *what, int limit) {
  return filter_error(p->arena, p->t.begin, "it has more than %d %s", limit, what);
}

static err *parse_condition(parser *p, node **ret) {
  TRY(parse_operand(p, ret));
  if ((*ret)->type < NODE_NAME || !begins_comparison(p)) return NULL;
  if (++p->conditions > FILTER_CONDITIONS) return too_much(p, "conditions", FILTER_CONDITIONS);
  node *n = make(p, NODE_COMPARE, (*ret)->at);
  add_arg(p, n, *ret);
  *ret = n;
  return parse_comparison(p, n);
}

/* --- connections --- */

static err *parse_not(parser *p, node **ret) {
  size_t at = p->t.begin;
  if (++p->depth > FILTER_DEPTH) return too_much(p, "levels of NOT and parentheses", FILTER_DEPTH);
  if (accept_word(p, "not")) {
    node *inner;
    TRY(parse_not(p, &inner));
    *ret = make(p, NODE_NOT, at);
    add_arg(p, *ret, inner);
  } else {
    TRY(parse_condition(p, ret));
  }
  p->depth--;
  return NULL;
}

static err *parse_joined(parser *p, node_type type, const char *word, const char *sign,
                         err *(*parse_part)(parser *p, node **ret), node **ret) {
  TRY(parse_part(p, ret));
  node *joined = NULL;
  while (is_word(p, word) || is_sign(p, sign)) {
    next(p);
    if (!joined) {
      joined = make(p, type, (*ret)->at);
      add_arg(p, joined, *ret);
      *ret = joined;
    }
    node *part;
    TRY(parse_part(p, &part));
    add_arg(p, joined, part);
  }
  return NULL;
}

static err *parse_and(parser *p, node **ret) {
  return parse_joined(p, NODE_AND, "and", "&&", parse_not, ret);
}

static err *parse_or(parser *p, node **ret) {
  return parse_joined(p, NODE_OR, "or", "||", parse_and, ret);
}

/* --- the clauses after it --- */

static err *parse_by(parser *p, const char *clause, node **ret) {
  next(p);
  if (!accept_word(p, "by")) return syntax_error(p);
  TRY(parse_operand(p, ret));
  if ((*ret)->type != NODE_NAME) {
    return filter_error(
        p->arena, (*ret)->at, "invalid expression: must be a column name but was %s",
        (*ret)->type == NODE_OTHER ? (const char *)(*ret)->text.p : "*sqlparser.SQLVal");
  }
  if (!is_sign(p, ",")) return NULL;
  return filter_error(p->arena, p->t.begin,
                      "operation is not supported: '%s BY' clause supports only a single field",
                      clause);
}

static err *parse_clauses(parser *p, filter_tree *ret) {
  if (is_word(p, "group")) TRY(parse_by(p, "GROUP", &ret->group));
  if (is_word(p, "order")) {
    TRY(parse_by(p, "ORDER", &ret->order));
    ret->descending = accept_word(p, "desc");
    if (!ret->descending) (void)accept_word(p, "asc");
  }
  if (is_word(p, "limit") && ret->where) {
    next(p);
    if (p->t.type != TOKEN_NUMBER) return syntax_error(p);
    return filter_error(p->arena, p->t.begin, "operation is not supported: 'LIMIT' clause");
  }
  (void)accept_sign(p, ";");
  return p->t.type == TOKEN_END ? NULL : syntax_error(p);
}

static bool is_blank(span s) {
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r') return false;
  }
  return true;
}

err *filter_parse(span text, arena *a, filter_tree *ret) {
  parser p = {.arena = a, .lexer = {.arena = a, .in = text}};
  *ret = (filter_tree){0};
  if (is_blank(text)) return NULL;
  next(&p);
  p.bare = is_word(&p, "order") || is_word(&p, "group");
  if (!p.bare) TRY(parse_or(&p, &ret->where));
  return parse_clauses(&p, ret);
}

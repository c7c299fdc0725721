/* filter_int.h - the stages of reading a filter, for the files of this folder only. */
#ifndef PERDURE_VISIBILITY_FILTER_INT_H
#define PERDURE_VISIBILITY_FILTER_INT_H

#include "visibility/filter.h"

typedef enum token_type {
  TOKEN_END,
  TOKEN_NAME,
  TOKEN_WORD, /* a keyword */
  TOKEN_TEXT,
  TOKEN_NUMBER,
  TOKEN_SIGN,
  TOKEN_BAD,
} token_type;

typedef struct token {
  token_type type;
  size_t begin, end; /* in the text, end exclusive */
  span text;         /* unescaped; of words in lower case */
} token;

typedef struct lexer {
  arena *arena;
  span in;
  size_t at;
} lexer;

void lexer_next(lexer *l, token *ret);

typedef enum node_type {
  NODE_AND,
  NODE_OR,
  NODE_NOT,
  NODE_COMPARE, /* op; args: left, right */
  NODE_IN,      /* op; left, values */
  NODE_BETWEEN, /* op; left, from, to */
  NODE_IS_NULL, /* left */
  /* What a condition compares. */
  NODE_NAME,
  NODE_TEXT,
  NODE_NUMBER,
  NODE_BOOL,
  NODE_CALL,
  NODE_OTHER, /* what no condition may hold; `text` is how the original calls it */
} node_type;

typedef struct node {
  node_type type;
  size_t at;      /* in the text */
  bool negated;   /* IN, BETWEEN, IS NULL */
  const char *op; /* as written in errors: "=", "STARTS_WITH", "NOT LIKE" */
  span text;
  struct node **args;
  size_t n_args;
} node;

typedef struct filter_tree {
  node *where;         /* NULL: no condition */
  node *order, *group; /* NODE_NAME, or NULL */
  bool descending;
} filter_tree;

MUST_USE err *filter_parse(span text, arena *a, filter_tree *ret);

/* The value of a node as one of an attribute of this type. */
MUST_USE err *filter_value(const attribute *at, const node *n, arena *a, store_value *ret);
/* A sentence of the original, and where in the text. */
err *filter_error(arena *a, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif

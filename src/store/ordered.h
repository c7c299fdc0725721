/* ordered.h - an intrusive ordered set (a skip list). The element embeds an ordered_node; `compare`
 * gives a total order, and iteration follows it alone: never a pointer or a hash. */
#ifndef PERDURE_STORE_ORDERED_H
#define PERDURE_STORE_ORDERED_H

#include "base/rng.h"

enum { ORDERED_LEVELS = 10 };

typedef struct ordered_node {
  struct ordered_node *next[ORDERED_LEVELS];
} ordered_node;

typedef int (*ordered_compare)(const ordered_node *a, const ordered_node *b);

typedef struct ordered {
  ordered_node head;
  ordered_compare compare;
  rng levels;
} ordered;

void ordered_init(ordered *o, ordered_compare compare);
/* No equal element may be in the set. */
void ordered_insert(ordered *o, ordered_node *n);
/* The node must be in the set. */
void ordered_remove(ordered *o, ordered_node *n);
/* The first element that is not less than `key`, or NULL. */
ordered_node *ordered_from(const ordered *o, const ordered_node *key);
static inline ordered_node *ordered_first(const ordered *o) { return o->head.next[0]; }
static inline ordered_node *ordered_next(const ordered_node *n) { return n->next[0]; }

#endif

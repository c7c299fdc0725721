/* heap.h - an intrusive binary min-heap ordered by (key, tie). The element embeds a heap_node; the
 * heap owns only its array. `tie` makes the order the same on every run: give equal keys distinct
 * ties. */
#ifndef PERDURE_BASE_HEAP_H
#define PERDURE_BASE_HEAP_H

#include "base/base.h"

typedef struct heap_node {
  int64_t key;
  uint64_t tie;
  size_t at; /* index + 1; 0 is "in no heap" */
} heap_node;

typedef struct heap {
  heap_node **nodes;
  size_t n, cap;
} heap;

#define HEAP_INIT \
  { 0 }

void heap_init(heap *h);
void heap_release(heap *h);
void heap_insert(heap *h, heap_node *n, int64_t key, uint64_t tie);
/* A node that is in no heap is left alone. */
void heap_remove(heap *h, heap_node *n);
static inline bool heap_linked(const heap_node *n) { return n->at != 0; }
/* The least, or NULL. */
static inline heap_node *heap_min(const heap *h) { return h->n ? h->nodes[0] : NULL; }

#endif

#include "base/heap.h"

#include "base/mem.h"

void heap_init(heap *h) { *h = (heap)HEAP_INIT; }

void heap_release(heap *h) {
  mem_free(h->nodes);
  heap_init(h);
}

static bool less(const heap_node *a, const heap_node *b) {
  return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void put(heap *h, size_t i, heap_node *n) {
  h->nodes[i] = n;
  n->at = i + 1;
}

static void sift_up(heap *h, size_t i, heap_node *n) {
  while (i > 0 && less(n, h->nodes[(i - 1) / 2])) {
    put(h, i, h->nodes[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  put(h, i, n);
}

static void sift_down(heap *h, size_t i, heap_node *n) {
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= h->n) break;
    if (child + 1 < h->n && less(h->nodes[child + 1], h->nodes[child])) child++;
    if (!less(h->nodes[child], n)) break;
    put(h, i, h->nodes[child]);
    i = child;
  }
  put(h, i, n);
}

void heap_insert(heap *h, heap_node *n, int64_t key, uint64_t tie) {
  ASSERT(n->at == 0);
  if (h->n == h->cap) {
    h->cap = MAX(h->cap * 2, (size_t)16);
    h->nodes = mem_realloc(h->nodes, h->cap * sizeof(heap_node *));
  }
  n->key = key;
  n->tie = tie;
  sift_up(h, h->n++, n);
}

void heap_remove(heap *h, heap_node *n) {
  if (!n->at) return;
  size_t i = n->at - 1;
  ASSERT(h->nodes[i] == n);
  n->at = 0;
  heap_node *last = h->nodes[--h->n];
  if (last == n) return;
  if (i > 0 && less(last, h->nodes[(i - 1) / 2])) {
    sift_up(h, i, last);
  } else {
    sift_down(h, i, last);
  }
}

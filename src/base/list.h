/* list.h - an intrusive doubly linked list. The element embeds a list_node; the list owns nothing.
 * A zeroed node is in no list; list_remove leaves it zeroed, and may be called on such a node. */
#ifndef PERDURE_BASE_LIST_H
#define PERDURE_BASE_LIST_H

#include "base/base.h"

typedef struct list_node {
  struct list_node *prev, *next;
} list_node;

typedef struct list {
  list_node head; /* circular; initialised by list_init */
} list;

static inline void list_init(list *l) { l->head.prev = l->head.next = &l->head; }
static inline bool list_empty(const list *l) { return l->head.next == &l->head; }
static inline bool list_linked(const list_node *n) { return n->next != NULL; }

static inline void list_insert_before(list_node *at, list_node *n) {
  n->prev = at->prev;
  n->next = at;
  at->prev->next = n;
  at->prev = n;
}

static inline void list_push_back(list *l, list_node *n) { list_insert_before(&l->head, n); }
static inline void list_push_front(list *l, list_node *n) { list_insert_before(l->head.next, n); }

static inline void list_remove(list_node *n) {
  if (!n->next) return;
  n->prev->next = n->next;
  n->next->prev = n->prev;
  n->prev = n->next = NULL;
}

static inline list_node *list_first(const list *l) { return list_empty(l) ? NULL : l->head.next; }

static inline list_node *list_pop_front(list *l) {
  list_node *n = list_first(l);
  if (n) list_remove(n);
  return n;
}

/* Walks the list; `n` may be removed (and freed) inside the body. */
#define LIST_FOR_EACH(n, l)                                                 \
  for (list_node *n = (l)->head.next, *n##_next = n->next; n != &(l)->head; \
       n = n##_next, n##_next = n->next)

#endif

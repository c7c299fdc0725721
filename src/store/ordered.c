#include "store/ordered.h"

void ordered_init(ordered *o, ordered_compare compare) {
  *o = (ordered){.compare = compare};
  rng_seed(&o->levels, 1);
}

/* The last element before `key` on every level. */
static void find(const ordered *o, const ordered_node *key, ordered_node **ret_before) {
  ordered_node *n = (ordered_node *)(uintptr_t)&o->head;
  for (int level = ORDERED_LEVELS - 1; level >= 0; level--) {
    while (n->next[level] && o->compare(n->next[level], key) < 0) n = n->next[level];
    ret_before[level] = n;
  }
}

void ordered_insert(ordered *o, ordered_node *n) {
  ordered_node *before[ORDERED_LEVELS];
  find(o, n, before);
  uint64_t bits = rng_next(&o->levels);
  for (int level = 0; level < ORDERED_LEVELS; level++, bits >>= 2) {
    n->next[level] = before[level]->next[level];
    before[level]->next[level] = n;
    if (bits & 3) break;
  }
}

void ordered_remove(ordered *o, ordered_node *n) {
  ordered_node *before[ORDERED_LEVELS];
  find(o, n, before);
  ASSERT(before[0]->next[0] == n);
  for (int level = 0; level < ORDERED_LEVELS && before[level]->next[level] == n; level++) {
    before[level]->next[level] = n->next[level];
  }
  *n = (ordered_node){0};
}

ordered_node *ordered_from(const ordered *o, const ordered_node *key) {
  ordered_node *before[ORDERED_LEVELS];
  find(o, key, before);
  return before[0]->next[0];
}

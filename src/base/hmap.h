/* hmap.h - an intrusive hash map. The element embeds an hmap_node and sets its hash; the map owns
 * only its bucket array. Iteration order depends on hashes, so nothing that must be the same on
 * every machine may depend on it (sort first).
 *
 *   for (hmap_node *n = hmap_first(&m, hash); n; n = hmap_next(n))
 *     if (same key as CONTAINER_OF(n, T, node)) ...
 */
#ifndef PERDURE_BASE_HMAP_H
#define PERDURE_BASE_HMAP_H

#include "base/base.h"

typedef struct hmap_node {
  struct hmap_node *next; /* in the bucket */
  uint64_t hash;
} hmap_node;

typedef struct hmap {
  hmap_node **buckets; /* NULL until the first insert */
  size_t mask;         /* bucket count - 1 */
  size_t count;
} hmap;

#define HMAP_INIT \
  { 0 }

void hmap_init(hmap *m);
/* Frees the buckets; the elements are the caller's. */
void hmap_release(hmap *m);
void hmap_insert(hmap *m, hmap_node *n, uint64_t hash);
/* The node must be in the map. */
void hmap_remove(hmap *m, hmap_node *n);
/* Nodes with exactly this hash. */
hmap_node *hmap_first(const hmap *m, uint64_t hash);
hmap_node *hmap_next(const hmap_node *n);
/* Every element, in bucket order: start with NULL. The element before may have been removed only
 * through the value returned here, not the one being looked at. */
hmap_node *hmap_each(const hmap *m, const hmap_node *after);

#endif

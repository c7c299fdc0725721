#include "base/hmap.h"

#include "base/mem.h"

void hmap_init(hmap *m) { *m = (hmap)HMAP_INIT; }

void hmap_release(hmap *m) {
  mem_free(m->buckets);
  hmap_init(m);
}

static void link_node(hmap *m, hmap_node *n) {
  hmap_node **bucket = &m->buckets[n->hash & m->mask];
  n->next = *bucket;
  *bucket = n;
}

static void resize(hmap *m, size_t count) {
  hmap_node **old = m->buckets;
  size_t old_count = old ? m->mask + 1 : 0;
  m->buckets = mem_zalloc(count * sizeof *m->buckets);
  m->mask = count - 1;
  for (size_t i = 0; i < old_count; i++) {
    for (hmap_node *n = old[i]; n;) {
      hmap_node *next = n->next;
      link_node(m, n);
      n = next;
    }
  }
  mem_free(old);
}

void hmap_insert(hmap *m, hmap_node *n, uint64_t hash) {
  if (!m->buckets) resize(m, 8);
  if (m->count > m->mask) resize(m, (m->mask + 1) * 2);
  n->hash = hash;
  link_node(m, n);
  m->count++;
}

void hmap_remove(hmap *m, hmap_node *n) {
  ASSERT(m->buckets);
  hmap_node **at = &m->buckets[n->hash & m->mask];
  while (*at && *at != n) at = &(*at)->next;
  ASSERT(*at == n);
  *at = n->next;
  n->next = NULL;
  m->count--;
}

static hmap_node *same_hash(hmap_node *n, uint64_t hash) {
  while (n && n->hash != hash) n = n->next;
  return n;
}

hmap_node *hmap_first(const hmap *m, uint64_t hash) {
  return m->buckets ? same_hash(m->buckets[hash & m->mask], hash) : NULL;
}

hmap_node *hmap_next(const hmap_node *n) { return same_hash(n->next, n->hash); }

hmap_node *hmap_each(const hmap *m, const hmap_node *after) {
  if (!m->buckets) return NULL;
  if (after && after->next) return after->next;
  for (size_t i = after ? (after->hash & m->mask) + 1 : 0; i <= m->mask; i++) {
    if (m->buckets[i]) return m->buckets[i];
  }
  return NULL;
}

/* Workers that have left. A poll of one may still arrive, because it was sent before or is being
 * retried; it gets an empty answer at once, since nobody would do the task it waits for and the
 * worker's shutdown waits for the poll. */
#include "shard/shard_int.h"

/* Longer than any client goes on retrying a poll. */
static const int64_t remember_ns = 70 * NS_PER_SEC;

enum { MOST_LEFT = 10000, MOST_KEY_BYTES = 256 };

typedef struct left_worker {
  hmap_node by_key;
  list_node age;
  int64_t until_ns;
  size_t n;
  uint8_t key[];
} left_worker;

static left_worker *find(const shard *s, span key) {
  for (hmap_node *n = hmap_first(&s->left_by_key, hash_bytes(s->hash_key, key)); n;
       n = hmap_next(n)) {
    left_worker *l = CONTAINER_OF(n, left_worker, by_key);
    if (span_eq(span_of(l->key, l->n), key)) return l;
  }
  return NULL;
}

static void forget(shard *s, left_worker *l) {
  hmap_remove(&s->left_by_key, &l->by_key);
  list_remove(&l->age);
  mem_free(l);
}

static left_worker *oldest(const shard *s) {
  list_node *n = list_first(&s->left);
  return n ? CONTAINER_OF(n, left_worker, age) : NULL;
}

void left_init(shard *s) {
  list_init(&s->left);
  hmap_init(&s->left_by_key);
}

void left_release(shard *s) {
  for (left_worker *l; (l = oldest(s));) forget(s, l);
  hmap_release(&s->left_by_key);
}

void left_add(shard *s, span key) {
  if (key.n == 0 || key.n > MOST_KEY_BYTES) return;
  int64_t now = now_ns(s);
  left_worker *l = find(s, key);
  if (l) forget(s, l);
  for (l = oldest(s); l && (l->until_ns <= now || s->left_by_key.count >= MOST_LEFT);
       l = oldest(s)) {
    forget(s, l);
  }
  l = mem_zalloc(sizeof *l + key.n);
  l->n = key.n;
  l->until_ns = now + remember_ns;
  memcpy(l->key, key.p, key.n);
  hmap_insert(&s->left_by_key, &l->by_key, hash_bytes(s->hash_key, key));
  list_push_back(&s->left, &l->age);
}

bool left_has(shard *s, span key) {
  if (key.n == 0 || list_empty(&s->left)) return false;
  const left_worker *l = find(s, key);
  return l && l->until_ns > now_ns(s);
}

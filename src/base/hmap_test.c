#include "base/hmap.h"

#include "base/hash.h"
#include "base/test.h"

enum { N = 1000 };

typedef struct item {
  uint64_t key;
  hmap_node node;
  int seen;
} item;

static item *find(const hmap *m, uint64_t key, uint64_t hash) {
  for (hmap_node *n = hmap_first(m, hash); n; n = hmap_next(n)) {
    item *i = CONTAINER_OF(n, item, node);
    if (i->key == key) return i;
  }
  return NULL;
}

TEST(empty_finds_nothing) {
  hmap m = HMAP_INIT;
  assert_null(hmap_first(&m, 1));
  assert_null(hmap_each(&m, NULL));
  hmap_release(&m);
}

TEST(finds_what_was_inserted_and_nothing_that_was_removed) {
  static item items[N];
  hmap m = HMAP_INIT;
  for (uint64_t i = 0; i < N; i++) {
    items[i] = (item){.key = i};
    hmap_insert(&m, &items[i].node, hash_u64(i));
  }
  assert_int_equal(m.count, N);
  for (uint64_t i = 0; i < N; i += 2) hmap_remove(&m, &items[i].node);
  assert_int_equal(m.count, N / 2);
  for (uint64_t i = 0; i < N; i++) {
    assert_ptr_equal(find(&m, i, hash_u64(i)), i % 2 ? &items[i] : NULL);
  }
  hmap_release(&m);
}

TEST(equal_hashes_are_told_apart_by_the_caller) {
  item items[5] = {{0}};
  hmap m = HMAP_INIT;
  for (uint64_t i = 0; i < 5; i++) {
    items[i].key = i;
    hmap_insert(&m, &items[i].node, 42);
  }
  item other = {.key = 9};
  hmap_insert(&m, &other.node, 42 + 8); /* the same bucket, another hash */
  int n = 0;
  for (hmap_node *at = hmap_first(&m, 42); at; at = hmap_next(at)) n++;
  assert_int_equal(n, 5);
  hmap_remove(&m, &items[2].node);
  assert_null(find(&m, 2, 42));
  assert_ptr_equal(find(&m, 3, 42), &items[3]);
  assert_ptr_equal(find(&m, 9, 50), &other);
  hmap_release(&m);
}

TEST(each_visits_every_element_once) {
  static item items[N];
  hmap m = HMAP_INIT;
  for (uint64_t i = 0; i < N; i++) {
    items[i] = (item){.key = i};
    hmap_insert(&m, &items[i].node, hash_u64(i) % 100);
  }
  for (hmap_node *n = hmap_each(&m, NULL); n; n = hmap_each(&m, n)) {
    CONTAINER_OF(n, item, node)->seen++;
  }
  for (int i = 0; i < N; i++) assert_int_equal(items[i].seen, 1);
  hmap_release(&m);
}

TEST(an_element_may_go_once_the_next_is_known) {
  static item items[N];
  hmap m = HMAP_INIT;
  for (uint64_t i = 0; i < N; i++) {
    items[i] = (item){.key = i};
    hmap_insert(&m, &items[i].node, hash_u64(i));
  }
  for (hmap_node *n = hmap_each(&m, NULL), *next; n; n = next) {
    next = hmap_each(&m, n);
    hmap_remove(&m, n);
  }
  assert_int_equal(m.count, 0);
  hmap_release(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(empty_finds_nothing),
      cmocka_unit_test(finds_what_was_inserted_and_nothing_that_was_removed),
      cmocka_unit_test(equal_hashes_are_told_apart_by_the_caller),
      cmocka_unit_test(each_visits_every_element_once),
      cmocka_unit_test(an_element_may_go_once_the_next_is_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/heap.h"

#include "base/rng.h"
#include "base/test.h"

enum { N = 500 };

static void check_invariant(const heap *h) {
  for (size_t i = 0; i < h->n; i++) {
    assert_int_equal(h->nodes[i]->at, i + 1);
    if (i == 0) continue;
    const heap_node *up = h->nodes[(i - 1) / 2], *n = h->nodes[i];
    assert_true(up->key < n->key || (up->key == n->key && up->tie <= n->tie));
  }
}

TEST(empty_has_no_least) {
  heap h = HEAP_INIT;
  heap_node n = {0};
  assert_null(heap_min(&h));
  heap_remove(&h, &n);
  assert_false(heap_linked(&n));
  heap_release(&h);
}

TEST(gives_the_least_key_first_then_the_least_tie) {
  heap h = HEAP_INIT;
  heap_node n[4] = {{0}};
  heap_insert(&h, &n[0], 5, 2);
  heap_insert(&h, &n[1], 5, 1);
  heap_insert(&h, &n[2], INT64_MIN, 9);
  heap_insert(&h, &n[3], INT64_MAX, 0);
  const int order[] = {2, 1, 0, 3};
  for (int i = 0; i < 4; i++) {
    assert_ptr_equal(heap_min(&h), &n[order[i]]);
    heap_remove(&h, &n[order[i]]);
  }
  assert_null(heap_min(&h));
  heap_release(&h);
}

TEST(stays_a_heap_under_random_inserts_and_removals) {
  heap h = HEAP_INIT;
  rng r;
  rng_seed(&r, 7);
  heap_node n[N] = {{0}};
  for (int round = 0; round < 20000; round++) {
    heap_node *x = &n[rng_below(&r, N)];
    if (heap_linked(x)) {
      heap_remove(&h, x);
    } else {
      heap_insert(&h, x, (int64_t)rng_below(&r, 50), (uint64_t)(x - n));
    }
    if (round % 500 == 0) check_invariant(&h);
  }
  int64_t last = INT64_MIN;
  for (heap_node *x; (x = heap_min(&h)); heap_remove(&h, x)) {
    assert_true(x->key >= last);
    last = x->key;
  }
  heap_release(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(empty_has_no_least),
      cmocka_unit_test(gives_the_least_key_first_then_the_least_tie),
      cmocka_unit_test(stays_a_heap_under_random_inserts_and_removals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

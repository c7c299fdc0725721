#include "base/list.h"

#include "base/test.h"

TEST(keeps_the_order_of_pushes) {
  list l;
  list_node n[3] = {{0}};
  list_init(&l);
  assert_true(list_empty(&l));
  assert_null(list_first(&l));
  assert_null(list_pop_front(&l));
  list_push_back(&l, &n[1]);
  list_push_back(&l, &n[2]);
  list_push_front(&l, &n[0]);
  for (int i = 0; i < 3; i++) assert_ptr_equal(list_pop_front(&l), &n[i]);
  assert_true(list_empty(&l));
}

TEST(a_removed_node_is_in_no_list) {
  list l;
  list_node n[2] = {{0}};
  list_init(&l);
  list_push_back(&l, &n[0]);
  list_push_back(&l, &n[1]);
  assert_true(list_linked(&n[0]));
  list_remove(&n[0]);
  assert_false(list_linked(&n[0]));
  list_remove(&n[0]);
  assert_ptr_equal(list_first(&l), &n[1]);
}

TEST(insert_before_goes_in_the_middle) {
  list l;
  list_node n[3] = {{0}};
  list_init(&l);
  list_push_back(&l, &n[0]);
  list_push_back(&l, &n[2]);
  list_insert_before(&n[2], &n[1]);
  for (int i = 0; i < 3; i++) assert_ptr_equal(list_pop_front(&l), &n[i]);
}

TEST(the_walk_survives_removal_of_its_node) {
  list l;
  list_node nodes[5] = {{0}};
  int seen = 0;
  list_init(&l);
  for (int i = 0; i < 5; i++) list_push_back(&l, &nodes[i]);
  LIST_FOR_EACH (n, &l) {
    assert_ptr_equal(n, &nodes[seen++]);
    list_remove(n);
  }
  assert_int_equal(seen, 5);
  assert_true(list_empty(&l));
  LIST_FOR_EACH (n, &l) fail();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_the_order_of_pushes),
      cmocka_unit_test(a_removed_node_is_in_no_list),
      cmocka_unit_test(insert_before_goes_in_the_middle),
      cmocka_unit_test(the_walk_survives_removal_of_its_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

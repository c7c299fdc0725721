#include "matching/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const int64_t start_ns = INT64_C(1600000000) * NS_PER_SEC;

static void test_a_rate_is_over_the_time_that_was_counted(void **state) {
  rate_meter m = {0};
  assert_true(rate_per_second(&m, start_ns) == 0);
  for (int i = 0; i < 10; i++) rate_count(&m, start_ns + i * NS_PER_SEC);
  assert_true(rate_per_second(&m, start_ns + 10 * NS_PER_SEC) == 1);
  assert_true(rate_per_second(&m, start_ns + 20 * NS_PER_SEC) == 0.5F);
}

static void test_what_is_long_ago_does_not_count(void **state) {
  rate_meter m = {0};
  for (int i = 0; i < 60; i++) rate_count(&m, start_ns);
  assert_true(rate_per_second(&m, start_ns + 29 * NS_PER_SEC) > 2);
  assert_true(rate_per_second(&m, start_ns + 30 * NS_PER_SEC) == 0);
  rate_count(&m, start_ns + 600 * NS_PER_SEC);
  assert_true(rate_per_second(&m, start_ns + 601 * NS_PER_SEC) < 0.1F);
}

static void test_time_that_runs_back_is_the_newest_slot(void **state) {
  rate_meter m = {0};
  rate_count(&m, start_ns);
  rate_count(&m, start_ns - 100 * NS_PER_SEC);
  assert_true(rate_per_second(&m, start_ns + NS_PER_SEC) == 2);
}

static void test_a_limit_lets_pass_so_many_a_second(void **state) {
  rate_limit l = {0};
  assert_true(rate_limit_take(&l, start_ns));
  rate_limit_set(&l, 4);
  int passed = 0;
  for (int ms = 0; ms < 10000; ms++) passed += rate_limit_take(&l, start_ns + ms * NS_PER_MS);
  assert_in_range(passed, 4 + 39, 4 + 40); /* a second's worth at once, then evenly */
  rate_limit_clear(&l);
  assert_true(rate_limit_take(&l, start_ns));
}

static void test_less_than_one_a_second(void **state) {
  rate_limit l = {0};
  rate_limit_set(&l, 0.5F);
  assert_true(rate_limit_take(&l, start_ns));
  assert_false(rate_limit_take(&l, start_ns + NS_PER_SEC));
  assert_int_equal(rate_limit_next_ns(&l), start_ns + 2 * NS_PER_SEC);
  assert_true(rate_limit_take(&l, start_ns + 2 * NS_PER_SEC));
}

static void test_none_may_pass(void **state) {
  rate_limit l = {0};
  rate_limit_set(&l, 0);
  assert_false(rate_limit_take(&l, start_ns));
  assert_int_equal(rate_limit_next_ns(&l), INT64_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_rate_is_over_the_time_that_was_counted),
      cmocka_unit_test(test_what_is_long_ago_does_not_count),
      cmocka_unit_test(test_time_that_runs_back_is_the_newest_slot),
      cmocka_unit_test(test_a_limit_lets_pass_so_many_a_second),
      cmocka_unit_test(test_less_than_one_a_second),
      cmocka_unit_test(test_none_may_pass),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

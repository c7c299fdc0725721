#include "base/span.h"

#include "base/test.h"

TEST(absent_differs_from_empty_only_by_its_pointer) {
  assert_null(SPAN_NONE.p);
  assert_non_null(SPAN("").p);
  assert_null(span_cstr(NULL).p);
  assert_true(span_eq(SPAN_NONE, SPAN("")));
}

TEST(literals_may_hold_nul) {
  assert_int_equal(SPAN("a\0b").n, 3);
  assert_false(span_eq(SPAN("a\0b"), SPAN("a\0c")));
}

TEST(starts_with) {
  assert_true(span_starts_with(SPAN("/temporal.api"), SPAN("/temporal")));
  assert_true(span_starts_with(SPAN("a"), SPAN_NONE));
  assert_true(span_starts_with(SPAN_NONE, SPAN("")));
  assert_false(span_starts_with(SPAN("a"), SPAN("ab")));
}

TEST(order_is_bytewise_and_shorter_first) {
  assert_true(span_cmp(SPAN("a"), SPAN("b")) < 0);
  assert_true(span_cmp(SPAN("a"), SPAN("ab")) < 0);
  assert_true(span_cmp(SPAN("\xff"), SPAN("\x01")) > 0);
  assert_int_equal(span_cmp(SPAN_NONE, SPAN("")), 0);
  assert_int_equal(span_cmp(SPAN("ab"), SPAN("ab")), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(absent_differs_from_empty_only_by_its_pointer),
      cmocka_unit_test(literals_may_hold_nul),
      cmocka_unit_test(starts_with),
      cmocka_unit_test(order_is_bytewise_and_shorter_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/bytes.h"

#include "base/mem.h"
#include "base/test.h"

TEST(last_reference_frees) {
  size_t before = mem_in_use_bytes();
  bytes *b = bytes_copy(SPAN("row"));
  assert_ptr_equal(bytes_ref(b), b);
  bytes_unref(b);
  assert_span(bytes_span(b), "row");
  bytes_unref(b);
  assert_int_equal(mem_in_use_bytes(), before);
}

TEST(null_is_absent) {
  bytes_unref(NULL);
  assert_null(bytes_span(NULL).p);
}

TEST(empty_is_not_absent) {
  bytes *b = bytes_copy(SPAN_NONE);
  assert_non_null(bytes_span(b).p);
  assert_int_equal(bytes_span(b).n, 0);
  bytes_unref(b);
}

TEST(content_is_aligned) {
  bytes *b = bytes_new(100);
  assert_int_equal((uintptr_t)b->p % _Alignof(max_align_t), 0);
  memset(b->p, 1, 100);
  bytes_unref(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(last_reference_frees),
      cmocka_unit_test(null_is_absent),
      cmocka_unit_test(empty_is_not_absent),
      cmocka_unit_test(content_is_aligned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/buf.h"

#include "base/mem.h"
#include "base/test.h"

TEST(starts_without_memory) {
  size_t before = mem_in_use_bytes();
  buf b = BUF_INIT;
  buf_add(&b, SPAN_NONE);
  buf_consume(&b, 0);
  assert_int_equal(buf_span(&b).n, 0);
  assert_int_equal(mem_in_use_bytes(), before);
  buf_release(&b);
}

TEST(reserve_of_nothing_gives_a_place) {
  buf b = BUF_INIT;
  assert_non_null(buf_reserve(&b, 0));
  buf_release(&b);
}

TEST(grows_and_keeps_what_it_holds) {
  buf b = BUF_INIT;
  for (int i = 0; i < 10000; i++) buf_addb(&b, (uint8_t)i);
  assert_int_equal(b.n, 10000);
  assert_true(b.cap >= b.n && b.cap <= 20000);
  for (int i = 0; i < 10000; i++) assert_int_equal(b.p[i], (uint8_t)i);
  buf_release(&b);
  assert_null(b.p);
}

TEST(adds_spans_text_and_formats) {
  buf b = BUF_INIT;
  buf_adds(&b, "a");
  buf_add(&b, SPAN("bc"));
  buf_addf(&b, "%d%s", 42, "");
  buf_addf(&b, "%s", "");
  assert_span(buf_span(&b), "abc42");
  buf_release(&b);
}

TEST(consume_removes_from_the_front) {
  buf b = BUF_INIT;
  buf_adds(&b, "header body");
  buf_consume(&b, 7);
  assert_span(buf_span(&b), "body");
  buf_consume(&b, 4);
  assert_int_equal(b.n, 0);
  buf_release(&b);
}

TEST(clear_keeps_the_memory) {
  buf b = BUF_INIT;
  buf_addf(&b, "%0500d", 1);
  uint8_t *p = b.p;
  buf_clear(&b);
  assert_int_equal(b.n, 0);
  assert_ptr_equal(buf_reserve(&b, 500), p);
  buf_release(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(starts_without_memory),
      cmocka_unit_test(reserve_of_nothing_gives_a_place),
      cmocka_unit_test(grows_and_keeps_what_it_holds),
      cmocka_unit_test(adds_spans_text_and_formats),
      cmocka_unit_test(consume_removes_from_the_front),
      cmocka_unit_test(clear_keeps_the_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

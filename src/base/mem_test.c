#include "base/mem.h"

#include <string.h>

#include "base/test.h"

TEST(what_is_in_use_is_known) {
  size_t before = mem_in_use_bytes();
  char *p = mem_alloc(1000);
  assert_true(mem_in_use_bytes() >= before + 1000);
  p = mem_realloc(p, 5000);
  assert_true(mem_in_use_bytes() >= before + 5000);
  mem_free(p);
  assert_int_equal(mem_in_use_bytes(), before);
}

TEST(nothing_is_an_allocation_too) {
  mem_free(NULL);
  void *a = mem_alloc(0), *b = mem_zalloc(0), *c = mem_realloc(NULL, 0);
  assert_true(a != b && b != c);
  mem_free(a);
  mem_free(b);
  mem_free(mem_realloc(c, 0));
}

TEST(zalloc_clears_and_realloc_keeps) {
  uint8_t *p = mem_zalloc(100);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
  memset(p, 9, 100);
  p = mem_realloc(p, 10000);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 9);
  mem_free(p);
}

TEST(strdup_copies) {
  char text[] = "abc";
  char *copy = mem_strdup(text);
  text[0] = 'x';
  assert_string_equal(copy, "abc");
  mem_free(copy);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_in_use_is_known),
      cmocka_unit_test(nothing_is_an_allocation_too),
      cmocka_unit_test(zalloc_clears_and_realloc_keeps),
      cmocka_unit_test(strdup_copies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test.h - what a test program includes: cmocka, and comparisons for our own types.
 *
 *   TEST(arena_keeps_alignment) { ... }
 *   int main(void) {
 *     const struct CMUnitTest tests[] = {cmocka_unit_test(arena_keeps_alignment)};
 *     return cmocka_run_group_tests(tests, NULL, NULL);
 *   }
 */
#ifndef PERDURE_BASE_TEST_H
#define PERDURE_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

#define TEST(name) static void name(void **state UNUSED)

/* The span holds exactly this text. */
#define assert_span(s, text)                                 \
  do {                                                       \
    span got_ = (s);                                         \
    assert_int_equal(got_.n, strlen(text));                  \
    if (got_.n) assert_memory_equal(got_.p, (text), got_.n); \
  } while (0)

#endif

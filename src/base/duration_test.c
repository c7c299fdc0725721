#include "base/duration.h"

#include "base/test.h"

static arena a;

static int64_t ns_of(const char *text, duration_units units) {
  int64_t ns = -1;
  assert_null(duration_parse(span_cstr(text), units, &a, &ns));
  return ns;
}

static const char *refused(const char *text, duration_units units) {
  int64_t ns = -1;
  err *e = duration_parse(span_cstr(text), units, &a, &ns);
  assert_non_null(e);
  assert_int_equal(ns, -1);
  return e->what;
}

TEST(what_people_write) {
  assert_int_equal(ns_of("0", DURATION_HOURS), 0);
  assert_int_equal(ns_of("1h30m", DURATION_HOURS), 5400 * NS_PER_SEC);
  assert_int_equal(ns_of("1.5h", DURATION_HOURS), 5400 * NS_PER_SEC);
  assert_int_equal(ns_of(".5s", DURATION_HOURS), 500 * NS_PER_MS);
  assert_int_equal(ns_of("-2ms3us4ns", DURATION_HOURS), -2003004);
  assert_int_equal(ns_of("+7\xc2\xb5s", DURATION_HOURS), 7000);
  assert_int_equal(ns_of("1d2h", DURATION_DAYS), 26 * 3600 * NS_PER_SEC);
  assert_int_equal(ns_of("0.0000000000000000000001s", DURATION_HOURS), 0);
}

TEST(what_is_refused_and_how) {
  assert_string_equal(refused("", DURATION_HOURS), "time: invalid duration \"\"");
  assert_string_equal(refused("x", DURATION_HOURS), "time: invalid duration \"x\"");
  assert_string_equal(refused("-", DURATION_HOURS), "time: invalid duration \"-\"");
  assert_string_equal(refused("10", DURATION_HOURS), "time: missing unit in duration \"10\"");
  assert_string_equal(refused("1d", DURATION_HOURS), "time: unknown unit \"d\" in duration \"1d\"");
  assert_string_equal(refused("1w", DURATION_DAYS), "time: unknown unit \"w\" in duration \"1w\"");
  assert_string_equal(refused("9999999999h", DURATION_HOURS),
                      "time: invalid duration \"9999999999h\"");
  assert_string_equal(refused("99999999999999999999s", DURATION_HOURS),
                      "time: invalid duration \"99999999999999999999s\"");
}

static int teardown(void **state UNUSED) {
  arena_release(&a);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_people_write),
      cmocka_unit_test(what_is_refused_and_how),
  };
  return cmocka_run_group_tests(tests, NULL, teardown);
}

#include "schedule/calendar.h"

#include "schedule/test_zones.h"

static int64_t utc(int year, int month, int day, int hour, int minute) {
  return civil_days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60;
}

static calendar daily(int hour, uint64_t minutes) {
  return (calendar){.seconds = 1,
                    .minutes = minutes,
                    .hours = UINT32_C(1) << hour,
                    .days = UINT32_MAX,
                    .months = UINT32_MAX,
                    .weekdays = UINT32_MAX,
                    .any_year = true};
}

/* The matches of a day's window, as minutes since its start. */
static size_t minutes_from(const calendar *c, const char *zone_name, int64_t from, int64_t until,
                           int64_t *ret) {
  const zone *z = NULL;
  assert_null(zones_find(&all, span_cstr(zone_name), &a, &z));
  size_t n = 0;
  int64_t steps = 100000;
  for (int64_t t = calendar_next(c, z, from - 1, CALENDAR_LAST_YEAR, &steps); t < until;
       t = calendar_next(c, z, t, CALENDAR_LAST_YEAR, &steps)) {
    assert_true(calendar_matches(c, z, t));
    ret[n++] = (t - from) / 60;
  }
  return n;
}

/* Where the protocol's server shifts and loses times (../spec.h), every match counts. */
TEST(an_hour_that_happens_twice_matches_twice_east_of_greenwich) {
  calendar c = daily(2, UINT64_C(1) << 30);
  int64_t at[8], from = utc(2026, 10, 24, 22, 0);
  assert_int_equal(minutes_from(&c, "Europe/Berlin", from, from + DAY_SECONDS, at), 2);
  assert_int_equal(at[0], 150);
  assert_int_equal(at[1], 210);
  c = daily(1, UINT64_C(1) << 30);
  assert_int_equal(minutes_from(&c, "Europe/Berlin", from, from + DAY_SECONDS, at), 1);
  assert_int_equal(at[0], 90);
}

TEST(half_an_hour_that_happens_twice) {
  calendar c = daily(1, UINT64_C(1) << 15 | UINT64_C(1) << 45);
  int64_t at[8], from = utc(2026, 4, 4, 13, 0); /* midnight of Lord Howe */
  assert_int_equal(minutes_from(&c, "Australia/Lord_Howe", from, from + DAY_SECONDS, at), 3);
  assert_int_equal(at[0], 75);
  assert_int_equal(at[1], 105);
  assert_int_equal(at[2], 135);
}

TEST(an_hour_that_is_left_out_does_not_match) {
  calendar c = daily(2, UINT64_C(1) << 30);
  int64_t at[8], from = utc(2026, 3, 28, 23, 0);
  assert_int_equal(minutes_from(&c, "Europe/Berlin", from, from + DAY_SECONDS, at), 0);
}

TEST(a_search_ends) {
  calendar c = daily(0, 1);
  c.days = UINT32_C(1) << 31;
  c.months = 1 << 2;
  int64_t steps = 100000;
  assert_int_equal(calendar_next(&c, &zone_utc, 0, CALENDAR_LAST_YEAR, &steps), CALENDAR_NEVER);
  assert_true(steps > 0);
  steps = 100;
  assert_int_equal(calendar_next(&c, &zone_utc, 0, CALENDAR_LAST_YEAR, &steps), CALENDAR_NEVER);
  assert_true(steps < 0);
  calendar none = {.any_year = true};
  steps = 100000;
  assert_int_equal(calendar_next(&none, &zone_utc, 0, CALENDAR_LAST_YEAR, &steps), CALENDAR_NEVER);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_hour_that_happens_twice_matches_twice_east_of_greenwich),
      cmocka_unit_test(half_an_hour_that_happens_twice),
      cmocka_unit_test(an_hour_that_is_left_out_does_not_match),
      cmocka_unit_test(a_search_ends),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

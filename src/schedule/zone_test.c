#include "schedule/zone.h"

#include "base/rng.h"
#include "schedule/test_zones.h"
#include "schedule/zone_int.h"

static const zone *named(const char *name) {
  const zone *z = NULL;
  err *e = zones_find(&all, span_cstr(name), &a, &z);
  assert_null(e);
  return z;
}

static int64_t utc(int year, int month, int day, int hour, int minute) {
  return civil_days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60;
}

static void shows(const zone *z, int64_t at, int day, int hour, int minute) {
  zone_clock c = zone_show(z, at);
  assert_int_equal(c.date.day, day);
  assert_int_equal(c.hour, hour);
  assert_int_equal(c.minute, minute);
}

TEST(utc_has_many_names) {
  assert_ptr_equal(named(""), &zone_utc);
  assert_ptr_equal(named("UTC"), &zone_utc);
  assert_ptr_equal(named("Local"), &zone_utc);
  shows(&zone_utc, utc(2026, 3, 1, 12, 34), 1, 12, 34);
  shows(&zone_utc, -1, 31, 23, 59);
}

TEST(summer_time_begins_and_ends) {
  const zone *z = named("Europe/Berlin");
  shows(z, utc(2026, 3, 29, 0, 59), 29, 1, 59);
  shows(z, utc(2026, 3, 29, 1, 0), 29, 3, 0);
  shows(z, utc(2026, 10, 25, 0, 59), 25, 2, 59);
  shows(z, utc(2026, 10, 25, 1, 0), 25, 2, 0);
  zone_period p = zone_at(z, utc(2026, 7, 1, 0, 0));
  assert_int_equal(p.offset, 7200);
  assert_int_equal(p.from, utc(2026, 3, 29, 1, 0));
  assert_int_equal(p.until, utc(2026, 10, 25, 1, 0));
}

TEST(rules_hold_when_the_list_has_ended) {
  shows(named("Europe/Berlin"), utc(2090, 7, 1, 10, 0), 1, 12, 0);
  shows(named("Europe/Berlin"), utc(2090, 1, 1, 10, 0), 1, 11, 0);
  shows(named("America/New_York"), utc(2090, 7, 1, 10, 0), 1, 6, 0);
  shows(named("Australia/Lord_Howe"), utc(2090, 1, 1, 10, 0), 1, 21, 0);
  shows(named("Australia/Lord_Howe"), utc(2090, 7, 1, 10, 0), 1, 20, 30);
  shows(named("Asia/Kolkata"), utc(2090, 7, 1, 10, 0), 1, 15, 30);
}

TEST(before_the_list_begins) {
  zone_period p = zone_at(named("Europe/Berlin"), utc(1800, 1, 1, 0, 0));
  assert_int_equal(p.from, INT64_MIN);
}

static const char *refused(const char *name) {
  const zone *z = NULL;
  err *e = zones_find(&all, span_cstr(name), &a, &z);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_INVALID_ARGUMENT);
  return e->what;
}

TEST(names_that_are_no_zones) {
  assert_string_equal(refused("Nowhere/X"), "unknown time zone Nowhere/X");
  assert_string_equal(refused("utc"), "unknown time zone utc");
  assert_string_equal(refused("Europe"), "unknown time zone Europe");
  assert_string_equal(refused("zone.tab"), "unknown time zone zone.tab");
  assert_string_equal(refused("../zoneinfo/UTC"), "time: invalid location name");
  assert_string_equal(refused("/etc/passwd"), "time: invalid location name");
  assert_string_equal(refused("a\\b"), "time: invalid location name");
}

TEST(without_a_source_only_utc_is_known) {
  zones none;
  const zone *z;
  zones_init(&none, NULL);
  assert_null(zones_find(&none, SPAN("UTC"), &a, &z));
  assert_non_null(zones_find(&none, SPAN("Europe/Berlin"), &a, &z));
  zones_release(&none);
}

typedef struct rule_case {
  const char *text;
  bool good;
} rule_case;

TEST(rules_of_posix) {
  const rule_case cases[] = {
      {"UTC0", true},
      {"CET-1CEST,M3.5.0,M10.5.0/3", true},
      {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true},
      {"XXX3YYY,J60/0,300/-1:30:15", true},
      {"EST5EDT4,0/0,J365/25", true},
      {"", false},
      {"UT", false},
      {"UTC", false},
      {"CET-1CEST", false},
      {"CET-1CEST,M13.5.0,M10.5.0", false},
      {"CET-1CEST,M3.6.0,M10.5.0", false},
      {"CET-1CEST,M3.5.0,M10.5.0 ", false},
      {"CET-200CEST,M3.5.0,M10.5.0", false},
      {"<CET-1", false},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    zone_rule r;
    if (zone_rule_parse(span_cstr(cases[i].text), &r) != cases[i].good) {
      fail_msg("%s", cases[i].text);
    }
  }
}

TEST(julian_days_leave_out_the_leap_day) {
  zone_rule r;
  assert_true(zone_rule_parse(SPAN("XXX0YYY,J60/0,J300/0"), &r));
  assert_int_equal(zone_rule_at(&r, utc(2024, 5, 1, 0, 0)).from, utc(2024, 3, 1, 0, 0));
  assert_int_equal(zone_rule_at(&r, utc(2026, 5, 1, 0, 0)).from, utc(2026, 3, 1, 0, 0));
  assert_true(zone_rule_parse(SPAN("XXX0YYY,59/0,299/0"), &r));
  assert_int_equal(zone_rule_at(&r, utc(2024, 5, 1, 0, 0)).from, utc(2024, 2, 29, 0, 0));
}

/* Whatever the bytes say: an error, or a zone that can be looked at. */
TEST(broken_files_are_refused_or_harmless) {
  span good;
  assert_null(files.source.read(&files.source, SPAN("Europe/Berlin"), &a, &good));
  rng r;
  rng_seed(&r, 7);
  for (int i = 0; i < 20000; i++) {
    arena one = ARENA_INIT;
    uint8_t *p = (uint8_t *)arena_dup(&one, good).p;
    size_t n = i % 3 ? good.n : rng_below(&r, good.n);
    for (uint64_t k = rng_below(&r, 6); k > 0 && n; k--) {
      size_t at = rng_below(&r, 4) ? rng_below(&r, n) : rng_below(&r, MIN(n, 88));
      p[at] = (uint8_t)rng_next(&r);
    }
    const zone *z = NULL;
    if (!zone_parse(span_of(p, n), &one, &z)) {
      for (int64_t t = -4000000000; t < 6000000000; t += 777777777) {
        zone_period period = zone_at(z, t);
        assert_true(period.from <= t && t < period.until);
      }
    }
    arena_release(&one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(utc_has_many_names),
      cmocka_unit_test(summer_time_begins_and_ends),
      cmocka_unit_test(rules_hold_when_the_list_has_ended),
      cmocka_unit_test(before_the_list_begins),
      cmocka_unit_test(names_that_are_no_zones),
      cmocka_unit_test(without_a_source_only_utc_is_known),
      cmocka_unit_test(rules_of_posix),
      cmocka_unit_test(julian_days_leave_out_the_leap_day),
      cmocka_unit_test(broken_files_are_refused_or_harmless),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

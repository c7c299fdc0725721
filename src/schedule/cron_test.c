#include "schedule/cron.h"

#include "schedule/test_zones.h"

static int64_t utc_ns(int year, int month, int day, int hour, int minute) {
  return (civil_days(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60) * NS_PER_SEC;
}

static cron parsed(const char *text) {
  cron c;
  err *e = cron_parse(span_cstr(text), &all, &a, &c);
  if (e) fail_msg("%s: %s", text, e->what);
  return c;
}

static void follows(const char *text, int64_t after_ns, int64_t expected_ns) {
  cron c = parsed(text);
  assert_int_equal(cron_next(&c, after_ns), expected_ns);
}

TEST(the_time_after) {
  int64_t now = utc_ns(2026, 11, 21, 17, 30) + 12 * NS_PER_SEC + 345; /* a Saturday */
  follows("* * * * *", now, utc_ns(2026, 11, 21, 17, 31));
  follows("*/15 * * * *", now, utc_ns(2026, 11, 21, 17, 45));
  follows("30 17 * * *", now, utc_ns(2026, 11, 22, 17, 30));
  follows("5/20 * ? * *", now, utc_ns(2026, 11, 21, 17, 45));
  follows("0 0 1 jan *", now, utc_ns(2027, 1, 1, 0, 0));
  follows("0 0 * * MON-fri", now, utc_ns(2026, 11, 23, 0, 0));
  follows("0 0 29 2 *", now, utc_ns(2028, 2, 29, 0, 0));
  follows("0 0 31 2 *", now, CRON_NEVER);
  follows("@daily", now, utc_ns(2026, 11, 22, 0, 0));
  follows("@yearly", now, utc_ns(2027, 1, 1, 0, 0));
  follows("@every 90s", now, utc_ns(2026, 11, 21, 17, 31) + 42 * NS_PER_SEC);
  follows("@every 0.2s", now, utc_ns(2026, 11, 21, 17, 30) + 13 * NS_PER_SEC);
  follows("CRON_TZ=America/New_York 0 12 * * *", now, utc_ns(2026, 11, 22, 17, 0));
  follows("TZ=Asia/Tokyo @daily", now, utc_ns(2026, 11, 22, 15, 0));
}

/* Two restricted days: either is enough. */
TEST(days_of_the_month_and_the_week) {
  int64_t now = utc_ns(2026, 11, 21, 17, 30);
  follows("0 0 13 * 1", now, utc_ns(2026, 11, 23, 0, 0));
  follows("0 0 13 * */1", now, utc_ns(2026, 12, 13, 0, 0));
  follows("0 0 */2 * 1", now, utc_ns(2026, 11, 23, 0, 0));
}

TEST(what_is_no_cron_schedule) {
  const char *bad[] = {"",
                       "* * * *",
                       "* * * * * *",
                       "60 * * * *",
                       "* 24 * * *",
                       "* * 0 * *",
                       "* * 32 * *",
                       "* * * 13 *",
                       "* * * * 7",
                       "x * * * *",
                       "1-2-3 * * * *",
                       "1/2/3 * * * *",
                       "5-3 * * * *",
                       "*/0 * * * *",
                       "-1 * * * *",
                       "@never",
                       "@every",
                       "@every x",
                       "@every 1d",
                       "TZ=UTC",
                       "TZ=X/Y 0 0 * * *",
                       "* * * january *",
                       "TZ=../x * * * * *"};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    cron c;
    if (!cron_parse(span_cstr(bad[i]), &all, &a, &c)) fail_msg("accepted: %s", bad[i]);
  }
}

TEST(backoff_is_in_whole_seconds) {
  cron c = parsed("* * * * *");
  int64_t start = utc_ns(2026, 11, 21, 17, 30) + NS_PER_SEC / 4;
  assert_int_equal(cron_backoff_ns(&c, start, start), 60 * NS_PER_SEC);
  assert_int_equal(cron_backoff_ns(&c, start, start + 100 * NS_PER_SEC), 20 * NS_PER_SEC);
  assert_int_equal(cron_backoff_ns(&c, start + 7 * NS_PER_SEC, start), 7 * NS_PER_SEC);
  assert_int_equal(cron_backoff_ns(&c, start, utc_ns(2026, 11, 21, 17, 33)), 0);
  cron s = parsed("@every 3s");
  assert_int_equal(cron_backoff_ns(&s, start, start), 3 * NS_PER_SEC);
  assert_int_equal(cron_backoff_ns(&s, start, start + 7 * NS_PER_SEC), 2 * NS_PER_SEC);
  cron never = parsed("0 0 31 2 *");
  assert_int_equal(cron_backoff_ns(&never, start, start), CRON_NEVER);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_time_after),
      cmocka_unit_test(days_of_the_month_and_the_week),
      cmocka_unit_test(what_is_no_cron_schedule),
      cmocka_unit_test(backoff_is_in_whole_seconds),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

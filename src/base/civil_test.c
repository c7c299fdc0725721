#include "base/civil.h"

#include "base/test.h"

TEST(dates_that_everybody_knows) {
  assert_int_equal(civil_days(1970, 1, 1), 0);
  assert_int_equal(civil_weekday(0), 4);
  assert_int_equal(civil_days(2000, 2, 29), 11016);
  assert_int_equal(civil_weekday(civil_days(2026, 11, 21)), 6);
  assert_int_equal(civil_days(1969, 12, 31), -1);
  assert_int_equal(civil_weekday(-1), 3);
}

TEST(every_day_comes_back) {
  int64_t last = civil_days(2401, 1, 1);
  for (int64_t d = civil_days(1, 1, 1); d < last; d++) {
    civil_date c = civil_of_days(d);
    assert_int_equal(civil_days(c.year, c.month, c.day), d);
    assert_true(c.day >= 1 && c.day <= civil_month_days(c.year, c.month));
  }
}

TEST(leap_years) {
  assert_int_equal(civil_month_days(2000, 2), 29);
  assert_int_equal(civil_month_days(1900, 2), 28);
  assert_int_equal(civil_month_days(2024, 2), 29);
  assert_int_equal(civil_month_days(2026, 2), 28);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dates_that_everybody_knows),
      cmocka_unit_test(every_day_comes_back),
      cmocka_unit_test(leap_years),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

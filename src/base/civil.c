#include "base/civil.h"

enum { DAYS_TO_1970 = 719468, ERA_DAYS = 146097 }; /* from 0000-03-01; days of 400 years */

/* Years are counted from March, so that the leap day is a year's last. */
int64_t civil_days(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * ERA_DAYS + day_of_era - DAYS_TO_1970;
}

civil_date civil_of_days(int64_t days) {
  days += DAYS_TO_1970;
  int64_t era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
  int64_t day_of_era = days - era * ERA_DAYS;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t from_march = (5 * day_of_year + 2) / 153;
  civil_date d = {.day = (int)(day_of_year - (153 * from_march + 2) / 5 + 1),
                  .month = (int)(from_march < 10 ? from_march + 3 : from_march - 9)};
  d.year = year_of_era + era * 400 + (d.month <= 2);
  return d;
}

int civil_month_days(int64_t year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + leap;
}

int civil_weekday(int64_t days) {
  int64_t d = (days + 4) % 7;
  return (int)(d < 0 ? d + 7 : d);
}

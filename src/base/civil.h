/* civil.h - dates of the proleptic Gregorian calendar and the days since 1970-01-01. No zones. */
#ifndef PERDURE_BASE_CIVIL_H
#define PERDURE_BASE_CIVIL_H

#include "base/base.h"

enum { DAY_SECONDS = 86400 };

typedef struct civil_date {
  int64_t year;
  int month, day; /* from 1 */
} civil_date;

/* Years 0 to 9999; month 1 to 12; the day may lie beyond the month's end. */
int64_t civil_days(int64_t year, int month, int day);
civil_date civil_of_days(int64_t days);
int civil_month_days(int64_t year, int month);
/* 0: Sunday. */
int civil_weekday(int64_t days);

#endif

/* calendar.h - times that a calendar names: sets of seconds, minutes, hours, days, months, years.
 *
 * The clock of a zone decides. A time that a change of the clock leaves out does not happen; in an
 * hour that happens twice, what matches happens in both copies.
 */
#ifndef PERDURE_SCHEDULE_CALENDAR_H
#define PERDURE_SCHEDULE_CALENDAR_H

#include "schedule/zone.h"

enum { CALENDAR_FIRST_YEAR = 2000, CALENDAR_LAST_YEAR = 2100 };

/* Bit n is set: n matches. Months and days count from 1, weekdays from 0 (Sunday). */
typedef struct calendar {
  uint64_t seconds, minutes;
  uint32_t hours, days, months, weekdays;
  uint64_t years[2]; /* from CALENDAR_FIRST_YEAR */
  bool any_year;
  bool either_day; /* a matching weekday is enough, and so is a matching day (classic cron) */
} calendar;

static inline uint64_t calendar_bits(int from, int to, int step) {
  uint64_t bits = 0;
  for (int i = MAX(from, 0); i <= MIN(to, 63); i += MAX(step, 1)) bits |= UINT64_C(1) << i;
  return bits;
}

void calendar_add_years(calendar *c, int from, int to, int step);

bool calendar_matches(const calendar *c, const zone *z, int64_t unix_s);

#define CALENDAR_NEVER INT64_MAX

/* The first match after a time, in a year up to `last_year`, or CALENDAR_NEVER. The search takes
 * its steps from `budget`, and is given up when none are left (*budget < 0). */
int64_t calendar_next(const calendar *c, const zone *z, int64_t after_s, int64_t last_year,
                      int64_t *budget);

#endif

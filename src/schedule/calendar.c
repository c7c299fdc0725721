/* calendar.c - between two changes of the clock a zone's time is plain: the search walks a calendar
 * without zones, and goes on in the next such period when it would leave one. */
#include "schedule/calendar.h"

void calendar_add_years(calendar *c, int from, int to, int step) {
  for (int y = MAX(from, CALENDAR_FIRST_YEAR); y <= MIN(to, CALENDAR_LAST_YEAR);
       y += MAX(step, 1)) {
    int bit = y - CALENDAR_FIRST_YEAR;
    c->years[bit / 64] |= UINT64_C(1) << bit % 64;
  }
}

static bool has(uint64_t bits, int n) { return bits >> n & 1; }

static bool year_matches(const calendar *c, int64_t year) {
  if (c->any_year) return true;
  int64_t bit = year - CALENDAR_FIRST_YEAR;
  return bit >= 0 && bit < 128 && has(c->years[bit / 64], (int)(bit % 64));
}

static bool day_matches(const calendar *c, int day, int weekday) {
  bool by_day = has(c->days, day), by_weekday = has(c->weekdays, weekday);
  return c->either_day ? by_day || by_weekday : by_day && by_weekday;
}

bool calendar_matches(const calendar *c, const zone *z, int64_t unix_s) {
  zone_clock t = zone_show(z, unix_s);
  return year_matches(c, t.date.year) && has(c->months, t.date.month) &&
         day_matches(c, t.date.day, t.weekday) && has(c->hours, t.hour) &&
         has(c->minutes, t.minute) && has(c->seconds, t.second);
}

/* The least member from n on, or -1. */
static int member_from(uint64_t bits, int n) {
  bits = n < 64 ? bits >> n << n : 0;
  return bits ? __builtin_ctzll(bits) : -1;
}

/* The first matching second of a day from second `from` of it, or -1. */
static int64_t second_of_day(const calendar *c, int64_t from) {
  int hour = (int)(from / 3600), minute = (int)(from / 60 % 60), second = (int)(from % 60);
  int s = has(c->hours, hour) && has(c->minutes, minute) ? member_from(c->seconds, second) : -1;
  if (s >= 0 && s < 60) return from - second + s;
  int first = member_from(c->seconds, 0);
  if (first < 0 || first > 59) return -1;
  int m = has(c->hours, hour) ? member_from(c->minutes, minute + 1) : -1;
  if (m >= 0 && m < 60) return (int64_t)hour * 3600 + m * 60 + first;
  int h = member_from(c->hours, hour + 1);
  m = member_from(c->minutes, 0);
  if (h < 0 || h > 23 || m < 0 || m > 59) return -1;
  return (int64_t)h * 3600 + m * 60 + first;
}

/* The first matching day from this one on; false: none up to the end of `last_year`. */
static bool day_from(const calendar *c, int64_t *days, int64_t last_year, int64_t *budget) {
  civil_date d = civil_of_days(*days);
  while (d.year <= last_year && --*budget >= 0) {
    if (!year_matches(c, d.year)) {
      d = (civil_date){.year = d.year + 1, .month = 1, .day = 1};
    } else if (!has(c->months, d.month) || d.day > civil_month_days(d.year, d.month)) {
      d.day = 1;
      if (++d.month > 12) d = (civil_date){.year = d.year + 1, .month = 1, .day = 1};
    } else {
      *days = civil_days(d.year, d.month, d.day);
      if (day_matches(c, d.day, civil_weekday(*days))) return true;
      d.day++;
    }
  }
  return false;
}

/* As calendar_next, on a clock that is never changed. */
static int64_t plain_next(const calendar *c, int64_t after, int64_t last_year, int64_t *budget) {
  int64_t at = after + 1;
  int64_t days = at / DAY_SECONDS - (at % DAY_SECONDS < 0), first = days;
  while (day_from(c, &days, last_year, budget)) {
    int64_t s = second_of_day(c, days == first ? at - days * DAY_SECONDS : 0);
    if (s >= 0) return days * DAY_SECONDS + s;
    if (days != first) return CALENDAR_NEVER; /* not at any second of a day */
    days++;
  }
  return CALENDAR_NEVER;
}

int64_t calendar_next(const calendar *c, const zone *z, int64_t after_s, int64_t last_year,
                      int64_t *budget) {
  for (;;) {
    zone_period p = zone_at(z, after_s + 1);
    int64_t local = plain_next(c, after_s + p.offset, last_year, budget);
    if (local == CALENDAR_NEVER) return CALENDAR_NEVER;
    if (local - p.offset < p.until) return local - p.offset;
    after_s = p.until - 1;
  }
}

/* zone_rule.c - the TZ strings of POSIX, as "CET-1CEST,M3.5.0,M10.5.0/3". */
#include "schedule/zone_int.h"

typedef struct reader {
  span s;
  bool bad;
} reader;

static int peek(const reader *r) { return r->s.n ? r->s.p[0] : -1; }

static void skip(reader *r) { r->s = span_of(r->s.p + 1, r->s.n - 1); }

static bool take(reader *r, char c) {
  if (peek(r) != c) return false;
  skip(r);
  return true;
}

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static bool is_letter(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static int number(reader *r, int least, int most) {
  int v = 0, digits = 0;
  for (; is_digit(peek(r)) && digits < 4; digits++) {
    v = v * 10 + (peek(r) - '0');
    skip(r);
  }
  if (!digits || v < least || v > most) r->bad = true;
  return v;
}

/* "CET" or "<+0330>" */
static void name(reader *r) {
  size_t n = 0;
  if (take(r, '<')) {
    while (r->s.n && peek(r) != '>') {
      skip(r);
      n++;
    }
    if (!take(r, '>')) r->bad = true;
  } else {
    for (; is_letter(peek(r)); n++) skip(r);
  }
  if (n < 3) r->bad = true;
}

/* [+-]hh[:mm[:ss]] in seconds; RFC 8536 allows up to 167 hours. */
static int64_t clock_time(reader *r) {
  int sign = take(r, '-') ? -1 : 1;
  if (sign == 1) take(r, '+');
  int64_t s = (int64_t)number(r, 0, 167) * 3600;
  if (take(r, ':')) s += (int64_t)number(r, 0, 59) * 60;
  if (take(r, ':')) s += number(r, 0, 59);
  return sign * s;
}

static zone_change change(reader *r) {
  zone_change c = {.second = 2 * 3600};
  if (!take(r, ',')) r->bad = true;
  if (take(r, 'M')) {
    c.kind = CHANGE_WEEKDAY;
    c.month = number(r, 1, 12);
    if (!take(r, '.')) r->bad = true;
    c.week = number(r, 1, 5);
    if (!take(r, '.')) r->bad = true;
    c.day = number(r, 0, 6);
  } else if (take(r, 'J')) {
    c.kind = CHANGE_JULIAN;
    c.day = number(r, 1, 365);
  } else {
    c.kind = CHANGE_DAY;
    c.day = number(r, 0, 365);
  }
  if (take(r, '/')) c.second = clock_time(r);
  return c;
}

bool zone_rule_parse(span text, zone_rule *ret_rule) {
  reader r = {.s = text};
  zone_rule rule = {.present = true};
  name(&r);
  rule.offset = -clock_time(&r);
  if (!r.bad && r.s.n) {
    rule.has_summer = true;
    rule.summer_offset = rule.offset + 3600;
    name(&r);
    if (r.s.n && peek(&r) != ',') rule.summer_offset = -clock_time(&r);
    rule.begin = change(&r);
    rule.end = change(&r);
  }
  if (r.bad || r.s.n) return false;
  *ret_rule = rule;
  return true;
}

/* The change in this year, in seconds since 1970 of the clock before it. */
static int64_t change_in(const zone_change *c, int64_t year) {
  int64_t days;
  if (c->kind == CHANGE_WEEKDAY) {
    int64_t first = civil_days(year, c->month, 1);
    int day = (c->day - civil_weekday(first) + 7) % 7 + (c->week - 1) * 7;
    while (day >= civil_month_days(year, c->month)) day -= 7;
    days = first + day;
  } else {
    bool after_leap_day =
        c->kind == CHANGE_JULIAN && civil_month_days(year, 2) == 29 && c->day > 59;
    days = civil_days(year, 1, 1) + c->day - (c->kind == CHANGE_JULIAN) + after_leap_day;
  }
  return days * DAY_SECONDS + c->second;
}

zone_period zone_rule_at(const zone_rule *r, int64_t unix_s) {
  zone_period p = {.offset = r->offset, .from = INT64_MIN, .until = INT64_MAX};
  if (!r->has_summer) return p;
  int64_t local = unix_s + r->offset;
  int64_t days = local / DAY_SECONDS - (local % DAY_SECONDS < 0);
  int64_t year = civil_of_days(days).year;
  /* The changes of three years, in order, are enough around any time. */
  for (int64_t y = year - 1; y <= year + 1; y++) {
    int64_t begin = change_in(&r->begin, y) - r->offset;
    int64_t end = change_in(&r->end, y) - r->summer_offset;
    const struct {
      int64_t at, offset;
    } both[] = {{MIN(begin, end), begin < end ? r->summer_offset : r->offset},
                {MAX(begin, end), begin < end ? r->offset : r->summer_offset}};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
      if (both[i].at > unix_s) {
        p.until = both[i].at;
        return p;
      }
      p.from = both[i].at;
      p.offset = both[i].offset;
    }
  }
  return p;
}

/* zone_int.h - inside the zones: what is kept of a TZif file. */
#ifndef PERDURE_SCHEDULE_ZONE_INT_H
#define PERDURE_SCHEDULE_ZONE_INT_H

#include "schedule/zone.h"

/* When in a year a rule changes the clock. */
typedef struct zone_change {
  enum { CHANGE_JULIAN, CHANGE_DAY, CHANGE_WEEKDAY } kind; /* Jn, n, Mm.w.d of POSIX */
  int month, week, day;
  int64_t second; /* of that day, by the clock before the change */
} zone_change;

/* What holds after the last listed transition: the TZ string of POSIX at the end of the file. */
typedef struct zone_rule {
  bool present, has_summer;
  int64_t offset, summer_offset;
  zone_change begin, end; /* of summer time */
} zone_rule;

typedef struct zone_transition {
  int64_t at, offset; /* from this time on */
} zone_transition;

struct zone {
  int64_t first_offset; /* before the first transition */
  const zone_transition *transitions;
  size_t n;
  zone_rule rule;
};

/* False: not a rule. */
bool zone_rule_parse(span text, zone_rule *ret_rule);
/* The period of the rule that holds a time, not before `least`. */
zone_period zone_rule_at(const zone_rule *r, int64_t unix_s);

#endif

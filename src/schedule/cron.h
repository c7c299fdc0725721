/* cron.h - the cron schedule of a workflow: five fields, or a descriptor as "@daily" and "@every
 * 1h30m", after an optional "CRON_TZ=zone ".
 *
 * Unlike the calendars of a schedule (spec.h), a day matches when the day of the month or the
 * weekday does, where both are restricted; Sunday is only 0; names have three letters.
 */
#ifndef PERDURE_SCHEDULE_CRON_H
#define PERDURE_SCHEDULE_CRON_H

#include "schedule/calendar.h"

typedef struct cron {
  int64_t every_ns; /* "@every"; 0: the calendar */
  calendar calendar;
  const zone *zone;
} cron;

/* INVALID_ARGUMENT says what is wrong; clients are only told "invalid CronSchedule." */
MUST_USE err *cron_parse(span text, zones *z, arena *a, cron *ret_cron);

#define CRON_NEVER INT64_MAX

/* The first time after this one, within five years, or CRON_NEVER. */
int64_t cron_next(const cron *c, int64_t after_ns);
/* How long a run waits whose predecessor was due at `scheduled_ns`: until the first time after
 * that which is not before now, in whole seconds, rounded up. CRON_NEVER: there is none. */
int64_t cron_backoff_ns(const cron *c, int64_t scheduled_ns, int64_t now_ns);

#endif

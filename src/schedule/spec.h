/* spec.h - when a schedule acts: calendars, intervals, what is excluded, a time zone, jitter.
 *
 * A spec that a client sends is first made canonical: calendars in text and cron strings become
 * structured calendars and intervals, which is what is stored and shown. Then it is compiled, once
 * per change, and asked for the times that follow a time.
 *
 * Times have a resolution of a second, up to the year 2100; jitter is in milliseconds. Beyond what
 * the protocol's server does, a search is bounded: a spec that excludes nearly everything gets
 * `gave_up` instead of the thread.
 *
 * Where the protocol's server loses times, this does not: in the hour that is repeated when summer
 * time ends, it skips matches or shifts them, east of Greenwich. Here every match of both copies
 * counts, as it does there to the west.
 */
#ifndef PERDURE_SCHEDULE_SPEC_H
#define PERDURE_SCHEDULE_SPEC_H

#include "proto/pb.gen.h"
#include "schedule/zone.h"

typedef struct spec spec;

#define SPEC_NEVER INT64_MAX

/* INVALID_ARGUMENT says what is wrong. The result shares parts of `in`. */
MUST_USE err *spec_canonical(const pb_ScheduleSpec *in, arena *a, pb_ScheduleSpec **ret_canonical);

/* Of a canonical spec, which must outlive the result, as must `z`. INVALID_ARGUMENT: its time zone
 * is not known. */
MUST_USE err *spec_compile(const pb_ScheduleSpec *canonical, zones *z, arena *a,
                           const spec **ret_spec);

/* A copy as clients are shown it: every range has its end and its step. */
pb_ScheduleSpec *spec_shown(const pb_ScheduleSpec *canonical, arena *a);

typedef struct spec_time {
  int64_t nominal_ns; /* as the spec names it; SPEC_NEVER: no more */
  int64_t next_ns;    /* with jitter */
  bool gave_up;
} spec_time;

/* The first time after `after_ns`. The seed makes the jitter of different schedules differ. */
spec_time spec_next(const spec *s, span jitter_seed, int64_t after_ns);

#endif

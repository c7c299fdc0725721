/* pb_time.h - the protocol's times and durations as nanoseconds in an int64_t.
 *
 * Durations from clients may be larger than that holds: they are capped at PB_MAX_DURATION_NS
 * (100 years, as the original caps them).
 */
#ifndef PERDURE_PROTO_PB_TIME_H
#define PERDURE_PROTO_PB_TIME_H

#include "proto/pb.gen.h"

#define PB_MAX_DURATION_NS (INT64_C(100) * 365 * 24 * 3600 * NS_PER_SEC)

static inline pb_Timestamp *pb_time_new(arena *a, int64_t ns) {
  pb_Timestamp *t = pb_new(a, Timestamp);
  t->seconds = ns / NS_PER_SEC;
  t->nanos = (int32_t)(ns % NS_PER_SEC);
  if (t->nanos < 0) {
    t->nanos += (int32_t)NS_PER_SEC;
    t->seconds--;
  }
  return t;
}

/* NULL (an absent field) for 0. */
static inline pb_Timestamp *pb_time_or_null(arena *a, int64_t ns) {
  return ns ? pb_time_new(a, ns) : NULL;
}

/* Times that an int64_t cannot hold become the earliest or latest that it can. */
static inline int64_t pb_time_ns(const pb_Timestamp *t) {
  if (!t) return 0;
  if (t->seconds >= INT64_MAX / NS_PER_SEC) return INT64_MAX;
  if (t->seconds <= INT64_MIN / NS_PER_SEC) return INT64_MIN;
  return t->seconds * NS_PER_SEC + t->nanos;
}

static inline pb_Duration *pb_duration_new(arena *a, int64_t ns) {
  pb_Duration *d = pb_new(a, Duration);
  d->seconds = ns / NS_PER_SEC;
  d->nanos = (int32_t)(ns % NS_PER_SEC);
  return d;
}

static inline int64_t pb_duration_ns(const pb_Duration *d) {
  if (!d) return 0;
  if (d->seconds >= PB_MAX_DURATION_NS / NS_PER_SEC) return PB_MAX_DURATION_NS;
  if (d->seconds <= -PB_MAX_DURATION_NS / NS_PER_SEC) return -PB_MAX_DURATION_NS;
  return d->seconds * NS_PER_SEC + d->nanos;
}

#endif

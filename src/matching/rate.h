/* rate.h - how often something happens, and a limit on how often it may. Pure: the caller tells the
 * time. */
#ifndef PERDURE_MATCHING_RATE_H
#define PERDURE_MATCHING_RATE_H

#include "base/base.h"

enum { RATE_SLOTS = 6 };
#define RATE_SLOT_NS (5 * NS_PER_SEC)

/* Counts over the last half minute, in slots. All zero: nothing was counted yet. */
typedef struct rate_meter {
  int64_t first_ns; /* when counting began */
  int64_t slot;     /* number of the newest slot, since 1970 */
  uint32_t counts[RATE_SLOTS];
} rate_meter;

void rate_count(rate_meter *m, int64_t now_ns);
/* Over the last half minute, or since counting began if that is shorter. */
float rate_per_second(const rate_meter *m, int64_t now_ns);

/* So many a second, and at most one second's worth at once. All zero: no limit. */
typedef struct rate_limit {
  bool limited;
  float per_second;
  int64_t interval_ns; /* between two, 0: none may pass */
  int64_t burst;
  int64_t next_ns; /* when the next one would be due if they came evenly */
} rate_limit;

/* What was used up is remembered. */
void rate_limit_set(rate_limit *l, float per_second);
void rate_limit_clear(rate_limit *l);
/* True: it may pass now, and is counted. */
bool rate_limit_take(rate_limit *l, int64_t now_ns);
/* When one may pass; INT64_MAX: never. */
int64_t rate_limit_next_ns(const rate_limit *l);

#endif

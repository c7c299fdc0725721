/* scheduler_int.h - inside the scheduler: overlap policies. */
#ifndef PERDURE_SCHEDULE_SCHEDULER_INT_H
#define PERDURE_SCHEDULE_SCHEDULER_INT_H

#include "schedule/scheduler.h"

pb_Schedule *schedule_of(const scheduler *s);

/* --- overlap.c --- */

typedef struct overlap_input {
  pb_store_ScheduledStart **starts; /* what is buffered, in order */
  size_t n;
  bool is_running;
  int32_t policy; /* where a start names none */
} overlap_input;

typedef struct overlap_outcome {
  pb_store_ScheduledStart **beside; /* start them all, whatever runs */
  size_t n_beside;
  pb_store_ScheduledStart *alone; /* start this one; NULL: none */
  pb_store_ScheduledStart **waiting;
  size_t n_waiting;
  int64_t skipped;
  bool cancel, terminate; /* what runs */
} overlap_outcome;

overlap_outcome overlap_decide(const overlap_input *in, arena *a);

#endif

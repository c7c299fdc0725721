/* activity.h - pending activities.
 *
 *               start                 complete, fail for good, cancel, time out for good
 *   SCHEDULED ---------> STARTED ------------------------------------------------------> gone
 *       ^  '---------------|------- schedule timeouts, cancel, complete by id ----------->
 *       |                  | fail or time out, and the policy says retry
 *       '---- its time ----+--> BACKOFF -- cancel, complete by id ----------------------->
 *
 * No event is written while attempts come and go: ActivityTaskStarted is written together with the
 * event that ends the activity, dated back to when that attempt started.
 */
#ifndef PERDURE_ENGINE_ACTIVITY_H
#define PERDURE_ENGINE_ACTIVITY_H

#include "engine/engine_int.h"

typedef pb_store_ActivityItem activity;

/* When something happens to the activity by itself. */
int64_t activity_due_ns(const activity *act);
/* Records the new state: deadline and place in its queue follow from it. */
void activity_update(engine_run *run, engine_item *it);
/* Offers a SCHEDULED activity to workers. */
void activity_offer(engine_run *run, engine_item *it);

/* How an attempt ended. */
typedef struct attempt_end {
  const pb_Failure *failure;
  span identity;
  int32_t timeout_type; /* of a timeout, else 0 */
} attempt_end;

/* Another attempt if the policy allows (then IN_PROGRESS), or why not. */
int32_t activity_retry(engine_run *run, engine_item *it, const attempt_end *end);

/* Writes Started (if an attempt is running) and the closing event, and removes the activity. */
void activity_close(engine_run *run, engine_item *it, pb_HistoryEvent *closing);
void activity_close_failed(engine_run *run, engine_item *it, const attempt_end *end,
                           int32_t retry_state);

#endif

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
/* Its own and, for the rest, the workflow's; NULL when neither has one. */
const pb_Priority *activity_priority(const engine_run *run, const activity *act, arena *a);
/* Records the new state: deadline and place in its queue follow from it. */
void activity_update(engine_run *run, engine_item *it);
/* The activity of an ActivityTaskScheduled event, which is not offered yet. */
engine_item *activity_add(engine_run *run, pb_HistoryEvent *scheduled);
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

/* Which activities an operator means: those of a name, an id or a type; or all. */
typedef struct activity_choice {
  bool all, by_type;
  span name;
} activity_choice;

/* Of the oneof that these requests have in common. */
#define ACTIVITY_CHOICE(r, Request)                                                    \
  ((r)->which_activity == PB_##Request##_id_FIELD ? (activity_choice){.name = (r)->id} \
   : (r)->which_activity == PB_##Request##_type_FIELD                                  \
       ? (activity_choice){.by_type = true, .name = (r)->type}                         \
       : (activity_choice){.all = true})

/* The pending activities that are meant, by scheduled event. NOT_FOUND when there is none. */
MUST_USE err *activities_chosen(engine_run *run, engine_step *st, activity_choice which,
                                engine_item ***ret_items, size_t *ret_n);
/* The waiting attempt is offered at this time, now or later. */
void activity_reschedule(engine_run *run, engine_item *it, int64_t at_ns);
/* Ends the step of an operator: nothing is written to history. */
void activity_adjusted(engine_run *run);
/* The options it was scheduled with count again. */
void activity_restore_options(engine_run *run, activity *act);
/* As described: the original leaves out the types of errors that are not retried. */
pb_ActivityOptions *activity_options_shown(const pb_ActivityOptions *o, arena *a);

/* --- activity_commands.c --- */

/* Why an activity cannot be scheduled like that, or NULL. */
const char *schedule_problem(const pb_ScheduleActivityTaskCommandAttributes *in, arena *a);
/* Fills in the timeouts that were left out, and caps all by the run's (0: none). */
void activity_resolve_timeouts(const pb_ScheduleActivityTaskCommandAttributes *in, int64_t run_ns,
                               pb_ActivityTaskScheduledEventAttributes *out, arena *a);

#endif

/* scheduler.h - the rules of one schedule: (state, command, time) -> (state, effects).
 *
 * Pure: works on the stored state in place and says what is to be done outside: workflows to start,
 * to cancel, to terminate. Whoever keeps the state delivers the effects at least once and reports
 * how each start came out and how each workflow ended; the state counts what is under way.
 *
 *          the spec's times, triggers, backfills
 *                          |
 *                          v
 *   skipped, dropped <- buffered --- overlap policy ---> starting ---> running ---> ended
 *                          ^                               |              |
 *                          '------- the next one <---------'--------------'
 *
 * A buffered action meets the overlap policy when it could begin, not when it was due, so that an
 * update of the policy counts for what waits already. An action whose policy is ALLOW_ALL is
 * started and forgotten: it is neither running nor does its result reach the next one.
 *
 * Texts, orders and limits are those of server 1.32.
 */
#ifndef PERDURE_SCHEDULE_SCHEDULER_H
#define PERDURE_SCHEDULE_SCHEDULER_H

#include "schedule/spec.h"

enum {
  SCHEDULER_BUFFER = 1000,     /* actions and backfills that wait */
  SCHEDULER_BACKFILL_STEP = 10 /* actions of backfills in one go */
};

typedef struct scheduler_effect {
  enum { EFFECT_START, EFFECT_CANCEL, EFFECT_TERMINATE } kind;
  const pb_store_ScheduledStart *start; /* EFFECT_START */
  const pb_WorkflowExecution *target;   /* the others: the first run of a chain */
} scheduler_effect;

typedef struct scheduler {
  /* given */
  pb_store_ScheduleState *state; /* changed in place; what it grows by lives in the arena */
  const spec *spec;              /* of state->schedule->spec; NULL: it is not valid */
  span jitter_seed;
  int64_t now_ns;
  arena *arena;
  /* effects of the calls so far, in order */
  scheduler_effect *effects;
  size_t n_effects, cap_effects;
  size_t buffer_room; /* of state->buffered, as far as it is known */
} scheduler;

/* --- commands; scheduler_advance follows each of them --- */

/* Makes the state of a schedule that was just created; the spec is canonical. */
void scheduler_create(scheduler *s, const pb_Schedule *schedule);
/* Replaces what clients can set. Nothing, when the token is that of another state (0: of any); then
 * it is false. The caller compiles the new spec. */
bool scheduler_update(scheduler *s, const pb_Schedule *schedule, int64_t token);
void scheduler_patch(scheduler *s, const pb_SchedulePatch *patch);

/* Time has passed, or something has changed: what is due is buffered, what can begin becomes an
 * effect, and state->due_time is set. */
void scheduler_advance(scheduler *s);
/* No action will ever follow, and the time for which that is shown is over. */
bool scheduler_is_over(const scheduler *s);

/* --- what became of effects; scheduler_advance follows --- */

void scheduler_started(scheduler *s, const pb_store_ScheduledStart *start,
                       const pb_WorkflowExecution *execution, int64_t time_ns);
void scheduler_not_started(scheduler *s, const pb_store_ScheduledStart *start);
/* The last run of a chain that the schedule started has ended. */
typedef struct scheduler_end {
  span workflow_id, first_run_id;
  int32_t status;
  span result;               /* p == NULL: none */
  const pb_Failure *failure; /* or NULL */
} scheduler_end;

void scheduler_ended(scheduler *s, const scheduler_end *end);

/* --- reads --- */

/* The next times, up to `n`, as describe and list show them. */
pb_list_Timestamp scheduler_future(const scheduler *s, size_t n);
/* Matching times in (from, until]; `ret_gave_up`: the spec excludes too much. */
pb_list_Timestamp scheduler_matching(const scheduler *s, int64_t from_ns, int64_t until_ns,
                                     bool *ret_gave_up);
pb_Schedule *scheduler_shown(const scheduler *s);
pb_ScheduleInfo *scheduler_info(const scheduler *s);
pb_ScheduleListInfo *scheduler_list_info(const scheduler *s);
/* Id of the workflow that a start makes: the action's with the nominal time behind it. */
span scheduler_workflow_id(const scheduler *s, const pb_store_ScheduledStart *start);
/* The nominal time in whole seconds, "2026-11-21T17:00:00Z". */
span scheduler_nominal_text(const scheduler *s, const pb_store_ScheduledStart *start);

#endif

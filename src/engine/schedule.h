/* schedule.h - schedules as the engine keeps them: a row like a run's, without a history.
 *
 * A schedule has what a run has: an id that is unique in its namespace, a key, a state that changes
 * step by step, a due time by which it is found after a restart, a place in lists. So it is stored
 * as a run, in a namespace of its own (schedule_ns), where no workflow can meet a schedule,
 * and everything that finds, loads, evicts, commits and deletes runs does the same for schedules.
 * The rules are schedule/scheduler.h; RunState.schedule holds their state. Functions of engine.h
 * that are not named here must not be called for a schedule; engine_fire, engine_load, engine_check
 * and the reads by which runs are kept may.
 */
#ifndef PERDURE_ENGINE_SCHEDULE_H
#define PERDURE_ENGINE_SCHEDULE_H

#include "engine/engine.h"

/* Key of the namespace that holds the schedules of a namespace, and back. */
static inline int64_t schedule_ns(int64_t ns) { return -ns; }

/* A schedule's workflow id is its own id behind this; errors and filters show it. */
#define SCHEDULE_RUN_PREFIX "temporal-sys-scheduler:"

static inline span schedule_workflow_id(span schedule_id, arena *a) {
  return arena_spanf(a, SCHEDULE_RUN_PREFIX "%.*s", SPAN_ARG(schedule_id));
}

static inline span schedule_id_of(span workflow_id) {
  const size_t n = sizeof SCHEDULE_RUN_PREFIX - 1;
  return workflow_id.n < n ? workflow_id : span_of(workflow_id.p + n, workflow_id.n - n);
}

typedef struct engine_schedule_args {
  int64_t ns; /* schedule_ns of the namespace's key */
  span ns_name, ns_id;
  int64_t run;
  span run_id;
  int64_t expected_run;                    /* as in engine_start_args */
  const pb_CreateScheduleRequest *request; /* validated, its spec canonical */
  /* What an action starts, with defaults filled in, but for its input, header, user metadata and
   * id; NULL: nothing, the action is not one that could be started. */
  const pb_StartWorkflowExecutionRequest *start;
} engine_schedule_args;

engine_run *engine_schedule_create(engine_step *st, const engine_schedule_args *args);
bool engine_is_schedule(const engine_run *run);

/* NOT_FOUND: it was deleted. A request id that was seen already, and a conflict token of another
 * state, change nothing; that is no error. */
MUST_USE err *engine_schedule_update(engine_run *run, engine_step *st,
                                     const pb_UpdateScheduleRequest *r,
                                     const pb_StartWorkflowExecutionRequest *start);
MUST_USE err *engine_schedule_patch(engine_run *run, engine_step *st,
                                    const pb_PatchScheduleRequest *r);
/* A schedule that was deleted, or is over, is kept like a closed run, and for as long. */
MUST_USE err *engine_schedule_delete(engine_run *run, engine_step *st);

/* A workflow is being started or stopped. */
bool engine_schedule_is_busy(const engine_run *run);

/* --- reads; results live in the arena and share nothing with the run --- */

pb_DescribeScheduleResponse *engine_schedule_describe(const engine_run *run, zones *z, arena *a);
/* INVALID_ARGUMENT: the spec excludes nearly everything. */
MUST_USE err *engine_schedule_matching(const engine_run *run, zones *z,
                                       const pb_ListScheduleMatchingTimesRequest *r, arena *a,
                                       pb_ListScheduleMatchingTimesResponse **ret);
/* Of what a row holds. DATA_LOSS. */
MUST_USE err *engine_schedule_entry(span info, span state, zones *z, arena *a,
                                    pb_ScheduleListEntry **ret_entry);

#endif

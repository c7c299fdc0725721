/* replay.h - a run's state from its history: what events alone say.
 *
 * Pure, and without effects: nothing is offered to workers and no event is made. What history does
 * not hold is as in a run that nothing else happened to: attempts of activities, heartbeats, the
 * sticky queue, request ids of signals, attempts of workflow tasks that are not written.
 *
 * Every step of the engine's scripts checks that this gives the state that the step left.
 */
#ifndef PERDURE_ENGINE_REPLAY_H
#define PERDURE_ENGINE_REPLAY_H

#include "engine/engine_int.h"

/* What history does not say of the run that is made. */
typedef struct replay_args {
  span ns_name, run_id, request_id;
  const pb_WorkflowExecution *schedule; /* that started it, or NULL */
  int64_t first_run_start_ns;           /* of the chain; 0: this is its first run */
  /* The run starts its clocks anew at this time, as if it had just been started: deadlines and the
   * reset points' times count from here. 0: everything is as old as its event. */
  int64_t restart_ns;
} replay_args;

/* Applies the events, which begin with the first, to a new run in a transaction. They stay in use
 * until the transaction ends. DATA_LOSS: they do not fit each other; FAILED_PRECONDITION: an event
 * of this type cannot be replayed. */
MUST_USE err *replay(engine_run *run, const replay_args *args, pb_HistoryEvent *const *events,
                     size_t n);

#endif

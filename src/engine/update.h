/* update.h - the updates of a run, from the request of a client to the outcome.
 *
 *   (unknown) --admit--> ADMITTED --task--> SENT --acceptance--> ACCEPTED --response--> COMPLETED
 *                            |               |'--rejection, silence of the worker--> (unknown)
 *                            '---------------+--the run closes, its task fails--> aborted
 *
 * Until it is accepted, only memory knows an update (run->updates): it makes the next workflow task
 * carry a message, and a speculative task where none is pending. A crash forgets it; its client has
 * no answer yet and asks again. From its UpdateAccepted event on it is an item, found by its id as
 * long as the run is kept; the outcome is in its UpdateCompleted event.
 *
 * What changes in a step is marked in the list and takes effect when the step's transaction ends
 * (updates_settle). engine_step.updates tells the shard of every update that came further.
 */
#ifndef PERDURE_ENGINE_UPDATE_H
#define PERDURE_ENGINE_UPDATE_H

#include "engine/engine_int.h"

/* From this attempt of the workflow task on updates are refused. */
enum { UPDATES_FAIL_FROM_ATTEMPT = 3 };

/* The update was asked for again while a worker had it. */
typedef struct update_repeat {
  list_node node;
  bytes *request;
} update_repeat;

typedef struct run_update {
  list_node node;
  bytes *request;  /* encoded update.v1.Request */
  int64_t item_id; /* its item, when an event admitted it; 0: only memory knows it */
  list repeats;    /* update_repeat with callbacks, attached when it is accepted */
  bool sent;       /* a worker has got it */
  bool leaves;     /* in this step: accepted, rejected or aborted */
  bool stays;      /* aborted with the run's end: kept to tell who asks */
  bool is_over;    /* it was aborted in an earlier step */
  size_t n;
  uint8_t id[];
} run_update;

static inline span update_id(const run_update *u) { return span_of(u->id, u->n); }

/* Neither accepted, rejected nor aborted. */
static inline bool update_waits(const run_update *u) { return !u->leaves && !u->is_over; }

typedef enum update_abort {
  UPDATE_ABORT_TASK_BROKEN,  /* the completion that was to answer it is not valid */
  UPDATE_ABORT_TASK_FAILING, /* the workflow task fails again and again */
  UPDATE_ABORT_CLOSED,
  UPDATE_ABORT_CONTINUED, /* closed, and another run follows */
} update_abort;

/* Not delivered, aborted or answered yet; NULL: none of this id. */
run_update *update_find(const engine_run *run, span id);
run_update *update_add(engine_run *run, span id, bytes *request, int64_t item_id);
/* Some wait for a workflow task. */
bool updates_wait(const engine_run *run);
/* Updates that this completion has accepted: attaches what they were asked for with since. */
void updates_take_repeats(engine_run *run);
/* Ever admitted and not rejected. */
int64_t updates_count(const engine_run *run);

/* At the end of a transaction: marks take effect, or are taken back. */
void updates_settle(engine_run *run, bool keep);
void updates_release(engine_run *run);
/* After a load: those that an event admitted wait again. */
void updates_load(engine_run *run);

/* The messages of a task that is handed out: all that wait, oldest first, but for those that the
 * worker finds in the history. One that keeps itself alive by heartbeats has those of before. */
void updates_send(engine_run *run, arena *a, pb_list_Message *ret_messages);
/* The worker did not get them. */
void updates_unsend(engine_run *run);

/* Those that were sent (UPDATE_ABORT_TASK_BROKEN) or all are given up. */
void updates_abort(engine_run *run, update_abort why);
/* The run closes: what waits is aborted, what was accepted has failed. */
void updates_close(engine_run *run);
pb_Outcome *outcome_of_closed(arena *a);

/* Writes WorkflowExecutionUpdateAdmitted: a run that was reset gets the update once more. */
void update_admit_again(engine_run *run, const pb_update_Request *request);

/* --- update_messages.c: what a completion says of updates --- */

struct command_ctx;
/* A message without a body makes the whole completion no completion. */
MUST_USE err *messages_check(const pb_RespondWorkflowTaskCompletedRequest *r, arena *a);
/* Only rejections, or nothing. */
bool messages_only_reject(const pb_RespondWorkflowTaskCompletedRequest *r);
/* Those that no command stood for; then whatever the worker was sent and left unanswered is
 * rejected. */
MUST_USE err *messages_take_rest(struct command_ctx *c);

#endif

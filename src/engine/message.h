/* message.h - what a run has to tell other runs: derived from its pending items, never queued.
 *
 *   item                 while                            tells
 *   child                STARTING                         the child to start
 *   child                CLOSING                          the child that its parent has ended
 *   external signal      it is there                      the target a signal
 *   external cancel      it is there                      the target to cancel
 *   child result         it is there                      the parent how this run ended, or the
 *                                                         schedule that started it
 *   scheduled start      it is there                      the workflow to start
 *   schedule stop        it is there                      the workflow to cancel or terminate
 *
 * A step that makes such an item names it in `st->messages`; the shard delivers once the step is
 * durable, and gives the answer to engine_message_answered, which changes the item so that nothing
 * is left to tell. Nothing is written while a delivery is under way: the item's row has a due time,
 * which is how it is found after a restart, and the message is delivered again. So a receiver may
 * see a message twice, late, or after the sender has ended; (run id of the sender, id of the
 * message) names it, and every receiver is idempotent by that name:
 *
 *   start       the run id of the child was chosen when the start was initiated
 *   signal      its request id is remembered by the target
 *   cancel      a second request changes nothing, nor does one to a closed run
 *   close       terminating a closed run changes nothing
 *   result      the parent's child item is gone
 *
 * Sender and receiver share no step, no transaction and maybe no shard.
 */
#ifndef PERDURE_ENGINE_MESSAGE_H
#define PERDURE_ENGINE_MESSAGE_H

#include "engine/engine.h"

typedef enum engine_message_kind {
  MESSAGE_START_CHILD,
  MESSAGE_CLOSE_CHILD,
  MESSAGE_SIGNAL,
  MESSAGE_CANCEL,
  MESSAGE_CHILD_RESULT,
  MESSAGE_SCHEDULE_RESULT, /* as CHILD_RESULT, to a schedule */
} engine_message_kind;

typedef struct engine_message {
  engine_message_kind kind;
  int64_t id;                    /* of the item */
  int64_t ns;                    /* of the receiver */
  pb_WorkflowExecution from, to; /* to.run_id empty: the newest run */
  bool child_only;   /* SIGNAL, CANCEL, CLOSE_CHILD: the target must be a child of the sender */
  span request_id;   /* SIGNAL, CANCEL */
  span first_run_id; /* CLOSE_CHILD, CHILD_RESULT: of the child's chain */

  const pb_StartWorkflowExecutionRequest *start; /* START_CHILD */
  const engine_parent *parent;                   /* NULL: `schedule` starts it */
  const pb_WorkflowExecution *schedule;          /* NULL: `parent` does */
  span child_run_id;

  const pb_SignalExternalWorkflowExecutionInitiatedEventAttributes *signal; /* SIGNAL */
  span cause;      /* CANCEL, CLOSE_CHILD */
  span identity;   /* CLOSE_CHILD, of the sender that is no workflow; p == NULL: it is one */
  bool terminates; /* CLOSE_CHILD: else a request to cancel */

  int64_t parent_initiated_id; /* CHILD_RESULT */
  const pb_HistoryEvent *close;
} engine_message;

typedef enum engine_answer {
  ANSWER_DONE,
  ANSWER_ALREADY_EXISTS, /* START_CHILD */
  ANSWER_NOT_FOUND,      /* SIGNAL, CANCEL: no such run, or it cannot take a signal any more */
  ANSWER_SIGNAL_LIMIT,   /* SIGNAL */
} engine_answer;

/* --- the sender --- */

/* Names every item that has something to tell in st->messages (after a load). */
void engine_waiting_messages(const engine_run *run, engine_step *st);
/* Copies what the item has to tell now into the arena; false: nothing (any more). */
bool engine_message_read(const engine_run *run, int64_t id, arena *a, engine_message *ret_message);
/* The answer to a message of this kind. One that comes again, or too late, changes nothing. */
void engine_message_answered(engine_run *run, engine_step *st, int64_t id, engine_message_kind kind,
                             engine_answer answer);

/* --- the receiver; start, signal, cancel and terminate are those of engine.h --- */

/* Whether the run was started by this execution. */
bool engine_is_child_of(const engine_run *run, const pb_WorkflowExecution *parent);
/* The end of a child, told by the last run of its chain. */
void engine_child_ended(engine_run *run, engine_step *st, const engine_message *m);
/* The end of a workflow that the schedule `run` started, likewise. */
void engine_schedule_ended(engine_run *run, engine_step *st, const engine_message *m);

#endif

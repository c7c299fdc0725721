/* outside.h - pending children, signals and cancel requests: the items behind message.h. */
#ifndef PERDURE_ENGINE_OUTSIDE_H
#define PERDURE_ENGINE_OUTSIDE_H

#include "engine/engine_int.h"
#include "engine/message.h"

/* One kind of item that messages are derived from. */
typedef struct outside_kind {
  int32_t item_kind;
  bool (*read)(const engine_run *run, const engine_item *it, arena *a, engine_message *m);
  void (*answered)(engine_run *run, engine_item *it, engine_message_kind kind,
                   engine_answer answer);
} outside_kind;

extern const outside_kind outside_child, outside_signal, outside_cancel, outside_result,
    outside_scheduled_start, outside_schedule_stop;

/* The item has something to tell from now on, or has not. */
void outside_tell(engine_run *run, engine_item *it, bool tells);
/* Everything pending is told, maybe not for the first time: the run began with another's past. */
void outside_restart(engine_run *run);
/* The start of a child will not be delivered again: what only that needs is dropped. */
void child_forget_start(engine_run *run, engine_item *it);
/* A reset: what the base was told of a child after the point; nothing if the child is not from
 * before it. */
void child_hear_again(engine_run *run, const pb_HistoryEvent *old);
/* A name for a signal or cancel request. In the arena. */
span outside_request_id(tx *t);
/* The executions in messages and events. In the arena. */
pb_WorkflowExecution *execution_new(arena *a, span workflow_id, span run_id);
span own_namespace_id(const engine_run *run);

#endif

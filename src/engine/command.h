/* command.h - what a worker's completion may ask for: one function per command type. */
#ifndef PERDURE_ENGINE_COMMAND_H
#define PERDURE_ENGINE_COMMAND_H

#include "engine/engine_int.h"

typedef struct command_ctx {
  engine_run *run;
  const pb_RespondWorkflowTaskCompletedRequest *request;
  int64_t completed_event_id;
  bool wake;          /* the next workflow task must follow at once */
  bool *taken;        /* of the request's messages: their command has come */
  int32_t fail_cause; /* of the error returned */
  bool terminate;     /* the error also ends the run: an oversized payload */
  bool keeps_task;    /* the error is an answer only: the task stays in flight */
} command_ctx;

/* Applies one command. An error becomes the WorkflowTaskFailed that replaces the whole completion;
 * its cause is in the context. */
typedef err *command_fn(command_ctx *c, const pb_Command *cmd);

typedef struct command_rule {
  int32_t type;
  const char *name;  /* as in error texts */
  bool closes;       /* must be the last */
  command_fn *apply; /* NULL: not built yet */
} command_rule;

/* NULL: a type the protocol does not have. */
const command_rule *command_find(int32_t type);
/* "BadStartTimerAttributes" for ..._BAD_START_TIMER_ATTRIBUTES. */
const char *failed_cause_name(int32_t cause, arena *a);

MUST_USE err *command_refuse(command_ctx *c, int32_t cause, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* COMMAND_NEEDS(c, cmd, field, CAUSE, Name): refuses a command without the attributes of its kind.
 */
#define COMMAND_NEEDS(c, cmd, field, CAUSE, Name)                                     \
  do {                                                                                \
    if ((cmd)->which_attributes != PB_Command_##field##_FIELD || !(cmd)->field)       \
      return command_refuse((c), PB_WORKFLOW_TASK_FAILED_CAUSE_##CAUSE,               \
                            Name "CommandAttributes is not set on " Name "Command."); \
  } while (0)

/* Refuses more bytes than a limit, and marks the run for termination. */
MUST_USE err *command_check_bytes(command_ctx *c, size_t size_bytes, size_t limit, int32_t cause,
                                  const char *what);
/* Refuses one more of what is pending when there are as many as a run may have. */
MUST_USE err *command_check_pending(command_ctx *c, int64_t pending, int32_t cause,
                                    const char *what);
/* Refuses a target in another namespace than the run's; empty is the run's. */
MUST_USE err *command_check_namespace(command_ctx *c, span name, int32_t cause);
/* Search attributes as they go into events (attributes_check); NULL is none. */
MUST_USE err *command_check_search_attributes(command_ctx *c, const pb_SearchAttributes *some,
                                              bool keep_nil, pb_SearchAttributes **ret);
/* "negative duration" or another reason why a client's duration is not one; NULL when it is. */
const char *duration_problem(const pb_Duration *d);
/* Why a retry policy is not valid, or NULL. Fills nothing in. */
const char *retry_policy_problem(const pb_RetryPolicy *p, arena *a);
/* A policy with every field set, as the defaults say; NULL stays NULL. */
pb_RetryPolicy *retry_policy_filled(const pb_RetryPolicy *p, arena *a);

enum { ID_LIMIT_BYTES = 1000 };

command_fn command_schedule_activity, command_cancel_activity, command_start_timer,
    command_cancel_timer, command_complete_run, command_fail_run, command_cancel_run,
    command_continue_as_new, command_record_marker, command_modify_properties,
    command_upsert_search_attributes, command_start_child, command_signal_external,
    command_cancel_external, command_protocol_message;

#endif

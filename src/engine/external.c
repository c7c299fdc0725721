/* external.c - signals and cancel requests to other workflows: commands, and their answers. */
#include "engine/command.h"
#include "engine/outside.h"

/* clang-format off */
enum {
  SIGNAL_LIMIT = PB_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_SIGNAL_COUNT_LIMIT_EXCEEDED,
  SIGNAL_NOT_FOUND =
    PB_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND,
};
/* clang-format on */

enum {
  BAD_SIGNAL = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES,
  BAD_CANCEL =
      PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES,
};

span outside_request_id(tx *t) {
  char *text = arena_alloc(t->arena, UUID_TEXT_BYTES);
  uuid_format(uuid_random(t->st->random), text);
  return span_of(text, UUID_TEXT_BYTES);
}

static bool is_run_id(span text) {
  uuid id;
  return !text.n || uuid_parse(text, &id);
}

/* --- signal: the command --- */

typedef pb_SignalExternalWorkflowExecutionCommandAttributes signal_attributes;

static err *check_signal_target(command_ctx *c, const signal_attributes *in) {
  static const char command[] = "SignalExternalWorkflowExecutionCommand";
  if (!in->execution) return command_refuse(c, BAD_SIGNAL, "Execution is not set on %s.", command);
  span id = in->execution->workflow_id, run_id = in->execution->run_id;
  if (!id.n) {
    return command_refuse(
        c, BAD_SIGNAL, "WorkflowId is not set on %s. Namespace=%.*s RunId=%.*s SignalName=%.*s",
        command, SPAN_ARG(in->namespace), SPAN_ARG(run_id), SPAN_ARG(in->signal_name));
  }
  if (id.n > ID_LIMIT_BYTES) {
    return command_refuse(c, BAD_SIGNAL,
                          "WorkflowId on %s exceeds length limit. WorkflowId=%.*s Length=%zu "
                          "Limit=%d Namespace=%.*s RunId=%.*s SignalName=%.*s",
                          command, SPAN_ARG(id), id.n, ID_LIMIT_BYTES, SPAN_ARG(in->namespace),
                          SPAN_ARG(run_id), SPAN_ARG(in->signal_name));
  }
  if (!is_run_id(run_id)) {
    return command_refuse(c, BAD_SIGNAL,
                          "Invalid RunId set on %s. WorkflowId=%.*s Namespace=%.*s RunId=%.*s "
                          "SignalName=%.*s",
                          command, SPAN_ARG(id), SPAN_ARG(in->namespace), SPAN_ARG(run_id),
                          SPAN_ARG(in->signal_name));
  }
  if (!in->signal_name.n) {
    return command_refuse(c, BAD_SIGNAL,
                          "SignalName is not set on %s. WorkflowId=%.*s Namespace=%.*s RunId=%.*s",
                          command, SPAN_ARG(id), SPAN_ARG(in->namespace), SPAN_ARG(run_id));
  }
  return NULL;
}

static err *check_signal(command_ctx *c, const signal_attributes *in) {
  TRY(command_check_namespace(c, in->namespace, BAD_SIGNAL));
  TRY(check_signal_target(c, in));
  TRY(command_check_bytes(c, in->input.n, c->run->tx.st->host->limits->blob_bytes, BAD_SIGNAL,
                          "SignalExternalWorkflowExecutionCommandAttributes.Input"));
  return command_check_pending(c, c->run->outside.signals,
                               PB_WORKFLOW_TASK_FAILED_CAUSE_PENDING_SIGNALS_LIMIT_EXCEEDED,
                               "signals to external workflows");
}

err *command_signal_external(command_ctx *c, const pb_Command *cmd) {
  COMMAND_NEEDS(c, cmd, signal_external_workflow_execution_command_attributes,
                BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES, "SignalExternalWorkflowExecution");
  const signal_attributes *in = cmd->signal_external_workflow_execution_command_attributes;
  TRY(check_signal(c, in));
  engine_run *run = c->run;
  tx *t = &run->tx;
  EVENT(t, ev, attrs, SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        signal_external_workflow_execution_initiated_event_attributes,
        SignalExternalWorkflowExecutionInitiatedEventAttributes);
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->namespace = in->namespace;
  attrs->namespace_id = own_namespace_id(run);
  attrs->workflow_execution = in->execution;
  attrs->signal_name = in->signal_name;
  attrs->input = in->input;
  attrs->control = in->control;
  attrs->child_workflow_only = in->child_workflow_only;
  attrs->header = in->header;
  tx_append(run, ev);
  pb_store_ExternalSignalItem *item =
      item_new(run, ev->event_id, PB_ITEM_KIND_EXTERNAL_SIGNAL, SPAN_NONE);
  item->initiated = attrs;
  item->request_id = outside_request_id(t);
  outside_tell(run, item_by_id(run, ev->event_id, PB_ITEM_KIND_EXTERNAL_SIGNAL), true);
  return NULL;
}

/* --- signal: the message --- */

static bool signal_read(const engine_run *run, const engine_item *it, arena *a, engine_message *m) {
  const pb_store_ExternalSignalItem *s = item_msg(it);
  (void)run;
  m->kind = MESSAGE_SIGNAL;
  m->signal = PB_COPY(SignalExternalWorkflowExecutionInitiatedEventAttributes, s->initiated, a);
  m->to = *m->signal->workflow_execution;
  m->child_only = m->signal->child_workflow_only;
  m->request_id = arena_dup(a, s->request_id);
  return true;
}

static void append_signaled(engine_run *run, const engine_item *it) {
  tx *t = &run->tx;
  const pb_store_ExternalSignalItem *s = item_msg(it);
  EVENT(t, ev, attrs, EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
        external_workflow_execution_signaled_event_attributes,
        ExternalWorkflowExecutionSignaledEventAttributes);
  attrs->initiated_event_id = it->id;
  attrs->namespace = run->info->namespace_name;
  attrs->namespace_id = s->initiated->namespace_id;
  attrs->workflow_execution = s->initiated->workflow_execution;
  attrs->control = s->initiated->control;
  tx_buffer(run, ev);
}

static void append_signal_failed(engine_run *run, const engine_item *it, engine_answer answer) {
  tx *t = &run->tx;
  const pb_store_ExternalSignalItem *s = item_msg(it);
  EVENT(t, ev, attrs, SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        signal_external_workflow_execution_failed_event_attributes,
        SignalExternalWorkflowExecutionFailedEventAttributes);
  attrs->cause = answer == ANSWER_SIGNAL_LIMIT ? SIGNAL_LIMIT : SIGNAL_NOT_FOUND;
  attrs->namespace = run->info->namespace_name;
  attrs->namespace_id = s->initiated->namespace_id;
  attrs->workflow_execution = s->initiated->workflow_execution;
  attrs->initiated_event_id = it->id;
  attrs->control = s->initiated->control;
  tx_buffer(run, ev);
}

static void signal_answered(engine_run *run, engine_item *it, engine_message_kind kind,
                            engine_answer answer) {
  (void)kind;
  run->tx.st->lazy = false;
  if (answer == ANSWER_DONE) {
    append_signaled(run, it);
  } else {
    append_signal_failed(run, it, answer);
  }
  item_delete(run, it);
  wft_wake(run);
}

const outside_kind outside_signal = {PB_ITEM_KIND_EXTERNAL_SIGNAL, signal_read, signal_answered};

/* --- cancel: the command --- */

typedef pb_RequestCancelExternalWorkflowExecutionCommandAttributes cancel_attributes;

/* Whether an earlier command of the same completion starts a child of this id. */
static bool starts_child(const command_ctx *c, const pb_Command *until, span workflow_id) {
  const pb_RespondWorkflowTaskCompletedRequest *r = c->request;
  for (size_t i = 0; i < r->commands.n && r->commands.v[i] != until; i++) {
    const pb_Command *cmd = r->commands.v[i];
    if (cmd->command_type == PB_COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION &&
        span_eq(cmd->start_child_workflow_execution_command_attributes->workflow_id, workflow_id)) {
      return true;
    }
  }
  return false;
}

static err *check_cancel_target(command_ctx *c, const cancel_attributes *in,
                                const pb_Command *cmd) {
  static const char command[] = "RequestCancelExternalWorkflowExecutionCommand";
  span id = in->workflow_id, run_id = in->run_id, ns = in->namespace;
  if (!id.n) {
    return command_refuse(c, BAD_CANCEL, "WorkflowId is not set on %s. Namespace=%.*s RunId=%.*s",
                          command, SPAN_ARG(ns), SPAN_ARG(run_id));
  }
  if (id.n > ID_LIMIT_BYTES) {
    return command_refuse(c, BAD_CANCEL,
                          "WorkflowId on %s exceeds length limit. WorkflowId=%.*s Length=%zu "
                          "Limit=%d RunId=%.*s Namespace=%.*s",
                          command, SPAN_ARG(id), id.n, ID_LIMIT_BYTES, SPAN_ARG(run_id),
                          SPAN_ARG(ns));
  }
  if (!is_run_id(run_id)) {
    return command_refuse(c, BAD_CANCEL,
                          "Invalid RunId set on %s. WorkflowId=%.*s RunId=%.*s Namespace=%.*s",
                          command, SPAN_ARG(id), SPAN_ARG(run_id), SPAN_ARG(ns));
  }
  if (starts_child(c, cmd, id)) {
    return command_refuse(c, BAD_CANCEL,
                          "Start and RequestCancel for child workflow is not allowed in same "
                          "workflow task. WorkflowId=%.*s RunId=%.*s Namespace=%.*s",
                          SPAN_ARG(id), SPAN_ARG(run_id), SPAN_ARG(ns));
  }
  return NULL;
}

static err *check_cancel(command_ctx *c, const cancel_attributes *in, const pb_Command *cmd) {
  TRY(command_check_namespace(c, in->namespace, BAD_CANCEL));
  TRY(check_cancel_target(c, in, cmd));
  return command_check_pending(c, c->run->outside.cancels,
                               PB_WORKFLOW_TASK_FAILED_CAUSE_PENDING_REQUEST_CANCEL_LIMIT_EXCEEDED,
                               "requests to cancel external workflows");
}

err *command_cancel_external(command_ctx *c, const pb_Command *cmd) {
  COMMAND_NEEDS(c, cmd, request_cancel_external_workflow_execution_command_attributes,
                BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES,
                "RequestCancelExternalWorkflowExecution");
  const cancel_attributes *in = cmd->request_cancel_external_workflow_execution_command_attributes;
  TRY(check_cancel(c, in, cmd));
  engine_run *run = c->run;
  tx *t = &run->tx;
  EVENT(t, ev, attrs, REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        request_cancel_external_workflow_execution_initiated_event_attributes,
        RequestCancelExternalWorkflowExecutionInitiatedEventAttributes);
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->namespace = in->namespace;
  attrs->namespace_id = own_namespace_id(run);
  attrs->workflow_execution = execution_new(t->arena, in->workflow_id, in->run_id);
  attrs->control = in->control;
  attrs->child_workflow_only = in->child_workflow_only;
  attrs->reason = in->reason;
  tx_append(run, ev);
  pb_store_ExternalCancelItem *item =
      item_new(run, ev->event_id, PB_ITEM_KIND_EXTERNAL_CANCEL, SPAN_NONE);
  item->initiated = attrs;
  item->request_id = outside_request_id(t);
  outside_tell(run, item_by_id(run, ev->event_id, PB_ITEM_KIND_EXTERNAL_CANCEL), true);
  return NULL;
}

/* --- cancel: the message --- */

static bool cancel_read(const engine_run *run, const engine_item *it, arena *a, engine_message *m) {
  const pb_store_ExternalCancelItem *s = item_msg(it);
  (void)run;
  m->kind = MESSAGE_CANCEL;
  m->to.workflow_id = arena_dup(a, s->initiated->workflow_execution->workflow_id);
  m->to.run_id = arena_dup(a, s->initiated->workflow_execution->run_id);
  m->child_only = s->initiated->child_workflow_only;
  m->cause = arena_dup(a, s->initiated->reason);
  m->request_id = arena_dup(a, s->request_id);
  return true;
}

static void append_cancel_requested(engine_run *run, const engine_item *it) {
  tx *t = &run->tx;
  const pb_store_ExternalCancelItem *s = item_msg(it);
  EVENT(t, ev, attrs, EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        external_workflow_execution_cancel_requested_event_attributes,
        ExternalWorkflowExecutionCancelRequestedEventAttributes);
  attrs->initiated_event_id = it->id;
  attrs->namespace = run->info->namespace_name;
  attrs->namespace_id = s->initiated->namespace_id;
  attrs->workflow_execution = s->initiated->workflow_execution;
  tx_buffer(run, ev);
}

static void append_cancel_failed(engine_run *run, const engine_item *it) {
  tx *t = &run->tx;
  const pb_store_ExternalCancelItem *s = item_msg(it);
  EVENT(t, ev, attrs, REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        request_cancel_external_workflow_execution_failed_event_attributes,
        RequestCancelExternalWorkflowExecutionFailedEventAttributes);
  attrs->cause =
      PB_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND;
  attrs->namespace = run->info->namespace_name;
  attrs->namespace_id = s->initiated->namespace_id;
  attrs->workflow_execution = s->initiated->workflow_execution;
  attrs->initiated_event_id = it->id;
  tx_buffer(run, ev);
}

static void cancel_answered(engine_run *run, engine_item *it, engine_message_kind kind,
                            engine_answer answer) {
  (void)kind;
  run->tx.st->lazy = false;
  if (answer == ANSWER_DONE) {
    append_cancel_requested(run, it);
  } else {
    append_cancel_failed(run, it);
  }
  item_delete(run, it);
  wft_wake(run);
}

const outside_kind outside_cancel = {PB_ITEM_KIND_EXTERNAL_CANCEL, cancel_read, cancel_answered};

void externals_close(engine_run *run) {
  const int32_t kinds[] = {PB_ITEM_KIND_EXTERNAL_SIGNAL, PB_ITEM_KIND_EXTERNAL_CANCEL};
  for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
    size_t n;
    engine_item **items = items_sorted(run, kinds[k], run->tx.arena, &n);
    for (size_t i = 0; i < n; i++) item_delete(run, items[i]);
  }
}

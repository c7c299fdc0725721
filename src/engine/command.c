/* command.c - the table of commands, and what their checks share. */
#include "engine/command.h"

#include <stdarg.h>
#include <stdio.h>

static const command_rule rules[] = {
    {PB_COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK, "ScheduleActivityTask", false,
     command_schedule_activity},
    {PB_COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK, "RequestCancelActivityTask", false,
     command_cancel_activity},
    {PB_COMMAND_TYPE_START_TIMER, "StartTimer", false, command_start_timer},
    {PB_COMMAND_TYPE_CANCEL_TIMER, "CancelTimer", false, command_cancel_timer},
    {PB_COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION, "CompleteWorkflowExecution", true,
     command_complete_run},
    {PB_COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION, "FailWorkflowExecution", true, command_fail_run},
    {PB_COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION, "CancelWorkflowExecution", true,
     command_cancel_run},
    {PB_COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION, "ContinueAsNewWorkflowExecution", true,
     command_continue_as_new},
    {PB_COMMAND_TYPE_RECORD_MARKER, "RecordMarker", false, command_record_marker},
    {PB_COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES, "ModifyWorkflowProperties", false,
     command_modify_properties},
    {PB_COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, "UpsertWorkflowSearchAttributes", false,
     command_upsert_search_attributes},
    {PB_COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
     "RequestCancelExternalWorkflowExecution", false, command_cancel_external},
    {PB_COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION, "StartChildWorkflowExecution", false,
     command_start_child},
    {PB_COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION, "SignalExternalWorkflowExecution", false,
     command_signal_external},
    {PB_COMMAND_TYPE_PROTOCOL_MESSAGE, "ProtocolMessage", false, command_protocol_message},
    {PB_COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION, "ScheduleNexusOperation", false, NULL},
    {PB_COMMAND_TYPE_REQUEST_CANCEL_NEXUS_OPERATION, "RequestCancelNexusOperation", false, NULL},
};

const command_rule *command_find(int32_t type) {
  for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
    if (rules[i].type == type) return &rules[i];
  }
  return NULL;
}

const char *failed_cause_name(int32_t cause, arena *a) {
  const char *name = pb_enum_name(&pb_WorkflowTaskFailedCause_enum, cause);
  if (!name) return "Unspecified";
  const char *at = name + strlen("WORKFLOW_TASK_FAILED_CAUSE_");
  char *text = arena_zalloc(a, strlen(at) + 1), *out = text;
  bool upper = true;
  for (; *at; at++) {
    if (*at == '_') {
      upper = true;
      continue;
    }
    *out++ = (char)(upper ? *at : *at | 0x20);
    upper = false;
  }
  return text;
}

err *command_refuse(command_ctx *c, int32_t cause, const char *fmt, ...) {
  char text[4096];
  va_list ap;
  va_start(ap, fmt);
  (void)vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  c->fail_cause = cause;
  return ERR(c->run->tx.arena, INVALID_ARGUMENT, "%s", text);
}

err *command_check_bytes(command_ctx *c, size_t size_bytes, size_t limit, int32_t cause,
                         const char *what) {
  if (size_bytes <= limit) return NULL;
  c->terminate = true;
  return command_refuse(c, cause, "%s exceeds size limit.", what);
}

err *command_check_pending(command_ctx *c, int64_t pending, int32_t cause, const char *what) {
  int64_t most = c->run->tx.st->host->limits->pending;
  if (pending < most) return NULL;
  return command_refuse(c, cause,
                        "the number of pending %s, %lld, has reached the per-workflow limit of "
                        "%lld",
                        what, (long long)pending, (long long)most);
}

static err *namespace_not_found(arena *a, span name) {
  pb_NamespaceNotFoundFailure detail = {.namespace = name};
  err *e = ERR(a, NOT_FOUND, "Namespace %.*s is not found.", SPAN_ARG(name));
  e->detail_type = pb_name(&pb_NamespaceNotFoundFailure_desc);
  e->detail = PB_ENCODE(NamespaceNotFoundFailure, &detail, a);
  return e;
}

err *command_check_namespace(command_ctx *c, span name, int32_t cause) {
  const engine_run *run = c->run;
  const engine_host *h = run->tx.st->host;
  if (!name.n || span_eq(name, run->info->namespace_name)) return NULL;
  if (!h->namespace_id(h->ctx, name).n) {
    c->keeps_task = true;
    return namespace_not_found(run->tx.arena, name);
  }
  return command_refuse(c, cause, "cross namespace commands are not allowed");
}

const char *duration_problem(const pb_Duration *d) {
  if (!d) return NULL;
  if ((d->seconds > 0 && d->nanos < 0) || (d->seconds < 0 && d->nanos > 0)) {
    return "duration has seconds and nanos with different signs";
  }
  return d->seconds < 0 || d->nanos < 0 ? "negative duration" : NULL;
}

static const char *const known_timeouts[] = {"StartToClose", "ScheduleToStart", "ScheduleToClose",
                                             "Heartbeat", "Unspecified"};

/* Entries "TemporalTimeout:X" must name a type of timeout. */
static const char *types_problem(const pb_RetryPolicy *p, arena *a) {
  const span prefix = SPAN("TemporalTimeout:");
  for (size_t i = 0; i < p->non_retryable_error_types.n; i++) {
    span type = p->non_retryable_error_types.v[i];
    if (!span_starts_with(type, prefix)) continue;
    span name = span_of(type.p + prefix.n, type.n - prefix.n);
    bool known = false;
    for (size_t k = 0; k < ARRAY_LEN(known_timeouts); k++) {
      known = known || span_eq(name, span_cstr(known_timeouts[k]));
    }
    if (!known) return arena_printf(a, "Invalid timeout type value: %.*s.", SPAN_ARG(name));
  }
  return NULL;
}

const char *retry_policy_problem(const pb_RetryPolicy *p, arena *a) {
  if (!p || p->maximum_attempts == 1) return NULL;
  const char *why = duration_problem(p->initial_interval);
  if (why) return arena_printf(a, "invalid InitialInterval set on retry policy: %s", why);
  if (p->backoff_coefficient != 0 && p->backoff_coefficient < 1) {
    return "BackoffCoefficient cannot be less than 1 on retry policy.";
  }
  why = duration_problem(p->maximum_interval);
  if (why) return arena_printf(a, "invalid MaximumInterval set on retry policy: %s", why);
  int64_t most = pb_duration_ns(p->maximum_interval);
  if (most > 0 && most < pb_duration_ns(p->initial_interval)) {
    return "MaximumInterval cannot be less than InitialInterval on retry policy.";
  }
  if (p->maximum_attempts < 0) return "MaximumAttempts cannot be negative on retry policy.";
  return types_problem(p, a);
}

pb_RetryPolicy *retry_policy_filled(const pb_RetryPolicy *p, arena *a) {
  if (!p) return NULL;
  pb_RetryPolicy *filled = arena_new(a, pb_RetryPolicy);
  *filled = *p;
  if (pb_duration_ns(p->initial_interval) == 0) {
    filled->initial_interval = pb_duration_new(a, NS_PER_SEC);
  }
  if (p->backoff_coefficient == 0) filled->backoff_coefficient = 2.0;
  if (pb_duration_ns(p->maximum_interval) == 0) {
    int64_t initial = pb_duration_ns(filled->initial_interval);
    filled->maximum_interval = pb_duration_new(a, MIN(initial, PB_MAX_DURATION_NS / 100) * 100);
  }
  return filled;
}

/* failure.c - failures the server makes, and how much of a reported one can be kept. */
#include "engine/engine_int.h"

pb_Failure *failure_server(arena *a, span message, bool non_retryable) {
  pb_Failure *f = pb_new(a, Failure);
  f->message = message;
  f->which_failure_info = PB_Failure_server_failure_info_FIELD;
  f->server_failure_info = pb_new(a, ServerFailureInfo);
  f->server_failure_info->non_retryable = non_retryable;
  return f;
}

pb_Failure *failure_application(arena *a, span message, span type) {
  pb_Failure *f = pb_new(a, Failure);
  f->message = message;
  f->source = SPAN("Server");
  f->which_failure_info = PB_Failure_application_failure_info_FIELD;
  f->application_failure_info = pb_new(a, ApplicationFailureInfo);
  f->application_failure_info->type = type;
  f->application_failure_info->non_retryable = true;
  return f;
}

pb_Failure *failure_timeout(arena *a, int32_t type, span message, const pb_Failure *cause,
                            span last_heartbeat_details) {
  pb_Failure *f = pb_new(a, Failure);
  f->message = message;
  f->source = SPAN("Server");
  f->cause = (pb_Failure *)cause;
  f->which_failure_info = PB_Failure_timeout_failure_info_FIELD;
  f->timeout_failure_info = pb_new(a, TimeoutFailureInfo);
  f->timeout_failure_info->timeout_type = type;
  f->timeout_failure_info->last_heartbeat_details = last_heartbeat_details;
  return f;
}

static span timeout_name(int32_t type) {
  static const char *const names[] = {"", "StartToClose", "ScheduleToStart", "ScheduleToClose",
                                      "Heartbeat"};
  return span_cstr((size_t)type < ARRAY_LEN(names) ? names[type] : "");
}

span failure_kind(const pb_Failure *f, span *ret_type) {
  span none, *type = ret_type ? ret_type : &none;
  *type = SPAN("");
  switch (f->which_failure_info) {
    case PB_Failure_application_failure_info_FIELD:
      *type = f->application_failure_info->type;
      return SPAN("Application");
    case PB_Failure_timeout_failure_info_FIELD:
      *type = timeout_name(f->timeout_failure_info->timeout_type);
      return SPAN("Timeout");
    case PB_Failure_canceled_failure_info_FIELD:
      return SPAN("Canceled");
    case PB_Failure_terminated_failure_info_FIELD:
      return SPAN("Terminated");
    case PB_Failure_server_failure_info_FIELD:
      return SPAN("Server");
    case PB_Failure_reset_workflow_failure_info_FIELD:
      return SPAN("ResetWorkflow");
    case PB_Failure_activity_failure_info_FIELD:
      if (f->activity_failure_info->activity_type) {
        *type = f->activity_failure_info->activity_type->name;
      }
      return SPAN("Activity");
    case PB_Failure_child_workflow_execution_failure_info_FIELD:
      if (f->child_workflow_execution_failure_info->workflow_type) {
        *type = f->child_workflow_execution_failure_info->workflow_type->name;
      }
      return SPAN("ChildWorkflow");
    case PB_Failure_nexus_operation_execution_failure_info_FIELD:
      *type = f->nexus_operation_execution_failure_info->operation;
      return SPAN("NexusOperation");
    case PB_Failure_nexus_handler_failure_info_FIELD:
      *type = f->nexus_handler_failure_info->type;
      return SPAN("NexusHandler");
    default:
      return SPAN("Unknown");
  }
}

static size_t depth_of(const pb_Failure *f) {
  size_t depth = 0;
  for (; f; f = f->cause) depth++;
  return depth;
}

/* Copies this one link; its cause is set by the caller. */
static pb_Failure *link_copy(const pb_Failure *f, arena *a) {
  pb_Failure *copy = arena_new(a, pb_Failure);
  *copy = *f;
  copy->cause = NULL;
  return copy;
}

pb_Failure *failure_fit_depth(const pb_Failure *f, arena *a) {
  size_t depth = depth_of(f);
  if (depth <= FAILURE_DEPTH) return (pb_Failure *)f;
  const size_t half = FAILURE_DEPTH / 2;
  pb_Failure *first = NULL, **at = &first;
  for (size_t i = 0; f; f = f->cause, i++) {
    if (i == half) {
      *at = failure_server(a,
                           arena_spanf(a,
                                       "%zu failures of this chain are left out here: readers "
                                       "stop at %d levels",
                                       depth - 2 * half, 100),
                           false);
      at = &(*at)->cause;
    }
    if (i >= half && i < depth - half) continue;
    *at = link_copy(f, a);
    at = &(*at)->cause;
  }
  return first;
}

enum { KEPT_BYTES = 512 * 1024, KEPT_LINKS = 20, KEPT_NAME_BYTES = 1000 };

/* What kind of failure it is, without what may be large. */
static void keep_kind(const pb_Failure *f, pb_Failure *kept, arena *a) {
  kept->which_failure_info = f->which_failure_info;
  switch (f->which_failure_info) {
    case PB_Failure_application_failure_info_FIELD:
      kept->application_failure_info = pb_new(a, ApplicationFailureInfo);
      kept->application_failure_info->type =
          span_cut(f->application_failure_info->type, KEPT_NAME_BYTES);
      kept->application_failure_info->non_retryable = f->application_failure_info->non_retryable;
      kept->application_failure_info->next_retry_delay =
          f->application_failure_info->next_retry_delay;
      kept->application_failure_info->category = f->application_failure_info->category;
      return;
    case PB_Failure_timeout_failure_info_FIELD:
      kept->timeout_failure_info = pb_new(a, TimeoutFailureInfo);
      kept->timeout_failure_info->timeout_type = f->timeout_failure_info->timeout_type;
      return;
    case PB_Failure_canceled_failure_info_FIELD:
      kept->canceled_failure_info = pb_new(a, CanceledFailureInfo);
      return;
    case PB_Failure_terminated_failure_info_FIELD:
      kept->terminated_failure_info = pb_new(a, TerminatedFailureInfo);
      return;
    case PB_Failure_server_failure_info_FIELD:
      kept->server_failure_info = pb_new(a, ServerFailureInfo);
      kept->server_failure_info->non_retryable = f->server_failure_info->non_retryable;
      return;
    default:
      kept->which_failure_info = 0;
  }
}

pb_Failure *failure_fit_bytes(const pb_Failure *f, size_t limit, arena *a) {
  if (pb_encoded_bytes(&pb_Failure_desc, f) <= limit) return (pb_Failure *)f;
  pb_Failure *outer = failure_server(a, SPAN("Failure exceeds size limit."), true);
  pb_Failure **at = &outer->cause;
  size_t left = MIN((size_t)KEPT_BYTES, limit / 4);
  for (int i = 0; f && i < KEPT_LINKS; f = f->cause, i++) {
    pb_Failure *kept = *at = pb_new(a, Failure);
    kept->message = span_cut(f->message, left / 2);
    left -= kept->message.n;
    kept->stack_trace = span_cut(f->stack_trace, left / 2);
    left -= kept->stack_trace.n;
    kept->source = span_cut(f->source, KEPT_NAME_BYTES);
    keep_kind(f, kept, a);
    at = &kept->cause;
  }
  return outer;
}

/* Options of a run that is open. */
#include "rpc/handlers/api.h"

static const char *const priority_paths[] = {"priority", "priority.priority_key",
                                             "priority.fairness_key", "priority.fairness_weight"};

static err *check_path(ask *k, span path, const pb_WorkflowExecutionOptions *o) {
  for (size_t i = 0; i < ARRAY_LEN(priority_paths); i++) {
    if (span_eq(path, span_cstr(priority_paths[i]))) return NULL;
  }
  if (span_starts_with(path, SPAN("versioning_override"))) {
    if (!o || !o->versioning_override) return NULL; /* there is none to unset */
    return ERR(k->arena, UNIMPLEMENTED,
               "versioning_override: this server does not route by the version of workers yet");
  }
  if (span_starts_with(path, SPAN("time_skipping_config"))) {
    return ERR(k->arena, UNIMPLEMENTED, "The Time-Skipping feature is not enabled for namespace.");
  }
  return ERR(k->arena, INVALID_ARGUMENT,
             "error parsing UpdateMask: proto: invalid path \"%.*s\" for message "
             "\"temporal.api.workflow.v1.WorkflowExecutionOptions\"",
             SPAN_ARG(path));
}

err *api_update_options(ask *k) {
  const pb_UpdateWorkflowExecutionOptionsRequest *q = k->request;
  const pb_WorkflowExecutionOptions *o = q->workflow_execution_options;
  TRY(check_operated(k, q->workflow_execution));
  if (!q->update_mask) return ERR(k->arena, INVALID_ARGUMENT, "UpdateMask is required");
  pb_UpdateWorkflowExecutionOptionsRequest *u =
      pb_new(k->arena, UpdateWorkflowExecutionOptionsRequest);
  *u = *q;
  u->update_mask = snake_case_mask(k->arena, q->update_mask);
  for (size_t i = 0; i < u->update_mask->paths.n; i++) {
    TRY(check_path(k, u->update_mask->paths.v[i], o));
  }
  if (o) TRY(check_priority(&k->check, o->priority));
  TRY(check_identity(&k->check, q->identity));
  shard_update_options(ask_shard(k), ask_op(k), u);
  return NULL;
}

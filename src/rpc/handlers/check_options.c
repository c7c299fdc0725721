/* Options of a run that change while it is open: all but its priority is the next wave's. */
#include "rpc/handlers/check.h"

static const char *const priority_paths[] = {"priority", "priority.priority_key",
                                             "priority.fairness_key", "priority.fairness_weight"};

static err *time_skipping(const checker *k) {
  return ERR(k->arena, UNIMPLEMENTED, "The Time-Skipping feature is not enabled for namespace.");
}

static err *check_path(const checker *k, span path, const pb_WorkflowExecutionOptions *o,
                       const char *doing) {
  for (size_t i = 0; i < ARRAY_LEN(priority_paths); i++) {
    if (span_eq(path, span_cstr(priority_paths[i]))) return NULL;
  }
  if (span_starts_with(path, SPAN("versioning_override"))) {
    if (!o || !o->versioning_override) return NULL; /* there is none to unset */
    return check_override(k, o->versioning_override, SPAN_NONE);
  }
  if (span_starts_with(path, SPAN("time_skipping_config"))) {
    return time_skipping(k);
  }
  return ERR(k->arena, INVALID_ARGUMENT,
             "error %s: proto: invalid path \"%.*s\" for message "
             "\"temporal.api.workflow.v1.WorkflowExecutionOptions\"",
             doing, SPAN_ARG(path));
}

err *check_run_options(const checker *k, const pb_WorkflowExecutionOptions *o,
                       const pb_FieldMask *mask, const char *doing) {
  if (!mask) return ERR(k->arena, INVALID_ARGUMENT, "UpdateMask is required");
  for (size_t i = 0; i < mask->paths.n; i++) TRY(check_path(k, mask->paths.v[i], o, doing));
  if (!o) return NULL;
  TRY(check_priority(k, o->priority));
  if (o->time_skipping_config) return time_skipping(k);
  const char *why =
      o->versioning_override ? engine_override_problem(o->versioning_override, k->arena) : NULL;
  return why ? ERR(k->arena, INVALID_ARGUMENT, "%s", why) : NULL;
}

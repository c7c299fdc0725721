/* refuse.c - what callers are told who cannot be served: it is not there (any more), or not now. */
#include "engine/engine_int.h"

err *engine_not_found(arena *a, const char *what) {
  err *e = ERR(a, NOT_FOUND, "%s", what);
  e->detail_type = "temporal.api.errordetails.v1.NotFoundFailure";
  return e;
}

err *wft_not_found(arena *a) { return engine_not_found(a, "Workflow task not found."); }

static err *exhausted(arena *a, const char *what, int32_t cause) {
  err *e = ERR(a, RESOURCE_EXHAUSTED, "%s", what);
  pb_ResourceExhaustedFailure detail = {.cause = cause,
                                        .scope = PB_RESOURCE_EXHAUSTED_SCOPE_NAMESPACE};
  e->detail_type = "temporal.api.errordetails.v1.ResourceExhaustedFailure";
  e->detail = PB_ENCODE(ResourceExhaustedFailure, &detail, a);
  return e;
}

err *run_closing_error(arena *a) {
  return exhausted(a, "workflow operation can not be applied because workflow is closing",
                   PB_RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW);
}

err *too_many_at_once_error(arena *a, const char *what) {
  return exhausted(a, what, PB_RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT);
}

err *not_ready_error(arena *a, const char *what) {
  err *e = ERR(a, FAILED_PRECONDITION, "%s", what);
  e->detail_type = "temporal.api.errordetails.v1.WorkflowNotReadyFailure";
  return e;
}

err *run_closed_error(arena *a) {
  return engine_not_found(a, "workflow execution already completed");
}

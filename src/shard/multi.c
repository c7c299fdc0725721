/* multi.c - what a start and an update in one are answered: both, or for each why not. */
#include "shard/update.h"

const void *multi_response(span start_response, pb_UpdateWorkflowExecutionResponse *update,
                           arena *a) {
  pb_ExecuteMultiOperationResponse *r = pb_new(a, ExecuteMultiOperationResponse);
  pb_ExecuteMultiOperationResponse_Response *both =
      arena_array(a, pb_ExecuteMultiOperationResponse_Response, 2);
  r->responses.v = arena_array(a, pb_ExecuteMultiOperationResponse_Response *, 2);
  for (size_t i = 0; i < 2; i++) r->responses.v[r->responses.n++] = &both[i];
  both[0].which_response = PB_ExecuteMultiOperationResponse_Response_start_workflow_FIELD;
  both[0].start_workflow = pb_new(a, StartWorkflowExecutionResponse);
  both[0].start_workflow->head.unknown = arena_dup(a, start_response);
  both[1].which_response = PB_ExecuteMultiOperationResponse_Response_update_workflow_FIELD;
  both[1].update_workflow = update;
  return r;
}

static pb_Any *detail_of(arena *a, const char *type, span value) {
  pb_Any *any = pb_new(a, Any);
  any->type_url = arena_spanf(a, "type.googleapis.com/%s", type);
  any->value = value;
  return any;
}

static pb_MultiOperationExecutionFailure_OperationStatus *status_of(arena *a, const err *e) {
  pb_MultiOperationExecutionFailure_OperationStatus *s =
      pb_new(a, MultiOperationExecutionFailure_OperationStatus);
  if (!e) return s;
  s->code = (int32_t)e->code;
  s->message = span_cstr(e->what);
  if (e->detail_type) {
    s->details.v = arena_array(a, pb_Any *, 1);
    s->details.v[s->details.n++] = detail_of(a, e->detail_type, e->detail);
  }
  return s;
}

err *shard_multi_aborted(arena *a) {
  err *e = ERR(a, ABORTED, "Operation was aborted.");
  e->detail_type = pb_name(&pb_MultiOperationExecutionAborted_desc);
  return e;
}

err *shard_multi_error(arena *a, const err *start, const err *update) {
  const err *cause = start && start->code != ERR_ABORTED ? start : update;
  pb_MultiOperationExecutionFailure detail = {0};
  pb_MultiOperationExecutionFailure_OperationStatus *both[] = {status_of(a, start),
                                                               status_of(a, update)};
  detail.statuses.v = both;
  detail.statuses.n = 2;
  err *e = err_dup(a, cause);
  e->what = "Update-with-Start could not be executed.";
  e->detail_type = pb_name(&pb_MultiOperationExecutionFailure_desc);
  e->detail = PB_ENCODE(MultiOperationExecutionFailure, &detail, a);
  return e;
}

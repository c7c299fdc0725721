/* Requests about updates, alone and together with a start. */
#include "rpc/handlers/check.h"

static err *check_request(const checker *k, const pb_update_Request *r) {
  arena *a = k->arena;
  if (!r || !r->meta) return ERR(a, INVALID_ARGUMENT, "Update meta is not set on request.");
  if (r->meta->update_id.n > CHECK_ID_BYTES) {
    return ERR(a, INVALID_ARGUMENT, "UpdateId length exceeds limit.");
  }
  if (!r->input) return ERR(a, INVALID_ARGUMENT, "Update input is not set on request.");
  if (!r->input->name.n) return ERR(a, INVALID_ARGUMENT, "Update name is not set on request.");
  if (r->completion_callbacks.n && !r->request_id.n) {
    return ERR(a, INVALID_ARGUMENT,
               "invalid *update.Request: request_id is required when completion_callbacks are set");
  }
  return NULL;
}

static err *check_stage(const checker *k, const pb_WaitPolicy *policy) {
  if (policy->lifecycle_stage != PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED) return NULL;
  err *e = ERR(k->arena, PERMISSION_DENIED,
               "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is "
               "not supported.");
  e->detail_type = "temporal.api.errordetails.v1.PermissionDeniedFailure";
  return e;
}

/* The update id and the policy are filled in. */
static void fill(const checker *k, pb_UpdateWorkflowExecutionRequest *u) {
  pb_update_Request *request = PB_COPY(update_Request, u->request, k->arena);
  if (!request->meta->update_id.n) request->meta->update_id = check_new_id(k);
  u->request = request;
  pb_WaitPolicy *policy = pb_new(k->arena, WaitPolicy);
  if (u->wait_policy) *policy = *u->wait_policy;
  if (!policy->lifecycle_stage) {
    policy->lifecycle_stage = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED;
  }
  u->wait_policy = policy;
}

err *check_update_workflow(const checker *k, const pb_UpdateWorkflowExecutionRequest *r,
                           pb_UpdateWorkflowExecutionRequest **ret_update) {
  TRY(check_execution(k, r->workflow_execution));
  TRY(check_request(k, r->request));
  pb_UpdateWorkflowExecutionRequest *u = pb_new(k->arena, UpdateWorkflowExecutionRequest);
  *u = *r;
  fill(k, u);
  TRY(check_stage(k, u->wait_policy));
  *ret_update = u;
  return NULL;
}

err *check_poll_update(const checker *k, const pb_PollWorkflowExecutionUpdateRequest *r) {
  arena *a = k->arena;
  if (!r->update_ref) return ERR(a, INVALID_ARGUMENT, "UpdateRef is not set on request.");
  const pb_WorkflowExecution *e = r->update_ref->workflow_execution;
  if (!e || !e->workflow_id.n) {
    return ERR(a, INVALID_ARGUMENT, "Can't load workflow execution.  WorkflowId not set.");
  }
  if (e->run_id.n && check_execution(k, e)) {
    return ERR(a, INVALID_ARGUMENT, "RunId is not valid UUID.");
  }
  return NULL;
}

/* --- with a start --- */

static err *check_together_start(const checker *k, span ns,
                                 const pb_StartWorkflowExecutionRequest *r, check_multi *m) {
  arena *a = k->arena;
  if (!span_eq(r->namespace, ns)) {
    return ERR(a, INVALID_ARGUMENT, "Operation namespace did not match request's namespace.");
  }
  if (r->cron_schedule.n) return ERR(a, INVALID_ARGUMENT, "CronSchedule is not allowed.");
  if (r->request_eager_execution) {
    return ERR(a, INVALID_ARGUMENT, "RequestEagerExecution is not supported.");
  }
  if (r->workflow_start_delay) {
    return ERR(a, INVALID_ARGUMENT, "WorkflowStartDelay is not supported.");
  }
  return check_start(k, r, &m->start);
}

static err *check_together_update(const checker *k, span ns,
                                  const pb_UpdateWorkflowExecutionRequest *r, span workflow_id,
                                  check_multi *m) {
  arena *a = k->arena;
  if (!span_eq(r->namespace, ns)) {
    return ERR(a, INVALID_ARGUMENT, "Operation namespace did not match request's namespace.");
  }
  TRY(check_update_workflow(k, r, &m->update));
  if (r->workflow_execution->run_id.n) return ERR(a, INVALID_ARGUMENT, "RunId is not allowed.");
  if (r->first_execution_run_id.n) {
    return ERR(a, INVALID_ARGUMENT, "FirstExecutionRunId is not allowed.");
  }
  if (workflow_id.n && !span_eq(r->workflow_execution->workflow_id, workflow_id)) {
    return ERR(a, INVALID_ARGUMENT, "WorkflowId is not consistent with previous operation(s).");
  }
  return NULL;
}

err *check_multi_operation(const checker *k, const pb_ExecuteMultiOperationRequest *r,
                           check_multi *ret_multi) {
  const uint32_t first = PB_ExecuteMultiOperationRequest_Operation_start_workflow_FIELD;
  const uint32_t second = PB_ExecuteMultiOperationRequest_Operation_update_workflow_FIELD;
  pb_ExecuteMultiOperationRequest_Operation **ops = r->operations.v;
  if (r->operations.n != 2 || ops[0]->which_operation != first ||
      ops[1]->which_operation != second) {
    return ERR(k->arena, INVALID_ARGUMENT, "Operations have to be exactly [Start, Update].");
  }
  check_multi m = {0};
  m.start_error = check_together_start(k, r->namespace, ops[0]->start_workflow, &m);
  m.update_error = check_together_update(k, r->namespace, ops[1]->update_workflow,
                                         ops[0]->start_workflow->workflow_id, &m);
  *ret_multi = m;
  return NULL;
}

/* client_update.c - clients that update runs, alone and together with a start, and that ask how far
 * an update has come. The worker does what the update's name says (program_update.c). */
#include "client_int.h"

#include "proto/pb_time.h"

static pb_UpdateWorkflowExecutionRequest *new_update(client *c, pb_WorkflowExecution *x) {
  static const char *const names[] = {UPDATE_ACCEPT, UPDATE_ACCEPT, UPDATE_REJECT, UPDATE_SLOW,
                                      UPDATE_FAIL};
  static const int32_t stages[] = {PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED,
                                   PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED};
  sim *s = c->sim;
  arena *a = &c->arena;
  pb_UpdateWorkflowExecutionRequest *r = pb_new(a, UpdateWorkflowExecutionRequest);
  r->workflow_execution = x;
  r->request = pb_new(a, update_Request);
  r->request->meta = pb_new(a, Meta);
  r->request->meta->update_id = client_new_id(c, "upd");
  r->request->input = pb_new(a, Input);
  r->request->input->name = span_cstr(names[sim_below(s, ARRAY_LEN(names))]);
  r->wait_policy = pb_new(a, WaitPolicy);
  r->wait_policy->lifecycle_stage = stages[sim_below(s, ARRAY_LEN(stages))];
  return r;
}

void client_update(client *c) {
  client_send(c, CALL_update, new_update(c, client_some_execution(c)));
}

void client_update_with_start(client *c) {
  arena *a = &c->arena;
  pb_WorkflowExecution *x = pb_new(a, WorkflowExecution);
  x->workflow_id = client_some_workflow(c);
  pb_ExecuteMultiOperationRequest_Operation start = {
      .which_operation = PB_ExecuteMultiOperationRequest_Operation_start_workflow_FIELD,
      .start_workflow = client_new_start(c, x->workflow_id)};
  pb_ExecuteMultiOperationRequest_Operation update = {
      .which_operation = PB_ExecuteMultiOperationRequest_Operation_update_workflow_FIELD,
      .update_workflow = new_update(c, x)};
  pb_ExecuteMultiOperationRequest_Operation *both[] = {&start, &update};
  pb_ExecuteMultiOperationRequest r = {.operations = {.v = both, .n = 2}};
  client_send(c, CALL_update_with_start, &r);
}

/* One that somebody was told of; any other deed when there is none. */
void client_poll_update(client *c) {
  sim *s = c->sim;
  arena *a = &c->arena;
  const record *known = model_some(s, REC_UPDATE);
  if (!known) {
    client_describe(c);
    return;
  }
  pb_WaitPolicy policy = {.lifecycle_stage =
                              PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED};
  pb_UpdateRef ref = {.workflow_execution = pb_new(a, WorkflowExecution)};
  model_update_names(known, &ref, a);
  pb_PollWorkflowExecutionUpdateRequest r = {.update_ref = &ref, .wait_policy = &policy};
  client_send(c, CALL_poll_update, &r);
}

/* client_list.c - clients that list and count workflows, and do something to many at once. */
#include "client_int.h"

/* Of one workflow id, or by status. */
static span some_query(client *c) {
  static const char *const status[] = {"Running", "Completed", "Terminated", "ContinuedAsNew"};
  span id = client_some_workflow(c);
  if (sim_chance(c->sim, 2, 3)) {
    return arena_spanf(&c->arena, "WorkflowId = '%.*s'", SPAN_ARG(id));
  }
  return arena_spanf(&c->arena, "ExecutionStatus = '%s'", status[sim_below(c->sim, 4)]);
}

void client_list(client *c) {
  pb_ListWorkflowExecutionsRequest r = {.query = some_query(c), .page_size = 100};
  client_send(c, CALL_list, &r);
}

void client_count(client *c) {
  pb_CountWorkflowExecutionsRequest r = {.query = some_query(c)};
  client_send(c, CALL_count, &r);
}

void client_batch(client *c) {
  pb_BatchOperationSignal signal = {.signal = client_new_id(c, "sig")};
  pb_BatchOperationTermination terminate = {.identity = SPAN("batch")};
  pb_WorkflowExecution *one = client_some_execution(c); /* two might be the same run */
  pb_StartBatchOperationRequest r = {
      .job_id = client_new_id(c, "job"), .reason = SPAN("many"), .signal_operation = &signal};
  r.which_operation = PB_StartBatchOperationRequest_signal_operation_FIELD;
  if (sim_chance(c->sim, 1, 4)) {
    r.which_operation = PB_StartBatchOperationRequest_termination_operation_FIELD;
    r.termination_operation = &terminate;
  }
  if (sim_chance(c->sim, 1, 2)) {
    r.executions.v = &one;
    r.executions.n = 1;
  } else {
    r.visibility_query = some_query(c);
  }
  client_send(c, CALL_start_batch, &r);
}

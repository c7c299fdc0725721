/* client_runs.c - what clients do to runs: start, signal, cancel, terminate, describe, query. */
#include "client_int.h"

#include "proto/pb_time.h"

pb_StartWorkflowExecutionRequest *client_new_start(client *c, span workflow_id) {
  static const int32_t conflict[] = {PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL,
                                     PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
                                     PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING};
  sim *s = c->sim;
  arena *a = &c->arena;
  program_plan plan = {.seed = sim_below(s, 1u << 30)};
  pb_StartWorkflowExecutionRequest *r = pb_new(a, StartWorkflowExecutionRequest);
  r->workflow_id = workflow_id;
  r->workflow_type = pb_new(a, WorkflowType);
  r->workflow_type->name = SPAN("Plan");
  r->task_queue = pb_new(a, TaskQueue);
  r->task_queue->name = arena_spanf(a, "q%llu", (unsigned long long)sim_below(s, s->swarm.queues));
  r->task_queue->kind = PB_TASK_QUEUE_KIND_NORMAL;
  r->input = program_input(plan, a);
  r->workflow_task_timeout = pb_duration_new(a, (int64_t)(1 + sim_below(s, 10)) * NS_PER_SEC);
  r->identity = SPAN("client");
  r->request_id = client_new_id(c, "req");
  r->workflow_id_reuse_policy = 1 + (int32_t)sim_below(s, 3);
  r->workflow_id_conflict_policy = conflict[sim_below(s, 3)];
  if (sim_chance(s, 1, 6)) r->workflow_run_timeout = pb_duration_new(a, 20 * NS_PER_SEC);
  return r;
}

static pb_RetryPolicy *run_retry(arena *a) {
  pb_RetryPolicy *p = pb_new(a, RetryPolicy);
  p->initial_interval = pb_duration_new(a, NS_PER_SEC);
  p->maximum_interval = pb_duration_new(a, 10 * NS_PER_SEC);
  p->backoff_coefficient = 2;
  p->maximum_attempts = 3;
  return p;
}

void client_start(client *c) {
  sim *s = c->sim;
  span id = sim_chance(s, 1, 4) ? client_new_id(c, "x") : client_some_workflow(c);
  pb_StartWorkflowExecutionRequest *r = client_new_start(c, id);
  r->request_eager_execution = sim_chance(s, 1, 5);
  if (sim_chance(s, 1, 8)) r->workflow_start_delay = pb_duration_new(&c->arena, 3 * NS_PER_SEC);
  if (sim_chance(s, 1, 6)) r->retry_policy = run_retry(&c->arena);
  client_send(c, CALL_start, r);
}

void client_signal_with_start(client *c) {
  sim *s = c->sim;
  arena *a = &c->arena;
  pb_WorkflowType type = {.name = SPAN("Plan")};
  pb_TaskQueue q = {.name = SPAN("q0"), .kind = PB_TASK_QUEUE_KIND_NORMAL};
  program_plan plan = {.seed = sim_below(s, 1u << 30)};
  pb_SignalWithStartWorkflowExecutionRequest r = {
      .workflow_id = client_some_workflow(c),
      .workflow_type = &type,
      .task_queue = &q,
      .input = program_input(plan, a),
      .workflow_task_timeout = pb_duration_new(a, 5 * NS_PER_SEC),
      .identity = SPAN("client"),
      .request_id = client_new_id(c, SIM_WITH_START),
      .workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
      .workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
      .signal_name = client_new_id(c, "sig"),
      .signal_input = text_payloads(a, "with start")};
  client_send(c, CALL_signal_with_start, &r);
}

static span signal_input(client *c) {
  if (!c->sim->swarm.big_signals) return text_payloads(&c->arena, "signal");
  enum { MOST = 90000 };
  size_t n = sim_below(c->sim, MOST);
  char *text = arena_alloc(&c->arena, n + 1);
  memset(text, 's', n);
  text[n] = 0;
  return text_payloads(&c->arena, text);
}

void client_signal_run(client *c) {
  pb_SignalWorkflowExecutionRequest r = {.workflow_execution = client_some_execution(c),
                                         .signal_name = client_new_id(c, "sig"),
                                         .input = signal_input(c),
                                         .identity = SPAN("client"),
                                         .request_id = client_new_id(c, "req")};
  client_send(c, CALL_signal, &r);
}

void client_cancel(client *c) {
  pb_RequestCancelWorkflowExecutionRequest r = {.workflow_execution = client_some_execution(c),
                                                .identity = SPAN("client"),
                                                .request_id = client_new_id(c, "req")};
  client_send(c, CALL_request_cancel, &r);
}

void client_terminate(client *c) {
  pb_TerminateWorkflowExecutionRequest r = {.workflow_execution = client_some_execution(c),
                                            .reason = SPAN("enough"),
                                            .identity = SPAN("client")};
  client_send(c, CALL_terminate, &r);
}

void client_reset(client *c) {
  static const int32_t types[] = {PB_RESET_REAPPLY_TYPE_ALL_ELIGIBLE, PB_RESET_REAPPLY_TYPE_SIGNAL,
                                  PB_RESET_REAPPLY_TYPE_NONE};
  sim *s = c->sim;
  pb_ResetWorkflowExecutionRequest r = {.workflow_execution = client_some_execution(c),
                                        .reason = SPAN("again"),
                                        .reset_reapply_type = types[sim_below(s, 3)],
                                        .request_id = client_new_id(c, "req")};
  int64_t task = audit_some_task(s, r.workflow_execution->run_id);
  int64_t other = (int64_t)sim_below(s, 8) + SIM_RESET_LAST_TASK;
  r.workflow_task_finish_event_id = task && sim_chance(s, 3, 4) ? task : other;
  client_send(c, CALL_reset, &r);
}

/* Of a run that is named: nobody knows which one is the current one. */
void client_delete(client *c) {
  pb_DeleteWorkflowExecutionRequest r = {.workflow_execution = client_some_execution(c)};
  if (r.workflow_execution->run_id.n) {
    client_send(c, CALL_delete, &r);
  } else {
    client_describe(c);
  }
}

void client_describe(client *c) {
  pb_DescribeWorkflowExecutionRequest r = {.execution = client_some_execution(c)};
  client_send(c, CALL_describe, &r);
}

void client_query(client *c) {
  pb_WorkflowQuery what = {.query_type = SPAN("state")};
  pb_QueryWorkflowRequest r = {.execution = client_some_execution(c), .query = &what};
  client_send(c, CALL_query, &r);
}

void client_reset_sticky(client *c) {
  pb_ResetStickyTaskQueueRequest r = {.execution = client_some_execution(c)};
  client_send(c, CALL_reset_sticky, &r);
}

void client_describe_queue(client *c) {
  pb_TaskQueue q = {.name = SPAN("q0")};
  pb_DescribeTaskQueueRequest r = {.task_queue = &q,
                                   .task_queue_type = PB_TASK_QUEUE_TYPE_WORKFLOW};
  client_send(c, CALL_describe_task_queue, &r);
}

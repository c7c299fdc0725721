#include "shard/test_client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "proto/pb_time.h"

void *answer(world *w, ask *a) {
  world_run(w);
  if (!a->done) fail_msg("the call has no answer");
  if (a->code) fail_msg("%s: %s", err_code_name(a->code), a->text);
  return a->answer;
}

void answer_free(world *w, ask *a) {
  answer(w, a);
  ask_free(a);
}

span keep_token(span token) {
  static uint8_t kept[1024];
  assert_true(token.n <= sizeof kept);
  memcpy(kept, token.p, token.n);
  return span_of(kept, token.n);
}

/* --- the client --- */

static pb_StartWorkflowExecutionRequest *start_request(arena *a, const char *id,
                                                       const start_options *o) {
  pb_StartWorkflowExecutionRequest *r = pb_new(a, StartWorkflowExecutionRequest);
  r->namespace = SPAN("default");
  r->workflow_id = arena_dup(a, span_cstr(id));
  r->workflow_type = pb_new(a, WorkflowType);
  r->workflow_type->name = SPAN("type");
  r->task_queue = pb_new(a, TaskQueue);
  r->task_queue->name = SPAN("q");
  r->workflow_task_timeout = pb_duration_new(a, 10 * NS_PER_SEC);
  r->request_id = arena_dup(a, span_cstr(o->request_id ? o->request_id : id));
  r->workflow_id_conflict_policy = o->conflict ? o->conflict : PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL;
  r->workflow_id_reuse_policy = o->reuse ? o->reuse : PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
  r->request_eager_execution = o->eager;
  return r;
}

ask *start_workflow_with(world *w, const char *id, const start_options *o) {
  ask *a = ask_new(w, &pb_StartWorkflowExecutionResponse_desc);
  shard_start(w->shard, &a->call->op, start_request(&a->call->arena, id, o));
  return a;
}

ask *start_workflow(world *w, const char *id) {
  return start_workflow_with(w, id, &(start_options){0});
}

static pb_WorkflowExecution *execution(arena *a, const char *id) {
  pb_WorkflowExecution *e = pb_new(a, WorkflowExecution);
  e->workflow_id = arena_dup(a, span_cstr(id));
  return e;
}

ask *signal_workflow(world *w, const char *id, const char *name) {
  ask *a = ask_new(w, &pb_SignalWorkflowExecutionResponse_desc);
  pb_SignalWorkflowExecutionRequest *r = pb_new(&a->call->arena, SignalWorkflowExecutionRequest);
  r->workflow_execution = execution(&a->call->arena, id);
  r->signal_name = span_cstr(name);
  shard_signal(w->shard, &a->call->op, r);
  return a;
}

ask *signal_with_start(world *w, const char *id) {
  ask *a = ask_new(w, &pb_SignalWithStartWorkflowExecutionResponse_desc);
  pb_SignalWithStartWorkflowExecutionRequest *r =
      pb_new(&a->call->arena, SignalWithStartWorkflowExecutionRequest);
  r->signal_name = SPAN("s");
  start_options o = {.conflict = PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING};
  shard_signal_with_start(w->shard, &a->call->op, r, start_request(&a->call->arena, id, &o));
  return a;
}

ask *describe(world *w, const char *id, span run_id) {
  ask *a = ask_new(w, &pb_DescribeWorkflowExecutionResponse_desc);
  pb_DescribeWorkflowExecutionRequest *r =
      pb_new(&a->call->arena, DescribeWorkflowExecutionRequest);
  r->execution = execution(&a->call->arena, id);
  r->execution->run_id = arena_dup(&a->call->arena, run_id);
  shard_describe(w->shard, &a->call->op, r);
  return a;
}

ask *query_workflow(world *w, const char *id) {
  ask *a = ask_new(w, &pb_QueryWorkflowResponse_desc);
  pb_QueryWorkflowRequest *r = pb_new(&a->call->arena, QueryWorkflowRequest);
  r->execution = execution(&a->call->arena, id);
  r->query = pb_new(&a->call->arena, WorkflowQuery);
  r->query->query_type = SPAN("state");
  shard_query(w->shard, &a->call->op, r);
  return a;
}

static ask *history(world *w, const char *id, int32_t page, span token, bool wait, bool close) {
  ask *a = ask_new(w, &pb_GetWorkflowExecutionHistoryResponse_desc);
  pb_GetWorkflowExecutionHistoryRequest *r =
      pb_new(&a->call->arena, GetWorkflowExecutionHistoryRequest);
  r->execution = execution(&a->call->arena, id);
  r->maximum_page_size = page;
  r->next_page_token = arena_dup(&a->call->arena, token);
  r->wait_new_event = wait;
  if (close) r->history_event_filter_type = PB_HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  shard_history(w->shard, &a->call->op, r, false);
  return a;
}

ask *get_history(world *w, const char *id, bool wait) {
  return history(w, id, 0, SPAN_NONE, wait, false);
}

ask *get_history_page(world *w, const char *id, int32_t page, span token) {
  return history(w, id, page, token, false, false);
}

ask *wait_history(world *w, const char *id, span token, bool close_event) {
  return history(w, id, 0, token, true, close_event);
}

ask *get_reverse_page(world *w, const char *id, int32_t page, span token) {
  ask *a = ask_new(w, &pb_GetWorkflowExecutionHistoryReverseResponse_desc);
  pb_GetWorkflowExecutionHistoryReverseRequest *r =
      pb_new(&a->call->arena, GetWorkflowExecutionHistoryReverseRequest);
  r->execution = execution(&a->call->arena, id);
  r->maximum_page_size = page;
  r->next_page_token = arena_dup(&a->call->arena, token);
  shard_history_reverse(w->shard, &a->call->op, r);
  return a;
}

void expect_events(const pb_GetWorkflowExecutionHistoryResponse *r, const int32_t *types,
                   size_t n) {
  assert_int_equal(r->history->events.n, n);
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(r->history->events.v[i]->event_type, types[i]);
    assert_int_equal(r->history->events.v[i]->event_id, i + 1);
  }
}

/* --- the worker --- */

static ask *poll(world *w, const char *queue, const char *key, int32_t kind) {
  ask *a = ask_new(w, &pb_PollWorkflowTaskQueueResponse_desc);
  pb_PollWorkflowTaskQueueRequest r = {.identity = SPAN("worker"),
                                       .worker_instance_key = span_cstr(key)};
  pb_TaskQueue q = {.name = span_cstr(queue), .kind = kind};
  r.task_queue = &q;
  shard_poll_workflow(w->shard, &a->call->op, &r);
  return a;
}

ask *poll_workflow_as(world *w, const char *queue, const char *instance_key) {
  return poll(w, queue, instance_key, PB_TASK_QUEUE_KIND_NORMAL);
}

ask *poll_workflow(world *w, const char *queue) { return poll_workflow_as(w, queue, "worker"); }

ask *poll_sticky(world *w, const char *queue) {
  return poll(w, queue, "worker", PB_TASK_QUEUE_KIND_STICKY);
}

ask *poll_activity(world *w, const char *queue) {
  ask *a = ask_new(w, &pb_PollActivityTaskQueueResponse_desc);
  pb_PollActivityTaskQueueRequest r = {.identity = SPAN("worker"),
                                       .worker_instance_key = SPAN("worker")};
  pb_TaskQueue q = {.name = span_cstr(queue), .kind = PB_TASK_QUEUE_KIND_NORMAL};
  r.task_queue = &q;
  shard_poll_activity(w->shard, &a->call->op, &r);
  return a;
}

ask *poll_nexus(world *w, const char *instance_key) {
  ask *a = ask_new(w, &pb_PollNexusTaskQueueResponse_desc);
  pb_PollNexusTaskQueueRequest r = {.worker_instance_key = span_cstr(instance_key)};
  shard_poll_nexus(w->shard, &a->call->op, &r);
  return a;
}

static ask *complete(world *w, span token, pb_RespondWorkflowTaskCompletedRequest *r) {
  ask *a = ask_new(w, &pb_RespondWorkflowTaskCompletedResponse_desc);
  pb_RespondWorkflowTaskCompletedRequest *copy =
      PB_COPY(RespondWorkflowTaskCompletedRequest, r, &a->call->arena);
  copy->task_token = arena_dup(&a->call->arena, token);
  shard_wft_complete(w->shard, &a->call->op, copy);
  return a;
}

ask *complete_commands(world *w, span token, pb_Command **commands, size_t n, const char *sticky) {
  pb_RespondWorkflowTaskCompletedRequest r = {.identity = SPAN("worker")};
  r.commands.v = commands;
  r.commands.n = n;
  pb_TaskQueue queue = {.name = span_cstr(sticky)};
  pb_Duration timeout = {.seconds = 10};
  pb_StickyExecutionAttributes attributes = {.worker_task_queue = &queue,
                                             .schedule_to_start_timeout = &timeout};
  if (sticky) r.sticky_attributes = &attributes;
  return complete(w, token, &r);
}

static ask *complete_one(world *w, span token, pb_Command *command) {
  return complete_commands(w, token, &command, 1, NULL);
}

ask *complete_workflow(world *w, span token) {
  pb_CompleteWorkflowExecutionCommandAttributes attrs = {0};
  pb_Command c = {
      .command_type = PB_COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
      .which_attributes = PB_Command_complete_workflow_execution_command_attributes_FIELD};
  c.complete_workflow_execution_command_attributes = &attrs;
  return complete_one(w, token, &c);
}

static ask *schedule_activity(world *w, span token, const char *activity_id, bool eager) {
  pb_ActivityType type = {.name = SPAN("charge")};
  pb_TaskQueue queue = {.name = SPAN("q")};
  pb_Duration timeout = {.seconds = 60};
  pb_ScheduleActivityTaskCommandAttributes attrs = {.activity_id = span_cstr(activity_id),
                                                    .activity_type = &type,
                                                    .task_queue = &queue,
                                                    .start_to_close_timeout = &timeout,
                                                    .request_eager_execution = eager};
  pb_Command c = {.command_type = PB_COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
                  .which_attributes = PB_Command_schedule_activity_task_command_attributes_FIELD};
  c.schedule_activity_task_command_attributes = &attrs;
  return complete_one(w, token, &c);
}

ask *complete_with_activity(world *w, span token, const char *activity_id) {
  return schedule_activity(w, token, activity_id, false);
}

ask *complete_with_eager_activity(world *w, span token, const char *activity_id) {
  return schedule_activity(w, token, activity_id, true);
}

ask *complete_with_timer(world *w, span token, int64_t ns) {
  pb_Duration delay = {.seconds = ns / NS_PER_SEC, .nanos = (int32_t)(ns % NS_PER_SEC)};
  pb_StartTimerCommandAttributes attrs = {.timer_id = SPAN("1"), .start_to_fire_timeout = &delay};
  pb_Command c = {.command_type = PB_COMMAND_TYPE_START_TIMER,
                  .which_attributes = PB_Command_start_timer_command_attributes_FIELD};
  c.start_timer_command_attributes = &attrs;
  return complete_one(w, token, &c);
}

/* An encoded Payloads with one payload. */
static const char result[] = "\x0a\x04\x12\x02{}";

ask *complete_with_query(world *w, span token, span query_id) {
  pb_WorkflowQueryResult value = {.result_type = PB_QUERY_RESULT_TYPE_ANSWERED,
                                  .answer = span_of(result, sizeof result - 1)};
  pb_RespondWorkflowTaskCompletedRequest_QueryResultsEntry entry = {.key = query_id,
                                                                    .value = &value};
  pb_RespondWorkflowTaskCompletedRequest_QueryResultsEntry *entries[] = {&entry};
  pb_RespondWorkflowTaskCompletedRequest r = {.identity = SPAN("worker")};
  r.query_results.v = entries;
  r.query_results.n = 1;
  return complete(w, token, &r);
}

ask *complete_activity(world *w, span token) {
  ask *a = ask_new(w, &pb_RespondActivityTaskCompletedResponse_desc);
  pb_RespondActivityTaskCompletedRequest *r =
      pb_new(&a->call->arena, RespondActivityTaskCompletedRequest);
  r->task_token = arena_dup(&a->call->arena, token);
  r->result = span_of(result, sizeof result - 1);
  shard_activity_complete(w->shard, &a->call->op, r);
  return a;
}

ask *fail_activity(world *w, span token) {
  ask *a = ask_new(w, &pb_RespondActivityTaskFailedResponse_desc);
  pb_RespondActivityTaskFailedRequest *r =
      pb_new(&a->call->arena, RespondActivityTaskFailedRequest);
  r->task_token = arena_dup(&a->call->arena, token);
  r->failure = pb_new(&a->call->arena, Failure);
  r->failure->message = SPAN("no");
  r->failure->which_failure_info = PB_Failure_application_failure_info_FIELD;
  r->failure->application_failure_info = pb_new(&a->call->arena, ApplicationFailureInfo);
  shard_activity_fail(w->shard, &a->call->op, r);
  return a;
}

ask *answer_query(world *w, span token) {
  ask *a = ask_new(w, &pb_RespondQueryTaskCompletedResponse_desc);
  pb_RespondQueryTaskCompletedRequest *r =
      pb_new(&a->call->arena, RespondQueryTaskCompletedRequest);
  r->task_token = arena_dup(&a->call->arena, token);
  r->completed_type = PB_QUERY_RESULT_TYPE_ANSWERED;
  r->query_result = span_of(result, sizeof result - 1);
  shard_query_complete(w->shard, &a->call->op, r);
  return a;
}

void finish_workflow(world *w) {
  ask *p = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, p);
  answer_free(w, complete_workflow(w, task->task_token));
  ask_free(p);
}

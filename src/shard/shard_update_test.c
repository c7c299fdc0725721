/* Clients that wait for updates: answers, limits of time, crashes, starts that bring one. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "shard/test_client.h"

static const int32_t accepted = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED;
static const int32_t completed = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED;

/* --- clients --- */

static pb_UpdateWorkflowExecutionRequest *update_request(arena *a, const char *workflow_id,
                                                         const char *update_id, int32_t stage) {
  pb_UpdateWorkflowExecutionRequest *r = pb_new(a, UpdateWorkflowExecutionRequest);
  r->workflow_execution = pb_new(a, WorkflowExecution);
  r->workflow_execution->workflow_id = span_cstr(workflow_id);
  r->request = pb_new(a, update_Request);
  r->request->meta = pb_new(a, Meta);
  r->request->meta->update_id = span_cstr(update_id);
  r->request->input = pb_new(a, Input);
  r->request->input->name = SPAN("upd");
  r->wait_policy = pb_new(a, WaitPolicy);
  r->wait_policy->lifecycle_stage = stage;
  return r;
}

static ask *update(world *w, const char *workflow_id, const char *update_id, int32_t stage) {
  ask *a = ask_new(w, &pb_UpdateWorkflowExecutionResponse_desc);
  shard_update(w->shard, &a->call->op,
               update_request(&a->call->arena, workflow_id, update_id, stage));
  world_run(w);
  return a;
}

static ask *poll_update(world *w, const char *update_id) {
  ask *a = ask_new(w, &pb_PollWorkflowExecutionUpdateResponse_desc);
  pb_WorkflowExecution execution = {.workflow_id = SPAN("wf")};
  pb_UpdateRef ref = {.workflow_execution = &execution, .update_id = span_cstr(update_id)};
  pb_WaitPolicy policy = {.lifecycle_stage = completed};
  pb_PollWorkflowExecutionUpdateRequest r = {.update_ref = &ref, .wait_policy = &policy};
  shard_poll_update(w->shard, &a->call->op, &r);
  world_run(w);
  return a;
}

static ask *update_with_start_begun(world *w, const char *request_id) {
  ask *a = ask_new(w, &pb_ExecuteMultiOperationResponse_desc);
  pb_WorkflowType type = {.name = SPAN("Type")};
  pb_TaskQueue queue = {.name = SPAN("q")};
  pb_Duration timeout = {.seconds = 10};
  pb_StartWorkflowExecutionRequest start = {
      .workflow_id = SPAN("wf"),
      .request_id = span_cstr(request_id),
      .workflow_type = &type,
      .task_queue = &queue,
      .workflow_task_timeout = &timeout,
      .workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL};
  arena *mem = &a->call->arena;
  shard_update_with_start(w->shard, &a->call->op,
                          PB_COPY(StartWorkflowExecutionRequest, &start, mem),
                          update_request(mem, "wf", "u", completed));
  return a;
}

static ask *update_with_start(world *w, const char *request_id) {
  ask *a = update_with_start_begun(w, request_id);
  world_run(w);
  return a;
}

/* --- the worker --- */

/* A workflow that has completed its first task. */
static void start_idle(world *w, const char *id) {
  answer_free(w, start_workflow(w, id));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_commands(w, task->task_token, NULL, 0, NULL));
  ask_free(poll);
}

static pb_Message *message(arena *a, const pb_Message *in, const char *type, span body) {
  pb_Message *m = pb_new(a, Message);
  m->id = arena_spanf(a, "%.*s/%s", SPAN_ARG(in->protocol_instance_id), type);
  m->protocol_instance_id = in->protocol_instance_id;
  m->body = pb_new(a, Any);
  m->body->type_url = arena_spanf(a, "type.googleapis.com/temporal.api.update.v1.%s", type);
  m->body->value = body;
  return m;
}

/* Takes the next task and accepts the update it carries; `completes` it as well. */
static void answer_update(world *w, bool completes) {
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->messages.n, 1);
  const pb_Message *in = task->messages.v[0];
  arena *a = &poll->arena;
  pb_Acceptance acceptance = {.accepted_request_message_id = in->id,
                              .accepted_request_sequencing_event_id = in->event_id};
  pb_Meta meta = {.update_id = in->protocol_instance_id};
  pb_Outcome outcome = {.which_value = PB_Outcome_success_FIELD, .success = SPAN("")};
  pb_update_Response response = {.meta = &meta, .outcome = &outcome};
  pb_Message *both[] = {message(a, in, "Acceptance", PB_ENCODE(Acceptance, &acceptance, a)),
                        message(a, in, "Response", PB_ENCODE(update_Response, &response, a))};
  ask *done = ask_new(w, &pb_RespondWorkflowTaskCompletedResponse_desc);
  pb_RespondWorkflowTaskCompletedRequest r = {.task_token = keep_token(task->task_token)};
  r.messages.v = both;
  r.messages.n = completes ? 2 : 1;
  shard_wft_complete(w->shard, &done->call->op, &r);
  answer_free(w, done);
  ask_free(poll);
}

static int64_t history_length(world *w, const char *id) {
  ask *a = describe(w, id, SPAN_NONE);
  pb_DescribeWorkflowExecutionResponse *r = answer(w, a);
  int64_t n = r->workflow_execution_info->history_length;
  ask_free(a);
  return n;
}

static int32_t stage_of(world *w, ask *a) {
  return ((pb_UpdateWorkflowExecutionResponse *)answer(w, a))->stage;
}

/* --- tests --- */

static void test_an_update_is_answered_by_its_worker(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *u = update(w, "wf", "u", completed);
  assert_false(u->done);
  assert_true(u->parked);
  assert_int_equal(history_length(w, "wf"), 4);
  answer_update(w, true);
  assert_int_equal(stage_of(w, u), completed);
  assert_int_equal(history_length(w, "wf"), 9);
  ask_free(u);
}

static void test_twenty_seconds_end_the_wait_with_the_stage_reached(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *u = update(w, "wf", "u", completed);
  world_pass(w, 19 * NS_PER_SEC);
  assert_false(u->done);
  world_pass(w, 2 * NS_PER_SEC);
  assert_int_equal(stage_of(w, u), PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED);
  ask *poll = poll_update(w, "u");
  answer_update(w, false);
  assert_false(poll->done);
  world_pass(w, 21 * NS_PER_SEC);
  pb_PollWorkflowExecutionUpdateResponse *r = answer(w, poll);
  assert_int_equal(r->stage, accepted);
  ask_free(poll);
  ask_free(u);
}

static void test_a_client_that_leaves_does_not_take_its_update_along(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *u = update(w, "wf", "u", completed);
  ask_gone(w, u);
  answer_update(w, true);
  ask *again = update(w, "wf", "u", completed);
  assert_int_equal(stage_of(w, again), completed);
  ask_free(again);
  ask_free(u);
}

static void test_a_crash_forgets_what_was_not_accepted(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *lost = update(w, "wf", "u", completed);
  world_crash(w);
  ask_abandon(lost);
  ask *poll = poll_update(w, "u");
  world_run(w);
  assert_int_equal(poll->code, ERR_NOT_FOUND);
  ask *again = update(w, "wf", "u", accepted);
  answer_update(w, false);
  assert_int_equal(stage_of(w, again), accepted);
  world_crash(w);
  ask *known = update(w, "wf", "u", accepted);
  assert_int_equal(stage_of(w, known), accepted);
  ask_free(poll);
  ask_free(again);
  ask_free(known);
}

static void test_an_outcome_is_read_from_history(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *u = update(w, "wf", "u", completed);
  answer_update(w, true);
  assert_int_equal(stage_of(w, u), completed);
  world_restart(w);
  ask *poll = poll_update(w, "u");
  pb_PollWorkflowExecutionUpdateResponse *r = answer(w, poll);
  assert_int_equal(r->stage, completed);
  assert_int_equal(r->outcome->which_value, PB_Outcome_success_FIELD);
  ask_free(poll);
  ask_free(u);
}

static void test_a_server_that_ends_tells_who_waits(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *u = update(w, "wf", "u", completed);
  world_restart(w);
  assert_true(u->done);
  assert_int_equal(u->code, ERR_UNAVAILABLE);
  ask_free(u);
}

/* It would begin to wait when its start is durable, and the server ends before that. */
static void test_a_server_that_ends_tells_who_is_about_to_wait(void **state) {
  world *w = *state;
  ask *both = update_with_start_begun(w, "first");
  world_restart(w);
  assert_true(both->done);
  assert_int_equal(both->code, ERR_UNAVAILABLE);
  ask_free(both);
}

static void test_a_crowded_queue_has_the_task_written(void **state) {
  world *w = *state;
  w->config.queue_window = 8;
  world_restart(w);
  start_idle(w, "wf");
  for (int i = 0; i < 20; i++) {
    char id[] = "other-a";
    id[6] = (char)('a' + i);
    answer_free(w, start_workflow(w, id));
  }
  ask *u = update(w, "wf", "u", completed);
  assert_int_equal(history_length(w, "wf"), 5);
  for (int i = 0; i < 20; i++) finish_workflow(w);
  answer_update(w, true);
  assert_int_equal(stage_of(w, u), completed);
  ask_free(u);
}

static void test_a_start_brings_an_update(void **state) {
  world *w = *state;
  ask *both = update_with_start(w, "first");
  answer_update(w, true);
  pb_ExecuteMultiOperationResponse *r = answer(w, both);
  assert_int_equal(r->responses.n, 2);
  assert_true(r->responses.v[0]->start_workflow->started);
  assert_int_equal(r->responses.v[1]->update_workflow->stage, completed);
  /* What is done already is answered whatever the policy says of the start. */
  ask *again = update_with_start(w, "second");
  r = answer(w, again);
  assert_false(r->responses.v[0]->start_workflow->started);
  ask_free(both);
  ask_free(again);
}

static void test_a_start_that_is_refused_takes_its_update_along(void **state) {
  world *w = *state;
  start_idle(w, "wf");
  ask *both = update_with_start(w, "another");
  assert_int_equal(both->code, ERR_ALREADY_EXISTS);
  assert_string_equal(both->detail_type,
                      "temporal.api.errordetails.v1.MultiOperationExecutionFailure");
  assert_int_equal(history_length(w, "wf"), 4);
  ask_free(both);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_an_update_is_answered_by_its_worker),
      WORLD_TEST(test_twenty_seconds_end_the_wait_with_the_stage_reached),
      WORLD_TEST(test_a_client_that_leaves_does_not_take_its_update_along),
      WORLD_TEST(test_a_crash_forgets_what_was_not_accepted),
      WORLD_TEST(test_an_outcome_is_read_from_history),
      WORLD_TEST(test_a_server_that_ends_tells_who_waits),
      WORLD_TEST(test_a_server_that_ends_tells_who_is_about_to_wait),
      WORLD_TEST(test_a_crowded_queue_has_the_task_written),
      WORLD_TEST(test_a_start_brings_an_update),
      WORLD_TEST(test_a_start_that_is_refused_takes_its_update_along),
  };
  return cmocka_run_group_tests_name("shard update", tests, NULL, NULL);
}

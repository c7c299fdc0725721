/* Messages between runs: whatever is lost, repeated or in between when the server dies, each child
 * starts once, each signal arrives once, and each of them is answered once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/pb_time.h"
#include "shard/mail.h"
#include "shard/test_client.h"

/* --- a worker that plays a parent, its child and another workflow by their histories --- */

typedef struct seen {
  int child_started, child_ended, signal_done, cancel_done, signaled, cancel_requested, refused;
} seen;

static seen look_at(const pb_History *h) {
  seen s = {0};
  for (size_t i = 0; i < h->events.n; i++) {
    int32_t type = h->events.v[i]->event_type;
    s.child_started += type == PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED;
    s.child_ended += type == PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED;
    s.signal_done += type == PB_EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED;
    s.cancel_done += type == PB_EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED;
    s.signaled += type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED;
    s.cancel_requested += type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED;
    s.refused += type == PB_EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED ||
                 type == PB_EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED ||
                 type == PB_EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED;
  }
  return s;
}

static ask *complete_with_nothing(world *w, span token) {
  return complete_commands(w, token, NULL, 0, NULL);
}

/* Starts "kid", signals "other" and asks "third" to cancel. */
static ask *complete_with_messages(world *w, span token) {
  pb_WorkflowType type = {.name = SPAN("type")};
  pb_StartChildWorkflowExecutionCommandAttributes child = {.workflow_id = SPAN("kid"),
                                                           .workflow_type = &type};
  pb_WorkflowExecution other = {.workflow_id = SPAN("other")};
  pb_SignalExternalWorkflowExecutionCommandAttributes signal = {.execution = &other,
                                                                .signal_name = SPAN("s")};
  pb_RequestCancelExternalWorkflowExecutionCommandAttributes cancel = {.workflow_id =
                                                                           SPAN("third")};
  pb_Command c[] = {
      {.command_type = PB_COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
       .which_attributes = PB_Command_start_child_workflow_execution_command_attributes_FIELD},
      {.command_type = PB_COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
       .which_attributes = PB_Command_signal_external_workflow_execution_command_attributes_FIELD},
      {.command_type = PB_COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
       .which_attributes =
           PB_Command_request_cancel_external_workflow_execution_command_attributes_FIELD}};
  c[0].start_child_workflow_execution_command_attributes = &child;
  c[1].signal_external_workflow_execution_command_attributes = &signal;
  c[2].request_cancel_external_workflow_execution_command_attributes = &cancel;
  pb_Command *all[] = {&c[0], &c[1], &c[2]};
  return complete_commands(w, token, all, ARRAY_LEN(all), NULL);
}

static ask *act(world *w, const pb_PollWorkflowTaskQueueResponse *task) {
  span id = task->workflow_execution->workflow_id;
  seen s = look_at(task->history);
  bool first = task->previous_started_event_id == 0;
  bool done = true;
  if (span_eq(id, SPAN("parent"))) {
    if (first) return complete_with_messages(w, task->task_token);
    done = s.child_ended && s.signal_done && s.cancel_done;
  } else if (span_eq(id, SPAN("other"))) {
    done = s.signaled;
  } else if (span_eq(id, SPAN("third"))) {
    done = s.cancel_requested;
  }
  return done ? complete_workflow(w, task->task_token) : complete_with_nothing(w, task->task_token);
}

/* One task, if there is one: its answer is under way then. */
static ask *work(world *w) {
  ask *p = poll_workflow(w, "q");
  world_run(w);
  ask *made = NULL;
  if (p->done && !p->code && ((pb_PollWorkflowTaskQueueResponse *)p->answer)->task_token.n) {
    made = act(w, p->answer);
  }
  if (!p->done) ask_gone(w, p);
  ask_free(p);
  return made;
}

static void work_to_the_end(world *w) {
  for (int idle = 0; idle < 30;) {
    ask *a = work(w);
    world_run(w);
    if (a) {
      ask_free(a);
    } else {
      idle++;
      world_pass(w, 3 * NS_PER_SEC);
    }
  }
}

/* --- what must have come of it --- */

static void expect_closed(world *w, const char *id) {
  ask *a = describe(w, id, SPAN_NONE);
  pb_DescribeWorkflowExecutionResponse *d = answer(w, a);
  if (d->workflow_execution_info->status != PB_WORKFLOW_EXECUTION_STATUS_COMPLETED) {
    fail_msg("%s has not ended", id);
  }
  assert_int_equal(d->pending_children.n, 0);
  ask_free(a);
}

static seen history_of(world *w, const char *id) {
  ask *a = get_history(w, id, false);
  pb_GetWorkflowExecutionHistoryResponse *r = answer(w, a);
  seen s = look_at(r->history);
  ask_free(a);
  return s;
}

static void expect_everything_once(world *w) {
  static const char *const ids[] = {"parent", "kid", "other", "third"};
  for (size_t i = 0; i < ARRAY_LEN(ids); i++) expect_closed(w, ids[i]);
  seen parent = history_of(w, "parent");
  assert_int_equal(parent.child_started, 1);
  assert_int_equal(parent.child_ended, 1);
  assert_int_equal(parent.signal_done, 1);
  assert_int_equal(parent.cancel_done, 1);
  assert_int_equal(parent.refused, 0);
  assert_int_equal(history_of(w, "other").signaled, 1);
  assert_int_equal(history_of(w, "third").cancel_requested, 1);
}

static void start_all(world *w) {
  answer_free(w, start_workflow(w, "other"));
  answer_free(w, start_workflow(w, "third"));
  answer_free(w, start_workflow(w, "parent"));
}

/* --- what goes wrong, at every turn of every completion --- */

typedef void trouble(world *w);

static void die(world *w) {
  world_crash(w);
  /* Takes the next free run key: not the one that was promised to the child. */
  answer_free(w, start_workflow(w, "bystander"));
}

static void fail_a_commit(world *w) { store_memory_fail_commits(w->store, 1); }
static void fail_some_commits(world *w) { store_memory_fail_commits(w->store, 4); }

/* Delivers what the run tells once more, at the same time. */
static void deliver_again_from(world *w, const char *id, ask **copies, size_t *n) {
  shard_run *run = run_current(w->shard, w->ns.key, span_cstr(id));
  arena a = ARENA_INIT;
  engine_step st;
  if (!run || run->phase != RUN_READY) return;
  engine_step_init(&st, &w->shard->host, w->now, &w->env.random, &a);
  engine_waiting_messages(run->engine, &st);
  for (size_t i = 0; i < st.n_messages; i++) {
    ask *copy = ask_new(w, NULL);
    engine_message *m = arena_new(&copy->call->arena, engine_message);
    assert_true(engine_message_read(run->engine, st.messages[i], &copy->call->arena, m));
    copies[(*n)++] = copy;
    receive(w->shard, &copy->call->op, m, true);
  }
  arena_release(&a);
}

static void deliver_again(world *w) {
  ask *copies[16];
  size_t n = 0;
  deliver_again_from(w, "parent", copies, &n);
  deliver_again_from(w, "kid", copies, &n);
  world_run(w);
  for (size_t i = 0; i < n; i++) ask_free(copies[i]);
}

/* The trouble comes so many turns after the n-th completion. False: it was over before. */
static bool play(int completion, int64_t turns, trouble *t, size_t memory_bytes) {
  world w;
  world_init(&w);
  if (memory_bytes) {
    w.config.memory_bytes = memory_bytes;
    world_restart(&w);
  }
  start_all(&w);
  ask *a = NULL;
  for (int i = 0; i < completion; i++) {
    if (a) answer_free(&w, a);
    a = work(&w);
    if (!a) break;
  }
  world_turns(&w, turns);
  bool in_time = !list_empty(&w.tasks);
  t(&w);
  world_run(&w);
  if (a && a->done) {
    ask_free(a);
  } else if (a) {
    ask_abandon(a);
  }
  work_to_the_end(&w);
  expect_everything_once(&w);
  world_release(&w);
  return in_time;
}

enum { COMPLETIONS = 9 };

static void play_all(trouble *t, size_t memory_bytes) {
  int played = 0;
  for (int completion = 1; completion <= COMPLETIONS; completion++) {
    for (int64_t turns = 0; play(completion, turns, t, memory_bytes); turns++) played++;
  }
  assert_true(played > 30);
}

static void test_a_crash_in_between(void **state) {
  (void)state;
  play_all(die, 0);
}

static void test_a_crash_in_little_memory(void **state) {
  (void)state;
  play_all(die, 1);
}

static void test_commits_that_fail(void **state) {
  (void)state;
  play_all(fail_a_commit, 0);
  play_all(fail_some_commits, 0);
}

static void test_messages_that_come_twice(void **state) {
  (void)state;
  play_all(deliver_again, 0);
}

/* --- redelivery when the world has changed meanwhile --- */

static span read_message(world *w, const char *id, arena *a, engine_message *m) {
  shard_run *run = run_current(w->shard, w->ns.key, span_cstr(id));
  engine_step st;
  assert_non_null(run);
  engine_step_init(&st, &w->shard->host, w->now, &w->env.random, a);
  engine_waiting_messages(run->engine, &st);
  assert_true(st.n_messages > 0);
  assert_true(engine_message_read(run->engine, st.messages[0], a, m));
  return m->child_run_id;
}

static void deliver(world *w, const engine_message *m, err_code expected) {
  ask *a = ask_new(w, NULL);
  receive(w->shard, &a->call->op, m, true);
  world_run(w);
  assert_true(a->done);
  assert_int_equal(a->code, expected);
  ask_free(a);
}

/* The child has ended and its id belongs to a workflow of a client: the start is known all the
 * same, by its run id, in memory and on disk. */
static void test_a_start_is_known_after_its_id_was_used_again(void **state) {
  world *w = *state;
  arena a = ARENA_INIT;
  engine_message m;
  start_all(w);
  ask *first = NULL;
  for (int i = 0; i < 3; i++) { /* other, third, parent */
    if (first) answer_free(w, first);
    first = work(w);
  }
  world_turns(w, 1);
  span run_id = read_message(w, "parent", &a, &m);
  answer_free(w, first);
  work_to_the_end(w);
  answer_free(w, start_workflow(w, "kid"));
  deliver(w, &m, ERR_OK);
  world_restart(w);
  deliver(w, &m, ERR_OK);
  m.child_run_id = SPAN("0191e7d4-0000-7000-8000-000000000000"); /* of a child never started */
  deliver(w, &m, ERR_ALREADY_EXISTS);
  assert_true(run_id.n > 0);
  expect_closed(w, "parent");
  arena_release(&a);
}

static ask *continue_as_new(world *w, span token) {
  pb_ContinueAsNewWorkflowExecutionCommandAttributes attrs = {0};
  pb_Command c = {
      .command_type = PB_COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
      .which_attributes = PB_Command_continue_as_new_workflow_execution_command_attributes_FIELD};
  c.continue_as_new_workflow_execution_command_attributes = &attrs;
  pb_Command *all[] = {&c};
  return complete_commands(w, token, all, 1, NULL);
}

/* The target has continued as new, or was started anew, between two deliveries. */
static void test_a_message_is_known_to_the_runs_that_follow(void **state) {
  world *w = *state;
  pb_SignalExternalWorkflowExecutionInitiatedEventAttributes attrs = {.signal_name = SPAN("s")};
  engine_message m = {.kind = MESSAGE_SIGNAL,
                      .id = 5,
                      .from = {.workflow_id = SPAN("parent"), .run_id = SPAN("r")},
                      .to = {.workflow_id = SPAN("other")},
                      .request_id = SPAN("5f0e7a10-1111-4222-8333-444455556666"),
                      .signal = &attrs};
  answer_free(w, start_workflow(w, "other"));
  deliver(w, &m, ERR_OK);
  assert_int_equal(history_of(w, "other").signaled, 1);
  ask *p = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, p);
  answer_free(w, continue_as_new(w, task->task_token));
  ask_free(p);
  deliver(w, &m, ERR_OK);
  assert_int_equal(history_of(w, "other").signaled, 0);
  world_pass(w, 2 * NS_PER_SEC);
  finish_workflow(w);
  answer_free(w, start_workflow_with(w, "other", &(start_options){.request_id = "again"}));
  deliver(w, &m, ERR_OK);
  world_restart(w);
  deliver(w, &m, ERR_OK);
  assert_int_equal(history_of(w, "other").signaled, 0);
  m.request_id = SPAN("5f0e7a10-1111-4222-8333-444455556667");
  deliver(w, &m, ERR_OK);
  assert_int_equal(history_of(w, "other").signaled, 1);
}

static void test_nobody_hears_of_the_end_of_an_unknown_child(void **state) {
  world *w = *state;
  start_all(w);
  pb_HistoryEvent close = {.event_type = PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED};
  engine_message m = {.kind = MESSAGE_CHILD_RESULT,
                      .from = {.workflow_id = SPAN("kid"), .run_id = SPAN("r")},
                      .to = {.workflow_id = SPAN("parent")},
                      .first_run_id = SPAN("r"),
                      .parent_initiated_id = 5,
                      .close = &close};
  deliver(w, &m, ERR_OK);
  m.to.workflow_id = SPAN("nobody");
  deliver(w, &m, ERR_NOT_FOUND);
  ask *h = get_history(w, "parent", false);
  pb_GetWorkflowExecutionHistoryResponse *r = answer(w, h);
  assert_int_equal(r->history->events.n, 2);
  ask_free(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_crash_in_between),
      cmocka_unit_test(test_a_crash_in_little_memory),
      cmocka_unit_test(test_commits_that_fail),
      cmocka_unit_test(test_messages_that_come_twice),
      WORLD_TEST(test_a_start_is_known_after_its_id_was_used_again),
      WORLD_TEST(test_a_message_is_known_to_the_runs_that_follow),
      WORLD_TEST(test_nobody_hears_of_the_end_of_an_unknown_child),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

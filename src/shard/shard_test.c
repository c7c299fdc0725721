/* The shard as its callers see it: requests in, answers out, on the model store. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/pb_time.h"
#include "shard/test_client.h"

static void test_a_workflow_runs_to_its_end(void **state) {
  world *w = *state;
  ask *start = start_workflow(w, "wf");
  pb_StartWorkflowExecutionResponse *started = answer(w, start);
  assert_true(started->started);

  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->attempt, 1);
  assert_int_equal(task->started_event_id, 3);
  assert_int_equal(task->history->events.n, 3);
  assert_true(span_eq(task->workflow_execution->run_id, started->run_id));

  ask *done = complete_with_activity(w, task->task_token, "act");
  answer(w, done);
  ask *activity_poll = poll_activity(w, "q");
  pb_PollActivityTaskQueueResponse *activity = answer(w, activity_poll);
  assert_true(span_eq(activity->activity_id, SPAN("act")));
  ask *activity_done = complete_activity(w, activity->task_token);
  answer(w, activity_done);

  ask *poll2 = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task2 = answer(w, poll2);
  assert_int_equal(task2->previous_started_event_id, 3);
  ask *end = complete_workflow(w, task2->task_token);
  answer(w, end);

  ask *history = get_history(w, "wf", false);
  static const int32_t types[] = {
      PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,  PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
      PB_EVENT_TYPE_WORKFLOW_TASK_STARTED,       PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
      PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,     PB_EVENT_TYPE_ACTIVITY_TASK_STARTED,
      PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED,     PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
      PB_EVENT_TYPE_WORKFLOW_TASK_STARTED,       PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
      PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED};
  expect_events(answer(w, history), types, ARRAY_LEN(types));
  ask *all[] = {start, poll, done, activity_poll, activity_done, poll2, end, history};
  for (size_t i = 0; i < ARRAY_LEN(all); i++) ask_free(all[i]);
}

static void test_a_parked_poll_gets_the_task(void **state) {
  world *w = *state;
  ask *poll = poll_workflow(w, "q");
  world_run(w);
  assert_true(poll->parked);
  assert_false(poll->done);
  ask *start = start_workflow(w, "wf");
  world_run(w);
  assert_true(poll->done);
  assert_true(start->done);
  ask_free(poll);
  ask_free(start);
}

static void test_a_poll_ends_empty_before_the_deadline(void **state) {
  world *w = *state;
  ask *poll = poll_workflow(w, "q");
  world_pass(w, 59 * NS_PER_SEC);
  assert_false(poll->done);
  world_pass(w, NS_PER_SEC);
  assert_true(poll->done);
  assert_int_equal(poll->code, ERR_OK);
  assert_int_equal(((pb_PollWorkflowTaskQueueResponse *)poll->answer)->task_token.n, 0);
  ask_free(poll);
}

static void test_a_poll_that_is_cancelled_gets_no_task(void **state) {
  world *w = *state;
  ask *gone = poll_workflow(w, "q");
  world_run(w);
  ask_gone(w, gone);
  assert_int_equal(gone->code, ERR_CANCELLED);
  ask *start = start_workflow(w, "wf");
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->attempt, 1);
  ask_free(gone);
  ask_free(start);
  ask_free(poll);
}

/* The poller leaves after it was given the task and before the answer is on its way. */
static void test_a_task_of_a_vanished_poll_goes_to_the_next(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *signal = signal_workflow(w, "wf", "s"); /* not durable: the poll has to wait */
  ask *gone = poll_workflow(w, "q");
  assert_false(gone->done);
  ask_gone(w, gone);
  world_run(w);
  assert_int_equal(gone->code, ERR_CANCELLED);
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->attempt, 1);
  ask_free(gone);
  ask_free(signal);
  ask_free(poll);
}

static void test_an_activity_of_a_vanished_poll_goes_to_the_next(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_with_activity(w, task->task_token, "act"));
  ask *signal = signal_workflow(w, "wf", "s");
  ask *gone = poll_activity(w, "q");
  assert_false(gone->done);
  ask_gone(w, gone);
  world_run(w);
  ask *next = poll_activity(w, "q");
  pb_PollActivityTaskQueueResponse *activity = answer(w, next);
  assert_int_equal(activity->attempt, 1);
  assert_true(activity->task_token.n > 0);
  ask *all[] = {poll, signal, gone, next};
  for (size_t i = 0; i < ARRAY_LEN(all); i++) ask_free(all[i]);
}

static void test_a_start_that_is_repeated_gets_the_same_run(void **state) {
  world *w = *state;
  ask *first = start_workflow(w, "wf");
  pb_StartWorkflowExecutionResponse *one = answer(w, first);
  ask *again = start_workflow(w, "wf");
  pb_StartWorkflowExecutionResponse *two = answer(w, again);
  assert_true(two->started);
  assert_true(span_eq(one->run_id, two->run_id));
  ask_free(first);
  ask_free(again);
}

static void test_a_start_after_a_restart_meets_the_run_that_is_there(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  world_restart(w);
  start_options o = {.request_id = "other"};
  ask *other = start_workflow_with(w, "wf", &o);
  world_run(w);
  assert_int_equal(other->code, ERR_ALREADY_EXISTS);
  assert_non_null(strstr(other->text, "Workflow execution is already running. WorkflowId: wf"));
  assert_string_equal(other->detail_type,
                      "temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure");
  ask_free(other);
}

static void test_use_existing_gives_the_open_run(void **state) {
  world *w = *state;
  ask *first = start_workflow(w, "wf");
  pb_StartWorkflowExecutionResponse *one = answer(w, first);
  start_options o = {.request_id = "other",
                     .conflict = PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING};
  ask *second = start_workflow_with(w, "wf", &o);
  pb_StartWorkflowExecutionResponse *two = answer(w, second);
  assert_false(two->started);
  assert_true(span_eq(one->run_id, two->run_id));
  ask_free(first);
  ask_free(second);
}

static void test_terminate_existing_replaces_the_run_in_one_step(void **state) {
  world *w = *state;
  ask *first = start_workflow(w, "wf");
  pb_StartWorkflowExecutionResponse *one = answer(w, first);
  world_restart(w);
  start_options o = {.request_id = "other",
                     .conflict = PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING};
  ask *second = start_workflow_with(w, "wf", &o);
  pb_StartWorkflowExecutionResponse *two = answer(w, second);
  assert_true(two->started);
  assert_false(span_eq(one->run_id, two->run_id));
  ask *old = describe(w, "wf", one->run_id);
  pb_DescribeWorkflowExecutionResponse *d = answer(w, old);
  assert_int_equal(d->workflow_execution_info->status, PB_WORKFLOW_EXECUTION_STATUS_TERMINATED);
  ask_free(first);
  ask_free(second);
  ask_free(old);
}

static void test_a_closed_id_follows_the_reuse_policy(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  start_options reject = {.request_id = "b", .reuse = PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE};
  start_options failed_only = {.request_id = "c",
                               .reuse = PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY};
  start_options allow = {.request_id = "d"};
  ask *rejected = start_workflow_with(w, "wf", &reject);
  ask *refused = start_workflow_with(w, "wf", &failed_only);
  world_run(w);
  assert_non_null(strstr(rejected->text, "Workflow execution already finished. WorkflowId: wf"));
  assert_non_null(strstr(refused->text, "Workflow execution already finished successfully."));
  answer_free(w, start_workflow_with(w, "wf", &allow));
  ask_free(rejected);
  ask_free(refused);
}

static void test_signal_with_start_starts_then_signals(void **state) {
  world *w = *state;
  for (int i = 0; i < 2; i++) {
    ask *a = signal_with_start(w, "wf");
    pb_SignalWithStartWorkflowExecutionResponse *r = answer(w, a);
    assert_int_equal(r->started, i == 0);
    ask_free(a);
  }
  ask *history = get_history(w, "wf", false);
  static const int32_t types[] = {
      PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
      PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED};
  expect_events(answer(w, history), types, ARRAY_LEN(types));
  ask_free(history);
}

static void test_unknown_runs_are_not_found(void **state) {
  world *w = *state;
  ask *none = signal_workflow(w, "nobody", "s");
  world_run(w);
  assert_int_equal(none->code, ERR_NOT_FOUND);
  assert_string_equal(none->text, "workflow not found for ID: nobody");
  answer_free(w, start_workflow(w, "wf"));
  ask *foreign = describe(w, "wf", SPAN("01234567-89ab-4def-8123-456789abcdef"));
  world_run(w);
  assert_int_equal(foreign->code, ERR_NOT_FOUND);
  ask_free(none);
  ask_free(foreign);
}

static void test_timers_fire_for_runs_that_are_not_in_memory(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_with_timer(w, task->task_token, 300 * NS_PER_SEC));
  world_restart(w);
  shard_stats stats;
  shard_get_stats(w->shard, &stats);
  assert_int_equal(stats.runs_in_memory, 0);
  world_pass(w, 299 * NS_PER_SEC);
  shard_get_stats(w->shard, &stats);
  assert_int_equal(stats.runs_in_memory, 0);
  world_pass(w, 2 * NS_PER_SEC);
  ask *next = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task2 = answer(w, next);
  assert_int_equal(task2->history->events.n, 8);
  assert_int_equal(task2->history->events.v[5]->event_type, PB_EVENT_TYPE_TIMER_FIRED);
  ask_free(poll);
  ask_free(next);
}

static void test_a_task_waits_over_a_crash(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  world_crash(w);
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->history->events.n, 3);
  /* The answer of a task whose start the crash forgot still counts. */
  world_crash(w);
  answer_free(w, complete_workflow(w, task->task_token));
  ask_free(poll);
}

static void test_a_quarantined_run_is_left_alone(void **state) {
  world *w = *state;
  int64_t key;
  answer_free(w, start_workflow(w, "poisoned"));
  world_restart(w);
  key = w->store->last_run_key; /* of the only run */
  answer_free(w, start_workflow(w, "healthy"));
  w->config.quarantined = &key;
  w->config.n_quarantined = 1;
  world_restart(w);
  ask *refused = signal_workflow(w, "poisoned", "s");
  world_run(w);
  assert_int_equal(refused->code, ERR_DATA_LOSS);
  assert_non_null(strstr(refused->text, "the server crashed twice in a row"));
  finish_workflow(w); /* of the healthy one: the first task is not in its way */
  assert_int_equal(*shard_suspect(w->shard), 0);
  ask_free(refused);
  w->config.n_quarantined = 0;
  world_restart(w);
  answer_free(w, signal_workflow(w, "poisoned", "s")); /* nothing of it was lost */
}

static void test_a_failed_commit_tells_everybody_and_forgets(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *signal = signal_workflow(w, "wf", "lost");
  ask *read = describe(w, "wf", SPAN_NONE);
  store_memory_fail_commits(w->store, 3);
  world_run(w);
  assert_int_equal(signal->code, ERR_UNAVAILABLE);
  assert_int_equal(read->code, ERR_UNAVAILABLE);
  ask *history = get_history(w, "wf", false);
  static const int32_t types[] = {PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
                                  PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED};
  expect_events(answer(w, history), types, ARRAY_LEN(types));
  /* And its task is not lost. */
  ask *poll = poll_workflow(w, "q");
  answer(w, poll);
  assert_true(poll->done);
  ask_free(signal);
  ask_free(read);
  ask_free(history);
  ask_free(poll);
}

static void test_history_pages(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  for (int i = 0; i < 20; i++) answer_free(w, signal_workflow(w, "wf", "s"));
  world_restart(w);
  int64_t expected = 1;
  span token = SPAN_NONE;
  do {
    ask *page = get_history_page(w, "wf", 5, token);
    pb_GetWorkflowExecutionHistoryResponse *r = answer(w, page);
    for (size_t i = 0; i < r->history->events.n; i++) {
      assert_int_equal(r->history->events.v[i]->event_id, expected++);
    }
    token = r->next_page_token.n ? keep_token(r->next_page_token) : SPAN_NONE;
    ask_free(page);
  } while (token.n);
  assert_int_equal(expected, 23);
}

static void test_history_reverse(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  for (int i = 0; i < 7; i++) answer_free(w, signal_workflow(w, "wf", "s"));
  int64_t expected = 9;
  span token = SPAN_NONE;
  do {
    ask *page = get_reverse_page(w, "wf", 4, token);
    pb_GetWorkflowExecutionHistoryReverseResponse *r = answer(w, page);
    for (size_t i = 0; i < r->history->events.n; i++) {
      assert_int_equal(r->history->events.v[i]->event_id, expected--);
    }
    token = r->next_page_token.n ? keep_token(r->next_page_token) : SPAN_NONE;
    ask_free(page);
  } while (token.n);
  assert_int_equal(expected, 0);
}

static void test_a_long_poll_sees_the_next_event(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *first = get_history(w, "wf", true);
  pb_GetWorkflowExecutionHistoryResponse *r = answer(w, first);
  assert_int_equal(r->history->events.n, 2);
  ask *wait = wait_history(w, "wf", r->next_page_token, false);
  world_run(w);
  assert_false(wait->done);
  answer_free(w, signal_workflow(w, "wf", "s"));
  pb_GetWorkflowExecutionHistoryResponse *more = answer(w, wait);
  assert_int_equal(more->history->events.n, 1);
  assert_true(more->next_page_token.n > 0);
  ask *silent = wait_history(w, "wf", more->next_page_token, false);
  world_pass(w, 20 * NS_PER_SEC);
  pb_GetWorkflowExecutionHistoryResponse *nothing = answer(w, silent);
  assert_int_equal(nothing->history->events.n, 0);
  assert_true(nothing->next_page_token.n > 0);
  ask_free(first);
  ask_free(wait);
  ask_free(silent);
}

static void test_waiting_for_the_close_event(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *wait = wait_history(w, "wf", SPAN_NONE, true);
  world_run(w);
  assert_false(wait->done);
  finish_workflow(w);
  pb_GetWorkflowExecutionHistoryResponse *r = answer(w, wait);
  assert_int_equal(r->history->events.n, 1);
  assert_int_equal(r->history->events.v[0]->event_type, PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED);
  assert_int_equal(r->next_page_token.n, 0);
  ask_free(wait);
}

static void test_a_query_goes_to_a_worker_on_its_own(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  ask *asked = query_workflow(w, "wf");
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_non_null(task->query);
  assert_int_equal(task->started_event_id, 0);
  assert_int_equal(task->history->events.n, 5);
  answer_free(w, answer_query(w, task->task_token));
  pb_QueryWorkflowResponse *r = answer(w, asked);
  assert_true(r->query_result.n > 0);
  ask_free(poll);
  ask_free(asked);
}

static void test_a_query_rides_the_next_task(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *asked = query_workflow(w, "wf");
  ask *second = query_workflow(w, "wf");
  world_run(w);
  assert_int_equal(second->code, ERR_RESOURCE_EXHAUSTED);
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->queries.n, 1);
  answer_free(w, complete_with_query(w, task->task_token, task->queries.v[0]->key));
  pb_QueryWorkflowResponse *r = answer(w, asked);
  assert_true(r->query_result.n > 0);
  ask_free(asked);
  ask_free(second);
  ask_free(poll);
}

static void test_a_query_nobody_hears_says_so(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  world_pass(w, 30 * NS_PER_SEC);
  ask *asked = query_workflow(w, "wf");
  world_pass(w, 70 * NS_PER_SEC);
  assert_int_equal(asked->code, ERR_FAILED_PRECONDITION);
  assert_non_null(strstr(asked->text, "no poller seen for task queue recently"));
  ask_free(asked);
}

/* {namespace_id, workflow_id "wf", run_id}, as another Temporal server would seal it. */
static span foreign_token(arena *a, span namespace_id, span run_id) {
  pb_store_ForeignTaskToken t = {
      .namespace_id = namespace_id, .workflow_id = SPAN("wf"), .run_id = run_id};
  return PB_ENCODE(store_ForeignTaskToken, &t, a);
}

static void test_a_token_of_another_server_names_nothing_here(void **state) {
  world *w = *state;
  arena a;
  arena_init(&a);
  span ours = shard_namespace(w->shard, SPAN("default"))->record->id;
  span run_id = SPAN("33fe12c8-be49-41a2-8abd-1765496ede9e");
  ask *there = complete_activity(w, foreign_token(&a, ours, run_id));
  assert_int_equal(there->code, ERR_NOT_FOUND);
  assert_string_equal(there->text,
                      "workflow execution not found for workflow ID \"wf\" and run ID "
                      "\"33fe12c8-be49-41a2-8abd-1765496ede9e\"");
  ask_free(there);
  ask *bad[] = {complete_activity(w, foreign_token(&a, run_id, run_id)),
                complete_activity(w, foreign_token(&a, ours, SPAN("x")))};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    assert_int_equal(bad[i]->code, ERR_INVALID_ARGUMENT);
    ask_free(bad[i]);
  }
  arena_release(&a);
}

static void test_forged_tokens_are_refused(void **state) {
  world *w = *state;
  ask *bad[] = {complete_workflow(w, SPAN("nonsense")), complete_activity(w, SPAN("nonsense")),
                answer_query(w, SPAN("nonsense"))};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    assert_int_equal(bad[i]->code, ERR_INVALID_ARGUMENT);
    assert_string_equal(bad[i]->text, "Error deserializing task token.");
    ask_free(bad[i]);
  }
  answer_free(w, start_workflow(w, "wf"));
  ask *page = get_history_page(w, "wf", 5, SPAN("nonsense"));
  world_run(w);
  assert_string_equal(page->text, "Invalid NextPageToken.");
  ask_free(page);
}

static void test_runs_over_the_budget_leave_memory_and_come_back(void **state) {
  world *w = *state;
  w->config.memory_bytes = 64 * 1024;
  world_restart(w);
  for (int i = 0; i < 100; i++) {
    char id[16];
    snprintf(id, sizeof id, "wf-%d", i);
    answer_free(w, start_workflow(w, id));
  }
  shard_stats stats;
  shard_get_stats(w->shard, &stats);
  assert_true(stats.evictions > 50);
  assert_true(stats.run_bytes <= 128 * 1024);
  for (int i = 0; i < 100; i++) {
    ask *poll = poll_workflow(w, "q");
    pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
    assert_int_equal(task->history->events.n, 3);
    answer_free(w, complete_workflow(w, task->task_token));
    ask_free(poll);
  }
  w->config = shard_default_config;
}

static void test_shutting_down_a_worker_ends_its_polls(void **state) {
  world *w = *state;
  ask *poll = poll_workflow(w, "q");
  ask *other = poll_workflow_as(w, "q", "other worker");
  ask *a = ask_new(w, &pb_ShutdownWorkerResponse_desc);
  pb_ShutdownWorkerRequest r = {.worker_instance_key = SPAN("worker")};
  shard_shutdown_worker(w->shard, &a->call->op, &r);
  world_run(w);
  assert_true(poll->done);
  assert_int_equal(poll->code, ERR_OK);
  assert_false(other->done);
  ask_gone(w, other);
  ask_free(a);
  ask_free(poll);
  ask_free(other);
}

static void test_a_poll_for_what_never_comes_ends_with_its_worker(void **state) {
  world *w = *state;
  ask *polls[] = {poll_nexus(w, "worker"), poll_nexus(w, "other"), poll_nexus(w, "")};
  ask *a = ask_new(w, &pb_ShutdownWorkerResponse_desc);
  pb_ShutdownWorkerRequest r = {.worker_instance_key = SPAN("worker")};
  world_pass(w, 30 * NS_PER_SEC);
  assert_false(polls[0]->done || polls[1]->done || polls[2]->done);
  shard_shutdown_worker(w->shard, &a->call->op, &r);
  ask *late = poll_nexus(w, "worker");
  world_run(w);
  assert_true(polls[0]->done && late->done);
  assert_int_equal(polls[0]->code, ERR_OK);
  assert_int_equal(late->code, ERR_OK);
  assert_false(polls[1]->done);
  ask_gone(w, polls[1]);
  world_run(w);
  assert_int_equal(polls[1]->code, ERR_CANCELLED);
  world_pass(w, 31 * NS_PER_SEC);
  assert_int_equal(polls[2]->code, ERR_OK);
  for (size_t i = 0; i < ARRAY_LEN(polls); i++) ask_free(polls[i]);
  ask_free(late);
  ask_free(a);
}

static void test_a_late_poll_of_a_worker_that_shut_down_ends_at_once(void **state) {
  world *w = *state;
  ask *a = ask_new(w, &pb_ShutdownWorkerResponse_desc);
  pb_ShutdownWorkerRequest r = {.worker_instance_key = SPAN("worker")};
  shard_shutdown_worker(w->shard, &a->call->op, &r);
  ask *late = poll_workflow(w, "q"), *activity = poll_activity(w, "q");
  ask *other = poll_workflow_as(w, "q", "other worker");
  world_run(w);
  assert_true(late->done && activity->done);
  assert_int_equal(late->code, ERR_OK);
  assert_false(other->done);
  ask_gone(w, other);
  ask_free(a);
  ask_free(late);
  ask_free(activity);
  ask_free(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_a_workflow_runs_to_its_end),
      WORLD_TEST(test_a_parked_poll_gets_the_task),
      WORLD_TEST(test_a_poll_ends_empty_before_the_deadline),
      WORLD_TEST(test_a_poll_that_is_cancelled_gets_no_task),
      WORLD_TEST(test_a_task_of_a_vanished_poll_goes_to_the_next),
      WORLD_TEST(test_an_activity_of_a_vanished_poll_goes_to_the_next),
      WORLD_TEST(test_a_start_that_is_repeated_gets_the_same_run),
      WORLD_TEST(test_a_start_after_a_restart_meets_the_run_that_is_there),
      WORLD_TEST(test_use_existing_gives_the_open_run),
      WORLD_TEST(test_terminate_existing_replaces_the_run_in_one_step),
      WORLD_TEST(test_a_closed_id_follows_the_reuse_policy),
      WORLD_TEST(test_signal_with_start_starts_then_signals),
      WORLD_TEST(test_unknown_runs_are_not_found),
      WORLD_TEST(test_timers_fire_for_runs_that_are_not_in_memory),
      WORLD_TEST(test_a_task_waits_over_a_crash),
      WORLD_TEST(test_a_quarantined_run_is_left_alone),
      WORLD_TEST(test_a_failed_commit_tells_everybody_and_forgets),
      WORLD_TEST(test_history_pages),
      WORLD_TEST(test_history_reverse),
      WORLD_TEST(test_a_long_poll_sees_the_next_event),
      WORLD_TEST(test_waiting_for_the_close_event),
      WORLD_TEST(test_a_query_goes_to_a_worker_on_its_own),
      WORLD_TEST(test_a_query_rides_the_next_task),
      WORLD_TEST(test_a_query_nobody_hears_says_so),
      WORLD_TEST(test_a_token_of_another_server_names_nothing_here),
      WORLD_TEST(test_forged_tokens_are_refused),
      WORLD_TEST(test_runs_over_the_budget_leave_memory_and_come_back),
      WORLD_TEST(test_shutting_down_a_worker_ends_its_polls),
      WORLD_TEST(test_a_poll_for_what_never_comes_ends_with_its_worker),
      WORLD_TEST(test_a_late_poll_of_a_worker_that_shut_down_ends_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

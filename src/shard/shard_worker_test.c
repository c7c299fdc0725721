/* What workers meet: sticky queues, eager tasks, long histories, backlogs, crashes. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shard/test_client.h"

/* Starts a workflow and completes its first task, sticking to the queue "sticky". */
static void start_sticky(world *w) {
  answer_free(w, start_workflow(w, "wf"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_commands(w, task->task_token, NULL, 0, "sticky"));
  ask_free(poll);
}

static void test_a_sticky_worker_gets_the_next_task_with_new_events_only(void **state) {
  world *w = *state;
  ask *sticky = poll_sticky(w, "sticky");
  start_sticky(w);
  answer_free(w, signal_workflow(w, "wf", "s"));
  pb_PollWorkflowTaskQueueResponse *task = answer(w, sticky);
  assert_int_equal(task->history->events.v[0]->event_id, 4);
  assert_int_equal(task->previous_started_event_id, 3);
  ask_free(sticky);
}

static void test_a_task_passes_a_sticky_queue_that_nobody_polls(void **state) {
  world *w = *state;
  start_sticky(w);
  answer_free(w, signal_workflow(w, "wf", "s"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->history->events.v[0]->event_id, 1);
  ask_free(poll);
}

static void test_a_silent_sticky_worker_loses_its_task_after_the_timeout(void **state) {
  world *w = *state;
  ask *sticky = poll_sticky(w, "sticky");
  start_sticky(w);
  ask_gone(w, sticky);
  answer_free(w, signal_workflow(w, "wf", "s"));
  ask *poll = poll_workflow(w, "q");
  world_pass(w, 9 * NS_PER_SEC);
  assert_false(poll->done);
  world_pass(w, 2 * NS_PER_SEC);
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->history->events.v[0]->event_id, 1);
  ask_free(sticky);
  ask_free(poll);
}

static void test_a_sticky_worker_that_shuts_down_gives_its_tasks_away(void **state) {
  world *w = *state;
  ask *sticky = poll_sticky(w, "sticky");
  start_sticky(w);
  ask_gone(w, sticky);
  answer_free(w, signal_workflow(w, "wf", "s"));
  ask *poll = poll_workflow(w, "q");
  ask *a = ask_new(w, &pb_ShutdownWorkerResponse_desc);
  pb_ShutdownWorkerRequest r = {.sticky_task_queue = SPAN("sticky")};
  shard_shutdown_worker(w->shard, &a->call->op, &r);
  answer(w, poll);
  ask_free(a);
  ask_free(sticky);
  ask_free(poll);
}

static ask *poll_of(world *w, const char *instance_key) {
  ask *a = ask_new(w, &pb_PollWorkflowTaskQueueResponse_desc);
  pb_TaskQueue q = {.name = SPAN("q"), .kind = PB_TASK_QUEUE_KIND_NORMAL};
  pb_PollWorkflowTaskQueueRequest r = {.task_queue = &q,
                                       .worker_instance_key = span_cstr(instance_key)};
  shard_poll_workflow(w->shard, &a->call->op, &r);
  return a;
}

/* A worker that shuts down waits for its polls, also for one that arrives late. */
static void test_polls_of_a_worker_that_left_end_at_once(void **state) {
  world *w = *state;
  ask *before = poll_of(w, "leaver"), *other = poll_of(w, "stayer");
  ask *a = ask_new(w, &pb_ShutdownWorkerResponse_desc);
  pb_ShutdownWorkerRequest r = {.worker_instance_key = SPAN("leaver")};
  shard_shutdown_worker(w->shard, &a->call->op, &r);
  ask *late = poll_of(w, "leaver");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, before);
  assert_int_equal(task->task_token.n, 0);
  task = answer(w, late);
  assert_int_equal(task->task_token.n, 0);
  assert_false(other->done);
  answer_free(w, start_workflow(w, "wf"));
  task = answer(w, other);
  assert_true(task->task_token.n > 0);
  ask_free(before);
  ask_free(late);
  ask_free(other);
  ask_free(a);
}

static void test_a_query_of_a_sticky_worker_carries_no_history(void **state) {
  world *w = *state;
  ask *sticky = poll_sticky(w, "sticky");
  start_sticky(w);
  ask *asked = query_workflow(w, "wf");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, sticky);
  assert_non_null(task->query);
  assert_int_equal(task->history->events.n, 0);
  answer_free(w, answer_query(w, task->task_token));
  answer(w, asked);
  ask_free(sticky);
  ask_free(asked);
}

static void test_a_query_leaves_a_silent_sticky_queue(void **state) {
  world *w = *state;
  ask *sticky = poll_sticky(w, "sticky");
  start_sticky(w);
  ask_gone(w, sticky);
  ask *asked = query_workflow(w, "wf");
  ask *poll = poll_workflow(w, "q");
  world_pass(w, 9 * NS_PER_SEC);
  assert_false(poll->done);
  world_pass(w, 2 * NS_PER_SEC);
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->history->events.n, 4);
  answer_free(w, answer_query(w, task->task_token));
  answer(w, asked);
  ask_free(sticky);
  ask_free(asked);
  ask_free(poll);
}

static void test_a_query_of_a_vanished_poll_goes_to_the_next(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  ask *asked = query_workflow(w, "wf");
  ask *gone = poll_workflow(w, "q");
  ask_gone(w, gone);
  world_run(w);
  if (gone->code == ERR_CANCELLED) {
    ask *poll = poll_workflow(w, "q");
    pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
    answer_free(w, answer_query(w, task->task_token));
    answer(w, asked);
    ask_free(poll);
  } else {
    ask_gone(w, asked);
  }
  ask_free(gone);
  ask_free(asked);
}

static void test_an_eager_start_returns_the_first_task(void **state) {
  world *w = *state;
  start_options o = {.eager = true};
  ask *start = start_workflow_with(w, "wf", &o);
  pb_StartWorkflowExecutionResponse *started = answer(w, start);
  pb_PollWorkflowTaskQueueResponse *task = started->eager_workflow_task;
  assert_non_null(task);
  assert_int_equal(task->history->events.n, 3);
  answer_free(w, complete_workflow(w, task->task_token));
  ask_free(start);
}

/* Completes the first task with an activity that its worker wants; how many it got. */
static size_t eager_activities(world *w) {
  answer_free(w, start_workflow(w, "wf"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  ask *completion = complete_with_eager_activity(w, task->task_token, "act");
  pb_RespondWorkflowTaskCompletedResponse *r = answer(w, completion);
  size_t n = r->activity_tasks.n;
  ask_free(poll);
  ask_free(completion);
  return n;
}

static void test_an_eager_activity_is_in_the_answer(void **state) {
  assert_int_equal(eager_activities(*state), 1);
}

static void test_eager_tasks_can_be_switched_off(void **state) {
  world *w = *state;
  w->config.eager_activities = w->config.eager_workflows = false;
  world_restart(w);
  assert_int_equal(eager_activities(w), 0);
  ask *activity = poll_activity(w, "q");
  answer(w, activity);
  ask_free(activity);
  start_options o = {.eager = true};
  ask *start = start_workflow_with(w, "other", &o);
  pb_StartWorkflowExecutionResponse *started = answer(w, start);
  assert_null(started->eager_workflow_task);
  ask_free(start);
  w->config = shard_default_config;
}

static void test_a_long_history_comes_in_pages(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  for (int i = 0; i < 300; i++) answer_free(w, signal_workflow(w, "wf", "s"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->history->events.n, 257); /* 256 batches; the first has two events */
  assert_true(task->next_page_token.n > 0);
  ask *more = get_history_page(w, "wf", 256, task->next_page_token);
  pb_GetWorkflowExecutionHistoryResponse *r = answer(w, more);
  assert_int_equal(r->next_page_token.n, 0);
  const pb_HistoryEvent *last = r->history->events.v[r->history->events.n - 1];
  assert_int_equal(last->event_id, task->started_event_id);
  assert_int_equal(last->event_type, PB_EVENT_TYPE_WORKFLOW_TASK_STARTED);
  answer_free(w, complete_workflow(w, task->task_token));
  ask_free(poll);
  ask_free(more);
}

static void test_a_backlog_larger_than_the_window_is_served_whole(void **state) {
  enum { MANY = 100 };
  world *w = *state;
  w->config.queue_window = 8;
  world_restart(w);
  for (int i = 0; i < MANY; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    answer_free(w, start_workflow(w, id));
  }
  shard_stats stats;
  shard_get_stats(w->shard, &stats);
  assert_true(stats.backlog <= 16);
  for (int i = 0; i < MANY; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    ask *poll = poll_workflow(w, "q");
    pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
    assert_true(span_eq(task->workflow_execution->workflow_id, span_cstr(id)));
    answer_free(w, complete_workflow(w, task->task_token));
    ask_free(poll);
  }
  w->config = shard_default_config;
}

static ask *started_activity(world *w) {
  answer_free(w, start_workflow(w, "wf"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_with_activity(w, task->task_token, "act"));
  ask_free(poll);
  ask *activity = poll_activity(w, "q");
  answer(w, activity);
  return activity;
}

/* The start is on disk 100 ms after it at the latest. */
static void test_a_running_activity_is_not_handed_out_again_after_a_crash(void **state) {
  world *w = *state;
  ask *first = started_activity(w);
  pb_PollActivityTaskQueueResponse *activity = first->answer;
  world_pass(w, SHARD_LAZY_NS);
  world_crash(w);
  ask *second = poll_activity(w, "q");
  world_pass(w, NS_PER_SEC);
  assert_false(second->done);
  ask_gone(w, second);
  answer_free(w, complete_activity(w, activity->task_token));
  ask_free(first);
  ask_free(second);
}

static void test_a_workflow_task_times_out_and_comes_again(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *first = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, first);
  ask *second = poll_workflow(w, "q");
  world_pass(w, 11 * NS_PER_SEC);
  pb_PollWorkflowTaskQueueResponse *again = answer(w, second);
  assert_int_equal(again->attempt, 2);
  ask *late = complete_workflow(w, task->task_token);
  world_run(w);
  assert_int_equal(late->code, ERR_NOT_FOUND);
  assert_string_equal(late->text, "Workflow task not found.");
  answer_free(w, complete_workflow(w, again->task_token));
  ask_free(first);
  ask_free(second);
  ask_free(late);
}

static void check_attempts(ask *a, const void *response) {
  const shard_attempts *attempts = response;
  assert_int_equal(attempts->n, 1);
  assert_int_equal(attempts->v[0]->attempt, 1);
  assert_true(span_eq(attempts->v[0]->failure->message, SPAN("no")));
}

static void test_the_ledger_lists_attempts(void **state) {
  world *w = *state;
  ask *activity = started_activity(w);
  ask *failed =
      fail_activity(w, ((pb_PollActivityTaskQueueResponse *)activity->answer)->task_token);
  answer(w, failed);
  ask *asked = ask_new(w, NULL);
  asked->take = check_attempts;
  shard_attempts_query q = {.workflow_id = SPAN("wf"), .scheduled_event_id = 5};
  shard_list_attempts(w->shard, &asked->call->op, &q);
  world_run(w);
  assert_int_equal(asked->code, ERR_OK);
  ask_free(activity);
  ask_free(failed);
  ask_free(asked);
}

typedef struct raw_commit {
  store_batch batch;
  bool done;
} raw_commit;

static void raw_done(env_task *t) {
  CONTAINER_OF(CONTAINER_OF(t, store_batch, task), raw_commit, batch)->done = true;
}

/* Somebody wrote nonsense into the row of the run. */
static void spoil_run(world *w, int64_t run) {
  store_row row = {.kind = ROW_RUN_UPDATE, .run = run, .status = 1};
  row.blob = bytes_copy(SPAN("\xff\xff\xff"));
  store_step step = {.run = run, .rows = &row, .n_rows = 1};
  raw_commit c = {.batch = {.task = {.run = raw_done}, .steps = &step}};
  w->store->commit(w->store, &c.batch);
  world_run(w);
  assert_true(c.done);
  assert_int_equal(step.status, STORE_OK);
  bytes_unref(row.blob);
  arena_release(&c.batch.arena);
}

static void test_a_broken_run_is_out_of_service_and_the_others_go_on(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "broken"));
  answer_free(w, start_workflow(w, "sound"));
  world_restart(w);
  spoil_run(w, 1);
  ask *d = describe(w, "broken", SPAN_NONE);
  world_run(w);
  assert_int_equal(d->code, ERR_DATA_LOSS);
  assert_non_null(strstr(d->text, "out of service"));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_true(span_eq(task->workflow_execution->workflow_id, SPAN("sound")));
  ask_free(d);
  ask_free(poll);
}

static void test_draining_answers_everybody(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *poll = poll_activity(w, "q");
  ask *wait = wait_history(w, "wf", SPAN_NONE, true);
  ask *asked = query_workflow(w, "wf");
  ask *signal = signal_workflow(w, "wf", "s");
  world_restart(w);
  assert_int_equal(poll->code, ERR_UNAVAILABLE);
  assert_int_equal(wait->code, ERR_UNAVAILABLE);
  assert_int_equal(asked->code, ERR_UNAVAILABLE);
  assert_int_equal(signal->code, ERR_OK);
  ask *all[] = {poll, wait, asked, signal};
  for (size_t i = 0; i < ARRAY_LEN(all); i++) ask_free(all[i]);
}

/* The run is still being read when the drain begins: nobody may start to wait then. */
static void test_what_would_begin_to_wait_while_draining_is_refused(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  world_restart(w);
  ask *asked = query_workflow(w, "wf");
  ask *wait = wait_history(w, "wf", SPAN_NONE, true);
  world_restart(w);
  assert_int_equal(asked->code, ERR_UNAVAILABLE);
  assert_int_equal(wait->code, ERR_UNAVAILABLE);
  ask_free(asked);
  ask_free(wait);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_a_sticky_worker_gets_the_next_task_with_new_events_only),
      WORLD_TEST(test_a_task_passes_a_sticky_queue_that_nobody_polls),
      WORLD_TEST(test_a_silent_sticky_worker_loses_its_task_after_the_timeout),
      WORLD_TEST(test_a_sticky_worker_that_shuts_down_gives_its_tasks_away),
      WORLD_TEST(test_polls_of_a_worker_that_left_end_at_once),
      WORLD_TEST(test_polls_of_a_worker_that_left_end_at_once),
      WORLD_TEST(test_a_query_of_a_sticky_worker_carries_no_history),
      WORLD_TEST(test_a_query_leaves_a_silent_sticky_queue),
      WORLD_TEST(test_a_query_of_a_vanished_poll_goes_to_the_next),
      WORLD_TEST(test_an_eager_start_returns_the_first_task),
      WORLD_TEST(test_an_eager_activity_is_in_the_answer),
      WORLD_TEST(test_eager_tasks_can_be_switched_off),
      WORLD_TEST(test_a_long_history_comes_in_pages),
      WORLD_TEST(test_a_backlog_larger_than_the_window_is_served_whole),
      WORLD_TEST(test_a_running_activity_is_not_handed_out_again_after_a_crash),
      WORLD_TEST(test_a_workflow_task_times_out_and_comes_again),
      WORLD_TEST(test_the_ledger_lists_attempts),
      WORLD_TEST(test_a_broken_run_is_out_of_service_and_the_others_go_on),
      WORLD_TEST(test_draining_answers_everybody),
      WORLD_TEST(test_what_would_begin_to_wait_while_draining_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

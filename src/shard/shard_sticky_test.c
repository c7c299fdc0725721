/* Names of sticky queues leave the disk with their workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "shard/shard_int.h"
#include "shard/test_client.h"

static int setup(void **state) {
  world *w = test_calloc(1, sizeof *w);
  world_init(w);
  *state = w;
  return 0;
}

static int teardown(void **state) {
  world_release(*state);
  test_free(*state);
  return 0;
}

/* Starts a workflow and completes its first task, sticking to the queue "sticky". */
static void start_sticky(world *w, const char *id) {
  answer_free(w, start_workflow(w, id));
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_commands(w, task->task_token, NULL, 0, "sticky"));
  ask_free(poll);
}

/* Takes the next task from the sticky queue and answers it with nothing. */
static void take_sticky(world *w, const char *id) {
  ask *sticky = poll_sticky(w, "sticky");
  answer_free(w, signal_workflow(w, id, "s"));
  pb_PollWorkflowTaskQueueResponse *task = answer(w, sticky);
  answer_free(w, complete_commands(w, task->task_token, NULL, 0, "sticky"));
  ask_free(sticky);
}

static const queue_name *named(world *w) {
  return queue_find(w->shard, w->ns.key, SPAN("sticky"), false);
}

/* A restart knows only what is on disk. */
static bool on_disk_after(world *w, void (*again)(world *w)) {
  again(w);
  return named(w) != NULL;
}

static void leave(world *w) {
  ask *a = ask_new(w, &pb_ShutdownWorkerResponse_desc);
  pb_ShutdownWorkerRequest r = {.sticky_task_queue = SPAN("sticky")};
  shard_shutdown_worker(w->shard, &a->call->op, &r);
  answer_free(w, a);
}

static void test_a_name_stays_while_its_worker_polls(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  for (int minute = 0; minute < 10; minute++) {
    take_sticky(w, "wf");
    world_pass(w, 60 * NS_PER_SEC);
  }
  assert_true(named(w)->stored);
  assert_true(on_disk_after(w, world_crash));
}

static void test_a_name_goes_after_shutdown_worker(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  take_sticky(w, "wf");
  assert_true(named(w)->stored);
  leave(w);
  world_pass(w, 61 * NS_PER_SEC);
  assert_false(named(w)->stored);
  assert_false(on_disk_after(w, world_restart));
}

static void test_a_name_goes_when_nobody_polled_for_five_minutes(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  take_sticky(w, "wf");
  world_pass(w, 4 * 60 * NS_PER_SEC);
  assert_true(named(w)->stored);
  world_pass(w, 3 * 60 * NS_PER_SEC);
  assert_false(on_disk_after(w, world_crash));
}

static void test_a_name_goes_after_a_restart_without_its_worker(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  take_sticky(w, "wf");
  assert_true(on_disk_after(w, world_crash));
  world_pass(w, 3 * 60 * NS_PER_SEC); /* first what waits on disk is read, then it is looked at */
  assert_false(on_disk_after(w, world_crash));
}

static void test_a_name_that_is_used_again_is_written_again(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  take_sticky(w, "wf");
  leave(w);
  world_pass(w, 61 * NS_PER_SEC);
  assert_false(named(w)->stored);
  start_sticky(w, "other");
  take_sticky(w, "other");
  assert_true(named(w)->stored);
  assert_true(on_disk_after(w, world_crash));
  take_sticky(w, "other");
}

/* The name is taken off, and a crash comes before that is written. */
static void test_a_crash_before_the_name_is_gone_leaves_it_for_later(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  take_sticky(w, "wf");
  leave(w);
  w->now += 61 * NS_PER_SEC;
  shard_wake(w->shard);
  assert_false(named(w)->stored); /* staged, and not committed */
  assert_true(on_disk_after(w, world_crash));
  take_sticky(w, "wf");
  leave(w);
  world_pass(w, 61 * NS_PER_SEC);
  assert_false(on_disk_after(w, world_crash));
}

/* A task for the queue is on its way to the disk when the name is looked at. */
static void test_a_name_stays_for_a_task_under_way(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  take_sticky(w, "wf");
  ask *sticky = poll_sticky(w, "sticky");
  world_run(w);
  ask *signal = signal_workflow(w, "wf", "s"); /* staged */
  ask_gone(w, sticky);
  match_forget_pollers(queue_of_key(w->shard, named(w)->key));
  w->now += 61 * NS_PER_SEC;
  shard_wake(w->shard);
  assert_true(named(w)->stored);
  assert_true(queue_is_staged(w->shard, named(w)->key));
  answer_free(w, signal);
  ask_free(sticky);
}

/* Names beyond those that are kept in memory go; a name on disk is not one of them. */
static void test_a_stored_name_is_not_forgotten_for_others_that_are_only_polled(void **state) {
  world *w = *state;
  start_sticky(w, "wf");
  int64_t key = queue_find(w->shard, w->ns.key, SPAN("q"), false)->key;
  arena a = ARENA_INIT;
  for (int i = 0; i < 5000; i++) {
    (void)queue_named(w->shard, w->ns.key, arena_spanf(&a, "other-%d", i), false, false);
  }
  arena_release(&a);
  const queue_name *q = queue_find(w->shard, w->ns.key, SPAN("q"), false);
  assert_non_null(q);
  assert_int_equal(q->key, key);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_a_name_stays_while_its_worker_polls),
      TEST(test_a_name_goes_after_shutdown_worker),
      TEST(test_a_name_goes_when_nobody_polled_for_five_minutes),
      TEST(test_a_name_goes_after_a_restart_without_its_worker),
      TEST(test_a_name_that_is_used_again_is_written_again),
      TEST(test_a_crash_before_the_name_is_gone_leaves_it_for_later),
      TEST(test_a_name_stays_for_a_task_under_way),
      TEST(test_a_stored_name_is_not_forgotten_for_others_that_are_only_polled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What operators do: runs deleted and expired, namespaces changed. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "shard/test_client.h"

#define DAY_NS (24 * 3600 * NS_PER_SEC)

static int setup(void **state) {
  static world w;
  world_init(&w);
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world_release(*state);
  return 0;
}

static ask *delete_run(world *w, const char *id, span run_id) {
  ask *a = ask_new(w, &pb_DeleteWorkflowExecutionResponse_desc);
  pb_DeleteWorkflowExecutionRequest *r = pb_new(&a->call->arena, DeleteWorkflowExecutionRequest);
  r->workflow_execution = pb_new(&a->call->arena, WorkflowExecution);
  r->workflow_execution->workflow_id = span_cstr(id);
  r->workflow_execution->run_id = run_id;
  shard_delete(w->shard, &a->call->op, r);
  return a;
}

static void expect_code(world *w, ask *a, err_code code) {
  world_run(w);
  assert_true(a->done);
  assert_int_equal(a->code, code);
  ask_free(a);
}

static void change(world *w, void (*edit)(pb_store_Namespace *n)) {
  const shard_namespace_info *info = shard_namespace(w->shard, SPAN("default"));
  pb_store_Namespace n = *shard_namespace_newest(w->shard, info);
  edit(&n);
  ask *a = ask_new(w, NULL);
  shard_update_namespace(w->shard, &a->call->op, &n);
  expect_code(w, a, ERR_OK);
}

static void keep_a_day(pb_store_Namespace *n) { n->retention = DAY_NS; }
static void describe_it(pb_store_Namespace *n) { n->description = SPAN("what it is for"); }
static void rename_it(pb_store_Namespace *n) { n->name = SPAN("other"); }

/* --- deletion --- */

static void test_a_closed_run_is_deleted_when_the_answer_comes(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  answer_free(w, delete_run(w, "wf", SPAN_NONE));
  expect_code(w, describe(w, "wf", SPAN_NONE), ERR_NOT_FOUND);
  world_restart(w);
  expect_code(w, describe(w, "wf", SPAN_NONE), ERR_NOT_FOUND);
  expect_code(w, delete_run(w, "wf", SPAN_NONE), ERR_NOT_FOUND);
}

static void test_who_waits_for_the_end_of_a_deleted_run_is_told(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  ask *end = wait_history(w, "wf", SPAN_NONE, true);
  world_run(w);
  answer_free(w, delete_run(w, "wf", SPAN_NONE));
  pb_GetWorkflowExecutionHistoryResponse *r = answer(w, end);
  assert_int_equal(r->history->events.n, 1);
  assert_int_equal(r->history->events.v[0]->event_type,
                   PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED);
  ask_free(end);
  expect_code(w, describe(w, "wf", SPAN_NONE), ERR_NOT_FOUND);
}

static void test_nobody_finds_a_run_whose_deletion_is_under_way(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  ask *gone = delete_run(w, "wf", SPAN_NONE);
  ask *read = describe(w, "wf", SPAN_NONE), *signal = signal_workflow(w, "wf", "late");
  answer_free(w, gone);
  expect_code(w, read, ERR_NOT_FOUND);
  expect_code(w, signal, ERR_NOT_FOUND);
}

static void test_an_id_is_free_as_soon_as_its_run_is_being_deleted(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  ask *gone = delete_run(w, "wf", SPAN_NONE);
  start_options o = {.request_id = "again", .reuse = PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE};
  ask *again = start_workflow_with(w, "wf", &o);
  answer_free(w, gone);
  expect_code(w, again, ERR_OK);
  world_restart(w);
  expect_code(w, describe(w, "wf", SPAN_NONE), ERR_OK);
}

static void test_a_deletion_that_cannot_be_written_leaves_the_run(void **state) {
  world *w = *state;
  answer_free(w, start_workflow(w, "wf"));
  finish_workflow(w);
  store_memory_fail_commits(w->store, 2);
  expect_code(w, delete_run(w, "wf", SPAN_NONE), ERR_UNAVAILABLE);
  expect_code(w, describe(w, "wf", SPAN_NONE), ERR_OK);
  answer_free(w, delete_run(w, "wf", SPAN_NONE));
  expect_code(w, describe(w, "wf", SPAN_NONE), ERR_NOT_FOUND);
}

/* The process dies some time between the termination and the deletion: either nothing was written,
 * or all of it happens. */
static void test_a_crash_in_between_deletes_after_the_restart(void **state) {
  world *w = *state;
  for (int64_t turns = 0; turns < 12; turns++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", (int)turns);
    answer_free(w, start_workflow(w, id));
    ask *gone = delete_run(w, id, SPAN_NONE);
    world_turns(w, turns);
    world_crash(w);
    ask_abandon(gone);
    world_pass(w, 5 * NS_PER_SEC);
    ask *read = describe(w, id, SPAN_NONE);
    world_run(w);
    if (read->code == ERR_OK) {
      pb_DescribeWorkflowExecutionResponse *r = read->answer;
      assert_int_equal(r->workflow_execution_info->status, PB_WORKFLOW_EXECUTION_STATUS_RUNNING);
    } else {
      assert_int_equal(read->code, ERR_NOT_FOUND);
    }
    ask_free(read);
  }
}

/* --- retention --- */

static void test_a_closed_run_goes_when_its_time_is_over(void **state) {
  world *w = *state;
  change(w, keep_a_day);
  answer_free(w, start_workflow(w, "closed"));
  finish_workflow(w);
  answer_free(w, start_workflow(w, "open"));
  world_pass(w, DAY_NS - NS_PER_SEC);
  expect_code(w, describe(w, "closed", SPAN_NONE), ERR_OK);
  world_pass(w, 2 * NS_PER_SEC);
  expect_code(w, describe(w, "closed", SPAN_NONE), ERR_NOT_FOUND);
  expect_code(w, describe(w, "open", SPAN_NONE), ERR_OK);
}

static void test_retention_counts_over_restarts(void **state) {
  world *w = *state;
  change(w, keep_a_day);
  for (int i = 0; i < 200; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    answer_free(w, start_workflow(w, id));
    finish_workflow(w);
  }
  world_restart(w);
  world_pass(w, DAY_NS + NS_PER_SEC);
  shard_stats stats;
  shard_get_stats(w->shard, &stats);
  assert_int_equal(stats.runs_in_memory, 0);
  world_restart(w);
  expect_code(w, describe(w, "wf-0", SPAN_NONE), ERR_NOT_FOUND);
  expect_code(w, describe(w, "wf-199", SPAN_NONE), ERR_NOT_FOUND);
}

/* --- namespaces --- */

static const pb_store_Namespace *record(world *w, const char *name) {
  const shard_namespace_info *info = shard_namespace(w->shard, span_cstr(name));
  return info ? info->record : NULL;
}

static void test_changes_of_a_namespace_are_kept(void **state) {
  world *w = *state;
  change(w, describe_it);
  change(w, keep_a_day);
  world_restart(w);
  assert_true(span_eq(record(w, "default")->description, SPAN("what it is for")));
  assert_int_equal(record(w, "default")->retention, DAY_NS);
}

static void test_a_change_is_seen_when_it_is_durable(void **state) {
  world *w = *state;
  const shard_namespace_info *info = shard_namespace(w->shard, SPAN("default"));
  ask *both[2];
  for (int i = 0; i < 2; i++) {
    pb_store_Namespace n = *shard_namespace_newest(w->shard, info);
    (i ? keep_a_day : describe_it)(&n);
    both[i] = ask_new(w, NULL);
    shard_update_namespace(w->shard, &both[i]->call->op, &n);
    assert_false(info->record->description.n);
  }
  expect_code(w, both[0], ERR_OK);
  expect_code(w, both[1], ERR_OK);
  assert_true(info->record->description.n);
  assert_int_equal(info->record->retention, DAY_NS);
}

static void test_a_change_that_cannot_be_written_is_forgotten(void **state) {
  world *w = *state;
  const shard_namespace_info *info = shard_namespace(w->shard, SPAN("default"));
  pb_store_Namespace n = *info->record;
  keep_a_day(&n);
  ask *a = ask_new(w, NULL);
  store_memory_fail_commits(w->store, 2);
  shard_update_namespace(w->shard, &a->call->op, &n);
  expect_code(w, a, ERR_UNAVAILABLE);
  assert_int_equal(info->record->retention, 0);
  assert_ptr_equal(shard_namespace_newest(w->shard, info), info->record);
}

static void test_a_registration_that_cannot_be_written_is_forgotten(void **state) {
  world *w = *state;
  pb_store_Namespace n = {.name = SPAN("new"), .state = PB_NAMESPACE_STATE_REGISTERED};
  ask *a = ask_new(w, NULL);
  store_memory_fail_commits(w->store, 2);
  shard_register_namespace(w->shard, &a->call->op, &n);
  assert_null(record(w, "new"));
  expect_code(w, a, ERR_UNAVAILABLE);
  a = ask_new(w, NULL);
  shard_register_namespace(w->shard, &a->call->op, &n);
  ask *twice = ask_new(w, NULL);
  shard_register_namespace(w->shard, &twice->call->op, &n);
  expect_code(w, a, ERR_OK);
  expect_code(w, twice, ERR_ALREADY_EXISTS);
  assert_non_null(record(w, "new"));
}

static void test_a_renamed_namespace_frees_its_name(void **state) {
  world *w = *state;
  const shard_namespace_info *info = shard_namespace(w->shard, SPAN("default"));
  span old_name = info->name;
  change(w, rename_it);
  assert_null(record(w, "default"));
  assert_ptr_equal(shard_namespace(w->shard, SPAN("other")), info);
  assert_true(span_eq(old_name, SPAN("default")));
  pb_store_Namespace n = {.name = SPAN("default"), .state = PB_NAMESPACE_STATE_REGISTERED};
  ask *a = ask_new(w, NULL);
  shard_register_namespace(w->shard, &a->call->op, &n);
  expect_code(w, a, ERR_OK);
  assert_int_not_equal(shard_namespace(w->shard, SPAN("default"))->key, info->key);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_a_closed_run_is_deleted_when_the_answer_comes),
      TEST(test_who_waits_for_the_end_of_a_deleted_run_is_told),
      TEST(test_nobody_finds_a_run_whose_deletion_is_under_way),
      TEST(test_an_id_is_free_as_soon_as_its_run_is_being_deleted),
      TEST(test_a_deletion_that_cannot_be_written_leaves_the_run),
      TEST(test_a_crash_in_between_deletes_after_the_restart),
      TEST(test_a_closed_run_goes_when_its_time_is_over),
      TEST(test_retention_counts_over_restarts),
      TEST(test_changes_of_a_namespace_are_kept),
      TEST(test_a_change_is_seen_when_it_is_durable),
      TEST(test_a_change_that_cannot_be_written_is_forgotten),
      TEST(test_a_registration_that_cannot_be_written_is_forgotten),
      TEST(test_a_renamed_namespace_frees_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

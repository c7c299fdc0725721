/* What operators do: runs deleted and expired, namespaces changed. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "shard/test_client.h"

#define DAY_NS (24 * 3600 * NS_PER_SEC)

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

/* --- reset --- */

static ask *reset_run(world *w, const char *id, span run_id, int64_t point) {
  ask *a = ask_new(w, &pb_ResetWorkflowExecutionResponse_desc);
  pb_ResetWorkflowExecutionRequest *r = pb_new(&a->call->arena, ResetWorkflowExecutionRequest);
  r->workflow_execution = pb_new(&a->call->arena, WorkflowExecution);
  r->workflow_execution->workflow_id = span_cstr(id);
  r->workflow_execution->run_id = arena_dup(&a->call->arena, run_id);
  r->workflow_task_finish_event_id = point;
  r->reason = SPAN("why");
  shard_reset(w->shard, &a->call->op, r, (shard_reset_how){.again = {true, true}});
  return a;
}

/* A run with one completed task and these signals after it; its id. */
static span run_with_signals(world *w, const char *id, int signals) {
  ask *start = start_workflow(w, id);
  pb_StartWorkflowExecutionResponse *started = answer(w, start);
  span run_id = keep_token(started->run_id);
  ask_free(start);
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  answer_free(w, complete_with_timer(w, task->task_token, DAY_NS));
  ask_free(poll);
  for (int i = 0; i < signals; i++) answer_free(w, signal_workflow(w, id, "s"));
  return run_id;
}

static int64_t events_of_current(world *w, const char *id) {
  ask *read = describe(w, id, SPAN_NONE);
  pb_DescribeWorkflowExecutionResponse *r = answer(w, read);
  int64_t n = r->workflow_execution_info->history_length;
  ask_free(read);
  return n;
}

static void test_a_reset_reads_a_past_that_is_on_disk(void **state) {
  world *w = *state;
  run_with_signals(w, "wf", 50);
  world_restart(w);
  answer_free(w, reset_run(w, "wf", SPAN_NONE, 4));
  assert_int_equal(events_of_current(w, "wf"), 4 + 50 + 1);
  ask *poll = poll_workflow(w, "q");
  pb_PollWorkflowTaskQueueResponse *task = answer(w, poll);
  assert_int_equal(task->history->events.n, 4 + 50 + 2);
  answer_free(w, complete_workflow(w, task->task_token));
  ask_free(poll);
}

static void test_a_reset_that_cannot_be_written_changes_nothing(void **state) {
  world *w = *state;
  span run_id = run_with_signals(w, "wf", 3);
  store_memory_fail_commits(w->store, 2);
  expect_code(w, reset_run(w, "wf", SPAN_NONE, 4), ERR_UNAVAILABLE);
  ask *read = describe(w, "wf", SPAN_NONE);
  pb_DescribeWorkflowExecutionResponse *r = answer(w, read);
  assert_int_equal(r->workflow_execution_info->status, PB_WORKFLOW_EXECUTION_STATUS_RUNNING);
  assert_true(span_eq(r->workflow_execution_info->execution->run_id, run_id));
  assert_false(r->workflow_extended_info->reset_run_id.n);
  ask_free(read);
  answer_free(w, reset_run(w, "wf", SPAN_NONE, 4));
  assert_int_equal(events_of_current(w, "wf"), 4 + 3 + 1);
}

/* Signals that come while the past is read are in the new run, too, or answered with an error. */
static void test_a_run_that_grows_while_it_is_reset_loses_nothing(void **state) {
  world *w = *state;
  span run_id = run_with_signals(w, "wf", 20);
  world_restart(w);
  ask *first = reset_run(w, "wf", run_id, 4), *signals[5];
  for (int i = 0; i < 5; i++) {
    signals[i] = signal_workflow(w, "wf", "late");
    world_turns(w, 1);
  }
  answer_free(w, first);
  for (int i = 0; i < 5; i++) expect_code(w, signals[i], ERR_OK);
  /* Those that came after the reset follow its workflow task. */
  assert_int_equal(events_of_current(w, "wf"), 4 + 20 + 5 + 1);
}

static void test_a_crash_leaves_the_old_run_or_the_new_one(void **state) {
  world *w = *state;
  for (int64_t turns = 0; turns < 10; turns++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", (int)turns);
    span old = run_with_signals(w, id, 1);
    ask *reset = reset_run(w, id, SPAN_NONE, 4);
    world_turns(w, turns);
    world_crash(w);
    ask_abandon(reset);
    world_run(w);
    ask *read = describe(w, id, SPAN_NONE), *before = describe(w, id, old);
    pb_DescribeWorkflowExecutionResponse *now = answer(w, read), *was = answer(w, before);
    bool done = !span_eq(now->workflow_execution_info->execution->run_id, old);
    assert_int_equal(now->workflow_execution_info->status, PB_WORKFLOW_EXECUTION_STATUS_RUNNING);
    assert_int_equal(
        was->workflow_execution_info->status,
        done ? PB_WORKFLOW_EXECUTION_STATUS_TERMINATED : PB_WORKFLOW_EXECUTION_STATUS_RUNNING);
    assert_int_equal(done, was->workflow_extended_info->reset_run_id.n > 0);
    ask_free(read);
    ask_free(before);
    finish_workflow(w);
  }
}

/* --- batches --- */

enum { IN_BATCH = 6 };

static ask *start_batch(world *w, const char *job, float rate) {
  ask *a = ask_new(w, &pb_StartBatchOperationResponse_desc);
  arena *m = &a->call->arena;
  pb_StartBatchOperationRequest *r = pb_new(m, StartBatchOperationRequest);
  r->namespace = SPAN("default");
  r->job_id = span_cstr(job);
  r->reason = SPAN("why");
  r->max_operations_per_second = rate;
  r->executions.v = arena_array(m, pb_WorkflowExecution *, IN_BATCH);
  for (int i = 0; i < IN_BATCH; i++) {
    r->executions.v[i] = pb_new(m, WorkflowExecution);
    r->executions.v[i]->workflow_id = arena_spanf(m, "wf-%d", i);
  }
  r->executions.n = IN_BATCH;
  r->which_operation = PB_StartBatchOperationRequest_signal_operation_FIELD;
  r->signal_operation = pb_new(m, BatchOperationSignal);
  r->signal_operation->signal = SPAN("s");
  shard_start_batch(w->shard, &a->call->op, r);
  return a;
}

static void start_all(world *w) {
  for (int i = 0; i < IN_BATCH; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    answer_free(w, start_workflow(w, id));
  }
}

static void expect_batch(world *w, const char *job, int32_t state, int64_t complete) {
  ask *a = ask_new(w, &pb_DescribeBatchOperationResponse_desc);
  shard_describe_batch(w->shard, &a->call->op, span_cstr(job));
  pb_DescribeBatchOperationResponse *r = answer(w, a);
  assert_int_equal(r->state, state);
  assert_int_equal(r->total_operation_count, IN_BATCH);
  assert_int_equal(r->complete_operation_count, complete);
  ask_free(a);
}

static void test_a_batch_goes_on_after_a_crash_and_repeats_nothing(void **state) {
  world *w = *state;
  start_all(w);
  answer_free(w, start_batch(w, "job", 1));
  for (int i = 0; i < IN_BATCH; i++) {
    world_pass(w, NS_PER_SEC / 2);
    world_crash(w);
  }
  world_pass(w, 2 * IN_BATCH * NS_PER_SEC);
  expect_batch(w, "job", PB_BATCH_OPERATION_STATE_COMPLETED, IN_BATCH);
  for (int i = 0; i < IN_BATCH; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    assert_int_equal(events_of_current(w, id), 3); /* started, scheduled, one signal */
  }
}

static void test_a_batch_keeps_to_its_rate_until_it_is_stopped(void **state) {
  world *w = *state;
  start_all(w);
  answer_free(w, start_batch(w, "job", 1));
  expect_code(w, start_batch(w, "job", 1), ERR_ALREADY_EXISTS);
  expect_code(w, start_batch(w, "another", 1), ERR_RESOURCE_EXHAUSTED);
  world_pass(w, 2 * NS_PER_SEC + NS_PER_SEC / 2);
  expect_batch(w, "job", PB_BATCH_OPERATION_STATE_RUNNING, 3);
  pb_StopBatchOperationRequest stop = {.job_id = SPAN("job"), .reason = SPAN("enough")};
  ask *a = ask_new(w, &pb_StopBatchOperationResponse_desc);
  shard_stop_batch(w->shard, &a->call->op, &stop);
  expect_code(w, a, ERR_OK);
  world_pass(w, 10 * NS_PER_SEC);
  expect_batch(w, "job", PB_BATCH_OPERATION_STATE_FAILED, 3);
  world_restart(w);
  expect_batch(w, "job", PB_BATCH_OPERATION_STATE_FAILED, 3);
}

static void test_a_batch_waits_while_nothing_can_be_written(void **state) {
  world *w = *state;
  start_all(w);
  answer_free(w, start_batch(w, "job", 1));
  world_pass(w, NS_PER_SEC / 2);
  store_memory_fail_commits(w->store, 8);
  world_pass(w, 2 * IN_BATCH * NS_PER_SEC);
  expect_batch(w, "job", PB_BATCH_OPERATION_STATE_COMPLETED, IN_BATCH);
}

static void test_a_batch_that_cannot_be_written_is_none(void **state) {
  world *w = *state;
  start_all(w);
  store_memory_fail_commits(w->store, 2);
  expect_code(w, start_batch(w, "job", 0), ERR_UNAVAILABLE);
  answer_free(w, start_batch(w, "job", 0));
  expect_batch(w, "job", PB_BATCH_OPERATION_STATE_COMPLETED, IN_BATCH);
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

/* --- deleted namespaces --- */

static void delete_it(pb_store_Namespace *n) {
  n->name = SPAN("default-deleted");
  n->state = PB_NAMESPACE_STATE_DELETED;
  n->delete_after = 1;
}

static void register_default(world *w) {
  pb_store_Namespace n = {.name = SPAN("default"), .state = PB_NAMESPACE_STATE_REGISTERED};
  ask *a = ask_new(w, NULL);
  shard_register_namespace(w->shard, &a->call->op, &n);
  expect_code(w, a, ERR_OK);
}

static void create_schedule_as(world *w, const char *id, const char *request_id) {
  pb_NewWorkflowExecutionInfo what = {.workflow_id = SPAN("started")};
  pb_ScheduleAction action = {.which_action = PB_ScheduleAction_start_workflow_FIELD,
                              .start_workflow = &what};
  pb_ScheduleSpec spec = {0};
  pb_SchedulePolicies policies = {0};
  pb_ScheduleState at_first = {0};
  pb_Schedule schedule = {
      .spec = &spec, .action = &action, .policies = &policies, .state = &at_first};
  pb_CreateScheduleRequest r = {.namespace = SPAN("default"),
                                .schedule_id = span_cstr(id),
                                .request_id = span_cstr(request_id),
                                .schedule = &schedule};
  pb_WorkflowType type = {.name = SPAN("Scripted")};
  pb_TaskQueue queue = {.name = SPAN("q")};
  pb_StartWorkflowExecutionRequest start = {.namespace = SPAN("default"),
                                            .workflow_id = what.workflow_id,
                                            .workflow_type = &type,
                                            .task_queue = &queue};
  ask *a = ask_new(w, &pb_CreateScheduleResponse_desc);
  shard_create_schedule(w->shard, &a->call->op, &r, &start);
  expect_code(w, a, ERR_OK);
}

static void create_schedule(world *w, const char *id) { create_schedule_as(w, id, "create"); }

static void delete_schedule(world *w, const char *id, err_code expected) {
  pb_DeleteScheduleRequest r = {.namespace = SPAN("default"), .schedule_id = span_cstr(id)};
  ask *a = ask_new(w, &pb_DeleteScheduleResponse_desc);
  shard_delete_schedule(w->shard, &a->call->op, &r);
  expect_code(w, a, expected);
}

static ask *describe_schedule(world *w, const char *id) {
  pb_DescribeScheduleRequest r = {.namespace = SPAN("default"), .schedule_id = span_cstr(id)};
  ask *a = ask_new(w, &pb_DescribeScheduleResponse_desc);
  shard_describe_schedule(w->shard, &a->call->op, &r);
  return a;
}

static void test_a_deleted_schedule_is_replaced(void **state) {
  world *w = *state;
  create_schedule(w, "s");
  delete_schedule(w, "s", ERR_OK);
  create_schedule(w, "s"); /* the same request: nothing new */
  expect_code(w, describe_schedule(w, "s"), ERR_NOT_FOUND);
  world_restart(w);
  delete_schedule(w, "s", ERR_NOT_FOUND);
  create_schedule_as(w, "s", "another");
  expect_code(w, describe_schedule(w, "s"), ERR_OK);
  world_restart(w);
  expect_code(w, describe_schedule(w, "s"), ERR_OK);
  delete_schedule(w, "s", ERR_OK);
}

static void test_a_deleted_namespace_takes_everything_with_it(void **state) {
  world *w = *state;
  create_schedule(w, "every-day");
  expect_code(w, describe_schedule(w, "every-day"), ERR_OK);
  for (int i = 0; i < 250; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    answer_free(w, start_workflow(w, id));
    if (i % 2) finish_workflow(w);
  }
  change(w, delete_it);
  world_run(w);
  assert_null(record(w, "default-deleted"));
  expect_code(w, describe(w, "wf-0", SPAN_NONE), ERR_NOT_FOUND);
  expect_code(w, describe_schedule(w, "every-day"), ERR_NOT_FOUND);
  register_default(w);
  world_restart(w);
  assert_null(record(w, "default-deleted"));
  expect_code(w, describe(w, "wf-1", SPAN_NONE), ERR_NOT_FOUND);
}

static void test_a_crash_does_not_stop_the_deletion_of_a_namespace(void **state) {
  world *w = *state;
  for (int i = 0; i < 150; i++) {
    char id[16];
    (void)snprintf(id, sizeof id, "wf-%d", i);
    answer_free(w, start_workflow(w, id));
  }
  const shard_namespace_info *info = shard_namespace(w->shard, SPAN("default"));
  int64_t key = info->key;
  pb_store_Namespace n = *info->record;
  delete_it(&n);
  ask *a = ask_new(w, NULL);
  shard_update_namespace(w->shard, &a->call->op, &n);
  world_turns(w, 40);
  register_default(w); /* for the world to come back to */
  for (int i = 0; i < 5; i++) {
    world_turns(w, 10);
    world_crash(w);
  }
  world_run(w);
  assert_null(record(w, "default-deleted"));
  w->ns.key = key;
  expect_code(w, describe(w, "wf-0", SPAN_NONE), ERR_NOT_FOUND);
  ask_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_a_closed_run_is_deleted_when_the_answer_comes),
      WORLD_TEST(test_who_waits_for_the_end_of_a_deleted_run_is_told),
      WORLD_TEST(test_nobody_finds_a_run_whose_deletion_is_under_way),
      WORLD_TEST(test_an_id_is_free_as_soon_as_its_run_is_being_deleted),
      WORLD_TEST(test_a_deletion_that_cannot_be_written_leaves_the_run),
      WORLD_TEST(test_a_crash_in_between_deletes_after_the_restart),
      WORLD_TEST(test_a_reset_reads_a_past_that_is_on_disk),
      WORLD_TEST(test_a_reset_that_cannot_be_written_changes_nothing),
      WORLD_TEST(test_a_run_that_grows_while_it_is_reset_loses_nothing),
      WORLD_TEST(test_a_crash_leaves_the_old_run_or_the_new_one),
      WORLD_TEST(test_a_batch_goes_on_after_a_crash_and_repeats_nothing),
      WORLD_TEST(test_a_batch_keeps_to_its_rate_until_it_is_stopped),
      WORLD_TEST(test_a_batch_waits_while_nothing_can_be_written),
      WORLD_TEST(test_a_batch_that_cannot_be_written_is_none),
      WORLD_TEST(test_a_closed_run_goes_when_its_time_is_over),
      WORLD_TEST(test_retention_counts_over_restarts),
      WORLD_TEST(test_changes_of_a_namespace_are_kept),
      WORLD_TEST(test_a_change_is_seen_when_it_is_durable),
      WORLD_TEST(test_a_change_that_cannot_be_written_is_forgotten),
      WORLD_TEST(test_a_deleted_schedule_is_replaced),
      WORLD_TEST(test_a_registration_that_cannot_be_written_is_forgotten),
      WORLD_TEST(test_a_renamed_namespace_frees_its_name),
      WORLD_TEST(test_a_deleted_namespace_takes_everything_with_it),
      WORLD_TEST(test_a_crash_does_not_stop_the_deletion_of_a_namespace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

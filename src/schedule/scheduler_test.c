/* scheduler_test.c - the rules of one schedule, from its point of view: time passes, workflows
 * start and end, people change things. */
#include "schedule/scheduler.h"

#include "base/test.h"
#include "proto/pb_time.h"

static const int64_t epoch_ns = INT64_C(1600000000) * NS_PER_SEC;

enum { MOST_STARTS = 64 };

/* A schedule of every ten seconds, and what it wanted done. */
typedef struct world {
  arena arena;
  zones zones;
  pb_store_ScheduleState state;
  pb_Schedule schedule;
  pb_IntervalSpec interval, *intervals[1];
  pb_ScheduleSpec spec;
  pb_SchedulePolicies policies;
  pb_ScheduleState settings;
  pb_ScheduleAction action;
  pb_NewWorkflowExecutionInfo workflow;
  const spec *compiled;
  int64_t now_ns;
  pb_store_ScheduledStart *starts[MOST_STARTS]; /* wanted, not answered */
  size_t n_starts;
  int cancels, terminates, runs;
} world;

static scheduler begin(world *w) {
  return (scheduler){.state = &w->state,
                     .spec = w->compiled,
                     .jitter_seed = SPAN("seed"),
                     .now_ns = w->now_ns,
                     .arena = &w->arena};
}

static void end(world *w, scheduler *s) {
  scheduler_advance(s);
  for (size_t i = 0; i < s->n_effects; i++) {
    if (s->effects[i].kind == EFFECT_START) {
      assert_true(w->n_starts < MOST_STARTS);
      w->starts[w->n_starts++] = (pb_store_ScheduledStart *)(uintptr_t)s->effects[i].start;
    } else {
      w->cancels += s->effects[i].kind == EFFECT_CANCEL;
      w->terminates += s->effects[i].kind == EFFECT_TERMINATE;
    }
  }
}

static void setup(world *w, int32_t policy) {
  *w = (world){.now_ns = epoch_ns};
  zones_init(&w->zones, NULL);
  w->interval.interval = pb_duration_new(&w->arena, 10 * NS_PER_SEC);
  w->intervals[0] = &w->interval;
  w->spec.interval.v = w->intervals;
  w->spec.interval.n = 1;
  w->policies.overlap_policy = policy;
  w->workflow.workflow_id = SPAN("w");
  w->action.which_action = PB_ScheduleAction_start_workflow_FIELD;
  w->action.start_workflow = &w->workflow;
  w->schedule = (pb_Schedule){
      .spec = &w->spec, .action = &w->action, .policies = &w->policies, .state = &w->settings};
  assert_null(spec_compile(&w->spec, &w->zones, &w->arena, &w->compiled));
}

static void create(world *w) {
  scheduler s = begin(w);
  scheduler_create(&s, &w->schedule);
  end(w, &s);
}

static void pass(world *w, int64_t seconds) {
  w->now_ns += seconds * NS_PER_SEC;
  scheduler s = begin(w);
  end(w, &s);
}

/* As a server that wakes when it is asked to. */
static void live(world *w, int64_t seconds) {
  int64_t until = w->now_ns + seconds * NS_PER_SEC;
  while (w->state.due_time && w->state.due_time <= until) {
    w->now_ns = MAX(w->state.due_time, w->now_ns);
    scheduler s = begin(w);
    end(w, &s);
  }
  w->now_ns = until;
}

static span run_name(world *w, int i) { return arena_spanf(&w->arena, "run-%d", i); }

/* The oldest start that waits succeeds. */
static void started(world *w) {
  scheduler s = begin(w);
  pb_store_ScheduledStart *start = w->starts[0];
  pb_WorkflowExecution e = {.workflow_id = scheduler_workflow_id(&s, start),
                            .run_id = run_name(w, ++w->runs)};
  assert_true(w->n_starts > 0);
  memmove(w->starts, w->starts + 1, --w->n_starts * sizeof *w->starts);
  scheduler_started(&s, start, &e, w->now_ns);
  end(w, &s);
}

static void start_fails(world *w) {
  scheduler s = begin(w);
  pb_store_ScheduledStart *start = w->starts[0];
  memmove(w->starts, w->starts + 1, --w->n_starts * sizeof *w->starts);
  scheduler_not_started(&s, start);
  end(w, &s);
}

/* The workflow that runs longest ends. */
static void ended(world *w, int32_t status, span result, const pb_Failure *failure) {
  assert_true(w->state.info->running_workflows.n > 0);
  const pb_WorkflowExecution *e = w->state.info->running_workflows.v[0];
  scheduler s = begin(w);
  scheduler_end how = {.workflow_id = e->workflow_id,
                       .first_run_id = e->run_id,
                       .status = status,
                       .result = result,
                       .failure = failure};
  scheduler_ended(&s, &how);
  end(w, &s);
}

static void completed(world *w) {
  ended(w, PB_WORKFLOW_EXECUTION_STATUS_COMPLETED, SPAN("result"), NULL);
}

static void patch(world *w, const pb_SchedulePatch *p) {
  scheduler s = begin(w);
  scheduler_patch(&s, p);
  end(w, &s);
}

static void teardown(world *w) {
  zones_release(&w->zones);
  arena_release(&w->arena);
}

/* --- */

TEST(an_action_at_every_time) {
  world w;
  setup(&w, 0);
  create(&w);
  assert_int_equal(w.state.due_time, epoch_ns + 10 * NS_PER_SEC);
  for (int i = 1; i <= 3; i++) {
    live(&w, 10);
    assert_int_equal(w.n_starts, 1);
    assert_int_equal(w.starts[0]->nominal_time, epoch_ns + i * 10 * NS_PER_SEC);
    started(&w);
    assert_int_equal(w.state.info->running_workflows.n, 1);
    completed(&w);
    assert_int_equal(w.state.info->running_workflows.n, 0);
  }
  assert_int_equal(w.state.info->action_count, 3);
  assert_int_equal(w.state.info->recent_actions.v[2]->start_workflow_status,
                   PB_WORKFLOW_EXECUTION_STATUS_COMPLETED);
  teardown(&w);
}

TEST(skip_leaves_out_what_overlaps) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_SKIP);
  create(&w);
  live(&w, 10);
  live(&w, 10); /* the start is still on its way */
  started(&w);
  live(&w, 20);
  assert_int_equal(w.n_starts, 0);
  assert_int_equal(w.state.info->overlap_skipped, 3);
  completed(&w);
  live(&w, 10);
  assert_int_equal(w.n_starts, 1);
  teardown(&w);
}

TEST(buffer_one_keeps_the_first_that_waits) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ONE);
  create(&w);
  live(&w, 10);
  started(&w);
  live(&w, 30);
  assert_int_equal(w.state.buffered.n, 1);
  assert_int_equal(w.state.info->overlap_skipped, 2);
  completed(&w);
  assert_int_equal(w.n_starts, 1);
  assert_int_equal(w.starts[0]->nominal_time, epoch_ns + 20 * NS_PER_SEC);
  teardown(&w);
}

TEST(buffer_all_keeps_them_in_order) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL);
  create(&w);
  live(&w, 10);
  started(&w);
  live(&w, 30);
  assert_int_equal(w.state.buffered.n, 3);
  for (int i = 2; i <= 4; i++) {
    completed(&w);
    assert_int_equal(w.n_starts, 1);
    assert_int_equal(w.starts[0]->nominal_time, epoch_ns + i * 10 * NS_PER_SEC);
    started(&w);
  }
  assert_int_equal(w.state.info->overlap_skipped, 0);
  teardown(&w);
}

TEST(the_buffer_is_limited) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL);
  create(&w);
  live(&w, 10);
  started(&w);
  pass(&w, 10 * (SCHEDULER_BUFFER + 5));
  assert_int_equal(w.state.buffered.n, SCHEDULER_BUFFER);
  assert_int_equal(w.state.info->buffer_dropped, 5);
  teardown(&w);
}

TEST(cancel_other_asks_and_waits) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER);
  create(&w);
  live(&w, 10);
  started(&w);
  live(&w, 10);
  assert_int_equal(w.cancels, 1);
  assert_int_equal(w.n_starts, 0);
  ended(&w, PB_WORKFLOW_EXECUTION_STATUS_CANCELED, SPAN_NONE, NULL);
  assert_int_equal(w.n_starts, 1);
  teardown(&w);
}

TEST(terminate_other_ends_and_waits) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER);
  create(&w);
  live(&w, 10);
  started(&w);
  live(&w, 10);
  assert_int_equal(w.terminates, 1);
  ended(&w, PB_WORKFLOW_EXECUTION_STATUS_TERMINATED, SPAN_NONE, NULL);
  assert_int_equal(w.n_starts, 1);
  teardown(&w);
}

TEST(allow_all_starts_beside_and_forgets) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL);
  create(&w);
  live(&w, 30);
  assert_int_equal(w.n_starts, 3);
  while (w.n_starts) started(&w);
  assert_int_equal(w.state.info->running_workflows.n, 0);
  assert_int_equal(w.state.info->action_count, 3);
  teardown(&w);
}

TEST(a_start_that_fails_makes_way) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL);
  create(&w);
  pass(&w, 20);
  assert_int_equal(w.n_starts, 1);
  start_fails(&w);
  assert_int_equal(w.n_starts, 1);
  assert_int_equal(w.starts[0]->nominal_time, epoch_ns + 20 * NS_PER_SEC);
  assert_int_equal(w.state.info->action_count, 0);
  teardown(&w);
}

TEST(limited_actions_run_out) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL);
  w.settings.limited_actions = true;
  w.settings.remaining_actions = 2;
  create(&w);
  live(&w, 50);
  assert_int_equal(w.n_starts, 2);
  assert_int_equal(w.state.schedule->state->remaining_actions, 0);
  assert_int_equal(w.state.conflict_token, 3);
  /* A trigger is not counted. */
  pb_TriggerImmediatelyRequest now = {0};
  patch(&w, &(pb_SchedulePatch){.trigger_immediately = &now});
  assert_int_equal(w.n_starts, 3);
  teardown(&w);
}

TEST(what_is_too_late_is_missed) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL);
  w.policies.catchup_window = pb_duration_new(&w.arena, 35 * NS_PER_SEC);
  create(&w);
  pass(&w, 100);
  assert_int_equal(w.state.info->missed_catchup_window, 6);
  assert_int_equal(w.n_starts + w.state.buffered.n, 4);
  teardown(&w);
}

TEST(a_catchup_window_has_a_least_and_a_default) {
  world w;
  setup(&w, 0);
  w.policies.catchup_window = pb_duration_new(&w.arena, NS_PER_SEC);
  create(&w);
  assert_int_equal(pb_duration_ns(w.state.schedule->policies->catchup_window), 10 * NS_PER_SEC);
  teardown(&w);
  setup(&w, 0);
  create(&w);
  assert_int_equal(w.state.schedule->policies->catchup_window->seconds, 365 * 86400);
  assert_int_equal(w.state.schedule->policies->overlap_policy, PB_SCHEDULE_OVERLAP_POLICY_SKIP);
  teardown(&w);
}

TEST(paused_time_is_not_caught_up_with) {
  world w;
  setup(&w, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL);
  create(&w);
  patch(&w, &(pb_SchedulePatch){.pause = SPAN("holiday")});
  assert_int_equal(w.state.due_time, 0);
  pass(&w, 35);
  patch(&w, &(pb_SchedulePatch){.unpause = SPAN("back")});
  assert_int_equal(w.n_starts, 0);
  assert_span(w.state.schedule->state->notes, "back");
  live(&w, 5);
  assert_int_equal(w.n_starts, 1);
  assert_int_equal(w.state.conflict_token, 3);
  teardown(&w);
}

TEST(a_failure_may_pause) {
  world w;
  setup(&w, 0);
  w.policies.pause_on_failure = true;
  create(&w);
  live(&w, 10);
  started(&w);
  pb_Failure f = {.message = SPAN("broken")};
  ended(&w, PB_WORKFLOW_EXECUTION_STATUS_FAILED, SPAN_NONE, &f);
  assert_true(w.state.schedule->state->paused);
  assert_span(w.state.schedule->state->notes,
              "paused due to workflow failure: w-2020-09-13T12:26:50Z: broken");
  assert_int_equal(w.state.due_time, 0);
  teardown(&w);
}

TEST(the_next_action_knows_the_last_result_and_the_failure_since) {
  world w;
  setup(&w, 0);
  create(&w);
  live(&w, 10);
  started(&w);
  completed(&w);
  assert_span(w.state.last_completion_result, "result");
  live(&w, 10);
  started(&w);
  pb_Failure f = {.message = SPAN("broken")};
  ended(&w, PB_WORKFLOW_EXECUTION_STATUS_FAILED, SPAN_NONE, &f);
  assert_span(w.state.last_completion_result, "result");
  assert_span(w.state.continued_failure->message, "broken");
  live(&w, 10);
  started(&w);
  ended(&w, PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT, SPAN_NONE, NULL);
  assert_non_null(w.state.continued_failure);
  live(&w, 10);
  started(&w);
  completed(&w);
  assert_null(w.state.continued_failure);
  teardown(&w);
}

TEST(the_end_of_another_workflow_is_nobodys) {
  world w;
  setup(&w, 0);
  create(&w);
  live(&w, 10);
  started(&w);
  scheduler s = begin(&w);
  scheduler_end how = {.workflow_id = w.state.info->running_workflows.v[0]->workflow_id,
                       .first_run_id = SPAN("another"),
                       .status = PB_WORKFLOW_EXECUTION_STATUS_COMPLETED};
  scheduler_ended(&s, &how);
  end(&w, &s);
  assert_int_equal(w.state.info->running_workflows.n, 1);
  teardown(&w);
}

TEST(a_backfill_goes_in_steps_and_includes_its_start) {
  world w;
  setup(&w, 0);
  w.settings.paused = true;
  create(&w);
  pb_BackfillRequest b = {.start_time = pb_time_new(&w.arena, epoch_ns - 300 * NS_PER_SEC),
                          .end_time = pb_time_new(&w.arena, epoch_ns - 60 * NS_PER_SEC),
                          .overlap_policy = PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL};
  pb_BackfillRequest *all[] = {&b};
  pb_SchedulePatch p = {0};
  p.backfill_request.v = all;
  p.backfill_request.n = 1;
  patch(&w, &p);
  assert_int_equal(w.n_starts, SCHEDULER_BACKFILL_STEP);
  assert_int_equal(w.starts[0]->nominal_time, epoch_ns - 300 * NS_PER_SEC);
  assert_int_equal(w.state.due_time, w.now_ns + NS_PER_SEC);
  live(&w, 1);
  assert_int_equal(w.n_starts, 2 * SCHEDULER_BACKFILL_STEP);
  live(&w, 10);
  assert_int_equal(w.n_starts, 25);
  assert_int_equal(w.starts[24]->nominal_time, epoch_ns - 60 * NS_PER_SEC);
  assert_int_equal(w.state.backfills.n, 0);
  teardown(&w);
}

TEST(an_update_keeps_what_happened_and_drops_what_is_past) {
  world w;
  setup(&w, 0);
  create(&w);
  live(&w, 10);
  started(&w);
  w.now_ns += 25 * NS_PER_SEC;
  w.policies.overlap_policy = PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL;
  scheduler s = begin(&w);
  assert_false(scheduler_update(&s, &w.schedule, 7));
  assert_true(scheduler_update(&s, &w.schedule, 1));
  end(&w, &s);
  assert_int_equal(w.state.conflict_token, 2);
  assert_int_equal(w.state.info->action_count, 1);
  assert_int_equal(w.n_starts, 0);
  live(&w, 5);
  assert_int_equal(w.n_starts, 1);
  teardown(&w);
}

TEST(a_schedule_that_will_never_act_again_is_over_after_a_week) {
  world w;
  setup(&w, 0);
  w.spec.end_time = pb_time_new(&w.arena, epoch_ns + 15 * NS_PER_SEC);
  assert_null(spec_compile(&w.spec, &w.zones, &w.arena, &w.compiled));
  create(&w);
  live(&w, 10);
  started(&w);
  assert_int_equal(w.state.due_time, 0); /* it still runs */
  completed(&w);
  assert_int_equal(w.state.due_time, epoch_ns + (10 + 7 * 86400) * NS_PER_SEC);
  scheduler s = begin(&w);
  assert_false(scheduler_is_over(&s));
  s.now_ns = w.state.due_time;
  assert_true(scheduler_is_over(&s));
  teardown(&w);
}

TEST(future_times_are_those_that_are_left) {
  world w;
  setup(&w, 0);
  w.settings.limited_actions = true;
  w.settings.remaining_actions = 3;
  create(&w);
  scheduler s = begin(&w);
  pb_list_Timestamp t = scheduler_future(&s, 10);
  assert_int_equal(t.n, 3);
  assert_int_equal(pb_time_ns(t.v[0]), epoch_ns + 10 * NS_PER_SEC);
  teardown(&w);
}

TEST(very_many_missed_times_are_taken_in_steps) {
  world w;
  setup(&w, 0);
  w.policies.catchup_window = pb_duration_new(&w.arena, 60 * NS_PER_SEC);
  create(&w);
  pass(&w, 10 * 25000);
  assert_int_equal(w.state.due_time, w.now_ns);
  live(&w, 0);
  assert_true(w.state.due_time > w.now_ns);
  assert_int_equal(
      w.state.info->missed_catchup_window + (int64_t)w.n_starts + w.state.info->overlap_skipped,
      25000);
  teardown(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_action_at_every_time),
      cmocka_unit_test(skip_leaves_out_what_overlaps),
      cmocka_unit_test(buffer_one_keeps_the_first_that_waits),
      cmocka_unit_test(buffer_all_keeps_them_in_order),
      cmocka_unit_test(the_buffer_is_limited),
      cmocka_unit_test(cancel_other_asks_and_waits),
      cmocka_unit_test(terminate_other_ends_and_waits),
      cmocka_unit_test(allow_all_starts_beside_and_forgets),
      cmocka_unit_test(a_start_that_fails_makes_way),
      cmocka_unit_test(limited_actions_run_out),
      cmocka_unit_test(what_is_too_late_is_missed),
      cmocka_unit_test(a_catchup_window_has_a_least_and_a_default),
      cmocka_unit_test(paused_time_is_not_caught_up_with),
      cmocka_unit_test(a_failure_may_pause),
      cmocka_unit_test(the_next_action_knows_the_last_result_and_the_failure_since),
      cmocka_unit_test(the_end_of_another_workflow_is_nobodys),
      cmocka_unit_test(a_backfill_goes_in_steps_and_includes_its_start),
      cmocka_unit_test(an_update_keeps_what_happened_and_drops_what_is_past),
      cmocka_unit_test(a_schedule_that_will_never_act_again_is_over_after_a_week),
      cmocka_unit_test(future_times_are_those_that_are_left),
      cmocka_unit_test(very_many_missed_times_are_taken_in_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

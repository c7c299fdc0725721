/* schedule_test.c - a schedule in the place of a run: its rows, its messages, and what happens when
 * an answer is lost, late or repeated. */
#include "engine/schedule.h"

#include "base/test.h"
#include "engine/engine_int.h"
#include "engine/message.h"
#include "engine/script_world.h"
#include "proto/pb_payload.h"

static const int64_t own_ns = 7;

typedef struct fixture {
  world w;
  engine_run *run;
  arena arena;
  engine_step st;
} fixture;

static engine_step *begin(fixture *f) {
  engine_step_init(&f->st, &f->w.host, f->w.now_ns, &f->w.random, &f->arena);
  return &f->st;
}

/* Stores what the step gave. */
static void end(fixture *f) {
  for (size_t i = 0; i < f->st.n_rows; i++) {
    if (f->st.rows[i].kind == ROW_VISIBLE_PUT) continue;
    assert_null(model_apply(&f->w.model, &f->st.rows[i], &f->arena));
  }
  engine_rows_release(f->st.rows, f->st.n_rows);
  f->st.n_rows = 0;
}

static pb_StartWorkflowExecutionRequest *start_of(arena *a) {
  pb_StartWorkflowExecutionRequest *r = pb_new(a, StartWorkflowExecutionRequest);
  r->workflow_type = pb_new(a, WorkflowType);
  r->workflow_type->name = SPAN("Act");
  r->task_queue = pb_new(a, TaskQueue);
  r->task_queue->name = SPAN("q");
  return r;
}

static pb_Schedule *schedule_of_action(arena *a) {
  pb_Schedule *s = pb_new(a, Schedule);
  s->spec = pb_new(a, ScheduleSpec);
  s->action = pb_new(a, ScheduleAction);
  s->action->which_action = PB_ScheduleAction_start_workflow_FIELD;
  s->action->start_workflow = pb_new(a, NewWorkflowExecutionInfo);
  s->action->start_workflow->workflow_id = SPAN("w");
  s->action->start_workflow->input = pb_json_payloads(a, SPAN("1"));
  return s;
}

static void setup(fixture *f) {
  *f = (fixture){0};
  world_init(&f->w);
  arena *a = &f->arena;
  pb_CreateScheduleRequest r = {
      .schedule_id = SPAN("s"), .request_id = SPAN("r"), .schedule = schedule_of_action(a)};
  engine_schedule_args args = {.ns = schedule_ns(own_ns),
                               .ns_name = SPAN("ns"),
                               .ns_id = SPAN("ns-id"),
                               .request = &r,
                               .start = start_of(a)};
  engine_step *st = begin(f);
  f->w.host.new_run(f->w.host.ctx, a, &args.run, &args.run_id);
  f->run = engine_schedule_create(st, &args);
  end(f);
}

static void teardown(fixture *f) {
  engine_free(f->run);
  arena_release(&f->arena);
  world_release(&f->w);
}

/* Memory is lost. */
static void crash(fixture *f) {
  int64_t key = f->run->run;
  engine_free(f->run);
  assert_null(model_load(&f->w.model, key, &f->arena, &f->run));
  assert_null(engine_check(f->run, &f->arena));
}

static void trigger(fixture *f, int32_t overlap) {
  pb_TriggerImmediatelyRequest t = {.overlap_policy = overlap};
  pb_SchedulePatch patch = {.trigger_immediately = &t};
  pb_PatchScheduleRequest r = {.patch = &patch};
  assert_null(engine_schedule_patch(f->run, begin(f), &r));
  end(f);
}

static engine_message read(fixture *f, int64_t id) {
  engine_message m;
  assert_true(engine_message_read(f->run, id, &f->arena, &m));
  return m;
}

static void answer(fixture *f, int64_t id, engine_message_kind kind, engine_answer how) {
  engine_message_answered(f->run, begin(f), id, kind, how);
  end(f);
}

static const pb_ScheduleInfo *info(fixture *f) {
  return engine_schedule_describe(f->run, &f->w.zones, &f->arena)->info;
}

/* The workflow of this start has completed. */
static void completes(fixture *f, const engine_message *start) {
  pb_WorkflowExecutionCompletedEventAttributes attrs = {.result = SPAN("")};
  pb_HistoryEvent close = {.event_type = PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED};
  close.which_attributes = PB_HistoryEvent_workflow_execution_completed_event_attributes_FIELD;
  close.workflow_execution_completed_event_attributes = &attrs;
  engine_message m = {.kind = MESSAGE_SCHEDULE_RESULT,
                      .from = {.workflow_id = start->to.workflow_id},
                      .first_run_id = start->child_run_id,
                      .close = &close};
  engine_schedule_ended(f->run, begin(f), &m);
  end(f);
}

/* --- */

TEST(an_action_is_a_message_until_it_is_answered) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  assert_int_equal(f.st.n_messages, 1);
  assert_true(engine_schedule_is_busy(f.run));
  engine_message m = read(&f, f.st.messages[0]);
  assert_int_equal(m.kind, MESSAGE_START_CHILD);
  assert_int_equal(m.ns, own_ns);
  assert_span(m.start->workflow_id, "w-2020-09-13T12:26:40Z");
  assert_span(m.start->identity, "temporal-scheduler-ns-s");
  assert_span(m.start->workflow_type->name, "Act");
  assert_true(m.start->input.n > 0);
  assert_int_equal(m.start->workflow_id_reuse_policy, PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE);
  assert_int_equal(m.start->search_attributes->indexed_fields.n, 2);
  assert_span(m.schedule->workflow_id, "temporal-sys-scheduler:s");
  assert_int_equal(info(&f)->action_count, 0);
  answer(&f, m.id, m.kind, ANSWER_DONE);
  assert_false(engine_schedule_is_busy(f.run));
  assert_int_equal(info(&f)->action_count, 1);
  assert_int_equal(info(&f)->running_workflows.n, 1);
  answer(&f, m.id, m.kind, ANSWER_DONE);
  assert_int_equal(info(&f)->action_count, 1);
  teardown(&f);
}

TEST(after_a_crash_it_is_told_again_with_the_same_ids) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  engine_message before = read(&f, f.st.messages[0]);
  crash(&f);
  engine_waiting_messages(f.run, begin(&f));
  assert_int_equal(f.st.n_messages, 1);
  engine_message after = read(&f, f.st.messages[0]);
  assert_true(span_eq(before.child_run_id, after.child_run_id));
  assert_true(span_eq(before.start->request_id, after.start->request_id));
  assert_true(span_eq(before.start->workflow_id, after.start->workflow_id));
  teardown(&f);
}

TEST(an_end_that_comes_before_the_answer_counts) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  engine_message m = read(&f, f.st.messages[0]);
  completes(&f, &m);
  assert_int_equal(info(&f)->action_count, 1);
  assert_int_equal(info(&f)->running_workflows.n, 0);
  answer(&f, m.id, m.kind, ANSWER_DONE);
  assert_int_equal(info(&f)->action_count, 1);
  assert_int_equal(info(&f)->running_workflows.n, 0);
  completes(&f, &m);
  assert_int_equal(info(&f)->recent_actions.v[0]->start_workflow_status,
                   PB_WORKFLOW_EXECUTION_STATUS_COMPLETED);
  teardown(&f);
}

TEST(a_refused_start_leaves_nothing) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  engine_message m = read(&f, f.st.messages[0]);
  answer(&f, m.id, m.kind, ANSWER_ALREADY_EXISTS);
  crash(&f);
  assert_int_equal(info(&f)->action_count, 0);
  assert_int_equal(info(&f)->running_workflows.n, 0);
  assert_false(engine_schedule_is_busy(f.run));
  trigger(&f, 0);
  assert_int_equal(f.st.n_messages, 1);
  teardown(&f);
}

TEST(what_runs_is_stopped_by_a_message) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  engine_message m = read(&f, f.st.messages[0]);
  answer(&f, m.id, m.kind, ANSWER_DONE);
  f.w.now_ns += NS_PER_SEC;
  trigger(&f, PB_SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER);
  assert_int_equal(f.st.n_messages, 1);
  engine_message stop = read(&f, f.st.messages[0]);
  assert_int_equal(stop.kind, MESSAGE_CLOSE_CHILD);
  assert_int_equal(stop.ns, own_ns);
  assert_true(stop.terminates);
  assert_span(stop.cause, "terminated by schedule overlap policy");
  assert_true(span_eq(stop.first_run_id, m.child_run_id));
  assert_true(span_eq(stop.to.workflow_id, m.to.workflow_id));
  answer(&f, stop.id, stop.kind, ANSWER_DONE);
  assert_int_equal(info(&f)->buffer_size, 1);
  completes(&f, &m);
  assert_int_equal(f.st.n_messages, 1);
  teardown(&f);
}

/* Damaged rows are refused, or can be used like any other. */
TEST(a_deletion_waits_for_no_answer) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  assert_int_equal(f.st.n_messages, 1);
  engine_message m = read(&f, f.st.messages[0]);
  assert_null(engine_schedule_delete(f.run, begin(&f)));
  assert_true(f.st.closed);
  assert_false(engine_schedule_is_busy(f.run));
  end(&f);
  assert_int_equal(engine_schedule_delete(f.run, begin(&f))->code, ERR_NOT_FOUND);
  answer(&f, m.id, m.kind, ANSWER_DONE);
  completes(&f, &m);
  assert_int_equal(info(&f)->action_count, 0);
  teardown(&f);
}

static int64_t a_day(void *ctx, int64_t ns) {
  (void)ctx;
  return ns == own_ns ? 86400 * NS_PER_SEC : 0;
}

TEST(a_deleted_one_is_kept_as_long_as_a_closed_run) {
  fixture f;
  setup(&f);
  f.w.host.retention_ns = a_day;
  pb_UpdateScheduleRequest update = {0};
  pb_PatchScheduleRequest patch = {0};
  assert_null(engine_schedule_delete(f.run, begin(&f)));
  end(&f);
  assert_int_equal(engine_schedule_update(f.run, begin(&f), &update, NULL)->code, ERR_NOT_FOUND);
  assert_int_equal(engine_schedule_patch(f.run, begin(&f), &patch)->code, ERR_NOT_FOUND);
  f.w.now_ns += 86400 * NS_PER_SEC - 1;
  engine_fire(f.run, begin(&f));
  assert_false(f.st.deleted);
  f.w.now_ns++;
  assert_int_equal(engine_next_due_ns(f.run), f.w.now_ns);
  engine_fire(f.run, begin(&f));
  assert_true(f.st.deleted);
  assert_int_equal(f.st.rows[0].kind, ROW_RUN_DELETE);
  engine_rows_release(f.st.rows, f.st.n_rows);
  teardown(&f);
}

TEST(damaged_rows_do_no_harm) {
  fixture f;
  setup(&f);
  trigger(&f, 0);
  engine_message m = read(&f, f.st.messages[0]);
  answer(&f, m.id, m.kind, ANSWER_DONE);
  trigger(&f, PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL);
  trigger(&f, PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL);
  int64_t key = f.run->run;
  for (size_t i = 0; i < f.w.model.n; i++) {
    store_row *row = &f.w.model.rows[i];
    if (row->kind != ROW_RUN_INSERT && row->kind != ROW_ITEM_PUT) continue;
    bytes *whole = row->blob;
    for (size_t n = 0; n < 2 * whole->n; n++) {
      fixture g = {.w.now_ns = f.w.now_ns, .w.random = f.w.random};
      bool cut = n < whole->n;
      row->blob = bytes_copy(span_of(whole->p, cut ? n : whole->n));
      if (!cut) row->blob->p[n - whole->n] ^= 0xff;
      if (!model_load(&f.w.model, key, &g.arena, &g.run) && engine_is_schedule(g.run)) {
        (void)engine_schedule_describe(g.run, &f.w.zones, &g.arena);
        engine_step_init(&g.st, &f.w.host, f.w.now_ns + NS_PER_SEC, &f.w.random, &g.arena);
        engine_waiting_messages(g.run, &g.st);
        for (size_t k = 0; k < g.st.n_messages; k++) {
          engine_message read_again;
          (void)engine_message_read(g.run, g.st.messages[k], &g.arena, &read_again);
        }
        engine_fire(g.run, &g.st);
        engine_rows_release(g.st.rows, g.st.n_rows);
      }
      engine_free(g.run);
      arena_release(&g.arena);
      bytes_unref(row->blob);
    }
    row->blob = whole;
  }
  teardown(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_action_is_a_message_until_it_is_answered),
      cmocka_unit_test(after_a_crash_it_is_told_again_with_the_same_ids),
      cmocka_unit_test(an_end_that_comes_before_the_answer_counts),
      cmocka_unit_test(a_refused_start_leaves_nothing),
      cmocka_unit_test(what_runs_is_stopped_by_a_message),
      cmocka_unit_test(a_deletion_waits_for_no_answer),
      cmocka_unit_test(a_deleted_one_is_kept_as_long_as_a_closed_run),
      cmocka_unit_test(damaged_rows_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The ledger of attempts: one activity that fails again and again, and what its rows say. */
#include "base/test.h"
#include "engine/engine_int.h"

enum { SLOTS = 96 };

static int64_t queue_key(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky) {
  return 1;
}

static int64_t next_seq(void *ctx) { return ++*(int64_t *)ctx; }

/* A run with one activity that is retried for ever every second. */
typedef struct fixture {
  engine_run *run;
  engine_limits limits;
  engine_host host;
  int64_t seq, now_ns;
  rng random;
  arena arena;
  bytes *rows[SLOTS + 1]; /* by number */
  int32_t attempt;
} fixture;

static void begin(fixture *f, engine_step *st) {
  arena_reset(&f->arena);
  engine_step_init(st, &f->host, f->now_ns, &f->random, &f->arena);
}

static void take_rows(fixture *f, engine_step *st) {
  for (size_t i = 0; i < st->n_rows; i++) {
    const store_row *row = &st->rows[i];
    if (row->kind != ROW_ATTEMPT_PUT) continue;
    assert_in_range(row->attempt, 1, SLOTS);
    bytes_unref(f->rows[row->attempt]);
    f->rows[row->attempt] = bytes_ref(row->blob);
  }
  engine_rows_release(st->rows, st->n_rows);
  assert_null(engine_check(f->run, &f->arena));
}

static void schedule_activity(fixture *f) {
  engine_step st;
  engine_wft task;
  engine_completion done;
  begin(f, &st);
  engine_poller p = {.identity = SPAN("worker")};
  assert_null(engine_wft_start(f->run, &st, &p, &task));
  pb_Duration second = {.seconds = 1}, minute = {.seconds = 60};
  pb_RetryPolicy policy = {
      .initial_interval = &second, .maximum_interval = &second, .backoff_coefficient = 1};
  pb_ActivityType type = {.name = SPAN("Act")};
  pb_TaskQueue queue = {.name = SPAN("q")};
  pb_ScheduleActivityTaskCommandAttributes attrs = {.activity_id = SPAN("a"),
                                                    .activity_type = &type,
                                                    .task_queue = &queue,
                                                    .start_to_close_timeout = &minute,
                                                    .retry_policy = &policy};
  pb_Command cmd = {.command_type = PB_COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
                    .which_attributes = PB_Command_schedule_activity_task_command_attributes_FIELD};
  cmd.schedule_activity_task_command_attributes = &attrs;
  pb_Command *cmds[] = {&cmd};
  pb_RespondWorkflowTaskCompletedRequest r = {0};
  r.commands.v = cmds;
  r.commands.n = 1;
  assert_null(engine_wft_complete(f->run, &st, &task.token, &r, &done));
  take_rows(f, &st);
}

static int setup(void **state) {
  fixture *f = test_calloc(1, sizeof *f);
  *state = f;
  f->limits = engine_default_limits;
  f->now_ns = INT64_C(1600000000) * NS_PER_SEC;
  f->host = (engine_host){
      .ctx = &f->seq, .limits = &f->limits, .queue_key = queue_key, .next_seq = next_seq};
  rng_seed(&f->random, 1);
  engine_step st;
  begin(f, &st);
  pb_WorkflowType type = {.name = SPAN("T")};
  pb_TaskQueue queue = {.name = SPAN("q")};
  pb_Duration ten = {.seconds = 10};
  pb_StartWorkflowExecutionRequest r = {.workflow_id = SPAN("w"),
                                        .workflow_type = &type,
                                        .task_queue = &queue,
                                        .workflow_task_timeout = &ten,
                                        .request_id = SPAN("r")};
  f->run = engine_start(
      &st,
      &(engine_start_args){
          .ns = 1, .ns_name = SPAN("default"), .run = 1, .run_id = SPAN("run"), .request = &r});
  take_rows(f, &st);
  schedule_activity(f);
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  engine_free(f->run);
  for (size_t i = 0; i <= SLOTS; i++) bytes_unref(f->rows[i]);
  arena_release(&f->arena);
  test_free(f);
  return 0;
}

/* One attempt that fails with this message. */
static void fail_once(fixture *f, span message) {
  engine_step st;
  engine_activity act;
  begin(f, &st);
  engine_poller p = {.identity = SPAN("worker")};
  assert_null(engine_activity_start(f->run, &st, 5, f->seq, &p, &act));
  assert_int_equal(act.token.attempt, ++f->attempt);
  pb_Failure failure = {.message = message};
  engine_activity_ref ref = {.token = &act.token};
  assert_null(engine_activity_fail(f->run, &st, ref, &failure, SPAN("worker"), SPAN_NONE, NULL));
  take_rows(f, &st);
  f->now_ns += NS_PER_SEC;
  begin(f, &st);
  engine_fire(f->run, &st);
  take_rows(f, &st);
}

static pb_store_AttemptRecord *row(fixture *f, int32_t number, arena *a) {
  pb_store_AttemptRecord *rec = NULL;
  assert_non_null(f->rows[number]);
  assert_null(PB_DECODE(store_AttemptRecord, bytes_span(f->rows[number]), a, &rec));
  return rec;
}

/* What a reader makes of the rows: the failure of an attempt, over one step of sharing. */
static const pb_Failure *failure_of(fixture *f, int32_t attempt, arena *a) {
  pb_store_AttemptRecord *rec = row(f, (attempt - 1) % SLOTS + 1, a);
  assert_int_equal(rec->attempt, attempt);
  if (rec->failure || !rec->failure_slot) return rec->failure;
  return row(f, rec->failure_slot, a)->failure;
}

static void check_messages(fixture *f, span (*message_of)(int32_t attempt, arena *a)) {
  arena a = ARENA_INIT;
  int32_t first = MAX(1, f->attempt - ENGINE_LEDGER_ATTEMPTS + 1);
  for (int32_t attempt = first; attempt <= f->attempt; attempt++) {
    const pb_Failure *got = failure_of(f, attempt, &a);
    assert_non_null(got);
    assert_true(span_eq(got->message, message_of(attempt, &a)));
  }
  arena_release(&a);
}

static span same(int32_t attempt, arena *a) { return SPAN("always the same"); }
static span other(int32_t attempt, arena *a) { return arena_spanf(a, "number %d", attempt); }
static span by_thirds(int32_t attempt, arena *a) { return arena_spanf(a, "kind %d", attempt % 3); }
static span by_dozens(int32_t attempt, arena *a) { return arena_spanf(a, "kind %d", attempt % 12); }
static span in_phases(int32_t attempt, arena *a) {
  return arena_spanf(a, "phase %d", attempt / 40);
}

TEST(the_last_64_attempts_are_whole_whatever_repeats) {
  span (*const patterns[])(int32_t, arena *) = {same, other, by_thirds, by_dozens, in_phases};
  for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
    void *inner;
    (void)setup(&inner);
    fixture *f = inner;
    for (int32_t n = 1; n <= 300; n++) {
      arena a = ARENA_INIT;
      fail_once(f, patterns[i](n, &a));
      arena_release(&a);
      if (n % 7 == 0 || n > 290) check_messages(f, patterns[i]);
    }
    (void)teardown(&inner);
  }
}

TEST(a_row_says_when_and_who_and_what_followed) {
  fixture *f = *state;
  arena a = ARENA_INIT;
  fail_once(f, SPAN("one"));
  pb_store_AttemptRecord *rec = row(f, 1, &a);
  assert_int_equal(rec->started_time, f->now_ns - NS_PER_SEC);
  assert_int_equal(rec->ended_time, f->now_ns - NS_PER_SEC);
  assert_int_equal(rec->next_delay, NS_PER_SEC);
  assert_int_equal(rec->retry_state, PB_RETRY_STATE_IN_PROGRESS);
  assert_span(rec->worker_identity, "worker");
  arena_release(&a);
}

/* A repeated failure costs the budget once in a while, not every time. */
TEST(repeated_failures_are_stored_once) {
  fixture *f = *state;
  for (int i = 0; i < 32; i++) fail_once(f, SPAN("again"));
  int64_t once = f->run->state.ledger_bytes;
  assert_true(once > 0 && once < 20);
  fail_once(f, SPAN("again"));
  assert_int_equal(f->run->state.ledger_bytes, 2 * once);
}

TEST(beyond_the_budget_rows_say_what_was_left_out) {
  fixture *f = *state;
  arena a = ARENA_INIT;
  f->limits.ledger_bytes = 100;
  uint8_t big[90];
  memset(big, 'x', sizeof big);
  fail_once(f, span_of(big, sizeof big));
  big[0] = 'y';
  fail_once(f, span_of(big, sizeof big));
  assert_non_null(row(f, 1, &a)->failure);
  pb_store_AttemptRecord *rec = row(f, 2, &a);
  assert_null(rec->failure);
  assert_true(rec->failure_omitted);
  assert_int_equal(rec->failure_bytes, 92);
  arena_release(&a);
}

/* What is overwritten no longer counts, so an activity may fail for ever. */
TEST(the_budget_comes_back_as_rows_are_used_again) {
  fixture *f = *state;
  for (int32_t n = 1; n <= 1000; n++) {
    arena a = ARENA_INIT;
    fail_once(f, other(n, &a));
    arena_release(&a);
    assert_true(f->run->state.ledger_bytes >= 0);
    assert_true(f->run->state.ledger_bytes <= SLOTS * 20);
  }
}

int main(void) {
#define WITH_RUN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_last_64_attempts_are_whole_whatever_repeats),
      WITH_RUN(a_row_says_when_and_who_and_what_followed),
      WITH_RUN(repeated_failures_are_stored_once),
      WITH_RUN(beyond_the_budget_rows_say_what_was_left_out),
      WITH_RUN(the_budget_comes_back_as_rows_are_used_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What every backing of store.h promises about commits; each case runs on each backing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "store/store_fixture.h"

static void a_run_reads_back_as_it_was_written(void **state) {
  fixture *f = *state;
  store_row r = run_insert(5, "w");
  r.status = 3;
  r.due_ns = 99;
  r.queued = (store_queued){.queue = 2, .priority = -1, .seq = 8};
  COMMIT(f, 5, STORE_OK, r, item(5, 7, 11, (store_queued){3, 1, 9}),
         item(5, 2, 0, (store_queued){0}));
  test_load l = {.load = {.kind = LOAD_RUN, .run = 5}};
  load(f, &l);
  const store_row *got = &l.load.row;
  assert_true(l.load.found);
  assert_int_equal(got->run, 5);
  assert_int_equal(got->ns, 1);
  assert_true(span_eq(got->workflow_id, SPAN("w")));
  assert_int_equal(got->status, 3);
  assert_int_equal(got->due_ns, 99);
  assert_int_equal(got->queued.queue, 2);
  assert_int_equal(got->queued.priority, -1);
  assert_int_equal(got->queued.seq, 8);
  assert_blob(got->info, "info");
  assert_blob(got->blob, "state");
  assert_int_equal(l.load.n_rows, 2);
  assert_int_equal(l.load.rows[0].id, 2);
  assert_int_equal(l.load.rows[1].id, 7);
  assert_int_equal(l.load.rows[1].run, 5);
  assert_int_equal(l.load.rows[1].item_kind, 4);
  assert_int_equal(l.load.rows[1].due_ns, 11);
  assert_int_equal(l.load.rows[1].queued.seq, 9);
  assert_blob(l.load.rows[1].blob, "item");
  test_load_release(&l);
  assert_false(run_exists(f, 4));
  assert_false(run_exists(f, 6));
}

static void an_update_changes_the_state_and_keeps_the_rest(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  COMMIT(f, 1, STORE_OK, run_update(1, "second"));
  test_load l = {.load = {.kind = LOAD_RUN, .run = 1}};
  load(f, &l);
  assert_int_equal(l.load.row.status, 2);
  assert_blob(l.load.row.blob, "second");
  assert_blob(l.load.row.info, "info");
  assert_true(span_eq(l.load.row.workflow_id, SPAN("w")));
  test_load_release(&l);
}

static void workflow_ids_and_blobs_may_hold_any_byte(void **state) {
  fixture *f = *state;
  store_row r = run_insert(1, "");
  bytes_unref(r.info);
  r.info = bytes_new(0);
  bytes_unref(r.blob);
  r.blob = NULL;
  r.workflow_id = SPAN("a\0b'\xc3\xa4");
  store_row c = current_put(1, "", 0);
  c.workflow_id = r.workflow_id;
  COMMIT(f, 1, STORE_OK, r, c);
  test_load l = {.load = {.kind = LOAD_CURRENT, .ns = 1, .workflow_id = r.workflow_id}};
  load(f, &l);
  assert_int_equal(l.load.run, 1);
  assert_true(span_eq(l.load.row.workflow_id, r.workflow_id));
  assert_non_null(l.load.row.info);
  assert_int_equal(l.load.row.info->n, 0);
  assert_null(l.load.row.blob);
  test_load_release(&l);
  assert_int_equal(current_of(f, "a"), 0);
}

static void a_step_is_written_whole_or_not_at_all(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  COMMIT(f, 1, STORE_FAILED, run_update(1, "lost"), history(1, 5, "lost"),
         history(1, 1, "again: cannot be added"));
  assert_string_equal(history_of(f, 1, 1, 0, 0), "1:one");
  test_load l = {.load = {.kind = LOAD_RUN, .run = 1}};
  load(f, &l);
  assert_blob(l.load.row.blob, "state");
  test_load_release(&l);
  COMMIT(f, 2, STORE_FAILED, run_update(2, "there is no such run"));
  COMMIT(f, 1, STORE_OK, history(1, 5, "five"));
}

static void a_bad_step_fails_alone(void **state) {
  fixture *f = *state;
  start_run(f, 1, "one");
  test_batch b;
  test_batch_init(&b);
  const store_row good[] = {run_insert(2, "two"), history(2, 1, "x")};
  const store_row bad[] = {run_update(1, "bad"), run_insert(1, "again")};
  const store_row after_bad[] = {history(1, 2, "built on the bad step")};
  const store_row last[] = {run_update(2, "last")};
  store_step *steps[] = {
      test_batch_step(&b, 2, good, 2),
      test_batch_step(&b, 1, bad, 2),
      test_batch_step(&b, 1, after_bad, 1),
      test_batch_step(&b, 2, last, 1),
  };
  test_batch_commit(&b, f->store, &f->env);
  assert_int_equal(steps[0]->status, STORE_OK);
  assert_int_equal(steps[1]->status, STORE_FAILED);
  assert_int_equal(steps[2]->status, STORE_FAILED);
  assert_int_equal(steps[3]->status, STORE_OK);
  assert_non_null(b.batch.error);
  test_batch_release(&b);
  assert_true(run_exists(f, 2));
  assert_string_equal(history_of(f, 1, 1, 0, 0), "1:one");
  test_load l = {.load = {.kind = LOAD_RUN, .run = 1}};
  load(f, &l);
  assert_blob(l.load.row.blob, "state");
  test_load_release(&l);
}

static void steps_of_no_run_do_not_depend_on_each_other(void **state) {
  fixture *f = *state;
  test_batch b;
  test_batch_init(&b);
  const store_row bad[] = {run_update(9, "there is no such run")};
  const store_row good[] = {{.kind = ROW_NAMED_PUT, .name = SPAN("n"), .blob = text("1")}};
  store_step *s1 = test_batch_step(&b, 0, bad, 1), *s2 = test_batch_step(&b, 0, good, 1);
  test_batch_commit(&b, f->store, &f->env);
  assert_int_equal(s1->status, STORE_FAILED);
  assert_int_equal(s2->status, STORE_OK);
  test_batch_release(&b);
}

static void current_moves_only_from_the_expected_run(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  test_batch b;
  test_batch_init(&b);
  const store_row second[] = {run_insert(2, "w"), current_put(2, "w", 0)};
  const store_row after[] = {history(2, 4, "of a refused run")};
  const store_row third[] = {current_put(3, "w", 1), run_insert(3, "w")};
  const store_row stale[] = {run_insert(4, "w"), current_put(4, "w", 1)};
  store_step *steps[] = {
      test_batch_step(&b, 2, second, 2),
      test_batch_step(&b, 2, after, 1),
      test_batch_step(&b, 3, third, 2),
      test_batch_step(&b, 4, stale, 2),
  };
  test_batch_commit(&b, f->store, &f->env);
  assert_int_equal(steps[0]->status, STORE_CONFLICT);
  assert_int_equal(steps[0]->conflict_run, 1);
  assert_int_equal(steps[1]->status, STORE_CONFLICT);
  assert_int_equal(steps[2]->status, STORE_OK);
  assert_int_equal(steps[3]->status, STORE_CONFLICT);
  assert_int_equal(steps[3]->conflict_run, 3);
  test_batch_release(&b);
  assert_false(run_exists(f, 2));
  assert_true(run_exists(f, 3));
  assert_false(run_exists(f, 4));
  assert_int_equal(current_of(f, "w"), 3);
  assert_string_equal(history_of(f, 2, 1, 0, 0), "");
  COMMIT(f, 5, STORE_CONFLICT, run_insert(5, "new"), current_put(5, "new", 3));
}

static void a_conflict_beside_a_bad_step_stays_a_conflict(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  test_batch b;
  test_batch_init(&b);
  const store_row conflict[] = {run_insert(2, "w"), current_put(2, "w", 0)};
  const store_row bad[] = {run_insert(1, "again")};
  store_step *s1 = test_batch_step(&b, 2, conflict, 2), *s2 = test_batch_step(&b, 3, bad, 1);
  test_batch_commit(&b, f->store, &f->env);
  assert_int_equal(s1->status, STORE_CONFLICT);
  assert_int_equal(s1->conflict_run, 1);
  assert_int_equal(s2->status, STORE_FAILED);
  test_batch_release(&b);
}

/* Only the last update of a run in a batch has to reach the table, but which one is the last
 * depends on what is refused. */
static void the_last_update_that_is_not_refused_counts(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  start_run(f, 2, "v");
  test_batch b;
  test_batch_init(&b);
  const store_row steps[][2] = {
      {run_update(1, "a"), history(1, 2, "a")},
      {run_update(1, "b"), history(1, 3, "b")},
      {run_update(1, "refused"), current_put(1, "w", 77)},
      {run_update(1, "refused too"), history(1, 4, "c")},
      {run_update(2, "x"), history(2, 2, "x")},
      {run_update(2, "y"), history(2, 3, "y")},
  };
  for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
    (void)test_batch_step(&b, steps[i][0].run, steps[i], 2);
  }
  test_batch_commit(&b, f->store, &f->env);
  test_batch_release(&b);
  const char *expected[] = {"b", "y"};
  for (int64_t run = 1; run <= 2; run++) {
    test_load l = {.load = {.kind = LOAD_RUN, .run = run}};
    load(f, &l);
    assert_blob(l.load.row.blob, expected[run - 1]);
    test_load_release(&l);
  }
  assert_string_equal(history_of(f, 1, 1, 0, 0), "1:one 2:a 3:b");
}

static void a_deleted_run_leaves_nothing_behind(void **state) {
  fixture *f = *state;
  for (int64_t run = 1; run <= 3; run++) {
    char id[8];
    (void)snprintf(id, sizeof id, "w%d", (int)run);
    start_run(f, run, id);
    COMMIT(f, run, STORE_OK, item(run, 4, 10, (store_queued){5, 1, run}),
           (store_row){.kind = ROW_ATTEMPT_PUT, .run = run, .id = 4, .attempt = 1});
  }
  COMMIT(f, 2, STORE_OK, (store_row){.kind = ROW_RUN_DELETE, .run = 2});
  assert_false(run_exists(f, 2));
  assert_string_equal(history_of(f, 2, 1, 0, 0), "");
  assert_int_equal(current_of(f, "w2"), 0);
  const store_load asks[] = {{.kind = LOAD_DUE, .until_ns = 100},
                             {.kind = LOAD_QUEUE, .queued = {5, 0, 0}}};
  for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
    test_load l = {.load = asks[i]};
    load(f, &l);
    assert_int_equal(l.load.n_rows, 2);
    assert_int_equal(l.load.rows[0].run, 1);
    assert_int_equal(l.load.rows[1].run, 3);
    test_load_release(&l);
  }
  test_load l = {.load = {.kind = LOAD_ATTEMPTS, .run = 2}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 0);
  test_load_release(&l);
  assert_int_equal(current_of(f, "w1"), 1);
  assert_string_equal(history_of(f, 3, 1, 0, 0), "1:one");
}

static void deleting_an_old_run_keeps_the_newer_current(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  COMMIT(f, 2, STORE_OK, run_insert(2, "w"), current_put(2, "w", 1));
  COMMIT(f, 1, STORE_OK, (store_row){.kind = ROW_RUN_DELETE, .run = 1});
  assert_int_equal(current_of(f, "w"), 2);
}

static void everything_is_there_after_reopening(void **state) {
  fixture *f = *state;
  assert_int_equal(f->store->last_run_key, 0);
  start_run(f, 41, "w");
  COMMIT(f, 41, STORE_OK, item(41, 4, 10, (store_queued){5, 1, 1234}));
  COMMIT(f, 41, STORE_OK, (store_row){.kind = ROW_ITEM_DELETE, .run = 41, .id = 4});
  start_run(f, 42, "v");
  COMMIT(f, 42, STORE_OK, (store_row){.kind = ROW_RUN_DELETE, .run = 42});
  reopen(f);
  /* Neither a deleted run nor a deleted item gives its number back. */
  assert_int_equal(f->store->last_run_key, 42);
  assert_true(f->store->last_seq >= 1234);
  assert_int_equal(current_of(f, "w"), 41);
  assert_string_equal(history_of(f, 41, 1, 0, 0), "1:one");
  COMMIT(f, 43, STORE_CONFLICT, run_insert(43, "w"), current_put(43, "w", 0));
}

static void closing_finishes_what_is_under_way(void **state) {
  fixture *f = *state;
  test_batch b;
  test_batch_init(&b);
  const store_row rows[] = {run_insert(1, "w")};
  store_step *s = test_batch_step(&b, 1, rows, 1);
  f->store->commit(f->store, &b.batch);
  reopen(f);
  test_env_run_until(&f->env, &b.done);
  assert_int_equal(s->status, STORE_OK);
  test_batch_release(&b);
  assert_true(run_exists(f, 1));
}

/* clang-format off */
#define CASES(X, setup) \
  X(a_run_reads_back_as_it_was_written, setup) \
  X(an_update_changes_the_state_and_keeps_the_rest, setup) \
  X(workflow_ids_and_blobs_may_hold_any_byte, setup) \
  X(a_step_is_written_whole_or_not_at_all, setup) \
  X(a_bad_step_fails_alone, setup) \
  X(steps_of_no_run_do_not_depend_on_each_other, setup) \
  X(current_moves_only_from_the_expected_run, setup) \
  X(a_conflict_beside_a_bad_step_stays_a_conflict, setup) \
  X(the_last_update_that_is_not_refused_counts, setup) \
  X(a_deleted_run_leaves_nothing_behind, setup) \
  X(deleting_an_old_run_keeps_the_newer_current, setup) \
  X(everything_is_there_after_reopening, setup) \
  X(closing_finishes_what_is_under_way, setup)
/* clang-format on */
#define CASE(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown),

int main(void) {
  const struct CMUnitTest model[] = {CASES(CASE, setup_memory)};
  const struct CMUnitTest sqlite[] = {CASES(CASE, setup_sqlite)};
  const struct CMUnitTest sqlite_inline[] = {CASES(CASE, setup_inline)};
  int failed = cmocka_run_group_tests_name("model", model, NULL, NULL);
  failed += cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
  failed += cmocka_run_group_tests_name("sqlite without threads", sqlite_inline, NULL, NULL);
  return failed;
}

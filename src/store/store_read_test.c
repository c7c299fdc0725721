/* What every backing of store.h promises about loads; each case runs on each backing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "store/store_fixture.h"

static void history_is_read_by_ranges(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  start_run(f, 2, "v");
  COMMIT(f, 1, STORE_OK, history(1, 4, "four"), history(1, 9, "nine"));
  assert_string_equal(history_of(f, 1, 1, 0, 0), "1:one 4:four 9:nine");
  assert_string_equal(history_of(f, 1, 0, 0, 0), "1:one 4:four 9:nine");
  assert_string_equal(history_of(f, 1, 3, 0, 0), "1:one 4:four 9:nine");
  assert_string_equal(history_of(f, 1, 4, 0, 0), "4:four 9:nine");
  assert_string_equal(history_of(f, 1, 8, 0, 0), "4:four 9:nine");
  assert_string_equal(history_of(f, 1, 5000, 0, 0), "9:nine");
  assert_string_equal(history_of(f, 1, 1, 9, 0), "1:one 4:four");
  assert_string_equal(history_of(f, 1, 1, 10, 0), "1:one 4:four 9:nine");
  assert_string_equal(history_of(f, 1, 1, 0, 1), "1:one more");
  assert_string_equal(history_of(f, 1, 1, 0, 7), "1:one 4:four more");
  assert_string_equal(history_of(f, 1, 1, 0, 11), "1:one 4:four 9:nine");
  assert_string_equal(history_of(f, 3, 1, 0, 0), "");
}

static void due_rows_come_in_order_and_in_pages(void **state) {
  fixture *f = *state;
  store_row r = run_insert(1, "w");
  r.due_ns = 30;
  COMMIT(f, 1, STORE_OK, r, item(1, 3, 10, (store_queued){0}), item(1, 4, 30, (store_queued){0}),
         item(1, 5, 0, (store_queued){0}), item(1, 6, 50, (store_queued){0}));
  COMMIT(f, 2, STORE_OK, run_insert(2, "v"), item(2, 1, 30, (store_queued){0}),
         item(2, 2, 10, (store_queued){0}));
  /* The order is (due, run, id), the run's own row first. */
  static const int64_t expected[][3] = {{1, 3, 10}, {2, 2, 10}, {1, 0, 30},
                                        {1, 4, 30}, {2, 1, 30}, {1, 6, 50}};
  for (size_t page = 1; page <= 7; page++) {
    size_t n = 0;
    int64_t due = 0, key = 0;
    for (bool more = true; more;) {
      test_load l = {.load = {.kind = LOAD_DUE,
                              .until_ns = 50,
                              .after_due_ns = due,
                              .after_key = key,
                              .limit = page}};
      load(f, &l);
      for (size_t i = 0; i < l.load.n_rows; i++, n++) {
        const store_row *got = &l.load.rows[i];
        assert_true(n < ARRAY_LEN(expected));
        assert_int_equal(got->run, expected[n][0]);
        assert_int_equal(got->id, expected[n][1]);
        assert_int_equal(got->due_ns, expected[n][2]);
        due = got->due_ns;
        key = store_row_key(got->run, got->id);
      }
      more = l.load.more;
      test_load_release(&l);
    }
    assert_int_equal(n, ARRAY_LEN(expected));
  }
  test_load l = {.load = {.kind = LOAD_DUE, .until_ns = 29, .limit = 100}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 2);
  assert_false(l.load.more);
  test_load_release(&l);
}

static void a_row_leaves_the_due_order_when_it_changes(void **state) {
  fixture *f = *state;
  COMMIT(f, 1, STORE_OK, run_insert(1, "w"), item(1, 3, 10, (store_queued){5, 1, 1}),
         item(1, 4, 20, (store_queued){5, 1, 2}), item(1, 5, 30, (store_queued){5, 1, 3}));
  COMMIT(f, 1, STORE_OK, item(1, 3, 0, (store_queued){0}),
         (store_row){.kind = ROW_ITEM_DELETE, .run = 1, .id = 4});
  const store_load asks[] = {{.kind = LOAD_DUE, .until_ns = 100},
                             {.kind = LOAD_QUEUE, .queued = {5, 0, 0}}};
  for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
    test_load l = {.load = asks[i]};
    load(f, &l);
    assert_int_equal(l.load.n_rows, 1);
    assert_int_equal(l.load.rows[0].id, 5);
    test_load_release(&l);
  }
}

static void a_queue_comes_in_order_and_in_pages(void **state) {
  fixture *f = *state;
  store_row r = run_insert(1, "w");
  r.queued = (store_queued){7, 3, 2};
  COMMIT(f, 1, STORE_OK, r, item(1, 3, 0, (store_queued){7, 3, 4}),
         item(1, 4, 0, (store_queued){7, 1, 5}), item(1, 5, 0, (store_queued){8, 1, 1}));
  r = run_insert(2, "v");
  r.queued = (store_queued){7, 3, 3};
  COMMIT(f, 2, STORE_OK, r, item(2, 9, 0, (store_queued){7, 2, 6}));
  static const int64_t expected[][3] = {{1, 4, 5}, {2, 9, 6}, {1, 0, 2}, {2, 0, 3}, {1, 3, 4}};
  for (size_t page = 1; page <= 6; page++) {
    size_t n = 0;
    store_queued after = {.queue = 7, .priority = INT32_MIN};
    for (bool more = true; more;) {
      test_load l = {.load = {.kind = LOAD_QUEUE, .queued = after, .limit = page}};
      load(f, &l);
      for (size_t i = 0; i < l.load.n_rows; i++, n++) {
        const store_row *got = &l.load.rows[i];
        assert_true(n < ARRAY_LEN(expected));
        assert_int_equal(got->run, expected[n][0]);
        assert_int_equal(got->id, expected[n][1]);
        assert_int_equal(got->queued.seq, expected[n][2]);
        assert_int_equal(got->queued.queue, 7);
        after = got->queued;
      }
      more = l.load.more;
      test_load_release(&l);
    }
    assert_int_equal(n, ARRAY_LEN(expected));
  }
}

static void a_backlog_is_counted_by_priority(void **state) {
  fixture *f = *state;
  store_row r = run_insert(1, "w");
  r.queued = (store_queued){7, 3, 2};
  COMMIT(f, 1, STORE_OK, r, item(1, 3, 0, (store_queued){7, 3, 4}),
         item(1, 4, 0, (store_queued){7, 1, 5}), item(1, 5, 0, (store_queued){8, 1, 1}));
  test_load l = {.load = {.kind = LOAD_BACKLOG, .queued = {.queue = 7}}};
  load(f, &l);
  static const int64_t expected[][3] = {{1, 1, 5}, {3, 2, 2}};
  assert_int_equal(l.load.n_rows, ARRAY_LEN(expected));
  for (size_t i = 0; i < l.load.n_rows; i++) {
    assert_int_equal(l.load.rows[i].queued.priority, expected[i][0]);
    assert_int_equal(l.load.rows[i].id, expected[i][1]);
    assert_int_equal(l.load.rows[i].queued.seq, expected[i][2]);
  }
  test_load_release(&l);
  l = (test_load){.load = {.kind = LOAD_BACKLOG, .queued = {.queue = 9}}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 0);
  test_load_release(&l);
}

static store_row attempt(int64_t run, int64_t id, int32_t n, const char *record) {
  return (store_row){
      .kind = ROW_ATTEMPT_PUT, .run = run, .id = id, .attempt = n, .blob = text(record)};
}

static void attempts_are_kept_beside_history(void **state) {
  fixture *f = *state;
  start_run(f, 1, "w");
  COMMIT(f, 1, STORE_OK, attempt(1, 5, 2, "b"), attempt(1, 5, 1, "a"), attempt(1, 6, 1, "c"));
  COMMIT(f, 1, STORE_OK, attempt(1, 5, 2, "B"));
  COMMIT(f, 1, STORE_OK, (store_row){.kind = ROW_ATTEMPT_DELETE, .run = 1, .id = 6, .attempt = 1});
  test_load l = {.load = {.kind = LOAD_ATTEMPTS, .run = 1, .id = 5}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 2);
  assert_int_equal(l.load.rows[0].attempt, 1);
  assert_int_equal(l.load.rows[0].id, 5);
  assert_blob(l.load.rows[1].blob, "B");
  test_load_release(&l);
  l = (test_load){.load = {.kind = LOAD_ATTEMPTS, .run = 1}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 2);
  test_load_release(&l);
}

static void named_records_are_found_by_prefix(void **state) {
  fixture *f = *state;
  static const char *const names[] = {"ns/b", "ns/a", "nt", "ns", "ns/c"};
  for (size_t i = 0; i < ARRAY_LEN(names); i++) {
    COMMIT(f, 0, STORE_OK,
           (store_row){.kind = ROW_NAMED_PUT, .name = span_cstr(names[i]), .blob = text("1")});
  }
  COMMIT(f, 0, STORE_OK,
         (store_row){.kind = ROW_NAMED_PUT, .name = SPAN("ns/a"), .blob = text("two")},
         (store_row){.kind = ROW_NAMED_DELETE, .name = SPAN("ns/c")});
  test_load l = {.load = {.kind = LOAD_NAMED, .name = SPAN("ns/")}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 2);
  assert_true(span_eq(l.load.rows[0].name, SPAN("ns/a")));
  assert_blob(l.load.rows[0].blob, "two");
  assert_true(span_eq(l.load.rows[1].name, SPAN("ns/b")));
  test_load_release(&l);
  l = (test_load){.load = {.kind = LOAD_NAMED}};
  load(f, &l);
  assert_int_equal(l.load.n_rows, 4);
  test_load_release(&l);
}

static void many_loads_run_beside_a_commit(void **state) {
  fixture *f = *state;
  enum { N_LOADS = 200, N_COMMITS = 20 };
  static test_load loads[N_LOADS];
  start_run(f, 1, "w");
  for (int i = 0; i < N_COMMITS; i++) {
    test_batch b;
    test_batch_init(&b);
    const store_row rows[] = {history(1, 2 + i, "next"), run_update(1, "newer")};
    (void)test_batch_step(&b, 1, rows, 2);
    f->store->commit(f->store, &b.batch);
    for (size_t k = 0; k < N_LOADS / N_COMMITS; k++) {
      test_load *l = &loads[(size_t)i * (N_LOADS / N_COMMITS) + k];
      *l = (test_load){.load = {.kind = LOAD_HISTORY, .run = 1, .from_id = 1}};
      test_load_run(l, f->store, &f->env);
      size_t n = l->load.n_rows;
      assert_true(n == (size_t)i + 1 || n == (size_t)i + 2);
      test_load_release(l);
    }
    test_env_run_until(&f->env, &b.done);
    assert_int_equal(b.batch.steps->status, STORE_OK);
    test_batch_release(&b);
    assert_true(run_exists(f, 1));
  }
  store_stats stats;
  f->store->stats(f->store, &stats);
  assert_int_equal(stats.commits, N_COMMITS + 1);
  assert_int_equal(stats.steps, N_COMMITS + 1);
  assert_int_equal(stats.rows, 3 + 2 * N_COMMITS);
  assert_true(stats.loads >= N_LOADS);
  assert_true(stats.syncs >= N_COMMITS);
}

/* clang-format off */
#define CASES(X, setup) \
  X(history_is_read_by_ranges, setup) \
  X(due_rows_come_in_order_and_in_pages, setup) \
  X(a_row_leaves_the_due_order_when_it_changes, setup) \
  X(a_queue_comes_in_order_and_in_pages, setup) \
  X(a_backlog_is_counted_by_priority, setup) \
  X(attempts_are_kept_beside_history, setup) \
  X(named_records_are_found_by_prefix, setup) \
  X(many_loads_run_beside_a_commit, setup)
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

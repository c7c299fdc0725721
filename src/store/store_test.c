/* What every backing of store.h promises; each case runs on the model and on SQLite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "store/memory.h"
#include "store/sqlite.h"
#include "store/test_env.h"

typedef struct fixture {
  test_env env;
  arena arena;
  store *store;
  store_memory_disk *disk; /* NULL: SQLite */
  char path[64];
  bool inline_io;
} fixture;

static void open_store(fixture *f) {
  if (f->disk) {
    f->store =
        store_memory_open(&(store_memory_options){.disk = f->disk, .max_turns = 3}, &f->env.env);
    return;
  }
  store_sqlite_options o = {.path = f->path, .inline_io = f->inline_io};
  err *e = store_sqlite_open(&o, &f->env.env, &f->arena, &f->store);
  if (e) fail_msg("%s", err_text(&f->arena, e));
}

static void reopen(fixture *f) {
  f->store->close(f->store);
  open_store(f);
}

static fixture *new_fixture(void **state) {
  fixture *f = calloc(1, sizeof *f);
  test_env_init(&f->env, 7);
  *state = f;
  return f;
}

static int setup_memory(void **state) {
  fixture *f = new_fixture(state);
  f->disk = store_memory_disk_new();
  open_store(f);
  return 0;
}

static int setup_file(void **state, bool inline_io) {
  fixture *f = new_fixture(state);
  f->inline_io = inline_io;
  (void)snprintf(f->path, sizeof f->path, "/tmp/store_test.XXXXXX");
  assert_non_null(mkdtemp(f->path));
  (void)strcat(f->path, "/db");
  open_store(f);
  return 0;
}

static int setup_sqlite(void **state) { return setup_file(state, false); }
static int setup_inline(void **state) { return setup_file(state, true); }

static int teardown(void **state) {
  fixture *f = *state;
  f->store->close(f->store);
  test_env_run_posted(&f->env);
  test_env_release(&f->env);
  store_memory_disk_free(f->disk);
  if (!f->disk) {
    assert_int_equal(unlink(f->path), 0);
    *strrchr(f->path, '/') = 0;
    assert_int_equal(rmdir(f->path), 0); /* the WAL and the lock are gone too */
  }
  arena_release(&f->arena);
  free(f);
  return 0;
}

/* --- rows and shorthands --- */

static bytes *text(const char *s) { return bytes_copy(span_cstr(s)); }

static store_row run_insert(int64_t run, const char *workflow_id) {
  return (store_row){.kind = ROW_RUN_INSERT,
                     .run = run,
                     .ns = 1,
                     .workflow_id = span_cstr(workflow_id),
                     .status = 1,
                     .info = text("info"),
                     .blob = text("state")};
}

static store_row run_update(int64_t run, const char *state) {
  return (store_row){.kind = ROW_RUN_UPDATE, .run = run, .status = 2, .blob = text(state)};
}

static store_row current_put(int64_t run, const char *workflow_id, int64_t expected) {
  return (store_row){.kind = ROW_CURRENT_PUT,
                     .run = run,
                     .ns = 1,
                     .workflow_id = span_cstr(workflow_id),
                     .expected_run = expected};
}

static store_row history(int64_t run, int64_t id, const char *events) {
  return (store_row){.kind = ROW_HISTORY_ADD, .run = run, .id = id, .blob = text(events)};
}

static store_row item(int64_t run, int64_t id, int64_t due_ns, store_queued q) {
  return (store_row){.kind = ROW_ITEM_PUT,
                     .run = run,
                     .id = id,
                     .item_kind = 4,
                     .due_ns = due_ns,
                     .queued = q,
                     .blob = text("item")};
}

static void commit_rows(fixture *f, int64_t run, const store_row *rows, size_t n,
                        store_status expected) {
  test_batch b;
  test_batch_init(&b);
  store_step *s = test_batch_step(&b, run, rows, n);
  test_batch_commit(&b, f->store, &f->env);
  assert_int_equal(s->status, expected);
  if (expected == STORE_FAILED) assert_non_null(b.batch.error);
  test_batch_release(&b);
}

#define COMMIT(f, run, expected, ...)                       \
  commit_rows((f), (run), (const store_row[]){__VA_ARGS__}, \
              sizeof((const store_row[]){__VA_ARGS__}) / sizeof(store_row), (expected))

static void start_run(fixture *f, int64_t run, const char *workflow_id) {
  const store_row rows[] = {run_insert(run, workflow_id), current_put(run, workflow_id, 0),
                            history(run, 1, "one")};
  commit_rows(f, run, rows, ARRAY_LEN(rows), STORE_OK);
}

static void load(fixture *f, test_load *l) {
  test_load_run(l, f->store, &f->env);
  if (l->load.error) fail_msg("%s", err_text(&f->arena, l->load.error));
}

static void assert_blob(const bytes *b, const char *expected) {
  assert_non_null(b);
  assert_int_equal(b->n, strlen(expected));
  assert_memory_equal(b->p, expected, b->n);
}

static bool run_exists(fixture *f, int64_t run) {
  test_load l = {.load = {.kind = LOAD_RUN, .run = run}};
  load(f, &l);
  bool found = l.load.found;
  test_load_release(&l);
  return found;
}

static int64_t current_of(fixture *f, const char *workflow_id) {
  test_load l = {.load = {.kind = LOAD_CURRENT, .ns = 1, .workflow_id = span_cstr(workflow_id)}};
  load(f, &l);
  int64_t run = l.load.found ? l.load.run : 0;
  test_load_release(&l);
  return run;
}

/* "id:blob id:blob ..." of a run's history. */
static const char *history_of(fixture *f, int64_t run, int64_t from, int64_t until,
                              size_t max_bytes) {
  static char out[256];
  test_load l = {.load = {.kind = LOAD_HISTORY,
                          .run = run,
                          .from_id = from,
                          .until_id = until,
                          .max_bytes = max_bytes}};
  load(f, &l);
  char *p = out;
  *p = 0;
  for (size_t i = 0; i < l.load.n_rows; i++) {
    const store_row *r = &l.load.rows[i];
    assert_int_equal(r->run, run);
    p += sprintf(p, "%s%d:%.*s", i ? " " : "", (int)r->id, SPAN_ARG(bytes_span(r->blob)));
  }
  if (l.load.more) (void)sprintf(p, " more");
  assert_int_equal(l.load.found, l.load.n_rows > 0);
  test_load_release(&l);
  return out;
}

/* --- cases --- */

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

/* --- the model alone --- */

static void a_crash_of_the_model_keeps_what_was_acknowledged(void **state) {
  fixture *f = *state;
  int kept = 0, lost = 0;
  for (int64_t run = 1; run <= 100; run++) {
    test_batch b;
    test_batch_init(&b);
    const store_row rows[] = {run_insert(run, "w"), history(run, 1, "x")};
    (void)test_batch_step(&b, run, rows, 2);
    f->store->commit(f->store, &b.batch);
    for (uint64_t i = rng_below(&f->env.env.random, 7); i > 0; i--) {
      if (list_empty(&f->env.tasks)) break;
      env_task *t = CONTAINER_OF(list_pop_front(&f->env.tasks), env_task, node);
      t->run(t);
    }
    test_env_forget(&f->env);
    store_memory_crash(f->store);
    open_store(f);
    bool found = run_exists(f, run);
    if (b.done) assert_true(found);
    assert_string_equal(history_of(f, run, 1, 0, 0), found ? "1:x" : "");
    kept += found;
    lost += !found;
    test_batch_release(&b);
  }
  assert_true(kept > 10 && lost > 10);
}

static void the_broken_model_forgets_what_it_acknowledged(void **state) {
  fixture *f = *state;
  f->store->close(f->store);
  f->store = store_memory_open(&(store_memory_options){.disk = f->disk, .acknowledge_early = true},
                               &f->env.env);
  start_run(f, 1, "w");
  start_run(f, 2, "v");
  store_memory_crash(f->store);
  open_store(f);
  assert_true(run_exists(f, 1));
  assert_false(run_exists(f, 2));
  assert_int_equal(current_of(f, "v"), 0);
}

static void the_model_fails_on_request(void **state) {
  fixture *f = *state;
  store_memory_fail_commits(f->store, 2); /* together, then the only step alone */
  COMMIT(f, 1, STORE_FAILED, run_insert(1, "w"));
  assert_false(run_exists(f, 1));
  COMMIT(f, 1, STORE_OK, run_insert(1, "w"));
  f->store->close(f->store);
  f->store = store_memory_open(
      &(store_memory_options){.disk = f->disk, .fail_loads_per_1000 = 1000}, &f->env.env);
  test_load l = {.load = {.kind = LOAD_RUN, .run = 1}};
  test_load_run(&l, f->store, &f->env);
  assert_non_null(l.load.error);
  assert_false(l.load.found);
  test_load_release(&l);
}

/* clang-format off */
#define CASES(X, setup)                              \
  X(a_run_reads_back_as_it_was_written, setup)       \
  X(an_update_changes_the_state_and_keeps_the_rest, setup) \
  X(workflow_ids_and_blobs_may_hold_any_byte, setup) \
  X(a_step_is_written_whole_or_not_at_all, setup)    \
  X(a_bad_step_fails_alone, setup)                   \
  X(current_moves_only_from_the_expected_run, setup) \
  X(a_conflict_beside_a_bad_step_stays_a_conflict, setup) \
  X(the_last_update_that_is_not_refused_counts, setup) \
  X(history_is_read_by_ranges, setup)                \
  X(due_rows_come_in_order_and_in_pages, setup)      \
  X(a_row_leaves_the_due_order_when_it_changes, setup) \
  X(a_queue_comes_in_order_and_in_pages, setup)      \
  X(a_deleted_run_leaves_nothing_behind, setup)      \
  X(deleting_an_old_run_keeps_the_newer_current, setup) \
  X(attempts_are_kept_beside_history, setup)         \
  X(named_records_are_found_by_prefix, setup)        \
  X(everything_is_there_after_reopening, setup)      \
  X(closing_finishes_what_is_under_way, setup)       \
  X(many_loads_run_beside_a_commit, setup)
/* clang-format on */
#define CASE(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown),

int main(void) {
  const struct CMUnitTest model[] = {
      CASES(CASE, setup_memory) CASE(a_crash_of_the_model_keeps_what_was_acknowledged, setup_memory)
          CASE(the_broken_model_forgets_what_it_acknowledged, setup_memory)
              CASE(the_model_fails_on_request, setup_memory)};
  const struct CMUnitTest sqlite[] = {CASES(CASE, setup_sqlite)};
  const struct CMUnitTest sqlite_inline[] = {CASES(CASE, setup_inline)};
  int failed = cmocka_run_group_tests_name("model", model, NULL, NULL);
  failed += cmocka_run_group_tests_name("sqlite", sqlite, NULL, NULL);
  failed += cmocka_run_group_tests_name("sqlite without threads", sqlite_inline, NULL, NULL);
  return failed;
}

#include "store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/sqlite.h"

void open_store(fixture *f) {
  if (f->disk) {
    f->store =
        store_memory_open(&(store_memory_options){.disk = f->disk, .max_turns = 3}, &f->env.env);
    return;
  }
  store_sqlite_options o = {.path = f->path, .inline_io = f->inline_io};
  err *e = store_sqlite_open(&o, &f->env.env, &f->arena, &f->store);
  if (e) fail_msg("%s", err_text(&f->arena, e));
}

void reopen(fixture *f) {
  f->store->close(f->store);
  open_store(f);
}

static fixture *new_fixture(void **state) {
  fixture *f = mem_new(fixture);
  test_env_init(&f->env, 7);
  *state = f;
  return f;
}

int setup_memory(void **state) {
  fixture *f = new_fixture(state);
  f->disk = store_memory_disk_new();
  open_store(f);
  return 0;
}

static int setup_file(void **state, bool inline_io) {
  fixture *f = new_fixture(state);
  f->inline_io = inline_io;
  char dir[] = "/tmp/store_test.XXXXXX";
  assert_non_null(mkdtemp(dir));
  (void)snprintf(f->path, sizeof f->path, "%s/db", dir);
  open_store(f);
  return 0;
}

int setup_sqlite(void **state) { return setup_file(state, false); }
int setup_inline(void **state) { return setup_file(state, true); }

int teardown(void **state) {
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
  mem_free(f);
  return 0;
}

/* --- rows and shorthands --- */

bytes *text(const char *s) { return bytes_copy(span_cstr(s)); }

store_row run_insert(int64_t run, const char *workflow_id) {
  return (store_row){.kind = ROW_RUN_INSERT,
                     .run = run,
                     .ns = 1,
                     .workflow_id = span_cstr(workflow_id),
                     .status = 1,
                     .info = text("info"),
                     .blob = text("state")};
}

store_row run_update(int64_t run, const char *state) {
  return (store_row){.kind = ROW_RUN_UPDATE, .run = run, .status = 2, .blob = text(state)};
}

store_row current_put(int64_t run, const char *workflow_id, int64_t expected) {
  return (store_row){.kind = ROW_CURRENT_PUT,
                     .run = run,
                     .ns = 1,
                     .workflow_id = span_cstr(workflow_id),
                     .expected_run = expected};
}

store_row history(int64_t run, int64_t id, const char *events) {
  return (store_row){.kind = ROW_HISTORY_ADD, .run = run, .id = id, .blob = text(events)};
}

store_row item(int64_t run, int64_t id, int64_t due_ns, store_queued q) {
  return (store_row){.kind = ROW_ITEM_PUT,
                     .run = run,
                     .id = id,
                     .item_kind = 4,
                     .due_ns = due_ns,
                     .queued = q,
                     .blob = text("item")};
}

void commit_rows(fixture *f, int64_t run, const store_row *rows, size_t n, store_status expected) {
  test_batch b;
  test_batch_init(&b);
  store_step *s = test_batch_step(&b, run, rows, n);
  test_batch_commit(&b, f->store, &f->env);
  assert_int_equal(s->status, expected);
  if (expected == STORE_FAILED) assert_non_null(b.batch.error);
  test_batch_release(&b);
}

void start_run(fixture *f, int64_t run, const char *workflow_id) {
  const store_row rows[] = {run_insert(run, workflow_id), current_put(run, workflow_id, 0),
                            history(run, 1, "one")};
  commit_rows(f, run, rows, ARRAY_LEN(rows), STORE_OK);
}

void load(fixture *f, test_load *l) {
  test_load_run(l, f->store, &f->env);
  if (l->load.error) fail_msg("%s", err_text(&f->arena, l->load.error));
}

void assert_blob(const bytes *b, const char *expected) {
  assert_non_null(b);
  assert_int_equal(b->n, strlen(expected));
  assert_memory_equal(b->p, expected, b->n);
}

bool run_exists(fixture *f, int64_t run) {
  test_load l = {.load = {.kind = LOAD_RUN, .run = run}};
  load(f, &l);
  bool found = l.load.found;
  test_load_release(&l);
  return found;
}

int64_t current_of(fixture *f, const char *workflow_id) {
  test_load l = {.load = {.kind = LOAD_CURRENT, .ns = 1, .workflow_id = span_cstr(workflow_id)}};
  load(f, &l);
  int64_t run = l.load.found ? l.load.run : 0;
  test_load_release(&l);
  return run;
}

const char *history_of(fixture *f, int64_t run, int64_t from, int64_t until, size_t max_bytes) {
  test_load l = {.load = {.kind = LOAD_HISTORY,
                          .run = run,
                          .from_id = from,
                          .until_id = until,
                          .max_bytes = max_bytes}};
  load(f, &l);
  buf out = BUF_INIT;
  for (size_t i = 0; i < l.load.n_rows; i++) {
    const store_row *r = &l.load.rows[i];
    assert_int_equal(r->run, run);
    buf_addf(&out, "%s%d:%.*s", i ? " " : "", (int)r->id, SPAN_ARG(bytes_span(r->blob)));
  }
  if (l.load.more) buf_adds(&out, " more");
  assert_int_equal(l.load.found, l.load.n_rows > 0);
  test_load_release(&l);
  const char *found = arena_cstr(&f->arena, buf_span(&out));
  buf_release(&out);
  return found;
}

/* store_fixture.h - for tests of store.h: an open store of each backing, rows and loads in short.
 * Whatever is not as expected fails the cmocka test at hand. */
#ifndef PERDURE_STORE_STORE_FIXTURE_H
#define PERDURE_STORE_STORE_FIXTURE_H

#include "store/memory.h"
#include "store/test_env.h"

typedef struct fixture {
  test_env env;
  arena arena;
  store *store;
  store_memory_disk *disk; /* NULL: SQLite */
  char path[64];
  bool inline_io;
} fixture;

/* For cmocka: the state is a fixture with a store that is new and open. */
int setup_memory(void **state);
int setup_sqlite(void **state);
int setup_inline(void **state);
int teardown(void **state);

void open_store(fixture *f);
void reopen(fixture *f);

/* Rows with plain contents, whose blobs commit_rows drops. */
bytes *text(const char *s);
store_row run_insert(int64_t run, const char *workflow_id);
store_row run_update(int64_t run, const char *state);
store_row current_put(int64_t run, const char *workflow_id, int64_t expected);
store_row history(int64_t run, int64_t id, const char *events);
store_row item(int64_t run, int64_t id, int64_t due_ns, store_queued q);

/* A batch of one step. */
void commit_rows(fixture *f, int64_t run, const store_row *rows, size_t n, store_status expected);
#define COMMIT(f, run, expected, ...)                       \
  commit_rows((f), (run), (const store_row[]){__VA_ARGS__}, \
              sizeof((const store_row[]){__VA_ARGS__}) / sizeof(store_row), (expected))
void start_run(fixture *f, int64_t run, const char *workflow_id);

void load(fixture *f, test_load *l);
void assert_blob(const bytes *b, const char *expected);
bool run_exists(fixture *f, int64_t run);
/* 0: none. */
int64_t current_of(fixture *f, const char *workflow_id);
/* "id:blob id:blob ..." of a run's history; lives as long as f. */
const char *history_of(fixture *f, int64_t run, int64_t from, int64_t until, size_t max_bytes);

#endif

/* The commit log on a simulated disk: what comes back after a crash, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "base/mem.h"
#include "store/commit_log.h"
#include "store/simdisk.h"

typedef struct fixture {
  simdisk *disk;
  sqlite_vfs *vfs;
  commit_log *log;
  arena arena;
  buf seen; /* "number:content " of each record replayed */
} fixture;

static err *open_log(fixture *f, int64_t database) {
  return commit_log_open(f->vfs, "db", database, true, &f->arena, &f->log);
}

static int setup(void **state) {
  fixture *f = mem_new(fixture);
  f->disk = simdisk_new("simdisk", 3);
  f->vfs = sqlite_vfs_new("simdisk", NULL, NULL);
  assert_null(open_log(f, 77));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  commit_log_close(f->log, false);
  sqlite_vfs_free(f->vfs);
  simdisk_free(f->disk);
  arena_release(&f->arena);
  buf_release(&f->seen);
  mem_free(f);
  return 0;
}

static int append(fixture *f, int64_t number, const char *content) {
  buf_adds(commit_log_content(f->log), content);
  return commit_log_append(f->log, number);
}

static err *see(void *arg, int64_t number, span content) {
  fixture *f = arg;
  buf_addf(&f->seen, "%d:%.*s ", (int)number, SPAN_ARG(content));
  return NULL;
}

/* As after a crash of the process. */
static void reopen(fixture *f) {
  commit_log_close(f->log, true);
  assert_null(open_log(f, 77));
}

static void assert_replay(fixture *f, int64_t after, const char *expected) {
  buf_clear(&f->seen);
  err *e = commit_log_replay(f->log, after, see, f, &f->arena);
  if (e) fail_msg("%s", err_text(&f->arena, e));
  buf_addb(&f->seen, 0);
  assert_string_equal((const char *)f->seen.p, expected);
}

static void records_come_back_in_order(void **state) {
  fixture *f = *state;
  assert_replay(f, 0, "");
  assert_int_equal(append(f, 1, "one"), SQLITE_OK);
  assert_int_equal(append(f, 2, ""), SQLITE_OK);
  commit_log_switch(f->log);
  assert_int_equal(append(f, 3, "three"), SQLITE_OK);
  reopen(f);
  assert_replay(f, 0, "1:one 2: 3:three ");
  assert_replay(f, 2, "3:three ");
}

static void a_file_that_is_used_anew_forgets_what_it_held(void **state) {
  fixture *f = *state;
  assert_int_equal(append(f, 1, "a long record that will be overwritten in part"), SQLITE_OK);
  assert_int_equal(append(f, 2, "two"), SQLITE_OK);
  commit_log_switch(f->log);
  assert_int_equal(append(f, 3, "three"), SQLITE_OK);
  commit_log_switch(f->log);
  assert_int_equal(append(f, 4, "four"), SQLITE_OK);
  reopen(f);
  assert_replay(f, 2, "3:three 4:four ");
}

static void a_record_that_is_not_whole_ends_its_file(void **state) {
  fixture *f = *state;
  assert_int_equal(append(f, 1, "one"), SQLITE_OK);
  assert_int_equal(append(f, 2, "two"), SQLITE_OK);
  commit_log_close(f->log, true);
  sqlite3_file *file =
      sqlite_vfs_open_raw(f->vfs, "db-log0", SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE);
  sqlite3_int64 size;
  assert_int_equal(file->pMethods->xFileSize(file, &size), SQLITE_OK);
  assert_int_equal(file->pMethods->xWrite(file, "x", 1, size - 1), SQLITE_OK);
  sqlite_vfs_close_raw(file);
  assert_null(open_log(f, 77));
  assert_replay(f, 0, "1:one ");
}

static void a_record_that_failed_is_not_there(void **state) {
  fixture *f = *state;
  assert_int_equal(append(f, 1, "one"), SQLITE_OK);
  simdisk_fail_writes(f->disk, 1000);
  assert_int_not_equal(append(f, 2, "two"), SQLITE_OK);
  simdisk_fail_writes(f->disk, 0);
  assert_int_equal(append(f, 2, "second"), SQLITE_OK);
  reopen(f);
  assert_replay(f, 0, "1:one 2:second ");
}

static void large_records_are_whole(void **state) {
  fixture *f = *state;
  enum { LARGE_BYTES = 300000 };
  char *large = arena_alloc(&f->arena, LARGE_BYTES + 1);
  memset(large, 'x', LARGE_BYTES);
  large[LARGE_BYTES] = 0;
  assert_int_equal(append(f, 1, large), SQLITE_OK);
  assert_true(commit_log_bytes(f->log) > LARGE_BYTES);
  reopen(f);
  assert_replay(f, 0, arena_printf(&f->arena, "1:%s ", large));
}

static void the_log_of_another_database_is_left_alone(void **state) {
  fixture *f = *state;
  assert_int_equal(append(f, 1, "one"), SQLITE_OK);
  commit_log_close(f->log, true);
  err *e = open_log(f, 78);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_FAILED_PRECONDITION);
  assert_non_null(strstr(e->what, "db-log0 holds commits of another database"));
  assert_null(open_log(f, 77));
  assert_replay(f, 0, "1:one ");
}

static void an_older_database_than_its_log_is_refused(void **state) {
  fixture *f = *state;
  assert_int_equal(append(f, 5, "five"), SQLITE_OK);
  reopen(f);
  err *e = commit_log_replay(f->log, 3, see, f, &f->arena);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_DATA_LOSS);
  assert_non_null(strstr(e->what, "it is older than its log"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(records_come_back_in_order),
      CASE(a_file_that_is_used_anew_forgets_what_it_held),
      CASE(a_record_that_is_not_whole_ends_its_file),
      CASE(a_record_that_failed_is_not_there),
      CASE(large_records_are_whole),
      CASE(the_log_of_another_database_is_left_alone),
      CASE(an_older_database_than_its_log_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

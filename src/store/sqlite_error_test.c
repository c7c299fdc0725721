/* What the SQLite store says and does when the file, the disk or another server is in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* After the headers that it needs. */
#include <cmocka.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/simdisk.h"
#include "store/sqlite.h"
#include "store/test_env.h"

typedef struct fixture {
  test_env env;
  arena arena;
  char dir[64];
  const char *path;
} fixture;

static int setup(void **state) {
  fixture *f = mem_new(fixture);
  test_env_init(&f->env, 1);
  (void)snprintf(f->dir, sizeof f->dir, "/tmp/store_error_test.XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  f->path = arena_printf(&f->arena, "%s/db", f->dir);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  static const char *const names[] = {"db",      "db-wal",  "db-shm",    "db-lock",
                                      "db-log0", "db-log1", "db-journal"};
  for (size_t i = 0; i < ARRAY_LEN(names); i++) {
    (void)unlink(arena_printf(&f->arena, "%s/%s", f->dir, names[i]));
  }
  assert_int_equal(rmdir(f->dir), 0);
  test_env_run_posted(&f->env);
  test_env_release(&f->env);
  arena_release(&f->arena);
  mem_free(f);
  return 0;
}

/* --- files --- */

static span read_file(fixture *f, const char *path) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  buf b = BUF_INIT;
  size_t n;
  while ((n = fread(buf_reserve(&b, 65536), 1, 65536, file)) > 0) b.n += n;
  (void)fclose(file);
  span s = arena_dup(&f->arena, buf_span(&b));
  buf_release(&b);
  return s;
}

static void write_file(const char *path, span content) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(content.p, 1, content.n, file), content.n);
  assert_int_equal(fclose(file), 0);
}

static void sql(const char *path, const char *statements) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, statements, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- opening --- */

static err *try_open(fixture *f, const char *path, store **ret_store) {
  return store_sqlite_open(&(store_sqlite_options){.path = path}, &f->env.env, &f->arena,
                           ret_store);
}

static store *must_open(fixture *f, const char *path) {
  store *s = NULL;
  err *e = try_open(f, path, &s);
  if (e) fail_msg("%s", err_text(&f->arena, e));
  return s;
}

/* Opening fails with a sentence that contains `part` and names the file. */
static void assert_refused(fixture *f, const char *path, err_code code, const char *part) {
  store *s = NULL;
  err *e = try_open(f, path, &s);
  assert_non_null(e);
  if (!strstr(e->what, part) || !strstr(e->what, path)) fail_msg("said: %s", e->what);
  assert_int_equal(e->code, code);
}

/* The same, and the file is left as it was. */
static void assert_refused_untouched(fixture *f, err_code code, const char *part) {
  span before = read_file(f, f->path);
  assert_refused(f, f->path, code, part);
  assert_true(span_eq(before, read_file(f, f->path)));
  assert_int_equal(access(arena_printf(&f->arena, "%s-wal", f->path), F_OK), -1);
  assert_int_equal(access(arena_printf(&f->arena, "%s-lock", f->path), F_OK), -1);
}

static store_status commit_run(fixture *f, store *s, int64_t run, size_t blob_bytes,
                               const char **ret_error) {
  test_batch b;
  test_batch_init(&b);
  bytes *blob = bytes_new(blob_bytes);
  memset(blob->p, 'x', blob_bytes);
  store_row row = {
      .kind = ROW_RUN_INSERT, .run = run, .ns = 1, .workflow_id = SPAN("w"), .blob = blob};
  store_step *step = test_batch_step(&b, run, &row, 1);
  test_batch_commit(&b, s, &f->env);
  store_status status = step->status;
  if (ret_error) *ret_error = b.batch.error ? err_text(&f->arena, b.batch.error) : NULL;
  test_batch_release(&b);
  return status;
}

static bool run_exists(fixture *f, store *s, int64_t run) {
  test_load l = {.load = {.kind = LOAD_RUN, .run = run}};
  test_load_run(&l, s, &f->env);
  bool found = l.load.found;
  test_load_release(&l);
  return found;
}

/* --- cases: what is there --- */

static void files_are_private(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  assert_int_equal(commit_run(f, s, 1, 100, NULL), STORE_OK);
  static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
  for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
    struct stat st;
    assert_int_equal(stat(arena_printf(&f->arena, "%s%s", f->path, suffixes[i]), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
  }
  s->close(s);
}

static void a_missing_directory_is_named(void **state) {
  fixture *f = *state;
  assert_refused(f, arena_printf(&f->arena, "%s/no/db", f->dir), ERR_NOT_FOUND, "mkdir -p");
  write_file(f->path, SPAN("x"));
  assert_refused(f, arena_printf(&f->arena, "%s/db", f->path), ERR_FAILED_PRECONDITION,
                 "is not a directory");
  assert_refused(f, f->dir, ERR_FAILED_PRECONDITION, "cannot be written");
  (void)unlink(arena_printf(&f->arena, "%s-lock", f->dir));
}

static void a_foreign_file_is_left_alone(void **state) {
  fixture *f = *state;
  write_file(f->path, SPAN("name,amount\nalice,3\n"));
  assert_refused_untouched(f, ERR_FAILED_PRECONDITION, "not a database of perdure");
  (void)unlink(f->path);
  sql(f->path, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
  assert_refused_untouched(f, ERR_FAILED_PRECONDITION, "another program");
  sql(f->path, "PRAGMA application_id = 77");
  assert_refused_untouched(f, ERR_FAILED_PRECONDITION, "another program");
}

static void an_empty_file_becomes_a_database(void **state) {
  fixture *f = *state;
  write_file(f->path, SPAN(""));
  store *s = must_open(f, f->path);
  assert_int_equal(commit_run(f, s, 1, 10, NULL), STORE_OK);
  s->close(s);
}

static void a_newer_schema_is_left_alone(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  s->close(s);
  sql(f->path, arena_printf(&f->arena, "PRAGMA journal_mode = DELETE; PRAGMA user_version = %d",
                            store_sqlite_schema_version() + 1));
  assert_refused_untouched(f, ERR_FAILED_PRECONDITION, "newer version of perdure");
}

static void a_damaged_file_is_reported(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  for (int64_t run = 1; run <= 50; run++) {
    assert_int_equal(commit_run(f, s, run, 5000, NULL), STORE_OK);
  }
  s->close(s);
  span good = read_file(f, f->path);
  uint8_t *p = arena_alloc(&f->arena, good.n);

  write_file(f->path, span_of(good.p, good.n / 2)); /* cut */
  assert_refused_untouched(f, ERR_DATA_LOSS, "damaged");

  memcpy(p, good.p, good.n); /* the schema's page */
  memset(p + 100, 0xff, 3000);
  write_file(f->path, span_of(p, good.n));
  assert_refused_untouched(f, ERR_DATA_LOSS, ".recover");

  memcpy(p, good.p, good.n); /* pages of data: found by whoever reads them */
  memset(p + good.n / 2, 0xff, good.n / 2);
  write_file(f->path, span_of(p, good.n));
  err *e = try_open(f, f->path, &s);
  if (!e) {
    test_load l = {.load = {.kind = LOAD_RUN, .run = 50}};
    test_load_run(&l, s, &f->env);
    assert_non_null(l.load.error);
    assert_int_equal(l.load.error->code, ERR_DATA_LOSS);
    assert_null(l.load.row.blob);
    test_load_release(&l);
    s->close(s);
  } else {
    assert_int_equal(e->code, ERR_DATA_LOSS);
  }
}

/* --- cases: others --- */

static void one_file_has_one_server(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  assert_refused(f, f->path, ERR_FAILED_PRECONDITION,
                 arena_printf(&f->arena, "process id %ld", (long)getpid()));
  assert_int_equal(commit_run(f, s, 1, 10, NULL), STORE_OK); /* the first goes on */
  s->close(s);
  s = must_open(f, f->path);
  assert_true(run_exists(f, s, 1));
  s->close(s);
}

static void the_lock_of_a_dead_server_does_not_count(void **state) {
  fixture *f = *state;
  pid_t child = fork();
  if (child == 0) {
    store *s = must_open(f, f->path);
    _exit(commit_run(f, s, 1, 10, NULL) == STORE_OK ? 0 : 1); /* no close: as killed */
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(access(arena_printf(&f->arena, "%s-lock", f->path), F_OK), 0);
  store *s = must_open(f, f->path);
  assert_true(run_exists(f, s, 1));
  s->close(s);
}

static void a_read_only_place_is_reported(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  s->close(s);
  if (geteuid() == 0) {
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(f->path, 0644), 0);
  } else {
    assert_int_equal(chmod(f->dir, 0555), 0);
  }
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    err *e = try_open(f, f->path, &s);
    bool good = e && e->code == ERR_FAILED_PRECONDITION && strstr(e->what, "Permission denied") &&
                strstr(e->what, f->path);
    if (!good) print_error("said: %s\n", e ? e->what : "(nothing)");
    _exit(good ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(chmod(f->dir, 0700), 0);
  assert_int_equal(status, 0);
}

static void the_private_store_leaves_no_file(void **state) {
  fixture *f = *state;
  assert_int_equal(setenv("TMPDIR", f->dir, 1), 0);
  store *s = must_open(f, NULL);
  assert_int_equal(unsetenv("TMPDIR"), 0);
  assert_int_equal(rmdir(f->dir), 0); /* empty */
  assert_int_equal(mkdir(f->dir, 0700), 0);
  for (int64_t run = 1; run <= 100; run++) {
    assert_int_equal(commit_run(f, s, run, 100000, NULL), STORE_OK);
  }
  assert_true(run_exists(f, s, 1) && run_exists(f, s, 100));
  store_stats stats;
  s->stats(s, &stats);
  assert_int_equal(stats.syncs, 0);
  s->close(s);
}

/* --- cases: the disk --- */

static store *open_on(fixture *f, simdisk *d) {
  store *s = NULL;
  store_sqlite_options o = {.path = "db", .vfs = "simdisk", .inline_io = true};
  err *e = store_sqlite_open(&o, &f->env.env, &f->arena, &s);
  if (e) fail_msg("%s", err_text(&f->arena, e));
  return s;
}

static void a_full_disk_is_not_the_end(void **state) {
  fixture *f = *state;
  simdisk *d = simdisk_new("simdisk", 1);
  store *s = open_on(f, d);
  assert_int_equal(commit_run(f, s, 1, 100, NULL), STORE_OK);
  assert_true(run_exists(f, s, 1)); /* so it is in tables */
  simdisk_set_capacity(d, simdisk_used_bytes(d) + 100);
  const char *said;
  assert_int_equal(commit_run(f, s, 2, 100000, &said), STORE_FAILED);
  assert_non_null(strstr(said, "the disk that holds db is full: free some space"));
  assert_true(run_exists(f, s, 1)); /* reads go on */
  assert_false(run_exists(f, s, 2));
  simdisk_set_capacity(d, UINT64_MAX);
  assert_int_equal(commit_run(f, s, 2, 100000, NULL), STORE_OK);
  assert_true(run_exists(f, s, 2));
  s->close(s);
  simdisk_free(d);
}

static void a_failed_write_is_not_the_end(void **state) {
  fixture *f = *state;
  simdisk *d = simdisk_new("simdisk", 1);
  store *s = open_on(f, d);
  simdisk_fail_writes(d, 1000);
  const char *said;
  assert_int_equal(commit_run(f, s, 1, 100, &said), STORE_FAILED);
  assert_non_null(strstr(said, "reading or writing db failed"));
  simdisk_fail_writes(d, 0);
  assert_int_equal(commit_run(f, s, 1, 100, NULL), STORE_OK);
  s->close(s);
  simdisk_free(d);
}

static void a_failed_sync_ends_the_process(void **state) {
  fixture *f = *state;
  pid_t child = fork();
  if (child == 0) {
    (void)close(STDERR_FILENO); /* the message is not for the log of the tests */
    simdisk *d = simdisk_new("simdisk", 1);
    store *s = open_on(f, d);
    simdisk_fail_sync(d, 1);
    (void)commit_run(f, s, 1, 100, NULL);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* --- cases: a mistake of our own --- */

/* Somebody else's write stands in for it. */
static void a_row_that_does_not_fit_is_kept_aside(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  assert_int_equal(commit_run(f, s, 1, 100, NULL), STORE_OK);
  sql(f->path, "INSERT INTO run VALUES(1, 1, 'other', 1, 0, 0, 0, 0, NULL, NULL)");
  assert_int_equal(commit_run(f, s, 2, 100, NULL), STORE_OK);
  assert_true(run_exists(f, s, 2));
  s->close(s);
  sqlite3 *db;
  sqlite3_stmt *st;
  assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, "SELECT run, kind, reason FROM misfit", -1, &st, NULL),
                   SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  assert_int_equal(sqlite3_column_int(st, 0), 1);
  assert_int_equal(sqlite3_column_int(st, 1), ROW_RUN_INSERT);
  assert_string_equal((const char *)sqlite3_column_text(st, 2),
                      "UNIQUE constraint failed: run.run");
  assert_int_equal(sqlite3_step(st), SQLITE_DONE);
  (void)sqlite3_finalize(st);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* --- cases: the WAL --- */

static void the_wal_stays_small_under_load(void **state) {
  fixture *f = *state;
  store_sqlite_options o = {.path = f->path, .checkpoint_pages = 100};
  store *s = NULL;
  err *e = store_sqlite_open(&o, &f->env.env, &f->arena, &s);
  assert_null(e);
  store_stats stats;
  for (int64_t run = 1; run <= 300; run++) {
    assert_int_equal(commit_run(f, s, run, 20000, NULL), STORE_OK);
    s->stats(s, &stats);
    assert_true(stats.wal_bytes < 1 << 20);
  }
  assert_true(stats.checkpoints >= 10);
  assert_true(stats.file_bytes > 4 << 20);
  s->close(s);
}

static void a_wal_over_its_cap_is_emptied(void **state) {
  fixture *f = *state;
  store_sqlite_options o = {.path = f->path, .checkpoint_pages = 10, .wal_cap_bytes = 1};
  store *s = NULL;
  err *e = store_sqlite_open(&o, &f->env.env, &f->arena, &s);
  assert_null(e);
  const char *wal = arena_printf(&f->arena, "%s-wal", f->path);
  off_t largest = 0;
  for (int64_t run = 1; run <= 50; run++) {
    assert_int_equal(commit_run(f, s, run, 100000, NULL), STORE_OK);
    assert_true(run_exists(f, s, run)); /* readers wait, and go on */
    struct stat st;
    assert_int_equal(stat(wal, &st), 0);
    largest = MAX(largest, st.st_size);
  }
  assert_true(largest < 1 << 20); /* of 5 MB written */
  s->close(s);
}

static void an_idle_store_empties_the_wal(void **state) {
  fixture *f = *state;
  store *s = must_open(f, f->path);
  assert_int_equal(commit_run(f, s, 1, 1000, NULL), STORE_OK);
  store_stats stats = {0};
  for (int i = 0; i < 300 && stats.checkpoints == 0; i++) {
    (void)usleep(10000);
    s->stats(s, &stats);
  }
  assert_int_equal(stats.checkpoints, 1);
  s->close(s);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
  log_configure(LOG_NEVER, LOG_PRETTY); /* failing checkpoints */
  const struct CMUnitTest tests[] = {
      CASE(files_are_private),
      CASE(a_missing_directory_is_named),
      CASE(a_foreign_file_is_left_alone),
      CASE(an_empty_file_becomes_a_database),
      CASE(a_newer_schema_is_left_alone),
      CASE(a_damaged_file_is_reported),
      CASE(one_file_has_one_server),
      CASE(the_lock_of_a_dead_server_does_not_count),
      CASE(a_read_only_place_is_reported),
      CASE(the_private_store_leaves_no_file),
      CASE(a_full_disk_is_not_the_end),
      CASE(a_failed_write_is_not_the_end),
      CASE(a_failed_sync_ends_the_process),
      CASE(a_row_that_does_not_fit_is_kept_aside),
      CASE(the_wal_stays_small_under_load),
      CASE(a_wal_over_its_cap_is_emptied),
      CASE(an_idle_store_empties_the_wal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A process that dies in the middle of a run says so; twice in a row puts the run aside. */
#include "server/crash_note.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

static char db[64], file[80];

static int setup(void **state) {
  snprintf(db, sizeof db, "/tmp/perdure-crash-note-%ld", (long)getpid());
  snprintf(file, sizeof file, "%s.crashes", db);
  (void)unlink(file);
  return 0;
}

static int teardown(void **state) {
  (void)unlink(file);
  return 0;
}

/* A process that works on the run and dies by the signal; 0: ends in order. */
static void live(int64_t run, int number) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    arena a = ARENA_INIT;
    crash_note n;
    volatile int64_t suspect = run;
    (void)signal(number ? number : SIGSEGV, SIG_DFL); /* a sanitizer would make a report of it */
    crash_note_begin(&n, db, &a);
    n.suspect = &suspect;
    if (number) (void)raise(number);
    if (number) (void)raise(number); /* a fault would happen again by itself */
    crash_note_end(&n);
    arena_release(&a);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(number, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* What the next process finds, without living itself. */
static size_t found(int64_t *ret_first) {
  arena a = ARENA_INIT;
  crash_note n;
  crash_note_begin(&n, db, &a);
  size_t count = n.n_quarantined;
  if (count) *ret_first = n.quarantined[0];
  n.suspect = NULL;
  crash_note_end(&n);
  arena_release(&a);
  return count;
}

static void one_crash_is_no_reason(void **state) {
  int64_t run = 0;
  live(77, SIGSEGV);
  assert_int_equal(access(file, F_OK), 0);
  assert_int_equal(found(&run), 0);
}

static void two_in_a_row_are(void **state) {
  int64_t run = 0;
  live(77, SIGSEGV);
  live(77, SIGABRT);
  assert_int_equal(found(&run), 1);
  assert_int_equal(run, 77);
  assert_int_equal(found(&run), 1); /* until the file is removed */
}

static void other_runs_between_them_count(void **state) {
  int64_t run = 0;
  live(77, SIGBUS);
  live(0, SIGABRT);
  live(77, SIGFPE);
  live(78, SIGILL);
  assert_int_equal(found(&run), 0);
}

static void an_end_in_order_forgets(void **state) {
  int64_t run = 0;
  live(77, SIGSEGV);
  live(77, 0);
  assert_int_equal(access(file, F_OK), -1);
  live(77, SIGSEGV);
  assert_int_equal(found(&run), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(one_crash_is_no_reason, setup, teardown),
      cmocka_unit_test_setup_teardown(two_in_a_row_are, setup, teardown),
      cmocka_unit_test_setup_teardown(other_runs_between_them_count, setup, teardown),
      cmocka_unit_test_setup_teardown(an_end_in_order_forgets, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/test.h"

#include "server/env_uv.h"

/* --- the clock --- */

static int64_t at(steady_clock *c, int64_t wall_s, int64_t monotonic_s) {
  steady_clock_compare(c, wall_s * NS_PER_SEC, monotonic_s * NS_PER_SEC);
  return steady_clock_now(c, monotonic_s * NS_PER_SEC);
}

TEST(clock_follows_the_wall_clock) {
  steady_clock c;
  steady_clock_init(&c, 1000 * NS_PER_SEC, 5 * NS_PER_SEC);
  assert_int_equal(at(&c, 1000, 5), 1000 * NS_PER_SEC);
  assert_int_equal(at(&c, 1060, 65), 1060 * NS_PER_SEC);
}

TEST(clock_takes_up_a_suspend_at_once) {
  steady_clock c;
  steady_clock_init(&c, 1000 * NS_PER_SEC, 0);
  assert_int_equal(at(&c, 4601, 1), 4601 * NS_PER_SEC);
  assert_int_equal(at(&c, 4602, 2), 4602 * NS_PER_SEC);
}

/* Set back by an hour: time goes on, a little slower than it passes, and never back. */
TEST(clock_never_runs_backward) {
  steady_clock c;
  int64_t before = 1000 * NS_PER_SEC;
  steady_clock_init(&c, before, 0);
  for (int64_t s = 1; s <= 600; s++) {
    int64_t now = at(&c, 1000 - 3600 + s, s);
    int64_t passed = now - before;
    assert_true(passed >= NS_PER_SEC - NS_PER_SEC / 100 && passed <= NS_PER_SEC);
    before = now;
  }
}

TEST(clock_meets_a_wall_clock_that_was_a_little_behind) {
  steady_clock c;
  steady_clock_init(&c, 1001 * NS_PER_SEC, 0);
  for (int64_t s = 1; s <= 200; s++) at(&c, 1000 + s, s);
  assert_int_equal(at(&c, 1201, 201), 1201 * NS_PER_SEC);
}

TEST(clock_looks_at_the_wall_once_a_second) {
  steady_clock c;
  steady_clock_init(&c, 0, 0);
  assert_false(steady_clock_wants_wall(&c, NS_PER_SEC - 1));
  assert_true(steady_clock_wants_wall(&c, NS_PER_SEC));
}

/* --- the env on a loop --- */

typedef struct world {
  uv_loop_t loop;
  env_uv e;
  env_task tasks[3];
  int order[8], n;
  int64_t woken_ns;
} world;

static world w;

static void note(env_task *t) { w.order[w.n++] = (int)(t - w.tasks); }

static void note_and_post(env_task *t) {
  note(t);
  w.e.env.post(&w.e.env, &w.tasks[2]);
}

static void woken(void *arg) {
  w.woken_ns = w.e.env.now_ns(&w.e.env);
  env_uv_close(&w.e);
}

static void world_open(void) {
  memset(&w, 0, sizeof w);
  uv_loop_init(&w.loop);
  env_uv_init(&w.e, &w.loop);
  w.e.on_wake = woken;
}

static void world_run(void) {
  uv_run(&w.loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w.loop), 0);
}

TEST(posted_tasks_run_in_order) {
  world_open();
  w.tasks[0].run = note_and_post;
  w.tasks[1].run = w.tasks[2].run = note;
  w.e.env.post(&w.e.env, &w.tasks[0]);
  w.e.env.post(&w.e.env, &w.tasks[1]);
  w.e.env.wake_at(&w.e.env, w.e.env.now_ns(&w.e.env) + 20 * NS_PER_MS);
  world_run();
  assert_int_equal(w.n, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(w.order[i], i);
}

static void post_from_afar(void *arg) { w.e.env.post(&w.e.env, &w.tasks[0]); }

TEST(another_thread_may_post) {
  uv_thread_t thread;
  world_open();
  w.tasks[0].run = note;
  uv_thread_create(&thread, post_from_afar, NULL);
  w.e.env.wake_at(&w.e.env, w.e.env.now_ns(&w.e.env) + 50 * NS_PER_MS);
  world_run();
  uv_thread_join(&thread);
  assert_int_equal(w.n, 1);
}

TEST(wakes_at_the_latest_time_asked_for_and_never_early) {
  world_open();
  int64_t begin = w.e.env.now_ns(&w.e.env);
  w.e.env.wake_at(&w.e.env, begin + 3600 * NS_PER_SEC);
  w.e.env.wake_at(&w.e.env, begin + 30 * NS_PER_MS);
  world_run();
  assert_true(w.woken_ns >= begin + 30 * NS_PER_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clock_follows_the_wall_clock),
      cmocka_unit_test(clock_takes_up_a_suspend_at_once),
      cmocka_unit_test(clock_never_runs_backward),
      cmocka_unit_test(clock_meets_a_wall_clock_that_was_a_little_behind),
      cmocka_unit_test(clock_looks_at_the_wall_once_a_second),
      cmocka_unit_test(posted_tasks_run_in_order),
      cmocka_unit_test(another_thread_may_post),
      cmocka_unit_test(wakes_at_the_latest_time_asked_for_and_never_early),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "matching/matching.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct fixture {
  matching m;
  match_queue *q;
  int loads;
  store_queued after;
  int64_t now_ns, wake_ns;
} fixture;

typedef struct poller {
  match_poll poll;
  match_task task;
  int offers;
} poller;

static void on_load(void *ctx, int64_t queue, store_queued after, size_t limit) {
  fixture *f = ctx;
  f->loads++;
  f->after = after;
}

static int64_t on_now(void *ctx) { return ((fixture *)ctx)->now_ns; }

static void on_wake(void *ctx, int64_t when_ns) { ((fixture *)ctx)->wake_ns = when_ns; }

static void on_offer(match_poll *p, const match_task *task) {
  poller *o = CONTAINER_OF(p, poller, poll);
  o->task = *task;
  o->offers++;
}

static void init(fixture *f, bool on_disk) {
  *f = (fixture){.now_ns = INT64_C(1600000000) * NS_PER_SEC};
  matching_init(&f->m, (match_host){.ctx = f, .load = on_load, .now_ns = on_now, .wake = on_wake},
                8);
  f->q = matching_queue(&f->m, 5, on_disk);
}

static match_task task(int64_t run, int32_t priority) {
  return (match_task){.run = run, .queued = {.queue = 5, .priority = priority, .seq = run}};
}

static void add(fixture *f, int64_t run, int32_t priority) {
  match_task t = task(run, priority);
  match_add(&f->m, f->q, &t);
}

static bool start(fixture *f, poller *p) {
  *p = (poller){.poll = {.offer = on_offer}};
  return match_poll_start(&f->m, f->q, &p->poll, false, &p->task);
}

static void test_tasks_go_in_order_of_priority_then_seq(void **state) {
  fixture f;
  match_task t;
  init(&f, false);
  add(&f, 1, 3);
  add(&f, 2, 3);
  add(&f, 3, 1);
  int64_t want[] = {3, 1, 2};
  for (size_t i = 0; i < 3; i++) {
    assert_true(match_take(&f.m, f.q, &t));
    assert_int_equal(t.run, want[i]);
  }
  assert_false(match_take(&f.m, f.q, &t));
  matching_release(&f.m);
}

static void test_polls_are_served_first_come_first_served(void **state) {
  fixture f;
  poller a, b;
  init(&f, false);
  assert_false(start(&f, &a));
  assert_false(start(&f, &b));
  add(&f, 1, 3);
  assert_int_equal(a.offers, 1);
  assert_int_equal(b.offers, 0);
  match_poll_cancel(&f.m, &b.poll);
  add(&f, 2, 3);
  assert_int_equal(b.offers, 0);
  assert_int_equal(f.m.tasks, 1);
  matching_release(&f.m);
}

static void test_a_task_that_comes_back_is_first(void **state) {
  fixture f;
  poller p;
  init(&f, false);
  add(&f, 1, 3);
  add(&f, 2, 3);
  assert_true(start(&f, &p));
  assert_int_equal(p.task.run, 1);
  match_put_back(&f.m, f.q, &p.task);
  assert_true(start(&f, &p));
  assert_int_equal(p.task.run, 1);
  matching_release(&f.m);
}

static void test_a_known_task_is_not_added_twice(void **state) {
  fixture f;
  init(&f, false);
  add(&f, 1, 3);
  add(&f, 1, 3);
  assert_int_equal(f.m.tasks, 1);
  matching_release(&f.m);
}

static void test_a_long_backlog_is_cut_and_read_again(void **state) {
  fixture f;
  match_task t;
  init(&f, false);
  for (int64_t i = 1; i <= 100; i++) add(&f, i, 3);
  assert_true(f.m.tasks <= 16);
  int64_t next = 1;
  while (next <= 100) {
    if (match_take(&f.m, f.q, &t)) {
      assert_int_equal(t.run, next);
      next++;
      continue;
    }
    assert_int_equal(f.loads, 1);
    f.loads = 0;
    store_row rows[8];
    size_t n = 0;
    for (int64_t seq = f.after.seq + 1; seq <= 100 && n < 8; seq++, n++) {
      rows[n] = (store_row){.run = seq, .queued = {.queue = 5, .priority = 3, .seq = seq}};
    }
    matching_loaded(&f.m, 5, rows, n, n == 8);
  }
  matching_release(&f.m);
}

static void test_an_urgent_task_passes_a_cut_window(void **state) {
  fixture f;
  match_task t;
  init(&f, false);
  for (int64_t i = 1; i <= 100; i++) add(&f, i, 3);
  add(&f, 200, 1);
  assert_true(match_take(&f.m, f.q, &t));
  assert_int_equal(t.run, 200);
  matching_release(&f.m);
}

/* The page was read before the task was written: it must not fall between the two. */
static void test_a_task_added_while_a_page_is_read_is_kept(void **state) {
  fixture f;
  poller p;
  init(&f, true);
  assert_false(start(&f, &p));
  assert_int_equal(f.loads, 1);
  add(&f, 9, 3);
  assert_int_equal(p.offers, 0);
  matching_loaded(&f.m, 5, NULL, 0, false);
  assert_int_equal(p.offers, 1);
  assert_int_equal(p.task.run, 9);
  matching_release(&f.m);
}

static void test_a_task_that_no_row_holds_stays_in_memory(void **state) {
  fixture f;
  match_task t;
  init(&f, false);
  for (int64_t run = 1; run <= 15; run++) add(&f, run, 3);
  match_task only_here = task(16, 3);
  only_here.unwritten = true;
  match_add(&f.m, f.q, &only_here);
  add(&f, 17, 3); /* the window is cut to 8 */
  assert_int_equal(f.m.tasks, 9);
  only_here = task(18, 3);
  only_here.unwritten = true;
  match_add(&f.m, f.q, &only_here);
  assert_int_equal(f.m.tasks, 10);
  for (int64_t run = 1; run <= 8; run++) assert_true(match_take(&f.m, f.q, &t) && t.run == run);
  store_row rows[8];
  for (int64_t i = 0; i < 7; i++) rows[i] = (store_row){.run = 9 + i, .queued = {5, 3, 9 + i}};
  rows[7] = (store_row){.run = 17, .queued = {5, 3, 17}};
  matching_loaded(&f.m, 5, rows, 8, false);
  for (int64_t run = 9; run <= 18; run++) assert_true(match_take(&f.m, f.q, &t) && t.run == run);
  matching_release(&f.m);
}

/* Tasks that came while a page was read lie behind the window: they must not keep it from being
 * filled. */
static void test_tasks_behind_the_window_do_not_stop_reading(void **state) {
  fixture f;
  poller p, q;
  init(&f, true);
  assert_false(start(&f, &p));
  for (int64_t i = 100; i < 108; i++) add(&f, i, 3);
  store_row row = {.run = 1, .queued = {.queue = 5, .priority = 3, .seq = 1}};
  matching_loaded(&f.m, 5, &row, 1, true);
  assert_int_equal(p.task.run, 1);
  assert_int_equal(f.loads, 2);
  assert_false(start(&f, &q));
  matching_loaded(&f.m, 5, NULL, 0, false);
  assert_int_equal(q.task.run, 100);
  matching_release(&f.m);
}

static void test_a_queue_from_disk_is_read_when_first_polled(void **state) {
  fixture f;
  poller p;
  init(&f, true);
  add(&f, 9, 3); /* on disk as well, and behind the window */
  assert_int_equal(f.m.tasks, 0);
  assert_int_equal(f.loads, 0);
  assert_false(start(&f, &p));
  store_row row = {.run = 9, .queued = {.queue = 5, .priority = 3, .seq = 9}};
  matching_loaded(&f.m, 5, &row, 1, false);
  assert_int_equal(p.offers, 1);
  matching_release(&f.m);
}

static void test_a_failed_page_can_be_asked_for_again(void **state) {
  fixture f;
  poller p;
  init(&f, true);
  assert_false(start(&f, &p));
  matching_load_failed(&f.m, 5);
  match_retry_load(&f.m, f.q);
  assert_int_equal(f.loads, 2);
  matching_loaded(&f.m, 5, NULL, 0, false);
  match_poll_cancel(&f.m, &p.poll);
  matching_release(&f.m);
}

static void test_queries_go_before_tasks(void **state) {
  fixture f;
  poller p;
  match_query query = {0};
  init(&f, false);
  add(&f, 1, 3);
  match_add_query(&f.m, f.q, &query);
  assert_true(start(&f, &p));
  assert_ptr_equal(p.task.query, &query);
  assert_null(query.queue);
  matching_release(&f.m);
}

static void test_only_an_idle_queue_can_be_dropped(void **state) {
  fixture f;
  poller p;
  init(&f, false);
  assert_false(start(&f, &p));
  assert_false(matching_drop(&f.m, f.q));
  match_poll_cancel(&f.m, &p.poll);
  match_pin(f.q);
  assert_false(matching_drop(&f.m, f.q));
  match_unpin(f.q);
  match_saw_poller(f.q, SPAN("a"), SPAN_NONE, 1);
  assert_true(matching_drop(&f.m, f.q));
  assert_null(matching_find(&f.m, 5));
  matching_release(&f.m);
}

static void test_pollers_are_remembered_for_five_minutes(void **state) {
  fixture f;
  arena a = ARENA_INIT;
  match_queue_view v;
  init(&f, false);
  match_saw_poller(f.q, SPAN("a"), SPAN_NONE, 1000 * NS_PER_SEC);
  match_saw_poller(f.q, SPAN("b"), SPAN_NONE, 1200 * NS_PER_SEC);
  match_look(f.q, 1250 * NS_PER_SEC, &a, &v);
  assert_int_equal(v.n_pollers, 2);
  assert_true(span_eq(v.pollers[0].identity, SPAN("b")));
  match_look(f.q, 1350 * NS_PER_SEC, &a, &v);
  assert_int_equal(v.n_pollers, 1);
  assert_true(match_polled_within(f.q, 1209 * NS_PER_SEC, MATCH_STICKY_SILENCE_NS));
  assert_false(match_polled_within(f.q, 1211 * NS_PER_SEC, MATCH_STICKY_SILENCE_NS));
  match_forget_pollers(f.q);
  assert_false(match_polled_within(f.q, 1200 * NS_PER_SEC, MATCH_STICKY_SILENCE_NS));
  arena_release(&a);
  matching_release(&f.m);
}

static void test_a_rate_holds_tasks_back(void **state) {
  fixture f;
  poller a, b;
  match_task t;
  init(&f, false);
  const float two = 2, none = 0;
  match_set_rate(&f.m, f.q, &two);
  for (int64_t i = 1; i <= 4; i++) add(&f, i, 3);
  assert_true(match_take(&f.m, f.q, &t));
  assert_true(match_take(&f.m, f.q, &t));
  assert_false(start(&f, &a));
  assert_int_equal(f.wake_ns, f.now_ns + NS_PER_SEC / 2);
  f.now_ns = f.wake_ns;
  matching_wake(&f.m);
  assert_int_equal(a.task.run, 3);
  match_set_rate(&f.m, f.q, &none);
  assert_false(start(&f, &b));
  match_set_rate(&f.m, f.q, NULL);
  assert_int_equal(b.task.run, 4);
  matching_release(&f.m);
}

static void test_a_queue_tells_its_levels(void **state) {
  fixture f;
  match_task t;
  match_queue_view v;
  arena a = ARENA_INIT;
  init(&f, false);
  add(&f, 7, 1);
  add(&f, 8, 1);
  add(&f, 9, 3);
  assert_true(match_take(&f.m, f.q, &t));
  match_look(f.q, f.now_ns + NS_PER_SEC, &a, &v);
  assert_int_equal(v.levels[0].backlog, 1);
  assert_int_equal(v.levels[0].oldest_seq, 8);
  assert_true(v.levels[0].adds_per_second == 2);
  assert_true(v.levels[0].dispatches_per_second == 1);
  assert_int_equal(v.levels[2].backlog, 1);
  assert_false(v.levels[1].used);
  arena_release(&a);
  matching_release(&f.m);
}

static void test_a_task_offered_again_moves(void **state) {
  fixture f;
  match_task t, again = {.run = 1, .queued = {.queue = 5, .priority = 3, .seq = 20}};
  init(&f, false);
  add(&f, 1, 3);
  add(&f, 2, 3);
  match_add(&f.m, f.q, &again);
  assert_true(match_take(&f.m, f.q, &t));
  assert_int_equal(t.run, 2);
  assert_true(match_take(&f.m, f.q, &t));
  assert_int_equal(t.queued.seq, 20);
  assert_false(match_take(&f.m, f.q, &t));
  matching_release(&f.m);
}

static void test_polls_are_told_how_many_are_needed(void **state) {
  fixture f;
  init(&f, false);
  assert_int_equal(match_scaling(&f.m, f.q, 0), 0);
  assert_int_equal(match_scaling(&f.m, f.q, NS_PER_SEC), -1);
  match_task late = {.run = 1,
                     .queued = {.priority = 3, .seq = (f.now_ns - NS_PER_SEC) / NS_PER_US}};
  match_add(&f.m, f.q, &late);
  assert_int_equal(match_scaling(&f.m, f.q, 0), 1);
  int told = 0;
  for (int i = 0; i < 50; i++) told += match_scaling(&f.m, f.q, 0);
  assert_in_range(told, 5, 10);
  matching_release(&f.m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tasks_go_in_order_of_priority_then_seq),
      cmocka_unit_test(test_a_rate_holds_tasks_back),
      cmocka_unit_test(test_a_queue_tells_its_levels),
      cmocka_unit_test(test_a_task_offered_again_moves),
      cmocka_unit_test(test_polls_are_told_how_many_are_needed),
      cmocka_unit_test(test_polls_are_served_first_come_first_served),
      cmocka_unit_test(test_a_task_that_comes_back_is_first),
      cmocka_unit_test(test_a_known_task_is_not_added_twice),
      cmocka_unit_test(test_a_long_backlog_is_cut_and_read_again),
      cmocka_unit_test(test_an_urgent_task_passes_a_cut_window),
      cmocka_unit_test(test_a_task_added_while_a_page_is_read_is_kept),
      cmocka_unit_test(test_a_task_that_no_row_holds_stays_in_memory),
      cmocka_unit_test(test_tasks_behind_the_window_do_not_stop_reading),
      cmocka_unit_test(test_a_queue_from_disk_is_read_when_first_polled),
      cmocka_unit_test(test_a_failed_page_can_be_asked_for_again),
      cmocka_unit_test(test_queries_go_before_tasks),
      cmocka_unit_test(test_only_an_idle_queue_can_be_dropped),
      cmocka_unit_test(test_pollers_are_remembered_for_five_minutes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Rows that are damaged are refused with a sentence, never trusted. */
#include "base/test.h"
#include "engine/engine_int.h"
#include "engine/script_verbs.h"

/* A run with an activity, a timer, a buffered event and a signal's request id. */
static void make_run(world *w) {
  world_init(w);
  const char *why = script_run(w, SPAN("start retry_policy.maximum_attempts=2 input=x\n"
                                       "poll\n"
                                       "complete\n"
                                       " ScheduleActivityTask activity_id=a activity_type=Act "
                                       "task_queue=q start_to_close_timeout=9s\n"
                                       " StartTimer timer_id=t start_to_fire_timeout=5s\n"
                                       "signal s request_id=r\n"
                                       "poll\n"
                                       "signal s request_id=r2\n"));
  assert_null(why);
  assert_null(w->broken);
}

static bytes *cut(const bytes *b, size_t n) { return bytes_copy(span_of(b->p, n)); }

/* Loads with one row's bytes replaced; whether that was refused. Never crashes. */
static bool refused(world *w, bytes **at, bytes *instead) {
  arena a = ARENA_INIT;
  engine_run *run = NULL;
  bytes *keep = *at;
  *at = instead;
  err *e = model_load(&w->model, 1, &a, &run);
  if (e) assert_int_equal(e->code, ERR_DATA_LOSS);
  bool bad = e || engine_check(run, &a) != NULL;
  engine_free(run);
  *at = keep;
  bytes_unref(instead);
  arena_release(&a);
  return bad;
}

TEST(every_truncation_is_survived) {
  world w;
  make_run(&w);
  for (size_t i = 0; i < w.model.n; i++) {
    store_row *row = &w.model.rows[i];
    if (row->kind != ROW_RUN_INSERT && row->kind != ROW_ITEM_PUT) continue;
    for (size_t n = 0; n < row->blob->n; n++) (void)refused(&w, &row->blob, cut(row->blob, n));
    for (size_t n = 0; row->info && n < row->info->n; n++) {
      (void)refused(&w, &row->info, cut(row->info, n));
    }
  }
  world_release(&w);
}

TEST(every_changed_byte_is_survived) {
  world w;
  make_run(&w);
  for (size_t i = 0; i < w.model.n; i++) {
    store_row *row = &w.model.rows[i];
    if (row->kind != ROW_RUN_INSERT && row->kind != ROW_ITEM_PUT) continue;
    for (size_t n = 0; n < row->blob->n; n++) {
      bytes *changed = cut(row->blob, row->blob->n);
      changed->p[n] ^= 0xff;
      (void)refused(&w, &row->blob, changed);
    }
  }
  world_release(&w);
}

TEST(empty_rows_are_refused) {
  world w;
  make_run(&w);
  store_row *run = model_find(&w.model, ROW_RUN_INSERT, 1, 0);
  assert_true(refused(&w, &run->info, bytes_copy(SPAN(""))));
  assert_true(refused(&w, &run->blob, bytes_copy(SPAN(""))));
  for (size_t i = 0; i < w.model.n; i++) {
    store_row *row = &w.model.rows[i];
    if (row->kind != ROW_ITEM_PUT || row->item_kind == PB_ITEM_KIND_SIGNAL_REQUEST ||
        row->item_kind == PB_ITEM_KIND_TIMER) {
      continue;
    }
    assert_true(refused(&w, &row->blob, bytes_copy(SPAN(""))));
  }
  world_release(&w);
}

TEST(an_unknown_kind_of_item_says_that_a_newer_version_wrote_it) {
  world w;
  make_run(&w);
  arena a = ARENA_INIT;
  engine_run *run = NULL;
  for (size_t i = 0; i < w.model.n; i++) {
    if (w.model.rows[i].kind == ROW_ITEM_PUT) w.model.rows[i].item_kind = 99;
  }
  err *e = model_load(&w.model, 1, &a, &run);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_DATA_LOSS);
  assert_non_null(strstr(e->what, "newer version"));
  arena_release(&a);
  world_release(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_truncation_is_survived),
      cmocka_unit_test(every_changed_byte_is_survived),
      cmocka_unit_test(empty_rows_are_refused),
      cmocka_unit_test(an_unknown_kind_of_item_says_that_a_newer_version_wrote_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

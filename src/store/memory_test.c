/* What only the model does: crashes and faults on request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "store/store_fixture.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_crash_of_the_model_keeps_what_was_acknowledged,
                                      setup_memory, teardown),
      cmocka_unit_test_setup_teardown(the_broken_model_forgets_what_it_acknowledged, setup_memory,
                                      teardown),
      cmocka_unit_test_setup_teardown(the_model_fails_on_request, setup_memory, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/err.h"

#include "base/test.h"

static err *fails(arena *a) { return ERR(a, NOT_FOUND, "run %d is not here", 7); }

static err *passes_on(arena *a, int *ret_after) {
  TRY(NULL);
  TRY(fails(a));
  *ret_after = 1;
  return NULL;
}

TEST(carries_code_sentence_and_place) {
  arena a = ARENA_INIT;
  err *e = fails(&a);
  assert_int_equal(e->code, ERR_NOT_FOUND);
  assert_string_equal(e->what, "run 7 is not here");
  assert_non_null(strstr(e->where, "err_test.c:"));
  assert_null(e->cause);
  arena_release(&a);
}

TEST(try_returns_early_and_leaves_results_alone) {
  arena a = ARENA_INIT;
  int after = 0;
  assert_int_equal(passes_on(&a, &after)->code, ERR_NOT_FOUND);
  assert_int_equal(after, 0);
  arena_release(&a);
}

TEST(codes_are_the_grpc_status_codes) {
  assert_int_equal(ERR_OK, 0);
  assert_int_equal(ERR_UNIMPLEMENTED, 12);
  assert_int_equal(ERR_UNAUTHENTICATED, 16);
  assert_string_equal(err_code_name(ERR_RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
  assert_string_equal(err_code_name((err_code)99), "UNKNOWN");
}

TEST(text_shows_the_causes_outermost_first) {
  arena a = ARENA_INIT;
  err *e = ERR_WRAP(&a, UNAVAILABLE, ERR(&a, INTERNAL, "disk %s", "full"), "commit failed");
  const char *text = err_text(&a, e);
  const char *commit = strstr(text, "commit failed ("),
             *disk = strstr(text, "because: disk full (");
  assert_non_null(commit);
  assert_non_null(disk);
  assert_true(commit < disk);
  arena_release(&a);
}

TEST(dup_outlives_the_first_arena) {
  arena first = ARENA_INIT, second = ARENA_INIT;
  err *e = ERR_WRAP(&first, ABORTED, ERR(&first, INTERNAL, "cause %d", 1), "outer %d", 2);
  e->detail_type = arena_cstr(&first, SPAN("perdure.test.Detail"));
  e->detail = arena_dup(&first, SPAN("detail"));
  err *copy = err_dup(&second, e);
  arena_release(&first); /* a reader of it is now a finding of ASan */
  assert_int_equal(copy->code, ERR_ABORTED);
  assert_string_equal(copy->what, "outer 2");
  assert_string_equal(copy->cause->what, "cause 1");
  assert_string_equal(copy->detail_type, "perdure.test.Detail");
  assert_span(copy->detail, "detail");
  assert_null(err_dup(&second, NULL));
  arena_release(&second);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(carries_code_sentence_and_place),
      cmocka_unit_test(try_returns_early_and_leaves_results_alone),
      cmocka_unit_test(codes_are_the_grpc_status_codes),
      cmocka_unit_test(text_shows_the_causes_outermost_first),
      cmocka_unit_test(dup_outlives_the_first_arena),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/arena.h"

#include "base/mem.h"
#include "base/test.h"

TEST(memory_is_aligned_for_any_type) {
  arena a = ARENA_INIT;
  for (size_t n = 0; n < 200; n++) {
    uint8_t *p = arena_alloc(&a, n);
    assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
    memset(p, 0xff, n);
  }
  arena_release(&a);
}

TEST(allocations_do_not_overlap) {
  arena a = ARENA_INIT;
  uint8_t *p[300];
  for (int i = 0; i < 300; i++) memset(p[i] = arena_alloc(&a, (size_t)i * 7), i, (size_t)i * 7);
  for (int i = 0; i < 300; i++) {
    for (int k = 0; k < i * 7; k++) assert_int_equal(p[i][k], (uint8_t)i);
  }
  arena_release(&a);
}

TEST(zalloc_clears_memory_that_was_used_before_a_reset) {
  arena a = ARENA_INIT;
  memset(arena_alloc(&a, 512), 0xaa, 512);
  arena_reset(&a);
  uint8_t *p = arena_zalloc(&a, 512);
  for (int i = 0; i < 512; i++) assert_int_equal(p[i], 0);
  arena_release(&a);
}

TEST(a_request_larger_than_any_block_gets_its_own) {
  arena a = ARENA_INIT;
  size_t n = 1 << 20;
  memset(arena_alloc(&a, n), 1, n);
  assert_true(a.total_bytes >= n);
  arena_release(&a);
}

TEST(reset_keeps_one_block_and_release_frees_all) {
  size_t before = mem_in_use_bytes();
  arena a = ARENA_INIT;
  arena_reset(&a);
  assert_int_equal(a.total_bytes, 0);
  for (int i = 0; i < 100; i++) (void)arena_alloc(&a, 1000);
  size_t full = a.total_bytes;
  arena_reset(&a);
  assert_true(a.total_bytes > 0 && a.total_bytes < full);
  size_t kept = mem_in_use_bytes();
  (void)arena_alloc(&a, 100);
  assert_int_equal(mem_in_use_bytes(), kept);
  arena_release(&a);
  assert_int_equal(mem_in_use_bytes(), before);
  assert_null(a.blocks);
}

TEST(dup_copies_and_ends_with_nul) {
  arena a = ARENA_INIT;
  char text[] = "ab\0c";
  span copy = arena_dup(&a, span_of(text, 4));
  text[0] = 'x';
  assert_int_equal(copy.n, 4);
  assert_memory_equal(copy.p, "ab\0c\0", 5);
  span none = arena_dup(&a, SPAN_NONE);
  assert_non_null(none.p);
  assert_int_equal(none.n, 0);
  assert_string_equal(arena_cstr(&a, SPAN_NONE), "");
  arena_release(&a);
}

TEST(printf_measures_before_it_writes) {
  arena a = ARENA_INIT;
  assert_string_equal(arena_printf(&a, "%s", ""), "");
  const char *s = arena_printf(&a, "%05000d", 7);
  assert_int_equal(strlen(s), 5000);
  span t = arena_spanf(&a, "%.*s-%d", SPAN_ARG(SPAN("task")), 3);
  assert_span(t, "task-3");
  arena_release(&a);
}

TEST(array_holds_zeroed_elements) {
  arena a = ARENA_INIT;
  uint64_t *v = arena_array(&a, uint64_t, 1000);
  for (int i = 0; i < 1000; i++) assert_int_equal(v[i], 0);
  arena_release(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_is_aligned_for_any_type),
      cmocka_unit_test(allocations_do_not_overlap),
      cmocka_unit_test(zalloc_clears_memory_that_was_used_before_a_reset),
      cmocka_unit_test(a_request_larger_than_any_block_gets_its_own),
      cmocka_unit_test(reset_keeps_one_block_and_release_frees_all),
      cmocka_unit_test(dup_copies_and_ends_with_nul),
      cmocka_unit_test(printf_measures_before_it_writes),
      cmocka_unit_test(array_holds_zeroed_elements),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

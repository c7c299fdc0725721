#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#include "base/test.h"

TEST(what_is_in_use_is_known) {
  size_t before = mem_in_use_bytes();
  char *p = mem_alloc(1000);
  assert_true(mem_in_use_bytes() >= before + 1000);
  p = mem_realloc(p, 5000);
  assert_true(mem_in_use_bytes() >= before + 5000);
  mem_free(p);
  assert_int_equal(mem_in_use_bytes(), before);
}

TEST(nothing_is_an_allocation_too) {
  mem_free(NULL);
  void *a = mem_alloc(0), *b = mem_zalloc(0), *c = mem_realloc(NULL, 0);
  assert_true(a != b && b != c);
  mem_free(a);
  mem_free(b);
  mem_free(mem_realloc(c, 0));
}

TEST(zalloc_clears_and_realloc_keeps) {
  uint8_t *p = mem_zalloc(100);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
  memset(p, 9, 100);
  p = mem_realloc(p, 10000);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 9);
  mem_free(p);
}

TEST(strdup_copies) {
  char text[] = "abc";
  char *copy = mem_strdup(text);
  text[0] = 'x';
  assert_string_equal(copy, "abc");
  mem_free(copy);
}

/* Sizes around every class, each block written whole. */
TEST(a_block_given_back_serves_again) {
  size_t before = mem_in_use_bytes();
  for (int round = 0; round < 3; round++) {
    uint8_t *blocks[300];
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
      size_t n = i * i / 4;
      blocks[i] = round == 1 ? mem_zalloc(n) : mem_alloc(n);
      assert_true(mem_size(blocks[i]) >= n);
      for (size_t k = 0; round == 1 && k < n; k++) assert_int_equal(blocks[i][k], 0);
      memset(blocks[i], (int)i, n);
    }
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
      size_t n = i * i / 4;
      for (size_t k = 0; k < n; k++) assert_int_equal(blocks[i][k], (uint8_t)i);
      mem_free(blocks[i]);
    }
  }
  assert_int_equal(mem_in_use_bytes(), before);
}

static void *free_all(void *arg) {
  void **blocks = arg;
  for (int i = 0; i < 100; i++) {
    mem_free(blocks[i]);
    blocks[i] = mem_alloc(200);
  }
  return NULL;
}

/* What one thread takes another may give back, also when it ends right then. */
TEST(blocks_wander_between_threads) {
  size_t before = mem_in_use_bytes();
  void *blocks[100];
  for (int i = 0; i < 100; i++) blocks[i] = mem_alloc(100);
  for (int round = 0; round < 4; round++) {
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, free_all, blocks), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
  }
  for (int i = 0; i < 100; i++) mem_free(blocks[i]);
  assert_int_equal(mem_in_use_bytes(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_in_use_is_known),
      cmocka_unit_test(nothing_is_an_allocation_too),
      cmocka_unit_test(zalloc_clears_and_realloc_keeps),
      cmocka_unit_test(strdup_copies),
      cmocka_unit_test(a_block_given_back_serves_again),
      cmocka_unit_test(blocks_wander_between_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

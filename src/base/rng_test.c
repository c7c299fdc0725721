#include "base/rng.h"

#include <string.h>

#include "base/test.h"

/* The published first outputs of xoshiro256** for the state {1, 2, 3, 4}. */
TEST(is_xoshiro256_star_star) {
  static const uint64_t want[] = {
      UINT64_C(11520),
      UINT64_C(0),
      UINT64_C(1509978240),
      UINT64_C(1215971899390074240),
      UINT64_C(1216172134540287360),
      UINT64_C(607988272756665600),
      UINT64_C(16172922978634559625),
      UINT64_C(8476171486693032832),
  };
  rng r = {{1, 2, 3, 4}};
  for (size_t i = 0; i < ARRAY_LEN(want); i++) assert_true(rng_next(&r) == want[i]);
}

TEST(seeds_by_splitmix64) {
  rng r;
  rng_seed(&r, 0);
  assert_true(r.s[0] == UINT64_C(0xe220a8397b1dcdaf));
  assert_true(r.s[1] == UINT64_C(0x6e789e6aa1b965f4));
}

TEST(below_stays_below_and_reaches_every_value) {
  rng r;
  rng_seed(&r, 3);
  int count[10] = {0};
  for (int i = 0; i < 10000; i++) {
    uint64_t x = rng_below(&r, 10);
    assert_true(x < 10);
    count[x]++;
  }
  for (int i = 0; i < 10; i++) assert_in_range(count[i], 800, 1200);
  assert_true(rng_below(&r, 1) == 0);
  (void)rng_below(&r, UINT64_MAX);
}

TEST(fill_is_the_same_stream_and_writes_no_more) {
  rng a, b;
  rng_seed(&a, 5);
  rng_seed(&b, 5);
  uint8_t p[20];
  memset(p, 0xcc, sizeof p);
  rng_fill(&a, p, 13);
  uint64_t first = rng_next(&b), second = rng_next(&b);
  assert_memory_equal(p, &first, 8);
  assert_memory_equal(p + 8, &second, 5);
  for (int i = 13; i < 20; i++) assert_int_equal(p[i], 0xcc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_xoshiro256_star_star),
      cmocka_unit_test(seeds_by_splitmix64),
      cmocka_unit_test(below_stays_below_and_reaches_every_value),
      cmocka_unit_test(fill_is_the_same_stream_and_writes_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

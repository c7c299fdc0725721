#include "base/hash.h"

#include "base/test.h"

/* Expected values: CPython 3.11's hash(), which is SipHash-1-3 too (key from PYTHONHASHSEED). */
static const hash_key zero = {0, 0};
static const hash_key seed1 = {UINT64_C(0xaed66ce184be2329), UINT64_C(0xebe9bbf1f1499052)};

static uint64_t hash_of(hash_key key, const char *s) { return hash_bytes(key, span_cstr(s)); }

TEST(is_siphash_1_3) {
  uint8_t counting[64];
  for (int i = 0; i < 64; i++) counting[i] = (uint8_t)i;
  assert_true(hash_of(zero, "a") == UINT64_C(0x407448d2b89b1813));
  assert_true(hash_of(zero, "abcdefg") == UINT64_C(0x6db12aae9070f506));
  assert_true(hash_of(zero, "abcdefgh") == UINT64_C(0x3f7b849c0b8e35ea));
  assert_true(hash_bytes(zero, span_of(counting, 15)) == UINT64_C(0xf30eb725bb91c9ea));
  assert_true(hash_bytes(zero, span_of(counting, 64)) == UINT64_C(0x75e05fd5bbc870c6));
  assert_true(hash_of(seed1, "a") == UINT64_C(0xd6300bc9f7cc0e73));
  assert_true(hash_of(seed1, "abcdefgh") == UINT64_C(0xfd3011ff3947e7f4));
  assert_true(hash_bytes(seed1, span_of(counting, 64)) == UINT64_C(0x7e644b6edc375dc8));
}

TEST(does_not_depend_on_alignment) {
  char text[40] = "0workflow-id-of-some-length";
  uint64_t h = hash_of(seed1, text + 1);
  for (int shift = 2; shift < 10; shift++) {
    memmove(text + shift, text + shift - 1, strlen(text + shift - 1) + 1);
    assert_true(hash_of(seed1, text + shift) == h);
  }
}

TEST(empty_and_absent_are_the_same) {
  assert_true(hash_bytes(seed1, SPAN("")) == hash_bytes(seed1, SPAN_NONE));
}

TEST(length_and_key_count) {
  assert_true(hash_bytes(zero, span_of("\0\0", 1)) != hash_bytes(zero, span_of("\0\0", 2)));
  assert_true(hash_of(zero, "a") != hash_of(seed1, "a"));
}

/* Computed once: data on disk holds such values. */
TEST(stored_hashes_never_change) {
  assert_true(hash_stored(SPAN("")) == UINT64_C(0x6bb1f8f8805663a0));
  assert_true(hash_stored(SPAN("ValueError")) == UINT64_C(0xcc8ee59bf66cbddc));
}

/* Run ids are small consecutive numbers: their low bits select a bucket. */
TEST(consecutive_numbers_spread_over_buckets) {
  int count[64] = {0};
  for (uint64_t i = 0; i < 64 * 100; i++) count[hash_u64(i) & 63]++;
  for (int i = 0; i < 64; i++) assert_in_range(count[i], 50, 150);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_siphash_1_3),
      cmocka_unit_test(does_not_depend_on_alignment),
      cmocka_unit_test(empty_and_absent_are_the_same),
      cmocka_unit_test(length_and_key_count),
      cmocka_unit_test(stored_hashes_never_change),
      cmocka_unit_test(consecutive_numbers_spread_over_buckets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

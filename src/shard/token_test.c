#include "shard/token.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "shard/shard_int.h"

static const uint8_t secret_1[TOKEN_SECRET_BYTES] = {1, 2, 3};
static const uint8_t secret_2[TOKEN_SECRET_BYTES] = {4, 5, 6};

typedef struct fixture {
  token_keys keys;
  arena arena;
  span token;
} fixture;

static int setup(void **state) {
  static fixture f;
  f = (fixture){0};
  token_keys_init(&f.keys);
  token_keys_add(&f.keys, 1, 10, secret_1);
  f.token = token_seal(&f.keys, TOKEN_ACTIVITY_TASK, 42, SPAN("the body"), &f.arena);
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  token_keys_release(&f->keys);
  arena_release(&f->arena);
  return 0;
}

static bool opens(fixture *f, token_kind kind, span token) {
  int64_t ns;
  span body;
  return token_open(&f->keys, kind, token, &ns, &body);
}

static void test_what_was_sealed_opens(void **state) {
  fixture *f = *state;
  int64_t ns = 0;
  span body = SPAN_NONE;
  assert_true(token_open(&f->keys, TOKEN_ACTIVITY_TASK, f->token, &ns, &body));
  assert_int_equal(ns, 42);
  assert_true(span_eq(body, SPAN("the body")));
}

static void test_another_kind_is_refused(void **state) {
  fixture *f = *state;
  for (int kind = 0; kind < 256; kind++) {
    assert_int_equal(opens(f, (token_kind)kind, f->token), kind == TOKEN_ACTIVITY_TASK);
  }
}

static void test_every_changed_bit_is_noticed(void **state) {
  fixture *f = *state;
  for (size_t bit = 0; bit < f->token.n * 8; bit++) {
    span copy = arena_dup(&f->arena, f->token);
    ((uint8_t *)copy.p)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    for (int kind = 1; kind <= TOKEN_LIST_PAGE; kind++) assert_false(opens(f, kind, copy));
  }
}

static void test_every_cut_is_noticed(void **state) {
  fixture *f = *state;
  for (size_t n = 0; n < f->token.n; n++) {
    assert_false(opens(f, TOKEN_ACTIVITY_TASK, span_of(f->token.p, n)));
  }
  span longer = arena_spanf(&f->arena, "%.*s!", SPAN_ARG(f->token));
  assert_false(opens(f, TOKEN_ACTIVITY_TASK, longer));
  assert_false(opens(f, TOKEN_ACTIVITY_TASK, SPAN_NONE));
}

static void test_the_token_of_another_server_is_refused(void **state) {
  fixture *f = *state;
  token_keys other;
  token_keys_init(&other);
  token_keys_add(&other, 1, 10, secret_2);
  span token = token_seal(&other, TOKEN_ACTIVITY_TASK, 42, SPAN("the body"), &f->arena);
  assert_false(opens(f, TOKEN_ACTIVITY_TASK, token));
  token_keys_release(&other);
}

static void test_old_keys_still_verify(void **state) {
  fixture *f = *state;
  token_keys_add(&f->keys, 2, 20, secret_2);
  assert_true(opens(f, TOKEN_ACTIVITY_TASK, f->token));
  span newer = token_seal(&f->keys, TOKEN_ACTIVITY_TASK, 42, SPAN("x"), &f->arena);
  assert_int_equal(newer.p[2], 2);
  assert_true(opens(f, TOKEN_ACTIVITY_TASK, newer));
}

static void test_keys_grow_old_and_a_bounded_number_is_kept(void **state) {
  fixture *f = *state;
  token_keys none;
  token_keys_init(&none);
  assert_true(token_keys_are_old(&none, 0));
  assert_false(token_keys_are_old(&f->keys, 10 + TOKEN_KEY_AGE_NS));
  assert_true(token_keys_are_old(&f->keys, 11 + TOKEN_KEY_AGE_NS));
  for (int i = 2; i <= TOKEN_KEYS; i++) token_keys_add(&f->keys, i, 10 * i, secret_2);
  assert_true(opens(f, TOKEN_ACTIVITY_TASK, f->token));
  token_keys_add(&f->keys, TOKEN_KEYS + 1, 1000, secret_2);
  assert_int_equal(f->keys.n, TOKEN_KEYS);
  assert_false(opens(f, TOKEN_ACTIVITY_TASK, f->token));
}

static void test_keys_are_stored_and_read(void **state) {
  fixture *f = *state;
  token_keys read;
  token_keys_init(&read);
  token_keys_add(&f->keys, 2, 20, secret_2);
  span stored = token_keys_encode(&f->keys, &f->arena);
  assert_null(token_keys_decode(&read, stored, &f->arena));
  assert_int_equal(read.n, 2);
  assert_memory_equal(read.v[1].secret, secret_2, TOKEN_SECRET_BYTES);
  assert_int_equal(read.v[0].created_ns, 10);
  token_keys_release(&read);
  token_keys_init(&read);
  err *e = token_keys_decode(&read, SPAN("\x0a\x02\x12\x00"), &f->arena);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_DATA_LOSS);
  token_keys_release(&read);
}

static void test_a_run_id_carries_its_time_and_its_key(void **state) {
  rng r;
  rng_seed(&r, 1);
  const int64_t keys[] = {1, 2, 3, 1 << 20, INT64_C(1) << 42, RUN_KEY_MAX};
  for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
    char text[UUID_TEXT_BYTES];
    int64_t key = 0;
    run_id_format(keys[i], INT64_C(0x19a0b1c2d3e) * NS_PER_MS, &r, text);
    assert_memory_equal(text, "019a0b1c-2d3e-7", 15);
    assert_non_null(strchr("89ab", text[19]));
    assert_true(run_id_parse(span_of(text, sizeof text), &key));
    assert_int_equal(key, keys[i]);
  }
}

static void test_run_ids_of_one_key_differ(void **state) {
  rng r;
  rng_seed(&r, 1);
  char a[UUID_TEXT_BYTES], b[UUID_TEXT_BYTES];
  run_id_format(7, 0, &r, a);
  run_id_format(7, 0, &r, b);
  assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_what_was_sealed_opens),
      TEST(test_another_kind_is_refused),
      TEST(test_every_changed_bit_is_noticed),
      TEST(test_every_cut_is_noticed),
      TEST(test_the_token_of_another_server_is_refused),
      TEST(test_old_keys_still_verify),
      TEST(test_keys_grow_old_and_a_bounded_number_is_kept),
      TEST(test_keys_are_stored_and_read),
      TEST(test_a_run_id_carries_its_time_and_its_key),
      TEST(test_run_ids_of_one_key_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

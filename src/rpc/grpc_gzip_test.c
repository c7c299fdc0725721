#include "rpc/grpc_gzip.h"

#include "base/test.h"

static void fill(buf *b, size_t n) {
  for (size_t i = 0; i < n; i++) buf_addb(b, (uint8_t)(i * i >> 7));
}

TEST(what_is_deflated_inflates) {
  static const size_t sizes[] = {0, 1, 2, 511, 4096, 4097, 70000, 1000000};
  grpc_gzip *g = grpc_gzip_new();
  for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
    buf plain = BUF_INIT, packed = BUF_INIT, back = BUF_INIT;
    fill(&plain, sizes[i]);
    grpc_gzip_deflate(g, buf_span(&plain), &packed);
    assert_int_equal(grpc_gzip_inflate(g, buf_span(&packed), sizes[i], &back), INFLATE_OK);
    assert_true(span_eq(buf_span(&plain), buf_span(&back)));
    buf_release(&plain);
    buf_release(&packed);
    buf_release(&back);
  }
  grpc_gzip_free(g);
}

TEST(a_bomb_is_ended_at_the_limit) {
  grpc_gzip *g = grpc_gzip_new();
  buf plain = BUF_INIT, packed = BUF_INIT, out = BUF_INIT;
  const size_t n = 64 * 1024 * 1024;
  memset(buf_reserve(&plain, n), 0, n);
  plain.n = n;
  grpc_gzip_deflate(g, buf_span(&plain), &packed);
  assert_int_equal(grpc_gzip_inflate(g, buf_span(&packed), 100000, &out), INFLATE_TOO_LARGE);
  assert_true(out.cap <= 4 * 100000);
  buf_release(&plain);
  buf_release(&packed);
  buf_release(&out);
  grpc_gzip_free(g);
}

TEST(damaged_data_is_refused_at_every_length) {
  grpc_gzip *g = grpc_gzip_new();
  buf plain = BUF_INIT, packed = BUF_INIT;
  fill(&plain, 300);
  grpc_gzip_deflate(g, buf_span(&plain), &packed);
  for (size_t n = 0; n < packed.n; n++) {
    buf out = BUF_INIT;
    assert_int_equal(grpc_gzip_inflate(g, span_of(packed.p, n), 1000, &out), INFLATE_CORRUPT);
    buf_release(&out);
  }
  packed.p[packed.n - 6] ^= 1; /* in the checksum */
  buf out = BUF_INIT;
  assert_int_equal(grpc_gzip_inflate(g, buf_span(&packed), 1000, &out), INFLATE_CORRUPT);
  buf_release(&out);
  buf_release(&plain);
  buf_release(&packed);
  grpc_gzip_free(g);
}

TEST(members_in_a_row_are_one_message) {
  grpc_gzip *g = grpc_gzip_new();
  buf packed = BUF_INIT, out = BUF_INIT;
  grpc_gzip_deflate(g, SPAN("one "), &packed);
  grpc_gzip_deflate(g, SPAN("message"), &packed);
  assert_int_equal(grpc_gzip_inflate(g, buf_span(&packed), 1000, &out), INFLATE_OK);
  assert_span(buf_span(&out), "one message");
  buf_adds(&packed, "junk");
  buf_clear(&out);
  assert_int_equal(grpc_gzip_inflate(g, buf_span(&packed), 1000, &out), INFLATE_CORRUPT);
  buf_release(&packed);
  buf_release(&out);
  grpc_gzip_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_deflated_inflates),
      cmocka_unit_test(a_bomb_is_ended_at_the_limit),
      cmocka_unit_test(damaged_data_is_refused_at_every_length),
      cmocka_unit_test(members_in_a_row_are_one_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

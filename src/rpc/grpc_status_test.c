#include "rpc/grpc_status.h"

#include "base/test.h"

TEST(percent_encoding_keeps_printable_ascii) {
  arena a = ARENA_INIT;
  buf b = BUF_INIT;
  const span text = SPAN("a b~100%\n\303\274\0end");
  grpc_percent_encode(text, &b);
  assert_span(buf_span(&b), "a b~100%25%0A%C3%BC%00end");
  assert_true(span_eq(grpc_percent_decode(buf_span(&b), &a), text));
  assert_span(grpc_percent_decode(SPAN("%zz%4"), &a), "%zz%4");
  buf_release(&b);
  arena_release(&a);
}

TEST(base64_of_every_length) {
  arena a = ARENA_INIT;
  const struct {
    span plain;
    const char *text;
  } cases[] = {{SPAN(""), ""},        {SPAN("f"), "Zg"},        {SPAN("fo"), "Zm8"},
               {SPAN("foo"), "Zm9v"}, {SPAN("foob"), "Zm9vYg"}, {SPAN("\377\376\375"), "//79"}};
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    buf b = BUF_INIT;
    span back;
    grpc_base64_encode(cases[i].plain, &b);
    assert_span(buf_span(&b), cases[i].text);
    assert_true(grpc_base64_decode(buf_span(&b), &a, &back));
    assert_true(span_eq(back, cases[i].plain));
    buf_release(&b);
  }
  span back;
  assert_true(grpc_base64_decode(SPAN("Zm8="), &a, &back));
  assert_span(back, "fo");
  assert_false(grpc_base64_decode(SPAN("Z"), &a, &back));
  assert_false(grpc_base64_decode(SPAN("Zm!v"), &a, &back));
  arena_release(&a);
}

TEST(details_are_a_status_with_an_any) {
  arena a = ARENA_INIT;
  buf b = BUF_INIT;
  err e = {.code = ERR_NOT_FOUND, .detail_type = "t.D", .detail = SPAN("\10\1")};
  grpc_details_encode(&e, SPAN("no"), &b);
  span bytes;
  assert_true(grpc_base64_decode(buf_span(&b), &a, &bytes));
  assert_span(bytes, "\10\5\22\2no\32\35\12\27type.googleapis.com/t.D\22\2\10\1");
  err back = {0};
  grpc_details_decode(buf_span(&b), &a, &back);
  assert_string_equal(back.detail_type, "t.D");
  assert_span(back.detail, "\10\1");
  buf_release(&b);
  arena_release(&a);
}

TEST(damaged_details_are_no_details) {
  static const char *const texts[] = {"", "!", "////", "GgA", "GgP/", "Gv8B"};
  arena a = ARENA_INIT;
  for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
    err e = {0};
    grpc_details_decode(span_cstr(texts[i]), &a, &e);
    assert_null(e.detail_type);
  }
  arena_release(&a);
}

TEST(timeouts) {
  const struct {
    const char *text;
    int64_t ns;
  } cases[] = {{"1H", 3600 * NS_PER_SEC},
               {"2M", 120 * NS_PER_SEC},
               {"15S", 15 * NS_PER_SEC},
               {"200m", 200 * NS_PER_MS},
               {"7u", 7000},
               {"9n", 9},
               {"0S", 0},
               {"99999999H", INT64_C(1) << 62}};
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    int64_t ns = -1;
    assert_null(grpc_timeout_parse(span_cstr(cases[i].text), &ns));
    assert_int_equal(ns, cases[i].ns);
  }
  static const char *const wrong[] = {"", "S", "1", "1x", "-1S", "1.5S", "123456789m", "S1"};
  for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
    int64_t ns;
    assert_non_null(grpc_timeout_parse(span_cstr(wrong[i]), &ns));
  }
}

TEST(timeouts_are_written_in_at_most_eight_digits) {
  char text[GRPC_TIMEOUT_TEXT_BYTES];
  assert_span(span_of(text, grpc_timeout_format(1500, text)), "1500m");
  assert_span(span_of(text, grpc_timeout_format(100000000, text)), "100000S");
  assert_span(span_of(text, grpc_timeout_format(INT64_MAX, text)), "99999999S");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(percent_encoding_keeps_printable_ascii),
      cmocka_unit_test(base64_of_every_length),
      cmocka_unit_test(details_are_a_status_with_an_any),
      cmocka_unit_test(damaged_details_are_no_details),
      cmocka_unit_test(timeouts),
      cmocka_unit_test(timeouts_are_written_in_at_most_eight_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

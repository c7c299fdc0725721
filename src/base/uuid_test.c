#include "base/uuid.h"

#include "base/test.h"

TEST(random_ones_are_version_4) {
  rng r;
  rng_seed(&r, 1);
  for (int i = 0; i < 100; i++) {
    uuid u = uuid_random(&r);
    assert_int_equal(u.b[6] >> 4, 4);
    assert_int_equal(u.b[8] >> 6, 2);
  }
}

TEST(text_and_back) {
  rng r;
  rng_seed(&r, 2);
  for (int i = 0; i < 100; i++) {
    uuid u = uuid_random(&r), back;
    char text[UUID_TEXT_BYTES];
    uuid_format(u, text);
    assert_true(uuid_parse(span_of(text, sizeof text), &back));
    assert_memory_equal(u.b, back.b, sizeof u.b);
  }
}

TEST(the_form_is_lower_case_with_dashes) {
  uuid u;
  for (int i = 0; i < 16; i++) u.b[i] = (uint8_t)(i * 17);
  char text[UUID_TEXT_BYTES];
  uuid_format(u, text);
  assert_memory_equal(text, "00112233-4455-6677-8899-aabbccddeeff", UUID_TEXT_BYTES);
}

TEST(upper_case_is_read) {
  uuid u;
  assert_true(uuid_parse(SPAN("00112233-4455-6677-8899-AABBCCDDEEFF"), &u));
  assert_int_equal(u.b[15], 0xff);
}

TEST(anything_else_is_refused_and_the_result_untouched) {
  static const char *const wrong[] = {
      "",
      "00112233-4455-6677-8899-aabbccddeef",
      "00112233-4455-6677-8899-aabbccddeeff0",
      "0011223344556677-8899-aabb-ccddeeff--",
      "00112233-4455-6677-8899-aabbccddeefg",
      "00112233_4455-6677-8899-aabbccddeeff",
      "{0112233-4455-6677-8899-aabbccddeef}",
      "00112233-4455-6677-8899-aabbccdde\x10\x11\x12",
  };
  for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
    uuid u = {{7}};
    assert_false(uuid_parse(span_cstr(wrong[i]), &u));
    assert_int_equal(u.b[0], 7);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_ones_are_version_4),
      cmocka_unit_test(text_and_back),
      cmocka_unit_test(the_form_is_lower_case_with_dashes),
      cmocka_unit_test(upper_case_is_read),
      cmocka_unit_test(anything_else_is_refused_and_the_result_untouched),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/log.h"

#include <unistd.h>

#include "base/test.h"

static char captured[4096];

/* What the lines written between these two are; standard error goes to a pipe meanwhile. */
static int saved_stderr, ends[2];

static void begin(log_level least, log_format format) {
  log_configure(least, format);
  saved_stderr = dup(STDERR_FILENO);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *end(void) {
  assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
  close(saved_stderr);
  close(ends[1]);
  ssize_t n = read(ends[0], captured, sizeof captured - 1);
  assert_true(n >= 0);
  captured[n] = 0;
  close(ends[0]);
  return captured;
}

TEST(below_the_least_level_nothing_is_written) {
  begin(LOG_WARN, LOG_PRETTY);
  LOG(INFO, "quiet");
  assert_string_equal(end(), "");
  assert_false(log_enabled(LOG_INFO));
  assert_true(log_enabled(LOG_ERROR));
}

TEST(pretty_has_time_level_sentence_and_fields) {
  begin(LOG_INFO, LOG_PRETTY);
  LOG(WARN, "disk is nearly full", LOG_I("free_bytes", -5), LOG_S("file", "a.db"));
  const char *line = end();
  assert_int_equal(line[4], '-');
  assert_int_equal(line[10], 'T');
  assert_int_equal(line[23], 'Z');
  assert_string_equal(line + 24, " warn  disk is nearly full free_bytes=-5 file=\"a.db\"\n");
}

TEST(json_is_one_object_a_line) {
  begin(LOG_DEBUG, LOG_JSON);
  LOG(DEBUG, "say \"hi\"", LOG_S("path", "c:\\d"), LOG_I("n", 3));
  const char *line = end();
  assert_memory_equal(line, "{\"ts\":\"", 7);
  assert_string_equal(strstr(line, "\",\"level\""),
                      "\",\"level\":\"debug\",\"msg\":\"say \\\"hi\\\"\","
                      "\"path\":\"c:\\\\d\",\"n\":3}\n");
}

/* The text of one value as the log writes it. */
static const char *logged(span value) {
  begin(LOG_INFO, LOG_PRETTY);
  LOG(INFO, "x", LOG_SPAN("v", value));
  const char *line = end();
  char *last = strrchr(line, '\n');
  assert_non_null(last);
  *last = 0;
  return strstr(line, "v=") + 2;
}

TEST(input_cannot_forge_a_line) {
  assert_string_equal(logged(SPAN("a\nb\r\tc\x1b[2J")), "\"a\\u000ab\\u000d\\u0009c\\u001b[2J\"");
  assert_string_equal(logged(SPAN("\x7f")), "\"\\u007f\"");
  assert_string_equal(logged(SPAN("a\0b")), "\"a\\u0000b\"");
  assert_string_equal(logged(SPAN("\xc2\x9b"
                                  "2J")),
                      "\"\\u009b2J\"");
  assert_string_equal(logged(SPAN_NONE), "\"\"");
}

TEST(valid_utf8_passes_and_the_rest_is_escaped) {
  assert_string_equal(logged(SPAN("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")),
                      "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
  assert_string_equal(logged(SPAN("\xff\xc3")), "\"\\u00ff\\u00c3\"");
  assert_string_equal(logged(SPAN("\xc0\xaf")), "\"\\u00c0\\u00af\"");
  assert_string_equal(logged(SPAN("\xed\xa0\x80")), "\"\\u00ed\\u00a0\\u0080\"");
  assert_string_equal(logged(SPAN("\xf5\x80\x80\x80")), "\"\\u00f5\\u0080\\u0080\\u0080\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(below_the_least_level_nothing_is_written),
      cmocka_unit_test(pretty_has_time_level_sentence_and_fields),
      cmocka_unit_test(json_is_one_object_a_line),
      cmocka_unit_test(input_cannot_forge_a_line),
      cmocka_unit_test(valid_utf8_passes_and_the_rest_is_escaped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* spec_test.c DIR - specs against testdata/times.txt and testdata/specs.txt, which the protocol's
 * server answered (testdata/record.py). */
#include "schedule/spec.h"

#include <stdio.h>

#include "proto/json_text.h"
#include "proto/pb_json.h"
#include "schedule/test_zones.h"

static const char *folder;

static span file_text(const char *name) {
  FILE *f = fopen(arena_printf(&a, "%s/%s", folder, name), "rb");
  assert_non_null(f);
  enum { MOST = 4 << 20 };
  uint8_t *p = arena_alloc(&a, MOST);
  size_t n = fread(p, 1, MOST, f);
  fclose(f);
  assert_true(n > 0 && n < MOST);
  return span_of(p, n);
}

/* The next line without its end; p == NULL after the last. */
static span take_line(span *text) {
  if (!text->n) return SPAN_NONE;
  const uint8_t *end = memchr(text->p, '\n', text->n);
  assert_non_null(end);
  span line = span_of(text->p, (size_t)(end - text->p));
  *text = span_of(end + 1, text->n - line.n - 1);
  return line;
}

static span take_field(span *text, const char *name) {
  span line = take_line(text), head = span_cstr(name);
  assert_true(span_starts_with(line, head));
  return span_of(line.p + head.n + 1, line.n - head.n - 1);
}

static const pb_ScheduleSpec *decoded(span json, arena *into) {
  void *msg = NULL;
  err *e = pb_json_decode(&pb_ScheduleSpec_desc, json, PB_JSON_CANONICAL, into, &msg);
  if (e) fail_msg("%.*s: %s", SPAN_ARG(json), e->what);
  return msg;
}

static int64_t time_ns(span text) {
  int64_t seconds;
  int32_t nanos;
  assert_null(json_get_timestamp(text, &seconds, &nanos));
  return seconds * NS_PER_SEC + nanos;
}

/* "1767265200" or "1767265200.123", which is taken off the line. */
static int64_t take_time(span *line) {
  int64_t ms = 0;
  size_t i = 1, decimals = 0;
  bool point = false;
  for (; i < line->n && line->p[i] != ' '; i++) {
    if (line->p[i] == '.') {
      point = true;
      continue;
    }
    decimals += point;
    ms = ms * 10 + (line->p[i] - '0');
  }
  *line = span_of(line->p + i, line->n - i);
  return decimals ? ms * NS_PER_MS : ms * NS_PER_SEC;
}

static size_t check_times(span *text, const spec *s, span json, span seed, int64_t from,
                          int64_t until) {
  size_t n = 0;
  int64_t t = from;
  for (span line = take_line(text); line.n; line = take_line(text)) {
    for (; line.n; n++) {
      int64_t expected = take_time(&line);
      spec_time at = spec_next(s, seed, t);
      if (at.next_ns != expected) {
        fail_msg("%.*s: time %zu is %lld ns, not %lld", SPAN_ARG(json), n, (long long)at.next_ns,
                 (long long)expected);
      }
      t = at.next_ns;
    }
  }
  if (n < 1000) assert_true(spec_next(s, seed, t).next_ns > until);
  return n;
}

TEST(thousands_of_times_as_recorded) {
  span text = file_text("times.txt");
  size_t n = 0;
  while (text.n) {
    arena one = ARENA_INIT;
    span json = take_field(&text, "spec"), seed = take_field(&text, "seed");
    int64_t from = time_ns(take_field(&text, "from")), until = time_ns(take_field(&text, "to"));
    pb_ScheduleSpec *canonical = NULL;
    const spec *s = NULL;
    assert_null(spec_canonical(decoded(json, &one), &one, &canonical));
    assert_null(spec_compile(canonical, &all, &one, &s));
    n += check_times(&text, s, json, seed, from, until);
    arena_release(&one);
  }
  assert_true(n > 10000);
}

/* "spec JSON" and then either "is JSON" or "error TEXT". */
TEST(canonical_forms_as_recorded) {
  span text = file_text("specs.txt");
  size_t n = 0;
  for (; text.n; n++) {
    arena one = ARENA_INIT;
    span json = take_field(&text, "spec"), line = take_line(&text);
    pb_ScheduleSpec *canonical = NULL;
    const spec *s = NULL;
    err *e = spec_canonical(decoded(json, &one), &one, &canonical);
    if (!e) e = spec_compile(canonical, &all, &one, &s);
    if (e) {
      span expected = span_of(line.p + 6, line.n - 6);
      if (!span_starts_with(line, SPAN("error ")) || !span_eq(expected, span_cstr(e->what))) {
        fail_msg("%.*s: \"%s\", not %.*s", SPAN_ARG(json), e->what, SPAN_ARG(line));
      }
    } else {
      const pb_ScheduleSpec *shown = spec_shown(canonical, &one);
      if (!span_starts_with(line, SPAN("is ")) ||
          !pb_equal(&pb_ScheduleSpec_desc, decoded(span_of(line.p + 3, line.n - 3), &one), shown)) {
        fail_msg("%.*s: not %.*s", SPAN_ARG(json), SPAN_ARG(line));
      }
    }
    arena_release(&one);
  }
  assert_true(n > 60);
}

static spec_time first(const char *json) {
  pb_ScheduleSpec *canonical = NULL;
  const spec *s = NULL;
  assert_null(spec_canonical(decoded(span_cstr(json), &a), &a, &canonical));
  assert_null(spec_compile(canonical, &all, &a, &s));
  return spec_next(s, SPAN("seed"), 0);
}

TEST(a_spec_that_excludes_everything_is_given_up) {
  spec_time t = first(
      "{\"interval\":[{\"interval\":\"1s\"}],\"exclude_calendar\":[{\"second\":\"*\",\"minute\":"
      "\"*\",\"hour\":\"*\"}]}");
  assert_true(t.gave_up);
  assert_int_equal(t.next_ns, SPEC_NEVER);
}

TEST(an_unchecked_exclusion_does_no_harm) {
  spec_time t = first(
      "{\"interval\":[{\"interval\":\"1s\"}],\"exclude_structured_calendar\":[{\"hour\":[{"
      "\"start\":-5,\"end\":2000000000,\"step\":-1}],\"year\":[{\"start\":-7,\"end\":99}]}]}");
  assert_int_equal(t.next_ns, NS_PER_SEC);
}

int main(int argc, char **argv) {
  folder = argc > 1 ? argv[1] : ".";
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(thousands_of_times_as_recorded),
      cmocka_unit_test(canonical_forms_as_recorded),
      cmocka_unit_test(a_spec_that_excludes_everything_is_given_up),
      cmocka_unit_test(an_unchecked_exclusion_does_no_harm),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

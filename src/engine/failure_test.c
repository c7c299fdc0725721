/* How much of a reported failure is kept, and that readers can always read it. */
#include "base/test.h"
#include "engine/engine_int.h"

static arena a;

static int setup(void **state UNUSED) {
  arena_init(&a);
  return 0;
}

static int teardown(void **state UNUSED) {
  arena_release(&a);
  return 0;
}

/* Links named "0" (outermost) to "n-1". */
static pb_Failure *chain(size_t n) {
  pb_Failure *first = NULL, **at = &first;
  for (size_t i = 0; i < n; i++) {
    *at = pb_new(&a, Failure);
    (*at)->message = arena_spanf(&a, "%zu", i);
    at = &(*at)->cause;
  }
  return first;
}

static size_t links(const pb_Failure *f) {
  size_t n = 0;
  for (; f; f = f->cause) n++;
  return n;
}

static const pb_Failure *link_at(const pb_Failure *f, size_t i) {
  while (i--) f = f->cause;
  return f;
}

TEST(a_chain_up_to_the_depth_stays_as_it_is) {
  for (size_t n = 1; n <= FAILURE_DEPTH; n++) {
    pb_Failure *f = chain(n);
    assert_ptr_equal(failure_fit_depth(f, &a), f);
  }
}

TEST(a_deeper_chain_keeps_both_ends_and_a_joint) {
  const size_t lengths[] = {65, 66, 100, 10000};
  for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
    size_t n = lengths[i];
    pb_Failure *f = chain(n);
    pb_Failure *fit = failure_fit_depth(f, &a);
    assert_int_equal(links(fit), 65);
    assert_span(link_at(fit, 0)->message, "0");
    assert_span(link_at(fit, 31)->message, "31");
    const pb_Failure *joint = link_at(fit, 32);
    assert_int_equal(joint->which_failure_info, PB_Failure_server_failure_info_FIELD);
    const char *begins = arena_printf(&a, "%zu failures of this chain are left out here", n - 64);
    assert_true(span_starts_with(joint->message, span_cstr(begins)));
    assert_span(link_at(fit, 33)->message, arena_printf(&a, "%zu", n - 32));
    assert_span(link_at(fit, 64)->message, arena_printf(&a, "%zu", n - 1));
    assert_int_equal(links(f), n); /* the given one is left alone */
  }
}

/* In history a failure stands below History, HistoryEvent and attributes. */
TEST(what_is_kept_can_be_read_back) {
  pb_History h = {0};
  pb_HistoryEvent ev = {.which_attributes =
                            PB_HistoryEvent_activity_task_failed_event_attributes_FIELD};
  pb_HistoryEvent *v[] = {&ev};
  pb_ActivityTaskFailedEventAttributes attrs = {.failure = failure_fit_depth(chain(500), &a)};
  ev.activity_task_failed_event_attributes = &attrs;
  h.events.v = v;
  h.events.n = 1;
  span encoded = PB_ENCODE(History, &h, &a);
  pb_History *back;
  assert_null(PB_DECODE(History, encoded, &a, &back));
  assert_true(pb_equal(&pb_History_desc, &h, back));
}

static span text(size_t n) {
  uint8_t *p = arena_alloc(&a, n + 1);
  memset(p, 'x', n);
  return span_of(p, n);
}

enum { LIMIT = 2 * 1024 * 1024 };

TEST(a_failure_within_the_limit_stays_as_it_is) {
  pb_Failure f = {.message = text(1000)};
  assert_ptr_equal(failure_fit_bytes(&f, LIMIT, &a), &f);
  assert_ptr_equal(failure_fit_bytes(&f, pb_encoded_bytes(&pb_Failure_desc, &f), &a), &f);
  assert_ptr_not_equal(failure_fit_bytes(&f, pb_encoded_bytes(&pb_Failure_desc, &f) - 1, &a), &f);
}

TEST(a_larger_one_says_so_and_keeps_what_fits) {
  pb_Failure *f = chain(3);
  f->message = text(LIMIT);
  f->stack_trace = text(LIMIT);
  f->source = text(LIMIT);
  f->which_failure_info = PB_Failure_application_failure_info_FIELD;
  f->application_failure_info = pb_new(&a, ApplicationFailureInfo);
  f->application_failure_info->type = text(LIMIT);
  f->application_failure_info->details = text(LIMIT);
  f->application_failure_info->non_retryable = true;
  const pb_Failure *fit = failure_fit_bytes(f, LIMIT, &a);
  assert_span(fit->message, "Failure exceeds size limit.");
  assert_true(fit->server_failure_info->non_retryable);
  assert_true(pb_encoded_bytes(&pb_Failure_desc, fit) <= 600 * 1024);
  const pb_Failure *kept = fit->cause;
  assert_true(kept->message.n > 100 * 1024 && kept->stack_trace.n > 100 * 1024);
  assert_true(kept->application_failure_info->non_retryable);
  assert_null(kept->application_failure_info->details.p);
  assert_span(kept->cause->message, "1");
  assert_span(kept->cause->cause->message, "2");
}

TEST(details_of_other_kinds_are_dropped_too) {
  pb_Failure f = {.which_failure_info = PB_Failure_canceled_failure_info_FIELD};
  f.canceled_failure_info = pb_new(&a, CanceledFailureInfo);
  f.canceled_failure_info->details = text(LIMIT + 1);
  const pb_Failure *fit = failure_fit_bytes(&f, LIMIT, &a);
  assert_int_equal(fit->cause->which_failure_info, PB_Failure_canceled_failure_info_FIELD);
  assert_true(pb_encoded_bytes(&pb_Failure_desc, fit) < 1000);
  f.canceled_failure_info->details = SPAN_NONE;
  f.head.unknown = text(LIMIT + 1);
  fit = failure_fit_bytes(&f, LIMIT, &a);
  assert_true(pb_encoded_bytes(&pb_Failure_desc, fit) < 1000);
}

/* Whatever the position of the cut, what is left is UTF-8. */
TEST(a_cut_is_not_in_the_middle_of_a_character) {
  const char *characters[] = {"a", "é", "€", "😀"};
  for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
    size_t width = strlen(characters[c]);
    for (size_t shift = 0; shift < 4; shift++) {
      uint8_t *p = arena_alloc(&a, 3 * LIMIT);
      size_t n = shift;
      memset(p, 'a', shift);
      for (; n < 2 * (size_t)LIMIT; n += width) memcpy(p + n, characters[c], width);
      pb_Failure f = {.message = span_of(p, n)};
      span encoded = PB_ENCODE(Failure, failure_fit_bytes(&f, LIMIT, &a), &a);
      assert_null(pb_check(&pb_Failure_desc, encoded, &a));
    }
  }
}

int main(void) {
#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      IN_ARENA(a_chain_up_to_the_depth_stays_as_it_is),
      IN_ARENA(a_deeper_chain_keeps_both_ends_and_a_joint),
      IN_ARENA(what_is_kept_can_be_read_back),
      IN_ARENA(a_failure_within_the_limit_stays_as_it_is),
      IN_ARENA(a_larger_one_says_so_and_keeps_what_fits),
      IN_ARENA(details_of_other_kinds_are_dropped_too),
      IN_ARENA(a_cut_is_not_in_the_middle_of_a_character),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

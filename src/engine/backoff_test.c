/* Every outcome of a failed attempt: whether it is tried again, when, and why not. */
#include "base/test.h"
#include "engine/engine_int.h"

static pb_Duration duration(int64_t ns) {
  return (pb_Duration){.seconds = ns / NS_PER_SEC, .nanos = (int32_t)(ns % NS_PER_SEC)};
}

/* A policy of 1 s, doubling, up to 100 s, without end. */
typedef struct policy {
  pb_Duration initial, most;
  pb_RetryPolicy p;
  span not_retried[4];
} policy;

static pb_RetryPolicy *usual(policy *x) {
  *x = (policy){.initial = duration(NS_PER_SEC), .most = duration(100 * NS_PER_SEC)};
  x->p.initial_interval = &x->initial;
  x->p.maximum_interval = &x->most;
  x->p.backoff_coefficient = 2;
  x->p.non_retryable_error_types.v = x->not_retried;
  return &x->p;
}

static void not_retried(policy *x, const char *type) {
  x->not_retried[x->p.non_retryable_error_types.n++] = span_cstr(type);
}

/* --- intervals --- */

TEST(intervals_grow_to_the_cap) {
  const struct {
    int64_t initial_ns, most_ns;
    double coefficient;
    int32_t attempt;
    int64_t expected_ns;
  } table[] = {
      {NS_PER_SEC, 100 * NS_PER_SEC, 2, 1, NS_PER_SEC},
      {NS_PER_SEC, 100 * NS_PER_SEC, 2, 2, 2 * NS_PER_SEC},
      {NS_PER_SEC, 100 * NS_PER_SEC, 2, 7, 64 * NS_PER_SEC},
      {NS_PER_SEC, 100 * NS_PER_SEC, 2, 8, 100 * NS_PER_SEC},
      {NS_PER_SEC, 100 * NS_PER_SEC, 2, INT32_MAX, 100 * NS_PER_SEC},
      {NS_PER_SEC, 100 * NS_PER_SEC, 1, INT32_MAX, NS_PER_SEC},
      {NS_PER_SEC, 100 * NS_PER_SEC, 1.5, 3, 2250 * NS_PER_MS},
      {NS_PER_SEC, 100 * NS_PER_SEC, 1e300, 9, 100 * NS_PER_SEC},
      {NS_PER_SEC, 0, 10, 4, 100 * NS_PER_SEC}, /* without a maximum: 100 times the initial one */
      {NS_PER_MS, 0, 2, 30, 100 * NS_PER_MS},
      {PB_MAX_DURATION_NS, 0, 2, 5, PB_MAX_DURATION_NS / 100 * 100},
      {PB_MAX_DURATION_NS, PB_MAX_DURATION_NS, 9, 900, PB_MAX_DURATION_NS},
      {10 * NS_PER_SEC, NS_PER_SEC, 2, 1, NS_PER_SEC},
      {1, 1000000, 2, 11, 1024},
  };
  for (size_t i = 0; i < ARRAY_LEN(table); i++) {
    policy x;
    pb_RetryPolicy *p = usual(&x);
    x.initial = duration(table[i].initial_ns);
    x.most = duration(table[i].most_ns);
    p->backoff_coefficient = table[i].coefficient;
    assert_int_equal(retry_interval_ns(p, table[i].attempt), table[i].expected_ns);
  }
}

TEST(endless_attempts_cost_no_time) {
  policy x;
  pb_RetryPolicy *p = usual(&x);
  for (int i = 0; i < 1000; i++) {
    p->backoff_coefficient = 2;
    assert_int_equal(retry_interval_ns(p, INT32_MAX - i), 100 * NS_PER_SEC);
    p->backoff_coefficient = 1;
    assert_int_equal(retry_interval_ns(p, INT32_MAX - i), NS_PER_SEC);
  }
}

/* --- what may be retried --- */

static pb_Failure app(const char *type, bool non_retryable, pb_ApplicationFailureInfo *info) {
  *info = (pb_ApplicationFailureInfo){.type = span_cstr(type), .non_retryable = non_retryable};
  pb_Failure f = {.which_failure_info = PB_Failure_application_failure_info_FIELD};
  f.application_failure_info = info;
  return f;
}

static pb_Failure timeout(int32_t type, pb_TimeoutFailureInfo *info) {
  *info = (pb_TimeoutFailureInfo){.timeout_type = type};
  pb_Failure f = {.which_failure_info = PB_Failure_timeout_failure_info_FIELD};
  f.timeout_failure_info = info;
  return f;
}

TEST(only_the_outermost_failure_is_asked) {
  policy x;
  pb_RetryPolicy *p = usual(&x);
  not_retried(&x, "Fatal");
  pb_ApplicationFailureInfo i1, i2;
  pb_Failure inner = app("Fatal", true, &i1), outer = app("Outer", false, &i2);
  outer.cause = &inner;
  assert_true(failure_is_retryable(&outer, p));
  assert_false(failure_is_retryable(&inner, p));
  pb_ActivityFailureInfo wrapper = {0};
  pb_Failure wrapped = {.which_failure_info = PB_Failure_activity_failure_info_FIELD,
                        .cause = &inner};
  wrapped.activity_failure_info = &wrapper;
  assert_true(failure_is_retryable(&wrapped, p)); /* fact 31 */
}

TEST(types_match_exactly) {
  policy x;
  pb_RetryPolicy *p = usual(&x);
  not_retried(&x, "Fatal");
  const struct {
    const char *type;
    bool flag, retryable;
  } table[] = {{"Fatal", false, false}, {"fatal", false, true}, {"Fatal2", false, true},
               {"", false, true},       {"Other", true, false}, {"Fata", false, true}};
  for (size_t i = 0; i < ARRAY_LEN(table); i++) {
    pb_ApplicationFailureInfo info;
    pb_Failure f = app(table[i].type, table[i].flag, &info);
    assert_int_equal(failure_is_retryable(&f, p), table[i].retryable);
    assert_int_equal(failure_is_retryable(&f, NULL), !table[i].flag);
  }
}

TEST(kinds_of_failures) {
  policy x;
  pb_RetryPolicy *p = usual(&x);
  pb_Failure bare = {0}, canceled = {0}, terminated = {0}, server = {0};
  pb_CanceledFailureInfo c = {0};
  pb_TerminatedFailureInfo t = {0};
  pb_ServerFailureInfo s = {0};
  canceled.which_failure_info = PB_Failure_canceled_failure_info_FIELD;
  canceled.canceled_failure_info = &c;
  terminated.which_failure_info = PB_Failure_terminated_failure_info_FIELD;
  terminated.terminated_failure_info = &t;
  server.which_failure_info = PB_Failure_server_failure_info_FIELD;
  server.server_failure_info = &s;
  assert_true(failure_is_retryable(NULL, p));
  assert_true(failure_is_retryable(&bare, p));
  assert_false(failure_is_retryable(&canceled, p));
  assert_false(failure_is_retryable(&terminated, p));
  assert_true(failure_is_retryable(&server, p));
  s.non_retryable = true;
  assert_false(failure_is_retryable(&server, p));
}

TEST(timeouts) {
  policy x, with;
  pb_RetryPolicy *p = usual(&x), *listed = usual(&with);
  not_retried(&with, "TemporalTimeout:StartToClose");
  not_retried(&with, "TemporalTimeout:Heartbeat");
  const struct {
    int32_t type;
    bool retryable, when_listed;
  } table[] = {{PB_TIMEOUT_TYPE_START_TO_CLOSE, true, false},
               {PB_TIMEOUT_TYPE_HEARTBEAT, true, false},
               {PB_TIMEOUT_TYPE_SCHEDULE_TO_START, false, false},
               {PB_TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, false, false}};
  for (size_t i = 0; i < ARRAY_LEN(table); i++) {
    pb_TimeoutFailureInfo info;
    pb_Failure f = timeout(table[i].type, &info);
    assert_int_equal(failure_is_retryable(&f, p), table[i].retryable);
    assert_int_equal(failure_is_retryable(&f, listed), table[i].when_listed);
  }
}

/* --- decisions --- */

TEST(every_retry_state) {
  policy unlimited, three;
  pb_RetryPolicy *p = usual(&unlimited), *most3 = usual(&three);
  three.p.maximum_attempts = 3;
  pb_ApplicationFailureInfo i1, i2, i3;
  pb_Failure fine = app("E", false, &i1), final = app("E", true, &i2), asks = app("E", false, &i3);
  pb_Duration ten_min = duration(600 * NS_PER_SEC);
  i3.next_retry_delay = &ten_min;
  const struct {
    retry_question q;
    retry_choice expected;
  } table[] = {
      {{.policy = NULL, .attempt = 1, .failure = &final}, {PB_RETRY_STATE_RETRY_POLICY_NOT_SET, 0}},
      {{.policy = p, .attempt = 1, .failure = &final}, {PB_RETRY_STATE_NON_RETRYABLE_FAILURE, 0}},
      /* not retryable comes before the number of attempts */
      {{.policy = most3, .attempt = 3, .failure = &final},
       {PB_RETRY_STATE_NON_RETRYABLE_FAILURE, 0}},
      {{.policy = most3, .attempt = 3, .failure = &fine},
       {PB_RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED, 0}},
      {{.policy = most3, .attempt = 4, .failure = &fine},
       {PB_RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED, 0}},
      {{.policy = most3, .attempt = 2, .failure = &fine},
       {PB_RETRY_STATE_IN_PROGRESS, 2 * NS_PER_SEC}},
      {{.policy = p, .attempt = 2, .failure = NULL}, {PB_RETRY_STATE_IN_PROGRESS, 2 * NS_PER_SEC}},
      /* the deadline itself is still in time, one nanosecond later is not (fact 33) */
      {{.policy = p, .attempt = 1, .failure = &fine, .now_ns = 10, .deadline_ns = 10 + NS_PER_SEC},
       {PB_RETRY_STATE_IN_PROGRESS, NS_PER_SEC}},
      {{.policy = p, .attempt = 1, .failure = &fine, .now_ns = 11, .deadline_ns = 10 + NS_PER_SEC},
       {PB_RETRY_STATE_TIMEOUT, 0}},
      /* the failure's own delay passes the policy's maximum, but not for workflows (fact 32) */
      {{.policy = p, .attempt = 1, .failure = &asks},
       {PB_RETRY_STATE_IN_PROGRESS, 600 * NS_PER_SEC}},
      {{.policy = p, .attempt = 1, .failure = &asks, .delay_is_capped = true},
       {PB_RETRY_STATE_IN_PROGRESS, 100 * NS_PER_SEC}},
      {{.policy = p, .attempt = 1, .failure = &asks, .now_ns = 1, .deadline_ns = 600 * NS_PER_SEC},
       {PB_RETRY_STATE_TIMEOUT, 0}},
  };
  for (size_t i = 0; i < ARRAY_LEN(table); i++) {
    retry_choice got = retry_decide(&table[i].q);
    assert_int_equal(got.retry_state, table[i].expected.retry_state);
    assert_int_equal(got.delay_ns, table[i].expected.delay_ns);
  }
}

TEST(a_delay_of_nothing_or_less_ends_it) {
  policy x;
  pb_RetryPolicy *p = usual(&x);
  pb_ApplicationFailureInfo info;
  pb_Failure f = app("E", false, &info);
  const int64_t delays[] = {0, -1, -NS_PER_SEC};
  for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
    pb_Duration d = duration(delays[i]);
    info.next_retry_delay = &d;
    retry_choice got = retry_decide(&(retry_question){.policy = p, .attempt = 1, .failure = &f});
    assert_int_equal(got.retry_state, PB_RETRY_STATE_TIMEOUT);
  }
}

TEST(a_huge_delay_does_not_overflow) {
  policy x;
  pb_RetryPolicy *p = usual(&x);
  pb_ApplicationFailureInfo info;
  pb_Failure f = app("E", false, &info);
  pb_Duration d = {.seconds = INT64_MAX, .nanos = 999999999};
  info.next_retry_delay = &d;
  retry_question q = {
      .policy = p, .attempt = 1, .failure = &f, .now_ns = INT64_C(1900000000) * NS_PER_SEC};
  retry_choice got = retry_decide(&q);
  assert_int_equal(got.retry_state, PB_RETRY_STATE_IN_PROGRESS);
  assert_int_equal(got.delay_ns, PB_MAX_DURATION_NS);
  q.deadline_ns = q.now_ns + 1;
  assert_int_equal(retry_decide(&q).retry_state, PB_RETRY_STATE_TIMEOUT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(intervals_grow_to_the_cap),
      cmocka_unit_test(endless_attempts_cost_no_time),
      cmocka_unit_test(only_the_outermost_failure_is_asked),
      cmocka_unit_test(types_match_exactly),
      cmocka_unit_test(kinds_of_failures),
      cmocka_unit_test(timeouts),
      cmocka_unit_test(every_retry_state),
      cmocka_unit_test(a_delay_of_nothing_or_less_ends_it),
      cmocka_unit_test(a_huge_delay_does_not_overflow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

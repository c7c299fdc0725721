#include "shard/worker_query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static pb_WorkerHostInfo host = {.host_name = SPAN_INIT("h")};
static pb_Timestamp start = {.seconds = 1700000000};
static const pb_WorkerHeartbeat worker = {.worker_instance_key = SPAN_INIT("k1"),
                                          .worker_identity = SPAN_INIT("it's me"),
                                          .host_info = &host,
                                          .task_queue = SPAN_INIT("q"),
                                          .sdk_name = SPAN_INIT("temporal-test"),
                                          .status = PB_WORKER_STATUS_SHUTTING_DOWN,
                                          .start_time = &start};

static void test_matches(void **state) {
  static const struct {
    const char *query;
    bool matches;
  } cases[] = {
      {"", true},
      {"  ", true},
      {"TaskQueue=\"q\"", true},
      {"TaskQueue = 'q'", true},
      {"`TaskQueue`='r'", false},
      {"WorkerIdentity='it''s me'", true},
      {"TaskQueue!='r' and HostName='h'", true},
      {"TaskQueue='r' OR HostName='h'", true},
      {"TaskQueue='r' OR HostName='h' AND SdkName='x'", false},
      {"(TaskQueue='q' OR HostName='x') AND SdkName='temporal-test'", true},
      {"NOT TaskQueue='r'", true},
      {"NOT NOT TaskQueue='r'", false},
      {"SdkName STARTS_WITH 'temporal-'", true},
      {"SdkName NOT STARTS_WITH 'temporal-'", false},
      {"TaskQueue IN ('a', 'q')", true},
      {"TaskQueue NOT IN ('a', 'q')", false},
      {"Status='ShuttingDown' AND WorkerStatus='ShuttingDown'", true},
      {"Status='shuttingdown'", false},
      {"StartTime='2023-11-14T22:13:20Z'", true},
      {"StartTime>='2023-11-14T22:13:20Z'", true},
      {"StartTime<'2023-11-14T22:13:20Z'", false},
      {"StartTime>5", true},
      {"StartTime='nonsense'", false},
      {"StartTime BETWEEN '2023-11-14T22:13:19Z' AND '2023-11-14T22:13:21Z'", true},
      {"HeartbeatTime IS NULL", true},
      {"StartTime IS NOT NULL", true},
      {"SdkVersion IS NULL", true},
      {"SdkName>'a'", false}, /* texts have no order */
      {"TaskQueue=q", false},
      {"Nothing='x'", false},
      {"sdkname='temporal-test'", false},
  };
  arena a = ARENA_INIT;
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    bool matches = !cases[i].matches;
    err *e = worker_query_matches(span_cstr(cases[i].query), &worker, &a, &matches);
    if (e || matches != cases[i].matches) fail_msg("%s: %s", cases[i].query, e ? e->what : "wrong");
  }
  arena_release(&a);
}

static void test_what_cannot_be_read(void **state) {
  static const struct {
    const char *query, *why;
  } cases[] = {
      {"what is this", "malformed query: syntax error at position 9 near 'this'"},
      {"x=", "malformed query: syntax error at position 3"},
      {"='y'", "malformed query: syntax error at position 1 near '='"},
      {"TaskQueue='q' AND", "malformed query: syntax error at position 18"},
      {"(TaskQueue='q'", "malformed query: syntax error at position 15"},
      {"TaskQueue='q", "malformed query: syntax error at position 11 near 'q'"},
      {"TaskQueue='q' extra", "malformed query: syntax error at position 15 near 'extra'"},
      {"TaskQueue IN ('q'", "malformed query: syntax error at position 18"},
      {"TaskQueue NOT = 'q'", "malformed query: syntax error at position 15 near '='"},
      {"*", "malformed query: syntax error at position 2"},
  };
  arena a = ARENA_INIT;
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    bool matches;
    err *e = worker_query_matches(span_cstr(cases[i].query), &worker, &a, &matches);
    assert_non_null(e);
    assert_string_equal(e->what, cases[i].why);
  }
  arena_release(&a);
}

static void test_depth_has_an_end(void **state) {
  arena a = ARENA_INIT;
  bool matches;
  uint8_t *deep = arena_alloc(&a, 100000);
  memset(deep, '(', 100000);
  assert_non_null(worker_query_matches(span_of(deep, 100000), &worker, &a, &matches));
  arena_release(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_matches),
      cmocka_unit_test(test_what_cannot_be_read),
      cmocka_unit_test(test_depth_has_an_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

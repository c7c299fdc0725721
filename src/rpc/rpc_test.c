/* A server and a client over a real socket. */
#include <stdio.h>

#include "rpc/test_world.h"

TEST(a_message_comes_back) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_ask(w, "Echo", SPAN("hello"), false, &a);
  assert_int_equal(a.code, ERR_OK);
  assert_span(buf_span(&a.message), "hello");
  answer_release(&a);
  world_free(w);
}

TEST(an_empty_message_comes_back) {
  world *w = world_new(NULL, NULL, NULL);
  for (int gzip = 0; gzip < 2; gzip++) {
    answer a;
    world_ask(w, "Echo", SPAN(""), gzip, &a);
    assert_int_equal(a.code, ERR_OK);
    assert_int_equal(a.message.n, 0);
    answer_release(&a);
  }
  world_free(w);
}

TEST(gzip_in_both_directions) {
  world *w = world_new(NULL, NULL, NULL);
  size_t sizes[] = {1, 100, 1024, 1025, 5000, 100000, 3000000};
  for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
    uint8_t *p = arena_alloc(&w->mem, sizes[i]);
    for (size_t k = 0; k < sizes[i]; k++) p[k] = (uint8_t)(k % 61 * (k / 1000));
    answer a;
    world_ask(w, "Echo", span_of(p, sizes[i]), true, &a);
    assert_int_equal(a.code, ERR_OK);
    assert_true(span_eq(buf_span(&a.message), span_of(p, sizes[i])));
    answer_release(&a);
  }
  rpc_stats stats;
  rpc_server_stats(w->server, &stats);
  assert_true(stats.bytes_out < 1000000);
  world_free(w);
}

TEST(an_error_has_its_text_and_details) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_ask(w, "Fail", SPAN("\1\2\0\377detail"), false, &a);
  assert_int_equal(a.code, ERR_NOT_FOUND);
  assert_string_equal(a.what, "no such thing: 100% \xc3\xbc\n");
  assert_string_equal(a.detail_type, "test.Detail");
  assert_true(span_eq(buf_span(&a.detail), SPAN("\1\2\0\377detail")));
  answer_release(&a);
  world_free(w);
}

TEST(details_too_large_for_headers_are_left_out_and_said_so) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  uint8_t *p = arena_zalloc(&w->mem, 100000);
  world_ask(w, "Fail", span_of(p, 100000), false, &a);
  assert_int_equal(a.code, ERR_NOT_FOUND);
  assert_string_equal(a.what, "no such thing: 100% \xc3\xbc\n (details of 100000 bytes left out)");
  assert_int_equal(a.detail.n, 0);
  answer_release(&a);
  world_free(w);
}

TEST(unknown_methods_get_the_sentences_of_grpc_go) {
  static const struct {
    const char *path, *what;
  } cases[] = {
      {"/test.Service/Nothing", "unknown method Nothing for service test.Service"},
      {"/test.Service/Unbuilt", "unknown method Unbuilt for service test.Service"},
      {"/nothing.Service/Echo", "unknown service nothing.Service"},
      {"/test.Service/", "unknown method  for service test.Service"},
      {"/test.Service", "malformed method name: \"/test.Service\""},
  };
  world *w = world_new(NULL, NULL, NULL);
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    answer a;
    world_ask(w, cases[i].path, SPAN("x"), false, &a);
    assert_int_equal(a.code, ERR_UNIMPLEMENTED);
    assert_string_equal(a.what, cases[i].what);
    answer_release(&a);
  }
  world_free(w);
}

TEST(a_deadline_ends_the_call_on_both_sides) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_call(w, "Park", SPAN(""), 50, false, &a);
  world_run_until(w, &a.done);
  world_run_until_gone(w, 1);
  assert_int_equal(a.code, ERR_DEADLINE_EXCEEDED);
  assert_int_equal(w->n_parked, 0);
  answer_release(&a);
  world_free(w);
}

TEST(cancel_ends_a_parked_call_at_once) {
  world *w = world_new(NULL, NULL, NULL);
  answer a = {.w = w};
  uint64_t id =
      rpc_client_call(w->client, "/test.Service/Park", SPAN(""), 60000, false, world_keep, &a);
  world_run_until_parked(w, 1);
  rpc_client_cancel(w->client, id);
  assert_true(a.done);
  world_run_until_gone(w, 1);
  assert_int_equal(a.code, ERR_CANCELLED);
  rpc_stats stats;
  rpc_server_stats(w->server, &stats);
  assert_int_equal(stats.streams, 0);
  answer_release(&a);
  world_free(w);
}

TEST(cancel_before_anything_was_sent) {
  world *w = world_new(NULL, NULL, NULL);
  answer a = {.w = w}, b;
  uint64_t id =
      rpc_client_call(w->client, "/test.Service/Park", SPAN(""), 60000, false, world_keep, &a);
  rpc_client_cancel(w->client, id);
  assert_true(a.done);
  assert_int_equal(a.code, ERR_CANCELLED);
  world_ask(w, "Echo", SPAN("x"), false, &b);
  assert_int_equal(b.code, ERR_OK);
  assert_int_equal(w->n_parked, 0);
  answer_release(&b);
  world_free(w);
}

TEST(calls_wait_for_a_free_stream) {
  rpc_limits limits = rpc_default_limits;
  limits.max_streams = 10;
  world *w = world_new(&limits, NULL, NULL);
  enum { N = 500 };
  answer *a = arena_array(&w->mem, answer, N), first;
  world_ask(w, "Echo", SPAN(""), false, &first); /* the server has told its limit */
  for (int i = 0; i < N; i++) {
    a[i].w = w;
    uint64_t id =
        rpc_client_call(w->client, "/test.Service/Echo", SPAN("x"), 5000, false, world_keep, &a[i]);
    if (i % 10 == 9) rpc_client_cancel(w->client, id);
  }
  for (int i = 0; i < N; i++) {
    world_run_until(w, &a[i].done);
    assert_int_equal(a[i].code, i % 10 == 9 ? ERR_CANCELLED : ERR_OK);
    answer_release(&a[i]);
  }
  world_free(w);
}

TEST(a_lost_connection_ends_its_calls) {
  world *w = world_new(NULL, NULL, NULL);
  answer a[3];
  for (int i = 0; i < 3; i++) world_call(w, "Park", SPAN(""), 0, false, &a[i]);
  world_run_until_parked(w, 3);
  rpc_client_free(w->client);
  world_run_until_gone(w, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(a[i].code, ERR_CANCELLED);
  assert_null(
      rpc_client_new(&w->loop, "127.0.0.1", rpc_server_port(w->server), NULL, &w->mem, &w->client));
  world_free(w);
}

TEST(a_parked_call_is_answered_later) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_call(w, "Park", SPAN(""), 60000, true, &a);
  world_run_until_parked(w, 1);
  world_unpark(w, 0, SPAN("task"));
  world_run_until(w, &a.done);
  assert_span(buf_span(&a.message), "task");
  answer_release(&a);
  world_free(w);
}

TEST(calls_of_one_connection_do_not_wait_for_each_other) {
  world *w = world_new(NULL, NULL, NULL);
  enum { N = 500 };
  answer *a = arena_array(&w->mem, answer, N);
  for (int i = 0; i < N; i++) {
    char text[20];
    (void)snprintf(text, sizeof text, "message %d", i);
    world_call(w,
               i % 5 == 0   ? "Park"
               : i % 7 == 0 ? "Huge"
                            : "Echo",
               span_cstr(text), 0, i % 2, &a[i]);
  }
  for (int i = 0; i < N; i++) {
    if (i % 5 == 0) continue;
    world_run_until(w, &a[i].done);
    assert_int_equal(a[i].code, ERR_OK);
    char text[20];
    (void)snprintf(text, sizeof text, "message %d", i);
    if (i % 7 == 0) {
      assert_int_equal(a[i].message.n, 1024 * 1024);
    } else {
      assert_span(buf_span(&a[i].message), text);
    }
    answer_release(&a[i]);
  }
  assert_int_equal(w->n_parked, N / 5);
  world_free(w);
}

TEST(a_message_over_the_limit_is_refused) {
  rpc_limits limits = rpc_default_limits;
  limits.max_message_bytes = 10000;
  world *w = world_new(&limits, NULL, NULL);
  uint8_t *p = arena_zalloc(&w->mem, 50000);
  answer a;
  world_ask(w, "Echo", span_of(p, 10001), false, &a);
  assert_int_equal(a.code, ERR_RESOURCE_EXHAUSTED);
  assert_string_equal(a.what, "grpc: received message larger than max (10001 vs. 10000)");
  answer_release(&a);
  world_ask(w, "Echo", span_of(p, 50000), true, &a);
  assert_int_equal(a.code, ERR_RESOURCE_EXHAUSTED);
  assert_string_equal(a.what, "grpc: received message after decompression larger than max 10000");
  answer_release(&a);
  world_ask(w, "Echo", span_of(p, 10000), true, &a);
  assert_int_equal(a.code, ERR_OK);
  answer_release(&a);
  world_free(w);
}

TEST(messages_are_decoded_and_encoded) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_ask(w, "Decoded", SPAN("\12\1x"), true, &a);
  assert_span(buf_span(&a.message), "\12\1x");
  answer_release(&a);
  world_ask(w, "Decoded", SPAN("\12\5x"), false, &a);
  assert_int_equal(a.code, ERR_INTERNAL);
  assert_non_null(strstr(a.what, "grpc: error unmarshalling request: "));
  world_free(w);
}

static void on_drained(void *arg) { ((world *)arg)->drained = true; }

TEST(drain_lets_calls_end) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_call(w, "Park", SPAN(""), 0, false, &a);
  world_run_until_parked(w, 1);
  rpc_server_drain(w->server, 5000, on_drained, w);
  world_run_ms(w, 300);
  assert_false(w->drained);
  assert_false(a.done);
  answer refused;
  world_ask(w, "Echo", SPAN(""), false, &refused);
  assert_int_equal(refused.code, ERR_UNAVAILABLE);
  world_unpark(w, 0, SPAN("last"));
  world_run_until(w, &w->drained);
  world_run_until(w, &a.done);
  assert_int_equal(a.code, ERR_OK);
  answer b;
  world_ask(w, "Echo", SPAN(""), false, &b);
  assert_int_equal(b.code, ERR_UNAVAILABLE);
  answer_release(&a);
  answer_release(&b);
  world_free(w);
}

TEST(drain_ends_at_its_deadline) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_call(w, "Park", SPAN(""), 0, false, &a);
  world_run_until_parked(w, 1);
  rpc_server_drain(w->server, 250, on_drained, w);
  world_run_until(w, &w->drained);
  assert_false(a.done);
  world_free(w);
}

TEST(an_address_in_use_is_said_so) {
  world *w = world_new(NULL, NULL, NULL);
  rpc_server *second = NULL;
  err *e = rpc_server_new(&w->loop, "127.0.0.1", rpc_server_port(w->server), NULL, NULL,
                          &world_service, 1, &w->mem, &second);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_UNAVAILABLE);
  assert_non_null(strstr(e->what, "another program uses it"));
  e = rpc_server_new(&w->loop, "localhost", 0, NULL, NULL, &world_service, 1, &w->mem, &second);
  assert_int_equal(e->code, ERR_INVALID_ARGUMENT);
  world_free(w);
}

TEST(an_answer_after_the_server_is_freed_is_dropped) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  world_call(w, "Park", SPAN(""), 0, false, &a);
  world_run_until_parked(w, 1);
  world_free(w);
  answer_release(&a);
}

static size_t parked_bytes(size_t connections, size_t calls) {
  world *w = world_new(NULL, NULL, NULL);
  rpc_client **clients = arena_array(&w->mem, rpc_client *, connections);
  answer ignored[2];
  for (int i = 0; i < 2; i++) world_ask(w, "Echo", SPAN("warm"), true, &ignored[i]);
  for (size_t i = 0; i < connections; i++) {
    assert_null(rpc_client_new(&w->loop, "127.0.0.1", rpc_server_port(w->server), NULL, &w->mem,
                               &clients[i]));
  }
  answer *a = mem_zalloc(calls * sizeof *a);
  size_t before_client = mem_in_use_bytes();
  for (size_t i = 0; i < calls; i++) {
    rpc_client_call(clients[i % connections], "/test.Service/Park", SPAN("0123456789"), 60000, true,
                    world_keep, &a[i]);
  }
  size_t client = mem_in_use_bytes() - before_client;
  size_t before = mem_in_use_bytes();
  world_run_until_parked(w, calls);
  world_run_ms(w, 50);
  size_t both = mem_in_use_bytes() - before;
  printf("%zu parked calls on %zu connections: %zu bytes each (and %zu in the client)\n", calls,
         connections, both / calls, client / calls);
  while (w->n_parked) world_unpark(w, 0, SPAN("task"));
  for (size_t i = 0; i < calls; i++) {
    world_run_until(w, &a[i].done);
    assert_int_equal(a[i].code, ERR_OK);
    answer_release(&a[i]);
  }
  for (int i = 0; i < 2; i++) answer_release(&ignored[i]);
  mem_free(a);
  for (size_t i = 0; i < connections; i++) rpc_client_free(clients[i]);
  world_free(w);
  return both / calls;
}

TEST(ten_thousand_calls_wait_on_one_connection) { assert_true(parked_bytes(1, 10000) <= 2048); }

TEST(ten_thousand_calls_wait_on_a_hundred_connections) {
  assert_true(parked_bytes(100, 10000) <= 2048);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_comes_back),
      cmocka_unit_test(an_empty_message_comes_back),
      cmocka_unit_test(gzip_in_both_directions),
      cmocka_unit_test(an_error_has_its_text_and_details),
      cmocka_unit_test(details_too_large_for_headers_are_left_out_and_said_so),
      cmocka_unit_test(unknown_methods_get_the_sentences_of_grpc_go),
      cmocka_unit_test(a_deadline_ends_the_call_on_both_sides),
      cmocka_unit_test(cancel_ends_a_parked_call_at_once),
      cmocka_unit_test(cancel_before_anything_was_sent),
      cmocka_unit_test(calls_wait_for_a_free_stream),
      cmocka_unit_test(a_lost_connection_ends_its_calls),
      cmocka_unit_test(a_parked_call_is_answered_later),
      cmocka_unit_test(calls_of_one_connection_do_not_wait_for_each_other),
      cmocka_unit_test(a_message_over_the_limit_is_refused),
      cmocka_unit_test(messages_are_decoded_and_encoded),
      cmocka_unit_test(drain_lets_calls_end),
      cmocka_unit_test(drain_ends_at_its_deadline),
      cmocka_unit_test(an_address_in_use_is_said_so),
      cmocka_unit_test(an_answer_after_the_server_is_freed_is_dropped),
      cmocka_unit_test(ten_thousand_calls_wait_on_one_connection),
      cmocka_unit_test(ten_thousand_calls_wait_on_a_hundred_connections),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

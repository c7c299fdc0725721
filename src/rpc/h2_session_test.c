/* Limits of one connection: floods, memory, time, order. No sockets. */
#include "rpc/test_peer.h"

/* --- floods: many frames that are fine by themselves --- */

static bool survives(void (*write)(peer *p, uint32_t i), uint32_t n) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  size_t before = mem_in_use_bytes();
  for (uint32_t i = 0; i < n && p->open; i++) {
    write(p, i);
    if (p->out.n > 30000) peer_flush(p);
  }
  peer_flush(p);
  bool alive = p->open;
  if (!alive && p->goaway != 11) fail_msg("goaway %d instead of ENHANCE_YOUR_CALM", p->goaway);
  assert_true(mem_in_use_bytes() - before < 512 * 1024);
  peer_free(p);
  peer_core_free(core);
  return alive;
}

static void ping(peer *p, uint32_t i) { peer_frame(p, PING, 0, 0, SPAN("12345678")); }
static void settings(peer *p, uint32_t i) { peer_frame(p, SETTINGS, 0, 0, SPAN("")); }
static void priority(peer *p, uint32_t i) {
  peer_frame(p, PRIORITY, 0, 2 * i + 1, SPAN("\0\0\0\0\1"));
}
static void small_window(peer *p, uint32_t i) { peer_frame(p, WINDOW, 0, 0, SPAN("\0\0\0\1")); }
static void empty_data(peer *p, uint32_t i) {
  if (i == 0) peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, 0, 1, SPAN(""));
}
static void open_and_reset(peer *p, const char *path, uint32_t i) {
  peer_call(p, 2 * i + 1, path);
  peer_frame(p, RST, 0, 2 * i + 1, SPAN("\0\0\0\10"));
}
static void rapid_reset(peer *p, uint32_t i) { open_and_reset(p, "/t.S/Wait", i); }
static void cancelled_poll(peer *p, uint32_t i) { open_and_reset(p, "/t.S/Poll", i); }
static void forced_reset(peer *p, uint32_t i) {
  peer_open(p, 2 * i + 1, "/t.S/Wait");
  peer_frame(p, WINDOW, 0, 2 * i + 1, SPAN("\177\377\377\377"));
}
static void echo_with_pings(peer *p, uint32_t i) {
  peer_call(p, 2 * i + 1, "/t.S/Echo");
  if (i % 100 == 0) peer_frame(p, WINDOW, 0, 0, SPAN("\0\0\20\0"));
  for (int k = 0; k < 3; k++) peer_frame(p, PING, 0, 0, SPAN("12345678"));
}

TEST(floods_are_ended) {
  log_configure(LOG_ERROR, LOG_PRETTY);
  assert_false(survives(ping, 20000));
  assert_false(survives(settings, 5000));
  assert_false(survives(small_window, 20000));
  assert_false(survives(empty_data, 20000));
  assert_false(survives(rapid_reset, 20000));
  assert_false(survives(forced_reset, 20000));
}

TEST(normal_use_is_no_flood) {
  log_configure(LOG_ERROR, LOG_PRETTY);
  assert_true(survives(ping, 900));
  assert_true(survives(priority, 20000)); /* switched off by SETTINGS, so they cost nothing */
  assert_true(survives(cancelled_poll, 30000));
  assert_true(survives(rapid_reset, 5000));
  assert_true(survives(echo_with_pings, 30000));
}

/* --- memory --- */

TEST(a_connection_may_hold_only_so_much) {
  rpc_limits limits = rpc_default_limits;
  limits.max_connection_bytes = 200 * 1024;
  rpc_core *core = peer_core_new(&limits);
  peer *p = peer_new(core);
  static uint8_t part[16000];
  static const uint8_t prefix[5] = {0, 0, 1, 0x86, 0xa0}; /* 100,000 bytes */
  for (uint32_t i = 0; i < 10; i++) {
    peer_open(p, 2 * i + 1, "/t.S/Echo");
    peer_frame(p, DATA, 0, 2 * i + 1, span_of(prefix, 5));
    for (int k = 0; k < 5; k++) peer_frame(p, DATA, 0, 2 * i + 1, span_of(part, sizeof part));
    peer_flush(p);
    assert_true(p->conn->held_bytes < 400 * 1024);
  }
  assert_int_equal(p->status[1], -1);
  assert_int_equal(p->status[19], ERR_RESOURCE_EXHAUSTED);
  assert_non_null(strstr(p->message, "this connection's unanswered requests hold"));
  peer_free(p);
  peer_core_free(core);
}

TEST(when_memory_is_short_new_work_is_refused_first) {
  rpc_limits limits = rpc_default_limits;
  limits.max_total_bytes = 100 * 1024;
  rpc_core *core = peer_core_new(&limits);
  peer *p = peer_new(core);
  peer_flush(p);
  uint32_t id = 1;
  while (core->held_bytes <= limits.max_total_bytes / 8 * 7) {
    peer_call(p, id, "/t.S/Poll");
    id += 2;
    peer_flush(p);
  }
  peer_call(p, id, "/t.S/Start");
  peer_call(p, id + 2, "/t.S/Echo");
  peer_flush(p);
  assert_int_equal(p->status[63], 0);
  assert_non_null(strstr(p->message, "the server's unanswered requests hold"));
  peer_free(p);
  peer_core_free(core);
}

static size_t parked_bytes(size_t connections, size_t calls) {
  rpc_limits limits = rpc_default_limits;
  rpc_core *core = peer_core_new(&limits);
  peer **p = mem_zalloc(connections * sizeof(peer *));
  for (size_t i = 0; i < connections; i++) {
    p[i] = peer_new(core);
    peer_call(p[i], 1, "/t.S/Echo");
    peer_flush(p[i]);
    buf_release(&p[i]->out);
  }
  size_t before = mem_in_use_bytes();
  for (size_t i = 0; i < calls; i++) {
    peer *x = p[i % connections];
    peer_call(x, (uint32_t)(2 * (i / connections) + 3), "/t.S/Poll");
    peer_flush(x);
    buf_release(&x->out);
  }
  assert_int_equal(peer_parked, calls);
  size_t each = (mem_in_use_bytes() - before) / calls;
  printf("%zu parked calls on %zu connections: %zu bytes each, counted as %zu\n", calls,
         connections, each, core->held_bytes / calls);
  for (size_t i = 0; i < connections; i++) peer_free(p[i]);
  assert_int_equal(peer_parked, 0);
  mem_free(p);
  peer_core_free(core);
  return each;
}

TEST(a_parked_call_costs_at_most_2_KiB) {
  assert_true(parked_bytes(1, 10000) <= 2048);
  assert_true(parked_bytes(100, 10000) <= 2048);
  assert_true(parked_bytes(1000, 10000) <= 2048);
}

TEST(more_streams_than_allowed_are_refused) {
  rpc_limits limits = rpc_default_limits;
  limits.max_streams = 3;
  rpc_core *core = peer_core_new(&limits);
  peer *p = peer_new(core);
  for (uint32_t i = 0; i < 4; i++) peer_call(p, 2 * i + 1, "/t.S/Poll");
  peer_flush(p);
  assert_int_equal(p->rst[7], 7); /* REFUSED_STREAM */
  assert_int_equal(peer_parked, 3);
  peer_free(p);
  peer_core_free(core);
}

/* --- time --- */

TEST(a_request_that_never_ends_is_ended) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, 0, 1, SPAN("\0\0\0\0\11half"));
  peer_flush(p);
  peer_now_ns += 30 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, peer_now_ns));
  peer_flush(p);
  assert_int_equal(p->status[1], -1);
  peer_now_ns += 31 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, peer_now_ns));
  peer_flush(p);
  assert_int_equal(p->status[1], ERR_DEADLINE_EXCEEDED);
  peer_free(p);
  peer_core_free(core);
}

TEST(an_answer_that_is_not_taken_is_dropped) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  peer_frame(p, SETTINGS, 0, 0, SPAN("\0\4\0\0\0\0")); /* a window of nothing */
  peer_call(p, 1, "/t.S/Large");
  peer_call(p, 3, "/t.S/Large");
  peer_flush(p);
  assert_int_equal(p->data_bytes, 0);
  assert_true(core->held_bytes > 200000);
  peer_now_ns += 61 * NS_PER_SEC;
  peer_frame(p, PING, 0, 0, SPAN("12345678"));
  peer_flush(p);
  assert_true(rpc_conn_check_time(p->conn, peer_now_ns));
  peer_flush(p);
  assert_int_equal(p->rst[1], 8);
  assert_int_equal(p->rst[3], 8);
  assert_true(core->held_bytes < 20000);
  peer_free(p);
  peer_core_free(core);
}

TEST(a_silent_peer_is_asked_and_then_left) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  peer_call(p, 1, "/t.S/Poll");
  peer_flush(p);
  peer_now_ns += 61 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, peer_now_ns));
  buf out = BUF_INIT;
  rpc_conn_pull(p->conn, SIZE_MAX, &out);
  assert_int_equal(out.n, 17); /* a PING */
  peer_frame(p, PING, ACK, 0, span_of(out.p + 9, 8));
  peer_now_ns += 10 * NS_PER_SEC;
  peer_flush(p);
  peer_now_ns += 50 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, peer_now_ns));
  peer_now_ns += 11 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, peer_now_ns));
  peer_now_ns += 21 * NS_PER_SEC;
  assert_false(rpc_conn_check_time(p->conn, peer_now_ns));
  buf_release(&out);
  peer_free(p);
  assert_int_equal(peer_gone, 1);
  peer_core_free(core);
}

TEST(idle_connections_are_closed) {
  rpc_core *core = peer_core_new(NULL);
  peer *fresh = peer_new(core), *idle = peer_new(core);
  peer_flush(fresh);
  peer_works(idle, 1);
  peer_now_ns += 11 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(fresh->conn, peer_now_ns));
  assert_true(rpc_conn_check_time(idle->conn, peer_now_ns));
  peer_flush(fresh);
  assert_int_equal(fresh->goaway, 0);
  assert_false(fresh->open);
  for (int i = 0; i < 20; i++) {
    peer_now_ns += 31 * NS_PER_SEC;
    peer_frame(idle, PING, 0, 0, SPAN("12345678"));
    peer_flush(idle);
    assert_true(rpc_conn_check_time(idle->conn, peer_now_ns));
  }
  peer_flush(idle);
  assert_int_equal(idle->goaway, 0);
  assert_false(idle->open);
  peer_free(fresh);
  peer_free(idle);
  peer_core_free(core);
}

TEST(deadlines_pass_in_order) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  static const char *const timeouts[] = {"3S", "1S", "2S"};
  for (uint32_t i = 0; i < 3; i++) {
    peer_open_with(p, 2 * i + 1, "/t.S/Poll", 0, "grpc-timeout", timeouts[i]);
    peer_frame(p, DATA, END_STREAM, 2 * i + 1, peer_hello);
  }
  peer_flush(p);
  int64_t start = peer_now_ns;
  assert_int_equal(rpc_core_expire(core, peer_now_ns), start + NS_PER_SEC);
  peer_now_ns += NS_PER_SEC;
  assert_int_equal(rpc_core_expire(core, peer_now_ns), start + 2 * NS_PER_SEC);
  peer_flush(p);
  assert_int_equal(p->status[3], ERR_DEADLINE_EXCEEDED);
  assert_int_equal(p->status[1], -1);
  assert_int_equal(peer_gone, 1);
  peer_now_ns += 5 * NS_PER_SEC;
  assert_int_equal(rpc_core_expire(core, peer_now_ns), INT64_MAX);
  assert_int_equal(peer_gone, 3);
  peer_free(p);
  peer_core_free(core);
}

TEST(a_message_is_handled_before_its_stream_ends) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, 0, 1, peer_hello);
  peer_flush(p);
  assert_int_equal(p->status[1], 0);
  assert_int_equal(p->rst[1], 0); /* NO_ERROR: send no more */
  peer_open(p, 3, "/t.S/Echo");
  peer_frame(p, DATA, END_STREAM, 3, SPAN("\0\0\0\0\1abcdef"));
  peer_flush(p);
  assert_int_equal(p->status[3], 0);
  assert_int_equal(peer_handled, 2);
  peer_free(p);
  peer_core_free(core);
}

TEST(end_lets_open_calls_finish) {
  rpc_core *core = peer_core_new(NULL);
  peer *p = peer_new(core);
  peer_call(p, 1, "/t.S/Poll");
  peer_flush(p);
  rpc_conn_announce_end(p->conn);
  peer_flush(p);
  assert_int_equal(p->goaway, 0);
  peer_call(p, 3, "/t.S/Echo"); /* was under way */
  peer_flush(p);
  assert_int_equal(p->status[3], 0);
  rpc_conn_end(p->conn);
  peer_flush(p);
  peer_call(p, 5, "/t.S/Echo");
  peer_flush(p);
  assert_int_equal(p->status[5], -1);
  assert_true(p->open);
  const span message = SPAN("done");
  rpc_reply(peer_last_parked, &message);
  peer_flush(p);
  assert_int_equal(p->status[1], 0);
  assert_false(p->open);
  peer_free(p);
  peer_core_free(core);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(floods_are_ended),
      cmocka_unit_test(normal_use_is_no_flood),
      cmocka_unit_test(a_connection_may_hold_only_so_much),
      cmocka_unit_test(when_memory_is_short_new_work_is_refused_first),
      cmocka_unit_test(a_parked_call_costs_at_most_2_KiB),
      cmocka_unit_test(more_streams_than_allowed_are_refused),
      cmocka_unit_test(a_request_that_never_ends_is_ended),
      cmocka_unit_test(an_answer_that_is_not_taken_is_dropped),
      cmocka_unit_test(a_silent_peer_is_asked_and_then_left),
      cmocka_unit_test(idle_connections_are_closed),
      cmocka_unit_test(deadlines_pass_in_order),
      cmocka_unit_test(a_message_is_handled_before_its_stream_ends),
      cmocka_unit_test(end_lets_open_calls_finish),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

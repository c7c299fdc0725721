/* The server's sockets, seen by peers that are no gRPC client: raw bytes, and peers that do not
 * read. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/test_world.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static int dial(world *w) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)rpc_server_port(w->server)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  int small = 4096;
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static void say(int fd, span bytes) {
  assert_int_equal(send(fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
}

/* What has arrived so far; *ret_closed: the server has closed. */
static buf hear(world *w, int fd, bool *ret_closed) {
  buf b = BUF_INIT;
  world_run_ms(w, 30);
  for (;;) {
    ssize_t n = recv(fd, buf_reserve(&b, 4096), 4096, MSG_DONTWAIT);
    *ret_closed = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n <= 0) return b;
    b.n += (size_t)n;
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
  }
}

static void works(world *w) {
  answer a;
  world_ask(w, "Echo", SPAN("hello"), true, &a);
  assert_int_equal(a.code, ERR_OK);
  answer_release(&a);
}

TEST(http_1_is_told_what_this_port_speaks) {
  world *w = world_new(NULL, NULL, NULL);
  int fd = dial(w);
  say(fd, SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  bool closed;
  buf b = hear(w, fd, &closed);
  assert_true(closed);
  assert_non_null(memmem(b.p, b.n, "HTTP/1.1 400 Bad Request", 24));
  assert_non_null(memmem(b.p, b.n, "gRPC over HTTP/2", 16));
  buf_release(&b);
  (void)close(fd);
  works(w);
  world_free(w);
}

TEST(one_connection_too_many_is_told_so) {
  rpc_limits limits = rpc_default_limits;
  limits.max_connections = 2;
  world *w = world_new(&limits, NULL, NULL);
  works(w);
  int second = dial(w), third = dial(w);
  bool closed;
  buf b = hear(w, third, &closed);
  assert_true(closed);
  assert_non_null(memmem(b.p, b.n, "too many connections", 20));
  buf_release(&b);
  (void)close(second);
  (void)close(third);
  world_run_ms(w, 20);
  int again = dial(w);
  b = hear(w, again, &closed);
  assert_false(closed);
  buf_release(&b);
  (void)close(again);
  works(w);
  world_free(w);
}

static void add_frame(buf *b, uint8_t type, uint8_t flags, uint32_t stream, span payload) {
  const uint8_t head[9] = {0,
                           (uint8_t)(payload.n >> 8),
                           (uint8_t)payload.n,
                           type,
                           flags,
                           (uint8_t)(stream >> 24),
                           (uint8_t)(stream >> 16),
                           (uint8_t)(stream >> 8),
                           (uint8_t)stream};
  buf_add(b, span_of(head, sizeof head));
  buf_add(b, payload);
}

/* HEADERS as HPACK literals, then an empty message. */
static void add_huge_call(buf *b, uint32_t stream) {
  add_frame(
      b, 1, 4, stream,
      SPAN("\0\7:method\4POST\0\7:scheme\4http\0\5:path\22/test.Service/Huge\0\12:authority\1x"
           "\0\14content-type\20application/grpc"));
  add_frame(b, 0, 1, stream, SPAN("\0\0\0\0\0"));
}

/* Fifty answers of 1 MiB wait for a peer that takes nothing: they stay within the limits, others
 * are served, and when time is up the memory comes back. */
TEST(a_peer_that_does_not_read_is_left) {
  rpc_limits limits = rpc_default_limits;
  limits.answer_ns = 1500 * NS_PER_MS;
  limits.max_connection_bytes = 8 * 1024 * 1024;
  world *w = world_new(&limits, NULL, NULL);
  works(w);
  int fd = dial(w);
  buf b = BUF_INIT;
  buf_add(&b, span_of(preface, sizeof preface - 1));
  /* Windows as large as they can be, so that only the socket holds the answers back. */
  add_frame(&b, 4, 0, 0, SPAN("\0\4\177\377\377\377"));
  add_frame(&b, 8, 0, 0, SPAN("\177\376\0\0"));
  for (uint32_t i = 0; i < 50; i++) add_huge_call(&b, 2 * i + 1);
  say(fd, buf_span(&b));
  world_run_ms(w, 100);
  rpc_stats stats;
  rpc_server_stats(w->server, &stats);
  assert_int_equal(stats.connections, 2);
  assert_true(stats.memory_bytes < 10 * 1024 * 1024);
  works(w);
  world_run_ms(w, 4000);
  rpc_server_stats(w->server, &stats);
  assert_int_equal(stats.connections, 1);
  assert_true(stats.memory_bytes < 100 * 1024);
  works(w);
  buf_release(&b);
  (void)close(fd);
  world_free(w);
}

TEST(figures_per_method) {
  world *w = world_new(NULL, NULL, NULL);
  answer a;
  for (int i = 0; i < 5; i++) works(w);
  world_ask(w, "Fail", SPAN(""), false, &a);
  answer_release(&a);
  world_ask(w, "Nothing", SPAN(""), false, &a);
  world_call(w, "Park", SPAN(""), 0, false, &a);
  world_run_until_parked(w, 1);
  rpc_stats s;
  rpc_server_stats(w->server, &s);
  assert_int_equal(s.connections, 1);
  assert_int_equal(s.streams, 1);
  assert_true(s.bytes_in > 0 && s.bytes_out > 0);
  assert_string_equal(s.methods[0].method, "Echo");
  assert_int_equal(s.methods[0].calls, 5);
  assert_int_equal(s.methods[0].errors, 0);
  uint64_t sum = 0;
  for (size_t i = 0; i < ARRAY_LEN(s.methods[0].latency_buckets); i++) {
    sum += s.methods[0].latency_buckets[i];
  }
  assert_int_equal(sum, 5);
  assert_int_equal(s.methods[1].by_code[ERR_NOT_FOUND], 1);
  const rpc_method_stats *unknown = &s.methods[s.n_methods - 1];
  assert_string_equal(unknown->method, "unknown");
  assert_int_equal(unknown->by_code[ERR_UNIMPLEMENTED], 1);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(http_1_is_told_what_this_port_speaks),
      cmocka_unit_test(one_connection_too_many_is_told_so),
      cmocka_unit_test(a_peer_that_does_not_read_is_left),
      cmocka_unit_test(figures_per_method),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

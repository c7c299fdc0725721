/* The transport: bytes of a peer into a connection without a socket. Whatever comes, memory is
 * given back and every waiting call hears that its client is gone.
 *
 * Input: a byte that says what the rest is (frames after a good start, a connection from its first
 * byte, a request's body, a gzip body, header texts) and where it is cut in two. */
#include "base/log.h"
#include "base/mem.h"
#include "proto/pb.gen.h"
#include "rpc/core.h"
#include "rpc/grpc_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { FRAMES, CONNECTION, BODY, GZIP_BODY, TEXTS, KINDS };

static int64_t now_ns;
static size_t n_waiting;

static int64_t fuzz_clock(void) { return now_ns += 1000; }

static void echo(void *ctx, rpc_call *c) { rpc_reply(c, rpc_request(c)); }

static void on_gone(rpc_call *c, void *arg) {
  arena a = ARENA_INIT;
  n_waiting--;
  rpc_fail(c, ERR(&a, CANCELLED, "gone"));
  arena_release(&a);
}

static void wait(void *ctx, rpc_call *c) {
  n_waiting++;
  rpc_park(c);
  rpc_on_gone(c, on_gone, NULL);
}

static const rpc_method methods[] = {
    {.name = "E", .handle = echo},
    {.name = "P", .handle = wait, .long_poll = true},
    {.name = "U"},
    {.name = "D",
     .request = &pb_HealthCheckRequest_desc,
     .response = &pb_HealthCheckRequest_desc,
     .handle = echo},
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static void add_header(buf *b, const char *name, const char *value) {
  buf_addb(b, 0);
  buf_addb(b, (uint8_t)strlen(name));
  buf_adds(b, name);
  buf_addb(b, (uint8_t)strlen(value));
  buf_adds(b, value);
}

static void add_frame(buf *out, int type, int flags, span payload) {
  const uint8_t head[9] = {(uint8_t)(payload.n >> 16),
                           (uint8_t)(payload.n >> 8),
                           (uint8_t)payload.n,
                           (uint8_t)type,
                           (uint8_t)flags,
                           0,
                           0,
                           0,
                           1};
  buf_add(out, span_of(head, sizeof head));
  buf_add(out, payload);
}

/* A good call with this body. */
static void add_call(buf *out, span body, bool gzip) {
  buf b = BUF_INIT;
  add_header(&b, ":method", "POST");
  add_header(&b, ":scheme", "http");
  add_header(&b, ":path", "/s/E");
  add_header(&b, ":authority", "x");
  add_header(&b, "content-type", "application/grpc");
  add_header(&b, "grpc-timeout", "1S");
  if (gzip) add_header(&b, "grpc-encoding", "gzip");
  add_frame(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, buf_span(&b));
  for (; body.n > 16000; body = span_of(body.p + 16000, body.n - 16000)) {
    add_frame(out, NGHTTP2_DATA, 0, span_of(body.p, 16000));
  }
  add_frame(out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, body);
  buf_release(&b);
}

static void run(span in, size_t cut) {
  rpc_limits limits = rpc_default_limits;
  limits.max_message_bytes = 100000;
  const rpc_service services[] = {{"s", methods, ARRAY_LEN(methods), NULL}};
  rpc_core core;
  rpc_core_init(&core, &limits, services, ARRAY_LEN(services), fuzz_clock);
  rpc_conn *c = rpc_conn_new(&core);
  cut = MIN(cut, in.n);
  buf out = BUF_INIT;
  bool open = rpc_conn_feed(c, span_of(in.p, cut));
  rpc_conn_pull(c, SIZE_MAX, &out);
  if (open) open = rpc_conn_feed(c, span_of(in.p + cut, in.n - cut));
  rpc_conn_pull(c, SIZE_MAX, &out);
  now_ns += 70 * NS_PER_SEC;
  (void)rpc_core_expire(&core, now_ns);
  if (open) (void)rpc_conn_check_time(c, now_ns);
  rpc_conn_pull(c, SIZE_MAX, &out);
  rpc_conn_free(c);
  ASSERT(core.held_bytes == 0 && n_waiting == 0);
  rpc_core_release(&core);
  buf_release(&out);
}

static void texts(span in) {
  arena a = ARENA_INIT;
  buf b = BUF_INIT;
  int64_t ns;
  span bytes;
  err e = {0};
  if (!grpc_timeout_parse(in, &ns)) ASSERT(ns >= 0);
  if (grpc_base64_decode(in, &a, &bytes)) grpc_base64_encode(bytes, &b);
  grpc_details_decode(in, &a, &e);
  buf_clear(&b);
  grpc_percent_encode(in, &b);
  ASSERT(span_eq(grpc_percent_decode(buf_span(&b), &a), in));
  buf_release(&b);
  arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
  if (n < 4) return 0;
  log_configure(LOG_NEVER, LOG_PRETTY);
  span rest = span_of(p + 3, n - 3);
  size_t cut = p[1] | (size_t)p[2] << 8;
  buf in = BUF_INIT;
  int kind = p[0] % KINDS;
  if (kind != CONNECTION) buf_add(&in, span_of(preface, sizeof preface - 1));
  if (kind == BODY || kind == GZIP_BODY) {
    add_call(&in, rest, kind == GZIP_BODY);
  } else {
    buf_add(&in, rest);
  }
  if (kind == TEXTS) {
    texts(rest);
  } else {
    run(buf_span(&in), cut);
  }
  buf_release(&in);
  return 0;
}

#include "rpc/test_peer.h"

/* --- the server under test --- */

size_t peer_handled, peer_gone, peer_parked;
rpc_call *peer_last_parked;
int64_t peer_now_ns;

static int64_t test_clock(void) { return peer_now_ns; }

static void echo(void *ctx, rpc_call *c) {
  peer_handled++;
  rpc_reply(c, rpc_request(c));
}

static void large(void *ctx, rpc_call *c) {
  const span message = span_of(arena_zalloc(rpc_arena(c), 100000), 100000);
  rpc_reply(c, &message);
}

static void gone(rpc_call *c, void *arg) {
  peer_gone++;
  peer_parked--;
  arena a = ARENA_INIT;
  rpc_fail(c, ERR(&a, CANCELLED, "gone"));
  arena_release(&a);
}

static void park(void *ctx, rpc_call *c) {
  peer_handled++;
  peer_parked++;
  rpc_park(c);
  rpc_on_gone(c, gone, NULL);
  peer_last_parked = c;
}

static const rpc_method methods[] = {
    {.name = "Echo", .handle = echo},
    {.name = "Large", .handle = large},
    {.name = "Poll", .handle = park, .long_poll = true},
    {.name = "Wait", .handle = park},
    {.name = "Start", .handle = echo, .shed_first = true},
};
static const rpc_service service = {"t.S", methods, ARRAY_LEN(methods), NULL};

rpc_core *peer_core_new(const rpc_limits *limits) {
  rpc_core *core = mem_new(rpc_core);
  peer_now_ns = NS_PER_SEC;
  peer_handled = peer_gone = peer_parked = 0;
  rpc_core_init(core, limits ? limits : &rpc_default_limits, &service, 1, test_clock);
  return core;
}

void peer_core_free(rpc_core *core) {
  assert_int_equal(core->held_bytes, 0);
  rpc_core_release(core);
  mem_free(core);
}

void peer_frame(peer *p, int type, int flags, uint32_t stream, span payload) {
  const uint8_t head[9] = {(uint8_t)(payload.n >> 16),
                           (uint8_t)(payload.n >> 8),
                           (uint8_t)payload.n,
                           (uint8_t)type,
                           (uint8_t)flags,
                           (uint8_t)(stream >> 24),
                           (uint8_t)(stream >> 16),
                           (uint8_t)(stream >> 8),
                           (uint8_t)stream};
  buf_add(&p->out, span_of(head, sizeof head));
  buf_add(&p->out, payload);
}

static int number(nghttp2_nv nv) {
  int v = 0;
  for (size_t i = 0; i < nv.valuelen; i++) v = v * 10 + (nv.value[i] - '0');
  return v;
}

static void on_headers(peer *p, uint32_t stream, span block) {
  for (;;) {
    nghttp2_nv nv;
    int flags = 0;
    ssize_t n = nghttp2_hd_inflate_hd2(p->hpack, &nv, &flags, block.p, block.n, 1);
    assert_true(n >= 0);
    block = span_of(block.p + n, block.n - (size_t)n);
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      span name = span_of(nv.name, nv.namelen);
      if (span_eq(name, SPAN("grpc-status"))) p->status[stream] = number(nv);
      if (span_eq(name, SPAN("grpc-message"))) {
        (void)snprintf(p->message, sizeof p->message, "%.*s", (int)nv.valuelen, nv.value);
      }
      if (span_eq(name, SPAN(":status"))) {
        (void)snprintf(p->http_status, sizeof p->http_status, "%.*s", (int)nv.valuelen, nv.value);
      }
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
    assert_true(block.n > 0 || flags & NGHTTP2_HD_INFLATE_EMIT);
  }
  (void)nghttp2_hd_inflate_end_headers(p->hpack);
}

static uint32_t word(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void parse(peer *p, span in) {
  while (in.n) {
    assert_true(in.n >= 9);
    size_t n = word(in.p) >> 8;
    uint32_t stream = word(in.p + 5);
    span payload = span_of(in.p + 9, n);
    assert_true(in.n >= 9 + n);
    size_t slot = MIN(stream, ARRAY_LEN(p->status) - 1);
    if (in.p[3] == HEADERS) on_headers(p, (uint32_t)slot, payload);
    if (in.p[3] == DATA) p->data_bytes += n;
    if (in.p[3] == RST) p->rst[slot] = (int)word(payload.p);
    if (in.p[3] == GOAWAY) p->goaway = (int)word(payload.p + 4);
    if ((in.p[3] == PING || in.p[3] == SETTINGS) && in.p[4] & ACK) p->acks++;
    in = span_of(in.p + 9 + n, in.n - 9 - n);
  }
}

void peer_flush(peer *p) {
  if (p->open) p->open = rpc_conn_feed(p->conn, buf_span(&p->out));
  buf_clear(&p->out);
  buf answer = BUF_INIT;
  rpc_conn_pull(p->conn, SIZE_MAX, &answer);
  if (rpc_conn_finished(p->conn)) p->open = false;
  parse(p, buf_span(&answer));
  buf_release(&answer);
}

peer *peer_new(rpc_core *core) {
  peer *p = mem_new(peer);
  p->core = core;
  p->conn = rpc_conn_new(core);
  p->open = true;
  p->goaway = -1;
  for (size_t i = 0; i < ARRAY_LEN(p->status); i++) p->status[i] = p->rst[i] = -1;
  assert_int_equal(nghttp2_hd_inflate_new(&p->hpack), 0);
  buf_adds(&p->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  peer_frame(p, SETTINGS, 0, 0, SPAN(""));
  return p;
}

void peer_free(peer *p) {
  rpc_conn_free(p->conn);
  nghttp2_hd_inflate_del(p->hpack);
  buf_release(&p->out);
  mem_free(p);
}

/* --- writing requests --- */

void peer_header(buf *b, const char *name, const char *value) {
  size_t n = strlen(value);
  buf_addb(b, 0);
  buf_addb(b, (uint8_t)strlen(name));
  buf_adds(b, name);
  if (n < 127) {
    buf_addb(b, (uint8_t)n);
  } else {
    buf_addb(b, 127);
    for (n -= 127; n >= 128; n >>= 7) buf_addb(b, (uint8_t)(n | 128));
    buf_addb(b, (uint8_t)n);
  }
  buf_adds(b, value);
}

void peer_start_headers(buf *b, const char *method, const char *path) {
  peer_header(b, ":method", method);
  peer_header(b, ":scheme", "http");
  peer_header(b, ":path", path);
  peer_header(b, ":authority", "x");
}

void peer_open_with(peer *p, uint32_t stream, const char *path, int flags, const char *name,
                    const char *value) {
  buf b = BUF_INIT;
  peer_start_headers(&b, "POST", path);
  peer_header(&b, "content-type", "application/grpc");
  if (name) peer_header(&b, name, value);
  peer_frame(p, HEADERS, END_HEADERS | flags, stream, buf_span(&b));
  buf_release(&b);
}

void peer_open(peer *p, uint32_t stream, const char *path) {
  peer_open_with(p, stream, path, 0, NULL, NULL);
}

const span peer_hello = SPAN_INIT("\0\0\0\0\5hello");

void peer_call(peer *p, uint32_t stream, const char *path) {
  peer_open(p, stream, path);
  peer_frame(p, DATA, END_STREAM, stream, peer_hello);
}

void peer_works(peer *p, uint32_t stream) {
  peer_call(p, stream, "/t.S/Echo");
  peer_flush(p);
  assert_int_equal(p->status[stream], 0);
}

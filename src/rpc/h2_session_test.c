/* Connections fed with frames written by hand: what honest clients never send. No sockets, and the
 * clock stands still unless a test moves it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "rpc/core.h"

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

static int64_t now_ns;
static int64_t test_clock(void) { return now_ns; }

/* --- the server under test --- */

typedef struct parked_call {
  rpc_call *call;
} parked_call;

static size_t n_handled, n_gone, n_parked;
static rpc_call *last_parked;

static void echo(void *ctx, rpc_call *c) {
  n_handled++;
  rpc_reply(c, rpc_request(c));
}

static void large(void *ctx, rpc_call *c) {
  const span message = span_of(arena_zalloc(rpc_arena(c), 100000), 100000);
  rpc_reply(c, &message);
}

static void gone(rpc_call *c, void *arg) {
  n_gone++;
  n_parked--;
  arena a = ARENA_INIT;
  rpc_fail(c, ERR(&a, CANCELLED, "gone"));
  arena_release(&a);
}

static void park(void *ctx, rpc_call *c) {
  n_handled++;
  n_parked++;
  rpc_park(c);
  rpc_on_gone(c, gone, NULL);
  last_parked = c;
}

static const rpc_method methods[] = {
    {.name = "Echo", .handle = echo},
    {.name = "Large", .handle = large},
    {.name = "Poll", .handle = park, .long_poll = true},
    {.name = "Wait", .handle = park},
    {.name = "Start", .handle = echo, .shed_first = true},
};
static const rpc_service service = {"t.S", methods, ARRAY_LEN(methods), NULL};

/* A connection and what it has answered. */
typedef struct peer {
  rpc_core *core;
  rpc_conn *conn;
  buf out; /* to be fed */
  nghttp2_hd_inflater *hpack;
  bool open;
  int status[64], rst[64]; /* by stream id, -1: none */
  char message[300];       /* the last grpc-message */
  char http_status[8];
  int goaway;
  size_t data_bytes, acks;
} peer;

static rpc_core *core_new(const rpc_limits *limits) {
  rpc_core *core = mem_new(rpc_core);
  now_ns = NS_PER_SEC;
  n_handled = n_gone = n_parked = 0;
  rpc_core_init(core, limits ? limits : &rpc_default_limits, &service, 1, test_clock);
  return core;
}

static void core_free(rpc_core *core) {
  assert_int_equal(core->held_bytes, 0);
  rpc_core_release(core);
  mem_free(core);
}

static void frame(peer *p, int type, int flags, uint32_t stream, span payload) {
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

static void on_headers(peer *p, uint32_t stream, span block) {
  for (;;) {
    nghttp2_nv nv;
    int flags = 0;
    ssize_t n = nghttp2_hd_inflate_hd2(p->hpack, &nv, &flags, block.p, block.n, 1);
    assert_true(n >= 0);
    block = span_of(block.p + n, block.n - (size_t)n);
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      span name = span_of(nv.name, nv.namelen);
      if (span_eq(name, SPAN("grpc-status"))) p->status[stream] = atoi((const char *)nv.value);
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

/* Feeds what was written and reads the answers. */
static void send_all(peer *p) {
  if (p->open) p->open = rpc_conn_feed(p->conn, buf_span(&p->out));
  buf_clear(&p->out);
  buf answer = BUF_INIT;
  rpc_conn_pull(p->conn, SIZE_MAX, &answer);
  if (rpc_conn_finished(p->conn)) p->open = false;
  parse(p, buf_span(&answer));
  buf_release(&answer);
}

static peer *peer_new(rpc_core *core) {
  peer *p = mem_new(peer);
  p->core = core;
  p->conn = rpc_conn_new(core);
  p->open = true;
  p->goaway = -1;
  for (size_t i = 0; i < ARRAY_LEN(p->status); i++) p->status[i] = p->rst[i] = -1;
  assert_int_equal(nghttp2_hd_inflate_new(&p->hpack), 0);
  buf_adds(&p->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  frame(p, SETTINGS, 0, 0, SPAN(""));
  return p;
}

static void peer_free(peer *p) {
  rpc_conn_free(p->conn);
  nghttp2_hd_inflate_del(p->hpack);
  buf_release(&p->out);
  mem_free(p);
}

/* --- writing requests --- */

/* A header as an HPACK literal that enters no table. */
static void header(buf *b, const char *name, const char *value) {
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

static void start_headers(buf *b, const char *method, const char *path) {
  header(b, ":method", method);
  header(b, ":scheme", "http");
  header(b, ":path", path);
  header(b, ":authority", "x");
}

/* Headers of a good call, plus one more if `name` is set. */
static void open_call_with(peer *p, uint32_t stream, const char *path, int flags, const char *name,
                           const char *value) {
  buf b = BUF_INIT;
  start_headers(&b, "POST", path);
  header(&b, "content-type", "application/grpc");
  if (name) header(&b, name, value);
  frame(p, HEADERS, END_HEADERS | flags, stream, buf_span(&b));
  buf_release(&b);
}

static void open_call(peer *p, uint32_t stream, const char *path) {
  open_call_with(p, stream, path, 0, NULL, NULL);
}

static const span hello = SPAN_INIT("\0\0\0\0\5hello");

static void call(peer *p, uint32_t stream, const char *path) {
  open_call(p, stream, path);
  frame(p, DATA, END_STREAM, stream, hello);
}

/* --- the table of hostile input --- */

typedef struct outcome {
  int status, rst, goaway; /* -1: none; of stream 1 */
  const char *message;
} outcome;

static void get_method(peer *p) {
  buf b = BUF_INIT;
  start_headers(&b, "GET", "/t.S/Echo");
  header(&b, "content-type", "application/grpc");
  frame(p, HEADERS, END_HEADERS | END_STREAM, 1, buf_span(&b));
  buf_release(&b);
}
static void wrong_type(peer *p) {
  buf b = BUF_INIT;
  start_headers(&b, "POST", "/t.S/Echo");
  header(&b, "content-type", "text/html");
  frame(p, HEADERS, END_HEADERS | END_STREAM, 1, buf_span(&b));
  buf_release(&b);
}
static void wrong_timeout(peer *p) {
  open_call_with(p, 1, "/t.S/Echo", END_STREAM, "grpc-timeout", "never");
}
static void no_time(peer *p) {
  open_call_with(p, 1, "/t.S/Echo", 0, "grpc-timeout", "0m");
  frame(p, DATA, END_STREAM, 1, hello);
}
static void unknown_encoding(peer *p) {
  open_call_with(p, 1, "/t.S/Echo", 0, "grpc-encoding", "br");
}
static void unknown_method(peer *p) { call(p, 1, "/t.S/Nothing"); }
static void unknown_service(peer *p) { call(p, 1, "/t.T/Echo"); }
static void no_body(peer *p) { open_call_with(p, 1, "/t.S/Echo", END_STREAM, NULL, NULL); }
static void half_prefix(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, END_STREAM, 1, SPAN("\0\0\0"));
}
static void half_message(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, END_STREAM, 1, SPAN("\0\0\0\0\11half"));
}
static void large_message(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, 0, 1, SPAN("\0\0\100\0\1abc"));
}
static void largest_message(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, 0, 1, SPAN("\0\377\377\377\377abc"));
}
static void unknown_flag(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, END_STREAM, 1, SPAN("\7\0\0\0\1a"));
}
static void compressed_unsaid(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, END_STREAM, 1, SPAN("\1\0\0\0\1a"));
}
static void not_gzip(peer *p) {
  open_call_with(p, 1, "/t.S/Echo", 0, "grpc-encoding", "gzip");
  frame(p, DATA, END_STREAM, 1, SPAN("\1\0\0\0\5abcde"));
}
static void gzip_bomb(peer *p) {
  grpc_gzip *g = grpc_gzip_new();
  buf plain = BUF_INIT, packed = BUF_INIT;
  size_t n = 16 * 1024 * 1024;
  memset(buf_reserve(&plain, n), 0, n);
  plain.n = n;
  grpc_gzip_deflate(g, buf_span(&plain), &packed);
  const uint8_t prefix[5] = {1, 0, (uint8_t)(packed.n >> 16), (uint8_t)(packed.n >> 8),
                             (uint8_t)packed.n};
  open_call_with(p, 1, "/t.S/Echo", 0, "grpc-encoding", "gzip");
  frame(p, DATA, 0, 1, span_of(prefix, 5));
  for (size_t i = 0; i < packed.n; i += 16000) {
    frame(p, DATA, 0, 1, span_of(packed.p + i, MIN(packed.n - i, (size_t)16000)));
  }
  frame(p, DATA, END_STREAM, 1, SPAN(""));
  buf_release(&plain);
  buf_release(&packed);
  grpc_gzip_free(g);
}
static void large_headers(peer *p) {
  static char value[14000];
  memset(value, 'v', sizeof value - 1);
  buf b = BUF_INIT;
  start_headers(&b, "POST", "/t.S/Echo");
  header(&b, "a", value);
  frame(p, HEADERS, END_STREAM, 1, buf_span(&b));
  buf_clear(&b);
  header(&b, "b", value);
  frame(p, CONTINUATION, END_HEADERS, 1, buf_span(&b));
  buf_release(&b);
}
/* One value in the dynamic table, then named by one byte thousands of times. */
static void header_amplification(peer *p) {
  static char value[3900];
  memset(value, 'v', sizeof value - 1);
  buf b = BUF_INIT;
  start_headers(&b, "POST", "/t.S/Echo");
  size_t at = b.n;
  header(&b, "a", value);
  b.p[at] = 0x40; /* with indexing */
  for (int i = 0; i < 8000; i++) buf_addb(&b, 0x80 | 62);
  frame(p, HEADERS, END_STREAM | END_HEADERS, 1, buf_span(&b));
  buf_release(&b);
}
static void endless_continuation(peer *p) {
  buf b = BUF_INIT;
  start_headers(&b, "POST", "/t.S/Echo");
  frame(p, HEADERS, END_STREAM, 1, buf_span(&b));
  for (int i = 0; i < 50; i++) frame(p, CONTINUATION, 0, 1, SPAN("\0\1a\1b"));
  buf_release(&b);
}
static void broken_hpack(peer *p) {
  frame(p, HEADERS, END_STREAM | END_HEADERS, 1, SPAN("\377\377\377\377\377\377"));
}
static void upper_case(peer *p) { open_call_with(p, 1, "/t.S/Echo", END_STREAM, "Upper", "x"); }
static void connection_header(peer *p) {
  open_call_with(p, 1, "/t.S/Echo", END_STREAM, "connection", "close");
}
static void no_path(peer *p) {
  buf b = BUF_INIT;
  header(&b, ":method", "POST");
  header(&b, ":scheme", "http");
  frame(p, HEADERS, END_HEADERS | END_STREAM, 1, buf_span(&b));
  buf_release(&b);
}
static void wrong_content_length(peer *p) {
  open_call_with(p, 1, "/t.S/Wait", 0, "content-length", "3");
  frame(p, DATA, END_STREAM, 1, hello);
}
static void even_stream(peer *p) { call(p, 2, "/t.S/Echo"); }
static void data_before_headers(peer *p) { frame(p, DATA, END_STREAM, 1, hello); }
static void stream_ids_go_back(peer *p) {
  call(p, 5, "/t.S/Echo");
  call(p, 3, "/t.S/Echo");
}
static void data_on_stream_0(peer *p) { frame(p, DATA, 0, 0, hello); }
static void too_long_frame(peer *p) {
  const uint8_t head[9] = {0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1};
  buf_add(&p->out, span_of(head, 9));
}
static void padding_too_long(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, PADDED | END_STREAM, 1, SPAN("\377abc"));
}
static void window_overflow(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, WINDOW, 0, 1, SPAN("\177\377\377\377"));
}
static void connection_window_overflow(peer *p) {
  frame(p, WINDOW, 0, 0, SPAN("\177\377\377\377"));
}
static void window_of_zero(peer *p) { frame(p, WINDOW, 0, 0, SPAN("\0\0\0\0")); }
static void settings_wrong_size(peer *p) { frame(p, SETTINGS, 0, 0, SPAN("abc")); }
static void settings_bad_value(peer *p) { frame(p, SETTINGS, 0, 0, SPAN("\0\4\377\377\377\377")); }
static void settings_too_many(peer *p) {
  buf b = BUF_INIT;
  for (int i = 0; i < 40; i++) buf_add(&b, SPAN("\0\3\0\0\0\1"));
  frame(p, SETTINGS, 0, 0, buf_span(&b));
  buf_release(&b);
}
static void push_promise(peer *p) {
  open_call(p, 1, "/t.S/Echo");
  frame(p, PUSH, END_HEADERS, 1, SPAN("\0\0\0\2"));
}
static void ping_wrong_size(peer *p) { frame(p, PING, 0, 0, SPAN("abc")); }
static void headers_interleaved(peer *p) {
  frame(p, HEADERS, 0, 1, SPAN("\0\1a\1b"));
  frame(p, PING, 0, 0, SPAN("12345678"));
}
static void unknown_frame(peer *p) {
  frame(p, 77, 255, 1, SPAN("whatever"));
  call(p, 1, "/t.S/Echo");
}

static const struct {
  const char *name;
  void (*write)(peer *p);
  outcome want;
} hostile[] = {
    {"GET",
     get_method,
     {13, -1, -1, "Received a HEADERS frame with :method \"GET\" which should be POST"}},
    {"wrong content-type",
     wrong_type,
     {3, -1, -1, "invalid gRPC request content-type \"text/html\""}},
    {"wrong grpc-timeout",
     wrong_timeout,
     {13, -1, -1, "malformed grpc-timeout: transport: timeout unit is not recognized: \"never\""}},
    {"timeout of zero", no_time, {4, -1, -1, "context deadline exceeded"}},
    {"unknown encoding",
     unknown_encoding,
     {12, 0, -1, "grpc: Decompressor is not installed for grpc-encoding \"br\""}},
    {"unknown method", unknown_method, {12, -1, -1, "unknown method Nothing for service t.S"}},
    {"unknown service", unknown_service, {12, -1, -1, "unknown service t.T"}},
    {"no body", no_body, {2, -1, -1, "EOF"}},
    {"half a prefix", half_prefix, {2, -1, -1, "EOF"}},
    {"half a message", half_message, {2, -1, -1, "unexpected EOF"}},
    {"message over the limit",
     large_message,
     {8, 0, -1, "grpc: received message larger than max (4194305 vs. 4194304)"}},
    {"message of 4 GiB",
     largest_message,
     {8, 0, -1, "grpc: received message larger than max (4294967295 vs. 4194304)"}},
    {"unknown message flag",
     unknown_flag,
     {13, -1, -1, "grpc: received unexpected payload format 7"}},
    {"compressed without encoding",
     compressed_unsaid,
     {13, -1, -1, "grpc: compressed flag set with identity or empty encoding"}},
    {"gzip that is none",
     not_gzip,
     {13, -1, -1, "grpc: failed to decompress the message: invalid gzip data"}},
    {"gzip bomb",
     gzip_bomb,
     {8, -1, -1, "grpc: received message after decompression larger than max 4194304"}},
    {"large headers",
     large_headers,
     {8, -1, -1, "request headers are larger than the limit of 16384 bytes"}},
    {"header amplification", header_amplification, {-1, -1, 11, NULL}},
    {"endless CONTINUATION", endless_continuation, {-1, -1, 11, NULL}},
    {"broken HPACK", broken_hpack, {-1, -1, 9, NULL}},
    {"upper-case header", upper_case, {-1, 1, -1, NULL}},
    {"connection header", connection_header, {-1, 1, -1, NULL}},
    {"no path", no_path, {-1, 1, -1, NULL}},
    {"wrong content-length", wrong_content_length, {-1, 1, -1, NULL}},
    {"even stream id", even_stream, {-1, -1, 1, NULL}},
    {"DATA before HEADERS", data_before_headers, {-1, -1, 1, NULL}},
    {"stream ids go back", stream_ids_go_back, {-1, -1, -1, NULL}},
    {"DATA on stream 0", data_on_stream_0, {-1, -1, 1, NULL}},
    {"frame over the maximum", too_long_frame, {-1, -1, 6, NULL}},
    {"padding beyond the frame", padding_too_long, {-1, -1, 1, NULL}},
    {"stream window overflow", window_overflow, {-1, 3, -1, NULL}},
    {"connection window overflow", connection_window_overflow, {-1, -1, 3, NULL}},
    {"WINDOW_UPDATE of 0", window_of_zero, {-1, -1, 1, NULL}},
    {"SETTINGS of a wrong size", settings_wrong_size, {-1, -1, 6, NULL}},
    {"SETTINGS with a bad value", settings_bad_value, {-1, -1, 3, NULL}},
    {"SETTINGS with 40 entries", settings_too_many, {-1, -1, 11, NULL}},
    {"PUSH_PROMISE", push_promise, {-1, -1, 1, NULL}},
    {"PING of a wrong size", ping_wrong_size, {-1, -1, 6, NULL}},
    {"frame inside a header block", headers_interleaved, {-1, -1, 1, NULL}},
    {"unknown frame type", unknown_frame, {0, -1, -1, NULL}},
};

static void healthy(rpc_core *core, peer *p, uint32_t stream) {
  call(p, stream, "/t.S/Echo");
  send_all(p);
  assert_int_equal(p->status[stream], 0);
}

TEST(hostile_input_gets_its_answer_and_harms_nobody) {
  for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
    rpc_core *core = core_new(NULL);
    peer *good = peer_new(core), *bad = peer_new(core);
    healthy(core, good, 1);
    const outcome *want = &hostile[i].want;
    hostile[i].write(bad);
    send_all(bad);
    send_all(bad);
    if (bad->status[1] != want->status || bad->rst[1] != want->rst || bad->goaway != want->goaway ||
        (want->message && strcmp(bad->message, want->message))) {
      fail_msg("%s: status %d, reset %d, goaway %d, message '%s'", hostile[i].name, bad->status[1],
               bad->rst[1], bad->goaway, bad->message);
    }
    healthy(core, good, 3);
    if (want->goaway < 0 && bad->open) healthy(core, bad, 7);
    peer_free(bad);
    healthy(core, good, 5);
    peer_free(good);
    core_free(core);
  }
}

/* The same bytes one at a time end the same way. */
TEST(input_may_be_cut_anywhere) {
  for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
    if (hostile[i].write == gzip_bomb) continue;
    rpc_core *core = core_new(NULL);
    peer *p = peer_new(core);
    hostile[i].write(p);
    buf all = p->out;
    p->out = (buf)BUF_INIT;
    for (size_t k = 0; k < all.n && p->open; k++) {
      buf_addb(&p->out, all.p[k]);
      send_all(p);
    }
    send_all(p);
    if (p->status[1] != hostile[i].want.status || p->goaway != hostile[i].want.goaway) {
      fail_msg("%s: status %d, goaway %d", hostile[i].name, p->status[1], p->goaway);
    }
    buf_release(&all);
    peer_free(p);
    core_free(core);
  }
}

/* --- floods: many frames that are fine by themselves --- */

static bool survives(void (*write)(peer *p, uint32_t i), uint32_t n) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  size_t before = mem_in_use_bytes();
  for (uint32_t i = 0; i < n && p->open; i++) {
    write(p, i);
    if (p->out.n > 30000) send_all(p);
  }
  send_all(p);
  bool alive = p->open;
  if (!alive && p->goaway != 11) fail_msg("goaway %d instead of ENHANCE_YOUR_CALM", p->goaway);
  assert_true(mem_in_use_bytes() - before < 512 * 1024);
  peer_free(p);
  core_free(core);
  return alive;
}

static void ping(peer *p, uint32_t i) { frame(p, PING, 0, 0, SPAN("12345678")); }
static void settings(peer *p, uint32_t i) { frame(p, SETTINGS, 0, 0, SPAN("")); }
static void priority(peer *p, uint32_t i) { frame(p, PRIORITY, 0, 2 * i + 1, SPAN("\0\0\0\0\1")); }
static void small_window(peer *p, uint32_t i) { frame(p, WINDOW, 0, 0, SPAN("\0\0\0\1")); }
static void empty_data(peer *p, uint32_t i) {
  if (i == 0) open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, 0, 1, SPAN(""));
}
static void open_and_reset(peer *p, const char *path, uint32_t i) {
  call(p, 2 * i + 1, path);
  frame(p, RST, 0, 2 * i + 1, SPAN("\0\0\0\10"));
}
static void rapid_reset(peer *p, uint32_t i) { open_and_reset(p, "/t.S/Wait", i); }
static void cancelled_poll(peer *p, uint32_t i) { open_and_reset(p, "/t.S/Poll", i); }
static void forced_reset(peer *p, uint32_t i) {
  open_call(p, 2 * i + 1, "/t.S/Wait");
  frame(p, WINDOW, 0, 2 * i + 1, SPAN("\177\377\377\377"));
}
static void echo_with_pings(peer *p, uint32_t i) {
  call(p, 2 * i + 1, "/t.S/Echo");
  if (i % 100 == 0) frame(p, WINDOW, 0, 0, SPAN("\0\0\20\0"));
  for (int k = 0; k < 3; k++) frame(p, PING, 0, 0, SPAN("12345678"));
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
  rpc_core *core = core_new(&limits);
  peer *p = peer_new(core);
  static uint8_t part[16000];
  static const uint8_t prefix[5] = {0, 0, 1, 0x86, 0xa0}; /* 100,000 bytes */
  for (uint32_t i = 0; i < 10; i++) {
    open_call(p, 2 * i + 1, "/t.S/Echo");
    frame(p, DATA, 0, 2 * i + 1, span_of(prefix, 5));
    for (int k = 0; k < 5; k++) frame(p, DATA, 0, 2 * i + 1, span_of(part, sizeof part));
    send_all(p);
    assert_true(p->conn->held_bytes < 400 * 1024);
  }
  assert_int_equal(p->status[1], -1);
  assert_int_equal(p->status[19], ERR_RESOURCE_EXHAUSTED);
  assert_non_null(strstr(p->message, "this connection's unanswered requests hold"));
  peer_free(p);
  core_free(core);
}

TEST(when_memory_is_short_new_work_is_refused_first) {
  rpc_limits limits = rpc_default_limits;
  limits.max_total_bytes = 100 * 1024;
  rpc_core *core = core_new(&limits);
  peer *p = peer_new(core);
  send_all(p);
  uint32_t id = 1;
  while (core->held_bytes <= limits.max_total_bytes / 8 * 7) {
    call(p, id, "/t.S/Poll");
    id += 2;
    send_all(p);
  }
  call(p, id, "/t.S/Start");
  call(p, id + 2, "/t.S/Echo");
  send_all(p);
  assert_int_equal(p->status[63], 0);
  assert_non_null(strstr(p->message, "the server's unanswered requests hold"));
  peer_free(p);
  core_free(core);
}

static size_t parked_bytes(size_t connections, size_t calls) {
  rpc_limits limits = rpc_default_limits;
  rpc_core *core = core_new(&limits);
  peer **p = mem_zalloc(connections * sizeof(peer *));
  for (size_t i = 0; i < connections; i++) {
    p[i] = peer_new(core);
    call(p[i], 1, "/t.S/Echo");
    send_all(p[i]);
    buf_release(&p[i]->out);
  }
  size_t before = mem_in_use_bytes();
  for (size_t i = 0; i < calls; i++) {
    peer *x = p[i % connections];
    call(x, (uint32_t)(2 * (i / connections) + 3), "/t.S/Poll");
    send_all(x);
    buf_release(&x->out);
  }
  assert_int_equal(n_parked, calls);
  size_t each = (mem_in_use_bytes() - before) / calls;
  printf("%zu parked calls on %zu connections: %zu bytes each, counted as %zu\n", calls,
         connections, each, core->held_bytes / calls);
  for (size_t i = 0; i < connections; i++) peer_free(p[i]);
  assert_int_equal(n_parked, 0);
  mem_free(p);
  core_free(core);
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
  rpc_core *core = core_new(&limits);
  peer *p = peer_new(core);
  for (uint32_t i = 0; i < 4; i++) call(p, 2 * i + 1, "/t.S/Poll");
  send_all(p);
  assert_int_equal(p->rst[7], 7); /* REFUSED_STREAM */
  assert_int_equal(n_parked, 3);
  peer_free(p);
  core_free(core);
}

/* --- time --- */

TEST(a_request_that_never_ends_is_ended) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, 0, 1, SPAN("\0\0\0\0\11half"));
  send_all(p);
  now_ns += 30 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, now_ns));
  send_all(p);
  assert_int_equal(p->status[1], -1);
  now_ns += 31 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, now_ns));
  send_all(p);
  assert_int_equal(p->status[1], ERR_DEADLINE_EXCEEDED);
  peer_free(p);
  core_free(core);
}

TEST(an_answer_that_is_not_taken_is_dropped) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  frame(p, SETTINGS, 0, 0, SPAN("\0\4\0\0\0\0")); /* a window of nothing */
  call(p, 1, "/t.S/Large");
  call(p, 3, "/t.S/Large");
  send_all(p);
  assert_int_equal(p->data_bytes, 0);
  assert_true(core->held_bytes > 200000);
  now_ns += 61 * NS_PER_SEC;
  frame(p, PING, 0, 0, SPAN("12345678"));
  send_all(p);
  assert_true(rpc_conn_check_time(p->conn, now_ns));
  send_all(p);
  assert_int_equal(p->rst[1], 8);
  assert_int_equal(p->rst[3], 8);
  assert_true(core->held_bytes < 20000);
  peer_free(p);
  core_free(core);
}

TEST(a_silent_peer_is_asked_and_then_left) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  call(p, 1, "/t.S/Poll");
  send_all(p);
  now_ns += 61 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, now_ns));
  buf out = BUF_INIT;
  rpc_conn_pull(p->conn, SIZE_MAX, &out);
  assert_int_equal(out.n, 17); /* a PING */
  frame(p, PING, ACK, 0, span_of(out.p + 9, 8));
  now_ns += 10 * NS_PER_SEC;
  send_all(p);
  now_ns += 50 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, now_ns));
  now_ns += 11 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(p->conn, now_ns));
  now_ns += 21 * NS_PER_SEC;
  assert_false(rpc_conn_check_time(p->conn, now_ns));
  buf_release(&out);
  peer_free(p);
  assert_int_equal(n_gone, 1);
  core_free(core);
}

TEST(idle_connections_are_closed) {
  rpc_core *core = core_new(NULL);
  peer *fresh = peer_new(core), *idle = peer_new(core);
  send_all(fresh);
  healthy(core, idle, 1);
  now_ns += 11 * NS_PER_SEC;
  assert_true(rpc_conn_check_time(fresh->conn, now_ns));
  assert_true(rpc_conn_check_time(idle->conn, now_ns));
  send_all(fresh);
  assert_int_equal(fresh->goaway, 0);
  assert_false(fresh->open);
  for (int i = 0; i < 20; i++) {
    now_ns += 31 * NS_PER_SEC;
    frame(idle, PING, 0, 0, SPAN("12345678"));
    send_all(idle);
    assert_true(rpc_conn_check_time(idle->conn, now_ns));
  }
  send_all(idle);
  assert_int_equal(idle->goaway, 0);
  assert_false(idle->open);
  peer_free(fresh);
  peer_free(idle);
  core_free(core);
}

TEST(deadlines_pass_in_order) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  static const char *const timeouts[] = {"3S", "1S", "2S"};
  for (uint32_t i = 0; i < 3; i++) {
    open_call_with(p, 2 * i + 1, "/t.S/Poll", 0, "grpc-timeout", timeouts[i]);
    frame(p, DATA, END_STREAM, 2 * i + 1, hello);
  }
  send_all(p);
  int64_t start = now_ns;
  assert_int_equal(rpc_core_expire(core, now_ns), start + NS_PER_SEC);
  now_ns += NS_PER_SEC;
  assert_int_equal(rpc_core_expire(core, now_ns), start + 2 * NS_PER_SEC);
  send_all(p);
  assert_int_equal(p->status[3], ERR_DEADLINE_EXCEEDED);
  assert_int_equal(p->status[1], -1);
  assert_int_equal(n_gone, 1);
  now_ns += 5 * NS_PER_SEC;
  assert_int_equal(rpc_core_expire(core, now_ns), INT64_MAX);
  assert_int_equal(n_gone, 3);
  peer_free(p);
  core_free(core);
}

TEST(a_message_is_handled_before_its_stream_ends) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  open_call(p, 1, "/t.S/Echo");
  frame(p, DATA, 0, 1, hello);
  send_all(p);
  assert_int_equal(p->status[1], 0);
  assert_int_equal(p->rst[1], 0); /* NO_ERROR: send no more */
  open_call(p, 3, "/t.S/Echo");
  frame(p, DATA, END_STREAM, 3, SPAN("\0\0\0\0\1abcdef"));
  send_all(p);
  assert_int_equal(p->status[3], 0);
  assert_int_equal(n_handled, 2);
  peer_free(p);
  core_free(core);
}

TEST(end_lets_open_calls_finish) {
  rpc_core *core = core_new(NULL);
  peer *p = peer_new(core);
  call(p, 1, "/t.S/Poll");
  send_all(p);
  rpc_conn_announce_end(p->conn);
  send_all(p);
  assert_int_equal(p->goaway, 0);
  call(p, 3, "/t.S/Echo"); /* was under way */
  send_all(p);
  assert_int_equal(p->status[3], 0);
  rpc_conn_end(p->conn);
  send_all(p);
  call(p, 5, "/t.S/Echo");
  send_all(p);
  assert_int_equal(p->status[5], -1);
  assert_true(p->open);
  const span message = SPAN("done");
  rpc_reply(last_parked, &message);
  send_all(p);
  assert_int_equal(p->status[1], 0);
  assert_false(p->open);
  peer_free(p);
  core_free(core);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_input_gets_its_answer_and_harms_nobody),
      cmocka_unit_test(input_may_be_cut_anywhere),
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

/* What honest clients never send, and the answer it gets. */
#include "rpc/test_peer.h"

/* --- the table of hostile input --- */

typedef struct outcome {
  int status, rst, goaway; /* -1: none; of stream 1 */
  const char *message;
} outcome;

static void get_method(peer *p) {
  buf b = BUF_INIT;
  peer_start_headers(&b, "GET", "/t.S/Echo");
  peer_header(&b, "content-type", "application/grpc");
  peer_frame(p, HEADERS, END_HEADERS | END_STREAM, 1, buf_span(&b));
  buf_release(&b);
}
static void wrong_type(peer *p) {
  buf b = BUF_INIT;
  peer_start_headers(&b, "POST", "/t.S/Echo");
  peer_header(&b, "content-type", "text/html");
  peer_frame(p, HEADERS, END_HEADERS | END_STREAM, 1, buf_span(&b));
  buf_release(&b);
}
static void wrong_timeout(peer *p) {
  peer_open_with(p, 1, "/t.S/Echo", END_STREAM, "grpc-timeout", "never");
}
static void no_time(peer *p) {
  peer_open_with(p, 1, "/t.S/Echo", 0, "grpc-timeout", "0m");
  peer_frame(p, DATA, END_STREAM, 1, peer_hello);
}
static void unknown_encoding(peer *p) {
  peer_open_with(p, 1, "/t.S/Echo", 0, "grpc-encoding", "br");
}
static void unknown_method(peer *p) { peer_call(p, 1, "/t.S/Nothing"); }
static void unknown_service(peer *p) { peer_call(p, 1, "/t.T/Echo"); }
static void no_body(peer *p) { peer_open_with(p, 1, "/t.S/Echo", END_STREAM, NULL, NULL); }
static void half_prefix(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, END_STREAM, 1, SPAN("\0\0\0"));
}
static void half_message(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, END_STREAM, 1, SPAN("\0\0\0\0\11half"));
}
static void large_message(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, 0, 1, SPAN("\0\0\100\0\1abc"));
}
static void largest_message(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, 0, 1, SPAN("\0\377\377\377\377abc"));
}
static void unknown_flag(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, END_STREAM, 1, SPAN("\7\0\0\0\1a"));
}
static void compressed_unsaid(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, END_STREAM, 1, SPAN("\1\0\0\0\1a"));
}
static void not_gzip(peer *p) {
  peer_open_with(p, 1, "/t.S/Echo", 0, "grpc-encoding", "gzip");
  peer_frame(p, DATA, END_STREAM, 1, SPAN("\1\0\0\0\5abcde"));
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
  peer_open_with(p, 1, "/t.S/Echo", 0, "grpc-encoding", "gzip");
  peer_frame(p, DATA, 0, 1, span_of(prefix, 5));
  for (size_t i = 0; i < packed.n; i += 16000) {
    peer_frame(p, DATA, 0, 1, span_of(packed.p + i, MIN(packed.n - i, (size_t)16000)));
  }
  peer_frame(p, DATA, END_STREAM, 1, SPAN(""));
  buf_release(&plain);
  buf_release(&packed);
  grpc_gzip_free(g);
}
static void large_headers(peer *p) {
  static char value[14000];
  memset(value, 'v', sizeof value - 1);
  buf b = BUF_INIT;
  peer_start_headers(&b, "POST", "/t.S/Echo");
  peer_header(&b, "a", value);
  peer_frame(p, HEADERS, END_STREAM, 1, buf_span(&b));
  buf_clear(&b);
  peer_header(&b, "b", value);
  peer_frame(p, CONTINUATION, END_HEADERS, 1, buf_span(&b));
  buf_release(&b);
}
/* One value in the dynamic table, then named by one byte thousands of times. */
static void header_amplification(peer *p) {
  static char value[3900];
  memset(value, 'v', sizeof value - 1);
  buf b = BUF_INIT;
  peer_start_headers(&b, "POST", "/t.S/Echo");
  size_t at = b.n;
  peer_header(&b, "a", value);
  b.p[at] = 0x40; /* with indexing */
  for (int i = 0; i < 8000; i++) buf_addb(&b, 0x80 | 62);
  peer_frame(p, HEADERS, END_STREAM | END_HEADERS, 1, buf_span(&b));
  buf_release(&b);
}
static void endless_continuation(peer *p) {
  buf b = BUF_INIT;
  peer_start_headers(&b, "POST", "/t.S/Echo");
  peer_frame(p, HEADERS, END_STREAM, 1, buf_span(&b));
  for (int i = 0; i < 50; i++) peer_frame(p, CONTINUATION, 0, 1, SPAN("\0\1a\1b"));
  buf_release(&b);
}
static void broken_hpack(peer *p) {
  peer_frame(p, HEADERS, END_STREAM | END_HEADERS, 1, SPAN("\377\377\377\377\377\377"));
}
static void upper_case(peer *p) { peer_open_with(p, 1, "/t.S/Echo", END_STREAM, "Upper", "x"); }
static void connection_header(peer *p) {
  peer_open_with(p, 1, "/t.S/Echo", END_STREAM, "connection", "close");
}
static void no_path(peer *p) {
  buf b = BUF_INIT;
  peer_header(&b, ":method", "POST");
  peer_header(&b, ":scheme", "http");
  peer_frame(p, HEADERS, END_HEADERS | END_STREAM, 1, buf_span(&b));
  buf_release(&b);
}
static void wrong_content_length(peer *p) {
  peer_open_with(p, 1, "/t.S/Wait", 0, "content-length", "3");
  peer_frame(p, DATA, END_STREAM, 1, peer_hello);
}
static void even_stream(peer *p) { peer_call(p, 2, "/t.S/Echo"); }
static void data_before_headers(peer *p) { peer_frame(p, DATA, END_STREAM, 1, peer_hello); }
static void stream_ids_go_back(peer *p) {
  peer_call(p, 5, "/t.S/Echo");
  peer_call(p, 3, "/t.S/Echo");
}
static void data_on_stream_0(peer *p) { peer_frame(p, DATA, 0, 0, peer_hello); }
static void too_long_frame(peer *p) {
  const uint8_t head[9] = {0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1};
  buf_add(&p->out, span_of(head, 9));
}
static void padding_too_long(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, DATA, PADDED | END_STREAM, 1, SPAN("\377abc"));
}
static void window_overflow(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, WINDOW, 0, 1, SPAN("\177\377\377\377"));
}
static void connection_window_overflow(peer *p) {
  peer_frame(p, WINDOW, 0, 0, SPAN("\177\377\377\377"));
}
static void window_of_zero(peer *p) { peer_frame(p, WINDOW, 0, 0, SPAN("\0\0\0\0")); }
static void settings_wrong_size(peer *p) { peer_frame(p, SETTINGS, 0, 0, SPAN("abc")); }
static void settings_bad_value(peer *p) {
  peer_frame(p, SETTINGS, 0, 0, SPAN("\0\4\377\377\377\377"));
}
static void settings_too_many(peer *p) {
  buf b = BUF_INIT;
  for (int i = 0; i < 40; i++) buf_add(&b, SPAN("\0\3\0\0\0\1"));
  peer_frame(p, SETTINGS, 0, 0, buf_span(&b));
  buf_release(&b);
}
static void push_promise(peer *p) {
  peer_open(p, 1, "/t.S/Echo");
  peer_frame(p, PUSH, END_HEADERS, 1, SPAN("\0\0\0\2"));
}
static void ping_wrong_size(peer *p) { peer_frame(p, PING, 0, 0, SPAN("abc")); }
static void headers_interleaved(peer *p) {
  peer_frame(p, HEADERS, 0, 1, SPAN("\0\1a\1b"));
  peer_frame(p, PING, 0, 0, SPAN("12345678"));
}
static void unknown_frame(peer *p) {
  peer_frame(p, 77, 255, 1, SPAN("whatever"));
  peer_call(p, 1, "/t.S/Echo");
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

TEST(hostile_input_gets_its_answer_and_harms_nobody) {
  for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
    rpc_core *core = peer_core_new(NULL);
    peer *good = peer_new(core), *bad = peer_new(core);
    peer_works(good, 1);
    const outcome *want = &hostile[i].want;
    hostile[i].write(bad);
    peer_flush(bad);
    peer_flush(bad);
    if (bad->status[1] != want->status || bad->rst[1] != want->rst || bad->goaway != want->goaway ||
        (want->message && strcmp(bad->message, want->message))) {
      fail_msg("%s: status %d, reset %d, goaway %d, message '%s'", hostile[i].name, bad->status[1],
               bad->rst[1], bad->goaway, bad->message);
    }
    peer_works(good, 3);
    if (want->goaway < 0 && bad->open) peer_works(bad, 7);
    peer_free(bad);
    peer_works(good, 5);
    peer_free(good);
    peer_core_free(core);
  }
}

/* The same bytes one at a time end the same way. */
TEST(input_may_be_cut_anywhere) {
  for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
    if (hostile[i].write == gzip_bomb) continue;
    rpc_core *core = peer_core_new(NULL);
    peer *p = peer_new(core);
    hostile[i].write(p);
    buf all = p->out;
    p->out = (buf)BUF_INIT;
    for (size_t k = 0; k < all.n && p->open; k++) {
      buf_addb(&p->out, all.p[k]);
      peer_flush(p);
    }
    peer_flush(p);
    if (p->status[1] != hostile[i].want.status || p->goaway != hostile[i].want.goaway) {
      fail_msg("%s: status %d, goaway %d", hostile[i].name, p->status[1], p->goaway);
    }
    buf_release(&all);
    peer_free(p);
    peer_core_free(core);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_input_gets_its_answer_and_harms_nobody),
      cmocka_unit_test(input_may_be_cut_anywhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

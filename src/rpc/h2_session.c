/* One HTTP/2 connection of the server, bytes in and bytes out.
 *
 * Peers are not trusted. libnghttp2 checks the protocol; two budgets bound work that no request
 * pays for. `glitches` pays for PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA and invalid
 * frames; requests and data sent fill it up, since honest clients measure bandwidth with PINGs.
 * `resets` pays for calls ended by the client, except long polls: to cancel one is normal use. */
#include "base/log.h"
#include "base/mem.h"
#include "rpc/core.h"
#include "rpc/grpc_status.h"
#include "rpc/h2_options.h"

enum {
  STREAM_WINDOW_BYTES = 1024 * 1024,
  CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024,
  CONN_BASE_BYTES = 12 * 1024, /* what a connection costs by itself */
  LARGE_ANSWER_BYTES = 64 * 1024,
  HEADER_SLACK = 8, /* headers this many times over the limit end the connection */

  GLITCH_CAP = 10000,
  GLITCH_RATE = 1000, /* per second */
  GLITCH_PER_REQUEST = 4,
  GLITCH_BYTES_SENT = 8 * 1024, /* that many bytes sent pay for one frame */
  COST_CHEAP = 1,
  COST_SETTINGS = 10,
  COST_INVALID = 20,

  RESET_CAP = 10000,
  RESET_RATE = 1000,

  MAX_WHAT_BYTES = 8 * 1024,
  MAX_DETAIL_BYTES = 32 * 1024,
};

/* --- budgets --- */

static void give_up(rpc_conn *c, const char *why) {
  if (c->closing) return;
  LOG(WARN, "closing a connection that misbehaves", LOG_S("reason", why));
  c->closing = true;
  (void)nghttp2_session_terminate_session(c->h2, NGHTTP2_ENHANCE_YOUR_CALM);
}

static bool spend(rpc_conn *c, rpc_budget *b, int64_t cost, int64_t cap, int64_t per_sec) {
  b->tokens -= cost;
  if (b->tokens >= 0) return true;
  int64_t now = c->core->clock_ns();
  int64_t elapsed = MIN(now - b->filled_ns, 3600 * NS_PER_SEC);
  b->tokens = MIN(b->tokens + elapsed / 1000 * per_sec / 1000000, cap);
  b->filled_ns = now;
  return b->tokens >= 0;
}

static void glitch(rpc_conn *c, int64_t cost, const char *what) {
  if (!spend(c, &c->glitches, cost, GLITCH_CAP, GLITCH_RATE)) give_up(c, what);
}

static void earn(rpc_conn *c, int64_t tokens) {
  c->glitches.tokens = MIN(c->glitches.tokens + tokens, (int64_t)GLITCH_CAP);
}

/* --- what the library reports --- */

static rpc_call *call_of(rpc_conn *c, int32_t stream_id) {
  return nghttp2_session_get_stream_user_data(c->h2, stream_id);
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *arg) {
  rpc_conn *c = arg;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  rpc_call *call = rpc_call_new(c->core, c, frame->hd.stream_id);
  (void)nghttp2_session_set_stream_user_data(h2, frame->hd.stream_id, call);
  return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *arg) {
  rpc_conn *c = arg;
  rpc_call *call = call_of(c, frame->hd.stream_id);
  if (!call || call->stage != CALL_RECEIVING) return 0;
  rpc_call_header(call, span_of(name, name_bytes), span_of(value, value_bytes));
  if (call->header_bytes > c->core->limits.max_header_bytes * HEADER_SLACK) {
    give_up(c, "endless headers");
  }
  return 0;
}

static void headers_end(rpc_conn *c, const nghttp2_frame *frame) {
  rpc_call *call = call_of(c, frame->hd.stream_id);
  if (!call) return;
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    earn(c, GLITCH_PER_REQUEST);
    rpc_call_headers_done(call);
  }
}

static void request_end(rpc_conn *c, const nghttp2_frame *frame) {
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return;
  rpc_call *call = call_of(c, frame->hd.stream_id);
  if (call) rpc_call_body_done(call);
}

static void count_reset(rpc_conn *c, const nghttp2_frame *frame) {
  rpc_call *call = call_of(c, frame->hd.stream_id);
  const rpc_method *m = call ? call->entry->method : NULL;
  if (m && m->long_poll && call->stage == CALL_OPEN) return;
  if (!spend(c, &c->resets, 1, RESET_CAP, RESET_RATE)) give_up(c, "too many cancelled calls");
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg) {
  rpc_conn *c = arg;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      headers_end(c, frame);
      request_end(c, frame);
      break;
    case NGHTTP2_DATA:
      if (frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        glitch(c, COST_CHEAP, "empty DATA frames");
      }
      request_end(c, frame);
      break;
    case NGHTTP2_RST_STREAM:
      count_reset(c, frame);
      break;
    case NGHTTP2_SETTINGS:
      glitch(c, frame->hd.flags & NGHTTP2_FLAG_ACK ? COST_CHEAP : COST_SETTINGS, "SETTINGS frames");
      break;
    case NGHTTP2_PING:
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE:
    case NGHTTP2_WINDOW_UPDATE:
      glitch(c, COST_CHEAP, "frames without content");
      break;
    default:
      break;
  }
  return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t n, void *arg) {
  rpc_call *call = call_of(arg, stream_id);
  if (call) rpc_call_body(call, span_of(data, n));
  return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream_id, uint32_t code, void *arg) {
  rpc_call *call = call_of(arg, stream_id);
  if (call) rpc_call_gone(call, ERR_CANCELLED);
  return 0;
}

static int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *arg) {
  glitch(arg, COST_INVALID, "invalid frames");
  return 0;
}

/* An answer may be complete before its request: the client need not send the rest. */
static void answer_sent(rpc_conn *c, const nghttp2_frame *frame) {
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return;
  rpc_call *call = call_of(c, frame->hd.stream_id);
  if (!call || call->end_of_request) return;
  (void)nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
}

static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *arg) {
  rpc_conn *c = arg;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      answer_sent(c, frame);
      break;
    case NGHTTP2_DATA:
      earn(c, (int64_t)frame->hd.length / GLITCH_BYTES_SENT);
      break;
    case NGHTTP2_RST_STREAM:
      /* A stream that we reset was provoked by the client unless we say NO_ERROR. */
      if (frame->rst_stream.error_code == NGHTTP2_NO_ERROR) break;
      glitch(c, COST_INVALID, "frames that force a reset");
      break;
    default:
      break;
  }
  return 0;
}

nghttp2_session_callbacks *h2_server_callbacks(void) {
  nghttp2_session_callbacks *cb;
  if (nghttp2_session_callbacks_new(&cb) != 0) PANIC("out of memory");
  nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
  return cb;
}

/* --- answers --- */

static const char *const status_text[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                          "9", "10", "11", "12", "13", "14", "15", "16"};

static nghttp2_nv http_status(uint16_t status) {
  switch (status) {
    case 400:
      return H2_NV(":status", "400");
    case 405:
      return H2_NV(":status", "405");
    case 415:
      return H2_NV(":status", "415");
    default:
      return H2_NV(":status", "200");
  }
}

static nghttp2_nv grpc_status(err_code code) {
  return (nghttp2_nv){(uint8_t *)(uintptr_t) "grpc-status", (uint8_t *)(uintptr_t)status_text[code],
                      sizeof "grpc-status" - 1, strlen(status_text[code]),
                      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static ssize_t read_answer(nghttp2_session *h2, int32_t stream_id, uint8_t *out, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *arg) {
  rpc_call *call = call_of(arg, stream_id);
  if (!call) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  size_t n = MIN(room, call->m.out.n - call->out_sent);
  memcpy(out, call->m.out.p + call->out_sent, n);
  call->out_sent += n;
  if (call->out_sent == call->m.out.n) {
    nghttp2_nv trailer = grpc_status(ERR_OK);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    (void)nghttp2_submit_trailer(h2, stream_id, &trailer, 1);
  }
  return (ssize_t)n;
}

/* Large answers share the connection instead of holding up the small ones behind them. */
static void let_others_pass(rpc_conn *c, const rpc_call *call) {
  const nghttp2_extpri background = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY + 1, .inc = 1};
  if (call->m.out.n < LARGE_ANSWER_BYTES) return;
  (void)nghttp2_session_change_extpri_stream_priority(c->h2, call->stream_id, &background, 1);
}

void rpc_conn_send_message(rpc_conn *c, rpc_call *call, bool gzip) {
  nghttp2_nv nv[3] = {http_status(200), H2_NV("content-type", "application/grpc")};
  size_t n = 2;
  if (gzip) nv[n++] = H2_NV("grpc-encoding", "gzip");
  nghttp2_data_provider answer = {.read_callback = read_answer};
  let_others_pass(c, call);
  (void)nghttp2_submit_response(c->h2, call->stream_id, nv, n, &answer);
  rpc_conn_mark_dirty(c);
}

/* Clients limit the size of headers, and the status travels in them. */
static span shorten(span what, arena *a) {
  if (what.n <= MAX_WHAT_BYTES) return what;
  span kept = span_cut(what, MAX_WHAT_BYTES);
  return arena_spanf(a, "%.*s ... (%zu bytes left out)", SPAN_ARG(kept), what.n - kept.n);
}

void rpc_conn_send_status(rpc_conn *c, rpc_call *call, const err *e) {
  arena a = ARENA_INIT;
  buf message = BUF_INIT, details = BUF_INIT;
  span what = shorten(span_cstr(e->what), &a);
  nghttp2_nv nv[5] = {http_status(call->http_status), H2_NV("content-type", "application/grpc"),
                      grpc_status(e->code)};
  size_t n = 3;
  if (e->detail_type && e->detail.n > MAX_DETAIL_BYTES) {
    what = arena_spanf(&a, "%.*s (details of %zu bytes left out)", SPAN_ARG(what), e->detail.n);
  } else if (e->detail_type) {
    grpc_details_encode(e, what, &details);
    nv[n++] = H2_NV_COPY("grpc-status-details-bin", details);
  }
  grpc_percent_encode(what, &message);
  if (message.n) nv[n++] = H2_NV_COPY("grpc-message", message);
  (void)nghttp2_submit_response(c->h2, call->stream_id, nv, n, NULL);
  rpc_conn_mark_dirty(c);
  buf_release(&message);
  buf_release(&details);
  arena_release(&a);
}

/* --- the connection --- */

rpc_conn *rpc_conn_new(rpc_core *core) {
  rpc_conn *c = mem_new(rpc_conn);
  const rpc_limits *l = &core->limits;
  int64_t now = core->clock_ns();
  c->core = core;
  c->glitches = (rpc_budget){.tokens = GLITCH_CAP, .filled_ns = now};
  c->resets = (rpc_budget){.tokens = RESET_CAP, .filled_ns = now};
  c->opened_ns = c->last_read_ns = c->idle_since_ns = now;
  c->held_bytes = CONN_BASE_BYTES;
  core->held_bytes += CONN_BASE_BYTES;
  for (size_t i = 0; i < ARRAY_LEN(c->calls); i++) list_init(&c->calls[i]);
  if (nghttp2_session_server_new3(&c->h2, core->callbacks, c, core->options, h2_mem()) != 0) {
    PANIC("out of memory");
  }
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->max_header_bytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  (void)nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
  (void)nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
  list_push_back(&core->conns, &c->node);
  core->n_conns++;
  core->totals.connections_total++;
  rpc_conn_mark_dirty(c);
  return c;
}

void rpc_conn_free(rpc_conn *c) {
  if (!c) return;
  rpc_core *core = c->core;
  for (size_t i = 0; i < ARRAY_LEN(c->calls); i++) {
    for (list_node *n; (n = list_first(&c->calls[i]));) {
      rpc_call_gone(CONTAINER_OF(n, rpc_call, node), ERR_CANCELLED);
    }
  }
  ASSERT(c->n_calls == 0);
  nghttp2_session_del(c->h2);
  list_remove(&c->node);
  list_remove(&c->dirty_node);
  core->n_conns--;
  core->held_bytes -= c->held_bytes;
  mem_free(c);
}

void rpc_conn_mark_dirty(rpc_conn *c) {
  if (!list_linked(&c->dirty_node)) list_push_back(&c->core->dirty, &c->dirty_node);
}

void rpc_conn_set_stage(rpc_conn *c, rpc_call *call, rpc_call_stage stage, int64_t now_ns) {
  list_remove(&call->node);
  call->stage = (uint8_t)stage;
  call->stage_ns = now_ns;
  list_push_back(&c->calls[stage], &call->node);
}

bool rpc_conn_feed(rpc_conn *c, span in) {
  if (c->closing) return false;
  c->last_read_ns = c->core->clock_ns();
  c->ping_ns = 0;
  c->core->totals.bytes_in += in.n;
  ssize_t n = nghttp2_session_mem_recv(c->h2, in.p, in.n);
  rpc_conn_mark_dirty(c);
  if (n == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
    c->closing = c->wrong_protocol = true;
  } else if (n < 0) {
    give_up(c, nghttp2_strerror((int)n));
  }
  return !c->closing;
}

void rpc_conn_pull(rpc_conn *c, size_t most, buf *out) {
  size_t before = out->n;
  if (c->wrong_protocol) return;
  while (out->n < most) {
    const uint8_t *p;
    ssize_t n = nghttp2_session_mem_send(c->h2, &p);
    if (n < 0) c->closing = true;
    if (n <= 0) break;
    buf_add(out, span_of(p, (size_t)n));
  }
  c->core->totals.bytes_out += out->n - before;
}

bool rpc_conn_finished(const rpc_conn *c) {
  return c->closing || (!nghttp2_session_want_read(c->h2) && !nghttp2_session_want_write(c->h2));
}

void rpc_conn_announce_end(rpc_conn *c) {
  (void)nghttp2_submit_shutdown_notice(c->h2);
  rpc_conn_mark_dirty(c);
}

void rpc_conn_end(rpc_conn *c) {
  if (c->going_away) return;
  c->going_away = true;
  (void)nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(c->h2), NGHTTP2_NO_ERROR,
                              NULL, 0);
  rpc_conn_mark_dirty(c);
}

static rpc_call *oldest(const rpc_conn *c, rpc_call_stage stage) {
  list_node *n = list_first(&c->calls[stage]);
  return n ? CONTAINER_OF(n, rpc_call, node) : NULL;
}

static void end_slow_requests(rpc_conn *c, int64_t now_ns) {
  int64_t most = c->core->limits.request_ns;
  for (rpc_call *call; (call = oldest(c, CALL_RECEIVING)) && now_ns - call->stage_ns > most;) {
    arena a = ARENA_INIT;
    rpc_fail(call, ERR(&a, DEADLINE_EXCEEDED, "the request was not complete after %lld s",
                       (long long)(most / NS_PER_SEC)));
    arena_release(&a);
  }
}

static void end_slow_answers(rpc_conn *c, int64_t now_ns) {
  int64_t most = c->core->limits.answer_ns;
  for (rpc_call *call; (call = oldest(c, CALL_SENDING)) && now_ns - call->stage_ns > most;) {
    (void)nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
    rpc_call_gone(call, ERR_CANCELLED);
    rpc_conn_mark_dirty(c);
  }
}

static bool is_alive(rpc_conn *c, int64_t now_ns) {
  const rpc_limits *l = &c->core->limits;
  if (now_ns - c->last_read_ns <= l->keepalive_ns) return true;
  if (c->ping_ns) return now_ns - c->ping_ns <= l->keepalive_timeout_ns;
  c->ping_ns = now_ns;
  (void)nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, NULL);
  rpc_conn_mark_dirty(c);
  return true;
}

bool rpc_conn_check_time(rpc_conn *c, int64_t now_ns) {
  const rpc_limits *l = &c->core->limits;
  if (!is_alive(c, now_ns)) return false;
  end_slow_requests(c, now_ns);
  end_slow_answers(c, now_ns);
  if (c->n_calls) c->idle_since_ns = now_ns;
  if (!c->requests && now_ns - c->opened_ns > l->first_request_ns) rpc_conn_end(c);
  if (now_ns - c->idle_since_ns > l->idle_ns) rpc_conn_end(c);
  return true;
}

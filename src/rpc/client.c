#include "rpc/client.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/mem.h"
#include "rpc/grpc_gzip.h"
#include "rpc/grpc_status.h"
#include "rpc/h2_options.h"
#include "rpc/tls.h"

enum {
  READ_BYTES = 64 * 1024,
  WRITE_BYTES = 256 * 1024,
  PREFIX_BYTES = 5,
  STREAM_WINDOW_BYTES = 4 * 1024 * 1024,
  CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024,
  MAX_MESSAGE_BYTES = 128 * 1024 * 1024,
  POOL_CALLS = 256,
  POOL_BUF_BYTES = 4096,
};

typedef struct client_call {
  list_node node; /* client.calls, or client.pool */
  heap_node by_deadline;
  rpc_client *client;
  rpc_client_fn *fn;
  void *arg;
  int32_t stream_id;
  buf out;
  size_t out_sent;
  buf in, message;
  int status; /* of the server, -1: none yet */
  int http_status;
  bool gzip;
  arena mem; /* texts of the status */
  span text, details;
} client_call;

struct rpc_client {
  uv_loop_t *loop;
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_write_t write;
  uv_prepare_t flush;
  uv_timer_t deadline;
  size_t n_handles;
  nghttp2_session *h2;
  SSL_CTX *tls_context;
  tls_stream *tls;
  grpc_gzip *gzip;
  char authority[80];
  list calls, pool;
  size_t n_pool;
  heap deadlines;
  int64_t armed_ns;
  uint64_t next_tie;
  buf in, plain, out, cipher, pending;
  bool connected, writing, dirty, freed;
  bool refused; /* the server takes no new calls */
  bool broken;  /* the connection is gone */
};

/* --- the end of a call --- */

static void drop_call(client_call *c) {
  rpc_client *cl = c->client;
  arena_release(&c->mem);
  if (cl->n_pool < POOL_CALLS && c->out.cap <= POOL_BUF_BYTES && c->in.cap <= POOL_BUF_BYTES &&
      c->message.cap <= POOL_BUF_BYTES) {
    list_push_front(&cl->pool, &c->node);
    cl->n_pool++;
    return;
  }
  buf_release(&c->out);
  buf_release(&c->in);
  buf_release(&c->message);
  mem_free(c);
}

static void finish(client_call *c, const err *e, span message) {
  rpc_client *cl = c->client;
  list_remove(&c->node);
  heap_remove(&cl->deadlines, &c->by_deadline);
  if (c->stream_id) (void)nghttp2_session_set_stream_user_data(cl->h2, c->stream_id, NULL);
  c->fn(c->arg, e, message);
  drop_call(c);
}

static void fail(client_call *c, err_code code, const char *what) {
  arena a = ARENA_INIT;
  finish(c, err_make(&a, HERE, code, NULL, "%s", what), SPAN_NONE);
  arena_release(&a);
}

static void fail_all(rpc_client *cl, err_code code, const char *what) {
  for (list_node *n; (n = list_first(&cl->calls));) {
    fail(CONTAINER_OF(n, client_call, node), code, what);
  }
}

static void reset_stream(rpc_client *cl, int32_t id) {
  (void)nghttp2_submit_rst_stream(cl->h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  cl->dirty = true;
}

/* The message in c->in, inflated if need be. NULL: fine. */
static const char *open_message(client_call *c, span *ret_message) {
  const uint8_t *p = c->in.p;
  if (c->in.n < PREFIX_BYTES) return "the answer holds no message";
  size_t n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
  if (n != c->in.n - PREFIX_BYTES) return "the answer's length is not what its prefix says";
  *ret_message = span_of(p + PREFIX_BYTES, n);
  if (!p[0]) return NULL;
  if (!c->gzip) return "the answer is compressed in an unknown way";
  if (grpc_gzip_inflate(c->client->gzip, *ret_message, MAX_MESSAGE_BYTES, &c->message) !=
      INFLATE_OK) {
    return "the answer's gzip data is corrupt or too large";
  }
  *ret_message = buf_span(&c->message);
  return NULL;
}

static void finish_by_status(client_call *c) {
  span message = SPAN_NONE;
  if (c->status == 0) {
    const char *wrong = open_message(c, &message);
    if (wrong) {
      fail(c, ERR_INTERNAL, wrong);
    } else {
      finish(c, NULL, message);
    }
    return;
  }
  arena a = ARENA_INIT;
  span text = grpc_percent_decode(c->text, &a);
  err_code code = c->status > 16 ? ERR_UNKNOWN : (err_code)c->status;
  err *e = err_make(&a, HERE, code, NULL, "%.*s", SPAN_ARG(text));
  if (c->details.n) grpc_details_decode(c->details, &a, e);
  finish(c, e, SPAN_NONE);
  arena_release(&a);
}

/* --- HTTP/2 --- */

static client_call *call_of(nghttp2_session *h2, int32_t id) {
  return nghttp2_session_get_stream_user_data(h2, id);
}

/* Also a call whose headers wait for a free stream, of which the library knows no data. */
static client_call *find_call(rpc_client *cl, int32_t id) {
  client_call *c = call_of(cl->h2, id);
  if (c) return c;
  LIST_FOR_EACH (n, &cl->calls) {
    c = CONTAINER_OF(n, client_call, node);
    if (c->stream_id == id) return c;
  }
  return NULL;
}

static int number(span s) {
  int v = 0;
  for (size_t i = 0; i < s.n && i < 4; i++) v = v * 10 + (s.p[i] - '0');
  return v;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *arg) {
  client_call *c = call_of(h2, frame->hd.stream_id);
  if (!c) return 0;
  span key = span_of(name, name_bytes), v = span_of(value, value_bytes);
  if (span_eq(key, SPAN("grpc-status"))) {
    c->status = number(v);
  } else if (span_eq(key, SPAN(":status"))) {
    c->http_status = number(v);
  } else if (span_eq(key, SPAN("grpc-encoding"))) {
    c->gzip = span_eq(v, SPAN("gzip"));
  } else if (span_eq(key, SPAN("grpc-message"))) {
    c->text = arena_dup(&c->mem, v);
  } else if (span_eq(key, SPAN("grpc-status-details-bin"))) {
    c->details = arena_dup(&c->mem, v);
  }
  return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                   void *arg) {
  client_call *c = call_of(h2, id);
  if (!c) return 0;
  if (c->in.n + n > MAX_MESSAGE_BYTES) {
    reset_stream(arg, id);
    fail(c, ERR_RESOURCE_EXHAUSTED, "the answer is too large");
    return 0;
  }
  buf_add(&c->in, span_of(data, n));
  return 0;
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *arg) {
  rpc_client *cl = arg;
  if (frame->hd.type == NGHTTP2_GOAWAY) cl->refused = true;
  if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
      (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) {
    return 0;
  }
  client_call *c = call_of(h2, frame->hd.stream_id);
  if (!c) return 0;
  if (c->status >= 0) {
    finish_by_status(c);
  } else {
    fail(c, ERR_UNKNOWN, "the server ended the call without a gRPC status");
  }
  return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t code, void *arg) {
  client_call *c = call_of(h2, id);
  if (!c) return 0;
  c->stream_id = 0;
  if (c->status >= 0) {
    finish_by_status(c);
  } else if (code == NGHTTP2_CANCEL) {
    fail(c, ERR_CANCELLED, "the server cancelled the call");
  } else if (code == NGHTTP2_REFUSED_STREAM) {
    fail(c, ERR_UNAVAILABLE, "the server refused the call; it was not begun");
  } else {
    fail(c, ERR_INTERNAL, "the server ended the call with an HTTP/2 error");
  }
  return 0;
}

/* Headers that could not leave: the server said GOAWAY meanwhile. */
static int on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *arg) {
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  client_call *c = find_call(arg, frame->hd.stream_id);
  if (c) fail(c, ERR_UNAVAILABLE, "the server is shutting down");
  return 0;
}

static ssize_t read_request(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *arg) {
  client_call *c = call_of(h2, id);
  if (!c) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  size_t n = MIN(room, c->out.n - c->out_sent);
  memcpy(out, c->out.p + c->out_sent, n);
  c->out_sent += n;
  if (c->out_sent == c->out.n) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)n;
}

static void open_session(rpc_client *cl) {
  nghttp2_session_callbacks *cb;
  if (nghttp2_session_callbacks_new(&cb) != 0) PANIC("out of memory");
  nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
  nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
  nghttp2_option *options = h2_client_options();
  if (nghttp2_session_client_new3(&cl->h2, cb, cl, options, h2_mem()) != 0) PANIC("out of memory");
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(cb);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  };
  (void)nghttp2_submit_settings(cl->h2, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
  (void)nghttp2_session_set_local_window_size(cl->h2, NGHTTP2_FLAG_NONE, 0,
                                              CONNECTION_WINDOW_BYTES);
}

/* --- calls --- */

static client_call *new_call(rpc_client *cl) {
  list_node *n = list_pop_front(&cl->pool);
  client_call *c;
  if (n) {
    cl->n_pool--;
    c = CONTAINER_OF(n, client_call, node);
    client_call kept = {.out = c->out, .in = c->in, .message = c->message};
    *c = kept;
    buf_clear(&c->out);
    buf_clear(&c->in);
    buf_clear(&c->message);
  } else {
    c = mem_new(client_call);
  }
  c->client = cl;
  c->status = -1;
  list_push_back(&cl->calls, &c->node);
  return c;
}

static void frame_request(client_call *c, span request, bool gzip) {
  (void)buf_reserve(&c->out, PREFIX_BYTES);
  c->out.n = PREFIX_BYTES;
  if (gzip) {
    grpc_gzip_deflate(c->client->gzip, request, &c->out);
  } else {
    buf_add(&c->out, request);
  }
  size_t n = c->out.n - PREFIX_BYTES;
  c->out.p[0] = gzip;
  for (int i = 0; i < 4; i++) c->out.p[1 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static int32_t submit(client_call *c, const char *path, int64_t timeout_ms, bool gzip) {
  rpc_client *cl = c->client;
  char timeout[GRPC_TIMEOUT_TEXT_BYTES];
  const span path_span = span_cstr(path), authority = span_cstr(cl->authority);
  nghttp2_nv nv[10] = {
      H2_NV(":method", "POST"),
      H2_NV(":scheme", "http"),
      H2_NV_COPY(":path", path_span),
      H2_NV_COPY(":authority", authority),
      H2_NV("te", "trailers"),
      H2_NV("content-type", "application/grpc"),
      H2_NV("grpc-accept-encoding", "gzip,identity"),
  };
  size_t n = 7;
  if (cl->tls) nv[1] = H2_NV(":scheme", "https");
  if (gzip) nv[n++] = H2_NV("grpc-encoding", "gzip");
  if (timeout_ms > 0) {
    const span text = span_of(timeout, grpc_timeout_format(timeout_ms, timeout));
    nv[n++] = H2_NV_COPY("grpc-timeout", text);
  }
  nghttp2_data_provider body = {.read_callback = read_request};
  return nghttp2_submit_request(cl->h2, NULL, nv, n, &body, c);
}

static void arm(rpc_client *cl);

uint64_t rpc_client_call(rpc_client *cl, const char *path, span request, int64_t timeout_ms,
                         bool gzip, rpc_client_fn *fn, void *arg) {
  client_call *c = new_call(cl);
  c->fn = fn;
  c->arg = arg;
  frame_request(c, request, gzip);
  if (!cl->broken && !cl->refused) c->stream_id = submit(c, path, timeout_ms, gzip);
  if (c->stream_id <= 0) {
    c->stream_id = 0;
    fail(c, ERR_UNAVAILABLE,
         cl->broken ? "the connection is closed" : "the server is shutting down");
    return 0;
  }
  if (timeout_ms > 0) {
    int64_t when = (int64_t)uv_hrtime() + timeout_ms * NS_PER_MS;
    heap_insert(&cl->deadlines, &c->by_deadline, when, cl->next_tie++);
    arm(cl);
  }
  cl->dirty = true;
  return (uint64_t)c->stream_id;
}

void rpc_client_cancel(rpc_client *cl, uint64_t call) {
  if (!call || cl->broken) return;
  client_call *c = find_call(cl, (int32_t)call);
  if (!c) return;
  reset_stream(cl, c->stream_id);
  fail(c, ERR_CANCELLED, "cancelled by the caller");
}

static void on_deadline(uv_timer_t *t) {
  rpc_client *cl = t->data;
  int64_t now = (int64_t)uv_hrtime();
  cl->armed_ns = INT64_MAX;
  for (heap_node *n; (n = heap_min(&cl->deadlines)) && n->key <= now;) {
    client_call *c = CONTAINER_OF(n, client_call, by_deadline);
    reset_stream(cl, c->stream_id);
    fail(c, ERR_DEADLINE_EXCEEDED, "no answer within the deadline");
  }
  arm(cl);
}

static void arm(rpc_client *cl) {
  heap_node *n = heap_min(&cl->deadlines);
  if (!n || n->key >= cl->armed_ns || cl->freed) return;
  cl->armed_ns = n->key;
  uv_update_time(cl->loop);
  int64_t ms = (n->key - (int64_t)uv_hrtime()) / NS_PER_MS + 1;
  (void)uv_timer_start(&cl->deadline, on_deadline, (uint64_t)MAX(ms, INT64_C(0)), 0);
}

/* --- the socket --- */

static void on_written(uv_write_t *w, int status);

static void lose(rpc_client *cl, const char *why) {
  if (cl->broken) return;
  cl->broken = true;
  (void)uv_read_stop((uv_stream_t *)&cl->tcp);
  fail_all(cl, ERR_UNAVAILABLE, why);
}

static span next_output(rpc_client *cl) {
  buf_clear(&cl->out);
  buf_clear(&cl->cipher);
  if (!cl->tls || tls_stream_ready(cl->tls)) {
    const uint8_t *p;
    ssize_t n;
    while (cl->out.n < WRITE_BYTES && (n = nghttp2_session_mem_send(cl->h2, &p)) > 0) {
      buf_add(&cl->out, span_of(p, (size_t)n));
    }
    if (!cl->tls) return buf_span(&cl->out);
    tls_stream_write(cl->tls, buf_span(&cl->out));
  }
  tls_stream_pull(cl->tls, &cl->cipher);
  return buf_span(&cl->cipher);
}

static void write_rest(rpc_client *cl, span rest) {
  buf_add(&cl->pending, rest);
  uv_buf_t b = uv_buf_init((char *)cl->pending.p, (unsigned)cl->pending.n);
  cl->writing = true;
  if (uv_write(&cl->write, (uv_stream_t *)&cl->tcp, &b, 1, on_written) < 0) {
    cl->writing = false;
    lose(cl, "the connection broke while writing");
  }
}

static void flush(rpc_client *cl) {
  while (cl->connected && !cl->writing && !cl->broken) {
    cl->dirty = false;
    span out = next_output(cl);
    if (!out.n) break;
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)out.p, (unsigned)out.n);
    int n = uv_try_write((uv_stream_t *)&cl->tcp, &b, 1);
    if (n == UV_EAGAIN) n = 0;
    if (n < 0) {
      lose(cl, "the connection broke while writing");
    } else if ((size_t)n < out.n) {
      write_rest(cl, span_of(out.p + n, out.n - (size_t)n));
    }
    if (out.n < WRITE_BYTES) break;
  }
}

static void on_written(uv_write_t *w, int status) {
  rpc_client *cl = w->data;
  cl->writing = false;
  buf_release(&cl->pending);
  if (cl->freed) return;
  if (status < 0) lose(cl, "the connection broke while writing");
  flush(cl);
}

static void on_prepare(uv_prepare_t *p) {
  rpc_client *cl = p->data;
  if (cl->dirty) flush(cl);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *ret) {
  rpc_client *cl = h->data;
  *ret = uv_buf_init((char *)cl->in.p, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
  rpc_client *cl = stream->data;
  if (n == 0 || cl->broken) return;
  if (n < 0) {
    lose(cl, "the server closed the connection");
    return;
  }
  span in = span_of(b->base, (size_t)n);
  bool ok = true;
  if (cl->tls) {
    buf_clear(&cl->plain);
    ok = tls_stream_feed(cl->tls, in, &cl->plain);
    in = buf_span(&cl->plain);
  }
  if (in.n && nghttp2_session_mem_recv(cl->h2, in.p, in.n) < 0) ok = false;
  cl->dirty = true;
  if (!ok) lose(cl, cl->tls ? tls_stream_error(cl->tls) : "the server broke the HTTP/2 protocol");
  if (ok && !nghttp2_session_want_read(cl->h2)) lose(cl, "the server is shutting down");
}

static void on_connect(uv_connect_t *r, int status) {
  rpc_client *cl = r->data;
  if (cl->freed) return;
  if (status < 0) {
    arena a = ARENA_INIT;
    lose(cl, arena_printf(&a, "cannot connect to %s: %s", cl->authority, uv_strerror(status)));
    arena_release(&a);
    return;
  }
  (void)uv_tcp_nodelay(&cl->tcp, 1);
  cl->connected = true;
  cl->dirty = true;
  (void)uv_read_start((uv_stream_t *)&cl->tcp, on_alloc, on_read);
}

/* --- life --- */

static void on_closed(uv_handle_t *h) {
  rpc_client *cl = h->data;
  if (--cl->n_handles) return;
  for (list_node *n; (n = list_pop_front(&cl->pool));) {
    client_call *c = CONTAINER_OF(n, client_call, node);
    buf_release(&c->out);
    buf_release(&c->in);
    buf_release(&c->message);
    mem_free(c);
  }
  nghttp2_session_del(cl->h2);
  tls_stream_free(cl->tls);
  SSL_CTX_free(cl->tls_context);
  grpc_gzip_free(cl->gzip);
  heap_release(&cl->deadlines);
  buf_release(&cl->in);
  buf_release(&cl->plain);
  buf_release(&cl->out);
  buf_release(&cl->cipher);
  buf_release(&cl->pending);
  mem_free(cl);
}

static rpc_client *new_client(uv_loop_t *loop) {
  rpc_client *cl = mem_new(rpc_client);
  cl->loop = loop;
  cl->armed_ns = INT64_MAX;
  cl->gzip = grpc_gzip_new();
  list_init(&cl->calls);
  list_init(&cl->pool);
  heap_init(&cl->deadlines);
  (void)buf_reserve(&cl->in, READ_BYTES);
  open_session(cl);
  (void)uv_tcp_init(loop, &cl->tcp);
  (void)uv_prepare_init(loop, &cl->flush);
  (void)uv_timer_init(loop, &cl->deadline);
  cl->n_handles = 3;
  cl->tcp.data = cl->flush.data = cl->deadline.data = cl;
  cl->connect.data = cl->write.data = cl;
  (void)uv_prepare_start(&cl->flush, on_prepare);
  uv_unref((uv_handle_t *)&cl->flush);
  return cl;
}

static err *start(rpc_client *cl, const char *ip, int port, const rpc_client_tls *tls, arena *a) {
  struct sockaddr_storage address;
  int rc = strchr(ip, ':') ? uv_ip6_addr(ip, port, (struct sockaddr_in6 *)&address)
                           : uv_ip4_addr(ip, port, (struct sockaddr_in *)&address);
  if (rc < 0) return ERR(a, INVALID_ARGUMENT, "cannot connect to %s: not an IP address", ip);
  if (tls) {
    TRY(tls_client_context(tls, a, &cl->tls_context));
    cl->tls = tls_client_stream(cl->tls_context, tls->server_name);
  }
  (void)snprintf(cl->authority, sizeof cl->authority, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip,
                 port);
  rc = uv_tcp_connect(&cl->connect, &cl->tcp, (struct sockaddr *)&address, on_connect);
  if (rc < 0) return ERR(a, UNAVAILABLE, "cannot connect to %s: %s", ip, uv_strerror(rc));
  return NULL;
}

err *rpc_client_new(uv_loop_t *loop, const char *ip, int port, const rpc_client_tls *tls, arena *a,
                    rpc_client **ret_client) {
  rpc_client *cl = new_client(loop);
  err *e = start(cl, ip, port, tls, a);
  if (e) {
    rpc_client_free(cl);
    return e;
  }
  *ret_client = cl;
  return NULL;
}

void rpc_client_free(rpc_client *cl) {
  if (!cl) return;
  cl->freed = cl->broken = true;
  fail_all(cl, ERR_CANCELLED, "the client was closed");
  uv_close((uv_handle_t *)&cl->tcp, on_closed);
  uv_close((uv_handle_t *)&cl->flush, on_closed);
  uv_close((uv_handle_t *)&cl->deadline, on_closed);
}

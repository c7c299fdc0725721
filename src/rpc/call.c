#include <string.h>

#include "base/mem.h"
#include "rpc/core.h"
#include "rpc/grpc_status.h"

enum {
  PREFIX_BYTES = 5,       /* flag and length before a message */
  CALL_BASE_BYTES = 1024, /* what a call costs by itself, the HTTP/2 library's part included */
  POOL_CALLS = 64,
  POOL_BUF_BYTES = 4096, /* a larger buffer is not kept for the next call */
  POOL_ARENA_BYTES = 4096,
  SCRATCH_BYTES = 1024 * 1024,
};

/* --- life --- */

rpc_call *rpc_call_new(rpc_core *core, rpc_conn *conn, int32_t stream_id) {
  rpc_call *c;
  list_node *n = list_pop_front(&core->free_calls);
  if (n) {
    core->n_free_calls--;
    c = CONTAINER_OF(n, rpc_call, node);
    rpc_call kept = {.mem = c->mem, .in = c->in, .plain = c->plain, .out = c->out};
    *c = kept;
  } else {
    c = mem_new(rpc_call);
  }
  c->core = core;
  c->conn = conn;
  c->stream_id = stream_id;
  c->deadline_ns = INT64_MAX;
  c->http_status = 200;
  c->begin_ns = conn->last_read_ns;
  c->entry = &core->entries[core->n_entries - 1];
  core->n_calls++;
  conn->n_calls++;
  conn->requests++;
  rpc_conn_set_stage(conn, c, CALL_RECEIVING, c->begin_ns);
  return c;
}

static void hold(rpc_call *c, size_t bytes) {
  if (c->conn) c->conn->held_bytes += bytes - c->held_bytes;
  c->core->held_bytes += bytes - c->held_bytes;
  c->held_bytes = bytes;
}

void rpc_call_account(rpc_call *c) {
  hold(c, CALL_BASE_BYTES + c->mem.total_bytes + c->in.cap + c->plain.cap + c->out.cap);
}

static void trim_buf(buf *b) {
  if (b->cap > POOL_BUF_BYTES) buf_release(b);
  buf_clear(b);
}

/* Frees what only the request needed, but keeps small blocks for the next call. */
static void forget_request(rpc_call *c) {
  c->headers = NULL;
  c->request = NULL;
  if (c->mem.total_bytes > POOL_ARENA_BYTES) arena_release(&c->mem);
  arena_reset(&c->mem);
  trim_buf(&c->in);
  trim_buf(&c->plain);
}

static void detach(rpc_call *c) {
  heap_remove(&c->core->deadlines, &c->by_deadline);
  if (!c->conn) return;
  c->conn->held_bytes -= c->held_bytes;
  c->conn->n_calls--;
  list_remove(&c->node);
  (void)nghttp2_session_set_stream_user_data(c->conn->h2, c->stream_id, NULL);
  c->conn = NULL;
}

static void release_memory(rpc_call *c) {
  arena_release(&c->mem);
  buf_release(&c->in);
  buf_release(&c->plain);
  buf_release(&c->out);
}

void rpc_call_free(rpc_call *c) {
  rpc_core *core = c->core;
  detach(c);
  hold(c, 0);
  if (core->dispatching == c) core->dispatching = NULL;
  if (core->n_free_calls < POOL_CALLS) {
    forget_request(c);
    trim_buf(&c->out);
    list_push_front(&core->free_calls, &c->node);
    core->n_free_calls++;
  } else {
    release_memory(c);
    mem_free(c);
  }
  if (--core->n_calls == 0 && core->on_no_calls) core->on_no_calls(core);
}

void rpc_call_pool_release(rpc_core *core) {
  for (list_node *n; (n = list_pop_front(&core->free_calls));) {
    rpc_call *c = CONTAINER_OF(n, rpc_call, node);
    release_memory(c);
    mem_free(c);
  }
  core->n_free_calls = 0;
}

/* --- figures --- */

static void count(rpc_call *c, err_code code, int64_t now_ns) {
  rpc_method_stats *s = c->entry->stats;
  s->calls++;
  s->by_code[code]++;
  if (code != ERR_OK) s->errors++;
  if (c->entry->method && c->entry->method->long_poll) return;
  uint64_t ns = (uint64_t)MAX(now_ns - c->begin_ns, INT64_C(0));
  s->latency_ns_total += ns;
  size_t bucket = 0;
  while (bucket + 1 < ARRAY_LEN(s->latency_buckets) && ns >> bucket >= 16000) bucket++;
  s->latency_buckets[bucket]++;
}

/* --- receiving --- */

static void refuse_large_headers(rpc_call *c) {
  arena a = ARENA_INIT;
  rpc_fail(c, ERR(&a, RESOURCE_EXHAUSTED, "request headers are larger than the limit of %zu bytes",
                  c->core->limits.max_header_bytes));
  arena_release(&a);
}

void rpc_call_header(rpc_call *c, span name, span value) {
  c->header_bytes += name.n + value.n + 32; /* as HTTP/2 counts */
  if (c->header_bytes > c->core->limits.max_header_bytes) return;
  rpc_header_line *h = arena_alloc(&c->mem, sizeof *h + name.n + value.n);
  uint8_t *text = (uint8_t *)(h + 1);
  memcpy(text, name.p, name.n);
  if (value.n) memcpy(text + name.n, value.p, value.n);
  h->name = span_of(text, name.n);
  h->value = span_of(text + name.n, value.n);
  h->next = c->headers;
  c->headers = h;
}

static bool is_grpc_type(span type) {
  const span grpc = SPAN("application/grpc");
  return span_starts_with(type, grpc) &&
         (type.n == grpc.n || type.p[grpc.n] == '+' || type.p[grpc.n] == ';');
}

/* What a client must send for the request to be gRPC at all, in the order and words of grpc-go. */
static err *check_headers(rpc_call *c, arena *a) {
  span type = rpc_header(c, "content-type");
  if (!is_grpc_type(type)) {
    c->http_status = 415;
    return ERR(a, INVALID_ARGUMENT, "invalid gRPC request content-type \"%.*s\"", SPAN_ARG(type));
  }
  span timeout = rpc_header(c, "grpc-timeout");
  if (timeout.p) {
    int64_t ns;
    const char *wrong = grpc_timeout_parse(timeout, &ns);
    if (wrong) {
      c->http_status = 400;
      return ERR(a, INTERNAL, "malformed grpc-timeout: transport: %s: \"%.*s\"", wrong,
                 SPAN_ARG(timeout));
    }
    c->deadline_ns = c->begin_ns + ns;
  }
  span method = rpc_header(c, ":method");
  if (!span_eq(method, SPAN("POST"))) {
    c->http_status = 405;
    return ERR(a, INTERNAL, "Received a HEADERS frame with :method \"%.*s\" which should be POST",
               SPAN_ARG(method));
  }
  return NULL;
}

static err *unknown_path(rpc_call *c, span path, arena *a) {
  const uint8_t *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
  if (!slash || slash == path.p) {
    return ERR(a, UNIMPLEMENTED, "malformed method name: \"%.*s\"", SPAN_ARG(path));
  }
  size_t skip = path.p[0] == '/';
  span service = span_of(path.p + skip, (size_t)(slash - path.p) - skip);
  span method = span_of(slash + 1, path.n - (size_t)(slash - path.p) - 1);
  if (!rpc_core_has_service(c->core, service)) {
    return ERR(a, UNIMPLEMENTED, "unknown service %.*s", SPAN_ARG(service));
  }
  return ERR(a, UNIMPLEMENTED, "unknown method %.*s for service %.*s", SPAN_ARG(method),
             SPAN_ARG(service));
}

static err *find_method(rpc_call *c, arena *a) {
  span path = rpc_header(c, ":path");
  const rpc_entry *e = rpc_core_find(c->core, path);
  c->entry = e;
  if (!e->method || !e->method->handle) return unknown_path(c, path, a);
  span encoding = rpc_header(c, "grpc-encoding");
  if (encoding.p && !span_eq(encoding, SPAN("gzip")) && !span_eq(encoding, SPAN("identity"))) {
    return ERR(a, UNIMPLEMENTED, "grpc: Decompressor is not installed for grpc-encoding \"%.*s\"",
               SPAN_ARG(encoding));
  }
  span accepted = rpc_header(c, "grpc-accept-encoding");
  c->accepts_gzip = accepted.n && memmem(accepted.p, accepted.n, "gzip", 4);
  return NULL;
}

/* Memory that requests hold, against the limits. New work is refused first. */
static err *check_memory(rpc_call *c, arena *a) {
  const rpc_limits *l = &c->core->limits;
  if (c->conn->held_bytes > l->max_connection_bytes) {
    return ERR(a, RESOURCE_EXHAUSTED,
               "this connection's unanswered requests hold %zu bytes, the limit is %zu",
               c->conn->held_bytes, l->max_connection_bytes);
  }
  bool starts_work = c->entry->method && c->entry->method->shed_first;
  size_t most = starts_work ? l->max_total_bytes / 8 * 7 : l->max_total_bytes;
  if (c->core->held_bytes > most) {
    return ERR(a, RESOURCE_EXHAUSTED,
               "the server's unanswered requests hold %zu bytes, the limit is %zu",
               c->core->held_bytes, most);
  }
  return NULL;
}

static err *accept_headers(rpc_call *c, arena *a) {
  TRY(check_headers(c, a));
  TRY(find_method(c, a));
  return check_memory(c, a);
}

void rpc_call_headers_done(rpc_call *c) {
  if (c->header_bytes > c->core->limits.max_header_bytes) {
    refuse_large_headers(c);
    return;
  }
  arena a = ARENA_INIT;
  const err *e = accept_headers(c, &a);
  if (e) {
    rpc_fail(c, e);
  } else {
    rpc_call_account(c);
  }
  arena_release(&a);
}

static uint32_t message_bytes(const rpc_call *c) {
  const uint8_t *p = c->in.p;
  return (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
}

static err *check_prefix(rpc_call *c, arena *a) {
  uint32_t n = message_bytes(c);
  if (n <= c->core->limits.max_message_bytes) return NULL;
  return ERR(a, RESOURCE_EXHAUSTED, "grpc: received message larger than max (%u vs. %zu)", n,
             c->core->limits.max_message_bytes);
}

/* Appends from *part until the frame is `size` bytes long. False: more is needed. */
static bool fill(rpc_call *c, size_t size, span *part) {
  size_t n = MIN(size - c->in.n, part->n);
  buf_add(&c->in, span_of(part->p, n));
  *part = span_of(part->p + n, part->n - n);
  return c->in.n == size;
}

static void run(rpc_call *c);

/* What follows the message is ignored, and its handler does not wait for the end of the stream: as
 * grpc-go. */
void rpc_call_body(rpc_call *c, span part) {
  if (c->stage != CALL_RECEIVING) return;
  arena a = ARENA_INIT;
  const err *e = NULL;
  bool complete = false;
  if (c->in.n >= PREFIX_BYTES || fill(c, PREFIX_BYTES, &part)) {
    e = check_prefix(c, &a);
    complete = !e && fill(c, PREFIX_BYTES + message_bytes(c), &part);
  }
  rpc_call_account(c);
  if (!e) e = check_memory(c, &a);
  if (e) {
    rpc_fail(c, e);
  } else if (complete) {
    run(c);
  }
  arena_release(&a);
}

void rpc_call_body_done(rpc_call *c) {
  c->end_of_request = true;
  if (c->stage != CALL_RECEIVING) return;
  arena a = ARENA_INIT;
  bool begun = c->in.n > PREFIX_BYTES;
  rpc_fail(c, ERR(&a, UNKNOWN, "%s", begun ? "unexpected EOF" : "EOF"));
  arena_release(&a);
}

static err *inflate_message(rpc_call *c, span frame, arena *a, span *ret_message) {
  size_t max = c->core->limits.max_message_bytes;
  grpc_inflate_result r = grpc_gzip_inflate(c->core->gzip, frame, max, &c->plain);
  rpc_call_account(c);
  if (r == INFLATE_TOO_LARGE) {
    return ERR(a, RESOURCE_EXHAUSTED,
               "grpc: received message after decompression larger than max %zu", max);
  }
  if (r == INFLATE_CORRUPT) {
    return ERR(a, INTERNAL, "grpc: failed to decompress the message: invalid gzip data");
  }
  *ret_message = buf_span(&c->plain);
  return NULL;
}

static err *open_message(rpc_call *c, arena *a, span *ret_message) {
  span body = span_of(c->in.p + PREFIX_BYTES, c->in.n - PREFIX_BYTES);
  if (c->in.p[0] == 0) {
    *ret_message = body;
    return NULL;
  }
  if (c->in.p[0] != 1) {
    return ERR(a, INTERNAL, "grpc: received unexpected payload format %d", c->in.p[0]);
  }
  if (!span_eq(rpc_header(c, "grpc-encoding"), SPAN("gzip"))) {
    return ERR(a, INTERNAL, "grpc: compressed flag set with identity or empty encoding");
  }
  return inflate_message(c, body, a, ret_message);
}

/* The one place where requests are decoded. A method without a request type gets the bytes. */
static err *decode(rpc_call *c, span message, arena *a) {
  const pb_desc *type = c->entry->method->request;
  if (!type) {
    span *raw = arena_new(&c->mem, span);
    *raw = message;
    c->request = raw;
    return NULL;
  }
  const err *e = pb_decode(type, message, &c->mem, &c->request);
  if (!e) return NULL;
  return ERR_WRAP(a, INTERNAL, e, "grpc: error unmarshalling request: %s", e->what);
}

static err *accept_body(rpc_call *c, arena *a) {
  span message;
  if (c->deadline_ns <= c->begin_ns) return ERR(a, DEADLINE_EXCEEDED, "context deadline exceeded");
  TRY(open_message(c, a, &message));
  return decode(c, message, a);
}

/* The message is complete: decodes it and runs the handler. */
static void run(rpc_call *c) {
  rpc_core *core = c->core;
  arena a = ARENA_INIT;
  const err *e = accept_body(c, &a);
  if (e) rpc_fail(c, e);
  arena_release(&a);
  if (e) return;
  rpc_conn_set_stage(c->conn, c, CALL_OPEN, c->begin_ns);
  core->dispatching = c;
  c->entry->method->handle(c->entry->service->ctx, c);
  if (core->dispatching != c) return; /* answered at once, perhaps freed */
  core->dispatching = NULL;
  rpc_call_account(c);
  if (c->deadline_ns != INT64_MAX) {
    heap_insert(&core->deadlines, &c->by_deadline, c->deadline_ns, core->next_tie++);
  }
}

/* --- the handler's side --- */

const void *rpc_request(const rpc_call *c) { return c->request; }
arena *rpc_arena(rpc_call *c) { return &c->mem; }
const rpc_method *rpc_call_method(const rpc_call *c) { return c->entry->method; }
int64_t rpc_deadline_ns(const rpc_call *c) { return c->deadline_ns; }
bool rpc_gone(const rpc_call *c) { return !c->conn; }

span rpc_header(const rpc_call *c, const char *name) {
  span wanted = span_cstr(name);
  for (const rpc_header_line *h = c->headers; h; h = h->next) {
    if (span_eq(h->name, wanted)) return h->value;
  }
  return SPAN_NONE;
}

void rpc_on_gone(rpc_call *c, void (*fn)(rpc_call *c, void *arg), void *arg) {
  if (rpc_gone(c)) {
    fn(c, arg);
    return;
  }
  c->on_gone = fn;
  c->on_gone_arg = arg;
}

void rpc_park(rpc_call *c) {
  c->headers = NULL;
  c->request = NULL;
  release_memory(c);
  rpc_call_account(c);
}

void rpc_call_gone(rpc_call *c, err_code code) {
  bool owed = c->stage == CALL_OPEN;
  if (c->stage != CALL_SENDING) count(c, code, c->core->clock_ns());
  detach(c);
  if (!owed) {
    rpc_call_free(c);
  } else if (c->on_gone) {
    void (*fn)(rpc_call *, void *) = c->on_gone;
    c->on_gone = NULL;
    fn(c, c->on_gone_arg);
  }
}

/* The answer is on its way: the call is the transport's again. */
static void answered(rpc_call *c, err_code code) {
  ASSERT(c->stage != CALL_SENDING);
  rpc_core *core = c->core;
  int64_t now_ns = core->clock_ns();
  count(c, code, now_ns);
  c->on_gone = NULL;
  if (core->dispatching == c) core->dispatching = NULL;
  heap_remove(&core->deadlines, &c->by_deadline);
  forget_request(c);
  rpc_call_account(c);
  rpc_conn_set_stage(c->conn, c, CALL_SENDING, now_ns);
}

static void write_prefix(buf *frame, bool gzip) {
  size_t n = frame->n - PREFIX_BYTES;
  ASSERT(n <= UINT32_MAX);
  frame->p[0] = gzip;
  for (int i = 0; i < 4; i++) frame->p[1 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static bool compress_answer(rpc_call *c) {
  buf *scratch = &c->core->scratch;
  buf_clear(scratch);
  (void)buf_reserve(scratch, PREFIX_BYTES);
  scratch->n = PREFIX_BYTES;
  grpc_gzip_deflate(c->core->gzip, span_of(c->out.p + PREFIX_BYTES, c->out.n - PREFIX_BYTES),
                    scratch);
  bool smaller = scratch->n < c->out.n;
  if (smaller) {
    buf plain = c->out;
    c->out = *scratch;
    *scratch = plain;
  }
  if (scratch->cap > SCRATCH_BYTES) buf_release(scratch);
  return smaller;
}

void rpc_reply(rpc_call *c, const void *msg) {
  if (rpc_gone(c)) {
    rpc_call_free(c);
    return;
  }
  ASSERT(c->stage == CALL_OPEN);
  buf_clear(&c->out);
  (void)buf_reserve(&c->out, PREFIX_BYTES);
  c->out.n = PREFIX_BYTES;
  const pb_desc *type = c->entry->method->response;
  if (type) {
    pb_encode(type, msg, &c->out);
  } else {
    buf_add(&c->out, *(const span *)msg);
  }
  bool gzip = c->accepts_gzip && c->out.n - PREFIX_BYTES > c->core->limits.gzip_answer_bytes;
  if (gzip) gzip = compress_answer(c);
  write_prefix(&c->out, gzip);
  answered(c, ERR_OK);
  rpc_conn_send_message(c->conn, c, gzip);
}

void rpc_fail(rpc_call *c, const err *e) {
  if (rpc_gone(c)) {
    rpc_call_free(c);
    return;
  }
  rpc_conn_send_status(c->conn, c, e); /* first: e may lie in the call's arena */
  answered(c, e->code);
}

/* The driver of a server: sockets, TLS and timers of libuv around rpc_core.
 *
 * Reading: all connections share one buffer. Writing: answers of everything that happened in one
 * turn of the loop leave in one write per connection, from a prepare handle, just before the loop
 * would sleep. */
#include <openssl/ssl.h>

#include "base/log.h"
#include "base/mem.h"
#include "rpc/core.h"
#include "rpc/tls.h"

enum {
  READ_BYTES = 64 * 1024,
  WRITE_BYTES = 256 * 1024,
  BACKLOG = 1024,
  SWEEP_MS = 1000,
  LAST_CALLS_MS = 100, /* between the two GOAWAYs of a drain: calls under way still arrive */
};

typedef struct peer {
  uv_tcp_t tcp;
  uv_write_t write;
  rpc_server *server;
  rpc_conn *h2; /* NULL: closing */
  tls_stream *tls;
  buf pending; /* given to uv_write */
  size_t queue_bytes;
  int64_t progress_ns; /* queue_bytes last changed */
  bool writing;
} peer;

struct rpc_server {
  rpc_core core;
  uv_loop_t *loop;
  uv_tcp_t listener;
  uv_prepare_t flush;
  uv_timer_t deadline, sweep, drain;
  int64_t armed_ns; /* when `deadline` fires */
  int port;
  size_t n_handles;
  SSL_CTX *tls;
  char *cert_path, *key_path, *client_ca_path;
  buf in, plain, out, cipher;
  void (*drain_done)(void *arg);
  void *drain_arg;
  int64_t drain_ms;
  bool freed;
};

static int64_t clock_ns(void) { return (int64_t)uv_hrtime(); }

/* --- closing --- */

static void maybe_release(rpc_server *s) {
  if (!s->freed || s->n_handles || s->core.n_calls) return;
  rpc_core_release(&s->core);
  SSL_CTX_free(s->tls);
  buf_release(&s->in);
  buf_release(&s->plain);
  buf_release(&s->out);
  buf_release(&s->cipher);
  mem_free(s->cert_path);
  mem_free(s->key_path);
  mem_free(s->client_ca_path);
  mem_free(s);
}

static void on_no_calls(rpc_core *core) { maybe_release(CONTAINER_OF(core, rpc_server, core)); }

static void on_peer_closed(uv_handle_t *h) {
  peer *p = h->data;
  rpc_server *s = p->server;
  buf_release(&p->pending);
  tls_stream_free(p->tls);
  mem_free(p);
  s->n_handles--;
  maybe_release(s);
}

static void close_peer(peer *p) {
  if (!p->h2) return;
  rpc_conn *h2 = p->h2;
  p->h2 = NULL;
  uv_close((uv_handle_t *)&p->tcp, on_peer_closed);
  rpc_conn_free(h2);
  if (!p->server->core.n_conns) (void)uv_timer_stop(&p->server->sweep);
}

/* --- writing --- */

static void on_written(uv_write_t *w, int status);

/* What the peer speaks instead of HTTP/2 is most often HTTP/1. */
static void explain(rpc_conn *h2, buf *out) {
  static const char text[] =
      "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n"
      "This port speaks gRPC over HTTP/2.\n";
  if (!h2->wrong_protocol) return;
  h2->wrong_protocol = false;
  buf_adds(out, text);
}

static span next_output(peer *p) {
  rpc_server *s = p->server;
  buf_clear(&s->out);
  if (p->tls && !tls_stream_ready(p->tls)) {
    tls_stream_pull(p->tls, &s->out);
    return buf_span(&s->out);
  }
  rpc_conn_pull(p->h2, WRITE_BYTES, &s->out);
  explain(p->h2, &s->out);
  if (!p->tls) return buf_span(&s->out);
  buf_clear(&s->cipher);
  tls_stream_write(p->tls, buf_span(&s->out));
  tls_stream_pull(p->tls, &s->cipher);
  return buf_span(&s->cipher);
}

/* False: the socket is broken. */
static bool write_rest(peer *p, span rest) {
  buf_add(&p->pending, rest);
  uv_buf_t b = uv_buf_init((char *)p->pending.p, (unsigned)p->pending.n);
  p->writing = true;
  p->queue_bytes = p->pending.n;
  p->progress_ns = clock_ns();
  return uv_write(&p->write, (uv_stream_t *)&p->tcp, &b, 1, on_written) == 0;
}

static void flush_peer(peer *p) {
  bool ok = true;
  while (ok && !p->writing) {
    span out = next_output(p);
    if (!out.n) break;
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)out.p, (unsigned)out.n);
    int n = uv_try_write((uv_stream_t *)&p->tcp, &b, 1);
    if (n == UV_EAGAIN) n = 0;
    ok = n >= 0;
    if (ok && (size_t)n < out.n) ok = write_rest(p, span_of(out.p + n, out.n - (size_t)n));
    if (out.n < WRITE_BYTES) break;
  }
  if (!ok || (!p->writing && rpc_conn_finished(p->h2))) close_peer(p);
}

static void on_written(uv_write_t *w, int status) {
  peer *p = w->data;
  p->writing = false;
  buf_release(&p->pending);
  if (!p->h2) return;
  if (status < 0) {
    close_peer(p);
  } else {
    flush_peer(p);
  }
}

static void arm_deadline(rpc_server *s);
static void check_drained(rpc_server *s, bool overdue);

static void on_prepare(uv_prepare_t *h) {
  rpc_server *s = h->data;
  for (list_node *n; (n = list_pop_front(&s->core.dirty));) {
    rpc_conn *c = CONTAINER_OF(n, rpc_conn, dirty_node);
    flush_peer(c->driver);
  }
  arm_deadline(s);
  check_drained(s, false);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *ret) {
  peer *p = h->data;
  *ret = uv_buf_init((char *)p->server->in.p, READ_BYTES);
}

static bool feed(peer *p, span in) {
  if (!p->tls) return rpc_conn_feed(p->h2, in);
  rpc_server *s = p->server;
  buf_clear(&s->plain);
  bool was_ready = tls_stream_ready(p->tls);
  bool ok = tls_stream_feed(p->tls, in, &s->plain);
  if (!ok && !was_ready) {
    LOG(INFO, "a TLS handshake failed", LOG_S("reason", tls_stream_error(p->tls)));
  }
  rpc_conn_mark_dirty(p->h2);
  return (!s->plain.n || rpc_conn_feed(p->h2, buf_span(&s->plain))) && ok;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b) {
  peer *p = stream->data;
  if (n == 0 || !p->h2) return;
  if (n < 0) {
    close_peer(p);
    return;
  }
  if (feed(p, span_of(b->base, (size_t)n))) return;
  flush_peer(p);
  close_peer(p);
}

/* --- time --- */

static void on_deadline(uv_timer_t *t) {
  rpc_server *s = t->data;
  s->armed_ns = INT64_MAX;
  (void)rpc_core_expire(&s->core, clock_ns());
}

/* The timer is moved only forward in time; firing early is harmless. */
static void arm_deadline(rpc_server *s) {
  heap_node *n = heap_min(&s->core.deadlines);
  if (!n || n->key >= s->armed_ns) return;
  s->armed_ns = n->key;
  int64_t ms = (n->key - clock_ns()) / NS_PER_MS + 1;
  uv_update_time(s->loop);
  (void)uv_timer_start(&s->deadline, on_deadline, (uint64_t)MAX(ms, INT64_C(0)), 0);
}

/* A peer that takes no bytes although some wait for it. */
static bool is_stuck(peer *p, int64_t now_ns) {
  if (!p->writing) return false;
  size_t queue = uv_stream_get_write_queue_size((uv_stream_t *)&p->tcp);
  if (queue != p->queue_bytes) {
    p->queue_bytes = queue;
    p->progress_ns = now_ns;
  }
  return now_ns - p->progress_ns > p->server->core.limits.answer_ns;
}

static bool handshake_overdue(const peer *p, int64_t now_ns) {
  return p->tls && !tls_stream_ready(p->tls) &&
         now_ns - p->h2->opened_ns > p->server->core.limits.first_request_ns;
}

static void on_sweep(uv_timer_t *t) {
  rpc_server *s = t->data;
  int64_t now = clock_ns();
  LIST_FOR_EACH (n, &s->core.conns) {
    rpc_conn *c = CONTAINER_OF(n, rpc_conn, node);
    peer *p = c->driver;
    if (!rpc_conn_check_time(c, now) || is_stuck(p, now) || handshake_overdue(p, now)) {
      close_peer(p);
    }
  }
}

/* --- accepting --- */

/* SETTINGS, then GOAWAY with ENHANCE_YOUR_CALM and a sentence. */
static void refuse(peer *p) {
  static const char text[] =
      "\0\0\0\4\0\0\0\0\0"
      "\0\0\x1c\7\0\0\0\0\0"
      "\0\0\0\0\0\0\0\xb"
      "too many connections";
  uv_buf_t b = uv_buf_init((char *)(uintptr_t)text, sizeof text - 1);
  if (!p->server->tls) (void)uv_try_write((uv_stream_t *)&p->tcp, &b, 1);
  LOG(WARN, "refused a connection: too many are open",
      LOG_I("limit", p->server->core.limits.max_connections));
  uv_close((uv_handle_t *)&p->tcp, on_peer_closed);
}

static void on_connection(uv_stream_t *listener, int status) {
  rpc_server *s = listener->data;
  if (status < 0) {
    LOG(WARN, "cannot accept a connection", LOG_S("reason", uv_strerror(status)));
    return;
  }
  peer *p = mem_new(peer);
  p->server = s;
  (void)uv_tcp_init(s->loop, &p->tcp);
  p->tcp.data = p->write.data = p;
  s->n_handles++;
  if (uv_accept(listener, (uv_stream_t *)&p->tcp) < 0) {
    uv_close((uv_handle_t *)&p->tcp, on_peer_closed);
    return;
  }
  if (s->core.n_conns >= s->core.limits.max_connections) {
    refuse(p);
    return;
  }
  (void)uv_tcp_nodelay(&p->tcp, 1);
  if (s->tls) p->tls = tls_server_stream(s->tls);
  p->h2 = rpc_conn_new(&s->core);
  p->h2->driver = p;
  if (!uv_is_active((uv_handle_t *)&s->sweep)) {
    (void)uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
  }
  if (uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read) < 0) close_peer(p);
}

/* --- the server --- */

static err *listen_on(rpc_server *s, const char *ip, int port, arena *a) {
  struct sockaddr_storage address;
  int rc = strchr(ip, ':') ? uv_ip6_addr(ip, port, (struct sockaddr_in6 *)&address)
                           : uv_ip4_addr(ip, port, (struct sockaddr_in *)&address);
  if (rc < 0) {
    return ERR(a, INVALID_ARGUMENT, "cannot listen on %s: not an IP address", ip);
  }
  rc = uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0);
  if (rc == 0) rc = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
  if (rc == UV_EADDRINUSE) {
    return ERR(a, UNAVAILABLE,
               "cannot listen on %s port %d: another program uses it; end that or choose "
               "another port",
               ip, port);
  }
  if (rc < 0) {
    return ERR(a, UNAVAILABLE, "cannot listen on %s port %d: %s", ip, port, uv_strerror(rc));
  }
  int n = sizeof address;
  (void)uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &n);
  s->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
  return NULL;
}

static void open_handles(rpc_server *s) {
  (void)uv_tcp_init(s->loop, &s->listener);
  (void)uv_prepare_init(s->loop, &s->flush);
  (void)uv_timer_init(s->loop, &s->deadline);
  (void)uv_timer_init(s->loop, &s->sweep);
  (void)uv_timer_init(s->loop, &s->drain);
  s->n_handles = 5;
  s->listener.data = s->flush.data = s->deadline.data = s->sweep.data = s->drain.data = s;
  (void)uv_prepare_start(&s->flush, on_prepare);
  uv_unref((uv_handle_t *)&s->flush); /* serves the connections; keeps no loop alive */
  uv_unref((uv_handle_t *)&s->sweep);
}

static err *use_tls(rpc_server *s, const rpc_tls *tls, arena *a) {
  if (!tls || !tls->cert_path) return NULL;
  s->cert_path = mem_strdup(tls->cert_path);
  s->key_path = mem_strdup(tls->key_path ? tls->key_path : tls->cert_path);
  s->client_ca_path = tls->client_ca_path ? mem_strdup(tls->client_ca_path) : NULL;
  const rpc_tls own = {s->cert_path, s->key_path, s->client_ca_path};
  return tls_server_context(&own, a, &s->tls);
}

err *rpc_server_new(uv_loop_t *loop, const char *ip, int port, const rpc_tls *tls,
                    const rpc_limits *limits, const rpc_service *services, size_t n_services,
                    arena *a, rpc_server **ret_server) {
  rpc_server *s = mem_new(rpc_server);
  rpc_core_init(&s->core, limits ? limits : &rpc_default_limits, services, n_services, clock_ns);
  s->core.on_no_calls = on_no_calls;
  s->loop = loop;
  s->armed_ns = INT64_MAX;
  (void)buf_reserve(&s->in, READ_BYTES);
  open_handles(s);
  err *e = use_tls(s, tls, a);
  if (!e) e = listen_on(s, ip, port, a);
  if (e) {
    rpc_server_free(s);
    return e;
  }
  *ret_server = s;
  return NULL;
}

int rpc_server_port(const rpc_server *s) { return s->port; }

err *rpc_server_reload_tls(rpc_server *s, arena *a) {
  if (!s->tls) return NULL;
  const rpc_tls files = {s->cert_path, s->key_path, s->client_ca_path};
  SSL_CTX *fresh;
  TRY(tls_server_context(&files, a, &fresh));
  SSL_CTX_free(s->tls); /* open connections keep their own reference */
  s->tls = fresh;
  return NULL;
}

static void on_handle_closed(uv_handle_t *h) {
  rpc_server *s = h->data;
  s->n_handles--;
  maybe_release(s);
}

static void close_handle(void *handle) {
  uv_handle_t *h = handle;
  if (!uv_is_closing(h)) uv_close(h, on_handle_closed);
}

static void check_drained(rpc_server *s, bool overdue) {
  if (!s->drain_done || (s->core.n_conns && !overdue)) return;
  void (*done)(void *) = s->drain_done;
  s->drain_done = NULL;
  (void)uv_timer_stop(&s->drain);
  done(s->drain_arg);
}

static void on_drain_overdue(uv_timer_t *t) { check_drained(t->data, true); }

static void on_last_calls(uv_timer_t *t) {
  rpc_server *s = t->data;
  LIST_FOR_EACH (n, &s->core.conns) rpc_conn_end(CONTAINER_OF(n, rpc_conn, node));
  (void)uv_timer_start(t, on_drain_overdue, (uint64_t)MAX(s->drain_ms - LAST_CALLS_MS, INT64_C(0)),
                       0);
}

void rpc_server_drain(rpc_server *s, int64_t deadline_ms, void (*done)(void *arg), void *arg) {
  s->drain_ms = deadline_ms;
  s->drain_done = done;
  s->drain_arg = arg;
  close_handle(&s->listener);
  LIST_FOR_EACH (n, &s->core.conns) rpc_conn_announce_end(CONTAINER_OF(n, rpc_conn, node));
  (void)uv_timer_start(&s->drain, on_last_calls, LAST_CALLS_MS, 0);
}

void rpc_server_free(rpc_server *s) {
  if (!s) return;
  s->freed = true;
  s->drain_done = NULL;
  LIST_FOR_EACH (n, &s->core.conns) close_peer(CONTAINER_OF(n, rpc_conn, node)->driver);
  close_handle(&s->listener);
  close_handle(&s->flush);
  close_handle(&s->deadline);
  close_handle(&s->sweep);
  close_handle(&s->drain);
}

void rpc_server_stats(const rpc_server *s, rpc_stats *ret_stats) {
  *ret_stats = s->core.totals;
  ret_stats->connections = s->core.n_conns;
  ret_stats->streams = s->core.n_calls;
  ret_stats->memory_bytes = s->core.held_bytes;
  ret_stats->methods = s->core.method_stats;
  ret_stats->n_methods = s->core.n_entries;
}

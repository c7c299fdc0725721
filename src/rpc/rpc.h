/* rpc.h - gRPC over HTTP/2 for the rest of the server: a table of methods in, calls to answer out.
 *
 * The transport (libuv, libnghttp2, OpenSSL, zlib) reads a request, checks its limits, decodes it
 * and calls the handler of its method. Everything happens on the loop's thread.
 *
 * A call belongs to its handler until rpc_reply or rpc_fail is called, exactly once, at any later
 * time: also when the client has gone meanwhile (the answer is then dropped). A handler that waits
 * registers rpc_on_gone to hear of that at once.
 *
 * Answers leave from a uv_prepare handle: answer from any callback of the loop except another
 * prepare handle's.
 */
#ifndef PERDURE_RPC_RPC_H
#define PERDURE_RPC_RPC_H

#include <uv.h>

#include "base/err.h"
#include "proto/pb.h"

typedef struct rpc_server rpc_server;
typedef struct rpc_call rpc_call;

/* What a caller needs to be allowed to do; enforced where authorisation is configured. */
typedef enum rpc_access {
  RPC_PUBLIC, /* health, GetSystemInfo */
  RPC_CLUSTER_READ,
  RPC_CLUSTER_ADMIN,
  RPC_NAMESPACE_READ,
  RPC_NAMESPACE_WRITE, /* also polling: see docs */
  RPC_NAMESPACE_ADMIN,
} rpc_access;

typedef struct rpc_method {
  const char *name;                          /* "StartWorkflowExecution" */
  const pb_desc *request, *response;         /* NULL: raw bytes, messages are `span` */
  void (*handle)(void *ctx, rpc_call *call); /* NULL: UNIMPLEMENTED */
  rpc_access access;
  bool long_poll;  /* may wait; its latency is not counted with the others */
  bool shed_first; /* starts new work: refused before others when memory is short */
} rpc_method;

typedef struct rpc_service {
  const char *name; /* "temporal.api.workflowservice.v1.WorkflowService" */
  const rpc_method *methods;
  size_t n_methods;
  void *ctx; /* given to the handlers */
} rpc_service;

typedef struct rpc_tls {
  const char *cert_path, *key_path; /* PEM; NULL: cleartext */
  const char *client_ca_path;       /* set: clients must present a certificate of this CA */
} rpc_tls;

typedef struct rpc_limits {
  size_t max_message_bytes;    /* one gRPC message, after inflating */
  size_t max_header_bytes;     /* of one request's header list */
  uint32_t max_streams;        /* per connection */
  size_t max_connection_bytes; /* memory one connection may hold in unanswered requests */
  size_t max_total_bytes;      /* memory all connections may hold */
  uint32_t max_connections;
  int64_t idle_ns, first_request_ns; /* a connection without a request is closed after */
  int64_t request_ns;                /* from a request's headers to its end */
  int64_t answer_ns;                 /* for a client to take an answer */
  int64_t keepalive_ns;              /* a silent peer gets a PING after, and ... */
  int64_t keepalive_timeout_ns;      /* ... is gone if it stays silent for this long */
  size_t gzip_answer_bytes;          /* answers above are compressed if the client accepts it */
} rpc_limits;

extern const rpc_limits rpc_default_limits;

/* Listens. `services` is borrowed for the server's life. UNAVAILABLE says why the address cannot be
 * used and what to do. */
MUST_USE err *rpc_server_new(uv_loop_t *loop, const char *ip, int port, const rpc_tls *tls,
                             const rpc_limits *limits, const rpc_service *services,
                             size_t n_services, arena *a, rpc_server **ret_server);
/* The port listened on (useful when asked for port 0). */
int rpc_server_port(const rpc_server *s);
/* Reads certificate files again; an error leaves the ones in use. */
MUST_USE err *rpc_server_reload_tls(rpc_server *s, arena *a);
/* Stops accepting, sends GOAWAY, lets calls end; `done` is called when no connection is left or at
 * the deadline. Handlers that wait should answer now. */
void rpc_server_drain(rpc_server *s, int64_t deadline_ms, void (*done)(void *arg), void *arg);
/* Closes every connection; calls still owed are reported gone. The memory is freed when the loop
 * has run once more and the last call was answered. */
void rpc_server_free(rpc_server *s);

/* --- a call --- */

/* The decoded request, in the call's arena. Invalid after rpc_park. */
const void *rpc_request(const rpc_call *c);
/* Lives until the call is answered. */
arena *rpc_arena(rpc_call *c);
const rpc_method *rpc_call_method(const rpc_call *c);
/* Request header (lower-case name), absent: p == NULL. Invalid after rpc_park. */
span rpc_header(const rpc_call *c, const char *name);
/* uv_hrtime-based time by which the client wants an answer; INT64_MAX if it named none. At that
 * time the transport answers DEADLINE_EXCEEDED by itself and reports the client gone. */
int64_t rpc_deadline_ns(const rpc_call *c);
bool rpc_gone(const rpc_call *c);
/* Calls fn once, when the client cancels, disconnects or its deadline passes before the answer; at
 * once if it has gone already. fn may answer the call (the answer is dropped). */
void rpc_on_gone(rpc_call *c, void (*fn)(rpc_call *c, void *arg), void *arg);
/* Frees the request and its arena while the call waits, so that it costs at most 2 KiB. */
void rpc_park(rpc_call *c);

/* `msg` is of the method's response type; encoded before this returns. */
void rpc_reply(rpc_call *c, const void *msg);
/* Status, percent-encoded message and details from e. */
void rpc_fail(rpc_call *c, const err *e);

/* --- figures --- */

typedef struct rpc_method_stats {
  const char *service, *method;
  uint64_t calls, errors, by_code[17], latency_ns_total;
  uint64_t latency_buckets[24]; /* bucket i: less than 2^i * 16 us */
} rpc_method_stats;

typedef struct rpc_stats {
  uint64_t connections, connections_total, streams, bytes_in, bytes_out, memory_bytes;
  const rpc_method_stats *methods;
  size_t n_methods;
} rpc_stats;

void rpc_server_stats(const rpc_server *s, rpc_stats *ret_stats);

#endif

/* client.h - gRPC calls made by us: the load generator and tests, later the C SDK.
 *
 * One connection, many calls at once, on a libuv loop, cleartext or TLS. Callbacks run on the
 * loop's thread.
 */
#ifndef PERDURE_RPC_CLIENT_H
#define PERDURE_RPC_CLIENT_H

#include <uv.h>

#include "base/err.h"

typedef struct rpc_client rpc_client;

/* Answer of one call: `e` is NULL and `message` the encoded response, or e says what the server (or
 * the connection) answered. Both are valid during the callback. */
typedef void rpc_client_fn(void *arg, const err *e, span message);

typedef struct rpc_client_tls {
  const char *ca_path;              /* PEM; NULL: the system's authorities */
  const char *cert_path, *key_path; /* for mutual TLS; NULL: none */
  const char *server_name;          /* must be in the server's certificate */
} rpc_client_tls;

/* Connects in the background; calls made before that wait. When the connection is lost, every open
 * call ends with UNAVAILABLE and later ones too: make a new client then. tls NULL: cleartext.
 * INVALID_ARGUMENT: the address or a file of `tls` is not usable. */
MUST_USE err *rpc_client_new(uv_loop_t *loop, const char *ip, int port, const rpc_client_tls *tls,
                             arena *a, rpc_client **ret_client);
/* Ends every open call with CANCELLED. The memory is freed when the loop has run once more. */
void rpc_client_free(rpc_client *c);
/* Calls beyond the number of streams that the server allows wait for one to end. `fn` is called
 * before this returns if the connection is lost already.
 *
 * `path`: "/package.Service/Method"; request bytes are copied. timeout_ms 0: no deadline.
 * gzip: compress the request as official SDKs do. Returns an id for rpc_client_cancel. */
uint64_t rpc_client_call(rpc_client *c, const char *path, span request, int64_t timeout_ms,
                         bool gzip, rpc_client_fn *fn, void *arg);
void rpc_client_cancel(rpc_client *c, uint64_t call);

#endif

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

/* Connects in the background; calls made before that wait. */
rpc_client *rpc_client_new(uv_loop_t *loop, const char *ip, int port);
/* Ends every open call with CANCELLED. */
void rpc_client_free(rpc_client *c);
/* `path`: "/package.Service/Method"; request bytes are copied. timeout_ms 0: no deadline.
 * gzip: compress the request as official SDKs do. Returns an id for rpc_client_cancel. */
uint64_t rpc_client_call(rpc_client *c, const char *path, span request, int64_t timeout_ms,
                         bool gzip, rpc_client_fn *fn, void *arg);
void rpc_client_cancel(rpc_client *c, uint64_t call);

#endif

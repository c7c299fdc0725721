/* health.h - grpc.health.v1.Health: whether the server takes work.
 *
 * Check knows "" (the server), WorkflowService and OperatorService. Watch is a stream, which this
 * transport does not serve: UNIMPLEMENTED.
 */
#ifndef PERDURE_RPC_HEALTH_H
#define PERDURE_RPC_HEALTH_H

#include "rpc/rpc.h"

typedef struct rpc_health {
  bool stopping; /* answers NOT_SERVING; set it when a drain begins */
} rpc_health;

/* `h` is borrowed for the server's life. */
rpc_service rpc_health_service(rpc_health *h);

#endif

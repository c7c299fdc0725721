#include "rpc/health.h"

#include "proto/pb.gen.h"

static const char *const known[] = {
    "",
    "temporal.api.workflowservice.v1.WorkflowService",
    "temporal.api.operatorservice.v1.OperatorService",
};

static void check(void *ctx, rpc_call *c) {
  const rpc_health *h = ctx;
  const pb_HealthCheckRequest *q = rpc_request(c);
  for (size_t i = 0; i < ARRAY_LEN(known); i++) {
    if (!span_eq(q->service, span_cstr(known[i]))) continue;
    pb_HealthCheckResponse r = {.status = h->stopping ? PB_HealthCheckResponse_NOT_SERVING
                                                      : PB_HealthCheckResponse_SERVING};
    rpc_reply(c, &r);
    return;
  }
  rpc_fail(c, ERR(rpc_arena(c), NOT_FOUND, "unknown service"));
}

static const rpc_method methods[] = {
    {.name = "Check",
     .request = &pb_HealthCheckRequest_desc,
     .response = &pb_HealthCheckResponse_desc,
     .handle = check},
    {.name = "Watch"},
};

rpc_service rpc_health_service(rpc_health *h) {
  return (rpc_service){"grpc.health.v1.Health", methods, ARRAY_LEN(methods), h};
}

/* test_world.h - a server with a service of raw methods and a client on one loop, for tests. */
#ifndef PERDURE_RPC_TEST_WORLD_H
#define PERDURE_RPC_TEST_WORLD_H

#include "base/mem.h"
#include "base/test.h"
#include "rpc/client.h"
#include "rpc/rpc.h"

enum { WORLD_MAX_PARKED = 20000 };

typedef struct world {
  uv_loop_t loop;
  rpc_service services[1];
  rpc_server *server;
  rpc_client *client;
  arena mem;
  rpc_call *parked[WORLD_MAX_PARKED]; /* by Park, until gone */
  size_t n_parked, n_gone;
  size_t echoes;
  bool drained;
} world;

/* Answer of a call, kept. */
typedef struct answer {
  world *w;
  bool done;
  err_code code;
  char what[400];
  char detail_type[80];
  buf message, detail;
} answer;

/* test.Service: Echo (answers the request), Fail (an error with details), Park (waits; long poll),
 * Wait (parks, no long poll), Unbuilt (no handler), Huge (1 MiB of answer). */
extern const rpc_service world_service;

world *world_new(const rpc_limits *limits, const rpc_tls *tls, const rpc_client_tls *client_tls);
void world_free(world *w);
/* Runs the loop until *done or ten seconds have passed (which fails the test). */
void world_run_until(world *w, const bool *done);
void world_run_until_parked(world *w, size_t n);
void world_run_until_gone(world *w, size_t n);
void world_run_ms(world *w, uint64_t ms);
void world_call(world *w, const char *method, span request, int64_t timeout_ms, bool gzip,
                answer *ret);
/* world_call and wait. */
void world_ask(world *w, const char *method, span request, bool gzip, answer *ret);
void answer_release(answer *a);
/* Answers a parked call. */
void world_unpark(world *w, size_t i, span message);

/* An rpc_client_fn with an answer as its argument. */
void world_keep(void *arg, const err *e, span message);

#endif

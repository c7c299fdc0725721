/* client_int.h - one client, shared by client*.c. */
#ifndef PERDURE_SIM_CLIENT_INT_H
#define PERDURE_SIM_CLIENT_INT_H

#include "sim.h"

typedef struct client {
  sim *sim;
  uint32_t number;
  arena arena; /* of one deed */
} client;

/* What a client may do; the weights of a swarm are in this order. */
/* clang-format off */
#define CLIENT_DEEDS(X) \
  X(start) X(signal_with_start) X(signal_run) X(cancel) X(terminate) X(describe) X(query) \
  X(read_history) X(read_reverse) X(reset_sticky) X(describe_queue) X(update) \
  X(update_with_start) X(poll_update) X(reset) X(delete) X(schedule) X(operate) \
  X(list) X(count) X(batch)
/* clang-format on */

/* A deed ends in client_send, or in client_later. */
typedef void client_fn(client *c);
#define X(name) client_fn client_##name;
CLIENT_DEEDS(X)
#undef X

/* Sends it, again while nobody knows whether it was done, and goes on. */
void client_send(client *c, sim_method m, const void *request);
/* The next deed, after some thought. */
void client_later(client *c);

span client_new_id(client *c, const char *what);
/* A request with a plan, a queue and a request id of its own. */
pb_StartWorkflowExecutionRequest *client_new_start(client *c, span workflow_id);
span client_some_workflow(client *c);
/* With a run id that somebody was told of, or without: then the current run is meant. */
pb_WorkflowExecution *client_some_execution(client *c);

#endif

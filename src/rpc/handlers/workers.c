/* Workers as they describe themselves. */
#include "rpc/handlers/api.h"

err *api_worker_heartbeat(ask *k) {
  shard_worker_heartbeat(ask_shard(k), ask_op(k), k->request);
  return NULL;
}

err *api_list_workers(ask *k) {
  shard_list_workers(ask_shard(k), ask_op(k), k->request);
  return NULL;
}

err *api_count_workers(ask *k) {
  shard_count_workers(ask_shard(k), ask_op(k), k->request);
  return NULL;
}

err *api_describe_worker(ask *k) {
  shard_describe_worker(ask_shard(k), ask_op(k), k->request);
  return NULL;
}

/* Workers of this time cannot be configured from here: the original answers the same unless it is
 * switched on. */
err *api_fetch_worker_config(ask *k) {
  return ERR(k->arena, UNIMPLEMENTED, "FetchWorkerConfig command is not enabled.");
}

err *api_update_worker_config(ask *k) {
  return ERR(k->arena, UNIMPLEMENTED, "UpdateWorkerConfig command is not enabled.");
}

#include "rpc/handlers/api.h"

err *api_update(ask *k) {
  pb_UpdateWorkflowExecutionRequest *update;
  TRY(check_update_workflow(&k->check, k->request, &update));
  shard_update(ask_shard(k), ask_op(k), update);
  return NULL;
}

err *api_poll_update(ask *k) {
  TRY(check_poll_update(&k->check, k->request));
  shard_poll_update(ask_shard(k), ask_op(k), k->request);
  return NULL;
}

err *api_multi_operation(ask *k) {
  check_multi m;
  TRY(check_multi_operation(&k->check, k->request, &m));
  if (m.start_error || m.update_error) {
    if (!m.start_error) m.start_error = shard_multi_aborted(k->arena);
    if (!m.update_error) m.update_error = shard_multi_aborted(k->arena);
    return shard_multi_error(k->arena, m.start_error, m.update_error);
  }
  shard_update_with_start(ask_shard(k), ask_op(k), m.start, m.update);
  return NULL;
}

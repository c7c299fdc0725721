/* Options of a run that is open. */
#include "rpc/handlers/api.h"

err *api_update_options(ask *k) {
  const pb_UpdateWorkflowExecutionOptionsRequest *q = k->request;
  TRY(check_operated(k, q->workflow_execution));
  pb_UpdateWorkflowExecutionOptionsRequest *u =
      pb_new(k->arena, UpdateWorkflowExecutionOptionsRequest);
  *u = *q;
  if (q->update_mask) {
    u->update_mask = snake_case_mask(k->arena, q->update_mask);
    if (!q->workflow_execution_options) {
      return ERR(k->arena, INVALID_ARGUMENT, "WorkflowExecutionOptions is required");
    }
  }
  TRY(check_run_options(&k->check, q->workflow_execution_options, u->update_mask,
                        "parsing UpdateMask"));
  shard_update_options(ask_shard(k), ask_op(k), u);
  return NULL;
}

#include "rpc/handlers/check.h"

/* The older field names what is applied again, the newer one what is not. */
static err *check_types(const checker *k, int32_t type, const pb_ResetWorkflowExecutionRequest *r,
                        engine_reapply *ret) {
  if (type < PB_RESET_REAPPLY_TYPE_UNSPECIFIED || type > PB_RESET_REAPPLY_TYPE_ALL_ELIGIBLE) {
    return ERR(k->arena, INVALID_ARGUMENT, "ResetReapplyType %d does not exist.", type);
  }
  ret->signals = type != PB_RESET_REAPPLY_TYPE_NONE;
  ret->updates = ret->signals && type != PB_RESET_REAPPLY_TYPE_SIGNAL;
  for (size_t i = 0; i < r->reset_reapply_exclude_types.n; i++) {
    int32_t excluded = r->reset_reapply_exclude_types.v[i];
    if (excluded == PB_RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL) ret->signals = false;
    if (excluded == PB_RESET_REAPPLY_EXCLUDE_TYPE_UPDATE) ret->updates = false;
  }
  return NULL;
}

/* Texts of the original, which names the types of its language. */
static err *check_operation(const checker *k, const pb_PostResetOperation *op) {
  switch (op->which_variant) {
    case PB_PostResetOperation_update_workflow_options_FIELD:
      return check_run_options(k, op->update_workflow_options->workflow_execution_options,
                               op->update_workflow_options->update_mask, "applying update_options");
    case PB_PostResetOperation_signal_workflow_FIELD:
      return ERR(k->arena, INVALID_ARGUMENT,
                 "unsupported post reset operation: *workflow.PostResetOperation_SignalWorkflow_");
    default:
      return ERR(k->arena, INVALID_ARGUMENT, "unsupported post reset operation: <nil>");
  }
}

err *check_post_reset(const checker *k, const pb_list_PostResetOperation *operations) {
  for (size_t i = 0; i < operations->n; i++) TRY(check_operation(k, operations->v[i]));
  return NULL;
}

err *check_reset(const checker *k, const pb_ResetWorkflowExecutionRequest *r,
                 engine_reapply *ret_reapply) {
  if (r->request_id.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "RequestId is not set on request.");
  }
  if (r->request_id.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "RequestId length exceeds limit.");
  }
  TRY(check_execution(k, r->workflow_execution));
  TRY(check_post_reset(k, &r->post_reset_operations));
  return check_types(k, r->reset_reapply_type, r, ret_reapply);
}

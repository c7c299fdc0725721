/* batch.c - batch operations: checks, and what is not built. */
#include "rpc/handlers/api.h"

enum { PAGE = 100, MOST_EXECUTIONS = 1000 };

static err *check_what(ask *k, const pb_StartBatchOperationRequest *q) {
  bool any = q->visibility_query.n || q->executions.n || q->target_executions.n;
  int kinds = (q->visibility_query.n > 0) + (q->executions.n > 0) + (q->target_executions.n > 0);
  if (!q->reason.n || !any || !q->which_operation) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "must provide required parameters: BatchType,Reason,Namespace, AND one of (Query OR "
               "Executions OR TargetExecutions)");
  }
  if (kinds > 1) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "visibility query, executions, and target executions are mutually exclusive");
  }
  if (q->job_id.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "JobId is not set on request.");
  if (q->job_id.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "JobId length exceeds limit.");
  }
  if (q->executions.n + q->target_executions.n > MOST_EXECUTIONS) {
    return ERR(k->arena, INVALID_ARGUMENT, "a batch takes at most %d executions, not %zu",
               MOST_EXECUTIONS, q->executions.n + q->target_executions.n);
  }
  return NULL;
}

static err *check_batch_reset(ask *k, const pb_BatchOperationReset *o) {
  if (!o->options && o->reset_type == PB_RESET_TYPE_UNSPECIFIED) {
    return ERR(k->arena, INVALID_ARGUMENT, "unknown batch reset type Unspecified");
  }
  if (o->post_reset_operations.n) {
    return ERR(k->arena, UNIMPLEMENTED,
               "reset_operation.post_reset_operations are not supported by this server");
  }
  if (o->options && o->options->which_target == PB_ResetOptions_build_id_FIELD) {
    return ERR(k->arena, UNIMPLEMENTED,
               "reset_operation.options.build_id is not supported by this server");
  }
  return NULL;
}

static err *check_operation(ask *k, const pb_StartBatchOperationRequest *q) {
  switch (q->which_operation) {
    case PB_StartBatchOperationRequest_termination_operation_FIELD:
    case PB_StartBatchOperationRequest_cancellation_operation_FIELD:
    case PB_StartBatchOperationRequest_deletion_operation_FIELD:
      return NULL;
    case PB_StartBatchOperationRequest_signal_operation_FIELD:
      if (q->signal_operation->signal.n) return NULL;
      return ERR(k->arena, INVALID_ARGUMENT, "must provide signal name");
    case PB_StartBatchOperationRequest_reset_operation_FIELD:
      return check_batch_reset(k, q->reset_operation);
    default:
      return ERR(k->arena, UNIMPLEMENTED,
                 "of batches only termination, cancellation, signal, deletion and reset are "
                 "supported by this server");
  }
}

/* The two ways to list workflows are one. */
static err *take_targets(ask *k, pb_StartBatchOperationRequest *q) {
  if (!q->target_executions.n) return NULL;
  q->executions.v = arena_array(k->arena, pb_WorkflowExecution *, q->target_executions.n);
  for (size_t i = 0; i < q->target_executions.n; i++) {
    const pb_Execution *e = q->target_executions.v[i];
    if (e->type != PB_EXECUTION_TYPE_WORKFLOW) {
      return ERR(k->arena, UNIMPLEMENTED,
                 "target_executions[%zu].type: only workflows are supported by this server", i);
    }
    pb_WorkflowExecution *w = q->executions.v[q->executions.n++] =
        pb_new(k->arena, WorkflowExecution);
    w->workflow_id = e->business_id;
    w->run_id = e->run_id;
  }
  q->target_executions.n = 0;
  return NULL;
}

err *api_start_batch(ask *k) {
  const pb_StartBatchOperationRequest *q = k->request;
  TRY(check_what(k, q));
  TRY(check_operation(k, q));
  pb_StartBatchOperationRequest *copy = pb_new(k->arena, StartBatchOperationRequest);
  *copy = *q;
  TRY(take_targets(k, copy));
  for (size_t i = 0; i < copy->executions.n; i++) {
    TRY(check_execution(&k->check, copy->executions.v[i]));
  }
  filter *f;
  if (q->visibility_query.n) TRY(ask_filter(k, q->visibility_query, &f));
  shard_start_batch(ask_shard(k), ask_op(k), copy);
  return NULL;
}

static err *check_job(ask *k, span job_id) {
  return job_id.n ? NULL : ERR(k->arena, INVALID_ARGUMENT, "JobId is not set on request.");
}

err *api_stop_batch(ask *k) {
  const pb_StopBatchOperationRequest *q = k->request;
  TRY(check_job(k, q->job_id));
  if (!q->reason.n) return ERR(k->arena, INVALID_ARGUMENT, "Reason is not set on request.");
  shard_stop_batch(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_describe_batch(ask *k) {
  const pb_DescribeBatchOperationRequest *q = k->request;
  TRY(check_job(k, q->job_id));
  shard_describe_batch(ask_shard(k), ask_op(k), q->job_id);
  return NULL;
}

err *api_list_batches(ask *k) {
  const pb_ListBatchOperationsRequest *q = k->request;
  size_t limit = q->page_size > 0 && q->page_size < PAGE ? (size_t)q->page_size : PAGE;
  shard_list_batches(ask_shard(k), ask_op(k), limit, q->next_page_token);
  return NULL;
}

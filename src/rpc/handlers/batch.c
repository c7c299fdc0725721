/* batch.c - batch operations: what could never succeed is refused before it begins. */
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
  if (o->options && !o->options->which_target) {
    return ERR(k->arena, INVALID_ARGUMENT, "batch reset missing target");
  }
  if (!o->options && o->reset_type != PB_RESET_TYPE_FIRST_WORKFLOW_TASK &&
      o->reset_type != PB_RESET_TYPE_LAST_WORKFLOW_TASK) {
    return o->reset_type
               ? ERR(k->arena, INVALID_ARGUMENT, "unknown batch reset type %d", o->reset_type)
               : ERR(k->arena, INVALID_ARGUMENT, "unknown batch reset type Unspecified");
  }
  return check_post_reset(&k->check, &o->post_reset_operations);
}

static err *check_batch_options(ask *k, const pb_BatchOperationUpdateWorkflowExecutionOptions *o) {
  if (!o->workflow_execution_options) {
    return ERR(k->arena, INVALID_ARGUMENT, "must provide UpdateOptions");
  }
  if (!o->update_mask) return ERR(k->arena, INVALID_ARGUMENT, "must provide UpdateMask");
  return check_run_options(&k->check, o->workflow_execution_options, o->update_mask,
                           "parsing UpdateMask");
}

static err *check_activities(ask *k, uint32_t which, bool chosen, const char *none) {
  if (!which) return ERR(k->arena, INVALID_ARGUMENT, "%s", none);
  if (chosen) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT,
             "Either activity type must be set, or match all should be set to true");
}

/* Activities are named by their type, or all are meant. */
#define CHOSEN(o, Message)                                                                \
  (((o)->which_activity == PB_BatchOperation##Message##_type_FIELD && (o)->type.n > 0) || \
   ((o)->which_activity == PB_BatchOperation##Message##_match_all_FIELD && (o)->match_all))

static err *check_unpause(ask *k, const pb_BatchOperationUnpauseActivities *o) {
  return check_activities(k, o->which_activity, CHOSEN(o, UnpauseActivities),
                          "activity filter must be set");
}

static err *check_activity_reset(ask *k, const pb_BatchOperationResetActivities *o) {
  return check_activities(k, o->which_activity, CHOSEN(o, ResetActivities),
                          "must provide ActivityType or MatchAll");
}

static err *check_new_activity_options(ask *k, const pb_BatchOperationUpdateActivityOptions *o) {
  if (!o->activity_options && !o->restore_original) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Either activity type must be set, or restore original should be set to true");
  }
  if (o->activity_options && o->restore_original) {
    return ERR(k->arena, INVALID_ARGUMENT, "cannot set both activity options and restore original");
  }
  TRY(check_activities(k, o->which_activity, CHOSEN(o, UpdateActivityOptions),
                       "must provide ActivityType or MatchAll"));
  bool masked = o->update_mask && o->update_mask->paths.n;
  if (masked && o->restore_original) {
    return ERR(k->arena, INVALID_ARGUMENT, "Both UpdateMask and RestoreOriginal are provided");
  }
  if (o->restore_original || o->update_mask) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "UpdateMask is not provided");
}

#define OPERATION(name) PB_StartBatchOperationRequest_##name##_operation_FIELD

static err *check_operation(ask *k, const pb_StartBatchOperationRequest *q) {
  switch (q->which_operation) {
    case OPERATION(termination):
    case OPERATION(cancellation):
    case OPERATION(deletion):
      return NULL;
    case OPERATION(signal):
      if (q->signal_operation->signal.n) return NULL;
      return ERR(k->arena, INVALID_ARGUMENT, "must provide signal name");
    case OPERATION(reset):
      return check_batch_reset(k, q->reset_operation);
    case OPERATION(update_workflow_options):
      return check_batch_options(k, q->update_workflow_options_operation);
    case OPERATION(unpause_activities):
      return check_unpause(k, q->unpause_activities_operation);
    case OPERATION(reset_activities):
      return check_activity_reset(k, q->reset_activities_operation);
    case OPERATION(update_activity_options):
      return check_new_activity_options(k, q->update_activity_options_operation);
    default:
      return ERR(k->arena, UNIMPLEMENTED,
                 "this server has no standalone activities: batches are of workflows and of the "
                 "activities of workflows");
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

/* Masks are kept as the shard wants them: in snake_case. */
static void take_masks(ask *k, pb_StartBatchOperationRequest *q) {
  arena *a = k->arena;
  if (q->which_operation == OPERATION(update_workflow_options)) {
    pb_BatchOperationUpdateWorkflowExecutionOptions *o = PB_COPY(
        BatchOperationUpdateWorkflowExecutionOptions, q->update_workflow_options_operation, a);
    if (o->update_mask) o->update_mask = snake_case_mask(a, o->update_mask);
    q->update_workflow_options_operation = o;
  }
  if (q->which_operation == OPERATION(update_activity_options)) {
    pb_BatchOperationUpdateActivityOptions *o =
        PB_COPY(BatchOperationUpdateActivityOptions, q->update_activity_options_operation, a);
    if (o->update_mask) o->update_mask = snake_case_mask(a, o->update_mask);
    q->update_activity_options_operation = o;
  }
}

/* Also as it is narrowed for the operation. */
static err *check_query(ask *k, const pb_StartBatchOperationRequest *q) {
  filter *f;
  if (!q->visibility_query.n) return NULL;
  TRY(ask_filter(k, q->visibility_query, &f));
  return ask_filter(k, shard_batch_query(q, k->arena), &f);
}

err *api_start_batch(ask *k) {
  const pb_StartBatchOperationRequest *q = k->request;
  TRY(check_what(k, q));
  pb_StartBatchOperationRequest *copy = pb_new(k->arena, StartBatchOperationRequest);
  *copy = *q;
  take_masks(k, copy);
  TRY(check_operation(k, copy));
  TRY(take_targets(k, copy));
  for (size_t i = 0; i < copy->executions.n; i++) {
    TRY(check_execution(&k->check, copy->executions.v[i]));
  }
  TRY(check_query(k, q));
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

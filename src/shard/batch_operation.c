#include "shard/batch_operation.h"

typedef struct target {
  shard *s;
  shard_op *op;
  const pb_store_BatchJob *job;
  pb_WorkflowExecution *execution;
} target;

typedef pb_StartBatchOperationRequest batch_request;

/* The same again after a crash. */
static span request_id(const target *t) {
  return arena_spanf(t->op->arena, "%.*s:%lld", SPAN_ARG(t->job->run_id),
                     (long long)(t->job->complete + t->job->failed));
}

/* --- workflows --- */

static void terminate_one(const target *t) {
  const pb_BatchOperationTermination *o = t->job->request->termination_operation;
  pb_TerminateWorkflowExecutionRequest *r = pb_new(t->op->arena, TerminateWorkflowExecutionRequest);
  r->workflow_execution = t->execution;
  r->reason = t->job->request->reason;
  r->details = o->details;
  r->identity = o->identity;
  shard_terminate(t->s, t->op, r);
}

static void cancel_one(const target *t) {
  pb_RequestCancelWorkflowExecutionRequest *r =
      pb_new(t->op->arena, RequestCancelWorkflowExecutionRequest);
  r->workflow_execution = t->execution;
  r->identity = t->job->request->cancellation_operation->identity;
  r->request_id = request_id(t);
  shard_request_cancel(t->s, t->op, r);
}

static void signal_one(const target *t) {
  const pb_BatchOperationSignal *o = t->job->request->signal_operation;
  pb_SignalWorkflowExecutionRequest *r = pb_new(t->op->arena, SignalWorkflowExecutionRequest);
  r->workflow_execution = t->execution;
  r->signal_name = o->signal;
  r->input = o->input;
  r->header = o->header;
  r->identity = o->identity;
  r->request_id = request_id(t);
  shard_signal(t->s, t->op, r);
}

static void delete_one(const target *t) {
  pb_DeleteWorkflowExecutionRequest *r = pb_new(t->op->arena, DeleteWorkflowExecutionRequest);
  r->workflow_execution = t->execution;
  shard_delete(t->s, t->op, r);
}

static void update_options_of_one(const target *t) {
  const pb_BatchOperationUpdateWorkflowExecutionOptions *o =
      t->job->request->update_workflow_options_operation;
  pb_UpdateWorkflowExecutionOptionsRequest *r =
      pb_new(t->op->arena, UpdateWorkflowExecutionOptionsRequest);
  r->workflow_execution = t->execution;
  r->workflow_execution_options = o->workflow_execution_options;
  r->update_mask = o->update_mask;
  r->identity = o->identity;
  shard_update_options(t->s, t->op, r);
}

/* --- resets --- */

static void exclude(engine_reapply *again, const pb_ResetOptions *o) {
  for (size_t i = 0; i < o->reset_reapply_exclude_types.n; i++) {
    int32_t excluded = o->reset_reapply_exclude_types.v[i];
    if (excluded == PB_RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL) again->signals = false;
    if (excluded == PB_RESET_REAPPLY_EXCLUDE_TYPE_UPDATE) again->updates = false;
  }
}

static shard_reset_point point_of(const pb_BatchOperationReset *o) {
  switch (o->options ? o->options->which_target : 0) {
    case PB_ResetOptions_first_workflow_task_FIELD:
      return SHARD_RESET_FIRST_TASK;
    case PB_ResetOptions_workflow_task_id_FIELD:
      return SHARD_RESET_GIVEN;
    case PB_ResetOptions_build_id_FIELD:
      return SHARD_RESET_BUILD;
    case PB_ResetOptions_last_workflow_task_FIELD:
      return SHARD_RESET_LAST_TASK;
    default:
      return o->reset_type == PB_RESET_TYPE_FIRST_WORKFLOW_TASK ? SHARD_RESET_FIRST_TASK
                                                                : SHARD_RESET_LAST_TASK;
  }
}

static shard_reset_how reset_how(const pb_BatchOperationReset *o) {
  shard_reset_how how = {.again = {true, true}, .point = point_of(o)};
  int32_t type = o->options ? o->options->reset_reapply_type : o->reset_reapply_type;
  if (type == PB_RESET_REAPPLY_TYPE_NONE) how.again = (engine_reapply){0};
  if (type == PB_RESET_REAPPLY_TYPE_SIGNAL) how.again.updates = false;
  if (o->options) exclude(&how.again, o->options);
  if (how.point == SHARD_RESET_BUILD) {
    how.build_id = o->options->build_id;
    how.this_run_only = o->options->current_run_only;
  }
  return how;
}

static void reset_one(const target *t) {
  const pb_BatchOperationReset *o = t->job->request->reset_operation;
  pb_ResetWorkflowExecutionRequest *r = pb_new(t->op->arena, ResetWorkflowExecutionRequest);
  shard_reset_how how = reset_how(o);
  r->workflow_execution = t->execution;
  r->reason = t->job->request->reason;
  r->request_id = request_id(t);
  r->post_reset_operations = o->post_reset_operations;
  if (how.point == SHARD_RESET_GIVEN) {
    r->workflow_task_finish_event_id = o->options->workflow_task_id;
  }
  shard_reset(t->s, t->op, r, how);
}

/* --- activities: those of one type, or all --- */

static void unpause_activities_of_one(const target *t) {
  const pb_BatchOperationUnpauseActivities *o = t->job->request->unpause_activities_operation;
  pb_UnpauseActivityRequest *r = pb_new(t->op->arena, UnpauseActivityRequest);
  r->execution = t->execution;
  bool by_type = o->which_activity == PB_BatchOperationUnpauseActivities_type_FIELD;
  r->which_activity =
      by_type ? PB_UnpauseActivityRequest_type_FIELD : PB_UnpauseActivityRequest_unpause_all_FIELD;
  if (by_type) r->type = o->type;
  r->reset_attempts = o->reset_attempts;
  r->reset_heartbeat = o->reset_heartbeat;
  r->jitter = o->jitter;
  shard_activity_unpause(t->s, t->op, r);
}

static void reset_activities_of_one(const target *t) {
  const pb_BatchOperationResetActivities *o = t->job->request->reset_activities_operation;
  pb_ResetActivityRequest *r = pb_new(t->op->arena, ResetActivityRequest);
  r->execution = t->execution;
  bool by_type = o->which_activity == PB_BatchOperationResetActivities_type_FIELD;
  r->which_activity =
      by_type ? PB_ResetActivityRequest_type_FIELD : PB_ResetActivityRequest_match_all_FIELD;
  if (by_type) r->type = o->type;
  r->reset_heartbeat = o->reset_heartbeat;
  r->keep_paused = o->keep_paused;
  r->jitter = o->jitter;
  r->restore_original_options = o->restore_original_options;
  shard_activity_reset(t->s, t->op, r);
}

static void update_activities_of_one(const target *t) {
  const pb_BatchOperationUpdateActivityOptions *o =
      t->job->request->update_activity_options_operation;
  pb_UpdateActivityOptionsRequest *r = pb_new(t->op->arena, UpdateActivityOptionsRequest);
  r->execution = t->execution;
  bool by_type = o->which_activity == PB_BatchOperationUpdateActivityOptions_type_FIELD;
  r->which_activity = by_type ? PB_UpdateActivityOptionsRequest_type_FIELD
                              : PB_UpdateActivityOptionsRequest_match_all_FIELD;
  if (by_type) r->type = o->type;
  r->activity_options = o->activity_options;
  r->update_mask = o->update_mask;
  r->restore_original = o->restore_original;
  shard_activity_update_options(t->s, t->op, r);
}

/* --- the table --- */

static const struct operation {
  uint32_t field;
  int32_t type;
  bool running_only; /* of a query's workflows */
  void (*one)(const target *t);
} operations[] = {
#define OPERATION(name, TYPE, running_only, one)                                            \
  {                                                                                         \
    PB_StartBatchOperationRequest_##name##_operation_FIELD, PB_BATCH_OPERATION_TYPE_##TYPE, \
        running_only, one                                                                   \
  }
    OPERATION(termination, TERMINATE_WORKFLOW, true, terminate_one),
    OPERATION(cancellation, CANCEL_WORKFLOW, true, cancel_one),
    OPERATION(signal, SIGNAL_WORKFLOW, true, signal_one),
    OPERATION(deletion, DELETE_WORKFLOW, false, delete_one),
    OPERATION(reset, RESET_WORKFLOW, false, reset_one),
    OPERATION(update_workflow_options, UPDATE_WORKFLOW_EXECUTION_OPTIONS, true,
              update_options_of_one),
    OPERATION(unpause_activities, UNPAUSE_ACTIVITY, true, unpause_activities_of_one),
    OPERATION(reset_activities, RESET_ACTIVITY, true, reset_activities_of_one),
    OPERATION(update_activity_options, UPDATE_ACTIVITY_OPTIONS, true, update_activities_of_one),
#undef OPERATION
};

static const struct operation *operation_of(const batch_request *q) {
  for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
    if (operations[i].field == q->which_operation) return &operations[i];
  }
  PANIC("a batch of an operation that is not built: %u", q->which_operation);
}

void batch_operate(shard *s, shard_op *op, const pb_store_BatchJob *job, pb_WorkflowExecution *e) {
  target t = {.s = s, .op = op, .job = job, .execution = e};
  operation_of(job->request)->one(&t);
}

int32_t batch_operation_type(const batch_request *q) { return operation_of(q)->type; }

span batch_operation_identity(const batch_request *q) {
  switch (q->which_operation) {
#define IDENTITY(name)                                         \
  case PB_StartBatchOperationRequest_##name##_operation_FIELD: \
    return q->name##_operation->identity
    IDENTITY(termination);
    IDENTITY(cancellation);
    IDENTITY(signal);
    IDENTITY(deletion);
    IDENTITY(reset);
    IDENTITY(update_workflow_options);
    IDENTITY(unpause_activities);
    IDENTITY(reset_activities);
    IDENTITY(update_activity_options);
#undef IDENTITY
    default:
      PANIC("a batch of an operation that is not built: %u", q->which_operation);
  }
}

/* Quoted as the filter language wants it. */
static span quoted(span text, arena *a) {
  uint8_t *to = arena_alloc(a, text.n * 2 + 2);
  size_t n = 0;
  to[n++] = '\'';
  for (size_t i = 0; i < text.n; i++) {
    if (text.p[i] == '\'' || text.p[i] == '\\') to[n++] = '\\';
    to[n++] = text.p[i];
  }
  to[n++] = '\'';
  return span_of(to, n);
}

span shard_batch_query(const batch_request *q, arena *a) {
  span query = q->visibility_query;
  if (!operation_of(q)->running_only) return query;
  query = arena_spanf(a, "(%.*s\n) AND ExecutionStatus = 'Running'", SPAN_ARG(query));
  const pb_BatchOperationUnpauseActivities *o = q->unpause_activities_operation;
  if (q->which_operation != PB_StartBatchOperationRequest_unpause_activities_operation_FIELD) {
    return query;
  }
  if (o->which_activity != PB_BatchOperationUnpauseActivities_type_FIELD) {
    return arena_spanf(a, "%.*s AND TemporalPauseInfo IS NOT NULL", SPAN_ARG(query));
  }
  span cause = quoted(arena_spanf(a, "property:activityType=%.*s", SPAN_ARG(o->type)), a);
  return arena_spanf(a, "%.*s AND TemporalPauseInfo = %.*s", SPAN_ARG(query), SPAN_ARG(cause));
}

bool batch_operation_needs_workflow(const batch_request *q) {
  if (q->which_operation != PB_StartBatchOperationRequest_reset_operation_FIELD) return false;
  shard_reset_point point = point_of(q->reset_operation);
  return point == SHARD_RESET_FIRST_TASK || point == SHARD_RESET_LAST_TASK;
}

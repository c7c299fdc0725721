#include "rpc/handlers/api.h"

static const int64_t min_poll_ns = 2 * NS_PER_SEC;

static err *check_poll_time(ask *k) {
  int64_t deadline = rpc_deadline_ns(k->call);
  if (deadline == INT64_MAX) {
    return ERR(k->arena, INVALID_ARGUMENT, "Context timeout is not set.");
  }
  if (deadline - (int64_t)uv_hrtime() < min_poll_ns) {
    return ERR(k->arena, FAILED_PRECONDITION, "Context timeout is too short.");
  }
  return NULL;
}

static err *check_capabilities(ask *k, const pb_WorkerVersionCapabilities *can,
                               const pb_WorkerDeploymentOptions *options, const pb_TaskQueue *q) {
  return check_worker_version(&k->check, can && can->use_versioning,
                              can ? can->build_id : SPAN_NONE, options, q);
}

err *api_poll_workflow(ask *k) {
  const pb_PollWorkflowTaskQueueRequest *q = k->request;
  pb_PollWorkflowTaskQueueRequest *p = pb_new(k->arena, PollWorkflowTaskQueueRequest);
  TRY(check_poll_time(k));
  TRY(check_identity(&k->check, q->identity));
  TRY(check_capabilities(k, q->worker_version_capabilities, q->deployment_options, q->task_queue));
  *p = *q;
  TRY(check_task_queue(&k->check, false, &p->task_queue));
  shard_poll_workflow(ask_shard(k), ask_op(k), p);
  return NULL;
}

err *api_poll_activity(ask *k) {
  const pb_PollActivityTaskQueueRequest *q = k->request;
  pb_PollActivityTaskQueueRequest *p = pb_new(k->arena, PollActivityTaskQueueRequest);
  *p = *q;
  TRY(check_poll_time(k));
  TRY(check_task_queue(&k->check, false, &p->task_queue));
  TRY(check_identity(&k->check, q->identity));
  TRY(check_capabilities(k, q->worker_version_capabilities, q->deployment_options, q->task_queue));
  shard_poll_activity(ask_shard(k), ask_op(k), p);
  return NULL;
}

err *api_poll_nexus(ask *k) {
  const pb_PollNexusTaskQueueRequest *q = k->request;
  pb_TaskQueue *queue = q->task_queue;
  TRY(check_poll_time(k));
  TRY(check_task_queue(&k->check, false, &queue));
  TRY(check_identity(&k->check, q->identity));
  TRY(check_capabilities(k, q->worker_version_capabilities, q->deployment_options, q->task_queue));
  shard_poll_nexus(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_wft_complete(ask *k) {
  const pb_RespondWorkflowTaskCompletedRequest *q = k->request;
  const pb_WorkerVersionStamp *stamp = q->worker_version_stamp;
  const pb_TaskQueue *sticky =
      q->sticky_attributes ? q->sticky_attributes->worker_task_queue : NULL;
  TRY(check_identity(&k->check, q->identity));
  TRY(check_worker_version(&k->check, stamp && stamp->use_versioning,
                           stamp ? stamp->build_id : SPAN_NONE, q->deployment_options, sticky));
  if (q->intermediate_page || q->page_number > 0) {
    return ERR(k->arena, FAILED_PRECONDITION,
               "workflow task completion pagination is disabled for this namespace %.*s",
               SPAN_ARG(k->check.ns_name));
  }
  if (q->versioning_behavior && !q->deployment) { /* a versioned worker is refused above */
    return ERR(k->arena, INVALID_ARGUMENT,
               "versioning behavior cannot be specified without deployment options being set with "
               "versioned mode");
  }
  shard_wft_complete(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_wft_fail(ask *k) {
  const pb_RespondWorkflowTaskFailedRequest *q = k->request;
  pb_RespondWorkflowTaskFailedRequest *f = pb_new(k->arena, RespondWorkflowTaskFailedRequest);
  TRY(check_identity(&k->check, q->identity));
  *f = *q;
  f->failure = failure_within_limit(&k->check, q->failure);
  shard_wft_fail(ask_shard(k), ask_op(k), f);
  return NULL;
}

err *api_query_complete(ask *k) {
  const pb_RespondQueryTaskCompletedRequest *q = k->request;
  const err *too_large = check_blob(&k->check, q->query_result.n);
  if (too_large) {
    pb_RespondQueryTaskCompletedRequest *f = pb_new(k->arena, RespondQueryTaskCompletedRequest);
    f->task_token = q->task_token;
    f->namespace = q->namespace;
    f->completed_type = PB_QUERY_RESULT_TYPE_FAILED;
    f->error_message = span_cstr(too_large->what);
    q = f;
  }
  shard_query_complete(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_shutdown_worker(ask *k) {
  shard_shutdown_worker(ask_shard(k), ask_op(k), k->request);
  return NULL;
}

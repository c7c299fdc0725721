/* Task queues: described, configured. */
#include "rpc/handlers/api.h"

static err *bad(ask *k, const char *what) { return ERR(k->arena, INVALID_ARGUMENT, "%s", what); }

err *api_describe_task_queue(ask *k) {
  const pb_DescribeTaskQueueRequest *q = k->request;
  pb_DescribeTaskQueueRequest *d = pb_new(k->arena, DescribeTaskQueueRequest);
  *d = *q;
  TRY(check_task_queue(&k->check, true, &d->task_queue));
  const bool is_sticky = d->task_queue->kind == PB_TASK_QUEUE_KIND_STICKY;
  if (d->api_mode == PB_DESCRIBE_TASK_QUEUE_MODE_ENHANCED) {
    if (is_sticky) {
      return bad(k,
                 "Enhanced DescribeTaskQueue is not valid for a sticky queue, use "
                 "api_mode=UNSPECIFIED or a normal queue.");
    }
  } else if (d->report_stats &&
             (is_sticky || span_starts_with(d->task_queue->name, SPAN("/_sys/")))) {
    return bad(k, "DescribeTaskQueue stats are only supported for the root partition");
  }
  if (d->task_queue_type == PB_TASK_QUEUE_TYPE_UNSPECIFIED) {
    d->task_queue_type = PB_TASK_QUEUE_TYPE_WORKFLOW;
  }
  shard_describe_task_queue(ask_shard(k), ask_op(k), d);
  return NULL;
}

static pb_list_TaskQueuePartitionMetadata one_partition(ask *k, span name) {
  pb_list_TaskQueuePartitionMetadata all = {
      .v = arena_array(k->arena, pb_TaskQueuePartitionMetadata *, 1), .n = 1};
  all.v[0] = pb_new(k->arena, TaskQueuePartitionMetadata);
  all.v[0]->key = name;
  return all;
}

/* A queue is in one piece here. */
err *api_list_partitions(ask *k) {
  const pb_ListTaskQueuePartitionsRequest *q = k->request;
  pb_TaskQueue *queue = q->task_queue;
  TRY(check_task_queue(&k->check, false, &queue));
  pb_ListTaskQueuePartitionsResponse r = {
      .activity_task_queue_partitions = one_partition(k, queue->name),
      .workflow_task_queue_partitions = one_partition(k, queue->name)};
  return ask_reply(k, &r);
}

/* --- configuration --- */

enum { TEXT_LIMIT = 1000, WEIGHTS_LIMIT = 1000 };

static err *check_limit(ask *k, const pb_UpdateTaskQueueConfigRequest_RateLimitUpdate *u,
                        const char *field) {
  if (!u) return NULL;
  if (u->rate_limit && !(u->rate_limit->requests_per_second >= 0)) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "RequestsPerSecond for %s rate limit must be non-negative.", field);
  }
  if (u->reason.n <= TEXT_LIMIT) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "%s.Reason field too long (max %d characters).", field,
             TEXT_LIMIT);
}

static err *check_fairness_key(ask *k, span key) {
  return key.n > CHECK_FAIRNESS_KEY_BYTES ? bad(k, "fairness key length exceeds limit") : NULL;
}

static err *check_weights(ask *k, const pb_UpdateTaskQueueConfigRequest *q) {
  size_t n = q->set_fairness_weight_overrides.n + q->unset_fairness_weight_overrides.n;
  if (n > WEIGHTS_LIMIT) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "too many fairness weight overrides in request: got %zu, maximum %d", n,
               WEIGHTS_LIMIT);
  }
  for (size_t i = 0; i < q->set_fairness_weight_overrides.n; i++) {
    span key = q->set_fairness_weight_overrides.v[i]->key;
    TRY(check_fairness_key(k, key));
    if (!(q->set_fairness_weight_overrides.v[i]->value > 0)) {
      return ERR(k->arena, INVALID_ARGUMENT,
                 "invalid fairness weight weight for key \"%.*s\": must be greater than zero",
                 SPAN_ARG(key));
    }
  }
  for (size_t i = 0; i < q->unset_fairness_weight_overrides.n; i++) {
    span key = q->unset_fairness_weight_overrides.v[i];
    TRY(check_fairness_key(k, key));
    for (size_t j = 0; j < q->set_fairness_weight_overrides.n; j++) {
      if (!span_eq(q->set_fairness_weight_overrides.v[j]->key, key)) continue;
      return ERR(k->arena, INVALID_ARGUMENT,
                 "fairness weight override key \"%.*s\" present in both set and unset lists",
                 SPAN_ARG(key));
    }
  }
  return NULL;
}

static err *check_configured_queue(ask *k, const pb_UpdateTaskQueueConfigRequest *q) {
  if (span_starts_with(q->task_queue, SPAN("/_sys/"))) {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid task queue partition name %.*s",
               SPAN_ARG(q->task_queue));
  }
  pb_TaskQueue name = {.name = q->task_queue}, *queue = &name;
  TRY(check_task_queue(&k->check, false, &queue));
  if (q->task_queue_type != PB_TASK_QUEUE_TYPE_WORKFLOW &&
      q->task_queue_type != PB_TASK_QUEUE_TYPE_ACTIVITY) {
    return bad(k, "TaskQueueType must be WORKFLOW or ACTIVITY.");
  }
  if (q->task_queue_type == PB_TASK_QUEUE_TYPE_ACTIVITY) return NULL;
  if (q->update_queue_rate_limit) {
    return bad(k, "Setting rate limit on workflow task queues is not allowed.");
  }
  if (q->update_fairness_key_rate_limit_default) {
    return bad(k, "Setting fairness key rate limit on workflow task queues is not allowed.");
  }
  return NULL;
}

err *api_update_queue_config(ask *k) {
  const pb_UpdateTaskQueueConfigRequest *q = k->request;
  TRY(check_configured_queue(k, q));
  TRY(check_limit(k, q->update_queue_rate_limit, "UpdateQueueRateLimit"));
  TRY(check_limit(k, q->update_fairness_key_rate_limit_default,
                  "UpdateFairnessKeyRateLimitDefault"));
  if (q->identity.n > TEXT_LIMIT) {
    return ERR(k->arena, INVALID_ARGUMENT, "Identity field too long (max %d characters).",
               TEXT_LIMIT);
  }
  TRY(check_weights(k, q));
  shard_update_queue_config(ask_shard(k), ask_op(k), q);
  return NULL;
}

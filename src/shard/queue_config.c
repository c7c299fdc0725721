/* queue_config.c - what operators set for a task queue, and what its workers ask for. What is set
 * counts before what the newest poll asked for. */
#include "proto/pb_time.h"
#include "shard/shard_int.h"

const float *queue_rate(const queue_name *q, int32_t *ret_source) {
  *ret_source = q->rate_is_set ? PB_RATE_LIMIT_SOURCE_API : PB_RATE_LIMIT_SOURCE_WORKER;
  if (q->rate_is_set) return &q->set_rate;
  return q->has_worker_rate ? &q->worker_rate : NULL;
}

pb_TaskQueueConfig *queue_config(const queue_name *q, arena *a) {
  pb_TaskQueueConfig *c = NULL;
  if (!q->config) return NULL;
  err *e = PB_DECODE(TaskQueueConfig, arena_dup(a, bytes_span(q->config)), a, &c);
  ASSERT(!e); /* it was encoded here */
  return c;
}

static void apply_rate(shard *s, queue_name *q) {
  int32_t source;
  match_set_rate(&s->matching, queue_of_key(s, q->key), queue_rate(q, &source));
}

void queue_worker_rate(shard *s, queue_name *q, float per_second) {
  if (q->has_worker_rate && q->worker_rate == per_second) return;
  q->has_worker_rate = true;
  q->worker_rate = per_second;
  apply_rate(s, q);
}

void queue_take_config(shard *s, queue_name *q, const pb_TaskQueueConfig *c, arena *a) {
  const pb_RateLimitConfig *limit = c->queue_rate_limit;
  bytes_unref(q->config);
  q->config = bytes_copy(PB_ENCODE(TaskQueueConfig, c, a));
  q->rate_is_set = limit && limit->rate_limit;
  q->set_rate = q->rate_is_set ? limit->rate_limit->requests_per_second : 0;
  apply_rate(s, q);
}

/* --- changes --- */

static pb_RateLimitConfig *changed_limit(shard *s, const pb_UpdateTaskQueueConfigRequest *r,
                                         const pb_UpdateTaskQueueConfigRequest_RateLimitUpdate *u,
                                         arena *a) {
  pb_RateLimitConfig *c = pb_new(a, RateLimitConfig);
  c->rate_limit = u->rate_limit;
  c->metadata = pb_new(a, ConfigMetadata);
  c->metadata->reason = u->reason;
  c->metadata->update_identity = r->identity;
  c->metadata->update_time = pb_time_new(a, now_ns(s) / NS_PER_MS * NS_PER_MS);
  return c;
}

typedef pb_TaskQueueConfig_FairnessWeightOverridesEntry weight;

static bool names_key(const pb_list_span *keys, span key) {
  for (size_t i = 0; i < keys->n; i++) {
    if (span_eq(keys->v[i], key)) return true;
  }
  return false;
}

static weight *find_weight(const pb_TaskQueueConfig *c, span key) {
  for (size_t i = 0; i < c->fairness_weight_overrides.n; i++) {
    if (span_eq(c->fairness_weight_overrides.v[i]->key, key)) {
      return c->fairness_weight_overrides.v[i];
    }
  }
  return NULL;
}

static void change_weights(pb_TaskQueueConfig *c, const pb_UpdateTaskQueueConfigRequest *r,
                           arena *a) {
  size_t most = c->fairness_weight_overrides.n + r->set_fairness_weight_overrides.n;
  pb_TaskQueueConfig kept = {.fairness_weight_overrides.v = arena_array(a, weight *, most + 1)};
  for (size_t i = 0; i < c->fairness_weight_overrides.n; i++) {
    weight *w = c->fairness_weight_overrides.v[i];
    if (names_key(&r->unset_fairness_weight_overrides, w->key)) continue;
    kept.fairness_weight_overrides.v[kept.fairness_weight_overrides.n++] = w;
  }
  for (size_t i = 0; i < r->set_fairness_weight_overrides.n; i++) {
    weight *w = find_weight(&kept, r->set_fairness_weight_overrides.v[i]->key);
    if (!w) {
      w = pb_new(a, TaskQueueConfig_FairnessWeightOverridesEntry);
      w->key = r->set_fairness_weight_overrides.v[i]->key;
      kept.fairness_weight_overrides.v[kept.fairness_weight_overrides.n++] = w;
    }
    w->value = r->set_fairness_weight_overrides.v[i]->value;
  }
  c->fairness_weight_overrides = kept.fairness_weight_overrides;
}

typedef struct config_change {
  gate gate;
  shard_op *op;
  int64_t key;
  pb_UpdateTaskQueueConfigResponse *response;
  err *error;
} config_change;

static void config_written(shard *s, step *t, const err *e) {
  config_change *c = t->owner;
  queue_name *q = queue_by_key(s, c->key);
  if (e) {
    c->error = ERR_WRAP(c->op->arena, UNAVAILABLE, e, "the configuration could not be written");
  } else {
    queue_stored(s, q);
    queue_take_config(s, q, c->response->config, c->op->arena);
  }
  match_unpin(queue_of_key(s, c->key));
}

static void config_answer(shard *s, gate *g, const err *e) {
  config_change *c = CONTAINER_OF(g, config_change, gate);
  (void)s;
  (void)e;
  c->op->done(c->op, c->error, c->error ? NULL : c->response);
}

void shard_update_queue_config(shard *s, shard_op *op, const pb_UpdateTaskQueueConfigRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  arena *a = op->arena;
  bool activity = r->task_queue_type == PB_TASK_QUEUE_TYPE_ACTIVITY;
  queue_name *q = queue_named(s, op->ns, r->task_queue, activity, false);
  match_pin(queue_of_key(s, q->key)); /* the name must not be forgotten on the way */
  pb_TaskQueueConfig *config = queue_config(q, a);
  if (!config) config = pb_new(a, TaskQueueConfig);
  if (r->update_queue_rate_limit) {
    config->queue_rate_limit = changed_limit(s, r, r->update_queue_rate_limit, a);
  }
  if (r->update_fairness_key_rate_limit_default) {
    config->fairness_keys_rate_limit_default =
        changed_limit(s, r, r->update_fairness_key_rate_limit_default, a);
  }
  change_weights(config, r, a);
  config_change *c = arena_new(a, config_change);
  c->op = op;
  c->key = q->key;
  c->response = pb_new(a, UpdateTaskQueueConfigResponse);
  c->response->config = config;
  step *t = step_new(s);
  t->owner = c;
  t->named_done = config_written;
  step_stage_named(s, t, queue_name_row(q, config, &t->arena));
  gate_wait_lsn(s, &c->gate, t->lsn, config_answer);
  step_unref(t);
}

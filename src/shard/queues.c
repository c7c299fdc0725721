/* queues.c - requests about task queues and the workers on them. */
#include "proto/pb_time.h"
#include "shard/shard_int.h"

static const double poller_rate = 100000; /* what the original reports when nothing limits it */

static pb_PollerInfo *describe_poller(const match_poller *p, arena *a) {
  pb_PollerInfo *info = pb_new(a, PollerInfo);
  info->identity = p->identity;
  info->last_access_time = pb_time_new(a, p->seen_ns);
  info->rate_per_second = poller_rate;
  return info;
}

void shard_describe_task_queue(shard *s, shard_op *op, const pb_DescribeTaskQueueRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  arena *a = op->arena;
  bool activity = r->task_queue_type == PB_TASK_QUEUE_TYPE_ACTIVITY;
  queue_name *name = queue_find(s, op->ns, r->task_queue->name, activity);
  match_queue_view v = {0};
  if (name) match_look(queue_of_key(s, name->key), now_ns(s), a, &v);
  pb_DescribeTaskQueueResponse *response = pb_new(a, DescribeTaskQueueResponse);
  response->pollers.v = arena_array(a, pb_PollerInfo *, v.n_pollers + 1);
  for (size_t i = 0; i < v.n_pollers; i++) {
    response->pollers.v[response->pollers.n++] = describe_poller(&v.pollers[i], a);
  }
  if (r->report_stats) {
    response->stats = pb_new(a, TaskQueueStats);
    response->stats->approximate_backlog_count = (int64_t)v.backlog;
    response->stats->approximate_backlog_age = pb_duration_new(a, 0);
  }
  if (r->include_task_queue_status) {
    response->task_queue_status = pb_new(a, TaskQueueStatus);
    response->task_queue_status->backlog_count_hint = (int64_t)v.backlog;
    response->task_queue_status->rate_per_second = poller_rate;
    response->task_queue_status->task_id_block = pb_new(a, TaskIdBlock);
  }
  op->done(op, NULL, response);
}

/* --- a worker leaves --- */

typedef struct sticky_task {
  run_use use;
  arena arena;
} sticky_task;

static void leave_sticky(shard *s, run_use *u, shard_run *run, const err *e) {
  sticky_task *t = CONTAINER_OF(u, sticky_task, use);
  if (!e) {
    step *st = step_new(s);
    engine_wft_leave_sticky(run->engine, step_part_add(s, st, run));
    e = step_stage(s, st); /* an error has told everybody who waits for the run */
    step_unref(st);
  }
  arena_release(&t->arena);
  mem_free(t);
}

/* Its sticky queue will not be polled again: what waits there goes to the normal queues. */
static void empty_sticky(shard *s, match_queue *q) {
  match_task task;
  match_forget_pollers(q);
  while (match_take(&s->matching, q, &task)) {
    if (task.query) {
      int64_t run;
      query_again(s, query_take(s, task.query, &run));
      continue;
    }
    sticky_task *t = mem_new(sticky_task);
    t->use = (run_use){.key = task.run, .arena = &t->arena, .ready = leave_sticky};
    run_find_key(s, &t->use);
  }
}

void shard_shutdown_worker(shard *s, shard_op *op, const pb_ShutdownWorkerRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  queue_name *name =
      r->sticky_task_queue.n ? queue_find(s, op->ns, r->sticky_task_queue, false) : NULL;
  match_queue *q = name ? queue_of_key(s, name->key) : NULL;
  left_add(s, r->worker_instance_key);
  polls_end(s, r->worker_instance_key, q);
  idle_polls_end(s, r->worker_instance_key);
  if (q) empty_sticky(s, q);
  op->done(op, NULL, pb_new(op->arena, ShutdownWorkerResponse));
}

/* queues.c - a worker leaves its task queues. */
#include "shard/shard_int.h"

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
  if (r->worker_heartbeat) worker_heard(s, op->ns, r->worker_heartbeat);
  op->done(op, NULL, pb_new(op->arena, ShutdownWorkerResponse));
}

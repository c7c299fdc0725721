/* idle_poll.c - polls for tasks that this server never has (Nexus). They wait as others do, so that
 * a worker with such handlers runs and shuts down as elsewhere, and end with an empty answer. */
#include "shard/shard_int.h"

typedef struct idle_poll {
  waiter waiter;
  shard_op *op;
  size_t n;
  uint8_t instance_key[];
} idle_poll;

static void idle_end(shard *s, idle_poll *p, const err *e) {
  shard_op *op = p->op;
  waiter_end(s, &p->waiter);
  op->done(op, e, e ? NULL : pb_new(op->arena, PollNexusTaskQueueResponse));
  mem_free(p);
}

static void idle_timeout(shard *s, waiter *w) {
  idle_end(s, CONTAINER_OF(w, idle_poll, waiter), NULL);
}

static void idle_gone(shard *s, waiter *w, const err *e) {
  idle_poll *p = CONTAINER_OF(w, idle_poll, waiter);
  arena *a = p->op->arena;
  idle_end(s, p, e ? err_dup(a, e) : ERR(a, CANCELLED, "the poll was cancelled"));
}

void idle_polls_end(shard *s, span worker_instance_key) {
  if (!worker_instance_key.n) return;
  LIST_FOR_EACH (n, &s->waiters) {
    waiter *w = CONTAINER_OF(n, shard_op, node)->state;
    if (w->timeout != idle_timeout) continue;
    idle_poll *p = CONTAINER_OF(w, idle_poll, waiter);
    if (span_eq(span_of(p->instance_key, p->n), worker_instance_key)) idle_end(s, p, NULL);
  }
}

void shard_poll_nexus(shard *s, shard_op *op, const pb_PollNexusTaskQueueRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  span key = r->worker_instance_key;
  idle_poll *p = mem_zalloc(sizeof *p + key.n);
  p->op = op;
  p->n = key.n;
  if (key.n) memcpy(p->instance_key, key.p, key.n);
  p->waiter = (waiter){.timeout = idle_timeout, .gone = idle_gone};
  int64_t until = now_ns(s) + s->config.poll_ns;
  if (op->deadline_ns != INT64_MAX) until = MIN(until, op->deadline_ns - NS_PER_SEC);
  waiter_begin(s, &p->waiter, op, until);
  if (left_has(s, key)) {
    idle_end(s, p, NULL);
  } else if (op->park) {
    op->park(op);
  }
}

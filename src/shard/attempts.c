/* attempts.c - the ledger of an activity's attempts, read. */
#include <stdlib.h>

#include "shard/shard_int.h"

typedef struct attempts_read {
  store_load load;
  gate gate;
  call *call;
  shard_run *run;
  shard_attempts *found;
} attempts_read;

static int32_t number_of(const pb_store_AttemptRecord *r) {
  return r->number ? r->number : r->attempt;
}

static int by_number(const void *a, const void *b) {
  int32_t x = number_of(*(pb_store_AttemptRecord *const *)a);
  int32_t y = number_of(*(pb_store_AttemptRecord *const *)b);
  return (x > y) - (x < y);
}

/* Several attempts may share one stored failure: the row (numbered by `attempt`) that holds it. */
static err *decode_attempts(const store_load *l, arena *a, shard_attempts *all) {
  all->v = arena_array(a, pb_store_AttemptRecord *, l->n_rows + 1);
  for (; all->n < l->n_rows; all->n++) {
    span blob = arena_dup(a, bytes_span(l->rows[all->n].blob));
    err *e = PB_DECODE(store_AttemptRecord, blob, a, &all->v[all->n]);
    if (e) return ERR_WRAP(a, DATA_LOSS, e, "a stored attempt does not decode");
  }
  for (size_t i = 0; i < all->n; i++) {
    pb_store_AttemptRecord *r = all->v[i];
    for (size_t k = 0; !r->failure && r->failure_slot && k < all->n; k++) {
      if (l->rows[k].attempt == r->failure_slot) r->failure = all->v[k]->failure;
    }
  }
  if (all->n > 1) qsort(all->v, all->n, sizeof(pb_store_AttemptRecord *), by_number);
  if (all->n > ENGINE_LEDGER_ATTEMPTS) {
    all->v += all->n - ENGINE_LEDGER_ATTEMPTS;
    all->n = ENGINE_LEDGER_ATTEMPTS;
  }
  return NULL;
}

static void attempts_loaded(env_task *task) {
  attempts_read *r = CONTAINER_OF(CONTAINER_OF(task, store_load, task), attempts_read, load);
  call *c = r->call;
  shard *s = c->s;
  store_load *l = &r->load;
  shard_attempts *all = r->found;
  const err *e = l->error ? l->error : decode_attempts(l, c->op->arena, all);
  s->loads_under_way--;
  if (e) {
    call_refuse(c, NULL, e);
  } else {
    call_answer(c, NULL, all);
  }
  engine_rows_release(l->rows, l->n_rows);
  arena_release(&l->arena);
  run_unpin(s, r->run);
  mem_free(r);
  check_drained(s);
}

static void attempts_durable(shard *s, gate *g, const err *e) {
  attempts_read *r = CONTAINER_OF(g, attempts_read, gate);
  if (e) {
    call_refuse(r->call, NULL, e);
    run_unpin(s, r->run);
    mem_free(r);
    return;
  }
  s->loads_under_way++;
  s->store->load(s->store, &r->load);
}

static err *no_such_activity(arena *a, span activity_id) {
  return not_found_error(
      a, arena_printf(a,
                      "no activity \"%.*s\" is pending: name one that has ended by the event that "
                      "scheduled it",
                      SPAN_ARG(activity_id)));
}

static void act_attempts(shard *s, call *c, shard_run *run) {
  const shard_attempts_query *q = c->request;
  arena *a = c->op->arena;
  run_flush(s, run);
  if (run->phase != RUN_READY) {
    call_refuse(c, NULL, run_gone_error(a));
    return;
  }
  shard_attempts *found = arena_new(a, shard_attempts);
  found->scheduled_event_id = q->scheduled_event_id;
  if (q->activity_id.n) {
    found->scheduled_event_id = engine_activity_scheduled_id(run->engine, q->activity_id);
    if (!found->scheduled_event_id) {
      call_refuse(c, run, no_such_activity(a, q->activity_id));
      return;
    }
  }
  /* The run may go on before the answer is durable. */
  const pb_PendingActivityInfo *p =
      engine_describe_activity(run->engine, found->scheduled_event_id, now_ns(s), a);
  if (p) found->pending = PB_COPY(PendingActivityInfo, p, a);
  attempts_read *r = mem_new(attempts_read);
  r->call = c;
  r->run = run;
  r->found = found;
  r->load = (store_load){.kind = LOAD_ATTEMPTS,
                         .run = run->key,
                         .id = found->scheduled_event_id,
                         .task = {.run = attempts_loaded}};
  gate_wait(s, &r->gate, run, attempts_durable);
}

void shard_list_attempts(shard *s, shard_op *op, const shard_attempts_query *q) {
  call *c = call_new(s, op, q, act_attempts);
  if (c) call_find(c, q->workflow_id, q->run_id);
}

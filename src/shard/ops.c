/* ops.c - requests about one run: messages from outside, and what it looks like. */
#include <stdlib.h>

#include "shard/shard_int.h"

/* --- messages --- */

static void act_signal(shard *s, call *c, shard_run *run) {
  const pb_SignalWorkflowExecutionRequest *r = c->request;
  engine_step *st = call_step(c, run);
  engine_signal_args args = {.name = r->signal_name,
                             .input = r->input,
                             .identity = r->identity,
                             .request_id = r->request_id,
                             .header = r->header,
                             .links = (const pb_Link *const *)r->links.v,
                             .n_links = r->links.n};
  pb_SignalWorkflowExecutionResponse *response =
      pb_new(c->op->arena, SignalWorkflowExecutionResponse);
  engine_view v;
  engine_look(run->engine, &v);
  response->link = link_to_signal(c->op->arena, c->op->ns_name, &v, r->request_id);
  call_finish(c, run, engine_signal(run->engine, st, &args), response);
}

void shard_signal(shard *s, shard_op *op, const pb_SignalWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_signal);
  if (c) call_find(c, r->workflow_execution->workflow_id, r->workflow_execution->run_id);
}

/* A request that names the first run of a chain means its newest run, and only that chain. */
static err *check_chain(arena *a, const shard_run *run, span first_run_id) {
  engine_view v;
  engine_look(run->engine, &v);
  if (!first_run_id.n || span_eq(v.first_run_id, first_run_id)) return NULL;
  return not_found_error(a, "workflow execution not found");
}

static void act_cancel(shard *s, call *c, shard_run *run) {
  const pb_RequestCancelWorkflowExecutionRequest *r = c->request;
  engine_step *st = call_step(c, run);
  err *e = check_chain(c->op->arena, run, r->first_execution_run_id);
  engine_cancel_args args = {.cause = r->reason,
                             .identity = r->identity,
                             .request_id = r->request_id,
                             .links = (const pb_Link *const *)r->links.v,
                             .n_links = r->links.n};
  if (!e) e = engine_request_cancel(run->engine, st, &args);
  call_finish(c, run, e, pb_new(c->op->arena, RequestCancelWorkflowExecutionResponse));
}

void shard_request_cancel(shard *s, shard_op *op,
                          const pb_RequestCancelWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_cancel);
  span run_id = r->first_execution_run_id.n ? SPAN_NONE : r->workflow_execution->run_id;
  if (c) call_find(c, r->workflow_execution->workflow_id, run_id);
}

static void act_terminate(shard *s, call *c, shard_run *run) {
  const pb_TerminateWorkflowExecutionRequest *r = c->request;
  engine_step *st = call_step(c, run);
  err *e = check_chain(c->op->arena, run, r->first_execution_run_id);
  engine_terminate_args args = {.reason = r->reason,
                                .details = r->details,
                                .identity = r->identity,
                                .links = (const pb_Link *const *)r->links.v,
                                .n_links = r->links.n};
  if (!e) e = engine_terminate(run->engine, st, &args);
  call_finish(c, run, e, pb_new(c->op->arena, TerminateWorkflowExecutionResponse));
}

void shard_terminate(shard *s, shard_op *op, const pb_TerminateWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_terminate);
  span run_id = r->first_execution_run_id.n ? SPAN_NONE : r->workflow_execution->run_id;
  if (c) call_find(c, r->workflow_execution->workflow_id, run_id);
}

static void act_reset_sticky(shard *s, call *c, shard_run *run) {
  engine_step *st = call_step(c, run);
  engine_view v;
  engine_look(run->engine, &v);
  err *e = NULL;
  if (v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    engine_reset_sticky(run->engine, st);
  } else {
    e = not_found_error(c->op->arena, "workflow execution already completed");
  }
  call_finish(c, run, e, pb_new(c->op->arena, ResetStickyTaskQueueResponse));
}

void shard_reset_sticky(shard *s, shard_op *op, const pb_ResetStickyTaskQueueRequest *r) {
  call *c = call_new(s, op, r, act_reset_sticky);
  if (c) call_find(c, r->execution->workflow_id, r->execution->run_id);
}

/* --- reads --- */

static void act_describe(shard *s, call *c, shard_run *run) {
  arena *a = c->op->arena;
  run_flush(s, run);
  if (run->phase != RUN_READY) {
    call_refuse(c, NULL, run_gone_error(a));
    return;
  }
  const pb_DescribeWorkflowExecutionResponse *r = engine_describe(run->engine, a);
  /* The run may go on before the answer is durable. */
  if (run->lsn > s->durable_lsn) r = PB_COPY(DescribeWorkflowExecutionResponse, r, a);
  call_answer(c, run, r);
}

void shard_describe(shard *s, shard_op *op, const pb_DescribeWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_describe);
  if (c) call_find(c, r->execution->workflow_id, r->execution->run_id);
}

/* --- the ledger of attempts --- */

typedef struct attempts_read {
  store_load load;
  gate gate;
  call *call;
  shard_run *run;
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
  shard_attempts *all = arena_new(c->op->arena, shard_attempts);
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

static void act_attempts(shard *s, call *c, shard_run *run) {
  attempts_read *r = mem_new(attempts_read);
  run_flush(s, run);
  r->call = c;
  r->run = run;
  r->load = (store_load){.kind = LOAD_ATTEMPTS,
                         .run = run->key,
                         .id = *(const int64_t *)c->request,
                         .task = {.run = attempts_loaded}};
  gate_wait(s, &r->gate, run, attempts_durable);
}

void shard_list_attempts(shard *s, shard_op *op, span workflow_id, span run_id,
                         int64_t scheduled_event_id) {
  int64_t *id = arena_new(op->arena, int64_t);
  *id = scheduled_event_id;
  call *c = call_new(s, op, id, act_attempts);
  if (c) call_find(c, workflow_id, run_id);
}

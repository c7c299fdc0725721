/* call.c - one request: find the run, act, answer when durable; and ops that wait long. */
#include "shard/shard_int.h"

void op_fail(shard_op *op, const err *e) { op->done(op, e, NULL); }

err *draining_error(arena *a) { return ERR(a, UNAVAILABLE, "the server is shutting down"); }

bool op_refused(shard *s, shard_op *op) {
  if (s->broken) {
    op_fail(op, ERR(op->arena, UNAVAILABLE, "the database cannot be used: %s", s->broken));
    return true;
  }
  if (!s->draining) return false;
  op_fail(op, draining_error(op->arena));
  return true;
}

static void run_found(shard *s, run_use *u, shard_run *run, const err *e) {
  call *c = CONTAINER_OF(u, call, use);
  if (e) {
    call_refuse(c, NULL, e);
  } else {
    c->act(s, c, run);
  }
}

bool call_init(call *c, shard *s, shard_op *op, const void *request, call_fn *act) {
  op->state = NULL;
  if (op_refused(s, op)) return false;
  *c = (call){.s = s, .op = op, .request = request, .act = act};
  c->use = (run_use){.ns = op->ns, .arena = op->arena, .ready = run_found};
  return true;
}

call *call_new(shard *s, shard_op *op, const void *request, call_fn *act) {
  call *c = arena_new(op->arena, call);
  return call_init(c, s, op, request, act) ? c : NULL;
}

void call_find(call *c, span workflow_id, span run_id) {
  c->use.workflow_id = workflow_id;
  c->use.run_id = run_id;
  run_find(c->s, &c->use);
}

void call_find_key(call *c, int64_t key, span run_id) {
  c->use.key = key;
  c->use.run_id = run_id;
  run_find_key(c->s, &c->use);
}

engine_step *call_step(call *c, shard_run *run) {
  c->step = step_new(c->s);
  return step_part_add(c->s, c->step, run);
}

static void answer(shard *s, gate *g, const err *e) {
  call *c = CONTAINER_OF(g, call, gate);
  step *t = c->step;
  shard_run *run = g->run;
  c->op->done(c->op, e ? e : c->error, e || c->error ? NULL : c->response);
  step_unref(t);
  if (run) run_unpin(s, run);
}

void call_answer(call *c, shard_run *run, const void *response) {
  c->response = response;
  if (run) {
    gate_wait(c->s, &c->gate, run, answer);
  } else {
    gate_wait_lsn(c->s, &c->gate, 0, answer);
  }
}

void call_refuse(call *c, shard_run *run, const err *e) {
  c->error = err_dup(c->op->arena, e);
  call_answer(c, run && run->phase == RUN_READY ? run : NULL, NULL);
}

void call_finish(call *c, shard_run *run, const err *e, const void *response) {
  shard *s = c->s; /* the answer may go out at once, and c with it */
  run_pin(run);
  if (!e) e = step_stage(c->s, c->step);
  if (!e) e = c->step->parts[0].st->reply_err;
  if (e) {
    call_refuse(c, run, e);
  } else {
    call_answer(c, run, response);
  }
  run_unpin(s, run);
}

/* --- ops that wait --- */

void waiter_begin(shard *s, waiter *w, shard_op *op, int64_t until_ns) {
  w->op = op;
  op->state = w;
  op->timer = (heap_node){0};
  op->node = (list_node){0};
  list_push_back(&s->waiters, &op->node);
  waiter_move(s, w, until_ns);
}

void waiter_move(shard *s, waiter *w, int64_t until_ns) {
  heap_remove(&s->deadlines, &w->op->timer);
  heap_insert(&s->deadlines, &w->op->timer, until_ns, ++s->tie);
  want_wake(s, until_ns);
}

void waiter_end(shard *s, waiter *w) {
  heap_remove(&s->deadlines, &w->op->timer);
  list_remove(&w->op->node);
  w->op->state = NULL;
}

void shard_op_gone(shard *s, shard_op *op) {
  waiter *w = op->state;
  if (w) w->gone(s, w, NULL);
}

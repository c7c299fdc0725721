/* delete.c - runs that are deleted on request. (Those kept long enough: timers.c fires them.)
 *
 * A deletion is a step like any other: its one row takes every row of the run with it. Until that
 * is durable, memory keeps the run as RUN_DELETED, so that nobody reads it back from the disk. An
 * open run is terminated first, in a step of its own, and is then due for deletion: a crash in
 * between deletes it after the restart.
 */
#include "shard/shard_int.h"

static void delete_closed(call *c, shard_run *run) {
  engine_step *st = call_step(c, run);
  engine_delete(run->engine, st);
  call_finish(c, run, NULL, c->response);
}

/* Whoever waited for the end of the run has been told. */
static void terminated(shard *s, gate *g, const err *e) {
  call *c = CONTAINER_OF(g, call, gate);
  shard_run *run = g->run;
  step_unref(c->step);
  c->step = NULL;
  c->gate = (gate){0};
  if (e) {
    call_refuse(c, NULL, e);
  } else if (run->phase == RUN_READY) {
    delete_closed(c, run);
  } else {
    call_answer(c, run, c->response);
  }
  run_unpin(s, run);
}

static void act_delete(shard *s, call *c, shard_run *run) {
  engine_view v;
  engine_look(run->engine, &v);
  c->response = pb_new(c->op->arena, DeleteWorkflowExecutionResponse);
  if (v.status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    delete_closed(c, run);
    return;
  }
  engine_delete(run->engine, call_step(c, run));
  run_pin(run);
  err *e = step_stage(s, c->step);
  if (e) {
    call_refuse(c, run, e);
  } else {
    gate_wait(s, &c->gate, run, terminated);
  }
  run_unpin(s, run);
}

void shard_delete(shard *s, shard_op *op, const pb_DeleteWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_delete);
  if (c) call_find(c, r->workflow_execution->workflow_id, r->workflow_execution->run_id);
}

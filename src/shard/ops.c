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

err *check_chain(arena *a, const shard_run *run, span first_run_id) {
  engine_view v;
  engine_look(run->engine, &v);
  if (!first_run_id.n || span_eq(v.first_run_id, first_run_id)) return NULL;
  return not_found_error(a, "workflow execution not found");
}

/* Of a closed run it does not matter which chain it ended: nothing is left to be done to it. */
static err *check_open_chain(arena *a, const shard_run *run, span first_run_id) {
  engine_view v;
  engine_look(run->engine, &v);
  if (v.status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return NULL;
  return check_chain(a, run, first_run_id);
}

static void act_cancel(shard *s, call *c, shard_run *run) {
  const pb_RequestCancelWorkflowExecutionRequest *r = c->request;
  engine_step *st = call_step(c, run);
  err *e = check_open_chain(c->op->arena, run, r->first_execution_run_id);
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
  err *e = check_open_chain(c->op->arena, run, r->first_execution_run_id);
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
  const pb_DescribeWorkflowExecutionResponse *r = engine_describe(run->engine, now_ns(s), a);
  /* The run may go on before the answer is durable. */
  if (run->lsn > s->durable_lsn) r = PB_COPY(DescribeWorkflowExecutionResponse, r, a);
  call_answer(c, run, r);
}

void shard_describe(shard *s, shard_op *op, const pb_DescribeWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_describe);
  if (c) call_find(c, r->execution->workflow_id, r->execution->run_id);
}

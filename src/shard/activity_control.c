/* activity_control.c - operators' requests about one run and its pending activities. */
#include "shard/shard_int.h"

static void begin(shard *s, shard_op *op, const pb_WorkflowExecution *x, const void *request,
                  call_fn *act) {
  call *c = call_new(s, op, request, act);
  if (c) call_find(c, x->workflow_id, x->run_id);
}

static void act_pause(shard *s, call *c, shard_run *run) {
  err *e = engine_activity_pause(run->engine, call_step(c, run), c->request);
  call_finish(c, run, e, pb_new(c->op->arena, PauseActivityResponse));
}

void shard_activity_pause(shard *s, shard_op *op, const pb_PauseActivityRequest *r) {
  begin(s, op, r->execution, r, act_pause);
}

static void act_unpause(shard *s, call *c, shard_run *run) {
  err *e = engine_activity_unpause(run->engine, call_step(c, run), c->request);
  call_finish(c, run, e, pb_new(c->op->arena, UnpauseActivityResponse));
}

void shard_activity_unpause(shard *s, shard_op *op, const pb_UnpauseActivityRequest *r) {
  begin(s, op, r->execution, r, act_unpause);
}

static void act_reset(shard *s, call *c, shard_run *run) {
  err *e = engine_activity_reset(run->engine, call_step(c, run), c->request);
  call_finish(c, run, e, pb_new(c->op->arena, ResetActivityResponse));
}

void shard_activity_reset(shard *s, shard_op *op, const pb_ResetActivityRequest *r) {
  begin(s, op, r->execution, r, act_reset);
}

static void act_update_options(shard *s, call *c, shard_run *run) {
  pb_ActivityOptions *options = NULL;
  err *e = engine_activity_update_options(run->engine, call_step(c, run), c->request, &options);
  pb_UpdateActivityOptionsResponse *response = pb_new(c->op->arena, UpdateActivityOptionsResponse);
  if (!e) response->activity_options = PB_COPY(ActivityOptions, options, c->op->arena);
  call_finish(c, run, e, response);
}

void shard_activity_update_options(shard *s, shard_op *op,
                                   const pb_UpdateActivityOptionsRequest *r) {
  begin(s, op, r->execution, r, act_update_options);
}

static void act_update_run(shard *s, call *c, shard_run *run) {
  pb_WorkflowExecutionOptions *options = NULL;
  err *e = engine_update_options(run->engine, call_step(c, run), c->request, &options);
  pb_UpdateWorkflowExecutionOptionsResponse *response =
      pb_new(c->op->arena, UpdateWorkflowExecutionOptionsResponse);
  if (!e) {
    response->workflow_execution_options = PB_COPY(WorkflowExecutionOptions, options, c->op->arena);
  }
  call_finish(c, run, e, response);
}

void shard_update_options(shard *s, shard_op *op,
                          const pb_UpdateWorkflowExecutionOptionsRequest *r) {
  begin(s, op, r->workflow_execution, r, act_update_run);
}

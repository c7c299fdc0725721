/* activity.c - what workers and clients say of activities, by token and by id. */
#include "shard/shard_int.h"

typedef struct activity_call {
  call call;
  engine_token token;
  engine_activity_ref ref;
} activity_call;

static activity_call *activity_call_new(shard *s, shard_op *op, const void *request, call_fn *act) {
  call *made = call_new(s, op, request, act);
  if (!made) return NULL;
  activity_call *ac = arena_new(op->arena, activity_call);
  ac->call = *made;
  return ac;
}

static void by_token(shard *s, shard_op *op, span token, const void *request, call_fn *act) {
  activity_call *ac = activity_call_new(s, op, request, act);
  pb_store_TaskToken *t;
  if (!ac) return;
  err *e = open_task(s, op, TOKEN_ACTIVITY_TASK, token, &t);
  if (e) {
    op_fail(op, e);
    return;
  }
  ac->token = task_token(t);
  ac->ref.token = &ac->token;
  ac->call.use.ns = t->namespace_key;
  ac->call.use.workflow_id = t->workflow_id;
  call_find_key(&ac->call, t->run, t->run_id);
}

static void by_id(shard *s, shard_op *op, span workflow_id, span run_id, span activity_id,
                  const void *request, call_fn *act) {
  activity_call *ac = activity_call_new(s, op, request, act);
  if (!ac) return;
  ac->ref.activity_id = activity_id;
  call_find(&ac->call, workflow_id, run_id);
}

static engine_activity_ref ref_of(call *c) { return CONTAINER_OF(c, activity_call, call)->ref; }

/* --- complete --- */

static void act_complete(shard *s, call *c, shard_run *run) {
  const pb_RespondActivityTaskCompletedRequest *r = c->request;
  err *e = engine_activity_complete(run->engine, call_step(c, run), ref_of(c), r->result,
                                    r->identity, r->worker_version);
  call_finish(c, run, e, pb_new(c->op->arena, RespondActivityTaskCompletedResponse));
}

static void act_complete_by_id(shard *s, call *c, shard_run *run) {
  const pb_RespondActivityTaskCompletedByIdRequest *r = c->request;
  err *e = engine_activity_complete(run->engine, call_step(c, run), ref_of(c), r->result,
                                    r->identity, NULL);
  call_finish(c, run, e, pb_new(c->op->arena, RespondActivityTaskCompletedByIdResponse));
}

void shard_activity_complete(shard *s, shard_op *op,
                             const pb_RespondActivityTaskCompletedRequest *r) {
  by_token(s, op, r->task_token, r, act_complete);
}

void shard_activity_complete_by_id(shard *s, shard_op *op,
                                   const pb_RespondActivityTaskCompletedByIdRequest *r) {
  by_id(s, op, r->workflow_id, r->run_id, r->activity_id, r, act_complete_by_id);
}

/* --- fail --- */

static void act_fail(shard *s, call *c, shard_run *run) {
  const pb_RespondActivityTaskFailedRequest *r = c->request;
  err *e = engine_activity_fail(run->engine, call_step(c, run), ref_of(c), r->failure, r->identity,
                                r->last_heartbeat_details, r->worker_version);
  call_finish(c, run, e, pb_new(c->op->arena, RespondActivityTaskFailedResponse));
}

static void act_fail_by_id(shard *s, call *c, shard_run *run) {
  const pb_RespondActivityTaskFailedByIdRequest *r = c->request;
  err *e = engine_activity_fail(run->engine, call_step(c, run), ref_of(c), r->failure, r->identity,
                                r->last_heartbeat_details, NULL);
  call_finish(c, run, e, pb_new(c->op->arena, RespondActivityTaskFailedByIdResponse));
}

void shard_activity_fail(shard *s, shard_op *op, const pb_RespondActivityTaskFailedRequest *r) {
  by_token(s, op, r->task_token, r, act_fail);
}

void shard_activity_fail_by_id(shard *s, shard_op *op,
                               const pb_RespondActivityTaskFailedByIdRequest *r) {
  by_id(s, op, r->workflow_id, r->run_id, r->activity_id, r, act_fail_by_id);
}

/* --- cancel --- */

static void act_cancel(shard *s, call *c, shard_run *run) {
  const pb_RespondActivityTaskCanceledRequest *r = c->request;
  err *e = engine_activity_cancel(run->engine, call_step(c, run), ref_of(c), r->details,
                                  r->identity, r->worker_version);
  call_finish(c, run, e, pb_new(c->op->arena, RespondActivityTaskCanceledResponse));
}

static void act_cancel_by_id(shard *s, call *c, shard_run *run) {
  const pb_RespondActivityTaskCanceledByIdRequest *r = c->request;
  err *e = engine_activity_cancel(run->engine, call_step(c, run), ref_of(c), r->details,
                                  r->identity, NULL);
  call_finish(c, run, e, pb_new(c->op->arena, RespondActivityTaskCanceledByIdResponse));
}

void shard_activity_cancel(shard *s, shard_op *op, const pb_RespondActivityTaskCanceledRequest *r) {
  by_token(s, op, r->task_token, r, act_cancel);
}

void shard_activity_cancel_by_id(shard *s, shard_op *op,
                                 const pb_RespondActivityTaskCanceledByIdRequest *r) {
  by_id(s, op, r->workflow_id, r->run_id, r->activity_id, r, act_cancel_by_id);
}

/* --- heartbeat --- */

static void act_heartbeat(shard *s, call *c, shard_run *run) {
  const pb_RecordActivityTaskHeartbeatRequest *r = c->request;
  pb_RecordActivityTaskHeartbeatResponse *response =
      pb_new(c->op->arena, RecordActivityTaskHeartbeatResponse);
  engine_heartbeat heard = {0};
  err *e = engine_activity_heartbeat(run->engine, call_step(c, run), ref_of(c), r->details,
                                     r->identity, &heard);
  response->cancel_requested = heard.cancel_requested;
  response->activity_paused = heard.paused;
  response->activity_reset = heard.reset;
  call_finish(c, run, e, response);
}

static void act_heartbeat_by_id(shard *s, call *c, shard_run *run) {
  const pb_RecordActivityTaskHeartbeatByIdRequest *r = c->request;
  pb_RecordActivityTaskHeartbeatByIdResponse *response =
      pb_new(c->op->arena, RecordActivityTaskHeartbeatByIdResponse);
  engine_heartbeat heard = {0};
  err *e = engine_activity_heartbeat(run->engine, call_step(c, run), ref_of(c), r->details,
                                     r->identity, &heard);
  response->cancel_requested = heard.cancel_requested;
  response->activity_paused = heard.paused;
  response->activity_reset = heard.reset;
  call_finish(c, run, e, response);
}

void shard_activity_heartbeat(shard *s, shard_op *op,
                              const pb_RecordActivityTaskHeartbeatRequest *r) {
  by_token(s, op, r->task_token, r, act_heartbeat);
}

void shard_activity_heartbeat_by_id(shard *s, shard_op *op,
                                    const pb_RecordActivityTaskHeartbeatByIdRequest *r) {
  by_id(s, op, r->workflow_id, r->run_id, r->activity_id, r, act_heartbeat_by_id);
}

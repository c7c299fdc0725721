/* receive.c - a message from another run: what it does to a run of this shard. */
#include "shard/mail.h"

static const span server_identity = {(const uint8_t *)"history-service", 15};

static err *check_child(const call *c, const shard_run *run) {
  const engine_message *m = c->request;
  if (!m->child_only || engine_is_child_of(run->engine, &m->from)) return NULL;
  return not_found_error(c->op->arena, "the workflow is not a child of the sender");
}

static void act_signal(shard *s, call *c, shard_run *run) {
  const engine_message *m = c->request;
  engine_step *st = call_step(c, run);
  engine_signal_args args = {.name = m->signal->signal_name,
                             .input = m->signal->input,
                             .identity = server_identity,
                             .request_id = m->request_id,
                             .header = m->signal->header,
                             .sender = &m->from};
  (void)s;
  err *e = check_child(c, run);
  if (!e) e = engine_signal(run->engine, st, &args);
  call_finish(c, run, e, NULL);
}

static void act_cancel(shard *s, call *c, shard_run *run) {
  const engine_message *m = c->request;
  engine_step *st = call_step(c, run);
  engine_cancel_args args = {.cause = m->cause,
                             .identity = m->identity.p ? m->identity : server_identity,
                             .request_id = m->request_id,
                             .sender = m->identity.p ? NULL : &m->from,
                             .sender_initiated_id = m->kind == MESSAGE_CANCEL ? m->id : 0};
  (void)s;
  err *e = check_child(c, run);
  if (!e) e = engine_request_cancel(run->engine, st, &args);
  call_finish(c, run, e, NULL);
}

/* The newest run of the child's chain. Another chain under its id has nothing to do with it, and a
 * run that came of a reset is not its parent. */
static void act_close(shard *s, call *c, shard_run *run) {
  const engine_message *m = c->request;
  engine_view v;
  engine_look(run->engine, &v);
  if (!span_eq(v.first_run_id, m->first_run_id)) {
    call_answer(c, run, NULL);
    return;
  }
  if (!m->terminates) {
    act_cancel(s, c, run);
    return;
  }
  engine_step *st = call_step(c, run);
  engine_terminate_args args = {.reason = m->cause,
                                .identity = m->identity.p ? m->identity : server_identity};
  err *e = check_child(c, run);
  if (!e) e = engine_terminate(run->engine, st, &args);
  call_finish(c, run, e, NULL);
}

/* The children of a run that was reset are those of the run that came of it. */
static void act_result(shard *s, call *c, shard_run *run) {
  engine_view v;
  engine_look(run->engine, &v);
  (void)s;
  if (v.status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING && v.reset_run_id.n) {
    call_find(c, c->use.workflow_id, arena_dup(c->op->arena, v.reset_run_id));
    return;
  }
  engine_child_ended(run->engine, call_step(c, run), c->request);
  call_finish(c, run, NULL, NULL);
}

static void act_schedule_result(shard *s, call *c, shard_run *run) {
  (void)s;
  engine_schedule_ended(run->engine, call_step(c, run), c->request);
  call_finish(c, run, NULL, NULL);
}

void receive(shard *s, shard_op *op, const engine_message *m, bool again) {
  static call_fn *const acts[] = {[MESSAGE_CLOSE_CHILD] = act_close,
                                  [MESSAGE_SIGNAL] = act_signal,
                                  [MESSAGE_CANCEL] = act_cancel,
                                  [MESSAGE_CHILD_RESULT] = act_result,
                                  [MESSAGE_SCHEDULE_RESULT] = act_schedule_result};
  if (m->kind == MESSAGE_START_CHILD) {
    start_child(s, op, m, again);
    return;
  }
  call *c = call_new(s, op, m, acts[m->kind]);
  if (!c) return;
  bool to_itself = span_eq(m->to.workflow_id, m->from.workflow_id);
  if (to_itself && (m->kind == MESSAGE_SIGNAL || m->kind == MESSAGE_CANCEL)) {
    call_refuse(c, NULL, not_found_error(op->arena, "a workflow cannot send to itself"));
    return;
  }
  call_find(c, m->to.workflow_id, m->to.run_id);
}

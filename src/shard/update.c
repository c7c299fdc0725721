/* update.c - clients that wait for an update to come as far as they asked for.
 *
 *   request --admit--> there already? --yes--> (its outcome is read from history) --> answer
 *                           | no
 *                           v
 *                        WAITING --a step tells of it (updates_tell)--> durable --> answer
 *                           '--20 s--> answer with the stage that is reached
 *
 * The engine knows the updates; here are only those who wait. The rules are in engine/update.h.
 */
#include "shard/update.h"

#include "proto/pb_time.h"

typedef struct update_wait {
  waiter waiter;
  gate gate;
  list_node node; /* in run->update_waits, until it is decided */
  history_read read;
  shard *s;
  shard_op *op;
  shard_run *run; /* pinned */
  update_asker asker;
  engine_update_stage wanted;
  bool decided;
  bytes *start_response;
  const err *error;
  const void *response;
  span update_id, request_id;
  uint8_t text[];
} update_wait;

/* --- answers --- */

static pb_UpdateRef *ref_to(const update_wait *w, arena *a) {
  engine_view v;
  engine_look(w->run->engine, &v);
  pb_UpdateRef *ref = pb_new(a, UpdateRef);
  ref->workflow_execution = pb_new(a, WorkflowExecution);
  ref->workflow_execution->workflow_id = arena_dup(a, v.workflow_id);
  ref->workflow_execution->run_id = arena_dup(a, v.run_id);
  ref->update_id = arena_dup(a, w->update_id);
  return ref;
}

/* Where the update can be seen: in history, unless it failed. */
static pb_Link *link_of(const update_wait *w, const pb_Outcome *outcome, arena *a) {
  engine_view v;
  engine_look(w->run->engine, &v);
  bool failed = outcome && outcome->which_value == PB_Outcome_failure_FIELD && outcome->failure;
  if (!failed) {
    return link_to_request(a, w->op->ns_name, &v, arena_dup(a, w->request_id),
                           PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED);
  }
  pb_Link *link = pb_new(a, Link);
  link->which_variant = PB_Link_workflow_FIELD;
  link->workflow = pb_new(a, Link_Workflow);
  link->workflow->namespace = w->op->ns_name;
  link->workflow->workflow_id = arena_dup(a, v.workflow_id);
  link->workflow->run_id = arena_dup(a, v.run_id);
  link->workflow->reason = SPAN("Update rejected");
  return link;
}

static const void *poll_response(const update_wait *w, int32_t stage, pb_Outcome *outcome) {
  arena *a = w->op->arena;
  pb_PollWorkflowExecutionUpdateResponse *r = pb_new(a, PollWorkflowExecutionUpdateResponse);
  r->update_ref = ref_to(w, a);
  r->stage = stage;
  r->outcome = outcome;
  return r;
}

static const void *response_of(const update_wait *w, engine_update_stage stage,
                               const pb_Outcome *outcome) {
  static const int32_t stages[] = {
      [ENGINE_UPDATE_ADMITTED] = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED,
      [ENGINE_UPDATE_ACCEPTED] = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED,
      [ENGINE_UPDATE_COMPLETED] = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED};
  arena *a = w->op->arena;
  pb_Outcome *kept = outcome ? PB_COPY(Outcome, outcome, a) : NULL;
  if (w->asker == ASKED_BY_POLL) return poll_response(w, stages[stage], kept);
  pb_UpdateWorkflowExecutionResponse *r = pb_new(a, UpdateWorkflowExecutionResponse);
  r->update_ref = ref_to(w, a);
  r->stage = stages[stage];
  r->outcome = kept;
  if (stage > ENGINE_UPDATE_ADMITTED && w->asker != ASKED_AGAIN_WITH_START) {
    r->link = link_of(w, kept, a);
  }
  return w->start_response ? multi_response(bytes_span(w->start_response), r, a) : r;
}

static void wait_end(update_wait *w, const err *e, const void *response) {
  shard *s = w->s;
  shard_run *run = w->run;
  shard_op *op = w->op;
  arena *a = op->arena;
  list_remove(&w->node);
  waiter_end(s, &w->waiter);
  if (e && w->start_response) e = shard_multi_error(a, NULL, e);
  op->done(op, e, response);
  bytes_unref(w->start_response);
  mem_free(w);
  run_unpin(s, run);
}

static void answer_durable(shard *s, gate *g, const err *e) {
  update_wait *w = CONTAINER_OF(g, update_wait, gate);
  shard_run *gated = g->run;
  const err *why = e ? e : w->error;
  wait_end(w, why, why ? NULL : w->response);
  run_unpin(s, gated);
}

/* Nothing changes this answer any more; it goes out when what it says is durable. */
static void decide(update_wait *w, const engine_update *u) {
  w->decided = true;
  list_remove(&w->node);
  if (u->error) {
    w->error = err_dup(w->op->arena, u->error);
  } else {
    w->response = response_of(w, u->stage, u->outcome);
  }
  gate_wait(w->s, &w->gate, w->run, answer_durable);
}

/* --- outcomes in history --- */

static const err *outcome_in(span events, arena *a, pb_Outcome **ret_outcome) {
  pb_History *h = NULL;
  TRY(PB_DECODE(History, events, a, &h));
  const pb_HistoryEvent *ev = h->events.n ? h->events.v[0] : NULL;
  if (!ev || ev->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED) {
    return ERR(a, DATA_LOSS, "the outcome of an update is not where it should be");
  }
  *ret_outcome = ev->workflow_execution_update_completed_event_attributes->outcome;
  return NULL;
}

static void outcome_read(shard *s, history_read *r, const err *e) {
  update_wait *w = CONTAINER_OF(r, update_wait, read);
  arena *a = w->op->arena;
  engine_update u = {.id = w->update_id, .stage = ENGINE_UPDATE_COMPLETED};
  pb_Outcome *outcome = NULL;
  if (!e && w->run->phase != RUN_READY) e = run_gone_error(a);
  if (!e) e = outcome_in(r->events, a, &outcome);
  u.outcome = outcome;
  if (e) u.error = err_dup(a, e);
  if (w->run->phase == RUN_READY) {
    decide(w, &u);
  } else {
    wait_end(w, u.error, NULL);
  }
}

static void read_outcome(update_wait *w, int64_t event_id) {
  w->decided = true;
  list_remove(&w->node);
  w->read = (history_read){.run = w->run,
                           .from = event_id,
                           .until = event_id + 1,
                           .max_batches = 1,
                           .arena = w->op->arena,
                           .done = outcome_read};
  history_start(w->s, &w->read);
}

/* --- waiting --- */

/* Where the step has left this update: it may have passed several stages. */
static const engine_update *told_of(const engine_step *st, span update_id) {
  for (size_t i = st->n_updates; i-- > 0;) {
    if (span_eq(st->updates[i].id, update_id)) return &st->updates[i];
  }
  return NULL;
}

void updates_tell(shard *s, shard_run *run, const engine_step *st) {
  if (!st->n_updates) return;
  LIST_FOR_EACH (n, &run->update_waits) {
    update_wait *w = CONTAINER_OF(n, update_wait, node);
    const engine_update *u = told_of(st, w->update_id);
    if (u && (u->error || u->stage >= w->wanted)) decide(w, u);
  }
}

void updates_fail(shard *s, shard_run *run, const err *e) {
  for (list_node *n = list_first(&run->update_waits); n; n = list_first(&run->update_waits)) {
    update_wait *w = CONTAINER_OF(n, update_wait, node);
    wait_end(w, err_dup(w->op->arena, e), NULL);
  }
}

static void wait_over(shard *s, waiter *waiting) {
  update_wait *w = CONTAINER_OF(waiting, update_wait, waiter);
  arena *a = w->op->arena;
  if (w->decided) return;
  if (now_ns(s) >= w->op->deadline_ns) {
    wait_end(w, ERR(a, DEADLINE_EXCEEDED, "the update has not come as far as was asked for"), NULL);
    return;
  }
  engine_update u = engine_update_look(w->run->engine, w->update_id, a);
  if (!u.stage && !u.error) u.error = ERR(a, UNAVAILABLE, "workflow update was aborted");
  decide(w, &u);
}

static void wait_gone(shard *s, waiter *waiting, const err *e) {
  update_wait *w = CONTAINER_OF(waiting, update_wait, waiter);
  arena *a = w->op->arena;
  if (w->decided) return;
  wait_end(w, e ? err_dup(a, e) : ERR(a, CANCELLED, "the call was cancelled"), NULL);
}

static engine_update_stage wanted_stage(const pb_WaitPolicy *p) {
  int32_t stage = p ? p->lifecycle_stage : 0;
  if (stage == PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED) {
    return ENGINE_UPDATE_COMPLETED;
  }
  return stage == PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED ? ENGINE_UPDATE_ACCEPTED
                                                                        : ENGINE_UPDATE_ADMITTED;
}

static span keep(uint8_t **at, span s) {
  uint8_t *p = *at;
  if (s.n) memcpy(p, s.p, s.n);
  *at += s.n;
  return span_of(p, s.n);
}

static update_wait *wait_new(shard *s, shard_op *op, shard_run *run, const update_question *q) {
  update_wait *w = mem_zalloc(sizeof *w + q->update_id.n + q->request_id.n);
  uint8_t *at = w->text;
  w->s = s;
  w->op = op;
  w->run = run;
  w->asker = q->asker;
  w->wanted = wanted_stage(q->policy);
  w->start_response = q->start_response;
  w->update_id = keep(&at, q->update_id);
  w->request_id = keep(&at, q->request_id);
  w->waiter = (waiter){.timeout = wait_over, .gone = wait_gone};
  run_pin(run);
  list_push_back(&run->update_waits, &w->node);
  waiter_begin(s, &w->waiter, op, MIN(now_ns(s) + s->config.long_poll_ns, op->deadline_ns));
  return w;
}

void update_wait_begin(shard *s, shard_op *op, shard_run *run, const update_question *q) {
  update_wait *w = wait_new(s, op, run, q);
  if (op->park) op->park(op);
  engine_update u = engine_update_look(run->engine, w->update_id, op->arena);
  if (u.stage == ENGINE_UPDATE_COMPLETED && !u.outcome) {
    read_outcome(w, u.outcome_event_id);
  } else if (u.error || u.stage >= w->wanted) {
    decide(w, &u);
  }
}

/* --- requests --- */

static void act_update(shard *s, call *c, shard_run *run) {
  const pb_UpdateWorkflowExecutionRequest *r = c->request;
  arena *a = c->op->arena;
  shard_op *op = c->op;
  engine_step *st = call_step(c, run);
  run_pin(run);
  err *e = s->draining ? draining_error(a) : check_chain(a, run, r->first_execution_run_id);
  if (!e) e = engine_update_admit(run->engine, st, r->request);
  if (!e) e = step_stage(s, c->step);
  if (!e && run->phase != RUN_READY) e = err_dup(a, run_gone_error(a));
  if (e) {
    call_refuse(c, run, e);
    run_unpin(s, run);
    return;
  }
  step_unref(c->step);
  update_wait_begin(s, op, run,
                    &(update_question){.asker = ASKED_BY_UPDATE,
                                       .update_id = r->request->meta->update_id,
                                       .request_id = r->request->request_id,
                                       .policy = r->wait_policy});
  run_unpin(s, run);
}

void shard_update(shard *s, shard_op *op, const pb_UpdateWorkflowExecutionRequest *r) {
  call *c = call_new(s, op, r, act_update);
  if (c) call_find(c, r->workflow_execution->workflow_id, r->workflow_execution->run_id);
}

static void act_poll(shard *s, call *c, shard_run *run) {
  const pb_PollWorkflowExecutionUpdateRequest *r = c->request;
  arena *a = c->op->arena;
  span id = r->update_ref->update_id;
  engine_update u = engine_update_look(run->engine, id, a);
  err *e = u.error;
  if (!e && !u.stage) {
    e = not_found_error(a, arena_printf(a, "update \"%.*s\" not found", SPAN_ARG(id)));
  }
  if (e) {
    call_refuse(c, run, e);
    return;
  }
  update_wait_begin(
      s, c->op, run,
      &(update_question){.asker = ASKED_BY_POLL, .update_id = id, .policy = r->wait_policy});
}

void shard_poll_update(shard *s, shard_op *op, const pb_PollWorkflowExecutionUpdateRequest *r) {
  call *c = call_new(s, op, r, act_poll);
  const pb_WorkflowExecution *e = r->update_ref->workflow_execution;
  if (c) call_find(c, e->workflow_id, e->run_id);
}

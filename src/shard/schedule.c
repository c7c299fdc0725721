/* schedule.c - requests about schedules, which the shard keeps like runs (engine/schedule.h). */
#include "engine/schedule.h"

#include "shard/shard_int.h"

/* --- finding --- */

static void find(call *c, span schedule_id) {
  c->use.ns = schedule_ns(c->op->ns);
  call_find(c, schedule_workflow_id(schedule_id, c->op->arena), SPAN_NONE);
}

static void act_on(shard *s, shard_op *op, const void *request, span schedule_id, call_fn *act,
                   void *extra) {
  call *c = call_new(s, op, request, act);
  if (!c) return;
  c->extra = extra;
  find(c, schedule_id);
}

static bool is_closed(const shard_run *run) {
  engine_view v;
  engine_look(run->engine, &v);
  return v.status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
}

/* --- create --- */

static void create_found(shard *s, run_use *u, shard_run *run, const err *e);

static void created(shard *s, gate *g, const err *e) {
  call *c = CONTAINER_OF(g, call, gate);
  const pb_CreateScheduleRequest *r = c->request;
  shard_run *run = g->run;
  step *t = c->step;
  bool conflict = e && t->store.status == STORE_CONFLICT;
  c->step = NULL;
  c->gate = (gate){0};
  if (conflict) { /* another one was on the disk */
    find(c, r->schedule_id);
  } else {
    c->op->done(c->op, e, e ? NULL : c->response);
  }
  step_unref(t);
  run_unpin(s, run);
}

/* `before`: the closed one of this id; 0: none. */
static void create(call *c, int64_t before) {
  shard *s = c->s;
  shard_op *op = c->op;
  engine_schedule_args args = {.ns = schedule_ns(op->ns),
                               .ns_name = op->ns_name,
                               .ns_id = s->host.namespace_id(s, op->ns_name),
                               .expected_run = before,
                               .request = c->request,
                               .start = c->extra};
  s->host.new_run(s, op->arena, &args.run, &args.run_id);
  c->step = step_new(s);
  engine_step *st = step_part_new(s, c->step);
  shard_run *run = step_adopt(s, c->step, st, engine_schedule_create(st, &args));
  run_pin(run);
  err *e = step_stage(s, c->step);
  if (e) {
    call_refuse(c, NULL, e);
  } else {
    gate_wait(s, &c->gate, run, created);
  }
  run_unpin(s, run);
}

static err *already_registered(arena *a, span id) {
  pb_WorkflowExecutionAlreadyStartedFailure detail = {0};
  err *e = ERR(a, ALREADY_EXISTS, "schedule \"%.*s\" is already registered", SPAN_ARG(id));
  e->detail_type = pb_name(&pb_WorkflowExecutionAlreadyStartedFailure_desc);
  e->detail = PB_ENCODE(WorkflowExecutionAlreadyStartedFailure, &detail, a);
  return e;
}

static void create_found(shard *s, run_use *u, shard_run *run, const err *e) {
  call *c = CONTAINER_OF(u, call, use);
  const pb_CreateScheduleRequest *r = c->request;
  (void)s;
  if (e && e->code == ERR_NOT_FOUND) {
    create(c, 0);
  } else if (e) {
    call_refuse(c, NULL, e);
  } else if (span_eq(engine_info(run->engine)->request_id, r->request_id)) {
    call_answer(c, run, c->response);
  } else if (is_closed(run)) {
    create(c, run->key);
  } else {
    call_refuse(c, run, already_registered(c->op->arena, r->schedule_id));
  }
}

void shard_create_schedule(shard *s, shard_op *op, const pb_CreateScheduleRequest *r,
                           const pb_StartWorkflowExecutionRequest *start) {
  static const uint8_t first_token[] = {0, 0, 0, 0, 0, 0, 0, 1};
  call *c = call_new(s, op, r, NULL);
  if (!c) return;
  pb_CreateScheduleResponse *response = pb_new(op->arena, CreateScheduleResponse);
  response->conflict_token = span_of(first_token, sizeof first_token);
  c->response = response;
  c->extra = (void *)(uintptr_t)start;
  c->use.ready = create_found;
  find(c, r->schedule_id);
}

/* --- changes --- */

static void act_update(shard *s, call *c, shard_run *run) {
  (void)s;
  err *e = engine_schedule_update(run->engine, call_step(c, run), c->request, c->extra);
  call_finish(c, run, e, pb_new(c->op->arena, UpdateScheduleResponse));
}

void shard_update_schedule(shard *s, shard_op *op, const pb_UpdateScheduleRequest *r,
                           const pb_StartWorkflowExecutionRequest *start) {
  act_on(s, op, r, r->schedule_id, act_update, (void *)(uintptr_t)start);
}

static void act_patch(shard *s, call *c, shard_run *run) {
  (void)s;
  err *e = engine_schedule_patch(run->engine, call_step(c, run), c->request);
  call_finish(c, run, e, pb_new(c->op->arena, PatchScheduleResponse));
}

void shard_patch_schedule(shard *s, shard_op *op, const pb_PatchScheduleRequest *r) {
  act_on(s, op, r, r->schedule_id, act_patch, NULL);
}

static void act_delete(shard *s, call *c, shard_run *run) {
  (void)s;
  err *e = engine_schedule_delete(run->engine, call_step(c, run));
  call_finish(c, run, e, pb_new(c->op->arena, DeleteScheduleResponse));
}

void shard_delete_schedule(shard *s, shard_op *op, const pb_DeleteScheduleRequest *r) {
  act_on(s, op, r, r->schedule_id, act_delete, NULL);
}

/* --- reads --- */

/* A description tells of what was begun before it was asked for, as it does where schedules are
 * workflows: it waits for the answers to starts, but not for ever. */
typedef struct describe {
  waiter waiter;
  list_node node; /* in run->describes */
  call *call;
  shard_run *run;
} describe;

static void describe_now(shard *s, call *c, shard_run *run) {
  if (is_closed(run)) {
    call_refuse(c, run, not_found_error(c->op->arena, "schedule not found"));
    return;
  }
  call_answer(c, run, engine_schedule_describe(run->engine, &s->zones, c->op->arena));
}

static void describe_end(shard *s, describe *d) {
  list_remove(&d->node);
  waiter_end(s, &d->waiter);
}

static void describe_timeout(shard *s, waiter *w) {
  describe *d = CONTAINER_OF(w, describe, waiter);
  describe_end(s, d);
  describe_now(s, d->call, d->run);
}

static void describe_gone(shard *s, waiter *w, const err *e) {
  describe *d = CONTAINER_OF(w, describe, waiter);
  arena *a = d->call->op->arena;
  describe_end(s, d);
  call_refuse(d->call, NULL, e ? e : ERR(a, CANCELLED, "the client gave up waiting"));
}

void describes_wake(shard *s, shard_run *run) {
  if (engine_schedule_is_busy(run->engine)) return;
  run_pin(run);
  LIST_FOR_EACH (n, &run->describes) {
    describe *d = CONTAINER_OF(n, describe, node);
    describe_end(s, d);
    describe_now(s, d->call, run);
  }
  run_unpin(s, run);
}

void describes_fail(shard *s, shard_run *run, const err *e) {
  for (list_node *n = list_first(&run->describes); n; n = list_first(&run->describes)) {
    describe_gone(s, &CONTAINER_OF(n, describe, node)->waiter, e);
  }
}

static void act_describe(shard *s, call *c, shard_run *run) {
  enum { MOST_MS = 1000 };
  if (!engine_schedule_is_busy(run->engine)) {
    describe_now(s, c, run);
    return;
  }
  describe *d = arena_new(c->op->arena, describe);
  d->waiter = (waiter){.timeout = describe_timeout, .gone = describe_gone};
  d->call = c;
  d->run = run;
  list_push_back(&run->describes, &d->node);
  waiter_begin(s, &d->waiter, c->op, now_ns(s) + MOST_MS * NS_PER_MS);
}

void shard_describe_schedule(shard *s, shard_op *op, const pb_DescribeScheduleRequest *r) {
  act_on(s, op, r, r->schedule_id, act_describe, NULL);
}

static void act_matching(shard *s, call *c, shard_run *run) {
  pb_ListScheduleMatchingTimesResponse *r = NULL;
  err *e = engine_schedule_matching(run->engine, &s->zones, c->request, c->op->arena, &r);
  if (e) {
    call_refuse(c, run, e);
  } else {
    call_answer(c, run, r);
  }
}

void shard_matching_times(shard *s, shard_op *op, const pb_ListScheduleMatchingTimesRequest *r) {
  act_on(s, op, r, r->schedule_id, act_matching, NULL);
}

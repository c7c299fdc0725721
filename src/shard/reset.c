/* reset.c - ResetWorkflowExecution: a new run with the first events of another.
 *
 *   base found --> its history --> histories of the runs that followed it --> the current run
 *                                          ^                                        |
 *                                          '--- it has grown meanwhile -------------+--> one step
 *
 * Reads may wait for the disk, so what was read is compared with what the runs are when the step is
 * made. That step ends the current run, starts the new one and tells the base, all or nothing.
 */
#include "shard/shard_int.h"

typedef struct reset {
  call call;
  shard_reset_how how;
  shard_run *base, *last; /* pinned; last: of the chain, so far */
  int64_t finish_id;      /* of the task to reset to, once it is known */
  int64_t read_until;     /* next event of `last` that was not read */
  history_read read;
  run_use next, current;
  env_task hop;
  pb_HistoryEvent **events; /* of base, then of those that followed */
  size_t n_events, cap_events;
} reset;

static void read_more(shard *s, reset *r);

static const pb_ResetWorkflowExecutionRequest *request_of(const reset *r) {
  return r->call.request;
}

static void refuse(shard *s, reset *r, const err *e) {
  shard_run *base = r->base, *last = r->last;
  call_refuse(&r->call, NULL, e);
  if (base) run_unpin(s, base);
  if (last) run_unpin(s, last);
}

static void move_to(shard *s, reset *r, shard_run *run) {
  run_pin(run);
  if (r->last) run_unpin(s, r->last);
  r->last = run;
  r->read_until = 1;
}

static void keep_events(reset *r, const pb_History *h) {
  arena *a = r->call.op->arena;
  if (r->n_events + h->events.n > r->cap_events) {
    r->cap_events = MAX(r->n_events + h->events.n, r->cap_events * 2);
    pb_HistoryEvent **more = arena_array(a, pb_HistoryEvent *, r->cap_events);
    for (size_t i = 0; i < r->n_events; i++) more[i] = r->events[i];
    r->events = more;
  }
  for (size_t i = 0; i < h->events.n; i++) r->events[r->n_events++] = h->events.v[i];
}

/* --- one step --- */

/* How many events are shared; 0: the run has no such task. */
static size_t point_of(const reset *r) {
  if (r->how.point == SHARD_RESET_GIVEN) return (size_t)r->finish_id - 1;
  engine_view v;
  engine_look(r->base->engine, &v);
  size_t found = 0;
  for (size_t i = 0; i + 1 < (size_t)v.next_event_id; i++) {
    if (r->events[i]->event_type != PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED) continue;
    found = i;
    if (r->how.point == SHARD_RESET_FIRST_TASK) break;
  }
  return found;
}

static void apply(shard *s, reset *r, shard_run *current) {
  const pb_ResetWorkflowExecutionRequest *q = request_of(r);
  call *c = &r->call;
  arena *a = c->op->arena;
  shard_run *base = r->base, *last = r->last;
  size_t point = point_of(r);
  if (!point) {
    refuse(s, r, ERR(a, FAILED_PRECONDITION, "the workflow has no completed task to reset to"));
    return;
  }
  c->step = step_new(s);
  engine_step *st_current = current ? step_part_add(s, c->step, current) : NULL;
  engine_step *st_base = base == current ? st_current : step_part_add(s, c->step, base);
  engine_step *st = step_part_new(s, c->step);
  engine_reset_args args = {.expected_run = current ? current->key : 0,
                            .base = base->engine,
                            .events = r->events,
                            .n_events = point,
                            .later = r->events + point,
                            .n_later = r->n_events - point,
                            .last = last->engine,
                            .reason = q->reason,
                            .again = r->how.again,
                            .after = &q->post_reset_operations};
  s->host.new_run(s, a, &args.run, &args.run_id);
  engine_run *made = NULL;
  err *e = engine_reset(st, &args, &made);
  if (e) {
    refuse(s, r, e);
    return;
  }
  engine_terminate_args why = {
      .reason = q->reason, .identity = SPAN("history-resetter"), .by_reset = base == current};
  /* A closed one stays as it is: NOT_FOUND. */
  if (current) e = engine_terminate(current->engine, st_current, &why);
  engine_note_reset(base->engine, st_base, args.run_id);
  shard_run *run = step_adopt(s, c->step, st, made);
  pb_ResetWorkflowExecutionResponse *response = pb_new(a, ResetWorkflowExecutionResponse);
  response->run_id = args.run_id;
  call_finish(c, run, NULL, response);
  run_unpin(s, base);
  run_unpin(s, last);
}

static void current_found(shard *s, run_use *u, shard_run *current, const err *e) {
  reset *r = CONTAINER_OF(u, reset, current);
  if (e && e->code != ERR_NOT_FOUND) {
    refuse(s, r, e);
    return;
  }
  if (r->base->phase != RUN_READY || r->last->phase != RUN_READY) {
    refuse(s, r, run_gone_error(r->call.op->arena));
    return;
  }
  engine_view v;
  engine_look(r->last->engine, &v);
  if (v.next_event_id != r->read_until || v.unsettled) {
    read_more(s, r);
  } else {
    apply(s, r, e ? NULL : current);
  }
}

static void find_current(shard *s, reset *r) {
  r->current = (run_use){.ns = r->call.op->ns,
                         .workflow_id = request_of(r)->workflow_execution->workflow_id,
                         .arena = r->call.op->arena,
                         .ready = current_found};
  run_find(s, &r->current);
}

/* --- reading --- */

static void next_found(shard *s, run_use *u, shard_run *run, const err *e) {
  reset *r = CONTAINER_OF(u, reset, next);
  if (!e) {
    move_to(s, r, run);
    read_more(s, r);
  } else if (e->code == ERR_NOT_FOUND) {
    find_current(s, r); /* deleted since: its messages are lost */
  } else {
    refuse(s, r, e);
  }
}

/* From the loop, so that a long chain needs no deep stack. */
static void hop(env_task *t) {
  reset *r = CONTAINER_OF(t, reset, hop);
  shard *s = r->call.s;
  run_find(s, &r->next);
  s->loads_under_way--;
  check_drained(s);
}

/* All of `last` was read. */
static void chain_goes_on(shard *s, reset *r, const engine_view *v) {
  arena *a = r->call.op->arena;
  if (!v->new_run_id.n || !(r->how.again.signals || r->how.again.updates)) {
    find_current(s, r);
    return;
  }
  r->next = (run_use){.ns = r->call.op->ns,
                      .workflow_id = request_of(r)->workflow_execution->workflow_id,
                      .run_id = arena_dup(a, v->new_run_id),
                      .arena = a,
                      .ready = next_found};
  r->hop = (env_task){.run = hop};
  s->loads_under_way++;
  s->env->post(s->env, &r->hop);
}

static void events_read(shard *s, history_read *read, const err *e) {
  reset *r = CONTAINER_OF(read, reset, read);
  pb_History *h = NULL;
  if (!e) e = PB_DECODE(History, read->events, r->call.op->arena, &h);
  if (e) {
    refuse(s, r, e);
    return;
  }
  keep_events(r, h);
  r->read_until = read->next_id;
  read_more(s, r);
}

static void read_more(shard *s, reset *r) {
  shard_run *run = r->last;
  run_flush(s, run);
  if (run->phase != RUN_READY) {
    refuse(s, r, run_gone_error(r->call.op->arena));
    return;
  }
  engine_view v;
  engine_look(run->engine, &v);
  if (r->read_until == v.next_event_id) {
    chain_goes_on(s, r, &v);
    return;
  }
  r->read = (history_read){.run = run,
                           .from = r->read_until,
                           .until = v.next_event_id,
                           .max_batches = INT64_MAX,
                           .arena = r->call.op->arena,
                           .done = events_read};
  history_start(s, &r->read);
}

/* An earlier run of the chain may be the one that has it. */
static bool find_build(shard *s, reset *r, shard_run *run) {
  arena *a = r->call.op->arena;
  span run_id, this_run = engine_info(run->engine)->run_id;
  bool known = engine_reset_point(run->engine, r->how.build_id, a, &run_id, &r->finish_id);
  bool here = known && span_eq(run_id, this_run);
  if (!known || (!here && r->how.this_run_only)) {
    refuse(s, r,
           ERR(a, FAILED_PRECONDITION, "no workflow task was completed by build %.*s",
               SPAN_ARG(r->how.build_id)));
    return false;
  }
  r->how.point = SHARD_RESET_GIVEN;
  if (!here) call_find(&r->call, request_of(r)->workflow_execution->workflow_id, run_id);
  return here;
}

static void base_found(shard *s, call *c, shard_run *run) {
  reset *r = CONTAINER_OF(c, reset, call);
  run_flush(s, run);
  if (run->phase != RUN_READY) {
    call_refuse(c, NULL, run_gone_error(c->op->arena));
    return;
  }
  if (r->how.point == SHARD_RESET_BUILD && !find_build(s, r, run)) return;
  engine_view v;
  engine_look(run->engine, &v);
  if (r->how.point == SHARD_RESET_GIVEN && (r->finish_id <= 1 || r->finish_id >= v.next_event_id)) {
    call_refuse(c, run,
                ERR(c->op->arena, INVALID_ARGUMENT,
                    "Workflow task finish ID must be > 1 && <= workflow last event ID."));
    return;
  }
  run_pin(run);
  r->base = run;
  move_to(s, r, run);
  read_more(s, r);
}

void shard_reset(shard *s, shard_op *op, const pb_ResetWorkflowExecutionRequest *q,
                 shard_reset_how how) {
  reset *r = arena_new(op->arena, reset);
  if (!call_init(&r->call, s, op, q, base_found)) return;
  r->how = how;
  r->finish_id = q->workflow_task_finish_event_id;
  call_find(&r->call, q->workflow_execution->workflow_id, q->workflow_execution->run_id);
}

/* start.c - starting runs: what happens when the workflow id is known already.
 *
 * A start does not read first: if no run of the id is in memory it is staged as the first of its
 * id, and the store refuses it (STORE_CONFLICT) when there is one. Then the run that is there is
 * loaded and the policies decide:
 *
 *   same request id                 its answer again, open or closed
 *   open     conflict policy        FAIL, USE_EXISTING, TERMINATE_EXISTING
 *   closed   reuse policy           ALLOW, ALLOW after a failure, REJECT
 */
#include "proto/pb_payload.h"
#include "proto/pb_time.h"
#include "shard/mail.h"
#include "shard/update.h"

typedef enum verdict { START_NEW, START_DEDUPED, START_USE, START_REPLACE, START_REFUSE } verdict;

typedef struct start {
  call call;
  const pb_StartWorkflowExecutionRequest *request;
  const pb_SignalWithStartWorkflowExecutionRequest *signal; /* or NULL */
  const engine_message *child;                              /* the start of a child, or NULL */
  const pb_UpdateWorkflowExecutionRequest *update;          /* or NULL */
  int conflicts;
  history_read read;
  shard_run *run;
  engine_wft eager;
} start;

static void start_on(shard *s, call *c, shard_run *current);
static void start_found(shard *s, run_use *u, shard_run *run, const err *e);

static const char running_text[] =
    "Workflow execution is already running. WorkflowId: %.*s, RunId: %.*s.";
static const char succeeded_text[] =
    "Workflow execution already finished successfully. WorkflowId: %.*s, RunId: %.*s. Workflow Id "
    "reuse policy: allow duplicate workflow Id if last run failed.";
static const char finished_text[] =
    "Workflow execution already finished. WorkflowId: %.*s, RunId: %.*s. Workflow Id reuse policy: "
    "reject duplicate workflow Id.";

typedef struct policy {
  int32_t policy;
  verdict verdict;
  const char *text;
} policy;

static const policy open_policies[] = {
    {PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL, START_REFUSE, running_text},
    {PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, START_USE, NULL},
    {PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING, START_REPLACE, NULL},
};
static const policy failed_policies[] = {
    {PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, START_NEW, NULL},
    {PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, START_NEW, NULL},
    {PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, START_REFUSE, finished_text},
};
static const policy ended_policies[] = {
    {PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, START_NEW, NULL},
    {PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, START_REFUSE, succeeded_text},
    {PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, START_REFUSE, finished_text},
};

static bool ended_in_failure(int32_t status) {
  return status == PB_WORKFLOW_EXECUTION_STATUS_FAILED ||
         status == PB_WORKFLOW_EXECUTION_STATUS_CANCELED ||
         status == PB_WORKFLOW_EXECUTION_STATUS_TERMINATED ||
         status == PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT;
}

static policy decide(const start *st, const engine_run *run, const engine_view *v) {
  const pb_StartWorkflowExecutionRequest *r = st->request;
  if (st->child && span_eq(v->first_run_id, st->child->child_run_id)) {
    return (policy){0, START_DEDUPED, NULL};
  }
  bool open = v->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  /* The request id of a signal-with-start is its signal's: only policies decide about the start. */
  if (!st->signal) {
    if (engine_is_attached(run, r->request_id)) return (policy){0, START_USE, NULL};
    if (span_eq(v->request_id, r->request_id)) return (policy){0, START_DEDUPED, NULL};
  }
  const policy *table = open ? open_policies : ended_policies;
  if (!open && ended_in_failure(v->status)) table = failed_policies;
  int32_t asked = open ? r->workflow_id_conflict_policy : r->workflow_id_reuse_policy;
  for (size_t i = 0; i < 3; i++) {
    if (table[i].policy == asked) return table[i];
  }
  /* Not given: refuse while one is open, allow another afterwards. */
  return table[0];
}

static err *already_started(arena *a, const char *text, const engine_view *v) {
  pb_WorkflowExecutionAlreadyStartedFailure detail = {.start_request_id = v->request_id,
                                                      .run_id = v->run_id,
                                                      .first_execution_run_id = v->first_run_id};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  err *e = ERR(a, ALREADY_EXISTS, text, SPAN_ARG(v->workflow_id), SPAN_ARG(v->run_id));
#pragma GCC diagnostic pop
  e->detail_type = pb_name(&pb_WorkflowExecutionAlreadyStartedFailure_desc);
  e->detail = PB_ENCODE(WorkflowExecutionAlreadyStartedFailure, &detail, a);
  return e;
}

/* --- answers --- */

static pb_Link *link_to(arena *a, span ns_name, const engine_view *v) {
  pb_Link *link = pb_new(a, Link);
  link->which_variant = PB_Link_workflow_event_FIELD;
  link->workflow_event = pb_new(a, Link_WorkflowEvent);
  link->workflow_event->namespace = ns_name;
  link->workflow_event->workflow_id = arena_dup(a, v->workflow_id);
  link->workflow_event->run_id = arena_dup(a, v->run_id);
  return link;
}

pb_Link *link_to_request(arena *a, span ns_name, const engine_view *v, span request_id,
                         int32_t event_type) {
  pb_Link *link = link_to(a, ns_name, v);
  pb_Link_WorkflowEvent_RequestIdReference *ref = pb_new(a, Link_WorkflowEvent_RequestIdReference);
  ref->request_id = request_id;
  ref->event_type = event_type;
  link->workflow_event->which_reference = PB_Link_WorkflowEvent_request_id_ref_FIELD;
  link->workflow_event->request_id_ref = ref;
  return link;
}

pb_Link *link_to_signal(arena *a, span ns_name, const engine_view *v, span request_id) {
  return link_to_request(a, ns_name, v, request_id, PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED);
}

static pb_Link *link_to_start(arena *a, span ns_name, const engine_view *v) {
  pb_Link *link = link_to(a, ns_name, v);
  pb_Link_WorkflowEvent_EventReference *ref = pb_new(a, Link_WorkflowEvent_EventReference);
  ref->event_id = 1;
  ref->event_type = PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
  link->workflow_event->which_reference = PB_Link_WorkflowEvent_event_ref_FIELD;
  link->workflow_event->event_ref = ref;
  return link;
}

static const void *response_for(start *st, const shard_run *run, bool started) {
  shard_op *op = st->call.op;
  arena *a = op->arena;
  engine_view v;
  engine_look(run->engine, &v);
  if (st->signal) {
    pb_SignalWithStartWorkflowExecutionResponse *r =
        pb_new(a, SignalWithStartWorkflowExecutionResponse);
    r->run_id = arena_dup(a, v.run_id);
    r->first_execution_run_id = arena_dup(a, v.first_run_id);
    r->started = started;
    r->signal_link = link_to_signal(a, op->ns_name, &v, st->signal->request_id);
    return r;
  }
  pb_StartWorkflowExecutionResponse *r = pb_new(a, StartWorkflowExecutionResponse);
  r->run_id = arena_dup(a, v.run_id);
  r->first_execution_run_id = arena_dup(a, v.first_run_id);
  r->started = started;
  r->status = v.status;
  r->link = engine_is_attached(run->engine, st->request->request_id)
                ? link_to_request(a, op->ns_name, &v, st->request->request_id,
                                  PB_EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED)
                : link_to_start(a, op->ns_name, &v);
  return r;
}

/* Of a start with an update. */
static err *start_error(start *st, const err *e) {
  arena *a = st->call.op->arena;
  return st->update ? shard_multi_error(a, e, shard_multi_aborted(a)) : err_dup(a, e);
}

static void refuse(start *st, shard_run *run, const err *e) {
  call_refuse(&st->call, run, start_error(st, e));
}

/* The start is done; who sent it waits for the update that came with it. */
static void wait_for_update(start *st, shard_run *run, update_asker asker) {
  call *c = &st->call;
  const pb_update_Request *request = st->update->request;
  span encoded = PB_ENCODE(StartWorkflowExecutionResponse, c->response, c->op->arena);
  update_wait_begin(c->s, c->op, run,
                    &(update_question){.asker = asker,
                                       .update_id = request->meta->update_id,
                                       .request_id = request->request_id,
                                       .policy = st->update->wait_policy,
                                       .start_response = bytes_copy(encoded)});
}

/* --- making the run --- */

/* A run of this id is there: it is read, and the policies decide. */
static void find_current_run(start *st) {
  call *c = &st->call;
  c->use = (run_use){.ns = c->op->ns, .arena = c->op->arena, .ready = start_found};
  call_find(c, st->request->workflow_id, SPAN_NONE);
}

static void child_looked_up(shard *s, run_use *u, shard_run *run, const err *e) {
  start *st = CONTAINER_OF(CONTAINER_OF(u, call, use), start, call);
  (void)s;
  if (!e) {
    call_answer(&st->call, run, NULL);
  } else if (e->code == ERR_NOT_FOUND) {
    find_current_run(st);
  } else {
    call_refuse(&st->call, NULL, e);
  }
}

/* A child that may have been started is known by its run id, whatever became of it since. */
static void find_before(start *st) {
  call *c = &st->call;
  if (!st->child) {
    find_current_run(st);
    return;
  }
  int64_t key = 0;
  ASSERT(run_id_parse(st->child->child_run_id, &key));
  c->use = (run_use){.ns = c->op->ns, .arena = c->op->arena, .ready = child_looked_up};
  call_find_key(c, key, st->child->child_run_id);
}

static void start_written(shard *s, gate *g, const err *e) {
  enum { MOST_CONFLICTS = 5 };
  start *st = CONTAINER_OF(CONTAINER_OF(g, call, gate), start, call);
  call *c = &st->call;
  shard_run *run = g->run;
  step *t = c->step;
  bool conflict = e && t->store.status == STORE_CONFLICT;
  c->step = NULL;
  if (conflict && ++st->conflicts <= MOST_CONFLICTS) {
    c->gate = (gate){0};
    find_before(st);
  } else if (!e && st->update) {
    wait_for_update(st, run, ASKED_BY_UPDATE);
  } else {
    c->op->done(c->op, e ? start_error(st, e) : NULL, e ? NULL : c->response);
  }
  step_unref(t); /* the answer may point into it */
  run_unpin(s, run);
}

static void eager_read(shard *s, history_read *r, const err *e) {
  start *st = CONTAINER_OF(r, start, read);
  call *c = &st->call;
  pb_StartWorkflowExecutionResponse *response = (pb_StartWorkflowExecutionResponse *)c->response;
  shard_run *run = st->run;
  if (!e && run->phase == RUN_READY) {
    fill_history(s, run, &st->eager, r, c->op->arena);
    st->eager.response->task_token =
        seal_task(s, TOKEN_WORKFLOW_TASK, run, &st->eager.token, SPAN_NONE, c->op->arena);
    response->eager_workflow_task = st->eager.response;
  }
  gate_wait(s, &c->gate, run, start_written);
  run_unpin(s, run);
}

static void read_eager(start *st, shard_run *run) {
  st->run = run;
  st->read = (history_read){.run = run,
                            .from = 1,
                            .until = st->eager.history_until_id,
                            .max_batches = HISTORY_PAGE_BATCHES,
                            .arena = st->call.op->arena,
                            .done = eager_read};
  history_start(st->call.s, &st->read);
}

/* The first task goes to the client that started the run. */
static bool eager_start(shard *s, start *st, shard_run *run) {
  const pb_StartWorkflowExecutionRequest *r = st->request;
  call *c = &st->call;
  if (!r->request_eager_execution || st->signal) return false;
  engine_step *es = step_part_add(s, c->step, run);
  engine_poller p = {.identity = r->identity, .request_id = r->request_id, .eager = true};
  if (engine_wft_start(run->engine, es, &p, &st->eager)) return false;
  for (size_t i = 0; i < c->step->n_parts; i++) {
    if (c->step->parts[i].run == run) c->step->parts[i].st->n_tasks = 0;
  }
  return true;
}

static void begin(start *st, shard_run *before, bool replace) {
  shard *s = st->call.s;
  call *c = &st->call;
  shard_op *op = c->op;
  c->step = step_new(s);
  engine_start_args args = {.ns = op->ns,
                            .ns_name = op->ns_name,
                            .request = st->request,
                            .signal = st->signal,
                            .expected_run = before ? before->key : 0,
                            .before = before ? before->engine : NULL};
  if (st->child) {
    args.run_id = st->child->child_run_id;
    args.parent = st->child->parent;
    args.schedule = st->child->schedule;
    ASSERT(run_id_parse(args.run_id, &args.run));
  } else {
    s->host.new_run(s, op->arena, &args.run, &args.run_id);
  }
  if (replace) {
    engine_step *old = step_part_add(s, c->step, before);
    span text = arena_spanf(op->arena, "\"terminated by new runID: %.*s\"", SPAN_ARG(args.run_id));
    engine_terminate_args why = {.reason = SPAN("TerminateIfRunning WorkflowIdReusePolicy"),
                                 .details = pb_json_payloads(op->arena, text),
                                 .identity = SPAN("history-service")};
    err *e = engine_terminate(before->engine, old, &why);
    if (e) {
      refuse(st, before, e);
      return;
    }
  }
  engine_step *es = step_part_new(s, c->step);
  engine_run *engine = engine_start(es, &args);
  if (st->update) engine_update_with_start(engine, st->update->request, op->arena);
  shard_run *run = step_adopt(s, c->step, es, engine);
  bool eager = eager_start(s, st, run);
  run_pin(run);
  err *e = step_stage(s, c->step);
  if (e) {
    refuse(st, NULL, e);
    run_unpin(s, run);
    return;
  }
  c->response = st->child ? NULL : response_for(st, run, true);
  if (!eager) {
    gate_wait(s, &c->gate, run, start_written);
    run_unpin(s, run);
    return;
  }
  read_eager(st, run);
}

/* --- deciding --- */

static void signal_existing(start *st, shard_run *run) {
  const pb_SignalWithStartWorkflowExecutionRequest *r = st->signal;
  engine_step *es = call_step(&st->call, run);
  engine_signal_args args = {.name = r->signal_name,
                             .input = r->signal_input,
                             .identity = r->identity,
                             .request_id = r->request_id,
                             .header = r->header,
                             .links = (const pb_Link *const *)r->links.v,
                             .n_links = r->links.n,
                             .despite_backoff = true};
  err *e = engine_signal(run->engine, es, &args);
  call_finish(&st->call, run, e, response_for(st, run, false));
}

/* The run as it is, which may be asked to remember this start. */
static void use_existing(start *st, shard_run *run) {
  const pb_StartWorkflowExecutionRequest *r = st->request;
  const pb_workflow_OnConflictOptions *o = r->on_conflict_options;
  call *c = &st->call;
  if (!o || engine_is_attached(run->engine, r->request_id)) {
    call_answer(c, run, response_for(st, run, false));
    return;
  }
  engine_attach_args args = {0};
  if (o->attach_request_id) args.request_id = r->request_id;
  if (o->attach_links) {
    args.links = (const pb_Link *const *)r->links.v;
    args.n_links = r->links.n;
  }
  if (o->attach_completion_callbacks) args.callbacks = &r->completion_callbacks;
  engine_step *st_run = call_step(c, run);
  err *e = engine_attach(run->engine, st_run, &args);
  call_finish(c, run, e, e ? NULL : response_for(st, run, false));
}

/* The run is there already: its start is answered with less, and the update goes to it. */
static void update_existing(start *st, shard_run *run, update_asker asker) {
  call *c = &st->call;
  shard *s = c->s;
  arena *a = c->op->arena;
  engine_view v;
  run_pin(run);
  err *e = engine_update_admit(run->engine, call_step(c, run), st->update->request);
  if (!e) e = step_stage(s, c->step);
  if (!e && run->phase != RUN_READY) e = err_dup(a, run_gone_error(a));
  if (e) {
    call_refuse(c, run, shard_multi_error(a, shard_multi_aborted(a), e));
    run_unpin(s, run);
    return;
  }
  engine_look(run->engine, &v);
  pb_StartWorkflowExecutionResponse *r = pb_new(a, StartWorkflowExecutionResponse);
  r->run_id = v.run_id;
  r->status = v.status;
  if (asker == ASKED_BY_UPDATE) r->link = link_to_start(a, c->op->ns_name, &v);
  c->response = r;
  step_unref(c->step);
  wait_for_update(st, run, asker);
  run_unpin(s, run);
}

/* The update as the run knows it, which counts more than how the start stands: nothing is started
 * for it. Where the start is to end the run only an outcome counts. */
static engine_update known_update(const start *st, const shard_run *run) {
  if (!st->update) return (engine_update){0};
  engine_update known =
      engine_update_look(run->engine, st->update->request->meta->update_id, st->call.op->arena);
  bool ends_run =
      st->request->workflow_id_conflict_policy == PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
  return ends_run && !known.outcome_event_id ? (engine_update){0} : known;
}

/* The client did not see our answer: it gets the same, with the first task if it may have it. */
static void answer_again(start *st, shard_run *run) {
  call *c = &st->call;
  if (st->child) {
    call_answer(c, run, NULL);
    return;
  }
  c->response = response_for(st, run, true);
  bool wanted = st->request->request_eager_execution && !st->signal;
  if (wanted) run_flush(c->s, run);
  c->step = step_new(c->s);
  if (wanted && run->phase == RUN_READY &&
      engine_wft_first_again(run->engine, &c->step->arena, &st->eager)) {
    run_pin(run);
    read_eager(st, run);
  } else {
    call_answer(c, run, c->response);
  }
}

static void start_on(shard *s, call *c, shard_run *current) {
  start *st = CONTAINER_OF(c, start, call);
  engine_view v;
  engine_look(current->engine, &v);
  policy p = decide(st, current->engine, &v);
  engine_update known = known_update(st, current);
  if (known.outcome_event_id) {
    update_existing(st, current, ASKED_AGAIN_WITH_START);
    return;
  }
  bool open = v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  bool joins = open && known.stage != ENGINE_UPDATE_UNKNOWN;
  if (st->update && !open && p.verdict == START_DEDUPED) {
    refuse(st, current, ERR(c->op->arena, UNAVAILABLE, "Workflow was not started: StartDeduped"));
    return;
  }
  if (st->update && (joins || p.verdict == START_USE || p.verdict == START_DEDUPED)) {
    update_existing(st, current, ASKED_BY_UPDATE);
    return;
  }
  switch (p.verdict) {
    case START_NEW:
    case START_REPLACE:
      begin(st, current, p.verdict == START_REPLACE);
      break;
    case START_REFUSE:
      refuse(st, current, already_started(c->op->arena, p.text, &v));
      break;
    case START_USE:
      if (st->signal) {
        signal_existing(st, current);
        break;
      }
      use_existing(st, current);
      break;
    case START_DEDUPED:
      answer_again(st, current);
      break;
  }
}

static void start_found(shard *s, run_use *u, shard_run *run, const err *e) {
  start *st = CONTAINER_OF(CONTAINER_OF(u, call, use), start, call);
  if (!e) {
    start_on(s, &st->call, run);
  } else if (e->code == ERR_NOT_FOUND) {
    begin(st, NULL, false);
  } else {
    refuse(st, NULL, e);
  }
}

static bool is_shed(shard *s, shard_op *op) {
  if (!s->config.shed_bytes || s->run_bytes <= s->config.shed_bytes) return false;
  op_fail(op, ERR(op->arena, RESOURCE_EXHAUSTED,
                  "the server holds %zu MiB of runs and takes no new ones over %zu MiB; try again "
                  "later",
                  s->run_bytes >> 20, s->config.shed_bytes >> 20));
  return true;
}

static start *start_new(shard *s, shard_op *op, const pb_StartWorkflowExecutionRequest *r) {
  op->state = NULL;
  if (op_refused(s, op) || is_shed(s, op)) return NULL;
  start *st = arena_new(op->arena, start);
  st->request = r;
  bool waits = pb_duration_ns(r->workflow_start_delay) > 0 || r->cron_schedule.n;
  if (r->request_eager_execution && (waits || !s->config.eager_workflows)) {
    /* There is no first task to hand out yet, or nobody is to have it that way. */
    pb_StartWorkflowExecutionRequest *copy = pb_new(op->arena, StartWorkflowExecutionRequest);
    *copy = *r;
    copy->request_eager_execution = false;
    st->request = copy;
  }
  st->call = (call){.s = s, .op = op, .request = r, .act = start_on};
  st->call.use = (run_use){.ns = op->ns, .arena = op->arena, .ready = start_found};
  return st;
}

static void start_unread(start *st) {
  shard *s = st->call.s;
  shard_run *current = run_current(s, st->call.op->ns, st->request->workflow_id);
  if (current) {
    start_on(s, &st->call, current);
  } else {
    begin(st, NULL, false);
  }
}

void shard_start(shard *s, shard_op *op, const pb_StartWorkflowExecutionRequest *r) {
  start *st = start_new(s, op, r);
  if (st) start_unread(st);
}

void start_child(shard *s, shard_op *op, const engine_message *m, bool again) {
  start *st = start_new(s, op, m->start);
  if (!st) return;
  st->child = m;
  if (again) {
    find_before(st);
  } else {
    start_unread(st);
  }
}

void shard_signal_with_start(shard *s, shard_op *op,
                             const pb_SignalWithStartWorkflowExecutionRequest *r,
                             const pb_StartWorkflowExecutionRequest *request) {
  start *st = start_new(s, op, request);
  if (!st) return;
  st->signal = r;
  call_find(&st->call, request->workflow_id, SPAN_NONE);
}

void shard_update_with_start(shard *s, shard_op *op,
                             const pb_StartWorkflowExecutionRequest *request,
                             const pb_UpdateWorkflowExecutionRequest *update) {
  start *st = start_new(s, op, request);
  if (!st) return;
  st->update = update;
  call_find(&st->call, request->workflow_id, SPAN_NONE);
}

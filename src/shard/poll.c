/* poll.c - polls: they wait on a queue, take a task, start it, and answer.
 *
 *   PARKED --task--> LOADING --run--> (start) --> READING --history--> GATED --durable--> answered
 *      ^                |  task is over                |                  |
 *      '---- AGAIN <----'                              '-- caller gone ---'--> the start is undone
 */
#include "base/uuid.h"
#include "shard/shard_int.h"

typedef enum poll_phase {
  POLL_PARKED,
  POLL_LOADING,
  POLL_READING,
  POLL_GATED,
  POLL_AGAIN
} poll_phase;

typedef struct poll {
  waiter waiter;
  match_poll match;
  list_node again;
  shard *s;
  shard_op *op;
  match_queue *queue;
  poll_phase phase;
  bool activity, sticky, started;
  int64_t begun_ns;
  const err *gone; /* the caller has left */
  match_task task;
  uint64_t query;
  run_use use;
  gate gate;
  history_read read;
  shard_run *run; /* pinned from the start on */
  step *step;
  engine_wft wft;
  engine_activity act;
  const void *response;
  bytes *version; /* encoded WorkerVersionCapabilities */
  span identity, instance_key;
  uint8_t text[];
} poll;

static void poll_take(poll *p, const match_task *task);

static void poll_end(poll *p, const err *e, const void *response) {
  shard *s = p->s;
  shard_op *op = p->op;
  match_poll_cancel(&s->matching, &p->match);
  list_remove(&p->again);
  waiter_end(s, &p->waiter);
  op->done(op, e, response);
  if (p->run) run_unpin(s, p->run);
  step_unref(p->step);
  bytes_unref(p->version);
  match_unpin(p->queue);
  mem_free(p);
}

static void poll_end_empty(poll *p) {
  arena *a = p->op->arena;
  poll_end(p, NULL,
           p->activity ? (const void *)pb_new(a, PollActivityTaskQueueResponse)
                       : (const void *)pb_new(a, PollWorkflowTaskQueueResponse));
}

static void poll_offered(match_poll *mp, const match_task *task) {
  poll_take(CONTAINER_OF(mp, poll, match), task);
}

/* Waits for a task, or takes one that is there. */
static void poll_look(poll *p, bool first) {
  match_task task;
  p->phase = POLL_PARKED;
  if (match_poll_start(&p->s->matching, p->queue, &p->match, first, &task)) poll_take(p, &task);
}

/* The task was over. Not at once: a long row of such tasks must not hold up the others. */
static void poll_again(poll *p) {
  p->phase = POLL_AGAIN;
  list_push_back(&p->s->again, &p->again);
  want_turn(p->s);
}

void polls_go_on(shard *s) {
  list now;
  list_init(&now);
  for (list_node *n = list_pop_front(&s->again); n; n = list_pop_front(&s->again)) {
    list_push_back(&now, n);
  }
  for (list_node *n = list_pop_front(&now); n; n = list_pop_front(&now)) {
    poll *p = CONTAINER_OF(n, poll, again);
    if (p->gone) {
      poll_end(p, p->gone, NULL);
    } else if (left_has(s, p->instance_key)) {
      poll_end_empty(p);
    } else {
      poll_look(p, true);
    }
  }
}

/* --- giving back --- */

static void put_back(poll *p) {
  if (p->query) {
    query_again(p->s, p->query);
  } else {
    match_put_back(&p->s->matching, p->queue, &p->task);
  }
}

/* The caller did not get the task: as if it had never been handed out. */
static void undo(poll *p) {
  shard *s = p->s;
  shard_run *run = p->run;
  if (p->query) {
    query_again(s, p->query);
    return;
  }
  if (run->phase != RUN_READY) return;
  step *t = step_new(s);
  engine_step *st = step_part_add(s, t, run);
  err *e = p->activity ? engine_activity_unstart(run->engine, st, &p->act.token)
                       : engine_wft_unstart(run->engine, st, &p->wft.token);
  if (!e) e = step_stage(s, t);
  step_unref(t);
  if (!e) put_back(p);
}

/* --- answering --- */

static void poll_durable(shard *s, gate *g, const err *e) {
  poll *p = CONTAINER_OF(g, poll, gate);
  shard_run *gated = g->run;
  if (e) {
    poll_end(p, err_dup(p->op->arena, e), NULL);
  } else if (p->gone) {
    undo(p);
    poll_end(p, p->gone, NULL);
  } else {
    poll_end(p, NULL, p->response);
  }
  run_unpin(s, gated);
}

/* Whether the worker should poll more or less, for those that listen. */
static pb_PollerScalingDecision *scaling(poll *p) {
  int by = match_scaling(&p->s->matching, p->queue, now_ns(p->s) - p->begun_ns);
  if (!by) return NULL;
  pb_PollerScalingDecision *d = pb_new(&p->step->arena, PollerScalingDecision);
  d->poll_request_delta_suggestion = by;
  return d;
}

static void poll_answer(poll *p, const void *response) {
  p->phase = POLL_GATED;
  p->response = response;
  gate_wait(p->s, &p->gate, p->run, poll_durable);
}

static void poll_history_read(shard *s, history_read *r, const err *e) {
  poll *p = CONTAINER_OF(r, poll, read);
  if (!e && p->run->phase != RUN_READY) e = run_gone_error(p->op->arena);
  if (e || p->gone) {
    undo(p);
    poll_end(p, p->gone ? p->gone : e, NULL);
    return;
  }
  fill_history(s, p->run, &p->wft, r, &p->step->arena);
  p->wft.response->poller_scaling_decision = scaling(p);
  poll_answer(p, p->wft.response);
}

static void read_history(poll *p) {
  p->phase = POLL_READING;
  p->read = (history_read){.run = p->run,
                           .from = p->wft.history_from_id,
                           .until = p->wft.history_until_id,
                           .max_batches = HISTORY_PAGE_BATCHES,
                           .arena = &p->step->arena,
                           .done = poll_history_read};
  history_start(p->s, &p->read);
}

/* --- starting --- */

static engine_poller make_poller(poll *p, arena *a) {
  char *id = arena_alloc(a, UUID_TEXT_BYTES);
  uuid_format(uuid_random(&p->s->env->random), id);
  engine_poller e = {
      .identity = p->identity, .request_id = span_of(id, UUID_TEXT_BYTES), .sticky = p->sticky};
  pb_WorkerVersionCapabilities *version = NULL;
  if (p->version && !PB_DECODE(WorkerVersionCapabilities, bytes_span(p->version), a, &version)) {
    e.version = version;
  }
  return e;
}

static bool step_begun(poll *p, err *e) {
  if (!e) e = step_stage(p->s, p->step);
  if (!e) return true;
  step_unref(p->step);
  p->step = NULL;
  return false;
}

static bool start_workflow_task(poll *p, shard_run *run) {
  engine_step *st = step_part_add(p->s, p->step, run);
  arena *a = &p->step->arena;
  engine_poller poller = make_poller(p, a);
  if (!step_begun(p, engine_wft_start(run->engine, st, &poller, &p->wft))) return false;
  p->wft.response->task_token =
      seal_task(p->s, TOKEN_WORKFLOW_TASK, run, &p->wft.token, SPAN_NONE, a);
  queries_attach(p->s, run, p->wft.response, a);
  return true;
}

static bool start_activity(poll *p, shard_run *run) {
  engine_step *st = step_part_add(p->s, p->step, run);
  arena *a = &p->step->arena;
  engine_poller poller = make_poller(p, a);
  if (!step_begun(p, engine_activity_start(run->engine, st, p->task.id, p->task.queued.seq, &poller,
                                           &p->act))) {
    return false;
  }
  p->act.response->task_token =
      seal_task(p->s, TOKEN_ACTIVITY_TASK, run, &p->act.token, SPAN_NONE, a);
  return true;
}

/* A query task: the history it needs, and the question. */
static bool start_query(poll *p, shard_run *run) {
  engine_view v;
  engine_look(run->engine, &v);
  arena *a = &p->step->arena;
  pb_PollWorkflowTaskQueueResponse *r = pb_new(a, PollWorkflowTaskQueueResponse);
  if (!query_fill(p->s, p->query, run, r, a)) {
    step_unref(p->step);
    p->step = NULL;
    return false;
  }
  p->wft = (engine_wft){.response = r,
                        .history_from_id = p->sticky ? v.next_event_id : 1,
                        .history_until_id = v.next_event_id};
  return true;
}

static void run_ready(shard *s, run_use *u, shard_run *run, const err *e) {
  poll *p = CONTAINER_OF(u, poll, use);
  bool is_over = e && (e->code == ERR_NOT_FOUND || e->code == ERR_DATA_LOSS);
  if (is_over) {
    poll_again(p);
    return;
  }
  if (e || p->gone) {
    put_back(p);
    poll_end(p, p->gone ? p->gone : e, NULL);
    return;
  }
  run_pin(run);
  p->step = step_new(s);
  bool begun = p->query      ? start_query(p, run)
               : p->activity ? start_activity(p, run)
                             : start_workflow_task(p, run);
  if (!begun || run->phase != RUN_READY) {
    step_unref(p->step);
    p->step = NULL;
    run_unpin(s, run);
    poll_again(p);
    return;
  }
  p->run = run;
  if (!p->activity) {
    if (p->query) run_flush(s, run);
    read_history(p);
    return;
  }
  p->act.response->poller_scaling_decision = scaling(p);
  /* The run may go on before the answer is durable. */
  const pb_PollActivityTaskQueueResponse *r = p->act.response;
  if (run->lsn > s->durable_lsn) {
    r = PB_COPY(PollActivityTaskQueueResponse, r, &p->step->arena);
  }
  poll_answer(p, r);
}

static void poll_take(poll *p, const match_task *task) {
  p->phase = POLL_LOADING;
  p->task = *task;
  p->query = 0;
  p->use = (run_use){.key = task->run, .arena = p->op->arena, .ready = run_ready};
  if (task->query) p->query = query_take(p->s, task->query, &p->use.key);
  run_find_key(p->s, &p->use);
}

/* --- requests --- */

static void poll_timeout(shard *s, waiter *w) {
  poll *p = CONTAINER_OF(w, poll, waiter);
  if (p->phase == POLL_PARKED || p->phase == POLL_AGAIN) poll_end_empty(p);
}

static void poll_gone(shard *s, waiter *w, const err *e) {
  poll *p = CONTAINER_OF(w, poll, waiter);
  arena *a = p->op->arena;
  p->gone = e ? err_dup(a, e) : ERR(a, CANCELLED, "the poll was cancelled");
  if (p->phase == POLL_PARKED || p->phase == POLL_AGAIN) poll_end(p, p->gone, NULL);
}

void polls_end(shard *s, span worker_instance_key, const match_queue *queue) {
  LIST_FOR_EACH (n, &s->waiters) {
    waiter *w = CONTAINER_OF(n, shard_op, node)->state;
    if (w->timeout != poll_timeout) continue;
    poll *p = CONTAINER_OF(w, poll, waiter);
    bool same = worker_instance_key.n && span_eq(p->instance_key, worker_instance_key);
    if ((same || p->queue == queue) && p->phase == POLL_PARKED) poll_end_empty(p);
  }
}

static span keep(uint8_t **at, span s) {
  uint8_t *p = *at;
  if (s.n) memcpy(p, s.p, s.n);
  *at += s.n;
  return span_of(p, s.n);
}

/* What the two kinds of polls say alike. */
typedef struct poll_args {
  const pb_TaskQueue *queue;
  bool activity;
  span identity, instance_key;
  const pb_WorkerVersionCapabilities *version;
  const pb_WorkerDeploymentOptions *deployment;
  const double *most_per_second; /* NULL: it does not say */
} poll_args;

/* For descriptions of the queue; mostly there is nothing. */
static span about_poller(const poll_args *p, arena *a) {
  if (!p->version && !p->deployment && !p->most_per_second) return SPAN_NONE;
  pb_PollerInfo info = {.worker_version_capabilities = (pb_WorkerVersionCapabilities *)p->version,
                        .deployment_options = (pb_WorkerDeploymentOptions *)p->deployment,
                        .rate_per_second = p->most_per_second ? *p->most_per_second : 0};
  return PB_ENCODE(PollerInfo, &info, a);
}

static void poll_begin(shard *s, shard_op *op, const poll_args *args) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  const span identity = args->identity, instance_key = args->instance_key;
  const pb_WorkerVersionCapabilities *version = args->version;
  const bool activity = args->activity;
  const pb_TaskQueue *queue = args->queue;
  int64_t now = now_ns(s);
  poll *p = mem_zalloc(sizeof *p + identity.n + instance_key.n);
  uint8_t *at = p->text;
  p->s = s;
  p->op = op;
  p->activity = activity;
  p->sticky = !activity && queue->kind == PB_TASK_QUEUE_KIND_STICKY;
  p->identity = keep(&at, identity);
  p->instance_key = keep(&at, instance_key);
  if (version && version->build_id.n) {
    p->version = bytes_copy(PB_ENCODE(WorkerVersionCapabilities, version, op->arena));
  }
  queue_name *q = queue_named(s, op->ns, queue->name, activity, p->sticky);
  p->queue = queue_of_key(s, q->key);
  match_pin(p->queue);
  p->match.offer = poll_offered;
  p->waiter = (waiter){.timeout = poll_timeout, .gone = poll_gone};
  match_saw_poller(p->queue, identity, about_poller(args, op->arena), now);
  if (args->most_per_second) queue_worker_rate(s, q, (float)*args->most_per_second);
  p->begun_ns = now;
  int64_t until = now + s->config.poll_ns;
  if (op->deadline_ns != INT64_MAX) until = MIN(until, op->deadline_ns - NS_PER_SEC);
  waiter_begin(s, &p->waiter, op, until);
  match_task task;
  if (left_has(s, instance_key)) {
    poll_end_empty(p);
    return;
  }
  if (match_poll_start(&s->matching, p->queue, &p->match, false, &task)) {
    poll_take(p, &task);
  } else if (op->park) {
    op->park(op);
  }
}

void shard_poll_workflow(shard *s, shard_op *op, const pb_PollWorkflowTaskQueueRequest *r) {
  poll_args args = {.queue = r->task_queue,
                    .identity = r->identity,
                    .instance_key = r->worker_instance_key,
                    .version = r->worker_version_capabilities,
                    .deployment = r->deployment_options};
  poll_begin(s, op, &args);
}

void shard_poll_activity(shard *s, shard_op *op, const pb_PollActivityTaskQueueRequest *r) {
  const pb_DoubleValue *most =
      r->task_queue_metadata ? r->task_queue_metadata->max_tasks_per_second : NULL;
  poll_args args = {.queue = r->task_queue,
                    .activity = true,
                    .identity = r->identity,
                    .instance_key = r->worker_instance_key,
                    .version = r->worker_version_capabilities,
                    .deployment = r->deployment_options,
                    .most_per_second = most ? &most->value : NULL};
  poll_begin(s, op, &args);
}

/* worker.c - workflow workers: a normal and a sticky poller each, a cache of histories, and every
 * bad habit: silent, late, double, failing, lying, forgetful. */
#include "sim.h"

#include "proto/pb_time.h"

typedef struct cached {
  list_node node;
  span run_id; /* owned */
  buf events;  /* encoded History */
} cached;

typedef struct worker {
  sim *sim;
  uint32_t number, life;
  char queue[16], sticky[40], identity[40];
  list cache;
  sim_call *polls[2]; /* normal, sticky */
} worker;

/* A task that a worker has. */
typedef struct task {
  worker *w;
  arena arena;
  uint32_t life;
  pb_PollWorkflowTaskQueueResponse *r;
  pb_History *history;
  span page; /* token of the page to read next */
  uint32_t again;
} task;

static void poll(worker *w, int which);

static void name_worker(worker *w) {
  (void)snprintf(w->sticky, sizeof w->sticky, "sticky-%u-%u", w->number, w->life);
  (void)snprintf(w->identity, sizeof w->identity, "worker-%u-%u", w->number, w->life);
}

static span queue_of(const worker *w) { return span_cstr(w->queue); }

/* --- the cache --- */

static cached *cache_find(worker *w, span run_id) {
  LIST_FOR_EACH (n, &w->cache) {
    cached *c = CONTAINER_OF(n, cached, node);
    if (span_eq(c->run_id, run_id)) return c;
  }
  return NULL;
}

static void cache_drop(cached *c) {
  if (!c) return;
  list_remove(&c->node);
  buf_release(&c->events);
  mem_free((void *)c->run_id.p);
  mem_free(c);
}

static void cache_clear(worker *w) {
  LIST_FOR_EACH (n, &w->cache) cache_drop(CONTAINER_OF(n, cached, node));
}

/* Events with a place in history; what follows them in a task may never be written. */
static void cache_put(worker *w, span run_id, const pb_History *h, int64_t until) {
  cached *c = cache_find(w, run_id);
  if (!c) {
    c = mem_new(cached);
    c->run_id = span_cstr(mem_strdup(""));
    mem_free((void *)c->run_id.p);
    uint8_t *p = mem_alloc(run_id.n + 1);
    memcpy(p, run_id.p, run_id.n);
    c->run_id = span_of(p, run_id.n);
    list_push_back(&w->cache, &c->node);
  }
  buf_clear(&c->events);
  pb_History keep = {.events = {.v = h->events.v}};
  while (keep.events.n < h->events.n && h->events.v[keep.events.n]->event_id < until) {
    keep.events.n++;
  }
  pb_encode(&pb_History_desc, &keep, &c->events);
}

/* --- tasks --- */

static void task_free(task *t) {
  arena_release(&t->arena);
  mem_free(t);
}

static void append_events(task *t, const pb_History *more) {
  if (!more) return;
  pb_HistoryEvent **v =
      arena_array(&t->arena, pb_HistoryEvent *, t->history->events.n + more->events.n + 1);
  size_t n = t->history->events.n;
  if (n) memcpy(v, t->history->events.v, n * sizeof *v);
  for (size_t i = 0; i < more->events.n; i++) v[n++] = more->events.v[i];
  t->history->events.v = v;
  t->history->events.n = n;
}

static task *task_new(worker *w, const pb_PollWorkflowTaskQueueResponse *r) {
  task *t = mem_new(task);
  t->w = w;
  t->life = w->life;
  t->r = PB_COPY(PollWorkflowTaskQueueResponse, r, &t->arena);
  t->history = pb_new(&t->arena, History);
  t->page = t->r->next_page_token;
  return t;
}

static void answered(sim *s, sim_call *c);

static span token_of(task *t) {
  sim *s = t->w->sim;
  if (!sim_fault(s, s->swarm.forged_per_1000, 1000)) return t->r->task_token;
  span forged = arena_dup(&t->arena, t->r->task_token);
  ((uint8_t *)(uintptr_t)forged.p)[sim_below(s, forged.n)] ^= (uint8_t)(1 + sim_below(s, 255));
  return forged;
}

static void send_twice(task *t, sim_method m, const void *request) {
  sim *s = t->w->sim;
  net_call(s, m, request, 0, answered, t->w);
  if (sim_fault(s, s->swarm.worker_twice, 1000)) net_call(s, m, request, 0, NULL, NULL);
}

static void fail_task(task *t, int32_t cause) {
  pb_Failure f = {.message = SPAN("the worker cannot")};
  pb_RespondWorkflowTaskFailedRequest r = {.task_token = token_of(t),
                                           .cause = cause,
                                           .failure = &f,
                                           .identity = span_cstr(t->w->identity)};
  cache_drop(cache_find(t->w, t->r->workflow_execution->run_id));
  send_twice(t, CALL_wft_fail, &r);
}

static void add_bad_command(task *t, pb_RespondWorkflowTaskCompletedRequest *r) {
  pb_Command **v = arena_array(&t->arena, pb_Command *, r->commands.n + 1);
  pb_Command *bad = pb_new(&t->arena, Command);
  bad->command_type = PB_COMMAND_TYPE_START_TIMER;
  bad->which_attributes = PB_Command_start_timer_command_attributes_FIELD;
  bad->start_timer_command_attributes = pb_new(&t->arena, StartTimerCommandAttributes);
  v[0] = bad;
  for (size_t i = 0; i < r->commands.n; i++) v[i + 1] = r->commands.v[i];
  r->commands.v = v;
  r->commands.n++;
}

static void answer_queries(task *t, pb_RespondWorkflowTaskCompletedRequest *r) {
  size_t n = t->r->queries.n;
  arena *a = &t->arena;
  r->query_results.v =
      arena_array(a, pb_RespondWorkflowTaskCompletedRequest_QueryResultsEntry *, n + 1);
  for (size_t i = 0; i < n; i++) {
    pb_RespondWorkflowTaskCompletedRequest_QueryResultsEntry *e =
        pb_new(a, RespondWorkflowTaskCompletedRequest_QueryResultsEntry);
    e->key = t->r->queries.v[i]->key;
    e->value = pb_new(a, WorkflowQueryResult);
    e->value->result_type = PB_QUERY_RESULT_TYPE_ANSWERED;
    e->value->answer = text_payloads(a, "answer");
    r->query_results.v[r->query_results.n++] = e;
  }
}

static void complete_task(task *t) {
  worker *w = t->w;
  sim *s = w->sim;
  pb_RespondWorkflowTaskCompletedRequest r = {.task_token = token_of(t),
                                              .identity = span_cstr(w->identity)};
  program_step(t->history->events.v, t->history->events.n, t->r->workflow_execution->run_id,
               queue_of(w), &t->arena, &r);
  program_updates(t->history->events.v, t->history->events.n, &t->r->messages, sim_chance(s, 1, 2),
                  &t->arena, &r);
  if (sim_fault(s, s->swarm.worker_bad, 1000)) add_bad_command(t, &r);
  answer_queries(t, &r);
  pb_TaskQueue sticky = {
      .name = span_cstr(w->sticky), .kind = PB_TASK_QUEUE_KIND_STICKY, .normal_name = queue_of(w)};
  pb_StickyExecutionAttributes attributes = {
      .worker_task_queue = &sticky,
      .schedule_to_start_timeout = pb_duration_new(&t->arena, 5 * NS_PER_SEC)};
  if (sim_chance(s, s->swarm.sticky_per_100, 100)) {
    r.sticky_attributes = &attributes;
    cache_put(w, t->r->workflow_execution->run_id, t->history, t->r->started_event_id);
  }
  r.return_new_workflow_task = sim_chance(s, 1, 2);
  r.force_create_new_workflow_task = sim_fault(s, 1, 20);
  send_twice(t, CALL_wft_complete, &r);
}

static void answer_query(task *t) {
  pb_RespondQueryTaskCompletedRequest r = {.task_token = token_of(t),
                                           .completed_type = PB_QUERY_RESULT_TYPE_ANSWERED,
                                           .query_result = text_payloads(&t->arena, "answer")};
  send_twice(t, CALL_query_complete, &r);
}

static void decide(sim *s, void *arg) {
  task *t = arg;
  bool dead = t->life != t->w->life;
  if (dead) {
    sim_trace(s, "a dead worker does not answer");
  } else if (t->r->query) {
    answer_query(t);
  } else if (sim_fault(s, s->swarm.worker_fails, 1000)) {
    fail_task(t, PB_WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE);
  } else {
    complete_task(t);
  }
  task_free(t);
}

/* The worker has the whole history: it thinks, or does not. */
static void task_ready(task *t) {
  sim *s = t->w->sim;
  const pb_History *h = t->history;
  for (size_t i = 0; i < h->events.n; i++) {
    if (h->events.v[i]->event_id != (int64_t)i + 1) {
      sim_broken(s, "D2", "%s has event %lld at place %zu of its history", t->w->identity,
                 (long long)h->events.v[i]->event_id, i + 1);
    }
  }
  if (!t->r->query && (int64_t)h->events.n != t->r->started_event_id) {
    sim_broken(s, "D2", "%s has %zu events for a task started with event %lld", t->w->identity,
               h->events.n, (long long)t->r->started_event_id);
  }
  if (sim_fault(s, s->swarm.worker_silent, 1000)) {
    sim_trace(s, "%s never answers", t->w->identity);
    task_free(t);
    return;
  }
  bool late = sim_fault(s, s->swarm.worker_late, 1000);
  sim_after_ms(s, late ? 5000 + sim_below(s, 10000) : sim_below(s, 30), decide, t);
}

/* --- reading the rest of a history --- */

static void read_page(task *t);

static void page_read(sim *s, sim_call *c) {
  task *t = c->who;
  if (t->life != t->w->life) {
    task_free(t);
    return;
  }
  if (!net_ok(c)) {
    bool over = !c->lost && c->code == ERR_NOT_FOUND;
    if (over || ++t->again > 20) {
      task_free(t);
    } else {
      read_page(t);
    }
    return;
  }
  pb_GetWorkflowExecutionHistoryResponse *r = net_response(c, &t->arena);
  r = PB_COPY(GetWorkflowExecutionHistoryResponse, r, &t->arena);
  append_events(t, r->history);
  t->page = r->next_page_token;
  if (t->page.n) {
    read_page(t);
    return;
  }
  /* More may have happened since: only the events of this task count. */
  size_t most = (size_t)t->r->started_event_id;
  if (!t->r->query && t->history->events.n > most) t->history->events.n = most;
  if (!t->r->query && t->history->events.n < most) {
    task_free(t); /* the task is over */
    return;
  }
  task_ready(t);
}

static void read_page(task *t) {
  pb_GetWorkflowExecutionHistoryRequest r = {.execution = t->r->workflow_execution,
                                             .next_page_token = t->page};
  sim_call *c = net_call(t->w->sim, CALL_history, &r, 0, page_read, t);
  c->op.unwritten_events = true;
}

/* What the poll brought, after what the cache has; else everything is read. */
static void gather(task *t) {
  sim *s = t->w->sim;
  const pb_History *got = t->r->history;
  int64_t first = got && got->events.n ? got->events.v[0]->event_id : 0;
  cached *c = cache_find(t->w, t->r->workflow_execution->run_id);
  if (c && sim_fault(s, s->swarm.forget_per_100, 100)) {
    cache_drop(c);
    c = NULL;
  }
  if (first == 1) {
    append_events(t, got);
  } else if (c && first) {
    pb_History *before;
    if (PB_DECODE(History, arena_dup(&t->arena, buf_span(&c->events)), &t->arena, &before)) {
      PANIC("a cached history does not decode");
    }
    while (before->events.n && before->events.v[before->events.n - 1]->event_id >= first) {
      before->events.n--;
    }
    bool joins = before->events.n + 1 == (size_t)first;
    if (joins) append_events(t, before);
    if (joins) append_events(t, got);
  }
  bool whole = t->history->events.n > 0;
  if (whole && !t->page.n) {
    task_ready(t);
    return;
  }
  if (!whole) t->page = SPAN_NONE;
  read_page(t);
}

/* --- polling --- */

static void take(worker *w, const pb_PollWorkflowTaskQueueResponse *r) {
  if (r && r->task_token.n) gather(task_new(w, r));
}

void workers_take(sim *s, const pb_PollWorkflowTaskQueueResponse *r) {
  take(s->workers[sim_below(s, s->n_workers)], r);
}

static void answered(sim *s, sim_call *c) {
  if (!net_ok(c) || c->method != CALL_wft_complete) return;
  arena a = ARENA_INIT;
  const pb_RespondWorkflowTaskCompletedResponse *r = net_response(c, &a);
  take(c->who, r->workflow_task);
  arena_release(&a);
}

static void poll_again(sim *s, void *arg) {
  worker *w = arg;
  if (!w->polls[0]) poll(w, 0);
  if (!w->polls[1]) poll(w, 1);
}

static void polled(sim *s, sim_call *c) {
  worker *w = c->who;
  w->polls[c->note] = NULL;
  if (net_ok(c)) {
    arena a = ARENA_INIT;
    take(w, net_response(c, &a));
    arena_release(&a);
  }
  sim_after_ms(s, net_ok(c) ? sim_below(s, 3) : 50 + sim_below(s, 300), poll_again, w);
}

static void vanish(sim *s, void *arg) {
  worker *w = arg;
  for (int i = 0; i < 2; i++) {
    if (!w->polls[i] || sim_chance(s, 1, 2)) continue;
    net_vanish(w->polls[i]);
    w->polls[i] = NULL;
  }
  sim_after_ms(s, 1 + sim_below(s, 100), poll_again, w);
}

/* The worker's process dies; another takes its place. */
static void die(sim *s, void *arg) {
  worker *w = arg;
  sim_trace(s, "%s dies", w->identity);
  for (int i = 0; i < 2; i++) {
    if (w->polls[i]) net_vanish(w->polls[i]);
    w->polls[i] = NULL;
  }
  if (sim_chance(s, 1, 2)) {
    pb_ShutdownWorkerRequest r = {.sticky_task_queue = span_cstr(w->sticky),
                                  .identity = span_cstr(w->identity)};
    net_call(s, CALL_shutdown_worker, &r, 0, NULL, NULL);
  }
  cache_clear(w);
  w->life++;
  name_worker(w);
  sim_after_ms(s, sim_below(s, 2000), poll_again, w);
}

static void poll(worker *w, int which) {
  sim *s = w->sim;
  pb_TaskQueue q = {.name = which ? span_cstr(w->sticky) : queue_of(w),
                    .kind = which ? PB_TASK_QUEUE_KIND_STICKY : PB_TASK_QUEUE_KIND_NORMAL,
                    .normal_name = which ? queue_of(w) : SPAN_NONE};
  pb_PollWorkflowTaskQueueRequest r = {.task_queue = &q, .identity = span_cstr(w->identity)};
  int64_t wait = s->quiet ? 70 * NS_PER_SEC : (int64_t)(3 + sim_below(s, 60)) * NS_PER_SEC;
  w->polls[which] = net_call(s, CALL_poll_workflow, &r, wait, polled, w);
  w->polls[which]->note = (uint64_t)which;
  if (sim_fault(s, s->swarm.vanish_per_1000, 1000)) {
    sim_after_ms(s, sim_below(s, 1000), vanish, w);
  }
  if (sim_fault(s, s->swarm.forget_per_100, 2000)) sim_after_ms(s, sim_below(s, 3000), die, w);
}

void workers_start(sim *s) {
  uint32_t n = MAX(s->swarm.workers, s->swarm.queues);
  for (uint32_t i = 0; i < n; i++) {
    worker *w = mem_new(worker);
    w->sim = s;
    w->number = i;
    s->workers[s->n_workers++] = w;
    list_init(&w->cache);
    (void)snprintf(w->queue, sizeof w->queue, "q%u", i % s->swarm.queues);
    name_worker(w);
    sim_after_ms(s, sim_below(s, 500), poll_again, w);
  }
}

/* activity.c - activity workers: they complete, fail, heartbeat, are silent, late, or answer twice.
 * Once the faults are off they complete everything at once. */
#include "sim.h"

#include "proto/pb_time.h"

typedef struct worker {
  sim *sim;
  char queue[16], identity[40];
  sim_call *poll;
} worker;

typedef struct work {
  worker *w;
  arena arena;
  pb_PollActivityTaskQueueResponse *r;
  uint32_t beats;
} work;

static void poll_again(sim *s, void *arg);

static void work_free(work *k) {
  arena_release(&k->arena);
  mem_free(k);
}

static span token_of(work *k) {
  sim *s = k->w->sim;
  if (!sim_fault(s, s->swarm.forged_per_1000, 1000)) return k->r->task_token;
  span forged = arena_dup(&k->arena, k->r->task_token);
  ((uint8_t *)(uintptr_t)forged.p)[sim_below(s, forged.n)] ^= (uint8_t)(1 + sim_below(s, 255));
  return forged;
}

static void send(work *k, sim_method m, const void *request) {
  sim *s = k->w->sim;
  net_call(s, m, request, 0, NULL, NULL);
  if (sim_fault(s, s->swarm.activity_twice, 1000)) net_call(s, m, request, 0, NULL, NULL);
}

/* A chain of causes with texts of every size; sometimes the same for many attempts. */
static pb_Failure *make_failure(work *k, bool fatal) {
  sim *s = k->w->sim;
  arena *a = &k->arena;
  uint64_t depth = sim_below(s, 8), same = sim_below(s, 3);
  pb_Failure *f = NULL;
  for (uint64_t i = 0; i <= depth; i++) {
    size_t n = sim_below(s, 20) ? sim_below(s, 60) : sim_below(s, 20000);
    char *pad = arena_alloc(a, n + 1);
    memset(pad, 'x', n);
    pad[n] = 0;
    pb_Failure *outer = pb_new(a, Failure);
    outer->message = same ? arena_spanf(a, "failure %llu", (unsigned long long)i)
                          : arena_spanf(a, "%llu %s", (unsigned long long)s->next_id++, pad);
    outer->cause = f;
    outer->which_failure_info = PB_Failure_application_failure_info_FIELD;
    outer->application_failure_info = pb_new(a, ApplicationFailureInfo);
    outer->application_failure_info->type = SPAN("Trouble");
    outer->application_failure_info->non_retryable = fatal && i == depth;
    f = outer;
  }
  return f;
}

static void complete(work *k) {
  pb_RespondActivityTaskCompletedRequest r = {.task_token = token_of(k),
                                              .result = text_payloads(&k->arena, "done"),
                                              .identity = span_cstr(k->w->identity)};
  send(k, CALL_activity_complete, &r);
}

static void fail(work *k, bool fatal) {
  pb_RespondActivityTaskFailedRequest r = {.task_token = token_of(k),
                                           .failure = make_failure(k, fatal),
                                           .identity = span_cstr(k->w->identity)};
  send(k, CALL_activity_fail, &r);
}

static void answer(sim *s, void *arg) {
  work *k = arg;
  if (sim_fault(s, s->swarm.activity_fatal, 1000)) {
    fail(k, true);
  } else if (sim_fault(s, s->swarm.activity_fails, 1000)) {
    fail(k, false);
  } else if (sim_fault(s, 1, 40)) {
    pb_RespondActivityTaskCompletedByIdRequest r = {
        .workflow_id = k->r->workflow_execution->workflow_id,
        .run_id = k->r->workflow_execution->run_id,
        .activity_id = k->r->activity_id,
        .result = text_payloads(&k->arena, "by id")};
    net_call(s, CALL_activity_complete_by_id, &r, 0, NULL, NULL);
  } else {
    complete(k);
  }
  work_free(k);
}

static void beat(sim *s, void *arg);

static void beaten(sim *s, sim_call *c) {
  work *k = c->who;
  bool cancelled = false;
  if (net_ok(c)) {
    const pb_RecordActivityTaskHeartbeatResponse *r = net_response(c, &k->arena);
    cancelled = r->cancel_requested;
  }
  if (cancelled && sim_chance(s, 2, 3)) {
    pb_RespondActivityTaskCanceledRequest r = {.task_token = token_of(k),
                                               .identity = span_cstr(k->w->identity)};
    send(k, CALL_activity_cancel, &r);
    work_free(k);
  } else if (k->beats && --k->beats) {
    sim_after_ms(s, sim_below(s, 1500), beat, k);
  } else {
    sim_after_ms(s, sim_below(s, 500), answer, k);
  }
}

static void beat(sim *s, void *arg) {
  work *k = arg;
  pb_RecordActivityTaskHeartbeatRequest r = {.task_token = token_of(k),
                                             .details = text_payloads(&k->arena, "beat"),
                                             .identity = span_cstr(k->w->identity)};
  net_call(s, CALL_activity_heartbeat, &r, 0, beaten, k);
}

static void begin(worker *w, const pb_PollActivityTaskQueueResponse *r) {
  sim *s = w->sim;
  if (!r->task_token.n) return;
  if (sim_fault(s, s->swarm.activity_silent, 1000)) {
    sim_trace(s, "%s never answers", w->identity);
    return;
  }
  work *k = mem_new(work);
  k->w = w;
  k->r = PB_COPY(PollActivityTaskQueueResponse, r, &k->arena);
  k->beats = (uint32_t)sim_below(s, 4);
  if (sim_fault(s, s->swarm.activity_late, 1000)) {
    sim_after_ms(s, 1000 + sim_below(s, 12000), answer, k);
  } else if (k->beats && r->heartbeat_timeout && r->heartbeat_timeout->seconds) {
    sim_after_ms(s, sim_below(s, 200), beat, k);
  } else {
    sim_after_ms(s, sim_below(s, 100), answer, k);
  }
}

static void polled(sim *s, sim_call *c) {
  worker *w = c->who;
  w->poll = NULL;
  if (net_ok(c)) {
    arena a = ARENA_INIT;
    begin(w, net_response(c, &a));
    arena_release(&a);
  }
  sim_after_ms(s, net_ok(c) ? sim_below(s, 3) : 50 + sim_below(s, 300), poll_again, w);
}

static void vanish(sim *s, void *arg) {
  worker *w = arg;
  if (w->poll) net_vanish(w->poll);
  w->poll = NULL;
  sim_after_ms(s, 1 + sim_below(s, 100), poll_again, w);
}

static void poll_again(sim *s, void *arg) {
  worker *w = arg;
  if (w->poll) return;
  pb_TaskQueue q = {.name = span_cstr(w->queue), .kind = PB_TASK_QUEUE_KIND_NORMAL};
  pb_PollActivityTaskQueueRequest r = {.task_queue = &q, .identity = span_cstr(w->identity)};
  int64_t wait = s->quiet ? 70 * NS_PER_SEC : (int64_t)(3 + sim_below(s, 60)) * NS_PER_SEC;
  w->poll = net_call(s, CALL_poll_activity, &r, wait, polled, w);
  if (sim_fault(s, s->swarm.vanish_per_1000, 1000)) {
    sim_after_ms(s, sim_below(s, 1000), vanish, w);
  }
}

void activity_workers_start(sim *s) {
  uint32_t n = MAX(s->swarm.activity_workers, s->swarm.queues);
  for (uint32_t i = 0; i < n; i++) {
    worker *w = mem_new(worker);
    w->sim = s;
    (void)snprintf(w->queue, sizeof w->queue, "q%u", i % s->swarm.queues);
    (void)snprintf(w->identity, sizeof w->identity, "activities-%u", i);
    sim_after_ms(s, sim_below(s, 500), poll_again, w);
  }
}

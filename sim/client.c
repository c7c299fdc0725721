/* client.c - clients: one deed after the other, and what got no answer is sent again with the same
 * request id. */
#include "client_int.h"

enum { MOST_REPEATS = 6 };

static void think(sim *s, void *arg);

span client_new_id(client *c, const char *what) {
  return arena_spanf(&c->arena, "%s-%llu", what, (unsigned long long)c->sim->next_id++);
}

span client_some_workflow(client *c) {
  return arena_spanf(&c->arena, "w%llu", (unsigned long long)sim_below(c->sim, c->sim->swarm.ids));
}

/* A run that somebody was told of, or none: then the current one is meant. */
static span some_run(client *c, span *ret_workflow) {
  sim *s = c->sim;
  *ret_workflow = client_some_workflow(c);
  const record *r = sim_chance(s, 1, 2) ? NULL : model_some(s, REC_START);
  if (!r) return SPAN_NONE;
  size_t slash = 0;
  while (slash < r->key.n && r->key.p[slash] != '/') slash++;
  *ret_workflow = arena_dup(&c->arena, span_of(r->key.p, slash));
  return arena_dup(&c->arena, bytes_span(r->text));
}

pb_WorkflowExecution *client_some_execution(client *c) {
  pb_WorkflowExecution *x = pb_new(&c->arena, WorkflowExecution);
  x->run_id = some_run(c, &x->workflow_id);
  return x;
}

/* --- sending, and sending again --- */

void client_later(client *c) {
  sim *s = c->sim;
  arena_reset(&c->arena);
  if (s->quiet) return;
  sim_after_ms(s, sim_below(s, (uint64_t)s->swarm.think_ms + 1), think, c);
}

static void send_again(sim *s, sim_call *c);

static void take_eager(sim *s, const sim_call *c) {
  arena a = ARENA_INIT;
  const pb_StartWorkflowExecutionResponse *r = net_response(c, &a);
  workers_take(s, r->eager_workflow_task);
  arena_release(&a);
}

static void answered(sim *s, sim_call *c) {
  if (c->method == CALL_start && net_ok(c)) take_eager(s, c);
  bool unknown = c->lost || c->code == ERR_UNAVAILABLE;
  bool repeat = sim_fault(s, s->swarm.repeat_per_100, 100);
  if (((unknown && !s->quiet) || repeat) && c->note < MOST_REPEATS) {
    send_again(s, c);
  } else {
    client_later(c->who);
  }
}

static void send_again(sim *s, sim_call *c) {
  void *request = NULL;
  arena a = ARENA_INIT;
  err *e = pb_decode(net_request_desc(c->method), bytes_span(c->sent), &a, &request);
  ASSERT(!e);
  net_call(s, c->method, request, 15 * NS_PER_SEC, answered, c->who)->note = c->note + 1;
  arena_release(&a);
}

void client_send(client *c, sim_method m, const void *request) {
  net_call(c->sim, m, request, 15 * NS_PER_SEC, answered, c);
}

/* --- deeds --- */

static client_fn *const deeds[] = {
#define X(name) client_##name,
    CLIENT_DEEDS(X)
#undef X
};

static void think(sim *s, void *arg) {
  client *c = arg;
  uint64_t total = 0;
  if (s->quiet) return;
  for (size_t i = 0; i < ARRAY_LEN(deeds); i++) total += s->swarm.weights[i];
  uint64_t pick = sim_below(s, total);
  for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
    if (pick < s->swarm.weights[i]) {
      deeds[i](c);
      return;
    }
    pick -= s->swarm.weights[i];
  }
}

void clients_start(sim *s) {
  ASSERT(ARRAY_LEN(deeds) <= ARRAY_LEN(s->swarm.weights));
  for (uint32_t i = 0; i < s->swarm.clients; i++) {
    client *c = mem_new(client);
    c->sim = s;
    c->number = i;
    sim_after_ms(s, sim_below(s, 500), think, c);
  }
}

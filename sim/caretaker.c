/* caretaker.c - once the faults are off: puts an end to what would never end by itself. */
#include "sim.h"

enum { WATCH_MS = 70000 }; /* so long schedules go on without faults */

typedef struct errand {
  sim_method method;
  span id;      /* the model's */
  span request; /* encoded; owned, as long as the simulation */
} errand;

static void send(sim *s, void *arg);

static void answered(sim *s, sim_call *c) {
  if (net_ok(c) || (!c->lost && c->code == ERR_NOT_FOUND)) return;
  sim_after_ms(s, 500, send, c->who);
}

static void send(sim *s, void *arg) {
  const errand *e = arg;
  arena a = ARENA_INIT;
  void *request = NULL;
  if (e->method == CALL_delete_schedule) model_schedule_deleting(s, e->id);
  err *wrong = pb_decode(net_request_desc(e->method), e->request, &a, &request);
  ASSERT(!wrong);
  net_call(s, e->method, request, 15 * NS_PER_SEC, answered, arg);
  arena_release(&a);
}

static void order(sim *s, uint64_t after_ms, sim_method m, span id, const void *request) {
  arena a = ARENA_INIT;
  errand *e = mem_new(errand);
  span encoded = pb_encode_arena(net_request_desc(m), request, &a);
  uint8_t *p = mem_alloc(encoded.n + 1);
  if (encoded.n) memcpy(p, encoded.p, encoded.n);
  *e = (errand){.method = m, .id = id, .request = span_of(p, encoded.n)};
  arena_release(&a);
  sim_after_ms(s, after_ms, send, e);
}

void caretaker_start(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    record *r = CONTAINER_OF(n, record, order);
    if (r->kind != REC_SCHEDULE) continue;
    pb_DeleteScheduleRequest q = {.schedule_id = r->key};
    order(s, WATCH_MS, CALL_delete_schedule, r->key, &q);
  }
}

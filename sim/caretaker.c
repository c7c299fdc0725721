/* caretaker.c - once the faults are off: puts an end to what would never end by itself. */
#include "sim.h"

#include "base/uuid.h"

/* So long schedules go on without faults; until then what clients still asked has arrived. */
enum { WATCH_MS = 70000, SETTLE_MS = 10000 };

typedef struct errand {
  sim_method method;
  span id;      /* the model's */
  span request; /* encoded; owned, as long as the simulation */
} errand;

static void send(sim *s, void *arg);

static bool is_done(sim *s, const sim_call *c) {
  if (c->lost || c->code == ERR_UNAVAILABLE) return false;
  if (c->method != CALL_describe_batch) return true;
  arena a = ARENA_INIT;
  const pb_DescribeBatchOperationResponse *r = net_ok(c) ? net_response(c, &a) : NULL;
  bool runs = r && r->state == PB_BATCH_OPERATION_STATE_RUNNING;
  /* What a query finds may change while the batch is under way. */
  bool by_name = r && !r->query.n;
  if (by_name && !runs && r->complete_operation_count + r->failure_operation_count < 1) {
    sim_broken(s, "B1", "batch %.*s ended early", SPAN_ARG(r->job_id));
  }
  arena_release(&a);
  return !runs;
}

static void answered(sim *s, sim_call *c) {
  if (is_done(s, c)) {
    s->errands--;
  } else {
    sim_after_ms(s, 500, send, c->who);
  }
}

static void send(sim *s, void *arg) {
  const errand *e = arg;
  arena a = ARENA_INIT;
  void *request = NULL;
  if (e->method == CALL_delete_schedule) model_schedule_deleting(s, e->id);
  if (e->method == CALL_activity_unpause) model_make(s, REC_ACTIVITY, e->id)->pause = PAUSE_UNKNOWN;
  err *wrong = pb_decode(net_request_desc(e->method), e->request, &a, &request);
  ASSERT(!wrong);
  net_call(s, e->method, request, 15 * NS_PER_SEC, answered, arg);
  arena_release(&a);
}

static void order(sim *s, uint64_t after_ms, sim_method m, span id, const void *request) {
  arena a = ARENA_INIT;
  errand *e = mem_new(errand);
  s->errands++;
  span encoded = pb_encode_arena(net_request_desc(m), request, &a);
  uint8_t *p = mem_alloc(encoded.n + 1);
  if (encoded.n) memcpy(p, encoded.p, encoded.n);
  *e = (errand){.method = m, .id = id, .request = span_of(p, encoded.n)};
  arena_release(&a);
  sim_after_ms(s, after_ms, send, e);
}

static void order_unpause(sim *s, const record *r) {
  pb_WorkflowExecution x = {.workflow_id = bytes_span(r->workflow),
                            .run_id = span_of(r->key.p, UUID_TEXT_BYTES)};
  pb_UnpauseActivityRequest q = {
      .execution = &x,
      .which_activity = PB_UnpauseActivityRequest_id_FIELD,
      .id = span_of(r->key.p + UUID_TEXT_BYTES + 1, r->key.n - UUID_TEXT_BYTES - 1)};
  order(s, SETTLE_MS, CALL_activity_unpause, r->key, &q);
}

void caretaker_start(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    record *r = CONTAINER_OF(n, record, order);
    if (r->kind == REC_SCHEDULE) {
      pb_DeleteScheduleRequest q = {.schedule_id = r->key};
      order(s, WATCH_MS, CALL_delete_schedule, r->key, &q);
    } else if (r->kind == REC_ACTIVITY && r->pause) {
      order_unpause(s, r);
    } else if (r->kind == REC_BATCH && r->acknowledged) {
      pb_DescribeBatchOperationRequest q = {.job_id = r->key};
      order(s, SETTLE_MS, CALL_describe_batch, r->key, &q);
    }
  }
}

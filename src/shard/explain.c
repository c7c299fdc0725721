/* explain.c - ExplainWorkflow: from the run's state; of a closed run also the event that closed it.
 */
#include "shard/shard_int.h"

typedef struct explain_read {
  history_read read;
  call *call;
  shard_run *run;
} explain_read;

static void give(call *c, shard_run *run, const pb_HistoryEvent *close) {
  arena *a = c->op->arena;
  const pb_api_ExplainWorkflowResponse *r = engine_explain(run->engine, close, a);
  /* The run may go on before the answer is durable. */
  call_answer(c, run, PB_COPY(api_ExplainWorkflowResponse, r, a));
}

static void close_event_read(shard *s, history_read *r, const err *e) {
  explain_read *x = CONTAINER_OF(r, explain_read, read);
  call *c = x->call;
  pb_History *h = NULL;
  if (!e) e = PB_DECODE(History, r->events, c->op->arena, &h);
  if (!e && x->run->phase != RUN_READY) e = run_gone_error(c->op->arena);
  if (e) {
    call_refuse(c, NULL, e);
  } else {
    give(c, x->run, h->events.n ? h->events.v[h->events.n - 1] : NULL);
  }
}

static void act_explain(shard *s, call *c, shard_run *run) {
  engine_view v;
  run_flush(s, run);
  if (run->phase != RUN_READY) {
    call_refuse(c, NULL, run_gone_error(c->op->arena));
    return;
  }
  engine_look(run->engine, &v);
  if (v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    give(c, run, NULL);
    return;
  }
  explain_read *x = arena_new(c->op->arena, explain_read);
  x->call = c;
  x->run = run;
  x->read = (history_read){.run = run,
                           .from = v.next_event_id - 1,
                           .until = v.next_event_id,
                           .max_batches = 1,
                           .arena = c->op->arena,
                           .done = close_event_read};
  history_start(s, &x->read);
}

void shard_explain(shard *s, shard_op *op, const pb_api_ExplainWorkflowRequest *r) {
  call *c = call_new(s, op, r, act_explain);
  if (c) call_find(c, r->execution->workflow_id, r->execution->run_id);
}

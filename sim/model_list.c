/* model_list.c - what lists and counts said (V1), and batches (B1). A list sees what was
 * acknowledged before it was asked for, and nothing that is not true. */
#include "sim.h"

static bool of_workflow(span query, span *ret_id) {
  span before = SPAN("WorkflowId = '");
  if (!span_starts_with(query, before)) return false;
  *ret_id = span_of(query.p + before.n, query.n - before.n - 1);
  return true;
}

/* A run of this workflow id whose start was answered before the call arrived. */
static bool is_known(sim *s, const sim_call *c, const record *r, span workflow_id) {
  if (r->kind != REC_START || !r->acknowledged || !r->text || r->may_go) return false;
  if (r->key.n <= workflow_id.n || !span_starts_with(r->key, workflow_id)) return false;
  if (r->key.p[workflow_id.n] != '/') return false;
  const record *run = model_find(s, REC_RUN, bytes_span(r->text));
  return run && run->time_ns < c->arrived_ns && !run->may_go;
}

static bool has_run(const pb_ListWorkflowExecutionsResponse *l, span run_id) {
  for (size_t i = 0; i < l->executions.n; i++) {
    if (span_eq(l->executions.v[i]->execution->run_id, run_id)) return true;
  }
  return false;
}

/* It was in this state at some time since the call arrived. */
static void check_entry(sim *s, const sim_call *c, const pb_WorkflowExecutionInfo *e) {
  span run_id = e->execution->run_id;
  const record *run = model_find(s, REC_RUN, run_id);
  if (run && run->may_go) return;
  if (!audit_next_event_id(s, run_id)) {
    sim_broken(s, "V1", "%.*s is listed and is not on disk", SPAN_ARG(run_id));
  }
  int64_t closed_ns = audit_close_ns(s, run_id);
  bool running = e->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (running && closed_ns && closed_ns < c->arrived_ns - SIM_LIST_LAG_NS) {
    sim_broken(s, "V1", "%.*s is listed as running and was closed before", SPAN_ARG(run_id));
  }
  if (!running && !closed_ns) {
    sim_broken(s, "V1", "%.*s is listed with status %d and is open", SPAN_ARG(run_id), e->status);
  }
}

void model_listed(sim *s, const sim_call *c, const pb_ListWorkflowExecutionsRequest *q,
                  const pb_ListWorkflowExecutionsResponse *l) {
  span id;
  for (size_t i = 0; i < l->executions.n; i++) check_entry(s, c, l->executions.v[i]);
  if (!of_workflow(q->query, &id) || l->next_page_token.n) return;
  LIST_FOR_EACH (n, &s->model->order) {
    const record *r = CONTAINER_OF(n, record, order);
    if (!is_known(s, c, r, id) || has_run(l, bytes_span(r->text))) continue;
    sim_broken(s, "V1", "run %.*s was acknowledged and is not listed",
               SPAN_ARG(bytes_span(r->text)));
  }
}

void model_counted(sim *s, const sim_call *c, const pb_CountWorkflowExecutionsRequest *q,
                   const pb_CountWorkflowExecutionsResponse *r) {
  span id;
  int64_t least = 0;
  if (!of_workflow(q->query, &id)) return;
  LIST_FOR_EACH (n, &s->model->order) {
    least += is_known(s, c, CONTAINER_OF(n, record, order), id);
  }
  if (r->count >= least) return;
  sim_broken(s, "V1", "%lld runs of %.*s are counted, %lld were acknowledged", (long long)r->count,
             SPAN_ARG(id), (long long)least);
}

void model_batch_not_found(sim *s, span job_id) {
  if (model_make(s, REC_BATCH, job_id)->acknowledged) {
    sim_broken(s, "B1", "batch %.*s was acknowledged and is not found", SPAN_ARG(job_id));
  }
}

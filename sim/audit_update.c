/* audit_update.c - updates in history (U1): accepted once, completed once and after that, with the
 * outcome that a client was told; and nothing of one that was rejected. */
#include "audit_int.h"

static void accepted(audit_run *r, const pb_HistoryEvent *ev) {
  const pb_WorkflowExecutionUpdateAcceptedEventAttributes *at =
      ev->workflow_execution_update_accepted_event_attributes;
  record *rec = model_update_of(r->sim, r->info->run_id, at->protocol_instance_id);
  audit_see(r, rec);
  if (rec->seen > 1) BROKEN(r, "U1", "update %.*s is accepted twice", SPAN_ARG(rec->key));
  if (rec->given) BROKEN(r, "U1", "update %.*s was rejected and is here", SPAN_ARG(rec->key));
  rec->number = ev->event_id;
  rec->accepted = 0;
}

static void completed(audit_run *r, const pb_HistoryEvent *ev) {
  const pb_WorkflowExecutionUpdateCompletedEventAttributes *at =
      ev->workflow_execution_update_completed_event_attributes;
  record *rec = model_update_of(r->sim, r->info->run_id, at->meta->update_id);
  if (rec->seen_at != r->sim->n_audits || rec->number != at->accepted_event_id) {
    BROKEN(r, "U1", "update %.*s is completed and not accepted", SPAN_ARG(rec->key));
  }
  if (rec->accepted++) BROKEN(r, "U1", "update %.*s is completed twice", SPAN_ARG(rec->key));
  if (rec->text && !span_eq(bytes_span(rec->text), PB_ENCODE(Outcome, at->outcome, r->arena))) {
    BROKEN(r, "U1", "the outcome of update %.*s is not what a client got", SPAN_ARG(rec->key));
  }
}

void audit_updates(audit_run *r) {
  for (size_t i = 0; i < r->n; i++) {
    int32_t type = r->events[i]->event_type;
    if (type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED) accepted(r, r->events[i]);
    if (type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED) completed(r, r->events[i]);
  }
}

void audit_updates_all(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    const record *r = CONTAINER_OF(n, record, order);
    if (r->kind != REC_UPDATE || !r->acknowledged || model_may_be_gone(s, r)) continue;
    if (r->seen_at != s->n_audits) {
      sim_broken(s, "U1", "update %.*s was acknowledged and is not on disk", SPAN_ARG(r->key));
    }
    if (r->text && !r->accepted) {
      sim_broken(s, "U1", "update %.*s has an outcome and is not completed", SPAN_ARG(r->key));
    }
  }
}

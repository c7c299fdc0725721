/* audit_outside.c - what runs told each other (M1): what was answered as done is there, what was
 * refused is not, and nothing is there twice, whatever was lost or delivered again in between. */
#include "audit_int.h"

static record *child_record(audit_run *r, span parent_run_id, int64_t initiated_id) {
  return model_make(
      r->sim, REC_CHILD,
      arena_spanf(r->arena, "%.*s/%lld", SPAN_ARG(parent_run_id), (long long)initiated_id));
}

static record *sent_record(audit_run *r, int64_t initiated_id) {
  const pb_HistoryEvent *ev =
      audit_event_at(r, initiated_id, PB_EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED);
  return model_make(r->sim, REC_SENT,
                    ev->signal_external_workflow_execution_initiated_event_attributes->signal_name);
}

/* `acknowledged`: the sender knows that it was done; `given`: that it was refused. */
static void answered(audit_run *r, record *rec, bool done) {
  if (done) rec->acknowledged = true;
  if (!done) rec->given = 1;
  if (rec->acknowledged && rec->given)
    BROKEN(r, "M1", "%.*s was done and refused", SPAN_ARG(rec->key));
}

static void is_run(audit_run *r, record *rec, span run_id) {
  if (!rec->number) rec->number = (int64_t)(sim_hash(run_id) >> 1) | 1;
  if (rec->number == ((int64_t)(sim_hash(run_id) >> 1) | 1)) return;
  BROKEN(r, "M1", "%.*s started more than one run", SPAN_ARG(rec->key));
}

static void check_event(audit_run *r, const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
    case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: {
      const pb_ChildWorkflowExecutionStartedEventAttributes *at =
          ev->child_workflow_execution_started_event_attributes;
      (void)audit_event_at(r, at->initiated_event_id,
                           PB_EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED);
      record *rec = child_record(r, r->info->run_id, at->initiated_event_id);
      is_run(r, rec, at->workflow_execution->run_id);
      answered(r, rec, true);
      break;
    }
    case PB_EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
      answered(r, child_record(r, r->info->run_id, program_answered(ev)), false);
      break;
    case PB_EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED:
      answered(r, sent_record(r, program_answered(ev)), true);
      break;
    case PB_EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED:
      answered(r, sent_record(r, program_answered(ev)), false);
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
      audit_sent_signal(r, ev);
      break;
    default:
      break;
  }
}

void audit_sent_signal(audit_run *r, const pb_HistoryEvent *ev) {
  if (ev->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) return;
  span name = ev->workflow_execution_signaled_event_attributes->signal_name;
  if (!span_starts_with(name, SPAN(PROGRAM_SENT))) return;
  record *rec = model_make(r->sim, REC_SENT, name);
  audit_see(r, rec);
  if (rec->seen > 1) BROKEN(r, "M1", "%.*s was delivered %u times", SPAN_ARG(name), rec->seen);
}

/* The first run of a child's chain. */
static void check_child(audit_run *r) {
  const pb_WorkflowExecutionStartedEventAttributes *s = r->info->started;
  if (!s->parent_workflow_execution) return;
  if (!span_eq(s->first_execution_run_id, r->info->run_id)) return;
  record *rec = child_record(r, s->parent_workflow_execution->run_id, s->parent_initiated_event_id);
  is_run(r, rec, r->info->run_id);
  audit_see(r, rec);
}

void audit_outside(audit_run *r) {
  for (size_t i = 0; i < r->n; i++) check_event(r, r->events[i]);
  check_child(r);
}

void audit_outside_all(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    const record *r = CONTAINER_OF(n, record, order);
    if (r->kind != REC_CHILD && r->kind != REC_SENT) continue;
    bool there = r->seen_at == s->n_audits;
    if (r->acknowledged && !there) {
      sim_broken(s, "M1", "%.*s was answered as done and is not there", SPAN_ARG(r->key));
    }
    if (r->given && there) sim_broken(s, "M1", "%.*s was refused and is there", SPAN_ARG(r->key));
  }
}

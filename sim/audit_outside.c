/* audit_outside.c - what runs told each other (M1): what was answered as done is there, what was
 * refused is not, and nothing is there twice, whatever was lost or delivered again in between. */
#include "audit_int.h"

/* A child belongs to the run that started it. */
static record *child_record(audit_run *r, span parent_run_id, int64_t initiated_id) {
  return model_make(
      r->sim, REC_CHILD,
      arena_spanf(r->arena, "%.*s/%lld", SPAN_ARG(parent_run_id), (long long)initiated_id));
}

/* What this event answers; a reset copies it from another run. */
static record *child_answered(audit_run *r, const pb_HistoryEvent *ev, int64_t initiated_id) {
  return child_record(r, model_origin(r->sim, r->info->run_id, ev->event_id), initiated_id);
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
  if (!done && !rec->told_again) rec->given = 1;
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
      model_make(r->sim, REC_STARTED, at->workflow_execution->run_id)->acknowledged = true;
      break;
    }
    case PB_EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
      answered(r, child_answered(r, ev, program_answered(ev)), false);
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
  /* A run that a reset made has what came to its base; see_signal knows that it has it once. */
  if (model_find(r->sim, REC_RUN, r->info->run_id)->text) rec->seen--;
}

/* The first run of a child's chain. */
static void check_child(audit_run *r) {
  const pb_WorkflowExecutionStartedEventAttributes *s = r->info->started;
  if (!s->parent_workflow_execution) return;
  if (!span_eq(s->first_execution_run_id, r->info->run_id)) return;
  record *rec = child_record(r, s->parent_workflow_execution->run_id, s->parent_initiated_event_id);
  is_run(r, rec, r->info->run_id);
  audit_see(r, rec);
  audit_see(r, model_make(r->sim, REC_STARTED, r->info->run_id));
}

void audit_outside(audit_run *r) {
  for (size_t i = 0; i < r->n; i++) check_event(r, r->events[i]);
  check_child(r);
}

static void check_sent_once(sim *s, const record *r) {
  if (r->kind == REC_SENT && r->seen_at == s->n_audits && r->seen > 1 && !r->told_again) {
    sim_broken(s, "M1", "%.*s was delivered %u times", SPAN_ARG(r->key), r->seen);
  }
  if (r->kind != REC_SIGNAL || r->twice_at != s->n_audits) return;
  size_t slash = 0;
  while (r->key.p[slash] != '/') slash++;
  span name = span_of(r->key.p + slash + 1, r->key.n - slash - 1);
  const record *sent = model_find(s, REC_SENT, name);
  if (!sent || !sent->told_again) {
    sim_broken(s, "I1", "signal %.*s is twice in run %lld", SPAN_ARG(r->key), (long long)r->number);
  }
}

void audit_outside_all(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    const record *r = CONTAINER_OF(n, record, order);
    check_sent_once(s, r);
    if (r->kind != REC_CHILD && r->kind != REC_SENT && r->kind != REC_STARTED) continue;
    bool there = r->seen_at == s->n_audits;
    if (r->acknowledged && !there && !model_may_be_gone(s, r)) {
      sim_broken(s, "M1", "%.*s was answered as done and is not there", SPAN_ARG(r->key));
    }
    if (r->given && there) sim_broken(s, "M1", "%.*s was refused and is there", SPAN_ARG(r->key));
  }
}

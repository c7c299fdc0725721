/* audit_reset.c - runs that a reset made: they begin as their base does, and have the signals that
 * came to it later (S1, unless the request said no). */
#include "audit_int.h"

/* The event with which the run parts from its base, or NULL. */
static const pb_HistoryEvent *parting(const audit_run *r) {
  for (size_t i = 0; i < r->n; i++) {
    if (r->events[i]->event_type != PB_EVENT_TYPE_WORKFLOW_TASK_FAILED) continue;
    const pb_WorkflowTaskFailedEventAttributes *at =
        r->events[i]->workflow_task_failed_event_attributes;
    bool reset = at->cause == PB_WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;
    if (reset && span_eq(at->new_run_id, r->info->run_id)) return r->events[i];
  }
  return NULL;
}

/* The task that the reset fails may have a start of its own, and be its own after another attempt
 * of it. */
static int64_t first_own(const audit_run *r, const pb_HistoryEvent *failed) {
  int64_t id = failed->workflow_task_failed_event_attributes->scheduled_event_id;
  int32_t before = id < 2 ? 0 : r->events[id - 2]->event_type;
  bool again = before == PB_EVENT_TYPE_WORKFLOW_TASK_FAILED ||
               before == PB_EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT;
  return again && id == failed->event_id - 2 ? id : failed->event_id - 1;
}

static bool has_signal(const audit_run *r, span name) {
  for (size_t i = 0; i < r->n; i++) {
    if (r->events[i]->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED &&
        span_eq(r->events[i]->workflow_execution_signaled_event_attributes->signal_name, name)) {
      return true;
    }
  }
  return false;
}

static void check_later_signals(audit_run *r, const audit_run *base, int64_t from) {
  for (size_t i = (size_t)from - 1; i < base->n; i++) {
    const pb_HistoryEvent *ev = base->events[i];
    if (ev->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) continue;
    span name = ev->workflow_execution_signaled_event_attributes->signal_name;
    if (!has_signal(r, name)) {
      BROKEN(r, "S1", "signal %.*s of its base did not come along", SPAN_ARG(name));
    }
  }
}

static void check_copied(audit_run *r, const audit_run *base, int64_t until) {
  for (int64_t i = 0; i < until - 1; i++) {
    if (i >= (int64_t)base->n) BROKEN(r, "D2", "its base has only %zu events", base->n);
    span mine = PB_ENCODE(HistoryEvent, r->events[i], r->arena);
    if (span_eq(mine, PB_ENCODE(HistoryEvent, base->events[i], r->arena))) continue;
    BROKEN(r, "D2", "event %lld (type %d) differs from its base's", (long long)i + 1,
           r->events[i]->event_type);
  }
}

static bool is_answered(const audit_run *r, int64_t initiated_id, int64_t until) {
  for (int64_t i = initiated_id; i < until - 1; i++) {
    if (program_answered(r->events[i]) == initiated_id) return true;
  }
  return false;
}

/* A signal whose answer was not copied is sent once more. */
static void note_told_again(audit_run *r, int64_t until) {
  for (int64_t i = 0; i < until - 1; i++) {
    const pb_HistoryEvent *ev = r->events[i];
    if (ev->event_type != PB_EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED) continue;
    if (is_answered(r, ev->event_id, until)) continue;
    span name = ev->signal_external_workflow_execution_initiated_event_attributes->signal_name;
    record *rec = model_make(r->sim, REC_SENT, name);
    rec->told_again = true;
    rec->given = 0;
  }
}

void audit_reset(audit_run *r) {
  const pb_HistoryEvent *ev = parting(r);
  if (!ev) return;
  record *rec = model_make(r->sim, REC_RUN, r->info->run_id);
  span base_id = ev->workflow_task_failed_event_attributes->base_run_id;
  bytes_unref(rec->text);
  rec->text = bytes_copy(base_id);
  rec->number = first_own(r, ev);
  note_told_again(r, rec->number);
  store_load l;
  audit_run base = {.sim = r->sim, .arena = r->arena, .load = &l, .info = r->info};
  if (!audit_load_state(r->sim, base_id, &l, &base.state)) return; /* deleted */
  audit_read_events(&base);
  check_copied(r, &base, rec->number);
  if (rec->given) check_later_signals(r, &base, rec->number);
  audit_load_release(&l);
}

int64_t audit_some_task(sim *s, span run_id) {
  arena a = ARENA_INIT;
  store_load l;
  audit_run r = {.sim = s, .arena = &a, .load = &l};
  int64_t found = 0;
  uint64_t n = 0;
  if (!audit_load_state(s, run_id, &l, &r.state)) return 0;
  if (PB_DECODE(store_RunInfo, bytes_span(l.row.info), &a, &r.info)) PANIC("run info");
  audit_read_events(&r);
  for (size_t i = 0; i < r.n; i++) {
    if (r.events[i]->event_type != PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED) continue;
    if (sim_below(s, ++n) == 0) found = r.events[i]->event_id;
  }
  audit_load_release(&l);
  arena_release(&a);
  return found;
}

/* audit_schedule.c - schedules on disk (C1: as their owners were told; T4: with a time for what
 * comes next) and what they started (C2: no two workflows at once, but where that is asked for;
 * each time one workflow). */
#include "audit_int.h"

#include "engine/schedule.h"

void audit_schedule(audit_run *r) {
  const pb_store_ScheduleState *st = r->state->schedule;
  record *rec = model_make(r->sim, REC_SCHEDULE, schedule_id_of(r->info->workflow_id));
  bool open = r->state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  audit_see(r, rec);
  if (rec->accepted && open) BROKEN(r, "C1", "it was deleted and is %s", "open");
  if (!open) return;
  span notes = st->schedule->state->notes;
  if (rec->text && !span_eq(bytes_span(rec->text), notes)) {
    BROKEN(r, "C1", "its notes are %.*s", SPAN_ARG(notes));
  }
  if (!st->schedule->state->paused) audit_due(r, r->load->row.due_ns, "the next action");
}

/* A first run that a schedule started. */
static void check_once(audit_run *r, const record *schedule) {
  if (!span_eq(r->info->started->first_execution_run_id, r->info->run_id)) return;
  record *rec = model_make(r->sim, REC_ACTION, r->info->workflow_id);
  audit_see(r, rec);
  if (rec->seen > 1 && !schedule->told_again)
    BROKEN(r, "C2", "its time was acted upon %u times", rec->seen);
}

void audit_scheduled(audit_run *r) {
  if (!r->info->schedule) return;
  record *rec = model_make(r->sim, REC_SCHEDULE, schedule_id_of(r->info->schedule->workflow_id));
  check_once(r, rec);
  if (r->state->status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return;
  if (rec->twice_at != r->sim->n_audits) rec->given = 0;
  rec->twice_at = r->sim->n_audits;
  rec->given++;
  if (rec->given > 1 && rec->attempt != PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL) {
    BROKEN(r, "C2", "%u workflows of schedule %.*s at once", rec->given, SPAN_ARG(rec->key));
  }
}

void audit_schedules_all(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    const record *r = CONTAINER_OF(n, record, order);
    if (r->kind != REC_SCHEDULE || !r->acknowledged || r->may_go) continue;
    if (r->seen_at == s->n_audits) continue;
    sim_broken(s, "C1", "schedule %.*s was acknowledged and is not on disk", SPAN_ARG(r->key));
  }
}

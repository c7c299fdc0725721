/* model_update.c - what clients were told of updates (U1). A record is made by the first answer
 * that names the run; audit_update.c looks whether history agrees. */
#include "sim.h"

#include "base/uuid.h"

static span key_of(arena *a, span run_id, span update_id) {
  return model_key(a, run_id, update_id);
}

record *model_update_of(sim *s, span run_id, span update_id) {
  arena a = ARENA_INIT;
  record *r = model_make(s, REC_UPDATE, key_of(&a, run_id, update_id));
  arena_release(&a);
  return r;
}

void model_update_names(const record *r, pb_UpdateRef *ref, arena *a) {
  span key = arena_dup(a, r->key);
  ref->workflow_execution->run_id = span_of(key.p, UUID_TEXT_BYTES);
  ref->workflow_execution->workflow_id = arena_dup(a, bytes_span(r->workflow));
  ref->update_id = span_of(key.p + UUID_TEXT_BYTES + 1, key.n - UUID_TEXT_BYTES - 1);
}

/* A validator refused it: nothing of it is ever in history. */
static void rejected(sim *s, record *r) {
  r->given = 1;
  if (r->acknowledged) sim_broken(s, "U1", "update %.*s is rejected", SPAN_ARG(r->key));
}

void model_update_answered(sim *s, const pb_UpdateRef *ref, int32_t stage,
                           const pb_Outcome *outcome, arena *a) {
  if (stage < PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED) return;
  const pb_WorkflowExecution *x = ref->workflow_execution;
  record *r = model_update_of(s, x->run_id, ref->update_id);
  if (!r->workflow) r->workflow = bytes_copy(x->workflow_id);
  sim_trace(s, "  update %.*s is in stage %d", SPAN_ARG(r->key), stage);
  bool failed = outcome && outcome->which_value == PB_Outcome_failure_FIELD;
  if (failed && span_eq(outcome->failure->message, SPAN(UPDATE_REJECTED))) {
    rejected(s, r);
    return;
  }
  /* Rejected by the server for a worker that said nothing of it: it is unknown again. */
  if (failed && span_starts_with(outcome->failure->message, SPAN("Workflow Update is rejected"))) {
    return;
  }
  if (r->given) sim_broken(s, "U1", "update %.*s was rejected", SPAN_ARG(r->key));
  r->acknowledged = true;
  /* An accepted update whose run is closed has failed, without an event of its own. */
  bool closed =
      failed && span_starts_with(outcome->failure->message, SPAN("Workflow Update failed"));
  if (!outcome || closed) return;
  span said = PB_ENCODE(Outcome, outcome, a);
  if (r->text && !span_eq(bytes_span(r->text), said)) {
    sim_broken(s, "U1", "update %.*s has two outcomes", SPAN_ARG(r->key));
  }
  if (!r->text) r->text = bytes_copy(said);
}

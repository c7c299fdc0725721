/* model_gone.c - runs that go and runs that come from others: what a deletion takes with it need
 * not be found any more, and what a reset copied was written before. */
#include "sim.h"

#include "base/uuid.h"

static span before_slash(span key) {
  size_t n = 0;
  while (n < key.n && key.p[n] != '/') n++;
  return span_of(key.p, n);
}

/* The audit marks what it finds in the run. */
void model_delete_asked(sim *s, const pb_WorkflowExecution *x) {
  s->n_deletes++;
  model_make(s, REC_RUN, x->run_id)->may_go = true;
  model_make(s, REC_WORKFLOW, x->workflow_id)->may_go = true;
  audit_disk(s, false);
}

static bool may_go(sim *s, record_kind kind, span key) {
  const record *r = model_find(s, kind, key);
  return r && r->may_go;
}

/* What was never found on disk may have come just before the deletion. */
bool model_may_be_gone(sim *s, const record *r) {
  if (r->may_go || r->seen_at) return r->may_go;
  switch (r->kind) {
    case REC_START:
    case REC_SIGNAL:
      return may_go(s, REC_WORKFLOW, before_slash(r->key));
    case REC_ATTEMPT:
    case REC_UPDATE:
      return may_go(s, REC_RUN, before_slash(r->key));
    case REC_CHILD:
    case REC_STARTED:
    case REC_SENT:
      return s->n_deletes > 0;
    default:
      return false;
  }
}

span model_origin(sim *s, span run_id, int64_t event_id) {
  for (;;) {
    const record *r = model_find(s, REC_RUN, run_id);
    if (!r || !r->text || event_id >= r->number) return run_id;
    run_id = bytes_span(r->text);
  }
}

/* run_options.c - options of a run that change while it is open: its priority. */
#include "engine/engine_int.h"

typedef pb_WorkflowExecutionOptionsUpdatedEventAttributes updated;

/* The newest change that waits for the workflow task in flight, or NULL. */
static const updated *newest_waiting(const engine_run *run) {
  const updated *found = NULL;
  LIST_FOR_EACH (n, &run->buffered) {
    const engine_item *it = CONTAINER_OF(n, engine_item, buffered);
    const pb_HistoryEvent *ev = ((const pb_store_BufferedItem *)item_msg(it))->event;
    if (it->deleted || ev->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED) continue;
    const updated *attrs = ev->workflow_execution_options_updated_event_attributes;
    if (attrs->unset_versioning_override) found = attrs;
  }
  return found;
}

const pb_Priority *run_priority(const engine_run *run) {
  const updated *waiting = newest_waiting(run);
  if (waiting) return waiting->priority;
  return run->state.priority_updated ? run->state.priority : run->info->started->priority;
}

/* Takes over what a path of the mask names; the paths are known to mean something. */
static void merge(pb_Priority **to, const pb_Priority *from, span path, arena *a) {
  static const pb_Priority none;
  if (span_eq(path, SPAN("priority"))) {
    *to = (pb_Priority *)(uintptr_t)from;
    return;
  }
  if (!from) from = &none;
  pb_Priority *p = pb_new(a, Priority);
  if (*to) *p = **to;
  if (span_eq(path, SPAN("priority.priority_key"))) p->priority_key = from->priority_key;
  if (span_eq(path, SPAN("priority.fairness_key"))) p->fairness_key = from->fairness_key;
  if (span_eq(path, SPAN("priority.fairness_weight"))) p->fairness_weight = from->fairness_weight;
  *to = p;
}

static bool is_same(const pb_Priority *x, const pb_Priority *y, arena *a) {
  if (!x || !y) return x == y;
  return span_eq(PB_ENCODE(Priority, x, a), PB_ENCODE(Priority, y, a));
}

void options_note_written(engine_run *run, const updated *attrs) {
  if (!attrs->unset_versioning_override) return; /* it only attaches something */
  run->state.priority_updated = true;
  run->state.priority = attrs->priority;
}

static void append_updated(engine_run *run, pb_Priority *priority, span identity) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        workflow_execution_options_updated_event_attributes,
        WorkflowExecutionOptionsUpdatedEventAttributes);
  ev->worker_may_ignore = true;
  attrs->unset_versioning_override = true; /* as the original says when there is none */
  attrs->identity = identity;
  attrs->priority = priority;
  tx_buffer(run, ev);
}

err *engine_update_options(engine_run *run, engine_step *st,
                           const pb_UpdateWorkflowExecutionOptionsRequest *r,
                           pb_WorkflowExecutionOptions **ret_options) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  const pb_WorkflowExecutionOptions *from = r->workflow_execution_options;
  pb_Priority *now = (pb_Priority *)(uintptr_t)run_priority(run), *new = now;
  for (size_t i = 0; i < r->update_mask->paths.n; i++) {
    span path = r->update_mask->paths.v[i];
    if (span_starts_with(path, SPAN("priority"))) {
      merge(&new, from ? from->priority : NULL, path, st->arena);
    }
  }
  *ret_options = pb_new(st->arena, WorkflowExecutionOptions);
  if (new) (*ret_options)->priority = PB_COPY(Priority, new, st->arena);
  if (is_same(now, new, st->arena)) return NULL;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  append_updated(run, new, r->identity);
  tx_finish(run);
  run_check_limits(run, st);
  return NULL;
}

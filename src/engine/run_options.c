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

static pb_HistoryEvent *updated_event(engine_run *run, pb_Priority *priority, span identity) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        workflow_execution_options_updated_event_attributes,
        WorkflowExecutionOptionsUpdatedEventAttributes);
  ev->worker_may_ignore = true;
  attrs->unset_versioning_override = true; /* as the original says when there is none */
  attrs->identity = identity;
  attrs->priority = priority;
  return ev;
}

static pb_Priority *merged(const engine_run *run, const pb_WorkflowExecutionOptions *from,
                           const pb_FieldMask *mask, arena *a) {
  pb_Priority *new = (pb_Priority *)(uintptr_t)run_priority(run);
  for (size_t i = 0; i < mask->paths.n; i++) {
    span path = mask->paths.v[i];
    if (span_starts_with(path, SPAN("priority"))) {
      merge(&new, from ? from->priority : NULL, path, a);
    }
  }
  return new;
}

void options_set(engine_run *run, const pb_WorkflowExecutionOptions *from,
                 const pb_FieldMask *mask) {
  arena *a = run->tx.arena;
  pb_Priority *new = merged(run, from, mask, a);
  if (is_same(run_priority(run), new, a)) return;
  pb_HistoryEvent *ev = updated_event(run, new, SPAN_NONE);
  tx_append(run, ev);
  attach_note_written(run, ev);
}

err *engine_update_options(engine_run *run, engine_step *st,
                           const pb_UpdateWorkflowExecutionOptionsRequest *r,
                           pb_WorkflowExecutionOptions **ret_options) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  pb_Priority *new = merged(run, r->workflow_execution_options, r->update_mask, st->arena);
  *ret_options = pb_new(st->arena, WorkflowExecutionOptions);
  if (new) (*ret_options)->priority = PB_COPY(Priority, new, st->arena);
  if (is_same(run_priority(run), new, st->arena)) return NULL;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  tx_buffer(run, updated_event(run, new, r->identity));
  tx_finish(run);
  run_check_limits(run, st);
  return NULL;
}

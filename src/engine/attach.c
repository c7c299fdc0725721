/* attach.c - starts that found this run open and leave their request id or links with it. */
#include "engine/engine_int.h"

static size_t position_of(const engine_run *run, span request_id) {
  const pb_store_RunState *s = &run->state;
  size_t i = 0;
  while (i < s->attached.n && !span_eq(s->attached.v[i]->request_id, request_id)) i++;
  return i;
}

bool engine_is_attached(const engine_run *run, span request_id) {
  return request_id.n && position_of(run, request_id) < run->state.attached.n;
}

/* The id at this position now belongs to this event; 0: which still waits in the buffer. */
static void set_attached(engine_run *run, size_t at, span request_id, int64_t event_id) {
  pb_store_RunState *s = &run->state;
  arena *a = run->tx.arena;
  size_t n = MAX(s->attached.n, at + 1);
  pb_store_AttachedRequest **v = arena_array(a, pb_store_AttachedRequest *, n);
  for (size_t i = 0; i < s->attached.n; i++) v[i] = s->attached.v[i];
  v[at] = pb_new(a, store_AttachedRequest);
  v[at]->request_id = request_id;
  v[at]->event_id = event_id;
  s->attached.v = v;
  s->attached.n = n;
}

/* A signal under a request id that is known already moves the id to its event. */
static void note_signal(engine_run *run, span id, int64_t event_id) {
  if (span_eq(id, run->info->request_id)) {
    run->state.request_event_id = event_id;
  } else if (engine_is_attached(run, id)) {
    set_attached(run, position_of(run, id), id, event_id);
  }
}

void attach_note_written(engine_run *run, const pb_HistoryEvent *ev) {
  if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) {
    span id = ev->workflow_execution_signaled_event_attributes->request_id;
    if (id.n) note_signal(run, id, ev->event_id);
  } else if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED) {
    span id = ev->workflow_execution_options_updated_event_attributes->attached_request_id;
    if (id.n) set_attached(run, position_of(run, id), id, ev->event_id);
    options_note_written(run, ev->workflow_execution_options_updated_event_attributes);
  }
}

err *engine_attach(engine_run *run, engine_step *st, const engine_attach_args *args) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  if (engine_is_attached(run, args->request_id)) return NULL;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        workflow_execution_options_updated_event_attributes,
        WorkflowExecutionOptionsUpdatedEventAttributes);
  ev->worker_may_ignore = true;
  attrs->attached_request_id = args->request_id;
  ev->links.v = (pb_Link **)(uintptr_t)args->links;
  ev->links.n = args->n_links;
  if (args->request_id.n) set_attached(run, run->state.attached.n, args->request_id, 0);
  tx_buffer(run, ev);
  tx_finish(run);
  run_check_limits(run, st);
  return NULL;
}

/* attach.c - starts that found this run open and leave their request id, links or callbacks with
 * it, and updates that are asked for again with callbacks. */
#include "engine/engine_int.h"

typedef pb_WorkflowExecutionOptionsUpdatedEventAttributes updated;
typedef pb_WorkflowExecutionOptionsUpdatedEventAttributes_WorkflowUpdateOptionsUpdate
    update_options;

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

/* A start, an update or what was attached came with this request id. */
static bool is_known(const engine_run *run, span request_id) {
  size_t n;
  if (span_eq(run->info->request_id, request_id)) return true;
  if (engine_is_attached(run, request_id)) return true;
  engine_item **updates = items_sorted(run, PB_ITEM_KIND_UPDATE, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) {
    const pb_store_UpdateItem *it = item_msg(updates[i]);
    if (span_eq(it->request_id, request_id)) return true;
  }
  return false;
}

static void note_options(engine_run *run, const updated *attrs, int64_t event_id) {
  span id = attrs->attached_request_id;
  if (id.n) set_attached(run, position_of(run, id), id, event_id);
  for (size_t i = 0; i < attrs->workflow_update_options.n; i++) {
    id = attrs->workflow_update_options.v[i]->attached_request_id;
    if (id.n) set_attached(run, position_of(run, id), id, event_id);
  }
  options_note_written(run, attrs);
}

void attach_note_written(engine_run *run, const pb_HistoryEvent *ev) {
  if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) {
    span id = ev->workflow_execution_signaled_event_attributes->request_id;
    if (id.n) note_signal(run, id, ev->event_id);
  } else if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED) {
    note_options(run, ev->workflow_execution_options_updated_event_attributes, ev->event_id);
  }
}

void attach_again(engine_run *run, const pb_HistoryEvent *ev) {
  attach_note_written(run, ev);
  callbacks_add(
      run, &ev->workflow_execution_options_updated_event_attributes->attached_completion_callbacks,
      pb_time_ns(ev->event_time));
}

static updated *options_updated(engine_run *run, pb_HistoryEvent **ret_event) {
  EVENT(&run->tx, ev, attrs, WORKFLOW_EXECUTION_OPTIONS_UPDATED,
        workflow_execution_options_updated_event_attributes,
        WorkflowExecutionOptionsUpdatedEventAttributes);
  ev->worker_may_ignore = true;
  *ret_event = ev;
  return attrs;
}

err *engine_attach(engine_run *run, engine_step *st, const engine_attach_args *args) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  if (engine_is_attached(run, args->request_id)) return NULL;
  if (args->callbacks) {
    TRY(callbacks_fit(run, st->host->limits, args->callbacks->n, st->arena));
  }
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  pb_HistoryEvent *ev;
  updated *attrs = options_updated(run, &ev);
  attrs->attached_request_id = args->request_id;
  if (args->callbacks) {
    attrs->attached_completion_callbacks = *args->callbacks;
    callbacks_add(run, args->callbacks, run->tx.now_ns);
  }
  ev->links.v = (pb_Link **)(uintptr_t)args->links;
  ev->links.n = args->n_links;
  if (args->request_id.n) set_attached(run, run->state.attached.n, args->request_id, 0);
  tx_buffer(run, ev);
  tx_finish(run);
  run_check_limits(run, st);
  return NULL;
}

pb_HistoryEvent *attach_to_update(engine_run *run, const pb_update_Request *request) {
  if (is_known(run, request->request_id)) return NULL;
  pb_HistoryEvent *ev;
  updated *attrs = options_updated(run, &ev);
  update_options *o = pb_new(
      run->tx.arena, WorkflowExecutionOptionsUpdatedEventAttributes_WorkflowUpdateOptionsUpdate);
  o->update_id = request->meta->update_id;
  o->attached_request_id = request->request_id;
  o->attached_completion_callbacks = request->completion_callbacks;
  attrs->workflow_update_options.v = arena_array(run->tx.arena, update_options *, 1);
  attrs->workflow_update_options.v[attrs->workflow_update_options.n++] = o;
  set_attached(run, run->state.attached.n, request->request_id, 0);
  return ev;
}

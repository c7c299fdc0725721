/* signal.c - messages from outside: signals, cancel requests. */
#include "engine/engine_int.h"

static bool is_known(const engine_run *run, span request_id) {
  return request_id.n && item_by_name(run, PB_ITEM_KIND_SIGNAL_REQUEST, request_id);
}

static void remember_request(engine_run *run, span request_id, bool sent_by_run) {
  if (!request_id.n || is_known(run, request_id)) return;
  int64_t id = ITEM_FIRST_SIGNAL_REQUEST + run->state.next_signal_request++;
  pb_store_SignalRequestItem *it = item_new(run, id, PB_ITEM_KIND_SIGNAL_REQUEST, request_id);
  it->request_id = request_id;
  it->sent_by_run = sent_by_run;
}

/* A message that is delivered again may find a later run of the id than the first time. */
void requests_inherit(engine_run *run, const engine_run *before) {
  enum { MOST = 64 };
  arena *a = run->tx.arena;
  size_t n, kept = 0;
  engine_item **items = items_sorted(before, PB_ITEM_KIND_SIGNAL_REQUEST, a, &n);
  for (size_t i = 0; i < n; i++) {
    if (((const pb_store_SignalRequestItem *)item_msg(items[i]))->sent_by_run)
      items[kept++] = items[i];
  }
  for (size_t i = kept > MOST ? kept - MOST : 0; i < kept; i++) {
    const pb_store_SignalRequestItem *it = item_msg(items[i]);
    remember_request(run, arena_dup(a, it->request_id), true);
  }
}

static pb_HistoryEvent *signaled_event(engine_run *run, const engine_signal_args *args) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_SIGNALED, workflow_execution_signaled_event_attributes,
        WorkflowExecutionSignaledEventAttributes);
  attrs->signal_name = args->name;
  attrs->input = args->input;
  attrs->identity = args->identity;
  attrs->header = (pb_Header *)args->header;
  attrs->request_id = args->request_id;
  attrs->external_workflow_execution = (pb_WorkflowExecution *)args->sender;
  ev->links.v = (pb_Link **)(uintptr_t)args->links;
  ev->links.n = args->n_links;
  run->state.signal_count++;
  return ev;
}

void signal_append(engine_run *run, const pb_SignalWithStartWorkflowExecutionRequest *r) {
  engine_signal_args args = {.name = r->signal_name,
                             .input = r->signal_input,
                             .identity = r->identity,
                             .request_id = r->request_id,
                             .header = r->header,
                             .links = (const pb_Link *const *)r->links.v,
                             .n_links = r->links.n};
  remember_request(run, r->request_id, false);
  pb_HistoryEvent *ev = signaled_event(run, &args);
  tx_append(run, ev);
  attach_note_written(run, ev);
}

err *engine_signal(engine_run *run, engine_step *st, const engine_signal_args *args) {
  if (is_known(run, args->request_id)) return NULL;
  if (!run_is_open(run)) return run_closed_error(st->arena);
  if (run->state.close_attempted && run->state.wft_started_id) return run_closing_error(st->arena);
  if (run->state.signal_count >= st->host->limits->signals) {
    return ERR(st->arena, INVALID_ARGUMENT, "exceeded workflow execution limit for signal events");
  }
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  remember_request(run, args->request_id, args->sender != NULL);
  tx_buffer(run, signaled_event(run, args));
  tx_settle_buffer(run);
  wft_schedule(run, args->despite_backoff);
  tx_finish(run);
  run_check_limits(run, st);
  return NULL;
}

err *engine_request_cancel(engine_run *run, engine_step *st, const engine_cancel_args *args) {
  /* Cancelling is idempotent, and what has ended needs no cancelling. */
  if (!run_is_open(run) || run->state.cancel_requested) return NULL;
  if (args->sender && is_known(run, args->request_id)) return NULL;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        workflow_execution_cancel_requested_event_attributes,
        WorkflowExecutionCancelRequestedEventAttributes);
  attrs->cause = args->cause;
  attrs->identity = args->identity;
  attrs->external_workflow_execution = (pb_WorkflowExecution *)args->sender;
  attrs->external_initiated_event_id = args->sender_initiated_id;
  ev->links.v = (pb_Link **)(uintptr_t)args->links;
  ev->links.n = args->n_links;
  if (args->sender) remember_request(run, args->request_id, true);
  run->state.cancel_requested = true;
  run->state.cancel_request_id = args->request_id;
  tx_buffer(run, ev);
  tx_settle_buffer(run);
  wft_schedule(run, true);
  tx_finish(run);
  return NULL;
}

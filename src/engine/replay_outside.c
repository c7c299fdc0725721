/* replay_outside.c - children, and signals and cancel requests to other runs, from their events.
 * What is pending has been told: outside_restart tells it again. */
#include "engine/outside.h"
#include "engine/replay_int.h"

typedef pb_store_ChildItem child;

static void child_initiated(replayer *r, pb_HistoryEvent *ev) {
  child *c = item_new(r->run, ev->event_id, PB_ITEM_KIND_CHILD, SPAN_NONE);
  c->initiated = ev->start_child_workflow_execution_initiated_event_attributes;
  c->state = PB_CHILD_STATE_STARTING;
  c->user_metadata = ev->user_metadata;
}

static void child_started(replayer *r, pb_HistoryEvent *ev) {
  const pb_ChildWorkflowExecutionStartedEventAttributes *in =
      ev->child_workflow_execution_started_event_attributes;
  engine_item *it = replay_pending(r, in->initiated_event_id, PB_ITEM_KIND_CHILD);
  if (!it || !in->workflow_execution) {
    r->unfit = true;
    return;
  }
  child *c = item_edit(r->run, it);
  c->state = PB_CHILD_STATE_STARTED;
  c->run_id = in->workflow_execution->run_id;
  child_forget_start(r->run, it);
  child_note_written(r->run, ev);
}

#define OVER(name, field, kind)                            \
  static void name(replayer *r, pb_HistoryEvent *ev) {     \
    replay_over(r, ev->field->initiated_event_id, (kind)); \
  }
OVER(child_not_started, start_child_workflow_execution_failed_event_attributes, PB_ITEM_KIND_CHILD)
OVER(child_completed, child_workflow_execution_completed_event_attributes, PB_ITEM_KIND_CHILD)
OVER(child_failed, child_workflow_execution_failed_event_attributes, PB_ITEM_KIND_CHILD)
OVER(child_canceled, child_workflow_execution_canceled_event_attributes, PB_ITEM_KIND_CHILD)
OVER(child_timed_out, child_workflow_execution_timed_out_event_attributes, PB_ITEM_KIND_CHILD)
OVER(child_terminated, child_workflow_execution_terminated_event_attributes, PB_ITEM_KIND_CHILD)
OVER(signal_sent, external_workflow_execution_signaled_event_attributes,
     PB_ITEM_KIND_EXTERNAL_SIGNAL)
OVER(signal_not_sent, signal_external_workflow_execution_failed_event_attributes,
     PB_ITEM_KIND_EXTERNAL_SIGNAL)
OVER(cancel_sent, external_workflow_execution_cancel_requested_event_attributes,
     PB_ITEM_KIND_EXTERNAL_CANCEL)
OVER(cancel_not_sent, request_cancel_external_workflow_execution_failed_event_attributes,
     PB_ITEM_KIND_EXTERNAL_CANCEL)
#undef OVER

static void signal_initiated(replayer *r, pb_HistoryEvent *ev) {
  pb_store_ExternalSignalItem *s =
      item_new(r->run, ev->event_id, PB_ITEM_KIND_EXTERNAL_SIGNAL, SPAN_NONE);
  s->initiated = ev->signal_external_workflow_execution_initiated_event_attributes;
}

static void cancel_initiated(replayer *r, pb_HistoryEvent *ev) {
  pb_store_ExternalCancelItem *c =
      item_new(r->run, ev->event_id, PB_ITEM_KIND_EXTERNAL_CANCEL, SPAN_NONE);
  c->initiated = ev->request_cancel_external_workflow_execution_initiated_event_attributes;
}

const replay_rule replay_outside_rules[] = {
    REPLAY_RULE(START_CHILD_WORKFLOW_EXECUTION_INITIATED, child_initiated),
    REPLAY_RULE(START_CHILD_WORKFLOW_EXECUTION_FAILED, child_not_started),
    REPLAY_RULE(CHILD_WORKFLOW_EXECUTION_STARTED, child_started),
    REPLAY_RULE(CHILD_WORKFLOW_EXECUTION_COMPLETED, child_completed),
    REPLAY_RULE(CHILD_WORKFLOW_EXECUTION_FAILED, child_failed),
    REPLAY_RULE(CHILD_WORKFLOW_EXECUTION_CANCELED, child_canceled),
    REPLAY_RULE(CHILD_WORKFLOW_EXECUTION_TIMED_OUT, child_timed_out),
    REPLAY_RULE(CHILD_WORKFLOW_EXECUTION_TERMINATED, child_terminated),
    REPLAY_RULE(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED, signal_initiated),
    REPLAY_RULE(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED, signal_not_sent),
    REPLAY_RULE(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED, signal_sent),
    REPLAY_RULE(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED, cancel_initiated),
    REPLAY_RULE(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED, cancel_not_sent),
    REPLAY_RULE(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED, cancel_sent),
    {0},
};

static void restart(engine_run *run, engine_item *it) {
  const engine_host *h = run->tx.st->host;
  void *msg = item_edit(run, it);
  switch (it->kind) {
    case PB_ITEM_KIND_CHILD:
      if (((child *)msg)->state != PB_CHILD_STATE_STARTING) return;
      h->promise_run(h->ctx, run->tx.arena, &((child *)msg)->run_id);
      break;
    case PB_ITEM_KIND_EXTERNAL_SIGNAL:
      ((pb_store_ExternalSignalItem *)msg)->request_id = outside_request_id(&run->tx);
      break;
    default:
      ((pb_store_ExternalCancelItem *)msg)->request_id = outside_request_id(&run->tx);
  }
  outside_tell(run, it, true);
}

void outside_restart(engine_run *run) {
  static const int32_t kinds[] = {PB_ITEM_KIND_CHILD, PB_ITEM_KIND_EXTERNAL_SIGNAL,
                                  PB_ITEM_KIND_EXTERNAL_CANCEL};
  for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
    size_t n;
    engine_item **items = items_sorted(run, kinds[k], run->tx.arena, &n);
    for (size_t i = 0; i < n; i++) restart(run, items[i]);
  }
}

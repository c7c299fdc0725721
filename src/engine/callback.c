/* callback.c - completion callbacks: whom the end of a run's chain is told.
 *
 *   STANDBY --the run ends--> tried once --> FAILED
 *      '--the chain goes on (continue-as-new, retry) or the run is reset--> its successor has them
 *
 * Each is an item. Only the server's own address may be given (rpc/handlers/check_callback.c), and
 * what it accepts is a token of a Nexus operation that waits for this run. There are no Nexus
 * operations here yet, so no token is valid, and the one attempt fails as the original's does that
 * meets such a token.
 */
#include "engine/engine_int.h"

err *callbacks_fit(const engine_run *run, const engine_limits *l, size_t n_more, arena *a) {
  if (run->callbacks + (int64_t)n_more <= l->callbacks) return NULL;
  return ERR(a, FAILED_PRECONDITION,
             "cannot attach more than %lld callbacks to a workflow (%lld callbacks already "
             "attached)",
             (long long)l->callbacks, (long long)run->callbacks);
}

void callbacks_add(engine_run *run, const pb_list_Callback *callbacks, int64_t registered_ns) {
  for (size_t i = 0; i < callbacks->n; i++) {
    pb_store_CallbackItem *it =
        item_new(run, ITEM_FIRST_CALLBACK + run->callbacks, PB_ITEM_KIND_CALLBACK, SPAN_NONE);
    it->callback = callbacks->v[i];
    it->registration_time = registered_ns;
  }
}

static engine_item **all(const engine_run *run, arena *a, size_t *ret_n) {
  *ret_n = 0;
  return run->callbacks ? items_sorted(run, PB_ITEM_KIND_CALLBACK, a, ret_n) : NULL;
}

pb_list_Callback callbacks_standing_by(const engine_run *run, arena *a) {
  size_t n;
  engine_item **items = all(run, a, &n);
  pb_list_Callback found = {0};
  if (n) found.v = arena_array(a, pb_Callback *, n);
  for (size_t i = 0; i < n; i++) {
    const pb_store_CallbackItem *it = item_msg(items[i]);
    if (!it->attempts) found.v[found.n++] = it->callback;
  }
  return found;
}

/* A cron schedule goes on too, but each of its runs ends a chain. */
static bool chain_goes_on(const pb_HistoryEvent *close) {
  switch (close->event_type) {
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
      return true;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
      return close->workflow_execution_failed_event_attributes->retry_state ==
             PB_RETRY_STATE_IN_PROGRESS;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
      return close->workflow_execution_timed_out_event_attributes->retry_state ==
             PB_RETRY_STATE_IN_PROGRESS;
    default:
      return false;
  }
}

void callbacks_close(engine_run *run, const pb_HistoryEvent *close) {
  size_t n;
  arena *a = run->tx.arena;
  if (run->tx.by_reset || chain_goes_on(close)) return;
  engine_item **items = all(run, a, &n);
  for (size_t i = 0; i < n; i++) {
    pb_store_CallbackItem *it = item_edit(run, items[i]);
    it->attempts = 1;
    it->last_attempt_time = run->tx.now_ns;
    it->last_failure = failure_application(
        a, SPAN("handler error (BAD_REQUEST): invalid callback token"), SPAN_NONE);
    it->last_failure->source = SPAN_NONE;
  }
}

static pb_workflow_CallbackInfo *describe(const pb_store_CallbackItem *it, arena *a) {
  pb_workflow_CallbackInfo *i = pb_new(a, workflow_CallbackInfo);
  i->callback = it->callback;
  i->trigger = pb_new(a, workflow_CallbackInfo_Trigger);
  i->trigger->which_variant = PB_workflow_CallbackInfo_Trigger_workflow_closed_FIELD;
  i->trigger->workflow_closed = pb_new(a, workflow_CallbackInfo_WorkflowClosed);
  i->registration_time = pb_time_new(a, it->registration_time);
  i->state = it->attempts ? PB_CALLBACK_STATE_FAILED : PB_CALLBACK_STATE_STANDBY;
  i->attempt = it->attempts;
  i->last_attempt_complete_time = pb_time_or_null(a, it->last_attempt_time);
  i->last_attempt_failure = it->last_failure;
  return i;
}

void callbacks_describe(const engine_run *run, pb_DescribeWorkflowExecutionResponse *r, arena *a) {
  size_t n;
  engine_item **items = all(run, a, &n);
  r->callbacks.v = arena_array(a, pb_workflow_CallbackInfo *, n);
  for (size_t i = 0; i < n; i++) {
    r->callbacks.v[r->callbacks.n++] = describe(item_msg(items[i]), a);
  }
}

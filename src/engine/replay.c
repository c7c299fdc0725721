#include "engine/activity.h"
#include "engine/replay_int.h"

/* --- the run --- */

static void started(replayer *r, pb_HistoryEvent *ev) {
  engine_run *run = r->run;
  const replay_args *args = r->args;
  pb_WorkflowExecutionStartedEventAttributes attrs =
      *ev->workflow_execution_started_event_attributes;
  first_event f = {.event = ev,
                   .attrs = &attrs,
                   .request_id = args->request_id,
                   .run_timeout_ns = pb_duration_ns(attrs.workflow_run_timeout),
                   .task_timeout_ns = pb_duration_ns(attrs.workflow_task_timeout),
                   .execution_deadline_ns = pb_time_ns(attrs.workflow_execution_expiration_time),
                   .backoff_ns = pb_duration_ns(attrs.first_workflow_task_backoff),
                   .first_start_ns = args->first_run_start_ns,
                   .schedule = args->schedule};
  if (args->restart_ns) {
    int64_t timeout = pb_duration_ns(attrs.workflow_execution_timeout);
    run->tx.now_ns = args->restart_ns;
    f.backoff_ns = 0;
    f.execution_deadline_ns = timeout ? args->restart_ns + timeout : 0;
    attrs.workflow_execution_expiration_time =
        pb_time_or_null(run->tx.arena, f.execution_deadline_ns);
  }
  run_begin(run, args->ns_name, &f, attrs.workflow_id, args->run_id);
  run->tx.now_ns = pb_time_ns(ev->event_time);
  if (f.backoff_ns > 0) run->state.first_backoff_until = run->info->execution_time;
}

static void options_updated(replayer *r, pb_HistoryEvent *ev) { attach_again(r->run, ev); }

static void signaled(replayer *r, pb_HistoryEvent *ev) {
  r->run->state.signal_count++;
  attach_note_written(r->run, ev);
}

static void cancel_requested(replayer *r, pb_HistoryEvent *ev) {
  r->run->state.cancel_requested = true;
}

static void memo_changed(replayer *r, pb_HistoryEvent *ev) {
  const pb_Memo *memo = ev->workflow_properties_modified_event_attributes->upserted_memo;
  if (memo) merge_memo(r->run, memo);
}

static void attributes_changed(replayer *r, pb_HistoryEvent *ev) {
  const pb_SearchAttributes *changes =
      ev->upsert_workflow_search_attributes_event_attributes->search_attributes;
  if (changes) merge_search_attributes(r->run, changes);
}

static void closed(engine_run *run, int32_t status, span new_run_id) {
  size_t n;
  engine_item **timers = items_sorted(run, PB_ITEM_KIND_TIMER, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) item_delete(run, timers[i]);
  run->state.status = status;
  run->state.close_time = run->tx.now_ns;
  run->state.new_run_id = new_run_id;
  run->state.first_backoff_until = 0;
}

static void completed(replayer *r, pb_HistoryEvent *ev) {
  closed(r->run, PB_WORKFLOW_EXECUTION_STATUS_COMPLETED,
         ev->workflow_execution_completed_event_attributes->new_execution_run_id);
}

static void failed(replayer *r, pb_HistoryEvent *ev) {
  closed(r->run, PB_WORKFLOW_EXECUTION_STATUS_FAILED,
         ev->workflow_execution_failed_event_attributes->new_execution_run_id);
}

static void timed_out(replayer *r, pb_HistoryEvent *ev) {
  closed(r->run, PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
         ev->workflow_execution_timed_out_event_attributes->new_execution_run_id);
}

static void canceled(replayer *r, pb_HistoryEvent *ev) {
  closed(r->run, PB_WORKFLOW_EXECUTION_STATUS_CANCELED, SPAN_NONE);
}

static void terminated(replayer *r, pb_HistoryEvent *ev) {
  closed(r->run, PB_WORKFLOW_EXECUTION_STATUS_TERMINATED, SPAN_NONE);
}

static void continued(replayer *r, pb_HistoryEvent *ev) {
  closed(r->run, PB_WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
         ev->workflow_execution_continued_as_new_event_attributes->new_execution_run_id);
}

/* --- the workflow task --- */

static void task_scheduled(replayer *r, pb_HistoryEvent *ev) {
  const pb_WorkflowTaskScheduledEventAttributes *in = ev->workflow_task_scheduled_event_attributes;
  pb_store_RunState *s = &r->run->state;
  s->first_backoff_until = 0;
  s->wft_scheduled_id = ev->event_id;
  s->wft_attempt = in->attempt;
  s->wft_timeout = pb_duration_ns(in->start_to_close_timeout);
  s->wft_scheduled_time = r->run->tx.now_ns;
  if (!s->wft_original_time) s->wft_original_time = r->run->tx.now_ns;
  s->wft_written = true;
}

static void task_started(replayer *r, pb_HistoryEvent *ev) {
  const pb_WorkflowTaskStartedEventAttributes *in = ev->workflow_task_started_event_attributes;
  pb_store_RunState *s = &r->run->state;
  r->unfit = s->wft_scheduled_id != in->scheduled_event_id;
  s->wft_started_id = ev->event_id;
  s->wft_started_time = pb_time_ns(ev->event_time);
  s->wft_identity = in->identity;
  s->wft_request_id = in->request_id;
  s->wft_history_bytes = in->history_size_bytes;
  s->wft_suggest_continue_as_new = in->suggest_continue_as_new;
  s->wft_suggest_reasons.v = in->suggest_continue_as_new_reasons.v;
  s->wft_suggest_reasons.n = in->suggest_continue_as_new_reasons.n;
  if (in->worker_version) s->worker_version = in->worker_version;
}

static void task_completed(replayer *r, pb_HistoryEvent *ev) {
  r->unfit = r->run->state.wft_scheduled_id !=
             ev->workflow_task_completed_event_attributes->scheduled_event_id;
  wft_note_completed(r->run, ev);
}

/* Which attempt follows is told by the next event that schedules one. */
static void task_over(replayer *r, int64_t scheduled_id) {
  r->unfit = r->run->state.wft_scheduled_id != scheduled_id;
  wft_clear(r->run);
  r->run->state.wft_failures++;
}

static void task_failed(replayer *r, pb_HistoryEvent *ev) {
  task_over(r, ev->workflow_task_failed_event_attributes->scheduled_event_id);
}

static void task_timed_out(replayer *r, pb_HistoryEvent *ev) {
  task_over(r, ev->workflow_task_timed_out_event_attributes->scheduled_event_id);
}

/* --- activities and timers --- */

engine_item *replay_pending(replayer *r, int64_t id, int32_t kind) {
  engine_item *it = item_by_id(r->run, id, kind);
  if (!it) r->unfit = true;
  return it;
}

void replay_over(replayer *r, int64_t id, int32_t kind) {
  engine_item *it = replay_pending(r, id, kind);
  if (it) item_delete(r->run, it);
}

static void activity_scheduled(replayer *r, pb_HistoryEvent *ev) { (void)activity_add(r->run, ev); }

/* Comes together with the end: no attempt is running at the end of a step. */
static void activity_started(replayer *r, pb_HistoryEvent *ev) {
  (void)replay_pending(r, ev->activity_task_started_event_attributes->scheduled_event_id,
                       PB_ITEM_KIND_ACTIVITY);
}

static void activity_cancel_requested(replayer *r, pb_HistoryEvent *ev) {
  int64_t id = ev->activity_task_cancel_requested_event_attributes->scheduled_event_id;
  engine_item *it = item_by_id(r->run, id, PB_ITEM_KIND_ACTIVITY);
  /* Its end may be written already, or wait to be. */
  if (it) ((activity *)item_edit(r->run, it))->cancel_requested_id = ev->event_id;
}

#define ACTIVITY_OVER(how)                                                         \
  static void activity_##how(replayer *r, pb_HistoryEvent *ev) {                   \
    replay_over(r, ev->activity_task_##how##_event_attributes->scheduled_event_id, \
                PB_ITEM_KIND_ACTIVITY);                                            \
  }
ACTIVITY_OVER(completed)
ACTIVITY_OVER(failed)
ACTIVITY_OVER(timed_out)
ACTIVITY_OVER(canceled)
#undef ACTIVITY_OVER

static void timer_started(replayer *r, pb_HistoryEvent *ev) { timer_add(r->run, ev); }

static void timer_fired(replayer *r, pb_HistoryEvent *ev) {
  replay_over(r, ev->timer_fired_event_attributes->started_event_id, PB_ITEM_KIND_TIMER);
}

static void timer_canceled(replayer *r, pb_HistoryEvent *ev) {
  replay_over(r, ev->timer_canceled_event_attributes->started_event_id, PB_ITEM_KIND_TIMER);
}

/* --- updates --- */

static void update_admitted(replayer *r, pb_HistoryEvent *ev) {
  pb_update_Request *q = ev->workflow_execution_update_admitted_event_attributes->request;
  r->unfit = !q || !q->meta;
  if (r->unfit) return;
  span id = q->meta->update_id;
  pb_store_UpdateItem *it = item_new(r->run, ev->event_id, PB_ITEM_KIND_UPDATE, id);
  it->update_id = id;
  it->request_id = q->request_id;
  it->request = q;
}

static void update_accepted(replayer *r, pb_HistoryEvent *ev) {
  const pb_WorkflowExecutionUpdateAcceptedEventAttributes *in =
      ev->workflow_execution_update_accepted_event_attributes;
  span id = in->protocol_instance_id;
  engine_item *admitted = item_by_name(r->run, PB_ITEM_KIND_UPDATE, id);
  pb_store_UpdateItem *it = admitted ? item_edit(r->run, admitted)
                                     : item_new(r->run, ev->event_id, PB_ITEM_KIND_UPDATE, id);
  it->update_id = id;
  if (in->accepted_request) it->request_id = in->accepted_request->request_id;
  it->accepted_id = ev->event_id;
  it->request = NULL;
  r->run->state.updates_open++;
}

static void update_completed(replayer *r, pb_HistoryEvent *ev) {
  const pb_Meta *meta = ev->workflow_execution_update_completed_event_attributes->meta;
  engine_item *it = meta ? item_by_name(r->run, PB_ITEM_KIND_UPDATE, meta->update_id) : NULL;
  r->unfit = !it;
  if (!it) return;
  ((pb_store_UpdateItem *)item_edit(r->run, it))->completed_id = ev->event_id;
  r->run->state.updates_open--;
}

/* --- all of them --- */

static void nothing(replayer *r, pb_HistoryEvent *ev) {}

static const replay_rule rules[] = {
    REPLAY_RULE(WORKFLOW_EXECUTION_STARTED, started),
    REPLAY_RULE(WORKFLOW_EXECUTION_OPTIONS_UPDATED, options_updated),
    REPLAY_RULE(WORKFLOW_EXECUTION_SIGNALED, signaled),
    REPLAY_RULE(WORKFLOW_EXECUTION_CANCEL_REQUESTED, cancel_requested),
    REPLAY_RULE(WORKFLOW_PROPERTIES_MODIFIED, memo_changed),
    REPLAY_RULE(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, attributes_changed),
    REPLAY_RULE(WORKFLOW_EXECUTION_COMPLETED, completed),
    REPLAY_RULE(WORKFLOW_EXECUTION_FAILED, failed),
    REPLAY_RULE(WORKFLOW_EXECUTION_TIMED_OUT, timed_out),
    REPLAY_RULE(WORKFLOW_EXECUTION_CANCELED, canceled),
    REPLAY_RULE(WORKFLOW_EXECUTION_TERMINATED, terminated),
    REPLAY_RULE(WORKFLOW_EXECUTION_CONTINUED_AS_NEW, continued),
    REPLAY_RULE(WORKFLOW_TASK_SCHEDULED, task_scheduled),
    REPLAY_RULE(WORKFLOW_TASK_STARTED, task_started),
    REPLAY_RULE(WORKFLOW_TASK_COMPLETED, task_completed),
    REPLAY_RULE(WORKFLOW_TASK_FAILED, task_failed),
    REPLAY_RULE(WORKFLOW_TASK_TIMED_OUT, task_timed_out),
    REPLAY_RULE(ACTIVITY_TASK_SCHEDULED, activity_scheduled),
    REPLAY_RULE(ACTIVITY_TASK_STARTED, activity_started),
    REPLAY_RULE(ACTIVITY_TASK_CANCEL_REQUESTED, activity_cancel_requested),
    REPLAY_RULE(ACTIVITY_TASK_COMPLETED, activity_completed),
    REPLAY_RULE(ACTIVITY_TASK_FAILED, activity_failed),
    REPLAY_RULE(ACTIVITY_TASK_TIMED_OUT, activity_timed_out),
    REPLAY_RULE(ACTIVITY_TASK_CANCELED, activity_canceled),
    REPLAY_RULE(TIMER_STARTED, timer_started),
    REPLAY_RULE(TIMER_FIRED, timer_fired),
    REPLAY_RULE(TIMER_CANCELED, timer_canceled),
    REPLAY_RULE(WORKFLOW_EXECUTION_UPDATE_ADMITTED, update_admitted),
    REPLAY_RULE(WORKFLOW_EXECUTION_UPDATE_ACCEPTED, update_accepted),
    REPLAY_RULE(WORKFLOW_EXECUTION_UPDATE_COMPLETED, update_completed),
    REPLAY_RULE(MARKER_RECORDED, nothing),
    {0},
};

static const replay_rule *find(const replay_rule *r, int32_t type) {
  while (r->apply && r->type != type) r++;
  return r->apply ? r : NULL;
}

static const replay_rule *rule_for(int32_t type) {
  const replay_rule *r = find(rules, type);
  return r ? r : find(replay_outside_rules, type);
}

static err *apply(replayer *r, pb_HistoryEvent *ev) {
  engine_run *run = r->run;
  arena *a = run->tx.arena;
  const replay_rule *rule = rule_for(ev->event_type);
  if (!rule) {
    return ERR(a, FAILED_PRECONDITION, "event %lld has the type %d, which cannot be replayed",
               (long long)ev->event_id, ev->event_type);
  }
  /* An end that is dated back does not take the run back with it. */
  run->tx.now_ns = MAX(run->state.last_event_time, pb_time_ns(ev->event_time));
  if (ev->event_type == PB_EVENT_TYPE_ACTIVITY_TASK_STARTED ||
      ev->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_STARTED) {
    run->tx.now_ns = run->state.last_event_time;
  }
  bool begins = ev->event_id == 1;
  bool fits = ev->which_attributes && ev->event_id == run->state.next_event_id &&
              begins == (rule->apply == started) && run_is_open(run) != begins;
  if (fits) rule->apply(r, ev);
  if (!fits || r->unfit) {
    return ERR(a, DATA_LOSS, "event %lld (type %d) does not fit those before it",
               (long long)ev->event_id, ev->event_type);
  }
  run->state.next_event_id++;
  run->state.last_event_time = run->tx.now_ns;
  return NULL;
}

/* The points have been found now. */
static void date_reset_points(engine_run *run, int64_t now_ns) {
  for (size_t i = 0; i < run->state.reset_points.n; i++) {
    run->state.reset_points.v[i]->create_time = pb_time_new(run->tx.arena, now_ns);
  }
}

err *replay(engine_run *run, const replay_args *args, pb_HistoryEvent *const *events, size_t n) {
  replayer r = {.run = run, .args = args};
  int64_t now = run->tx.now_ns;
  err *e = NULL;
  for (size_t i = 0; i < n && !e; i++) e = apply(&r, events[i]);
  run->tx.now_ns = now;
  if (args->restart_ns) date_reset_points(run, args->restart_ns);
  return e;
}

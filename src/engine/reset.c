/* reset.c - a run that begins with a part of another one's past.
 *
 *   base   1 Started .. | task at the point |  what came later
 *   new    the same events, a failed task     messages that came later, again   a new task
 *
 * The state after the shared part is replayed from it; what was pending then starts anew.
 */
#include "engine/activity.h"
#include "engine/outside.h"
#include "engine/replay.h"
#include "engine/update.h"

/* Events of one step stay together: state is defined only between steps. Ours need not lie in the
 * database as they were written, so this is told from the events themselves: those of a step have
 * one time, and ends of activities bring their start with them. */
static bool ends_a_step(const pb_HistoryEvent *ev, const pb_HistoryEvent *next) {
  if (!next || ev->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_STARTED) return true;
  if (ev->event_type == PB_EVENT_TYPE_ACTIVITY_TASK_STARTED) return false;
  if (next->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_STARTED) {
    const pb_WorkflowTaskScheduledEventAttributes *s =
        ev->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
            ? ev->workflow_task_scheduled_event_attributes
            : NULL;
    bool at_once = engine_start_came_at_once(next->workflow_task_started_event_attributes);
    return !s || (s->attempt <= 1 && !at_once);
  }
  return pb_time_ns(ev->event_time) != pb_time_ns(next->event_time);
}

/* The next attempt of a task that failed or timed out is pending, but in no event. */
static bool tries_again(const pb_HistoryEvent *last) {
  return last->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_FAILED ||
         last->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT;
}

static err *check_point(const engine_run *run, const engine_reset_args *args, arena *a) {
  const pb_HistoryEvent *last = args->events[args->n_events - 1];
  const pb_HistoryEvent *next = args->n_later ? args->later[0] : NULL;
  bool pending = run->state.wft_scheduled_id != 0;
  /* A pending task is at the end of its step, whatever the clock says. */
  bool whole = pending && last->event_type != PB_EVENT_TYPE_ACTIVITY_TASK_STARTED;
  if (last->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED) whole = false;
  if (!whole && !ends_a_step(last, next)) {
    return ERR(a, INVALID_ARGUMENT,
               "StateRebuilder unable to Rebuild mutable state to event ID: %lld, version: 0, this "
               "event must be at the boundary",
               (long long)last->event_id);
  }
  if (pending || tries_again(last)) return NULL;
  return ERR(a, INVALID_ARGUMENT,
             "Can only reset workflow to event ID in range [WorkflowTaskScheduled +1, "
             "WorkflowTaskStarted + 1]: %lld",
             (long long)last->event_id + 1);
}

/* A row per workflow task, as they were written. */
static void write_shared(engine_run *run, const engine_reset_args *args) {
  engine_step *st = run->tx.st;
  for (size_t from = 0, to; from < args->n_events; from = to) {
    for (to = from + 1; to < args->n_events; to++) {
      if (args->events[to]->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_STARTED) break;
    }
    pb_History h = {.events.v = (pb_HistoryEvent **)(uintptr_t)(args->events + from)};
    h.events.n = to - from;
    bytes *blob = bytes_copy(PB_ENCODE(History, &h, st->arena));
    *step_row(st) = (store_row){
        .kind = ROW_HISTORY_ADD, .run = run->run, .id = args->events[from]->event_id, .blob = blob};
    run->state.history_bytes += (int64_t)blob->n;
  }
  run->tx.first_event_id = run->state.next_event_id;
}

/* The task at the point fails, started or not. */
static void fail_task(engine_run *run, const engine_reset_args *args) {
  tx *t = &run->tx;
  pb_store_RunState *s = &run->state;
  if (!s->wft_scheduled_id) {
    s->wft_attempt = 1;
    wft_schedule(run, true);
  }
  if (!s->wft_started_id) {
    const pb_WorkerVersionStamp *known = s->worker_version;
    engine_poller p = {.identity = SPAN("history-service"), .request_id = SPAN("emptyUuid")};
    wft_start_now(run, &p, t->now_ns);
    wft_settle(run);
    s->worker_version = (pb_WorkerVersionStamp *)known;
  }
  EVENT(t, ev, attrs, WORKFLOW_TASK_FAILED, workflow_task_failed_event_attributes,
        WorkflowTaskFailedEventAttributes);
  attrs->scheduled_event_id = s->wft_scheduled_id;
  attrs->started_event_id = s->wft_started_id;
  attrs->cause = PB_WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;
  attrs->failure = pb_new(t->arena, Failure);
  attrs->failure->message = args->reason;
  attrs->failure->which_failure_info = PB_Failure_reset_workflow_failure_info_FIELD;
  attrs->failure->reset_workflow_failure_info = pb_new(t->arena, ResetWorkflowFailureInfo);
  attrs->identity = SPAN("history-service");
  attrs->base_run_id = args->base->info->run_id;
  attrs->new_run_id = args->run_id;
  tx_append(run, ev);
  wft_clear(run);
  s->wft_attempt = 1;
  s->wft_failures = 0;
}

/* --- what came later --- */

/* The same message, now. */
static pb_HistoryEvent *again(engine_run *run, const pb_HistoryEvent *old) {
  pb_HistoryEvent *ev = pb_new(run->tx.arena, HistoryEvent);
  *ev = *old;
  ev->event_time = pb_time_new(run->tx.arena, run->tx.now_ns);
  tx_append(run, ev);
  return ev;
}

/* One that the shared part has is there already. */
static void update_again(engine_run *run, const engine_reset_args *args,
                         const pb_update_Request *q) {
  if (!args->again.updates || !q || !q->meta) return;
  if (item_by_name(run, PB_ITEM_KIND_UPDATE, q->meta->update_id)) return;
  update_admit_again(run, q);
}

/* Callbacks that the shared part has are there already. */
static void options_again(engine_run *run, const pb_HistoryEvent *old) {
  const pb_WorkflowExecutionOptionsUpdatedEventAttributes *o =
      old->workflow_execution_options_updated_event_attributes;
  if (o->attached_completion_callbacks.n && engine_is_attached(run, o->attached_request_id)) return;
  attach_again(run, again(run, old));
}

static void apply_again(engine_run *run, const engine_reset_args *args,
                        const pb_HistoryEvent *old) {
  switch (old->event_type) {
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED:
      update_again(run, args, old->workflow_execution_update_admitted_event_attributes->request);
      return;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
      update_again(run, args,
                   old->workflow_execution_update_accepted_event_attributes->accepted_request);
      return;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
      if (!args->again.signals) return;
      attach_note_written(run, again(run, old));
      run->state.signal_count++;
      return;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED:
      options_again(run, old);
      return;
    default:
      return;
  }
}

/* What runs that followed the base heard of children is not of children of before the point. */
static void apply_later(engine_run *run, const engine_reset_args *args) {
  bool of_base = true;
  for (size_t i = 0; i < args->n_later; i++) {
    const pb_HistoryEvent *old = args->later[i];
    if (old->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED) of_base = false;
    if (of_base) child_hear_again(run, old);
    apply_again(run, args, old);
  }
}

static void apply_buffered(engine_run *run, const engine_reset_args *args) {
  const engine_run *from = args->last;
  if (!from) return;
  LIST_FOR_EACH (n, &from->buffered) {
    const pb_store_BufferedItem *b = item_msg(CONTAINER_OF(n, engine_item, buffered));
    if (from == args->base) child_hear_again(run, b->event);
    apply_again(run, args, b->event);
  }
}

static void apply_after(engine_run *run, const pb_list_PostResetOperation *after) {
  for (size_t i = 0; after && i < after->n; i++) {
    const pb_PostResetOperation_UpdateWorkflowOptions *o = after->v[i]->update_workflow_options;
    options_set(run, o->workflow_execution_options, o->update_mask);
  }
}

static void restart_activities(engine_run *run) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) {
    ((activity *)item_edit(run, items[i]))->scheduled_time = run->tx.now_ns;
    activity_offer(run, items[i]);
  }
}

err *engine_reset(engine_step *st, const engine_reset_args *args, engine_run **ret_run) {
  ASSERT(args->n_events > 0);
  const engine_run *base = args->base;
  engine_run *run = run_new(args->run, base->ns);
  run->expected_run = args->expected_run;
  run->state.next_event_id = 1;
  st->lazy = false;
  tx_begin(run, st);
  replay_args from = {.ns_name = base->info->namespace_name,
                      .run_id = args->run_id,
                      .request_id = base->info->request_id,
                      .schedule = base->info->schedule,
                      .first_run_start_ns = base->info->first_run_start_time,
                      .restart_ns = run->tx.now_ns};
  err *e = replay(run, &from, args->events, args->n_events);
  if (!e) e = check_point(run, args, st->arena);
  if (e) {
    tx_abandon(run);
    engine_free(run);
    return e;
  }
  updates_load(run);
  run->state.request_event_id = 0; /* shared signals attach nothing to the new run */
  run->state.last_reset_time = run->tx.now_ns;
  write_shared(run, args);
  fail_task(run, args);
  apply_later(run, args);
  apply_buffered(run, args);
  apply_after(run, args->after);
  wft_schedule(run, true);
  restart_activities(run);
  outside_restart(run);
  tx_finish(run);
  *ret_run = run;
  return NULL;
}

void engine_note_reset(engine_run *run, engine_step *st, span new_run_id) {
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  run->state.reset_run_id = new_run_id;
  tx_finish(run);
}

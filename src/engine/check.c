/* check.c - the invariants of a run, in words: used after steps by tests and the simulator, and
 * after loads by the shard. */
#include "engine/activity.h"
#include "engine/update.h"

static const char *check_workflow_task(const engine_run *run, arena *a) {
  const pb_store_RunState *s = &run->state;
  if (!run_is_open(run)) {
    return run->wft_queued.queue || s->wft_started_id ? "a closed run has a workflow task" : NULL;
  }
  if (s->wft_started_id && !s->wft_scheduled_id) return "a task is started but not scheduled";
  if (s->wft_started_id && s->wft_started_id <= s->wft_scheduled_id) {
    return "a workflow task started before it was scheduled";
  }
  if (s->wft_scheduled_id && !s->wft_started_id && !run->wft_queued.queue) {
    return "a workflow task waits in no queue";
  }
  if (s->wft_started_id && s->wft_timeout <= 0) return "a started workflow task has no timeout";
  if (s->wft_written && s->wft_scheduled_id >= s->next_event_id) {
    return "the workflow task's event is not in history";
  }
  if (!s->wft_written && s->wft_scheduled_id && s->wft_attempt < 2 && !wft_is_speculative(run)) {
    return "a first attempt is not in history";
  }
  if (run->unwritten && !s->wft_scheduled_id)
    return "memory alone knows of a task that is not there";
  if (wft_is_speculative(run) && (s->wft_written || s->wft_scheduled_id != s->next_event_id)) {
    return "a speculative task is in history";
  }
  (void)a;
  return NULL;
}

static const char *check_activity(const engine_run *run, const engine_item *it, arena *a) {
  const activity *act = item_msg(it);
  if (!act->scheduled) return arena_printf(a, "activity %lld has no schedule", (long long)it->id);
  if (it->id >= run->state.next_event_id) return "an activity is newer than history";
  if (act->attempt < 1) return "an activity has no attempt";
  if (!run_is_open(run)) return it->due_ns || it->queued.queue ? "a closed run acts" : NULL;
  if (act->pause) return it->due_ns || it->queued.queue ? "a paused activity acts" : NULL;
  if (act->state == PB_ACTIVITY_STATE_SCHEDULED && !it->queued.queue) {
    return "a scheduled activity waits in no queue";
  }
  if (act->state != PB_ACTIVITY_STATE_SCHEDULED && it->queued.queue) {
    return "an activity that is not scheduled waits in a queue";
  }
  if (act->state == PB_ACTIVITY_STATE_BACKOFF && !it->due_ns) return "a backoff never ends";
  if (act->adjusted) return NULL;
  int32_t most = act->scheduled->retry_policy ? act->scheduled->retry_policy->maximum_attempts : 0;
  return most > 0 && act->attempt > most ? "an activity has more attempts than allowed" : NULL;
}

/* What has something to tell is found by its due time; what has not is not. */
static const char *check_children(const engine_run *run, arena *a) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_CHILD, a, &n);
  if ((int64_t)n != run->outside.children) return "children are miscounted";
  for (size_t i = 0; i < n; i++) {
    const pb_store_ChildItem *c = item_msg(items[i]);
    bool tells = c->state == PB_CHILD_STATE_STARTING || c->state == PB_CHILD_STATE_CLOSING;
    bool of_open = c->state == PB_CHILD_STATE_STARTING || c->state == PB_CHILD_STATE_STARTED;
    if (items[i]->id >= run->state.next_event_id) return "a child is newer than history";
    if (tells != (items[i]->due_ns != 0)) return "a child is told nothing, or too much";
    if (of_open != run_is_open(run)) return "a child does not know whether its parent is open";
    if (of_open && !c->run_id.n) return "a child has no run id";
  }
  return NULL;
}

static const char *check_externals(const engine_run *run, arena *a) {
  const struct {
    int32_t kind;
    int64_t counted;
  } all[] = {{PB_ITEM_KIND_EXTERNAL_SIGNAL, run->outside.signals},
             {PB_ITEM_KIND_EXTERNAL_CANCEL, run->outside.cancels}};
  for (size_t k = 0; k < ARRAY_LEN(all); k++) {
    size_t n;
    engine_item **items = items_sorted(run, all[k].kind, a, &n);
    if ((int64_t)n != all[k].counted) return "what is sent to others is miscounted";
    if (n && !run_is_open(run)) return "a closed run sends to others";
    for (size_t i = 0; i < n; i++) {
      if (!items[i]->due_ns) return "what is sent to another run is never told";
    }
  }
  return NULL;
}

static const char *check_items(const engine_run *run, arena *a) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, a, &n);
  if ((int64_t)n != run->activities) return "activities are miscounted";
  for (size_t i = 0; i < n; i++) {
    const char *why = check_activity(run, items[i], a);
    if (why) return why;
  }
  items = items_sorted(run, PB_ITEM_KIND_TIMER, a, &n);
  if ((int64_t)n != run->timers) return "timers are miscounted";
  for (size_t i = 0; i < n; i++) {
    if (!items[i]->due_ns) return "a timer never fires";
  }
  (void)items_sorted(run, PB_ITEM_KIND_BUFFERED, a, &n);
  if ((int32_t)n != run->state.buffered_count) return "buffered events are miscounted";
  if (n && !run->state.wft_started_id) return "events are buffered although no task is in flight";
  return NULL;
}

static const char *check_updates(const engine_run *run, arena *a) {
  size_t n;
  int32_t open = 0;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_UPDATE, a, &n);
  if ((int64_t)n != run->updates_known) return "updates are miscounted";
  for (size_t i = 0; i < n; i++) {
    const pb_store_UpdateItem *it = item_msg(items[i]);
    if (it->completed_id && !it->accepted_id) return "an update completed before it was accepted";
    if (MAX(it->accepted_id, it->completed_id) >= run->state.next_event_id) {
      return "an update is newer than history";
    }
    if (!it->accepted_id && !it->request) return "an admitted update has no request";
    open += it->accepted_id && !it->completed_id;
  }
  if (open != run->state.updates_open) return "open updates are miscounted";
  bool delivers = run->state.wft_scheduled_id != 0;
  return run_is_open(run) && updates_wait(run) && !delivers ? "an update waits for no task" : NULL;
}

/* Whatever is pending will be woken by something. */
static const char *check_alive(const engine_run *run) {
  const pb_store_RunState *s = &run->state;
  if (!run_is_open(run) || s->wft_scheduled_id || s->completed_wfts > 0) return NULL;
  return s->first_backoff_until ? NULL : "a run without a completed task has none pending";
}

const char *engine_check(const engine_run *run, arena *a) {
  if (run->state.schedule) return NULL; /* whole since it was loaded or changed by its rules */
  const char *why = check_workflow_task(run, a);
  if (!why) why = check_items(run, a);
  if (!why && run->outside.n) why = check_children(run, a);
  if (!why && run->outside.n) why = check_externals(run, a);
  if (!why) why = check_updates(run, a);
  return why ? why : check_alive(run);
}

/* activity_control.c - what operators do to pending activities: pause, unpause, begin anew.
 *
 * None of it is an event. A paused activity stands still: it waits in no queue, and none of its
 * timeouts passes, while it runs as well. An attempt that runs hears of it by its heartbeat.
 */
#include "engine/activity.h"

static bool is_meant(activity_choice which, const activity *act) {
  const pb_ActivityTaskScheduledEventAttributes *s = act->scheduled;
  return which.all || span_eq(which.name, which.by_type ? s->activity_type->name : s->activity_id);
}

err *activities_chosen(engine_run *run, engine_step *st, activity_choice which,
                       engine_item ***ret_items, size_t *ret_n) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  size_t all, n = 0;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, st->arena, &all);
  for (size_t i = 0; i < all; i++) {
    if (is_meant(which, item_msg(items[i]))) items[n++] = items[i];
  }
  if (n == 0) {
    return engine_not_found(st->arena,
                            "Can't find pending activity with such ID. Invalid activityID or "
                            "activity already completed");
  }
  *ret_items = items;
  *ret_n = n;
  return NULL;
}

void activity_reschedule(engine_run *run, engine_item *it, int64_t at_ns) {
  activity *act = item_edit(run, it);
  int64_t now = run->tx.now_ns;
  act->last_failure = NULL;
  act->scheduled_time = at_ns;
  if (at_ns <= now) {
    activity_offer(run, it);
    return;
  }
  act->state = PB_ACTIVITY_STATE_BACKOFF;
  act->next_attempt_time = at_ns;
  act->retry_interval = at_ns - (act->last_completed_time ? act->last_completed_time : now);
  activity_update(run, it);
}

/* Between now and that much later. */
static int64_t jittered_ns(const engine_run *run, const pb_Duration *jitter) {
  const tx *t = &run->tx;
  int64_t most = pb_duration_ns(jitter);
  return t->now_ns + (most > 0 ? (int64_t)rng_below(t->st->random, (uint64_t)most) : 0);
}

static bool is_paused(const engine_item *it) {
  return ((const activity *)item_msg(it))->pause != NULL;
}

static size_t count_paused(engine_item *const *items, size_t n) {
  size_t paused = 0;
  for (size_t i = 0; i < n; i++) paused += is_paused(items[i]);
  return paused;
}

/* The types of activities that are paused, each once. */
static void note_paused_types(engine_run *run) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, run->tx.arena, &n);
  pb_list_span *types = &run->state.paused_activity_types;
  if (!types->n && !count_paused(items, n)) return;
  types->v = arena_array(run->tx.arena, span, n + 1);
  types->n = 0;
  for (size_t i = 0; i < n; i++) {
    const activity *act = item_msg(items[i]);
    bool known = !act->pause;
    for (size_t k = 0; k < types->n && !known; k++) {
      known = span_eq(types->v[k], act->scheduled->activity_type->name);
    }
    if (!known) types->v[types->n++] = act->scheduled->activity_type->name;
  }
}

void activity_adjusted(engine_run *run) {
  engine_step *st = run->tx.st;
  st->lazy = false;
  tx_finish(run);
  run_check_limits(run, st);
}

/* --- pause --- */

static void pause_one(engine_run *run, engine_item *it, const pb_PauseActivityRequest *r) {
  activity *act = item_edit(run, it);
  act->adjusted = true;
  act->pause = pb_new(run->tx.arena, store_ActivityPause);
  act->pause->time = run->tx.now_ns;
  act->pause->identity = r->identity;
  act->pause->reason = r->reason;
  act->pause->request_id = r->request_id;
  if (act->state == PB_ACTIVITY_STATE_BACKOFF) act->state = PB_ACTIVITY_STATE_SCHEDULED;
  activity_update(run, it);
}

/* One that is named must not be paused already, unless the request comes again. */
static err *check_not_paused(engine_step *st, const activity *act,
                             const pb_PauseActivityRequest *r) {
  bool again = act->pause && span_eq(act->pause->request_id, r->request_id);
  if (!act->pause || again || r->which_activity != PB_PauseActivityRequest_id_FIELD) return NULL;
  return ERR(st->arena, FAILED_PRECONDITION, "activity is already paused");
}

err *engine_activity_pause(engine_run *run, engine_step *st, const pb_PauseActivityRequest *r) {
  engine_item **items;
  size_t n;
  TRY(activities_chosen(run, st, ACTIVITY_CHOICE(r, PauseActivityRequest), &items, &n));
  for (size_t i = 0; i < n; i++) TRY(check_not_paused(st, item_msg(items[i]), r));
  if (count_paused(items, n) == n) return NULL;
  tx_begin(run, st);
  for (size_t i = 0; i < n; i++) {
    if (!is_paused(items[i])) pause_one(run, items[i], r);
  }
  note_paused_types(run);
  activity_adjusted(run);
  return NULL;
}

/* --- unpause --- */

/* The count of attempts begins anew; the ledger goes on counting. */
static void reset_attempts(activity *act) {
  act->earlier_attempts += act->attempt - 1;
  act->attempt = 1;
}

static void forget_heartbeats(activity *act) {
  act->heartbeat_details = SPAN_NONE;
  act->last_heartbeat_time = 0;
}

static void unpause_one(engine_run *run, engine_item *it, const pb_UnpauseActivityRequest *r) {
  activity *act = item_edit(run, it);
  act->pause = NULL;
  if (r->reset_attempts) reset_attempts(act);
  if (r->reset_heartbeat) forget_heartbeats(act);
  if (act->state == PB_ACTIVITY_STATE_STARTED) {
    activity_update(run, it);
  } else {
    activity_reschedule(run, it, jittered_ns(run, r->jitter));
  }
}

err *engine_activity_unpause(engine_run *run, engine_step *st, const pb_UnpauseActivityRequest *r) {
  engine_item **items;
  size_t n;
  TRY(activities_chosen(run, st, ACTIVITY_CHOICE(r, UnpauseActivityRequest), &items, &n));
  if (!count_paused(items, n)) return NULL;
  tx_begin(run, st);
  for (size_t i = 0; i < n; i++) {
    if (is_paused(items[i])) unpause_one(run, items[i], r);
  }
  note_paused_types(run);
  activity_adjusted(run);
  return NULL;
}

/* --- reset --- */

static void reset_one(engine_run *run, engine_item *it, const pb_ResetActivityRequest *r) {
  activity *act = item_edit(run, it);
  const bool running = act->state == PB_ACTIVITY_STATE_STARTED;
  act->adjusted = true;
  reset_attempts(act);
  if (r->restore_original_options) activity_restore_options(run, act);
  if (running) {
    act->reset = true;
    act->reset_heartbeat |= r->reset_heartbeat;
  } else if (r->reset_heartbeat) {
    forget_heartbeats(act);
  }
  if (!r->keep_paused) act->pause = NULL;
  if (running || act->pause) {
    activity_update(run, it);
  } else {
    activity_reschedule(run, it, jittered_ns(run, r->jitter));
  }
}

err *engine_activity_reset(engine_run *run, engine_step *st, const pb_ResetActivityRequest *r) {
  engine_item **items;
  size_t n;
  TRY(activities_chosen(run, st, ACTIVITY_CHOICE(r, ResetActivityRequest), &items, &n));
  tx_begin(run, st);
  for (size_t i = 0; i < n; i++) reset_one(run, items[i], r);
  note_paused_types(run);
  activity_adjusted(run);
  return NULL;
}

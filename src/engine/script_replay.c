#include "engine/script_replay.h"

#include "engine/activity.h"
#include "engine/replay.h"
#include "engine/script_text.h"

enum { LONGEST = 300 }; /* events: every step replays them all */

pb_HistoryEvent **world_events(world *w, int64_t run, arena *a, size_t *ret_n) {
  pb_HistoryEvent **v = arena_array(a, pb_HistoryEvent *, LONGEST + 1);
  size_t n = 0;
  for (size_t i = 0; i < w->model.n; i++) {
    const store_row *row = &w->model.rows[i];
    if (row->kind != ROW_HISTORY_ADD || row->run != run) continue;
    pb_History *h;
    err *e = PB_DECODE(History, bytes_span(row->blob), a, &h);
    ASSERT(!e);
    for (size_t k = 0; k < h->events.n && n < LONGEST; k++) v[n++] = h->events.v[k];
  }
  *ret_n = n;
  return v;
}

/* The workflow task's part: only what is written can be known. */
static void forget_task(pb_store_RunState *s) {
  bool known =
      s->wft_scheduled_id && s->wft_written && s->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  s->wft_seq = s->wft_original_time = s->wft_scheduled_time = 0;
  s->wft_on_sticky = false;
  s->wft_failures = 0;
  s->worker_version = NULL; /* the start of a transient attempt sets it too */
  if (known && s->wft_started_id) return;
  s->wft_identity = s->wft_request_id = SPAN_NONE;
  s->wft_history_bytes = 0;
  s->wft_suggest_continue_as_new = false;
  s->wft_suggest_reasons.n = 0;
  if (known) return;
  s->wft_scheduled_id = s->wft_started_id = s->wft_started_time = 0;
  s->wft_attempt = 0;
  s->wft_timeout = 0;
  s->wft_written = false;
}

/* What no event tells. `waiting`: some wait in the buffer. */
static void forget_unknown(pb_store_RunState *s, bool waiting) {
  forget_task(s);
  s->history_bytes = s->state_transitions = s->last_event_time = 0;
  s->close_event_batch_id = s->delete_time = s->last_reset_time = 0;
  s->reset_run_id = SPAN_NONE;
  s->sticky_queue = SPAN_NONE;
  s->sticky_timeout = 0;
  s->cancel_request_id = SPAN_NONE;
  s->buffered_count = 0;
  s->buffered_bytes = s->next_buffered = s->next_signal_request = s->ledger_bytes = 0;
  s->last_wft_failed_cause = s->last_wft_timeout_type = 0;
  s->last_wft_failure = NULL;
  s->failing = NULL;
  s->retrying_activities = 0;
  s->close_attempted = false;
  s->paused_activity_types.n = 0;
  if (!waiting) return;
  s->signal_count = 0;
  s->cancel_requested = false;
  s->attached.n = 0;
}

/* A run that continues another may wait longer than its first event says. */
static bool waits_untold(const engine_run *rows) {
  int64_t told = pb_duration_ns(rows->info->started->first_workflow_task_backoff);
  return rows->info->execution_time - rows->info->start_time != told;
}

static const char *compare_states(const engine_run *rows, const engine_run *replayed, arena *a) {
  bool waiting = rows->state.buffered_count > 0;
  pb_store_RunState x = rows->state, y = replayed->state;
  forget_unknown(&x, waiting);
  forget_unknown(&y, waiting);
  if (waits_untold(rows)) x.first_backoff_until = y.first_backoff_until = 0;
  if (rows->state.last_reset_time) x.reset_points.n = y.reset_points.n = 0; /* found anew */
  if (span_eq(PB_ENCODE(store_RunState, &x, a), PB_ENCODE(store_RunState, &y, a))) return NULL;
  buf text = BUF_INIT;
  text_dump(&text, &pb_store_RunState_desc, &x);
  buf_adds(&text, "\nreplayed:");
  text_dump(&text, &pb_store_RunState_desc, &y);
  const char *why = arena_printf(a, "the history says something else than the state\nstored:  %.*s",
                                 SPAN_ARG(buf_span(&text)));
  buf_release(&text);
  return why;
}

static bool same_info(const engine_run *rows, const engine_run *replayed, arena *a) {
  pb_store_RunInfo x = *rows->info, y = *replayed->info;
  if (rows->state.last_reset_time) { /* its clocks began anew */
    x.start_time = y.start_time = 0;
    x.began_time = y.began_time = 0;
    x.execution_deadline = y.execution_deadline = 0;
  }
  if (waits_untold(rows) || rows->state.last_reset_time) {
    x.execution_time = y.execution_time = 0;
    x.run_deadline = y.run_deadline = 0;
  }
  return span_eq(PB_ENCODE(store_RunInfo, &x, a), PB_ENCODE(store_RunInfo, &y, a));
}

/* Options change without an event. */
static bool same_activity(const activity *x, const activity *y) {
  return x->cancel_requested_id == y->cancel_requested_id &&
         span_eq(x->scheduled->activity_id, y->scheduled->activity_id) &&
         span_eq(x->scheduled->activity_type->name, y->scheduled->activity_type->name) &&
         span_eq(x->scheduled->input, y->scheduled->input);
}

/* Which run a child that is not started yet will be is in no event. */
static bool same_child(const pb_store_ChildItem *x, const pb_store_ChildItem *y) {
  bool started = x->state == PB_CHILD_STATE_STARTED;
  return x->state == y->state && x->started_id == y->started_id &&
         (!started || span_eq(x->run_id, y->run_id));
}

static bool same_msg(int32_t kind, const void *x, const void *y, arena *a) {
  if (kind == PB_ITEM_KIND_ACTIVITY) return same_activity(x, y);
  if (kind == PB_ITEM_KIND_CHILD) return same_child(x, y);
  if (kind != PB_ITEM_KIND_TIMER && kind != PB_ITEM_KIND_UPDATE && kind != PB_ITEM_KIND_CALLBACK) {
    return true;
  }
  return span_eq(pb_encode_arena(item_desc(kind), x, a), pb_encode_arena(item_desc(kind), y, a));
}

static const char *compare_items(const engine_run *rows, const engine_run *replayed, arena *a) {
  static const int32_t kinds[] = {PB_ITEM_KIND_ACTIVITY,        PB_ITEM_KIND_TIMER,
                                  PB_ITEM_KIND_CHILD,           PB_ITEM_KIND_UPDATE,
                                  PB_ITEM_KIND_EXTERNAL_SIGNAL, PB_ITEM_KIND_EXTERNAL_CANCEL,
                                  PB_ITEM_KIND_CALLBACK};
  for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
    size_t n, m;
    engine_item **x = items_sorted(rows, kinds[k], a, &n);
    engine_item **y = items_sorted(replayed, kinds[k], a, &m);
    if (n != m) return "the history says that another number of items is pending";
    for (size_t i = 0; i < n; i++) {
      if (x[i]->id != y[i]->id || !same_msg(kinds[k], item_msg(x[i]), item_msg(y[i]), a)) {
        return arena_printf(a, "the history says something else of item %lld", (long long)x[i]->id);
      }
    }
  }
  return NULL;
}

static const char *compare(const engine_run *rows, const engine_run *replayed, arena *a) {
  if (!same_info(rows, replayed, a)) return "the history says something else than the run's info";
  const char *why = compare_states(rows, replayed, a);
  /* Ends that wait, or were dropped when the run closed, are in no event. */
  bool told = run_is_open(rows) && !rows->state.buffered_count;
  return why || !told ? why : compare_items(rows, replayed, a);
}

const char *replay_problem(world *w, const engine_run *rows, arena *a) {
  if (rows->state.next_event_id > LONGEST) return NULL;
  size_t n;
  pb_HistoryEvent **events = world_events(w, rows->run, a, &n);
  engine_step st;
  engine_step_init(&st, &w->host, w->now_ns, &w->random, a);
  engine_run *run = run_new(rows->run, rows->ns);
  run->state.next_event_id = 1;
  replay_args args = {.ns_name = rows->info->namespace_name,
                      .run_id = rows->info->run_id,
                      .request_id = rows->info->request_id,
                      .schedule = rows->info->schedule,
                      .first_run_start_ns = rows->info->first_run_start_time};
  tx_begin(run, &st);
  err *e = replay(run, &args, events, n);
  const char *why = NULL;
  if (e) {
    why = e->what;
  } else {
    why = compare(rows, run, a);
  }
  tx_abandon(run);
  engine_free(run);
  return why;
}

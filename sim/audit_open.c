/* audit_open.c - what is open and under way: starts that must be on disk soon (T5), runs that do
 * not end. */
#include "audit_int.h"

#include "shard/shard_int.h"
#include "store/memory_disk.h"

static void check_wft_start(sim *s, const record *r) {
  store_load l;
  pb_store_RunState *state;
  if (r->attempt != 1 || !audit_load_state(s, bytes_span(r->text), &l, &state)) return;
  bool open = state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (open && state->next_event_id == r->number && !state->wft_started_id) {
    sim_broken(s, "T5", "the start (event %lld of %.*s) is not on disk after %lld ms",
               (long long)r->number, SPAN_ARG(bytes_span(r->text)),
               (long long)((s->now_ns - r->time_ns) / NS_PER_MS));
  }
  audit_load_release(&l);
}

static void check_activity_start(sim *s, const record *r) {
  store_load l;
  pb_store_RunState *state;
  arena a = ARENA_INIT;
  if (!audit_load_state(s, span_of(r->key.p, UUID_TEXT_BYTES), &l, &state)) return;
  bool open = state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  for (size_t i = 0; open && i < l.n_rows; i++) {
    pb_store_ActivityItem *act;
    if (l.rows[i].item_kind != PB_ITEM_KIND_ACTIVITY) continue;
    if (PB_DECODE(store_ActivityItem, bytes_span(l.rows[i].blob), &a, &act)) continue;
    span key = arena_spanf(&a, "%.*s/%.*s/%d", UUID_TEXT_BYTES, (const char *)r->key.p,
                           SPAN_ARG(act->scheduled->activity_id), act->attempt);
    if (!span_eq(key, r->key) || act->state == PB_ACTIVITY_STATE_STARTED) continue;
    sim_broken(s, "T5", "the start of %.*s is not on disk after %lld ms", SPAN_ARG(r->key),
               (long long)((s->now_ns - r->time_ns) / NS_PER_MS));
  }
  audit_load_release(&l);
  arena_release(&a);
}

void audit_starts(sim *s) {
  static const int64_t soon_ns = 3 * NS_PER_SEC, old_ns = 20 * NS_PER_SEC;
  if (s->state != SERVER_UP || sim_commits_fail(s) || s->swarm.fail_loads) return;
  LIST_FOR_EACH (n, &s->model->order) {
    const record *r = CONTAINER_OF(n, record, order);
    if (r->kind != REC_WFT && r->kind != REC_ATTEMPT) continue;
    int64_t ago = s->now_ns - r->time_ns;
    if (!r->time_ns || r->accepted || r->epoch != s->epoch || ago < soon_ns || ago > old_ns) {
      continue;
    }
    if (r->kind == REC_WFT) {
      check_wft_start(s, r);
    } else {
      check_activity_start(s, r);
    }
  }
}

/* It ended when this base of the run was closed and nobody had asked for the reset yet: whom it
 * told of its end had no use for it. A base that was deleted does not pass on what it is told. */
static bool ended_between(sim *s, int64_t closed_ns, const record *made) {
  store_load l;
  pb_store_RunState *state;
  bool passes_on = audit_next_event_id(s, bytes_span(made->text)) > 0;
  if (!passes_on) return true;
  if (!audit_load_state(s, span_of(made->key.p, UUID_TEXT_BYTES), &l, &state)) return false;
  bool between =
      closed_ns >= audit_close_ns(s, bytes_span(made->text)) && closed_ns <= state->last_reset_time;
  audit_load_release(&l);
  return between;
}

/* No run of the resets that led to this one was there to hear of the end of the child. */
static bool ended_unheard(sim *s, const store_row *row, const record *made) {
  arena a = ARENA_INIT;
  pb_store_ChildItem *c;
  store_load l;
  pb_store_RunState *state;
  if (PB_DECODE(store_ChildItem, bytes_span(row->blob), &a, &c)) PANIC("child item");
  bool started = c->state == PB_CHILD_STATE_STARTED;
  bool there = started && audit_load_state(s, c->run_id, &l, &state);
  bool unheard = started && !there;
  if (there) {
    unheard = state->new_run_id.n > 0;
    for (const record *r = made; state->close_time && !unheard && r && r->text;
         r = model_find(s, REC_RUN, bytes_span(r->text))) {
      unheard = ended_between(s, state->close_time, r);
    }
    audit_load_release(&l);
  }
  arena_release(&a);
  return unheard;
}

/* A run that a reset made waits for ever for such children. */
static bool waits_for_ever(sim *s, const store_load *l) {
  arena a = ARENA_INIT;
  pb_store_RunInfo *info;
  if (PB_DECODE(store_RunInfo, bytes_span(l->row.info), &a, &info)) PANIC("run info");
  const record *r = model_find(s, REC_RUN, info->run_id);
  bool forever = r && r->text && !l->row.due_ns && !l->row.queued.queue && l->n_rows;
  for (size_t i = 0; i < l->n_rows && forever; i++) {
    const store_row *row = &l->rows[i];
    bool child = row->item_kind == PB_ITEM_KIND_CHILD;
    bool waits = row->due_ns || row->queued.queue;
    forever = !waits && (!child || ended_unheard(s, row, r));
  }
  arena_release(&a);
  return forever;
}

size_t audit_open_runs(sim *s) {
  size_t n = 0;
  for (int64_t key = 1; key <= s->disk->last_run_key; key++) {
    store_load l = {.kind = LOAD_RUN, .run = key};
    audit_load(s, &l);
    bool open = l.found && l.row.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
    n += open && !waits_for_ever(s, &l);
    audit_load_release(&l);
  }
  return n;
}

/* The child that an open run waits for. */
static void say_child(sim *s, const store_row *row, arena *a) {
  pb_store_ChildItem *c;
  if (PB_DECODE(store_ChildItem, bytes_span(row->blob), a, &c)) return;
  sim_trace(s, "    child %.*s of %.*s, state %d, closed at %lld", SPAN_ARG(c->run_id),
            SPAN_ARG(c->initiated->workflow_id), c->state, (long long)audit_close_ns(s, c->run_id));
}

static void say_open(sim *s, const store_load *l) {
  arena a = ARENA_INIT;
  pb_store_RunState *st;
  pb_store_RunInfo *info;
  if (PB_DECODE(store_RunState, bytes_span(l->row.blob), &a, &st) ||
      PB_DECODE(store_RunInfo, bytes_span(l->row.info), &a, &info)) {
    return;
  }
  sim_trace(
      s, "open: run %lld %.*s of %.*s: next event %lld, due %lld, queue %lld", (long long)l->run,
      SPAN_ARG(info->run_id), SPAN_ARG(info->workflow_id), (long long)st->next_event_id,
      (long long)(l->row.due_ns ? l->row.due_ns - s->start_ns : 0), (long long)l->row.queued.queue);
  sim_trace(s, "  workflow task %lld started %lld attempt %d, %lld completed, first at %lld",
            (long long)st->wft_scheduled_id, (long long)st->wft_started_id, st->wft_attempt,
            (long long)st->completed_wfts, (long long)st->first_backoff_until);
  for (size_t i = 0; i < l->n_rows; i++) {
    const store_row *r = &l->rows[i];
    sim_trace(s, "  item %lld kind %d due %lld queue %lld seq %lld", (long long)r->id, r->item_kind,
              (long long)(r->due_ns ? r->due_ns - s->start_ns : 0), (long long)r->queued.queue,
              (long long)r->queued.seq);
    if (r->item_kind == PB_ITEM_KIND_CHILD) say_child(s, r, &a);
  }
  arena_release(&a);
}

void audit_say_open(sim *s) {
  for (int64_t key = 1; key <= s->disk->last_run_key; key++) {
    store_load l = {.kind = LOAD_RUN, .run = key};
    audit_load(s, &l);
    if (l.found && l.row.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) say_open(s, &l);
    audit_load_release(&l);
  }
}

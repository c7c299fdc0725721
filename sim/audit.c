/* audit.c - what the disk holds, read whole: every run against its own history, against the rules
 * of a run, and against what was acknowledged. It may be done at any step: between transactions the
 * disk is always right. */
#include "audit_int.h"

#include "engine/schedule.h"
#include "proto/pb_time.h"
#include "shard/shard_int.h"
#include "store/memory_disk.h"

void audit_load(sim *s, store_load *l) { disk_load(s->disk, l); }

void audit_load_release(store_load *l) {
  engine_rows_release(&l->row, 1);
  engine_rows_release(l->rows, l->n_rows);
  arena_release(&l->arena);
}

bool audit_load_state(sim *s, span run_id, store_load *l, pb_store_RunState **ret_state) {
  int64_t key;
  if (run_id.n != UUID_TEXT_BYTES || !run_id_parse(run_id, &key)) return false;
  *l = (store_load){.kind = LOAD_RUN, .run = key};
  audit_load(s, l);
  bool good = l->found && !PB_DECODE(store_RunState, bytes_span(l->row.blob), &l->arena, ret_state);
  if (!good) audit_load_release(l);
  return good;
}

int64_t audit_next_event_id(sim *s, span run_id) {
  store_load l;
  pb_store_RunState *state;
  if (!audit_load_state(s, run_id, &l, &state)) return 0;
  int64_t next = state->next_event_id;
  audit_load_release(&l);
  return next;
}

int64_t audit_close_ns(sim *s, span run_id) {
  store_load l;
  pb_store_RunState *state;
  if (!audit_load_state(s, run_id, &l, &state)) return 0;
  int64_t at = state->close_time;
  audit_load_release(&l);
  return at;
}

/* --- history --- */

void audit_read_events(audit_run *r) {
  store_load l = {.kind = LOAD_HISTORY, .run = r->load->run, .from_id = 1};
  audit_load(r->sim, &l);
  size_t cap = (size_t)MAX(r->state->next_event_id, 1);
  r->events = arena_array(r->arena, pb_HistoryEvent *, cap);
  for (size_t i = 0; i < l.n_rows; i++) {
    pb_History *h;
    span blob = arena_dup(r->arena, bytes_span(l.rows[i].blob));
    if (PB_DECODE(History, blob, r->arena, &h)) BROKEN(r, "D2", "batch %zu does not decode", i);
    if (h->events.n && h->events.v[0]->event_id != l.rows[i].id) {
      BROKEN(r, "D2", "the batch of event %lld begins with %lld", (long long)l.rows[i].id,
             (long long)h->events.v[0]->event_id);
    }
    for (size_t k = 0; k < h->events.n; k++) {
      if (h->events.v[k]->event_id != (int64_t)r->n + 1) {
        BROKEN(r, "D2", "event %lld comes after %zu", (long long)h->events.v[k]->event_id, r->n);
      }
      if (r->n + 1 >= cap) BROKEN(r, "D3", "more events than %zu", cap - 1);
      r->events[r->n++] = h->events.v[k];
    }
  }
  audit_load_release(&l);
  if ((int64_t)r->n + 1 != r->state->next_event_id) {
    BROKEN(r, "D3", "%zu events, and the state says the next is %lld", r->n,
           (long long)r->state->next_event_id);
  }
}

static void check_stable(audit_run *r) {
  record *rec = model_make(r->sim, REC_RUN, r->info->run_id);
  if (r->n < rec->n_events) {
    BROKEN(r, "D1", "%zu events, and somebody was shown %zu", r->n, rec->n_events);
  }
  if (r->n < rec->n_disk) BROKEN(r, "D2", "%zu events, and had %zu", r->n, rec->n_disk);
  for (size_t i = 0; i < r->n; i++) {
    if (i < rec->n_events && rec->events[i] && i < rec->n_disk && !r->sim->quiet) continue;
    model_event(r->sim, r->info->run_id, r->events[i], "disk");
  }
  rec->n_disk = r->n;
}

static int64_t time_of(const pb_HistoryEvent *ev) {
  return ev->event_time->seconds * NS_PER_SEC + ev->event_time->nanos;
}

/* Not in order: starts are dated back, and what was buffered is sorted. */
static void check_times(audit_run *r) {
  for (size_t i = 0; i < r->n; i++) {
    int64_t at = time_of(r->events[i]);
    if (at > r->sim->now_ns) BROKEN(r, "T2", "event %zu is of the future", i + 1);
    if (at < time_of(r->events[0])) BROKEN(r, "T2", "event %zu is before the first", i + 1);
  }
}

/* --- timers and activities, as history tells them --- */

const pb_HistoryEvent *audit_event_at(const audit_run *r, int64_t id, int32_t type) {
  if (id < 1 || id > (int64_t)r->n || r->events[id - 1]->event_type != type) {
    BROKEN(r, "D2", "an event names %lld, which is no event of type %d", (long long)id, type);
  }
  return r->events[id - 1];
}

static void over_once(audit_run *r, uint8_t *over, int64_t id, bool outside) {
  if (!over[id]++) return;
  BROKEN(r, outside ? "M1" : "T2", "what event %lld began is over twice", (long long)id);
}

static void check_timer_fired(audit_run *r, const pb_HistoryEvent *ev) {
  int64_t id = ev->timer_fired_event_attributes->started_event_id;
  const pb_HistoryEvent *begun = audit_event_at(r, id, PB_EVENT_TYPE_TIMER_STARTED);
  const pb_TimerStartedEventAttributes *at = begun->timer_started_event_attributes;
  program_plan plan =
      program_of_input(r->events[0]->workflow_execution_started_event_attributes->input);
  int64_t meant = program_timer_ns(plan, at->timer_id);
  if (meant < 0) return;
  int64_t took = time_of(ev) - time_of(begun);
  if (took < meant) {
    BROKEN(r, "T2", "timer %.*s fired after %lld of %lld ms", SPAN_ARG(at->timer_id),
           (long long)(took / NS_PER_MS), (long long)(meant / NS_PER_MS));
  }
}

static void check_activity_started(audit_run *r, const pb_HistoryEvent *ev) {
  const pb_ActivityTaskStartedEventAttributes *at = ev->activity_task_started_event_attributes;
  const pb_HistoryEvent *begun =
      audit_event_at(r, at->scheduled_event_id, PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED);
  const pb_ActivityTaskScheduledEventAttributes *sched =
      begun->activity_task_scheduled_event_attributes;
  pb_RetryPolicy policy;
  program_retry(program_of_input(sched->input), sched->activity_id, &policy, r->arena);
  const record *activity =
      model_find(r->sim, REC_ACTIVITY, model_key(r->arena, r->info->run_id, sched->activity_id));
  bool limited = policy.maximum_attempts && !(activity && activity->pause);
  if (limited && at->attempt > policy.maximum_attempts) {
    BROKEN(r, "T3", "activity %.*s took attempt %d of %d", SPAN_ARG(sched->activity_id),
           at->attempt, policy.maximum_attempts);
  }
}

/* What the worker said, whole. */
static void check_activity_failed(audit_run *r, const pb_HistoryEvent *ev) {
  const pb_ActivityTaskFailedEventAttributes *at = ev->activity_task_failed_event_attributes;
  const pb_HistoryEvent *begun =
      audit_event_at(r, at->scheduled_event_id, PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED);
  const pb_HistoryEvent *started =
      audit_event_at(r, at->started_event_id, PB_EVENT_TYPE_ACTIVITY_TASK_STARTED);
  span name = model_key(r->arena, r->info->run_id,
                        begun->activity_task_scheduled_event_attributes->activity_id);
  const record *said =
      model_find(r->sim, REC_ATTEMPT,
                 arena_spanf(r->arena, "%.*s/%d", SPAN_ARG(name),
                             started->activity_task_started_event_attributes->attempt));
  if (!said || !said->acknowledged) return;
  if (!span_eq(PB_ENCODE(Failure, at->failure, r->arena), bytes_span(said->text))) {
    BROKEN(r, "E1", "the failure in event %lld is not what the worker said",
           (long long)ev->event_id);
  }
}

static int64_t ended_by(const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
    case PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
      return ev->activity_task_completed_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_ACTIVITY_TASK_FAILED:
      return ev->activity_task_failed_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
      return ev->activity_task_timed_out_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_ACTIVITY_TASK_CANCELED:
      return ev->activity_task_canceled_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_TIMER_FIRED:
      return ev->timer_fired_event_attributes->started_event_id;
    case PB_EVENT_TYPE_TIMER_CANCELED:
      return ev->timer_canceled_event_attributes->started_event_id;
    case PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
      return ev->workflow_task_completed_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_WORKFLOW_TASK_FAILED:
      return ev->workflow_task_failed_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
      return ev->workflow_task_timed_out_event_attributes->scheduled_event_id;
    default:
      return program_answered(ev);
  }
}

void audit_see(audit_run *r, record *rec) {
  if (!rec) return;
  if (rec->seen_at != r->sim->n_audits) rec->seen = 0;
  rec->seen_at = r->sim->n_audits;
  rec->seen++;
  rec->may_go |= model_make(r->sim, REC_RUN, r->info->run_id)->may_go;
}

static void see_signal(audit_run *r, const pb_HistoryEvent *ev) {
  if (ev->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) return;
  span name = ev->workflow_execution_signaled_event_attributes->signal_name;
  record *rec = model_make(r->sim, REC_SIGNAL, model_key(r->arena, r->info->workflow_id, name));
  uint32_t before = rec->seen_at == r->sim->n_audits ? rec->seen : 0;
  bool first = !before || rec->number != r->load->run;
  if (first) rec->attempt = (int32_t)before;
  rec->given = first ? 1 : rec->given + 1;
  /* A reset copies what the base and those that followed it got, each once, and knows no request
   * ids of before: a client that repeats it once more is heard. */
  bool copies = model_make(r->sim, REC_RUN, r->info->run_id)->text;
  if (rec->given > (copies ? (uint32_t)rec->attempt + 1 : 1)) {
    rec->twice_at = r->sim->n_audits; /* judged after all runs */
  }
  rec->number = r->load->run;
  audit_see(r, rec);
}

static bool is_close_event(int32_t type) {
  return type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED ||
         type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED ||
         type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT ||
         type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED ||
         type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED ||
         type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW;
}

static void check_history(audit_run *r) {
  uint8_t *over = arena_zalloc(r->arena, r->n + 2);
  bool open = r->state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  int cancels = 0;
  for (size_t i = 0; i < r->n; i++) {
    const pb_HistoryEvent *ev = r->events[i];
    cancels += ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED;
    if (cancels > 1) BROKEN(r, "I1", "its cancellation was requested %d times", cancels);
    int64_t ended = ended_by(ev);
    if (ended < 0 || ended > (int64_t)i) BROKEN(r, "D2", "event %zu ends what is not there", i + 1);
    if (ended) over_once(r, over, ended, program_answered(ev) != 0);
    if (ev->event_type == PB_EVENT_TYPE_TIMER_FIRED) check_timer_fired(r, ev);
    if (ev->event_type == PB_EVENT_TYPE_ACTIVITY_TASK_STARTED) check_activity_started(r, ev);
    if (ev->event_type == PB_EVENT_TYPE_ACTIVITY_TASK_FAILED) check_activity_failed(r, ev);
    see_signal(r, ev);
    if (is_close_event(ev->event_type) != (!open && i + 1 == r->n)) {
      BROKEN(r, "D3", "event %zu of %zu has type %d and the run's status is %d", i + 1, r->n,
             ev->event_type, r->state->status);
    }
  }
}

/* --- rows --- */

static bool queue_is_named(sim *s, int64_t key) {
  store_load l = {.kind = LOAD_NAMED, .name = SPAN("queue/")};
  bool found = false;
  audit_load(s, &l);
  for (size_t i = 0; i < l.n_rows && !found; i++) {
    pb_store_TaskQueueName *q;
    if (!PB_DECODE(store_TaskQueueName, bytes_span(l.rows[i].blob), &l.arena, &q)) {
      found = q->key == key;
    }
  }
  audit_load_release(&l);
  return found;
}

static void check_queued(audit_run *r, store_queued q, const char *what) {
  if (!q.queue) BROKEN(r, "T4", "%s is ready and in no queue", what);
  if (!queue_is_named(r->sim, q.queue)) {
    BROKEN(r, "T4", "%s is in queue %lld, which has no name", what, (long long)q.queue);
  }
  store_load l = {.kind = LOAD_QUEUE,
                  .queued = {.queue = q.queue, .priority = q.priority, .seq = q.seq - 1},
                  .limit = 1};
  audit_load(r->sim, &l);
  if (!l.n_rows || l.rows[0].queued.seq != q.seq) {
    BROKEN(r, "T4", "%s is not found in its queue", what);
  }
  audit_load_release(&l);
}

/* Without faults a deadline is kept: late by what the wake-up and one commit take, no more. */
void audit_due(audit_run *r, int64_t due_ns, const char *what) {
  const sim *s = r->sim;
  static const int64_t late_ns = 10 * NS_PER_SEC, settled_ns = 40 * NS_PER_SEC;
  if (due_ns <= 0) BROKEN(r, "T4", "%s has no deadline", what);
  if (!s->quiet || s->state != SERVER_UP || s->now_ns < due_ns + late_ns) return;
  if (s->now_ns < s->quiet_ns + settled_ns || s->now_ns < s->up_ns + settled_ns) return;
  BROKEN(r, "T2", "%s is %lld s past its deadline", what,
         (long long)((s->now_ns - due_ns) / NS_PER_SEC));
}

static void check_activity_item(audit_run *r, const store_row *row) {
  pb_store_ActivityItem *act;
  span blob = bytes_span(row->blob);
  if (PB_DECODE(store_ActivityItem, blob, r->arena, &act)) BROKEN(r, "D3", "activity %d", 0);
  span name = model_key(r->arena, r->info->run_id, act->scheduled->activity_id);
  const record *known = model_find(r->sim, REC_ACTIVITY, name);
  if (known && known->pause == PAUSE_DONE && !act->pause) {
    BROKEN(r, "P1", "the pause of %.*s is lost", SPAN_ARG(name));
  }
  if (act->pause) return; /* it stands still */
  if (act->state == PB_ACTIVITY_STATE_SCHEDULED) {
    check_queued(r, row->queued, "an activity");
  } else {
    audit_due(r, row->due_ns, "an activity that is not scheduled");
  }
}

static void check_items(audit_run *r) {
  for (size_t i = 0; i < r->load->n_rows; i++) {
    const store_row *row = &r->load->rows[i];
    pb_store_BufferedItem *item;
    if (row->item_kind == PB_ITEM_KIND_ACTIVITY) check_activity_item(r, row);
    if (row->item_kind == PB_ITEM_KIND_TIMER) audit_due(r, row->due_ns, "a timer");
    if (row->item_kind != PB_ITEM_KIND_BUFFERED) continue;
    if (PB_DECODE(store_BufferedItem, bytes_span(row->blob), r->arena, &item)) {
      BROKEN(r, "D3", "buffered event %lld does not decode", (long long)row->id);
    }
    see_signal(r, item->event);
    audit_sent_signal(r, item->event);
  }
}

/* What is to be told to other runs, by closed runs too. */
static void check_messages(audit_run *r) {
  for (size_t i = 0; i < r->load->n_rows; i++) {
    const store_row *row = &r->load->rows[i];
    if (item_tells(row->item_kind) && row->due_ns) audit_due(r, row->due_ns, "a message");
  }
}

static void check_alive(audit_run *r) {
  const store_row *row = &r->load->row;
  check_messages(r);
  if (r->state->status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return;
  check_items(r);
  if (r->state->wft_started_id) {
    audit_due(r, row->due_ns, "a started workflow task");
  } else if (r->state->wft_scheduled_id) {
    check_queued(r, row->queued, "a workflow task");
  } else if (r->state->first_backoff_until) {
    audit_due(r, row->due_ns, "the first backoff");
  }
}

/* What a worker has to be told makes a workflow task, at once or after the one in flight. */
static void check_told(audit_run *r) {
  const pb_store_RunState *st = r->state;
  if (st->status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return;
  if (st->wft_scheduled_id || st->first_backoff_until) return;
  for (size_t i = r->n; i-- > 0;) {
    int32_t type = r->events[i]->event_type;
    if (type == PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED) return;
    bool tells = type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED ||
                 type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED ||
                 type == PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED ||
                 (ended_by(r->events[i]) && type != PB_EVENT_TYPE_TIMER_CANCELED &&
                  type != PB_EVENT_TYPE_WORKFLOW_TASK_FAILED &&
                  type != PB_EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT);
    if (tells) BROKEN(r, "T4", "no worker will be told of event %zu", i + 1);
  }
}

/* A pending thing per thing that history began and did not end. */
static void check_pending(audit_run *r) {
  uint8_t *over = arena_zalloc(r->arena, r->n + 2);
  size_t begun = 0, items = 0;
  if (r->state->status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return;
  for (size_t i = 0; i < r->n; i++) over[ended_by(r->events[i])] = 1;
  for (size_t i = 0; i < r->load->n_rows; i++) {
    int32_t kind = r->load->rows[i].item_kind;
    pb_store_BufferedItem *item;
    items += kind == PB_ITEM_KIND_ACTIVITY || kind == PB_ITEM_KIND_TIMER || item_tells(kind);
    if (kind == PB_ITEM_KIND_BUFFERED &&
        !PB_DECODE(store_BufferedItem, bytes_span(r->load->rows[i].blob), r->arena, &item)) {
      over[ended_by(item->event)] = 1;
    }
  }
  for (size_t i = 0; i < r->n; i++) {
    int32_t type = r->events[i]->event_type;
    bool begins = type == PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED ||
                  type == PB_EVENT_TYPE_TIMER_STARTED ||
                  type == PB_EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED ||
                  type == PB_EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED ||
                  type == PB_EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED;
    begun += begins && !over[i + 1];
  }
  if (begun != items) {
    BROKEN(r, "D3", "history began %zu things that are not over; %zu are pending", begun, items);
  }
}

/* --- the ledger --- */

static void check_attempt(audit_run *r, const store_load *l, const store_row *row) {
  pb_store_AttemptRecord *at;
  if (PB_DECODE(store_AttemptRecord, bytes_span(row->blob), r->arena, &at)) {
    BROKEN(r, "E1", "attempt %d does not decode", row->attempt);
  }
  if (row->id > (int64_t)r->n) BROKEN(r, "E1", "an attempt of event %lld", (long long)row->id);
  const pb_HistoryEvent *begun = audit_event_at(r, row->id, PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED);
  span name = model_key(r->arena, r->info->run_id,
                        begun->activity_task_scheduled_event_attributes->activity_id);
  record *said = model_find(r->sim, REC_ATTEMPT,
                            arena_spanf(r->arena, "%.*s/%d", SPAN_ARG(name), row->attempt));
  for (size_t i = 0; !at->failure && at->failure_slot && i < l->n_rows; i++) {
    pb_store_AttemptRecord *other;
    if (l->rows[i].id != row->id || l->rows[i].attempt != at->failure_slot) continue;
    if (PB_DECODE(store_AttemptRecord, bytes_span(l->rows[i].blob), r->arena, &other)) continue;
    at->failure = other->failure;
  }
  if (!said || !said->acknowledged) return;
  audit_see(r, said);
  if (!at->failure || !span_eq(PB_ENCODE(Failure, at->failure, r->arena), bytes_span(said->text))) {
    BROKEN(r, "E1", "the ledger's failure of %.*s is not what the worker said",
           SPAN_ARG(said->key));
  }
}

static void check_ledger(audit_run *r) {
  store_load l = {.kind = LOAD_ATTEMPTS, .run = r->load->run};
  audit_load(r->sim, &l);
  for (size_t i = 0; i < l.n_rows; i++) check_attempt(r, &l, &l.rows[i]);
  audit_load_release(&l);
}

/* --- one run --- */

static void check_current(audit_run *r) {
  store_load l = {
      .kind = LOAD_CURRENT, .ns = r->load->row.ns, .workflow_id = r->load->row.workflow_id};
  audit_load(r->sim, &l);
  bool open = r->state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (!l.found) {
    /* The newest one was deleted; the older ones stay. */
    if (!open && model_make(r->sim, REC_WORKFLOW, r->info->workflow_id)->may_go) return;
    BROKEN(r, "D4", "no run is the current one of %s", "its id");
  }
  if (open && l.run != r->load->run) {
    BROKEN(r, "D4", "it is open and run %lld is the current one", (long long)l.run);
  }
  /* Not by their keys: that of a child is chosen before it starts. */
  pb_store_RunInfo *newest;
  if (PB_DECODE(store_RunInfo, bytes_span(l.row.info), r->arena, &newest)) {
    BROKEN(r, "D3", "run %lld does not decode", (long long)l.run);
  }
  if (newest->start_time < r->info->start_time) {
    BROKEN(r, "D4", "the current run %lld is older", (long long)l.run);
  }
  audit_load_release(&l);
}

/* Its deletion was acknowledged: it goes as soon as it has nothing to tell other runs. */
static void check_leaves(audit_run *r) {
  if (r->state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    BROKEN(r, "D1", "it was deleted and is %s", "open");
  }
  audit_due(r, r->load->row.due_ns, "a deletion");
  if (r->load->row.due_ns > r->sim->now_ns + 10 * NS_PER_SEC) {
    BROKEN(r, "D1", "its deletion is put off to %lld", (long long)r->load->row.due_ns);
  }
}

static void see_start(audit_run *r) {
  record *run = model_make(r->sim, REC_RUN, r->info->run_id);
  audit_see(r, run);
  if (run->accepted) check_leaves(r);
  record *start =
      model_make(r->sim, REC_START, model_key(r->arena, r->info->workflow_id, r->info->request_id));
  audit_see(r, start);
  /* A request id holds while no other run took the place of the run that it made. */
  record *id = model_make(r->sim, REC_ID, r->info->workflow_id);
  bool of_signal = span_starts_with(r->info->request_id, SPAN(SIM_WITH_START));
  /* Nor once somebody deleted that one. */
  const record *workflow = model_make(r->sim, REC_WORKFLOW, r->info->workflow_id);
  if (!run->text && !of_signal && !workflow->may_go && id->seen_at == r->sim->n_audits &&
      span_eq(bytes_span(id->text), r->info->request_id)) {
    BROKEN(r, "I1", "it and the run before it have the request id %.*s",
           SPAN_ARG(r->info->request_id));
  }
  bytes_unref(id->text);
  id->text = bytes_copy(r->info->request_id);
  audit_see(r, id);
  record *closed = model_find(r->sim, REC_CLOSED, r->info->run_id);
  if (closed && r->state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    BROKEN(r, "D1", "it was acknowledged to be terminated and has status %d", r->state->status);
  }
}

static void audit_one(sim *s, int64_t key) {
  arena a = ARENA_INIT;
  store_load l = {.kind = LOAD_RUN, .run = key};
  audit_run r = {.sim = s, .arena = &a, .load = &l};
  audit_load(s, &l);
  if (!l.found) {
    audit_load_release(&l);
    return;
  }
  if (PB_DECODE(store_RunInfo, bytes_span(l.row.info), &a, &r.info) ||
      PB_DECODE(store_RunState, bytes_span(l.row.blob), &a, &r.state)) {
    sim_broken(s, "D3", "run %lld does not decode", (long long)key);
  }
  err *e = engine_load(&l.row, l.rows, l.n_rows, &a, &r.engine);
  if (e) BROKEN(&r, "D3", "does not load: %s", e->what);
  const char *wrong = engine_check(r.engine, &a);
  if (wrong) BROKEN(&r, "D3", "%s", wrong);
  bool is_schedule = engine_is_schedule(r.engine);
  engine_free(r.engine);
  if (is_schedule) {
    audit_schedule(&r);
    audit_load_release(&l);
    arena_release(&a);
    return;
  }
  audit_read_events(&r);
  check_stable(&r);
  audit_reset(&r);
  check_times(&r);
  check_history(&r);
  check_alive(&r);
  check_pending(&r);
  check_told(&r);
  audit_outside(&r);
  audit_updates(&r);
  audit_scheduled(&r);
  check_ledger(&r);
  check_current(&r);
  see_start(&r);
  audit_load_release(&l);
  arena_release(&a);
}

void audit_disk(sim *s, bool final) {
  s->n_audits++;
  s->n_runs = (uint64_t)s->disk->last_run_key;
  for (int64_t key = 1; key <= s->disk->last_run_key; key++) audit_one(s, key);
  audit_outside_all(s);
  audit_updates_all(s);
  audit_schedules_all(s);
  audit_visible(s);
  LIST_FOR_EACH (n, &s->model->order) {
    record *r = CONTAINER_OF(n, record, order);
    bool lasting = r->kind == REC_START || r->kind == REC_RUN || r->kind == REC_SIGNAL;
    bool ledger = r->kind == REC_ATTEMPT;
    if (!r->acknowledged || r->seen_at == s->n_audits || !(lasting || ledger)) continue;
    if (model_may_be_gone(s, r)) continue;
    sim_broken(s, ledger ? "E1" : "D1", "%.*s (kind %d) was acknowledged and is not on disk",
               SPAN_ARG(r->key), (int)r->kind);
  }
}

/* --- memory against disk --- */

static void same_blob(audit_run *r, const bytes *memory, const bytes *disk, const char *what,
                      int64_t id) {
  if (span_eq(bytes_span(memory), bytes_span(disk))) return;
  BROKEN(r, "D3", "%s %lld differs between memory and disk", what, (long long)id);
}

static void compare_run(sim *s, const shard_run *run) {
  arena a = ARENA_INIT;
  store_load l = {.kind = LOAD_RUN, .run = run->key};
  audit_run r = {.sim = s, .arena = &a, .load = &l, .info = run->engine->info};
  size_t items = 0;
  audit_load(s, &l);
  if (!l.found) BROKEN(&r, "D3", "it is in memory and not on %s", "disk");
  same_blob(&r, run->engine->state_blob, l.row.blob, "the state of run", run->key);
  for (size_t i = 0; i < l.n_rows; i++) {
    const engine_item *it = item_by_id(run->engine, l.rows[i].id, l.rows[i].item_kind);
    if (!it) BROKEN(&r, "D3", "item %lld is on disk only", (long long)l.rows[i].id);
    same_blob(&r, it->blob, l.rows[i].blob, "item", it->id);
    if (it->due_ns != l.rows[i].due_ns || it->queued.queue != l.rows[i].queued.queue) {
      BROKEN(&r, "D3", "item %lld has another place in time or queue", (long long)it->id);
    }
    items++;
  }
  if (items != run->engine->by_id.count) {
    BROKEN(&r, "D3", "%zu items on disk, %zu in memory", items, run->engine->by_id.count);
  }
  audit_load_release(&l);
  arena_release(&a);
}

void audit_memory(sim *s) {
  if (!s->shard) return;
  /* A commit under way may be on disk already and not yet known. */
  if (s->shard->committing) return;
  for (hmap_node *n = hmap_each(&s->shard->runs, NULL); n; n = hmap_each(&s->shard->runs, n)) {
    const shard_run *run = CONTAINER_OF(n, shard_run, by_key);
    if (run->phase == RUN_QUARANTINED) {
      sim_broken(s, "D3", "run %lld is quarantined: %s", (long long)run->key, run->trouble);
    }
    if (run->phase != RUN_READY || run->lsn > s->shard->durable_lsn || run->n_lazy) continue;
    if (run->engine->unwritten) continue;
    compare_run(s, run);
  }
}

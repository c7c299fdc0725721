#include "engine/activity.h"

/* A worker's time begins when the task reaches it, and its word is some time on the way back: what
 * it sent in time shall count. */
static const int64_t road_ns = 100 * NS_PER_MS;

static int64_t later(int64_t from, const pb_Duration *d) {
  int64_t ns = pb_duration_ns(d);
  return ns > 0 ? from + ns : 0;
}

static int64_t close_deadline_ns(const activity *act) {
  return later(act->first_scheduled_time, act->scheduled->schedule_to_close_timeout);
}

static int64_t start_deadline_ns(const activity *act) {
  return later(act->scheduled_time, act->scheduled->schedule_to_start_timeout);
}

static int64_t run_deadline_ns(const activity *act) {
  return later(act->started_time + road_ns, act->scheduled->start_to_close_timeout);
}

static int64_t heartbeat_deadline_ns(const activity *act) {
  return later(MAX(act->started_time, act->last_heartbeat_time) + road_ns,
               act->scheduled->heartbeat_timeout);
}

int64_t activity_due_ns(const activity *act) {
  if (act->pause) return 0;
  switch (act->state) {
    case PB_ACTIVITY_STATE_SCHEDULED:
      return earlier_ns(start_deadline_ns(act), close_deadline_ns(act));
    case PB_ACTIVITY_STATE_STARTED:
      return earlier_ns(close_deadline_ns(act),
                        earlier_ns(run_deadline_ns(act), heartbeat_deadline_ns(act)));
    default:
      return act->next_attempt_time;
  }
}

const pb_Priority *activity_priority(const engine_run *run, const activity *act, arena *a) {
  return priority_inherited(act->scheduled->priority, run_priority(run), a);
}

void activity_update(engine_run *run, engine_item *it) {
  const activity *act = item_msg(it);
  const engine_host *h = run->tx.st->host;
  store_queued queued = {0};
  if (act->state == PB_ACTIVITY_STATE_SCHEDULED && !act->pause) {
    queued.queue = h->queue_key(h->ctx, run->ns, act->scheduled->task_queue->name,
                                ENGINE_ACTIVITY_TASK, false);
    queued.priority = priority_level(activity_priority(run, act, run->tx.arena));
    queued.seq = act->seq;
  }
  item_set_due(run, it, activity_due_ns(act), queued);
}

void activity_ready_task(engine_run *run, engine_item *it, engine_step *st) {
  step_task(st, (engine_task){.kind = ENGINE_ACTIVITY_TASK, .id = it->id, .queued = it->queued});
}

void activity_offer(engine_run *run, engine_item *it) {
  activity *act = item_edit(run, it);
  act->state = PB_ACTIVITY_STATE_SCHEDULED;
  act->seq = run->tx.st->host->next_seq(run->tx.st->host->ctx);
  activity_update(run, it);
  activity_ready_task(run, it, run->tx.st);
}

engine_item *activity_add(engine_run *run, pb_HistoryEvent *ev) {
  pb_ActivityTaskScheduledEventAttributes *s = ev->activity_task_scheduled_event_attributes;
  activity *act = item_new(run, ev->event_id, PB_ITEM_KIND_ACTIVITY, s->activity_id);
  act->scheduled = s;
  act->state = PB_ACTIVITY_STATE_SCHEDULED;
  act->attempt = 1;
  act->first_scheduled_time = act->scheduled_time = run->tx.now_ns;
  return item_by_id(run, ev->event_id, PB_ITEM_KIND_ACTIVITY);
}

/* --- the end --- */

static void append_started(engine_run *run, const engine_item *it) {
  const activity *act = item_msg(it);
  tx *t = &run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_STARTED, activity_task_started_event_attributes,
        ActivityTaskStartedEventAttributes);
  ev->event_time = pb_time_new(t->arena, act->started_time);
  attrs->scheduled_event_id = it->id;
  attrs->identity = act->started_identity;
  attrs->request_id = act->request_id;
  attrs->attempt = act->attempt;
  attrs->last_failure = act->last_failure;
  attrs->worker_version = act->worker_version;
  tx_buffer(run, ev);
}

void activity_close(engine_run *run, engine_item *it, pb_HistoryEvent *closing) {
  const activity *act = item_msg(it);
  if (act->state == PB_ACTIVITY_STATE_STARTED) append_started(run, it);
  tx_buffer(run, closing);
  item_delete(run, it);
}

static void close_timed_out(engine_run *run, engine_item *it, const attempt_end *end,
                            int32_t retry_state) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_TIMED_OUT, activity_task_timed_out_event_attributes,
        ActivityTaskTimedOutEventAttributes);
  attrs->failure = (pb_Failure *)end->failure;
  attrs->scheduled_event_id = it->id;
  attrs->retry_state = retry_state;
  activity_close(run, it, ev);
}

void activity_close_failed(engine_run *run, engine_item *it, const attempt_end *end,
                           int32_t retry_state) {
  const activity *act = item_msg(it);
  ledger_add(run, it,
             &(ledger_entry){.ended_time = run->tx.now_ns,
                             .failure = end->failure,
                             .worker_identity = act->started_identity,
                             .retry_state = retry_state});
  if (end->timeout_type) {
    close_timed_out(run, it, end, retry_state);
    return;
  }
  tx *t = &run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_FAILED, activity_task_failed_event_attributes,
        ActivityTaskFailedEventAttributes);
  attrs->failure = (pb_Failure *)end->failure;
  attrs->scheduled_event_id = it->id;
  attrs->identity = end->identity;
  attrs->retry_state = retry_state;
  activity_close(run, it, ev);
}

/* What the next attempt is told. A timeout says nothing of the attempts before it: their chain
 * would grow with every one. */
static pb_Failure *between_attempts(const attempt_end *end, arena *a) {
  if (!end->timeout_type || !end->failure) return (pb_Failure *)end->failure;
  return failure_timeout(a, end->timeout_type, end->failure->message, NULL, SPAN_NONE);
}

/* A paused activity waits however many attempts it had, unless it must not be tried again. */
static retry_choice choose_retry(const engine_run *run, const activity *act,
                                 const attempt_end *end) {
  const pb_RetryPolicy *policy = act->scheduled->retry_policy;
  if (act->pause && failure_is_retryable(end->failure, policy)) {
    return (retry_choice){.retry_state = PB_RETRY_STATE_IN_PROGRESS};
  }
  return retry_decide(&(retry_question){.policy = policy,
                                        .attempt = act->attempt,
                                        .failure = end->failure,
                                        .now_ns = run->tx.now_ns,
                                        .deadline_ns = close_deadline_ns(act)});
}

int32_t activity_retry(engine_run *run, engine_item *it, const attempt_end *end) {
  const activity *now = item_msg(it);
  if (now->cancel_requested_id) return PB_RETRY_STATE_CANCEL_REQUESTED;
  if (end->timeout_type == PB_TIMEOUT_TYPE_SCHEDULE_TO_START ||
      end->timeout_type == PB_TIMEOUT_TYPE_SCHEDULE_TO_CLOSE) {
    return PB_RETRY_STATE_TIMEOUT;
  }
  retry_choice choice = choose_retry(run, now, end);
  if (choice.retry_state != PB_RETRY_STATE_IN_PROGRESS) return choice.retry_state;
  ledger_add(run, it,
             &(ledger_entry){.ended_time = run->tx.now_ns,
                             .failure = end->failure,
                             .worker_identity = now->started_identity,
                             .retry_state = choice.retry_state,
                             .next_delay = choice.delay_ns});
  activity *act = item_edit(run, it);
  act->state = act->pause ? PB_ACTIVITY_STATE_SCHEDULED : PB_ACTIVITY_STATE_BACKOFF;
  act->attempt++;
  act->last_failure = between_attempts(end, run->tx.arena);
  act->last_worker_identity = act->started_identity;
  if (!end->timeout_type) act->last_completed_time = run->tx.now_ns;
  act->next_attempt_time = run->tx.now_ns + choice.delay_ns;
  act->scheduled_time = act->next_attempt_time;
  act->retry_interval = choice.delay_ns;
  act->last_retry_state = choice.retry_state;
  act->started_time = 0;
  act->request_id = SPAN_NONE;
  if (act->reset_heartbeat) {
    act->heartbeat_details = SPAN_NONE;
    act->last_heartbeat_time = 0;
  }
  act->reset = act->reset_heartbeat = false;
  activity_update(run, it);
  return choice.retry_state;
}

/* --- time --- */

static const char *timeout_name(int32_t type) {
  switch (type) {
    case PB_TIMEOUT_TYPE_START_TO_CLOSE:
      return "StartToClose";
    case PB_TIMEOUT_TYPE_SCHEDULE_TO_START:
      return "ScheduleToStart";
    case PB_TIMEOUT_TYPE_SCHEDULE_TO_CLOSE:
      return "ScheduleToClose";
    default:
      return "Heartbeat";
  }
}

/* Which timeout has passed; of several at once the first of this order. */
static int32_t passed_timeout(const activity *act, int64_t now) {
  const bool running = act->state == PB_ACTIVITY_STATE_STARTED;
  const struct {
    int64_t deadline;
    int32_t type;
  } order[] = {{running ? 0 : start_deadline_ns(act), PB_TIMEOUT_TYPE_SCHEDULE_TO_START},
               {close_deadline_ns(act), PB_TIMEOUT_TYPE_SCHEDULE_TO_CLOSE},
               {running ? run_deadline_ns(act) : 0, PB_TIMEOUT_TYPE_START_TO_CLOSE},
               {running ? heartbeat_deadline_ns(act) : 0, PB_TIMEOUT_TYPE_HEARTBEAT}};
  int32_t type = 0;
  int64_t first = INT64_MAX;
  for (size_t i = 0; i < ARRAY_LEN(order); i++) {
    if (order[i].deadline && order[i].deadline <= now && order[i].deadline < first) {
      first = order[i].deadline;
      type = order[i].type;
    }
  }
  return type;
}

/* No time for another attempt: whatever timed out, it is the whole activity that did. */
static void give_up(engine_run *run, attempt_end *end, const activity *act) {
  end->timeout_type = PB_TIMEOUT_TYPE_SCHEDULE_TO_CLOSE;
  end->failure = failure_timeout(
      run->tx.arena, end->timeout_type,
      SPAN("Not enough time to schedule next retry before activity ScheduleToClose timeout, giving "
           "up retrying"),
      act->last_failure, act->heartbeat_details);
}

static void time_out(engine_run *run, engine_item *it, int32_t type) {
  const activity *act = item_msg(it);
  arena *a = run->tx.arena;
  attempt_end end = {.timeout_type = type};
  end.failure = failure_timeout(a, type, arena_spanf(a, "activity %s timeout", timeout_name(type)),
                                act->last_failure, act->heartbeat_details);
  int32_t state = activity_retry(run, it, &end);
  if (state == PB_RETRY_STATE_IN_PROGRESS) return;
  if (state == PB_RETRY_STATE_TIMEOUT && type != PB_TIMEOUT_TYPE_SCHEDULE_TO_START) {
    give_up(run, &end, act);
  }
  activity_close_failed(run, it, &end, state);
}

bool activity_fire(engine_run *run, engine_item *it) {
  const activity *act = item_msg(it);
  if (act->state == PB_ACTIVITY_STATE_BACKOFF) {
    if (act->next_attempt_time <= run->tx.now_ns) activity_offer(run, it);
    return false;
  }
  int32_t type = passed_timeout(act, run->tx.now_ns);
  if (!type) return false;
  run->tx.st->lazy = false;
  time_out(run, it, type);
  return it->deleted;
}

/* wft.c - the workflow task: scheduled, started, failed, timed out.
 *
 *   none --schedule--> scheduled --start--> started --complete--> none
 *                        |  ^                 |
 *    sticky queue silent |  '--- fail, time out (attempt + 1 unless the sticky queue was in use)
 *                        '-> scheduled on the normal queue
 *
 * Three kinds of task differ in where their Scheduled and Started events are:
 *
 *   normal       attempt 1           written to history as it happens (a start up to 100 ms later)
 *   transient    a later attempt     shown to workers with the ids they would get, written when the
 *                                    task completes; the row knows the task
 *   speculative  made for an update  shown likewise; only memory knows the task. It becomes normal
 *                                    as soon as anything else is written (wft_settle), and leaves
 *                                    no trace if its worker rejects all updates
 *
 * In `state`: scheduled_id 0 is "none", started_id 0 "not started", wft_written false "transient or
 * speculative"; run->unwritten tells these two apart.
 */
#include "engine/update.h"

static const int64_t retry_backoff_first_ns = 5 * NS_PER_SEC;
static const int64_t retry_backoff_most_ns = 600 * NS_PER_SEC;
/* Nobody takes a speculative task from the normal queue for so long: it becomes a normal one. */
static const int64_t speculative_timeout_ns = 5 * NS_PER_SEC;

bool wft_is_transient(const engine_run *run) {
  return run->state.wft_scheduled_id && !run->state.wft_written;
}

bool wft_is_speculative(const engine_run *run) { return run->unwritten == WFT_ALL_UNWRITTEN; }

bool engine_task_is_speculative(const engine_run *run) { return wft_is_speculative(run); }

int64_t wft_deadline_ns(const engine_run *run, int32_t *ret_type) {
  const pb_store_RunState *s = &run->state;
  *ret_type = PB_TIMEOUT_TYPE_SCHEDULE_TO_START;
  if (s->wft_started_id) {
    *ret_type = PB_TIMEOUT_TYPE_START_TO_CLOSE;
    return s->wft_started_time + s->wft_timeout;
  }
  if (s->wft_on_sticky) return s->wft_scheduled_time + s->sticky_timeout;
  return wft_is_speculative(run) ? s->wft_scheduled_time + speculative_timeout_ns : 0;
}

/* SDKs report only the first failure of a task and then stay silent, so the timeout that grows is
 * what spaces the attempts. */
static int64_t attempt_timeout_ns(const engine_run *run, int32_t attempt) {
  int64_t more = 0;
  if (attempt > 3) {
    int doublings = MIN(attempt - 4, 20);
    more = MIN(retry_backoff_first_ns << doublings, retry_backoff_most_ns);
  }
  return run->info->task_timeout + more;
}

static span queue_name(const engine_run *run, bool sticky) {
  return sticky ? run->state.sticky_queue : run->info->started->task_queue->name;
}

store_queued wft_place(engine_run *run, bool sticky) {
  const engine_host *h = run->tx.st->host;
  return (store_queued){
      .queue = h->queue_key(h->ctx, run->ns, queue_name(run, sticky), ENGINE_WORKFLOW_TASK, sticky),
      .priority = priority_level(run_priority(run)),
      .seq = run->state.wft_seq};
}

static pb_TaskQueue *task_queue(const engine_run *run, arena *a, bool sticky) {
  pb_TaskQueue *q = pb_new(a, TaskQueue);
  q->name = queue_name(run, sticky);
  q->kind = sticky ? PB_TASK_QUEUE_KIND_STICKY : PB_TASK_QUEUE_KIND_NORMAL;
  if (sticky) q->normal_name = queue_name(run, false);
  return q;
}

static void offer(engine_run *run, bool sticky) {
  run->wft_queued = wft_place(run, sticky);
  run->state.wft_on_sticky = sticky;
  store_queued normal = sticky ? wft_place(run, false) : (store_queued){0};
  step_task(run->tx.st, (engine_task){.kind = ENGINE_WORKFLOW_TASK,
                                      .queued = run->wft_queued,
                                      .sticky_fallback = normal.queue});
}

static pb_HistoryEvent *scheduled_event(engine_run *run, bool sticky) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_TASK_SCHEDULED, workflow_task_scheduled_event_attributes,
        WorkflowTaskScheduledEventAttributes);
  attrs->task_queue = task_queue(run, t->arena, sticky);
  attrs->start_to_close_timeout = pb_duration_new(t->arena, run->state.wft_timeout);
  attrs->attempt = run->state.wft_attempt;
  return ev;
}

static void schedule(engine_run *run, bool speculative) {
  pb_store_RunState *s = &run->state;
  s->first_backoff_until = 0;
  s->wft_attempt = MAX(s->wft_attempt, 1);
  s->wft_timeout = attempt_timeout_ns(run, s->wft_attempt);
  s->wft_scheduled_time = run->tx.now_ns;
  if (!s->wft_original_time) s->wft_original_time = run->tx.now_ns;
  bool sticky = s->wft_attempt == 1 && s->sticky_queue.n > 0;
  s->wft_written = s->wft_attempt == 1 && !speculative;
  s->wft_scheduled_id = s->next_event_id;
  if (s->wft_written) tx_append(run, scheduled_event(run, sticky));
  if (speculative) run->unwritten = WFT_ALL_UNWRITTEN;
  s->wft_seq = run->tx.st->host->next_seq(run->tx.st->host->ctx);
  offer(run, sticky);
}

void wft_schedule(engine_run *run, bool despite_backoff) {
  pb_store_RunState *s = &run->state;
  if (!run_is_open(run) || s->wft_scheduled_id) return;
  if (s->first_backoff_until && !despite_backoff) return;
  if (run_has_buffered(run)) {
    tx_flush_buffer(run);
    s->wft_attempt = 1;
  }
  schedule(run, false);
}

void wft_speculate(engine_run *run, engine_step *st) {
  if (!run_is_open(run) || run->state.wft_scheduled_id || !updates_wait(run)) return;
  tx_begin(run, st);
  ASSERT(!run_has_buffered(run) && run->state.wft_attempt <= 1);
  schedule(run, true);
  tx_end_unwritten(run);
}

void wft_wake(engine_run *run) {
  tx_settle_buffer(run);
  wft_schedule(run, false);
}

void wft_clear(engine_run *run) {
  pb_store_RunState *s = &run->state;
  s->wft_scheduled_id = s->wft_started_id = 0;
  s->wft_started_time = s->wft_original_time = 0;
  s->wft_written = s->wft_on_sticky = false;
  run->unwritten = WFT_WRITTEN;
  run->wft_queued = (store_queued){0};
}

void wft_clear_sticky(engine_run *run) {
  run->state.sticky_queue = SPAN_NONE;
  run->state.sticky_timeout = 0;
}

/* --- start --- */

/* Events arrived after a transient task was scheduled: it becomes a normal one, written now. */
static void make_normal_if_stale(engine_run *run) {
  pb_store_RunState *s = &run->state;
  if (s->wft_written || s->wft_scheduled_id == s->next_event_id) return;
  s->wft_attempt = 1;
  s->wft_timeout = attempt_timeout_ns(run, 1);
  s->wft_scheduled_id = s->next_event_id;
  s->wft_written = true;
  tx_append(run, scheduled_event(run, false));
}

pb_WorkerVersionStamp *poller_version(arena *a, const pb_WorkerVersionCapabilities *c) {
  if (!c || !c->build_id.n) return NULL;
  pb_WorkerVersionStamp *v = pb_new(a, WorkerVersionStamp);
  v->build_id = arena_dup(a, c->build_id);
  v->use_versioning = c->use_versioning;
  return v;
}

static void suggest_continue_as_new(engine_run *run, arena *a) {
  const engine_limits *l = run->tx.st->host->limits;
  pb_store_RunState *s = &run->state;
  s->wft_suggest_reasons.v = arena_array(a, int32_t, 3);
  s->wft_suggest_reasons.n = 0;
  if (s->history_bytes >= (int64_t)l->suggest_history_bytes) {
    s->wft_suggest_reasons.v[s->wft_suggest_reasons.n++] =
        PB_SUGGEST_CONTINUE_AS_NEW_REASON_HISTORY_SIZE_TOO_LARGE;
  }
  if (s->next_event_id - 1 >= l->suggest_history_events) {
    s->wft_suggest_reasons.v[s->wft_suggest_reasons.n++] =
        PB_SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_HISTORY_EVENTS;
  }
  if (updates_count(run) >= l->updates * 9 / 10) {
    s->wft_suggest_reasons.v[s->wft_suggest_reasons.n++] =
        PB_SUGGEST_CONTINUE_AS_NEW_REASON_TOO_MANY_UPDATES;
  }
  s->wft_suggest_continue_as_new = s->wft_suggest_reasons.n > 0;
}

static pb_HistoryEvent *started_event(engine_run *run) {
  tx *t = &run->tx;
  pb_store_RunState *s = &run->state;
  EVENT(t, ev, attrs, WORKFLOW_TASK_STARTED, workflow_task_started_event_attributes,
        WorkflowTaskStartedEventAttributes);
  ev->event_time = pb_time_new(t->arena, s->wft_started_time);
  attrs->scheduled_event_id = s->wft_scheduled_id;
  attrs->identity = s->wft_identity;
  attrs->request_id = s->wft_request_id;
  attrs->history_size_bytes = s->wft_history_bytes;
  attrs->suggest_continue_as_new = s->wft_suggest_continue_as_new;
  attrs->suggest_continue_as_new_reasons.v = s->wft_suggest_reasons.v;
  attrs->suggest_continue_as_new_reasons.n = s->wft_suggest_reasons.n;
  attrs->worker_version = s->worker_version;
  return ev;
}

bool engine_start_came_at_once(const pb_WorkflowTaskStartedEventAttributes *start) {
  bool is_eager = !start->history_size_bytes; /* there was no history yet */
  return is_eager || span_eq(start->request_id, HANDED_BACK);
}

/* The start is kept in memory (its strings in start_arena) until the run is written next. */
void wft_start_now(engine_run *run, const engine_poller *p, int64_t now_ns) {
  pb_store_RunState *s = &run->state;
  arena *own = &run->start_arena;
  arena_reset(own);
  suggest_continue_as_new(run, own);
  s->wft_history_bytes = p->eager ? 0 : s->history_bytes;
  s->wft_started_time = now_ns;
  s->wft_identity = arena_dup(own, p->identity);
  s->wft_request_id = arena_dup(own, p->request_id);
  s->worker_version = poller_version(own, p->version);
  if (!p->sticky && s->sticky_queue.n) wft_clear_sticky(run);
  s->wft_started_id = s->wft_written ? s->next_event_id : s->wft_scheduled_id + 1;
  run->from_sticky = s->wft_on_sticky && p->sticky;
  s->wft_on_sticky = false;
  if (s->wft_written) run->unwritten = WFT_START_UNWRITTEN;
  run->wft_queued = (store_queued){0};
}

/* Of a speculative task: whether its Scheduled event names the sticky queue. */
static bool names_sticky(const engine_run *run) {
  if (!wft_is_speculative(run)) return false;
  return run->state.wft_started_id ? run->from_sticky : run->state.wft_on_sticky;
}

static pb_HistoryEvent *unwritten_scheduled_event(engine_run *run) {
  pb_HistoryEvent *ev = scheduled_event(run, names_sticky(run));
  ev->event_time = pb_time_new(run->tx.arena, run->state.wft_scheduled_time);
  return ev;
}

void wft_settle(engine_run *run) {
  if (!run->unwritten) return;
  pb_HistoryEvent *scheduled = wft_is_speculative(run) ? unwritten_scheduled_event(run) : NULL;
  run->unwritten = WFT_WRITTEN;
  if (scheduled) {
    ASSERT(run->state.next_event_id == run->state.wft_scheduled_id);
    run->state.wft_written = true;
    tx_append(run, scheduled);
  }
  if (!run->state.wft_started_id) return;
  ASSERT(run->state.next_event_id == run->state.wft_started_id);
  tx_append(run, started_event(run));
}

void wft_settle_last(engine_run *run) {
  if (wft_is_speculative(run) && !run->state.wft_started_id) wft_clear(run);
  wft_settle(run);
}

void wft_drop_speculative(engine_run *run) {
  run_recall_state(run);
  run->unwritten = WFT_WRITTEN;
  run->wft_queued = (store_queued){0};
}

void engine_write_speculative(engine_run *run, engine_step *st) {
  if (!wft_is_speculative(run)) return;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  tx_finish(run);
}

void wft_write_transient(engine_run *run) {
  if (run->state.wft_written) return;
  ASSERT(run->state.next_event_id == run->state.wft_scheduled_id);
  tx_append(run, unwritten_scheduled_event(run));
  tx_append(run, started_event(run));
  run->state.wft_written = true;
}

static void number_event(pb_HistoryEvent *ev, int64_t id, bool will_be_written) {
  ev->event_id = id;
  if (will_be_written) ev->task_id = history_task_id(id);
}

/* Events of the pending task that are not in history, with the ids they would get. */
static span unwritten_events(const engine_run *run, arena *a) {
  const pb_store_RunState *s = &run->state;
  /* Building an event needs a time and an arena, not a transaction under way. */
  engine_run view = *run;
  view.tx = (tx){.arena = a, .now_ns = s->wft_scheduled_time};
  pb_HistoryEvent *v[2];
  pb_History h = {0};
  h.events.v = v;
  if (!s->wft_written) {
    v[h.events.n] = unwritten_scheduled_event(&view);
    number_event(v[h.events.n++], s->wft_scheduled_id, false);
  }
  if (s->wft_started_id && (run->unwritten || !s->wft_written)) {
    v[h.events.n] = started_event(&view);
    number_event(v[h.events.n++], s->wft_started_id, s->wft_written);
  }
  return h.events.n ? PB_ENCODE(History, &h, a) : SPAN_NONE;
}

span engine_transient_events(const engine_run *run, arena *a) {
  if (!wft_is_transient(run) || run->state.wft_scheduled_id != run->state.next_event_id) {
    return SPAN_NONE;
  }
  /* Only the worker itself is shown its name there. */
  engine_run view = *run;
  view.state.wft_identity = SPAN_NONE;
  return unwritten_events(&view, a);
}

void wft_fill(engine_run *run, arena *a, bool sticky, engine_wft *ret) {
  const pb_store_RunState *s = &run->state;
  pb_PollWorkflowTaskQueueResponse *r = pb_new(a, PollWorkflowTaskQueueResponse);
  r->workflow_execution = pb_new(a, WorkflowExecution);
  r->workflow_execution->workflow_id = run->info->workflow_id;
  r->workflow_execution->run_id = run->info->run_id;
  r->workflow_type = run->info->started->workflow_type;
  r->previous_started_event_id = s->last_completed_started_id;
  r->started_event_id = s->wft_started_id;
  r->attempt = s->wft_attempt;
  r->workflow_execution_task_queue = task_queue(run, a, false);
  r->scheduled_time = pb_time_new(a, s->wft_scheduled_time);
  r->started_time = pb_time_new(a, s->wft_started_time);
  *ret = (engine_wft){.token = {.scheduled_id = s->wft_scheduled_id,
                                .started_id = s->wft_started_id,
                                .attempt = s->wft_attempt,
                                .started_time_ns = s->wft_started_time},
                      .response = r,
                      .history_from_id = sticky ? s->last_completed_started_id + 1 : 1,
                      .history_until_id = s->next_event_id,
                      .unwritten = unwritten_events(run, a)};
}

err *engine_wft_start(engine_run *run, engine_step *st, const engine_poller *p,
                      engine_wft *ret_wft) {
  if (!run_is_open(run) || !run->state.wft_scheduled_id || run->state.wft_started_id) {
    return wft_not_found(st->arena);
  }
  /* A worker of a queue that was left has not the run's past. */
  if (p->sticky && !run->state.wft_on_sticky) return wft_not_found(st->arena);
  tx_begin(run, st);
  make_normal_if_stale(run);
  if (run->tx.events.n) {
    st->lazy = false; /* the worker is about to see them */
    tx_finish(run);
    tx_begin(run, st);
  }
  wft_start_now(run, p, run->tx.now_ns);
  wft_fill(run, st->arena, p->sticky, ret_wft);
  updates_send(run, st->arena, &ret_wft->response->messages);
  tx_end_unwritten(run);
  return NULL;
}

bool engine_wft_first_again(engine_run *run, arena *a, engine_wft *ret_wft) {
  const pb_store_RunState *s = &run->state;
  if (s->wft_started_id != 3 || s->wft_attempt != 1) return false;
  wft_fill(run, a, false, ret_wft);
  updates_send(run, a, &ret_wft->response->messages);
  return true;
}

bool engine_wft_is_current(const engine_run *run, const engine_token *token) {
  const pb_store_RunState *s = &run->state;
  if (!run_is_open(run) || !s->wft_scheduled_id || s->wft_scheduled_id != token->scheduled_id ||
      s->wft_attempt != token->attempt) {
    return false;
  }
  if (s->wft_started_id) {
    return s->wft_started_id == token->started_id && s->wft_started_time == token->started_time_ns;
  }
  /* The start was forgotten in a crash: the answer still counts if nothing took its place. */
  if (wft_is_speculative(run) || token->started_time_ns < s->wft_scheduled_time) return false;
  if (!s->wft_written && s->wft_scheduled_id != s->next_event_id) return false;
  int64_t would_be = s->wft_written ? s->next_event_id : s->wft_scheduled_id + 1;
  return would_be == token->started_id && token->started_time_ns > 0;
}

err *engine_wft_unstart(engine_run *run, engine_step *st, const engine_token *token) {
  pb_store_RunState *s = &run->state;
  bool in_history = s->wft_written && !run->unwritten;
  if (!s->wft_started_id || in_history || !engine_wft_is_current(run, token)) {
    return wft_not_found(st->arena);
  }
  updates_unsend(run);
  if (wft_is_speculative(run)) {
    wft_drop_speculative(run);
    wft_speculate(run, st);
    return NULL;
  }
  /* As it was before; but a transient start became known to the row if events were buffered. */
  run_recall_state(run);
  run->unwritten = WFT_WRITTEN;
  tx_begin(run, st);
  bool known = s->wft_started_id != 0;
  s->wft_started_id = 0;
  s->wft_started_time = 0;
  offer(run, s->wft_on_sticky);
  if (known) {
    tx_finish(run);
  } else {
    tx_end_unwritten(run);
  }
  return NULL;
}

bool engine_settle(engine_run *run, engine_step *st) {
  if (run->unwritten != WFT_START_UNWRITTEN) return false;
  tx_begin(run, st);
  wft_settle(run);
  tx_finish(run);
  return true;
}

/* --- failure and timeout --- */

/* A task whose worker had the run cached gets another normal attempt elsewhere, and so does one
 * that does not count; otherwise the next attempt is transient. */
static void next_attempt(engine_run *run, bool counts) {
  pb_store_RunState *s = &run->state;
  bool was_sticky = s->sticky_queue.n > 0;
  int32_t attempt = s->wft_attempt;
  wft_clear(run);
  wft_clear_sticky(run);
  s->wft_failures++;
  s->wft_attempt = was_sticky || !counts ? attempt : attempt + 1;
  wft_schedule(run, true);
}

static void append_failed(engine_run *run, int32_t cause, const pb_Failure *failure, span identity,
                          span binary_checksum) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_TASK_FAILED, workflow_task_failed_event_attributes,
        WorkflowTaskFailedEventAttributes);
  attrs->scheduled_event_id = run->state.wft_scheduled_id;
  attrs->started_event_id = run->state.wft_started_id;
  attrs->cause = cause;
  attrs->failure = (pb_Failure *)failure;
  attrs->identity = identity;
  attrs->binary_checksum = binary_checksum;
  tx_append(run, ev);
}

void wft_fail_last(engine_run *run, int32_t cause, const pb_Failure *failure, span identity) {
  append_failed(run, cause, failure, identity, SPAN_NONE);
  wft_clear(run);
}

void wft_failed(engine_run *run, int32_t cause, const pb_Failure *failure, span identity,
                span binary_checksum) {
  pb_store_RunState *s = &run->state;
  if (failure) {
    arena *a = run->tx.arena;
    size_t limit = run->tx.st->host->limits->blob_bytes;
    failure = failure_fit_depth(failure_fit_bytes(failure, limit, a), a);
  }
  if (s->wft_written) append_failed(run, cause, failure, identity, binary_checksum);
  s->last_wft_failed_cause = cause;
  s->last_wft_timeout_type = 0;
  s->last_wft_failure = (pb_Failure *)failure;
  s->close_attempted = cause == PB_WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND;
  next_attempt(run, cause != PB_WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND);
}

void wft_failed_full(engine_run *run) {
  pb_store_RunState *s = &run->state;
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND;
  if (s->wft_written) append_failed(run, cause, NULL, SPAN_NONE, SPAN_NONE);
  s->last_wft_failed_cause = cause;
  s->last_wft_timeout_type = 0;
  s->last_wft_failure = NULL;
  tx_flush_buffer(run);
  next_attempt(run, true);
}

static void timed_out(engine_run *run, int32_t type) {
  tx *t = &run->tx;
  pb_store_RunState *s = &run->state;
  if (s->wft_written) {
    EVENT(t, ev, attrs, WORKFLOW_TASK_TIMED_OUT, workflow_task_timed_out_event_attributes,
          WorkflowTaskTimedOutEventAttributes);
    attrs->scheduled_event_id = s->wft_scheduled_id;
    attrs->started_event_id = s->wft_started_id;
    attrs->timeout_type = type;
    tx_append(run, ev);
  }
  s->last_wft_failed_cause = 0;
  s->last_wft_timeout_type = type;
  s->last_wft_failure = NULL;
  s->close_attempted = false;
  next_attempt(run, type == PB_TIMEOUT_TYPE_START_TO_CLOSE);
}

err *wft_heartbeat_over(engine_run *run) {
  timed_out(run, PB_TIMEOUT_TYPE_START_TO_CLOSE);
  return engine_not_found(run->tx.arena, "workflow task heartbeat timeout");
}

void wft_fire(engine_run *run, int32_t timeout_type) {
  const pb_store_RunState *s = &run->state;
  if (s->first_backoff_until && s->first_backoff_until <= run->tx.now_ns) {
    wft_schedule(run, true);
  } else if (s->wft_scheduled_id) {
    timed_out(run, timeout_type);
  }
}

void wft_adopt(engine_run *run, const engine_token *token, span identity) {
  if (run->state.wft_started_id) return;
  engine_poller forgotten = {.identity = identity, .sticky = true};
  wft_start_now(run, &forgotten, token->started_time_ns);
}

err *engine_wft_fail(engine_run *run, engine_step *st, const engine_token *token,
                     const pb_RespondWorkflowTaskFailedRequest *r) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  if (!engine_wft_is_current(run, token)) return wft_not_found(st->arena);
  st->lazy = false;
  tx_begin(run, st);
  wft_adopt(run, token, r->identity);
  wft_settle(run);
  if (r->cause == PB_WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE) {
    run_force_terminate(run, SPAN("GrpcMessageTooLarge"), SPAN_NONE);
  } else {
    wft_failed(run, r->cause, r->failure, r->identity, r->binary_checksum);
  }
  tx_finish(run);
  return NULL;
}

void engine_wft_leave_sticky(engine_run *run, engine_step *st) {
  if (!run_is_open(run) || !run->state.wft_on_sticky || run->state.wft_started_id) return;
  tx_begin(run, st);
  offer(run, false);
  if (wft_is_speculative(run)) {
    tx_end_unwritten(run);
  } else {
    tx_finish(run);
  }
}

void engine_reset_sticky(engine_run *run, engine_step *st) {
  if (!run_is_open(run) || !run->state.sticky_queue.n) return;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  if (run->state.wft_on_sticky && !run->state.wft_started_id) offer(run, false);
  wft_clear_sticky(run);
  tx_finish(run);
}

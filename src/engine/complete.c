/* complete.c - RespondWorkflowTaskCompleted: all of its commands, or a failed workflow task. */
#include "engine/command.h"
#include "engine/update.h"
#include "proto/pb_payload.h"

static const int64_t heartbeat_limit_ns = 30 * 60 * NS_PER_SEC;

/* A type that does not exist, or anything after a closing command, is answered and otherwise
 * ignored: the task stays in flight. */
static err *check_sequence(arena *a, const pb_RespondWorkflowTaskCompletedRequest *r) {
  const command_rule *closing = NULL;
  for (size_t i = 0; i < r->commands.n; i++) {
    const command_rule *rule = command_find(r->commands.v[i]->command_type);
    if (!rule) {
      int32_t type = r->commands.v[i]->command_type;
      return type ? ERR(a, INVALID_ARGUMENT, "unknown command type: %d", type)
                  : ERR(a, INVALID_ARGUMENT, "unknown command type: Unspecified");
    }
    if (!closing && rule->closes && i + 1 < r->commands.n) closing = rule;
  }
  if (!closing) return NULL;
  const char *names = "";
  for (size_t i = 0; i < r->commands.n; i++) {
    names = arena_printf(a, "%s%s%s", names, i ? ", " : "",
                         command_find(r->commands.v[i]->command_type)->name);
  }
  return ERR(a, INVALID_ARGUMENT,
             "invalid command sequence: [%s], command %s must be the last command.", names,
             closing->name);
}

static void take_sticky(engine_run *run, const pb_StickyExecutionAttributes *sticky) {
  pb_store_RunState *s = &run->state;
  if (!sticky || !sticky->worker_task_queue || !sticky->worker_task_queue->name.n) {
    wft_clear_sticky(run);
    return;
  }
  /* The same name stays where it is, so that nothing has changed. */
  span name = sticky->worker_task_queue->name;
  if (!span_eq(s->sticky_queue, name)) s->sticky_queue = name;
  s->sticky_timeout = pb_duration_ns(sticky->schedule_to_start_timeout);
}

void wft_note_completed(engine_run *run, const pb_HistoryEvent *ev) {
  const pb_WorkflowTaskCompletedEventAttributes *done =
      ev->workflow_task_completed_event_attributes;
  pb_store_RunState *s = &run->state;
  s->last_completed_started_id = done->started_event_id;
  s->completed_wfts++;
  s->wft_attempt = 1;
  s->wft_failures = 0;
  s->last_wft_failure = NULL;
  s->last_wft_failed_cause = s->last_wft_timeout_type = 0;
  s->close_attempted = false;
  wft_clear(run);
  reset_point_note(run, ev->event_id, done->binary_checksum,
                   done->worker_version ? done->worker_version->build_id : SPAN_NONE);
  if (done->worker_version) s->worker_version = done->worker_version;
  if (done->sdk_metadata && done->sdk_metadata->sdk_name.n) {
    s->worker_sdk_name = done->sdk_metadata->sdk_name;
    s->worker_sdk_version = done->sdk_metadata->sdk_version;
  }
}

/* WorkflowTaskCompleted, and the task is over. */
static int64_t append_completed(engine_run *run, const pb_RespondWorkflowTaskCompletedRequest *r) {
  tx *t = &run->tx;
  pb_store_RunState *s = &run->state;
  wft_write_transient(run);
  EVENT(t, ev, attrs, WORKFLOW_TASK_COMPLETED, workflow_task_completed_event_attributes,
        WorkflowTaskCompletedEventAttributes);
  attrs->scheduled_event_id = s->wft_scheduled_id;
  attrs->started_event_id = s->wft_started_id;
  attrs->identity = r->identity;
  attrs->binary_checksum = r->binary_checksum;
  attrs->worker_version = r->worker_version_stamp;
  attrs->sdk_metadata = r->sdk_metadata;
  attrs->metering_metadata = r->metering_metadata;
  tx_append(run, ev);
  wft_note_completed(run, ev);
  take_sticky(run, r->sticky_attributes);
  return ev->event_id;
}

/* An empty completion that asks for a new task keeps a long local activity alive, for a while. */
static bool is_heartbeat(const pb_RespondWorkflowTaskCompletedRequest *r) {
  return r->force_create_new_workflow_task && r->commands.n == 0 && r->messages.n == 0;
}

/* The first event after `before`, NULL being the beginning. */
static pb_HistoryEvent *event_after(const tx_events *events, const tx_event_node *before) {
  const tx_event_node *n = before ? before->next : events->first;
  return n ? n->event : NULL;
}

/* What a command says of itself for people goes to the event that it becomes. */
static err *apply_command(command_ctx *c, const command_rule *rule, const pb_Command *cmd) {
  tx *t = &c->run->tx;
  const tx_event_node *last = t->events.last, *last_buffered = t->buffered.last;
  TRY(rule->apply(c, cmd));
  pb_HistoryEvent *ev = event_after(&t->events, last);
  if (!ev) ev = event_after(&t->buffered, last_buffered);
  if (!ev) return NULL;
  ev->user_metadata = cmd->user_metadata;
  ev->event_group_markers = cmd->event_group_markers;
  return NULL;
}

static err *apply_commands(command_ctx *c) {
  const pb_RespondWorkflowTaskCompletedRequest *r = c->request;
  for (size_t i = 0; i < r->commands.n; i++) {
    const command_rule *rule = command_find(r->commands.v[i]->command_type);
    if (!rule->apply) {
      return command_refuse(c, PB_WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
                            "%s is not supported by this version of the server", rule->name);
    }
    TRY(apply_command(c, rule, r->commands.v[i]));
  }
  if (!run_is_open(c->run)) return NULL;
  if (!is_heartbeat(r)) TRY(messages_take_rest(c));
  updates_take_repeats(c->run);
  return NULL;
}

/* The completion is refused: its changes are forgotten and the task fails, visibly on the first
 * attempt; a later attempt is left in flight until it times out, except that events which arrived
 * must reach the worker. */
static void fail_completion(command_ctx *c, const engine_token *token, const err *e) {
  engine_run *run = c->run;
  engine_step *st = run->tx.st;
  arena *a = st->arena;
  tx_rollback(run);
  wft_adopt(run, token, c->request->identity);
  wft_settle(run);
  updates_abort(run, UPDATE_ABORT_TASK_BROKEN);
  const char *cause = failed_cause_name(c->fail_cause, a);
  const char *text = e->what[0] ? arena_printf(a, "%s: %s", cause, e->what) : cause;
  st->reply_err = ERR(a, INVALID_ARGUMENT, "%s", text);
  bool unhandled = c->fail_cause == PB_WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND && !e->what[0];
  if (wft_is_transient(run) && !unhandled) return;
  const pb_Failure *f = failure_server(a, span_cstr(text), false);
  if (c->terminate) {
    wft_fail_last(run, c->fail_cause, f, c->request->identity);
    run_force_terminate(run, span_cstr(text), SPAN_NONE);
  } else {
    wft_failed(run, c->fail_cause, f, c->request->identity, c->request->binary_checksum);
  }
}

/* Fewer events than these, without any that waited, are hardly larger than their request, which the
 * transport has limited: they are not measured. */
enum { MEASURED_EVENTS = 32 };

/* Everything that the completion writes becomes one row. */
static err *check_transaction(const engine_run *run) {
  const tx *t = &run->tx;
  if (!t->saved.buffered_count && t->events.n < MEASURED_EVENTS) return NULL;
  size_t limit = t->st->host->limits->transaction_bytes, n = tx_events_bytes(run);
  if (n <= limit) return NULL;
  return ERR(t->arena, INVALID_ARGUMENT, "transaction size of %zu bytes exceeds limit of %zu bytes",
             n, limit);
}

/* The completion is forgotten and the run ends, with the events that waited. */
static void end_oversized(engine_run *run, const engine_token *token, span identity, err *e) {
  arena *a = run->tx.arena;
  tx_rollback(run);
  wft_adopt(run, token, identity);
  wft_settle(run);
  span details = pb_json_payloads(a, arena_spanf(a, "\"%s\"", e->what));
  run_force_terminate(run, SPAN("Transaction size exceeds limit."), details);
  run->tx.st->reply_err = e;
  tx_finish(run);
}

static bool heartbeat_is_over(const engine_run *run) {
  const pb_store_RunState *s = &run->state;
  return s->wft_original_time && run->tx.now_ns - s->wft_original_time > heartbeat_limit_ns;
}

static void hand_back_next(engine_run *run, const pb_RespondWorkflowTaskCompletedRequest *r,
                           engine_completion *done) {
  engine_step *st = run->tx.st;
  engine_poller p = {.identity = r->identity, .request_id = HANDED_BACK, .sticky = true};
  pb_WorkerVersionCapabilities caps = {0};
  if (r->worker_version_stamp) {
    caps.build_id = r->worker_version_stamp->build_id;
    p.version = &caps;
  }
  st->n_tasks--; /* started here, so nobody else may get it */
  tx_finish(run);
  wft_start_now(run, &p, run->tx.now_ns);
  wft_fill(run, st->arena, true, &done->next);
  updates_send(run, st->arena, &done->next.response->messages);
}

/* The events of the next task, after those that waited. True: there is one. */
static bool schedule_next(engine_run *run, const command_ctx *c, int64_t original_time) {
  const pb_RespondWorkflowTaskCompletedRequest *r = c->request;
  bool more = r->force_create_new_workflow_task || run_has_buffered(run) || c->wake;
  if (!run_is_open(run) || !(more || updates_wait(run))) return false;
  if (is_heartbeat(r)) run->state.wft_original_time = original_time;
  tx_flush_buffer(run);
  wft_schedule(run, true);
  return true;
}

static void finish(engine_run *run, const pb_RespondWorkflowTaskCompletedRequest *r, bool has_next,
                   engine_completion *done) {
  if (has_next && r->return_new_workflow_task) {
    hand_back_next(run, r, done);
  } else {
    tx_finish(run);
  }
}

/* --- a speculative task that leaves no trace --- */

/* Events that a worker has seen and that would have to be sent once more. */
enum { MOST_EVENTS_AGAIN = 20 };

static bool may_drop(const engine_run *run, const pb_RespondWorkflowTaskCompletedRequest *r) {
  if (!wft_is_speculative(run) || r->commands.n || r->force_create_new_workflow_task) return false;
  if (!messages_only_reject(r)) return false;
  const pb_store_RunState *s = &run->state;
  /* Between the last completed task's start and this task: its completion, then others. */
  int64_t events = s->wft_scheduled_id - s->last_completed_started_id - 2;
  const pb_RespondWorkflowTaskCompletedRequest_Capabilities *can = r->capabilities;
  bool goes_back = can && can->discard_speculative_workflow_task_with_events;
  return events <= 0 || (goes_back && events < MOST_EVENTS_AGAIN);
}

/* False: its messages are not valid, so that the task has to fail like any other. */
static bool drop_task(engine_run *run, engine_step *st,
                      const pb_RespondWorkflowTaskCompletedRequest *r, engine_completion *done) {
  command_ctx c = {.run = run, .request = r, .taken = arena_array(st->arena, bool, r->messages.n)};
  tx_begin(run, st);
  if (messages_take_rest(&c)) {
    tx_abandon(run);
    return false;
  }
  tx_end_unwritten(run);
  wft_drop_speculative(run);
  tx_begin(run, st);
  take_sticky(run, r->sticky_attributes);
  finish(run, r, schedule_next(run, &c, 0), done);
  done->response->reset_history_event_id = run->state.last_completed_started_id;
  return true;
}

/* All that the worker asked for is done. */
static void finish_completion(command_ctx *c, const engine_token *token, int64_t original_time,
                              engine_completion *done) {
  engine_run *run = c->run;
  engine_step *st = run->tx.st;
  bool has_next = schedule_next(run, c, original_time);
  err *e = check_transaction(run);
  if (e) {
    end_oversized(run, token, c->request->identity, e);
    return;
  }
  finish(run, c->request, has_next, done);
  run_check_limits(run, st);
  if (!run_is_open(run)) done->next = (engine_wft){0};
}

err *engine_wft_complete(engine_run *run, engine_step *st, const engine_token *token,
                         const pb_RespondWorkflowTaskCompletedRequest *r,
                         engine_completion *ret_done) {
  arena *a = st->arena;
  if (!engine_wft_is_current(run, token)) return wft_not_found(a);
  TRY(check_sequence(a, r));
  TRY(messages_check(r, a));
  engine_completion done = {.response = pb_new(a, RespondWorkflowTaskCompletedResponse)};
  if (may_drop(run, r) && drop_task(run, st, r, &done)) {
    *ret_done = done;
    return NULL;
  }
  int64_t original_time = run->state.wft_original_time;
  st->lazy = false;
  tx_begin(run, st);
  wft_adopt(run, token, r->identity);
  wft_settle(run);
  if (is_heartbeat(r) && heartbeat_is_over(run)) {
    st->reply_err = wft_heartbeat_over(run);
    tx_finish(run);
    *ret_done = done;
    return NULL;
  }
  command_ctx c = {.run = run, .request = r, .taken = arena_array(a, bool, r->messages.n)};
  c.completed_event_id = append_completed(run, r);
  err *e = apply_commands(&c);
  if (e && c.keeps_task) {
    tx_abandon(run);
    st->lazy = true;
    return e;
  }
  if (e) {
    fail_completion(&c, token, e);
    tx_finish(run);
  } else {
    finish_completion(&c, token, original_time, &done);
  }
  *ret_done = done;
  return NULL;
}

/* close.c - the end of a run: completed, failed, cancelled, continued, terminated, timed out. */
#include "engine/command.h"
#include "engine/update.h"

static const int64_t least_run_ns = NS_PER_SEC; /* between the starts of two runs of a chain */

bool run_is_open(const engine_run *run) {
  return run->state.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
}

/* Pending activities stay to be described, but nothing will happen to them. */
static void settle_items(engine_run *run) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_TIMER, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) item_delete(run, items[i]);
  items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) item_set_due(run, items[i], 0, (store_queued){0});
  if (run->outside.n) {
    children_close(run);
    externals_close(run);
  }
}

static int64_t delete_time_ns(const engine_run *run) {
  const engine_host *h = run->tx.st->host;
  int64_t kept = h->retention_ns ? h->retention_ns(h->ctx, run_namespace(run)) : 0;
  return kept ? run->tx.now_ns + kept : 0;
}

void run_end(engine_run *run, int32_t status) {
  run->state.status = status;
  run->state.close_time = run->tx.now_ns;
  run->state.delete_time = delete_time_ns(run);
  run->tx.st->closed = true;
}

void run_close(engine_run *run, int32_t status, pb_HistoryEvent *close_event) {
  tx_append(run, close_event);
  tx_drop_buffer(run);
  settle_items(run);
  child_result_keep(run, close_event);
  failing_closed(run, status, close_event);
  callbacks_close(run, close_event);
  run->wft_queued = (store_queued){0};
  run->state.first_backoff_until = 0;
  run->state.close_event_batch_id = run->tx.first_event_id;
  run_end(run, status);
  updates_close(run);
}

/* --- the run after this one --- */

static void new_run(engine_run *run, follow_args *f) {
  const engine_host *h = run->tx.st->host;
  h->new_run(h->ctx, run->tx.arena, &f->run, &f->run_id);
  run->state.new_run_id = f->run_id;
  /* A delay does not count as life, unless it was cut short; what a reset took over does. */
  const pb_store_RunInfo *i = run->info;
  int64_t now = run->tx.now_ns, planned = i->execution_time;
  int64_t lifetime = now - (i->began_time    ? i->began_time
                            : planned <= now ? planned
                                             : i->start_time);
  if (lifetime + f->backoff_ns < least_run_ns) f->backoff_ns = least_run_ns - lifetime;
}

static follow_args same_again(const engine_run *run) {
  const pb_WorkflowExecutionStartedEventAttributes *s = run->info->started;
  return (follow_args){.attempt = s->attempt + 1,
                       .workflow_type = s->workflow_type->name,
                       .input = s->input,
                       .task_queue = s->task_queue,
                       .run_timeout_ns = pb_duration_ns(s->workflow_run_timeout),
                       .task_timeout_ns = run->info->task_timeout,
                       .header = s->header,
                       .memo = s->memo,
                       .search_attributes = s->search_attributes,
                       .retry_policy = s->retry_policy,
                       .cron_schedule = s->cron_schedule};
}

/* Whether the run is tried again after this failure; then `ret_follow` says how. */
static int32_t decide_retry(engine_run *run, const pb_Failure *failure, bool timed_out,
                            follow_args *ret_follow) {
  const pb_WorkflowExecutionStartedEventAttributes *s = run->info->started;
  retry_question q = {.policy = s->retry_policy,
                      .attempt = s->attempt,
                      .failure = failure,
                      .now_ns = run->tx.now_ns,
                      .deadline_ns = run->info->execution_deadline,
                      .delay_is_capped = true};
  retry_choice choice = retry_decide(&q);
  if (choice.retry_state != PB_RETRY_STATE_IN_PROGRESS) return choice.retry_state;
  *ret_follow = same_again(run);
  ret_follow->initiator = PB_CONTINUE_AS_NEW_INITIATOR_RETRY;
  ret_follow->backoff_ns = choice.delay_ns;
  ret_follow->continued_failure = failure_fit_depth(failure, run->tx.arena);
  if (timed_out) ret_follow->last_completion_result = s->last_completion_result;
  new_run(run, ret_follow);
  ret_follow->shown_backoff = pb_duration_new(run->tx.arena, ret_follow->backoff_ns);
  return choice.retry_state;
}

/* A run on a cron schedule is followed by the next one, however it ended. A failure leaves the last
 * result as it was. */
static void decide_cron(engine_run *run, span result, const pb_Failure *failure,
                        follow_args *ret_follow) {
  const pb_WorkflowExecutionStartedEventAttributes *s = run->info->started;
  int64_t backoff = start_cron_backoff_ns(run->tx.st, s->cron_schedule, run->info->execution_time);
  if (backoff == CRON_NEVER) return;
  *ret_follow = same_again(run);
  ret_follow->attempt = 1;
  ret_follow->initiator = PB_CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE;
  ret_follow->backoff_ns = backoff;
  ret_follow->last_completion_result = failure ? s->last_completion_result : result;
  ret_follow->continued_failure = failure ? failure_fit_depth(failure, run->tx.arena) : NULL;
  new_run(run, ret_follow);
  ret_follow->shown_backoff = pb_duration_new(run->tx.arena, ret_follow->backoff_ns);
}

/* A failed run is tried again by its retry policy, or else follows its cron schedule. Tells the
 * retry state; `ret_follow->run` is 0 when nothing follows. */
static int32_t decide_next(engine_run *run, const pb_Failure *failure, bool timed_out,
                           follow_args *ret_follow) {
  int32_t state = decide_retry(run, failure, timed_out, ret_follow);
  if (state != PB_RETRY_STATE_IN_PROGRESS) decide_cron(run, SPAN_NONE, failure, ret_follow);
  return state;
}

/* --- commands --- */

/* What arrived while the task ran must be seen before the run may end. */
static err *check_nothing_waits(command_ctx *c) {
  if (!run_has_unseen(c->run)) return NULL;
  return command_refuse(c, PB_WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, "%s", "");
}

err *command_complete_run(command_ctx *c, const pb_Command *cmd) {
  TRY(check_nothing_waits(c));
  COMMAND_NEEDS(c, cmd, complete_workflow_execution_command_attributes,
                BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES, "CompleteWorkflowExecution");
  const pb_CompleteWorkflowExecutionCommandAttributes *in =
      cmd->complete_workflow_execution_command_attributes;
  tx *t = &c->run->tx;
  /* The original reports this under the cause of an activity's input. */
  TRY(command_check_bytes(c, in->result.n, t->st->host->limits->blob_bytes,
                          PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
                          "CompleteWorkflowExecutionCommandAttributes.Result"));
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_COMPLETED, workflow_execution_completed_event_attributes,
        WorkflowExecutionCompletedEventAttributes);
  attrs->result = in->result;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  follow_args follow = {0};
  decide_cron(c->run, in->result, NULL, &follow);
  attrs->new_execution_run_id = follow.run_id;
  run_close(c->run, PB_WORKFLOW_EXECUTION_STATUS_COMPLETED, ev);
  if (follow.run) start_follower(c->run, &follow);
  return NULL;
}

err *command_fail_run(command_ctx *c, const pb_Command *cmd) {
  TRY(check_nothing_waits(c));
  COMMAND_NEEDS(c, cmd, fail_workflow_execution_command_attributes,
                BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES, "FailWorkflowExecution");
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES;
  const pb_Failure *failure = cmd->fail_workflow_execution_command_attributes->failure;
  tx *t = &c->run->tx;
  if (!failure)
    return command_refuse(c, cause, "Failure is not set on FailWorkflowExecutionCommand.");
  TRY(command_check_bytes(c, pb_encoded_bytes(&pb_Failure_desc, failure),
                          t->st->host->limits->blob_bytes, cause,
                          "FailWorkflowExecutionCommandAttributes.Failure"));
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_FAILED, workflow_execution_failed_event_attributes,
        WorkflowExecutionFailedEventAttributes);
  follow_args follow = {0};
  attrs->failure = failure_fit_depth(failure, t->arena);
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->retry_state = decide_next(c->run, failure, false, &follow);
  attrs->new_execution_run_id = follow.run_id;
  run_close(c->run, PB_WORKFLOW_EXECUTION_STATUS_FAILED, ev);
  if (follow.run) start_follower(c->run, &follow);
  return NULL;
}

err *command_cancel_run(command_ctx *c, const pb_Command *cmd) {
  TRY(check_nothing_waits(c));
  COMMAND_NEEDS(c, cmd, cancel_workflow_execution_command_attributes,
                BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES, "CancelWorkflowExecution");
  tx *t = &c->run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_CANCELED, workflow_execution_canceled_event_attributes,
        WorkflowExecutionCanceledEventAttributes);
  attrs->details = cmd->cancel_workflow_execution_command_attributes->details;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  run_close(c->run, PB_WORKFLOW_EXECUTION_STATUS_CANCELED, ev);
  return NULL;
}

/* Why the attributes of a continue-as-new are not valid, or NULL. */
static const char *continue_problem(const pb_ContinueAsNewWorkflowExecutionCommandAttributes *in,
                                    arena *a) {
  const struct {
    const pb_Duration *d;
    const char *name;
  } durations[] = {{in->workflow_run_timeout, "WorkflowRunTimeout"},
                   {in->workflow_task_timeout, "WorkflowTaskTimeout"},
                   {in->backoff_start_interval, "BackoffStartInterval"}};
  for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
    const char *why = duration_problem(durations[i].d);
    if (why) {
      return arena_printf(a, "Invalid %s on ContinueAsNewWorkflowExecutionCommand: %s.",
                          durations[i].name, why);
    }
  }
  const char *why = retry_policy_problem(in->retry_policy, a);
  return why ? arena_printf(a,
                            "invalid WorkflowRetryPolicy on ContinueAsNewWorkflowExecutionCommand: "
                            "%s.",
                            why)
             : NULL;
}

static const char *continue_queue_problem(const pb_TaskQueue *q, arena *a) {
  if (!q) return NULL;
  const char *why = NULL;
  if (span_starts_with(q->name, SPAN("/_sys/"))) {
    why = "task queue name cannot start with reserved prefix /_sys/";
  } else if (q->name.n > ID_LIMIT_BYTES) {
    why = "taskQueue length exceeds limit";
  }
  return why ? arena_printf(
                   a, "error validating ContinueAsNewWorkflowExecutionCommand TaskQueue: %s.", why)
             : NULL;
}

static err *check_continue(command_ctx *c,
                           const pb_ContinueAsNewWorkflowExecutionCommandAttributes *in,
                           pb_SearchAttributes **ret_known) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_CONTINUE_AS_NEW_ATTRIBUTES;
  const pb_WorkflowExecutionStartedEventAttributes *s = c->run->info->started;
  arena *a = c->run->tx.arena;
  span type = in->workflow_type && in->workflow_type->name.n ? in->workflow_type->name
                                                             : s->workflow_type->name;
  span queue =
      in->task_queue && in->task_queue->name.n ? in->task_queue->name : s->task_queue->name;
  if (type.n > ID_LIMIT_BYTES) {
    return command_refuse(c, cause,
                          "WorkflowType on ContinueAsNewWorkflowExecutionCommand exceeds length "
                          "limit. WorkflowType=%.*s Length=%zu Limit=%d",
                          SPAN_ARG(type), type.n, ID_LIMIT_BYTES);
  }
  if (in->inherit_build_id && !span_eq(queue, s->task_queue->name)) {
    return command_refuse(c, cause, "%s",
                          "ContinueAsNew with UseCompatibleVersion cannot run on different task "
                          "queue.");
  }
  const char *why = continue_queue_problem(in->task_queue, a);
  if (!why) why = continue_problem(in, a);
  if (why) {
    return command_refuse(c, cause,
                          "%s WorkflowType=%.*s TaskQueue=name:\"%.*s\"  "
                          "kind:TASK_QUEUE_KIND_NORMAL",
                          why, SPAN_ARG(type), SPAN_ARG(queue));
  }
  TRY(command_check_search_attributes(c, in->search_attributes, false, ret_known));
  return command_check_bytes(c, in->input.n, c->run->tx.st->host->limits->blob_bytes, cause,
                             "ContinueAsNewWorkflowExecutionCommandAttributes. Input");
}

/* The next run's timeouts are held to those around them: chain, run, task. */
static void cap_timeouts(const engine_run *run, follow_args *f) {
  int64_t chain = pb_duration_ns(run->info->started->workflow_execution_timeout);
  f->run_timeout_ns = earlier_ns(f->run_timeout_ns, chain);
  f->task_timeout_ns = MIN(f->task_timeout_ns, 120 * NS_PER_SEC);
  f->task_timeout_ns = earlier_ns(f->task_timeout_ns, f->run_timeout_ns);
}

static void continue_how(const engine_run *run,
                         const pb_ContinueAsNewWorkflowExecutionCommandAttributes *in,
                         follow_args *f) {
  arena *a = run->tx.arena;
  *f = same_again(run);
  f->attempt = 1;
  f->initiator = in->initiator ? in->initiator : PB_CONTINUE_AS_NEW_INITIATOR_WORKFLOW;
  f->backoff_ns = pb_duration_ns(in->backoff_start_interval);
  f->shown_backoff = in->backoff_start_interval;
  if (in->workflow_type && in->workflow_type->name.n) f->workflow_type = in->workflow_type->name;
  if (in->task_queue && in->task_queue->name.n) f->task_queue = in->task_queue;
  f->task_queue = PB_COPY(TaskQueue, f->task_queue, a);
  f->task_queue->kind = PB_TASK_QUEUE_KIND_NORMAL;
  f->input = in->input;
  f->header = in->header;
  f->memo = in->memo;
  f->retry_policy = retry_policy_filled(in->retry_policy, a);
  f->cron_schedule = in->cron_schedule;
  f->last_completion_result = in->last_completion_result;
  f->continued_failure = in->failure ? failure_fit_depth(in->failure, a) : NULL;
  if (pb_duration_ns(in->workflow_run_timeout)) {
    f->run_timeout_ns = pb_duration_ns(in->workflow_run_timeout);
  }
  if (pb_duration_ns(in->workflow_task_timeout)) {
    f->task_timeout_ns = pb_duration_ns(in->workflow_task_timeout);
  }
  cap_timeouts(run, f);
}

err *command_continue_as_new(command_ctx *c, const pb_Command *cmd) {
  TRY(check_nothing_waits(c));
  COMMAND_NEEDS(c, cmd, continue_as_new_workflow_execution_command_attributes,
                BAD_CONTINUE_AS_NEW_ATTRIBUTES, "ContinueAsNewWorkflowExecution");
  const pb_ContinueAsNewWorkflowExecutionCommandAttributes *in =
      cmd->continue_as_new_workflow_execution_command_attributes;
  pb_SearchAttributes *known;
  TRY(check_continue(c, in, &known));
  engine_run *run = c->run;
  tx *t = &run->tx;
  follow_args f;
  continue_how(run, in, &f);
  f.search_attributes = known;
  new_run(run, &f);
  if (f.backoff_ns) f.shown_backoff = pb_duration_new(t->arena, f.backoff_ns);
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        workflow_execution_continued_as_new_event_attributes,
        WorkflowExecutionContinuedAsNewEventAttributes);
  attrs->new_execution_run_id = f.run_id;
  attrs->workflow_type = pb_new(t->arena, WorkflowType);
  attrs->workflow_type->name = f.workflow_type;
  attrs->task_queue = f.task_queue;
  attrs->input = f.input;
  attrs->workflow_run_timeout = pb_duration_new(t->arena, f.run_timeout_ns);
  attrs->workflow_task_timeout = pb_duration_new(t->arena, f.task_timeout_ns);
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->backoff_start_interval = in->backoff_start_interval;
  attrs->initiator = in->initiator;
  attrs->failure = (pb_Failure *)f.continued_failure;
  attrs->last_completion_result = in->last_completion_result;
  attrs->header = in->header;
  attrs->memo = in->memo;
  attrs->search_attributes = known;
  attrs->inherit_build_id = in->inherit_build_id;
  run_close(run, PB_WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, ev);
  start_follower(run, &f);
  return NULL;
}

/* --- from outside --- */

/* A normal task in flight is failed first, so that what was buffered can be written. */
static void end_task_in_flight(engine_run *run) {
  if (run->state.wft_started_id && run->state.wft_written) {
    wft_fail_last(run, PB_WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND, NULL,
                  SPAN("history-service"));
  }
  if (run->state.wft_started_id) wft_clear(run);
  tx_flush_buffer(run);
}

static void terminate(engine_run *run, const engine_terminate_args *args) {
  end_task_in_flight(run);
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_TERMINATED, workflow_execution_terminated_event_attributes,
        WorkflowExecutionTerminatedEventAttributes);
  attrs->reason = args->reason;
  attrs->details = args->details;
  attrs->identity = args->identity;
  ev->links.v = (pb_Link **)(uintptr_t)args->links;
  ev->links.n = args->n_links;
  run_close(run, PB_WORKFLOW_EXECUTION_STATUS_TERMINATED, ev);
}

void run_force_terminate(engine_run *run, span reason, span details) {
  terminate(run, &(engine_terminate_args){
                     .reason = reason, .details = details, .identity = SPAN("history-service")});
}

err *engine_terminate(engine_run *run, engine_step *st, const engine_terminate_args *args) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  st->lazy = false;
  tx_begin(run, st);
  wft_settle_last(run);
  run->tx.by_reset = args->by_reset;
  terminate(run, args);
  tx_finish(run);
  return NULL;
}

/* What others must hear of the run comes first. */
static void delete_later(engine_run *run, engine_step *st) {
  tx_begin(run, st);
  run->state.delete_time = run->tx.now_ns + NS_PER_SEC;
  st->lazy = false;
  tx_finish(run);
}

void run_delete(engine_run *run, engine_step *st) {
  if (run_has_messages(run)) {
    delete_later(run, st);
    return;
  }
  engine_discard(run, st);
}

void engine_discard(engine_run *run, engine_step *st) {
  *step_row(st) = (store_row){.kind = ROW_RUN_DELETE, .run = run->run, .ns = run->ns};
  st->lazy = false;
  st->deleted = true;
}

void engine_delete(engine_run *run, engine_step *st) {
  if (!run_is_open(run)) {
    run_delete(run, st);
    return;
  }
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  run_force_terminate(run, SPAN("Delete workflow execution"), SPAN_NONE);
  run->state.delete_time = run->tx.now_ns + NS_PER_SEC;
  tx_finish(run);
}

void run_timed_out(engine_run *run) {
  end_task_in_flight(run);
  tx *t = &run->tx;
  const pb_Failure *f = failure_timeout(t->arena, PB_TIMEOUT_TYPE_START_TO_CLOSE,
                                        SPAN("workflow timeout"), NULL, SPAN_NONE);
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_TIMED_OUT, workflow_execution_timed_out_event_attributes,
        WorkflowExecutionTimedOutEventAttributes);
  follow_args follow = {0};
  bool chain_is_over = run->info->execution_deadline && run->info->execution_deadline <= t->now_ns;
  attrs->retry_state = chain_is_over ? PB_RETRY_STATE_TIMEOUT : decide_next(run, f, true, &follow);
  attrs->new_execution_run_id = follow.run_id;
  run_close(run, PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT, ev);
  if (follow.run) start_follower(run, &follow);
}

/* Of what the run's state holds beside failures. */
static size_t state_bytes(const engine_run *run) {
  const pb_store_RunState *s = &run->state;
  size_t n = run->detail_bytes;
  if (s->memo) n += pb_encoded_bytes(&pb_Memo_desc, s->memo);
  if (s->search_attributes) n += pb_encoded_bytes(&pb_SearchAttributes_desc, s->search_attributes);
  return n;
}

void run_check_limits(engine_run *run, engine_step *st) {
  const engine_limits *l = st->host->limits;
  const pb_store_RunState *s = &run->state;
  if (!run_is_open(run)) return;
  span reason = SPAN_NONE;
  if (s->next_event_id - 1 > l->history_events) {
    reason = SPAN("Workflow history count exceeds limit.");
  } else if (s->history_bytes > (int64_t)l->history_bytes) {
    reason = SPAN("Workflow history size exceeds limit.");
  } else if (state_bytes(run) > l->state_bytes) {
    reason = SPAN("Workflow mutable state size exceeds limit.");
  }
  if (!reason.n) return;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle_last(run);
  run_force_terminate(run, reason, SPAN_NONE);
  tx_finish(run);
}

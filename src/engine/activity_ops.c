/* activity_ops.c - what workers and clients say of an activity: started, done, failed, alive. */
#include "engine/activity.h"

#define GONE "invalid activityID or activity already timed out or invoking workflow is completed"

/* --- start --- */

static bool is_last_attempt(const activity *act) {
  int32_t most = act->scheduled->retry_policy ? act->scheduled->retry_policy->maximum_attempts : 0;
  return most > 0 && act->attempt >= most;
}

static void fill(engine_run *run, const engine_item *it, arena *a, engine_activity *ret) {
  const activity *act = item_msg(it);
  const pb_ActivityTaskScheduledEventAttributes *s = act->scheduled;
  pb_PollActivityTaskQueueResponse *r = pb_new(a, PollActivityTaskQueueResponse);
  r->workflow_namespace = run->info->namespace_name;
  r->workflow_type = run->info->started->workflow_type;
  r->workflow_execution = pb_new(a, WorkflowExecution);
  r->workflow_execution->workflow_id = run->info->workflow_id;
  r->workflow_execution->run_id = run->info->run_id;
  r->activity_type = s->activity_type;
  r->activity_id = s->activity_id;
  r->header = s->header;
  r->input = s->input;
  r->heartbeat_details = act->heartbeat_details;
  r->scheduled_time = pb_time_new(a, act->first_scheduled_time);
  r->current_attempt_scheduled_time = pb_time_new(a, act->scheduled_time);
  r->started_time = pb_time_new(a, act->started_time);
  r->attempt = act->attempt;
  r->schedule_to_close_timeout = s->schedule_to_close_timeout;
  r->start_to_close_timeout = s->start_to_close_timeout;
  r->heartbeat_timeout = s->heartbeat_timeout;
  r->retry_policy = s->retry_policy;
  r->priority = (pb_Priority *)activity_priority(run, act, a);
  *ret = (engine_activity){.token = {.scheduled_id = it->id,
                                     .attempt = act->attempt,
                                     .started_time_ns = act->started_time},
                           .response = r};
}

static void mark_started(engine_run *run, engine_item *it, const engine_poller *p, int64_t at_ns) {
  activity *act = item_edit(run, it);
  act->state = PB_ACTIVITY_STATE_STARTED;
  act->started_time = act->last_started_time = at_ns;
  act->started_identity = act->last_worker_identity = p->identity;
  act->request_id = p->request_id;
  act->worker_version = poller_version(run->tx.arena, p->version);
  activity_update(run, it);
}

err *engine_activity_start(engine_run *run, engine_step *st, int64_t scheduled_id, int64_t seq,
                           const engine_poller *p, engine_activity *ret) {
  engine_item *it = item_by_id(run, scheduled_id, PB_ITEM_KIND_ACTIVITY);
  const activity *act = it ? item_msg(it) : NULL;
  if (!run_is_open(run) || !act || act->state != PB_ACTIVITY_STATE_SCHEDULED || !it->queued.queue ||
      it->queued.seq != seq) {
    return engine_not_found(st->arena, GONE);
  }
  tx_begin(run, st);
  mark_started(run, it, p, run->tx.now_ns);
  tx_finish(run);
  act = item_msg(it);
  /* At most once is at most once over a crash too. */
  if (is_last_attempt(act)) st->lazy = false;
  fill(run, it, st->arena, ret);
  return NULL;
}

/* The attempt a token speaks of. A start that a crash forgot still counts if nothing took its
 * place. */
static bool token_holds(const activity *act, const engine_token *token) {
  if (act->attempt != token->attempt) return false;
  if (act->state == PB_ACTIVITY_STATE_STARTED) return act->started_time == token->started_time_ns;
  /* Nor may the end of the backoff before it have been remembered. An operator may have begun
   * anew since. */
  return token->started_time_ns >= act->scheduled_time;
}

err *engine_activity_unstart(engine_run *run, engine_step *st, const engine_token *token) {
  engine_item *it = item_by_id(run, token->scheduled_id, PB_ITEM_KIND_ACTIVITY);
  const activity *act = it ? item_msg(it) : NULL;
  if (!run_is_open(run) || !act || act->state != PB_ACTIVITY_STATE_STARTED ||
      !token_holds(act, token)) {
    return engine_not_found(st->arena, GONE);
  }
  tx_begin(run, st);
  activity *edit = item_edit(run, it);
  edit->state = PB_ACTIVITY_STATE_SCHEDULED;
  edit->started_time = 0;
  activity_update(run, it);
  activity_ready_task(run, it, st);
  tx_finish(run);
  return NULL;
}

/* --- the activity that is meant --- */

static err *find(engine_run *run, engine_step *st, engine_activity_ref ref, engine_item **ret) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  engine_item *it = ref.token ? item_by_id(run, ref.token->scheduled_id, PB_ITEM_KIND_ACTIVITY)
                              : item_by_name(run, PB_ITEM_KIND_ACTIVITY, ref.activity_id);
  if (!it && !ref.token) {
    return engine_not_found(st->arena,
                            arena_printf(st->arena,
                                         "cannot find pending activity with ActivityID %.*s, "
                                         "check workflow execution history for more details",
                                         SPAN_ARG(ref.activity_id)));
  }
  if (!it || (ref.token && !token_holds(item_msg(it), ref.token))) {
    return engine_not_found(st->arena, GONE);
  }
  *ret = it;
  return NULL;
}

/* Begins a step on an attempt that runs, reviving a start that was forgotten. */
static err *begin(engine_run *run, engine_step *st, engine_activity_ref ref, span identity,
                  engine_item **ret) {
  engine_item *it;
  TRY(find(run, st, ref, &it));
  const activity *act = item_msg(it);
  if (!ref.token && act->state != PB_ACTIVITY_STATE_STARTED)
    return engine_not_found(st->arena, GONE);
  tx_begin(run, st);
  if (act->state != PB_ACTIVITY_STATE_STARTED) {
    engine_poller forgotten = {.identity = identity};
    mark_started(run, it, &forgotten, ref.token->started_time_ns);
  }
  *ret = it;
  return NULL;
}

/* --- answers --- */

static void fail_for_good(engine_run *run, engine_item *it, span identity, span message) {
  const activity *act = item_msg(it);
  attempt_end end = {.failure = failure_server(run->tx.arena, message, true), .identity = identity};
  activity_close_failed(run, it, &end,
                        act->cancel_requested_id ? PB_RETRY_STATE_CANCEL_REQUESTED
                                                 : PB_RETRY_STATE_NON_RETRYABLE_FAILURE);
}

static void finish(engine_run *run) {
  run->tx.st->lazy = false;
  engine_step *st = run->tx.st;
  wft_settle(run);
  wft_wake(run);
  tx_finish(run);
  run_check_limits(run, st);
}

/* The worker that answers may be of another build than the one that took the task. */
static void note_version(engine_run *run, engine_item *it, const pb_WorkerVersionStamp *version) {
  if (!version) return;
  activity *act = item_edit(run, it);
  act->worker_version = (pb_WorkerVersionStamp *)version;
}

static void append_completed(engine_run *run, engine_item *it, span result, span identity) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_COMPLETED, activity_task_completed_event_attributes,
        ActivityTaskCompletedEventAttributes);
  attrs->result = result;
  attrs->scheduled_event_id = it->id;
  attrs->identity = identity;
  activity_close(run, it, ev);
}

err *engine_activity_complete(engine_run *run, engine_step *st, engine_activity_ref ref,
                              span result, span identity, const pb_WorkerVersionStamp *version) {
  engine_item *it;
  TRY(find(run, st, ref, &it));
  tx_begin(run, st);
  const activity *act = item_msg(it);
  if (act->state != PB_ACTIVITY_STATE_STARTED) {
    /* By id an activity may be completed before any worker took it. */
    engine_poller nobody = {.identity = identity};
    mark_started(run, it, &nobody, ref.token ? ref.token->started_time_ns : run->tx.now_ns);
  }
  note_version(run, it, version);
  if (result.n > st->host->limits->blob_bytes) {
    fail_for_good(run, it, identity, SPAN("Complete result exceeds size limit."));
  } else {
    append_completed(run, it, result, identity);
  }
  finish(run);
  return NULL;
}

err *engine_activity_fail(engine_run *run, engine_step *st, engine_activity_ref ref,
                          const pb_Failure *failure, span identity, span last_heartbeat_details,
                          const pb_WorkerVersionStamp *version) {
  engine_item *it;
  TRY(begin(run, st, ref, identity, &it));
  arena *a = st->arena;
  if (last_heartbeat_details.p) {
    activity *act = item_edit(run, it);
    act->heartbeat_details = last_heartbeat_details;
    act->last_heartbeat_time = run->tx.now_ns;
  }
  note_version(run, it, version);
  attempt_end end = {.identity = identity};
  if (failure) {
    end.failure = failure_fit_depth(failure_fit_bytes(failure, st->host->limits->blob_bytes, a), a);
  }
  int32_t state = activity_retry(run, it, &end);
  if (state == PB_RETRY_STATE_IN_PROGRESS) {
    st->lazy = false;
    tx_finish(run);
    run_check_limits(run, st);
    return NULL;
  }
  activity_close_failed(run, it, &end, state);
  finish(run);
  return NULL;
}

err *engine_activity_cancel(engine_run *run, engine_step *st, engine_activity_ref ref, span details,
                            span identity, const pb_WorkerVersionStamp *version) {
  engine_item *it;
  TRY(begin(run, st, ref, identity, &it));
  const activity *act = item_msg(it);
  if (!act->cancel_requested_id) {
    tx_abandon(run);
    return ERR(st->arena, INVALID_ARGUMENT,
               "unable to mark activity as canceled without activity being request canceled first");
  }
  /* As the original, which forgets the build of a worker that confirms a cancel. */
  ((activity *)item_edit(run, it))->worker_version = NULL;
  if (details.n > st->host->limits->blob_bytes) {
    fail_for_good(run, it, identity, SPAN("Cancel details exceed size limit."));
    finish(run);
    return NULL;
  }
  tx *t = &run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_CANCELED, activity_task_canceled_event_attributes,
        ActivityTaskCanceledEventAttributes);
  attrs->details = details;
  attrs->latest_cancel_requested_event_id = act->cancel_requested_id;
  attrs->scheduled_event_id = it->id;
  attrs->identity = identity;
  activity_close(run, it, ev);
  finish(run);
  return NULL;
}

err *engine_activity_heartbeat(engine_run *run, engine_step *st, engine_activity_ref ref,
                               span details, span identity, engine_heartbeat *ret) {
  engine_item *it;
  TRY(begin(run, st, ref, identity, &it));
  if (details.n > st->host->limits->blob_bytes) {
    fail_for_good(run, it, identity, SPAN("Heartbeat details exceed size limit."));
    finish(run);
    *ret = (engine_heartbeat){.cancel_requested = true};
    return NULL;
  }
  activity *act = item_edit(run, it);
  act->heartbeat_details = details;
  act->last_heartbeat_time = run->tx.now_ns;
  activity_update(run, it);
  *ret = (engine_heartbeat){.cancel_requested = act->cancel_requested_id != 0,
                            .paused = act->pause != NULL,
                            .reset = act->reset};
  tx_finish(run);
  run_check_limits(run, st);
  return NULL;
}

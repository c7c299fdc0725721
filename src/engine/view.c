/* view.c - what a run looks like from outside. */
#include "engine/activity.h"

const pb_store_RunInfo *engine_info(const engine_run *run) { return run->info; }

bool engine_task_in_memory(const engine_run *run) {
  return run->unwritten || (run->state.wft_started_id && !run->state.wft_written);
}

void engine_look(const engine_run *run, engine_view *v) {
  const pb_store_RunState *s = &run->state;
  const pb_store_RunInfo *i = run->info;
  *v = (engine_view){.run = run->run,
                     .ns = run->ns,
                     .workflow_id = i->workflow_id,
                     .run_id = i->run_id,
                     .first_run_id = i->started->first_execution_run_id,
                     .request_id = i->request_id,
                     .workflow_type = i->started->workflow_type->name,
                     .task_queue = i->started->task_queue->name,
                     .new_run_id = s->new_run_id,
                     .reset_run_id = s->reset_run_id,
                     .status = s->status,
                     .next_event_id = s->next_event_id,
                     .close_event_batch_id = s->close_event_batch_id,
                     .completed_wfts = s->completed_wfts,
                     .last_completed_started_id = s->last_completed_started_id,
                     .wft_pending = run_is_open(run) && s->wft_scheduled_id != 0,
                     .wft_started = s->wft_started_id != 0,
                     .backoff = s->first_backoff_until != 0,
                     .backoff_until_ns = s->first_backoff_until,
                     .unsettled = run->unwritten == WFT_START_UNWRITTEN,
                     .wft_attempt = s->wft_attempt,
                     .wft_scheduled_id = s->wft_scheduled_id,
                     .sticky_queue = s->sticky_queue.n ? s->sticky_queue : SPAN_NONE,
                     .sticky_timeout_ns = s->sticky_timeout,
                     .start_time_ns = i->start_time,
                     .close_time_ns = s->close_time,
                     .history_bytes = s->history_bytes};
}

static void ready_workflow_task(engine_run *run, engine_step *st) {
  if (!run->wft_queued.queue || run->state.wft_started_id) return;
  engine_task task = {.kind = ENGINE_WORKFLOW_TASK, .queued = run->wft_queued};
  if (run->state.wft_on_sticky) {
    const engine_host *h = st->host;
    task.sticky_fallback = h->queue_key(h->ctx, run->ns, run->info->started->task_queue->name,
                                        ENGINE_WORKFLOW_TASK, false);
  }
  step_task(st, task);
}

void engine_ready_tasks(engine_run *run, engine_step *st) {
  size_t n;
  if (!run_is_open(run)) return;
  ready_workflow_task(run, st);
  engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, st->arena, &n);
  for (size_t i = 0; i < n; i++) {
    if (items[i]->queued.queue) activity_ready_task(run, items[i], st);
  }
}

/* --- describe --- */

static pb_WorkflowExecution *execution(const engine_run *run, arena *a) {
  pb_WorkflowExecution *e = pb_new(a, WorkflowExecution);
  e->workflow_id = run->info->workflow_id;
  e->run_id = run->info->run_id;
  return e;
}

static pb_WorkflowExecutionConfig *describe_config(const engine_run *run, arena *a) {
  const pb_WorkflowExecutionStartedEventAttributes *s = run->info->started;
  pb_WorkflowExecutionConfig *c = pb_new(a, WorkflowExecutionConfig);
  c->task_queue = s->task_queue;
  c->workflow_execution_timeout = s->workflow_execution_timeout;
  c->workflow_run_timeout = s->workflow_run_timeout;
  c->default_workflow_task_timeout = pb_duration_new(a, run->info->task_timeout);
  c->user_metadata = run->info->user_metadata;
  return c;
}

/* What lists and descriptions both tell. */
static pb_WorkflowExecutionInfo *common_info(const engine_run *run, arena *a) {
  const pb_store_RunInfo *i = run->info;
  const pb_store_RunState *s = &run->state;
  pb_WorkflowExecutionInfo *w = pb_new(a, WorkflowExecutionInfo);
  w->execution = w->root_execution = execution(run, a);
  if (i->started->parent_workflow_execution) {
    w->parent_namespace_id = i->started->parent_workflow_namespace_id;
    w->parent_execution = i->started->parent_workflow_execution;
    w->root_execution = i->started->root_workflow_execution;
  }
  w->type = i->started->workflow_type;
  w->start_time = pb_time_new(a, i->start_time);
  w->execution_time = pb_time_new(a, i->execution_time);
  w->close_time = pb_time_or_null(a, s->close_time);
  w->status = s->status;
  w->history_length = s->next_event_id - 1;
  w->history_size_bytes = s->history_bytes;
  w->state_transition_count = s->state_transitions;
  w->memo = s->memo ? s->memo : pb_new(a, Memo);
  w->search_attributes = search_attributes_all(run, a);
  w->task_queue = i->started->task_queue->name;
  if (s->close_time) w->execution_duration = pb_duration_new(a, s->close_time - i->execution_time);
  return w;
}

static pb_WorkflowExecutionInfo *describe_info(const engine_run *run, arena *a) {
  pb_WorkflowExecutionInfo *w = common_info(run, a);
  w->auto_reset_points = reset_points_all(run, a);
  w->most_recent_worker_version_stamp = run->state.worker_version;
  w->first_run_id = run->info->started->first_execution_run_id;
  w->priority = (pb_Priority *)(uintptr_t)run_priority(run);
  return w;
}

err *engine_list_entry(span info, span state, arena *a, pb_WorkflowExecutionInfo **ret) {
  engine_run run = {0};
  pb_store_RunState *s;
  err *e = PB_DECODE(store_RunInfo, arena_dup(a, info), a, &run.info);
  if (!e) e = PB_DECODE(store_RunState, arena_dup(a, state), a, &s);
  if (e || !info_is_whole(run.info)) return ERR(a, DATA_LOSS, "a stored run does not decode");
  run.state = *s;
  pb_WorkflowExecutionInfo *w = common_info(&run, a);
  if (run_is_open(&run)) {
    w->history_length = w->history_size_bytes = w->state_transition_count = 0;
  }
  *ret = w;
  return NULL;
}

static void add_request(pb_WorkflowExecutionExtendedInfo *x, span id, int32_t type,
                        int64_t event_id, arena *a) {
  pb_WorkflowExecutionExtendedInfo_RequestIdInfosEntry *e =
      pb_new(a, WorkflowExecutionExtendedInfo_RequestIdInfosEntry);
  e->key = id;
  e->value = pb_new(a, RequestIdInfo);
  e->value->event_type = type;
  e->value->event_id = event_id;
  e->value->buffered = event_id == 0;
  x->request_id_infos.v[x->request_id_infos.n++] = e;
}

static void describe_updates(const engine_run *run, pb_WorkflowExecutionExtendedInfo *x, arena *a) {
  size_t n;
  if (!run->updates_known) return;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_UPDATE, a, &n);
  for (size_t i = 0; i < n; i++) {
    const pb_store_UpdateItem *it = item_msg(items[i]);
    if (!it->request_id.n || !it->accepted_id) continue;
    add_request(x, it->request_id, PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
                it->accepted_id, a);
  }
}

static void describe_requests(const engine_run *run, pb_WorkflowExecutionExtendedInfo *x,
                              arena *a) {
  const pb_store_RunState *s = &run->state;
  x->request_id_infos.v = arena_array(a, pb_WorkflowExecutionExtendedInfo_RequestIdInfosEntry *,
                                      s->attached.n + (size_t)run->updates_known + 1);
  add_request(x, run->info->request_id, PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
              s->request_event_id ? s->request_event_id : 1, a);
  for (size_t i = 0; i < s->attached.n; i++) {
    add_request(x, s->attached.v[i]->request_id, PB_EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED,
                s->attached.v[i]->event_id, a);
  }
  describe_updates(run, x, a);
}

static pb_WorkflowExecutionExtendedInfo *describe_extended(const engine_run *run, arena *a) {
  const pb_store_RunInfo *i = run->info;
  pb_WorkflowExecutionExtendedInfo *x = pb_new(a, WorkflowExecutionExtendedInfo);
  x->execution_expiration_time = pb_time_or_null(a, i->execution_deadline);
  if (i->run_deadline) {
    x->run_expiration_time = pb_time_new(a, i->run_deadline);
  } else {
    /* "Never" is the zero time of the original's language. */
    x->run_expiration_time = pb_new(a, Timestamp);
    x->run_expiration_time->seconds = INT64_C(-62135596800);
  }
  x->cancel_requested = run->state.cancel_requested;
  x->last_reset_time = pb_time_or_null(a, run->state.last_reset_time);
  x->reset_run_id = run->state.reset_run_id;
  x->original_start_time = pb_time_new(a, i->first_run_start_time);
  describe_requests(run, x, a);
  return x;
}

static pb_PendingWorkflowTaskInfo *describe_wft(const engine_run *run, arena *a) {
  const pb_store_RunState *s = &run->state;
  if (!s->wft_scheduled_id) return NULL;
  pb_PendingWorkflowTaskInfo *p = pb_new(a, PendingWorkflowTaskInfo);
  p->state = s->wft_started_id ? PB_PENDING_WORKFLOW_TASK_STATE_STARTED
                               : PB_PENDING_WORKFLOW_TASK_STATE_SCHEDULED;
  p->scheduled_time = pb_time_new(a, s->wft_scheduled_time);
  p->original_scheduled_time = pb_time_or_null(a, s->wft_original_time);
  p->started_time = pb_time_or_null(a, s->wft_started_id ? s->wft_started_time : 0);
  p->attempt = s->wft_attempt;
  return p;
}

static int32_t pending_state(const activity *act) {
  const bool running = act->state == PB_ACTIVITY_STATE_STARTED;
  if (act->cancel_requested_id) return PB_PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
  if (act->pause) {
    return running ? PB_PENDING_ACTIVITY_STATE_PAUSE_REQUESTED : PB_PENDING_ACTIVITY_STATE_PAUSED;
  }
  return running ? PB_PENDING_ACTIVITY_STATE_STARTED : PB_PENDING_ACTIVITY_STATE_SCHEDULED;
}

pb_ActivityOptions *activity_options_shown(const pb_ActivityOptions *o, arena *a) {
  pb_ActivityOptions *shown = pb_new(a, ActivityOptions);
  *shown = *o;
  if (!o->retry_policy) return shown;
  shown->retry_policy = pb_new(a, RetryPolicy);
  *shown->retry_policy = *o->retry_policy;
  shown->retry_policy->non_retryable_error_types.n = 0;
  return shown;
}

static pb_ActivityOptions *describe_options(const activity *act, arena *a) {
  const pb_ActivityTaskScheduledEventAttributes *s = act->scheduled;
  pb_ActivityOptions *o = pb_new(a, ActivityOptions);
  o->task_queue = pb_new(a, TaskQueue);
  o->task_queue->name = o->task_queue->normal_name = s->task_queue->name;
  o->schedule_to_close_timeout = s->schedule_to_close_timeout;
  o->schedule_to_start_timeout = s->schedule_to_start_timeout;
  o->start_to_close_timeout = s->start_to_close_timeout;
  o->heartbeat_timeout = s->heartbeat_timeout;
  o->retry_policy = s->retry_policy;
  o->priority = s->priority;
  return activity_options_shown(o, a);
}

static pb_PendingActivityInfo_PauseInfo *describe_pause(const activity *act, arena *a) {
  pb_PendingActivityInfo_PauseInfo *p = pb_new(a, PendingActivityInfo_PauseInfo);
  p->pause_time = pb_time_new(a, act->pause->time);
  p->which_paused_by = PB_PendingActivityInfo_PauseInfo_manual_FIELD;
  p->manual = pb_new(a, PendingActivityInfo_PauseInfo_Manual);
  p->manual->identity = act->pause->identity;
  p->manual->reason = act->pause->reason;
  return p;
}

static pb_PendingActivityInfo *describe_activity(const activity *act, int64_t now_ns, arena *a) {
  const pb_ActivityTaskScheduledEventAttributes *s = act->scheduled;
  const bool running = act->state == PB_ACTIVITY_STATE_STARTED;
  pb_PendingActivityInfo *p = pb_new(a, PendingActivityInfo);
  p->activity_id = s->activity_id;
  p->activity_type = s->activity_type;
  p->state = pending_state(act);
  p->heartbeat_details = act->heartbeat_details;
  p->last_heartbeat_time = pb_time_or_null(a, act->last_heartbeat_time);
  p->last_started_time = pb_time_or_null(a, running ? act->started_time : 0);
  p->attempt = act->attempt;
  p->maximum_attempts = s->retry_policy ? s->retry_policy->maximum_attempts : 0;
  p->scheduled_time = pb_time_new(a, act->scheduled_time);
  int64_t to_close = pb_duration_ns(s->schedule_to_close_timeout);
  if (to_close) p->expiration_time = pb_time_new(a, act->first_scheduled_time + to_close);
  p->last_failure = act->last_failure;
  p->last_worker_identity = act->last_worker_identity;
  p->last_attempt_complete_time = pb_time_or_null(a, act->last_completed_time);
  if (act->state == PB_ACTIVITY_STATE_BACKOFF && act->next_attempt_time > now_ns) {
    p->next_attempt_schedule_time = pb_time_new(a, act->next_attempt_time);
    p->current_retry_interval = pb_duration_new(a, act->retry_interval);
  }
  if (act->pause) {
    p->paused = true;
    p->pause_info = describe_pause(act, a);
  }
  p->priority = s->priority;
  p->activity_options = describe_options(act, a);
  return p;
}

static pb_PendingChildExecutionInfo *describe_child(const engine_item *it, arena *a) {
  const pb_store_ChildItem *c = item_msg(it);
  pb_PendingChildExecutionInfo *p = pb_new(a, PendingChildExecutionInfo);
  p->workflow_id = c->initiated->workflow_id;
  if (c->state != PB_CHILD_STATE_STARTING) p->run_id = c->run_id;
  p->workflow_type_name = c->initiated->workflow_type->name;
  p->initiated_id = it->id;
  p->parent_close_policy = c->initiated->parent_close_policy;
  return p;
}

static void describe_children(const engine_run *run, pb_DescribeWorkflowExecutionResponse *r,
                              arena *a) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_CHILD, a, &n);
  r->pending_children.v = arena_array(a, pb_PendingChildExecutionInfo *, n + 1);
  for (size_t i = 0; i < n; i++) {
    r->pending_children.v[r->pending_children.n++] = describe_child(items[i], a);
  }
}

int64_t engine_activity_scheduled_id(const engine_run *run, span activity_id) {
  const engine_item *it = item_by_name(run, PB_ITEM_KIND_ACTIVITY, activity_id);
  return it ? it->id : 0;
}

pb_PendingActivityInfo *engine_describe_activity(const engine_run *run, int64_t scheduled_id,
                                                 int64_t now_ns, arena *a) {
  const engine_item *it = item_by_id(run, scheduled_id, PB_ITEM_KIND_ACTIVITY);
  return it && run_is_open(run) ? describe_activity(item_msg(it), now_ns, a) : NULL;
}

pb_DescribeWorkflowExecutionResponse *engine_describe(const engine_run *run, int64_t now_ns,
                                                      arena *a) {
  size_t n;
  pb_DescribeWorkflowExecutionResponse *r = pb_new(a, DescribeWorkflowExecutionResponse);
  r->execution_config = describe_config(run, a);
  r->workflow_execution_info = describe_info(run, a);
  r->workflow_extended_info = describe_extended(run, a);
  r->pending_workflow_task = describe_wft(run, a);
  engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, a, &n);
  r->pending_activities.v = arena_array(a, pb_PendingActivityInfo *, n + 1);
  for (size_t i = 0; i < n; i++) {
    r->pending_activities.v[r->pending_activities.n++] =
        describe_activity(item_msg(items[i]), now_ns, a);
  }
  if (run->outside.children) describe_children(run, r, a);
  if (run->callbacks) callbacks_describe(run, r, a);
  return r;
}

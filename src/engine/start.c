/* start.c - a run's first events: by a request, or following another run of its chain. */
#include "engine/outside.h"

const engine_limits engine_default_limits = {
    .blob_bytes = 2 * 1024 * 1024,
    .memo_bytes = 2 * 1024 * 1024,
    .history_bytes = 50 * 1024 * 1024,
    .suggest_history_bytes = 4 * 1024 * 1024,
    .state_bytes = 8 * 1024 * 1024,
    .history_events = 51200,
    .suggest_history_events = 4096,
    .pending = 2000,
    .signals = 10000,
    .updates_in_flight = 10,
    .updates = 2000,
    .update_bytes = 20 * 1024 * 1024,
    .buffered_events = 100,
    .buffered_bytes = 2 * 1024 * 1024,
    .transaction_bytes = 4 * 1024 * 1024,
    .ledger_bytes = 16 * 1024 * 1024,
    .callbacks = 2000,
};

/* What RunInfo keeps of event 1: all that later steps read. What may be large is kept only if a
 * later run of the chain needs it. */
static pb_WorkflowExecutionStartedEventAttributes *kept_attributes(
    arena *a, const pb_WorkflowExecutionStartedEventAttributes *full) {
  pb_WorkflowExecutionStartedEventAttributes *kept =
      arena_new(a, pb_WorkflowExecutionStartedEventAttributes);
  *kept = *full;
  bool may_run_again = full->retry_policy || full->cron_schedule.n;
  if (!may_run_again) {
    kept->input = SPAN_NONE;
    kept->header = NULL;
    kept->last_completion_result = SPAN_NONE;
  }
  kept->continued_failure = NULL;
  kept->completion_callbacks = (pb_list_Callback){0}; /* are items */
  return kept;
}

void run_keep_info(engine_run *run, arena *a, const pb_store_RunInfo *info) {
  run->info_blob = bytes_copy(PB_ENCODE(store_RunInfo, info, a));
  arena_init_sized(&run->info_arena, run->info_blob->n + 1024);
  err *e = PB_DECODE(store_RunInfo, bytes_span(run->info_blob), &run->info_arena, &run->info);
  ASSERT(!e);
}

/* The first task waits for a delay, if there is one. */
static void first_task(engine_run *run, int64_t backoff_ns) {
  if (backoff_ns > 0) {
    run->state.first_backoff_until = run->info->execution_time;
  } else {
    wft_schedule(run, true);
  }
}

void run_begin(engine_run *run, span ns_name, const first_event *f, span workflow_id, span run_id) {
  int64_t now = run->tx.now_ns, began = pb_time_ns(f->event->event_time);
  pb_store_RunInfo info = {
      .workflow_id = workflow_id,
      .run_id = run_id,
      .request_id = f->request_id,
      .start_time = now,
      .execution_time = now + f->backoff_ns,
      .began_time = began < now ? began : 0,
      .execution_deadline = f->execution_deadline_ns,
      .started = kept_attributes(run->tx.arena, f->attrs),
      .first_run_start_time = f->first_start_ns ? f->first_start_ns : now,
      .user_metadata = f->event->user_metadata,
      .task_timeout = f->task_timeout_ns,
      .namespace_name = ns_name,
      .schedule = (pb_WorkflowExecution *)(uintptr_t)f->schedule,
  };
  info.run_deadline = earlier_ns(f->run_timeout_ns ? info.execution_time + f->run_timeout_ns : 0,
                                 f->execution_deadline_ns);
  run_keep_info(run, run->tx.arena, &info);
  run->state.status = PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  run->state.memo = f->attrs->memo;
  callbacks_add(run, &f->attrs->completion_callbacks, began);
}

/* Info, state and event 1 of a run that has just been made. */
static void begin_run(engine_run *run, span ns_name, const first_event *f, span workflow_id,
                      span run_id) {
  run_begin(run, ns_name, f, workflow_id, run_id);
  tx_append(run, f->event);
}

static pb_TaskQueue *normal_queue(arena *a, span name) {
  pb_TaskQueue *q = pb_new(a, TaskQueue);
  q->name = name;
  q->kind = PB_TASK_QUEUE_KIND_NORMAL;
  return q;
}

static void copy_request(arena *a, const engine_start_args *args, first_event *f) {
  const pb_StartWorkflowExecutionRequest *r = args->request;
  pb_WorkflowExecutionStartedEventAttributes *s = f->attrs;
  s->workflow_type = r->workflow_type;
  s->task_queue = normal_queue(a, r->task_queue->name);
  s->input = r->input;
  s->workflow_execution_timeout = r->workflow_execution_timeout;
  s->workflow_run_timeout = r->workflow_run_timeout;
  s->workflow_task_timeout = r->workflow_task_timeout;
  s->original_execution_run_id = args->run_id;
  s->first_execution_run_id = args->run_id;
  s->identity = r->identity;
  s->retry_policy = r->retry_policy;
  s->attempt = 1;
  s->cron_schedule = r->cron_schedule;
  if (r->cron_schedule.n) s->initiator = PB_CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE;
  s->first_workflow_task_backoff = pb_duration_new(a, f->backoff_ns);
  s->memo = r->memo;
  s->search_attributes = r->search_attributes;
  s->header = r->header;
  s->workflow_id = r->workflow_id;
  s->priority = r->priority;
  s->completion_callbacks.v = r->completion_callbacks.v;
  s->completion_callbacks.n = r->completion_callbacks.n;
  s->last_completion_result = r->last_completion_result;
  if (r->continued_failure) s->continued_failure = failure_fit_depth(r->continued_failure, a);
  s->eager_execution_accepted = r->request_eager_execution;
  f->event->user_metadata = r->user_metadata;
  f->event->links.v = r->links.v;
  f->event->links.n = r->links.n;
}

int64_t start_cron_backoff_ns(engine_step *st, span cron_schedule, int64_t scheduled_ns) {
  cron c;
  if (!cron_schedule.n || cron_parse(cron_schedule, st->host->zones, st->arena, &c)) {
    return CRON_NEVER;
  }
  return cron_backoff_ns(&c, scheduled_ns, st->now_ns);
}

/* The first run of a cron schedule waits for the first time that it names. */
static int64_t first_backoff_ns(engine_step *st, const pb_StartWorkflowExecutionRequest *r) {
  int64_t delay = pb_duration_ns(r->workflow_start_delay);
  if (!r->cron_schedule.n || delay) return delay;
  int64_t backoff = start_cron_backoff_ns(st, r->cron_schedule, st->now_ns);
  return backoff == CRON_NEVER ? 0 : backoff;
}

static void copy_parent(arena *a, const engine_parent *p,
                        pb_WorkflowExecutionStartedEventAttributes *s) {
  s->parent_workflow_namespace = p->ns_name;
  s->parent_workflow_namespace_id = p->ns_id;
  s->parent_workflow_execution = execution_new(a, p->workflow_id, p->run_id);
  s->parent_initiated_event_id = p->initiated_id;
  s->root_workflow_execution = execution_new(a, p->root_workflow_id, p->root_run_id);
}

engine_run *engine_start(engine_step *st, const engine_start_args *args) {
  const pb_StartWorkflowExecutionRequest *r = args->request;
  engine_run *run = run_new(args->run, args->ns);
  run->expected_run = args->expected_run;
  run->state.next_event_id = 1;
  st->lazy = false;
  tx_begin(run, st);
  EVENT(&run->tx, ev, attrs, WORKFLOW_EXECUTION_STARTED,
        workflow_execution_started_event_attributes, WorkflowExecutionStartedEventAttributes);
  first_event f = {.event = ev,
                   .attrs = attrs,
                   .request_id = r->request_id,
                   .run_timeout_ns = pb_duration_ns(r->workflow_run_timeout),
                   .task_timeout_ns = pb_duration_ns(r->workflow_task_timeout),
                   .backoff_ns = first_backoff_ns(st, r),
                   .schedule = args->schedule};
  int64_t execution_timeout = pb_duration_ns(r->workflow_execution_timeout);
  if (execution_timeout) {
    int64_t deadline = run->tx.now_ns + execution_timeout;
    f.execution_deadline_ns = deadline - deadline % NS_PER_MS;
    attrs->workflow_execution_expiration_time = pb_time_new(st->arena, f.execution_deadline_ns);
  }
  copy_request(st->arena, args, &f);
  if (args->parent) copy_parent(st->arena, args->parent, attrs);
  begin_run(run, args->ns_name, &f, r->workflow_id, args->run_id);
  if (args->before) requests_inherit(run, args->before);
  if (args->signal) signal_append(run, args->signal);
  first_task(run, f.backoff_ns);
  tx_finish(run);
  return run;
}

/* --- following runs --- */

static void copy_chain(arena *a, const engine_run *run, const follow_args *args, first_event *f) {
  const pb_WorkflowExecutionStartedEventAttributes *old = run->info->started;
  pb_WorkflowExecutionStartedEventAttributes *s = f->attrs;
  s->workflow_type = pb_new(a, WorkflowType);
  s->workflow_type->name = args->workflow_type;
  s->task_queue = args->task_queue;
  s->input = args->input;
  s->header = (pb_Header *)args->header;
  s->memo = (pb_Memo *)args->memo;
  s->search_attributes = (pb_SearchAttributes *)args->search_attributes;
  s->retry_policy = (pb_RetryPolicy *)args->retry_policy;
  s->attempt = args->attempt;
  s->initiator = args->initiator;
  s->last_completion_result = args->last_completion_result;
  s->continued_failure = (pb_Failure *)args->continued_failure;
  s->continued_execution_run_id = run->info->run_id;
  s->original_execution_run_id = args->run_id;
  s->first_execution_run_id = old->first_execution_run_id;
  s->prev_auto_reset_points = reset_points_all(run, a);
  s->completion_callbacks = callbacks_standing_by(run, a);
  s->first_workflow_task_backoff = (pb_Duration *)args->shown_backoff;
  s->workflow_execution_timeout = old->workflow_execution_timeout;
  s->workflow_execution_expiration_time = old->workflow_execution_expiration_time;
  s->workflow_run_timeout = pb_duration_new(a, args->run_timeout_ns);
  if (!args->run_timeout_ns && args->initiator != PB_CONTINUE_AS_NEW_INITIATOR_WORKFLOW) {
    s->workflow_run_timeout = old->workflow_run_timeout;
  }
  s->workflow_task_timeout = pb_duration_new(a, args->task_timeout_ns);
  s->cron_schedule = args->cron_schedule;
  s->workflow_id = run->info->workflow_id;
  s->priority = (pb_Priority *)(uintptr_t)run_priority(run);
  s->parent_workflow_namespace = old->parent_workflow_namespace;
  s->parent_workflow_namespace_id = old->parent_workflow_namespace_id;
  s->parent_workflow_execution = old->parent_workflow_execution;
  s->parent_initiated_event_id = old->parent_initiated_event_id;
  s->root_workflow_execution = old->root_workflow_execution;
}

void start_follower(engine_run *run, const follow_args *args) {
  engine_step *st = run->tx.st;
  arena *a = st->arena;
  engine_step *next_st = arena_new(a, engine_step);
  engine_step_init(next_st, st->host, st->now_ns, st->random, a);
  engine_run *next = run_new(args->run, run->ns);
  next->expected_run = run->run;
  next->state.next_event_id = 1;
  next_st->lazy = false;
  tx_begin(next, next_st);
  EVENT(&next->tx, ev, attrs, WORKFLOW_EXECUTION_STARTED,
        workflow_execution_started_event_attributes, WorkflowExecutionStartedEventAttributes);
  char request_id[UUID_TEXT_BYTES];
  uuid_format(uuid_random(st->random), request_id);
  first_event f = {.event = ev,
                   .attrs = attrs,
                   .request_id = span_of(request_id, sizeof request_id),
                   .run_timeout_ns = args->run_timeout_ns,
                   .task_timeout_ns = args->task_timeout_ns,
                   .execution_deadline_ns = run->info->execution_deadline,
                   .backoff_ns = args->backoff_ns,
                   .first_start_ns = run->info->first_run_start_time,
                   .schedule = run->info->schedule};
  copy_chain(a, run, args, &f);
  begin_run(next, run->info->namespace_name, &f, run->info->workflow_id, args->run_id);
  requests_inherit(next, run);
  first_task(next, f.backoff_ns);
  tx_finish(next);
  st->follower = next;
  st->follower_step = next_st;
}

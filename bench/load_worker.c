/* load_worker.c - polls and answers workflow tasks and activity tasks. */
#include "base/mem.h"
#include "load.h"

typedef struct poller {
  load *l;
  bool sticky;
} poller;

static const span identity = SPAN_INIT("load-worker");

static void poll_workflow(poller *p);
static void poll_activity(poller *p);

static void on_answered(void *arg, const err *e, span message) {
  load *l = arg;
  if (e && !l->stopping) load_fail("an answer was refused", e);
}

/* --- workflow tasks --- */

void load_commands_reserve(arena *a, pb_RespondWorkflowTaskCompletedRequest *r, size_t n) {
  r->commands.v = arena_array(a, pb_Command *, n);
}

pb_Command *load_command_add(arena *a, pb_RespondWorkflowTaskCompletedRequest *r, int32_t type,
                             uint32_t which) {
  pb_Command *c = pb_new(a, Command);
  c->command_type = type;
  c->which_attributes = which;
  r->commands.v[r->commands.n++] = c;
  return c;
}

static void add_activities(load *l, arena *a, pb_RespondWorkflowTaskCompletedRequest *r) {
  for (int i = 0; i < l->opt.activities; i++) {
    pb_Command *c = load_command_add(a, r, PB_COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
                                     PB_Command_schedule_activity_task_command_attributes_FIELD);
    pb_ScheduleActivityTaskCommandAttributes *s = pb_new(a, ScheduleActivityTaskCommandAttributes);
    c->schedule_activity_task_command_attributes = s;
    s->activity_id = arena_spanf(a, "%d", i + 1);
    s->activity_type = pb_new(a, ActivityType);
    s->activity_type->name = SPAN("Act");
    s->task_queue = pb_new(a, TaskQueue);
    s->task_queue->name = l->queue;
    s->input = load_payloads(a, "input of an activity");
    s->start_to_close_timeout = pb_duration_new(a, 60 * NS_PER_SEC);
    if (l->opt.failures) {
      s->retry_policy = pb_new(a, RetryPolicy);
      s->retry_policy->initial_interval = pb_duration_new(a, NS_PER_MS);
      s->retry_policy->maximum_interval = pb_duration_new(a, NS_PER_MS);
      s->retry_policy->backoff_coefficient = 1;
    }
  }
}

static void add_result(arena *a, const char *text, pb_RespondWorkflowTaskCompletedRequest *r) {
  pb_Command *c = load_command_add(a, r, PB_COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                                   PB_Command_complete_workflow_execution_command_attributes_FIELD);
  c->complete_workflow_execution_command_attributes =
      pb_new(a, CompleteWorkflowExecutionCommandAttributes);
  c->complete_workflow_execution_command_attributes->result = load_payloads(a, text);
}

static void set_sticky(load *l, arena *a, pb_RespondWorkflowTaskCompletedRequest *r) {
  r->sticky_attributes = pb_new(a, StickyExecutionAttributes);
  r->sticky_attributes->worker_task_queue = pb_new(a, TaskQueue);
  r->sticky_attributes->worker_task_queue->name = l->sticky_queue;
  r->sticky_attributes->worker_task_queue->kind = PB_TASK_QUEUE_KIND_STICKY;
  r->sticky_attributes->schedule_to_start_timeout = pb_duration_new(a, 10 * NS_PER_SEC);
}

/* Counts what has happened. Whether this task is the run's first: then work is to be scheduled. */
static bool read_events(load_workflow *w, const pb_History *h) {
  bool first = true;
  if (h->events.n && h->events.v[0]->event_id == 1) {
    w->activities_done = w->signals_seen = w->children_done = 0;
  }
  for (size_t i = 0; i < h->events.n; i++) {
    int32_t type = h->events.v[i]->event_type;
    if (type == PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED) w->activities_done++;
    if (type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) w->signals_seen++;
    if (type == PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED) w->children_done++;
    if (type == PB_EVENT_TYPE_WORKFLOW_TASK_COMPLETED) first = false;
  }
  return first;
}

static bool has_seen_all(const load *l, const load_workflow *w) {
  const load_options *o = &l->opt;
  return w->activities_done >= o->activities && w->signals_seen >= o->signals &&
         w->updates_done >= o->update && w->children_done >= o->child;
}

static void go_on(load *l, arena *a, const pb_PollWorkflowTaskQueueResponse *t,
                  pb_RespondWorkflowTaskCompletedRequest *r) {
  span id = t->workflow_execution->workflow_id;
  load_workflow *w = load_find(l, id);
  if (!w) load_fail("a task of an unknown workflow", NULL);
  load_commands_reserve(a, r, (size_t)l->opt.activities + 2 * t->messages.n + 2);
  load_answer_messages(a, w, t, r);
  if (read_events(w, t->history) && t->previous_started_event_id == 0) {
    add_activities(l, a, r);
    if (l->opt.child) load_add_child(l, a, id, r);
  }
  if (has_seen_all(l, w)) add_result(a, arena_printf(a, "done-%lld", (long long)w->index), r);
}

static void answer_workflow_task(load *l, arena *a, const pb_PollWorkflowTaskQueueResponse *t) {
  pb_RespondWorkflowTaskCompletedRequest r = {0};
  r.namespace = SPAN("default");
  r.task_token = t->task_token;
  r.identity = identity;
  set_sticky(l, a, &r);
  if (load_is_child(t)) {
    load_commands_reserve(a, &r, 1);
    add_result(a, "child", &r);
  } else {
    go_on(l, a, t, &r);
  }
  LOAD_CALL(l, RespondWorkflowTaskCompleted, &r, 30000, on_answered, l);
}

static void on_workflow_task(void *arg, const err *e, span message) {
  poller *p = arg;
  if (p->l->stopping) return;
  if (e) load_fail("PollWorkflowTaskQueue", e);
  arena a = ARENA_INIT;
  pb_PollWorkflowTaskQueueResponse *t;
  err *bad = PB_DECODE(PollWorkflowTaskQueueResponse, message, &a, &t);
  if (bad) load_fail("a workflow task does not decode", bad);
  if (t->task_token.n && t->query) {
    load_answer_query_task(p->l, t);
  } else if (t->task_token.n) {
    answer_workflow_task(p->l, &a, t);
  }
  arena_release(&a);
  poll_workflow(p);
}

static void poll_workflow(poller *p) {
  arena a = ARENA_INIT;
  pb_PollWorkflowTaskQueueRequest r = {0};
  r.namespace = SPAN("default");
  r.identity = identity;
  r.task_queue = pb_new(&a, TaskQueue);
  r.task_queue->name = p->sticky ? p->l->sticky_queue : p->l->queue;
  r.task_queue->kind = p->sticky ? PB_TASK_QUEUE_KIND_STICKY : PB_TASK_QUEUE_KIND_NORMAL;
  if (p->sticky) r.task_queue->normal_name = p->l->queue;
  LOAD_CALL(p->l, PollWorkflowTaskQueue, &r, 70000, on_workflow_task, p);
  arena_release(&a);
}

/* --- activity tasks --- */

static void fail_activity(load *l, arena *a, const pb_PollActivityTaskQueueResponse *t) {
  pb_RespondActivityTaskFailedRequest r = {0};
  r.namespace = SPAN("default");
  r.task_token = t->task_token;
  r.identity = identity;
  r.failure = pb_new(a, Failure);
  r.failure->message = SPAN("not yet");
  r.failure->which_failure_info = PB_Failure_application_failure_info_FIELD;
  r.failure->application_failure_info = pb_new(a, ApplicationFailureInfo);
  r.failure->application_failure_info->type = SPAN("NotYet");
  LOAD_CALL(l, RespondActivityTaskFailed, &r, 30000, on_answered, l);
}

static void answer_activity_task(load *l, arena *a, const pb_PollActivityTaskQueueResponse *t) {
  if (t->attempt <= l->opt.failures) {
    fail_activity(l, a, t);
    return;
  }
  pb_RespondActivityTaskCompletedRequest r = {0};
  r.namespace = SPAN("default");
  r.task_token = t->task_token;
  r.identity = identity;
  r.result = load_payloads(a, "result of an activity");
  LOAD_CALL(l, RespondActivityTaskCompleted, &r, 30000, on_answered, l);
}

static void on_activity_task(void *arg, const err *e, span message) {
  poller *p = arg;
  if (p->l->stopping) return;
  if (e) load_fail("PollActivityTaskQueue", e);
  arena a = ARENA_INIT;
  pb_PollActivityTaskQueueResponse *t;
  err *bad = PB_DECODE(PollActivityTaskQueueResponse, message, &a, &t);
  if (bad) load_fail("an activity task does not decode", bad);
  if (t->task_token.n) answer_activity_task(p->l, &a, t);
  arena_release(&a);
  poll_activity(p);
}

static void poll_activity(poller *p) {
  arena a = ARENA_INIT;
  pb_PollActivityTaskQueueRequest r = {0};
  r.namespace = SPAN("default");
  r.identity = identity;
  r.task_queue = pb_new(&a, TaskQueue);
  r.task_queue->name = p->l->queue;
  LOAD_CALL(p->l, PollActivityTaskQueue, &r, 70000, on_activity_task, p);
  arena_release(&a);
}

void load_worker_start(load *l) {
  for (int i = 0; i < l->opt.pollers; i++) {
    for (int kind = 0; kind < 3; kind++) {
      poller *p = mem_new(poller); /* lives as long as the process */
      p->l = l;
      p->sticky = kind == 1;
      if (kind == 2) {
        poll_activity(p);
      } else {
        poll_workflow(p);
      }
    }
  }
}

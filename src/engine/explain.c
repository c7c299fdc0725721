/* explain.c - why a run fails or waits, from what its state holds (and the event that closed it).
 */
#include <stdlib.h>

#include "engine/activity.h"
#include "engine/command.h"

enum { MESSAGE_BYTES = 4096, SUMMARY_BYTES = 200, CHAIN_LINKS = 128 };
#define FAILURES_BYTES ((size_t)2 << 20)

typedef pb_api_ExplainWorkflowResponse answer;

typedef struct explaining {
  const engine_run *run;
  arena *arena;
  answer *r;
  size_t failure_bytes; /* in the answer so far */
} explaining;

/* --- a chain of failures, for people --- */

static void name_link(const pb_Failure *f, pb_api_FailureLink *l) {
  l->kind = failure_kind(f, &l->type);
  if (f->which_failure_info == PB_Failure_application_failure_info_FIELD) {
    l->non_retryable = f->application_failure_info->non_retryable;
  } else if (f->which_failure_info == PB_Failure_server_failure_info_FIELD) {
    l->non_retryable = f->server_failure_info->non_retryable;
  }
}

static void add_failure(explaining *x, pb_api_Problem *p, const pb_Failure *failure) {
  arena *a = x->arena;
  size_t size = pb_encoded_bytes(&pb_Failure_desc, failure);
  p->failure_omitted = x->failure_bytes + size > FAILURES_BYTES;
  if (!p->failure_omitted) {
    p->failure = (pb_Failure *)failure;
    x->failure_bytes += size;
  }
  p->chain.v = arena_array(a, pb_api_FailureLink *, CHAIN_LINKS);
  for (const pb_Failure *f = failure; f && p->chain.n < CHAIN_LINKS; f = f->cause) {
    pb_api_FailureLink *l = pb_new(a, api_FailureLink);
    name_link(f, l);
    l->message = span_cut(f->message, MESSAGE_BYTES);
    l->source = f->source;
    p->chain.v[p->chain.n++] = l;
  }
}

/* --- what went wrong --- */

static pb_api_Problem *add_problem(explaining *x, int32_t kind, int64_t event_id) {
  pb_api_Problem *p = pb_new(x->arena, api_Problem);
  p->kind = kind;
  p->event_id = event_id;
  x->r->problems.v[x->r->problems.n++] = p;
  return p;
}

static void explain_close(explaining *x, const pb_HistoryEvent *close) {
  const pb_WorkflowExecutionTerminatedEventAttributes *t;
  switch (close->event_type) {
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
      add_failure(x, add_problem(x, PB_PROBLEM_KIND_WORKFLOW_ENDED, close->event_id),
                  close->workflow_execution_failed_event_attributes->failure);
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
      add_problem(x, PB_PROBLEM_KIND_WORKFLOW_ENDED, close->event_id)->reason =
          SPAN("the run took longer than its run or execution timeout");
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
      t = close->workflow_execution_terminated_event_attributes;
      add_problem(x, PB_PROBLEM_KIND_WORKFLOW_ENDED, close->event_id)->reason =
          arena_spanf(x->arena, "terminated by %.*s%s%.*s", SPAN_ARG(t->identity),
                      t->reason.n ? ": " : "", SPAN_ARG(t->reason));
      break;
    default:
      break; /* completed, cancelled as asked, or goes on as another run */
  }
}

static void explain_wft(explaining *x) {
  const pb_store_RunState *s = &x->run->state;
  if (!s->wft_failures) return;
  pb_api_Problem *p = add_problem(x, PB_PROBLEM_KIND_WORKFLOW_TASK_FAILING, s->wft_scheduled_id);
  p->attempt = s->wft_failures;
  p->workflow_task_failed_cause = s->last_wft_failed_cause;
  if (s->last_wft_failure) add_failure(x, p, s->last_wft_failure);
  p->reason =
      s->last_wft_timeout_type
          ? SPAN("the worker did not answer the workflow task in time")
          : arena_spanf(x->arena, "%s", failed_cause_name(s->last_wft_failed_cause, x->arena));
}

static void explain_activity(explaining *x, const engine_item *it) {
  const activity *act = item_msg(it);
  if (!act->last_failure || act->attempt < 2) return;
  pb_api_Problem *p = add_problem(x, PB_PROBLEM_KIND_ACTIVITY_RETRYING, it->id);
  p->id = act->scheduled->activity_id;
  p->type = act->scheduled->activity_type->name;
  p->attempt = act->attempt - 1;
  add_failure(x, p, act->last_failure);
}

/* --- what happens next --- */

static pb_api_NextStep *add_step(explaining *x, int32_t kind, int64_t event_id, int64_t at_ns) {
  pb_api_NextStep *n = pb_new(x->arena, api_NextStep);
  n->kind = kind;
  n->event_id = event_id;
  n->at = pb_time_or_null(x->arena, at_ns);
  x->r->next_steps.v[x->r->next_steps.n++] = n;
  return n;
}

static void next_wft(explaining *x) {
  const pb_store_RunState *s = &x->run->state;
  const pb_WorkflowExecutionStartedEventAttributes *started = x->run->info->started;
  if (s->first_backoff_until) {
    add_step(x, PB_NEXT_STEP_KIND_FIRST_WORKFLOW_TASK, 1, s->first_backoff_until);
  }
  if (!s->wft_scheduled_id) return;
  pb_api_NextStep *n;
  if (s->wft_started_id) {
    n = add_step(x, PB_NEXT_STEP_KIND_WORKFLOW_TASK_RESULT, s->wft_scheduled_id,
                 s->wft_started_time + s->wft_timeout);
  } else {
    n = add_step(x, PB_NEXT_STEP_KIND_WORKFLOW_TASK_DISPATCH, s->wft_scheduled_id, 0);
    n->task_queue = s->wft_on_sticky ? s->sticky_queue : started->task_queue->name;
  }
  n->attempt = s->wft_attempt;
}

static void next_activity(explaining *x, const engine_item *it) {
  const activity *act = item_msg(it);
  const pb_ActivityTaskScheduledEventAttributes *s = act->scheduled;
  pb_api_NextStep *n;
  if (act->state == PB_ACTIVITY_STATE_BACKOFF) {
    n = add_step(x, PB_NEXT_STEP_KIND_ACTIVITY_RETRY, it->id, act->next_attempt_time);
  } else if (act->state == PB_ACTIVITY_STATE_STARTED) {
    n = add_step(x, PB_NEXT_STEP_KIND_ACTIVITY_RESULT, it->id, 0);
  } else {
    n = add_step(x, PB_NEXT_STEP_KIND_ACTIVITY_DISPATCH, it->id, 0);
    n->task_queue = s->task_queue->name;
  }
  n->id = s->activity_id;
  n->type = s->activity_type->name;
  n->attempt = act->attempt;
  n->maximum_attempts = s->retry_policy ? s->retry_policy->maximum_attempts : 0;
}

static void next_timer(explaining *x, const engine_item *it) {
  const pb_store_TimerItem *t = item_msg(it);
  add_step(x, PB_NEXT_STEP_KIND_TIMER, it->id, t->fire_time)->id = t->timer_id;
}

static void next_child(explaining *x, const engine_item *it) {
  const pb_store_ChildItem *c = item_msg(it);
  pb_api_NextStep *n = add_step(x, PB_NEXT_STEP_KIND_CHILD_RESULT, it->id, 0);
  n->id = c->initiated->workflow_id;
  n->type = c->initiated->workflow_type->name;
}

static int64_t step_ns(const pb_api_NextStep *n) {
  return n->at ? n->at->seconds * NS_PER_SEC + n->at->nanos : INT64_MAX;
}

static int by_time(const void *a, const void *b) {
  const pb_api_NextStep *x = *(pb_api_NextStep *const *)a, *y = *(pb_api_NextStep *const *)b;
  int64_t at = step_ns(x), other = step_ns(y);
  if (at != other) return at < other ? -1 : 1;
  if (x->event_id != y->event_id) return x->event_id < y->event_id ? -1 : 1;
  return (x->kind > y->kind) - (x->kind < y->kind);
}

/* --- in one line --- */

static span status_name(int32_t status) {
  static const char *const names[] = {"Unknown",          "Running",   "Completed",
                                      "Failed",           "Canceled",  "Terminated",
                                      "Continued as new", "Timed out", "Paused"};
  const char *name = (size_t)status < ARRAY_LEN(names) ? names[status] : names[0];
  return span_of(name, strlen(name));
}

static span root_text(const pb_api_Problem *p) {
  span root = p->chain.n ? p->chain.v[p->chain.n - 1]->message : SPAN_NONE;
  return span_cut(root.n ? root : p->reason, SUMMARY_BYTES);
}

/* "once", "7 times" */
static const char *times(arena *a, int32_t n) {
  return n == 1 ? "once" : arena_printf(a, "%d times, the last time", (int)n);
}

static span problem_text(arena *a, const pb_api_Problem *p) {
  if (p->kind == PB_PROBLEM_KIND_WORKFLOW_TASK_FAILING) {
    return arena_spanf(a, ": its workflow task failed %s with: %.*s", times(a, p->attempt),
                       SPAN_ARG(root_text(p)));
  }
  if (p->kind == PB_PROBLEM_KIND_ACTIVITY_RETRYING) {
    return arena_spanf(a, ": activity %.*s (%.*s) failed %s with: %.*s", SPAN_ARG(p->id),
                       SPAN_ARG(p->type), times(a, p->attempt), SPAN_ARG(root_text(p)));
  }
  return arena_spanf(a, ": %.*s", SPAN_ARG(root_text(p)));
}

static span step_text(arena *a, const pb_api_NextStep *n) {
  switch (n->kind) {
    case PB_NEXT_STEP_KIND_FIRST_WORKFLOW_TASK:
      return SPAN(", waits for its start");
    case PB_NEXT_STEP_KIND_WORKFLOW_TASK_DISPATCH:
    case PB_NEXT_STEP_KIND_ACTIVITY_DISPATCH:
      return arena_spanf(a, ", waits for a worker of task queue %.*s", SPAN_ARG(n->task_queue));
    case PB_NEXT_STEP_KIND_WORKFLOW_TASK_RESULT:
      return SPAN(", a worker has its workflow task");
    case PB_NEXT_STEP_KIND_ACTIVITY_RESULT:
    case PB_NEXT_STEP_KIND_ACTIVITY_RETRY:
      return arena_spanf(a, ", waits for activity %.*s (%.*s)", SPAN_ARG(n->id), SPAN_ARG(n->type));
    case PB_NEXT_STEP_KIND_TIMER:
      return arena_spanf(a, ", waits for timer %.*s", SPAN_ARG(n->id));
    case PB_NEXT_STEP_KIND_CHILD_RESULT:
      return arena_spanf(a, ", waits for child workflow %.*s", SPAN_ARG(n->id));
    default:
      return SPAN(", waits for a message from outside");
  }
}

static span summary(const explaining *x) {
  const answer *r = x->r;
  span what = SPAN_NONE;
  if (r->problems.n) {
    what = problem_text(x->arena, r->problems.v[0]);
  } else if (r->next_steps.n) {
    what = step_text(x->arena, r->next_steps.v[0]);
  } else if (run_is_open(x->run)) {
    what = SPAN(", waits for a message from outside");
  }
  return arena_spanf(x->arena, "%.*s%.*s", SPAN_ARG(status_name(r->status)), SPAN_ARG(what));
}

static void explain_open(explaining *x) {
  size_t n_activities, n_timers, n_children;
  engine_item **activities = items_sorted(x->run, PB_ITEM_KIND_ACTIVITY, x->arena, &n_activities);
  engine_item **timers = items_sorted(x->run, PB_ITEM_KIND_TIMER, x->arena, &n_timers);
  engine_item **children = items_sorted(x->run, PB_ITEM_KIND_CHILD, x->arena, &n_children);
  x->r->problems.v = arena_array(x->arena, pb_api_Problem *, n_activities + 1);
  x->r->next_steps.v =
      arena_array(x->arena, pb_api_NextStep *, n_activities + n_timers + n_children + 3);
  explain_wft(x);
  next_wft(x);
  for (size_t i = 0; i < n_activities; i++) {
    explain_activity(x, activities[i]);
    next_activity(x, activities[i]);
  }
  for (size_t i = 0; i < n_timers; i++) next_timer(x, timers[i]);
  for (size_t i = 0; i < n_children; i++) next_child(x, children[i]);
  const pb_store_RunInfo *info = x->run->info;
  int64_t deadline = earlier_ns(info->run_deadline, info->execution_deadline);
  if (deadline) add_step(x, PB_NEXT_STEP_KIND_RUN_TIMEOUT, 1, deadline);
  qsort(x->r->next_steps.v, x->r->next_steps.n, sizeof *x->r->next_steps.v, by_time);
}

pb_api_ExplainWorkflowResponse *engine_explain(const engine_run *run, const pb_HistoryEvent *close,
                                               arena *a) {
  explaining x = {.run = run, .arena = a, .r = pb_new(a, api_ExplainWorkflowResponse)};
  x.r->execution = pb_new(a, WorkflowExecution);
  x.r->execution->workflow_id = run->info->workflow_id;
  x.r->execution->run_id = run->info->run_id;
  x.r->workflow_type = run->info->started->workflow_type;
  x.r->status = run->state.status;
  if (run_is_open(run)) {
    explain_open(&x);
  } else if (close) {
    x.r->problems.v = arena_array(a, pb_api_Problem *, 1);
    explain_close(&x, close);
  }
  x.r->summary = summary(&x);
  return x.r;
}

/* activity_options.c - new options for pending activities, by a mask of fields, and the old ones
 * back. */
#include "engine/activity.h"
#include "engine/command.h"

static pb_TaskQueue *queue_of(arena *a, span name, int32_t kind) {
  pb_TaskQueue *q = pb_new(a, TaskQueue);
  q->name = name;
  q->kind = kind;
  return q;
}

static pb_ActivityOptions *options_of(const activity *act, arena *a) {
  const pb_ActivityTaskScheduledEventAttributes *s = act->scheduled;
  pb_ActivityOptions *o = pb_new(a, ActivityOptions);
  o->task_queue = s->task_queue;
  o->schedule_to_close_timeout = s->schedule_to_close_timeout;
  o->schedule_to_start_timeout = s->schedule_to_start_timeout;
  o->start_to_close_timeout = s->start_to_close_timeout;
  o->heartbeat_timeout = s->heartbeat_timeout;
  o->retry_policy = s->retry_policy;
  o->priority = s->priority;
  return o;
}

/* What counts from now on. What was scheduled is kept beside it. */
static void set_options(engine_run *run, activity *act, const pb_ActivityOptions *o) {
  arena *a = run->tx.arena;
  if (!act->original_options) act->original_options = options_of(act, a);
  pb_ActivityTaskScheduledEventAttributes *s = pb_new(a, ActivityTaskScheduledEventAttributes);
  *s = *act->scheduled;
  s->task_queue = queue_of(a, o->task_queue->name, PB_TASK_QUEUE_KIND_NORMAL);
  s->schedule_to_close_timeout = o->schedule_to_close_timeout;
  s->schedule_to_start_timeout = o->schedule_to_start_timeout;
  s->start_to_close_timeout = o->start_to_close_timeout;
  s->heartbeat_timeout = o->heartbeat_timeout;
  s->retry_policy = o->retry_policy;
  s->priority = o->priority;
  act->scheduled = s;
  act->adjusted = true;
}

void activity_restore_options(engine_run *run, activity *act) {
  if (act->original_options) set_options(run, act, act->original_options);
}

/* --- the mask --- */

static bool path_is(span path, const char *field) { return span_eq(path, span_cstr(field)); }

/* A copy to change, of a message that may be missing. */
#define PART(o, field, Message, a) \
  ((o)->field = (o)->field ? PB_COPY(Message, (o)->field, a) : pb_new(a, Message))

static err *merge_retry(engine_step *st, pb_ActivityOptions *o, const pb_ActivityOptions *from,
                        span path) {
  const pb_RetryPolicy *f = from->retry_policy;
  if (!f) return ERR(st->arena, INVALID_ARGUMENT, "RetryPolicy is not provided");
  pb_RetryPolicy *to = PART(o, retry_policy, RetryPolicy, st->arena);
  const bool all = path_is(path, "retry_policy");
  if (all || path_is(path, "retry_policy.initial_interval")) {
    to->initial_interval = f->initial_interval;
  }
  if (all || path_is(path, "retry_policy.backoff_coefficient")) {
    to->backoff_coefficient = f->backoff_coefficient;
  }
  if (all || path_is(path, "retry_policy.maximum_interval")) {
    to->maximum_interval = f->maximum_interval;
  }
  if (all || path_is(path, "retry_policy.maximum_attempts")) {
    to->maximum_attempts = f->maximum_attempts;
  }
  return NULL;
}

static err *merge_priority(engine_step *st, pb_ActivityOptions *o, const pb_ActivityOptions *from,
                           span path) {
  if (path_is(path, "priority")) {
    o->priority = from->priority;
    return NULL;
  }
  const pb_Priority *f = from->priority;
  if (!f) return ERR(st->arena, INVALID_ARGUMENT, "Priority is not provided");
  pb_Priority *to = PART(o, priority, Priority, st->arena);
  if (path_is(path, "priority.priority_key")) to->priority_key = f->priority_key;
  if (path_is(path, "priority.fairness_key")) to->fairness_key = f->fairness_key;
  if (path_is(path, "priority.fairness_weight")) to->fairness_weight = f->fairness_weight;
  return NULL;
}

static bool names_any(span path, const char *const *fields, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (path_is(path, fields[i])) return true;
  }
  return false;
}

/* One path of the mask. Paths that mean nothing are passed over, as the original does. */
static err *merge(engine_step *st, pb_ActivityOptions *o, const pb_ActivityOptions *from,
                  span path) {
  static const char *const retry[] = {
      "retry_policy", "retry_policy.initial_interval", "retry_policy.backoff_coefficient",
      "retry_policy.maximum_interval", "retry_policy.maximum_attempts"};
  static const char *const priority[] = {"priority", "priority.priority_key",
                                         "priority.fairness_key", "priority.fairness_weight"};
  if (path_is(path, "task_queue.name")) {
    if (!from->task_queue) return ERR(st->arena, INVALID_ARGUMENT, "TaskQueue is not provided");
    o->task_queue = queue_of(st->arena, from->task_queue->name, PB_TASK_QUEUE_KIND_NORMAL);
  } else if (path_is(path, "schedule_to_close_timeout")) {
    o->schedule_to_close_timeout = from->schedule_to_close_timeout;
  } else if (path_is(path, "schedule_to_start_timeout")) {
    o->schedule_to_start_timeout = from->schedule_to_start_timeout;
  } else if (path_is(path, "start_to_close_timeout")) {
    o->start_to_close_timeout = from->start_to_close_timeout;
  } else if (path_is(path, "heartbeat_timeout")) {
    o->heartbeat_timeout = from->heartbeat_timeout;
  } else if (names_any(path, retry, ARRAY_LEN(retry))) {
    return merge_retry(st, o, from, path);
  } else if (names_any(path, priority, ARRAY_LEN(priority))) {
    return merge_priority(st, o, from, path);
  }
  return NULL;
}

/* --- one activity --- */

/* Checks the options as if the activity were scheduled with them, and fits timeouts to each other;
 * the run's timeout does not count. */
static err *fit(engine_step *st, const activity *act, pb_ActivityOptions *o) {
  pb_ScheduleActivityTaskCommandAttributes in = {
      .activity_id = act->scheduled->activity_id,
      .activity_type = act->scheduled->activity_type,
      .task_queue = o->task_queue,
      .schedule_to_close_timeout = o->schedule_to_close_timeout,
      .schedule_to_start_timeout = o->schedule_to_start_timeout,
      .start_to_close_timeout = o->start_to_close_timeout,
      .heartbeat_timeout = o->heartbeat_timeout,
      .retry_policy = o->retry_policy};
  const char *why = priority_problem(o->priority);
  if (!why) why = schedule_problem(&in, st->arena);
  if (why) return ERR(st->arena, INVALID_ARGUMENT, "%s", why);
  pb_ActivityTaskScheduledEventAttributes out = {0};
  activity_resolve_timeouts(&in, 0, &out, st->arena);
  o->schedule_to_close_timeout = out.schedule_to_close_timeout;
  o->schedule_to_start_timeout = out.schedule_to_start_timeout;
  o->start_to_close_timeout = out.start_to_close_timeout;
  o->heartbeat_timeout = out.heartbeat_timeout;
  o->retry_policy = retry_policy_filled(o->retry_policy, st->arena);
  return NULL;
}

/* When the attempt that waits is due by the options that count now. */
static int64_t waiting_until_ns(const activity *act) {
  if (act->attempt < 2 || !act->next_attempt_time) return act->scheduled_time;
  int64_t ended = act->next_attempt_time - act->retry_interval;
  return ended + retry_interval_ns(act->scheduled->retry_policy, act->attempt - 1);
}

static void go_on(engine_run *run, engine_item *it) {
  const activity *act = item_msg(it);
  if (act->state == PB_ACTIVITY_STATE_STARTED || act->pause) {
    activity_update(run, it);
  } else {
    activity_reschedule(run, it, waiting_until_ns(act));
  }
}

static err *update_one(engine_run *run, engine_item *it, const pb_UpdateActivityOptionsRequest *r,
                       pb_ActivityOptions **ret_options) {
  engine_step *st = run->tx.st;
  pb_ActivityOptions *o = options_of(item_msg(it), st->arena);
  const pb_list_span *paths = &r->update_mask->paths;
  for (size_t i = 0; i < paths->n; i++) TRY(merge(st, o, r->activity_options, paths->v[i]));
  TRY(fit(st, item_msg(it), o));
  set_options(run, item_edit(run, it), o);
  go_on(run, it);
  *ret_options = o;
  return NULL;
}

static pb_ActivityOptions *restore_one(engine_run *run, engine_item *it) {
  arena *a = run->tx.arena;
  activity *act = item_edit(run, it);
  activity_restore_options(run, act);
  go_on(run, it);
  pb_ActivityOptions *o = options_of(act, a);
  o->task_queue = queue_of(a, o->task_queue->name, 0); /* as the original answers here */
  return o;
}

err *engine_activity_update_options(engine_run *run, engine_step *st,
                                    const pb_UpdateActivityOptionsRequest *r,
                                    pb_ActivityOptions **ret_options) {
  engine_item **items;
  size_t n;
  TRY(activities_chosen(run, st, ACTIVITY_CHOICE(r, UpdateActivityOptionsRequest), &items, &n));
  pb_ActivityOptions *last = NULL;
  tx_begin(run, st);
  for (size_t i = 0; i < n; i++) {
    if (r->restore_original) {
      last = restore_one(run, items[i]);
      continue;
    }
    err *e = update_one(run, items[i], r, &last);
    if (e) {
      tx_abandon(run);
      return e;
    }
  }
  *ret_options = PB_COPY(ActivityOptions, activity_options_shown(last, st->arena), st->arena);
  activity_adjusted(run);
  return NULL;
}

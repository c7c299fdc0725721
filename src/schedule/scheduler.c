#include "schedule/scheduler.h"

#include "proto/pb_time.h"
#include "schedule/scheduler_int.h"

static const int64_t default_catchup_ns = INT64_C(365) * DAY_SECONDS * NS_PER_SEC;
static const int64_t least_catchup_ns = 10 * NS_PER_SEC;
static const int64_t idle_ns = INT64_C(7) * DAY_SECONDS * NS_PER_SEC;

enum { RECENT_ACTIONS = 10, TIMES_A_STEP = 10000 };

pb_Schedule *schedule_of(const scheduler *s) { return s->state->schedule; }

static pb_ScheduleInfo *info_of(const scheduler *s) { return s->state->info; }

static bool is_paused(const scheduler *s) { return schedule_of(s)->state->paused; }

/* A copy with room for `room` pointers: that of what is there is not known. */
static void *with_room(arena *a, const void *v, size_t n, size_t room) {
  void **bigger = arena_array(a, void *, room);
  if (n) memcpy(bigger, v, n * sizeof *bigger);
  return bigger;
}

/* For short lists. */
#define APPEND(s, list, item)                                               \
  do {                                                                      \
    (list)->v = with_room((s)->arena, (list)->v, (list)->n, (list)->n + 1); \
    (list)->v[(list)->n++] = (item);                                        \
  } while (0)

static void add_effect(scheduler *s, scheduler_effect e) {
  if (s->n_effects == s->cap_effects) {
    s->cap_effects = MAX(2 * s->cap_effects, 8);
    scheduler_effect *bigger = arena_array(s->arena, scheduler_effect, s->cap_effects);
    if (s->n_effects) memcpy(bigger, s->effects, s->n_effects * sizeof e);
    s->effects = bigger;
  }
  s->effects[s->n_effects++] = e;
}

/* --- what clients set --- */

static int64_t catchup_ns(const pb_SchedulePolicies *p) {
  if (!p->catchup_window) return default_catchup_ns;
  return MAX(pb_duration_ns(p->catchup_window), least_catchup_ns);
}

/* What is left out becomes what it means, so that a description shows it. */
static pb_Schedule *with_defaults(const scheduler *s, const pb_Schedule *in) {
  arena *a = s->arena;
  pb_Schedule *out = pb_new(a, Schedule);
  *out = *in;
  if (!out->spec) out->spec = pb_new(a, ScheduleSpec);
  if (!out->action) out->action = pb_new(a, ScheduleAction);
  if (!out->state) out->state = pb_new(a, ScheduleState);
  pb_SchedulePolicies *p = pb_new(a, SchedulePolicies);
  if (in->policies) *p = *in->policies;
  if (!p->overlap_policy) p->overlap_policy = PB_SCHEDULE_OVERLAP_POLICY_SKIP;
  p->catchup_window = pb_duration_new(a, catchup_ns(p));
  out->policies = p;
  return out;
}

void scheduler_create(scheduler *s, const pb_Schedule *schedule) {
  s->state->schedule = with_defaults(s, schedule);
  s->state->info = pb_new(s->arena, ScheduleInfo);
  s->state->info->create_time = pb_time_new(s->arena, s->now_ns);
  s->state->conflict_token = 1;
  s->state->processed_time = s->now_ns;
}

bool scheduler_update(scheduler *s, const pb_Schedule *schedule, int64_t token) {
  if (token && token != s->state->conflict_token) return false;
  s->state->schedule = with_defaults(s, schedule);
  info_of(s)->update_time = pb_time_new(s->arena, s->now_ns);
  s->state->conflict_token++;
  return true;
}

static void add_start(scheduler *s, pb_store_ScheduledStart start) {
  if (s->state->buffered.n >= SCHEDULER_BUFFER) {
    info_of(s)->buffer_dropped++;
    return;
  }
  pb_list_store_ScheduledStart *list = &s->state->buffered;
  if (list->n >= s->buffer_room) {
    s->buffer_room = 2 * list->n + 16;
    list->v = with_room(s->arena, list->v, list->n, s->buffer_room);
  }
  pb_store_ScheduledStart *copy = pb_new(s->arena, store_ScheduledStart);
  *copy = start;
  list->v[list->n++] = copy;
}

static void add_backfill(scheduler *s, const pb_BackfillRequest *b) {
  if (s->state->backfills.n >= SCHEDULER_BUFFER) {
    info_of(s)->buffer_dropped++;
    return;
  }
  pb_BackfillRequest *copy = pb_new(s->arena, BackfillRequest);
  *copy = *b;
  /* Its start counts as well, and times after a time are what the spec knows. */
  int64_t from = MAX(pb_time_ns(b->start_time), INT64_MIN + NS_PER_SEC) - NS_PER_MS;
  copy->start_time = pb_time_new(s->arena, from);
  APPEND(s, &s->state->backfills, copy);
}

static void set_paused(scheduler *s, bool paused, span notes) {
  pb_ScheduleState *state = pb_new(s->arena, ScheduleState);
  *state = *schedule_of(s)->state;
  state->paused = paused;
  state->notes = notes;
  schedule_of(s)->state = state;
  s->state->conflict_token++;
}

void scheduler_patch(scheduler *s, const pb_SchedulePatch *patch) {
  const pb_TriggerImmediatelyRequest *t = patch->trigger_immediately;
  if (t) {
    int64_t at = t->scheduled_time ? pb_time_ns(t->scheduled_time) : s->now_ns;
    add_start(s, (pb_store_ScheduledStart){.nominal_time = at,
                                           .actual_time = at,
                                           .overlap_policy = t->overlap_policy,
                                           .manual = true});
  }
  for (size_t i = 0; i < patch->backfill_request.n; i++) {
    add_backfill(s, patch->backfill_request.v[i]);
  }
  if (patch->pause.n) set_paused(s, true, patch->pause);
  if (patch->unpause.n) set_paused(s, false, patch->unpause);
}

/* --- from times to actions --- */

/* Whether an action may begin now; then it is taken off those that are left. */
static bool take_permit(scheduler *s, const pb_store_ScheduledStart *start) {
  pb_ScheduleState *state = schedule_of(s)->state;
  if (start->manual || (!state->paused && !state->limited_actions)) return true;
  if (state->paused || state->remaining_actions <= 0) return false;
  state->remaining_actions--;
  s->state->conflict_token++;
  return true;
}

static bool may_act(const scheduler *s) {
  const pb_ScheduleState *state = schedule_of(s)->state;
  return !state->paused && (!state->limited_actions || state->remaining_actions > 0);
}

static spec_time next_time(const scheduler *s, int64_t after_ns) {
  if (s->spec) return spec_next(s->spec, s->jitter_seed, after_ns);
  return (spec_time){.nominal_ns = SPEC_NEVER, .next_ns = SPEC_NEVER};
}

/* The times up to now become actions, unless it is too late for them. Returns the next time; now,
 * when there were very many. */
static int64_t buffer_due(scheduler *s) {
  pb_store_ScheduleState *state = s->state;
  if (!may_act(s)) { /* what passes meanwhile is not caught up with */
    state->processed_time = s->now_ns;
    return next_time(s, s->now_ns).next_ns;
  }
  int64_t updated = pb_time_ns(info_of(s)->update_time);
  int64_t catchup = catchup_ns(schedule_of(s)->policies);
  spec_time t = next_time(s, state->processed_time);
  for (int i = 0; i < TIMES_A_STEP && t.next_ns <= s->now_ns; i++) {
    pb_store_ScheduledStart start = {.nominal_time = t.nominal_ns, .actual_time = t.next_ns};
    state->processed_time = t.next_ns;
    t = next_time(s, t.next_ns);
    if (start.actual_time < updated) continue;
    if (s->now_ns - start.actual_time > catchup) {
      info_of(s)->missed_catchup_window++;
    } else {
      add_start(s, start);
    }
  }
  return MAX(t.next_ns, s->now_ns);
}

/* Some actions of the first backfill; false: it is done. */
static bool step_backfill(scheduler *s, pb_BackfillRequest *b, int *left) {
  int64_t until = pb_time_ns(b->end_time), at = pb_time_ns(b->start_time);
  for (spec_time t = next_time(s, at); t.next_ns <= until; t = next_time(s, at)) {
    if (*left == 0) {
      b->start_time = pb_time_new(s->arena, at);
      return true;
    }
    add_start(s, (pb_store_ScheduledStart){.nominal_time = t.nominal_ns,
                                           .actual_time = t.next_ns,
                                           .overlap_policy = b->overlap_policy,
                                           .manual = true});
    at = t.next_ns;
    --*left;
  }
  return false;
}

/* Backfills take half of the buffer at most, and few actions at a time. */
static void buffer_backfills(scheduler *s) {
  pb_list_BackfillRequest *all = &s->state->backfills;
  int left = SCHEDULER_BACKFILL_STEP;
  while (all->n && left > 0 && s->state->buffered.n < SCHEDULER_BUFFER / 2) {
    if (step_backfill(s, all->v[0], &left)) continue;
    all->n--;
    memmove(all->v, all->v + 1, all->n * sizeof *all->v);
  }
}

/* --- from actions to effects --- */

static void begin(scheduler *s, pb_store_ScheduledStart *start, bool overlaps, bool *refused) {
  if (!take_permit(s, start)) {
    *refused = true;
    return;
  }
  start->overlaps = overlaps;
  if (!overlaps) s->state->starting++;
  add_effect(s, (scheduler_effect){.kind = EFFECT_START, .start = start});
}

static void stop_running(scheduler *s, bool terminate) {
  const pb_list_WorkflowExecution *running = &info_of(s)->running_workflows;
  for (size_t i = 0; i < running->n; i++) {
    add_effect(s, (scheduler_effect){.kind = terminate ? EFFECT_TERMINATE : EFFECT_CANCEL,
                                     .target = running->v[i]});
  }
}

/* Applies overlap policies to what is buffered. True: something could not begin, and what waited
 * behind it may now. */
static bool empty_buffer(scheduler *s) {
  pb_store_ScheduleState *state = s->state;
  bool refused = false;
  if (schedule_of(s)->action->which_action != PB_ScheduleAction_start_workflow_FIELD) {
    state->buffered.n = 0;
    return false;
  }
  overlap_input in = {.starts = state->buffered.v,
                      .n = state->buffered.n,
                      .is_running = info_of(s)->running_workflows.n > 0 || state->starting > 0,
                      .policy = schedule_of(s)->policies->overlap_policy};
  overlap_outcome out = overlap_decide(&in, s->arena);
  state->buffered.v = out.waiting;
  state->buffered.n = out.n_waiting;
  info_of(s)->overlap_skipped += out.skipped;
  for (size_t i = 0; i < out.n_beside; i++) begin(s, out.beside[i], true, &refused);
  if (out.alone) begin(s, out.alone, false, &refused);
  if (out.terminate || out.cancel) stop_running(s, out.terminate);
  return refused;
}

/* --- waking up --- */

static bool more_beside(const scheduler *s) {
  const pb_list_BackfillRequest *b = &s->state->backfills;
  if (!b->n) return false;
  int32_t policy = b->v[0]->overlap_policy;
  if (!policy) policy = schedule_of(s)->policies->overlap_policy;
  return policy == PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL;
}

static int64_t last_event_ns(const scheduler *s) {
  const pb_ScheduleInfo *info = info_of(s);
  int64_t last = MAX(pb_time_ns(info->create_time), pb_time_ns(info->update_time));
  if (!info->recent_actions.n) return last;
  return MAX(last, pb_time_ns(info->recent_actions.v[info->recent_actions.n - 1]->actual_time));
}

/* When a schedule that will not act any more is forgotten; 0: it may still act. */
static int64_t over_ns(const scheduler *s, int64_t next_ns) {
  bool acts = next_ns != SPEC_NEVER && may_act(s);
  bool busy = s->state->starting || info_of(s)->running_workflows.n || s->state->buffered.n;
  if (is_paused(s) || acts || more_beside(s) || busy) return 0;
  return last_event_ns(s) + idle_ns;
}

void scheduler_advance(scheduler *s) {
  int64_t next = buffer_due(s);
  buffer_backfills(s);
  while (empty_buffer(s)) continue;
  int64_t over = over_ns(s, next);
  if (more_beside(s)) {
    s->state->due_time = s->now_ns + NS_PER_SEC;
  } else if (over) {
    s->state->due_time = over;
  } else {
    s->state->due_time = next != SPEC_NEVER && may_act(s) ? next : 0;
  }
}

bool scheduler_is_over(const scheduler *s) {
  int64_t over = over_ns(s, next_time(s, s->now_ns).next_ns);
  return over && over <= s->now_ns;
}

/* --- what became of effects --- */

void scheduler_started(scheduler *s, const pb_store_ScheduledStart *start,
                       const pb_WorkflowExecution *execution, int64_t time_ns) {
  pb_ScheduleInfo *info = info_of(s);
  pb_ScheduleActionResult *r = pb_new(s->arena, ScheduleActionResult);
  r->schedule_time = pb_time_new(s->arena, start->actual_time);
  r->actual_time = pb_time_new(s->arena, time_ns);
  r->start_workflow_result = PB_COPY(WorkflowExecution, execution, s->arena);
  r->start_workflow_status = PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  info->action_count++;
  APPEND(s, &info->recent_actions, r);
  if (info->recent_actions.n > RECENT_ACTIONS) {
    info->recent_actions.n--;
    memmove(info->recent_actions.v, info->recent_actions.v + 1,
            info->recent_actions.n * sizeof *info->recent_actions.v);
  }
  if (start->overlaps) return;
  if (s->state->starting > 0) s->state->starting--;
  APPEND(s, &info->running_workflows, r->start_workflow_result);
}

void scheduler_not_started(scheduler *s, const pb_store_ScheduledStart *start) {
  if (!start->overlaps && s->state->starting > 0) s->state->starting--;
}

static void pause_after(scheduler *s, const scheduler_end *end) {
  bool failed = end->status == PB_WORKFLOW_EXECUTION_STATUS_FAILED;
  bool timed_out = end->status == PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT;
  if (!schedule_of(s)->policies->pause_on_failure || is_paused(s) || !(failed || timed_out)) return;
  span why =
      arena_spanf(s->arena, "paused due to workflow timeout: %.*s", SPAN_ARG(end->workflow_id));
  if (failed) {
    span message = end->failure ? end->failure->message : SPAN_NONE;
    why = arena_spanf(s->arena, "paused due to workflow failure: %.*s: %.*s",
                      SPAN_ARG(end->workflow_id), SPAN_ARG(message));
  }
  set_paused(s, true, why);
}

static bool is_of(const pb_WorkflowExecution *e, const scheduler_end *end) {
  return span_eq(e->workflow_id, end->workflow_id) && span_eq(e->run_id, end->first_run_id);
}

static bool take_running(scheduler *s, const scheduler_end *end) {
  pb_list_WorkflowExecution *running = &info_of(s)->running_workflows;
  for (size_t i = 0; i < running->n; i++) {
    if (!is_of(running->v[i], end)) continue;
    running->n--;
    memmove(running->v + i, running->v + i + 1, (running->n - i) * sizeof *running->v);
    return true;
  }
  return false;
}

void scheduler_ended(scheduler *s, const scheduler_end *end) {
  pb_ScheduleInfo *info = info_of(s);
  for (size_t i = 0; i < info->recent_actions.n; i++) {
    pb_ScheduleActionResult *r = info->recent_actions.v[i];
    if (is_of(r->start_workflow_result, end)) r->start_workflow_status = end->status;
  }
  if (!take_running(s, end)) return;
  pause_after(s, end);
  if (end->result.p) {
    s->state->last_completion_result = end->result;
    s->state->continued_failure = NULL;
  } else if (end->failure) { /* the result before stays */
    s->state->continued_failure = (pb_Failure *)(uintptr_t)end->failure;
  }
}

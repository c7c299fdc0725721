/* scheduler_view.c - what a schedule looks like from outside. */
#include "proto/pb_time.h"
#include "schedule/scheduler_int.h"

enum {
  SHOWN_TIMES = 10,
  LISTED_TIMES = 5,
  LISTED_ACTIONS = 5,
  LISTED_SPECS = 10,
  MATCHING_TIMES = 1000
};

static spec_time time_after(const scheduler *s, int64_t after_ns) {
  return spec_next(s->spec, s->jitter_seed, after_ns);
}

pb_list_Timestamp scheduler_future(const scheduler *s, size_t n) {
  const pb_ScheduleState *state = schedule_of(s)->state;
  pb_list_Timestamp out = {0};
  if (!s->spec) return out;
  if (state->limited_actions) n = MIN(n, (size_t)MAX(state->remaining_actions, 0));
  int64_t updated = pb_time_ns(s->state->info->update_time);
  out.v = arena_array(s->arena, pb_Timestamp *, n + 1);
  spec_time t = time_after(s, s->state->processed_time);
  for (; out.n < n && t.next_ns != SPEC_NEVER; t = time_after(s, t.next_ns)) {
    if (t.next_ns >= updated) out.v[out.n++] = pb_time_new(s->arena, t.next_ns);
  }
  return out;
}

pb_list_Timestamp scheduler_matching(const scheduler *s, int64_t from_ns, int64_t until_ns,
                                     bool *ret_gave_up) {
  pb_list_Timestamp out = {0};
  *ret_gave_up = false;
  if (!s->spec) return out;
  out.v = arena_array(s->arena, pb_Timestamp *, MATCHING_TIMES);
  spec_time t = time_after(s, from_ns);
  for (; out.n < MATCHING_TIMES && t.next_ns <= until_ns && t.next_ns != SPEC_NEVER;
       t = time_after(s, t.next_ns)) {
    out.v[out.n++] = pb_time_new(s->arena, t.next_ns);
  }
  *ret_gave_up = t.gave_up;
  return out;
}

pb_Schedule *scheduler_shown(const scheduler *s) {
  pb_Schedule *out = PB_COPY(Schedule, schedule_of(s), s->arena);
  out->spec = spec_shown(out->spec, s->arena);
  return out;
}

pb_ScheduleInfo *scheduler_info(const scheduler *s) {
  pb_ScheduleInfo *out = PB_COPY(ScheduleInfo, s->state->info, s->arena);
  out->future_action_times = scheduler_future(s, SHOWN_TIMES);
  out->buffer_size = (int64_t)s->state->buffered.n;
  return out;
}

static pb_ScheduleSpec *listed_spec(const scheduler *s) {
  pb_ScheduleSpec cut = *schedule_of(s)->spec;
  cut.timezone_data = SPAN_NONE;
  cut.structured_calendar.n = MIN(cut.structured_calendar.n, LISTED_SPECS);
  cut.exclude_structured_calendar.n = MIN(cut.exclude_structured_calendar.n, LISTED_SPECS);
  cut.interval.n = MIN(cut.interval.n, LISTED_SPECS);
  return spec_shown(&cut, s->arena);
}

pb_ScheduleListInfo *scheduler_list_info(const scheduler *s) {
  const pb_Schedule *schedule = schedule_of(s);
  const pb_ScheduleInfo *info = s->state->info;
  pb_ScheduleListInfo l = {.spec = listed_spec(s),
                           .notes = schedule->state->notes,
                           .paused = schedule->state->paused,
                           .future_action_times = scheduler_future(s, LISTED_TIMES)};
  if (schedule->action->which_action == PB_ScheduleAction_start_workflow_FIELD) {
    l.workflow_type = schedule->action->start_workflow->workflow_type;
  }
  size_t n = MIN(info->recent_actions.n, LISTED_ACTIONS);
  l.recent_actions.v = info->recent_actions.v + (info->recent_actions.n - n);
  l.recent_actions.n = n;
  return PB_COPY(ScheduleListInfo, &l, s->arena);
}

span scheduler_nominal_text(const scheduler *s, const pb_store_ScheduledStart *start) {
  int64_t seconds = start->nominal_time / NS_PER_SEC - (start->nominal_time % NS_PER_SEC < 0);
  zone_clock t = zone_show(&zone_utc, seconds);
  return arena_spanf(s->arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)t.date.year, t.date.month,
                     t.date.day, t.hour, t.minute, t.second);
}

span scheduler_workflow_id(const scheduler *s, const pb_store_ScheduledStart *start) {
  span base = schedule_of(s)->action->start_workflow->workflow_id;
  span time = scheduler_nominal_text(s, start);
  return arena_spanf(s->arena, "%.*s-%.*s", SPAN_ARG(base), SPAN_ARG(time));
}

/* client_schedule.c - clients with schedules of their own: they create, pause, unpause, trigger,
 * describe and delete them. A schedule is only its client's, so its notes are known. */
#include "client_int.h"

#include "proto/pb_time.h"

enum { MOST_SCHEDULES = 2 };

static const record *some_schedule(client *c, size_t *ret_n) {
  sim *s = c->sim;
  const record *found = NULL;
  *ret_n = 0;
  LIST_FOR_EACH (node, &s->model->order) {
    const record *r = CONTAINER_OF(node, record, order);
    if (r->kind != REC_SCHEDULE || r->number != c->number || r->may_go) continue;
    if (sim_below(s, ++*ret_n) == 0) found = r;
  }
  return found;
}

static pb_ScheduleAction *new_action(client *c, span id) {
  arena *a = &c->arena;
  program_plan plan = {.seed = sim_below(c->sim, 1u << 30)};
  pb_ScheduleAction *action = pb_new(a, ScheduleAction);
  action->which_action = PB_ScheduleAction_start_workflow_FIELD;
  pb_NewWorkflowExecutionInfo *w = pb_new(a, NewWorkflowExecutionInfo);
  w->workflow_id = id;
  w->workflow_type = pb_new(a, WorkflowType);
  w->workflow_type->name = SPAN("Plan");
  w->task_queue = pb_new(a, TaskQueue);
  w->task_queue->name = SPAN("q0");
  w->task_queue->kind = PB_TASK_QUEUE_KIND_NORMAL;
  w->input = program_input(plan, a);
  w->workflow_task_timeout = pb_duration_new(a, 5 * NS_PER_SEC);
  action->start_workflow = w;
  return action;
}

static void create(client *c) {
  sim *s = c->sim;
  arena *a = &c->arena;
  span id = client_new_id(c, "timed");
  pb_IntervalSpec *every = pb_new(a, IntervalSpec);
  every->interval = pb_duration_new(a, (int64_t)(3 + sim_below(s, 15)) * NS_PER_SEC);
  pb_ScheduleSpec spec = {.interval = {.v = &every, .n = 1}};
  pb_SchedulePolicies policies = {.overlap_policy = 1 + (int32_t)sim_below(s, 6)};
  pb_ScheduleState state = {.notes = id};
  pb_Schedule schedule = {
      .spec = &spec, .action = new_action(c, id), .policies = &policies, .state = &state};
  pb_CreateScheduleRequest r = {
      .schedule_id = id, .schedule = &schedule, .request_id = client_new_id(c, "req")};
  record *rec = model_make(s, REC_SCHEDULE, id);
  rec->number = c->number;
  rec->attempt = policies.overlap_policy;
  client_send(c, CALL_create_schedule, &r);
}

static void patch(client *c, const record *rec) {
  arena *a = &c->arena;
  pb_SchedulePatch patch = {0};
  pb_PatchScheduleRequest r = {.schedule_id = arena_dup(a, rec->key),
                               .patch = &patch,
                               .request_id = client_new_id(c, "req")};
  switch (sim_below(c->sim, 3)) {
    case 0:
      patch.pause = r.request_id;
      break;
    case 1:
      patch.unpause = r.request_id;
      break;
    default:
      patch.trigger_immediately = pb_new(a, TriggerImmediatelyRequest);
      patch.trigger_immediately->scheduled_time = pb_time_new(a, c->sim->now_ns);
  }
  model_schedule_asked(c->sim, rec->key, &patch);
  client_send(c, CALL_patch_schedule, &r);
}

void client_schedule(client *c) {
  size_t n;
  const record *rec = some_schedule(c, &n);
  uint64_t what = sim_below(c->sim, 10);
  if (!rec || (n < MOST_SCHEDULES && what < 4)) {
    create(c);
  } else if (what == 9) {
    pb_DeleteScheduleRequest r = {.schedule_id = arena_dup(&c->arena, rec->key)};
    model_schedule_deleting(c->sim, rec->key);
    client_send(c, CALL_delete_schedule, &r);
  } else if (what == 8) {
    pb_DescribeScheduleRequest r = {.schedule_id = arena_dup(&c->arena, rec->key)};
    client_send(c, CALL_describe_schedule, &r);
  } else {
    patch(c, rec);
  }
}

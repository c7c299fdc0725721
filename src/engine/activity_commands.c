/* activity_commands.c - scheduling an activity and asking for its cancellation. */
#include "engine/activity.h"
#include "engine/command.h"
#include "proto/pb_payload.h"

static int64_t capped(int64_t ns, int64_t most) { return most && ns > most ? most : ns; }

void activity_resolve_timeouts(const pb_ScheduleActivityTaskCommandAttributes *in, int64_t of_run,
                               pb_ActivityTaskScheduledEventAttributes *out, arena *a) {
  int64_t to_close = pb_duration_ns(in->schedule_to_close_timeout);
  int64_t to_start = pb_duration_ns(in->schedule_to_start_timeout);
  int64_t run_time = pb_duration_ns(in->start_to_close_timeout);
  if (to_close > 0) {
    to_start = to_start ? MIN(to_start, to_close) : to_close;
    run_time = run_time ? MIN(run_time, to_close) : to_close;
  } else {
    to_close = of_run;
    to_start = to_start ? to_start : of_run;
  }
  run_time = capped(run_time, of_run);
  int64_t heartbeat = MIN(pb_duration_ns(in->heartbeat_timeout), run_time);
  out->schedule_to_close_timeout = pb_duration_new(a, capped(to_close, of_run));
  out->schedule_to_start_timeout = pb_duration_new(a, capped(to_start, of_run));
  out->start_to_close_timeout = pb_duration_new(a, run_time);
  out->heartbeat_timeout = pb_duration_new(a, heartbeat);
}

static const char *queue_problem(const pb_TaskQueue *q) {
  if (!q || !q->name.n) return q ? "missing task queue name" : "taskQueue is not set";
  if (span_starts_with(q->name, SPAN("/_sys/"))) {
    return "task queue name cannot start with reserved prefix /_sys/";
  }
  return q->name.n > ID_LIMIT_BYTES ? "taskQueue length exceeds limit" : NULL;
}

static const char *timeouts_problem(const pb_ScheduleActivityTaskCommandAttributes *in, arena *a) {
  const struct {
    const pb_Duration *d;
    const char *name;
  } all[] = {{in->schedule_to_close_timeout, "ScheduleToCloseTimeout"},
             {in->schedule_to_start_timeout, "ScheduleToStartTimeout"},
             {in->start_to_close_timeout, "StartToCloseTimeout"},
             {in->heartbeat_timeout, "HeartbeatTimeout"}};
  for (size_t i = 0; i < ARRAY_LEN(all); i++) {
    const char *why = duration_problem(all[i].d);
    if (why) return arena_printf(a, "invalid %s: %s", all[i].name, why);
  }
  if (pb_duration_ns(in->schedule_to_close_timeout) || pb_duration_ns(in->start_to_close_timeout)) {
    return NULL;
  }
  return arena_printf(a,
                      "a valid StartToCloseTimeout or ScheduleToCloseTimeout must be set on the "
                      "activity. ActivityId=%.*s ActivityType=%.*s",
                      SPAN_ARG(in->activity_id), SPAN_ARG(in->activity_type->name));
}

static const char *id_problem(span id, const char *what, arena *a) {
  if (!id.n) return arena_printf(a, "%s is not set", what);
  if (id.n <= ID_LIMIT_BYTES) return NULL;
  return arena_printf(a, "%s exceeds length limit. Length=%zu Limit=%d", what, id.n,
                      ID_LIMIT_BYTES);
}

const char *schedule_problem(const pb_ScheduleActivityTaskCommandAttributes *in, arena *a) {
  const char *why = queue_problem(in->task_queue);
  if (!why) why = id_problem(in->activity_id, "activityId", a);
  if (!why)
    why = id_problem(in->activity_type ? in->activity_type->name : SPAN_NONE, "activityType", a);
  if (!why) why = retry_policy_problem(in->retry_policy, a);
  const char *wrong = why ? NULL : priority_problem(in->priority);
  if (wrong) why = arena_printf(a, "invalid priorities: %s", wrong);
  return why ? why : timeouts_problem(in, a);
}

static err *check_schedule(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES;
  const engine_run *run = c->run;
  const engine_limits *l = run->tx.st->host->limits;
  COMMAND_NEEDS(c, cmd, schedule_activity_task_command_attributes, BAD_SCHEDULE_ACTIVITY_ATTRIBUTES,
                "ScheduleActivityTask");
  const pb_ScheduleActivityTaskCommandAttributes *in =
      cmd->schedule_activity_task_command_attributes;
  const char *why = schedule_problem(in, run->tx.arena);
  if (why) return command_refuse(c, cause, "%s", why);
  if (in->use_workflow_build_id &&
      !span_eq(in->task_queue->name, run->info->started->task_queue->name)) {
    return command_refuse(c, cause, "%s",
                          "Activity with UseCompatibleVersion cannot run on different task queue.");
  }
  TRY(command_check_bytes(c, in->input.n, l->blob_bytes, cause,
                          "ScheduleActivityTaskCommandAttributes.Input"));
  if (run->activities >= l->pending) {
    return command_refuse(c, PB_WORKFLOW_TASK_FAILED_CAUSE_PENDING_ACTIVITIES_LIMIT_EXCEEDED,
                          "the number of pending activities, %lld, has reached the per-workflow "
                          "limit of %lld",
                          (long long)run->activities, (long long)l->pending);
  }
  if (item_by_name(run, PB_ITEM_KIND_ACTIVITY, in->activity_id)) {
    return command_refuse(c, PB_WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID,
                          "invalid history builder state for action: "
                          "add-activitytask-scheduled-event, ActivityID: %.*s",
                          SPAN_ARG(in->activity_id));
  }
  return NULL;
}

err *command_schedule_activity(command_ctx *c, const pb_Command *cmd) {
  TRY(check_schedule(c, cmd));
  const pb_ScheduleActivityTaskCommandAttributes *in =
      cmd->schedule_activity_task_command_attributes;
  engine_run *run = c->run;
  tx *t = &run->tx;
  EVENT(t, ev, s, ACTIVITY_TASK_SCHEDULED, activity_task_scheduled_event_attributes,
        ActivityTaskScheduledEventAttributes);
  s->activity_id = in->activity_id;
  s->activity_type = in->activity_type;
  s->task_queue = pb_new(t->arena, TaskQueue);
  s->task_queue->name = in->task_queue->name;
  s->task_queue->kind = PB_TASK_QUEUE_KIND_NORMAL;
  s->header = in->header;
  s->input = in->input;
  s->workflow_task_completed_event_id = c->completed_event_id;
  s->use_workflow_build_id = in->use_workflow_build_id;
  s->priority = in->priority;
  static const pb_RetryPolicy unset;
  s->retry_policy = retry_policy_filled(in->retry_policy ? in->retry_policy : &unset, t->arena);
  activity_resolve_timeouts(in, pb_duration_ns(run->info->started->workflow_run_timeout), s,
                            t->arena);
  tx_append(run, ev);
  activity_offer(run, activity_add(run, ev));
  return NULL;
}

/* --- cancel --- */

/* An activity that ended while the task ran: the worker cannot know yet, so the request is recorded
 * and changes nothing. */
static bool ended_in_buffer(const engine_run *run, int64_t scheduled_id) {
  LIST_FOR_EACH (n, &run->buffered) {
    const engine_item *it = CONTAINER_OF(n, engine_item, buffered);
    const pb_HistoryEvent *ev = ((const pb_store_BufferedItem *)item_msg(it))->event;
    if (!it->deleted && ev->event_type == PB_EVENT_TYPE_ACTIVITY_TASK_STARTED &&
        ev->activity_task_started_event_attributes->scheduled_event_id == scheduled_id) {
      return true;
    }
  }
  return false;
}

static int64_t append_requested(command_ctx *c, int64_t scheduled_id) {
  tx *t = &c->run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_CANCEL_REQUESTED,
        activity_task_cancel_requested_event_attributes,
        ActivityTaskCancelRequestedEventAttributes);
  attrs->scheduled_event_id = scheduled_id;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  tx_append(c->run, ev);
  return ev->event_id;
}

static void cancel_not_started(command_ctx *c, engine_item *it, int64_t requested_id) {
  tx *t = &c->run->tx;
  EVENT(t, ev, attrs, ACTIVITY_TASK_CANCELED, activity_task_canceled_event_attributes,
        ActivityTaskCanceledEventAttributes);
  attrs->details = pb_json_payloads(t->arena, SPAN("\"ACTIVITY_ID_NOT_STARTED\""));
  attrs->latest_cancel_requested_event_id = requested_id;
  attrs->scheduled_event_id = it->id;
  attrs->identity = c->request->identity;
  activity_close(c->run, it, ev);
  c->wake = true;
}

err *command_cancel_activity(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES;
  COMMAND_NEEDS(c, cmd, request_cancel_activity_task_command_attributes,
                BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES, "RequestCancelActivityTask");
  const pb_RequestCancelActivityTaskCommandAttributes *in =
      cmd->request_cancel_activity_task_command_attributes;
  if (in->scheduled_event_id <= 0) {
    return command_refuse(c, cause,
                          "ScheduledEventId is not set on RequestCancelActivityTaskCommand.");
  }
  int64_t id = in->scheduled_event_id;
  engine_item *it = item_by_id(c->run, id, PB_ITEM_KIND_ACTIVITY);
  if (!it && ended_in_buffer(c->run, id)) {
    (void)append_requested(c, id);
    return NULL;
  }
  if (!it || ((const activity *)item_msg(it))->cancel_requested_id) {
    return command_refuse(c, cause,
                          "invalid history builder state for action: "
                          "add-activitytask-cancel-requested-event, ScheduledEventID: %lld",
                          (long long)id);
  }
  int64_t requested_id = append_requested(c, id);
  activity *act = item_edit(c->run, it);
  act->cancel_requested_id = requested_id;
  if (act->state == PB_ACTIVITY_STATE_STARTED) {
    activity_update(c->run, it);
  } else {
    cancel_not_started(c, it, requested_id);
  }
  return NULL;
}

/* check_schedule.c - schedules as clients send them: the spec made canonical, the action checked
 * like a start, with what it will start prepared. */
#include "engine/schedule.h"
#include "proto/pb_time.h"
#include "rpc/handlers/check.h"
#include "schedule/spec.h"

enum { NOTES_BYTES = 1000 };

static err *check_request_id(const checker *k, span id) {
  if (id.n <= CHECK_ID_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "RequestId length exceeds limit.");
}

/* An id with what is put around it. */
static err *check_id_bytes(const checker *k, size_t n) {
  if (n <= CHECK_ID_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "WorkflowId exceeds maximum allowed length (%zu/%d)", n,
             CHECK_ID_BYTES);
}

static err *check_spec(const checker *k, pb_Schedule *s) {
  static const pb_ScheduleSpec none;
  const spec *compiled;
  pb_ScheduleSpec *canonical = NULL;
  err *e = spec_canonical(s->spec ? s->spec : &none, k->arena, &canonical);
  if (!e) e = spec_compile(canonical, k->zones, k->arena, &compiled);
  if (e) return ERR(k->arena, INVALID_ARGUMENT, "Invalid schedule spec: %s", e->what);
  s->spec = canonical;
  return NULL;
}

static pb_StartWorkflowExecutionRequest start_of(const pb_NewWorkflowExecutionInfo *w) {
  return (pb_StartWorkflowExecutionRequest){
      .workflow_id = SPAN("scheduled"),
      .workflow_type = w->workflow_type,
      .task_queue = w->task_queue,
      .workflow_execution_timeout = w->workflow_execution_timeout,
      .workflow_run_timeout = w->workflow_run_timeout,
      .workflow_task_timeout = w->workflow_task_timeout,
      .retry_policy = w->retry_policy,
      .memo = w->memo,
      .search_attributes = w->search_attributes,
      .versioning_override = w->versioning_override,
      .priority = w->priority,
  };
}

/* What the protocol's server checks when a schedule is made. */
static err *check_workflow(const checker *k, pb_NewWorkflowExecutionInfo *w) {
  static const char suffix[] = "-2009-11-10T23:00:00Z";
  TRY(check_id_bytes(k, w->workflow_id.n + sizeof suffix - 1));
  TRY(check_workflow_type(k, w->workflow_type));
  TRY(check_task_queue(k, false, &w->task_queue));
  pb_StartWorkflowExecutionRequest s = start_of(w);
  TRY(check_timeouts(k, &s));
  if (w->cron_schedule.n) {
    return ERR(k->arena, INVALID_ARGUMENT, "Scheduled workflow must not contain CronSchedule");
  }
  if (w->workflow_id_reuse_policy &&
      w->workflow_id_reuse_policy != PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Scheduled workflow must not contain WorkflowIDReusePolicy");
  }
  return check_search_attributes(k, &w->search_attributes);
}

/* Copies the action with its queue's kind filled in. `ret_start` is NULL where a start would be
 * refused for a reason that is only looked at then: such an action never happens. */
static err *check_action(const checker *k, pb_Schedule *s,
                         pb_StartWorkflowExecutionRequest **ret_start) {
  *ret_start = NULL;
  if (!s->action || s->action->which_action != PB_ScheduleAction_start_workflow_FIELD) return NULL;
  pb_ScheduleAction *action = pb_new(k->arena, ScheduleAction);
  pb_NewWorkflowExecutionInfo *w = pb_new(k->arena, NewWorkflowExecutionInfo);
  *action = *s->action;
  *w = *action->start_workflow;
  TRY(check_workflow(k, w));
  action->start_workflow = w;
  s->action = action;
  pb_StartWorkflowExecutionRequest start = start_of(w);
  err *e = check_start(k, &start, ret_start);
  if (!e) return NULL;
  *ret_start = NULL;
  return e->code == ERR_UNIMPLEMENTED ? e : NULL;
}

static pb_Schedule *copy_schedule(const checker *k, const pb_Schedule *in) {
  pb_Schedule *s = pb_new(k->arena, Schedule);
  if (in) *s = *in;
  return s;
}

err *check_create_schedule(const checker *k, pb_CreateScheduleRequest *r,
                           pb_StartWorkflowExecutionRequest **ret_start) {
  TRY(check_id_bytes(k, r->schedule_id.n + sizeof SCHEDULE_RUN_PREFIX - 1));
  if (!r->request_id.n) return ERR(k->arena, INVALID_ARGUMENT, "RequestId is not set on request.");
  TRY(check_request_id(k, r->request_id));
  r->schedule = copy_schedule(k, r->schedule);
  TRY(check_spec(k, r->schedule));
  TRY(check_action(k, r->schedule, ret_start));
  TRY(check_search_attributes(k, &r->search_attributes));
  return check_blob(k, pb_encoded_bytes(&pb_CreateScheduleRequest_desc, r));
}

err *check_update_schedule(const checker *k, pb_UpdateScheduleRequest *r,
                           pb_StartWorkflowExecutionRequest **ret_start) {
  TRY(check_request_id(k, r->request_id));
  r->schedule = copy_schedule(k, r->schedule);
  TRY(check_action(k, r->schedule, ret_start));
  TRY(check_spec(k, r->schedule));
  pb_SearchAttributes *known = r->search_attributes;
  TRY(check_search_attributes(k, &known));
  if (known) r->search_attributes = known; /* none at all clears what the schedule has */
  if (!r->schedule->action ||
      r->schedule->action->which_action != PB_ScheduleAction_start_workflow_FIELD) {
    return ERR(k->arena, INVALID_ARGUMENT, "Only StartWorkflow action is supported for schedules");
  }
  TRY(check_blob(k, pb_encoded_bytes(&pb_UpdateScheduleRequest_desc, r)));
  if (!r->memo) return NULL;
  return ERR(k->arena, FAILED_PRECONDITION,
             "memo updates are not supported on workflow-backed schedules");
}

err *check_patch_schedule(const checker *k, pb_PatchScheduleRequest *r) {
  if (!r->patch) return ERR(k->arena, INVALID_ARGUMENT, "Patch is not set on request.");
  TRY(check_request_id(k, r->request_id));
  if (r->patch->pause.n > NOTES_BYTES || r->patch->unpause.n > NOTES_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "Schedule notes exceeds limit.");
  }
  TRY(check_blob(k, pb_encoded_bytes(&pb_SchedulePatch_desc, r->patch)));
  if (!r->patch->trigger_immediately || r->patch->trigger_immediately->scheduled_time) return NULL;
  pb_SchedulePatch *patch = pb_new(k->arena, SchedulePatch);
  *patch = *r->patch;
  patch->trigger_immediately = pb_new(k->arena, TriggerImmediatelyRequest);
  *patch->trigger_immediately = *r->patch->trigger_immediately;
  patch->trigger_immediately->scheduled_time = pb_time_new(k->arena, k->now_ns);
  r->patch = patch;
  return NULL;
}

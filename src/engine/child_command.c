/* child_command.c - StartChildWorkflowExecution: its checks and its event. */
#include "engine/command.h"
#include "engine/outside.h"

typedef pb_StartChildWorkflowExecutionCommandAttributes attributes;

enum { CAUSE = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES };

static const int64_t default_task_timeout_ns = 10 * NS_PER_SEC;
static const int64_t max_task_timeout_ns = 120 * NS_PER_SEC;

static span type_name(const attributes *in) {
  return in->workflow_type ? in->workflow_type->name : SPAN_NONE;
}

static span queue_name(const engine_run *run, const attributes *in) {
  return in->task_queue && in->task_queue->name.n ? in->task_queue->name
                                                  : run->info->started->task_queue->name;
}

/* --- checks --- */

static err *check_ids(command_ctx *c, const attributes *in) {
  span ns = c->run->info->namespace_name, type = type_name(in);
  if (!in->workflow_id.n) {
    return command_refuse(c, CAUSE,
                          "Required field WorkflowId is not set on "
                          "StartChildWorkflowExecutionCommand. WorkflowType=%.*s Namespace=%.*s",
                          SPAN_ARG(type), SPAN_ARG(ns));
  }
  if (!type.n) {
    return command_refuse(c, CAUSE,
                          "Required field WorkflowType is not set on "
                          "StartChildWorkflowExecutionCommand. WorkflowId=%.*s Namespace=%.*s",
                          SPAN_ARG(in->workflow_id), SPAN_ARG(ns));
  }
  if (in->workflow_id.n > ID_LIMIT_BYTES) {
    return command_refuse(c, CAUSE,
                          "WorkflowId on StartChildWorkflowExecutionCommand exceeds length limit. "
                          "WorkflowId=%.*s Length=%zu Limit=%d WorkflowType=%.*s Namespace=%.*s",
                          SPAN_ARG(in->workflow_id), in->workflow_id.n, ID_LIMIT_BYTES,
                          SPAN_ARG(type), SPAN_ARG(ns));
  }
  if (type.n > ID_LIMIT_BYTES) {
    return command_refuse(c, CAUSE,
                          "WorkflowType on StartChildWorkflowExecutionCommand exceeds length "
                          "limit. WorkflowId=%.*s WorkflowType=%.*s Length=%zu Limit=%d "
                          "Namespace=%.*s",
                          SPAN_ARG(in->workflow_id), SPAN_ARG(type), type.n, ID_LIMIT_BYTES,
                          SPAN_ARG(ns));
  }
  return NULL;
}

/* "<what is wrong>. WorkflowId=.. WorkflowType=.. Namespace=.." */
static err *refuse_child(command_ctx *c, const attributes *in, const char *wrong) {
  return command_refuse(c, CAUSE, "%s. WorkflowId=%.*s WorkflowType=%.*s Namespace=%.*s", wrong,
                        SPAN_ARG(in->workflow_id), SPAN_ARG(type_name(in)),
                        SPAN_ARG(c->run->info->namespace_name));
}

static err *check_times(command_ctx *c, const attributes *in) {
  arena *a = c->run->tx.arena;
  const struct {
    const pb_Duration *d;
    const char *name;
  } all[] = {{in->workflow_execution_timeout, "WorkflowExecutionTimeout"},
             {in->workflow_run_timeout, "WorkflowRunTimeout"},
             {in->workflow_task_timeout, "WorkflowTaskTimeout"}};
  for (size_t i = 0; i < ARRAY_LEN(all); i++) {
    const char *why = duration_problem(all[i].d);
    if (!why) continue;
    return refuse_child(
        c, in,
        arena_printf(a, "Invalid %s on StartChildWorkflowExecutionCommand: %s", all[i].name, why));
  }
  const char *why = retry_policy_problem(in->retry_policy, a);
  if (why) {
    why = arena_printf(a, "invalid WorkflowRetryPolicy on StartChildWorkflowExecutionCommand: %s",
                       why);
    return refuse_child(c, in, why);
  }
  return NULL;
}

/* A schedule that does not parse, or names no time ever. */
static err *check_cron(command_ctx *c, const attributes *in) {
  const engine_step *st = c->run->tx.st;
  cron schedule;
  if (!in->cron_schedule.n) return NULL;
  const char *why = NULL;
  if (cron_parse(in->cron_schedule, st->host->zones, st->arena, &schedule)) {
    why = ".";
  } else if (cron_next(&schedule, st->now_ns) == CRON_NEVER) {
    why = ", no time can be found to satisfy the schedule";
  }
  if (!why) return NULL;
  why = arena_printf(
      st->arena,
      "invalid CronSchedule on StartChildWorkflowExecutionCommand: invalid CronSchedule%s", why);
  return refuse_child(c, in, why);
}

static err *check_queue(command_ctx *c, const attributes *in) {
  span name = queue_name(c->run, in);
  const char *why = NULL;
  if (name.n > ID_LIMIT_BYTES) {
    why = "taskQueue length exceeds limit";
  } else if (span_starts_with(name, SPAN("/_sys/"))) {
    why = "task queue name cannot start with reserved prefix /_sys/";
  }
  if (why) {
    return command_refuse(c, CAUSE,
                          "invalid TaskQueue on StartChildWorkflowExecutionCommand: %s. "
                          "WorkflowId=%.*s WorkflowType=%.*s Namespace=%.*s "
                          "TaskQueue=name:\"%.*s\"  kind:TASK_QUEUE_KIND_NORMAL",
                          why, SPAN_ARG(in->workflow_id), SPAN_ARG(type_name(in)),
                          SPAN_ARG(c->run->info->namespace_name), SPAN_ARG(name));
  }
  if (in->inherit_build_id && !span_eq(name, c->run->info->started->task_queue->name)) {
    return command_refuse(c, CAUSE, "%s",
                          "StartChildWorkflowExecution with UseCompatibleVersion cannot run on "
                          "different task queue.");
  }
  return NULL;
}

/* Features that do not exist here yet must not be ignored silently. */
static err *check_unbuilt(command_ctx *c, const attributes *in) {
  if (!in->versioning_override) return NULL;
  const char *why = engine_override_problem(in->versioning_override, c->run->tx.arena);
  if (why) return command_refuse(c, CAUSE, "%s", why);
  return command_refuse(c, CAUSE, "%s",
                        "VersioningOverride on StartChildWorkflowExecutionCommand is not supported "
                        "by this version of the server");
}

static err *check_sizes(command_ctx *c, const attributes *in) {
  const engine_limits *l = c->run->tx.st->host->limits;
  TRY(command_check_bytes(c, in->input.n, l->blob_bytes, CAUSE,
                          "StartChildWorkflowExecutionCommandAttributes. Input"));
  if (!in->memo) return NULL;
  return command_check_bytes(c, pb_encoded_bytes(&pb_Memo_desc, in->memo), l->memo_bytes, CAUSE,
                             "StartChildWorkflowExecutionCommandAttributes.Memo");
}

static err *check_child(command_ctx *c, const attributes *in, pb_SearchAttributes **ret_known) {
  TRY(command_check_namespace(c, in->namespace, CAUSE));
  TRY(check_ids(c, in));
  TRY(check_times(c, in));
  TRY(check_cron(c, in));
  const char *why = priority_problem(in->priority);
  if (why) return command_refuse(c, CAUSE, "%s", why);
  TRY(check_queue(c, in));
  TRY(check_unbuilt(c, in));
  TRY(command_check_search_attributes(c, in->search_attributes, false, ret_known));
  TRY(check_sizes(c, in));
  return command_check_pending(c, c->run->outside.children,
                               PB_WORKFLOW_TASK_FAILED_CAUSE_PENDING_CHILD_WORKFLOWS_LIMIT_EXCEEDED,
                               "child workflow executions");
}

/* --- the event --- */

/* A run is limited by what encloses it, a task by its run. */
static void resolve_timeouts(arena *a, const attributes *in,
                             pb_StartChildWorkflowExecutionInitiatedEventAttributes *out) {
  int64_t execution = pb_duration_ns(in->workflow_execution_timeout);
  int64_t run = pb_duration_ns(in->workflow_run_timeout);
  int64_t task = pb_duration_ns(in->workflow_task_timeout);
  if (execution && (!run || run > execution)) run = execution;
  task = MIN(task ? task : default_task_timeout_ns, max_task_timeout_ns);
  if (run) task = MIN(task, run);
  out->workflow_execution_timeout = in->workflow_execution_timeout;
  out->workflow_run_timeout = pb_duration_new(a, run);
  out->workflow_task_timeout = pb_duration_new(a, task);
}

err *command_start_child(command_ctx *c, const pb_Command *cmd) {
  COMMAND_NEEDS(c, cmd, start_child_workflow_execution_command_attributes,
                BAD_START_CHILD_EXECUTION_ATTRIBUTES, "StartChildWorkflowExecution");
  const attributes *in = cmd->start_child_workflow_execution_command_attributes;
  pb_SearchAttributes *known;
  TRY(check_child(c, in, &known));
  engine_run *run = c->run;
  tx *t = &run->tx;
  EVENT(t, ev, attrs, START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        start_child_workflow_execution_initiated_event_attributes,
        StartChildWorkflowExecutionInitiatedEventAttributes);
  attrs->namespace = run->info->namespace_name;
  attrs->namespace_id = own_namespace_id(run);
  attrs->workflow_id = in->workflow_id;
  attrs->workflow_type = in->workflow_type;
  attrs->task_queue = pb_new(t->arena, TaskQueue);
  attrs->task_queue->name = queue_name(run, in);
  attrs->task_queue->kind = PB_TASK_QUEUE_KIND_NORMAL;
  attrs->input = in->input;
  resolve_timeouts(t->arena, in, attrs);
  attrs->parent_close_policy =
      in->parent_close_policy ? in->parent_close_policy : PB_PARENT_CLOSE_POLICY_TERMINATE;
  attrs->control = in->control;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->workflow_id_reuse_policy = in->workflow_id_reuse_policy
                                        ? in->workflow_id_reuse_policy
                                        : PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
  attrs->cron_schedule = in->cron_schedule;
  attrs->retry_policy = retry_policy_filled(in->retry_policy, t->arena);
  attrs->header = in->header;
  attrs->memo = engine_memo_fields(in->memo, t->arena);
  attrs->search_attributes = known;
  attrs->inherit_build_id = in->inherit_build_id;
  attrs->priority = in->priority;
  tx_append(run, ev);
  pb_store_ChildItem *item = item_new(run, ev->event_id, PB_ITEM_KIND_CHILD, SPAN_NONE);
  item->initiated = attrs;
  item->state = PB_CHILD_STATE_STARTING;
  item->user_metadata = cmd->user_metadata;
  const engine_host *h = t->st->host;
  h->promise_run(h->ctx, t->arena, &item->run_id);
  outside_tell(run, item_by_id(run, ev->event_id, PB_ITEM_KIND_CHILD), true);
  return NULL;
}

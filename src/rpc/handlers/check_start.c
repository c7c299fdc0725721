#include "base/uuid.h"
#include "rpc/handlers/check.h"
#include "schedule/cron.h"

static const int64_t default_task_timeout_ns = 10 * NS_PER_SEC;
static const int64_t max_task_timeout_ns = 120 * NS_PER_SEC;

static int64_t duration_ns(const pb_Duration *d) {
  return d ? d->seconds * NS_PER_SEC + d->nanos : 0;
}

static pb_Duration *duration_of(arena *a, int64_t ns) {
  pb_Duration *d = pb_new(a, Duration);
  d->seconds = ns / NS_PER_SEC;
  d->nanos = (int32_t)(ns % NS_PER_SEC);
  return d;
}

static err *check_workflow_id(const checker *k, span id) {
  if (id.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "WorkflowId is not set on request.");
  if (id.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "WorkflowId exceeds maximum allowed length (%zu/%d)",
               id.n, CHECK_ID_BYTES);
  }
  return NULL;
}

static err *check_timeout(const checker *k, const char *name, pb_Duration **d) {
  const char *wrong = check_duration(k, d);
  if (!wrong) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "An invalid %s is set on request. cause: %s", name, wrong);
}

err *check_workflow_type(const checker *k, const pb_WorkflowType *type) {
  if (!type || type->name.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "WorkflowType is not set on request.");
  }
  if (type->name.n <= CHECK_ID_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "WorkflowType length exceeds limit.");
}

err *check_timeouts(const checker *k, pb_StartWorkflowExecutionRequest *s) {
  TRY(check_timeout(k, "WorkflowExecutionTimeoutSeconds", &s->workflow_execution_timeout));
  TRY(check_timeout(k, "WorkflowRunTimeoutSeconds", &s->workflow_run_timeout));
  return check_timeout(k, "WorkflowTaskTimeoutSeconds", &s->workflow_task_timeout);
}

static err *check_delay(const checker *k, pb_StartWorkflowExecutionRequest *s) {
  if (s->cron_schedule.n && s->workflow_start_delay) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "CronSchedule and WorkflowStartDelay may not be used together.");
  }
  return check_timeout(k, "WorkflowStartDelaySeconds", &s->workflow_start_delay);
}

static err *check_cron(const checker *k, span schedule) {
  cron c;
  if (!schedule.n) return NULL;
  if (cron_parse(schedule, k->zones, k->arena, &c)) {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid CronSchedule.");
  }
  if (cron_next(&c, k->now_ns) != CRON_NEVER) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT,
             "invalid CronSchedule, no time can be found to satisfy the schedule");
}

static err *check_id_policies(const checker *k, int32_t reuse, int32_t conflict) {
  if (conflict && reuse == PB_WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING "
               "cannot be used together with a WorkflowIDConflictPolicy");
  }
  if (conflict == PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING &&
      reuse == PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be "
               "used together with WorkflowIdConflictPolicy "
               "WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING");
  }
  return NULL;
}

/* TERMINATE_IF_RUNNING is the old way to say TERMINATE_EXISTING. */
static void default_id_policies(pb_StartWorkflowExecutionRequest *s, int32_t conflict) {
  if (!s->workflow_id_conflict_policy) {
    s->workflow_id_conflict_policy = conflict;
    if (s->workflow_id_reuse_policy == PB_WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING) {
      s->workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
      s->workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
    }
  }
  if (!s->workflow_id_reuse_policy) {
    s->workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
  }
}

span check_new_id(const checker *k) {
  char *text = arena_alloc(k->arena, UUID_TEXT_BYTES);
  uuid_format(uuid_random(k->random), text);
  return span_of(text, UUID_TEXT_BYTES);
}

/* Fields that would change what happens and whose feature does not exist here. */
static err *check_unbuilt(const checker *k, const pb_StartWorkflowExecutionRequest *s) {
  if (s->versioning_override) {
    TRY(check_override(k, s->versioning_override, s->task_queue->name));
  }
  if (s->time_skipping_config) {
    return ERR(k->arena, UNIMPLEMENTED, "The Time-Skipping feature is not enabled for namespace.");
  }
  return NULL;
}

static err *check_sizes(const checker *k, const pb_StartWorkflowExecutionRequest *s) {
  TRY(check_blob(k, s->input.n));
  if (s->memo && pb_encoded_bytes(&pb_Memo_desc, s->memo) > k->limits->memo_bytes) {
    return ERR(k->arena, INVALID_ARGUMENT, "Memo size exceeds limit.");
  }
  return NULL;
}

/* What is not limited becomes limited by what encloses it; only changed values are replaced, since
 * the first event shows them. */
static void resolve_timeouts(const checker *k, pb_StartWorkflowExecutionRequest *s) {
  int64_t execution = duration_ns(s->workflow_execution_timeout);
  int64_t run = duration_ns(s->workflow_run_timeout);
  int64_t task = duration_ns(s->workflow_task_timeout);
  int64_t run_to = execution && (!run || run > execution) ? execution : run;
  int64_t task_to = MIN(task ? task : default_task_timeout_ns, max_task_timeout_ns);
  if (run_to) task_to = MIN(task_to, run_to);
  if (run_to != run) s->workflow_run_timeout = duration_of(k->arena, run_to);
  if (task_to != task) s->workflow_task_timeout = duration_of(k->arena, task_to);
}

static err *check_conflict_options(const checker *k, const pb_workflow_OnConflictOptions *o) {
  if (o && o->attach_completion_callbacks && !o->attach_request_id) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "attaching request ID is required for attaching completion callbacks");
  }
  return NULL;
}

err *check_start(const checker *k, const pb_StartWorkflowExecutionRequest *r,
                 pb_StartWorkflowExecutionRequest **ret_start) {
  pb_StartWorkflowExecutionRequest *s = pb_new(k->arena, StartWorkflowExecutionRequest);
  *s = *r;
  default_id_policies(s, PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL);
  TRY(check_workflow_id(k, s->workflow_id));
  TRY(check_retry_policy(k, &s->retry_policy));
  TRY(check_delay(k, s));
  TRY(check_cron(k, s->cron_schedule));
  TRY(check_workflow_type(k, s->workflow_type));
  TRY(check_task_queue(k, false, &s->task_queue));
  TRY(check_timeouts(k, s));
  if (s->request_id.n == 0) s->request_id = check_new_id(k);
  if (s->request_id.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "RequestId length exceeds limit.");
  }
  TRY(check_id_policies(k, s->workflow_id_reuse_policy, s->workflow_id_conflict_policy));
  TRY(check_conflict_options(k, s->on_conflict_options));
  TRY(check_search_attributes(k, &s->search_attributes));
  TRY(check_priority(k, s->priority));
  TRY(check_callbacks(k, &s->completion_callbacks, &s->links));
  TRY(check_unbuilt(k, s));
  TRY(check_sizes(k, s));
  s->memo = engine_memo_fields(s->memo, k->arena);
  resolve_timeouts(k, s);
  *ret_start = s;
  return NULL;
}

static pb_StartWorkflowExecutionRequest *start_of(
    arena *a, const pb_SignalWithStartWorkflowExecutionRequest *r) {
  pb_StartWorkflowExecutionRequest *s = pb_new(a, StartWorkflowExecutionRequest);
  s->namespace = r->namespace;
  s->workflow_id = r->workflow_id;
  s->workflow_type = r->workflow_type;
  s->task_queue = r->task_queue;
  s->input = r->input;
  s->workflow_execution_timeout = r->workflow_execution_timeout;
  s->workflow_run_timeout = r->workflow_run_timeout;
  s->workflow_task_timeout = r->workflow_task_timeout;
  s->identity = r->identity;
  s->request_id = r->request_id;
  s->workflow_id_reuse_policy = r->workflow_id_reuse_policy;
  s->workflow_id_conflict_policy = r->workflow_id_conflict_policy;
  s->retry_policy = r->retry_policy;
  s->cron_schedule = r->cron_schedule;
  s->memo = r->memo;
  s->search_attributes = r->search_attributes;
  s->header = r->header;
  s->workflow_start_delay = r->workflow_start_delay;
  s->user_metadata = r->user_metadata;
  s->links = r->links;
  s->versioning_override = r->versioning_override;
  s->priority = r->priority;
  s->time_skipping_config = r->time_skipping_config;
  return s;
}

static err *check_name(const checker *k, span name, const char *missing, const char *what) {
  if (name.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "%s not set", missing);
  if (name.n <= CHECK_ID_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "%s exceeds maximum allowed length (%zu/%d)", what, name.n,
             CHECK_ID_BYTES);
}

err *check_signal_with_start(const checker *k, const pb_SignalWithStartWorkflowExecutionRequest *r,
                             pb_SignalWithStartWorkflowExecutionRequest **ret_request,
                             pb_StartWorkflowExecutionRequest **ret_start) {
  pb_StartWorkflowExecutionRequest *s = start_of(k->arena, r);
  TRY(check_cron(k, s->cron_schedule));
  TRY(check_workflow_id(k, s->workflow_id));
  TRY(check_name(k, r->signal_name, "signal", "signal name"));
  TRY(check_name(k, s->workflow_type ? s->workflow_type->name : SPAN_NONE, "workflow type",
                 "workflow type name"));
  TRY(check_task_queue(k, false, &s->task_queue));
  if (s->request_id.n == 0) s->request_id = check_new_id(k);
  TRY(check_name(k, s->request_id, "Request ID", "Request ID"));
  TRY(check_timeouts(k, s));
  TRY(check_retry_policy(k, &s->retry_policy));
  TRY(check_delay(k, s));
  TRY(check_id_policies(k, s->workflow_id_reuse_policy, s->workflow_id_conflict_policy));
  if (s->workflow_id_conflict_policy == PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not "
               "supported for this operation.");
  }
  default_id_policies(s, PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING);
  TRY(check_search_attributes(k, &s->search_attributes));
  TRY(check_priority(k, s->priority));
  TRY(check_links(k, &s->links));
  TRY(check_unbuilt(k, s));
  TRY(check_sizes(k, s));
  TRY(check_blob(k, r->signal_input.n));
  s->memo = engine_memo_fields(s->memo, k->arena);
  resolve_timeouts(k, s);

  pb_SignalWithStartWorkflowExecutionRequest *request =
      pb_new(k->arena, SignalWithStartWorkflowExecutionRequest);
  *request = *r;
  request->request_id = s->request_id;
  *ret_request = request;
  *ret_start = s;
  return NULL;
}

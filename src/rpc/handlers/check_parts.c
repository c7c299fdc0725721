#include "base/uuid.h"
#include "rpc/handlers/check.h"

static const int64_t max_duration_s = INT64_C(100) * 365 * 24 * 3600;

err *check_execution(const checker *k, const pb_WorkflowExecution *execution) {
  uuid run;
  if (!execution) return ERR(k->arena, INVALID_ARGUMENT, "Execution is not set on request.");
  if (execution->workflow_id.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "WorkflowId is not set on request.");
  }
  if (execution->run_id.n && !uuid_parse(execution->run_id, &run)) {
    return ERR(k->arena, INVALID_ARGUMENT, "Invalid RunId.");
  }
  return NULL;
}

err *check_identity(const checker *k, span identity) {
  if (identity.n <= CHECK_ID_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "Identity length exceeds limit.");
}

err *check_blob(const checker *k, size_t n_bytes) {
  if (n_bytes <= k->limits->blob_bytes) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "Blob data size exceeds limit.");
}

static bool is_negative(const pb_Duration *d) {
  int64_t s = d->seconds + d->nanos / NS_PER_SEC;
  return s < 0 || (s == 0 && d->nanos % NS_PER_SEC < 0);
}

const char *check_duration(const checker *k, pb_Duration **d) {
  const pb_Duration *v = *d;
  if (!v) return NULL;
  if ((v->seconds > 0 && v->nanos < 0) || (v->seconds < 0 && v->nanos > 0)) {
    return "duration has seconds and nanos with different signs";
  }
  if (is_negative(v)) return "negative duration";
  if (v->seconds >= max_duration_s) {
    *d = pb_new(k->arena, Duration);
    (*d)->seconds = max_duration_s;
  }
  return NULL;
}

static bool is_zero(const pb_Duration *d) { return !d || (d->seconds == 0 && d->nanos == 0); }

static pb_Duration *hundredfold(arena *a, const pb_Duration *d) {
  pb_Duration *out = pb_new(a, Duration);
  int64_t seconds = MAX(-max_duration_s, MIN(max_duration_s, d->seconds));
  int64_t nanos = d->nanos * INT64_C(100);
  out->seconds = seconds * 100 + nanos / NS_PER_SEC;
  out->nanos = (int32_t)(nanos % NS_PER_SEC);
  return out;
}

static int duration_cmp(const pb_Duration *x, const pb_Duration *y) {
  if (x->seconds != y->seconds) return x->seconds < y->seconds ? -1 : 1;
  return (x->nanos > y->nanos) - (x->nanos < y->nanos);
}

static err *check_error_types(const checker *k, const pb_list_span *types) {
  const span prefix = SPAN("TemporalTimeout:");
  for (size_t i = 0; i < types->n; i++) {
    span type = types->v[i];
    int32_t number;
    if (!span_starts_with(type, prefix)) continue;
    type = span_of(type.p + prefix.n, type.n - prefix.n);
    if (!pb_enum_number(&pb_TimeoutType_enum, type, &number) || number == 0) {
      return ERR(k->arena, INVALID_ARGUMENT, "Invalid timeout type value: %.*s.", SPAN_ARG(type));
    }
  }
  return NULL;
}

err *check_retry_policy(const checker *k, pb_RetryPolicy **policy) {
  if (!*policy) return NULL;
  pb_RetryPolicy *p = pb_new(k->arena, RetryPolicy);
  *p = **policy;
  if (is_zero(p->initial_interval)) {
    p->initial_interval = pb_new(k->arena, Duration);
    p->initial_interval->seconds = 1;
  }
  if (is_zero(p->maximum_interval)) {
    p->maximum_interval = hundredfold(k->arena, p->initial_interval);
  }
  if (p->backoff_coefficient == 0) p->backoff_coefficient = 2;
  *policy = p;
  if (p->maximum_attempts == 1) return NULL; /* nothing else matters then */

  const char *wrong = check_duration(k, &p->initial_interval);
  if (wrong) {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid InitialInterval set on retry policy: %s",
               wrong);
  }
  if (!(p->backoff_coefficient >= 1)) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "BackoffCoefficient cannot be less than 1 on retry policy.");
  }
  wrong = check_duration(k, &p->maximum_interval);
  if (wrong) {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid MaximumInterval set on retry policy: %s",
               wrong);
  }
  if (!is_zero(p->maximum_interval) && duration_cmp(p->maximum_interval, p->initial_interval) < 0) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "MaximumInterval cannot be less than InitialInterval on retry policy.");
  }
  if (p->maximum_attempts < 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "MaximumAttempts cannot be negative on retry policy.");
  }
  return check_error_types(k, &p->non_retryable_error_types);
}

static err *check_queue_name(const checker *k, span name, bool partition) {
  const span reserved = SPAN("/_sys/");
  if (name.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "taskQueue length exceeds limit");
  }
  if (!partition && span_starts_with(name, reserved)) {
    return ERR(k->arena, INVALID_ARGUMENT, "task queue name cannot start with reserved prefix %.*s",
               SPAN_ARG(reserved));
  }
  return NULL;
}

err *check_task_queue(const checker *k, bool partition, pb_TaskQueue **queue) {
  if (!*queue) return ERR(k->arena, INVALID_ARGUMENT, "taskQueue is not set");
  pb_TaskQueue *q = pb_new(k->arena, TaskQueue);
  *q = **queue;
  if (q->kind == PB_TASK_QUEUE_KIND_UNSPECIFIED) q->kind = PB_TASK_QUEUE_KIND_NORMAL;
  if (q->name.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "missing task queue name");
  TRY(check_queue_name(k, q->name, partition));
  if (q->kind == PB_TASK_QUEUE_KIND_STICKY) TRY(check_queue_name(k, q->normal_name, true));
  *queue = q;
  return NULL;
}

static err *check_link_part(const checker *k, const char *link, span part, const char *name) {
  if (part.n) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "%s link must not have an empty %s", link, name);
}

static err *check_event_link(const checker *k, const pb_Link_WorkflowEvent *l) {
  TRY(check_link_part(k, "workflow event", l->namespace, "namespace field"));
  TRY(check_link_part(k, "workflow event", l->workflow_id, "workflow ID field"));
  TRY(check_link_part(k, "workflow event", l->run_id, "run ID field"));
  if (l->which_reference == PB_Link_WorkflowEvent_event_ref_FIELD &&
      l->event_ref->event_type == PB_EVENT_TYPE_UNSPECIFIED && l->event_ref->event_id != 0) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "workflow event link ref cannot have an unspecified event type and a non-zero "
               "event ID");
  }
  return NULL;
}

static err *check_link(const checker *k, const pb_Link *l) {
  switch (l->which_variant) {
    case PB_Link_workflow_event_FIELD:
      return check_event_link(k, l->workflow_event);
    case PB_Link_batch_job_FIELD:
      return check_link_part(k, "batch job", l->batch_job->job_id, "job ID");
    case PB_Link_nexus_operation_FIELD:
      TRY(check_link_part(k, "nexus operation", l->nexus_operation->namespace, "namespace field"));
      TRY(check_link_part(k, "nexus operation", l->nexus_operation->operation_id,
                          "operation ID field"));
      return check_link_part(k, "nexus operation", l->nexus_operation->run_id, "run ID field");
    case PB_Link_activity_FIELD:
      TRY(check_link_part(k, "activity", l->activity->namespace, "namespace field"));
      TRY(check_link_part(k, "activity", l->activity->activity_id, "activity ID field"));
      return check_link_part(k, "activity", l->activity->run_id, "run ID field");
    default:
      return ERR(k->arena, INVALID_ARGUMENT, "unsupported link variant");
  }
}

err *check_links(const checker *k, const pb_list_Link *links) {
  if (links->n > CHECK_LINKS) {
    return ERR(k->arena, INVALID_ARGUMENT, "cannot attach more than %d links per request, got %zu",
               CHECK_LINKS, links->n);
  }
  for (size_t i = 0; i < links->n; i++) {
    size_t n_bytes = pb_encoded_bytes(&pb_Link_desc, links->v[i]);
    if (n_bytes > CHECK_LINK_BYTES) {
      return ERR(k->arena, INVALID_ARGUMENT, "link exceeds allowed size of %d, got %zu",
                 CHECK_LINK_BYTES, n_bytes);
    }
    TRY(check_link(k, links->v[i]));
  }
  return NULL;
}

err *check_priority(const checker *k, const pb_Priority *p) {
  if (!p) return NULL;
  if (p->priority_key < 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "priority key can't be negative");
  }
  if (p->fairness_key.n > CHECK_FAIRNESS_KEY_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "fairness key length exceeds limit");
  }
  if (p->fairness_weight < 0) return ERR(k->arena, INVALID_ARGUMENT, "must be greater than zero");
  return NULL;
}

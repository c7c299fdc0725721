/* backoff.c - whether and when a failed attempt is made again: one rule for activities and
 * workflows. Only the outermost failure is asked. No jitter. */
#include "engine/engine_int.h"

static bool listed(const pb_RetryPolicy *p, span type) {
  for (size_t i = 0; p && i < p->non_retryable_error_types.n; i++) {
    if (span_eq(p->non_retryable_error_types.v[i], type)) return true;
  }
  return false;
}

static bool timeout_is_retryable(const pb_TimeoutFailureInfo *t, const pb_RetryPolicy *p) {
  switch (t->timeout_type) {
    case PB_TIMEOUT_TYPE_START_TO_CLOSE:
      return !listed(p, SPAN("TemporalTimeout:StartToClose"));
    case PB_TIMEOUT_TYPE_HEARTBEAT:
      return !listed(p, SPAN("TemporalTimeout:Heartbeat"));
    default:
      return false;
  }
}

bool failure_is_retryable(const pb_Failure *f, const pb_RetryPolicy *p) {
  if (!f) return true;
  switch (f->which_failure_info) {
    case PB_Failure_terminated_failure_info_FIELD:
    case PB_Failure_canceled_failure_info_FIELD:
      return false;
    case PB_Failure_timeout_failure_info_FIELD:
      return timeout_is_retryable(f->timeout_failure_info, p);
    case PB_Failure_server_failure_info_FIELD:
      return !f->server_failure_info->non_retryable;
    case PB_Failure_application_failure_info_FIELD:
      return !f->application_failure_info->non_retryable &&
             !listed(p, f->application_failure_info->type);
    default:
      return true;
  }
}

static int64_t max_interval_ns(const pb_RetryPolicy *p) {
  int64_t initial = pb_duration_ns(p->initial_interval), most = pb_duration_ns(p->maximum_interval);
  return most > 0 ? most : MIN(initial, PB_MAX_DURATION_NS / 100) * 100;
}

int64_t retry_interval_ns(const pb_RetryPolicy *p, int32_t attempt) {
  int64_t most = max_interval_ns(p);
  int64_t initial = pb_duration_ns(p->initial_interval);
  /* Multiplication only: the same on every machine. The policy's coefficient is a double. */
  double interval = (double)initial;
  for (int32_t i = 1; i < attempt && interval < (double)most; i++) {
    double next = interval * p->backoff_coefficient;
    if (next <= interval) break; /* it will not grow, however many attempts there were */
    interval = next;
  }
  return interval < (double)most ? (int64_t)interval : most;
}

static const pb_Duration *asked_delay(const pb_Failure *f) {
  if (!f || f->which_failure_info != PB_Failure_application_failure_info_FIELD) return NULL;
  return f->application_failure_info->next_retry_delay;
}

retry_choice retry_decide(const retry_question *q) {
  const pb_RetryPolicy *p = q->policy;
  if (!p) return (retry_choice){.retry_state = PB_RETRY_STATE_RETRY_POLICY_NOT_SET};
  if (!failure_is_retryable(q->failure, p)) {
    return (retry_choice){.retry_state = PB_RETRY_STATE_NON_RETRYABLE_FAILURE};
  }
  if (p->maximum_attempts > 0 && q->attempt >= p->maximum_attempts) {
    return (retry_choice){.retry_state = PB_RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED};
  }
  const pb_Duration *asked = asked_delay(q->failure);
  int64_t delay = asked ? pb_duration_ns(asked) : retry_interval_ns(p, q->attempt);
  if (asked && q->delay_is_capped) delay = MIN(delay, max_interval_ns(p));
  bool no_room = q->deadline_ns && q->now_ns + delay > q->deadline_ns;
  if (delay <= 0 || no_room) return (retry_choice){.retry_state = PB_RETRY_STATE_TIMEOUT};
  return (retry_choice){.retry_state = PB_RETRY_STATE_IN_PROGRESS, .delay_ns = delay};
}

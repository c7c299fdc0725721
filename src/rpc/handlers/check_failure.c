#include "rpc/handlers/check.h"

enum { CUT_BYTES = 512 * 1024, CUT_LINKS = 20 };

/* The range that google.protobuf.Duration allows, about 10,000 years. */
static const char *duration_fault(const pb_Duration *d) {
  const int64_t limit_s = INT64_C(315576000000);
  if (d->seconds < -limit_s || d->seconds > limit_s) return "out of range";
  if (d->nanos <= -NS_PER_SEC || d->nanos >= NS_PER_SEC) return "nanos out of range";
  if ((d->seconds > 0 && d->nanos < 0) || (d->seconds < 0 && d->nanos > 0)) {
    return "seconds and nanos with different signs";
  }
  return NULL;
}

err *check_activity_failure(const checker *k, const pb_Failure *failure) {
  if (!failure) return NULL;
  if (failure->which_failure_info != PB_Failure_application_failure_info_FIELD) {
    return ERR(k->arena, INVALID_ARGUMENT, "Failure must have ApplicationFailureInfo.");
  }
  for (const pb_Failure *f = failure; f; f = f->cause) {
    if (f->which_failure_info != PB_Failure_application_failure_info_FIELD) continue;
    const pb_Duration *delay = f->application_failure_info->next_retry_delay;
    const char *fault = delay ? duration_fault(delay) : NULL;
    if (fault) {
      return ERR(k->arena, INVALID_ARGUMENT, "NextRetryDelay is not a valid duration: %s", fault);
    }
  }
  return NULL;
}

pb_Failure *failure_of_server(arena *a, const char *message, bool non_retryable) {
  pb_Failure *f = pb_new(a, Failure);
  f->message = span_cstr(message);
  f->which_failure_info = PB_Failure_server_failure_info_FIELD;
  f->server_failure_info = pb_new(a, ServerFailureInfo);
  f->server_failure_info->non_retryable = non_retryable;
  return f;
}

/* The longest start of s within the budget. */
static span cut_text(span s, size_t *budget) {
  s = span_cut(s, *budget);
  *budget -= s.n;
  return s;
}

/* Keeps what identifies a failure and as much text as fits; details are dropped. */
static pb_Failure *cut_link(arena *a, const pb_Failure *f, size_t *budget) {
  pb_Failure *out = pb_new(a, Failure);
  out->source = cut_text(f->source, budget);
  if (f->which_failure_info == PB_Failure_application_failure_info_FIELD) {
    out->which_failure_info = f->which_failure_info;
    out->application_failure_info = pb_new(a, ApplicationFailureInfo);
    out->application_failure_info->type = cut_text(f->application_failure_info->type, budget);
    out->application_failure_info->non_retryable = f->application_failure_info->non_retryable;
  } else if (f->which_failure_info == PB_Failure_server_failure_info_FIELD) {
    out->which_failure_info = f->which_failure_info;
    out->server_failure_info = f->server_failure_info;
  }
  out->message = cut_text(f->message, budget);
  out->stack_trace = cut_text(f->stack_trace, budget);
  return out;
}

static pb_Failure *cut_chain(arena *a, const pb_Failure *failure) {
  size_t budget = CUT_BYTES;
  pb_Failure *first = NULL, **at = &first;
  int links = 0;
  for (const pb_Failure *f = failure; f && links < CUT_LINKS && budget > 0; f = f->cause) {
    *at = cut_link(a, f, &budget);
    at = &(*at)->cause;
    links++;
  }
  return first;
}

pb_Failure *failure_within_limit(const checker *k, pb_Failure *failure) {
  if (!failure || pb_encoded_bytes(&pb_Failure_desc, failure) <= k->limits->blob_bytes) {
    return failure;
  }
  pb_Failure *f = failure_of_server(k->arena, "Failure exceeds size limit.", true);
  f->cause = cut_chain(k->arena, failure);
  return f;
}

/* failing.c - what fails in a run, as lists find it: the attributes FailureType, FailureRootType,
 * FailureFingerprint and RetryingActivities (ATTRIBUTE_KEPT of attribute.h).
 *
 * An open run shows what keeps it from going on: the failure of its workflow task if that fails,
 * else that of the activity, of those that are between or in later attempts, that was scheduled
 * first; the order of `explain`. A run that failed shows the failure it closed with. One that
 * timed out or was terminated shows what it showed before; a timeout without anything else is one
 * of type "Timeout". Any other end shows nothing: the run coped.
 *
 * Of the chain of causes, the type is that of the outermost failure, the root type that of the
 * innermost. The fingerprint is the same for failures that are alike: it is made of kind, type,
 * source and message of every link, without what differs from case to case (words with digits in
 * them), and without the links that only say where it passed (activities, child workflows). So one
 * problem has one fingerprint in the activity that is retried, in the workflow that fails of it and
 * in its parents.
 *
 * All is kept in the run's state, where there is none while nothing fails.
 */
#include "base/buf.h"
#include "engine/activity.h"
#include "engine/command.h"

enum { TYPE_BYTES = 255, FINGERPRINT_MESSAGE_BYTES = 1024 };

/* --- one failure in short --- */

/* "ValueError", "Timeout:StartToClose", "Activity" */
static span type_of(const pb_Failure *f, arena *a) {
  span type, kind = failure_kind(f, &type);
  bool own = f->which_failure_info == PB_Failure_application_failure_info_FIELD && type.n;
  if (own) return span_cut(type, TYPE_BYTES);
  bool timeout = f->which_failure_info == PB_Failure_timeout_failure_info_FIELD && type.n;
  return timeout ? arena_spanf(a, "%.*s:%.*s", SPAN_ARG(kind), SPAN_ARG(type)) : kind;
}

static bool is_word(uint8_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         c == '-' || c >= 0x80;
}

/* Words with digits are numbers, ids, times: all are "#". */
static void add_message(buf *out, span message) {
  message = span_cut(message, FINGERPRINT_MESSAGE_BYTES);
  for (size_t at = 0; at < message.n;) {
    size_t begin = at;
    bool digits = false;
    for (; at < message.n && is_word(message.p[at]); at++) {
      digits = digits || (message.p[at] >= '0' && message.p[at] <= '9');
    }
    if (at == begin) at++;
    buf_add(out, digits ? SPAN("#") : span_of(message.p + begin, at - begin));
  }
}

static bool only_passes(const pb_Failure *f) {
  return f->cause &&
         (f->which_failure_info == PB_Failure_activity_failure_info_FIELD ||
          f->which_failure_info == PB_Failure_child_workflow_execution_failure_info_FIELD);
}

/* Stored and shown: never changes for the same failure. */
static uint64_t fingerprint_of(const pb_Failure *f) {
  buf text = BUF_INIT;
  for (; f; f = f->cause) {
    span type, kind = failure_kind(f, &type);
    if (only_passes(f)) continue;
    buf_add(&text, kind);
    buf_addb(&text, 0);
    buf_add(&text, type);
    buf_addb(&text, 0);
    buf_add(&text, f->source);
    buf_addb(&text, 0);
    add_message(&text, f->message);
    buf_addb(&text, 0);
  }
  uint64_t hash = hash_stored(buf_span(&text));
  buf_release(&text);
  return hash;
}

static pb_store_FailureDigest *digest(const pb_Failure *f, arena *a) {
  pb_store_FailureDigest *d = pb_new(a, store_FailureDigest);
  d->type = type_of(f, a);
  d->fingerprint = fingerprint_of(f);
  while (f->cause) f = f->cause;
  d->root_type = type_of(f, a);
  return d;
}

/* --- what a run shows --- */

/* A task that the server or its timeout ended has no failure of a worker. */
static const pb_Failure *task_failure(const pb_store_RunState *s, arena *a) {
  if (s->last_wft_failure) return s->last_wft_failure;
  if (s->last_wft_timeout_type) {
    return failure_timeout(a, s->last_wft_timeout_type, SPAN("workflow task timed out"), NULL,
                           SPAN_NONE);
  }
  span cause = arena_spanf(a, "%s", failed_cause_name(s->last_wft_failed_cause, a));
  return failure_application(a, SPAN("workflow task failed"), cause);
}

static bool is_retrying(const activity *act) { return act->attempt > 1; }

/* Counts the activities that are retried; the failure of the first, or NULL. */
static const pb_Failure *look_at_activities(engine_run *run) {
  const pb_Failure *first = NULL;
  int64_t first_id = INT64_MAX;
  run->state.retrying_activities = 0;
  for (hmap_node *n = hmap_each(&run->by_id, NULL); n; n = hmap_each(&run->by_id, n)) {
    const engine_item *it = CONTAINER_OF(n, engine_item, by_id);
    if (it->kind != PB_ITEM_KIND_ACTIVITY || it->deleted) continue;
    const activity *act = item_msg(it);
    if (!is_retrying(act)) continue;
    run->state.retrying_activities++;
    if (!act->last_failure || it->id > first_id) continue;
    first = act->last_failure;
    first_id = it->id;
  }
  return first;
}

static void show(engine_run *run, const pb_Failure *f) {
  pb_store_RunState *s = &run->state;
  const pb_store_FailureDigest *now = s->failing;
  if (!f) {
    s->failing = NULL;
    return;
  }
  pb_store_FailureDigest *d = digest(f, run->tx.arena);
  bool same = now && now->fingerprint == d->fingerprint && span_eq(now->type, d->type) &&
              span_eq(now->root_type, d->root_type);
  if (!same) s->failing = d;
}

/* Whether this step moved an activity that is retried. */
static bool retries_moved(const engine_run *run) {
  for (const engine_item *it = run->tx.touched; it; it = it->next_touched) {
    if (it->kind != PB_ITEM_KIND_ACTIVITY) continue;
    if (it->msg && is_retrying(it->msg)) return true;
    if (!it->deleted && is_retrying(item_msg(it))) return true;
  }
  return false;
}

void failing_settle(engine_run *run) {
  pb_store_RunState *s = &run->state;
  if (!run_is_open(run)) return;
  if (!retries_moved(run) && s->wft_failures == run->tx.saved.wft_failures) return;
  const pb_Failure *of_activity = look_at_activities(run);
  show(run, s->wft_failures ? task_failure(s, run->tx.arena) : of_activity);
}

void failing_closed(engine_run *run, int32_t status, const pb_HistoryEvent *close) {
  pb_store_RunState *s = &run->state;
  s->retrying_activities = 0;
  switch (status) {
    case PB_WORKFLOW_EXECUTION_STATUS_FAILED:
      show(run, close->workflow_execution_failed_event_attributes->failure);
      return;
    case PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
      if (s->failing) return;
      show(run, failure_timeout(run->tx.arena, PB_TIMEOUT_TYPE_UNSPECIFIED,
                                SPAN("workflow timed out"), NULL, SPAN_NONE));
      return;
    case PB_WORKFLOW_EXECUTION_STATUS_TERMINATED:
      return;
    default:
      show(run, NULL);
  }
}

/* --- for lists --- */

bool failing_shown(const pb_store_RunState *s) { return s->failing || s->retrying_activities; }

bool failing_changed(const pb_store_RunState *before, const pb_store_RunState *now) {
  return before->failing != now->failing || before->retrying_activities != now->retrying_activities;
}

size_t failing_attributes(const engine_run *run, arena *a, store_attribute *out) {
  const pb_store_RunState *s = &run->state;
  const int64_t ns = run->ns;
  size_t n = 0;
  if (s->failing) {
    const pb_store_FailureDigest *d = s->failing;
    span hex = arena_spanf(a, "%016llx", (unsigned long long)d->fingerprint);
    out[n++] = attribute_seen(ns, ATTRIBUTE_FAILURE_TYPE, VALUE_OF_TEXT(d->type), a);
    out[n++] = attribute_seen(ns, ATTRIBUTE_FAILURE_ROOT_TYPE, VALUE_OF_TEXT(d->root_type), a);
    out[n++] = attribute_seen(ns, ATTRIBUTE_FAILURE_FINGERPRINT, VALUE_OF_TEXT(hex), a);
  }
  if (s->retrying_activities) {
    out[n++] =
        attribute_seen(ns, ATTRIBUTE_RETRYING_ACTIVITIES, VALUE_OF_INT(s->retrying_activities), a);
  }
  return n;
}

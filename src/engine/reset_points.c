/* reset_points.c - where a run may be reset to: the first task that each build of a worker
 * completed, over the whole chain of runs. And the search attributes that follow from builds. */
#include "base/buf.h"
#include "engine/command.h"
#include "proto/json_text.h"
#include "proto/pb_payload.h"

enum { MOST_POINTS = 20, REPORTED_FAILURES = 5 };

/* Until when a closed run is kept is not known here; clients are only told that there is an end. */
static const int64_t kept_ns = 24 * 3600 * NS_PER_SEC;

static const pb_ResetPoints *of_chain(const engine_run *run) {
  static const pb_ResetPoints none;
  const pb_ResetPoints *prev = run->info->started->prev_auto_reset_points;
  return prev ? prev : &none;
}

static bool is_point_of(const pb_ResetPointInfo *p, span checksum, span build_id) {
  return span_eq(p->binary_checksum, checksum) && span_eq(p->build_id, build_id);
}

void reset_point_note(engine_run *run, int64_t completed_id, span checksum, span build_id) {
  pb_store_RunState *s = &run->state;
  const pb_ResetPoints *chain = of_chain(run);
  for (size_t i = 0; i < chain->points.n; i++) {
    if (is_point_of(chain->points.v[i], checksum, build_id)) return;
  }
  for (size_t i = 0; i < s->reset_points.n; i++) {
    if (is_point_of(s->reset_points.v[i], checksum, build_id)) return;
  }
  size_t n = s->reset_points.n;
  if (n == MOST_POINTS) return;
  arena *a = run->tx.arena;
  pb_ResetPointInfo **v = arena_array(a, pb_ResetPointInfo *, n + 1);
  for (size_t i = 0; i < n; i++) v[i] = s->reset_points.v[i];
  v[n] = pb_new(a, ResetPointInfo);
  v[n]->binary_checksum = checksum;
  v[n]->build_id = build_id;
  v[n]->first_workflow_task_completed_id = completed_id;
  v[n]->create_time = pb_time_new(a, run->tx.now_ns);
  v[n]->resettable = true;
  s->reset_points.v = v;
  s->reset_points.n = n + 1;
}

pb_ResetPoints *reset_points_all(const engine_run *run, arena *a) {
  const pb_ResetPoints *chain = of_chain(run);
  const pb_store_RunState *s = &run->state;
  pb_ResetPoints *all = pb_new(a, ResetPoints);
  all->points.v = arena_array(a, pb_ResetPointInfo *, chain->points.n + s->reset_points.n + 1);
  for (size_t i = 0; i < chain->points.n; i++) {
    all->points.v[all->points.n++] = chain->points.v[i];
  }
  for (size_t i = 0; i < s->reset_points.n; i++) {
    pb_ResetPointInfo *p = pb_new(a, ResetPointInfo);
    *p = *s->reset_points.v[i];
    p->run_id = run->info->run_id;
    if (s->new_run_id.n) p->expire_time = pb_time_new(a, s->last_event_time + kept_ns);
    all->points.v[all->points.n++] = p;
  }
  if (all->points.n > MOST_POINTS) {
    all->points.v += all->points.n - MOST_POINTS;
    all->points.n = MOST_POINTS;
  }
  return all;
}

bool engine_reset_point(const engine_run *run, span build_id, arena *a, span *ret_run_id,
                        int64_t *ret_event_id) {
  const pb_ResetPoints *all = reset_points_all(run, a);
  for (size_t i = 0; i < all->points.n; i++) {
    const pb_ResetPointInfo *p = all->points.v[i];
    if (!span_eq(p->build_id, build_id) || !p->resettable) continue;
    *ret_run_id = arena_dup(a, p->run_id);
    *ret_event_id = p->first_workflow_task_completed_id;
    return true;
  }
  return false;
}

/* --- search attributes --- */

/* A list of strings, without its last bracket. */
typedef struct texts {
  const char *json;
} texts;

static void add_text(texts *t, const char *prefix, span text, arena *a) {
  buf quoted = BUF_INIT;
  json_put_string(&quoted, arena_spanf(a, "%s%.*s", prefix, SPAN_ARG(text)));
  t->json = t->json ? arena_printf(a, "%s,%.*s", t->json, SPAN_ARG(buf_span(&quoted)))
                    : arena_printf(a, "[%.*s", SPAN_ARG(buf_span(&quoted)));
  buf_release(&quoted);
}

static void add_attribute(pb_SearchAttributes *all, const char *name, const texts *t, arena *a) {
  if (!t->json) return;
  all->indexed_fields.v[all->indexed_fields.n++] =
      pb_attribute_new(a, name, "KeywordList", arena_spanf(a, "%s]", t->json));
}

static void add_known(pb_SearchAttributes *all, const pb_SearchAttributes *some) {
  for (size_t i = 0; some && i < some->indexed_fields.n; i++) {
    all->indexed_fields.v[all->indexed_fields.n++] = some->indexed_fields.v[i];
  }
}

/* "cause=WorkflowTaskFailedCauseNonDeterministicError" */
static span problem_cause(const pb_store_RunState *s, arena *a) {
  if (!s->last_wft_timeout_type) {
    return arena_spanf(a, "cause=WorkflowTaskFailedCause%s",
                       failed_cause_name(s->last_wft_failed_cause, a));
  }
  return arena_spanf(a, "cause=WorkflowTaskTimedOutCause%s",
                     s->last_wft_timeout_type == PB_TIMEOUT_TYPE_SCHEDULE_TO_START
                         ? "ScheduleToStart"
                         : "StartToClose");
}

/* A run whose tasks fail again and again says so until one succeeds. */
bool search_attributes_report(const pb_store_RunState *s) {
  return s->wft_failures >= REPORTED_FAILURES && s->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
}

static void add_problems(const engine_run *run, pb_SearchAttributes *all, arena *a) {
  const pb_store_RunState *s = &run->state;
  if (!search_attributes_report(s)) return;
  texts problems = {0};
  add_text(&problems, "category=",
           s->last_wft_timeout_type ? SPAN("WorkflowTaskTimedOut") : SPAN("WorkflowTaskFailed"), a);
  add_text(&problems, "", problem_cause(s, a), a);
  add_attribute(all, "TemporalReportedProblems", &problems, a);
}

pb_SearchAttributes *search_attributes_all(const engine_run *run, arena *a) {
  const pb_store_RunState *s = &run->state;
  const pb_SearchAttributes *first = run->info->started->search_attributes;
  const pb_SearchAttributes *later = s->search_attributes;
  size_t most = (first ? first->indexed_fields.n : 0) + (later ? later->indexed_fields.n : 0) + 5;
  pb_SearchAttributes *all = pb_new(a, SearchAttributes);
  all->indexed_fields.v = arena_array(a, pb_SearchAttributes_IndexedFieldsEntry *, most);
  add_known(all, later ? later : first);
  texts builds = {0}, checksums = {0};
  if (s->completed_wfts) add_text(&builds, "", SPAN("unversioned"), a);
  for (size_t i = 0; i < s->reset_points.n; i++) {
    const pb_ResetPointInfo *p = s->reset_points.v[i];
    if (p->build_id.n) add_text(&builds, "unversioned:", p->build_id, a);
    if (p->binary_checksum.n) add_text(&checksums, "", p->binary_checksum, a);
  }
  add_attribute(all, "BuildIds", &builds, a);
  add_attribute(all, "BinaryChecksums", &checksums, a);
  add_problems(run, all, a);
  texts paused = {0};
  for (size_t i = 0; i < s->paused_activity_types.n; i++) {
    add_text(&paused, "property:activityType=", s->paused_activity_types.v[i], a);
  }
  add_attribute(all, "TemporalPauseInfo", &paused, a);
  if (s->schedule) {
    span value = s->schedule->schedule->state->paused ? SPAN("true") : SPAN("false");
    all->indexed_fields.v[all->indexed_fields.n++] =
        pb_attribute_new(a, "TemporalSchedulePaused", "Bool", value);
  }
  return all;
}

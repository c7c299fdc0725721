/* run_attributes.c - the search attributes of a run: what was set and upserted, and what follows
 * from the builds of workers, failing tasks, paused activities and the pause of a schedule. */
#include "base/buf.h"
#include "engine/command.h"
#include "proto/json_text.h"
#include "proto/pb_payload.h"

enum { REPORTED_FAILURES = 5, MOST_DERIVED = 4 };

/* --- what follows from the state: lists of texts --- */

typedef struct derived {
  const char *name;
  attribute_number number;
  span *texts;
  size_t n;
} derived;

static derived *derive(derived *d, const char *name, attribute_number number, size_t most,
                       arena *a) {
  *d = (derived){.name = name, .number = number, .texts = arena_array(a, span, most)};
  return d;
}

static void add_text(derived *d, const char *prefix, span text, arena *a) {
  text = *prefix ? arena_spanf(a, "%s%.*s", prefix, SPAN_ARG(text)) : text;
  for (size_t i = 0; i < d->n; i++) {
    if (span_eq(d->texts[i], text)) return;
  }
  d->texts[d->n++] = text;
}

static void add_builds(const pb_store_RunState *s, derived *to, arena *a) {
  size_t most = s->reset_points.n + s->builds.n + 1;
  derived *builds = derive(&to[0], "BuildIds", ATTRIBUTE_BUILD_IDS, most, a);
  derived *checksums = derive(&to[1], "BinaryChecksums", ATTRIBUTE_BINARY_CHECKSUMS, most, a);
  if (s->completed_wfts) add_text(builds, "", SPAN("unversioned"), a);
  for (size_t i = 0; i < s->builds.n; i++) add_text(builds, "unversioned:", s->builds.v[i], a);
  for (size_t i = 0; i < s->reset_points.n; i++) {
    const pb_ResetPointInfo *p = s->reset_points.v[i];
    if (p->build_id.n) add_text(builds, "unversioned:", p->build_id, a);
    if (p->binary_checksum.n) add_text(checksums, "", p->binary_checksum, a);
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
static bool reports(const pb_store_RunState *s) {
  return s->wft_failures >= REPORTED_FAILURES && s->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
}

static void add_problems(const pb_store_RunState *s, derived *to, arena *a) {
  derive(to, "TemporalReportedProblems", ATTRIBUTE_REPORTED_PROBLEMS, 2, a);
  if (!reports(s)) return;
  add_text(to, "category=",
           s->last_wft_timeout_type ? SPAN("WorkflowTaskTimedOut") : SPAN("WorkflowTaskFailed"), a);
  add_text(to, "", problem_cause(s, a), a);
}

static void add_pauses(const pb_store_RunState *s, derived *to, arena *a) {
  size_t n = s->paused_activity_types.n;
  derive(to, "TemporalPauseInfo", ATTRIBUTE_PAUSE_INFO, n, a);
  for (size_t i = 0; i < n; i++) {
    add_text(to, "property:activityType=", s->paused_activity_types.v[i], a);
  }
}

static void derive_all(const pb_store_RunState *s, derived out[MOST_DERIVED], arena *a) {
  add_builds(s, out, a);
  add_problems(s, out + 2, a);
  add_pauses(s, out + 3, a);
}

/* --- as clients see them --- */

static const pb_SearchAttributes *as_set(const engine_run *run) {
  const pb_SearchAttributes *later = run->state.search_attributes;
  return later ? later : run->info->started->search_attributes;
}

static span json_list(const derived *d, arena *a) {
  buf out = BUF_INIT;
  for (size_t i = 0; i < d->n; i++) {
    buf_addb(&out, i ? ',' : '[');
    json_put_string(&out, d->texts[i]);
  }
  buf_addb(&out, ']');
  span json = arena_dup(a, buf_span(&out));
  buf_release(&out);
  return json;
}

static bool schedule_paused(const pb_store_RunState *s) {
  return s->schedule && s->schedule->schedule->state->paused;
}

pb_SearchAttributes *search_attributes_all(const engine_run *run, arena *a) {
  const pb_store_RunState *s = &run->state;
  const pb_SearchAttributes *set = as_set(run);
  pb_SearchAttributes *all = pb_new(a, SearchAttributes);
  derived more[MOST_DERIVED];
  size_t n = set ? set->indexed_fields.n : 0;
  all->indexed_fields.v =
      arena_array(a, pb_SearchAttributes_IndexedFieldsEntry *, n + MOST_DERIVED + 1);
  for (; all->indexed_fields.n < n; all->indexed_fields.n++) {
    all->indexed_fields.v[all->indexed_fields.n] = set->indexed_fields.v[all->indexed_fields.n];
  }
  derive_all(s, more, a);
  for (size_t i = 0; i < MOST_DERIVED; i++) {
    if (!more[i].n) continue;
    all->indexed_fields.v[all->indexed_fields.n++] =
        pb_attribute_new(a, more[i].name, "KeywordList", json_list(&more[i], a));
  }
  if (s->schedule) {
    all->indexed_fields.v[all->indexed_fields.n++] = pb_attribute_new(
        a, "TemporalSchedulePaused", "Bool", schedule_paused(s) ? SPAN("true") : SPAN("false"));
  }
  return all;
}

/* --- as lists see them --- */

static bool builds_changed(const pb_store_RunState *before, const pb_store_RunState *now) {
  return !before->completed_wfts != !now->completed_wfts ||
         before->reset_points.n != now->reset_points.n || before->builds.n != now->builds.n;
}

static bool indexed_changed(const pb_store_RunState *before, const pb_store_RunState *now) {
  return before->search_attributes != now->search_attributes || reports(before) != reports(now) ||
         before->paused_activity_types.v != now->paused_activity_types.v ||
         before->paused_activity_types.n != now->paused_activity_types.n ||
         schedule_paused(before) != schedule_paused(now) || failing_changed(before, now);
}

/* In the index, that is; builds are not. */
static bool has_indexed(const engine_run *run, const pb_store_RunState *s) {
  return s->search_attributes || run->info->started->search_attributes || reports(s) ||
         s->paused_activity_types.n || s->schedule || failing_shown(s);
}

store_attributes_change seen_attributes_change(const engine_run *run) {
  const pb_store_RunState *before = &run->tx.saved, *now = &run->state;
  if (indexed_changed(before, now)) return ATTRIBUTES_ANEW;
  bool moved = before->status != now->status; /* in the index */
  if (moved && (run_is_open(run) || has_indexed(run, before))) return ATTRIBUTES_ANEW;
  return builds_changed(before, now) ? ATTRIBUTES_UNINDEXED : ATTRIBUTES_STAY;
}

void seen_attributes(const engine_run *run, const pb_store_Namespace *ns, store_visible *v) {
  const pb_store_RunState *s = &run->state;
  arena *a = run->tx.arena;
  derived more[MOST_DERIVED];
  size_t room = FAILING_ATTRIBUTES + 1;
  if (!has_indexed(run, s) && !s->completed_wfts) return;
  derive_all(s, more, a);
  for (size_t i = 0; i < MOST_DERIVED; i++) room += more[i].n;
  attributes_index(ns, as_set(run), room, a, &v->attributes, &v->n_attributes, &v->division);
  for (size_t i = 0; i < MOST_DERIVED; i++) {
    for (size_t k = 0; k < more[i].n; k++) {
      v->attributes[v->n_attributes++] =
          attribute_seen(ns->key, more[i].number, VALUE_OF_TEXT(more[i].texts[k]), a);
    }
  }
  if (s->schedule) {
    v->attributes[v->n_attributes++] =
        attribute_seen(ns->key, ATTRIBUTE_SCHEDULE_PAUSED, VALUE_OF_INT(schedule_paused(s)), a);
  }
  v->n_attributes += failing_attributes(run, a, v->attributes + v->n_attributes);
}

/* reset_points.c - where a run may be reset to: the first task that each build of a worker
 * completed, over the whole chain of runs. */
#include "engine/engine_int.h"

enum { MOST_POINTS = 20, MOST_BUILDS = 40 };

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

static bool chain_has(const engine_run *run, span checksum, span build_id) {
  const pb_ResetPoints *chain = of_chain(run);
  for (size_t i = 0; i < chain->points.n; i++) {
    if (is_point_of(chain->points.v[i], checksum, build_id)) return true;
  }
  return false;
}

/* A build that completed a task of this run, but has no point in it. */
static void note_build(engine_run *run, span build_id) {
  pb_store_RunState *s = &run->state;
  size_t n = s->builds.n;
  if (!build_id.n || n == MOST_BUILDS) return;
  for (size_t i = 0; i < n; i++) {
    if (span_eq(s->builds.v[i], build_id)) return;
  }
  span *v = arena_array(run->tx.arena, span, n + 1);
  if (n) memcpy(v, s->builds.v, n * sizeof *v);
  v[n] = build_id;
  s->builds.v = v;
  s->builds.n = n + 1;
}

void reset_point_note(engine_run *run, int64_t completed_id, span checksum, span build_id) {
  pb_store_RunState *s = &run->state;
  size_t n = s->reset_points.n;
  for (size_t i = 0; i < n; i++) {
    if (is_point_of(s->reset_points.v[i], checksum, build_id)) return;
  }
  if (n == MOST_POINTS || chain_has(run, checksum, build_id)) {
    note_build(run, build_id);
    return;
  }
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

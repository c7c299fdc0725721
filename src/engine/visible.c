/* visible.c - what lists see of a run: its record, written when it starts, when its search
 * attributes change and when it closes; and its entry in a list. */
#include "engine/engine_int.h"
#include "engine/schedule.h"

const pb_store_Namespace *step_namespace(const engine_run *run, const engine_step *st) {
  const engine_host *h = st->host;
  int64_t ns = run->ns > 0 ? run->ns : schedule_ns(run->ns);
  const pb_store_Namespace *known = h->namespace ? h->namespace(h->ctx, ns) : NULL;
  if (known) return known;
  pb_store_Namespace *bare = pb_new(st->arena, store_Namespace);
  bare->key = ns;
  bare->name = run->info->namespace_name;
  return bare;
}

/* As they would be looked for; those that follow from builds and failures are among them. */
static void add_attributes(engine_run *run, store_visible *v) {
  arena *a = run->tx.arena;
  pb_SearchAttributes *all = search_attributes_all(run, a);
  attributes_index(step_namespace(run, run->tx.st), all, KEPT_COUNT, a, &v->attributes,
                   &v->n_attributes, &v->division);
  v->n_attributes += failing_attributes(run, a, v->attributes + v->n_attributes);
}

static void add_family(const pb_WorkflowExecutionStartedEventAttributes *s, store_visible *v) {
  if (s->parent_workflow_execution) {
    v->parent_workflow_id = s->parent_workflow_execution->workflow_id;
    v->parent_run_id = s->parent_workflow_execution->run_id;
  }
  if (s->root_workflow_execution) {
    v->root_workflow_id = s->root_workflow_execution->workflow_id;
    v->root_run_id = s->root_workflow_execution->run_id;
  }
}

/* Of a schedule. */
static bool pause_changed(const pb_store_RunState *before, const pb_store_RunState *now) {
  if (!now->schedule || !before->schedule) return false;
  return before->schedule->schedule->state->paused != now->schedule->schedule->state->paused;
}

/* A new list is made when one of them changes. */
static bool paused_types_changed(const pb_store_RunState *before, const pb_store_RunState *now) {
  return before->paused_activity_types.v != now->paused_activity_types.v;
}

bool visible_changed(const engine_run *run) {
  const tx *t = &run->tx;
  const pb_store_RunState *s = &run->state;
  return !run->inserted || t->saved.status != s->status || pause_changed(&t->saved, s) ||
         t->saved.search_attributes != s->search_attributes ||
         search_attributes_report(&t->saved) != search_attributes_report(s) ||
         paused_types_changed(&t->saved, s) || failing_changed(&t->saved, s);
}

static bool has_attributes(const engine_run *run, const pb_store_RunState *s) {
  return s->search_attributes || run->info->started->search_attributes ||
         search_attributes_report(s) || s->schedule || s->paused_activity_types.n ||
         failing_shown(s);
}

void visible_write(engine_run *run, bool first) {
  const pb_store_RunState *s = &run->state, *before = &run->tx.saved;
  store_visible *v = arena_new(run->tx.arena, store_visible);
  v->was_status = first ? 0 : before->status;
  v->was_attributed = !first && has_attributes(run, before);
  v->run_id = run->info->run_id;
  v->type = run->info->started->workflow_type->name;
  v->queue = run->info->started->task_queue->name;
  v->started_ns = run->info->start_time;
  v->execution_ns = run->info->execution_time;
  v->closed_ns = s->close_time;
  v->events = s->next_event_id - 1;
  v->history_bytes = s->history_bytes;
  v->transitions = s->state_transitions;
  add_family(run->info->started, v);
  if (has_attributes(run, s)) add_attributes(run, v);
  if (s->schedule) v->division = SPAN("TemporalScheduler");
  *step_row(run->tx.st) = (store_row){.kind = ROW_VISIBLE_PUT,
                                      .run = run->run,
                                      .ns = run->ns,
                                      .workflow_id = run->info->workflow_id,
                                      .status = s->status,
                                      .visible = v};
}

/* visible.c - what lists see of a run: its record, written when it starts, when its search
 * attributes change and when it closes; and its entry in a list. */
#include "engine/engine_int.h"
#include "engine/schedule.h"

int64_t run_namespace(const engine_run *run) {
  return run->ns > 0 ? run->ns : schedule_ns(run->ns);
}

const pb_store_Namespace *step_namespace(const engine_run *run, const engine_step *st) {
  const engine_host *h = st->host;
  int64_t ns = run_namespace(run);
  const pb_store_Namespace *known = h->namespace ? h->namespace(h->ctx, ns) : NULL;
  if (known) return known;
  pb_store_Namespace *bare = pb_new(st->arena, store_Namespace);
  bare->key = ns;
  bare->name = run->info->namespace_name;
  return bare;
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

bool visible_changed(const engine_run *run) {
  return run->tx.saved.status != run->state.status ||
         seen_attributes_change(run) != ATTRIBUTES_STAY;
}

void visible_write(engine_run *run, bool first, store_attributes_change change) {
  const pb_store_RunState *s = &run->state, *before = &run->tx.saved;
  store_visible *v = arena_new(run->tx.arena, store_visible);
  v->was_status = first ? 0 : before->status;
  v->change = change;
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
  if (change != ATTRIBUTES_STAY) seen_attributes(run, step_namespace(run, run->tx.st), v);
  if (s->schedule) v->division = SPAN("TemporalScheduler");
  *step_row(run->tx.st) = (store_row){.kind = ROW_VISIBLE_PUT,
                                      .run = run->run,
                                      .ns = run->ns,
                                      .workflow_id = run->info->workflow_id,
                                      .status = s->status,
                                      .visible = v};
}

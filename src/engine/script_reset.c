/* script_reset.c - the verb `reset_run`: ends the run, and goes on with the one that begins with
 * its events up to a point. */
#include "engine/script_replay.h"
#include "engine/script_verbs.h"

static long long number(span s) {
  long long v = 0;
  for (size_t i = 0; i < s.n; i++) v = v * 10 + (s.p[i] - '0');
  return v;
}

/* "priority=2": the new run's, in the end. */
static const pb_list_PostResetOperation *operations_of(world *w, const script_line *line) {
  static const span prefix = SPAN_INIT("priority=");
  static span path = SPAN_INIT("priority");
  if (line->n < 3 || !span_starts_with(line->words[2], prefix)) return NULL;
  span key = span_of(line->words[2].p + prefix.n, line->words[2].n - prefix.n);
  pb_PostResetOperation *op = pb_new(&w->arena, PostResetOperation);
  pb_PostResetOperation_UpdateWorkflowOptions *o =
      pb_new(&w->arena, PostResetOperation_UpdateWorkflowOptions);
  o->workflow_execution_options = pb_new(&w->arena, WorkflowExecutionOptions);
  o->workflow_execution_options->priority = pb_new(&w->arena, Priority);
  o->workflow_execution_options->priority->priority_key = (int32_t)number(key);
  o->update_mask = pb_new(&w->arena, FieldMask);
  o->update_mask->paths.v = &path;
  o->update_mask->paths.n = 1;
  op->which_variant = PB_PostResetOperation_update_workflow_options_FIELD;
  op->update_workflow_options = o;
  pb_list_PostResetOperation *all = arena_new(&w->arena, pb_list_PostResetOperation);
  all->v = arena_array(&w->arena, pb_PostResetOperation *, 1);
  all->v[all->n++] = op;
  return all;
}

static void end_base(world *w, span new_run_id) {
  engine_run *base = world_run(w);
  engine_step *st = world_begin(w);
  engine_terminate_args why = {
      .reason = SPAN("reset"), .identity = SPAN("history-resetter"), .by_reset = true};
  if (run_is_open(base)) {
    err *e = engine_terminate(base, st, &why);
    ASSERT(!e);
  }
  engine_note_reset(base, st, new_run_id);
  world_end(w, NULL);
}

const char *script_reset_run(world *w, const script_line *line) {
  if (line->n < 2) return "reset_run needs the id of an event";
  engine_run *base = world_run(w), *made = NULL;
  size_t n, point = (size_t)number(line->words[1]) - 1;
  engine_reset_args args = {.base = base, .expected_run = base->run, .reason = SPAN("why")};
  args.again.signals = line->n < 3 || !span_eq(line->words[2], SPAN("drop_signals"));
  args.again.updates = args.again.signals;
  args.after = operations_of(w, line);
  w->host.new_run(w, &w->arena, &args.run, &args.run_id);
  if (point + 1 >= (size_t)base->state.next_event_id || point < 1) return "no such event";
  engine_step *st = world_begin(w);
  args.events = world_events(w, base->run, &w->arena, &n);
  args.n_events = point;
  args.later = args.events + point;
  args.n_later = n - point;
  args.last = base;
  err *e = engine_reset(st, &args, &made);
  if (e) {
    world_end(w, e);
    return NULL;
  }
  engine_step reset_step = *st;
  end_base(w, args.run_id);
  *st = reset_step;
  world_add_run(w, made);
  w->current = w->n_runs - 1;
  world_end(w, NULL);
  return NULL;
}

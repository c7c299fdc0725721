/* schedule.c - a schedule in the place of a run: its transactions around the rules of
 * schedule/scheduler.h. */
#include "engine/schedule.h"

#include "engine/engine_int.h"
#include "engine/schedule_int.h"

enum { KEPT_REQUESTS = 64 };

static span jitter_seed(const pb_store_RunInfo *i, const pb_store_ScheduleState *state, arena *a) {
  return arena_spanf(a, "%.*s-%.*s", SPAN_ARG(state->namespace_id),
                     SPAN_ARG(schedule_id_of(i->workflow_id)));
}

/* For reading: `state` is left as it is. */
static scheduler view_of(const pb_store_RunInfo *info, pb_store_ScheduleState *state, zones *z,
                         arena *a) {
  scheduler s = {.state = state, .jitter_seed = jitter_seed(info, state, a), .arena = a};
  /* A spec was valid when it was stored; a zone may be gone from the database since. */
  if (spec_compile(state->schedule->spec, z, a, &s.spec)) s.spec = NULL;
  return s;
}

/* --- steps --- */

static void compile(scheduler *s, zones *z) {
  pb_ScheduleInfo *info = s->state->info;
  err *e = spec_compile(s->state->schedule->spec, z, s->arena, &s->spec);
  if (e) s->spec = NULL;
  info->invalid_schedule_error = e ? span_cstr(e->what) : SPAN_NONE;
}

/* In a transaction: a copy of the state, which the rules change in place. */
scheduler schedule_open(engine_run *run) {
  engine_step *st = run->tx.st;
  run->state.schedule = PB_COPY(store_ScheduleState, run->state.schedule, st->arena);
  scheduler s = {.state = run->state.schedule,
                 .jitter_seed = jitter_seed(run->info, run->state.schedule, st->arena),
                 .now_ns = run->tx.now_ns,
                 .arena = st->arena};
  compile(&s, st->host->zones);
  return s;
}

void schedule_settle(engine_run *run, scheduler *s) {
  do {
    scheduler_advance(s);
  } while (schedule_drop_starts(run, s));
  schedule_keep_effects(run, s);
  run->state.last_event_time = run->tx.now_ns;
}

static scheduler begin(engine_run *run, engine_step *st) {
  st->lazy = false;
  tx_begin(run, st);
  return schedule_open(run);
}

static void finish(engine_run *run, scheduler *s) {
  schedule_settle(run, s);
  tx_finish(run);
}

static pb_store_RunInfo identity(const engine_schedule_args *args, int64_t now_ns, arena *a) {
  pb_WorkflowExecutionStartedEventAttributes *s =
      pb_new(a, WorkflowExecutionStartedEventAttributes);
  s->workflow_type = pb_new(a, WorkflowType);
  s->workflow_type->name = SPAN("temporal-sys-scheduler-workflow");
  s->task_queue = pb_new(a, TaskQueue);
  s->first_execution_run_id = args->run_id;
  return (pb_store_RunInfo){.workflow_id = schedule_workflow_id(args->request->schedule_id, a),
                            .run_id = args->run_id,
                            .request_id = args->request->request_id,
                            .start_time = now_ns,
                            .execution_time = now_ns,
                            .started = s,
                            .namespace_name = args->ns_name};
}

engine_run *engine_schedule_create(engine_step *st, const engine_schedule_args *args) {
  const pb_CreateScheduleRequest *r = args->request;
  engine_run *run = run_new(args->run, args->ns);
  run->expected_run = args->expected_run;
  run->state.next_event_id = 1;
  st->lazy = false;
  tx_begin(run, st);
  pb_store_RunInfo info = identity(args, run->tx.now_ns, st->arena);
  run_keep_info(run, st->arena, &info);
  run->state.status = PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  run->state.memo = r->memo;
  run->state.search_attributes = r->search_attributes;
  run->state.schedule = pb_new(st->arena, store_ScheduleState);
  run->state.schedule->namespace_id = args->ns_id;
  scheduler s = {.state = run->state.schedule,
                 .jitter_seed = jitter_seed(run->info, run->state.schedule, st->arena),
                 .now_ns = run->tx.now_ns,
                 .arena = st->arena};
  scheduler_create(&s, r->schedule);
  s.state->start = (pb_StartWorkflowExecutionRequest *)(uintptr_t)args->start;
  compile(&s, st->host->zones);
  if (r->initial_patch) scheduler_patch(&s, r->initial_patch);
  finish(run, &s);
  return run;
}

bool engine_is_schedule(const engine_run *run) { return run->state.schedule != NULL; }

bool engine_schedule_is_busy(const engine_run *run) { return run->outside.n > 0; }

/* Remembers the newest request ids. */
static bool is_repeated(scheduler *s, span request_id) {
  pb_list_span *known = &s->state->requests;
  if (!request_id.n) return false;
  for (size_t i = 0; i < known->n; i++) {
    if (span_eq(known->v[i], request_id)) return true;
  }
  size_t first = known->n == KEPT_REQUESTS ? 1 : 0;
  span *v = arena_array(s->arena, span, known->n + 1);
  for (size_t i = first; i < known->n; i++) v[i - first] = known->v[i];
  v[known->n - first] = request_id;
  known->v = v;
  known->n += 1 - first;
  return false;
}

/* Eight bytes, most significant first; anything shorter stands for any state. */
static int64_t token_of(span token) {
  uint64_t v = 0;
  for (size_t i = 0; token.n >= 8 && i < 8; i++) v = v << 8 | token.p[i];
  return (int64_t)v;
}

err *engine_schedule_update(engine_run *run, engine_step *st, const pb_UpdateScheduleRequest *r,
                            const pb_StartWorkflowExecutionRequest *start) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  scheduler s = begin(run, st);
  if (is_repeated(&s, r->request_id)) {
    tx_abandon(run);
    return NULL;
  }
  if (scheduler_update(&s, r->schedule, token_of(r->conflict_token))) {
    compile(&s, st->host->zones);
    s.state->start = (pb_StartWorkflowExecutionRequest *)(uintptr_t)start;
    if (r->search_attributes) run->state.search_attributes = r->search_attributes;
  }
  finish(run, &s);
  return NULL;
}

err *engine_schedule_patch(engine_run *run, engine_step *st, const pb_PatchScheduleRequest *r) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  scheduler s = begin(run, st);
  if (is_repeated(&s, r->request_id)) {
    tx_abandon(run);
    return NULL;
  }
  scheduler_patch(&s, r->patch);
  finish(run, &s);
  return NULL;
}

/* What it has not told yet, nobody hears any more. */
static void end(engine_run *run, engine_step *st, int32_t status) {
  st->lazy = false;
  tx_begin(run, st);
  schedule_drop_effects(run);
  run_end(run, status);
  tx_finish(run);
}

err *engine_schedule_delete(engine_run *run, engine_step *st) {
  if (!run_is_open(run)) return run_closed_error(st->arena);
  end(run, st, PB_WORKFLOW_EXECUTION_STATUS_TERMINATED);
  return NULL;
}

void engine_schedule_ended(engine_run *run, engine_step *st, const engine_message *m) {
  if (!run_is_open(run)) return;
  scheduler s = begin(run, st);
  schedule_take_end(run, &s, m);
  finish(run, &s);
}

void schedule_fire(engine_run *run, engine_step *st) {
  scheduler s = begin(run, st);
  if (scheduler_is_over(&s)) {
    tx_abandon(run);
    end(run, st, PB_WORKFLOW_EXECUTION_STATUS_COMPLETED);
    return;
  }
  finish(run, &s);
}

/* --- reads --- */

static span token_text(int64_t token, arena *a) {
  uint8_t *p = arena_alloc(a, 8);
  for (int i = 0; i < 8; i++) p[i] = (uint8_t)((uint64_t)token >> (56 - 8 * i));
  return span_of(p, 8);
}

pb_DescribeScheduleResponse *engine_schedule_describe(const engine_run *run, zones *z, arena *a) {
  scheduler s = view_of(run->info, run->state.schedule, z, a);
  pb_DescribeScheduleResponse *r = pb_new(a, DescribeScheduleResponse);
  r->schedule = scheduler_shown(&s);
  r->info = scheduler_info(&s);
  if (run->state.memo) r->memo = PB_COPY(Memo, run->state.memo, a);
  if (run->state.search_attributes) {
    r->search_attributes = PB_COPY(SearchAttributes, run->state.search_attributes, a);
  }
  r->conflict_token = token_text(run->state.schedule->conflict_token, a);
  return r;
}

err *engine_schedule_matching(const engine_run *run, zones *z,
                              const pb_ListScheduleMatchingTimesRequest *r, arena *a,
                              pb_ListScheduleMatchingTimesResponse **ret) {
  scheduler s = view_of(run->info, run->state.schedule, z, a);
  bool gave_up;
  pb_ListScheduleMatchingTimesResponse *out = pb_new(a, ListScheduleMatchingTimesResponse);
  out->start_time =
      scheduler_matching(&s, pb_time_ns(r->start_time), pb_time_ns(r->end_time), &gave_up);
  if (gave_up) {
    return ERR(a, INVALID_ARGUMENT,
               "the schedule calendar specification has too many exclusions. Please modify the "
               "specification.");
  }
  *ret = out;
  return NULL;
}

err *engine_schedule_entry(span info, span state, zones *z, arena *a,
                           pb_ScheduleListEntry **ret_entry) {
  pb_store_RunInfo *i;
  pb_store_RunState *st;
  TRY(PB_DECODE(store_RunInfo, arena_dup(a, info), a, &i));
  TRY(PB_DECODE(store_RunState, arena_dup(a, state), a, &st));
  if (!schedule_is_whole(st)) return ERR(a, DATA_LOSS, "a stored schedule lacks its state");
  scheduler s = view_of(i, st->schedule, z, a);
  pb_ScheduleListEntry *entry = pb_new(a, ScheduleListEntry);
  entry->schedule_id = schedule_id_of(i->workflow_id);
  entry->memo = st->memo ? st->memo : pb_new(a, Memo);
  entry->search_attributes = st->search_attributes;
  entry->info = scheduler_list_info(&s);
  *ret_entry = entry;
  return NULL;
}

static bool actions_are_whole(const pb_ScheduleInfo *info) {
  for (size_t i = 0; i < info->recent_actions.n; i++) {
    if (!info->recent_actions.v[i]->start_workflow_result) return false;
  }
  return true;
}

bool schedule_is_whole(const pb_store_RunState *state) {
  const pb_store_ScheduleState *s = state->schedule;
  if (!s || !s->info || !s->schedule || !actions_are_whole(s->info)) return false;
  if (s->start) {
    bool acts = s->schedule->action &&
                s->schedule->action->which_action == PB_ScheduleAction_start_workflow_FIELD;
    if (!acts || !s->start->workflow_type || !s->start->task_queue) return false;
  }
  return s->schedule->spec && s->schedule->action && s->schedule->policies && s->schedule->state;
}

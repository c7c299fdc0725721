/* schedule_effects.c - what a schedule has to tell workflows: to start, to stop. */
#include "engine/outside.h"
#include "engine/schedule.h"
#include "engine/schedule_int.h"
#include "proto/json_text.h"
#include "proto/pb_payload.h"

typedef pb_store_ScheduledStartItem start_item;
typedef pb_store_ScheduleStopItem stop_item;

/* --- items --- */

static void *effect_item(engine_run *run, int32_t kind) {
  int64_t id = ++run->state.schedule->next_item;
  void *msg = item_new(run, id, kind, SPAN_NONE);
  outside_tell(run, item_by_id(run, id, kind), true);
  return msg;
}

static void keep_start(engine_run *run, const scheduler_effect *e) {
  const engine_host *h = run->tx.st->host;
  start_item *item = effect_item(run, PB_ITEM_KIND_SCHEDULED_START);
  item->start = (pb_store_ScheduledStart *)(uintptr_t)e->start;
  h->promise_run(h->ctx, run->tx.arena, &item->run_id);
}

static void keep_stop(engine_run *run, const scheduler_effect *e) {
  stop_item *item = effect_item(run, PB_ITEM_KIND_SCHEDULE_STOP);
  item->target = (pb_WorkflowExecution *)(uintptr_t)e->target;
  item->terminate = e->kind == EFFECT_TERMINATE;
  item->request_id = arena_spanf(run->tx.arena, "%.*s:%lld", SPAN_ARG(run->info->run_id),
                                 (long long)run->state.schedule->next_item);
}

bool schedule_drop_starts(engine_run *run, scheduler *s) {
  size_t n, kept = 0;
  if (s->state->start) return false;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_SCHEDULED_START, s->arena, &n);
  for (size_t i = 0; i < n; i++) {
    scheduler_not_started(s, ((const start_item *)item_msg(items[i]))->start);
    item_delete(run, items[i]);
  }
  for (size_t i = 0; i < s->n_effects; i++) {
    if (s->effects[i].kind == EFFECT_START) {
      scheduler_not_started(s, s->effects[i].start);
    } else {
      s->effects[kept++] = s->effects[i];
    }
  }
  bool dropped = n > 0 || kept < s->n_effects;
  s->n_effects = kept;
  return dropped;
}

void schedule_keep_effects(engine_run *run, scheduler *s) {
  for (size_t i = 0; i < s->n_effects; i++) {
    const scheduler_effect *e = &s->effects[i];
    if (e->kind == EFFECT_START) {
      keep_start(run, e);
    } else {
      keep_stop(run, e);
    }
  }
}

/* --- starts: the message --- */

static span sender_identity(const engine_run *run, arena *a) {
  return arena_spanf(a, "temporal-scheduler-%.*s-%.*s", SPAN_ARG(run->info->namespace_name),
                     SPAN_ARG(schedule_id_of(run->info->workflow_id)));
}

static span quoted(arena *a, span text) {
  buf b = BUF_INIT;
  json_put_string(&b, text);
  span out = arena_dup(a, buf_span(&b));
  buf_release(&b);
  return out;
}

/* By which schedule and for what time, beside those that the action sets. */
static pb_SearchAttributes *attributes(const scheduler *s, span schedule_id,
                                       const pb_store_ScheduledStart *start) {
  arena *a = s->arena;
  const pb_SearchAttributes *own = s->state->start->search_attributes;
  size_t n = own ? own->indexed_fields.n : 0;
  pb_SearchAttributes *all = pb_new(a, SearchAttributes);
  all->indexed_fields.v = arena_array(a, pb_SearchAttributes_IndexedFieldsEntry *, n + 2);
  if (n) memcpy(all->indexed_fields.v, own->indexed_fields.v, n * sizeof *own->indexed_fields.v);
  span time = scheduler_nominal_text(s, start);
  all->indexed_fields.v[n++] =
      pb_attribute_new(a, "TemporalScheduledById", "Keyword", quoted(a, schedule_id));
  all->indexed_fields.v[n++] =
      pb_attribute_new(a, "TemporalScheduledStartTime", "Datetime", quoted(a, time));
  all->indexed_fields.n = n;
  return all;
}

static pb_StartWorkflowExecutionRequest *start_request(const engine_run *run, const scheduler *s,
                                                       const engine_item *it) {
  const pb_store_ScheduledStart *start = ((const start_item *)item_msg(it))->start;
  const pb_NewWorkflowExecutionInfo *action = s->state->schedule->action->start_workflow;
  pb_StartWorkflowExecutionRequest r = *s->state->start;
  r.namespace = run->info->namespace_name;
  r.workflow_id = scheduler_workflow_id(s, start);
  r.input = action->input;
  r.header = action->header;
  r.user_metadata = action->user_metadata;
  r.identity = sender_identity(run, s->arena);
  r.request_id = arena_spanf(s->arena, "%.*s:%lld", SPAN_ARG(run->info->run_id), (long long)it->id);
  r.workflow_id_reuse_policy = start->manual ? PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
                                             : PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
  r.workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL;
  r.search_attributes = attributes(s, schedule_id_of(run->info->workflow_id), start);
  if (start->overlap_policy != PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL) {
    r.last_completion_result = s->state->last_completion_result;
    r.continued_failure = s->state->continued_failure;
  }
  return PB_COPY(StartWorkflowExecutionRequest, &r, s->arena);
}

static bool start_read(const engine_run *run, const engine_item *it, arena *a, engine_message *m) {
  scheduler s = {.state = run->state.schedule, .arena = a};
  m->kind = MESSAGE_START_CHILD;
  m->ns = schedule_ns(run->ns);
  m->start = start_request(run, &s, it);
  m->child_run_id = arena_dup(a, ((const start_item *)item_msg(it))->run_id);
  m->to.workflow_id = m->start->workflow_id;
  m->schedule =
      execution_new(a, arena_dup(a, run->info->workflow_id), arena_dup(a, run->info->run_id));
  return true;
}

static void note_started(engine_run *run, scheduler *s, engine_item *it) {
  const start_item *item = item_msg(it);
  const pb_WorkflowExecution *started =
      execution_new(s->arena, scheduler_workflow_id(s, item->start), item->run_id);
  scheduler_started(s, item->start, started, run->tx.now_ns);
  item_delete(run, it);
}

static void start_answered(engine_run *run, engine_item *it, engine_message_kind kind,
                           engine_answer answer) {
  (void)kind;
  run->tx.st->lazy = false;
  scheduler s = schedule_open(run);
  if (answer == ANSWER_DONE) {
    note_started(run, &s, it);
  } else {
    scheduler_not_started(&s, ((const start_item *)item_msg(it))->start);
    item_delete(run, it);
  }
  schedule_settle(run, &s);
}

const outside_kind outside_scheduled_start = {PB_ITEM_KIND_SCHEDULED_START, start_read,
                                              start_answered};

/* --- stops: the message --- */

static bool stop_read(const engine_run *run, const engine_item *it, arena *a, engine_message *m) {
  const stop_item *item = item_msg(it);
  m->kind = MESSAGE_CLOSE_CHILD;
  m->ns = schedule_ns(run->ns);
  m->to.workflow_id = arena_dup(a, item->target->workflow_id);
  m->first_run_id = arena_dup(a, item->target->run_id);
  m->request_id = arena_dup(a, item->request_id);
  m->terminates = item->terminate;
  m->identity = sender_identity(run, a);
  m->cause = item->terminate ? SPAN("terminated by schedule overlap policy")
                             : SPAN("cancelled by schedule overlap policy");
  return true;
}

static void stop_answered(engine_run *run, engine_item *it, engine_message_kind kind,
                          engine_answer answer) {
  (void)kind;
  (void)answer;
  item_delete(run, it);
}

const outside_kind outside_schedule_stop = {PB_ITEM_KIND_SCHEDULE_STOP, stop_read, stop_answered};

/* --- ends --- */

static scheduler_end end_of(const engine_message *m) {
  const pb_HistoryEvent *e = m->close;
  scheduler_end end = {.workflow_id = m->from.workflow_id, .first_run_id = m->first_run_id};
  switch (e->event_type) {
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
      end.status = PB_WORKFLOW_EXECUTION_STATUS_COMPLETED;
      end.result = e->workflow_execution_completed_event_attributes->result;
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
      end.status = PB_WORKFLOW_EXECUTION_STATUS_FAILED;
      end.failure = e->workflow_execution_failed_event_attributes->failure;
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
      end.status = PB_WORKFLOW_EXECUTION_STATUS_TIMED_OUT;
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
      end.status = PB_WORKFLOW_EXECUTION_STATUS_CANCELED;
      break;
    default:
      end.status = PB_WORKFLOW_EXECUTION_STATUS_TERMINATED;
  }
  return end;
}

void schedule_take_end(engine_run *run, scheduler *s, const engine_message *m) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_SCHEDULED_START, s->arena, &n);
  for (size_t i = 0; i < n; i++) {
    const start_item *item = item_msg(items[i]);
    if (span_eq(item->run_id, m->first_run_id)) note_started(run, s, items[i]);
  }
  scheduler_end end = end_of(m);
  scheduler_ended(s, &end);
}

void schedule_drop_effects(engine_run *run) {
  static const int32_t kinds[] = {PB_ITEM_KIND_SCHEDULED_START, PB_ITEM_KIND_SCHEDULE_STOP};
  for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
    size_t n;
    engine_item **items = items_sorted(run, kinds[k], run->tx.arena, &n);
    for (size_t i = 0; i < n; i++) item_delete(run, items[i]);
  }
}

/* child.c - a child workflow of a run: started, ended, left behind.
 *
 *   STARTING --answer--> STARTED --its result--> (gone)
 *      |  '--refused--> (gone)    |
 *      |                          |            the parent ends:
 *      '--------------------------+--> CLOSING --answer--> LEFT      TERMINATE, REQUEST_CANCEL
 *                                 '--> LEFT                          ABANDON, never started
 *
 * A closed parent keeps its children to be described. Whether a child whose start was not answered
 * runs is not known when the parent ends: the close policy is delivered all the same, to the run id
 * that was chosen for it.
 */
#include "engine/outside.h"
#include "engine/schedule.h"

typedef pb_store_ChildItem child;
typedef pb_StartChildWorkflowExecutionInitiatedEventAttributes initiated_attributes;

/* --- events --- */

static pb_WorkflowType *type_of(const child *c) { return c->initiated->workflow_type; }

static pb_HistoryEvent *started(engine_run *run, engine_item *it, span run_id) {
  tx *t = &run->tx;
  child *c = item_edit(run, it);
  EVENT(t, ev, attrs, CHILD_WORKFLOW_EXECUTION_STARTED,
        child_workflow_execution_started_event_attributes,
        ChildWorkflowExecutionStartedEventAttributes);
  attrs->namespace = c->initiated->namespace;
  attrs->namespace_id = c->initiated->namespace_id;
  attrs->initiated_event_id = it->id;
  attrs->workflow_execution = execution_new(t->arena, c->initiated->workflow_id, run_id);
  attrs->workflow_type = type_of(c);
  attrs->header = c->initiated->header;
  c->state = PB_CHILD_STATE_STARTED;
  c->run_id = run_id;
  return ev;
}

static void append_start_failed(engine_run *run, const engine_item *it) {
  tx *t = &run->tx;
  const initiated_attributes *in = ((const child *)item_msg(it))->initiated;
  EVENT(t, ev, attrs, START_CHILD_WORKFLOW_EXECUTION_FAILED,
        start_child_workflow_execution_failed_event_attributes,
        StartChildWorkflowExecutionFailedEventAttributes);
  attrs->namespace = in->namespace;
  attrs->namespace_id = in->namespace_id;
  attrs->workflow_id = in->workflow_id;
  attrs->workflow_type = in->workflow_type;
  attrs->cause = PB_START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS;
  attrs->control = in->control;
  attrs->initiated_event_id = it->id;
  tx_buffer(run, ev);
}

/* What the five events about the end of a child have in common. */
#define CHILD_EVENT(TYPE, field, Message)                                                   \
  EVENT(t, ev, attrs, CHILD_WORKFLOW_EXECUTION_##TYPE, field, Message);                     \
  attrs->namespace = c->initiated->namespace;                                               \
  attrs->namespace_id = c->initiated->namespace_id;                                         \
  attrs->workflow_execution = execution_new(t->arena, m->from.workflow_id, m->from.run_id); \
  attrs->workflow_type = type_of(c);                                                        \
  attrs->initiated_event_id = it->id;                                                       \
  attrs->started_event_id = c->started_id

static pb_HistoryEvent *completed_event(tx *t, const engine_item *it, const engine_message *m) {
  const child *c = item_msg(it);
  CHILD_EVENT(COMPLETED, child_workflow_execution_completed_event_attributes,
              ChildWorkflowExecutionCompletedEventAttributes);
  attrs->result = m->close->workflow_execution_completed_event_attributes->result;
  return ev;
}

static pb_HistoryEvent *failed_event(tx *t, const engine_item *it, const engine_message *m) {
  const child *c = item_msg(it);
  CHILD_EVENT(FAILED, child_workflow_execution_failed_event_attributes,
              ChildWorkflowExecutionFailedEventAttributes);
  attrs->failure = m->close->workflow_execution_failed_event_attributes->failure;
  attrs->retry_state = m->close->workflow_execution_failed_event_attributes->retry_state;
  return ev;
}

static pb_HistoryEvent *canceled_event(tx *t, const engine_item *it, const engine_message *m) {
  const child *c = item_msg(it);
  CHILD_EVENT(CANCELED, child_workflow_execution_canceled_event_attributes,
              ChildWorkflowExecutionCanceledEventAttributes);
  attrs->details = m->close->workflow_execution_canceled_event_attributes->details;
  return ev;
}

static pb_HistoryEvent *timed_out_event(tx *t, const engine_item *it, const engine_message *m) {
  const child *c = item_msg(it);
  CHILD_EVENT(TIMED_OUT, child_workflow_execution_timed_out_event_attributes,
              ChildWorkflowExecutionTimedOutEventAttributes);
  attrs->retry_state = m->close->workflow_execution_timed_out_event_attributes->retry_state;
  return ev;
}

static pb_HistoryEvent *terminated_event(tx *t, const engine_item *it, const engine_message *m) {
  const child *c = item_msg(it);
  CHILD_EVENT(TERMINATED, child_workflow_execution_terminated_event_attributes,
              ChildWorkflowExecutionTerminatedEventAttributes);
  return ev;
}

static const struct {
  int32_t close_event;
  pb_HistoryEvent *(*make)(tx *t, const engine_item *it, const engine_message *m);
} endings[] = {
    {PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, completed_event},
    {PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, failed_event},
    {PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, canceled_event},
    {PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT, timed_out_event},
    {PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED, terminated_event},
};

/* --- what it tells --- */

static pb_StartWorkflowExecutionRequest *start_request(const engine_run *run, const engine_item *it,
                                                       arena *a) {
  const child *c = item_msg(it);
  const initiated_attributes *in = c->initiated;
  bool replaces = in->workflow_id_reuse_policy == PB_WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING;
  pb_StartWorkflowExecutionRequest r = {
      .namespace = in->namespace,
      .workflow_id = in->workflow_id,
      .workflow_type = in->workflow_type,
      .task_queue = in->task_queue,
      .input = in->input,
      .workflow_execution_timeout = in->workflow_execution_timeout,
      .workflow_run_timeout = in->workflow_run_timeout,
      .workflow_task_timeout = in->workflow_task_timeout,
      /* As the original numbers it; what it shows in a description. */
      .request_id = arena_spanf(a, "%.*s:%lld:0", SPAN_ARG(run->info->run_id), (long long)it->id),
      .workflow_id_reuse_policy =
          replaces ? PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE : in->workflow_id_reuse_policy,
      .workflow_id_conflict_policy = replaces ? PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
                                              : PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL,
      .retry_policy = in->retry_policy,
      .cron_schedule = in->cron_schedule,
      .memo = in->memo,
      .search_attributes = in->search_attributes,
      .header = in->header,
      .user_metadata = c->user_metadata,
      .priority = (pb_Priority *)(uintptr_t)priority_inherited(in->priority, run_priority(run), a),
  };
  return PB_COPY(StartWorkflowExecutionRequest, &r, a);
}

static const engine_parent *as_parent(const engine_run *run, const engine_item *it, arena *a) {
  const initiated_attributes *in = ((const child *)item_msg(it))->initiated;
  const pb_WorkflowExecution *root = run->info->started->root_workflow_execution;
  engine_parent *p = arena_new(a, engine_parent);
  *p = (engine_parent){.ns_name = arena_dup(a, in->namespace),
                       .ns_id = arena_dup(a, in->namespace_id),
                       .workflow_id = arena_dup(a, run->info->workflow_id),
                       .run_id = arena_dup(a, run->info->run_id),
                       .initiated_id = it->id};
  p->root_workflow_id = root ? arena_dup(a, root->workflow_id) : p->workflow_id;
  p->root_run_id = root ? arena_dup(a, root->run_id) : p->run_id;
  return p;
}

static bool child_read(const engine_run *run, const engine_item *it, arena *a, engine_message *m) {
  const child *c = item_msg(it);
  m->to.workflow_id = arena_dup(a, c->initiated->workflow_id);
  m->first_run_id = arena_dup(a, c->run_id);
  if (c->state == PB_CHILD_STATE_STARTING) {
    m->kind = MESSAGE_START_CHILD;
    m->child_run_id = m->first_run_id;
    m->start = start_request(run, it, a);
    m->parent = as_parent(run, it, a);
    return true;
  }
  m->kind = MESSAGE_CLOSE_CHILD;
  m->child_only = true;
  m->terminates = c->initiated->parent_close_policy == PB_PARENT_CLOSE_POLICY_TERMINATE;
  if (m->terminates) m->cause = SPAN("by parent close policy");
  return c->state == PB_CHILD_STATE_CLOSING;
}

/* --- answers --- */

void child_forget_start(engine_run *run, engine_item *it) {
  child *c = item_edit(run, it);
  initiated_attributes *kept =
      pb_new(run->tx.arena, StartChildWorkflowExecutionInitiatedEventAttributes);
  kept->namespace = c->initiated->namespace;
  kept->namespace_id = c->initiated->namespace_id;
  kept->workflow_id = c->initiated->workflow_id;
  kept->workflow_type = c->initiated->workflow_type;
  kept->parent_close_policy = c->initiated->parent_close_policy;
  c->initiated = kept;
  c->user_metadata = NULL;
}

static void start_answered(engine_run *run, engine_item *it, engine_answer answer) {
  run->tx.st->lazy = false;
  if (answer == ANSWER_DONE) {
    tx_buffer(run, started(run, it, ((const child *)item_msg(it))->run_id));
    child_forget_start(run, it);
    outside_tell(run, it, false);
  } else {
    append_start_failed(run, it);
    item_delete(run, it);
  }
  wft_wake(run);
}

static void child_answered(engine_run *run, engine_item *it, engine_message_kind kind,
                           engine_answer answer) {
  const child *c = item_msg(it);
  if (c->state == PB_CHILD_STATE_STARTING && kind == MESSAGE_START_CHILD) {
    start_answered(run, it, answer);
  } else if (c->state == PB_CHILD_STATE_CLOSING && kind == MESSAGE_CLOSE_CHILD) {
    ((child *)item_edit(run, it))->state = PB_CHILD_STATE_LEFT;
    outside_tell(run, it, false);
  }
}

const outside_kind outside_child = {PB_ITEM_KIND_CHILD, child_read, child_answered};

void engine_child_ended(engine_run *run, engine_step *st, const engine_message *m) {
  engine_item *it = item_by_id(run, m->parent_initiated_id, PB_ITEM_KIND_CHILD);
  if (!it || !run_is_open(run)) return;
  const child *c = item_msg(it);
  /* The name of the message: a child of another chain cannot end this one. */
  if (!span_eq(c->run_id, m->first_run_id)) return;
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  if (c->state == PB_CHILD_STATE_STARTING) {
    tx_buffer(run, started(run, it, m->first_run_id));
  }
  for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
    if (endings[i].close_event != m->close->event_type) continue;
    tx_buffer(run, endings[i].make(&run->tx, it, m));
  }
  item_delete(run, it);
  wft_wake(run);
  tx_finish(run);
  run_check_limits(run, st);
}

void child_note_written(engine_run *run, const pb_HistoryEvent *ev) {
  if (ev->event_type != PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED) return;
  int64_t id = ev->child_workflow_execution_started_event_attributes->initiated_event_id;
  engine_item *it = item_by_id(run, id, PB_ITEM_KIND_CHILD);
  if (it) ((child *)item_edit(run, it))->started_id = ev->event_id;
}

/* --- a reset of the parent --- */

/* What this event tells of a child: the event that initiated it, and where the event names that of
 * its start. 0: it tells nothing. */
static int64_t tells_of(const pb_HistoryEvent *ev, int64_t **ret_started_id) {
  *ret_started_id = NULL;
  switch (ev->event_type) {
#define TELLS(TYPE, field, started) \
  case PB_EVENT_TYPE_##TYPE:        \
    *ret_started_id = started;      \
    return ev->field->initiated_event_id
#define ENDED(TYPE, field) \
  TELLS(CHILD_WORKFLOW_EXECUTION_##TYPE, field, &ev->field->started_event_id)
    TELLS(START_CHILD_WORKFLOW_EXECUTION_FAILED,
          start_child_workflow_execution_failed_event_attributes, NULL);
    TELLS(CHILD_WORKFLOW_EXECUTION_STARTED, child_workflow_execution_started_event_attributes,
          NULL);
    ENDED(COMPLETED, child_workflow_execution_completed_event_attributes);
    ENDED(FAILED, child_workflow_execution_failed_event_attributes);
    ENDED(CANCELED, child_workflow_execution_canceled_event_attributes);
    ENDED(TIMED_OUT, child_workflow_execution_timed_out_event_attributes);
    ENDED(TERMINATED, child_workflow_execution_terminated_event_attributes);
#undef ENDED
#undef TELLS
    default:
      return 0;
  }
}

void child_hear_again(engine_run *run, const pb_HistoryEvent *old) {
  tx *t = &run->tx;
  int64_t *started_id;
  engine_item *it = item_by_id(run, tells_of(old, &started_id), PB_ITEM_KIND_CHILD);
  if (!it) return;
  if (old->event_type == PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED) {
    span run_id =
        old->child_workflow_execution_started_event_attributes->workflow_execution->run_id;
    pb_HistoryEvent *told = started(run, it, run_id);
    tx_append(run, told);
    child_note_written(run, told);
    child_forget_start(run, it);
    return;
  }
  pb_HistoryEvent *ev = PB_COPY(HistoryEvent, old, t->arena);
  (void)tells_of(ev, &started_id);
  if (started_id) *started_id = ((const child *)item_msg(it))->started_id;
  ev->event_time = pb_time_new(t->arena, t->now_ns);
  tx_append(run, ev);
  item_delete(run, it);
}

/* --- the end of the parent --- */

static bool wants_to_know(const child *c) {
  int32_t policy = c->initiated->parent_close_policy;
  return policy == PB_PARENT_CLOSE_POLICY_TERMINATE ||
         policy == PB_PARENT_CLOSE_POLICY_REQUEST_CANCEL;
}

void children_close(engine_run *run) {
  size_t n;
  engine_item **items = items_sorted(run, PB_ITEM_KIND_CHILD, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) {
    bool never_told = !items[i]->msg;
    child *c = item_edit(run, items[i]);
    bool tells = !never_told && wants_to_know(c) && !run->tx.by_reset;
    if (c->state == PB_CHILD_STATE_STARTING) c->run_id = never_told ? SPAN_NONE : c->run_id;
    child_forget_start(run, items[i]);
    c->state = tells ? PB_CHILD_STATE_CLOSING : PB_CHILD_STATE_LEFT;
    outside_tell(run, items[i], tells);
  }
}

/* --- the end of the child --- */

void child_result_keep(engine_run *run, pb_HistoryEvent *close) {
  bool chain_goes_on = run->state.new_run_id.n > 0;
  bool somebody_waits = run->info->started->parent_workflow_execution || run->info->schedule;
  if (!somebody_waits || chain_goes_on) return;
  pb_store_ChildResultItem *r =
      item_new(run, close->event_id, PB_ITEM_KIND_CHILD_RESULT, SPAN_NONE);
  r->close = close;
  outside_tell(run, item_by_id(run, close->event_id, PB_ITEM_KIND_CHILD_RESULT), true);
}

static bool result_read(const engine_run *run, const engine_item *it, arena *a, engine_message *m) {
  const pb_WorkflowExecutionStartedEventAttributes *s = run->info->started;
  const pb_store_ChildResultItem *r = item_msg(it);
  const pb_WorkflowExecution *to = s->parent_workflow_execution;
  m->kind = MESSAGE_CHILD_RESULT;
  if (!to) { /* see child_result_keep */
    to = run->info->schedule;
    m->kind = MESSAGE_SCHEDULE_RESULT;
    m->ns = schedule_ns(run->ns);
  }
  m->to.workflow_id = arena_dup(a, to->workflow_id);
  m->to.run_id = arena_dup(a, to->run_id);
  m->first_run_id = arena_dup(a, s->first_execution_run_id);
  m->parent_initiated_id = s->parent_initiated_event_id;
  m->close = PB_COPY(HistoryEvent, r->close, a);
  return true;
}

static void result_answered(engine_run *run, engine_item *it, engine_message_kind kind,
                            engine_answer answer) {
  (void)kind;
  (void)answer;
  item_delete(run, it);
}

const outside_kind outside_result = {PB_ITEM_KIND_CHILD_RESULT, result_read, result_answered};

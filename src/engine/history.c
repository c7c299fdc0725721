/* history.c - events: ids, the buffer that waits for a workflow task in flight, the row. */
#include "engine/engine_int.h"

pb_HistoryEvent *event_new(tx *t, int32_t type, uint32_t which) {
  pb_HistoryEvent *ev = pb_new(t->arena, HistoryEvent);
  ev->event_time = pb_time_new(t->arena, t->now_ns);
  ev->event_type = type;
  ev->which_attributes = which;
  return ev;
}

static void push(arena *a, tx_events *l, pb_HistoryEvent *ev) {
  tx_event_node *n = arena_new(a, tx_event_node);
  n->event = ev;
  if (l->last) {
    l->last->next = n;
  } else {
    l->first = n;
  }
  l->last = n;
  l->n++;
}

void tx_append(engine_run *run, pb_HistoryEvent *ev) {
  ASSERT(!run->unwritten);
  ev->event_id = run->state.next_event_id++;
  ev->task_id = history_task_id(ev->event_id);
  push(run->tx.arena, &run->tx.events, ev);
}

void tx_buffer(engine_run *run, pb_HistoryEvent *ev) { push(run->tx.arena, &run->tx.buffered, ev); }

bool run_has_unseen(const engine_run *run) {
  LIST_FOR_EACH (n, &run->buffered) {
    if (!CONTAINER_OF(n, engine_item, buffered)->deleted) return true;
  }
  return false;
}

bool run_has_buffered(const engine_run *run) {
  return run->tx.buffered.n > 0 || run_has_unseen(run);
}

/* Events that end an activity or a child are written last, so that everything else keeps its order
 * of arrival. */
static bool goes_last(const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
    case PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
    case PB_EVENT_TYPE_ACTIVITY_TASK_FAILED:
    case PB_EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
    case PB_EVENT_TYPE_ACTIVITY_TASK_CANCELED:
    case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
    case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED:
    case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED:
    case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT:
    case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED:
      return true;
    default:
      return false;
  }
}

typedef struct ending {
  int64_t *started_id;
  int64_t first_id;   /* of the Scheduled or Initiated event */
  int32_t start_type; /* the event that is looked for */
} ending;

/* What started the thing that this event ends. started_id == NULL: it ends nothing. */
static ending ending_of(pb_HistoryEvent *ev) {
  switch (ev->event_type) {
#define ENDS(TYPE, field)                                                        \
  case PB_EVENT_TYPE_ACTIVITY_TASK_##TYPE:                                       \
    return (ending){&ev->field->started_event_id, ev->field->scheduled_event_id, \
                    PB_EVENT_TYPE_ACTIVITY_TASK_STARTED}
#define CHILD_ENDS(TYPE, field)                                    \
  case PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_##TYPE:              \
    return (ending) {                                              \
      &ev->field->started_event_id, ev->field->initiated_event_id, \
          PB_EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED           \
    }
    ENDS(COMPLETED, activity_task_completed_event_attributes);
    ENDS(FAILED, activity_task_failed_event_attributes);
    ENDS(TIMED_OUT, activity_task_timed_out_event_attributes);
    ENDS(CANCELED, activity_task_canceled_event_attributes);
    CHILD_ENDS(COMPLETED, child_workflow_execution_completed_event_attributes);
    CHILD_ENDS(FAILED, child_workflow_execution_failed_event_attributes);
    CHILD_ENDS(CANCELED, child_workflow_execution_canceled_event_attributes);
    CHILD_ENDS(TIMED_OUT, child_workflow_execution_timed_out_event_attributes);
    CHILD_ENDS(TERMINATED, child_workflow_execution_terminated_event_attributes);
#undef CHILD_ENDS
#undef ENDS
    default:
      return (ending){0};
  }
}

static int64_t first_id_of_start(const pb_HistoryEvent *ev) {
  return ev->event_type == PB_EVENT_TYPE_ACTIVITY_TASK_STARTED
             ? ev->activity_task_started_event_attributes->scheduled_event_id
             : ev->child_workflow_execution_started_event_attributes->initiated_event_id;
}

/* The started event's id is known only once it is written; 0 stays 0 (never started). */
static void patch_started_id(pb_HistoryEvent *ev, const tx_events *written) {
  ending e = ending_of(ev);
  for (tx_event_node *n = written->first; e.started_id && n; n = n->next) {
    if (n->event->event_type == e.start_type && first_id_of_start(n->event) == e.first_id) {
      *e.started_id = n->event->event_id;
    }
  }
}

/* Everything buffered, oldest first: from earlier steps (items), then from this one. */
static tx_events all_buffered(engine_run *run) {
  tx_events all = {0};
  arena *a = run->tx.arena;
  LIST_FOR_EACH (n, &run->buffered) {
    engine_item *it = CONTAINER_OF(n, engine_item, buffered);
    if (it->deleted) continue;
    const pb_store_BufferedItem *b = item_msg(it);
    pb_HistoryEvent *ev = arena_new(a, pb_HistoryEvent);
    *ev = *b->event;
    push(a, &all, PB_COPY(HistoryEvent, ev, a));
  }
  for (tx_event_node *n = run->tx.buffered.first; n; n = n->next) push(a, &all, n->event);
  return all;
}

void tx_drop_buffer(engine_run *run) {
  LIST_FOR_EACH (n, &run->buffered) {
    engine_item *it = CONTAINER_OF(n, engine_item, buffered);
    if (!it->deleted) item_delete(run, it);
  }
  run->tx.buffered = (tx_events){0};
  run->state.buffered_count = 0;
  run->state.buffered_bytes = 0;
}

void tx_flush_buffer(engine_run *run) {
  if (!run_has_buffered(run)) return;
  tx_events all = all_buffered(run);
  tx_drop_buffer(run);
  for (int last = 0; last <= 1; last++) {
    for (tx_event_node *n = all.first; n; n = n->next) {
      if (goes_last(n->event) != (last == 1)) continue;
      patch_started_id(n->event, &run->tx.events);
      tx_append(run, n->event);
      attach_note_written(run, n->event);
      child_note_written(run, n->event);
    }
  }
}

static void keep_as_item(engine_run *run, pb_HistoryEvent *ev) {
  int64_t id = ITEM_FIRST_BUFFERED + run->state.next_buffered % ITEM_FIRST_BUFFERED;
  run->state.next_buffered++;
  pb_store_BufferedItem *b = item_new(run, id, PB_ITEM_KIND_BUFFERED, SPAN_NONE);
  b->event = ev;
  run->state.buffered_count++;
  run->state.buffered_bytes += (int64_t)pb_encoded_bytes(&pb_HistoryEvent_desc, ev);
}

/* Too much waits for the task in flight: the task fails, so that the events can be written. */
static bool buffer_is_full(const engine_run *run) {
  const engine_limits *l = run->tx.st->host->limits;
  return run->state.buffered_count > l->buffered_events ||
         run->state.buffered_bytes > (int64_t)l->buffered_bytes;
}

void tx_settle_buffer(engine_run *run) {
  if (!run->state.wft_started_id) {
    tx_flush_buffer(run);
    return;
  }
  tx_event_node *n = run->tx.buffered.first;
  run->tx.buffered = (tx_events){0};
  for (; n; n = n->next) keep_as_item(run, n->event);
  if (run_is_open(run) && buffer_is_full(run)) {
    wft_failed_full(run);
  }
}

static pb_History events_of(const tx *t) {
  pb_History h = {0};
  h.events.v = arena_array(t->arena, pb_HistoryEvent *, t->events.n);
  for (tx_event_node *n = t->events.first; n; n = n->next) h.events.v[h.events.n++] = n->event;
  return h;
}

size_t tx_events_bytes(const engine_run *run) {
  pb_History h = events_of(&run->tx);
  return pb_encoded_bytes(&pb_History_desc, &h);
}

void tx_write_events(engine_run *run) {
  tx *t = &run->tx;
  if (!t->events.n) return;
  pb_History h = events_of(t);
  bytes *blob = bytes_copy(PB_ENCODE(History, &h, t->arena));
  *step_row(t->st) =
      (store_row){.kind = ROW_HISTORY_ADD, .run = run->run, .id = t->first_event_id, .blob = blob};
  run->state.history_bytes += (int64_t)blob->n;
  t->st->new_events = true;
}

bool tx_unbuffer_timer(engine_run *run, int64_t started_event_id) {
  LIST_FOR_EACH (n, &run->buffered) {
    engine_item *it = CONTAINER_OF(n, engine_item, buffered);
    const pb_HistoryEvent *ev = ((const pb_store_BufferedItem *)item_msg(it))->event;
    if (it->deleted || ev->event_type != PB_EVENT_TYPE_TIMER_FIRED ||
        ev->timer_fired_event_attributes->started_event_id != started_event_id) {
      continue;
    }
    run->state.buffered_bytes -= (int64_t)pb_encoded_bytes(&pb_HistoryEvent_desc, ev);
    run->state.buffered_count--;
    item_delete(run, it);
    return true;
  }
  return false;
}

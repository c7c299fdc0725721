#include "engine/script_history.h"

enum { MOST_EVENTS = 20000 };

typedef struct reader {
  const pb_HistoryEvent *event[MOST_EVENTS]; /* by id */
  int64_t n;
  bool ended[MOST_EVENTS]; /* the activity, timer or task that this event began */
  bool closed;
} reader;

/* The event has this id, type, and did not end yet. */
static bool ends(reader *r, int64_t id, int32_t type) {
  if (id < 1 || id > r->n || r->event[id]->event_type != type || r->ended[id]) return false;
  r->ended[id] = true;
  return true;
}

static bool is(const reader *r, int64_t id, int32_t type) {
  return id >= 1 && id <= r->n && r->event[id]->event_type == type;
}

static bool activity_ended(reader *r, int64_t scheduled, int64_t started) {
  if (!ends(r, scheduled, PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)) return false;
  if (!started) return true;
  return is(r, started, PB_EVENT_TYPE_ACTIVITY_TASK_STARTED) &&
         r->event[started]->activity_task_started_event_attributes->scheduled_event_id == scheduled;
}

static bool task_ended(reader *r, int64_t scheduled, int64_t started) {
  if (!ends(r, scheduled, PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)) return false;
  if (!started) return true;
  return is(r, started, PB_EVENT_TYPE_WORKFLOW_TASK_STARTED) &&
         r->event[started]->workflow_task_started_event_attributes->scheduled_event_id == scheduled;
}

/* Whether the event fits those before it. */
static bool fits(reader *r, const pb_HistoryEvent *ev) {
#define ENDED(TYPE, field, how, first, second) \
  case PB_EVENT_TYPE_##TYPE:                   \
    return how(r, ev->field->first, ev->field->second)
  switch (ev->event_type) {
    ENDED(ACTIVITY_TASK_COMPLETED, activity_task_completed_event_attributes, activity_ended,
          scheduled_event_id, started_event_id);
    ENDED(ACTIVITY_TASK_FAILED, activity_task_failed_event_attributes, activity_ended,
          scheduled_event_id, started_event_id);
    ENDED(ACTIVITY_TASK_TIMED_OUT, activity_task_timed_out_event_attributes, activity_ended,
          scheduled_event_id, started_event_id);
    ENDED(ACTIVITY_TASK_CANCELED, activity_task_canceled_event_attributes, activity_ended,
          scheduled_event_id, started_event_id);
    ENDED(WORKFLOW_TASK_COMPLETED, workflow_task_completed_event_attributes, task_ended,
          scheduled_event_id, started_event_id);
    ENDED(WORKFLOW_TASK_FAILED, workflow_task_failed_event_attributes, task_ended,
          scheduled_event_id, started_event_id);
    ENDED(WORKFLOW_TASK_TIMED_OUT, workflow_task_timed_out_event_attributes, task_ended,
          scheduled_event_id, started_event_id);
    case PB_EVENT_TYPE_TIMER_FIRED:
      return ends(r, ev->timer_fired_event_attributes->started_event_id,
                  PB_EVENT_TYPE_TIMER_STARTED);
    case PB_EVENT_TYPE_TIMER_CANCELED:
      return ends(r, ev->timer_canceled_event_attributes->started_event_id,
                  PB_EVENT_TYPE_TIMER_STARTED);
    case PB_EVENT_TYPE_ACTIVITY_TASK_STARTED:
      return is(r, ev->activity_task_started_event_attributes->scheduled_event_id,
                PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED);
    case PB_EVENT_TYPE_WORKFLOW_TASK_STARTED:
      return is(r, ev->workflow_task_started_event_attributes->scheduled_event_id,
                PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
    default:
      return true;
  }
#undef ENDED
}

static bool is_last(const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
      return true;
    default:
      return false;
  }
}

const char *history_problem(model *m, int64_t run, arena *a) {
  reader *r = arena_new(a, reader);
  for (size_t i = 0; i < m->n; i++) {
    const store_row *row = &m->rows[i];
    if (row->kind != ROW_HISTORY_ADD || row->run != run) continue;
    pb_History *h;
    if (PB_DECODE(History, bytes_span(row->blob), a, &h)) return "a batch does not decode";
    for (size_t k = 0; k < h->events.n; k++) {
      const pb_HistoryEvent *ev = h->events.v[k];
      if (ev->event_id != r->n + 1 || r->n + 1 == MOST_EVENTS) return "ids have a gap";
      if (r->closed) return "something follows the end";
      if (!fits(r, ev)) {
        return arena_printf(a, "event %lld (type %d) does not fit those before it",
                            (long long)ev->event_id, ev->event_type);
      }
      r->event[++r->n] = ev;
      r->closed = is_last(ev);
    }
  }
  return r->n ? NULL : "there is none";
}

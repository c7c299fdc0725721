/* timer.c - timers of workflows: started, cancelled, fired. */
#include "engine/command.h"

err *command_start_timer(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES;
  COMMAND_NEEDS(c, cmd, start_timer_command_attributes, BAD_START_TIMER_ATTRIBUTES, "StartTimer");
  const pb_StartTimerCommandAttributes *in = cmd->start_timer_command_attributes;
  if (!in->timer_id.n) return command_refuse(c, cause, "TimerId is not set on StartTimerCommand.");
  if (in->timer_id.n > ID_LIMIT_BYTES) {
    return command_refuse(c, cause,
                          "TimerId on StartTimerCommand exceeds length limit. TimerId=%.*s "
                          "Length=%zu Limit=%d",
                          SPAN_ARG(in->timer_id), in->timer_id.n, ID_LIMIT_BYTES);
  }
  const char *why = duration_problem(in->start_to_fire_timeout);
  if (why) {
    return command_refuse(c, cause,
                          "An invalid StartToFireTimeout is set on StartTimerCommand: %s. "
                          "TimerId=%.*s",
                          why, SPAN_ARG(in->timer_id));
  }
  engine_run *run = c->run;
  if (item_by_name(run, PB_ITEM_KIND_TIMER, in->timer_id)) {
    return command_refuse(
        c, PB_WORKFLOW_TASK_FAILED_CAUSE_START_TIMER_DUPLICATE_ID,
        "invalid history builder state for action: add-timer-started-event, TimerID: %.*s",
        SPAN_ARG(in->timer_id));
  }
  tx *t = &run->tx;
  EVENT(t, ev, attrs, TIMER_STARTED, timer_started_event_attributes, TimerStartedEventAttributes);
  attrs->timer_id = in->timer_id;
  attrs->start_to_fire_timeout = in->start_to_fire_timeout;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  tx_append(run, ev);
  timer_add(run, ev);
  return NULL;
}

void timer_add(engine_run *run, const pb_HistoryEvent *ev) {
  const pb_TimerStartedEventAttributes *s = ev->timer_started_event_attributes;
  pb_store_TimerItem *timer = item_new(run, ev->event_id, PB_ITEM_KIND_TIMER, s->timer_id);
  timer->timer_id = s->timer_id;
  timer->fire_time = run->tx.now_ns + pb_duration_ns(s->start_to_fire_timeout);
  item_set_due(run, item_by_id(run, ev->event_id, PB_ITEM_KIND_TIMER), timer->fire_time,
               (store_queued){0});
}

/* A timer that fired while the task ran counts as cancelled: its event is taken back. */
static int64_t fired_in_buffer(engine_run *run, span timer_id) {
  LIST_FOR_EACH (n, &run->buffered) {
    const engine_item *it = CONTAINER_OF(n, engine_item, buffered);
    const pb_HistoryEvent *ev = ((const pb_store_BufferedItem *)item_msg(it))->event;
    if (it->deleted || ev->event_type != PB_EVENT_TYPE_TIMER_FIRED) continue;
    const pb_TimerFiredEventAttributes *fired = ev->timer_fired_event_attributes;
    if (span_eq(fired->timer_id, timer_id)) {
      int64_t started_id = fired->started_event_id;
      return tx_unbuffer_timer(run, started_id) ? started_id : 0;
    }
  }
  return 0;
}

err *command_cancel_timer(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES;
  COMMAND_NEEDS(c, cmd, cancel_timer_command_attributes, BAD_CANCEL_TIMER_ATTRIBUTES,
                "CancelTimer");
  const pb_CancelTimerCommandAttributes *in = cmd->cancel_timer_command_attributes;
  if (!in->timer_id.n) return command_refuse(c, cause, "TimerId is not set on CancelTimerCommand.");
  if (in->timer_id.n > ID_LIMIT_BYTES) {
    return command_refuse(
        c, cause,
        "TimerId on CancelTimerCommand exceeds length limit. TimerId=%.*s Length=%zu Limit=%d",
        SPAN_ARG(in->timer_id), in->timer_id.n, ID_LIMIT_BYTES);
  }
  engine_run *run = c->run;
  engine_item *it = item_by_name(run, PB_ITEM_KIND_TIMER, in->timer_id);
  int64_t started_id = it ? it->id : fired_in_buffer(run, in->timer_id);
  if (!started_id) {
    return command_refuse(
        c, cause,
        "invalid history builder state for action: add-timer-canceled-event, TimerID: %.*s",
        SPAN_ARG(in->timer_id));
  }
  if (it) item_delete(run, it);
  tx *t = &run->tx;
  EVENT(t, ev, attrs, TIMER_CANCELED, timer_canceled_event_attributes,
        TimerCanceledEventAttributes);
  attrs->timer_id = in->timer_id;
  attrs->started_event_id = started_id;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->identity = c->request->identity;
  tx_append(run, ev);
  return NULL;
}

void timer_fire(engine_run *run, engine_item *it) {
  const pb_store_TimerItem *timer = item_msg(it);
  tx *t = &run->tx;
  EVENT(t, ev, attrs, TIMER_FIRED, timer_fired_event_attributes, TimerFiredEventAttributes);
  attrs->timer_id = timer->timer_id;
  attrs->started_event_id = it->id;
  tx_buffer(run, ev);
  item_delete(run, it);
  t->st->lazy = false;
}

/* program.c - the workflow that the simulated workers run.
 *
 * A run has up to PROGRAM_STAGES stages of up to PROGRAM_WIDTH things to wait for: an activity, a
 * timer, a signal with a timer as the way out, a child, or the answer to a signal or cancel request
 * that it sends to another workflow. When all of a stage are over the next one begins;
 * after the last one the run completes, fails or continues as new. Everything follows from the plan
 * in the input and from history: two workers always decide the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#include "proto/pb_time.h"

typedef enum thing {
  THING_ACTIVITY,
  THING_TIMER,
  THING_SIGNAL,
  THING_CHILD,
  THING_SEND_SIGNAL,
  THING_SEND_CANCEL
} thing;
typedef enum slot_state { SLOT_NEW, SLOT_PENDING, SLOT_CANCELING, SLOT_OVER } slot_state;

typedef struct slot {
  slot_state state;
  int64_t id; /* the event that began it */
} slot;

typedef struct scan {
  program_plan plan;
  slot slots[PROGRAM_STAGES][PROGRAM_WIDTH];
  span run_id;
  int stage; /* the newest one with anything in it, or -1 */
  int signals, cancels;
} scan;

enum { MOST_DEPTH = 3, MOST_GENERATIONS = 2, KIDS = 12 };

static uint64_t dice(program_plan p, int stage, int i, int what) {
  return hash_u64(p.seed * 1000003 + (uint64_t)(stage * 100 + i * 10 + what));
}

static int n_stages(program_plan p) { return 1 + (int)(dice(p, 90, 0, 0) % PROGRAM_STAGES); }
static int width(program_plan p, int stage) {
  return 1 + (int)(dice(p, stage, 9, 0) % PROGRAM_WIDTH);
}
static thing thing_at(program_plan p, int stage, int i) {
  uint64_t d = dice(p, stage, i, 7);
  bool outside = d % 4 == 0 && p.generation < MOST_GENERATIONS;
  if (outside) return (thing)(THING_CHILD + d / 4 % 3);
  return (thing)(dice(p, stage, i, 1) % 3);
}

/* --- the plan --- */

span text_payloads(arena *a, const char *text) {
  pb_Payload payload = {.data = span_cstr(text)};
  pb_Payload *one[] = {&payload};
  pb_Payloads all = {.payloads = {.v = one, .n = 1}};
  return PB_ENCODE(Payloads, &all, a);
}

span program_input(program_plan p, arena *a) {
  return text_payloads(
      a, arena_printf(a, "%llu %d %d", (unsigned long long)p.seed, p.depth, p.generation));
}

program_plan program_of_input(span input) {
  arena a = ARENA_INIT;
  pb_Payloads *all;
  program_plan p = {0};
  if (!PB_DECODE(Payloads, input, &a, &all) && all->payloads.n) {
    char *end;
    p.seed = strtoull(arena_cstr(&a, all->payloads.v[0]->data), &end, 10);
    p.depth = (int)strtol(end, &end, 10);
    p.generation = (int)strtol(end, NULL, 10);
  }
  arena_release(&a);
  return p;
}

static bool slot_of_id(span id, int *ret_stage, int *ret_i) {
  if (id.n != 3 || id.p[1] != '-') return false;
  *ret_stage = id.p[0] - '0';
  *ret_i = id.p[2] - '0';
  return *ret_stage >= 0 && *ret_stage < PROGRAM_STAGES && *ret_i >= 0 && *ret_i < PROGRAM_WIDTH;
}

static span id_of_slot(int stage, int i, arena *a) { return arena_spanf(a, "%d-%d", stage, i); }

int64_t program_timer_ns(program_plan p, span id) {
  int stage, i;
  if (!slot_of_id(id, &stage, &i)) return -1;
  return (int64_t)(1 + dice(p, stage, i, 2) % 5000) * NS_PER_MS;
}

void program_retry(program_plan p, span id, pb_RetryPolicy *ret_policy, arena *a) {
  int stage = 0, i = 0;
  (void)slot_of_id(id, &stage, &i);
  int64_t first = (int64_t)(1 + dice(p, stage, i, 3) % 900) * NS_PER_MS;
  *ret_policy =
      (pb_RetryPolicy){.initial_interval = pb_duration_new(a, first),
                       .backoff_coefficient = 1.0 + (double)(dice(p, stage, i, 4) % 3) * 0.5,
                       .maximum_interval = pb_duration_new(a, first + 2 * NS_PER_SEC),
                       .maximum_attempts = (int32_t)(dice(p, stage, i, 5) % 5)};
}

/* --- history to state --- */

static void begin_slot(scan *sc, span id, int64_t event_id) {
  int stage, i;
  if (!slot_of_id(id, &stage, &i)) return;
  sc->slots[stage][i] = (slot){.state = SLOT_PENDING, .id = event_id};
  sc->stage = MAX(sc->stage, stage);
}

static slot *slot_begun_by(scan *sc, int64_t event_id) {
  for (int st = 0; st < PROGRAM_STAGES; st++) {
    for (int i = 0; i < PROGRAM_WIDTH; i++) {
      if (sc->slots[st][i].id == event_id && event_id) return &sc->slots[st][i];
    }
  }
  return NULL;
}

static void set_slot(scan *sc, int64_t event_id, slot_state state) {
  slot *sl = slot_begun_by(sc, event_id);
  if (sl) sl->state = state;
}

int64_t program_answered(const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
#define ANSWERS(TYPE, field) \
  case PB_EVENT_TYPE_##TYPE: \
    return ev->field->initiated_event_id
    ANSWERS(START_CHILD_WORKFLOW_EXECUTION_FAILED,
            start_child_workflow_execution_failed_event_attributes);
    ANSWERS(CHILD_WORKFLOW_EXECUTION_COMPLETED,
            child_workflow_execution_completed_event_attributes);
    ANSWERS(CHILD_WORKFLOW_EXECUTION_FAILED, child_workflow_execution_failed_event_attributes);
    ANSWERS(CHILD_WORKFLOW_EXECUTION_CANCELED, child_workflow_execution_canceled_event_attributes);
    ANSWERS(CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
            child_workflow_execution_timed_out_event_attributes);
    ANSWERS(CHILD_WORKFLOW_EXECUTION_TERMINATED,
            child_workflow_execution_terminated_event_attributes);
    ANSWERS(EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
            external_workflow_execution_signaled_event_attributes);
    ANSWERS(SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
            signal_external_workflow_execution_failed_event_attributes);
    ANSWERS(EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
            external_workflow_execution_cancel_requested_event_attributes);
    ANSWERS(REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
            request_cancel_external_workflow_execution_failed_event_attributes);
#undef ANSWERS
    default:
      return 0;
  }
}

/* The event that began the thing that this event ends, or 0. */
static int64_t ends(const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
    case PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
      return ev->activity_task_completed_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_ACTIVITY_TASK_FAILED:
      return ev->activity_task_failed_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
      return ev->activity_task_timed_out_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_ACTIVITY_TASK_CANCELED:
      return ev->activity_task_canceled_event_attributes->scheduled_event_id;
    case PB_EVENT_TYPE_TIMER_FIRED:
      return ev->timer_fired_event_attributes->started_event_id;
    case PB_EVENT_TYPE_TIMER_CANCELED:
      return ev->timer_canceled_event_attributes->started_event_id;
    default:
      return program_answered(ev);
  }
}

static void scan_event(scan *sc, const pb_HistoryEvent *ev) {
  switch (ev->event_type) {
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
      sc->plan = program_of_input(ev->workflow_execution_started_event_attributes->input);
      break;
    case PB_EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
      begin_slot(sc, ev->start_child_workflow_execution_initiated_event_attributes->control,
                 ev->event_id);
      break;
    case PB_EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
      begin_slot(sc, ev->signal_external_workflow_execution_initiated_event_attributes->control,
                 ev->event_id);
      break;
    case PB_EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
      begin_slot(sc,
                 ev->request_cancel_external_workflow_execution_initiated_event_attributes->control,
                 ev->event_id);
      break;
    case PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
      begin_slot(sc, ev->activity_task_scheduled_event_attributes->activity_id, ev->event_id);
      break;
    case PB_EVENT_TYPE_TIMER_STARTED:
      begin_slot(sc, ev->timer_started_event_attributes->timer_id, ev->event_id);
      break;
    case PB_EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
      set_slot(sc, ev->activity_task_cancel_requested_event_attributes->scheduled_event_id,
               SLOT_CANCELING);
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
      sc->signals++;
      break;
    case PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
      sc->cancels++;
      break;
    default:
      set_slot(sc, ends(ev), SLOT_OVER);
  }
}

/* --- state to commands --- */

typedef struct maker {
  arena *a;
  span queue;
  scan *sc;
  pb_RespondWorkflowTaskCompletedRequest *r;
} maker;

static pb_Command *command(maker *m, int32_t type, uint32_t which) {
  enum { MOST = 16 };
  if (!m->r->commands.v) m->r->commands.v = arena_array(m->a, pb_Command *, MOST);
  ASSERT(m->r->commands.n < MOST);
  pb_Command *c = pb_new(m->a, Command);
  c->command_type = type;
  c->which_attributes = which;
  m->r->commands.v[m->r->commands.n++] = c;
  return c;
}

#define COMMAND(m, c, attrs, TYPE, field, Message)                                  \
  pb_Command *c = command((m), PB_COMMAND_TYPE_##TYPE, PB_Command_##field##_FIELD); \
  pb_##Message *attrs = pb_new((m)->a, Message);                                    \
  c->field = attrs

static void schedule_activity(maker *m, int stage, int i) {
  program_plan p = m->sc->plan;
  COMMAND(m, c, at, SCHEDULE_ACTIVITY_TASK, schedule_activity_task_command_attributes,
          ScheduleActivityTaskCommandAttributes);
  at->activity_id = id_of_slot(stage, i, m->a);
  at->activity_type = pb_new(m->a, ActivityType);
  at->activity_type->name = SPAN("Act");
  at->task_queue = pb_new(m->a, TaskQueue);
  at->task_queue->name = m->queue;
  at->input = program_input(p, m->a);
  uint64_t d = dice(p, stage, i, 6);
  at->start_to_close_timeout = pb_duration_new(m->a, (int64_t)(1 + d % 8) * NS_PER_SEC);
  if (d % 5 == 0) at->schedule_to_close_timeout = pb_duration_new(m->a, 30 * NS_PER_SEC);
  if (d % 7 == 0) at->schedule_to_start_timeout = pb_duration_new(m->a, 10 * NS_PER_SEC);
  if (d % 3 == 0) at->heartbeat_timeout = pb_duration_new(m->a, 2 * NS_PER_SEC);
  at->retry_policy = pb_new(m->a, RetryPolicy);
  program_retry(p, at->activity_id, at->retry_policy, m->a);
}

static void start_timer(maker *m, int stage, int i) {
  COMMAND(m, c, at, START_TIMER, start_timer_command_attributes, StartTimerCommandAttributes);
  at->timer_id = id_of_slot(stage, i, m->a);
  at->start_to_fire_timeout = pb_duration_new(m->a, program_timer_ns(m->sc->plan, at->timer_id));
}

static void start_child(maker *m, int stage, int i) {
  program_plan p = m->sc->plan;
  uint64_t d = dice(p, stage, i, 8);
  program_plan plan = {.seed = d >> 8, .generation = p.generation + 1};
  COMMAND(m, c, at, START_CHILD_WORKFLOW_EXECUTION,
          start_child_workflow_execution_command_attributes,
          StartChildWorkflowExecutionCommandAttributes);
  at->workflow_id = arena_spanf(m->a, "kid-%d", (int)(d % KIDS));
  at->workflow_type = pb_new(m->a, WorkflowType);
  at->workflow_type->name = SPAN("Plan");
  at->input = program_input(plan, m->a);
  at->control = id_of_slot(stage, i, m->a);
  at->parent_close_policy = (int32_t)(d / KIDS % 4);
  at->workflow_id_reuse_policy = (int32_t)(d / 64 % 5);
  if (d / 512 % 4) return;
  at->retry_policy = pb_new(m->a, RetryPolicy);
  at->retry_policy->maximum_attempts = 2;
}

/* A client's workflow, or somebody's child. */
static span other_workflow(maker *m, uint64_t d) {
  return arena_spanf(m->a, d % 2 ? "kid-%d" : "w%d", (int)(d / 2 % KIDS));
}

static void send_signal(maker *m, int stage, int i) {
  COMMAND(m, c, at, SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
          signal_external_workflow_execution_command_attributes,
          SignalExternalWorkflowExecutionCommandAttributes);
  at->execution = pb_new(m->a, WorkflowExecution);
  at->execution->workflow_id = other_workflow(m, dice(m->sc->plan, stage, i, 8));
  at->control = id_of_slot(stage, i, m->a);
  at->signal_name =
      arena_spanf(m->a, PROGRAM_SENT "%.*s %.*s", SPAN_ARG(m->sc->run_id), SPAN_ARG(at->control));
}

static bool starts_child(const maker *m, span workflow_id) {
  for (size_t k = 0; k < m->r->commands.n; k++) {
    const pb_Command *c = m->r->commands.v[k];
    if (c->command_type == PB_COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION &&
        span_eq(c->start_child_workflow_execution_command_attributes->workflow_id, workflow_id)) {
      return true;
    }
  }
  return false;
}

static void send_cancel(maker *m, int stage, int i) {
  COMMAND(m, c, at, REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
          request_cancel_external_workflow_execution_command_attributes,
          RequestCancelExternalWorkflowExecutionCommandAttributes);
  at->workflow_id = other_workflow(m, dice(m->sc->plan, stage, i, 8));
  /* Not allowed for a child that the same task starts. */
  if (starts_child(m, at->workflow_id)) at->workflow_id = SPAN("nobody");
  at->control = id_of_slot(stage, i, m->a);
  at->child_workflow_only = dice(m->sc->plan, stage, i, 6) % 4 == 0;
}

static void record_marker(maker *m, int stage) {
  COMMAND(m, c, at, RECORD_MARKER, record_marker_command_attributes, RecordMarkerCommandAttributes);
  at->marker_name = arena_spanf(m->a, "stage-%d", stage);
}

static void begin_stage(maker *m, int stage) {
  program_plan p = m->sc->plan;
  if (dice(p, stage, 8, 0) % 4 == 0) record_marker(m, stage);
  for (int i = 0; i < width(p, stage); i++) {
    static void (*const begin[])(maker * m, int stage, int i) = {
        [THING_ACTIVITY] = schedule_activity, [THING_TIMER] = start_timer,
        [THING_SIGNAL] = start_timer,         [THING_CHILD] = start_child,
        [THING_SEND_SIGNAL] = send_signal,    [THING_SEND_CANCEL] = send_cancel};
    begin[thing_at(p, stage, i)](m, stage, i);
  }
}

static void complete(maker *m) {
  COMMAND(m, c, at, COMPLETE_WORKFLOW_EXECUTION, complete_workflow_execution_command_attributes,
          CompleteWorkflowExecutionCommandAttributes);
  at->result = text_payloads(m->a, "result");
}

static void fail(maker *m) {
  COMMAND(m, c, at, FAIL_WORKFLOW_EXECUTION, fail_workflow_execution_command_attributes,
          FailWorkflowExecutionCommandAttributes);
  at->failure = pb_new(m->a, Failure);
  at->failure->message = SPAN("the plan says so");
}

static void continue_as_new(maker *m) {
  program_plan next = {.seed = dice(m->sc->plan, 91, 0, 0) >> 1,
                       .depth = m->sc->plan.depth + 1,
                       .generation = m->sc->plan.generation};
  COMMAND(m, c, at, CONTINUE_AS_NEW_WORKFLOW_EXECUTION,
          continue_as_new_workflow_execution_command_attributes,
          ContinueAsNewWorkflowExecutionCommandAttributes);
  at->workflow_type = pb_new(m->a, WorkflowType);
  at->workflow_type->name = SPAN("Plan");
  at->task_queue = pb_new(m->a, TaskQueue);
  at->task_queue->name = m->queue;
  at->input = program_input(next, m->a);
}

static void cancel_run(maker *m) {
  COMMAND(m, c, at, CANCEL_WORKFLOW_EXECUTION, cancel_workflow_execution_command_attributes,
          CancelWorkflowExecutionCommandAttributes);
  at->details = SPAN_NONE;
}

static void finish(maker *m) {
  uint64_t d = dice(m->sc->plan, 92, 0, 0) % 10;
  if (m->sc->cancels && d < 8) {
    cancel_run(m);
  } else if (d < 2 && m->sc->plan.depth < MOST_DEPTH) {
    continue_as_new(m);
  } else if (d < 4) {
    fail(m);
  } else {
    complete(m);
  }
}

/* Waits for a signal end when there is one for each; a cancel request reaches what is pending. */
static void cancel_pending(maker *m) {
  scan *sc = m->sc;
  int stage = sc->stage, signals = sc->signals;
  for (int i = 0; stage >= 0 && i < PROGRAM_WIDTH; i++) {
    slot *sl = &sc->slots[stage][i];
    thing what = thing_at(sc->plan, stage, i);
    if (sl->state != SLOT_PENDING) continue;
    if (what == THING_ACTIVITY && sc->cancels) {
      COMMAND(m, c, at, REQUEST_CANCEL_ACTIVITY_TASK,
              request_cancel_activity_task_command_attributes,
              RequestCancelActivityTaskCommandAttributes);
      at->scheduled_event_id = sl->id;
      sl->state = SLOT_CANCELING;
    } else if (what == THING_SIGNAL && signals-- > 0) {
      COMMAND(m, c, at, CANCEL_TIMER, cancel_timer_command_attributes,
              CancelTimerCommandAttributes);
      at->timer_id = id_of_slot(stage, i, m->a);
      sl->state = SLOT_OVER;
    }
  }
}

static bool stage_is_over(const scan *sc) {
  for (int i = 0; sc->stage >= 0 && i < PROGRAM_WIDTH; i++) {
    slot_state st = sc->slots[sc->stage][i].state;
    if (st == SLOT_PENDING || st == SLOT_CANCELING) return false;
  }
  return true;
}

void program_step(pb_HistoryEvent *const *events, size_t n, span run_id, span queue, arena *a,
                  pb_RespondWorkflowTaskCompletedRequest *r) {
  scan sc = {.stage = -1, .run_id = run_id};
  for (size_t i = 0; i < n; i++) scan_event(&sc, events[i]);
  maker m = {.a = a, .queue = queue, .sc = &sc, .r = r};
  if (sc.cancels && dice(sc.plan, 93, 0, 0) % 2) {
    cancel_run(&m);
    return;
  }
  cancel_pending(&m);
  if (!stage_is_over(&sc)) return;
  if (sc.stage + 1 < n_stages(sc.plan)) {
    begin_stage(&m, sc.stage + 1);
  } else {
    finish(&m);
  }
}

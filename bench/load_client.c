/* load_client.c - starts workflows, keeps so many in flight, waits for each result. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "load.h"

static void start_next(load *l);

typedef struct waiting {
  load *l;
  load_workflow *w;
  char run_id[40];
  bool whole; /* reading the whole history to show it */
} waiting;

static pb_WorkflowExecution *execution(const waiting *wait, arena *a) {
  pb_WorkflowExecution *e = pb_new(a, WorkflowExecution);
  e->workflow_id = load_workflow_id(wait->l, a, wait->w->index);
  e->run_id = arena_dup(a, span_cstr(wait->run_id));
  return e;
}

static void on_history(void *arg, const err *e, span message);

static void read_history(waiting *wait, bool whole) {
  arena a = ARENA_INIT;
  pb_GetWorkflowExecutionHistoryRequest r = {0};
  r.namespace = SPAN("default");
  r.execution = execution(wait, &a);
  wait->whole = whole;
  if (!whole) {
    r.wait_new_event = true;
    r.history_event_filter_type = PB_HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  }
  LOAD_CALL(wait->l, GetWorkflowExecutionHistory, &r, 60000, on_history, wait);
  arena_release(&a);
}

static void end(waiting *wait) {
  load *l = wait->l;
  int64_t now = load_now_ns();
  wait->w->closed = true;
  l->latencies_ns[l->ended++] = now - wait->w->started_at_ns;
  if (l->ended == l->opt.workflows) {
    l->ended_at_ns = now;
    l->stopping = true;
    uv_stop(&l->loop);
  } else if (l->started < l->opt.workflows) {
    start_next(l);
  }
  mem_free(wait);
}

static void note_history(load *l, const pb_History *h) {
  size_t n = 0;
  for (size_t i = 0; i < h->events.n; i++) {
    const char *name = pb_enum_name(&pb_EventType_enum, h->events.v[i]->event_type);
    int wrote = snprintf(l->history + n, sizeof l->history - n, "%s%s", i ? " " : "",
                         name ? name + strlen("EVENT_TYPE_") : "?");
    if (wrote < 0 || (size_t)wrote >= sizeof l->history - n) return;
    n += (size_t)wrote;
  }
}

static void check_result(waiting *wait, const pb_HistoryEvent *ev, arena *a) {
  if (ev->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED) {
    load_fail("a workflow did not complete", NULL);
  }
  span got = ev->workflow_execution_completed_event_attributes->result;
  span want = load_payloads(a, arena_printf(a, "done-%lld", (long long)wait->w->index));
  if (!span_eq(got, want)) load_fail("a workflow has a wrong result", NULL);
}

static void on_history(void *arg, const err *e, span message) {
  waiting *wait = arg;
  load *l = wait->l;
  if (l->stopping) return;
  if (e) load_fail("GetWorkflowExecutionHistory", e);
  arena a = ARENA_INIT;
  pb_GetWorkflowExecutionHistoryResponse *r;
  err *bad = PB_DECODE(GetWorkflowExecutionHistoryResponse, message, &a, &r);
  if (bad) load_fail("a history does not decode", bad);
  if (wait->whole) {
    note_history(l, r->history);
    end(wait);
  } else if (!r->history || r->history->events.n == 0) {
    read_history(wait, false);
  } else {
    check_result(wait, r->history->events.v[r->history->events.n - 1], &a);
    if (l->opt.show_history && wait->w->index == 0) {
      read_history(wait, true);
    } else {
      end(wait);
    }
  }
  arena_release(&a);
}

static void on_started(void *arg, const err *e, span message) {
  waiting *wait = arg;
  if (e) load_fail("StartWorkflowExecution", e);
  arena a = ARENA_INIT;
  pb_StartWorkflowExecutionResponse *r;
  err *bad = PB_DECODE(StartWorkflowExecutionResponse, message, &a, &r);
  if (bad || r->run_id.n >= sizeof wait->run_id) load_fail("a start does not decode", bad);
  memcpy(wait->run_id, r->run_id.p, r->run_id.n);
  wait->run_id[r->run_id.n] = 0;
  arena_release(&a);
  load_send_messages(wait->l, wait->w);
  read_history(wait, false);
}

static void start_next(load *l) {
  arena a = ARENA_INIT;
  waiting *wait = mem_new(waiting);
  wait->l = l;
  wait->w = &l->workflows[l->started];
  wait->w->index = l->started++;
  wait->w->started_at_ns = load_now_ns();
  pb_StartWorkflowExecutionRequest r = {0};
  r.namespace = SPAN("default");
  r.workflow_id = load_workflow_id(l, &a, wait->w->index);
  r.workflow_type = pb_new(&a, WorkflowType);
  r.workflow_type->name = SPAN("Load");
  r.task_queue = pb_new(&a, TaskQueue);
  r.task_queue->name = l->queue;
  r.identity = SPAN("load-client");
  r.request_id = r.workflow_id;
  r.input = load_payloads(&a, "input of a workflow");
  LOAD_CALL(l, StartWorkflowExecution, &r, 30000, on_started, wait);
  arena_release(&a);
}

void load_client_start(load *l) {
  int64_t first = MIN(l->opt.in_flight, l->opt.workflows);
  for (int64_t i = 0; i < first; i++) start_next(l);
}

/* pb_bench - nanoseconds of CPU per message of the codec, for messages as a worker sees them. */
#include <stdio.h>
#include <time.h>

#include "proto/pb.gen.h"
#include "proto/pb_json.h"

enum { ROUNDS = 20000, JSON_ROUNDS = 2000 };

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static span payloads(arena *a, const char *json) {
  pb_Payload *p = pb_new(a, Payload);
  pb_Payload_MetadataEntry *m = pb_new(a, Payload_MetadataEntry);
  m->key = SPAN("encoding");
  m->value = SPAN("json/plain");
  p->metadata.v = arena_array(a, pb_Payload_MetadataEntry *, 1);
  p->metadata.v[p->metadata.n++] = m;
  p->data = span_cstr(json);
  pb_Payloads all = {.payloads = {&p, 1}};
  return pb_encode_arena(&pb_Payloads_desc, &all, a);
}

static pb_Timestamp *timestamp(arena *a, int64_t nanos) {
  pb_Timestamp *t = pb_new(a, Timestamp);
  t->seconds = 1700000000;
  t->nanos = (int32_t)nanos;
  return t;
}

static pb_Duration *duration(arena *a, int64_t seconds) {
  pb_Duration *d = pb_new(a, Duration);
  d->seconds = seconds;
  return d;
}

static pb_TaskQueue *queue(arena *a) {
  pb_TaskQueue *q = pb_new(a, TaskQueue);
  q->name = SPAN("money-transfer");
  q->kind = PB_TASK_QUEUE_KIND_NORMAL;
  return q;
}

static void started(arena *a, pb_HistoryEvent *e) {
  pb_WorkflowExecutionStartedEventAttributes *s =
      pb_new(a, WorkflowExecutionStartedEventAttributes);
  e->event_type = PB_EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
  e->which_attributes = PB_HistoryEvent_workflow_execution_started_event_attributes_FIELD;
  e->workflow_execution_started_event_attributes = s;
  s->workflow_type = pb_new(a, WorkflowType);
  s->workflow_type->name = SPAN("MoneyTransfer");
  s->task_queue = queue(a);
  s->input = payloads(a, "{\"from\":\"85-150\",\"to\":\"43-812\",\"amount\":250}");
  s->workflow_task_timeout = duration(a, 10);
  s->original_execution_run_id = SPAN("0b6f5c1e-7f1c-4bb1-9b3e-2f8f5d0c1a2b");
  s->first_execution_run_id = s->original_execution_run_id;
  s->identity = SPAN("12345@host");
  s->attempt = 1;
  s->workflow_id = SPAN("transfer-2024-000017");
}

static void scheduled(arena *a, pb_HistoryEvent *e) {
  pb_ActivityTaskScheduledEventAttributes *s = pb_new(a, ActivityTaskScheduledEventAttributes);
  e->event_type = PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED;
  e->which_attributes = PB_HistoryEvent_activity_task_scheduled_event_attributes_FIELD;
  e->activity_task_scheduled_event_attributes = s;
  s->activity_id = SPAN("7");
  s->activity_type = pb_new(a, ActivityType);
  s->activity_type->name = SPAN("withdraw");
  s->task_queue = queue(a);
  s->input = payloads(a, "{\"account\":\"85-150\",\"amount\":250,\"reference\":\"r-1\"}");
  s->start_to_close_timeout = duration(a, 5);
  s->retry_policy = pb_new(a, RetryPolicy);
  s->retry_policy->initial_interval = duration(a, 1);
  s->retry_policy->backoff_coefficient = 2.0;
  s->retry_policy->maximum_attempts = 3;
}

static void completed(arena *a, pb_HistoryEvent *e) {
  pb_ActivityTaskCompletedEventAttributes *c = pb_new(a, ActivityTaskCompletedEventAttributes);
  e->event_type = PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED;
  e->which_attributes = PB_HistoryEvent_activity_task_completed_event_attributes_FIELD;
  e->activity_task_completed_event_attributes = c;
  c->result = payloads(a, "\"withdrawn: 250 from 85-150\"");
  c->scheduled_event_id = e->event_id - 2;
  c->started_event_id = e->event_id - 1;
  c->identity = SPAN("12345@host");
}

static pb_PollWorkflowTaskQueueResponse *poll_response(arena *a, size_t events) {
  pb_PollWorkflowTaskQueueResponse *r = pb_new(a, PollWorkflowTaskQueueResponse);
  r->task_token = SPAN("a token of forty bytes or so, signed by us");
  r->workflow_execution = pb_new(a, WorkflowExecution);
  r->workflow_execution->workflow_id = SPAN("transfer-2024-000017");
  r->workflow_execution->run_id = SPAN("0b6f5c1e-7f1c-4bb1-9b3e-2f8f5d0c1a2b");
  r->workflow_type = pb_new(a, WorkflowType);
  r->workflow_type->name = SPAN("MoneyTransfer");
  r->started_event_id = (int64_t)events;
  r->attempt = 1;
  r->history = pb_new(a, History);
  r->history->events.v = arena_array(a, pb_HistoryEvent *, events);
  r->history->events.n = events;
  for (size_t i = 0; i < events; i++) {
    pb_HistoryEvent *e = r->history->events.v[i] = pb_new(a, HistoryEvent);
    e->event_id = (int64_t)i + 1;
    e->event_time = timestamp(a, (int64_t)i * 1000);
    e->task_id = 1048576 + (int64_t)i;
    if (i == 0)
      started(a, e);
    else if (i % 2)
      scheduled(a, e);
    else
      completed(a, e);
  }
  r->scheduled_time = timestamp(a, 1);
  r->started_time = timestamp(a, 2);
  return r;
}

static void report(const char *what, const char *step, size_t bytes, int64_t ns, int rounds) {
  printf("%-34s %6zu bytes  %-11s %8lld ns\n", what, bytes, step, (long long)(ns / rounds));
}

static void measure_json(const char *what, const pb_desc *d, const void *msg) {
  arena a = ARENA_INIT;
  buf out = BUF_INIT;
  void *got;
  int64_t start = cpu_ns();
  for (int i = 0; i < JSON_ROUNDS; i++) {
    buf_clear(&out);
    if (pb_json_encode(d, msg, PB_JSON_CANONICAL, &a, &out)) PANIC("no JSON");
    arena_reset(&a);
  }
  report(what, "JSON write", out.n, cpu_ns() - start, JSON_ROUNDS);
  start = cpu_ns();
  for (int i = 0; i < JSON_ROUNDS; i++) {
    if (pb_json_decode(d, buf_span(&out), PB_JSON_CANONICAL, &a, &got)) PANIC("not read");
    arena_reset(&a);
  }
  report(what, "JSON read", out.n, cpu_ns() - start, JSON_ROUNDS);
  arena_release(&a);
  buf_release(&out);
}

static void measure(const char *what, const pb_desc *d, const void *msg) {
  arena a = ARENA_INIT, work = ARENA_INIT;
  buf out = BUF_INIT;
  void *got;
  span in = pb_encode_arena(d, msg, &a);
  int64_t start = cpu_ns();
  for (int i = 0; i < ROUNDS; i++) {
    arena_reset(&work);
    if (pb_decode(d, in, &work, &got)) PANIC("not decoded");
  }
  report(what, "decode", in.n, cpu_ns() - start, ROUNDS);
  start = cpu_ns();
  for (int i = 0; i < ROUNDS; i++) {
    if (pb_check(d, in, &a)) PANIC("not valid");
  }
  report(what, "check", in.n, cpu_ns() - start, ROUNDS);
  start = cpu_ns();
  for (int i = 0; i < ROUNDS; i++) {
    buf_clear(&out);
    pb_encode(d, msg, &out);
  }
  report(what, "encode", in.n, cpu_ns() - start, ROUNDS);
  start = cpu_ns();
  for (int i = 0; i < ROUNDS; i++) {
    arena_reset(&work);
    (void)pb_encode_arena(d, msg, &work);
  }
  report(what, "into arena", in.n, cpu_ns() - start, ROUNDS);
  measure_json(what, d, msg);
  arena_release(&a);
  arena_release(&work);
  buf_release(&out);
}

int main(void) {
  arena a = ARENA_INIT;
  pb_PollWorkflowTaskQueueResponse *poll = poll_response(&a, 20);
  measure("PollWorkflowTaskQueueResponse", &pb_PollWorkflowTaskQueueResponse_desc, poll);
  measure("WorkflowExecutionStarted event", &pb_HistoryEvent_desc, poll->history->events.v[0]);
  measure("WorkflowExecution", &pb_WorkflowExecution_desc, poll->workflow_execution);
  arena_release(&a);
  return 0;
}

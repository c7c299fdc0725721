/* engine_bench.c - what the engine alone costs for a workflow with one activity.
 *
 *   engine_bench [WORKFLOWS] [PENDING]
 *
 * Plays the eight calls of a worker and a client on the pure engine, requests encoded and decoded
 * as the transport would: start, workflow task, its completion with one activity, activity task,
 * its completion, workflow task, its completion with the end. Then one run with PENDING activities,
 * and what each of their completions costs. No store, no socket: rows are made and dropped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "engine/engine.h"

enum { STEPS = 7 };

static const char *const step_names[STEPS] = {"start",
                                              "take workflow task",
                                              "complete with activity",
                                              "take activity",
                                              "complete activity",
                                              "take workflow task",
                                              "complete workflow"};

typedef struct bench {
  engine_host host;
  engine_step st;
  int64_t seq, now_ns;
  rng random;
  arena arena;
  int64_t spent_ns[STEPS];
  size_t rows, row_bytes;
  span start, schedule, done, finish; /* encoded requests */
} bench;

static int64_t clock_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static int64_t queue_key(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky) {
  return kind == ENGINE_ACTIVITY_TASK ? 2 : 1;
}

static int64_t next_seq(void *ctx) { return ++((bench *)ctx)->seq; }

/* --- requests --- */

static span json_text(arena *a, const char *text) {
  pb_Payload_MetadataEntry entry = {.key = SPAN("encoding"), .value = SPAN("json/plain")};
  pb_Payload_MetadataEntry *entries[] = {&entry};
  pb_Payload p = {.data = span_cstr(text)};
  p.metadata.v = entries;
  p.metadata.n = 1;
  pb_Payload *only[] = {&p};
  pb_Payloads all = {0};
  all.payloads.v = only;
  all.payloads.n = 1;
  return PB_ENCODE(Payloads, &all, a);
}

static span encode_start(arena *a) {
  pb_WorkflowType type = {.name = SPAN("MoneyTransfer")};
  pb_TaskQueue queue = {.name = SPAN("transfers")};
  pb_Duration ten = {.seconds = 10};
  pb_StartWorkflowExecutionRequest r = {
      .namespace = SPAN("default"),
      .workflow_id = SPAN("transfer-0001"),
      .workflow_type = &type,
      .task_queue = &queue,
      .input = json_text(a, "{\"from\":\"85-150\",\"amount\":400}"),
      .workflow_task_timeout = &ten,
      .identity = SPAN("12345@host"),
      .request_id = SPAN("3f8c9e0a-7d52-4d0c-9d6c-9b1d2f1f9a77")};
  return PB_ENCODE(StartWorkflowExecutionRequest, &r, a);
}

static span encode_completion(arena *a, pb_Command *const *commands, size_t n) {
  pb_WorkflowTaskCompletedMetadata sdk = {.sdk_name = SPAN("temporal-python"),
                                          .sdk_version = SPAN("1.35.0")};
  pb_RespondWorkflowTaskCompletedRequest r = {.identity = SPAN("12345@host"),
                                              .namespace = SPAN("default"),
                                              .sdk_metadata = &sdk,
                                              .binary_checksum = SPAN("")};
  r.commands.v = (pb_Command **)(uintptr_t)commands;
  r.commands.n = n;
  return PB_ENCODE(RespondWorkflowTaskCompletedRequest, &r, a);
}

static span encode_schedule(arena *a, size_t n) {
  pb_Command **commands = arena_array(a, pb_Command *, n);
  for (size_t i = 0; i < n; i++) {
    pb_Command *c = commands[i] = pb_new(a, Command);
    pb_ScheduleActivityTaskCommandAttributes *s = pb_new(a, ScheduleActivityTaskCommandAttributes);
    c->command_type = PB_COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    c->which_attributes = PB_Command_schedule_activity_task_command_attributes_FIELD;
    c->schedule_activity_task_command_attributes = s;
    s->activity_id = arena_spanf(a, "%zu", i + 1);
    s->activity_type = pb_new(a, ActivityType);
    s->activity_type->name = SPAN("Withdraw");
    s->task_queue = pb_new(a, TaskQueue);
    s->task_queue->name = SPAN("transfers");
    s->start_to_close_timeout = pb_new(a, Duration);
    s->start_to_close_timeout->seconds = 5;
    s->input = json_text(a, "{\"account\":\"85-150\",\"amount\":400}");
  }
  return encode_completion(a, commands, n);
}

static span encode_finish(arena *a) {
  pb_CompleteWorkflowExecutionCommandAttributes attrs = {.result = json_text(a, "\"done\"")};
  pb_Command c = {
      .command_type = PB_COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
      .which_attributes = PB_Command_complete_workflow_execution_command_attributes_FIELD};
  c.complete_workflow_execution_command_attributes = &attrs;
  pb_Command *commands[] = {&c};
  return encode_completion(a, commands, 1);
}

static span encode_done(arena *a) {
  pb_RespondActivityTaskCompletedRequest r = {.result = json_text(a, "\"ok\""),
                                              .identity = SPAN("12345@host"),
                                              .namespace = SPAN("default")};
  return PB_ENCODE(RespondActivityTaskCompletedRequest, &r, a);
}

/* --- steps --- */

static engine_step *begin(bench *b) {
  arena_reset(&b->arena);
  b->now_ns += NS_PER_MS;
  engine_step_init(&b->st, &b->host, b->now_ns, &b->random, &b->arena);
  return &b->st;
}

static void end(bench *b) {
  for (size_t i = 0; i < b->st.n_rows; i++) {
    b->rows++;
    b->row_bytes += bytes_span(b->st.rows[i].blob).n + bytes_span(b->st.rows[i].info).n;
  }
  engine_rows_release(b->st.rows, b->st.n_rows);
}

static void must(const err *e) {
  if (e) PANIC("%s", e->what);
}

static engine_run *start(bench *b, int64_t key) {
  engine_step *st = begin(b);
  pb_StartWorkflowExecutionRequest *r;
  must(PB_DECODE(StartWorkflowExecutionRequest, b->start, &b->arena, &r));
  engine_start_args args = {.ns = 1,
                            .ns_name = SPAN("default"),
                            .run = key,
                            .run_id = SPAN("0193535a-0000-4000-8000-000000000001"),
                            .request = r};
  engine_run *run = engine_start(st, &args);
  end(b);
  return run;
}

static engine_token take_workflow_task(bench *b, engine_run *run) {
  engine_wft task;
  engine_poller p = {.identity = SPAN("12345@host"),
                     .request_id = SPAN("3f8c9e0a-7d52-4d0c-9d6c-9b1d2f1f9a78")};
  must(engine_wft_start(run, begin(b), &p, &task));
  (void)PB_ENCODE(PollWorkflowTaskQueueResponse, task.response, &b->arena);
  end(b);
  return task.token;
}

static void complete(bench *b, engine_run *run, engine_token token, span request) {
  engine_step *st = begin(b);
  engine_completion done;
  pb_RespondWorkflowTaskCompletedRequest *r;
  must(PB_DECODE(RespondWorkflowTaskCompletedRequest, request, &b->arena, &r));
  must(engine_wft_complete(run, st, &token, r, &done));
  must(st->reply_err);
  end(b);
}

static engine_token take_activity(bench *b, engine_run *run, int64_t id, int64_t seq) {
  engine_activity task;
  engine_poller p = {.identity = SPAN("12345@host"),
                     .request_id = SPAN("3f8c9e0a-7d52-4d0c-9d6c-9b1d2f1f9a79")};
  must(engine_activity_start(run, begin(b), id, seq, &p, &task));
  (void)PB_ENCODE(PollActivityTaskQueueResponse, task.response, &b->arena);
  end(b);
  return task.token;
}

static void complete_activity(bench *b, engine_run *run, engine_token token) {
  engine_step *st = begin(b);
  pb_RespondActivityTaskCompletedRequest *r;
  must(PB_DECODE(RespondActivityTaskCompletedRequest, b->done, &b->arena, &r));
  must(engine_activity_complete(run, st, (engine_activity_ref){.token = &token}, r->result,
                                r->identity, r->worker_version));
  end(b);
}

static void one_workflow(bench *b, int64_t key) {
  int64_t at[STEPS + 1] = {clock_ns()};
  engine_run *run = start(b, key);
  at[1] = clock_ns();
  engine_token token = take_workflow_task(b, run);
  at[2] = clock_ns();
  complete(b, run, token, b->schedule);
  at[3] = clock_ns();
  token = take_activity(b, run, 5, b->seq);
  at[4] = clock_ns();
  complete_activity(b, run, token);
  at[5] = clock_ns();
  token = take_workflow_task(b, run);
  at[6] = clock_ns();
  complete(b, run, token, b->finish);
  engine_free(run);
  at[7] = clock_ns();
  for (int i = 0; i < STEPS; i++) b->spent_ns[i] += at[i + 1] - at[i];
}

static void run_many(bench *b, int64_t n) {
  for (int64_t i = 0; i < n / 10; i++) one_workflow(b, i + 1);
  memset(b->spent_ns, 0, sizeof b->spent_ns);
  b->rows = b->row_bytes = 0;
  int64_t before = clock_ns();
  for (int64_t i = 0; i < n; i++) one_workflow(b, i + 1);
  double total = (double)(clock_ns() - before) / (double)n / 1e3;
  printf("one-activity workflow: %.2f us, %.1f rows, %.0f bytes\n", total,
         (double)b->rows / (double)n, (double)b->row_bytes / (double)n);
  for (int i = 0; i < STEPS; i++) {
    printf("  %-24s %6.2f us\n", step_names[i], (double)b->spent_ns[i] / (double)n / 1e3);
  }
}

static void run_pending(bench *b, size_t n) {
  arena own = ARENA_INIT;
  engine_run *run = start(b, 1);
  complete(b, run, take_workflow_task(b, run), encode_schedule(&own, n));
  int64_t first_seq = b->seq - (int64_t)n + 1, before = clock_ns();
  for (size_t i = 0; i < n; i++) {
    complete_activity(b, run, take_activity(b, run, 5 + (int64_t)i, first_seq + (int64_t)i));
  }
  printf("one run with %zu pending activities: %.2f us to take and complete each, %zu KiB\n", n,
         (double)(clock_ns() - before) / (double)n / 1e3, engine_memory_bytes(run) / 1024);
  engine_free(run);
  arena_release(&own);
}

int main(int argc, char **argv) {
  int64_t n = argc > 1 ? strtoll(argv[1], NULL, 10) : 50000;
  size_t pending = argc > 2 ? (size_t)strtoull(argv[2], NULL, 10) : 2000;
  bench b = {.now_ns = INT64_C(1700000000) * NS_PER_SEC};
  b.host = (engine_host){
      .ctx = &b, .limits = &engine_default_limits, .queue_key = queue_key, .next_seq = next_seq};
  rng_seed(&b.random, 1);
  arena own = ARENA_INIT;
  b.start = encode_start(&own);
  b.schedule = encode_schedule(&own, 1);
  b.done = encode_done(&own);
  b.finish = encode_finish(&own);
  run_many(&b, MAX(n, 10));
  if (pending) run_pending(&b, pending);
  arena_release(&own);
  arena_release(&b.arena);
  return 0;
}

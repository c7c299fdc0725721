/* client.c - clients: they start, signal, cancel, terminate, query, describe and read histories,
 * and send what got no answer again with the same request id. */
#include "sim.h"

#include "proto/pb_time.h"

typedef struct client {
  sim *sim;
  uint32_t number;
  arena arena; /* of one request */
} client;

typedef void client_fn(client *c);

enum { MOST_REPEATS = 6 };

static void think(sim *s, void *arg);

static span new_id(client *c, const char *what) {
  return arena_spanf(&c->arena, "%s-%llu", what, (unsigned long long)c->sim->next_id++);
}

static span some_workflow(client *c) {
  return arena_spanf(&c->arena, "w%llu", (unsigned long long)sim_below(c->sim, c->sim->swarm.ids));
}

/* A run that somebody was told of, or none: then the current one is meant. */
static span some_run(client *c, span *ret_workflow) {
  sim *s = c->sim;
  size_t n = 0;
  *ret_workflow = some_workflow(c);
  if (sim_chance(s, 1, 2)) return SPAN_NONE;
  LIST_FOR_EACH (node, &s->model->order) {
    const record *r = CONTAINER_OF(node, record, order);
    n += r->kind == REC_START && r->acknowledged;
  }
  uint64_t pick = n ? sim_below(s, n) : 0;
  LIST_FOR_EACH (node, &s->model->order) {
    const record *r = CONTAINER_OF(node, record, order);
    if (r->kind != REC_START || !r->acknowledged || pick-- > 0) continue;
    size_t slash = 0;
    while (slash < r->key.n && r->key.p[slash] != '/') slash++;
    *ret_workflow = arena_dup(&c->arena, span_of(r->key.p, slash));
    return arena_dup(&c->arena, bytes_span(r->text));
  }
  return SPAN_NONE;
}

static pb_WorkflowExecution *some_execution(client *c) {
  pb_WorkflowExecution *x = pb_new(&c->arena, WorkflowExecution);
  x->run_id = some_run(c, &x->workflow_id);
  return x;
}

/* --- sending, and sending again --- */

static void later(client *c) {
  sim *s = c->sim;
  arena_reset(&c->arena);
  if (s->quiet) return;
  sim_after_ms(s, sim_below(s, (uint64_t)s->swarm.think_ms + 1), think, c);
}

static void send_again(sim *s, sim_call *c);

static void take_eager(sim *s, const sim_call *c) {
  arena a = ARENA_INIT;
  const pb_StartWorkflowExecutionResponse *r = net_response(c, &a);
  workers_take(s, r->eager_workflow_task);
  arena_release(&a);
}

static void answered(sim *s, sim_call *c) {
  if (c->method == CALL_start && net_ok(c)) take_eager(s, c);
  bool unknown = c->lost || c->code == ERR_UNAVAILABLE;
  bool repeat = sim_fault(s, s->swarm.repeat_per_100, 100);
  if (((unknown && !s->quiet) || repeat) && c->note < MOST_REPEATS) {
    send_again(s, c);
  } else {
    later(c->who);
  }
}

static void send_again(sim *s, sim_call *c) {
  void *request = NULL;
  arena a = ARENA_INIT;
  err *e = pb_decode(net_request_desc(c->method), bytes_span(c->sent), &a, &request);
  ASSERT(!e);
  net_call(s, c->method, request, 15 * NS_PER_SEC, answered, c->who)->note = c->note + 1;
  arena_release(&a);
}

static void send(client *c, sim_method m, const void *request) {
  net_call(c->sim, m, request, 15 * NS_PER_SEC, answered, c);
}

/* --- what clients do --- */

static void start(client *c) {
  static const int32_t conflict[] = {PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL,
                                     PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
                                     PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING};
  sim *s = c->sim;
  arena *a = &c->arena;
  pb_WorkflowType type = {.name = SPAN("Plan")};
  pb_TaskQueue q = {
      .name = arena_spanf(a, "q%llu", (unsigned long long)sim_below(s, s->swarm.queues)),
      .kind = PB_TASK_QUEUE_KIND_NORMAL};
  program_plan plan = {.seed = sim_below(s, 1u << 30)};
  pb_StartWorkflowExecutionRequest r = {
      .workflow_id = sim_chance(s, 1, 4) ? new_id(c, "x") : some_workflow(c),
      .workflow_type = &type,
      .task_queue = &q,
      .input = program_input(plan, a),
      .workflow_task_timeout = pb_duration_new(a, (int64_t)(1 + sim_below(s, 10)) * NS_PER_SEC),
      .identity = SPAN("client"),
      .request_id = new_id(c, "req"),
      .workflow_id_reuse_policy = 1 + (int32_t)sim_below(s, 3),
      .workflow_id_conflict_policy = conflict[sim_below(s, 3)]};
  if (sim_chance(s, 1, 6)) r.workflow_run_timeout = pb_duration_new(a, 20 * NS_PER_SEC);
  r.request_eager_execution = sim_chance(s, 1, 5);
  if (sim_chance(s, 1, 8)) r.workflow_start_delay = pb_duration_new(a, 3 * NS_PER_SEC);
  if (sim_chance(s, 1, 6)) {
    r.retry_policy = pb_new(a, RetryPolicy);
    r.retry_policy->initial_interval = pb_duration_new(a, NS_PER_SEC);
    r.retry_policy->maximum_interval = pb_duration_new(a, 10 * NS_PER_SEC);
    r.retry_policy->backoff_coefficient = 2;
    r.retry_policy->maximum_attempts = 3;
  }
  send(c, CALL_start, &r);
}

static void signal_with_start(client *c) {
  sim *s = c->sim;
  arena *a = &c->arena;
  pb_WorkflowType type = {.name = SPAN("Plan")};
  pb_TaskQueue q = {.name = SPAN("q0"), .kind = PB_TASK_QUEUE_KIND_NORMAL};
  program_plan plan = {.seed = sim_below(s, 1u << 30)};
  pb_SignalWithStartWorkflowExecutionRequest r = {
      .workflow_id = some_workflow(c),
      .workflow_type = &type,
      .task_queue = &q,
      .input = program_input(plan, a),
      .workflow_task_timeout = pb_duration_new(a, 5 * NS_PER_SEC),
      .identity = SPAN("client"),
      .request_id = new_id(c, SIM_WITH_START),
      .workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
      .workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
      .signal_name = new_id(c, "sig"),
      .signal_input = text_payloads(a, "with start")};
  send(c, CALL_signal_with_start, &r);
}

static span signal_input(client *c) {
  if (!c->sim->swarm.big_signals) return text_payloads(&c->arena, "signal");
  enum { MOST = 90000 };
  size_t n = sim_below(c->sim, MOST);
  char *text = arena_alloc(&c->arena, n + 1);
  memset(text, 's', n);
  text[n] = 0;
  return text_payloads(&c->arena, text);
}

static void signal_run(client *c) {
  pb_SignalWorkflowExecutionRequest r = {.workflow_execution = some_execution(c),
                                         .signal_name = new_id(c, "sig"),
                                         .input = signal_input(c),
                                         .identity = SPAN("client"),
                                         .request_id = new_id(c, "req")};
  send(c, CALL_signal, &r);
}

static void cancel(client *c) {
  pb_RequestCancelWorkflowExecutionRequest r = {.workflow_execution = some_execution(c),
                                                .identity = SPAN("client"),
                                                .request_id = new_id(c, "req")};
  send(c, CALL_request_cancel, &r);
}

static void terminate(client *c) {
  pb_TerminateWorkflowExecutionRequest r = {.workflow_execution = some_execution(c),
                                            .reason = SPAN("enough"),
                                            .identity = SPAN("client")};
  send(c, CALL_terminate, &r);
}

static void describe(client *c) {
  pb_DescribeWorkflowExecutionRequest r = {.execution = some_execution(c)};
  send(c, CALL_describe, &r);
}

static void query(client *c) {
  pb_WorkflowQuery what = {.query_type = SPAN("state")};
  pb_QueryWorkflowRequest r = {.execution = some_execution(c), .query = &what};
  send(c, CALL_query, &r);
}

static void reset_sticky(client *c) {
  pb_ResetStickyTaskQueueRequest r = {.execution = some_execution(c)};
  send(c, CALL_reset_sticky, &r);
}

static void describe_queue(client *c) {
  pb_TaskQueue q = {.name = SPAN("q0")};
  pb_DescribeTaskQueueRequest r = {.task_queue = &q,
                                   .task_queue_type = PB_TASK_QUEUE_TYPE_WORKFLOW};
  send(c, CALL_describe_task_queue, &r);
}

/* --- histories, page by page --- */

static void page_answered(sim *s, sim_call *c) {
  client *who = c->who;
  if (!net_ok(c) || c->note > 30) {
    later(who);
    return;
  }
  arena a = ARENA_INIT;
  void *q = NULL;
  err *e = pb_decode(net_request_desc(c->method), bytes_span(c->sent), &a, &q);
  ASSERT(!e);
  const pb_GetWorkflowExecutionHistoryResponse *r = net_response(c, &a);
  pb_GetWorkflowExecutionHistoryRequest *next = q;
  next->next_page_token = r->next_page_token;
  if (!r->next_page_token.n) {
    later(who);
  } else {
    net_call(s, CALL_history, next, 15 * NS_PER_SEC, page_answered, who)->note = c->note + 1;
  }
  arena_release(&a);
}

static void read_history(client *c) {
  sim *s = c->sim;
  pb_GetWorkflowExecutionHistoryRequest r = {.execution = some_execution(c),
                                             .maximum_page_size = (int32_t)sim_below(s, 6),
                                             .wait_new_event = sim_chance(s, 1, 3)};
  if (sim_chance(s, 1, 3)) {
    r.history_event_filter_type = PB_HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  }
  net_call(s, CALL_history, &r, 15 * NS_PER_SEC, page_answered, c);
}

static void reverse_answered(sim *s, sim_call *c) { later(c->who); }

static void read_reverse(client *c) {
  pb_GetWorkflowExecutionHistoryReverseRequest r = {
      .execution = some_execution(c), .maximum_page_size = (int32_t)sim_below(c->sim, 9)};
  net_call(c->sim, CALL_history_reverse, &r, 15 * NS_PER_SEC, reverse_answered, c);
}

static client_fn *const deeds[] = {start,        signal_with_start, signal_run,    cancel,
                                   terminate,    describe,          query,         read_history,
                                   read_reverse, reset_sticky,      describe_queue};

static void think(sim *s, void *arg) {
  client *c = arg;
  uint64_t total = 0;
  if (s->quiet) return;
  for (size_t i = 0; i < ARRAY_LEN(deeds); i++) total += s->swarm.weights[i];
  uint64_t pick = sim_below(s, total);
  for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
    if (pick < s->swarm.weights[i]) {
      deeds[i](c);
      return;
    }
    pick -= s->swarm.weights[i];
  }
}

void clients_start(sim *s) {
  for (uint32_t i = 0; i < s->swarm.clients; i++) {
    client *c = mem_new(client);
    c->sim = s;
    c->number = i;
    sim_after_ms(s, sim_below(s, 500), think, c);
  }
}

/* query.c - queries: questions to a worker that leave no trace.
 *
 *   BUFFERED --task handed out--> SENT --completion--> answered
 *      |  ^--- task failed, timed out ---'  |
 *      | no task is pending                 | not answered, no task follows
 *      v                                    v
 *   STICKY --silent for the sticky timeout--> NORMAL --RespondQueryTaskCompleted--> answered
 *
 * STICKY and NORMAL are query tasks of their own on the run's sticky and normal queue.
 */
#include "shard/shard_int.h"

typedef enum query_phase {
  QUERY_BUFFERED,
  QUERY_SENT,
  QUERY_STICKY,
  QUERY_NORMAL,
  QUERY_ANSWERED
} query_phase;

typedef struct query {
  waiter waiter;
  hmap_node by_id;
  list_node node; /* in run->queries */
  match_query match;
  gate gate;
  shard *s;
  shard_op *op;
  shard_run *run; /* pinned */
  query_phase phase;
  bool taken; /* a worker has it */
  uint64_t id;
  int64_t deadline_ns;
  int32_t reject_condition;
  bytes *question; /* encoded WorkflowQuery */
  const err *error;
  const void *response;
} query;

enum { QUERY_FAILS_FROM_ATTEMPT = 3, ID_TEXT = 24 };

static const char closed_too_soon[] = "Workflow execution closed before WorkflowTaskStarted event";

static void go_direct(shard *s, query *q);

static void query_end(query *q, const err *e, const void *response) {
  shard *s = q->s;
  shard_op *op = q->op;
  shard_run *run = q->run;
  if (q->match.queue) match_cancel_query(&s->matching, &q->match);
  list_remove(&q->node);
  hmap_remove(&s->queries_by_id, &q->by_id);
  waiter_end(s, &q->waiter);
  op->done(op, e, response);
  bytes_unref(q->question);
  mem_free(q);
  run_unpin(s, run);
}

static query *query_find(const shard *s, uint64_t id) {
  for (hmap_node *n = hmap_first(&s->queries_by_id, hash_u64(id)); n; n = hmap_next(n)) {
    query *q = CONTAINER_OF(n, query, by_id);
    if (q->id == id) return q;
  }
  return NULL;
}

static span id_text(uint64_t id, arena *a) {
  return arena_spanf(a, "%llu", (unsigned long long)id);
}

static query *query_find_text(const shard *s, span text) {
  uint64_t id = 0;
  if (!text.n || text.n > ID_TEXT) return NULL;
  for (size_t i = 0; i < text.n; i++) {
    if (text.p[i] < '0' || text.p[i] > '9') return NULL;
    id = id * 10 + (uint64_t)(text.p[i] - '0');
  }
  return query_find(s, id);
}

/* --- errors and answers --- */

static err *not_ready(arena *a, const char *what) {
  err *e = ERR(a, FAILED_PRECONDITION, "%s", what);
  e->detail_type = pb_name(&pb_WorkflowNotReadyFailure_desc);
  return e;
}

static err *query_failed(arena *a, span message, const pb_Failure *failure) {
  err *e = ERR(a, INVALID_ARGUMENT, "%.*s", SPAN_ARG(message));
  pb_QueryFailedFailure detail = {.failure = (pb_Failure *)failure};
  e->detail_type = pb_name(&pb_QueryFailedFailure_desc);
  e->detail = PB_ENCODE(QueryFailedFailure, &detail, a);
  return e;
}

/* Keeps the worker's answer until it may be given. */
static void keep_answer(query *q, int32_t type, span result, span message,
                        const pb_Failure *failure) {
  arena *a = q->op->arena;
  q->phase = QUERY_ANSWERED;
  if (type == PB_QUERY_RESULT_TYPE_ANSWERED) {
    pb_QueryWorkflowResponse *r = pb_new(a, QueryWorkflowResponse);
    r->query_result = result.p ? arena_dup(a, result) : SPAN_NONE;
    q->response = r;
  } else {
    q->error = query_failed(a, message, failure);
  }
}

static void answered(shard *s, gate *g, const err *e) {
  query *q = CONTAINER_OF(g, query, gate);
  shard_run *gated = g->run;
  const err *why = e ? e : q->error;
  query_end(q, why, why ? NULL : q->response);
  run_unpin(s, gated);
}

/* --- on their own --- */

static span normal_queue(const shard_run *run) {
  return engine_info(run->engine)->started->task_queue->name;
}

static void offer(query *q, span queue, bool sticky, int64_t until_ns) {
  shard *s = q->s;
  queue_name *name = queue_named(s, q->run->ns, queue, false, sticky);
  q->phase = sticky ? QUERY_STICKY : QUERY_NORMAL;
  q->taken = false;
  waiter_move(s, &q->waiter, MIN(until_ns, q->deadline_ns));
  match_add_query(&s->matching, queue_of_key(s, name->key), &q->match);
}

/* A run that is closed sticks to nobody. */
static bool sticky_listens(shard *s, const shard_run *run, const engine_view *v) {
  if (v->status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return false;
  queue_name *name = v->sticky_queue.p ? queue_find(s, run->ns, v->sticky_queue, false) : NULL;
  return name &&
         match_polled_within(queue_of_key(s, name->key), now_ns(s), MATCH_STICKY_SILENCE_NS);
}

static void go_direct(shard *s, query *q) {
  engine_view v;
  engine_look(q->run->engine, &v);
  if (sticky_listens(s, q->run, &v)) {
    offer(q, v.sticky_queue, true, now_ns(s) + v.sticky_timeout_ns);
  } else {
    offer(q, normal_queue(q->run), false, q->deadline_ns);
  }
}

/* The sticky worker is silent: stickiness is over, for tasks as well. */
static void leave_sticky(shard *s, query *q) {
  shard_run *run = q->run;
  uint64_t id = q->id;
  if (q->match.queue) match_cancel_query(&s->matching, &q->match);
  q->phase = QUERY_NORMAL;
  step *t = step_new(s);
  run_pin(run);
  engine_view v;
  engine_look(run->engine, &v);
  if (v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    engine_reset_sticky(run->engine, step_part_add(s, t, run));
    err *e = step_stage(s, t);
    if (e) queries_fail(s, run, e);
  }
  q = query_find(s, id);
  if (q) offer(q, normal_queue(run), false, q->deadline_ns);
  step_unref(t);
  run_unpin(s, run);
}

static void query_timeout(shard *s, waiter *w) {
  query *q = CONTAINER_OF(w, query, waiter);
  arena *a = q->op->arena;
  if (q->phase == QUERY_ANSWERED) return;
  if (q->phase == QUERY_STICKY && now_ns(s) < q->deadline_ns) {
    leave_sticky(s, q);
    return;
  }
  bool heard = true;
  if (q->phase == QUERY_NORMAL && !q->taken) {
    heard = match_polled_within(q->match.queue, now_ns(s), MATCH_QUERY_SILENCE_NS);
  }
  query_end(q,
            heard ? ERR(a, DEADLINE_EXCEEDED, "query timed out before a worker could process it")
                  : ERR(a, FAILED_PRECONDITION,
                        "no poller seen for task queue recently, worker may be down"),
            NULL);
}

static void query_gone(shard *s, waiter *w, const err *e) {
  query *q = CONTAINER_OF(w, query, waiter);
  arena *a = q->op->arena;
  if (q->phase == QUERY_ANSWERED) return;
  query_end(q, e ? err_dup(a, e) : ERR(a, CANCELLED, "the query was cancelled"), NULL);
}

/* --- riding workflow tasks --- */

void queries_attach(shard *s, shard_run *run, pb_PollWorkflowTaskQueueResponse *response,
                    arena *a) {
  size_t n = 0;
  LIST_FOR_EACH (node, &run->queries) n++;
  if (!n) return;
  response->queries.v = arena_array(a, pb_PollWorkflowTaskQueueResponse_QueriesEntry *, n);
  LIST_FOR_EACH (node, &run->queries) {
    query *q = CONTAINER_OF(node, query, node);
    if (q->phase != QUERY_BUFFERED) continue;
    pb_PollWorkflowTaskQueueResponse_QueriesEntry *entry =
        pb_new(a, PollWorkflowTaskQueueResponse_QueriesEntry);
    entry->key = id_text(q->id, a);
    entry->value = pb_new(a, WorkflowQuery);
    entry->value->head.unknown = arena_dup(a, bytes_span(q->question));
    response->queries.v[response->queries.n++] = entry;
    q->phase = QUERY_SENT;
  }
}

/* A result that contradicts itself counts as none. */
static bool is_consistent(const pb_WorkflowQueryResult *r) {
  if (r->result_type == PB_QUERY_RESULT_TYPE_ANSWERED) return r->answer.p && !r->error_message.n;
  return r->result_type == PB_QUERY_RESULT_TYPE_FAILED && !r->answer.p && r->error_message.n;
}

void queries_answer(shard *s, shard_run *run, const pb_RespondWorkflowTaskCompletedRequest *r) {
  for (size_t i = 0; i < r->query_results.n; i++) {
    query *q = query_find_text(s, r->query_results.v[i]->key);
    const pb_WorkflowQueryResult *result = r->query_results.v[i]->value;
    if (!q || q->run != run || q->phase != QUERY_SENT || !result) continue;
    if (!is_consistent(result)) continue;
    keep_answer(q, result->result_type, result->answer, result->error_message, result->failure);
  }
}

void queries_reply(shard *s, shard_run *run) {
  LIST_FOR_EACH (n, &run->queries) {
    query *q = CONTAINER_OF(n, query, node);
    if (q->phase != QUERY_ANSWERED) continue;
    list_remove(&q->node);
    gate_wait(s, &q->gate, run, answered);
  }
}

static bool is_rejected(int32_t condition, int32_t status) {
  if (status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return false;
  return condition == PB_QUERY_REJECT_CONDITION_NOT_OPEN ||
         (condition == PB_QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY &&
          status != PB_WORKFLOW_EXECUTION_STATUS_COMPLETED);
}

/* The answer to a query that does not want a run in this state, or NULL. */
static pb_QueryWorkflowResponse *rejection(int32_t condition, int32_t status, arena *a) {
  if (!is_rejected(condition, status)) return NULL;
  pb_QueryWorkflowResponse *response = pb_new(a, QueryWorkflowResponse);
  response->query_rejected = pb_new(a, QueryRejected);
  response->query_rejected->status = status;
  return response;
}

/* The run closed before it could answer anything. */
static void end_unanswerable(query *q, int32_t status) {
  arena *a = q->op->arena;
  const pb_QueryWorkflowResponse *response = rejection(q->reject_condition, status, a);
  query_end(q, response ? NULL : not_ready(a, closed_too_soon), response);
}

void queries_review(shard *s, shard_run *run) {
  engine_view v;
  engine_look(run->engine, &v);
  bool open = v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  list alone;
  list_init(&alone);
  LIST_FOR_EACH (n, &run->queries) {
    query *q = CONTAINER_OF(n, query, node);
    if (q->phase == QUERY_SENT && !(open && v.wft_started)) q->phase = QUERY_BUFFERED;
    if (q->phase != QUERY_BUFFERED || (open && (v.wft_pending || v.backoff))) continue;
    list_remove(n);
    list_push_back(&alone, n);
  }
  for (list_node *n = list_pop_front(&alone); n; n = list_pop_front(&alone)) {
    query *q = CONTAINER_OF(n, query, node);
    list_push_back(&run->queries, n);
    if (v.completed_wfts > 0) {
      go_direct(s, q);
    } else {
      end_unanswerable(q, v.status);
    }
    if (run->phase != RUN_READY) return;
  }
}

void queries_fail(shard *s, shard_run *run, const err *e) {
  for (list_node *n = list_first(&run->queries); n; n = list_first(&run->queries)) {
    query *q = CONTAINER_OF(n, query, node);
    query_end(q, err_dup(q->op->arena, e), NULL);
  }
}

/* --- polls --- */

uint64_t query_take(shard *s, match_query *mq, int64_t *ret_run) {
  query *q = CONTAINER_OF(mq, query, match);
  q->taken = true;
  *ret_run = q->run->key;
  return q->id;
}

bool query_fill(shard *s, uint64_t id, shard_run *run, pb_PollWorkflowTaskQueueResponse *response,
                arena *a) {
  query *q = query_find(s, id);
  if (!q || q->run != run) return false;
  engine_view v;
  engine_look(run->engine, &v);
  const pb_store_RunInfo *info = engine_info(run->engine);
  response->workflow_execution = pb_new(a, WorkflowExecution);
  response->workflow_execution->workflow_id = info->workflow_id;
  response->workflow_execution->run_id = info->run_id;
  response->workflow_type = info->started->workflow_type;
  response->previous_started_event_id = v.last_completed_started_id;
  response->attempt = 1;
  response->workflow_execution_task_queue = info->started->task_queue;
  response->query = pb_new(a, WorkflowQuery);
  response->query->head.unknown = arena_dup(a, bytes_span(q->question));
  engine_token none = {0};
  response->task_token = seal_task(s, TOKEN_QUERY_TASK, run, &none, id_text(id, a), a);
  return true;
}

void query_again(shard *s, uint64_t id) {
  query *q = query_find(s, id);
  if (!q || !q->taken || (q->phase != QUERY_STICKY && q->phase != QUERY_NORMAL)) return;
  go_direct(s, q);
}

void shard_query_complete(shard *s, shard_op *op, const pb_RespondQueryTaskCompletedRequest *r) {
  pb_store_TaskToken *t;
  op->state = NULL;
  if (op_refused(s, op)) return;
  err *e = open_task(s, op, TOKEN_QUERY_TASK, r->task_token, &t);
  query *q = e ? NULL : query_find_text(s, t->query_id);
  bool expects = q && q->taken && q->run->key == t->run &&
                 (q->phase == QUERY_STICKY || q->phase == QUERY_NORMAL);
  if (!e && !expects) {
    e = not_found_error(op->arena, "query task not found, or already expired");
  }
  if (e) {
    op_fail(op, e);
    return;
  }
  keep_answer(q, r->completed_type, r->query_result, r->error_message, r->failure);
  query_end(q, q->error, q->error ? NULL : q->response);
  op->done(op, NULL, pb_new(op->arena, RespondQueryTaskCompletedResponse));
}

/* --- requests --- */

static size_t buffered(const shard_run *run) {
  size_t n = 0;
  LIST_FOR_EACH (node, &run->queries) {
    query_phase p = CONTAINER_OF(node, query, node)->phase;
    n += p == QUERY_BUFFERED;
  }
  return n;
}

static err *buffer_full(arena *a) {
  err *e = ERR(a, RESOURCE_EXHAUSTED,
               "consistent query buffer is full, this may be caused by too many queries and "
               "workflow not able to process query fast enough");
  pb_ResourceExhaustedFailure detail = {.cause = PB_RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
                                        .scope = PB_RESOURCE_EXHAUSTED_SCOPE_NAMESPACE};
  e->detail_type = pb_name(&pb_ResourceExhaustedFailure_desc);
  e->detail = PB_ENCODE(ResourceExhaustedFailure, &detail, a);
  return e;
}

/* Why the query cannot be asked now, or NULL. */
static err *check_askable(shard *s, const call *c, const shard_run *run, const engine_view *v,
                          bool direct) {
  arena *a = c->op->arena;
  bool open = v->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (!open && v->completed_wfts == 0) {
    return not_ready(a, closed_too_soon);
  }
  if (open && v->backoff && v->backoff_until_ns > c->op->deadline_ns) {
    return not_ready(a, "Workflow task is not scheduled yet.");
  }
  if (open && v->wft_attempt >= QUERY_FAILS_FROM_ATTEMPT) {
    return not_ready(a, "Unable to query workflow due to Workflow Task in failed state.");
  }
  if (!direct && buffered(run) >= (size_t)s->config.buffered_queries) return buffer_full(a);
  return NULL;
}

static query *query_new(shard *s, call *c, shard_run *run) {
  const pb_QueryWorkflowRequest *r = c->request;
  shard_op *op = c->op;
  query *q = mem_new(query);
  q->s = s;
  q->op = op;
  q->run = run;
  q->id = ++s->last_query;
  q->phase = QUERY_BUFFERED;
  q->reject_condition = r->query_reject_condition;
  q->question = bytes_copy(PB_ENCODE(WorkflowQuery, r->query, op->arena));
  q->waiter = (waiter){.timeout = query_timeout, .gone = query_gone};
  int64_t now = now_ns(s);
  q->deadline_ns = op->deadline_ns == INT64_MAX ? now + s->config.poll_ns
                                                : MAX(op->deadline_ns - NS_PER_SEC, now);
  run_pin(run);
  list_push_back(&run->queries, &q->node);
  hmap_insert(&s->queries_by_id, &q->by_id, hash_u64(q->id));
  waiter_begin(s, &q->waiter, op, q->deadline_ns);
  return q;
}

static void act_query(shard *s, call *c, shard_run *run) {
  const pb_QueryWorkflowRequest *r = c->request;
  arena *a = c->op->arena;
  engine_view v;
  engine_look(run->engine, &v);
  const pb_QueryWorkflowResponse *rejected = rejection(r->query_reject_condition, v.status, a);
  if (rejected) {
    call_answer(c, run, rejected);
    return;
  }
  bool open = v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  bool direct = v.completed_wfts > 0 && (!open || !v.wft_pending);
  err *e = check_askable(s, c, run, &v, direct);
  if (e) {
    call_refuse(c, run, e);
    return;
  }
  uint64_t id = query_new(s, c, run)->id;
  if (c->op->park) c->op->park(c->op);
  query *q = query_find(s, id);
  if (q && direct) go_direct(s, q);
}

void shard_query(shard *s, shard_op *op, const pb_QueryWorkflowRequest *r) {
  call *c = call_new(s, op, r, act_query);
  if (c) call_find(c, r->execution->workflow_id, r->execution->run_id);
}

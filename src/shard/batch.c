#include "shard/batch.h"

#include "proto/pb_time.h"
#include "shard/batch_operation.h"

static const char prefix[] = "batch/";
static const int64_t retry_ns = NS_PER_SEC;

typedef pb_StartBatchOperationRequest batch_request;

typedef struct batch {
  list_node node; /* newest first */
  shard *s;
  arena arena; /* holds what never changes of job */
  pb_store_BatchJob job;
  bool durable, busy, lost; /* busy: an operation or a turn is under way */
  int64_t next_ns;
  shard_op op;
  arena op_arena, page_arena;
  env_task turn;
} batch;

static void go_on(batch *b);

void batches_init(shard *s) { list_init(&s->batches); }

static void batch_free(batch *b) {
  list_remove(&b->node);
  arena_release(&b->op_arena);
  arena_release(&b->page_arena);
  arena_release(&b->arena);
  mem_free(b);
}

void batches_release(shard *s) {
  LIST_FOR_EACH (n, &s->batches) batch_free(CONTAINER_OF(n, batch, node));
}

static bool is_running(const batch *b) { return b->job.state == PB_BATCH_OPERATION_STATE_RUNNING; }

static bool is_query(const batch *b) { return b->job.request->visibility_query.n > 0; }

/* --- the record --- */

static void insert(shard *s, batch *b) {
  list_node *at = s->batches.head.next;
  while (at != &s->batches.head &&
         CONTAINER_OF(at, batch, node)->job.start_time > b->job.start_time) {
    at = at->next;
  }
  list_insert_before(at, &b->node);
}

bool batch_row(const store_row *row) { return span_starts_with(row->name, span_cstr(prefix)); }

err *batch_load(shard *s, const store_row *row, arena *a) {
  batch *b = mem_new(batch);
  pb_store_BatchJob *job = NULL;
  b->s = s;
  b->durable = true;
  err *e = PB_DECODE(store_BatchJob, arena_dup(&b->arena, bytes_span(row->blob)), &b->arena, &job);
  if (!e && !job->request) e = ERR(a, DATA_LOSS, "a stored batch does not say what to do");
  if (e) {
    batch_free(b);
    return ERR_WRAP(a, DATA_LOSS, e, "a stored batch does not decode");
  }
  b->job = *job;
  insert(s, b);
  return NULL;
}

static void row_written(shard *s, step *t, const err *e) {
  (void)s;
  if (t->owner && e) ((batch *)t->owner)->lost = true;
}

/* `owner` learns whether it was written. */
static uint64_t write_row(batch *b, batch *owner) {
  shard *s = b->s;
  step *t = step_new(s);
  store_row row = {.kind = ROW_NAMED_PUT,
                   .name = arena_spanf(&t->arena, "%s%.*s", prefix, SPAN_ARG(b->job.run_id)),
                   .blob = bytes_copy(PB_ENCODE(store_BatchJob, &b->job, &t->arena))};
  t->owner = owner;
  t->named_done = row_written;
  step_stage_named(s, t, row);
  uint64_t lsn = t->lsn;
  step_unref(t);
  return lsn;
}

static void drop(batch *b) {
  shard *s = b->s;
  step *t = step_new(s);
  store_row row = {.kind = ROW_NAMED_DELETE,
                   .name = arena_spanf(&t->arena, "%s%.*s", prefix, SPAN_ARG(b->job.run_id))};
  step_stage_named(s, t, row);
  step_unref(t);
  batch_free(b);
}

static void close_batch(batch *b, int32_t state) {
  b->job.state = state;
  b->job.close_time = now_ns(b->s);
  (void)write_row(b, NULL);
}

/* --- one operation --- */

static int64_t place(const batch *b) { return b->job.complete + b->job.failed; }

/* NULL: the page at hand is done. */
static pb_WorkflowExecution *next_execution(batch *b) {
  const batch_request *q = b->job.request;
  if (is_query(b)) {
    int64_t at = b->job.page_done;
    return at < (int64_t)b->job.page.n ? b->job.page.v[at] : NULL;
  }
  return place(b) < (int64_t)q->executions.n ? q->executions.v[place(b)] : NULL;
}

/* --- its outcome --- */

static void turn(env_task *t) {
  batch *b = CONTAINER_OF(t, batch, turn);
  shard *s = b->s;
  b->busy = false;
  s->loads_under_way--;
  arena_release(&b->op_arena);
  if (!s->draining) go_on(b);
  check_drained(s);
}

static void turn_later(batch *b) {
  b->turn = (env_task){.run = turn};
  b->s->env->post(b->s->env, &b->turn);
}

static void operation_done(shard_op *op, const err *e, const void *response) {
  batch *b = CONTAINER_OF(op, batch, op);
  shard *s = b->s;
  (void)response;
  bool unwritten = e && (e->code == ERR_UNAVAILABLE || e->code == ERR_RESOURCE_EXHAUSTED);
  if (unwritten) {
    b->next_ns = now_ns(s) + retry_ns;
  } else {
    bool gone = e && e->code == ERR_NOT_FOUND;
    if (!e || (gone && !batch_operation_needs_workflow(b->job.request))) {
      b->job.complete++;
    } else {
      b->job.failed++;
    }
    if (is_query(b)) b->job.page_done++;
    if (is_running(b)) (void)write_row(b, NULL);
  }
  turn_later(b);
}

/* --- over a query --- */

/* The namespace's attributes may have changed since the batch began. */
static bool read_filter(batch *b, filter *ret) {
  filter_context c = {.ns = host_namespace(b->s, b->job.namespace_key),
                      .run_key = shard_run_key,
                      .arena = &b->op_arena};
  return c.ns && !filter_read(&c, shard_batch_query(b->job.request, &b->op_arena), ret);
}

/* A query that failed is asked again: the answer may only have been too slow. */
static bool failed_query(batch *b, const err *e) {
  if (e) b->next_ns = now_ns(b->s) + retry_ns;
  return e != NULL;
}

static void counted(shard_op *op, const err *e, const void *response) {
  batch *b = CONTAINER_OF(op, batch, op);
  if (!failed_query(b, e)) {
    b->job.total = ((const shard_counted *)response)->count;
    b->job.counted = true;
  }
  turn_later(b);
}

/* What has changed since the batch began came earlier in the list, or is not meant. */
static bool is_meant(const batch *b, const pb_WorkflowExecutionInfo *i) {
  return pb_time_ns(i->start_time) <= b->job.start_time &&
         (!i->close_time || pb_time_ns(i->close_time) <= b->job.start_time);
}

static void listed(shard_op *op, const err *e, const void *response) {
  batch *b = CONTAINER_OF(op, batch, op);
  const shard_listed *l = response;
  if (!failed_query(b, e)) {
    arena_release(&b->page_arena);
    b->job.page.v = arena_array(&b->page_arena, pb_WorkflowExecution *, l->n + 1);
    b->job.page.n = 0;
    b->job.page_done = 0;
    for (size_t i = 0; i < l->n; i++) {
      if (!is_meant(b, l->v[i])) continue;
      b->job.page.v[b->job.page.n++] =
          PB_COPY(WorkflowExecution, l->v[i]->execution, &b->page_arena);
    }
    b->job.next_page = arena_dup(&b->page_arena, l->next_page_token);
    b->job.last_page = !l->next_page_token.n;
  }
  turn_later(b);
}

static void ask_query(batch *b) {
  enum { PAGE = 50 };
  filter *f = arena_new(&b->op_arena, filter);
  if (!read_filter(b, f)) {
    close_batch(b, PB_BATCH_OPERATION_STATE_FAILED);
    turn_later(b);
  } else if (!b->job.counted) {
    f->grouped = false;
    b->op.done = counted;
    shard_count_runs(b->s, &b->op, f);
  } else {
    span query = shard_batch_query(b->job.request, &b->op_arena);
    shard_list l = {.filter = f, .query = query, .limit = PAGE, .page_token = b->job.next_page};
    b->op.done = listed;
    shard_list_runs(b->s, &b->op, &l);
  }
}

/* --- going on --- */

static void begin(batch *b, void (*done)(shard_op *op, const err *e, const void *response)) {
  b->busy = true;
  b->s->loads_under_way++;
  b->op = (shard_op){.arena = &b->op_arena,
                     .ns = b->job.namespace_key,
                     .ns_name = b->job.request->namespace,
                     .deadline_ns = INT64_MAX,
                     .done = done};
}

static void go_on(batch *b) {
  shard *s = b->s;
  if (b->busy || !b->durable || !is_running(b)) return;
  int64_t now = now_ns(s);
  if (now < b->next_ns) {
    want_wake(s, b->next_ns);
    return;
  }
  pb_WorkflowExecution *next = next_execution(b);
  if (!next && is_query(b) && !b->job.last_page) {
    begin(b, NULL);
    ask_query(b);
    return;
  }
  if (!next) {
    close_batch(b, PB_BATCH_OPERATION_STATE_COMPLETED);
    return;
  }
  float rate = b->job.request->max_operations_per_second;
  if (rate > 0) b->next_ns = now + (int64_t)((double)NS_PER_SEC / (double)rate);
  begin(b, operation_done);
  batch_operate(s, &b->op, &b->job, next);
}

void batches_wake(shard *s, int64_t now) {
  LIST_FOR_EACH (n, &s->batches) {
    batch *b = CONTAINER_OF(n, batch, node);
    const pb_store_Namespace *ns = host_namespace(s, b->job.namespace_key);
    int64_t kept = ns ? ns->retention : 0;
    bool expired = !is_running(b) && kept && b->job.close_time + kept <= now;
    expired = !b->busy && b->durable && (expired || !ns || ns->delete_after);
    if (expired) {
      drop(b);
    } else {
      go_on(b);
    }
  }
}

/* --- calls --- */

static batch *find(shard *s, int64_t ns, span job_id) {
  LIST_FOR_EACH (n, &s->batches) {
    batch *b = CONTAINER_OF(n, batch, node);
    if (b->job.namespace_key == ns && span_eq(b->job.job_id, job_id)) return b;
  }
  return NULL;
}

static err *not_found(arena *a, span job_id) {
  return not_found_error(a, arena_printf(a, "workflow not found for ID: %.*s", SPAN_ARG(job_id)));
}

static err *exists_error(arena *a, const batch *b) {
  pb_WorkflowExecutionAlreadyStartedFailure detail = {.start_request_id = b->job.run_id,
                                                      .run_id = b->job.run_id,
                                                      .first_execution_run_id = b->job.run_id};
  const char *text = is_running(b) ? "Workflow execution is already running."
                                   : "Workflow execution already finished.";
  const char *policy =
      is_running(b) ? "" : " Workflow Id reuse policy: reject duplicate workflow Id.";
  err *e = ERR(a, ALREADY_EXISTS, "%s WorkflowId: %.*s, RunId: %.*s.%s", text,
               SPAN_ARG(b->job.job_id), SPAN_ARG(b->job.run_id), policy);
  e->detail_type = pb_name(&pb_WorkflowExecutionAlreadyStartedFailure_desc);
  e->detail = PB_ENCODE(WorkflowExecutionAlreadyStartedFailure, &detail, a);
  return e;
}

static err *check_alone(shard *s, int64_t ns, arena *a) {
  LIST_FOR_EACH (n, &s->batches) {
    const batch *b = CONTAINER_OF(n, batch, node);
    if (b->job.namespace_key != ns || !is_running(b)) continue;
    pb_ResourceExhaustedFailure detail = {.cause = PB_RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
                                          .scope = PB_RESOURCE_EXHAUSTED_SCOPE_NAMESPACE};
    err *e = ERR(a, RESOURCE_EXHAUSTED, "Max concurrent batch operations is reached");
    e->detail_type = pb_name(&pb_ResourceExhaustedFailure_desc);
    e->detail = PB_ENCODE(ResourceExhaustedFailure, &detail, a);
    return e;
  }
  return NULL;
}

typedef struct batch_call {
  gate gate;
  shard_op *op;
  batch *batch;
} batch_call;

static void start_answer(shard *s, gate *g, const err *e) {
  batch_call *c = CONTAINER_OF(g, batch_call, gate);
  batch *b = c->batch;
  shard_op *op = c->op;
  (void)s;
  if (b->lost) {
    batch_free(b);
    op_fail(op, ERR_WRAP(op->arena, UNAVAILABLE, e, "the batch could not be written"));
    return;
  }
  b->durable = true;
  op->done(op, NULL, pb_new(op->arena, StartBatchOperationResponse));
  go_on(b);
}

static batch *batch_new(shard *s, const shard_op *op, const batch_request *r) {
  batch *b = mem_new(batch);
  char id[UUID_TEXT_BYTES];
  uuid_format(uuid_random(&s->env->random), id);
  b->s = s;
  b->job.namespace_key = op->ns;
  b->job.run_id = arena_dup(&b->arena, span_of(id, sizeof id));
  b->job.request = PB_COPY(StartBatchOperationRequest, r, &b->arena);
  b->job.job_id = b->job.request->job_id;
  b->job.state = PB_BATCH_OPERATION_STATE_RUNNING;
  b->job.start_time = now_ns(s);
  b->job.total = (int64_t)r->executions.n;
  insert(s, b);
  return b;
}

void shard_start_batch(shard *s, shard_op *op, const batch_request *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  const batch *known = find(s, op->ns, r->job_id);
  err *e = known ? exists_error(op->arena, known) : check_alone(s, op->ns, op->arena);
  if (e) {
    op_fail(op, e);
    return;
  }
  batch_call *c = arena_new(op->arena, batch_call);
  c->op = op;
  c->batch = batch_new(s, op, r);
  gate_wait_lsn(s, &c->gate, write_row(c->batch, c->batch), start_answer);
}

static void stop_answer(shard *s, gate *g, const err *e) {
  batch_call *c = CONTAINER_OF(g, batch_call, gate);
  (void)s;
  if (e) {
    op_fail(c->op, e);
  } else {
    c->op->done(c->op, NULL, pb_new(c->op->arena, StopBatchOperationResponse));
  }
}

void shard_stop_batch(shard *s, shard_op *op, const pb_StopBatchOperationRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  batch *b = find(s, op->ns, r->job_id);
  if (!b || !b->durable || !is_running(b)) {
    op_fail(op, b ? not_found_error(op->arena, "workflow execution already completed")
                  : not_found(op->arena, r->job_id));
    return;
  }
  batch_call *c = arena_new(op->arena, batch_call);
  c->op = op;
  b->job.state = PB_BATCH_OPERATION_STATE_FAILED;
  b->job.close_time = now_ns(s);
  gate_wait_lsn(s, &c->gate, write_row(b, NULL), stop_answer);
}

static void describe_executions(const batch *b, pb_DescribeBatchOperationResponse *r, arena *a) {
  const batch_request *q = b->job.request;
  r->executions.v = arena_array(a, pb_Execution *, q->executions.n + 1);
  for (size_t i = 0; i < q->executions.n; i++) {
    pb_Execution *e = r->executions.v[r->executions.n++] = pb_new(a, Execution);
    e->type = PB_EXECUTION_TYPE_WORKFLOW;
    e->business_id = q->executions.v[i]->workflow_id;
    e->run_id = q->executions.v[i]->run_id;
  }
}

void shard_describe_batch(shard *s, shard_op *op, span job_id) {
  arena *a = op->arena;
  op->state = NULL;
  if (op_refused(s, op)) return;
  const batch *b = find(s, op->ns, job_id);
  if (!b || !b->durable) {
    op_fail(op, not_found(a, job_id));
    return;
  }
  pb_DescribeBatchOperationResponse *r = pb_new(a, DescribeBatchOperationResponse);
  r->operation_type = batch_operation_type(b->job.request);
  r->job_id = b->job.job_id;
  r->state = b->job.state;
  r->start_time = pb_time_new(a, b->job.start_time);
  r->close_time = pb_time_or_null(a, b->job.close_time);
  r->total_operation_count = b->job.total;
  r->complete_operation_count = b->job.complete;
  r->failure_operation_count = b->job.failed;
  r->identity = batch_operation_identity(b->job.request);
  r->reason = b->job.request->reason;
  r->query = b->job.request->visibility_query;
  describe_executions(b, r, a);
  op->done(op, NULL, r);
}

static pb_BatchOperationInfo *info_of(const batch *b, arena *a) {
  pb_BatchOperationInfo *i = pb_new(a, BatchOperationInfo);
  i->job_id = b->job.job_id;
  i->state = b->job.state;
  i->start_time = pb_time_new(a, b->job.start_time);
  i->close_time = pb_time_or_null(a, b->job.close_time);
  i->operation_type = batch_operation_type(b->job.request);
  return i;
}

void shard_list_batches(shard *s, shard_op *op, size_t limit, span after) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  pb_ListBatchOperationsResponse *r = pb_new(op->arena, ListBatchOperationsResponse);
  r->operation_info.v = arena_array(op->arena, pb_BatchOperationInfo *, limit + 1);
  bool begun = !after.n;
  span last = SPAN_NONE;
  LIST_FOR_EACH (n, &s->batches) {
    const batch *b = CONTAINER_OF(n, batch, node);
    if (b->job.namespace_key != op->ns || !b->durable) continue;
    bool here = begun;
    begun = begun || span_eq(b->job.run_id, after);
    if (!here) continue;
    if (r->operation_info.n == limit) {
      r->next_page_token = last;
      break;
    }
    r->operation_info.v[r->operation_info.n++] = info_of(b, op->arena);
    last = b->job.run_id;
  }
  op->done(op, NULL, r);
}

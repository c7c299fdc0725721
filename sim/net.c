/* net.c - the transport's stand-in. A request is encoded, may be lost, takes its time, is decoded
 * at the server and given to the shard as a handler would; the answer goes the same way back. */
#include "sim.h"

#include "proto/pb.gen.h"

typedef void serve_fn(shard *s, shard_op *op, const void *request);

/* clang-format off */
static void serve_start(shard *s, shard_op *op, const void *r) { shard_start(s, op, r); }
static void serve_signal_with_start(shard *s, shard_op *op, const void *p) {
  const pb_SignalWithStartWorkflowExecutionRequest *r = p;
  pb_StartWorkflowExecutionRequest *start = pb_new(op->arena, StartWorkflowExecutionRequest);
  start->workflow_id = r->workflow_id;
  start->workflow_type = r->workflow_type;
  start->task_queue = r->task_queue;
  start->input = r->input;
  start->workflow_task_timeout = r->workflow_task_timeout;
  start->request_id = r->request_id;
  start->workflow_id_reuse_policy = r->workflow_id_reuse_policy;
  start->workflow_id_conflict_policy = r->workflow_id_conflict_policy;
  shard_signal_with_start(s, op, r, start);
}
static void serve_update_with_start(shard *s, shard_op *op, const void *p) {
  const pb_ExecuteMultiOperationRequest *r = p;
  shard_update_with_start(s, op, r->operations.v[0]->start_workflow,
                          r->operations.v[1]->update_workflow);
}
static void serve_reset(shard *s, shard_op *op, const void *p) {
  const pb_ResetWorkflowExecutionRequest *r = p;
  int32_t type = r->reset_reapply_type;
  shard_reset_how how = {.again.signals = type != PB_RESET_REAPPLY_TYPE_NONE,
                         .again.updates = type == PB_RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
                         .point = SHARD_RESET_GIVEN};
  if (r->workflow_task_finish_event_id == SIM_RESET_FIRST_TASK) how.point = SHARD_RESET_FIRST_TASK;
  if (r->workflow_task_finish_event_id == SIM_RESET_LAST_TASK) how.point = SHARD_RESET_LAST_TASK;
  shard_reset(s, op, r, how);
}
static void serve_create_schedule(shard *s, shard_op *op, const void *p) {
  const pb_CreateScheduleRequest *r = p;
  const pb_NewWorkflowExecutionInfo *w = r->schedule->action->start_workflow;
  pb_StartWorkflowExecutionRequest *start = pb_new(op->arena, StartWorkflowExecutionRequest);
  start->workflow_type = w->workflow_type;
  start->task_queue = w->task_queue;
  start->workflow_task_timeout = w->workflow_task_timeout;
  start->workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE;
  start->workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL;
  shard_create_schedule(s, op, r, start);
}
static filter *read_filter(shard *s, shard_op *op, span query) {
  const shard_namespace_info *ns = shard_namespace(s, op->ns_name);
  filter_context c = {.ns = ns->record, .run_key = shard_run_key, .arena = op->arena};
  filter *f = arena_new(op->arena, filter);
  err *e = filter_read(&c, query, f);
  ASSERT(!e);
  return f;
}
static void serve_list(shard *s, shard_op *op, const void *p) {
  const pb_ListWorkflowExecutionsRequest *r = p;
  shard_list l = {.filter = read_filter(s, op, r->query),
                  .query = r->query,
                  .limit = (size_t)r->page_size,
                  .page_token = r->next_page_token};
  shard_list_runs(s, op, &l);
}
static void serve_count(shard *s, shard_op *op, const void *p) {
  const pb_CountWorkflowExecutionsRequest *r = p;
  shard_count_runs(s, op, read_filter(s, op, r->query));
}
static void serve_describe_batch(shard *s, shard_op *op, const void *p) {
  shard_describe_batch(s, op, ((const pb_DescribeBatchOperationRequest *)p)->job_id);
}
static void serve_history(shard *s, shard_op *op, const void *r) { shard_history(s, op, r, true); }
#define SERVE(name) \
  static void serve_##name(shard *s, shard_op *op, const void *r) { shard_##name(s, op, r); }
SERVE(signal) SERVE(request_cancel) SERVE(terminate) SERVE(describe) SERVE(history_reverse)
SERVE(query) SERVE(reset_sticky) SERVE(poll_workflow) SERVE(wft_complete) SERVE(wft_fail)
SERVE(query_complete) SERVE(poll_activity) SERVE(activity_complete) SERVE(activity_fail)
SERVE(activity_cancel) SERVE(activity_heartbeat) SERVE(activity_complete_by_id)
SERVE(shutdown_worker) SERVE(describe_task_queue) SERVE(update) SERVE(poll_update)
SERVE(delete) SERVE(patch_schedule) SERVE(delete_schedule) SERVE(describe_schedule)
SERVE(activity_pause) SERVE(activity_unpause) SERVE(activity_update_options) SERVE(start_batch)
    /* clang-format on */

    static const struct method {
  const char *name;
  const pb_desc *request, *response;
  serve_fn *serve;
} methods[] = {
#define X(name, Name) {#name, &pb_##Name##Request_desc, &pb_##Name##Response_desc, serve_##name},
    SIM_METHODS(X)
#undef X
};

const char *net_method_name(sim_method m) { return methods[m].name; }
const pb_desc *net_request_desc(sim_method m) { return methods[m].request; }

void *net_response(const sim_call *c, arena *a) {
  void *msg = NULL;
  err *e = pb_decode(methods[c->method].response, buf_span(&c->got), a, &msg);
  if (e) sim_broken(c->sim, "NET", "the answer of %s does not decode", methods[c->method].name);
  return msg;
}

static void call_free(sim_call *c) {
  arena_release(&c->arena);
  bytes_unref(c->sent);
  buf_release(&c->what);
  buf_release(&c->got);
  mem_free(c);
}

static void reply(sim *s, void *arg) {
  sim_call *c = arg;
  if (c->reply && !c->vanished) c->reply(s, c);
  call_free(c);
}

static int64_t delay(sim *s) {
  uint64_t most_us = s->quiet ? 2000 : (uint64_t)s->swarm.delay_ms * 1000;
  return (int64_t)(20 + sim_below(s, most_us + 1)) * 1000;
}

static void reply_lost(sim *s, sim_call *c) {
  c->lost = true;
  buf_clear(&c->got);
  sim_after_ms(s, 10 + sim_below(s, 2000), reply, c);
}

/* --- at the server --- */

static void leave_server(sim_call *c) {
  list_remove(&c->node);
  c->at_server = false;
}

/* Lists and counts are answered in the shard's own words. */
static const void *as_message(sim_call *c, const void *response) {
  if (c->method == CALL_list) {
    const shard_listed *l = response;
    pb_ListWorkflowExecutionsResponse *r = pb_new(&c->arena, ListWorkflowExecutionsResponse);
    r->executions.v = l->v;
    r->executions.n = l->n;
    r->next_page_token = l->next_page_token;
    return r;
  }
  if (c->method == CALL_count) {
    pb_CountWorkflowExecutionsResponse *r = pb_new(&c->arena, CountWorkflowExecutionsResponse);
    r->count = ((const shard_counted *)response)->count;
    return r;
  }
  return response;
}

static void on_done(shard_op *op, const err *e, const void *response) {
  sim_call *c = CONTAINER_OF(op, sim_call, op);
  sim *s = c->sim;
  ASSERT(c->at_server);
  leave_server(c);
  c->answered_ns = s->now_ns;
  c->code = e ? e->code : ERR_OK;
  if (e) buf_adds(&c->what, e->what);
  if (!e) pb_encode(methods[c->method].response, as_message(c, response), &c->got);
  sim_trace(s, "done %s %s %s %016llx", methods[c->method].name, err_code_name(c->code),
            e ? e->what : "", (unsigned long long)sim_hash(buf_span(&c->got)));
  s->n_ok += !e;
  model_answered(s, c, e, response);
  arena_release(&c->arena);
  arena_init(&c->arena);
  if (c->vanished) {
    call_free(c);
  } else if (sim_fault(s, s->swarm.drop_per_1000, 1000)) {
    sim_trace(s, "reply of %s is lost", methods[c->method].name);
    reply_lost(s, c);
  } else {
    sim_at(s, s->now_ns + delay(s), reply, c);
  }
}

static void on_park(shard_op *op) {
  sim_call *c = CONTAINER_OF(op, sim_call, op);
  arena_release(&c->arena);
  arena_init(&c->arena);
}

static void refuse(sim *s, sim_call *c) {
  c->code = ERR_UNAVAILABLE;
  buf_adds(&c->what, "no server");
  sim_at(s, s->now_ns + delay(s), reply, c);
}

static void arrive(sim *s, void *arg) {
  sim_call *c = arg;
  const struct method *m = &methods[c->method];
  void *request = NULL;
  if (c->vanished) {
    call_free(c);
    return;
  }
  if (s->state != SERVER_UP && s->state != SERVER_DRAINING) {
    refuse(s, c);
    return;
  }
  err *e = pb_decode(m->request, bytes_span(c->sent), &c->arena, &request);
  if (e) sim_broken(s, "NET", "the request of %s does not decode: %s", m->name, e->what);
  mutant_request(s, c->method, request, &c->arena);
  if (c->method == CALL_delete) {
    model_delete_asked(s, ((pb_DeleteWorkflowExecutionRequest *)request)->workflow_execution);
  }
  c->arrived_ns = s->now_ns;
  c->at_server = true;
  list_push_back(&s->at_server, &c->node);
  const shard_namespace_info *ns = shard_namespace(s->shard, SPAN("default"));
  c->op.arena = &c->arena;
  c->op.ns = ns->key;
  c->op.ns_name = SPAN("default");
  c->op.done = on_done;
  c->op.park = on_park;
  sim_trace(s, "serve %s %016llx", m->name, (unsigned long long)sim_hash(bytes_span(c->sent)));
  m->serve(s->shard, &c->op, request);
}

void net_cut(sim *s) {
  for (list_node *n = list_pop_front(&s->at_server); n; n = list_pop_front(&s->at_server)) {
    sim_call *c = CONTAINER_OF(n, sim_call, node);
    c->at_server = false;
    if (c->vanished) {
      call_free(c);
    } else {
      reply_lost(s, c);
    }
  }
}

/* Who waits for the end of a run hears of it at once. */
static void check_close_wait(sim *s, const sim_call *c) {
  static const int64_t soon_ns = 3 * NS_PER_SEC;
  arena a = ARENA_INIT;
  void *msg = NULL;
  if (c->method != CALL_history || s->now_ns - c->arrived_ns < soon_ns) return;
  err *e = pb_decode(methods[c->method].request, bytes_span(c->sent), &a, &msg);
  ASSERT(!e);
  const pb_GetWorkflowExecutionHistoryRequest *r = msg;
  int64_t closed_ns = r->wait_new_event ? audit_close_ns(s, r->execution->run_id) : 0;
  if (closed_ns && s->now_ns - closed_ns > soon_ns) {
    sim_broken(s, "R4", "a wait for the end of %.*s does not end", SPAN_ARG(r->execution->run_id));
  }
  arena_release(&a);
}

/* Whoever was asked must answer: no wait is longer than a poll. */
void net_check_waits(sim *s) {
  LIST_FOR_EACH (n, &s->at_server) {
    const sim_call *c = CONTAINER_OF(n, sim_call, node);
    int64_t waits_ns = s->now_ns - c->arrived_ns;
    if (waits_ns > 90 * NS_PER_SEC) {
      sim_broken(s, "R3", "%s has waited for its answer for %lld s", methods[c->method].name,
                 (long long)(waits_ns / NS_PER_SEC));
    }
    check_close_wait(s, c);
  }
}

/* --- at the caller --- */

/* Polls would take tasks that nobody answers for; what follows a deletion would be made again. */
static bool may_come_twice(sim_method m) {
  return m != CALL_poll_workflow && m != CALL_poll_activity && m != CALL_create_schedule &&
         m != CALL_patch_schedule;
}

/* Nobody waits for the answer to a copy. */
static void copy_later(sim *s, const sim_call *c) {
  sim_call *copy = mem_new(sim_call);
  copy->sim = s;
  copy->method = c->method;
  copy->sent_ns = s->now_ns;
  copy->sent = bytes_ref(c->sent);
  copy->op.deadline_ns = c->op.deadline_ns;
  sim_trace(s, "request %s comes twice", methods[c->method].name);
  sim_at(s, s->now_ns + delay(s) + (int64_t)sim_below(s, 3000) * NS_PER_MS, arrive, copy);
}

sim_call *net_call(sim *s, sim_method m, const void *request, int64_t wait_ns,
                   void (*on_reply)(sim *s, sim_call *c), void *who) {
  sim_call *c = mem_new(sim_call);
  arena a = ARENA_INIT;
  c->sim = s;
  c->method = m;
  c->reply = on_reply;
  c->who = who;
  c->sent_ns = s->now_ns;
  c->sent = bytes_copy(pb_encode_arena(methods[m].request, request, &a));
  arena_release(&a);
  s->n_calls++;
  int64_t takes = delay(s);
  c->op.deadline_ns = wait_ns ? s->now_ns + wait_ns : INT64_MAX;
  if (may_come_twice(m) && sim_fault(s, s->swarm.dup_per_1000, 1000)) copy_later(s, c);
  if (sim_fault(s, s->swarm.drop_per_1000, 1000)) {
    sim_trace(s, "request %s is lost", methods[m].name);
    reply_lost(s, c);
  } else {
    sim_at(s, s->now_ns + takes, arrive, c);
  }
  return c;
}

void net_vanish(sim_call *c) {
  sim *s = c->sim;
  c->vanished = true;
  if (c->at_server) {
    sim_trace(s, "caller of %s vanishes", methods[c->method].name);
    shard_op_gone(s->shard, &c->op);
  }
}

/* wft.c - task tokens, and what workers say of workflow tasks. */
#include "shard/shard_int.h"

span seal_task(shard *s, token_kind kind, const shard_run *run, const engine_token *token,
               span query_id, arena *a) {
  pb_store_TaskToken t = {.run = run->key,
                          .run_id = engine_info(run->engine)->run_id,
                          .scheduled_event_id = token->scheduled_id,
                          .started_event_id = token->started_id,
                          .attempt = token->attempt,
                          .started_time = token->started_time_ns,
                          .query_id = query_id,
                          .namespace_key = run->ns};
  return token_seal(&s->tokens, kind, run->ns, PB_ENCODE(store_TaskToken, &t, a), a);
}

err *open_task(shard *s, shard_op *op, token_kind kind, span token,
               pb_store_TaskToken **ret_token) {
  arena *a = op->arena;
  int64_t ns;
  span body;
  if (!token.n) return ERR(a, INVALID_ARGUMENT, "Task token not set on request.");
  if (!token_open(&s->tokens, kind, token, &ns, &body) ||
      PB_DECODE(store_TaskToken, body, a, ret_token)) {
    return ERR(a, INVALID_ARGUMENT, "Invalid TaskToken.");
  }
  if (!op->ns || op->ns == ns) return NULL;
  return ERR(a, INVALID_ARGUMENT, "Operation requested with a token from a different namespace.");
}

engine_token task_token(const pb_store_TaskToken *t) {
  return (engine_token){.scheduled_id = t->scheduled_event_id,
                        .started_id = t->started_event_id,
                        .attempt = t->attempt,
                        .started_time_ns = t->started_time};
}

void fill_history(shard *s, const shard_run *run, const engine_wft *wft, const history_read *r,
                  arena *a) {
  pb_PollWorkflowTaskQueueResponse *response = wft->response;
  span events = r->events;
  if (r->next_id < r->until) {
    pb_store_HistoryPageToken page = {.run = run->key,
                                      .run_id = engine_info(run->engine)->run_id,
                                      .next_event_id = r->next_id,
                                      .until_event_id = r->until,
                                      .transient_scheduled_id = wft->token.scheduled_id};
    response->next_page_token = seal_history_page(s, run->ns, &page, a);
  } else if (wft->unwritten.n) {
    uint8_t *p = arena_alloc(a, events.n + wft->unwritten.n);
    if (events.n) memcpy(p, events.p, events.n);
    memcpy(p + events.n, wft->unwritten.p, wft->unwritten.n);
    events = span_of(p, events.n + wft->unwritten.n);
  }
  response->history = pb_new(a, History);
  response->history->head.unknown = events;
}

/* --- completed --- */

typedef struct completion {
  call call;
  engine_token token;
  engine_completion done;
  history_read read;
  shard_run *run;
} completion;

static void next_task_read(shard *s, history_read *r, const err *e) {
  completion *c = CONTAINER_OF(r, completion, read);
  shard_run *run = c->run;
  arena *a = c->call.op->arena;
  if (!e && run->phase == RUN_READY) {
    pb_PollWorkflowTaskQueueResponse *next = c->done.next.response;
    fill_history(s, run, &c->done.next, r, a);
    next->task_token = seal_task(s, TOKEN_WORKFLOW_TASK, run, &c->done.next.token, SPAN_NONE, a);
    c->done.response->workflow_task = next;
  }
  /* Without its history the next task is not handed over: it times out and comes again. */
  call_answer(&c->call, run, c->done.response);
  run_unpin(s, run);
}

static void answer_completion(shard *s, completion *c, shard_run *run) {
  const engine_wft *next = &c->done.next;
  if (!next->response) {
    call_answer(&c->call, run, c->done.response);
    run_unpin(s, run);
    return;
  }
  queries_attach(s, run, next->response, &c->call.step->arena);
  c->run = run;
  c->read = (history_read){.run = run,
                           .from = next->history_from_id,
                           .until = next->history_until_id,
                           .max_events = HISTORY_PAGE_EVENTS,
                           .arena = c->call.op->arena,
                           .done = next_task_read};
  history_start(s, &c->read);
}

static void act_complete(shard *s, call *made, shard_run *run) {
  completion *c = CONTAINER_OF(made, completion, call);
  const pb_RespondWorkflowTaskCompletedRequest *r = made->request;
  err *e = engine_wft_complete(run->engine, call_step(made, run), &c->token, r, &c->done);
  if (e) {
    call_refuse(made, run, e);
    return;
  }
  run_pin(run);
  queries_answer(s, run, r);
  e = step_stage(s, made->step);
  if (run->phase == RUN_READY) queries_reply(s, run);
  if (!e) e = made->step->parts[0].st->reply_err;
  if (e) {
    call_refuse(made, run, e);
    run_unpin(s, run);
  } else {
    answer_completion(s, c, run);
  }
}

void shard_wft_complete(shard *s, shard_op *op, const pb_RespondWorkflowTaskCompletedRequest *r) {
  call *made = call_new(s, op, r, act_complete);
  pb_store_TaskToken *t;
  if (!made) return;
  err *e = open_task(s, op, TOKEN_WORKFLOW_TASK, r->task_token, &t);
  if (e) {
    op_fail(op, e);
    return;
  }
  completion *c = arena_new(op->arena, completion);
  c->call = *made;
  c->token = task_token(t);
  c->call.use.ns = t->namespace_key;
  call_find_key(&c->call, t->run, t->run_id);
}

/* --- failed --- */

static void act_fail(shard *s, call *made, shard_run *run) {
  completion *c = CONTAINER_OF(made, completion, call);
  err *e = engine_wft_fail(run->engine, call_step(made, run), &c->token, made->request);
  call_finish(made, run, e, pb_new(made->op->arena, RespondWorkflowTaskFailedResponse));
}

void shard_wft_fail(shard *s, shard_op *op, const pb_RespondWorkflowTaskFailedRequest *r) {
  call *made = call_new(s, op, r, act_fail);
  pb_store_TaskToken *t;
  if (!made) return;
  err *e = open_task(s, op, TOKEN_WORKFLOW_TASK, r->task_token, &t);
  if (e) {
    op_fail(op, e);
    return;
  }
  completion *c = arena_new(op->arena, completion);
  c->call = *made;
  c->token = task_token(t);
  c->call.use.ns = t->namespace_key;
  call_find_key(&c->call, t->run, t->run_id);
}

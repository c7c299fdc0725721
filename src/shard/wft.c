/* wft.c - task tokens, and what workers say of workflow tasks. */
#include "shard/shard_int.h"

span seal_task(shard *s, token_kind kind, const shard_run *run, const engine_token *token,
               span query_id, arena *a) {
  pb_store_TaskToken t = {.run = run->key,
                          .run_id = engine_info(run->engine)->run_id,
                          .workflow_id = engine_info(run->engine)->workflow_id,
                          .scheduled_event_id = token->scheduled_id,
                          .started_event_id = token->started_id,
                          .attempt = token->attempt,
                          .started_time = token->started_time_ns,
                          .query_id = query_id,
                          .namespace_key = run->ns};
  return token_seal(&s->tokens, kind, run->ns, PB_ENCODE(store_TaskToken, &t, a), a);
}

/* What an authentic token of the wrong kind gets: the original looks the task up and finds none. */
static err *wrong_kind(arena *a, token_kind kind) {
  if (kind == TOKEN_QUERY_TASK) return ERR(a, INVALID_ARGUMENT, "Invalid TaskToken.");
  return not_found_error(a, kind == TOKEN_WORKFLOW_TASK
                                ? "Workflow task not found."
                                : "invalid activityID or activity already timed out or invoking "
                                  "workflow is completed");
}

/* A token we did not sign is never acted on. One that another Temporal server made names a
 * workflow, and who holds it (an asynchronous completion after a move, say) hears that it is not
 * here. */
static err *not_ours(shard *s, arena *a, span token) {
  pb_store_ForeignTaskToken *t;
  int64_t key = 0;
  bool names_a_workflow = !PB_DECODE(store_ForeignTaskToken, token, a, &t) && t->workflow_id.n &&
                          shard_namespace_by_id(s, t->namespace_id) &&
                          (!t->run_id.n || run_id_parse(t->run_id, &key));
  if (names_a_workflow) return run_not_found(a, t->workflow_id, t->run_id);
  return ERR(a, INVALID_ARGUMENT, "Error deserializing task token.");
}

err *open_task(shard *s, shard_op *op, token_kind kind, span token,
               pb_store_TaskToken **ret_token) {
  static const token_kind kinds[] = {TOKEN_WORKFLOW_TASK, TOKEN_ACTIVITY_TASK, TOKEN_QUERY_TASK};
  arena *a = op->arena;
  int64_t ns = 0;
  span body = SPAN_NONE;
  token_kind found = 0;
  if (!token.n) return ERR(a, INVALID_ARGUMENT, "Task token not set on request.");
  for (size_t i = 0; i < ARRAY_LEN(kinds) && !found; i++) {
    if (token_open(&s->tokens, kinds[i], token, &ns, &body)) found = kinds[i];
  }
  if (!found || PB_DECODE(store_TaskToken, body, a, ret_token)) return not_ours(s, a, token);
  if (op->ns && op->ns != ns) {
    return ERR(a, INVALID_ARGUMENT, "Operation requested with a token from a different namespace.");
  }
  return found == kind ? NULL : wrong_kind(a, kind);
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
  if (r->next_id < r->until || r->batches >= r->max_batches) {
    pb_store_HistoryPageToken page = {.run = run->key,
                                      .run_id = engine_info(run->engine)->run_id,
                                      .next_event_id = r->next_id,
                                      .until_event_id = r->until};
    /* A start that is not written yet will be when the last page is read; that of a transient
     * task will not. */
    if (wft->unwritten.n && wft->token.started_id == r->until) page.until_event_id++;
    if (wft->token.started_id > r->until) page.transient_scheduled_id = wft->token.scheduled_id;
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
                           .max_batches = HISTORY_PAGE_BATCHES,
                           .arena = c->call.op->arena,
                           .done = next_task_read};
  history_start(s, &c->read);
}

/* Activities that the worker wants to run itself, started in the same step. The n-th task is that
 * of the n-th command, unless some were cancelled at once; then none is handed out here. */
static void start_eager(shard *s, completion *c, shard_run *run, engine_step *st) {
  const pb_RespondWorkflowTaskCompletedRequest *r = c->call.request;
  arena *a = c->call.op->arena;
  const pb_Command **scheduled = arena_array(a, const pb_Command *, r->commands.n + 1);
  size_t n = 0, tasks = 0, eager = 0, kept = 0;
  for (size_t i = 0; i < r->commands.n; i++) {
    const pb_Command *cmd = r->commands.v[i];
    if (cmd->command_type != PB_COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK) continue;
    scheduled[n++] = cmd;
    eager += cmd->schedule_activity_task_command_attributes->request_eager_execution;
  }
  for (size_t i = 0; i < st->n_tasks; i++) tasks += st->tasks[i].kind == ENGINE_ACTIVITY_TASK;
  if (!eager || tasks != n) return;
  engine_step *starts = step_part_add(s, c->call.step, run);
  pb_RespondWorkflowTaskCompletedResponse *response = c->done.response;
  response->activity_tasks.v = arena_array(a, pb_PollActivityTaskQueueResponse *, eager);
  char request_id[UUID_TEXT_BYTES];
  engine_poller p = {.identity = r->identity, .request_id = span_of(request_id, sizeof request_id)};
  n = 0;
  for (size_t i = 0; i < st->n_tasks; i++) {
    engine_task task = st->tasks[i];
    engine_activity act;
    bool mine = task.kind == ENGINE_ACTIVITY_TASK &&
                scheduled[n++]->schedule_activity_task_command_attributes->request_eager_execution;
    if (mine) uuid_format(uuid_random(&s->env->random), request_id);
    if (!mine || engine_activity_start(run->engine, starts, task.id, task.queued.seq, &p, &act)) {
      st->tasks[kept++] = task;
      continue;
    }
    act.response->task_token = seal_task(s, TOKEN_ACTIVITY_TASK, run, &act.token, SPAN_NONE, a);
    response->activity_tasks.v[response->activity_tasks.n++] =
        PB_COPY(PollActivityTaskQueueResponse, act.response, a);
  }
  st->n_tasks = kept;
}

static void act_complete(shard *s, call *made, shard_run *run) {
  completion *c = CONTAINER_OF(made, completion, call);
  const pb_RespondWorkflowTaskCompletedRequest *r = made->request;
  engine_step *st = call_step(made, run);
  err *e = engine_wft_complete(run->engine, st, &c->token, r, &c->done);
  if (e) {
    call_refuse(made, run, e);
    return;
  }
  run_pin(run);
  bool eager = s->config.eager_activities && !st->reply_err && !st->closed;
  if (eager) start_eager(s, c, run, st);
  /* Of an answer that is refused nothing counts: its queries are asked again. */
  if (!st->reply_err) queries_answer(s, run, r);
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

/* Finds the run of a workflow task's token; `act` then goes on with the completion. */
static void by_token(shard *s, shard_op *op, span token, const void *request, call_fn *act) {
  call *made = call_new(s, op, request, act);
  pb_store_TaskToken *t;
  if (!made) return;
  err *e = open_task(s, op, TOKEN_WORKFLOW_TASK, token, &t);
  if (e) {
    op_fail(op, e);
    return;
  }
  completion *c = arena_new(op->arena, completion);
  c->call = *made;
  c->token = task_token(t);
  c->call.use.ns = t->namespace_key;
  c->call.use.workflow_id = t->workflow_id;
  call_find_key(&c->call, t->run, t->run_id);
}

void shard_wft_complete(shard *s, shard_op *op, const pb_RespondWorkflowTaskCompletedRequest *r) {
  by_token(s, op, r->task_token, r, act_complete);
}

/* --- failed --- */

static void act_fail(shard *s, call *made, shard_run *run) {
  completion *c = CONTAINER_OF(made, completion, call);
  err *e = engine_wft_fail(run->engine, call_step(made, run), &c->token, made->request);
  call_finish(made, run, e, pb_new(made->op->arena, RespondWorkflowTaskFailedResponse));
}

void shard_wft_fail(shard *s, shard_op *op, const pb_RespondWorkflowTaskFailedRequest *r) {
  by_token(s, op, r->task_token, r, act_fail);
}

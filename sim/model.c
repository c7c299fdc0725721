/* model.c - what was promised to clients and workers, judged at the moment the server says it. */
#include "sim.h"

#include "proto/pb_time.h"

void model_init(sim *s) {
  s->model = mem_new(model);
  list_init(&s->model->order);
}

void model_free(sim *s) {
  LIST_FOR_EACH (n, &s->model->order) {
    record *r = CONTAINER_OF(n, record, order);
    mem_free((void *)r->key.p);
    mem_free(r->events);
    bytes_unref(r->text);
    bytes_unref(r->workflow);
    mem_free(r);
  }
  hmap_release(&s->model->records);
  mem_free(s->model);
}

static uint64_t key_hash(record_kind kind, span key) { return sim_hash(key) + (uint64_t)kind; }

record *model_find(sim *s, record_kind kind, span key) {
  hmap_node *n = hmap_first(&s->model->records, key_hash(kind, key));
  for (; n; n = hmap_next(n)) {
    record *r = CONTAINER_OF(n, record, node);
    if (r->kind == kind && span_eq(r->key, key)) return r;
  }
  return NULL;
}

record *model_make(sim *s, record_kind kind, span key) {
  record *r = model_find(s, kind, key);
  if (r) return r;
  r = mem_new(record);
  uint8_t *p = mem_alloc(key.n + 1);
  if (key.n) memcpy(p, key.p, key.n);
  r->kind = kind;
  r->key = span_of(p, key.n);
  hmap_insert(&s->model->records, &r->node, key_hash(kind, key));
  list_push_back(&s->model->order, &r->order);
  return r;
}

span model_key(arena *a, span first, span second) {
  return arena_spanf(a, "%.*s/%.*s", SPAN_ARG(first), SPAN_ARG(second));
}

static void set_text(record *r, span text) {
  bytes_unref(r->text);
  r->text = bytes_copy(text);
}

const record *model_some(sim *s, record_kind kind) {
  size_t n = 0;
  LIST_FOR_EACH (node, &s->model->order) {
    const record *r = CONTAINER_OF(node, record, order);
    n += r->kind == kind && r->acknowledged;
  }
  uint64_t pick = n ? sim_below(s, n) : 0;
  LIST_FOR_EACH (node, &s->model->order) {
    const record *r = CONTAINER_OF(node, record, order);
    if (r->kind == kind && r->acknowledged && pick-- == 0) return r;
  }
  return NULL;
}

void model_event(sim *s, span run_id, const pb_HistoryEvent *ev, const char *where) {
  arena a = ARENA_INIT;
  record *r = model_make(s, REC_RUN, run_id);
  size_t at = (size_t)ev->event_id;
  uint64_t hash = sim_hash(PB_ENCODE(HistoryEvent, ev, &a)) | 1;
  if (ev->event_id < 1 || ev->event_id > ROW_ID_MAX) {
    sim_broken(s, "D2", "%s: event id %lld in run %.*s", where, (long long)ev->event_id,
               SPAN_ARG(run_id));
  }
  if (at > r->n_events) {
    r->events = mem_realloc(r->events, at * sizeof *r->events);
    while (r->n_events < at) r->events[r->n_events++] = 0;
  }
  if (r->events[at - 1] && r->events[at - 1] != hash) {
    sim_broken(s, "D2", "%s: event %zu of run %.*s (type %d) is not what was shown before", where,
               at, SPAN_ARG(run_id), ev->event_type);
  }
  r->events[at - 1] = hash;
  arena_release(&a);
}

/* --- starts, signals, closings --- */

static void promise(sim *s, record_kind kind, span key) {
  record *r = model_make(s, kind, key);
  if (!r->acknowledged) r->time_ns = s->now_ns;
  r->acknowledged = true;
}

static void run_promised(sim *s, span run_id) {
  promise(s, REC_RUN, run_id);
  if (!audit_next_event_id(s, run_id) && !model_make(s, REC_RUN, run_id)->may_go) {
    sim_broken(s, "D1", "run %.*s was acknowledged and is not on disk", SPAN_ARG(run_id));
  }
}

static void start_answered(sim *s, span workflow_id, span request_id, span run_id, bool started,
                           arena *a) {
  run_promised(s, run_id);
  promise(s, REC_WORKFLOW, workflow_id);
  if (!started) return;
  record *r = model_make(s, REC_START, model_key(a, workflow_id, request_id));
  r->acknowledged = true;
  set_text(r, run_id);
}

static void reset_answered(sim *s, const pb_ResetWorkflowExecutionRequest *r, span run_id) {
  run_promised(s, run_id);
  if (r->reset_reapply_type != PB_RESET_REAPPLY_TYPE_NONE)
    model_make(s, REC_RUN, run_id)->given = 1;
}

static void signal_answered(sim *s, span workflow_id, span name, arena *a) {
  model_make(s, REC_SIGNAL, model_key(a, workflow_id, name))->acknowledged = true;
}

/* --- tokens --- */

static record *known_token(sim *s, record_kind kind, span token, sim_method m) {
  record *r = model_find(s, kind, token);
  if (!r) sim_broken(s, "T1", "%s took a token that was never given out", net_method_name(m));
  return r;
}

static void wft_answered(sim *s, sim_method m, span token) {
  record *r = known_token(s, REC_WFT, token, m);
  sim_trace(s, "  token %016llx", (unsigned long long)sim_hash(token));
  if (++r->accepted > 1) {
    sim_broken(s, "T1", "%s took the same token %u times", net_method_name(m), r->accepted);
  }
}

static span activity_of(const record *attempt) {
  span key = attempt->key;
  while (key.n && key.p[key.n - 1] != '/') key.n--;
  return span_of(key.p, key.n - 1);
}

/* A start that nothing could forget makes the tokens of earlier starts stale. */
static void check_newest(sim *s, const sim_call *c, const record *attempt, span token) {
  if (sim_commits_fail(s) || attempt->epoch != s->epoch) return;
  if (attempt->newest == sim_hash(token) || attempt->time_ns >= c->arrived_ns) return;
  sim_broken(s, "T1", "%s took a token of %.*s from before its last start",
             net_method_name(c->method), SPAN_ARG(attempt->key));
}

/* An attempt was answered; `ends`: so was the activity. */
static record *attempt_answered(sim *s, const sim_call *c, span token, bool ends) {
  sim_method m = c->method;
  record *t = known_token(s, REC_TOKEN, token, m);
  record *attempt = model_make(s, REC_ATTEMPT, bytes_span(t->text));
  sim_trace(s, "  attempt %.*s", SPAN_ARG(attempt->key));
  check_newest(s, c, attempt, token);
  record *activity = model_make(s, REC_ACTIVITY, activity_of(attempt));
  if (++attempt->accepted > 1) {
    sim_broken(s, "T1", "attempt %.*s was answered %u times", SPAN_ARG(attempt->key),
               attempt->accepted);
  }
  if (activity->accepted) {
    sim_broken(s, "T1", "activity %.*s was over and took an answer", SPAN_ARG(activity->key));
  }
  activity->accepted += ends;
  return attempt;
}

static void by_id_answered(sim *s, const pb_RespondActivityTaskCompletedByIdRequest *r, arena *a) {
  record *activity = model_make(s, REC_ACTIVITY, model_key(a, r->run_id, r->activity_id));
  if (activity->accepted++) {
    sim_broken(s, "T1", "activity %.*s was over and took an answer", SPAN_ARG(activity->key));
  }
}

static int64_t backoff_ns(const pb_RetryPolicy *p, int64_t attempt) {
  double wait = (double)pb_duration_ns(p->initial_interval);
  for (int64_t i = 1; i < attempt && wait < 1e15; i++) wait *= p->backoff_coefficient;
  return (int64_t)MIN(wait, (double)pb_duration_ns(p->maximum_interval));
}

static void fail_answered(sim *s, const sim_call *c, arena *a) {
  void *msg = NULL;
  err *e = pb_decode(net_request_desc(c->method), bytes_span(c->sent), a, &msg);
  ASSERT(!e);
  const pb_RespondActivityTaskFailedRequest *r = msg;
  bool fatal = r->failure->application_failure_info->non_retryable;
  record *attempt = attempt_answered(s, c, r->task_token, fatal);
  record *activity = model_make(s, REC_ACTIVITY, activity_of(attempt));
  set_text(attempt, PB_ENCODE(Failure, r->failure, a));
  attempt->acknowledged = true;
  if (!activity->text) return;
  program_plan plan = {.seed = (uint64_t)activity->number};
  pb_RetryPolicy policy;
  program_retry(plan, bytes_span(activity->text), &policy, a);
  activity->time_ns = c->arrived_ns + backoff_ns(&policy, attempt->number) - NS_PER_MS;
}

/* --- what is handed out --- */

static void events_shown(sim *s, span run_id, const pb_History *h, size_t unsettled,
                         const char *where) {
  int64_t last = 0;
  for (size_t i = 0; h && i < h->events.n; i++) {
    const pb_HistoryEvent *ev = h->events.v[i];
    if (last && ev->event_id != last + 1) {
      sim_broken(s, "D2", "%s: event %lld follows %lld in run %.*s", where, (long long)ev->event_id,
                 (long long)last, SPAN_ARG(run_id));
    }
    last = ev->event_id;
    bool may_change = ev->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_SCHEDULED ||
                      ev->event_type == PB_EVENT_TYPE_WORKFLOW_TASK_STARTED;
    if (i + unsettled >= h->events.n && may_change) continue;
    model_event(s, run_id, ev, where);
    bool gone = model_make(s, REC_RUN, run_id)->may_go;
    if (!gone && ev->event_id >= audit_next_event_id(s, run_id)) {
      sim_broken(s, "D1", "%s: event %lld of run %.*s was shown and is not on disk", where,
                 (long long)ev->event_id, SPAN_ARG(run_id));
    }
  }
}

static void wft_given(sim *s, const pb_PollWorkflowTaskQueueResponse *r) {
  if (!r || !r->task_token.n) return;
  span run_id = r->workflow_execution->run_id;
  if (!r->query) {
    record *task = model_make(s, REC_WFT, r->task_token);
    set_text(task, run_id);
    task->number = r->started_event_id;
    task->attempt = r->attempt;
    task->time_ns = s->now_ns;
    task->epoch = s->epoch;
  }
  sim_trace(s, "  workflow task %lld attempt %d of %.*s, token %016llx%s",
            (long long)r->started_event_id, r->attempt, SPAN_ARG(run_id),
            (unsigned long long)sim_hash(r->task_token), r->query ? ", query" : "");
  run_promised(s, run_id);
  events_shown(s, run_id, r->history, 2, "workflow task");
}

static void activity_given(sim *s, const pb_PollActivityTaskQueueResponse *r, arena *a) {
  if (!r->task_token.n) return;
  span name = model_key(a, r->workflow_execution->run_id, r->activity_id);
  record *activity = model_make(s, REC_ACTIVITY, name);
  record *attempt =
      model_make(s, REC_ATTEMPT, arena_spanf(a, "%.*s/%d", SPAN_ARG(name), r->attempt));
  sim_trace(s, "  attempt %d of %.*s, token %016llx", r->attempt, SPAN_ARG(name),
            (unsigned long long)sim_hash(r->task_token));
  program_plan plan = program_of_input(r->input);
  pb_RetryPolicy policy;
  program_retry(plan, r->activity_id, &policy, a);
  if (!activity->text) activity->text = bytes_copy(r->activity_id);
  if (!activity->workflow) activity->workflow = bytes_copy(r->workflow_execution->workflow_id);
  if (activity->pause == PAUSE_DONE) {
    sim_broken(s, "P1", "activity %.*s is paused and handed out", SPAN_ARG(name));
  }
  activity->number = (int64_t)plan.seed;
  attempt->number = r->attempt;
  set_text(model_make(s, REC_TOKEN, r->task_token), attempt->key);
  attempt->newest = sim_hash(r->task_token);
  attempt->time_ns = s->now_ns;
  attempt->epoch = s->epoch;
  /* One that is paused in its last attempt gets another. */
  bool limited = policy.maximum_attempts && !activity->pause;
  if (limited && r->attempt > policy.maximum_attempts) {
    sim_broken(s, "T3", "attempt %d of %.*s, of %d allowed", r->attempt, SPAN_ARG(name),
               policy.maximum_attempts);
  }
  if (activity->accepted) {
    sim_broken(s, "T1", "activity %.*s is over and was handed out", SPAN_ARG(name));
  }
  if (attempt->accepted) {
    sim_broken(s, "T1", "attempt %.*s was answered and is handed out", SPAN_ARG(attempt->key));
  }
  if (attempt->given++ && limited && r->attempt == policy.maximum_attempts) {
    sim_broken(s, "T3", "the last attempt of %.*s is handed out twice", SPAN_ARG(name));
  }
  if (s->now_ns < activity->time_ns && !activity->pause) {
    sim_broken(s, "T3", "attempt %d of %.*s comes %lld ms before its backoff ends", r->attempt,
               SPAN_ARG(name), (long long)((activity->time_ns - s->now_ns) / NS_PER_MS));
  }
}

static void activity_paused(sim *s, const pb_PauseActivityRequest *q, arena *a) {
  record *r = model_make(s, REC_ACTIVITY, model_key(a, q->execution->run_id, q->id));
  if (r->pause == PAUSE_ASKED) r->pause = PAUSE_DONE;
}

static void history_given(sim *s, const sim_call *c, const void *request,
                          const pb_GetWorkflowExecutionHistoryResponse *response) {
  const pb_GetWorkflowExecutionHistoryRequest *q = request;
  const pb_History *h = response->history;
  span run_id = q->execution->run_id;
  if (!run_id.n || !h) return;
  bool all = q->history_event_filter_type != PB_HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  if (all && !q->next_page_token.n && (!h->events.n || h->events.v[0]->event_id != 1)) {
    sim_broken(s, "D2", "the first page of run %.*s begins with event %lld", SPAN_ARG(run_id),
               (long long)(h->events.n ? h->events.v[0]->event_id : 0));
  }
  events_shown(s, run_id, h, c->op.unwritten_events ? 2 : 0, "history");
}

/* Newest first. */
static void reverse_given(sim *s, const void *request,
                          const pb_GetWorkflowExecutionHistoryReverseResponse *response) {
  const pb_GetWorkflowExecutionHistoryReverseRequest *q = request;
  const pb_History *h = response->history;
  for (size_t i = 0; h && i < h->events.n; i++) {
    if (i && h->events.v[i]->event_id != h->events.v[i - 1]->event_id - 1) {
      sim_broken(s, "D2", "reverse history has a gap at event %lld",
                 (long long)h->events.v[i]->event_id);
    }
    if (q->execution->run_id.n) model_event(s, q->execution->run_id, h->events.v[i], "reverse");
  }
}

static void update_with_start_answered(sim *s, const pb_ExecuteMultiOperationRequest *q,
                                       const pb_ExecuteMultiOperationResponse *r, arena *a) {
  const pb_StartWorkflowExecutionRequest *start = q->operations.v[0]->start_workflow;
  const pb_StartWorkflowExecutionResponse *started = r->responses.v[0]->start_workflow;
  const pb_UpdateWorkflowExecutionResponse *u = r->responses.v[1]->update_workflow;
  start_answered(s, start->workflow_id, start->request_id, started->run_id, started->started, a);
  model_update_answered(s, u->update_ref, u->stage, u->outcome, a);
}

/* --- every answer --- */

#define AS(Name, p) ((const pb_##Name *)(p))

static void judge_worker(sim *s, sim_call *c, const void *request, const void *response, arena *a) {
  switch (c->method) {
    case CALL_poll_workflow:
      wft_given(s, response);
      break;
    case CALL_wft_complete:
      wft_answered(s, c->method, AS(RespondWorkflowTaskCompletedRequest, request)->task_token);
      wft_given(s, AS(RespondWorkflowTaskCompletedResponse, response)->workflow_task);
      break;
    case CALL_poll_activity:
      activity_given(s, response, a);
      break;
    case CALL_activity_complete:
      (void)attempt_answered(s, c, AS(RespondActivityTaskCompletedRequest, request)->task_token,
                             true);
      break;
    case CALL_activity_complete_by_id:
      by_id_answered(s, request, a);
      break;
    case CALL_activity_cancel:
      (void)attempt_answered(s, c, AS(RespondActivityTaskCanceledRequest, request)->task_token,
                             true);
      break;
    case CALL_activity_fail:
      fail_answered(s, c, a);
      break;
    default:
      break;
  }
}

static void judge_read(sim *s, sim_call *c, const void *request, const void *response, arena *a) {
  switch (c->method) {
    case CALL_history:
      history_given(s, c, request, response);
      break;
    case CALL_history_reverse:
      reverse_given(s, request, response);
      break;
    case CALL_list:
      model_listed(s, c, request, response);
      break;
    case CALL_count:
      model_counted(s, c, request, response);
      break;
    case CALL_update:
      model_update_answered(s, AS(UpdateWorkflowExecutionResponse, response)->update_ref,
                            AS(UpdateWorkflowExecutionResponse, response)->stage,
                            AS(UpdateWorkflowExecutionResponse, response)->outcome, a);
      break;
    case CALL_poll_update:
      model_update_answered(s, AS(PollWorkflowExecutionUpdateResponse, response)->update_ref,
                            AS(PollWorkflowExecutionUpdateResponse, response)->stage,
                            AS(PollWorkflowExecutionUpdateResponse, response)->outcome, a);
      break;
    default:
      break;
  }
}

static void judge_client(sim *s, sim_call *c, const void *request, const void *response, arena *a) {
  switch (c->method) {
    case CALL_start:
      start_answered(s, AS(StartWorkflowExecutionRequest, request)->workflow_id,
                     AS(StartWorkflowExecutionRequest, request)->request_id,
                     AS(StartWorkflowExecutionResponse, response)->run_id,
                     AS(StartWorkflowExecutionResponse, response)->started, a);
      wft_given(s, AS(StartWorkflowExecutionResponse, response)->eager_workflow_task);
      break;
    case CALL_signal_with_start:
      run_promised(s, AS(SignalWithStartWorkflowExecutionResponse, response)->run_id);
      signal_answered(s, AS(SignalWithStartWorkflowExecutionRequest, request)->workflow_id,
                      AS(SignalWithStartWorkflowExecutionRequest, request)->signal_name, a);
      break;
    case CALL_signal:
      signal_answered(s,
                      AS(SignalWorkflowExecutionRequest, request)->workflow_execution->workflow_id,
                      AS(SignalWorkflowExecutionRequest, request)->signal_name, a);
      break;
    case CALL_update_with_start:
      update_with_start_answered(s, request, response, a);
      break;
    case CALL_create_schedule:
    case CALL_patch_schedule:
    case CALL_delete_schedule:
    case CALL_describe_schedule:
      model_schedule_answered(s, c, request, response);
      break;
    case CALL_start_batch:
      model_make(s, REC_BATCH, AS(StartBatchOperationRequest, request)->job_id)->acknowledged =
          true;
      break;
    case CALL_activity_pause:
      activity_paused(s, request, a);
      break;
    case CALL_reset:
      reset_answered(s, request, AS(ResetWorkflowExecutionResponse, response)->run_id);
      break;
    case CALL_delete:
      model_make(s, REC_RUN,
                 AS(DeleteWorkflowExecutionRequest, request)->workflow_execution->run_id)
          ->accepted = 1;
      break;
    case CALL_terminate: {
      span run_id = AS(TerminateWorkflowExecutionRequest, request)->workflow_execution->run_id;
      if (run_id.n) model_make(s, REC_CLOSED, run_id)->acknowledged = true;
      break;
    }
    default:
      break;
  }
}

#undef AS

static void judge(sim *s, sim_call *c, const void *request, const void *response, arena *a) {
  judge_client(s, c, request, response, a);
  judge_worker(s, c, request, response, a);
  judge_read(s, c, request, response, a);
}

/* What somebody was told of before this request arrived is found. */
static void judge_not_found(sim *s, const sim_call *c, const pb_WorkflowExecution *x) {
  span run_id = x->run_id, workflow_id = x->workflow_id;
  const record *r =
      run_id.n ? model_find(s, REC_RUN, run_id) : model_find(s, REC_WORKFLOW, workflow_id);
  if (!r || !r->acknowledged || r->may_go || r->time_ns >= c->arrived_ns) return;
  sim_broken(s, "D1", "%s does not find %.*s, which was acknowledged", net_method_name(c->method),
             SPAN_ARG(r->key));
}

/* Nobody else can have started a run meanwhile. */
static void judge_race(sim *s, const sim_call *c, const err *e) {
  bool start = c->method == CALL_start || c->method == CALL_signal_with_start ||
               c->method == CALL_update_with_start;
  if (!start || s->swarm.clients > 1 || s->swarm.dup_per_1000 ||
      !strstr(e->what, "at the same time"))
    return;
  sim_broken(s, "R5", "%s of the only client meets another: %s", net_method_name(c->method),
             e->what);
}

static void judge_error(sim *s, const sim_call *c, const err *e, const void *request) {
  if (e->code == ERR_INTERNAL || e->code == ERR_DATA_LOSS) {
    sim_broken(s, "D3", "%s is answered with %s: %s", net_method_name(c->method),
               err_code_name(e->code), e->what);
  }
  judge_race(s, c, e);
  if (e->code != ERR_NOT_FOUND) return;
  if (c->method == CALL_describe_batch) {
    model_batch_not_found(s, ((const pb_DescribeBatchOperationRequest *)request)->job_id);
  } else if (c->method == CALL_describe_schedule) {
    model_schedule_not_found(s, ((const pb_DescribeScheduleRequest *)request)->schedule_id);
  } else if (c->method == CALL_describe) {
    const pb_DescribeWorkflowExecutionRequest *r = request;
    judge_not_found(s, c, r->execution);
  } else if (c->method == CALL_history) {
    const pb_GetWorkflowExecutionHistoryRequest *r = request;
    judge_not_found(s, c, r->execution);
  }
}

/* What came from the server is read as a client would: decoded from its bytes. */
void model_answered(sim *s, sim_call *c, const err *e, const void *response) {
  arena a = ARENA_INIT;
  void *request = NULL;
  err *wrong = pb_decode(net_request_desc(c->method), bytes_span(c->sent), &a, &request);
  ASSERT(!wrong);
  if (e) {
    judge_error(s, c, e, request);
  } else {
    judge(s, c, request, net_response(c, &a), &a);
  }
  arena_release(&a);
}

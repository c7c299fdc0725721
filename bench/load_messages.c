/* load_messages.c - signals, queries, updates and children of the load generator. */
#include "base/mem.h"
#include "load.h"

static void on_sent(void *arg, const err *e, span message) {
  load *l = arg;
  if (e && !l->stopping) load_fail("a message to a workflow was refused", e);
}

/* --- client --- */

static pb_WorkflowExecution *execution(load *l, const load_workflow *w, arena *a) {
  pb_WorkflowExecution *e = pb_new(a, WorkflowExecution);
  e->workflow_id = load_workflow_id(l, a, w->index);
  return e;
}

static void send_signals(load *l, const load_workflow *w) {
  arena a = ARENA_INIT;
  pb_SignalWorkflowExecutionRequest r = {0};
  r.namespace = SPAN("default");
  r.workflow_execution = execution(l, w, &a);
  r.signal_name = SPAN("more");
  r.input = load_payloads(&a, "input of a signal");
  for (int i = 0; i < l->opt.signals; i++) {
    r.request_id = arena_spanf(&a, "%.*s-%d", SPAN_ARG(r.workflow_execution->workflow_id), i);
    LOAD_CALL(l, SignalWorkflowExecution, &r, 30000, on_sent, l);
  }
  arena_release(&a);
}

typedef struct asking {
  load *l;
  load_workflow *w;
} asking;

static void on_query_answer(void *arg, const err *e, span message) {
  asking *q = arg;
  arena a = ARENA_INIT;
  pb_QueryWorkflowResponse *r;
  if (e && !q->l->stopping) load_fail("QueryWorkflow", e);
  if (e || q->l->stopping) goto end;
  err *bad = PB_DECODE(QueryWorkflowResponse, message, &a, &r);
  if (bad || !span_eq(r->query_result, load_payloads(&a, "state"))) {
    load_fail("a query has a wrong answer", bad);
  }
  send_signals(q->l, q->w);
end:
  arena_release(&a);
  mem_free(q);
}

static void send_query(load *l, load_workflow *w) {
  arena a = ARENA_INIT;
  asking *q = mem_new(asking);
  *q = (asking){l, w};
  pb_QueryWorkflowRequest r = {0};
  r.namespace = SPAN("default");
  r.execution = execution(l, w, &a);
  r.query = pb_new(&a, WorkflowQuery);
  r.query->query_type = SPAN("state");
  LOAD_CALL(l, QueryWorkflow, &r, 30000, on_query_answer, q);
  arena_release(&a);
}

static void send_update(load *l, const load_workflow *w) {
  arena a = ARENA_INIT;
  pb_UpdateWorkflowExecutionRequest r = {0};
  r.namespace = SPAN("default");
  r.workflow_execution = execution(l, w, &a);
  r.wait_policy = pb_new(&a, WaitPolicy);
  r.wait_policy->lifecycle_stage = PB_UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED;
  r.request = pb_new(&a, update_Request);
  r.request->meta = pb_new(&a, Meta);
  r.request->meta->update_id = SPAN("u");
  r.request->meta->identity = SPAN("load-client");
  r.request->input = pb_new(&a, Input);
  r.request->input->name = SPAN("change");
  r.request->input->args = load_payloads(&a, "input of an update");
  LOAD_CALL(l, UpdateWorkflowExecution, &r, 30000, on_sent, l);
  arena_release(&a);
}

void load_send_messages(load *l, load_workflow *w) {
  if (l->opt.query) {
    send_query(l, w);
  } else {
    send_signals(l, w);
  }
  if (l->opt.update) send_update(l, w);
}

/* --- worker --- */

void load_answer_query_task(load *l, const pb_PollWorkflowTaskQueueResponse *t) {
  arena a = ARENA_INIT;
  pb_RespondQueryTaskCompletedRequest r = {0};
  r.namespace = SPAN("default");
  r.task_token = t->task_token;
  r.completed_type = PB_QUERY_RESULT_TYPE_ANSWERED;
  r.query_result = load_payloads(&a, "state");
  LOAD_CALL(l, RespondQueryTaskCompleted, &r, 30000, on_sent, l);
  arena_release(&a);
}

static void answer_queries(arena *a, const pb_PollWorkflowTaskQueueResponse *t,
                           pb_RespondWorkflowTaskCompletedRequest *r) {
  size_t n = t->queries.n;
  r->query_results.v =
      arena_array(a, pb_RespondWorkflowTaskCompletedRequest_QueryResultsEntry *, n);
  for (size_t i = 0; i < n; i++) {
    pb_RespondWorkflowTaskCompletedRequest_QueryResultsEntry *entry =
        pb_new(a, RespondWorkflowTaskCompletedRequest_QueryResultsEntry);
    entry->key = t->queries.v[i]->key;
    entry->value = pb_new(a, WorkflowQueryResult);
    entry->value->result_type = PB_QUERY_RESULT_TYPE_ANSWERED;
    entry->value->answer = load_payloads(a, "state");
    r->query_results.v[r->query_results.n++] = entry;
  }
}

/* A message to the server about the update that came with `about`, and the command that places it.
 */
static void add_message(arena *a, const pb_Message *about, const char *what, span body,
                        pb_RespondWorkflowTaskCompletedRequest *r) {
  pb_Message *m = pb_new(a, Message);
  m->id = arena_spanf(a, "%.*s/%s", SPAN_ARG(about->protocol_instance_id), what);
  m->protocol_instance_id = about->protocol_instance_id;
  m->body = pb_new(a, Any);
  m->body->type_url = arena_spanf(a, "type.googleapis.com/temporal.api.update.v1.%s", what);
  m->body->value = body;
  r->messages.v[r->messages.n++] = m;
  pb_Command *c = load_command_add(a, r, PB_COMMAND_TYPE_PROTOCOL_MESSAGE,
                                   PB_Command_protocol_message_command_attributes_FIELD);
  c->protocol_message_command_attributes = pb_new(a, ProtocolMessageCommandAttributes);
  c->protocol_message_command_attributes->message_id = m->id;
}

static void answer_update(arena *a, const pb_Message *m,
                          pb_RespondWorkflowTaskCompletedRequest *r) {
  pb_update_Request *request;
  err *bad = PB_DECODE(update_Request, m->body->value, a, &request);
  if (bad) load_fail("an update does not decode", bad);
  pb_Acceptance accepted = {.accepted_request_message_id = m->id,
                            .accepted_request_sequencing_event_id = m->event_id,
                            .accepted_request = request};
  add_message(a, m, "Acceptance", PB_ENCODE(Acceptance, &accepted, a), r);
  pb_Outcome outcome = {.which_value = PB_Outcome_success_FIELD,
                        .success = load_payloads(a, "result of an update")};
  pb_update_Response done = {.meta = request->meta, .outcome = &outcome};
  add_message(a, m, "Response", PB_ENCODE(update_Response, &done, a), r);
}

void load_answer_messages(arena *a, load_workflow *w, const pb_PollWorkflowTaskQueueResponse *t,
                          pb_RespondWorkflowTaskCompletedRequest *r) {
  answer_queries(a, t, r);
  r->messages.v = arena_array(a, pb_Message *, 2 * t->messages.n);
  for (size_t i = 0; i < t->messages.n; i++) {
    answer_update(a, t->messages.v[i], r);
    w->updates_done++;
  }
}

void load_add_child(load *l, arena *a, span workflow_id,
                    pb_RespondWorkflowTaskCompletedRequest *r) {
  pb_Command *c =
      load_command_add(a, r, PB_COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
                       PB_Command_start_child_workflow_execution_command_attributes_FIELD);
  pb_StartChildWorkflowExecutionCommandAttributes *s =
      pb_new(a, StartChildWorkflowExecutionCommandAttributes);
  c->start_child_workflow_execution_command_attributes = s;
  s->workflow_id = arena_spanf(a, "%.*s/child", SPAN_ARG(workflow_id));
  s->workflow_type = pb_new(a, WorkflowType);
  s->workflow_type->name = SPAN("Child");
  s->task_queue = pb_new(a, TaskQueue);
  s->task_queue->name = l->queue;
  s->input = load_payloads(a, "input of a child");
}

bool load_is_child(const pb_PollWorkflowTaskQueueResponse *t) {
  return span_eq(t->workflow_type->name, SPAN("Child"));
}

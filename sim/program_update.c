/* program_update.c - what the simulated workers say of updates: the name of an update decides
 * whether it is rejected, and when it is completed and how. What was accepted and not completed is
 * completed with the run's next task. */
#include "sim.h"

typedef struct teller {
  arena *a;
  pb_RespondWorkflowTaskCompletedRequest *r;
  pb_Command **commands; /* that stand for messages */
  size_t n_commands;
  bool with_commands;
} teller;

static void add_command(teller *t, span message_id) {
  pb_Command *c = pb_new(t->a, Command);
  c->command_type = PB_COMMAND_TYPE_PROTOCOL_MESSAGE;
  c->which_attributes = PB_Command_protocol_message_command_attributes_FIELD;
  c->protocol_message_command_attributes = pb_new(t->a, ProtocolMessageCommandAttributes);
  c->protocol_message_command_attributes->message_id = message_id;
  t->commands[t->n_commands++] = c;
}

static void add(teller *t, span update_id, const char *type, span body) {
  pb_Message *m = pb_new(t->a, Message);
  m->id = arena_spanf(t->a, "%.*s/%s", SPAN_ARG(update_id), type);
  m->protocol_instance_id = update_id;
  m->body = pb_new(t->a, Any);
  m->body->type_url = arena_spanf(t->a, "type.googleapis.com/temporal.api.update.v1.%s", type);
  m->body->value = body;
  t->r->messages.v[t->r->messages.n++] = m;
  if (t->with_commands && strcmp(type, "Rejection") != 0) add_command(t, m->id);
}

static void complete(teller *t, span update_id, span name) {
  pb_Failure failure = {.message = SPAN("the update fails")};
  pb_Meta meta = {.update_id = update_id};
  pb_Outcome outcome = {.which_value = PB_Outcome_success_FIELD,
                        .success = text_payloads(t->a, "updated")};
  if (span_eq(name, SPAN(UPDATE_FAIL))) {
    outcome = (pb_Outcome){.which_value = PB_Outcome_failure_FIELD, .failure = &failure};
  }
  pb_update_Response response = {.meta = &meta, .outcome = &outcome};
  add(t, update_id, "Response", PB_ENCODE(update_Response, &response, t->a));
}

static void reject(teller *t, const pb_Message *in, pb_update_Request *asked) {
  pb_Failure failure = {.message = SPAN(UPDATE_REJECTED)};
  pb_Rejection rejection = {.rejected_request_message_id = in->id,
                            .rejected_request_sequencing_event_id = in->event_id,
                            .rejected_request = asked,
                            .failure = &failure};
  add(t, in->protocol_instance_id, "Rejection", PB_ENCODE(Rejection, &rejection, t->a));
}

static void answer(teller *t, const pb_Message *in) {
  pb_update_Request *asked = NULL;
  err *e = PB_DECODE(update_Request, in->body->value, t->a, &asked);
  ASSERT(!e);
  span name = asked->input->name;
  if (span_eq(name, SPAN(UPDATE_REJECT))) {
    reject(t, in, asked);
    return;
  }
  pb_Acceptance acceptance = {.accepted_request_message_id = in->id,
                              .accepted_request_sequencing_event_id = in->event_id,
                              .accepted_request = asked};
  add(t, in->protocol_instance_id, "Acceptance", PB_ENCODE(Acceptance, &acceptance, t->a));
  if (!span_eq(name, SPAN(UPDATE_SLOW))) complete(t, in->protocol_instance_id, name);
}

static bool is_completed(pb_HistoryEvent *const *events, size_t n, int64_t accepted_id) {
  for (size_t i = 0; i < n; i++) {
    if (events[i]->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED &&
        events[i]->workflow_execution_update_completed_event_attributes->accepted_event_id ==
            accepted_id) {
      return true;
    }
  }
  return false;
}

static void complete_accepted(teller *t, pb_HistoryEvent *const *events, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (events[i]->event_type != PB_EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED) continue;
    if (is_completed(events, n, events[i]->event_id)) continue;
    const pb_WorkflowExecutionUpdateAcceptedEventAttributes *at =
        events[i]->workflow_execution_update_accepted_event_attributes;
    complete(t, at->protocol_instance_id, SPAN(UPDATE_SLOW));
  }
}

/* Before what the workflow itself decides: the last command may end the run. */
static void put_commands(teller *t) {
  size_t n = t->n_commands + t->r->commands.n;
  pb_Command **v = arena_array(t->a, pb_Command *, n + 1);
  memcpy(v, t->commands, t->n_commands * sizeof *v);
  if (t->r->commands.n) {
    memcpy(v + t->n_commands, t->r->commands.v, t->r->commands.n * sizeof *v);
  }
  t->r->commands.v = v;
  t->r->commands.n = n;
}

void program_updates(pb_HistoryEvent *const *events, size_t n, const pb_list_Message *in,
                     bool with_commands, arena *a, pb_RespondWorkflowTaskCompletedRequest *r) {
  size_t most = 2 * in->n + n;
  teller t = {.a = a, .r = r, .with_commands = with_commands};
  t.commands = arena_array(a, pb_Command *, most + 1);
  r->messages.v = arena_array(a, pb_Message *, most + 1);
  complete_accepted(&t, events, n);
  for (size_t i = 0; i < in->n; i++) answer(&t, in->v[i]);
  put_commands(&t);
}

/* update_messages.c - what the worker says of updates: acceptances, rejections, responses.
 *
 * A message is taken where its command stands, so that events keep the order of commands; those
 * without a command come last. Anything not valid fails the workflow task.
 */
#include "engine/command.h"
#include "engine/update.h"

static const int32_t bad_message =
    PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE;

/* --- what kind of message --- */

typedef struct message_place {
  command_ctx *c;
  const pb_Message *message;
  run_update *waiting;   /* not accepted yet */
  engine_item *accepted; /* in history */
} message_place;

typedef struct message_rule {
  const char *name;
  err *(*take)(message_place *p, span body);
} message_rule;

static err *take_acceptance(message_place *p, span body);
static err *take_rejection(message_place *p, span body);
static err *take_response(message_place *p, span body);
static err *take_request(message_place *p, span body);

static const message_rule rules[] = {{"Acceptance", take_acceptance},
                                     {"Rejection", take_rejection},
                                     {"Response", take_response},
                                     {"Request", take_request}};

/* "x/temporal.api.update.v1.Response": what is behind the last slash. */
static span type_of(const pb_Message *m) {
  span url = m->body->type_url;
  if (!url.n) return url;
  size_t at = url.n;
  while (at > 0 && url.p[at - 1] != '/') at--;
  return span_of(url.p + at, url.n - at);
}

static span protocol_of(span type) {
  size_t n = type.n;
  while (n > 0 && type.p[n - 1] != '.') n--;
  return span_of(type.p, n ? n - 1 : 0);
}

static const message_rule *rule_of(span type) {
  span protocol = protocol_of(type);
  if (!span_eq(protocol, SPAN("temporal.api.update.v1"))) return NULL;
  span name = span_of(type.p + protocol.n + 1, type.n - protocol.n - 1);
  for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
    if (span_eq(name, span_cstr(rules[i].name))) return &rules[i];
  }
  return NULL;
}

err *messages_check(const pb_RespondWorkflowTaskCompletedRequest *r, arena *a) {
  for (size_t i = 0; i < r->messages.n; i++) {
    if (!r->messages.v[i]->body) return ERR(a, INVALID_ARGUMENT, "nil message body");
  }
  return NULL;
}

bool messages_only_reject(const pb_RespondWorkflowTaskCompletedRequest *r) {
  for (size_t i = 0; i < r->messages.n; i++) {
    const message_rule *rule = rule_of(type_of(r->messages.v[i]));
    if (!rule || rule->take != take_rejection) return false;
  }
  return true;
}

/* --- states, as error texts name them --- */

static const char *state_name(const message_place *p) {
  if (p->waiting) return p->waiting->sent ? "Sent" : "Admitted";
  const pb_store_UpdateItem *it = item_msg(p->accepted), *before = p->accepted->msg;
  bool accepted_before = before && before->accepted_id;
  if (!it->completed_id) return accepted_before ? "Accepted" : "ProvisionallyAccepted";
  if (before && before->completed_id) return "Completed";
  return accepted_before ? "ProvisionallyCompletedAfterAccepted" : "ProvisionallyCompleted";
}

static err *wrong_state(const message_place *p, const char *type) {
  return command_refuse(p->c, bad_message,
                        "invalid state transition attempted for Update %.*s: received *update.%s "
                        "message while in state %s",
                        SPAN_ARG(p->message->protocol_instance_id), type, state_name(p));
}

static err *lacks(const message_place *p, const char *type, const char *field) {
  return command_refuse(p->c, bad_message, "invalid *update.%s: %s is not set", type, field);
}

static err *undecodable(const message_place *p) {
  return command_refuse(p->c, bad_message, "message %.*s of update %.*s cannot be decoded",
                        SPAN_ARG(p->message->id), SPAN_ARG(p->message->protocol_instance_id));
}

/* --- taking them --- */

static void tell(engine_run *run, span id, engine_update_stage stage, const pb_Outcome *outcome) {
  *step_update(run->tx.st) = (engine_update){.id = id, .stage = stage, .outcome = outcome};
}

/* The server lost the update, but the worker has its request: it goes on. */
static err *resurrect(message_place *p, span body) {
  engine_run *run = p->c->run;
  arena *a = run->tx.arena;
  pb_Acceptance *in = NULL;
  span id = p->message->protocol_instance_id;
  const message_rule *rule = rule_of(type_of(p->message));
  bool may = rule && rule->take == take_acceptance && !PB_DECODE(Acceptance, body, a, &in) &&
             in->accepted_request && in->accepted_request->meta &&
             span_eq(in->accepted_request->meta->update_id, id);
  if (!may) {
    return command_refuse(p->c, bad_message,
                          "update %.*s wasn't found on the server. This is most likely a transient "
                          "error which will be resolved automatically by retries",
                          SPAN_ARG(id));
  }
  bytes *request = bytes_copy(PB_ENCODE(update_Request, in->accepted_request, a));
  p->waiting = update_add(run, id, request, 0);
  p->waiting->sent = true;
  return NULL;
}

static err *take_acceptance(message_place *p, span body) {
  engine_run *run = p->c->run;
  tx *t = &run->tx;
  pb_Acceptance *in = NULL;
  pb_update_Request *request = NULL;
  run_update *u = p->waiting;
  if (!u || !u->sent) return wrong_state(p, "Acceptance");
  if (PB_DECODE(Acceptance, body, t->arena, &in)) return undecodable(p);
  if (!in->accepted_request_sequencing_event_id) {
    return lacks(p, "Acceptance", "accepted_request_sequencing_event_id");
  }
  if (!in->accepted_request_message_id.n) {
    return lacks(p, "Acceptance", "accepted_request_message_id");
  }
  err *e = PB_DECODE(update_Request, bytes_span(u->request), t->arena, &request);
  ASSERT(!e);
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        workflow_execution_update_accepted_event_attributes,
        WorkflowExecutionUpdateAcceptedEventAttributes);
  span id = arena_dup(t->arena, update_id(u));
  attrs->protocol_instance_id = id;
  attrs->accepted_request_message_id = in->accepted_request_message_id;
  attrs->accepted_request_sequencing_event_id = in->accepted_request_sequencing_event_id;
  /* An UpdateAdmitted event holds the request already. */
  if (!u->item_id) attrs->accepted_request = request;
  tx_append(run, ev);
  pb_store_UpdateItem *it = u->item_id
                                ? item_edit(run, item_by_id(run, u->item_id, PB_ITEM_KIND_UPDATE))
                                : item_new(run, ev->event_id, PB_ITEM_KIND_UPDATE, id);
  it->update_id = id;
  it->request_id = request->request_id;
  it->accepted_id = ev->event_id;
  it->request = NULL;
  run->state.updates_open++;
  u->leaves = true;
  tell(run, id, ENGINE_UPDATE_ACCEPTED, NULL);
  return NULL;
}

static err *take_response(message_place *p, span body) {
  engine_run *run = p->c->run;
  tx *t = &run->tx;
  pb_update_Response *in = NULL;
  const pb_store_UpdateItem *it = p->accepted ? item_msg(p->accepted) : NULL;
  if (!it || !it->accepted_id || it->completed_id) return wrong_state(p, "Response");
  if (PB_DECODE(update_Response, body, t->arena, &in)) return undecodable(p);
  span id = p->message->protocol_instance_id;
  if (!in->meta) return lacks(p, "Response", "meta");
  if (!span_eq(in->meta->update_id, id)) {
    return command_refuse(p->c, bad_message, "invalid *update.Response: meta.update_id != %.*s",
                          SPAN_ARG(id));
  }
  if (!in->outcome) return lacks(p, "Response", "outcome");
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_UPDATE_COMPLETED,
        workflow_execution_update_completed_event_attributes,
        WorkflowExecutionUpdateCompletedEventAttributes);
  attrs->meta = in->meta;
  attrs->outcome = in->outcome;
  if (in->outcome->which_value == PB_Outcome_failure_FIELD && in->outcome->failure) {
    in->outcome->failure = failure_fit_depth(in->outcome->failure, t->arena);
  }
  attrs->accepted_event_id = it->accepted_id;
  tx_append(run, ev);
  ((pb_store_UpdateItem *)item_edit(run, p->accepted))->completed_id = ev->event_id;
  run->state.updates_open--;
  tell(run, id, ENGINE_UPDATE_COMPLETED, in->outcome);
  return NULL;
}

static void reject(engine_run *run, run_update *u, pb_Failure *failure) {
  arena *a = run->tx.arena;
  pb_Outcome *o = pb_new(a, Outcome);
  o->which_value = PB_Outcome_failure_FIELD;
  o->failure = failure;
  u->leaves = true;
  engine_item *it = u->item_id ? item_by_id(run, u->item_id, PB_ITEM_KIND_UPDATE) : NULL;
  if (it) item_delete(run, it);
  tell(run, arena_dup(a, update_id(u)), ENGINE_UPDATE_COMPLETED, o);
}

static err *take_rejection(message_place *p, span body) {
  engine_run *run = p->c->run;
  pb_Rejection *in = NULL;
  if (!p->waiting || !p->waiting->sent) return wrong_state(p, "Rejection");
  if (PB_DECODE(Rejection, body, run->tx.arena, &in)) return undecodable(p);
  reject(run, p->waiting, in->failure);
  return NULL;
}

static err *take_request(message_place *p, span body) {
  (void)body;
  return command_refuse(p->c, bad_message, "Message type *update.Request not supported");
}

static err *take(command_ctx *c, size_t at) {
  engine_run *run = c->run;
  const pb_Message *m = c->request->messages.v[at];
  span type = type_of(m), id = m->protocol_instance_id;
  const message_rule *rule = rule_of(type);
  c->taken[at] = true;
  TRY(command_check_bytes(c, m->body->value.n, run->tx.st->host->limits->blob_bytes, bad_message,
                          arena_printf(run->tx.arena, "Message type %.*s", SPAN_ARG(type))));
  if (!rule) {
    return command_refuse(c, bad_message, "unsupported protocol type %.*s",
                          SPAN_ARG(protocol_of(type)));
  }
  message_place p = {.c = c, .message = m, .waiting = update_find(run, id)};
  if (!p.waiting) p.accepted = item_by_name(run, PB_ITEM_KIND_UPDATE, id);
  if (!p.waiting && !p.accepted) TRY(resurrect(&p, m->body->value));
  return rule->take(&p, m->body->value);
}

err *command_protocol_message(command_ctx *c, const pb_Command *cmd) {
  const pb_ProtocolMessageCommandAttributes *in =
      cmd->which_attributes == PB_Command_protocol_message_command_attributes_FIELD
          ? cmd->protocol_message_command_attributes
          : NULL;
  if (!in) {
    return command_refuse(c, bad_message,
                          "ProtocolMessageCommandAttributes is not set on ProtocolMessageCommand.");
  }
  if (!in->message_id.n) {
    return command_refuse(c, bad_message, "MessageID is not set on ProtocolMessageCommand.");
  }
  for (size_t i = 0; i < c->request->messages.n; i++) {
    if (!c->taken[i] && span_eq(c->request->messages.v[i]->id, in->message_id)) return take(c, i);
  }
  return command_refuse(c, bad_message, "ProtocolMessageCommand referenced absent message ID %.*s",
                        SPAN_ARG(in->message_id));
}

err *messages_take_rest(command_ctx *c) {
  engine_run *run = c->run;
  arena *a = run->tx.arena;
  for (size_t i = 0; i < c->request->messages.n; i++) {
    if (!c->taken[i]) TRY(take(c, i));
  }
  LIST_FOR_EACH (n, &run->updates) {
    run_update *u = CONTAINER_OF(n, run_update, node);
    if (!update_waits(u) || !u->sent) continue;
    reject(run, u,
           failure_application(a,
                               SPAN("Workflow Update is rejected because it wasn't processed by "
                                    "worker. Probably, Workflow Update is not supported by the "
                                    "worker."),
                               SPAN("UnprocessedUpdate")));
  }
  return NULL;
}

/* script_update.c - updates in scripts: sent by clients, answered below `complete`. */
#include "engine/script_text.h"
#include "engine/script_verbs.h"
#include "engine/update.h"

static pb_update_Request *request_of(world *w, span id) {
  pb_update_Request *r = pb_new(&w->arena, update_Request);
  r->meta = pb_new(&w->arena, Meta);
  r->meta->update_id = id;
  r->input = pb_new(&w->arena, Input);
  r->input->name = SPAN("upd");
  return r;
}

/* update ID name=value ...: fields of update.v1.Request. */
const char *script_update(world *w, const script_line *line) {
  if (line->n < 2) return "update takes an id";
  pb_update_Request *r = request_of(w, line->words[1]);
  const char *why = script_fill(w, line, 2, "", &pb_update_Request_desc, r);
  if (why) return why;
  engine_step *st = world_begin(w);
  world_end(w, engine_update_admit(world_run(w), st, r));
  return NULL;
}

/* reapply ID: the update is admitted once more, by an event, as after a reset. */
const char *script_reapply(world *w, const script_line *line) {
  if (line->n < 2) return "reapply takes an id";
  engine_run *run = world_run(w);
  engine_step *st = world_begin(w);
  st->lazy = false;
  tx_begin(run, st);
  wft_settle(run);
  update_admit_again(run, request_of(w, line->words[1]));
  wft_schedule(run, true);
  tx_finish(run);
  world_end(w, NULL);
  return NULL;
}

static const char *const stages[] = {"unknown", "admitted", "accepted", "completed"};

static void add_update(world *w, const engine_update *u) {
  buf_addf(&w->out, "update %.*s ", SPAN_ARG(u->id));
  buf_adds(&w->out, u->error ? u->error->what : stages[u->stage]);
  const pb_Outcome *o = u->outcome;
  bool without_failure = o && o->which_value == PB_Outcome_failure_FIELD && !o->failure;
  if (without_failure) buf_adds(&w->out, " without a failure");
  if (o && !without_failure) text_dump(&w->out, &pb_Outcome_desc, o);
  if (u->outcome_event_id) buf_addf(&w->out, " in event %lld", (long long)u->outcome_event_id);
  buf_addb(&w->out, '\n');
}

void script_add_updates(world *w, const engine_step *st) {
  for (size_t i = 0; i < st->n_updates; i++) add_update(w, &st->updates[i]);
}

const char *script_look(world *w, const script_line *line) {
  if (line->n != 2) return "look takes an id";
  engine_update u = engine_update_look(world_run(w), line->words[1], &w->arena);
  add_update(w, &u);
  return NULL;
}

/* --- what the worker says --- */

static span body_of(world *w, const script_line *line, span id, const char **ret_type,
                    const char **ret_why) {
  arena *a = &w->arena;
  span message = arena_spanf(a, "%.*s/request", SPAN_ARG(id));
  if (span_eq(line->words[0], SPAN("accept"))) {
    pb_Acceptance in = {.accepted_request_message_id = message,
                        .accepted_request_sequencing_event_id = 1,
                        .accepted_request = request_of(w, id)};
    *ret_type = "Acceptance";
    *ret_why = script_fill(w, line, 2, "", &pb_Acceptance_desc, &in);
    return PB_ENCODE(Acceptance, &in, a);
  }
  if (span_eq(line->words[0], SPAN("refuse"))) {
    pb_Rejection in = {.rejected_request_message_id = message};
    *ret_type = "Rejection";
    *ret_why = script_fill(w, line, 2, "", &pb_Rejection_desc, &in);
    return PB_ENCODE(Rejection, &in, a);
  }
  pb_update_Response in = {.meta = request_of(w, id)->meta};
  *ret_type = "Response";
  *ret_why = script_fill(w, line, 2, "", &pb_update_Response_desc, &in);
  return PB_ENCODE(update_Response, &in, a);
}

bool script_is_message(const script_line *line) {
  return span_eq(line->words[0], SPAN("accept")) || span_eq(line->words[0], SPAN("refuse")) ||
         span_eq(line->words[0], SPAN("respond"));
}

const char *script_message(world *w, const script_line *line,
                           pb_RespondWorkflowTaskCompletedRequest *r) {
  arena *a = &w->arena;
  if (line->n < 2) return "a message takes the id of an update";
  span id = line->words[1];
  const char *type, *why;
  span body = body_of(w, line, id, &type, &why);
  if (why) return why;
  pb_Message *m = pb_new(a, Message);
  m->id = arena_spanf(a, "%.*s/%.*s", SPAN_ARG(id), SPAN_ARG(line->words[0]));
  m->protocol_instance_id = id;
  m->body = pb_new(a, Any);
  m->body->type_url = arena_spanf(a, "type.googleapis.com/temporal.api.update.v1.%s", type);
  m->body->value = body;
  r->messages.v[r->messages.n++] = m;
  if (span_eq(line->words[0], SPAN("refuse"))) return NULL;
  pb_Command *cmd = pb_new(a, Command);
  cmd->command_type = PB_COMMAND_TYPE_PROTOCOL_MESSAGE;
  cmd->which_attributes = PB_Command_protocol_message_command_attributes_FIELD;
  cmd->protocol_message_command_attributes = pb_new(a, ProtocolMessageCommandAttributes);
  cmd->protocol_message_command_attributes->message_id = m->id;
  r->commands.v[r->commands.n++] = cmd;
  return NULL;
}

void script_add_messages(world *w, const pb_list_Message *messages) {
  for (size_t i = 0; i < messages->n; i++) {
    const pb_Message *m = messages->v[i];
    buf_addf(&w->out, "  message %.*s after %lld\n", SPAN_ARG(m->id), (long long)m->event_id);
  }
}

/* script_outside.c - messages to and from other runs, in scripts. */
#include <stdlib.h>

#include "engine/message.h"
#include "engine/script_text.h"
#include "engine/script_verbs.h"

static int64_t number(world *w, span text) {
  return strtoll(arena_cstr(&w->arena, text), NULL, 10);
}

/* Up to the next slash, which is taken too. */
static span part(span *rest) {
  const uint8_t *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;
  span first = slash ? span_of(rest->p, (size_t)(slash - rest->p)) : *rest;
  *rest = slash ? span_of(slash + 1, rest->n - first.n - 1) : SPAN_NONE;
  return first;
}

const char *script_parent(world *w, span text, engine_parent *ret_parent) {
  *ret_parent = (engine_parent){.ns_name = SPAN("default"), .ns_id = SPAN("default")};
  ret_parent->workflow_id = ret_parent->root_workflow_id = part(&text);
  ret_parent->run_id = ret_parent->root_run_id = part(&text);
  ret_parent->initiated_id = number(w, part(&text));
  return ret_parent->initiated_id ? NULL : "a parent is WORKFLOW/RUN/INITIATED";
}

/* --- what the run tells --- */

static void add_message(world *w, const engine_message *m) {
  if (m->start) text_dump(&w->out, &pb_StartWorkflowExecutionRequest_desc, m->start);
  if (m->signal) {
    text_dump(&w->out, &pb_SignalExternalWorkflowExecutionInitiatedEventAttributes_desc, m->signal);
  }
  if (m->close) buf_adds(&w->out, " ");
  if (m->close) text_add_enum(&w->out, &pb_EventType_enum, m->close->event_type);
  if (m->kind == MESSAGE_CLOSE_CHILD) buf_adds(&w->out, m->terminates ? " terminate" : " cancel");
  if (m->child_only) buf_adds(&w->out, " child_only");
  if (m->cause.n) buf_addf(&w->out, " cause=%.*s", SPAN_ARG(m->cause));
  if (m->first_run_id.n) buf_addf(&w->out, " first_run=%.*s", SPAN_ARG(m->first_run_id));
  buf_addb(&w->out, '\n');
}

const char *script_tell(world *w, const script_line *line) {
  engine_message m;
  if (line->n != 2) return "tell takes the number of an item";
  if (engine_message_read(world_run(w), number(w, line->words[1]), &w->arena, &m)) {
    buf_adds(&w->out, "tells");
    add_message(w, &m);
  } else {
    buf_adds(&w->out, "nothing to tell\n");
  }
  return NULL;
}

const char *script_answer(world *w, const script_line *line) {
  static const char *const answers[] = {[ANSWER_DONE] = "done",
                                        [ANSWER_ALREADY_EXISTS] = "exists",
                                        [ANSWER_NOT_FOUND] = "not_found",
                                        [ANSWER_SIGNAL_LIMIT] = "limit"};
  static const struct {
    const char *word;
    engine_message_kind kind;
  } kinds[] = {{"start", MESSAGE_START_CHILD},
               {"close", MESSAGE_CLOSE_CHILD},
               {"signal", MESSAGE_SIGNAL},
               {"cancel", MESSAGE_CANCEL},
               {"result", MESSAGE_CHILD_RESULT}};
  if (line->n != 4) return "answer takes the kind and number of a message, and an answer";
  for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
    if (!span_eq(line->words[1], span_cstr(kinds[k].word))) continue;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
      if (!span_eq(line->words[3], span_cstr(answers[i]))) continue;
      engine_message_answered(world_run(w), world_begin(w), number(w, line->words[2]),
                              kinds[k].kind, (engine_answer)i);
      world_end(w, NULL);
      return NULL;
    }
  }
  return "no such message or answer";
}

/* --- what it hears --- */

/* The close event named by its type and the fields of its attributes. */
static const char *close_event(world *w, const script_line *line, pb_HistoryEvent *ev) {
  static const struct {
    const char *word;
    int32_t type;
    const pb_desc *attributes;
  } ends[] = {{"completed", PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
               &pb_WorkflowExecutionCompletedEventAttributes_desc},
              {"failed", PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
               &pb_WorkflowExecutionFailedEventAttributes_desc},
              {"canceled", PB_EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
               &pb_WorkflowExecutionCanceledEventAttributes_desc},
              {"timed_out", PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
               &pb_WorkflowExecutionTimedOutEventAttributes_desc},
              {"terminated", PB_EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
               &pb_WorkflowExecutionTerminatedEventAttributes_desc}};
  for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
    if (!span_eq(line->words[2], span_cstr(ends[i].word))) continue;
    void *attributes = arena_zalloc(&w->arena, pb_struct_bytes(ends[i].attributes));
    ev->event_type = ends[i].type;
    /* Members of one union, all pointers. */
    ev->workflow_execution_completed_event_attributes = attributes;
    return script_fill(w, line, 4, "run", ends[i].attributes, attributes);
  }
  return "no such end";
}

const char *script_child_ended(world *w, const script_line *line) {
  pb_HistoryEvent *ev = pb_new(&w->arena, HistoryEvent);
  if (line->n < 4) return "child_ended takes an item, an end and the first run of the child";
  const char *why = close_event(w, line, ev);
  if (why) return why;
  engine_message m = {.kind = MESSAGE_CHILD_RESULT,
                      .from = {.workflow_id = SPAN("kid"), .run_id = SPAN("kid-run")},
                      .first_run_id = line->words[3],
                      .parent_initiated_id = number(w, line->words[1]),
                      .close = ev};
  engine_child_ended(world_run(w), world_begin(w), &m);
  world_end(w, NULL);
  return NULL;
}

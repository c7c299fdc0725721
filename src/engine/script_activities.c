/* script_activities.c - what workers and clients say of activities, in scripts. */
#include "engine/engine_int.h"
#include "engine/script_text.h"
#include "engine/script_verbs.h"

const char *script_take(world *w, const script_line *line) {
  if (line->n < 2) return "take whom?";
  span id = line->words[1];
  const engine_item *it = item_by_name(world_run(w), PB_ITEM_KIND_ACTIVITY, id);
  int64_t scheduled_id = it ? it->id : script_number(w, id);
  pb_WorkerVersionCapabilities version = {.build_id = script_option(line, "build_id", SPAN_NONE)};
  engine_poller p = {.identity = script_option(line, "identity", SPAN("worker")),
                     .request_id = script_option(line, "request_id", world_poll_id(w)),
                     .version = version.build_id.n ? &version : NULL};
  engine_activity got;
  engine_step *st = world_begin(w);
  err *e = engine_activity_start(world_run(w), st, scheduled_id, it ? it->queued.seq : 0, &p, &got);
  if (!e) {
    buf_addf(&w->out, "gives attempt=%d", got.response->attempt);
    if (script_has_word(line, "whole")) {
      text_dump(&w->out, &pb_PollActivityTaskQueueResponse_desc, got.response);
    }
    buf_addb(&w->out, '\n');
    world_keep_token(w, script_option(line, "as", id), got.token);
    world_keep_answer(w, script_option(line, "recorded", SPAN_NONE),
                      &pb_PollActivityTaskQueueResponse_desc, got.response);
  }
  world_end(w, e);
  return NULL;
}

/* The second word: a token's name, or id:NAME. */
static const char *activity_ref(world *w, const script_line *line, engine_activity_ref *ret) {
  if (line->n < 2) return "which activity?";
  *ret = (engine_activity_ref){0};
  if (span_starts_with(line->words[1], SPAN("id:"))) {
    ret->activity_id = span_of(line->words[1].p + 3, line->words[1].n - 3);
    return NULL;
  }
  ret->token = world_token_named(w, line->words[1]);
  return ret->token ? NULL : "no such token";
}

const char *script_release(world *w, const script_line *line) {
  engine_activity_ref ref;
  const char *why = activity_ref(w, line, &ref);
  if (why) return why;
  engine_step *st = world_begin(w);
  world_end(w, engine_activity_unstart(world_run(w), st, ref.token));
  return NULL;
}

#define ACTIVITY_REQUEST(Name)                                       \
  engine_activity_ref ref;                                           \
  pb_##Name *r = pb_new(&w->arena, Name);                            \
  r->identity = SPAN("worker");                                      \
  const char *why = activity_ref(w, line, &ref);                     \
  if (!why) why = script_fill(w, line, 2, "", &pb_##Name##_desc, r); \
  if (why) return why;                                               \
  engine_step *st = world_begin(w)

const char *script_done(world *w, const script_line *line) {
  ACTIVITY_REQUEST(RespondActivityTaskCompletedRequest);
  world_end(w, engine_activity_complete(world_run(w), st, ref, r->result, r->identity,
                                        r->worker_version));
  return NULL;
}

const char *script_failed(world *w, const script_line *line) {
  ACTIVITY_REQUEST(RespondActivityTaskFailedRequest);
  world_end(w, engine_activity_fail(world_run(w), st, ref, r->failure, r->identity,
                                    r->last_heartbeat_details, r->worker_version));
  return NULL;
}

const char *script_canceled(world *w, const script_line *line) {
  ACTIVITY_REQUEST(RespondActivityTaskCanceledRequest);
  world_end(
      w, engine_activity_cancel(world_run(w), st, ref, r->details, r->identity, r->worker_version));
  return NULL;
}

const char *script_beat(world *w, const script_line *line) {
  engine_heartbeat heard = {0};
  ACTIVITY_REQUEST(RecordActivityTaskHeartbeatRequest);
  err *e = engine_activity_heartbeat(world_run(w), st, ref, r->details, r->identity, &heard);
  if (heard.cancel_requested) buf_adds(&w->out, "cancel requested\n");
  if (heard.paused) buf_adds(&w->out, "paused\n");
  if (heard.reset) buf_adds(&w->out, "reset\n");
  world_end(w, e);
  return NULL;
}

/* script_control.c - what operators do to runs and activities, in scripts. */
#include "engine/script_text.h"
#include "engine/script_verbs.h"

#define CONTROL_REQUEST(Name)                                          \
  pb_##Name *r = pb_new(&w->arena, Name);                              \
  const char *why = script_fill(w, line, 1, "", &pb_##Name##_desc, r); \
  if (why) return why;                                                 \
  engine_step *st = world_begin(w)

const char *script_pause(world *w, const script_line *line) {
  CONTROL_REQUEST(PauseActivityRequest);
  world_end(w, engine_activity_pause(world_run(w), st, r));
  return NULL;
}

const char *script_unpause(world *w, const script_line *line) {
  CONTROL_REQUEST(UnpauseActivityRequest);
  world_end(w, engine_activity_unpause(world_run(w), st, r));
  return NULL;
}

const char *script_reset(world *w, const script_line *line) {
  CONTROL_REQUEST(ResetActivityRequest);
  world_end(w, engine_activity_reset(world_run(w), st, r));
  return NULL;
}

const char *script_options(world *w, const script_line *line) {
  CONTROL_REQUEST(UpdateActivityOptionsRequest);
  pb_ActivityOptions *options = NULL;
  err *e = engine_activity_update_options(world_run(w), st, r, &options);
  if (!e) {
    buf_adds(&w->out, "options");
    text_dump(&w->out, &pb_ActivityOptions_desc, options);
    buf_addb(&w->out, '\n');
  }
  world_end(w, e);
  return NULL;
}

const char *script_update_options(world *w, const script_line *line) {
  CONTROL_REQUEST(UpdateWorkflowExecutionOptionsRequest);
  pb_WorkflowExecutionOptions *options = NULL;
  err *e = engine_update_options(world_run(w), st, r, &options);
  if (!e) {
    buf_adds(&w->out, "options");
    text_dump(&w->out, &pb_WorkflowExecutionOptions_desc, options);
    buf_addb(&w->out, '\n');
  }
  world_end(w, e);
  return NULL;
}

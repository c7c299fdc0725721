/* script_verbs.h - the lines a test script may hold: one function per first word. */
#ifndef PERDURE_ENGINE_SCRIPT_VERBS_H
#define PERDURE_ENGINE_SCRIPT_VERBS_H

#include "engine/script_world.h"

enum { LINE_MOST_WORDS = 64 };

/* One line, and the indented lines below it. */
typedef struct script_line {
  span words[LINE_MOST_WORDS];
  size_t n;
  struct script_line *subs;
  size_t n_subs;
} script_line;

void script_split(span text, arena *a, script_line *ret_line);
/* One line below `complete`, as the command it is. The line must be right. */
pb_Command *script_command(world *w, span text);
/* Takes the first line off the text, without its end. */
span script_next_line(span *rest);
/* Does every line of the text up to the first that is wrong or breaks a promise. What is wrong with
 * the line itself, or NULL. */
const char *script_run(world *w, span text);
/* Does what the line says and writes down what happened. What is wrong with the line itself, or
 * NULL. */
const char *script_do(world *w, const script_line *line);
/* The verb `reset_run`. */
const char *script_reset_run(world *w, const script_line *line);

/* Every "path=value" from word `from` on goes into the message, but for the `own` options. What is
 * wrong, or NULL. */
const char *script_fill(world *w, const script_line *line, size_t from, const char *own,
                        const pb_desc *d, void *msg);

/* --- script_outside.c --- */

/* "WORKFLOW/RUN/INITIATED", as the parent of a start. */
const char *script_parent(world *w, span text, engine_parent *ret_parent);
const char *script_tell(world *w, const script_line *line);
const char *script_answer(world *w, const script_line *line);
const char *script_child_ended(world *w, const script_line *line);

/* The value of "name=value" in the line. */
span script_option(const script_line *line, const char *name, span otherwise);
bool script_has_word(const script_line *line, const char *word);
/* 0 for what is no number. */
long long script_number(world *w, span text);

/* --- script_activities.c --- */

const char *script_take(world *w, const script_line *line);
const char *script_release(world *w, const script_line *line);
const char *script_done(world *w, const script_line *line);
const char *script_failed(world *w, const script_line *line);
const char *script_canceled(world *w, const script_line *line);
const char *script_beat(world *w, const script_line *line);

/* --- script_control.c --- */

const char *script_pause(world *w, const script_line *line);
const char *script_unpause(world *w, const script_line *line);
const char *script_reset(world *w, const script_line *line);
const char *script_options(world *w, const script_line *line);
const char *script_update_options(world *w, const script_line *line);

/* --- script_update.c --- */

const char *script_update(world *w, const script_line *line);
const char *script_reapply(world *w, const script_line *line);
const char *script_look(world *w, const script_line *line);
/* "accept ID", "refuse ID", "respond ID": a message below `complete`, with its command but for a
 * refusal. */
bool script_is_message(const script_line *line);
const char *script_message(world *w, const script_line *line,
                           pb_RespondWorkflowTaskCompletedRequest *r);
/* What a task carries. */
void script_add_messages(world *w, const pb_list_Message *messages);

/* --- script_explain.c --- */

const char *script_explain(world *w, const script_line *line);
const char *script_visible(world *w, const script_line *line);

#endif

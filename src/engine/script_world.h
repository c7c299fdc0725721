/* script_world.h - what surrounds the run of a test script: the host that names things in a way
 * that repeats, a model of the rows that are stored, and the promise checked after every step: the
 * run is sound, and what memory holds is what the rows say. */
#ifndef PERDURE_ENGINE_SCRIPT_WORLD_H
#define PERDURE_ENGINE_SCRIPT_WORLD_H

#include "base/buf.h"
#include "engine/engine_int.h"

enum {
  WORLD_MOST_RUNS = 64,
  WORLD_MOST_QUEUES = 64,
  WORLD_MOST_TOKENS = 512,
  WORLD_MOST_ANSWERS = 64
};

/* The rows that would be stored, in the order in which they first came. */
typedef struct model {
  store_row *rows;
  size_t n, cap;
} model;

/* Applies one row, taking references; what is wrong with it, or NULL. */
const char *model_apply(model *m, const store_row *row, arena *a);
store_row *model_find(model *m, store_row_kind kind, int64_t run, int64_t id);
/* The run as a restart would see it. */
err *model_load(model *m, int64_t run, arena *a, engine_run **ret_run);
void model_release(model *m);
/* Makes `to` the same. */
void model_copy(model *to, const model *from);

typedef struct world_token {
  span name;
  engine_token token;
} world_token;

/* What somebody was answered at a step of a recording. */
typedef struct world_answer {
  span label, encoded;
  const char *type;
} world_answer;

typedef struct world {
  int64_t now_ns, seq;
  rng random;
  engine_limits limits;
  zones zones; /* UTC alone */
  engine_host host;
  arena names, arena; /* of the script; of the line */
  span queues[WORLD_MOST_QUEUES];
  size_t n_queues;
  world_token tokens[WORLD_MOST_TOKENS];
  size_t n_tokens;
  model model, durable; /* with and without lazy steps that no durable one followed */
  engine_run *runs[WORLD_MOST_RUNS];
  size_t n_runs, current;
  int64_t run_keys, polls;
  world_answer answers[WORLD_MOST_ANSWERS]; /* that are compared with recordings */
  size_t n_answers;
  engine_step step;
  buf out, visible; /* visible: what lists see of the run that was written last */
  int visible_writes;
  const char *broken; /* the first promise that did not hold */
} world;

void world_init(world *w);
void world_release(world *w);
static inline engine_run *world_run(world *w) { return w->n_runs ? w->runs[w->current] : NULL; }
void world_add_run(world *w, engine_run *run);
/* Begins a step at the present time. */
engine_step *world_begin(world *w);
/* Stores what the step gave, writes it down and checks. `e`: the step was refused. */
void world_end(world *w, const err *e);
/* Memory is lost; rows are read again. Lazy steps may not have been written yet. */
void world_crash(world *w, bool lose_lazy);

/* A poll's request id, another one each time. */
span world_poll_id(world *w);
/* Without a label it is not kept. */
void world_keep_answer(world *w, span label, const pb_desc *d, const void *msg);
void world_keep_token(world *w, span name, engine_token token);
const engine_token *world_token_named(const world *w, span name);

/* Writes events, one a line, after the prefix. Times that are not `now_ns` are shown. */
void world_add_events(world *w, span history, const char *prefix, int64_t now_ns);
void world_add_place(world *w, store_queued q);
/* script_explain.c: what lists see from now on. */
void script_keep_visible(world *w, const store_row *row);
/* script_update.c: updates that came further. */
void script_add_updates(world *w, const engine_step *st);

#endif

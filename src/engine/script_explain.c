/* script_explain.c - the line `explain`: what engine_explain says of the run. */
#include "engine/script_text.h"
#include "engine/script_verbs.h"

/* The last event of the run. */
static pb_HistoryEvent *last_event(world *w) {
  const store_row *last = NULL;
  for (size_t i = 0; i < w->model.n; i++) {
    const store_row *row = &w->model.rows[i];
    bool later = row->kind == ROW_HISTORY_ADD && row->run == world_run(w)->run &&
                 (!last || row->id > last->id);
    if (later) last = row;
  }
  pb_History *h;
  if (!last || PB_DECODE(History, bytes_span(last->blob), &w->arena, &h)) return NULL;
  return h->events.n ? h->events.v[h->events.n - 1] : NULL;
}

static void show(world *w, const char *what, const pb_desc *d, const void *msg) {
  buf_addf(&w->out, "  %s:", what);
  text_dump(&w->out, d, msg);
  buf_addb(&w->out, '\n');
}

const char *script_explain(world *w, const script_line *line) {
  const engine_run *run = world_run(w);
  pb_HistoryEvent *close = run_is_open(run) ? NULL : last_event(w);
  pb_api_ExplainWorkflowResponse *r = engine_explain(run, close, &w->arena);
  buf_addf(&w->out, "explained: %.*s\n", SPAN_ARG(r->summary));
  for (size_t i = 0; i < r->problems.n; i++) {
    show(w, "problem", &pb_api_Problem_desc, r->problems.v[i]);
  }
  for (size_t i = 0; i < r->next_steps.n; i++) {
    show(w, "next", &pb_api_NextStep_desc, r->next_steps.v[i]);
  }
  return NULL;
}

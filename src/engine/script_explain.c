/* script_explain.c - the lines `explain` and `visible`: what engine_explain says of the run, and
 * what lists see of it. */
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

/* --- what lists see --- */

static const char *name_of(int64_t ns, int64_t id) {
  static const char *const kept[] = {"FailureType", "FailureRootType", "FailureFingerprint",
                                     "RetryingActivities"};
  pb_store_Namespace bare = {.key = ns};
  arena a = ARENA_INIT;
  attribute at;
  const char *name = "?";
  for (size_t i = 0; attribute_everywhere(i, &at); i++) {
    if ((ns << ATTRIBUTE_NS_BITS | at.field.attribute) == id) name = (const char *)at.name.p;
  }
  for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
    bool found = attribute_find_to_ask(&bare, span_cstr(kept[i]), &a, &at);
    if (found && at.field.attribute == id) name = kept[i];
  }
  arena_release(&a);
  return name;
}

void script_keep_visible(world *w, const store_row *row) {
  const store_visible *v = row->visible;
  buf_clear(&w->visible);
  buf_addf(&w->visible, "write %d:", ++w->visible_writes);
  text_add_enum(&w->visible, &pb_WorkflowExecutionStatus_enum, row->status);
  for (size_t i = 0; i < v->n_attributes; i++) {
    const store_value *value = &v->attributes[i].value;
    buf_addf(&w->visible, " %s=", name_of(row->ns, v->attributes[i].id));
    if (value->kind == VALUE_TEXT) text_add_span(&w->visible, value->text);
    if (value->kind == VALUE_INT) buf_addf(&w->visible, "%lld", (long long)value->i);
  }
}

const char *script_visible(world *w, const script_line *line) {
  buf_addf(&w->out, "seen by lists, %.*s\n", SPAN_ARG(buf_span(&w->visible)));
  return NULL;
}

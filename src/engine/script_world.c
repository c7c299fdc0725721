#include "engine/script_world.h"

#include "engine/message.h"
#include "engine/script_replay.h"
#include "engine/script_text.h"
#include "proto/pb_wire.h"

/* --- the host --- */

static int64_t queue_key(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky) {
  world *w = ctx;
  span full = arena_spanf(&w->arena, "%.*s%s%s", SPAN_ARG(name), sticky ? " (sticky)" : "",
                          kind == ENGINE_ACTIVITY_TASK ? " (activities)" : "");
  for (size_t i = 0; i < w->n_queues; i++) {
    if (span_eq(w->queues[i], full)) return (int64_t)i + 1;
  }
  ASSERT(w->n_queues < WORLD_MOST_QUEUES);
  w->queues[w->n_queues++] = arena_dup(&w->names, full);
  return (int64_t)w->n_queues;
}

static int64_t next_seq(void *ctx) { return ++((world *)ctx)->seq; }

static void new_run(void *ctx, arena *a, int64_t *ret_run, span *ret_run_id) {
  world *w = ctx;
  *ret_run = ++w->run_keys;
  *ret_run_id = arena_spanf(a, "run-%lld", (long long)w->run_keys);
}

static void promise_run(void *ctx, arena *a, span *ret_run_id) {
  int64_t run;
  new_run(ctx, a, &run, ret_run_id);
}

static span namespace_id(void *ctx, span name) {
  (void)ctx;
  bool known = span_eq(name, SPAN("default")) || span_eq(name, SPAN("other"));
  return known ? name : SPAN_NONE;
}

void world_init(world *w) {
  *w = (world){.now_ns = TEXT_EPOCH_NS, .limits = engine_default_limits};
  zones_init(&w->zones, NULL);
  w->host = (engine_host){.ctx = w,
                          .limits = &w->limits,
                          .zones = &w->zones,
                          .queue_key = queue_key,
                          .next_seq = next_seq,
                          .new_run = new_run,
                          .promise_run = promise_run,
                          .namespace_id = namespace_id};
  rng_seed(&w->random, 42);
}

void world_release(world *w) {
  for (size_t i = 0; i < w->n_runs; i++) engine_free(w->runs[i]);
  model_release(&w->model);
  model_release(&w->durable);
  zones_release(&w->zones);
  arena_release(&w->names);
  arena_release(&w->arena);
  buf_release(&w->out);
  buf_release(&w->visible);
}

void world_add_run(world *w, engine_run *run) {
  ASSERT(w->n_runs < WORLD_MOST_RUNS);
  w->runs[w->n_runs++] = run;
}

span world_poll_id(world *w) { return arena_spanf(&w->arena, "poll-%lld", (long long)++w->polls); }

void world_keep_answer(world *w, span label, const pb_desc *d, const void *msg) {
  if (!label.n) return;
  ASSERT(w->n_answers < WORLD_MOST_ANSWERS);
  w->answers[w->n_answers++] = (world_answer){.label = arena_dup(&w->names, label),
                                              .encoded = pb_encode_arena(d, msg, &w->names),
                                              .type = pb_name(d)};
}

void world_keep_token(world *w, span name, engine_token token) {
  for (size_t i = 0; i < w->n_tokens; i++) {
    if (span_eq(w->tokens[i].name, name)) {
      w->tokens[i].token = token;
      return;
    }
  }
  ASSERT(w->n_tokens < WORLD_MOST_TOKENS);
  w->tokens[w->n_tokens++] = (world_token){arena_dup(&w->names, name), token};
}

const engine_token *world_token_named(const world *w, span name) {
  for (size_t i = 0; i < w->n_tokens; i++) {
    if (span_eq(w->tokens[i].name, name)) return &w->tokens[i].token;
  }
  return NULL;
}

/* --- what a step gave, in words --- */

/* The attributes alone, then what else an event may have. */
static void add_attributes(world *w, pb_HistoryEvent *ev) {
  const pb_field *f = pb_row(&pb_HistoryEvent_desc, ev->which_attributes);
  if (f) text_dump(&w->out, pb_sub(f), *pb_ptr_at(ev, f));
  ev->which_attributes = 0;
  ev->event_id = ev->task_id = 0;
  ev->event_time = NULL;
  ev->event_type = 0;
  text_dump(&w->out, &pb_HistoryEvent_desc, ev);
}

void world_add_events(world *w, span history, const char *prefix, int64_t now_ns) {
  pb_History *h;
  err *e = PB_DECODE(History, history, &w->arena, &h);
  ASSERT(!e);
  for (size_t i = 0; i < h->events.n; i++) {
    pb_HistoryEvent *ev = h->events.v[i];
    buf_addf(&w->out, "%s%lld ", prefix, (long long)ev->event_id);
    text_add_enum(&w->out, &pb_EventType_enum, ev->event_type);
    int64_t at = ev->event_time->seconds * NS_PER_SEC + ev->event_time->nanos;
    if (at != now_ns) {
      buf_adds(&w->out, " at ");
      text_add_time(&w->out, at);
    }
    add_attributes(w, ev);
    buf_addb(&w->out, '\n');
  }
}

void world_add_place(world *w, store_queued q) {
  if (!q.queue) return;
  buf_adds(&w->out, " on ");
  buf_add(&w->out, w->queues[q.queue - 1]);
  if (q.priority != 3) buf_addf(&w->out, " priority %d", q.priority);
}

static void add_due(world *w, int64_t due_ns) {
  if (!due_ns) return;
  buf_adds(&w->out, " due ");
  text_add_time(&w->out, due_ns);
}

static void add_row(world *w, const store_row *row) {
  static const char *const kinds[] = {"?",
                                      "activity",
                                      "timer",
                                      "buffered",
                                      "request",
                                      "child",
                                      "signal",
                                      "cancel",
                                      "result",
                                      [PB_ITEM_KIND_UPDATE] = "update",
                                      [PB_ITEM_KIND_CALLBACK] = "callback"};
  switch (row->kind) {
    case ROW_RUN_INSERT:
    case ROW_RUN_UPDATE:
      buf_adds(&w->out, row->kind == ROW_RUN_INSERT ? "new run" : "run");
      break;
    case ROW_ITEM_PUT:
    case ROW_ITEM_DELETE:
      buf_addf(&w->out, "%s%s", row->kind == ROW_ITEM_PUT ? "" : "no ", kinds[row->item_kind]);
      if (row->id < ITEM_FIRST_BUFFERED) buf_addf(&w->out, " %lld", (long long)row->id);
      break;
    case ROW_HISTORY_ADD:
      buf_addf(&w->out, "history %lld", (long long)row->id);
      break;
    case ROW_ATTEMPT_PUT:
      buf_addf(&w->out, "attempt %lld.%d", (long long)row->id, row->attempt);
      break;
    default:
      buf_adds(&w->out, "current");
  }
  add_due(w, row->due_ns);
  world_add_place(w, row->queued);
}

static void add_rows(world *w, const engine_step *st, const char *prefix) {
  for (size_t i = 0; i < st->n_rows; i++) {
    if (st->rows[i].kind != ROW_HISTORY_ADD) continue;
    world_add_events(w, bytes_span(st->rows[i].blob), prefix, w->now_ns);
  }
  for (size_t i = 0; i < st->n_rows; i++) {
    if (st->rows[i].kind == ROW_VISIBLE_PUT) { /* the line `visible` shows it */
      script_keep_visible(w, &st->rows[i]);
      continue;
    }
    buf_adds(&w->out, i ? ", " : prefix);
    if (!i) buf_adds(&w->out, "rows ");
    add_row(w, &st->rows[i]);
  }
  if (st->n_rows) buf_addb(&w->out, '\n');
}

static void add_tasks(world *w, const engine_step *st, const char *prefix) {
  for (size_t i = 0; i < st->n_tasks; i++) {
    const engine_task *t = &st->tasks[i];
    buf_addf(&w->out, "%stask ", prefix);
    if (t->kind == ENGINE_WORKFLOW_TASK) {
      buf_adds(&w->out, "workflow");
    } else {
      buf_addf(&w->out, "activity %lld", (long long)t->id);
    }
    world_add_place(w, t->queued);
    if (t->sticky_fallback) {
      buf_addf(&w->out, " or %.*s", SPAN_ARG(w->queues[t->sticky_fallback - 1]));
    }
    buf_addb(&w->out, '\n');
  }
}

static void add_messages(world *w, const engine_run *run, const engine_step *st,
                         const char *prefix) {
  static const char *const kinds[] = {[MESSAGE_START_CHILD] = "start",
                                      [MESSAGE_CLOSE_CHILD] = "close",
                                      [MESSAGE_SIGNAL] = "signal",
                                      [MESSAGE_CANCEL] = "cancel",
                                      [MESSAGE_CHILD_RESULT] = "result"};
  for (size_t i = 0; i < st->n_messages; i++) {
    engine_message m;
    if (!engine_message_read(run, st->messages[i], &w->arena, &m)) {
      w->broken = "a message is announced that is not there";
      return;
    }
    buf_addf(&w->out, "%stells %s %lld to %.*s", prefix, kinds[m.kind], (long long)m.id,
             SPAN_ARG(m.to.workflow_id));
    if (m.to.run_id.n) buf_addf(&w->out, " run %.*s", SPAN_ARG(m.to.run_id));
    buf_addb(&w->out, '\n');
  }
}

static void add_err(world *w, const char *what, const err *e) {
  buf_addf(&w->out, "%s %s ", what, err_code_name(e->code));
  buf_adds(&w->out,
           strlen(e->what) > 300 ? arena_printf(&w->arena, "%.300s...", e->what) : e->what);
  buf_addb(&w->out, '\n');
}

static void add_outcome(world *w, engine_run *run, const engine_step *st, const char *prefix) {
  add_rows(w, st, prefix);
  add_tasks(w, st, prefix);
  add_messages(w, run, st, prefix);
  script_add_updates(w, st);
  if (st->reply_err) add_err(w, "reply", st->reply_err);
  buf_addf(&w->out, "%s%s%s", prefix,
           st->n_rows == 0 ? "nothing stored"
           : st->lazy      ? "lazy"
                           : "durable",
           st->closed ? ", closed" : "");
  int64_t due = engine_next_due_ns(run);
  buf_adds(&w->out, due ? ", due " : "");
  if (due) text_add_time(&w->out, due);
  buf_addb(&w->out, '\n');
}

/* --- the promises --- */

static bool same_item(const engine_item *x, const engine_item *y, arena *a) {
  return x->id == y->id && x->kind == y->kind && x->due_ns == y->due_ns &&
         same_place(&x->queued, &y->queued) &&
         span_eq(pb_encode_arena(item_desc(x->kind), x->msg, a),
                 pb_encode_arena(item_desc(y->kind), y->msg, a));
}

static const char *compare_items(const engine_run *mem, const engine_run *rows, arena *a) {
  if (mem->by_id.count != rows->by_id.count) return "memory and rows differ in the number of items";
  if (mem->by_name.count != rows->by_name.count) return "memory and rows differ in names";
  for (int32_t kind = PB_ITEM_KIND_ACTIVITY; item_desc(kind); kind++) {
    size_t n, m;
    engine_item **x = items_sorted(mem, kind, a, &n), **y = items_sorted(rows, kind, a, &m);
    if (n != m) return "memory and rows differ in the number of items of a kind";
    for (size_t i = 0; i < n; i++) {
      if (!same_item(x[i], y[i], a)) {
        return arena_printf(a, "item %lld is not as stored", (long long)x[i]->id);
      }
    }
  }
  const list_node *x = mem->buffered.head.next, *y = rows->buffered.head.next;
  for (; x != &mem->buffered.head; x = x->next, y = y->next) {
    if (CONTAINER_OF(x, engine_item, buffered)->id != CONTAINER_OF(y, engine_item, buffered)->id) {
      return "buffered events would change their order in a restart";
    }
  }
  return NULL;
}

/* What a start that only memory knows may differ in. */
static void forget_start(pb_store_RunState *s, const pb_store_RunState *stored) {
  s->wft_started_id = stored->wft_started_id;
  s->wft_started_time = stored->wft_started_time;
  s->wft_identity = stored->wft_identity;
  s->wft_request_id = stored->wft_request_id;
  s->wft_history_bytes = stored->wft_history_bytes;
  s->wft_suggest_continue_as_new = stored->wft_suggest_continue_as_new;
  s->wft_suggest_reasons = stored->wft_suggest_reasons;
  s->wft_on_sticky = stored->wft_on_sticky;
  s->worker_version = stored->worker_version;
  s->sticky_queue = stored->sticky_queue;
  s->sticky_timeout = stored->sticky_timeout;
}

/* And a whole task. */
static void forget_task(pb_store_RunState *s, const pb_store_RunState *stored) {
  forget_start(s, stored);
  s->wft_scheduled_id = stored->wft_scheduled_id;
  s->wft_scheduled_time = stored->wft_scheduled_time;
  s->wft_original_time = stored->wft_original_time;
  s->wft_attempt = stored->wft_attempt;
  s->wft_timeout = stored->wft_timeout;
  s->wft_seq = stored->wft_seq;
  s->first_backoff_until = stored->first_backoff_until;
}

static const char *compare_runs(const engine_run *mem, const engine_run *rows, arena *a) {
  pb_store_RunState s = mem->state;
  bool unwritten = s.wft_started_id && !rows->state.wft_started_id && engine_task_in_memory(mem);
  if (unwritten) forget_start(&s, &rows->state);
  if (wft_is_speculative(mem)) {
    unwritten = true;
    forget_task(&s, &rows->state);
  }
  if (!span_eq(PB_ENCODE(store_RunState, &s, a), PB_ENCODE(store_RunState, &rows->state, a))) {
    buf text = BUF_INIT;
    text_dump(&text, &pb_store_RunState_desc, &s);
    buf_adds(&text, "\nrows:  ");
    text_dump(&text, &pb_store_RunState_desc, &rows->state);
    const char *why =
        arena_printf(a, "the state is not as stored\nmemory:%.*s", SPAN_ARG(buf_span(&text)));
    buf_release(&text);
    return why;
  }
  if (!unwritten && !same_place(&mem->wft_queued, &rows->wft_queued)) {
    return "the task's place in its queue is not as stored";
  }
  if (!unwritten && engine_next_due_ns(mem) != engine_next_due_ns(rows)) {
    return "the next deadline is not as stored";
  }
  return compare_items(mem, rows, a);
}

static const char *check_due(world *w, const engine_run *run, const engine_run *rows) {
  const store_row *head = model_find(&w->model, ROW_RUN_INSERT, run->run, 0);
  if (head->due_ns != run_due_ns(rows)) return "the row's deadline is not the run's";
  if (head->status != run->state.status) return "the row's status is not the run's";
  return NULL;
}

static void check_run(world *w, engine_run *run) {
  engine_run *rows = NULL;
  const char *why = engine_check(run, &w->arena);
  if (!why) {
    err *e = model_load(&w->model, run->run, &w->arena, &rows);
    if (e) why = e->what;
  }
  if (!why) why = engine_check(rows, &w->arena);
  if (!why) why = compare_runs(run, rows, &w->arena);
  if (!why) why = check_due(w, run, rows);
  if (!why) why = replay_problem(w, rows, &w->arena);
  engine_free(rows);
  if (why && !w->broken) w->broken = arena_cstr(&w->names, span_cstr(why));
}

/* A task offered is one that can be taken. */
static void check_tasks(world *w, const engine_run *run, const engine_step *st) {
  for (size_t i = 0; i < st->n_tasks; i++) {
    const engine_task *t = &st->tasks[i];
    const engine_item *it = item_by_id(run, t->id, PB_ITEM_KIND_ACTIVITY);
    const store_queued *at = t->kind == ENGINE_WORKFLOW_TASK ? &run->wft_queued
                             : it                            ? &it->queued
                                                             : NULL;
    if (!at || !same_place(at, &t->queued)) w->broken = "a task is offered that is not there";
  }
}

static void store_rows(world *w, engine_step *st) {
  for (size_t i = 0; i < st->n_rows; i++) {
    const char *why = model_apply(&w->model, &st->rows[i], &w->arena);
    if (why && !w->broken) w->broken = why;
  }
}

/* --- steps --- */

engine_step *world_begin(world *w) {
  engine_step_init(&w->step, &w->host, w->now_ns, &w->random, &w->arena);
  return &w->step;
}

void world_end(world *w, const err *e) {
  engine_step *st = &w->step;
  if (e) {
    add_err(w, "error", e);
    if ((st->n_rows || st->n_tasks) && !w->broken) w->broken = "a refused step has effects";
    check_run(w, world_run(w));
    return;
  }
  store_rows(w, st);
  add_outcome(w, world_run(w), st, "");
  check_tasks(w, world_run(w), st);
  check_run(w, world_run(w));
  if (st->follower) {
    store_rows(w, st->follower_step);
    buf_adds(&w->out, "follower\n");
    add_outcome(w, st->follower, st->follower_step, "  ");
    world_add_run(w, st->follower);
    check_tasks(w, st->follower, st->follower_step);
    check_run(w, st->follower);
    engine_rows_release(st->follower_step->rows, st->follower_step->n_rows);
  }
  engine_rows_release(st->rows, st->n_rows);
  if (!st->lazy) model_copy(&w->durable, &w->model);
}

void world_crash(world *w, bool lose_lazy) {
  if (lose_lazy) model_copy(&w->model, &w->durable);
  engine_run **at = &w->runs[w->current], *again = NULL;
  err *e = model_load(&w->model, (*at)->run, &w->arena, &again);
  if (e) {
    w->broken = arena_cstr(&w->names, span_cstr(e->what));
    return;
  }
  engine_free(*at);
  *at = again;
  check_run(w, again);
}

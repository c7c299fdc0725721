#include "engine/script_verbs.h"

#include <stdlib.h>

#include "engine/command.h"
#include "engine/script_text.h"
#include "proto/pb_wire.h"

typedef const char *verb_fn(world *w, const script_line *line);

/* "name=value" into its halves; a word without "=" has an empty value and a false result. */
static bool halves(span word, span *ret_name, span *ret_value) {
  const uint8_t *eq = word.n ? memchr(word.p, '=', word.n) : NULL;
  *ret_name = eq ? span_of(word.p, (size_t)(eq - word.p)) : word;
  *ret_value = eq ? span_of(eq + 1, word.n - ret_name->n - 1) : SPAN_NONE;
  return eq != NULL;
}

/* The value of a word "name=...", which is then used up; else the default. */
span script_option(const script_line *line, const char *name, span otherwise) {
  span key, value;
  for (size_t i = 1; i < line->n; i++) {
    if (halves(line->words[i], &key, &value) && span_eq(key, span_cstr(name))) return value;
  }
  return otherwise;
}

long long script_number(world *w, span text) {
  return strtoll(arena_cstr(&w->arena, text), NULL, 10);
}

bool script_has_word(const script_line *line, const char *word) {
  for (size_t i = 1; i < line->n; i++) {
    if (span_eq(line->words[i], span_cstr(word))) return true;
  }
  return false;
}

static bool is_one_of(span name, const char *names) {
  const char *at = names;
  while (*at) {
    size_t n = strcspn(at, " ");
    if (n == name.n && memcmp(at, name.p, n) == 0) return true;
    at += n + (at[n] == ' ');
  }
  return false;
}

const char *script_fill(world *w, const script_line *line, size_t from, const char *own,
                        const pb_desc *d, void *msg) {
  const char *why = NULL;
  for (size_t i = from; i < line->n && !why; i++) {
    span path, value;
    bool assigned = halves(line->words[i], &path, &value);
    if (is_one_of(path, own)) continue;
    if (!assigned) return arena_printf(&w->arena, "what is %.*s?", SPAN_ARG(path));
    (void)text_set(d, msg, path, value, &w->arena, &why);
  }
  return why;
}

static const engine_token *token_of(world *w, const script_line *line, const char *otherwise) {
  return world_token_named(w, script_option(line, "token", span_cstr(otherwise)));
}

/* --- start --- */

static const char *fill_start(world *w, const script_line *line,
                              pb_StartWorkflowExecutionRequest *r,
                              pb_SignalWithStartWorkflowExecutionRequest **ret_signal) {
  const char *why = NULL;
  for (size_t i = 1; i < line->n && !why; i++) {
    span path, value;
    (void)halves(line->words[i], &path, &value);
    if (span_starts_with(path, SPAN("signal_"))) {
      if (!*ret_signal) *ret_signal = pb_new(&w->arena, SignalWithStartWorkflowExecutionRequest);
      (void)text_set(&pb_SignalWithStartWorkflowExecutionRequest_desc, *ret_signal, path, value,
                     &w->arena, &why);
      continue;
    }
    if (is_one_of(path, "expect parent")) continue;
    (void)text_set(&pb_StartWorkflowExecutionRequest_desc, r, path, value, &w->arena, &why);
  }
  return why;
}

static const char *do_start(world *w, const script_line *line) {
  arena *a = &w->arena;
  pb_StartWorkflowExecutionRequest *r = pb_new(a, StartWorkflowExecutionRequest);
  pb_SignalWithStartWorkflowExecutionRequest *signal = NULL;
  r->workflow_id = SPAN("w");
  r->request_id = SPAN("start-request");
  r->identity = SPAN("script");
  r->workflow_type = pb_new(a, WorkflowType);
  r->workflow_type->name = SPAN("Scripted");
  r->task_queue = pb_new(a, TaskQueue);
  r->task_queue->name = SPAN("q");
  r->workflow_task_timeout = pb_duration_new(a, 10 * NS_PER_SEC);
  const char *why = fill_start(w, line, r, &signal);
  if (why) return why;
  if (signal) {
    signal->identity = r->identity;
    signal->request_id = r->request_id;
  }
  r->retry_policy = retry_policy_filled(r->retry_policy, a);
  engine_start_args args = {.ns = 1, .ns_name = SPAN("default"), .request = r, .signal = signal};
  store_row *current = model_find(&w->model, ROW_CURRENT_PUT, 0, 0);
  args.expected_run = current ? current->ns : 0;
  engine_parent parent;
  span parent_text = script_option(line, "parent", SPAN_NONE);
  if (parent_text.n) {
    args.parent = &parent;
    why = script_parent(w, parent_text, &parent);
    if (why) return why;
  }
  w->host.new_run(w, a, &args.run, &args.run_id);
  world_add_run(w, engine_start(world_begin(w), &args));
  w->current = w->n_runs - 1;
  world_end(w, NULL);
  return NULL;
}

/* --- workflow tasks --- */

static span stored_history(world *w, int64_t run, int64_t from_id);

/* The answer as the worker gets it. */
static void keep_wft(world *w, const engine_wft *t, span label) {
  if (!label.n) return;
  pb_PollWorkflowTaskQueueResponse r = *t->response;
  r.history = pb_new(&w->arena, History);
  buf all = BUF_INIT;
  buf_add(&all, stored_history(w, world_run(w)->run, t->history_from_id));
  buf_add(&all, t->unwritten);
  r.history->head.unknown = arena_dup(&w->arena, buf_span(&all));
  buf_release(&all);
  world_keep_answer(w, label, &pb_PollWorkflowTaskQueueResponse_desc, &r);
}

static void give_wft(world *w, const engine_wft *t, bool whole) {
  const pb_PollWorkflowTaskQueueResponse *r = t->response;
  buf_addf(&w->out, "gives started=%lld attempt=%d previous=%lld history=%lld..%lld",
           (long long)r->started_event_id, r->attempt, (long long)r->previous_started_event_id,
           (long long)t->history_from_id, (long long)t->history_until_id - 1);
  if (whole) text_dump(&w->out, &pb_PollWorkflowTaskQueueResponse_desc, r);
  buf_addb(&w->out, '\n');
  if (t->unwritten.p) world_add_events(w, t->unwritten, "  then ", w->now_ns);
  script_add_messages(w, &r->messages);
}

static const char *do_poll(world *w, const script_line *line) {
  pb_WorkerVersionCapabilities version = {.build_id = script_option(line, "build_id", SPAN_NONE)};
  engine_poller p = {.identity = script_option(line, "identity", SPAN("worker")),
                     .request_id = script_option(line, "request_id", world_poll_id(w)),
                     .version = version.build_id.n ? &version : NULL,
                     .sticky = script_has_word(line, "sticky")};
  engine_wft t;
  engine_step *st = world_begin(w);
  err *e = engine_wft_start(world_run(w), st, &p, &t);
  if (!e) {
    give_wft(w, &t, script_has_word(line, "whole"));
    world_keep_token(w, script_option(line, "as", SPAN("wft")), t.token);
  }
  world_end(w, e);
  if (!e) keep_wft(w, &t, script_option(line, "recorded", SPAN_NONE));
  return NULL;
}

/* "start_timer" of "StartTimer". */
static span snake(span camel, arena *a) {
  uint8_t *out = arena_alloc(a, camel.n * 2 + 1);
  size_t n = 0;
  for (size_t i = 0; i < camel.n; i++) {
    bool upper = camel.p[i] >= 'A' && camel.p[i] <= 'Z';
    if (upper && i) out[n++] = '_';
    out[n++] = upper ? camel.p[i] | 0x20 : camel.p[i];
  }
  return span_of(out, n);
}

static const char *fill_command(world *w, const script_line *line, pb_Command *cmd) {
  arena *a = &w->arena;
  const char *why = NULL;
  span name = line->words[0];
  if (!pb_enum_number(&pb_CommandType_enum, name, &cmd->command_type)) {
    return text_set(&pb_Command_desc, cmd, SPAN("command_type"), name, a, &why) ? NULL : why;
  }
  if (script_has_word(line, "bare")) return NULL;
  span field = arena_spanf(a, "%.*s_command_attributes", SPAN_ARG(snake(name, a)));
  if (!text_set(&pb_Command_desc, cmd, field, SPAN("{}"), a, &why)) return why;
  for (size_t i = 1; i < line->n; i++) {
    span path, value;
    if (!halves(line->words[i], &path, &value)) return "a command takes name=value only";
    if (!text_has_field(&pb_Command_desc, path)) {
      path = arena_spanf(a, "%.*s.%.*s", SPAN_ARG(field), SPAN_ARG(path));
    }
    if (!text_set(&pb_Command_desc, cmd, path, value, a, &why)) return why;
  }
  return NULL;
}

pb_Command *script_command(world *w, span text) {
  script_line line;
  script_split(text, &w->arena, &line);
  pb_Command *cmd = pb_new(&w->arena, Command);
  const char *why = fill_command(w, &line, cmd);
  if (why) PANIC("%s", why);
  return cmd;
}

static const char *do_complete(world *w, const script_line *line) {
  arena *a = &w->arena;
  pb_RespondWorkflowTaskCompletedRequest *r = pb_new(a, RespondWorkflowTaskCompletedRequest);
  r->identity = SPAN("worker");
  const char *why =
      script_fill(w, line, 1, "token as", &pb_RespondWorkflowTaskCompletedRequest_desc, r);
  r->commands.v = arena_array(a, pb_Command *, line->n_subs + 1);
  r->messages.v = arena_array(a, pb_Message *, line->n_subs + 1);
  for (size_t i = 0; i < line->n_subs && !why; i++) {
    if (script_is_message(&line->subs[i])) {
      why = script_message(w, &line->subs[i], r);
      continue;
    }
    r->commands.v[r->commands.n] = pb_new(a, Command);
    why = fill_command(w, &line->subs[i], r->commands.v[r->commands.n++]);
  }
  const engine_token *token = token_of(w, line, "wft");
  if (!why && !token) why = "no such token";
  if (why) return why;
  engine_completion done = {0};
  engine_step *st = world_begin(w);
  err *e = engine_wft_complete(world_run(w), st, token, r, &done);
  world_end(w, e);
  if (!e && done.response->reset_history_event_id) {
    buf_addf(&w->out, "goes back to %lld\n", (long long)done.response->reset_history_event_id);
  }
  if (!e && done.next.response) {
    give_wft(w, &done.next, false);
    world_keep_token(w, script_option(line, "as", SPAN("wft")), done.next.token);
  }
  return NULL;
}

static const char *do_fail(world *w, const script_line *line) {
  pb_RespondWorkflowTaskFailedRequest *r = pb_new(&w->arena, RespondWorkflowTaskFailedRequest);
  r->identity = SPAN("worker");
  r->cause = PB_WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE;
  const char *why = script_fill(w, line, 1, "token", &pb_RespondWorkflowTaskFailedRequest_desc, r);
  const engine_token *token = token_of(w, line, "wft");
  if (!why && !token) why = "no such token";
  if (why) return why;
  engine_step *st = world_begin(w);
  world_end(w, engine_wft_fail(world_run(w), st, token, r));
  return NULL;
}

static const char *do_unstart(world *w, const script_line *line) {
  const engine_token *token = token_of(w, line, "wft");
  if (!token) return "no such token";
  engine_step *st = world_begin(w);
  world_end(w, engine_wft_unstart(world_run(w), st, token));
  return NULL;
}

static const char *do_settle(world *w, const script_line *line) {
  engine_step *st = world_begin(w);
  if (engine_settle(world_run(w), st)) {
    world_end(w, NULL);
  } else {
    buf_adds(&w->out, "nothing to settle\n");
  }
  return NULL;
}

static const char *do_leave_sticky(world *w, const script_line *line) {
  engine_wft_leave_sticky(world_run(w), world_begin(w));
  world_end(w, NULL);
  return NULL;
}

static const char *do_reset_sticky(world *w, const script_line *line) {
  engine_reset_sticky(world_run(w), world_begin(w));
  world_end(w, NULL);
  return NULL;
}

/* --- messages from outside --- */

static const char *do_signal(world *w, const script_line *line) {
  pb_SignalWorkflowExecutionRequest *r = pb_new(&w->arena, SignalWorkflowExecutionRequest);
  r->identity = SPAN("script");
  if (line->n < 2) return "signal takes a name";
  r->signal_name = line->words[1];
  const char *why = script_fill(w, line, 2, "wakes", &pb_SignalWorkflowExecutionRequest_desc, r);
  if (why) return why;
  engine_signal_args args = {.name = r->signal_name,
                             .input = r->input,
                             .identity = r->identity,
                             .request_id = r->request_id,
                             .header = r->header,
                             .links = (const pb_Link *const *)r->links.v,
                             .n_links = r->links.n,
                             .despite_backoff = script_has_word(line, "wakes")};
  engine_step *st = world_begin(w);
  world_end(w, engine_signal(world_run(w), st, &args));
  return NULL;
}

/* As many callbacks, known by their numbers. */
static pb_list_Callback script_callbacks(world *w, int64_t n) {
  pb_list_Callback found = {.v = arena_array(&w->arena, pb_Callback *, (size_t)n)};
  while (found.n < (size_t)n) {
    pb_Callback *c = found.v[found.n++] = pb_new(&w->arena, Callback);
    c->which_variant = PB_Callback_nexus_FIELD;
    c->nexus = pb_new(&w->arena, Callback_Nexus);
    c->nexus->url = arena_spanf(&w->arena, "temporal://system/%zu", found.n);
  }
  return found;
}

/* attach request_id=R callbacks=N: as a start that used this run. */
static const char *do_attach(world *w, const script_line *line) {
  engine_attach_args args = {.request_id = script_option(line, "request_id", SPAN_NONE)};
  pb_list_Callback callbacks =
      script_callbacks(w, script_number(w, script_option(line, "callbacks", SPAN("0"))));
  if (callbacks.n) args.callbacks = &callbacks;
  engine_step *st = world_begin(w);
  world_end(w, engine_attach(world_run(w), st, &args));
  return NULL;
}

static const char *do_cancel(world *w, const script_line *line) {
  pb_RequestCancelWorkflowExecutionRequest *r =
      pb_new(&w->arena, RequestCancelWorkflowExecutionRequest);
  r->identity = SPAN("script");
  const char *why = script_fill(w, line, 1, "", &pb_RequestCancelWorkflowExecutionRequest_desc, r);
  if (why) return why;
  engine_step *st = world_begin(w);
  engine_cancel_args args = {.cause = r->reason,
                             .identity = r->identity,
                             .request_id = r->request_id,
                             .links = (const pb_Link *const *)r->links.v,
                             .n_links = r->links.n};
  world_end(w, engine_request_cancel(world_run(w), st, &args));
  return NULL;
}

static const char *do_terminate(world *w, const script_line *line) {
  pb_TerminateWorkflowExecutionRequest *r = pb_new(&w->arena, TerminateWorkflowExecutionRequest);
  r->identity = SPAN("script");
  r->reason = SPAN("enough");
  const char *why = script_fill(w, line, 1, "", &pb_TerminateWorkflowExecutionRequest_desc, r);
  if (why) return why;
  engine_step *st = world_begin(w);
  engine_terminate_args args = {
      .reason = r->reason, .details = r->details, .identity = r->identity};
  world_end(w, engine_terminate(world_run(w), st, &args));
  return NULL;
}

/* --- time --- */

static const char *do_advance(world *w, const script_line *line) {
  int64_t ns;
  if (line->n != 2 || !text_duration(line->words[1], &ns)) return "advance takes a duration";
  int64_t until = w->now_ns + ns;
  for (int rounds = 0;; rounds++) {
    int64_t due = engine_next_due_ns(world_run(w));
    if (!due || due > until) break;
    if (rounds == 1000) return "time does not pass: something stays due";
    w->now_ns = MAX(w->now_ns, due);
    buf_adds(&w->out, "at ");
    text_add_time(&w->out, w->now_ns);
    buf_addb(&w->out, '\n');
    engine_fire(world_run(w), world_begin(w));
    world_end(w, NULL);
  }
  w->now_ns = until;
  return NULL;
}

/* --- reads --- */

static const char *do_describe(world *w, const script_line *line) {
  const pb_desc *d = &pb_DescribeWorkflowExecutionResponse_desc;
  buf text = BUF_INIT;
  if (engine_settle(world_run(w), world_begin(w))) world_end(w, NULL);
  pb_DescribeWorkflowExecutionResponse *r = engine_describe(world_run(w), w->now_ns, &w->arena);
  world_keep_answer(w, script_option(line, "recorded", SPAN_NONE), d, r);
  text_dump(&text, d, r);
  /* One line for each of its parts. */
  for (size_t i = 1; i < text.n; i++) {
    bool top = text.p[i] == ' ' && text.p[i - 1] == '}';
    span rest = span_of(text.p + i + 1, text.n - i - 1);
    top = top && (span_starts_with(rest, SPAN("workflow_exec")) ||
                  span_starts_with(rest, SPAN("workflow_extended")) ||
                  span_starts_with(rest, SPAN("pending_")));
    buf_addb(&w->out, top ? '\n' : text.p[i]);
  }
  buf_addb(&w->out, '\n');
  buf_release(&text);
  return NULL;
}

static const char *do_ready(world *w, const script_line *line) {
  engine_ready_tasks(world_run(w), world_begin(w));
  world_end(w, NULL);
  return NULL;
}

static const char *do_transient(world *w, const script_line *line) {
  span events = engine_transient_events(world_run(w), &w->arena);
  if (events.p) {
    world_add_events(w, events, "then ", w->now_ns);
  } else {
    buf_adds(&w->out, "none\n");
  }
  return NULL;
}

static const char *do_ledger(world *w, const script_line *line) {
  for (size_t i = 0; i < w->model.n; i++) {
    const store_row *row = &w->model.rows[i];
    pb_store_AttemptRecord *rec;
    if (row->kind != ROW_ATTEMPT_PUT || row->run != world_run(w)->run) continue;
    err *e = PB_DECODE(store_AttemptRecord, bytes_span(row->blob), &w->arena, &rec);
    if (e) return e->what;
    rec->scheduled_time -= rec->scheduled_time ? TEXT_EPOCH_NS : 0;
    rec->started_time -= rec->started_time ? TEXT_EPOCH_NS : 0;
    rec->ended_time -= rec->ended_time ? TEXT_EPOCH_NS : 0;
    buf_addf(&w->out, "activity %lld:", (long long)(row->id >> 8));
    text_dump(&w->out, &pb_store_AttemptRecord_desc, rec);
    buf_addb(&w->out, '\n');
  }
  return NULL;
}

/* --- the script itself --- */

/* The batches from `from_id` on, encoded. */
static span stored_history(world *w, int64_t run, int64_t from_id) {
  buf all = BUF_INIT;
  for (size_t i = 0; i < w->model.n; i++) {
    const store_row *row = &w->model.rows[i];
    if (row->kind != ROW_HISTORY_ADD || row->run != run) continue;
    pb_History *h, kept = {0};
    err *e = PB_DECODE(History, bytes_span(row->blob), &w->arena, &h);
    ASSERT(!e);
    for (size_t k = 0; k < h->events.n; k++) {
      if (h->events.v[k]->event_id < from_id) continue;
      kept.events.v = h->events.v + k;
      kept.events.n = h->events.n - k;
      break;
    }
    pb_encode(&pb_History_desc, &kept, &all);
  }
  span copy = arena_dup(&w->arena, buf_span(&all));
  buf_release(&all);
  return copy;
}

/* recorded LABEL [run=N] [first]: the history is that of the recording's step. */
static const char *do_recorded(world *w, const script_line *line) {
  if (line->n < 2) return "recorded as what?";
  size_t run = (size_t)script_number(w, script_option(line, "run", SPAN("0")));
  if (run > w->n_runs) return "no such run";
  engine_run *of = run ? w->runs[run - 1] : world_run(w);
  /* Nobody is shown a history that lacks a start. */
  if (of == world_run(w) && engine_settle(of, world_begin(w))) world_end(w, NULL);
  span stored = stored_history(w, of->run, 1), more = engine_transient_events(of, &w->arena);
  pb_History *h;
  err *e = PB_DECODE(History, stored, &w->arena, &h);
  ASSERT(!e);
  if (script_has_word(line, "first")) {
    h->events.n = 1;
  } else {
    h->head.unknown = more;
  }
  world_keep_answer(w, line->words[1], &pb_History_desc, h);
  return NULL;
}

static void add_due(world *w) {
  int64_t due = engine_next_due_ns(world_run(w));
  buf_adds(&w->out, due ? ", due " : "");
  if (due) text_add_time(&w->out, due);
  buf_addb(&w->out, '\n');
}

/* crash [unwritten]: with "unwritten" lazy steps are lost too. */
static const char *do_crash(world *w, const script_line *line) {
  world_crash(w, script_has_word(line, "unwritten"));
  buf_adds(&w->out, "loaded");
  add_due(w);
  return NULL;
}

static const char *do_follow(world *w, const script_line *line) {
  if (w->current + 1 >= w->n_runs) return "no run follows";
  w->current++;
  return NULL;
}

static const char *do_limits(world *w, const script_line *line) {
  engine_limits *l = &w->limits;
  for (size_t i = 1; i < line->n; i++) {
    span name, value;
    if (!halves(line->words[i], &name, &value)) return "limits takes name=value";
    long long v = script_number(w, value);
#define LIMIT(field) \
  if (span_eq(name, SPAN(#field))) l->field = (__typeof__(l->field))v
    LIMIT(blob_bytes);
    LIMIT(memo_bytes);
    LIMIT(history_bytes);
    LIMIT(suggest_history_bytes);
    LIMIT(state_bytes);
    LIMIT(history_events);
    LIMIT(suggest_history_events);
    LIMIT(pending);
    LIMIT(signals);
    LIMIT(updates_in_flight);
    LIMIT(updates);
    LIMIT(update_bytes);
    LIMIT(buffered_events);
    LIMIT(buffered_bytes);
    LIMIT(transaction_bytes);
    LIMIT(ledger_bytes);
    LIMIT(callbacks);
#undef LIMIT
  }
  return NULL;
}

static const struct {
  const char *name;
  verb_fn *run;
} verbs[] = {
    {"start", do_start},
    {"poll", do_poll},
    {"complete", do_complete},
    {"fail", do_fail},
    {"unstart", do_unstart},
    {"settle", do_settle},
    {"leave_sticky", do_leave_sticky},
    {"reset_sticky", do_reset_sticky},
    {"signal", do_signal},
    {"attach", do_attach},
    {"update", script_update},
    {"reapply", script_reapply},
    {"look", script_look},
    {"cancel", do_cancel},
    {"terminate", do_terminate},
    {"advance", do_advance},
    {"describe", do_describe},
    {"explain", script_explain},
    {"visible", script_visible},
    {"ready", do_ready},
    {"transient", do_transient},
    {"ledger", do_ledger},
    {"crash", do_crash},
    {"follow", do_follow},
    {"limits", do_limits},
    {"recorded", do_recorded},
    {"take", script_take},
    {"release", script_release},
    {"done", script_done},
    {"failed", script_failed},
    {"canceled", script_canceled},
    {"beat", script_beat},
    {"tell", script_tell},
    {"answer", script_answer},
    {"child_ended", script_child_ended},
    {"pause", script_pause},
    {"unpause", script_unpause},
    {"reset", script_reset},
    {"options", script_options},
    {"reset_run", script_reset_run},
    {"update_options", script_update_options},
};

const char *script_do(world *w, const script_line *line) {
  for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
    if (!span_eq(line->words[0], span_cstr(verbs[i].name))) continue;
    bool needs_run = verbs[i].run != do_start && verbs[i].run != do_limits;
    if (needs_run && !w->n_runs) return "no run was started";
    return verbs[i].run(w, line);
  }
  return arena_printf(&w->arena, "no such verb: %.*s", SPAN_ARG(line->words[0]));
}

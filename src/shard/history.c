/* history.c - GetWorkflowExecutionHistory: pages, long polls, the close event alone, and reverse.
 *
 *   found --decide--> read --> answer when durable
 *             |  ^
 *             v  | new events are durable
 *            wait ------ after 20 s: an empty page and a token to go on with
 */
#include "base/log.h"
#include "proto/pb_time.h"
#include "shard/shard_int.h"

typedef struct history_request {
  waiter waiter;
  run_use use;
  gate gate;
  history_read read;
  list_node node; /* in run->watchers */
  shard *s;
  shard_op *op;
  shard_run *run; /* pinned once found */
  bool close_only, wait, follows, reverse, unwritten, with_token;
  bool grown;  /* more events than when the first page was read */
  bool narrow; /* reverse: events are so large that the page is cut by size */
  int64_t page_batches;
  pb_store_HistoryPageToken token;
  char run_id[UUID_TEXT_BYTES];
  const void *response;
} history_request;

static const err *page_error(arena *a) {
  return ERR(a, INVALID_ARGUMENT, "Invalid NextPageToken.");
}

span seal_history_page(shard *s, int64_t ns, const pb_store_HistoryPageToken *page, arena *a) {
  return token_seal(&s->tokens, TOKEN_HISTORY_PAGE, ns, PB_ENCODE(store_HistoryPageToken, page, a),
                    a);
}

static void request_free(shard *s, history_request *h) {
  if (h->op->state) waiter_end(s, &h->waiter);
  list_remove(&h->node);
  if (h->run) run_unpin(s, h->run);
  mem_free(h);
}

static void request_fail(shard *s, history_request *h, const err *e) {
  shard_op *op = h->op;
  request_free(s, h);
  op_fail(op, e);
}

static void request_answered(shard *s, gate *g, const err *e) {
  history_request *h = CONTAINER_OF(g, history_request, gate);
  shard_op *op = h->op;
  const void *response = h->response;
  shard_run *gated = g->run;
  request_free(s, h);
  op->done(op, e, e ? NULL : response);
  run_unpin(s, gated);
}

/* --- answers --- */

static const void *make_response(history_request *h, span events, span token) {
  arena *a = h->op->arena;
  pb_History *history = pb_new(a, History);
  history->head.unknown = events;
  if (h->reverse) {
    pb_GetWorkflowExecutionHistoryReverseResponse *r =
        pb_new(a, GetWorkflowExecutionHistoryReverseResponse);
    r->history = history;
    r->next_page_token = token;
    return r;
  }
  pb_GetWorkflowExecutionHistoryResponse *r = pb_new(a, GetWorkflowExecutionHistoryResponse);
  r->history = history;
  r->next_page_token = token;
  return r;
}

static void answer(shard *s, history_request *h, span events, span token) {
  h->response = make_response(h, events, token);
  gate_wait(s, &h->gate, h->run, request_answered);
}

/* A token to go on with at `from`; `until` is the end of what was asked for. */
static span next_token(history_request *h, int64_t from, int64_t until, bool open) {
  pb_store_HistoryPageToken t = h->token;
  t.run = h->run->key;
  t.run_id = engine_info(h->run->engine)->run_id;
  t.next_event_id = from;
  t.until_event_id = until;
  t.wait = open;
  t.close_event = h->close_only;
  t.reverse = h->reverse;
  return seal_history_page(h->s, h->run->ns, &t, h->op->arena);
}

/* Older clients look for a ContinuedAsNew event to follow a chain. */
static err *rewrite_close_event(arena *a, span *events) {
  pb_History *h;
  TRY(PB_DECODE(History, *events, a, &h));
  if (!h->events.n) return NULL;
  pb_HistoryEvent *ev = h->events.v[h->events.n - 1];
  pb_WorkflowExecutionContinuedAsNewEventAttributes *attrs =
      pb_new(a, WorkflowExecutionContinuedAsNewEventAttributes);
  if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED) {
    attrs->new_execution_run_id =
        ev->workflow_execution_completed_event_attributes->new_execution_run_id;
    attrs->last_completion_result = ev->workflow_execution_completed_event_attributes->result;
  } else if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_FAILED) {
    attrs->new_execution_run_id =
        ev->workflow_execution_failed_event_attributes->new_execution_run_id;
    attrs->failure = ev->workflow_execution_failed_event_attributes->failure;
  } else if (ev->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT) {
    attrs->new_execution_run_id =
        ev->workflow_execution_timed_out_event_attributes->new_execution_run_id;
    attrs->failure = pb_new(a, Failure);
    attrs->failure->message = SPAN("workflow timeout");
    attrs->failure->source = SPAN("Server");
    attrs->failure->which_failure_info = PB_Failure_timeout_failure_info_FIELD;
    attrs->failure->timeout_failure_info = pb_new(a, TimeoutFailureInfo);
    attrs->failure->timeout_failure_info->timeout_type = PB_TIMEOUT_TYPE_START_TO_CLOSE;
  }
  if (!attrs->new_execution_run_id.n) return NULL;
  pb_HistoryEvent fake = {.event_id = ev->event_id,
                          .event_time = ev->event_time,
                          .event_type = PB_EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
                          .version = ev->version,
                          .task_id = ev->task_id};
  fake.which_attributes =
      PB_HistoryEvent_workflow_execution_continued_as_new_event_attributes_FIELD;
  fake.workflow_execution_continued_as_new_event_attributes = attrs;
  h->events.v[h->events.n - 1] = &fake;
  *events = PB_ENCODE(History, h, a);
  return NULL;
}

static void close_event_read(shard *s, history_read *r, const err *e) {
  history_request *h = CONTAINER_OF(r, history_request, read);
  if (!e && !h->follows) e = rewrite_close_event(h->op->arena, &r->events);
  if (e) {
    request_fail(s, h, e);
  } else {
    answer(s, h, r->events, SPAN_NONE);
  }
}

static span with_unwritten(history_request *h, span events) {
  arena *a = h->op->arena;
  span more = engine_transient_events(h->run->engine, a);
  if (!more.n) return events;
  uint8_t *p = arena_alloc(a, events.n + more.n);
  if (events.n) memcpy(p, events.p, events.n);
  memcpy(p + events.n, more.p, more.n);
  return span_of(p, events.n + more.n);
}

static void page_read(shard *s, history_read *r, const err *e) {
  history_request *h = CONTAINER_OF(r, history_request, read);
  if (!e && h->run->phase != RUN_READY) e = run_gone_error(h->op->arena);
  if (e) {
    request_fail(s, h, e);
    return;
  }
  engine_view v;
  engine_look(h->run->engine, &v);
  bool open = v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  span token = SPAN_NONE, events = r->events;
  /* A page that is exactly full is followed by another one, maybe empty. */
  bool full = r->batches >= r->max_batches && !h->grown;
  if (r->next_id < r->until || full || (h->wait && open)) {
    token = next_token(h, r->next_id, r->until, open);
  } else if (h->unwritten && open && r->until == v.next_event_id) {
    events = with_unwritten(h, events);
  }
  answer(s, h, events, token);
}

/* --- reverse --- */

/* The events from the k-th on, in the opposite order. */
static span reversed(arena *a, span events, int64_t skip) {
  pb_History *h;
  if (PB_DECODE(History, events, a, &h)) return events;
  h->events.v += skip;
  h->events.n -= (size_t)skip;
  for (size_t i = 0, k = h->events.n; i + 1 < k; i++) {
    pb_HistoryEvent *swap = h->events.v[i];
    h->events.v[i] = h->events.v[--k];
    h->events.v[k] = swap;
  }
  return PB_ENCODE(History, h, a);
}

static void read_reverse(shard *s, history_request *h) {
  history_read *r = &h->read;
  r->starts = arena_array(r->arena, int64_t, r->until - r->from + 1);
  history_start(s, r);
}

/* What was read ends at the right place and begins somewhere before the page: only whole batches
 * count. Too little was read: again, from further back. */
static void reverse_page_read(shard *s, history_read *r, const err *e) {
  history_request *h = CONTAINER_OF(r, history_request, read);
  if (!e && h->run->phase != RUN_READY) e = run_gone_error(h->op->arena);
  if (e) {
    request_fail(s, h, e);
    return;
  }
  if (r->next_id < r->until && r->until - r->from > 1) { /* too large for one page */
    r->from = r->until - (r->until - r->from) / 2;
    h->narrow = true;
    read_reverse(s, h);
    return;
  }
  bool enough = r->n_starts >= (size_t)h->page_batches || r->from == 1 || h->narrow;
  if (!enough) {
    r->from = MAX(r->until - 4 * (r->until - r->from), 1);
    read_reverse(s, h);
    return;
  }
  int64_t begin = r->from;
  size_t n = MIN(r->n_starts, (size_t)h->page_batches);
  if (n) begin = r->starts[r->n_starts - n];
  span token = begin > 1 ? next_token(h, begin, 0, false) : SPAN_NONE;
  answer(s, h, reversed(h->op->arena, r->events, begin - r->from), token);
}

static void decide_reverse(shard *s, history_request *h, const engine_view *v) {
  int64_t until = h->with_token ? h->token.next_event_id : v->next_event_id;
  until = MIN(until, v->next_event_id);
  h->read = (history_read){.run = h->run,
                           .from = MAX(until - h->page_batches * 4, 1),
                           .until = until,
                           .max_batches = INT64_MAX,
                           .arena = h->op->arena,
                           .done = reverse_page_read};
  read_reverse(s, h);
}

/* --- waiting --- */

static void wait_timeout(shard *s, waiter *w) {
  history_request *h = CONTAINER_OF(w, history_request, waiter);
  if (!list_linked(&h->node)) return;
  list_remove(&h->node);
  int64_t from = h->close_only ? 1 : h->token.next_event_id;
  answer(s, h, SPAN_NONE, next_token(h, from, from, true));
}

static void wait_gone(shard *s, waiter *w, const err *e) {
  history_request *h = CONTAINER_OF(w, history_request, waiter);
  /* Past waiting: the answer is under way. */
  if (!list_linked(&h->node)) return;
  request_fail(
      s, h,
      e ? err_dup(h->op->arena, e) : ERR(h->op->arena, CANCELLED, "the client gave up waiting"));
}

static void wait_for_events(shard *s, history_request *h) {
  if (!h->op->state) {
    int64_t until = now_ns(s) + s->config.long_poll_ns;
    if (h->op->deadline_ns != INT64_MAX) {
      until = MIN(until, MAX(h->op->deadline_ns - NS_PER_SEC, now_ns(s)));
    }
    h->waiter = (waiter){.timeout = wait_timeout, .gone = wait_gone};
    waiter_begin(s, &h->waiter, h->op, until);
    if (h->op->park) h->op->park(h->op);
  }
  list_push_back(&h->run->watchers, &h->node);
}

static void decide(shard *s, history_request *h) {
  engine_view v;
  engine_look(h->run->engine, &v);
  bool open = v.status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  h->read = (history_read){.run = h->run,
                           .from = 1,
                           .until = v.next_event_id,
                           .max_batches = h->page_batches,
                           .arena = h->op->arena,
                           .done = page_read};
  if (h->reverse) {
    decide_reverse(s, h, &v);
  } else if (h->close_only) {
    if (open && h->wait) {
      wait_for_events(s, h);
    } else if (open) {
      answer(s, h, SPAN_NONE, SPAN_NONE);
    } else {
      h->read.from = v.next_event_id - 1;
      h->read.done = close_event_read;
      history_start(s, &h->read);
    }
  } else {
    bool at_end = h->with_token && h->token.next_event_id >= h->token.until_event_id;
    bool goes_on = at_end && h->wait && h->token.wait;
    if (h->with_token) h->read.from = h->token.next_event_id;
    /* SDKs that page through an open run are shown what came meanwhile; a worker's task is not
     * (its token does not say that the run is open). */
    bool grows = h->unwritten && h->token.wait && !h->wait;
    h->grown = grows && h->with_token && v.next_event_id > h->token.until_event_id;
    if (h->with_token && !goes_on && !grows) {
      h->read.until = MIN(h->token.until_event_id, v.next_event_id);
    }
    if (goes_on && open && h->read.from >= v.next_event_id) {
      wait_for_events(s, h);
    } else {
      history_start(s, &h->read);
    }
  }
}

bool is_history_waiter(const waiter *w) { return w->timeout == wait_timeout; }

void watchers_wake(shard *s, shard_run *run) {
  list woken;
  list_init(&woken);
  for (list_node *n = list_pop_front(&run->watchers); n; n = list_pop_front(&run->watchers)) {
    list_push_back(&woken, n);
  }
  run_pin(run);
  for (list_node *n = list_pop_front(&woken); n; n = list_pop_front(&woken)) {
    history_request *h = CONTAINER_OF(n, history_request, node);
    if (run->phase == RUN_READY) {
      decide(s, h);
    } else {
      request_fail(s, h, run_gone_error(h->op->arena));
    }
  }
  run_unpin(s, run);
}

void watchers_fail(shard *s, shard_run *run, const err *e) {
  for (list_node *n = list_pop_front(&run->watchers); n; n = list_pop_front(&run->watchers)) {
    history_request *h = CONTAINER_OF(n, history_request, node);
    request_fail(s, h, err_dup(h->op->arena, e));
  }
}

/* --- requests --- */

static void found(shard *s, run_use *u, shard_run *run, const err *e) {
  history_request *h = CONTAINER_OF(u, history_request, use);
  if (!e) {
    run_pin(run);
    h->run = run;
    run_flush(s, run);
    if (run->phase != RUN_READY) e = run_gone_error(h->op->arena);
  }
  if (e) {
    request_fail(s, h, e);
  } else {
    decide(s, h);
  }
}

static const err *take_token(shard *s, history_request *h, span token, span run_id) {
  arena *a = h->op->arena;
  int64_t ns;
  span body;
  pb_store_HistoryPageToken *t;
  if (!token_open(&s->tokens, TOKEN_HISTORY_PAGE, token, &ns, &body)) return page_error(a);
  if (ns != h->op->ns || PB_DECODE(store_HistoryPageToken, body, a, &t)) return page_error(a);
  if (t->run_id.n != UUID_TEXT_BYTES || t->reverse != h->reverse) return page_error(a);
  if (run_id.n && !span_eq(run_id, t->run_id)) {
    return ERR(a, INVALID_ARGUMENT, "RunId in the request does not match the NextPageToken.");
  }
  memcpy(h->run_id, t->run_id.p, UUID_TEXT_BYTES);
  h->token = *t;
  h->token.head = (pb_head){0};
  h->token.run_id = span_of(h->run_id, UUID_TEXT_BYTES);
  h->with_token = true;
  if (t->transient_scheduled_id) h->unwritten = true;
  return NULL;
}

static void request_begin(shard *s, history_request *h, const pb_WorkflowExecution *execution,
                          span token) {
  shard_op *op = h->op;
  const err *e = token.n ? take_token(s, h, token, execution->run_id) : NULL;
  if (e) {
    request_fail(s, h, e);
    return;
  }
  h->use = (run_use){.ns = op->ns,
                     .workflow_id = execution->workflow_id,
                     .run_id = h->with_token ? h->token.run_id : execution->run_id,
                     .arena = op->arena,
                     .ready = found};
  run_find(s, &h->use);
}

static history_request *request_new(shard *s, shard_op *op, int32_t page_batches) {
  op->state = NULL;
  if (op_refused(s, op)) return NULL;
  history_request *h = mem_new(history_request);
  h->s = s;
  h->op = op;
  h->page_batches =
      page_batches > 0 ? MIN(page_batches, HISTORY_PAGE_BATCHES) : HISTORY_PAGE_BATCHES;
  return h;
}

void shard_history(shard *s, shard_op *op, const pb_GetWorkflowExecutionHistoryRequest *r,
                   bool follows_next_run) {
  history_request *h = request_new(s, op, r->maximum_page_size);
  if (!h) return;
  h->close_only = r->history_event_filter_type == PB_HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
  h->wait = r->wait_new_event;
  h->follows = follows_next_run;
  h->unwritten = op->unwritten_events;
  request_begin(s, h, r->execution, r->next_page_token);
}

void shard_history_reverse(shard *s, shard_op *op,
                           const pb_GetWorkflowExecutionHistoryReverseRequest *r) {
  history_request *h = request_new(s, op, r->maximum_page_size);
  if (!h) return;
  h->reverse = true;
  request_begin(s, h, r->execution, r->next_page_token);
}

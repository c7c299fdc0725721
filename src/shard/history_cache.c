/* history_cache.c - event batches: the newest of each run in memory, the others on disk.
 *
 * A batch is an encoded History: repeated field 1, one event each. Reads splice events out of it
 * without decoding them; the batch's row says the id of its first event, the others follow. */
#include "shard/shard_int.h"

enum {
  CACHE_BYTES = 256 * 1024, /* per run */
  PAGE_BYTES = 2 * 1024 * 1024,
  LOAD_BYTES = 512 * 1024,
  EVENTS_TAG = 0x0a,
};

static history_batch *batch_at(const history_cache *h, size_t i) { return &h->v[h->start + i]; }

void history_add(shard_run *run, int64_t first_id, bytes *blob, uint64_t lsn) {
  history_cache *h = &run->history;
  if (h->start + h->n == h->cap) {
    if (h->start > h->n) {
      memmove(h->v, h->v + h->start, h->n * sizeof *h->v);
      h->start = 0;
    } else {
      h->cap = MAX(h->cap * 2, (size_t)8);
      h->v = mem_realloc(h->v, h->cap * sizeof *h->v);
    }
  }
  h->v[h->start + h->n++] = (history_batch){first_id, bytes_ref(blob), lsn};
  h->bytes += blob->n + sizeof *h->v;
}

static void drop_first(history_cache *h) {
  history_batch *b = batch_at(h, 0);
  h->bytes -= b->blob->n + sizeof *h->v;
  bytes_unref(b->blob);
  h->start++;
  h->n--;
}

void history_release(shard_run *run) {
  while (run->history.n) drop_first(&run->history);
  mem_free(run->history.v);
  run->history = (history_cache){0};
}

void history_trim(shard *s, shard_run *run) {
  history_cache *h = &run->history;
  while (h->n > 1 && h->bytes > CACHE_BYTES && batch_at(h, 0)->lsn <= s->durable_lsn) {
    drop_first(h);
  }
}

void history_mark_staged(shard_run *run, uint64_t lsn) {
  history_cache *h = &run->history;
  for (size_t i = h->n; i-- > 0 && batch_at(h, i)->lsn == UINT64_MAX;) batch_at(h, i)->lsn = lsn;
}

/* --- splicing --- */

/* Cuts the next encoded event, with its tag, off the rest. */
static bool next_event(span *rest, span *ret_event) {
  size_t at = 1, length = 0;
  unsigned shift = 0;
  if (!rest->n || rest->p[0] != EVENTS_TAG) return false;
  for (;;) {
    if (at >= rest->n || shift > 28) return false;
    uint8_t b = rest->p[at++];
    length |= (size_t)(b & 0x7f) << shift;
    shift += 7;
    if (!(b & 0x80)) break;
  }
  if (length > rest->n - at) return false;
  *ret_event = span_of(rest->p, at + length);
  *rest = span_of(rest->p + at + length, rest->n - at - length);
  return true;
}

static bool next_varint(span *rest, uint64_t *ret) {
  uint64_t v = 0;
  for (unsigned shift = 0; rest->n && shift < 64; shift += 7) {
    uint8_t b = rest->p[0];
    *rest = span_of(rest->p + 1, rest->n - 1);
    v |= (uint64_t)(b & 0x7f) << shift;
    if (b & 0x80) continue;
    *ret = v;
    return true;
  }
  return false;
}

/* A field of an encoded message: its number, or its bytes. False: it is not there. */
static bool find_field(span message, uint32_t field, uint64_t *ret_number, span *ret_bytes) {
  uint64_t tag, v;
  while (next_varint(&message, &tag) && next_varint(&message, &v)) {
    bool found = tag >> 3 == field, has_bytes = (tag & 7) == 2;
    if ((tag & 7) != 0 && (!has_bytes || v > message.n)) return false;
    if (found) {
      *ret_number = v;
      if (has_bytes) *ret_bytes = span_of(message.p, v);
      return true;
    }
    if (has_bytes) message = span_of(message.p + v, message.n - v);
  }
  return false;
}

/* The message of an encoded event with its tag and length. */
static span event_message(span event) {
  uint64_t tag, v;
  return next_varint(&event, &tag) && next_varint(&event, &v) ? event : SPAN_NONE;
}

static bool is_task_start(span message) {
  uint64_t type = 0;
  span none;
  return find_field(message, PB_HistoryEvent_event_type_FIELD, &type, &none) &&
         type == PB_EVENT_TYPE_WORKFLOW_TASK_STARTED;
}

/* The start of a task that nobody had to ask for. */
static bool came_at_once(span message) {
  uint64_t n;
  span attrs = SPAN_NONE, id = SPAN_NONE;
  pb_WorkflowTaskStartedEventAttributes start = {0};
  (void)find_field(message, PB_HistoryEvent_workflow_task_started_event_attributes_FIELD, &n,
                   &attrs);
  if (find_field(attrs, PB_WorkflowTaskStartedEventAttributes_request_id_FIELD, &n, &id)) {
    start.request_id = id;
  }
  if (find_field(attrs, PB_WorkflowTaskStartedEventAttributes_history_size_bytes_FIELD, &n, &id)) {
    start.history_size_bytes = (int64_t)n;
  }
  return engine_start_came_at_once(&start);
}

typedef struct taker {
  history_read *r;
  buf *out;
  bool stopped; /* the page is full and there is more */
} taker;

static bool is_done(const taker *t) { return t->stopped || t->r->next_id >= t->r->until; }

/* Clients count pages in batches; one ends with its row, and with the start of a workflow task,
 * which may share its row with what follows. One that came at once belongs to what planned it. */
static void take_row(taker *t, int64_t first_id, span blob) {
  history_read *r = t->r;
  span event;
  bool begins = true;
  for (int64_t id = first_id; !is_done(t) && next_event(&blob, &event); id++) {
    span message = event_message(event);
    bool is_start = is_task_start(message);
    bool begun = begins && !(is_start && came_at_once(message));
    begins = is_start;
    if (id != r->next_id) continue;
    if (begun && (r->batches >= r->max_batches || t->out->n >= PAGE_BYTES)) {
      t->stopped = true;
      return;
    }
    if (begun || !r->batches) r->batches++;
    if (begun && r->starts) r->starts[r->n_starts++] = id;
    buf_add(t->out, event);
    r->next_id++;
  }
}

static void take_cached(taker *t) {
  const history_cache *h = &t->r->run->history;
  size_t i = 0, n = h->n;
  while (i < n) { /* the last row that does not begin after the place */
    size_t mid = (i + n) / 2;
    if (batch_at(h, mid)->first_id <= t->r->next_id) {
      i = mid + 1;
    } else {
      n = mid;
    }
  }
  for (i = i ? i - 1 : 0; i < h->n && !is_done(t); i++) {
    take_row(t, batch_at(h, i)->first_id, bytes_span(batch_at(h, i)->blob));
  }
}

/* --- reading --- */

typedef struct history_load {
  store_load load;
  shard *s;
  history_read *r;
  buf out;
} history_load;

static void load_more(history_load *l);

static void finish(shard *s, history_read *r, const buf *out, const err *e) {
  shard_run *run = r->run;
  if (!e) r->events = arena_dup(r->arena, buf_span(out));
  r->done(s, r, e);
  run_unpin(s, run);
}

static int64_t cached_from(const shard_run *run) {
  return run->history.n ? batch_at(&run->history, 0)->first_id : INT64_MAX;
}

static const err *take_loaded(history_load *l, taker *t) {
  history_read *r = l->r;
  if (l->load.error) return l->load.error;
  int64_t before = r->next_id;
  for (size_t i = 0; i < l->load.n_rows && !is_done(t); i++) {
    take_row(t, l->load.rows[i].id, bytes_span(l->load.rows[i].blob));
  }
  if (r->next_id != before || is_done(t)) return NULL;
  /* The newest events went with the run when it was dropped. */
  if (r->run->phase != RUN_READY) return run_gone_error(r->arena);
  return ERR(r->arena, DATA_LOSS, "event %lld of the run is not in its history", (long long)before);
}

static void loaded(env_task *task) {
  history_load *l = CONTAINER_OF(CONTAINER_OF(task, store_load, task), history_load, load);
  shard *s = l->s;
  history_read *r = l->r;
  taker t = {.r = r, .out = &l->out};
  const err *e = take_loaded(l, &t);
  if (e) e = err_dup(r->arena, e);
  engine_rows_release(l->load.rows, l->load.n_rows);
  arena_release(&l->load.arena);
  s->loads_under_way--;
  if (!e && !is_done(&t) && r->next_id >= cached_from(r->run)) take_cached(&t);
  if (!e && !is_done(&t)) {
    load_more(l);
    return;
  }
  finish(s, r, &l->out, e);
  buf_release(&l->out);
  mem_free(l);
  check_drained(s);
}

static void load_more(history_load *l) {
  history_read *r = l->r;
  l->load = (store_load){.kind = LOAD_HISTORY,
                         .run = r->run->key,
                         .from_id = r->next_id,
                         .until_id = MIN(r->until, cached_from(r->run)),
                         .max_bytes = LOAD_BYTES,
                         .task = {.run = loaded}};
  l->s->loads_under_way++;
  l->s->store->load(l->s->store, &l->load);
}

void history_start(shard *s, history_read *r) {
  run_pin(r->run);
  r->next_id = r->from;
  r->events = SPAN_NONE;
  r->batches = 0;
  r->n_starts = 0;
  buf_clear(&s->scratch);
  taker t = {.r = r, .out = &s->scratch};
  if (!is_done(&t) && r->from >= cached_from(r->run)) take_cached(&t);
  if (is_done(&t)) {
    finish(s, r, &s->scratch, NULL);
    return;
  }
  history_load *l = mem_new(history_load);
  l->s = s;
  l->r = r;
  load_more(l);
}

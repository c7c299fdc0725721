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

typedef struct taker {
  history_read *r;
  buf *out;
  int64_t count;
} taker;

static bool is_full(const taker *t) {
  return t->r->next_id >= t->r->until || t->count >= t->r->max_events || t->out->n >= PAGE_BYTES;
}

/* Events that are before the place of the read, or not before its end, are left out. */
static void take_batch(taker *t, int64_t first_id, span blob) {
  span event;
  for (int64_t id = first_id; id < t->r->until && next_event(&blob, &event); id++) {
    if (id != t->r->next_id) continue;
    buf_add(t->out, event);
    t->r->next_id++;
    t->count++;
  }
}

static void take_cached(taker *t) {
  const history_cache *h = &t->r->run->history;
  size_t i = 0, n = h->n;
  while (i < n) { /* the last batch that does not begin after the place */
    size_t mid = (i + n) / 2;
    if (batch_at(h, mid)->first_id <= t->r->next_id) {
      i = mid + 1;
    } else {
      n = mid;
    }
  }
  for (i = i ? i - 1 : 0; i < h->n && !is_full(t); i++) {
    take_batch(t, batch_at(h, i)->first_id, bytes_span(batch_at(h, i)->blob));
  }
}

/* --- reading --- */

typedef struct history_load {
  store_load load;
  shard *s;
  history_read *r;
  buf out;
  int64_t count;
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

static const err *take_loaded(history_load *l) {
  history_read *r = l->r;
  if (l->load.error) return l->load.error;
  taker t = {.r = r, .out = &l->out, .count = l->count};
  int64_t before = r->next_id;
  for (size_t i = 0; i < l->load.n_rows && !is_full(&t); i++) {
    take_batch(&t, l->load.rows[i].id, bytes_span(l->load.rows[i].blob));
  }
  l->count = t.count;
  if (r->next_id == before) {
    return ERR(r->arena, DATA_LOSS, "event %lld of the run is not in its history",
               (long long)before);
  }
  return NULL;
}

static void loaded(env_task *task) {
  history_load *l = CONTAINER_OF(CONTAINER_OF(task, store_load, task), history_load, load);
  shard *s = l->s;
  history_read *r = l->r;
  const err *e = take_loaded(l);
  if (e) e = err_dup(r->arena, e);
  engine_rows_release(l->load.rows, l->load.n_rows);
  arena_release(&l->load.arena);
  s->loads_under_way--;
  taker t = {.r = r, .out = &l->out, .count = l->count};
  if (!e && !is_full(&t) && r->next_id >= cached_from(r->run)) take_cached(&t);
  if (!e && !is_full(&t)) {
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
  buf_clear(&s->scratch);
  taker t = {.r = r, .out = &s->scratch};
  if (!is_full(&t) && r->from >= cached_from(r->run)) take_cached(&t);
  if (is_full(&t)) {
    finish(s, r, &s->scratch, NULL);
    return;
  }
  history_load *l = mem_new(history_load);
  l->s = s;
  l->r = r;
  r->next_id = r->from;
  load_more(l);
}

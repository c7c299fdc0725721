#include "store/row_code.h"

#include <stddef.h>

#include "store/number.h"

/* What every row has: the integers that differ from 0, by a mask; then texts and blobs. */

enum { N_INTS = 11, N_VISIBLE_INTS = 6, N_VISIBLE_TEXTS = 8 };

typedef struct ints {
  int64_t v[N_INTS];
} ints;

static ints ints_of(const store_row *r) {
  return (ints){{r->run, r->id, r->item_kind, r->status, r->attempt, r->ns, r->due_ns,
                 r->queued.queue, r->queued.priority, r->queued.seq, r->expected_run}};
}

static void set_ints(store_row *r, const ints *i) {
  const int64_t *v = i->v;
  r->run = v[0];
  r->id = v[1];
  r->item_kind = (int32_t)v[2];
  r->status = (int32_t)v[3];
  r->attempt = (int32_t)v[4];
  r->ns = v[5];
  r->due_ns = v[6];
  r->queued = (store_queued){.queue = v[7], .priority = (int32_t)v[8], .seq = v[9]};
  r->expected_run = v[10];
}

static uint64_t zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

static void add_ints(buf *b, const int64_t *v, size_t n) {
  uint64_t mask = 0;
  for (size_t i = 0; i < n; i++) mask |= (uint64_t)(v[i] != 0) << i;
  number_add(b, mask);
  for (size_t i = 0; i < n; i++) {
    if (v[i]) number_add(b, zigzag(v[i]));
  }
}

static bool next_ints(span in, size_t *at, int64_t *v, size_t n) {
  uint64_t mask, one;
  if (!number_next(in, at, &mask) || mask >> n) return false;
  for (size_t i = 0; i < n; i++) {
    v[i] = 0;
    if (!(mask >> i & 1)) continue;
    if (!number_next(in, at, &one)) return false;
    v[i] = unzigzag(one);
  }
  return true;
}

/* --- texts and blobs: one more than the size, 0 for what is not there --- */

static void add_text(buf *b, span s) {
  number_add(b, s.p ? s.n + 1 : 0);
  if (s.p) buf_add(b, s);
}

static bool next_text(span in, size_t *at, span *ret) {
  uint64_t n;
  *ret = SPAN_NONE;
  if (!number_next(in, at, &n)) return false;
  if (n == 0) return true;
  if (n - 1 > in.n - *at) return false;
  *ret = span_of(in.p + *at, (size_t)n - 1);
  *at += (size_t)n - 1;
  return true;
}

static bool next_text_in(span in, size_t *at, arena *a, span *ret) {
  if (!next_text(in, at, ret)) return false;
  if (ret->p) *ret = arena_dup(a, *ret);
  return true;
}

static bool next_blob(span in, size_t *at, arena *a, bytes **ret) {
  span s;
  *ret = NULL;
  if (!next_text(in, at, &s)) return false;
  if (!s.p) return true;
  *ret = arena_alloc(a, offsetof(bytes, p) + s.n);
  (*ret)->refs = 1;
  (*ret)->n = s.n;
  if (s.n) memcpy((*ret)->p, s.p, s.n);
  return true;
}

/* --- what lists see --- */

static void visible_texts(store_visible *v, span *ret[N_VISIBLE_TEXTS]) {
  span *all[] = {
      &v->run_id,           &v->type,        &v->queue,   &v->parent_workflow_id, &v->parent_run_id,
      &v->root_workflow_id, &v->root_run_id, &v->division};
  memcpy(ret, all, sizeof all);
}

static void add_visible(buf *b, const store_visible *given) {
  store_visible v = *given;
  span *texts[N_VISIBLE_TEXTS];
  visible_texts(&v, texts);
  for (size_t i = 0; i < N_VISIBLE_TEXTS; i++) add_text(b, *texts[i]);
  number_add(b, (uint64_t)v.was_status << 2 | v.change);
  add_ints(b,
           (const int64_t[N_VISIBLE_INTS]){v.started_ns, v.execution_ns, v.closed_ns, v.events,
                                           v.history_bytes, v.transitions},
           N_VISIBLE_INTS);
  number_add(b, v.n_attributes);
  if (!v.n_attributes) return;
  arena a = ARENA_INIT;
  add_text(b, store_attributes_encode(v.attributes, v.n_attributes, &a));
  arena_release(&a);
}

static bool next_attributes(span in, size_t *at, arena *a, store_visible *v) {
  uint64_t n;
  span all;
  if (!number_next(in, at, &n)) return false;
  if (n == 0) return true;
  if (n > in.n - *at || !next_text_in(in, at, a, &all)) return false;
  v->attributes = arena_array(a, store_attribute, n);
  for (size_t from = 0; v->n_attributes < n; v->n_attributes++) {
    if (!store_attributes_next(all, &from, &v->attributes[v->n_attributes])) return false;
  }
  return true;
}

static bool next_visible(span in, size_t *at, arena *a, store_row *r) {
  store_visible *v = arena_new(a, store_visible);
  span *texts[N_VISIBLE_TEXTS];
  uint64_t was;
  int64_t i[N_VISIBLE_INTS];
  visible_texts(v, texts);
  for (size_t k = 0; k < N_VISIBLE_TEXTS; k++) {
    if (!next_text_in(in, at, a, texts[k])) return false;
  }
  if (!number_next(in, at, &was) || !next_ints(in, at, i, N_VISIBLE_INTS)) return false;
  v->was_status = (int32_t)(was >> 2);
  v->change = (store_attributes_change)(was & 3);
  v->started_ns = i[0];
  v->execution_ns = i[1];
  v->closed_ns = i[2];
  v->events = i[3];
  v->history_bytes = i[4];
  v->transitions = i[5];
  r->visible = v;
  return next_attributes(in, at, a, v);
}

/* --- rows --- */

void row_encode(const store_row *r, buf *to) {
  ints i = ints_of(r);
  number_add(to, (uint64_t)r->kind << 1 | (r->visible != NULL));
  add_ints(to, i.v, N_INTS);
  add_text(to, r->workflow_id);
  add_text(to, r->name);
  add_text(to, bytes_span(r->info));
  add_text(to, bytes_span(r->blob));
  if (r->visible) add_visible(to, r->visible);
}

bool row_decode(span in, size_t *at, arena *a, store_row *ret_row) {
  uint64_t kind;
  ints i;
  *ret_row = (store_row){0};
  if (!number_next(in, at, &kind) || kind >> 1 > ROW_VISIBLE_PUT) return false;
  if (!next_ints(in, at, i.v, N_INTS)) return false;
  ret_row->kind = (store_row_kind)(kind >> 1);
  set_ints(ret_row, &i);
  return next_text_in(in, at, a, &ret_row->workflow_id) &&
         next_text_in(in, at, a, &ret_row->name) && next_blob(in, at, a, &ret_row->info) &&
         next_blob(in, at, a, &ret_row->blob) && (!(kind & 1) || next_visible(in, at, a, ret_row));
}

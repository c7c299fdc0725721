#include "store/visible.h"

#include "store/number.h"

static int order(int64_t a, int64_t b) { return (a > b) - (a < b); }

/* 2^63 and more cannot be told by converting the integer. */
static int int_real_cmp(int64_t i, double real) {
  if (real >= 0x1p63) return -1;
  if (real < -0x1p63) return 1;
  int c = order(i, (int64_t)real);
  if (c) return c;
  double rest = real - (double)(int64_t)real;
  return (rest < 0) - (rest > 0);
}

static int number_cmp(const store_value *a, const store_value *b) {
  if (a->kind == VALUE_INT && b->kind == VALUE_INT) return order(a->i, b->i);
  if (a->kind == VALUE_INT) return int_real_cmp(a->i, b->real);
  if (b->kind == VALUE_INT) return -int_real_cmp(b->i, a->real);
  return (a->real > b->real) - (a->real < b->real);
}

static int class_of(const store_value *v) {
  return v->kind == VALUE_NULL ? 0 : v->kind == VALUE_TEXT ? 2 : 1;
}

int store_value_cmp(const store_value *a, const store_value *b) {
  int c = order(class_of(a), class_of(b));
  if (c || a->kind == VALUE_NULL) return c;
  return a->kind == VALUE_TEXT ? span_cmp(a->text, b->text) : number_cmp(a, b);
}

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }

bool store_value_has_prefix(const store_value *v, const store_value *prefix) {
  if (v->kind != VALUE_TEXT || prefix->kind != VALUE_TEXT) return false;
  if (v->text.n < prefix->text.n) return false;
  for (size_t i = 0; i < prefix->text.n; i++) {
    if (lower(v->text.p[i]) != lower(prefix->text.p[i])) return false;
  }
  return true;
}

/* --- attributes in one piece: for each its id, kind and size, then the value --- */

enum { UNINDEXED = 0x80 }; /* of the kind */

static span value_bytes(const store_value *v) {
  return v->kind == VALUE_TEXT ? v->text : span_of(&v->i, sizeof v->i);
}

span store_attributes_encode(const store_attribute *v, size_t n, arena *a) {
  buf b = BUF_INIT;
  for (size_t i = 0; i < n; i++) {
    span value = value_bytes(&v[i].value);
    number_add(&b, (uint64_t)v[i].id);
    buf_addb(&b, (uint8_t)(v[i].value.kind | (v[i].unindexed ? UNINDEXED : 0)));
    number_add(&b, value.n);
    buf_add(&b, value);
  }
  span out = arena_dup(a, buf_span(&b));
  buf_release(&b);
  return out;
}

bool store_attributes_next(span in, size_t *at, store_attribute *ret) {
  uint64_t id, n;
  if (!number_next(in, at, &id) || *at >= in.n) return false;
  uint8_t flags = in.p[(*at)++], kind = flags & (UNINDEXED - 1);
  if (!number_next(in, at, &n) || n > in.n - *at) return false;
  *ret = (store_attribute){.id = (int64_t)id, .value = {.kind = kind}};
  ret->unindexed = (flags & UNINDEXED) != 0;
  if (kind == VALUE_TEXT) {
    ret->value.text = span_of(in.p + *at, n);
  } else if (n == sizeof ret->value.i) {
    memcpy(&ret->value.i, in.p + *at, n);
  } else {
    return false;
  }
  *at += n;
  return true;
}

int store_place_cmp(const store_query *q, const store_place *a, const store_place *b) {
  int c = 0;
  if (q->ordered) {
    c = order(a->key.kind == VALUE_NULL, b->key.kind == VALUE_NULL);
    if (!c)
      c = q->descending ? store_value_cmp(&b->key, &a->key) : store_value_cmp(&a->key, &b->key);
  }
  if (!c) c = order(b->ended_ns, a->ended_ns);
  if (!c) c = order(b->started_ns, a->started_ns);
  return c ? c : order(b->run, a->run);
}

void store_query_begin(store_query *q) {
  q->error = NULL;
  q->found = NULL;
  q->groups = NULL;
  q->n_found = q->n_groups = 0;
  q->count = 0;
  q->more = false;
}

void store_query_release(store_query *q) {
  for (size_t i = 0; i < q->n_found; i++) {
    bytes_unref(q->found[i].info);
    bytes_unref(q->found[i].state);
  }
  q->n_found = 0;
  arena_release(&q->arena);
}

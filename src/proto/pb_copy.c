#include <stdlib.h>

#include "base/mem.h"
#include "proto/pb.gen.h"
#include "proto/pb_wire.h"

static span copy_span(arena *a, span s) { return s.p ? arena_dup(a, s) : SPAN_NONE; }

static void copy_value(pb_type type, const pb_desc *sub, const void *from, void *to, arena *a) {
  switch (type) {
    case PB_STRING:
    case PB_BYTES:
    case PB_RAW:
      *(span *)to = copy_span(a, *(const span *)from);
      return;
    case PB_MESSAGE: {
      const void *msg = *(const pb_ptr *)from;
      *(pb_ptr *)to = msg ? pb_copy(sub, msg, a) : NULL;
      return;
    }
    default:
      memcpy(to, from, pb_value_bytes(type));
  }
}

static void copy_list(const pb_field *f, const pb_list *from, pb_list *to, arena *a) {
  size_t size = pb_value_bytes((pb_type)f->type);
  *to = (pb_list){0};
  if (from->n == 0) return;
  to->v = arena_alloc(a, from->n * size);
  to->n = from->n;
  for (size_t i = 0; i < from->n; i++) {
    size_t at = i * size;
    copy_value((pb_type)f->type, pb_sub(f), (char *)from->v + at, (char *)to->v + at, a);
  }
}

void *pb_copy(const pb_desc *d, const void *msg, arena *a) {
  void *copy = arena_alloc(a, d->struct_bytes);
  memcpy(copy, msg, d->struct_bytes);
  pb_head *head = copy;
  head->unknown = copy_span(a, head->unknown);
  for (size_t i = 0; i < d->field_count; i++) {
    const pb_field *f = pb_rows(d) + i;
    if (f->flags & PB_REPEATED) {
      copy_list(f, pb_list_at(msg, f), pb_list_at(copy, f), a);
    } else if (!(f->flags & PB_ONEOF) || pb_is_set(msg, f)) {
      copy_value((pb_type)f->type, pb_sub(f), pb_value_at(msg, f), pb_value_at(copy, f), a);
    }
  }
  return copy;
}

static bool same_value(const pb_field *f, const void *x, const void *y) {
  switch ((pb_type)f->type) {
    case PB_STRING:
    case PB_BYTES:
    case PB_RAW:
      return span_eq(*(const span *)x, *(const span *)y);
    case PB_MESSAGE: {
      const void *a = *(const pb_ptr *)x, *b = *(const pb_ptr *)y;
      return a && b ? pb_equal(pb_sub(f), a, b) : a == b;
    }
    default:
      return memcmp(x, y, pb_value_bytes((pb_type)f->type)) == 0;
  }
}

typedef struct ordered {
  const pb_desc *entry;
  const void *msg;
} ordered;

static int order_entries(const void *x, const void *y) {
  const ordered *a = x, *b = y;
  return pb_compare_keys(a->entry, a->msg, b->msg);
}

static ordered *sorted_entries(const pb_desc *entry, const pb_list *l) {
  ordered *v = mem_alloc(l->n * sizeof *v);
  for (size_t i = 0; i < l->n; i++) v[i] = (ordered){entry, pb_list_msg(l, i)};
  qsort(v, l->n, sizeof *v, order_entries);
  return v;
}

/* Entries in any order. */
static bool same_map(const pb_field *f, const pb_list *x, const pb_list *y) {
  if (x->n != y->n) return false;
  if (x->n == 0) return true;
  ordered *a = sorted_entries(pb_sub(f), x), *b = sorted_entries(pb_sub(f), y);
  bool same = true;
  for (size_t i = 0; same && i < x->n; i++) same = pb_equal(pb_sub(f), a[i].msg, b[i].msg);
  mem_free(a);
  mem_free(b);
  return same;
}

static bool same_list(const pb_field *f, const pb_list *x, const pb_list *y) {
  if (f->flags & PB_MAP) return same_map(f, x, y);
  size_t size = pb_value_bytes((pb_type)f->type);
  if (x->n != y->n) return false;
  for (size_t i = 0; i < x->n; i++) {
    if (!same_value(f, (char *)x->v + i * size, (char *)y->v + i * size)) return false;
  }
  return true;
}

bool pb_equal(const pb_desc *d, const void *x, const void *y) {
  if (!span_eq(((const pb_head *)x)->unknown, ((const pb_head *)y)->unknown)) return false;
  for (size_t i = 0; i < d->field_count; i++) {
    const pb_field *f = pb_rows(d) + i;
    bool same = true;
    if (f->flags & PB_REPEATED) {
      same = same_list(f, pb_list_at(x, f), pb_list_at(y, f));
    } else if (f->flags & (PB_ONEOF | PB_OPTIONAL) || f->type == PB_RAW) {
      bool set = pb_is_set(x, f);
      same =
          set == pb_is_set(y, f) && (!set || same_value(f, pb_value_at(x, f), pb_value_at(y, f)));
    } else {
      same = same_value(f, pb_value_at(x, f), pb_value_at(y, f));
    }
    if (!same) return false;
  }
  return true;
}

pb_Any *pb_any(const pb_desc *d, const void *msg, arena *a) {
  pb_Any *any = arena_new(a, pb_Any);
  any->type_url = arena_spanf(a, "type.googleapis.com/%s", pb_name(d));
  any->value = pb_encode_arena(d, msg, a);
  return any;
}

#include <stdlib.h>

#include "proto/pb_wire.h"

/* A map that got a second entry; equal keys are removed when the whole message is read, once per
 * map, so that input cannot make us search the same map again and again. */
typedef struct map_ref {
  struct map_ref *next;
  pb_list *entries;
  const pb_desc *entry;
} map_ref;

typedef struct reader {
  arena *a;
  span input;
  size_t elements_left, bytes_left;
  map_ref *maps;
  const char *problem;
  unsigned depth_of_problem;
  struct {
    const pb_field *field;
    size_t at; /* index + 1 in a list, 0 outside */
  } path[PB_MAX_DEPTH + 2];
} reader;

/* Where the value of a message that is only checked goes. */
typedef union scrap {
  span text;
  uint64_t number;
} scrap;

/* One message being read. msg is NULL when it is only checked. */
typedef struct frame {
  reader *r;
  const pb_desc *desc;
  uint8_t *msg;
  const uint8_t *end;
  unsigned depth;
} frame;

/* Every reading function returns the position after what it read, or NULL with r->problem set. */
static const uint8_t *read_message(reader *r, const pb_desc *desc, void *msg, span in,
                                   unsigned depth);

static const uint8_t *fail(reader *r, const char *problem) {
  r->problem = problem;
  return NULL;
}

static inline void *take(reader *r, size_t n) {
  n = (n + 15) & ~(size_t)15;
  if (n > r->bytes_left) return (void *)(uintptr_t)fail(r, "needs too much memory");
  r->bytes_left -= n;
  arena *a = r->a;
  if (a->cur && n <= (size_t)(a->end - a->cur)) {
    void *p = a->cur;
    a->cur += n;
    return p;
  }
  return arena_alloc(a, n);
}

static void *take_message(reader *r, const pb_desc *desc) {
  void *msg = take(r, desc->struct_bytes);
  return msg ? memset(msg, 0, desc->struct_bytes) : NULL;
}

static const uint8_t *read_long_varint(reader *r, const uint8_t *p, const uint8_t *end,
                                       uint64_t *ret) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (p == end) return fail(r, "truncated");
    uint8_t b = *p++;
    if (shift == 63 && b > 1) break;
    v |= (uint64_t)(b & 0x7F) << shift;
    if (b < 0x80) {
      *ret = v;
      return p;
    }
  }
  return fail(r, "a varint of more than 64 bits");
}

static inline const uint8_t *read_varint(reader *r, const uint8_t *p, const uint8_t *end,
                                         uint64_t *ret) {
  if (p < end && *p < 0x80) {
    *ret = *p;
    return p + 1;
  }
  return read_long_varint(r, p, end, ret);
}

static inline const uint8_t *read_tag(reader *r, const uint8_t *p, const uint8_t *end,
                                      uint32_t *ret) {
  uint64_t v;
  p = read_varint(r, p, end, &v);
  if (!p) return NULL;
  if (v > UINT32_MAX || v < 8) return fail(r, "a field number out of range");
  *ret = (uint32_t)v;
  return p;
}

static inline const uint8_t *read_bytes(reader *r, const uint8_t *p, const uint8_t *end,
                                        span *ret) {
  uint64_t n;
  p = read_varint(r, p, end, &n);
  if (!p) return NULL;
  if (n > (size_t)(end - p)) return fail(r, "truncated");
  *ret = span_of(p, (size_t)n);
  return p + n;
}

static const uint8_t *skip_value(reader *r, uint32_t tag, const uint8_t *p, const uint8_t *end,
                                 unsigned depth) {
  uint64_t number;
  span bytes;
  switch (tag & 7) {
    case WIRE_VARINT:
      return read_varint(r, p, end, &number);
    case WIRE_64:
      return end - p < 8 ? fail(r, "truncated") : p + 8;
    case WIRE_32:
      return end - p < 4 ? fail(r, "truncated") : p + 4;
    case WIRE_LEN:
      return read_bytes(r, p, end, &bytes);
    case WIRE_GROUP:
      break;
    case WIRE_GROUP_END:
      return fail(r, "the end of a group that was not begun");
    default:
      return fail(r, "wrong wire type");
  }
  if (depth >= PB_MAX_DEPTH) return fail(r, "nested too deep");
  for (;;) {
    uint32_t inner;
    p = read_tag(r, p, end, &inner);
    if (!p) return NULL;
    if ((inner & 7) == WIRE_GROUP_END) {
      return inner >> 3 == tag >> 3 ? p : fail(r, "the end of another group");
    }
    p = skip_value(r, inner, p, end, depth + 1);
    if (!p) return NULL;
  }
}

static size_t power_of_two(size_t n) {
  return n <= 1 ? 1 : (size_t)1 << (64 - __builtin_clzll(n - 1));
}

/* Appends input bytes to a span that starts as a borrowed piece of the input and becomes a copy
 * when the next piece is not its neighbour. A copy has room for the next power of two, so the total
 * work stays linear; where the span points tells which of the two it is. */
static bool append_piece(reader *r, span *to, span piece) {
  if (to->p == NULL || (to->n == 0 && piece.n > 0)) {
    *to = piece;
    return true;
  }
  bool borrowed = to->p >= r->input.p && to->p < r->input.p + r->input.n;
  if (piece.n == 0 || (borrowed && to->p + to->n == piece.p)) {
    to->n += piece.n;
    return true;
  }
  size_t n = to->n + piece.n;
  uint8_t *p = (uint8_t *)(uintptr_t)to->p;
  if (borrowed || n > power_of_two(to->n)) {
    p = take(r, power_of_two(n));
    if (!p) return false;
    memcpy(p, to->p, to->n);
  }
  memcpy(p + to->n, piece.p, piece.n);
  *to = span_of(p, n);
  return true;
}

static bool spend_elements(reader *r, size_t n) {
  if (n > r->elements_left) return fail(r, "too many elements") != NULL;
  r->elements_left -= n;
  return true;
}

/* Room for `more` elements at the end of a list; the capacity follows from the length. */
static void *list_room(reader *r, pb_list *l, size_t more, size_t size) {
  if (!spend_elements(r, more)) return NULL;
  size_t least = size < 16 ? 16 / size : 1;
  size_t cap = l->n ? MAX(power_of_two(l->n), least) : 0;
  if (l->n + more > cap) {
    void *v = take(r, MAX(power_of_two(l->n + more), least) * size);
    if (!v) return NULL;
    if (l->n) memcpy(v, l->v, l->n * size);
    l->v = v;
  }
  void *at = (char *)l->v + l->n * size;
  l->n += more;
  return at;
}

static const uint8_t *read_scalar(reader *r, pb_type type, const uint8_t *p, const uint8_t *end,
                                  void *to) {
  uint64_t v;
  switch (type) {
    case PB_DOUBLE:
    case PB_FIXED64:
    case PB_SFIXED64:
      if (end - p < 8) return fail(r, "truncated");
      memcpy(to, p, 8);
      return p + 8;
    case PB_FLOAT:
    case PB_FIXED32:
    case PB_SFIXED32:
      if (end - p < 4) return fail(r, "truncated");
      memcpy(to, p, 4);
      return p + 4;
    default:
      break;
  }
  p = read_varint(r, p, end, &v);
  if (!p) return NULL;
  switch (type) {
    case PB_BOOL:
      *(bool *)to = v != 0;
      break;
    case PB_SINT32:
      *(int32_t *)to = (int32_t)pb_unzigzag((uint32_t)v);
      break;
    case PB_SINT64:
      *(int64_t *)to = pb_unzigzag(v);
      break;
    case PB_INT64:
    case PB_UINT64:
      *(uint64_t *)to = v;
      break;
    default:
      *(uint32_t *)to = (uint32_t)v;
  }
  return p;
}

static const uint8_t *read_text(reader *r, pb_type type, const uint8_t *p, const uint8_t *end,
                                span *to) {
  p = read_bytes(r, p, end, to);
  if (p && type == PB_STRING && pb_utf8_valid_bytes(*to) != to->n) return fail(r, "invalid UTF-8");
  return p;
}

static unsigned element_wire_type(pb_type type) {
  switch (type) {
    case PB_DOUBLE:
    case PB_FIXED64:
    case PB_SFIXED64:
      return WIRE_64;
    case PB_FLOAT:
    case PB_FIXED32:
    case PB_SFIXED32:
      return WIRE_32;
    case PB_STRING:
    case PB_BYTES:
    case PB_MESSAGE:
    case PB_RAW:
      return WIRE_LEN;
    default:
      return WIRE_VARINT;
  }
}

static size_t count_packed(pb_type type, span s) {
  unsigned wire = element_wire_type(type);
  if (wire == WIRE_64) return s.n / 8;
  if (wire == WIRE_32) return s.n / 4;
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++) n += s.p[i] < 0x80;
  return n;
}

static const uint8_t *read_packed(const frame *m, const pb_field *f, const uint8_t *p) {
  reader *r = m->r;
  pb_type type = (pb_type)f->type;
  span in;
  p = read_bytes(r, p, m->end, &in);
  if (!p || in.n == 0) return p;
  size_t n = count_packed(type, in);
  if (n == 0) return fail(r, "truncated");
  size_t size = m->msg ? pb_value_bytes(type) : 0;
  scrap scratch;
  uint8_t *to = m->msg ? list_room(r, pb_list_at(m->msg, f), n, size) : (uint8_t *)&scratch;
  if (!to || (!m->msg && !spend_elements(r, n))) return NULL;
  for (const uint8_t *q = in.p; q < in.p + in.n; to += size) {
    q = read_scalar(r, type, q, in.p + in.n, to);
    if (!q) return NULL;
  }
  return p;
}

static bool note_map(reader *r, pb_list *entries, const pb_desc *entry) {
  map_ref *ref = take(r, sizeof *ref);
  if (!ref) return false;
  *ref = (map_ref){.next = r->maps, .entries = entries, .entry = entry};
  r->maps = ref;
  return true;
}

/* An entry always has a value: a message or raw value that was not sent is an empty one. */
static bool complete_entry(reader *r, const pb_desc *entry, void *msg) {
  const pb_field *value = pb_rows(entry) + 1;
  if (value->type == PB_MESSAGE && !*pb_ptr_at(msg, value)) {
    void *empty = take_message(r, pb_sub(value));
    if (!empty) return false;
    *pb_ptr_at(msg, value) = empty;
  } else if (value->type == PB_RAW && !pb_span_at(msg, value)->p) {
    *pb_span_at(msg, value) = SPAN("");
  }
  return true;
}

static const uint8_t *read_repeated(const frame *m, const pb_field *f, const uint8_t *p) {
  reader *r = m->r;
  pb_type type = (pb_type)f->type;
  scrap scratch;
  void *to = m->msg ? list_room(r, pb_list_at(m->msg, f), 1, pb_value_bytes(type)) : &scratch;
  if (!to || (!m->msg && !spend_elements(r, 1))) return NULL;
  if (type == PB_STRING || type == PB_BYTES) return read_text(r, type, p, m->end, to);
  if (type != PB_MESSAGE) return read_scalar(r, type, p, m->end, to);
  span in;
  p = read_bytes(r, p, m->end, &in);
  if (!p) return NULL;
  void *msg = NULL;
  if (m->msg) {
    msg = take_message(r, pb_sub(f));
    if (!msg) return NULL;
    *(pb_ptr *)to = msg;
  }
  if (!read_message(r, pb_sub(f), msg, in, m->depth + 1)) return NULL;
  if (msg && (f->flags & PB_MAP)) {
    if (!complete_entry(r, pb_sub(f), msg)) return NULL;
    pb_list *entries = pb_list_at(m->msg, f);
    if (entries->n == 2 && !note_map(r, entries, pb_sub(f))) return NULL;
  }
  return p;
}

static void set_presence(const frame *m, const pb_field *f) {
  if (f->flags & PB_OPTIONAL) {
    *pb_has_at(m->msg, f) = true;
    return;
  }
  uint32_t *which = pb_which_at(m->msg, f);
  if (*which == pb_number(f)) return;
  *which = pb_number(f);
  if (f->type == PB_MESSAGE) *pb_ptr_at(m->msg, f) = NULL;
  if (f->type == PB_RAW) *pb_span_at(m->msg, f) = SPAN_NONE;
}

static const uint8_t *read_submessage(const frame *m, const pb_field *f, const uint8_t *p) {
  reader *r = m->r;
  span in;
  p = read_bytes(r, p, m->end, &in);
  if (!p) return NULL;
  void *msg = NULL;
  if (m->msg && f->type == PB_MESSAGE) {
    pb_ptr *slot = pb_ptr_at(m->msg, f);
    msg = *slot ? *slot : take_message(r, pb_sub(f));
    if (!msg) return NULL;
    *slot = msg;
  }
  if (!read_message(r, pb_sub(f), msg, in, m->depth + 1)) return NULL;
  if (m->msg && f->type == PB_RAW && !append_piece(r, pb_span_at(m->msg, f), in)) return NULL;
  return p;
}

static inline const uint8_t *read_field(const frame *m, const pb_field *f, const uint8_t *p) {
  if (f->flags & PB_REPEATED) {
    return f->flags & PB_PACKED ? read_packed(m, f, p) : read_repeated(m, f, p);
  }
  if ((f->flags & (PB_ONEOF | PB_OPTIONAL)) && m->msg) set_presence(m, f);
  if (f->type == PB_MESSAGE || f->type == PB_RAW) return read_submessage(m, f, p);
  scrap scratch;
  void *to = m->msg ? pb_value_at(m->msg, f) : &scratch;
  if (f->type == PB_STRING || f->type == PB_BYTES) {
    return read_text(m->r, (pb_type)f->type, p, m->end, to);
  }
  return read_scalar(m->r, (pb_type)f->type, p, m->end, to);
}

/* A repeated scalar may come packed or one by one, whichever way we write it. Any other wire type
 * than the expected makes a field unknown. */
static const uint8_t *read_other(const frame *m, const pb_field *f, uint32_t tag,
                                 const uint8_t *start, const uint8_t *p) {
  if (f && (f->flags & PB_REPEATED) && element_wire_type((pb_type)f->type) != WIRE_LEN) {
    if ((tag & 7) == WIRE_LEN) return read_packed(m, f, p);
    if ((tag & 7) == element_wire_type((pb_type)f->type)) return read_repeated(m, f, p);
  }
  p = skip_value(m->r, tag, p, m->end, m->depth);
  if (!p || !m->msg) return p;
  pb_head *head = (pb_head *)(void *)m->msg;
  return append_piece(m->r, &head->unknown, span_of(start, (size_t)(p - start))) ? p : NULL;
}

static void note_path(const frame *m, const pb_field *f) {
  reader *r = m->r;
  if (r->depth_of_problem < m->depth) r->depth_of_problem = m->depth;
  r->path[m->depth].field = f;
  r->path[m->depth].at = f && m->msg && (f->flags & PB_REPEATED) ? pb_list_at(m->msg, f)->n : 0;
}

static const uint8_t *read_message(reader *r, const pb_desc *desc, void *msg, span in,
                                   unsigned depth) {
  if (depth > PB_MAX_DEPTH) return fail(r, "nested too deep");
  frame m = {.r = r, .desc = desc, .msg = msg, .end = in.p + in.n, .depth = depth};
  const uint8_t *p = in.p;
  while (p < m.end) {
    const uint8_t *start = p;
    const pb_field *f = NULL;
    uint32_t tag;
    p = read_tag(r, p, m.end, &tag);
    if (p) {
      f = pb_row(desc, tag >> 3);
      p = f && f->tag == tag ? read_field(&m, f, p) : read_other(&m, f, tag, start, p);
    }
    if (!p) {
      note_path(&m, f);
      return NULL;
    }
  }
  return m.end;
}

typedef struct ordered {
  const pb_desc *entry;
  void *msg;
  size_t at;
} ordered;

static int order_entries(const void *x, const void *y) {
  const ordered *a = x, *b = y;
  int c = pb_compare_keys(a->entry, a->msg, b->msg);
  return c ? c : (a->at > b->at) - (a->at < b->at);
}

void pb_drop_duplicates(arena *a, const pb_desc *entry, pb_list *entries) {
  size_t n = entries->n;
  pb_ptr *v = entries->v;
  ordered *sorted = arena_alloc(a, n * sizeof *sorted);
  for (size_t i = 0; i < n; i++) sorted[i] = (ordered){entry, v[i], i};
  qsort(sorted, n, sizeof *sorted, order_entries);
  for (size_t i = 0; i + 1 < n; i++) {
    if (pb_compare_keys(entry, sorted[i].msg, sorted[i + 1].msg) == 0) {
      v[sorted[i].at] = NULL;
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (v[i]) v[kept++] = v[i];
  }
  entries->n = kept;
}

static const char *path_text(const reader *r) {
  const char *text = "";
  for (unsigned i = 0; i <= r->depth_of_problem; i++) {
    const pb_field *f = r->path[i].field;
    if (!f) break;
    const char *name = pb_names + f->name;
    text = r->path[i].at ? arena_printf(r->a, "%s.%s[%zu]", text, name, r->path[i].at - 1)
                         : arena_printf(r->a, "%s.%s", text, name);
  }
  return text;
}

static err *read_whole(const pb_desc *d, void *msg, span in, arena *a) {
  reader r;
  r.a = a;
  r.input = in;
  r.elements_left = PB_MAX_ELEMENTS;
  r.bytes_left = PB_MAX_DECODED_BYTES;
  r.maps = NULL;
  r.problem = NULL;
  r.depth_of_problem = 0;
  if (in.n && !read_message(&r, d, msg, in, 0)) {
    return ERR(a, INVALID_ARGUMENT, "%s%s: %s", pb_name(d), path_text(&r), r.problem);
  }
  for (const map_ref *ref = r.maps; ref; ref = ref->next)
    pb_drop_duplicates(a, ref->entry, ref->entries);
  return NULL;
}

err *pb_decode(const pb_desc *d, span in, arena *a, void **ret_msg) {
  void *msg = arena_zalloc(a, d->struct_bytes);
  TRY(read_whole(d, msg, in, a));
  *ret_msg = msg;
  return NULL;
}

err *pb_check(const pb_desc *d, span in, arena *a) { return read_whole(d, NULL, in, a); }

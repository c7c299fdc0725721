#include "proto/pb_wire.h"

/* Messages are written from their end to their start: the length of a nested message is then known
 * when it has to be written, without a pass that measures and without room to remember sizes. The
 * memory is the free part of a buf or of an arena's newest block, used from its end. */
typedef struct writer {
  uint8_t *start, *cur, *end; /* [start, cur) is free, [cur, end) is written */
  buf *out;                   /* the memory's owner: this or */
  arena *a;                   /* this */
} writer;

static void write_message(writer *w, const pb_desc *desc, const void *msg);

static void grow(writer *w, size_t need) {
  size_t written = (size_t)(w->end - w->cur);
  size_t bytes = MAX((size_t)(w->end - w->start) * 2, written + need);
  bytes = MAX(bytes, 256);
  if (w->a) {
    w->start = arena_alloc(w->a, bytes);
    w->end = w->start + bytes;
    if (written) memcpy(w->end - written, w->cur, written);
  } else {
    size_t old_end = w->out->cap;
    (void)buf_reserve(w->out, bytes);
    w->start = w->out->p + w->out->n;
    w->end = w->out->p + w->out->cap;
    if (written) memmove(w->end - written, w->out->p + old_end - written, written);
  }
  w->cur = w->end - written;
}

static inline void room(writer *w, size_t n) {
  if ((size_t)(w->cur - w->start) < n) grow(w, n);
}

/* The functions below write without asking for room: put_field and put_list do. SLACK covers a
 * number or the length before bytes, and the tag. */
enum { SLACK = 32 };

static inline void put(writer *w, const void *p, size_t n) {
  if (n == 0) return;
  w->cur -= n;
  memcpy(w->cur, p, n);
}

static inline void put_varint(writer *w, uint64_t v) {
  if (v < 0x80) {
    *--w->cur = (uint8_t)v;
    return;
  }
  uint8_t *p = w->cur -= pb_varint_bytes(v);
  for (; v >= 0x80; v >>= 7) *p++ = (uint8_t)(v | 0x80);
  *p = (uint8_t)v;
}

/* The varint of a scalar that is one. */
static uint64_t varint_of(pb_type type, const void *from) {
  switch (type) {
    case PB_BOOL:
      return *(const bool *)from;
    case PB_INT32:
    case PB_ENUM:
      return (uint64_t)(int64_t) * (const int32_t *)from;
    case PB_UINT32:
      return *(const uint32_t *)from;
    case PB_SINT32:
      return (uint32_t)pb_zigzag(*(const int32_t *)from);
    case PB_SINT64:
      return pb_zigzag(*(const int64_t *)from);
    default:
      return *(const uint64_t *)from;
  }
}

/* 8 or 4 for fixed types, else 0. */
static inline size_t fixed_bytes(pb_type type) {
  switch (type) {
    case PB_DOUBLE:
    case PB_FIXED64:
    case PB_SFIXED64:
      return 8;
    case PB_FLOAT:
    case PB_FIXED32:
    case PB_SFIXED32:
      return 4;
    default:
      return 0;
  }
}

static inline void put_scalar(writer *w, pb_type type, const void *from) {
  size_t fixed = fixed_bytes(type);
  if (fixed)
    put(w, from, fixed);
  else
    put_varint(w, varint_of(type, from));
}

/* A value with its tag. */
static void put_field(writer *w, const pb_field *f, const void *from) {
  switch ((pb_type)f->type) {
    case PB_STRING:
    case PB_BYTES:
    case PB_RAW: {
      const span *s = from;
      room(w, s->n + SLACK);
      put(w, s->p, s->n);
      put_varint(w, s->n);
      break;
    }
    case PB_MESSAGE: {
      const void *msg = *(const pb_ptr *)from;
      size_t before = (size_t)(w->end - w->cur);
      if (msg) write_message(w, pb_sub(f), msg);
      room(w, SLACK);
      put_varint(w, (size_t)(w->end - w->cur) - before);
      break;
    }
    default:
      room(w, SLACK);
      put_scalar(w, (pb_type)f->type, from);
  }
  put_varint(w, f->tag);
}

static void put_list(writer *w, const pb_field *f, const pb_list *l) {
  size_t size = pb_value_bytes((pb_type)f->type);
  const char *v = l->v;
  if (!(f->flags & PB_PACKED)) {
    for (size_t i = l->n; i > 0; i--) put_field(w, f, v + (i - 1) * size);
    return;
  }
  size_t before = (size_t)(w->end - w->cur);
  for (size_t i = l->n; i > 0; i--) {
    room(w, SLACK);
    put_scalar(w, (pb_type)f->type, v + (i - 1) * size);
  }
  room(w, SLACK);
  put_varint(w, (size_t)(w->end - w->cur) - before);
  put_varint(w, f->tag);
}

/* The member of the oneof that is set, if it is among the rows that end with `last`. */
static inline const pb_field *set_member(const pb_desc *desc, const void *msg,
                                         const pb_field *last) {
  uint32_t which = *pb_which_at(msg, last);
  if (which == 0) return NULL;
  const pb_field *f = pb_row(desc, which);
  return f && f <= last && f > last - last->run ? f : NULL;
}

static void write_message(writer *w, const pb_desc *desc, const void *msg) {
  const pb_head *head = msg;
  if (head->unknown.n) {
    room(w, head->unknown.n);
    put(w, head->unknown.p, head->unknown.n);
  }
  const pb_field *first = pb_rows(desc);
  for (const pb_field *f = first + desc->field_count; f-- > first;) {
    if (f->presence == PB_BY_WHICH) {
      const pb_field *set = set_member(desc, msg, f);
      f -= f->run - 1;
      if (set) put_field(w, set, pb_value_at(msg, set));
    } else if (pb_is_set(msg, f)) {
      if (f->presence == PB_BY_COUNT)
        put_list(w, f, pb_list_at(msg, f));
      else
        put_field(w, f, pb_value_at(msg, f));
    }
  }
}

static size_t value_bytes(const pb_field *f, const void *from) {
  switch ((pb_type)f->type) {
    case PB_STRING:
    case PB_BYTES:
    case PB_RAW: {
      size_t n = ((const span *)from)->n;
      return n + pb_varint_bytes(n);
    }
    case PB_MESSAGE: {
      const void *msg = *(const pb_ptr *)from;
      size_t n = msg ? pb_encoded_bytes(pb_sub(f), msg) : 0;
      return n + pb_varint_bytes(n);
    }
    default: {
      size_t fixed = fixed_bytes((pb_type)f->type);
      return fixed ? fixed : pb_varint_bytes(varint_of((pb_type)f->type, from));
    }
  }
}

static size_t list_bytes(const pb_field *f, const pb_list *l) {
  size_t size = pb_value_bytes((pb_type)f->type), tag = pb_varint_bytes(f->tag), n = 0;
  const char *v = l->v;
  for (size_t i = 0; i < l->n; i++) n += value_bytes(f, v + i * size);
  if (!(f->flags & PB_PACKED)) return n + l->n * tag;
  return n + pb_varint_bytes(n) + tag;
}

size_t pb_encoded_bytes(const pb_desc *desc, const void *msg) {
  size_t n = ((const pb_head *)msg)->unknown.n;
  const pb_field *first = pb_rows(desc);
  for (const pb_field *f = first + desc->field_count; f-- > first;) {
    const pb_field *set = f;
    if (f->presence == PB_BY_WHICH) {
      set = set_member(desc, msg, f);
      f -= f->run - 1;
      if (!set) continue;
    } else if (!pb_is_set(msg, f)) {
      continue;
    }
    n += set->presence == PB_BY_COUNT
             ? list_bytes(set, pb_list_at(msg, set))
             : value_bytes(set, pb_value_at(msg, set)) + pb_varint_bytes(set->tag);
  }
  return n;
}

void pb_encode(const pb_desc *d, const void *msg, buf *out) {
  writer w = {.out = out};
  if (out->p) {
    w.start = out->p + out->n;
    w.cur = w.end = out->p + out->cap;
  }
  write_message(&w, d, msg);
  size_t n = (size_t)(w.end - w.cur);
  if (n == 0) return;
  memmove(w.start, w.cur, n);
  out->n += n;
}

span pb_encode_arena(const pb_desc *d, const void *msg, arena *a) {
  uint8_t *end = a->end;
  writer w = {.start = a->cur, .cur = end, .end = end, .a = a};
  write_message(&w, d, msg);
  if (w.cur == w.end) return SPAN("");
  if (w.end == end) a->end = w.cur;
  return span_of(w.cur, (size_t)(w.end - w.cur));
}

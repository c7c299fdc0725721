#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void buf_init(buf *b) { *b = (buf)BUF_INIT; }

void buf_release(buf *b) {
  mem_free(b->p);
  buf_init(b);
}

uint8_t *buf_reserve(buf *b, size_t n) {
  ASSERT(n <= SIZE_MAX / 2 - b->n);
  if (!b->p || b->cap - b->n < n) {
    size_t cap = MAX(b->cap * 2, b->n + n);
    cap = MAX(cap, (size_t)64);
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
  }
  return b->p + b->n;
}

void buf_add(buf *b, span s) {
  if (!s.n) return;
  memcpy(buf_reserve(b, s.n), s.p, s.n);
  b->n += s.n;
}

void buf_addb(buf *b, uint8_t byte) {
  *buf_reserve(b, 1) = byte;
  b->n++;
}

void buf_addf(buf *b, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  ASSERT(n >= 0);
  (void)vsnprintf((char *)buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
  va_end(again);
  b->n += (size_t)n;
}

void buf_consume(buf *b, size_t n) {
  ASSERT(n <= b->n);
  if (n < b->n) memmove(b->p, b->p + n, b->n - n);
  b->n -= n;
}

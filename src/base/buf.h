/* buf.h - a growable byte buffer with one owner.
 *
 * Invariant: cap >= n, and bytes [0, n) are valid. The memory is the heap's; buf_release frees it.
 */
#ifndef PERDURE_BASE_BUF_H
#define PERDURE_BASE_BUF_H

#include "base/span.h"

typedef struct buf {
  uint8_t *p;
  size_t n, cap;
} buf;

#define BUF_INIT \
  { 0 }

void buf_init(buf *b);
void buf_release(buf *b);
/* Keeps the memory for the next use. */
static inline void buf_clear(buf *b) { b->n = 0; }

/* Room for n more bytes at b->p + b->n; the caller adds to b->n what it wrote. */
uint8_t *buf_reserve(buf *b, size_t n);
void buf_add(buf *b, span s);
void buf_addb(buf *b, uint8_t byte);
void buf_addf(buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Removes the first n bytes. */
void buf_consume(buf *b, size_t n);

static inline void buf_adds(buf *b, const char *s) { buf_add(b, span_cstr(s)); }
/* Borrowed until the next change of b. */
static inline span buf_span(const buf *b) { return span_of(b->p, b->n); }

#endif

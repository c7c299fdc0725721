/* number.h - integers of any size in as few bytes as they need: seven bits in each, the lowest
 * first, the eighth set while there are more. */
#ifndef PERDURE_STORE_NUMBER_H
#define PERDURE_STORE_NUMBER_H

#include "base/buf.h"

enum { NUMBER_MAX_BYTES = 10 };

/* Room for NUMBER_MAX_BYTES at p; returns how many were written. */
static inline size_t number_put(uint8_t *p, uint64_t v) {
  size_t n = 0;
  for (; v >= 0x80; v >>= 7) p[n++] = (uint8_t)(v | 0x80);
  p[n++] = (uint8_t)v;
  return n;
}

static inline void number_add(buf *b, uint64_t v) {
  b->n += number_put(buf_reserve(b, NUMBER_MAX_BYTES), v);
}

/* false: there is no number at *at. */
static inline bool number_next(span in, size_t *at, uint64_t *ret) {
  uint64_t v = 0;
  for (unsigned shift = 0; *at < in.n && shift < 64; shift += 7) {
    uint8_t byte = in.p[(*at)++];
    v |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      *ret = v;
      return true;
    }
  }
  return false;
}

#endif

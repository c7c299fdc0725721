/* span.h - borrowed bytes: a pointer and a length, never owned, never NUL-terminated by promise.
 *
 * A span says nothing about who owns the memory; the function that hands one out says how long it
 * lives. `p == NULL` means "absent" where a field can be absent; n == 0 with p set means "empty".
 */
#ifndef PERDURE_BASE_SPAN_H
#define PERDURE_BASE_SPAN_H

#include <string.h>

#include "base/base.h"

typedef struct span {
  const uint8_t *p;
  size_t n;
} span;

/* A span of a string literal; usable in static initialisers as SPAN_INIT. */
#define SPAN_INIT(lit) \
  { (const uint8_t *)("" lit), sizeof(lit) - 1 }
#define SPAN(lit) ((span)SPAN_INIT(lit))
#define SPAN_NONE ((span){NULL, 0})
/* For printf: "%.*s" with SPAN_ARG(s). */
#define SPAN_ARG(s) (int)(s).n, (const char *)((s).p ? (s).p : (const uint8_t *)"")

static inline span span_of(const void *p, size_t n) { return (span){(const uint8_t *)p, n}; }

static inline span span_cstr(const char *s) { return s ? span_of(s, strlen(s)) : SPAN_NONE; }

static inline bool span_eq(span a, span b) {
  return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool span_starts_with(span s, span prefix) {
  return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline int span_cmp(span a, span b) {
  size_t n = MIN(a.n, b.n);
  int c = n ? memcmp(a.p, b.p, n) : 0;
  return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* At most so many bytes, and no part of a UTF-8 character. */
static inline span span_cut(span s, size_t most) {
  if (s.n <= most) return s;
  while (most > 0 && (s.p[most] & 0xc0) == 0x80) most--;
  return span_of(s.p, most);
}

#endif

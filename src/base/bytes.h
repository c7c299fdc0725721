/* bytes.h - shared immutable bytes with a reference count: stored rows, history batches.
 *
 * The count is not atomic: one thread (the shard's) takes and drops references; another thread may
 * read the bytes while that thread keeps a reference for it.
 */
#ifndef PERDURE_BASE_BYTES_H
#define PERDURE_BASE_BYTES_H

#include "base/span.h"

typedef struct bytes {
  uint32_t refs;
  size_t n;
  _Alignas(max_align_t) uint8_t p[];
} bytes;

/* One reference, owned by the caller. bytes_new leaves the content to be filled in. */
bytes *bytes_new(size_t n);
bytes *bytes_copy(span s);
bytes *bytes_ref(bytes *b);
/* Accepts NULL; frees with the last reference. */
void bytes_unref(bytes *b);
static inline span bytes_span(const bytes *b) { return b ? span_of(b->p, b->n) : SPAN_NONE; }

#endif

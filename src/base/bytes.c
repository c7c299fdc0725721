#include "base/bytes.h"

#include "base/mem.h"

bytes *bytes_new(size_t n) {
  bytes *b = mem_alloc(sizeof *b + n);
  b->refs = 1;
  b->n = n;
  return b;
}

bytes *bytes_copy(span s) {
  bytes *b = bytes_new(s.n);
  if (s.n) memcpy(b->p, s.p, s.n);
  return b;
}

bytes *bytes_ref(bytes *b) {
  b->refs++;
  return b;
}

void bytes_unref(bytes *b) {
  if (b && --b->refs == 0) mem_free(b);
}

/* A bug on purpose, behind a few branches: fuzz/run.py must report it, or it would report nothing.
 */
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
  if (n < 3 || p[0] != 'b' || p[1] != 'u' || p[2] != 'g') return 0;
  uint8_t *copy = mem_alloc(n);
  volatile uint8_t beyond = copy[n];
  mem_free(copy);
  return beyond == 0 ? 0 : -1;
}

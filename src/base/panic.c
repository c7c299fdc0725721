#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void panic_at(const char *where, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  (void)fprintf(stderr, "perdure: internal error at %s: ", where);
  (void)vfprintf(stderr, fmt, ap);
  (void)fputc('\n', stderr);
  va_end(ap);
  abort();
}

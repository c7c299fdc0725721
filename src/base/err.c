#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_code_name(err_code code) {
  switch (code) {
#define X(name, number) \
  case ERR_##name:      \
    return #name;
    ERR_CODES(X)
#undef X
  }
  return "UNKNOWN";
}

err *err_make(arena *a, const char *where, err_code code, const err *cause, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  ASSERT(n >= 0);
  char *what = arena_alloc(a, (size_t)n + 1);
  (void)vsnprintf(what, (size_t)n + 1, fmt, again);
  va_end(again);
  err *e = arena_new(a, err);
  *e = (err){.code = code, .what = what, .where = where, .cause = cause};
  return e;
}

err *err_dup(arena *a, const err *e) {
  if (!e) return NULL;
  err *copy = arena_new(a, err);
  *copy = *e;
  copy->what = arena_cstr(a, span_cstr(e->what));
  if (e->detail_type) {
    copy->detail_type = arena_cstr(a, span_cstr(e->detail_type));
    copy->detail = arena_dup(a, e->detail);
  }
  copy->cause = err_dup(a, e->cause);
  return copy;
}

const char *err_text(arena *a, const err *e) {
  const char *text = arena_printf(a, "%s (%s)", e->what, e->where);
  for (const err *c = e->cause; c; c = c->cause) {
    text = arena_printf(a, "%s; because: %s (%s)", text, c->what, c->where);
  }
  return text;
}

#include "base/duration.h"

typedef struct unit {
  const char *name;
  int64_t ns;
} unit;

static const unit units_known[] = {{"ns", 1},
                                   {"us", 1000},
                                   {"\xc2\xb5s", 1000},
                                   {"\xce\xbcs", 1000},
                                   {"ms", NS_PER_MS},
                                   {"s", NS_PER_SEC},
                                   {"m", 60 * NS_PER_SEC},
                                   {"h", 3600 * NS_PER_SEC},
                                   {"d", 86400 * NS_PER_SEC}};

static err *invalid(arena *a, span text) {
  return ERR(a, INVALID_ARGUMENT, "time: invalid duration \"%.*s\"", SPAN_ARG(text));
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static span rest_of(span s, size_t from) { return span_of(s.p + from, s.n - from); }

static const unit *find_unit(span name, duration_units units) {
  size_t n = ARRAY_LEN(units_known) - (units == DURATION_HOURS);
  for (size_t i = 0; i < n; i++) {
    if (span_eq(span_cstr(units_known[i].name), name)) return &units_known[i];
  }
  return NULL;
}

typedef struct part {
  int64_t whole, fraction, scale; /* whole + fraction / scale, to nine digits */
} part;

/* Digits with a point among them. False: no number, or too large. */
static bool take_number(span *s, part *ret) {
  part p = {.scale = 1};
  size_t i = 0, digits = 0;
  for (; i < s->n && is_digit(s->p[i]); i++, digits++) {
    if (p.whole > (INT64_MAX - 9) / 10) return false;
    p.whole = p.whole * 10 + (s->p[i] - '0');
  }
  if (i < s->n && s->p[i] == '.') {
    for (i++; i < s->n && is_digit(s->p[i]); i++, digits++) {
      if (p.scale == NS_PER_SEC) continue;
      p.fraction = p.fraction * 10 + (s->p[i] - '0');
      p.scale *= 10;
    }
  }
  *s = rest_of(*s, i);
  *ret = p;
  return digits > 0;
}

static bool add_part(const part *p, int64_t unit_ns, int64_t *ns) {
  int64_t v;
  if (__builtin_mul_overflow(p->whole, unit_ns, &v)) return false;
  if (unit_ns >= NS_PER_SEC) {
    v += p->fraction * (NS_PER_SEC / p->scale) * (unit_ns / NS_PER_SEC);
  } else {
    v += p->fraction * unit_ns / p->scale;
  }
  return !__builtin_add_overflow(*ns, v, ns) && *ns >= 0;
}

err *duration_parse(span text, duration_units units, arena *a, int64_t *ret_ns) {
  span s = text;
  bool negative = s.n && s.p[0] == '-';
  if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = rest_of(s, 1);
  if (!s.n) return invalid(a, text);
  int64_t ns = 0;
  if (span_eq(s, SPAN("0"))) s = SPAN_NONE;
  while (s.n) {
    part p;
    if (!take_number(&s, &p)) return invalid(a, text);
    size_t n = 0;
    while (n < s.n && s.p[n] != '.' && !is_digit(s.p[n])) n++;
    span name = span_of(s.p, n);
    if (!n) {
      return ERR(a, INVALID_ARGUMENT, "time: missing unit in duration \"%.*s\"", SPAN_ARG(text));
    }
    const unit *u = find_unit(name, units);
    if (!u) {
      return ERR(a, INVALID_ARGUMENT, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
                 SPAN_ARG(name), SPAN_ARG(text));
    }
    if (!add_part(&p, u->ns, &ns)) return invalid(a, text);
    s = rest_of(s, n);
  }
  *ret_ns = negative ? -ns : ns;
  return NULL;
}

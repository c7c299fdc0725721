#include "schedule/cron.h"

#include "base/duration.h"
#include "schedule/spec_text.h"

typedef struct field {
  int least, most;
  const char *const *names;
  int n_names, first_name;
} field;

static const field fields[] = {
    {0, 59, NULL, 0, 0},         {0, 23, NULL, 0, 0},         {1, 31, NULL, 0, 0},
    {1, 12, text_months, 12, 1}, {0, 6, text_weekdays, 7, 0},
};
enum { FIELDS = ARRAY_LEN(fields), NAME_LETTERS = 3, YEARS_AHEAD = 5 };

/* The part before the first `c`, taken off with it; false: there is no `c`. */
static bool cut(span *s, char c, span *ret_before) {
  const uint8_t *at = s->n ? memchr(s->p, c, s->n) : NULL;
  *ret_before = at ? span_of(s->p, (size_t)(at - s->p)) : *s;
  *s = at ? span_of(at + 1, s->n - ret_before->n - 1) : SPAN_NONE;
  return at != NULL;
}

static bool value(const field *f, span s, int *ret) {
  int i = f->names && s.n == NAME_LETTERS ? text_name(s, f->names, f->n_names, NAME_LETTERS) : -1;
  if (i < 0) return text_integer(s, ret) && *ret >= 0;
  *ret = i + f->first_name;
  return true;
}

/* Adds "1-5/2" to the bits. A bare star also says that the field is not restricted. */
static bool add_part(const field *f, span part, uint64_t *bits, bool *ret_star) {
  span range, first;
  int from = f->least, to = f->most, step = 1;
  bool has_step = cut(&part, '/', &range);
  bool has_end = cut(&range, '-', &first);
  bool star = span_eq(first, SPAN("*")) || span_eq(first, SPAN("?"));
  if (!star) {
    if (!value(f, first, &from)) return false;
    to = from;
    if (has_end && !value(f, range, &to)) return false;
  }
  if (has_step) {
    if (!text_integer(part, &step) || step < 1) return false;
    if (!has_end) to = f->most;
  }
  if (from < f->least || to > f->most || from > to) return false;
  if (star && step == 1) *ret_star = true;
  *bits |= calendar_bits(from, to, step);
  return true;
}

static bool add_field(const field *f, span text, uint64_t *bits, bool *ret_star) {
  for (bool more = true; more;) {
    span part;
    more = cut(&text, ',', &part);
    if (part.n && !add_part(f, part, bits, ret_star)) return false;
  }
  return true;
}

static bool parse_fields(span text, calendar *ret) {
  uint64_t bits[FIELDS] = {0};
  bool stars[FIELDS] = {false};
  for (size_t i = 0; i < FIELDS; i++) {
    span word = text_word(&text);
    if (!word.p || !add_field(&fields[i], word, &bits[i], &stars[i])) return false;
  }
  if (text_word(&text).p) return false;
  *ret = (calendar){.seconds = 1,
                    .minutes = bits[0],
                    .hours = (uint32_t)bits[1],
                    .days = (uint32_t)bits[2],
                    .months = (uint32_t)bits[3],
                    .weekdays = (uint32_t)bits[4],
                    .any_year = true,
                    .either_day = !stars[2] && !stars[4]};
  return true;
}

static err *invalid(arena *a, span text) {
  return ERR(a, INVALID_ARGUMENT, "\"%.*s\" is not a cron schedule", SPAN_ARG(text));
}

err *cron_parse(span text, zones *z, arena *a, cron *ret_cron) {
  cron c = {.zone = &zone_utc};
  span whole = text, head;
  if (span_starts_with(text, SPAN("TZ=")) || span_starts_with(text, SPAN("CRON_TZ="))) {
    span name;
    if (!cut(&text, ' ', &head)) return invalid(a, whole);
    cut(&head, '=', &name);
    TRY(zones_find(z, head, a, &c.zone));
    text = text_trim(text);
  }
  if (span_starts_with(text, SPAN("@every "))) {
    span length = span_of(text.p + 7, text.n - 7);
    TRY(duration_parse(length, DURATION_HOURS, a, &c.every_ns));
    c.every_ns = MAX(c.every_ns - c.every_ns % NS_PER_SEC, NS_PER_SEC);
  } else if (!parse_fields(text_descriptor(text), &c.calendar)) {
    return invalid(a, whole);
  }
  *ret_cron = c;
  return NULL;
}

int64_t cron_next(const cron *c, int64_t after_ns) {
  int64_t second = after_ns / NS_PER_SEC;
  if (c->every_ns) return second * NS_PER_SEC + c->every_ns;
  int64_t steps = INT64_C(1) << 20; /* more than there are days */
  int64_t last_year = zone_show(c->zone, second + 1).date.year + YEARS_AHEAD;
  int64_t t = calendar_next(&c->calendar, c->zone, second, last_year, &steps);
  return t == CALENDAR_NEVER ? CRON_NEVER : t * NS_PER_SEC;
}

/* In steps for an interval, which may be short; a calendar is asked for the first time from now. */
static int64_t first_from(const cron *c, int64_t scheduled_ns, int64_t now_ns) {
  int64_t t = cron_next(c, scheduled_ns);
  if (t == CRON_NEVER || t >= now_ns) return t;
  if (!c->every_ns) return cron_next(c, now_ns - 1);
  return t + (now_ns - t + c->every_ns - 1) / c->every_ns * c->every_ns;
}

int64_t cron_backoff_ns(const cron *c, int64_t scheduled_ns, int64_t now_ns) {
  int64_t t = now_ns < scheduled_ns ? scheduled_ns : first_from(c, scheduled_ns, now_ns);
  if (t == CRON_NEVER) return CRON_NEVER;
  return (t - now_ns + NS_PER_SEC - 1) / NS_PER_SEC * NS_PER_SEC;
}

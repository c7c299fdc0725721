#include "schedule/spec.h"

#include "proto/pb_time.h"
#include "schedule/calendar.h"
#include "schedule/farm.h"
#include "schedule/spec_text.h"

enum { COMMENT_BYTES = 200 };

/* Steps of one search: a day or an excluded time is one. Some tens of milliseconds at most. */
static const int64_t search_steps = 1000000;

typedef struct interval {
  int64_t length_s, phase_s;
} interval;

struct spec {
  const zone *zone;
  calendar *calendars, *excludes;
  interval *intervals;
  size_t n_calendars, n_excludes, n_intervals;
  int64_t start_ns, end_ns; /* end 0: none */
  int64_t jitter_ns;
};

/* --- canonical form --- */

static void push(pb_list_StructuredCalendarSpec *list, pb_StructuredCalendarSpec *c) {
  list->v[list->n++] = c;
}

static err *to_structured(const pb_list_CalendarSpec *from, arena *a,
                          pb_list_StructuredCalendarSpec *into) {
  for (size_t i = 0; i < from->n; i++) {
    pb_StructuredCalendarSpec *c;
    TRY(spec_text_calendar(from->v[i], a, &c));
    push(into, c);
  }
  return NULL;
}

/* Room for what is there and `more`. */
static pb_list_StructuredCalendarSpec with_room(const pb_list_StructuredCalendarSpec *list,
                                                size_t more, arena *a) {
  pb_list_StructuredCalendarSpec out = {
      .v = arena_array(a, pb_StructuredCalendarSpec *, list->n + more + 1)};
  for (size_t i = 0; i < list->n; i++) push(&out, list->v[i]);
  return out;
}

static err *conflicting_zones(arena *a) {
  return ERR(a, INVALID_ARGUMENT, "conflicting timezone names");
}

/* All cron strings name the same zone, or none does. */
static err *take_cron(const pb_ScheduleSpec *in, arena *a, pb_ScheduleSpec *out) {
  pb_list_IntervalSpec intervals = {
      .v = arena_array(a, pb_IntervalSpec *, in->interval.n + in->cron_string.n + 1)};
  for (size_t i = 0; i < in->interval.n; i++) intervals.v[intervals.n++] = in->interval.v[i];
  span named = SPAN_NONE;
  for (size_t i = 0; i < in->cron_string.n; i++) {
    cron_string c;
    TRY(spec_text_cron(in->cron_string.v[i], a, &c));
    if (i && !span_eq(named, c.zone)) return conflicting_zones(a);
    named = c.zone;
    if (c.calendar) push(&out->structured_calendar, c.calendar);
    if (c.interval) intervals.v[intervals.n++] = c.interval;
  }
  out->interval = intervals;
  if (!named.n) return NULL;
  bool other = in->timezone_name.n && !span_eq(in->timezone_name, named);
  if (other || in->timezone_data.n) return conflicting_zones(a);
  out->timezone_name = named;
  return NULL;
}

typedef struct limits {
  const char *name;
  const pb_list_Range *ranges;
  int32_t least, most;
} limits;

static const char *join(arena *a, const char *all, const char *why) {
  return all ? arena_printf(a, "%s, %s", all, why) : why;
}

static const char *range_problems(const limits *l, const char *all, arena *a) {
  for (size_t i = 0; i < l->ranges->n; i++) {
    const pb_Range *r = l->ranges->v[i];
    if (r->start < l->least || r->start > l->most) {
      all = join(a, all,
                 arena_printf(a, "%s Start is not in range [%d-%d]", l->name, l->least, l->most));
    }
    if (r->end && (r->end < r->start || r->end > l->most)) {
      all = join(a, all,
                 arena_printf(a, "%s End is before Start or not in range [%d-%d]", l->name,
                              l->least, l->most));
    }
    if (r->step < 0) all = join(a, all, arena_printf(a, "%s has invalid Step", l->name));
  }
  return all;
}

static err *check_calendar(const pb_StructuredCalendarSpec *c, arena *a) {
  const limits fields[] = {{"Second", &c->second, 0, 59},
                           {"Minute", &c->minute, 0, 59},
                           {"Hour", &c->hour, 0, 23},
                           {"DayOfMonth", &c->day_of_month, 1, 31},
                           {"Month", &c->month, 1, 12},
                           {"Year", &c->year, CALENDAR_FIRST_YEAR, CALENDAR_LAST_YEAR},
                           {"DayOfWeek", &c->day_of_week, 0, 6}};
  const char *all = NULL;
  for (size_t i = 0; i < ARRAY_LEN(fields); i++) all = range_problems(&fields[i], all, a);
  if (c->comment.n > COMMENT_BYTES) all = join(a, all, "comment is too long");
  return all ? ERR(a, INVALID_ARGUMENT, "invalid calendar spec: %s", all) : NULL;
}

/* The parts of a duration have one sign and a nanosecond count below a second. */
static bool is_duration(const pb_Duration *d) {
  if (!d) return true;
  bool mixed = (d->seconds < 0 && d->nanos > 0) || (d->seconds > 0 && d->nanos < 0);
  return !mixed && d->nanos > -NS_PER_SEC && d->nanos < NS_PER_SEC &&
         d->seconds <= INT64_C(315576000000) && d->seconds >= -INT64_C(315576000000);
}

static err *check_durations(const pb_ScheduleSpec *in, arena *a) {
  for (size_t i = 0; i < in->interval.n; i++) {
    const pb_IntervalSpec *v = in->interval.v[i];
    const char *name = !is_duration(v->interval) ? "interval" : "phase";
    if (is_duration(v->interval) && is_duration(v->phase)) continue;
    return ERR(a, INVALID_ARGUMENT, "%s is not a valid duration: out of range", name);
  }
  return NULL;
}

static err *check_interval(const pb_IntervalSpec *i, arena *a) {
  int64_t length = pb_duration_ns(i->interval), phase = pb_duration_ns(i->phase);
  const char *why = NULL;
  if (length < NS_PER_SEC) {
    why = "interval is too small";
  } else if (phase < 0) {
    why = "phase is negative";
  } else if (phase >= length) {
    why = "phase cannot be greater than Interval";
  }
  return why ? ERR(a, INVALID_ARGUMENT, "%s", why) : NULL;
}

err *spec_canonical(const pb_ScheduleSpec *in, arena *a, pb_ScheduleSpec **ret_canonical) {
  pb_ScheduleSpec *out = pb_new(a, ScheduleSpec);
  *out = *in;
  TRY(check_durations(in, a));
  size_t more = in->calendar.n + in->cron_string.n;
  out->structured_calendar = with_room(&in->structured_calendar, more, a);
  TRY(to_structured(&in->calendar, a, &out->structured_calendar));
  out->exclude_structured_calendar =
      with_room(&in->exclude_structured_calendar, in->exclude_calendar.n, a);
  TRY(to_structured(&in->exclude_calendar, a, &out->exclude_structured_calendar));
  TRY(take_cron(in, a, out));
  out->calendar.n = 0;
  out->exclude_calendar.n = 0;
  out->cron_string.n = 0;
  for (size_t i = 0; i < out->structured_calendar.n; i++) {
    TRY(check_calendar(out->structured_calendar.v[i], a));
  }
  for (size_t i = 0; i < out->interval.n; i++) TRY(check_interval(out->interval.v[i], a));
  *ret_canonical = out;
  return NULL;
}

/* --- as shown --- */

static void show_ranges(pb_list_Range *list) {
  for (size_t i = 0; i < list->n; i++) {
    pb_Range *r = list->v[i];
    if (r->end < r->start) r->end = r->start;
    if (!r->step) r->step = 1;
  }
}

static void show_calendars(pb_list_StructuredCalendarSpec *list) {
  for (size_t i = 0; i < list->n; i++) {
    pb_StructuredCalendarSpec *c = list->v[i];
    pb_list_Range *fields[] = {&c->second, &c->minute, &c->hour,       &c->day_of_month,
                               &c->month,  &c->year,   &c->day_of_week};
    for (size_t k = 0; k < ARRAY_LEN(fields); k++) show_ranges(fields[k]);
  }
}

pb_ScheduleSpec *spec_shown(const pb_ScheduleSpec *canonical, arena *a) {
  pb_ScheduleSpec *s = PB_COPY(ScheduleSpec, canonical, a);
  show_calendars(&s->structured_calendar);
  show_calendars(&s->exclude_structured_calendar);
  return s;
}

/* --- compiling --- */

static uint64_t bits_of(const pb_list_Range *list) {
  uint64_t bits = 0;
  for (size_t i = 0; i < list->n; i++) {
    const pb_Range *r = list->v[i];
    bits |= calendar_bits(r->start, MAX(r->end, r->start), r->step);
  }
  return bits;
}

static calendar compile_calendar(const pb_StructuredCalendarSpec *in) {
  calendar c = {.seconds = bits_of(&in->second),
                .minutes = bits_of(&in->minute),
                .hours = (uint32_t)bits_of(&in->hour),
                .days = (uint32_t)bits_of(&in->day_of_month),
                .months = (uint32_t)bits_of(&in->month),
                .weekdays = (uint32_t)bits_of(&in->day_of_week),
                .any_year = in->year.n == 0};
  for (size_t i = 0; i < in->year.n; i++) {
    const pb_Range *r = in->year.v[i];
    calendar_add_years(&c, r->start, MAX(r->end, r->start), r->step);
  }
  return c;
}

static calendar *compile_calendars(const pb_list_StructuredCalendarSpec *list, arena *a) {
  calendar *all = arena_array(a, calendar, list->n + 1);
  for (size_t i = 0; i < list->n; i++) all[i] = compile_calendar(list->v[i]);
  return all;
}

err *spec_compile(const pb_ScheduleSpec *canonical, zones *z, arena *a, const spec **ret_spec) {
  spec *s = arena_new(a, spec);
  if (canonical->timezone_data.n) {
    TRY(zone_parse(canonical->timezone_data, a, &s->zone));
  } else {
    TRY(zones_find(z, canonical->timezone_name, a, &s->zone));
  }
  s->calendars = compile_calendars(&canonical->structured_calendar, a);
  s->n_calendars = canonical->structured_calendar.n;
  s->excludes = compile_calendars(&canonical->exclude_structured_calendar, a);
  s->n_excludes = canonical->exclude_structured_calendar.n;
  s->n_intervals = canonical->interval.n;
  s->intervals = arena_array(a, interval, s->n_intervals + 1);
  for (size_t i = 0; i < s->n_intervals; i++) {
    const pb_IntervalSpec *v = canonical->interval.v[i];
    s->intervals[i] = (interval){.length_s = pb_duration_ns(v->interval) / NS_PER_SEC,
                                 .phase_s = pb_duration_ns(v->phase) / NS_PER_SEC};
  }
  s->start_ns = canonical->start_time ? pb_time_ns(canonical->start_time) : 0;
  s->end_ns = canonical->end_time ? pb_time_ns(canonical->end_time) : INT64_MAX;
  s->jitter_ns = MAX(pb_duration_ns(canonical->jitter), 0);
  *ret_spec = s;
  return NULL;
}

/* --- times --- */

static int64_t seconds_of(int64_t ns) { return ns / NS_PER_SEC - (ns % NS_PER_SEC < 0); }

static int64_t interval_next(const interval *i, int64_t after_s) {
  return ((after_s - i->phase_s) / i->length_s + 1) * i->length_s + i->phase_s;
}

/* The first second after this one that is not excluded or not asked whether it is. */
static int64_t raw_next(const spec *s, int64_t after_s, int64_t *steps) {
  int64_t least = CALENDAR_NEVER;
  for (size_t i = 0; i < s->n_calendars && *steps >= 0; i++) {
    int64_t t = calendar_next(&s->calendars[i], s->zone, after_s, CALENDAR_LAST_YEAR, steps);
    least = MIN(least, t);
  }
  for (size_t i = 0; i < s->n_intervals; i++) {
    least = MIN(least, interval_next(&s->intervals[i], after_s));
  }
  return least;
}

static bool is_excluded(const spec *s, int64_t unix_s, int64_t *steps) {
  for (size_t i = 0; i < s->n_excludes; i++) {
    --*steps;
    if (calendar_matches(&s->excludes[i], s->zone, unix_s)) return true;
  }
  return false;
}

/* A share of `most`, the same for a time and a seed wherever it is computed. */
static int64_t jitter_ns(span seed, int64_t nominal_s, int64_t most_ns) {
  enum { TIME_BYTES = 15, SEED_BYTES = 2100 };
  static const int64_t year_one = INT64_C(62135596800);
  uint8_t text[TIME_BYTES + SEED_BYTES] = {1};
  uint64_t since = (uint64_t)(nominal_s + year_one);
  for (int i = 0; i < 8; i++) text[1 + i] = (uint8_t)(since >> (56 - 8 * i));
  text[13] = text[14] = 0xff; /* UTC */
  size_t n = MIN(seed.n, SEED_BYTES);
  if (n) memcpy(text + TIME_BYTES, seed.p, n);
  uint64_t share = farm_fingerprint32(span_of(text, TIME_BYTES + n));
  uint64_t most_ms = MIN((uint64_t)(most_ns / NS_PER_MS), UINT32_MAX);
  return (int64_t)(share * most_ms >> 32) * NS_PER_MS;
}

spec_time spec_next(const spec *s, span jitter_seed, int64_t after_ns) {
  static const int64_t last_s = INT64_C(4133980800); /* 2101-01-01 */
  spec_time never = {.nominal_ns = SPEC_NEVER, .next_ns = SPEC_NEVER};
  int64_t steps = search_steps;
  /* The first second of the range may match. */
  int64_t t =
      MAX(seconds_of(after_ns), seconds_of(MAX(s->start_ns, INT64_MIN + NS_PER_SEC) - NS_PER_SEC));
  do {
    t = raw_next(s, t, &steps);
    if (steps < 0) {
      never.gave_up = true;
      return never;
    }
    if (t >= last_s || t * NS_PER_SEC > s->end_ns) return never;
  } while (is_excluded(s, t, &steps));
  spec_time at = {.nominal_ns = t * NS_PER_SEC, .next_ns = t * NS_PER_SEC};
  if (!s->jitter_ns) return at;
  int64_t following = raw_next(s, t, &steps);
  int64_t most = s->jitter_ns;
  if (following < last_s) most = MIN(most, (following - t) * NS_PER_SEC);
  at.next_ns += jitter_ns(jitter_seed, t, most);
  return at;
}

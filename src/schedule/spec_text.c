#include "schedule/spec_text.h"

#include "base/duration.h"
#include "proto/pb_time.h"
#include "schedule/calendar.h"

const char *const text_months[] = {"january",   "february", "march",    "april",
                                   "may",       "june",     "july",     "august",
                                   "september", "october",  "november", "december"};
const char *const text_weekdays[] = {"sunday",   "monday", "tuesday", "wednesday",
                                     "thursday", "friday", "saturday"};

/* --- words --- */

static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static span from(span s, size_t n) { return span_of(s.p + n, s.n - n); }

span text_trim(span s) {
  while (s.n && is_blank(s.p[0])) s = from(s, 1);
  while (s.n && is_blank(s.p[s.n - 1])) s.n--;
  return s;
}

span text_word(span *s) {
  while (s->n && is_blank(s->p[0])) *s = from(*s, 1);
  if (!s->n) return SPAN_NONE;
  size_t n = 0;
  while (n < s->n && !is_blank(s->p[n])) n++;
  span word = span_of(s->p, n);
  *s = from(*s, n);
  return word;
}

/* The part before the first `c`, taken off with it. False: there is no `c`, and all is taken. */
static bool cut(span *s, char c, span *ret_before) {
  const uint8_t *at = s->n ? memchr(s->p, c, s->n) : NULL;
  *ret_before = span_of(s->p, at ? (size_t)(at - s->p) : s->n);
  *s = at ? from(*s, ret_before->n + 1) : span_of(s->p + s->n, 0);
  return at != NULL;
}

static size_t count(span s, char c) {
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++) n += s.p[i] == (uint8_t)c;
  return n;
}

bool text_integer(span s, int *ret) {
  bool negative = s.n && s.p[0] == '-';
  if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = from(s, 1);
  if (!s.n || s.n > 9) return false;
  int v = 0;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9') return false;
    v = v * 10 + (s.p[i] - '0');
  }
  *ret = negative ? -v : v;
  return true;
}

int text_name(span s, const char *const *names, int n, size_t least) {
  for (int i = 0; s.n >= least && i < n; i++) {
    size_t k = 0;
    while (k < s.n && names[i][k] && (s.p[k] | 0x20) == (uint8_t)names[i][k]) k++;
    if (k == s.n) return i;
  }
  return -1;
}

span text_descriptor(span text) {
  static const struct {
    const char *name, *means;
  } known[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
               {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
               {"@hourly", "0 * * * *"}};
  for (size_t i = 0; i < ARRAY_LEN(known); i++) {
    if (span_eq(text, span_cstr(known[i].name))) return span_cstr(known[i].means);
  }
  return text;
}

/* --- one field --- */

typedef struct field {
  const char *name, *otherwise; /* what an empty text means */
  int least, most;
  const char *const *names; /* or NULL */
  int n_names, first_name;  /* the number of names[0] */
  size_t least_letters;
  bool is_year, is_weekday;
} field;

static const field second_field = {"Second", "0", 0, 59, .n_names = 0};
static const field minute_field = {"Minute", "0", 0, 59, .n_names = 0};
static const field hour_field = {"Hour", "0", 0, 23, .n_names = 0};
static const field day_field = {"DayOfMonth", "*", 1, 31, .n_names = 0};
static const field month_field = {"Month", "*", 1, 12, text_months, 12, 1, 3, false, false};
static const field weekday_field = {"DayOfWeek", "*", 0, 7, text_weekdays, 7, 0, 2, false, true};
static const field year_field = {
    "Year", "*", CALENDAR_FIRST_YEAR, CALENDAR_LAST_YEAR, NULL, 0, 0, 0, true, false};

/* At least `least`, at most what the field allows. */
static bool value(const field *f, span s, int least, int *ret) {
  int i = f->names ? text_name(s, f->names, f->n_names, f->least_letters) : -1;
  if (i >= 0) {
    *ret = i + f->first_name;
  } else if (!text_integer(s, ret)) {
    return false;
  }
  return *ret >= least && *ret <= f->most;
}

typedef struct bounds {
  int start, end, step;
} bounds;

/* NULL, or what is wrong. */
static const char *part_bounds(const field *f, span part, arena *a, bounds *ret) {
  *ret = (bounds){f->least, f->most, 1};
  if (count(part, '/') > 1) return arena_printf(a, "%s has too many slashes", f->name);
  span range;
  bool has_step = cut(&part, '/', &range);
  if (has_step && !part.n) return arena_printf(a, "%s missing step value", f->name);
  if (has_step && !text_integer(part, &ret->step)) {
    return arena_printf(a, "strconv.Atoi: parsing \"%.*s\": invalid syntax", SPAN_ARG(part));
  }
  if (ret->step < 1) return arena_printf(a, "%s has invalid Step", f->name);
  if (span_eq(range, SPAN("*"))) return NULL;
  if (count(range, '-') > 1) return arena_printf(a, "%s has too many dashes", f->name);
  span first;
  if (!cut(&range, '-', &first)) {
    if (!value(f, first, f->least, &ret->start)) {
      return arena_printf(a, "%s is not in range [%d-%d]", f->name, f->least, f->most);
    }
    if (!has_step) ret->end = ret->start;
    return NULL;
  }
  if (!value(f, first, f->least, &ret->start)) {
    return arena_printf(a, "%s Start is not in range [%d-%d]", f->name, f->least, f->most);
  }
  if (!value(f, range, ret->start, &ret->end)) {
    return arena_printf(a, "%s End is before Start or not in range [%d-%d]", f->name, f->least,
                        f->most);
  }
  return NULL;
}

static void add_range(pb_list_Range *list, arena *a, bounds b) {
  pb_Range *r = pb_new(a, Range);
  r->start = b.start;
  r->end = b.end == b.start ? 0 : b.end;
  r->step = b.step == 1 ? 0 : b.step;
  list->v[list->n++] = r;
}

/* Sunday is 0 and 7; only 0 is kept, as a range of its own where it does not join the rest. */
static void add_weekdays(pb_list_Range *list, arena *a, bounds b) {
  if (b.end == 7) {
    bool names_sunday = (7 - b.start) % b.step == 0;
    if (names_sunday && (b.step > 1 || b.start > 1)) {
      add_range(list, a, (bounds){0, 0, 1});
      if (b.start == 7) return;
    }
    b.end = 6;
  }
  add_range(list, a, b);
}

/* NULL, or what is wrong. */
static const char *field_ranges(const field *f, span text, arena *a, pb_list_Range *ret) {
  text = text_trim(text);
  if (!text.n) text = span_cstr(f->otherwise);
  if (f->is_year && span_eq(text, SPAN("*"))) return NULL;
  pb_list_Range list = {.v = arena_array(a, pb_Range *, 2 * (count(text, ',') + 1))};
  for (bool more = true; more;) {
    span part;
    bounds b;
    more = cut(&text, ',', &part);
    const char *why = part_bounds(f, part, a, &b);
    if (why) return why;
    if (f->is_weekday) {
      add_weekdays(&list, a, b);
    } else {
      add_range(&list, a, b);
    }
  }
  *ret = list;
  return NULL;
}

err *spec_text_calendar(const pb_CalendarSpec *in, arena *a,
                        pb_StructuredCalendarSpec **ret_calendar) {
  pb_StructuredCalendarSpec *c = pb_new(a, StructuredCalendarSpec);
  const struct {
    const field *field;
    span text;
    pb_list_Range *list;
  } fields[] = {{&second_field, in->second, &c->second},
                {&minute_field, in->minute, &c->minute},
                {&hour_field, in->hour, &c->hour},
                {&weekday_field, in->day_of_week, &c->day_of_week},
                {&day_field, in->day_of_month, &c->day_of_month},
                {&month_field, in->month, &c->month},
                {&year_field, in->year, &c->year}};
  const char *all = NULL;
  for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
    const char *why = field_ranges(fields[i].field, fields[i].text, a, fields[i].list);
    if (why) all = all ? arena_printf(a, "%s, %s", all, why) : why;
  }
  if (all) return ERR(a, INVALID_ARGUMENT, "%s", all);
  c->comment = in->comment;
  *ret_calendar = c;
  return NULL;
}

/* --- cron strings --- */

/* "1h" or "1h/5m" */
static err *every(span text, arena *a, pb_IntervalSpec **ret) {
  span length, none;
  int64_t ns;
  if (!cut(&text, ' ', &none)) {
    return ERR(a, INVALID_ARGUMENT, "CronString does not have interval after @every");
  }
  cut(&text, '/', &length);
  pb_IntervalSpec *i = pb_new(a, IntervalSpec);
  TRY(duration_parse(length, DURATION_DAYS, a, &ns));
  i->interval = pb_duration_new(a, ns);
  if (text.n) {
    TRY(duration_parse(text, DURATION_DAYS, a, &ns));
    i->phase = pb_duration_new(a, ns);
  }
  *ret = i;
  return NULL;
}

static err *cron_fields(span text, span comment, arena *a, cron_string *ret) {
  enum { MOST = 7 };
  span words[MOST + 1];
  size_t n = 0;
  for (span w = text_word(&text); w.p && n <= MOST; w = text_word(&text)) words[n++] = w;
  if (n < 5 || n > MOST) {
    return ERR(a, INVALID_ARGUMENT, "CronString does not have 5-7 fields");
  }
  const span *w = n == MOST ? words + 1 : words;
  pb_CalendarSpec c = {.second = n == MOST ? words[0] : SPAN_NONE,
                       .minute = w[0],
                       .hour = w[1],
                       .day_of_month = w[2],
                       .month = w[3],
                       .day_of_week = w[4],
                       .year = n > 5 ? w[5] : SPAN_NONE,
                       .comment = comment};
  return spec_text_calendar(&c, a, &ret->calendar);
}

err *spec_text_cron(span text, arena *a, cron_string *ret) {
  cron_string c = {0};
  span head;
  text = text_trim(text);
  if (span_starts_with(text, SPAN("TZ=")) || span_starts_with(text, SPAN("CRON_TZ="))) {
    if (!cut(&text, ' ', &head)) {
      return ERR(a, INVALID_ARGUMENT, "CronString has time zone but missing fields");
    }
    cut(&head, '=', &c.zone);
    c.zone = head;
  }
  span comment = text, body;
  cut(&comment, '#', &body);
  comment = text_trim(comment);
  body = text_trim(body);
  if (span_starts_with(body, SPAN("@every"))) {
    c.zone = SPAN_NONE; /* an interval has none */
    TRY(every(body, a, &c.interval));
  } else {
    TRY(cron_fields(text_descriptor(body), comment, a, &c));
  }
  *ret = c;
  return NULL;
}

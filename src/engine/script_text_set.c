/* script_text_set.c - reading "path=value" into messages. */
#include <stdlib.h>

#include "engine/script_text.h"
#include "proto/pb_time.h"
#include "proto/pb_wire.h"

static const pb_field *field_named(const pb_desc *d, span name) {
  for (size_t i = 0; i < d->field_count; i++) {
    const pb_field *f = pb_rows(d) + i;
    if (span_eq(span_cstr(pb_names + f->name), name)) return f;
  }
  return NULL;
}

static span first_part(span path, span *ret_rest) {
  const uint8_t *dot = path.n ? memchr(path.p, '.', path.n) : NULL;
  size_t n = dot ? (size_t)(dot - path.p) : path.n;
  *ret_rest = dot ? span_of(dot + 1, path.n - n - 1) : SPAN_NONE;
  return span_of(path.p, n);
}

bool text_has_field(const pb_desc *d, span path) {
  span rest;
  return field_named(d, first_part(path, &rest)) != NULL;
}

static bool number_of(span s, double *ret) {
  char text[40], *end;
  if (!s.n || s.n >= sizeof text) return false;
  memcpy(text, s.p, s.n);
  text[s.n] = 0;
  *ret = strtod(text, &end);
  return *end == 0;
}

bool text_duration(span text, int64_t *ret_ns) {
  static const struct {
    const char *unit;
    int64_t ns;
  } units[] = {{"ns", 1},          {"us", 1000},         {"ms", NS_PER_MS},    {"s", NS_PER_SEC},
               {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};
  for (size_t i = 0; i < ARRAY_LEN(units); i++) {
    size_t n = strlen(units[i].unit);
    double v;
    if (text.n <= n || memcmp(text.p + text.n - n, units[i].unit, n) != 0) continue;
    if (!number_of(span_of(text.p, text.n - n), &v)) continue;
    double ns = v * (double)units[i].ns;
    *ret_ns = (int64_t)(ns < 0 ? ns - 0.5 : ns + 0.5);
    return true;
  }
  return false;
}

/* "x*1001" is x repeated. */
static span repeated_text(span s, arena *a) {
  double n;
  if (s.n < 3 || s.p[1] != '*' || !number_of(span_of(s.p + 2, s.n - 2), &n)) {
    return arena_dup(a, s);
  }
  uint8_t *p = arena_alloc(a, (size_t)n + 1);
  memset(p, s.p[0], (size_t)n);
  return span_of(p, (size_t)n);
}

/* --- payloads --- */

static pb_Payload *payload_of(span v, arena *a) {
  pb_Payload *p = pb_new(a, Payload);
  pb_Payload_MetadataEntry *entry = pb_new(a, Payload_MetadataEntry);
  double number;
  entry->key = SPAN("encoding");
  entry->value = SPAN("json/plain");
  p->metadata.v = arena_array(a, pb_Payload_MetadataEntry *, 1);
  p->metadata.v[p->metadata.n++] = entry;
  if (span_eq(v, SPAN("null"))) {
    entry->value = SPAN("binary/null");
  } else if (span_starts_with(v, SPAN("blob*"))) {
    entry->value = SPAN("binary/plain");
    p->data = repeated_text(arena_spanf(a, "x*%.*s", SPAN_ARG(span_of(v.p + 5, v.n - 5))), a);
  } else if (number_of(v, &number) || (v.n && (v.p[0] == '{' || v.p[0] == '"'))) {
    p->data = arena_dup(a, v);
  } else {
    p->data = arena_spanf(a, "\"%.*s\"", SPAN_ARG(v));
  }
  return p;
}

/* Up to the comma that is in no brackets. */
static size_t element_bytes(span s) {
  int depth = 0;
  for (size_t i = 0; i < s.n; i++) {
    if (strchr("[{", s.p[i])) depth++;
    if (strchr("]}", s.p[i])) depth--;
    if (s.p[i] == ',' && depth == 0) return i;
  }
  return s.n;
}

static span payloads_of(span v, arena *a) {
  pb_Payloads all = {0};
  all.payloads.v = arena_array(a, pb_Payload *, v.n + 1);
  bool list = v.n >= 2 && v.p[0] == '[' && v.p[v.n - 1] == ']';
  span rest = list ? span_of(v.p + 1, v.n - 2) : v;
  while (rest.n) {
    size_t n = list ? element_bytes(rest) : rest.n;
    all.payloads.v[all.payloads.n++] = payload_of(span_of(rest.p, n), a);
    rest = n < rest.n ? span_of(rest.p + n + 1, rest.n - n - 1) : SPAN_NONE;
  }
  return PB_ENCODE(Payloads, &all, a);
}

static pb_Failure *failure_of(span v, arena *a) {
  pb_Failure *f = pb_new(a, Failure);
  bool no_retry = v.n && v.p[0] == '!';
  if (no_retry) v = span_of(v.p + 1, v.n - 1);
  const uint8_t *colon = v.n ? memchr(v.p, ':', v.n) : NULL;
  f->message = arena_dup(a, v);
  if (!colon) return f;
  size_t type = (size_t)(colon - v.p), skip = MIN(type + 2, v.n);
  f->message = arena_dup(a, span_of(v.p + skip, v.n - skip));
  f->source = SPAN("ScriptedWorker");
  f->which_failure_info = PB_Failure_application_failure_info_FIELD;
  f->application_failure_info = pb_new(a, ApplicationFailureInfo);
  f->application_failure_info->type = arena_dup(a, span_of(v.p, type));
  f->application_failure_info->non_retryable = no_retry;
  return f;
}

/* --- values --- */

static bool set_message(const pb_desc *d, void **at, span value, arena *a, const char **why) {
  int64_t ns;
  if (d == &pb_Payload_desc) {
    *at = payload_of(value, a);
  } else if (d == &pb_Failure_desc) {
    *at = failure_of(value, a);
  } else if (d == &pb_Duration_desc && text_duration(value, &ns)) {
    *at = pb_duration_new(a, ns);
  } else {
    if (!*at) *at = arena_zalloc(a, pb_struct_bytes(d));
    if (span_eq(value, SPAN("{}"))) return true;
    if (!field_named(d, SPAN("name"))) {
      *why = arena_printf(a, "%s has no short form", pb_name(d));
      return false;
    }
    return text_set(d, *at, SPAN("name"), value, a, why);
  }
  return true;
}

static bool set_number(const pb_field *f, void *at, span value) {
  double v;
  int32_t number;
  if (f->type == PB_ENUM && pb_enum_number(pb_enums + f->sub, value, &number)) {
    *(int32_t *)at = number;
    return true;
  }
  if (f->type == PB_BOOL) {
    *(bool *)at = span_eq(value, SPAN("true"));
    return *(bool *)at || span_eq(value, SPAN("false"));
  }
  if (!number_of(value, &v)) return false;
  if (f->type == PB_DOUBLE) {
    *(double *)at = v;
  } else if (f->type == PB_FLOAT) {
    *(float *)at = (float)v;
  } else if (pb_value_bytes((pb_type)f->type) == 8) {
    *(int64_t *)at = (int64_t)v;
  } else {
    *(int32_t *)at = (int32_t)v;
  }
  return true;
}

static bool set_value(const pb_field *f, void *at, span value, arena *a, const char **why) {
  switch ((pb_type)f->type) {
    case PB_STRING:
    case PB_BYTES:
      *(span *)at = repeated_text(value, a);
      return true;
    case PB_RAW:
      *(span *)at = payloads_of(value, a);
      return true;
    case PB_MESSAGE:
      return set_message(pb_sub(f), (void **)at, value, a, why);
    default:
      if (set_number(f, at, value)) return true;
      *why = arena_printf(a, "%s cannot be %.*s", pb_names + f->name, SPAN_ARG(value));
      return false;
  }
}

/* Room for one more element. */
static void *list_grow(pb_list *l, size_t element_bytes, arena *a) {
  char *bigger = arena_zalloc(a, (l->n + 1) * element_bytes);
  if (l->n) memcpy(bigger, l->v, l->n * element_bytes);
  l->v = bigger;
  return bigger + l->n++ * element_bytes;
}

static bool set_entry(const pb_field *f, pb_list *l, span path, span value, arena *a,
                      const char **why) {
  const pb_desc *d = pb_sub(f);
  span rest, key = first_part(path, &rest);
  void *entry = *(void **)list_grow(l, sizeof(void *), a) = arena_zalloc(a, pb_struct_bytes(d));
  if (!text_set(d, entry, SPAN("key"), key, a, why)) return false;
  span to = rest.n ? arena_spanf(a, "value.%.*s", SPAN_ARG(rest)) : SPAN("value");
  return text_set(d, entry, to, value, a, why);
}

bool text_set(const pb_desc *d, void *msg, span path, span value, arena *a, const char **why) {
  span rest, name = first_part(path, &rest);
  const pb_field *f = field_named(d, name);
  if (!f) {
    *why = arena_printf(a, "%s has no field %.*s", pb_name(d), SPAN_ARG(name));
    return false;
  }
  void *at = pb_value_at(msg, f);
  if (f->flags & PB_MAP) return set_entry(f, at, rest, value, a, why);
  if (f->flags & PB_REPEATED) at = list_grow(at, pb_value_bytes((pb_type)f->type), a);
  if (f->flags & PB_ONEOF) *pb_which_at(msg, f) = pb_number(f);
  if (f->flags & PB_OPTIONAL) *pb_has_at(msg, f) = true;
  if (!rest.n) return set_value(f, at, value, a, why);
  if (f->type != PB_MESSAGE) {
    *why = arena_printf(a, "%.*s is not a message", SPAN_ARG(name));
    return false;
  }
  void **sub = (void **)at;
  if (!*sub) *sub = arena_zalloc(a, pb_struct_bytes(pb_sub(f)));
  return text_set(pb_sub(f), *sub, rest, value, a, why);
}

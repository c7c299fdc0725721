/* script_text_dump.c - messages as one line of text. */
#include <ctype.h>
#include <stdio.h>

#include "engine/script_text.h"
#include "proto/pb_time.h"
#include "proto/pb_wire.h"

enum { LONGEST_TEXT = 200 };

static bool is_plain(span s) {
  for (size_t i = 0; i < s.n; i++) {
    if (!isalnum(s.p[i]) && !strchr("_-./:+#$@", s.p[i])) return false;
  }
  return s.n > 0;
}

void text_add_span(buf *out, span s) {
  if (s.n > LONGEST_TEXT) {
    buf_addf(out, "%c...(%zu bytes)", isprint(s.p[0]) ? s.p[0] : '?', s.n);
    return;
  }
  if (is_plain(s)) {
    buf_add(out, s);
    return;
  }
  buf_addb(out, '"');
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] == '\n') {
      buf_adds(out, "\\n");
    } else if (isprint(s.p[i]) || s.p[i] >= 0x80) {
      buf_addb(out, s.p[i]);
    } else {
      buf_addf(out, "\\x%02x", s.p[i]);
    }
  }
  buf_addb(out, '"');
}

void text_add_duration(buf *out, int64_t ns) {
  const char *sign = ns < 0 ? "-" : "";
  uint64_t n = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
  uint64_t rest = n % (uint64_t)NS_PER_SEC;
  buf_addf(out, "%s%llu", sign, (unsigned long long)(n / (uint64_t)NS_PER_SEC));
  if (rest) {
    char digits[16];
    int last = snprintf(digits, sizeof digits, "%09llu", (unsigned long long)rest);
    while (digits[last - 1] == '0') last--;
    buf_addf(out, ".%.*s", last, digits);
  }
  buf_addb(out, 's');
}

void text_add_time(buf *out, int64_t ns) {
  if (ns < TEXT_EPOCH_NS / 2) {
    buf_adds(out, "never");
    return;
  }
  if (ns >= TEXT_EPOCH_NS) buf_addb(out, '+');
  text_add_duration(out, ns - TEXT_EPOCH_NS);
}

void text_add_enum(buf *out, const pb_enum *e, int32_t number) {
  const char *name = pb_enum_name(e, number);
  if (!name) {
    buf_addf(out, "%d", number);
    return;
  }
  bool upper = true;
  for (name += e->prefix; *name; name++) {
    if (*name == '_') {
      upper = true;
      continue;
    }
    buf_addb(out, (uint8_t)(upper ? *name : tolower(*name)));
    upper = false;
  }
}

static void add_payload(buf *out, const pb_Payload *p) {
  for (size_t i = 0; i < p->metadata.n; i++) {
    span encoding = p->metadata.v[i]->value;
    if (span_eq(encoding, SPAN("binary/null"))) buf_adds(out, "null");
  }
  if (p->data.n > LONGEST_TEXT) {
    text_add_span(out, p->data);
  } else {
    buf_add(out, p->data);
  }
}

static void add_payloads(buf *out, span encoded) {
  arena a = ARENA_INIT;
  pb_Payloads *all;
  err *e = PB_DECODE(Payloads, encoded, &a, &all);
  ASSERT(!e);
  buf_addb(out, '[');
  for (size_t i = 0; i < all->payloads.n; i++) {
    if (i) buf_addb(out, ',');
    add_payload(out, all->payloads.v[i]);
  }
  buf_addb(out, ']');
  arena_release(&a);
}

/* "1s*2..100s of 3 not [A]" */
static void add_policy(buf *out, const pb_RetryPolicy *p) {
  text_add_duration(out, pb_duration_ns(p->initial_interval));
  buf_addf(out, "*%g", p->backoff_coefficient);
  if (p->maximum_interval) {
    buf_adds(out, "..");
    text_add_duration(out, pb_duration_ns(p->maximum_interval));
  }
  if (p->maximum_attempts) buf_addf(out, " of %d", p->maximum_attempts);
  for (size_t i = 0; i < p->non_retryable_error_types.n; i++) {
    buf_adds(out, i ? "," : " not ");
    buf_add(out, p->non_retryable_error_types.v[i]);
  }
}

static void add_queue(buf *out, const pb_TaskQueue *q) {
  text_add_span(out, q->name);
  if (q->normal_name.n)
    buf_addf(out, "(%s%.*s)", q->kind == PB_TASK_QUEUE_KIND_STICKY ? "sticky of " : "",
             SPAN_ARG(q->normal_name));
  if (q->kind == PB_TASK_QUEUE_KIND_UNSPECIFIED) buf_adds(out, "(unspecified)");
}

static void add_in_braces(buf *out, const pb_desc *d, const void *msg) {
  buf tmp = BUF_INIT;
  text_dump(&tmp, d, msg);
  buf_addb(out, '{');
  if (tmp.n) buf_add(out, span_of(tmp.p + 1, tmp.n - 1));
  buf_addb(out, '}');
  buf_release(&tmp);
}

static void add_message(buf *out, const pb_desc *d, const void *msg) {
  if (d == &pb_Duration_desc) {
    text_add_duration(out, pb_duration_ns(msg));
  } else if (d == &pb_Timestamp_desc) {
    const pb_Timestamp *t = msg;
    text_add_time(out, t->seconds < 0 ? 0 : t->seconds * NS_PER_SEC + t->nanos);
  } else if (d == &pb_Payload_desc) {
    add_payload(out, msg);
  } else if (d == &pb_RetryPolicy_desc) {
    add_policy(out, msg);
  } else if (d == &pb_TaskQueue_desc) {
    add_queue(out, msg);
  } else if (d == &pb_WorkflowType_desc) {
    text_add_span(out, ((const pb_WorkflowType *)msg)->name);
  } else if (d == &pb_ActivityType_desc) {
    text_add_span(out, ((const pb_ActivityType *)msg)->name);
  } else {
    add_in_braces(out, d, msg);
  }
}

static void add_value(buf *out, const pb_field *f, const void *at) {
  switch ((pb_type)f->type) {
    case PB_STRING:
    case PB_BYTES:
      text_add_span(out, *(const span *)at);
      return;
    case PB_RAW:
      add_payloads(out, *(const span *)at);
      return;
    case PB_MESSAGE:
      add_message(out, pb_sub(f), *(void *const *)at);
      return;
    case PB_ENUM:
      text_add_enum(out, pb_enums + f->sub, *(const int32_t *)at);
      return;
    case PB_BOOL:
      buf_adds(out, *(const bool *)at ? "true" : "false");
      return;
    case PB_DOUBLE:
      buf_addf(out, "%g", *(const double *)at);
      return;
    case PB_FLOAT:
      buf_addf(out, "%g", (double)*(const float *)at);
      return;
    default:
      if (pb_value_bytes((pb_type)f->type) == 8) {
        buf_addf(out, "%lld", (long long)*(const int64_t *)at);
      } else {
        buf_addf(out, "%d", *(const int32_t *)at);
      }
  }
}

static void add_list(buf *out, const pb_field *f, const pb_list *l) {
  size_t size = pb_value_bytes((pb_type)f->type);
  const bool map = f->flags & PB_MAP;
  buf_addb(out, map ? '{' : '[');
  for (size_t i = 0; i < l->n; i++) {
    const char *at = (const char *)l->v + i * size;
    if (i) buf_adds(out, ", ");
    if (map) {
      const void *entry = *(void *const *)at;
      const pb_field *key = pb_rows(pb_sub(f)), *value = key + 1;
      add_value(out, key, pb_value_at(entry, key));
      buf_adds(out, ": ");
      add_value(out, value, pb_value_at(entry, value));
    } else {
      add_value(out, f, at);
    }
  }
  buf_addb(out, map ? '}' : ']');
}

/* What every message would repeat or what depends on how things are stored. */
static bool is_noise(const char *name) {
  return strcmp(name, "task_id") == 0 || strcmp(name, "history_size_bytes") == 0 ||
         strcmp(name, "state_transition_count") == 0;
}

static void add_name(buf *out, const char *name) {
  size_t n = strlen(name);
  static const char *const endings[] = {"_event_id", "_timeout"};
  for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
    size_t e = strlen(endings[i]);
    if (n > e && memcmp(name + n - e, endings[i], e) == 0) n -= e;
  }
  buf_addf(out, " %.*s=", (int)n, name);
}

void text_dump(buf *out, const pb_desc *d, const void *msg) {
  for (size_t i = 0; i < d->field_count; i++) {
    const pb_field *f = pb_rows(d) + i;
    const char *name = pb_names + f->name;
    if (is_noise(name)) continue;
    if (f->flags & PB_REPEATED) {
      const pb_list *l = pb_list_at(msg, f);
      if (!l->n) continue;
      add_name(out, name);
      add_list(out, f, l);
    } else if (pb_is_set(msg, f)) {
      add_name(out, name);
      add_value(out, f, pb_value_at(msg, f));
    }
  }
  span unknown = ((const pb_head *)msg)->unknown;
  if (unknown.n) buf_addf(out, " unknown=%zu bytes", unknown.n);
}

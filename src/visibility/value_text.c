/* value_text.c - a payload in the words of the original's errors, and values as payloads. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/json_lex.h"
#include "proto/json_text.h"
#include "visibility/attribute.h"

enum { TEXT_DEPTH = 32 };

/* The shortest digits that read back the same; an exponent where Go writes one. */
static void put_double(buf *out, double v) {
  enum { MOST_PLACES = 6 };
  char text[40];
  int decimals = -1;
  do {
    (void)snprintf(text, sizeof text, "%.*e", ++decimals, v);
  } while (decimals < 17 && strtod(text, NULL) != v);
  int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
  if (exponent < -4 || exponent >= MOST_PLACES) {
    buf_adds(out, text);
  } else {
    buf_addf(out, "%.*f", MAX(0, decimals - exponent), v);
  }
}

static bool put_value(json_in *in, buf *out, int depth);

static bool put_list(json_in *in, buf *out, int depth) {
  size_t n = 0;
  bool ok = json_expect(in, '[');
  buf_adds(out, "[");
  while (ok && json_next_element(in, &n)) {
    if (n > 1) buf_adds(out, " ");
    ok = put_value(in, out, depth + 1);
  }
  buf_adds(out, "]");
  return ok && !in->problem;
}

static bool put_object(json_in *in, buf *out, int depth) {
  size_t n = 0;
  span name;
  bool ok = json_expect(in, '{');
  buf_adds(out, "map[");
  while (ok && json_next_member(in, &n, &name)) {
    buf_addf(out, "%s%.*s:", n > 1 ? " " : "", SPAN_ARG(name));
    ok = put_value(in, out, depth + 1);
  }
  buf_adds(out, "]");
  return ok && !in->problem;
}

static bool put_number(json_in *in, buf *out) {
  span text;
  double v;
  if (!json_number(in, &text) || json_get_double(text, &v)) return false;
  put_double(out, v);
  return true;
}

static bool put_value(json_in *in, buf *out, int depth) {
  static const char *const words[] = {"true", "false"};
  if (depth == TEXT_DEPTH) return false;
  for (size_t i = 0; i < ARRAY_LEN(words); i++) {
    if (!json_accept_word(in, words[i])) continue;
    buf_adds(out, words[i]);
    return true;
  }
  if (json_accept_word(in, "null")) {
    buf_adds(out, "<nil>");
    return true;
  }
  span text;
  switch (json_peek(in)) {
    case '[':
      return put_list(in, out, depth);
    case '{':
      return put_object(in, out, depth);
    case '"':
      if (!json_string(in, &text)) return false;
      buf_add(out, text);
      return true;
    default:
      return put_number(in, out);
  }
}

static bool has_encoding(const pb_Payload *p, const char *encoding) {
  for (size_t i = 0; i < p->metadata.n; i++) {
    if (span_eq(p->metadata.v[i]->key, SPAN("encoding")) &&
        span_eq(p->metadata.v[i]->value, span_cstr(encoding))) {
      return true;
    }
  }
  return false;
}

static void put_quoted(buf *out, span s) {
  buf_adds(out, "\"");
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (c == '"' || c == '\\') buf_adds(out, "\\");
    if (c >= 0x20 && c < 0x7f) {
      buf_addb(out, c);
    } else {
      buf_addf(out, "\\x%02x", c);
    }
  }
  buf_adds(out, "\"");
}

/* A payload that has no value at all. */
static void put_payload(buf *out, const pb_Payload *p) {
  const char *between = "";
  buf_adds(out, "value from <");
  for (size_t i = 0; i < p->metadata.n; i++) {
    buf_addf(out, "%smetadata:{key:", between);
    put_quoted(out, p->metadata.v[i]->key);
    buf_adds(out, "  value:");
    put_quoted(out, p->metadata.v[i]->value);
    buf_adds(out, "}");
    between = "  ";
  }
  if (p->data.n) {
    buf_addf(out, "%sdata:", between);
    put_quoted(out, p->data);
  }
  buf_adds(out, ">");
}

static bool put_known(const pb_Payload *p, buf *out, arena *a) {
  if (has_encoding(p, "binary/plain")) {
    for (size_t i = 0; i < p->data.n; i++) buf_addf(out, "%s%d", i ? " " : "[", p->data.p[i]);
    buf_adds(out, p->data.n ? "]" : "[]");
    return true;
  }
  json_in in = {.start = p->data.p, .p = p->data.p, .end = p->data.p + p->data.n, .a = a};
  return has_encoding(p, "json/plain") && put_value(&in, out, 0) && json_peek(&in) == 0;
}

span attribute_value_text(const pb_Payload *p, arena *a) {
  buf out = BUF_INIT;
  if (!put_known(p, &out, a)) {
    buf_clear(&out);
    put_payload(&out, p);
  }
  span text = arena_dup(a, buf_span(&out));
  buf_release(&out);
  return text;
}

static void put_json(buf *out, int32_t type, const store_value *v) {
  const char *problem = NULL;
  switch (v->kind) {
    case VALUE_NULL:
      buf_adds(out, "null");
      break;
    case VALUE_TEXT:
      json_put_string(out, v->text);
      break;
    case VALUE_REAL:
      json_put_double(out, v->real);
      break;
    case VALUE_INT:
      if (type == PB_INDEXED_VALUE_TYPE_BOOL) {
        buf_adds(out, v->i ? "true" : "false");
      } else if (type == PB_INDEXED_VALUE_TYPE_DATETIME) {
        int64_t seconds = v->i / NS_PER_SEC, nanos = v->i % NS_PER_SEC;
        if (nanos < 0) seconds--, nanos += NS_PER_SEC;
        buf_adds(out, "\"");
        problem = json_put_timestamp(out, seconds, (int32_t)nanos);
        buf_adds(out, "\"");
      } else {
        json_put_integer(out, v->i);
      }
      break;
  }
  ASSERT(!problem);
}

pb_Payload *attribute_payload(int32_t type, const store_value *v, arena *a) {
  static const char *const keys[] = {"encoding", "type"};
  const char *values[] = {"json/plain", attribute_type_name(type)};
  buf json = BUF_INIT;
  put_json(&json, type, v);
  pb_Payload *p = pb_new(a, Payload);
  p->data = arena_dup(a, buf_span(&json));
  p->metadata.n = ARRAY_LEN(keys);
  p->metadata.v = arena_array(a, pb_Payload_MetadataEntry *, ARRAY_LEN(keys));
  for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
    p->metadata.v[i] = pb_new(a, Payload_MetadataEntry);
    p->metadata.v[i]->key = span_cstr(keys[i]);
    p->metadata.v[i]->value = span_cstr(values[i]);
  }
  buf_release(&json);
  return p;
}

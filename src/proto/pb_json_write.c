#include <math.h>

#include "proto/json_lex.h"
#include "proto/json_text.h"
#include "proto/pb.gen.h"
#include "proto/pb_json.h"
#include "proto/pb_wire.h"

typedef struct json_out {
  buf *to;
  arena *a;
  pb_json_flags flags;
  unsigned indent;
  unsigned depth; /* of messages, through Any too */
  err *problem;
} json_out;

static bool write_message(json_out *w, const pb_desc *desc, const void *msg);

static bool fail(json_out *w, const pb_desc *desc, const char *problem) {
  w->problem = ERR(w->a, INVALID_ARGUMENT, "%s: %s", pb_name(desc), problem);
  return false;
}

static void new_line(json_out *w) {
  if (!(w->flags & PB_JSON_PRETTY)) return;
  buf_addb(w->to, '\n');
  for (unsigned i = 0; i < w->indent; i++) buf_adds(w->to, "  ");
}

static void begin(json_out *w, char sign) {
  buf_addb(w->to, (uint8_t)sign);
  w->indent++;
}

/* Before each member or element; *n counts them. */
static void next(json_out *w, size_t *n) {
  if ((*n)++ > 0) buf_addb(w->to, ',');
  new_line(w);
}

static void end(json_out *w, char sign, size_t n) {
  w->indent--;
  if (n > 0) new_line(w);
  buf_addb(w->to, (uint8_t)sign);
}

static void write_colon(json_out *w) { buf_adds(w->to, w->flags & PB_JSON_PRETTY ? ": " : ":"); }

static void write_bytes(json_out *w, span s) {
  buf_addb(w->to, '"');
  json_put_base64(w->to, s);
  buf_addb(w->to, '"');
}

/* A name of the schema, which needs no escapes. */
static void write_name(json_out *w, const char *name) {
  buf_addb(w->to, '"');
  buf_adds(w->to, name);
  buf_addb(w->to, '"');
}

static void write_enum(json_out *w, const pb_field *f, int32_t number) {
  const pb_enum *e = pb_enums + f->sub;
  const char *name = pb_enum_name(e, number);
  if (e == &pb_NullValue_enum)
    buf_adds(w->to, "null");
  else if (name)
    write_name(w, name);
  else
    json_put_integer(w->to, number);
}

static bool write_value(json_out *w, const pb_field *f, const void *from) {
  switch ((pb_type)f->type) {
    case PB_MESSAGE:
      return write_message(w, pb_sub(f), *(const pb_ptr *)from);
    case PB_RAW: {
      void *msg;
      w->problem = pb_decode(pb_sub(f), *(const span *)from, w->a, &msg);
      return !w->problem && write_message(w, pb_sub(f), msg);
    }
    case PB_STRING:
      json_put_string(w->to, *(const span *)from);
      return true;
    case PB_BYTES:
      write_bytes(w, *(const span *)from);
      return true;
    case PB_BOOL:
      buf_adds(w->to, *(const bool *)from ? "true" : "false");
      return true;
    case PB_ENUM:
      write_enum(w, f, *(const int32_t *)from);
      return true;
    case PB_DOUBLE:
      json_put_double(w->to, *(const double *)from);
      return true;
    case PB_FLOAT:
      json_put_float(w->to, *(const float *)from);
      return true;
    case PB_INT64:
    case PB_SINT64:
    case PB_SFIXED64:
      buf_addb(w->to, '"');
      json_put_integer(w->to, *(const int64_t *)from);
      buf_addb(w->to, '"');
      return true;
    case PB_UINT64:
    case PB_FIXED64:
      buf_addf(w->to, "\"%llu\"", (unsigned long long)*(const uint64_t *)from);
      return true;
    case PB_UINT32:
    case PB_FIXED32:
      json_put_integer(w->to, *(const uint32_t *)from);
      return true;
    case PB_INT32:
    case PB_SINT32:
    case PB_SFIXED32:
      break;
  }
  json_put_integer(w->to, *(const int32_t *)from);
  return true;
}

static void write_key(json_out *w, const pb_field *key, const void *from) {
  if (key->type == PB_STRING) {
    json_put_string(w->to, *(const span *)from);
    return;
  }
  bool quoted = key->type == PB_INT64 || key->type == PB_UINT64 || key->type == PB_SINT64 ||
                key->type == PB_FIXED64 || key->type == PB_SFIXED64;
  if (!quoted) buf_addb(w->to, '"');
  (void)write_value(w, key, from);
  if (!quoted) buf_addb(w->to, '"');
}

static bool write_map(json_out *w, const pb_field *f, const pb_list *l) {
  const pb_field *key = pb_rows(pb_sub(f)), *value = key + 1;
  size_t n = 0;
  begin(w, '{');
  for (size_t i = 0; i < l->n; i++) {
    const void *entry = pb_list_msg(l, i);
    next(w, &n);
    write_key(w, key, pb_value_at(entry, key));
    write_colon(w);
    if (!write_value(w, value, pb_value_at(entry, value))) return false;
  }
  end(w, '}', n);
  return true;
}

static bool write_list(json_out *w, const pb_field *f, const pb_list *l) {
  size_t size = pb_value_bytes((pb_type)f->type), n = 0;
  begin(w, '[');
  for (size_t i = 0; i < l->n; i++) {
    next(w, &n);
    if (!write_value(w, f, (const char *)l->v + i * size)) return false;
  }
  end(w, ']', n);
  return true;
}

static bool write_fields(json_out *w, const pb_desc *desc, const void *msg, size_t *n) {
  for (size_t i = 0; i < desc->field_count; i++) {
    const pb_field *f = pb_rows(desc) + i;
    bool repeated = f->flags & PB_REPEATED;
    if (!pb_is_set(msg, f)) continue;
    next(w, n);
    write_name(w, pb_names + f->json);
    write_colon(w);
    bool ok = f->flags & PB_MAP ? write_map(w, f, pb_list_at(msg, f))
              : repeated        ? write_list(w, f, pb_list_at(msg, f))
                                : write_value(w, f, pb_value_at(msg, f));
    if (!ok) return false;
  }
  return true;
}

static bool write_any(json_out *w, const pb_desc *any_desc, const pb_Any *any) {
  if (any->type_url.n == 0 && any->value.n == 0) {
    buf_adds(w->to, "{}");
    return true;
  }
  span name = any->type_url;
  for (size_t i = name.n; i > 0; i--) {
    if (name.p[i - 1] == '/') {
      name = span_of(name.p + i, name.n - i);
      break;
    }
  }
  const pb_desc *desc = pb_find(name);
  if (!desc) return fail(w, any_desc, "holds a message of an unknown type");
  void *msg;
  w->problem = pb_decode(desc, any->value, w->a, &msg);
  if (w->problem) return false;
  size_t n = 0;
  begin(w, '{');
  next(w, &n);
  buf_adds(w->to, "\"@type\"");
  write_colon(w);
  json_put_string(w->to, any->type_url);
  bool ok;
  if (desc->special == PB_IS_NONE || desc->special == PB_IS_PAYLOAD ||
      desc->special == PB_IS_PAYLOADS) {
    ok = write_fields(w, desc, msg, &n);
  } else {
    next(w, &n);
    buf_adds(w->to, "\"value\"");
    write_colon(w);
    ok = write_message(w, desc, msg);
  }
  end(w, '}', n);
  return ok;
}

static bool write_struct_value(json_out *w, const pb_desc *desc, const pb_Value *v) {
  switch (v->which_kind) {
    case PB_Value_number_value_FIELD:
      if (!isfinite(v->number_value)) return fail(w, desc, "a number that is not finite");
      json_put_double(w->to, v->number_value);
      return true;
    case PB_Value_string_value_FIELD:
      json_put_string(w->to, v->string_value);
      return true;
    case PB_Value_bool_value_FIELD:
      buf_adds(w->to, v->bool_value ? "true" : "false");
      return true;
    case PB_Value_struct_value_FIELD:
      return write_message(w, &pb_Struct_desc, v->struct_value);
    case PB_Value_list_value_FIELD:
      return write_message(w, &pb_ListValue_desc, v->list_value);
    default:
      buf_adds(w->to, "null");
      return true;
  }
}

static bool write_mask(json_out *w, const pb_desc *desc, const pb_FieldMask *mask) {
  buf text = BUF_INIT;
  const char *problem = NULL;
  for (size_t i = 0; i < mask->paths.n && !problem; i++) {
    if (i > 0) buf_addb(&text, ',');
    problem = json_put_mask_path(&text, mask->paths.v[i]);
  }
  if (!problem) json_put_string(w->to, buf_span(&text));
  buf_release(&text);
  return problem ? fail(w, desc, problem) : true;
}

static bool write_time(json_out *w, const pb_desc *desc, const void *msg) {
  const char *problem;
  buf_addb(w->to, '"');
  if (desc->special == PB_IS_TIMESTAMP) {
    const pb_Timestamp *t = msg;
    problem = json_put_timestamp(w->to, t->seconds, t->nanos);
  } else {
    const pb_Duration *d = msg;
    problem = json_put_duration(w->to, d->seconds, d->nanos);
  }
  buf_addb(w->to, '"');
  return problem ? fail(w, desc, problem) : true;
}

static span metadata_value(const pb_Payload *p, const char *key) {
  for (size_t i = 0; i < p->metadata.n; i++) {
    if (span_eq(p->metadata.v[i]->key, span_cstr(key))) return p->metadata.v[i]->value;
  }
  return SPAN_NONE;
}

static bool is_json(json_out *w, span data, uint8_t first) {
  json_in in = {.start = data.p, .p = data.p, .end = data.p + data.n, .a = w->a};
  return data.n && (!first || json_peek(&in) == first) && json_skip(&in) && json_peek(&in) == 0 &&
         in.p == in.end;
}

/* Whether the payload can be written as the JSON it holds. Nothing is lost but whitespace, and
 * which of the two nulls it was. */
static bool has_shorthand(json_out *w, const pb_Payload *p) {
  span encoding = metadata_value(p, "encoding");
  if (p->head.unknown.n || p->external_payloads.n) return false;
  if (span_eq(encoding, SPAN("binary/null"))) return p->metadata.n == 1 && p->data.n == 0;
  if (span_eq(encoding, SPAN("json/plain"))) {
    return p->metadata.n == 1 && is_json(w, p->data, 0);
  }
  span type = metadata_value(p, "messageType");
  return span_eq(encoding, SPAN("json/protobuf")) && p->metadata.n == 2 && type.n &&
         pb_utf8_valid_bytes(type) == type.n && is_json(w, p->data, '{');
}

/* JSON text without its whitespace. */
static void write_json(json_out *w, span json) {
  bool in_string = false;
  for (size_t i = 0; i < json.n; i++) {
    uint8_t c = json.p[i];
    if (in_string) {
      buf_addb(w->to, c);
      if (c == '\\' && i + 1 < json.n) buf_addb(w->to, json.p[++i]);
      in_string = c != '"';
      continue;
    }
    switch (c) {
      case ' ':
      case '\n':
      case '\t':
      case '\r':
        break;
      default:
        buf_addb(w->to, c);
        in_string = c == '"';
    }
  }
}

static void write_shorthand(json_out *w, const pb_Payload *p) {
  span message_type = metadata_value(p, "messageType");
  if (p->data.n == 0) {
    buf_adds(w->to, "null");
    return;
  }
  if (!message_type.n) {
    write_json(w, p->data);
    return;
  }
  buf_adds(w->to, "{\"_protoMessageType\":");
  json_put_string(w->to, message_type);
  size_t open = 0;
  while (p->data.p[open] != '{') open++;
  size_t first = open + 1;
  while (strchr(" \n\t\r", p->data.p[first])) first++;
  if (p->data.p[first] != '}') buf_addb(w->to, ',');
  write_json(w, span_of(p->data.p + first, p->data.n - first));
}

/* Payloads are written short only if each of them can be. */
static bool write_shorthands(json_out *w, const pb_Payloads *all) {
  for (size_t i = 0; i < all->payloads.n; i++) {
    if (!has_shorthand(w, all->payloads.v[i])) return false;
  }
  size_t n = 0;
  begin(w, '[');
  for (size_t i = 0; i < all->payloads.n; i++) {
    next(w, &n);
    write_shorthand(w, all->payloads.v[i]);
  }
  end(w, ']', n);
  return true;
}

static bool write_object(json_out *w, const pb_desc *desc, const void *msg) {
  size_t n = 0;
  begin(w, '{');
  if (!write_fields(w, desc, msg, &n)) return false;
  end(w, '}', n);
  return true;
}

static bool write_by_kind(json_out *w, const pb_desc *desc, const void *msg) {
  const pb_field *first = pb_rows(desc);
  switch ((pb_special)desc->special) {
    case PB_IS_ANY:
      return write_any(w, desc, msg);
    case PB_IS_TIMESTAMP:
    case PB_IS_DURATION:
      return write_time(w, desc, msg);
    case PB_IS_FIELD_MASK:
      return write_mask(w, desc, msg);
    case PB_IS_STRUCT:
      return write_map(w, first, pb_list_at(msg, first));
    case PB_IS_VALUE:
      return write_struct_value(w, desc, msg);
    case PB_IS_LIST_VALUE:
      return write_list(w, first, pb_list_at(msg, first));
    case PB_IS_WRAPPER:
      return write_value(w, first, pb_value_at(msg, first));
    case PB_IS_PAYLOAD:
      if (!(w->flags & PB_JSON_SHORTHAND) || !has_shorthand(w, msg)) break;
      write_shorthand(w, msg);
      return true;
    case PB_IS_PAYLOADS:
      if (!(w->flags & PB_JSON_SHORTHAND) || !write_shorthands(w, msg)) break;
      return true;
    case PB_IS_NONE:
    case PB_IS_EMPTY:
    case PB_IS_MAP_ENTRY:
      break;
  }
  return write_object(w, desc, msg);
}

static bool write_message(json_out *w, const pb_desc *desc, const void *msg) {
  if (w->depth > PB_MAX_DEPTH) return fail(w, desc, "nested too deep");
  w->depth++;
  bool ok = write_by_kind(w, desc, msg);
  w->depth--;
  return ok;
}

err *pb_json_encode(const pb_desc *d, const void *msg, pb_json_flags flags, arena *a, buf *out) {
  size_t before = out->n;
  json_out w = {.to = out, .a = a, .flags = flags};
  if (write_message(&w, d, msg)) return NULL;
  out->n = before;
  return w.problem;
}

#include "proto/json_lex.h"
#include "proto/json_text.h"
#include "proto/pb.gen.h"
#include "proto/pb_json.h"
#include "proto/pb_wire.h"

/* Where the reader stands, for errors: a member of the message around it, or an element. */
typedef struct place {
  const struct place *outer;
  span name;    /* of a member, or */
  size_t index; /* + 1 of an element; neither: between them */
} place;

typedef struct reader {
  json_in in;
  pb_json_flags flags;
  unsigned depth; /* of messages */
  size_t elements_left;
  size_t most_arena_bytes;
  const place *at;
  const char *path; /* of the problem */
} reader;

static bool read_message(reader *r, const pb_desc *desc, void *msg);
static bool read_value(reader *r, const pb_field *f, void *to);

static const char *path_text(arena *a, const place *at) {
  if (!at) return "";
  const char *outer = path_text(a, at->outer);
  if (at->index) return arena_printf(a, "%s[%zu]", outer, at->index - 1);
  return at->name.p ? arena_printf(a, "%s.%.*s", outer, SPAN_ARG(at->name)) : outer;
}

/* Remembers where a problem was met first. */
static bool check(reader *r, bool ok) {
  if (!ok && !r->path) r->path = path_text(r->in.a, r->at);
  return ok;
}

static bool fail(reader *r, const char *problem) { return check(r, json_fail(&r->in, problem)); }

/* For the functions that return what is wrong. */
static bool accept(reader *r, const char *problem) { return problem ? fail(r, problem) : true; }

static bool read_string(reader *r, span *ret) { return check(r, json_string(&r->in, ret)); }

/* The digits of a number, quoted or not. */
static bool read_number_text(reader *r, span *ret) {
  if (json_peek(&r->in) == '"') return read_string(r, ret);
  return check(r, json_number(&r->in, ret));
}

static bool read_enum(reader *r, const pb_field *f, int32_t *to) {
  const pb_enum *e = pb_enums + f->sub;
  span text;
  if (e == &pb_NullValue_enum && json_accept_word(&r->in, "null")) {
    *to = PB_NULL_VALUE;
    return true;
  }
  if (json_peek(&r->in) == '"') {
    if (!read_string(r, &text)) return false;
    return pb_enum_number(e, text, to) ? true : fail(r, "an unknown enum value");
  }
  int64_t number;
  if (!check(r, json_number(&r->in, &text)) ||
      !accept(r, json_get_integer(text, INT32_MIN, INT32_MAX, &number))) {
    return false;
  }
  *to = (int32_t)number;
  return true;
}

static bool read_integer(reader *r, pb_type type, span text, void *to) {
  int64_t v;
  switch (type) {
    case PB_INT32:
    case PB_SINT32:
    case PB_SFIXED32:
      if (!accept(r, json_get_integer(text, INT32_MIN, INT32_MAX, &v))) return false;
      *(int32_t *)to = (int32_t)v;
      return true;
    case PB_UINT32:
    case PB_FIXED32:
      if (!accept(r, json_get_integer(text, 0, UINT32_MAX, &v))) return false;
      *(uint32_t *)to = (uint32_t)v;
      return true;
    case PB_UINT64:
    case PB_FIXED64:
      if (!accept(r, json_get_integer(text, 0, UINT64_MAX, &v))) return false;
      *(uint64_t *)to = (uint64_t)v;
      return true;
    default:
      if (!accept(r, json_get_integer(text, INT64_MIN, INT64_MAX, &v))) return false;
      *(int64_t *)to = v;
      return true;
  }
}

static bool read_scalar(reader *r, const pb_field *f, void *to) {
  span text;
  switch ((pb_type)f->type) {
    case PB_STRING:
      return read_string(r, to);
    case PB_BYTES:
      return read_string(r, &text) && accept(r, json_get_base64(text, r->in.a, to));
    case PB_BOOL:
      *(bool *)to = json_accept_word(&r->in, "true");
      return *(bool *)to || json_accept_word(&r->in, "false") || fail(r, "not true or false");
    case PB_ENUM:
      return read_enum(r, f, to);
    case PB_DOUBLE:
      return read_number_text(r, &text) && accept(r, json_get_double(text, to));
    case PB_FLOAT:
      return read_number_text(r, &text) && accept(r, json_get_float(text, to));
    default:
      return read_number_text(r, &text) && read_integer(r, (pb_type)f->type, text, to);
  }
}

static void *new_message(reader *r, const pb_desc *desc) {
  if (r->in.a->total_bytes > r->most_arena_bytes) {
    (void)fail(r, "needs too much memory");
    return NULL;
  }
  return arena_zalloc(r->in.a, desc->struct_bytes);
}

static bool read_raw(reader *r, const pb_desc *desc, span *to) {
  void *msg = new_message(r, desc);
  if (!msg || !read_message(r, desc, msg)) return false;
  *to = pb_encode_arena(desc, msg, r->in.a);
  return true;
}

static bool read_value(reader *r, const pb_field *f, void *to) {
  if (f->type == PB_RAW) return read_raw(r, pb_sub(f), to);
  if (f->type != PB_MESSAGE) return read_scalar(r, f, to);
  void *msg = *(pb_ptr *)to = new_message(r, pb_sub(f));
  return msg && read_message(r, pb_sub(f), msg);
}

/* Room for one more element; the capacity is the length rounded up to a power of two. */
static void *list_room(reader *r, pb_list *l, size_t size) {
  if (r->elements_left-- == 0) {
    r->elements_left = 0;
    (void)fail(r, "too many elements");
    return NULL;
  }
  if ((l->n & (l->n - 1)) == 0) {
    void *v = arena_alloc(r->in.a, (l->n ? l->n * 2 : 1) * size);
    if (l->n) memcpy(v, l->v, l->n * size);
    l->v = v;
  }
  void *at = (char *)l->v + l->n++ * size;
  return memset(at, 0, size);
}

/* null stands for a value only in these. */
static bool takes_null(const pb_field *f) {
  return (f->type == PB_MESSAGE && pb_sub(f)->special == PB_IS_VALUE) ||
         (f->type == PB_ENUM && pb_enums + f->sub == &pb_NullValue_enum);
}

static bool takes_short_null(const reader *r, const pb_field *f) {
  return (r->flags & PB_JSON_SHORTHAND) && f->type == PB_MESSAGE &&
         pb_sub(f)->special == PB_IS_PAYLOAD;
}

static bool refuse_null(reader *r, const pb_field *f) {
  if (json_peek(&r->in) != 'n' || takes_null(f) || takes_short_null(r, f)) return true;
  return fail(r, "null instead of a value");
}

static bool read_list(reader *r, const pb_field *f, pb_list *l) {
  place at = {.outer = r->at};
  size_t n = 0;
  if (!check(r, json_expect(&r->in, '['))) return false;
  r->at = &at;
  while (json_next_element(&r->in, &n)) {
    at.index = n;
    void *to = list_room(r, l, pb_value_bytes((pb_type)f->type));
    if (!to || !refuse_null(r, f) || !read_value(r, f, to)) return false;
  }
  r->at = at.outer;
  return check(r, !r->in.problem);
}

static bool read_key(reader *r, const pb_field *key, span text, void *to) {
  if (key->type == PB_STRING) {
    *(span *)to = text;
    return true;
  }
  if (key->type != PB_BOOL) return read_integer(r, (pb_type)key->type, text, to);
  *(bool *)to = span_eq(text, SPAN("true"));
  return *(bool *)to || span_eq(text, SPAN("false")) || fail(r, "not true or false");
}

static bool read_map(reader *r, const pb_field *f, pb_list *l) {
  const pb_desc *entry = pb_sub(f);
  const pb_field *key = pb_rows(entry), *value = key + 1;
  place at = {.outer = r->at};
  size_t n = 0;
  if (!check(r, json_expect(&r->in, '{'))) return false;
  r->at = &at;
  while (json_next_member(&r->in, &n, &at.name)) {
    pb_ptr *to = list_room(r, l, sizeof(void *));
    if (!to) return false;
    void *msg = *to = new_message(r, entry);
    if (!msg || !read_key(r, key, at.name, pb_value_at(msg, key)) || !refuse_null(r, value) ||
        !read_value(r, value, pb_value_at(msg, value))) {
      return false;
    }
  }
  r->at = at.outer;
  if (l->n > 1) pb_drop_duplicates(r->in.a, entry, l);
  return check(r, !r->in.problem);
}

static const pb_field *find_field(const pb_desc *desc, span name) {
  for (size_t i = 0; i < desc->field_count; i++) {
    const pb_field *f = pb_rows(desc) + i;
    if (span_eq(span_cstr(pb_names + f->json), name)) return f;
    if (span_eq(span_cstr(pb_names + f->name), name)) return f;
  }
  return NULL;
}

static bool read_field(reader *r, const pb_field *f, void *msg) {
  if (!takes_null(f) && !takes_short_null(r, f) && json_accept_word(&r->in, "null")) return true;
  if (f->flags & PB_REPEATED && json_accept_word(&r->in, "null")) return true;
  if (f->flags & PB_MAP) return read_map(r, f, pb_list_at(msg, f));
  if (f->flags & PB_REPEATED) return read_list(r, f, pb_list_at(msg, f));
  if (f->flags & PB_OPTIONAL) *pb_has_at(msg, f) = true;
  if (f->flags & PB_ONEOF) {
    if (*pb_which_at(msg, f)) return fail(r, "a second member of a oneof");
    *pb_which_at(msg, f) = pb_number(f);
  }
  return read_value(r, f, pb_value_at(msg, f));
}

/* One member of a message's object; `seen` has a bit per row. */
static bool read_member(reader *r, const pb_desc *desc, void *msg, span name, uint64_t *seen) {
  const pb_field *f = find_field(desc, name);
  if (!f) {
    if (r->flags & PB_JSON_IGNORE_UNKNOWN) return check(r, json_skip(&r->in));
    return fail(r, "an unknown name");
  }
  size_t row = (size_t)(f - pb_rows(desc));
  if (seen[row / 64] >> (row % 64) & 1) return fail(r, "given twice");
  seen[row / 64] |= UINT64_C(1) << (row % 64);
  return read_field(r, f, msg);
}

/* The members up to the closing brace; "@type" belongs to the Any around when in_any. */
static bool read_members(reader *r, const pb_desc *desc, void *msg, bool in_any) {
  place at = {.outer = r->at};
  uint64_t seen[4] = {0};
  size_t n = 0;
  r->at = &at;
  while (json_next_member(&r->in, &n, &at.name)) {
    bool ok = in_any && span_eq(at.name, SPAN("@type")) ? check(r, json_skip(&r->in))
                                                        : read_member(r, desc, msg, at.name, seen);
    if (!ok) return false;
  }
  r->at = at.outer;
  return check(r, !r->in.problem);
}

/* Looks ahead for "@type" without moving. */
static bool find_type(reader *r, span *ret_url) {
  const uint8_t *start = r->in.p;
  span name;
  size_t n = 0;
  *ret_url = SPAN_NONE;
  while (json_next_member(&r->in, &n, &name)) {
    bool found = span_eq(name, SPAN("@type"));
    if (!check(r, found ? json_string(&r->in, ret_url) : json_skip(&r->in))) return false;
    if (found) break;
  }
  if (!check(r, !r->in.problem)) return false;
  if (ret_url->p) {
    r->in.p = start;
    return true;
  }
  return n == 0 || fail(r, "an Any without \"@type\"");
}

/* A well-known type inside an Any is its member "value". */
static bool read_any_value(reader *r, const pb_desc *desc, void *msg) {
  span name;
  size_t n = 0;
  bool found = false;
  while (json_next_member(&r->in, &n, &name)) {
    bool ok = true;
    if (span_eq(name, SPAN("value"))) {
      found = true;
      ok = read_message(r, desc, msg);
    } else {
      ok = span_eq(name, SPAN("@type")) ? check(r, json_skip(&r->in)) : fail(r, "an unknown name");
    }
    if (!ok) return false;
  }
  if (!check(r, !r->in.problem)) return false;
  return found || desc->special == PB_IS_EMPTY || fail(r, "an Any without \"value\"");
}

static bool read_any(reader *r, pb_Any *any) {
  if (!check(r, json_expect(&r->in, '{')) || !find_type(r, &any->type_url)) return false;
  if (!any->type_url.p) return true;
  span name = any->type_url;
  for (size_t i = name.n; i > 0; i--) {
    if (name.p[i - 1] == '/') {
      name = span_of(name.p + i, name.n - i);
      break;
    }
  }
  const pb_desc *desc = pb_find(name);
  if (!desc) return fail(r, "an Any of an unknown type");
  void *msg = new_message(r, desc);
  if (!msg) return false;
  bool ordinary = desc->special == PB_IS_NONE || desc->special == PB_IS_PAYLOAD ||
                  desc->special == PB_IS_PAYLOADS;
  if (ordinary ? !read_members(r, desc, msg, true) : !read_any_value(r, desc, msg)) return false;
  any->value = pb_encode_arena(desc, msg, r->in.a);
  return true;
}

static bool read_struct_value(reader *r, const pb_desc *desc, pb_Value *v) {
  const pb_field *f;
  switch (json_peek(&r->in)) {
    case 'n':
      v->which_kind = PB_Value_null_value_FIELD;
      return json_accept_word(&r->in, "null") || fail(r, "not a value");
    case '{':
      v->which_kind = PB_Value_struct_value_FIELD;
      break;
    case '[':
      v->which_kind = PB_Value_list_value_FIELD;
      break;
    case '"':
      v->which_kind = PB_Value_string_value_FIELD;
      break;
    case 't':
    case 'f':
      v->which_kind = PB_Value_bool_value_FIELD;
      break;
    default:
      v->which_kind = PB_Value_number_value_FIELD;
  }
  f = pb_row(desc, v->which_kind);
  return read_value(r, f, pb_value_at(v, f));
}

static bool read_mask(reader *r, pb_FieldMask *mask) {
  span text, path;
  if (!read_string(r, &text)) return false;
  for (size_t start = 0, i = 0; text.n && i <= text.n; i++) {
    if (i < text.n && text.p[i] != ',') continue;
    span *to = list_room(r, (pb_list *)&mask->paths, sizeof *to);
    path = span_of(text.p + start, i - start);
    if (!to || !accept(r, json_get_mask_path(path, r->in.a, to))) return false;
    start = i + 1;
  }
  return true;
}

static bool read_timestamp(reader *r, pb_Timestamp *t) {
  span text;
  return read_string(r, &text) && accept(r, json_get_timestamp(text, &t->seconds, &t->nanos));
}

static bool read_duration(reader *r, pb_Duration *d) {
  span text;
  return read_string(r, &text) && accept(r, json_get_duration(text, &d->seconds, &d->nanos));
}

static void add_metadata(reader *r, pb_Payload *p, const char *key, span value) {
  pb_Payload_MetadataEntry *entry = arena_new(r->in.a, pb_Payload_MetadataEntry);
  entry->key = span_cstr(key);
  entry->value = value;
  p->metadata.v[p->metadata.n++] = entry;
}

/* Takes the member "_protoMessageType" out of the text of an object. */
static bool split_message_type(reader *r, span json, span *ret_type, span *ret_json) {
  json_in in = {.start = json.p, .p = json.p, .end = json.p + json.n, .a = r->in.a};
  uint8_t *to = arena_alloc(r->in.a, json.n + 1);
  size_t n = 0, kept = 1;
  span name;
  *ret_type = SPAN_NONE;
  if (!json_accept(&in, '{')) return false;
  to[0] = '{';
  for (;;) {
    (void)json_accept(&in, ',');
    (void)json_peek(&in);
    const uint8_t *start = in.p;
    n = 0;
    if (!json_next_member(&in, &n, &name)) break;
    (void)json_peek(&in);
    if (span_eq(name, SPAN("_protoMessageType")) && *in.p == '"' && !ret_type->p) {
      if (!json_string(&in, ret_type)) return false;
      continue;
    }
    if (!json_skip(&in)) return false;
    if (kept > 1) to[kept++] = ',';
    memcpy(to + kept, start, (size_t)(in.p - start));
    kept += (size_t)(in.p - start);
  }
  to[kept++] = '}';
  *ret_json = span_of(to, kept);
  return ret_type->p != NULL;
}

/* The long form has metadata and data, or is a null with metadata that says so. */
static bool is_long_form(const pb_Payload *p, bool has_data) {
  if (p->metadata.n == 0) return false;
  if (has_data || p->external_payloads.n) return true;
  for (size_t i = 0; i < p->metadata.n; i++) {
    if (span_eq(p->metadata.v[i]->key, SPAN("encoding"))) {
      return span_eq(p->metadata.v[i]->value, SPAN("binary/null"));
    }
  }
  return false;
}

/* A payload is in the long form if it can be read as one; anything else is the JSON it holds. */
static bool read_short_payload(reader *r, const pb_desc *desc, pb_Payload *p) {
  reader before = *r;
  if (json_peek(&r->in) == '{') {
    r->in.p++;
    r->flags = PB_JSON_CANONICAL;
    bool ok = read_members(r, desc, p, false) && is_long_form(p, p->data.p != NULL);
    r->flags = before.flags;
    if (ok) return true;
    *r = before;
    *p = (pb_Payload){0};
  }
  p->metadata.v = arena_array(r->in.a, pb_Payload_MetadataEntry *, 2);
  if (json_accept_word(&r->in, "null")) {
    add_metadata(r, p, "encoding", SPAN("binary/null"));
    return true;
  }
  (void)json_peek(&r->in);
  const uint8_t *start = r->in.p;
  if (!check(r, json_skip(&r->in))) return false;
  span json = span_of(start, (size_t)(r->in.p - start)), type, rest;
  if (split_message_type(r, json, &type, &rest)) {
    add_metadata(r, p, "encoding", SPAN("json/protobuf"));
    add_metadata(r, p, "messageType", type);
    json = rest;
  } else {
    add_metadata(r, p, "encoding", SPAN("json/plain"));
  }
  p->data = json;
  return true;
}

static bool read_by_kind(reader *r, const pb_desc *desc, void *msg) {
  const pb_field *first = pb_rows(desc);
  switch ((pb_special)desc->special) {
    case PB_IS_ANY:
      return read_any(r, msg);
    case PB_IS_TIMESTAMP:
      return read_timestamp(r, msg);
    case PB_IS_DURATION:
      return read_duration(r, msg);
    case PB_IS_FIELD_MASK:
      return read_mask(r, msg);
    case PB_IS_STRUCT:
      return read_map(r, first, pb_list_at(msg, first));
    case PB_IS_VALUE:
      return read_struct_value(r, desc, msg);
    case PB_IS_LIST_VALUE:
      return read_list(r, first, pb_list_at(msg, first));
    case PB_IS_WRAPPER:
      return read_value(r, first, pb_value_at(msg, first));
    case PB_IS_PAYLOAD:
      if (r->flags & PB_JSON_SHORTHAND) return read_short_payload(r, desc, msg);
      break;
    case PB_IS_PAYLOADS:
      if (!(r->flags & PB_JSON_SHORTHAND) || json_peek(&r->in) != '[') break;
      return read_list(r, first, pb_list_at(msg, first));
    case PB_IS_NONE:
    case PB_IS_EMPTY:
    case PB_IS_MAP_ENTRY:
      break;
  }
  return check(r, json_expect(&r->in, '{')) && read_members(r, desc, msg, false);
}

static bool read_message(reader *r, const pb_desc *desc, void *msg) {
  if (r->depth > PB_MAX_DEPTH) return fail(r, "nested too deep");
  r->depth++;
  bool ok = read_by_kind(r, desc, msg);
  r->depth--;
  return ok;
}

err *pb_json_decode(const pb_desc *d, span json, pb_json_flags flags, arena *a, void **ret_msg) {
  reader r = {.flags = flags, .elements_left = PB_MAX_ELEMENTS};
  r.most_arena_bytes = a->total_bytes + PB_MAX_DECODED_BYTES;
  r.in = (json_in){.start = json.p, .p = json.p, .end = json.p + json.n, .a = a};
  void *msg = arena_zalloc(a, d->struct_bytes);
  if (read_message(&r, d, msg)) {
    if (json_peek(&r.in) == 0 && r.in.p == r.in.end) {
      *ret_msg = msg;
      return NULL;
    }
    (void)fail(&r, "text after the end");
  }
  size_t line = 1, column = 1;
  for (const uint8_t *p = r.in.start; p < r.in.p; p++) {
    column = *p == '\n' ? 1 : column + 1;
    line += *p == '\n';
  }
  return ERR(a, INVALID_ARGUMENT, "%s%s: %s (line %zu, column %zu)", pb_name(d), r.path,
             r.in.problem, line, column);
}

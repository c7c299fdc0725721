/* attribute_value.c - what a payload says as the value of a search attribute. */
#include <stdlib.h>

#include "proto/json_lex.h"
#include "proto/json_text.h"
#include "proto/pb_time.h"
#include "visibility/attribute.h"

void attribute_values_add(attribute_values *to, store_value v) {
  if (to->n == to->cap) {
    size_t cap = to->cap ? to->cap * 2 : 4;
    store_value *more = arena_array(to->arena, store_value, cap);
    if (to->n) memcpy(more, to->v, to->n * sizeof *more);
    to->v = more;
    to->cap = cap;
  }
  to->v[to->n++] = v;
}

static span metadata_of(const pb_Payload *p, const char *key) {
  for (size_t i = 0; i < p->metadata.n; i++) {
    if (span_eq(p->metadata.v[i]->key, span_cstr(key))) return p->metadata.v[i]->value;
  }
  return SPAN_NONE;
}

static bool is_json(const pb_Payload *p) {
  return span_eq(metadata_of(p, "encoding"), SPAN("json/plain"));
}

bool attribute_is_nil(const pb_Payload *p) {
  if (!p || span_eq(metadata_of(p, "encoding"), SPAN("binary/null"))) return true;
  if (p->metadata.n == 0 && p->data.n == 0) return true;
  return is_json(p) && (span_eq(p->data, SPAN("null")) || span_eq(p->data, SPAN("[]")));
}

/* --- values --- */

static bool read_int(json_in *in, store_value *ret) {
  span text;
  if (!json_number(in, &text) || memchr(text.p, '.', text.n) || memchr(text.p, 'e', text.n) ||
      memchr(text.p, 'E', text.n)) {
    return false;
  }
  ret->kind = VALUE_INT;
  return json_get_integer(text, INT64_MIN, INT64_MAX, &ret->i) == NULL;
}

static bool read_double(json_in *in, store_value *ret) {
  span text;
  ret->kind = VALUE_REAL;
  return json_number(in, &text) && json_get_double(text, &ret->real) == NULL;
}

static bool read_bool(json_in *in, store_value *ret) {
  bool yes = json_accept_word(in, "true");
  *ret = VALUE_OF_INT(yes);
  return yes || json_accept_word(in, "false");
}

static bool read_datetime(json_in *in, store_value *ret) {
  span text;
  int64_t seconds;
  int32_t nanos;
  if (!json_string(in, &text) || json_get_timestamp(text, &seconds, &nanos)) return false;
  pb_Timestamp t = {.seconds = seconds, .nanos = nanos};
  *ret = VALUE_OF_INT(pb_time_ns(&t));
  return true;
}

/* null stands for the type's zero value where a list holds it. */
static bool read_value(int32_t type, json_in *in, store_value *ret) {
  bool is_text = type == PB_INDEXED_VALUE_TYPE_KEYWORD || type == PB_INDEXED_VALUE_TYPE_TEXT ||
                 type == PB_INDEXED_VALUE_TYPE_KEYWORD_LIST;
  if (json_accept_word(in, "null")) {
    *ret = is_text ? VALUE_OF_TEXT(SPAN("")) : VALUE_OF_INT(0);
    return true;
  }
  switch (type) {
    case PB_INDEXED_VALUE_TYPE_INT:
      return read_int(in, ret);
    case PB_INDEXED_VALUE_TYPE_DOUBLE:
      return read_double(in, ret);
    case PB_INDEXED_VALUE_TYPE_BOOL:
      return read_bool(in, ret);
    case PB_INDEXED_VALUE_TYPE_DATETIME:
      return read_datetime(in, ret);
    default:
      ret->kind = VALUE_TEXT;
      return is_text && json_string(in, &ret->text);
  }
}

static bool read_list(int32_t type, json_in *in, attribute_values *to) {
  size_t n = 0, before = to->n;
  if (!json_expect(in, '[')) return false;
  while (json_next_element(in, &n)) {
    store_value v = {0};
    if (!read_value(type, in, &v)) return false;
    attribute_values_add(to, v);
  }
  bool many = type == PB_INDEXED_VALUE_TYPE_KEYWORD_LIST;
  return !in->problem && (many || to->n - before <= 1);
}

bool attribute_read(int32_t type, const pb_Payload *p, attribute_values *to) {
  if (!is_json(p)) return false;
  json_in in = {.start = p->data.p, .p = p->data.p, .end = p->data.p + p->data.n, .a = to->arena};
  bool is_list = json_peek(&in) == '[';
  if (is_list || type == PB_INDEXED_VALUE_TYPE_KEYWORD_LIST) {
    if (!read_list(type, &in, to)) return false;
  } else {
    store_value v = {0};
    if (!read_value(type, &in, &v)) return false;
    attribute_values_add(to, v);
  }
  return json_peek(&in) == 0;
}

/* --- checks --- */

typedef pb_SearchAttributes_IndexedFieldsEntry field_entry;

static int by_name(const void *a, const void *b) {
  const field_entry *x = *(field_entry *const *)a, *y = *(field_entry *const *)b;
  return span_cmp(x->key, y->key);
}

static field_entry **sorted_fields(const pb_SearchAttributes *in, arena *a) {
  field_entry **v = arena_array(a, field_entry *, in->indexed_fields.n + 1);
  for (size_t i = 0; i < in->indexed_fields.n; i++) v[i] = in->indexed_fields.v[i];
  if (in->indexed_fields.n > 1) qsort(v, in->indexed_fields.n, sizeof(field_entry *), by_name);
  return v;
}

static err *check_value(const attribute *at, const field_entry *e, arena *a) {
  attribute_values values = {.arena = a};
  if (attribute_is_nil(e->value) || attribute_read(at->type, e->value, &values)) return NULL;
  span text = attribute_value_text(e->value, a);
  return ERR(a, INVALID_ARGUMENT, "invalid value for search attribute %.*s of type %s: %.*s",
             SPAN_ARG(e->key), attribute_type_name(at->type), SPAN_ARG(text));
}

static err *check_sizes(field_entry *const *v, size_t n, arena *a) {
  size_t total = 0;
  for (size_t i = 0; i < n; i++) {
    size_t size = v[i]->value ? v[i]->value->data.n : 0;
    if (size > ATTRIBUTE_VALUE_BYTES) {
      return ERR(a, INVALID_ARGUMENT, "search attribute %.*s value size %zu exceeds size limit %d",
                 SPAN_ARG(v[i]->key), size, ATTRIBUTE_VALUE_BYTES);
    }
    total += v[i]->key.n + size;
  }
  if (total <= ATTRIBUTE_TOTAL_BYTES) return NULL;
  return ERR(a, INVALID_ARGUMENT, "total size of search attributes %zu exceeds size limit %d",
             total, ATTRIBUTE_TOTAL_BYTES);
}

static pb_Payload *with_type(const pb_Payload *p, int32_t type, arena *a) {
  pb_Payload *copy = pb_new(a, Payload);
  *copy = *p;
  if (metadata_of(p, "type").n) return copy;
  size_t n = p->metadata.n;
  copy->metadata.v = arena_array(a, pb_Payload_MetadataEntry *, n + 1);
  for (size_t i = 0; i < n; i++) copy->metadata.v[i] = p->metadata.v[i];
  copy->metadata.v[n] = pb_new(a, Payload_MetadataEntry);
  copy->metadata.v[n]->key = SPAN("type");
  copy->metadata.v[n]->value = span_cstr(attribute_type_name(type));
  copy->metadata.n = n + 1;
  return copy;
}

static pb_SearchAttributes *typed(field_entry *const *v, const attribute *types, size_t n,
                                  bool keep_nil, arena *a) {
  pb_SearchAttributes *out = pb_new(a, SearchAttributes);
  out->indexed_fields.v = arena_array(a, field_entry *, n + 1);
  for (size_t i = 0; i < n; i++) {
    bool nil = attribute_is_nil(v[i]->value);
    if (nil && !keep_nil) continue;
    field_entry *e = pb_new(a, SearchAttributes_IndexedFieldsEntry);
    e->key = v[i]->key;
    e->value = v[i]->value ? with_type(v[i]->value, types[i].type, a) : NULL;
    out->indexed_fields.v[out->indexed_fields.n++] = e;
  }
  return out->indexed_fields.n ? out : NULL;
}

err *attributes_check(const pb_store_Namespace *ns, const pb_SearchAttributes *in, bool keep_nil,
                      arena *a, pb_SearchAttributes **ret) {
  if (!in || !in->indexed_fields.n) {
    *ret = NULL;
    return NULL;
  }
  size_t n = in->indexed_fields.n;
  field_entry **v = sorted_fields(in, a);
  attribute *types = arena_array(a, attribute, n);
  for (size_t i = 0; i < n; i++) {
    if (!attribute_find(ns, v[i]->key, &types[i])) {
      return ERR(a, INVALID_ARGUMENT,
                 "Namespace %.*s has no mapping defined for search attribute %.*s",
                 SPAN_ARG(ns->name), SPAN_ARG(v[i]->key));
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (types[i].kind == ATTRIBUTE_SYSTEM || types[i].kind == ATTRIBUTE_PROTECTED) {
      return ERR(a, INVALID_ARGUMENT, "%.*s attribute can't be set in SearchAttributes",
                 SPAN_ARG(v[i]->key));
    }
    TRY(check_value(&types[i], v[i], a));
  }
  TRY(check_sizes(v, n, a));
  *ret = typed(v, types, n, keep_nil, a);
  return NULL;
}

/* --- for lists --- */

static void index_one(const attribute *at, const pb_Payload *p, attribute_values *to) {
  attribute_values read = {.arena = to->arena};
  if (attribute_is_nil(p)) return;
  if (!attribute_read(at->type, p, &read)) return;
  for (size_t i = 0; i < read.n; i++) {
    if (at->type == PB_INDEXED_VALUE_TYPE_TEXT) {
      fold_words(read.v[i].text, to);
    } else {
      if (at->field.many) read.v[i].text = fold(read.v[i].text, to->arena);
      attribute_values_add(to, read.v[i]);
    }
  }
}

void attributes_index(const pb_store_Namespace *ns, const pb_SearchAttributes *in, size_t more,
                      arena *a, store_attribute **ret, size_t *ret_n, span *ret_division) {
  attribute_values values = {.arena = a};
  size_t n = in ? in->indexed_fields.n : 0;
  attribute *of = NULL;
  size_t *until = arena_array(a, size_t, n + 1);
  of = arena_array(a, attribute, n + 1);
  *ret_division = SPAN_NONE;
  for (size_t i = 0; i < n; i++) {
    const field_entry *e = in->indexed_fields.v[i];
    size_t before = values.n;
    if (attribute_find(ns, e->key, &of[i])) index_one(&of[i], e->value, &values);
    if (of[i].field.column == COLUMN_DIVISION && values.n > before) {
      *ret_division = arena_dup(a, values.v[before].text);
      values.n = before;
    }
    until[i] = values.n;
  }
  *ret = arena_array(a, store_attribute, values.n + more + 1);
  *ret_n = values.n;
  for (size_t i = 0, k = 0; i < n; i++) {
    for (; k < until[i]; k++) {
      (*ret)[k] = (store_attribute){
          .id = of[i].field.attribute, .value = values.v[k], .unindexed = of[i].field.unindexed};
    }
  }
}

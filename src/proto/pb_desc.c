#include "proto/pb_wire.h"

const char *pb_name(const pb_desc *d) { return pb_names + d->name; }

size_t pb_struct_bytes(const pb_desc *d) { return d->struct_bytes; }

const pb_desc *pb_find(span full_name) {
  size_t lo = 0, hi = pb_desc_count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = span_cmp(span_cstr(pb_name(&pb_descs[mid])), full_name);
    if (c == 0) return &pb_descs[mid];
    if (c < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return NULL;
}

const char *pb_enum_name(const pb_enum *e, int32_t number) {
  const pb_enum_value *values = pb_enum_values + e->first;
  size_t lo = 0, hi = e->count;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (values[mid].number < number)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < e->count && values[lo].number == number ? pb_names + values[lo].name : NULL;
}

/* "TIMER_FIRED" against "TimerFired". */
static bool is_short_form(const char *snake, span name) {
  size_t i = 0;
  bool word_start = true;
  for (; *snake; snake++) {
    if (*snake == '_') {
      word_start = true;
      continue;
    }
    char c = *snake;
    if (!word_start && c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
    word_start = false;
    if (i == name.n || name.p[i] != (uint8_t)c) return false;
    i++;
  }
  return i == name.n;
}

bool pb_enum_number(const pb_enum *e, span name, int32_t *ret_number) {
  const pb_enum_value *values = pb_enum_values + e->first;
  for (size_t i = 0; i < e->count; i++) {
    const char *full = pb_names + values[i].name;
    if (span_eq(span_cstr(full), name) || (e->prefix && is_short_form(full + e->prefix, name))) {
      *ret_number = values[i].number;
      return true;
    }
  }
  return false;
}

int pb_compare_keys(const pb_desc *entry, const void *x, const void *y) {
  const pb_field *key = pb_rows(entry);
  if (key->type == PB_STRING) return span_cmp(*pb_span_at(x, key), *pb_span_at(y, key));
  uint64_t a = 0, b = 0;
  size_t n = pb_value_bytes((pb_type)key->type);
  memcpy(&a, pb_value_at(x, key), n);
  memcpy(&b, pb_value_at(y, key), n);
  return (a > b) - (a < b);
}

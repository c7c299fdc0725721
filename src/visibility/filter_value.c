/* filter_value.c - a value in a filter, as the attribute that it is compared with has it. */
#include <math.h>
#include <stdlib.h>

#include "proto/json_text.h"
#include "proto/pb_table.h"
#include "proto/pb_time.h"
#include "visibility/filter_int.h"

/* A number as it was read: whole if it can be. */
static bool read_number(span text, arena *a, store_value *ret) {
  char *end;
  const char *s = arena_cstr(a, text);
  ret->kind = VALUE_INT;
  if (json_get_integer(text, INT64_MIN, INT64_MAX, &ret->i) == NULL &&
      !memchr(text.p, '.', text.n) && !memchr(text.p, 'e', text.n) &&
      !memchr(text.p, 'E', text.n)) {
    return true;
  }
  *ret = VALUE_OF_REAL(strtod(s, &end));
  bool hex = text.n > 1 && (memchr(text.p, 'x', text.n) || memchr(text.p, 'X', text.n));
  return !hex && *end == 0 && isfinite(ret->real);
}

static err *bad_type(const attribute *at, const node *n, const store_value *v, arena *a) {
  const char *type = n->type == NODE_TEXT   ? "string"
                     : n->type == NODE_BOOL ? "bool"
                     : v->kind == VALUE_INT ? "int64"
                                            : "float64";
  span text = n->type == NODE_TEXT ? arena_spanf(a, "\"%.*s\"", SPAN_ARG(n->text)) : n->text;
  if (v->kind == VALUE_REAL) text = arena_spanf(a, "%g", v->real);
  return filter_error(a, n->at,
                      "invalid expression: invalid value type for search attribute %.*s of type "
                      "%s: %.*s (type: %s)",
                      SPAN_ARG(at->name), attribute_type_name(at->type), SPAN_ARG(text), type);
}

/* Of attributes whose values have names. */
static err *bad_kind(const attribute *at, const node *n, const char *type, arena *a) {
  return filter_error(a, n->at,
                      "invalid expression: unexpected value type %s for search attribute %.*s",
                      type, SPAN_ARG(at->name));
}

static err *read_status(const attribute *at, const node *n, arena *a, store_value *v) {
  int32_t status;
  if (n->type == NODE_TEXT) {
    if (pb_enum_number(&pb_WorkflowExecutionStatus_enum, n->text, &status)) {
      *v = VALUE_OF_INT(status);
      return NULL;
    }
    return filter_error(a, n->at, "invalid expression: invalid ExecutionStatus value '%.*s'",
                        SPAN_ARG(n->text));
  }
  if (n->type == NODE_BOOL) return bad_kind(at, n, "bool", a);
  if (v->kind == VALUE_REAL) return bad_kind(at, n, "float64", a);
  if (v->i >= 0 && v->i <= INT32_MAX &&
      pb_enum_name(&pb_WorkflowExecutionStatus_enum, (int32_t)v->i)) {
    return NULL;
  }
  return filter_error(a, n->at, "invalid expression: invalid ExecutionStatus value %lld",
                      (long long)v->i);
}

/* --- durations --- */

/* "hh:mm:ss" */
static bool read_clock(const char *s, double *ret_s) {
  long part[3];
  for (int i = 0; i < 3; i++) {
    char *end;
    if (*s < '0' || *s > '9') return false;
    part[i] = strtol(s, &end, 10);
    if (*end != (i < 2 ? ':' : 0) || (i > 0 && part[i] > 59)) return false;
    s = end + 1;
  }
  *ret_s = (double)part[0] * 3600 + (double)part[1] * 60 + (double)part[2];
  return true;
}

/* "1d2h", "1.5h", "-5us": numbers with units. */
static bool read_units(const char *s, double *ret_s) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"\xc2\xb5s", 1e-6}, {"\xce\xbcs", 1e-6}, {"ms", 1e-3},
               {"s", 1},     {"m", 60},    {"h", 3600},         {"d", 24 * 3600}};
  double sign = *s == '-' ? -1 : 1;
  if (*s == '-' || *s == '+') s++;
  *ret_s = 0;
  if (!*s) return false;
  while (*s) {
    char *end;
    if ((*s < '0' || *s > '9') && *s != '.') return false;
    double number = strtod(s, &end);
    size_t i = 0;
    while (i < ARRAY_LEN(units) && strncmp(end, units[i].name, strlen(units[i].name)) != 0) i++;
    if (end == s || i == ARRAY_LEN(units)) return false;
    *ret_s += sign * number * units[i].seconds;
    s = end + strlen(units[i].name);
  }
  return true;
}

static err *read_duration(const attribute *at, const node *n, arena *a, store_value *v) {
  if (n->type == NODE_BOOL) return bad_kind(at, n, "bool", a);
  if (n->type != NODE_TEXT) {
    return v->kind == VALUE_REAL ? bad_kind(at, n, "float64", a) : NULL;
  }
  const char *s = arena_cstr(a, n->text);
  double seconds;
  if (read_number(n->text, a, v) && v->kind == VALUE_INT) return NULL;
  if ((read_clock(s, &seconds) || read_units(s, &seconds)) && seconds > -9e9 && seconds < 9e9) {
    *v = VALUE_OF_INT((int64_t)(seconds * 1e9 + (seconds < 0 ? -0.5 : 0.5)));
    return NULL;
  }
  return filter_error(a, n->at,
                      "invalid expression: invalid duration value for search attribute %.*s: %.*s",
                      SPAN_ARG(at->name), SPAN_ARG(n->text));
}

/* --- the rest --- */

/* Fractions beyond nanoseconds are cut off, as they are in Go. */
static bool read_time(span text, arena *a, int64_t *ret_ns) {
  const uint8_t *dot = memchr(text.p, '.', text.n);
  pb_Timestamp t = {0};
  if (dot) {
    size_t lead = (size_t)(dot - text.p) + 1, digits = 0;
    while (lead + digits < text.n && dot[1 + digits] >= '0' && dot[1 + digits] <= '9') digits++;
    if (digits > 9) {
      text = arena_spanf(a, "%.*s%.*s", (int)lead + 9, (const char *)text.p,
                         (int)(text.n - lead - digits), (const char *)text.p + lead + digits);
    }
  }
  if (memchr(text.p, 't', text.n) || memchr(text.p, 'z', text.n)) return false;
  if (json_get_timestamp(text, &t.seconds, &t.nanos)) return false;
  *ret_ns = pb_time_ns(&t);
  return true;
}

static err *read_datetime(const attribute *at, const node *n, arena *a, store_value *v) {
  int64_t ns;
  if (n->type == NODE_NUMBER && v->kind == VALUE_INT) return NULL;
  if (n->type != NODE_TEXT) return bad_type(at, n, v, a);
  if (!read_time(n->text, a, &ns)) {
    return filter_error(a, n->at, "invalid expression: unable to parse datetime '%.*s'",
                        SPAN_ARG(n->text));
  }
  *v = VALUE_OF_INT(ns);
  return NULL;
}

static err *read_plain(const attribute *at, const node *n, arena *a, store_value *v) {
  node_type wanted = NODE_TEXT;
  if (at->type == PB_INDEXED_VALUE_TYPE_INT || at->type == PB_INDEXED_VALUE_TYPE_DOUBLE) {
    wanted = NODE_NUMBER;
  } else if (at->type == PB_INDEXED_VALUE_TYPE_BOOL) {
    wanted = NODE_BOOL;
  }
  if (n->type != wanted) return bad_type(at, n, v, a);
  if (wanted == NODE_TEXT) *v = VALUE_OF_TEXT(n->text);
  if (at->type == PB_INDEXED_VALUE_TYPE_KEYWORD_LIST) v->text = fold(n->text, a);
  return NULL;
}

/* What no condition compares with. */
static err *check_node(const node *n, arena *a) {
  switch (n->type) {
    case NODE_TEXT:
    case NODE_NUMBER:
    case NODE_BOOL:
      return NULL;
    case NODE_NAME:
      return filter_error(a, n->at,
                          "operation is not supported: column name on the right side of comparison "
                          "expression (did you forget to quote \"%.*s\"?)",
                          SPAN_ARG(n->text));
    case NODE_CALL:
      return filter_error(a, n->at, "operation is not supported: nested func");
    case NODE_OTHER:
      return filter_error(a, n->at, "invalid expression: unexpected value type %.*s",
                          SPAN_ARG(n->text));
    default:
      return filter_error(a, n->at, "invalid expression: unexpected value type *sqlparser.%s",
                          n->type == NODE_COMPARE ? "ComparisonExpr" : "ParenExpr");
  }
}

err *filter_value(const attribute *at, const node *n, arena *a, store_value *ret) {
  store_value v = {0};
  TRY(check_node(n, a));
  if (n->type == NODE_BOOL) v = VALUE_OF_INT(span_eq(n->text, SPAN("true")));
  if (n->type == NODE_NUMBER && !read_number(n->text, a, &v)) {
    return filter_error(a, n->at, "invalid expression: unable to parse value \"%.*s\"",
                        SPAN_ARG(n->text));
  }
  if (at->field.column == COLUMN_STATUS) {
    TRY(read_status(at, n, a, &v));
  } else if (at->field.column == COLUMN_DURATION) {
    TRY(read_duration(at, n, a, &v));
  } else if (at->type == PB_INDEXED_VALUE_TYPE_DATETIME) {
    TRY(read_datetime(at, n, a, &v));
  } else {
    TRY(read_plain(at, n, a, &v));
  }
  *ret = v;
  return NULL;
}

/* pb_table.h - the tables behind pb.h, as tools/proto/gen.py writes them. Read-only, without
 * pointers (so without relocations); everything refers by index. Users need pb.h and pb.gen.h. */
#ifndef PERDURE_PROTO_PB_TABLE_H
#define PERDURE_PROTO_PB_TABLE_H

#include "proto/pb.h"

/* Field types: the numbers of FieldDescriptorProto.Type, and the span that holds a message kept
 * encoded. */
typedef enum pb_type {
  PB_DOUBLE = 1,
  PB_FLOAT = 2,
  PB_INT64 = 3,
  PB_UINT64 = 4,
  PB_INT32 = 5,
  PB_FIXED64 = 6,
  PB_FIXED32 = 7,
  PB_BOOL = 8,
  PB_STRING = 9,
  PB_MESSAGE = 11,
  PB_BYTES = 12,
  PB_UINT32 = 13,
  PB_ENUM = 14,
  PB_SFIXED32 = 15,
  PB_SFIXED64 = 16,
  PB_SINT32 = 17,
  PB_SINT64 = 18,
  PB_RAW = 19,
} pb_type;

enum { PB_REPEATED = 1, PB_PACKED = 2, PB_MAP = 4, PB_ONEOF = 8, PB_OPTIONAL = 16 };

/* How a field tells that it is set. */
typedef enum pb_presence {
  PB_BY_COUNT, /* repeated: a list that is not empty */
  PB_BY_BYTE,  /* the zero value is absent, by size of the value */
  PB_BY_WORD32,
  PB_BY_WORD64,
  PB_BY_LENGTH,  /* a span that is not empty */
  PB_BY_POINTER, /* a message, or the p of a span */
  PB_BY_HAS,     /* proto3 optional */
  PB_BY_WHICH,   /* member of a oneof */
  PB_ALWAYS,     /* key and value of a map entry */
} pb_presence;

/* What JSON treats by its own rules. */
typedef enum pb_special {
  PB_IS_NONE,
  PB_IS_MAP_ENTRY,
  PB_IS_ANY,
  PB_IS_TIMESTAMP,
  PB_IS_DURATION,
  PB_IS_FIELD_MASK,
  PB_IS_STRUCT,
  PB_IS_VALUE,
  PB_IS_LIST_VALUE,
  PB_IS_EMPTY,
  PB_IS_WRAPPER,
  PB_IS_PAYLOAD,
  PB_IS_PAYLOADS,
} pb_special;

typedef struct pb_field {
  uint32_t tag;    /* number << 3 | wire type as written */
  uint32_t name;   /* in pb_names */
  uint32_t json;   /* in pb_names */
  uint16_t offset; /* of the value in the struct */
  uint16_t aux;    /* ONEOF: of which_<o>; OPTIONAL: of has_<field> */
  uint16_t sub;    /* in pb_descs or pb_enums */
  uint8_t type;    /* pb_type */
  uint8_t flags;
  uint8_t run;      /* ONEOF: how many rows up to this one are of the same oneof */
  uint8_t presence; /* pb_presence */
} pb_field;

struct pb_desc {
  uint32_t name;   /* full name, in pb_names */
  uint32_t fields; /* first row in pb_fields; rows are in the order of numbers */
  uint32_t index;  /* in pb_index: row + 1 by field number, 0 for none */
  uint16_t struct_bytes;
  uint8_t field_count;
  uint8_t dense;   /* numbers below this are in pb_index */
  uint8_t special; /* pb_special */
};

typedef struct pb_enum_value {
  int32_t number;
  uint32_t name; /* in pb_names */
} pb_enum_value;

typedef struct pb_enum {
  uint32_t name;         /* full name, in pb_names */
  uint16_t first, count; /* in pb_enum_values, in the order of numbers */
  uint8_t prefix;        /* length of the prefix that all names share, or 0 */
} pb_enum;

extern const pb_field pb_fields[];
extern const uint8_t pb_index[];
extern const pb_desc pb_descs[]; /* in the order of full names */
extern const size_t pb_desc_count;
extern const pb_enum_value pb_enum_values[];
extern const pb_enum pb_enums[];
extern const char pb_names[];

typedef struct pb_method {
  const char *name;
  const pb_desc *request, *response;
  bool server_streaming;
} pb_method;

typedef struct pb_service {
  const char *name; /* full name */
  const pb_method *methods;
  size_t method_count;
} pb_service;

extern const pb_service *const pb_services[]; /* ends with NULL */

/* clang-format off */
#define PB_LIST(name, T) typedef struct pb_list_##name { T *v; size_t n; } pb_list_##name
PB_LIST(span, span);
PB_LIST(int32, int32_t);
PB_LIST(int64, int64_t);
PB_LIST(uint32, uint32_t);
PB_LIST(uint64, uint64_t);
PB_LIST(bool, bool);
PB_LIST(float, float);
PB_LIST(double, double);
#undef PB_LIST
/* clang-format on */

/* The name of an enum's value, or NULL: pb_enum_name(&pb_EventType_enum, PB_EVENT_TYPE_...). */
const char *pb_enum_name(const pb_enum *e, int32_t number);
/* The number of a name in full ("EVENT_TYPE_TIMER_FIRED") or short ("TimerFired") form. */
bool pb_enum_number(const pb_enum *e, span name, int32_t *ret_number);

static inline const pb_field *pb_rows(const pb_desc *d) { return pb_fields + d->fields; }
static inline const pb_desc *pb_sub(const pb_field *f) { return pb_descs + f->sub; }
static inline uint32_t pb_number(const pb_field *f) { return f->tag >> 3; }

/* The row of a field number, or NULL. */
static inline const pb_field *pb_row(const pb_desc *d, uint32_t number) {
  if (number < d->dense) {
    uint8_t at = pb_index[d->index + number];
    return at ? pb_rows(d) + at - 1 : NULL;
  }
  const pb_field *rows = pb_rows(d);
  for (size_t i = d->field_count; i > 0 && pb_number(&rows[i - 1]) >= number; i--) {
    if (pb_number(&rows[i - 1]) == number) return &rows[i - 1];
  }
  return NULL;
}

#endif

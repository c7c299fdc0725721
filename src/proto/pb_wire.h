/* pb_wire.h - inside the codec: wire types, access to struct members by row, varint sizes. */
#ifndef PERDURE_PROTO_PB_WIRE_H
#define PERDURE_PROTO_PB_WIRE_H

#include "proto/pb_table.h"

enum {
  WIRE_VARINT = 0,
  WIRE_64 = 1,
  WIRE_LEN = 2,
  WIRE_GROUP = 3,
  WIRE_GROUP_END = 4,
  WIRE_32 = 5
};

/* Any generated list and any message pointer, seen from the tables: the generated types differ, so
 * these may alias them. */
typedef struct __attribute__((may_alias)) pb_list {
  void *v;
  size_t n;
} pb_list;
typedef void *__attribute__((may_alias)) pb_ptr;

static inline pb_list *pb_list_at(const void *msg, const pb_field *f) {
  return (pb_list *)((char *)(uintptr_t)msg + f->offset);
}
static inline pb_ptr *pb_ptr_at(const void *msg, const pb_field *f) {
  return (pb_ptr *)((char *)(uintptr_t)msg + f->offset);
}
static inline span *pb_span_at(const void *msg, const pb_field *f) {
  return (span *)((char *)(uintptr_t)msg + f->offset);
}
static inline void *pb_value_at(const void *msg, const pb_field *f) {
  return (char *)(uintptr_t)msg + f->offset;
}
static inline uint32_t *pb_which_at(const void *msg, const pb_field *f) {
  return (uint32_t *)((char *)(uintptr_t)msg + f->aux);
}
static inline bool *pb_has_at(const void *msg, const pb_field *f) {
  return (bool *)((char *)(uintptr_t)msg + f->aux);
}
/* Element i of a list of messages. */
static inline void *pb_list_msg(const pb_list *l, size_t i) { return ((pb_ptr *)l->v)[i]; }

/* Bytes of one value in its C form. */
static inline size_t pb_value_bytes(pb_type type) {
  switch (type) {
    case PB_BOOL:
      return sizeof(bool);
    case PB_INT32:
    case PB_UINT32:
    case PB_SINT32:
    case PB_ENUM:
    case PB_FLOAT:
    case PB_FIXED32:
    case PB_SFIXED32:
      return 4;
    case PB_STRING:
    case PB_BYTES:
    case PB_RAW:
      return sizeof(span);
    default:
      return 8;
  }
}

/* Whether a field is to be written. A float is zero only when all its bits are. */
static inline bool pb_is_set(const void *msg, const pb_field *f) {
  const char *at = (const char *)msg + f->offset;
  uint64_t word64;
  uint32_t word32;
  switch ((pb_presence)f->presence) {
    case PB_BY_BYTE:
      return *at != 0;
    case PB_BY_WORD32:
      memcpy(&word32, at, sizeof word32);
      return word32 != 0;
    case PB_BY_WORD64:
      memcpy(&word64, at, sizeof word64);
      return word64 != 0;
    case PB_BY_LENGTH:
      return ((const span *)(const void *)at)->n != 0;
    case PB_BY_POINTER:
      return *(const pb_ptr *)(const void *)at != NULL;
    case PB_BY_HAS:
      return *pb_has_at(msg, f);
    case PB_BY_WHICH:
      return *pb_which_at(msg, f) == pb_number(f);
    case PB_BY_COUNT:
      return ((const pb_list *)(const void *)at)->n != 0;
    case PB_ALWAYS:
      break;
  }
  return true;
}

static inline size_t pb_varint_bytes(uint64_t v) {
  unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);
  return (bits * 9 + 64) / 64;
}
static inline uint64_t pb_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t pb_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/* Index of the first byte that is not UTF-8, or s.n. */
size_t pb_utf8_valid_bytes(span s);

/* Order of two map entries by key, for lookups; any total order. */
int pb_compare_keys(const pb_desc *entry, const void *x, const void *y);

/* Keeps the last of the entries with equal keys; the order of the others stays. */
void pb_drop_duplicates(arena *a, const pb_desc *entry, pb_list *entries);

#endif

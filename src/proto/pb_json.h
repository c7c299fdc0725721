/* pb_json.h - proto3 JSON for every message, over the same tables as pb.h.
 *
 * Canonical form: lowerCamelCase names, 64-bit integers as strings, enums by name, bytes in
 * base64, RFC 3339 timestamps, "1.5s" durations, google.protobuf well-known types by their own
 * rules. The reader also accepts the original field names, numbers for enums, and the short names
 * of the HTTP API's enums. Unknown members are refused unless PB_JSON_IGNORE_UNKNOWN.
 */
#ifndef PERDURE_PROTO_PB_JSON_H
#define PERDURE_PROTO_PB_JSON_H

#include "proto/pb.h"

typedef enum pb_json_flags {
  PB_JSON_CANONICAL = 0,
  PB_JSON_PRETTY = 1,         /* write: two-space indentation */
  PB_JSON_SHORTHAND = 2,      /* payloads as the plain JSON they hold, both directions */
  PB_JSON_IGNORE_UNKNOWN = 4, /* read */
} pb_json_flags;

/* INVALID_ARGUMENT names the member path and the line and column. */
MUST_USE err *pb_json_decode(const pb_desc *d, span json, pb_json_flags flags, arena *a,
                             void **ret_msg);
/* Fails only on content that has no JSON form (an Any of an unknown type, a timestamp out of
 * range). */
MUST_USE err *pb_json_encode(const pb_desc *d, const void *msg, pb_json_flags flags, arena *a,
                             buf *out);

#endif

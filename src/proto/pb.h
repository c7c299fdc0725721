/* pb.h - protocol buffers: one table-driven codec for every message of the protocol.
 *
 * The build turns proto/ into tables and C structs (pb.gen.h, one struct `pb_<Message>` and one
 * table `pb_<Message>_desc` per message, enums, and one `pb_<Service>_service` per service; the
 * names are told in tools/proto/gen.py). Users include "proto/pb.gen.h" and depend on proto_dep.
 * This is how proto types appear in the structs:
 *
 *   every message     first member `pb_head head` (unknown fields, see below)
 *   int, bool, enum   the value (int32_t, int64_t, uint32_t, uint64_t, bool; enums are int32_t);
 *                     proto3 `optional` adds `bool has_<field>`
 *   float, double     the value
 *   string, bytes     `span`; borrowed from the input
 *   message           `pb_X *`, NULL when absent
 *   repeated T        `pb_list_<T>`-like struct { T *v; size_t n; } (messages: T is `pb_X *`)
 *   map<K, V>         struct { pb_..Entry **v; size_t n; }, entry has `key` and `value`;
 *                     decode keeps the last of equal keys
 *   oneof o           `uint32_t which_<o>` = the field number that is set (0: none) and an
 *                     anonymous union of the members
 *   Payloads fields   `span`, kept encoded: payload bytes pass through untouched (validated at
 *                     decode; p == NULL is absent). pb_decode(&pb_Payloads_desc, ...) opens one.
 *                     Map values and oneof members too.
 *
 * Ownership: decoded messages live in the arena and point into the input, which must outlive them.
 * Encoding reads only. Nothing here is global or locked; any thread.
 *
 * Splicing: pb_head.unknown is written after the known fields as it is. A message that carries only
 * `head.unknown` is therefore an already encoded message: history batches go from row to response
 * that way.
 */
#ifndef PERDURE_PROTO_PB_H
#define PERDURE_PROTO_PB_H

#include "base/buf.h"
#include "base/err.h"

typedef struct pb_head {
  span unknown; /* encoded fields, appended as they are */
} pb_head;

typedef struct pb_desc pb_desc; /* table of one message */

/* Limits on input; nothing decoded may pass them. */
enum {
  PB_MAX_DEPTH = 100,                /* nested messages, as libprotobuf */
  PB_MAX_ELEMENTS = 4 * 1024 * 1024, /* repeated elements and map entries of one whole message */
  PB_MAX_DECODED_BYTES = 128 << 20,  /* arena memory that one message may take */
};

/* Full name, e.g. "temporal.api.common.v1.Payload". */
const char *pb_name(const pb_desc *d);
/* Table by full name, or NULL. */
const pb_desc *pb_find(span full_name);
size_t pb_struct_bytes(const pb_desc *d);

/* A zeroed message in the arena: pb_new(a, StartWorkflowExecutionRequest). */
#define pb_new(a, Name) arena_new((a), pb_##Name)

/* Decodes one message. INVALID_ARGUMENT names the path of the field and what is wrong with it:
 * truncated, a wire type that does not exist, invalid UTF-8, too deep, too many elements. A field
 * that comes with another wire type than its own is kept as unknown, as every protobuf does. */
MUST_USE err *pb_decode(const pb_desc *d, span in, arena *a, void **ret_msg);
#define PB_DECODE(Name, in, a, ret) pb_decode(&pb_##Name##_desc, (in), (a), (void **)(ret))

/* Checks that the bytes decode, without building anything. */
MUST_USE err *pb_check(const pb_desc *d, span in, arena *a);

/* Appends the encoded message. Map entries are written in the order given. */
void pb_encode(const pb_desc *d, const void *msg, buf *out);
size_t pb_encoded_bytes(const pb_desc *d, const void *msg);
/* Encoded into the arena. */
span pb_encode_arena(const pb_desc *d, const void *msg, arena *a);
#define PB_ENCODE(Name, msg, a) pb_encode_arena(&pb_##Name##_desc, (msg), (a))

/* Deep copy into the arena; nothing borrowed from the source remains. */
void *pb_copy(const pb_desc *d, const void *msg, arena *a);
#define PB_COPY(Name, msg, a) ((pb_##Name *)pb_copy(&pb_##Name##_desc, (msg), (a)))
/* Same content, field by field. */
bool pb_equal(const pb_desc *d, const void *x, const void *y);

/* google.protobuf.Any holding msg, type URL "type.googleapis.com/<name>". */
struct pb_Any *pb_any(const pb_desc *d, const void *msg, arena *a);

#endif

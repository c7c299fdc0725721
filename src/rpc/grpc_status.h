/* grpc_status.h - the text forms of gRPC: status details, percent-encoded messages, base64 of
 * binary headers, timeouts. Pure functions on bytes. */
#ifndef PERDURE_RPC_GRPC_STATUS_H
#define PERDURE_RPC_GRPC_STATUS_H

#include "base/buf.h"
#include "base/err.h"

/* Appends `text` with every byte outside 0x20..0x7e, and '%', as %XX. */
void grpc_percent_encode(span text, buf *out);
/* The reverse; a '%' that starts no valid escape stays as it is. */
span grpc_percent_decode(span text, arena *a);

/* Standard alphabet, no padding. */
void grpc_base64_encode(span bytes, buf *out);
/* Accepts padded and unpadded text; false: not base64. */
MUST_USE bool grpc_base64_decode(span text, arena *a, span *ret_bytes);

/* Value of grpc-status-details-bin: google.rpc.Status with one detail, in base64. The two messages
 * involved have five fields, so they are written and read here by hand; rpc then needs no tables.
 */
void grpc_details_encode(const err *e, span message, buf *out);
/* Reads the first detail into e->detail_type and e->detail; leaves e alone if there is none. */
void grpc_details_decode(span header, arena *a, err *e);

/* "15S", "200m" ... into ns; values beyond 2^62 ns are cut to that. Returns what is wrong, NULL if
 * nothing is. */
MUST_USE const char *grpc_timeout_parse(span text, int64_t *ret_ns);
enum { GRPC_TIMEOUT_TEXT_BYTES = 16 };
/* Returns the length written. */
size_t grpc_timeout_format(int64_t timeout_ms, char ret_text[GRPC_TIMEOUT_TEXT_BYTES]);

#endif

/* grpc_gzip.h - gzip of single messages, with state that is kept between messages.
 *
 * The state belongs to one thread. Creating zlib state costs more than a small message, and its
 * default tables cost 128 KiB of clearing per message; so small messages use small tables. */
#ifndef PERDURE_RPC_GRPC_GZIP_H
#define PERDURE_RPC_GRPC_GZIP_H

#include "base/buf.h"

typedef struct grpc_gzip grpc_gzip;

grpc_gzip *grpc_gzip_new(void);
void grpc_gzip_free(grpc_gzip *g);

typedef enum grpc_inflate_result {
  INFLATE_OK,
  INFLATE_CORRUPT,
  INFLATE_TOO_LARGE
} grpc_inflate_result;

/* Appends the inflated message. Never writes more than max_bytes (+ a little slack in capacity):
 * INFLATE_TOO_LARGE ends it there. */
MUST_USE grpc_inflate_result grpc_gzip_inflate(grpc_gzip *g, span in, size_t max_bytes, buf *out);
/* Appends the gzip form. */
void grpc_gzip_deflate(grpc_gzip *g, span in, buf *out);

#endif

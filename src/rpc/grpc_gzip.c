#include "rpc/grpc_gzip.h"

#include <zlib.h>

#include "base/mem.h"

enum {
  GZIP_FORMAT = 16, /* added to the window bits: gzip instead of zlib framing */
  WINDOW_BITS = 15,
  SMALL_BYTES = 4096,
  SMALL_WINDOW_BITS = 12,
  SMALL_MEM_LEVEL = 3,
  LEVEL = 1, /* more costs several times the time for a few percent */
};

struct grpc_gzip {
  z_stream inflate, small, large;
  bool has_inflate, has_small, has_large;
};

static void *zlib_alloc(void *arg, unsigned n, unsigned size) {
  return mem_alloc((size_t)n * size);
}

static void zlib_free(void *arg, void *p) { mem_free(p); }

grpc_gzip *grpc_gzip_new(void) { return mem_new(grpc_gzip); }

void grpc_gzip_free(grpc_gzip *g) {
  if (!g) return;
  if (g->has_inflate) (void)inflateEnd(&g->inflate);
  if (g->has_small) (void)deflateEnd(&g->small);
  if (g->has_large) (void)deflateEnd(&g->large);
  mem_free(g);
}

static void open_inflate(grpc_gzip *g) {
  if (g->has_inflate) {
    ASSERT(inflateReset(&g->inflate) == Z_OK);
    return;
  }
  g->inflate.zalloc = zlib_alloc;
  g->inflate.zfree = zlib_free;
  ASSERT(inflateInit2(&g->inflate, WINDOW_BITS + GZIP_FORMAT) == Z_OK);
  g->has_inflate = true;
}

grpc_inflate_result grpc_gzip_inflate(grpc_gzip *g, span in, size_t max_bytes, buf *out) {
  open_inflate(g);
  z_stream *z = &g->inflate;
  size_t start = out->n;
  size_t guess = MAX(in.n * 4, (size_t)512);
  z->next_in = (Bytef *)(uintptr_t)in.p;
  z->avail_in = (uInt)in.n;
  for (;;) {
    /* One byte more than allowed tells "too large" from "exactly full". */
    size_t room = MIN(guess, max_bytes + 1 - (out->n - start));
    z->next_out = buf_reserve(out, room);
    z->avail_out = (uInt)room;
    int rc = inflate(z, Z_FINISH); /* spares a copy into zlib's window if the room suffices */
    out->n += room - z->avail_out;
    if (out->n - start > max_bytes) return INFLATE_TOO_LARGE;
    if (rc == Z_STREAM_END) {
      if (z->avail_in == 0) return INFLATE_OK;
      /* gzip allows several members in a row. */
      if (inflateReset(z) != Z_OK) return INFLATE_CORRUPT;
      continue;
    }
    if ((rc != Z_OK && rc != Z_BUF_ERROR) || z->avail_out > 0) return INFLATE_CORRUPT;
    guess = MAX(out->n - start, (size_t)64);
  }
}

static z_stream *open_deflate(z_stream *z, bool *has, int window_bits, int mem_level) {
  if (*has) {
    ASSERT(deflateReset(z) == Z_OK);
    return z;
  }
  z->zalloc = zlib_alloc;
  z->zfree = zlib_free;
  ASSERT(deflateInit2(z, LEVEL, Z_DEFLATED, window_bits + GZIP_FORMAT, mem_level,
                      Z_DEFAULT_STRATEGY) == Z_OK);
  *has = true;
  return z;
}

void grpc_gzip_deflate(grpc_gzip *g, span in, buf *out) {
  z_stream *z = in.n <= SMALL_BYTES
                    ? open_deflate(&g->small, &g->has_small, SMALL_WINDOW_BITS, SMALL_MEM_LEVEL)
                    : open_deflate(&g->large, &g->has_large, WINDOW_BITS, 8);
  size_t bound = deflateBound(z, in.n);
  z->next_in = (Bytef *)(uintptr_t)in.p;
  z->avail_in = (uInt)in.n;
  z->next_out = buf_reserve(out, bound);
  z->avail_out = (uInt)bound;
  int rc = deflate(z, Z_FINISH);
  ASSERT(rc == Z_STREAM_END);
  out->n += bound - z->avail_out;
}

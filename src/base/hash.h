/* hash.h - hashes for maps: hash_bytes is keyed (SipHash-1-3), for anything a client chose;
 * hash_u64 mixes our own numbers. Neither is stored on disk. hash_stored may be. */
#ifndef PERDURE_BASE_HASH_H
#define PERDURE_BASE_HASH_H

#include "base/span.h"

typedef struct hash_key {
  uint64_t k0, k1;
} hash_key;

uint64_t hash_bytes(hash_key key, span s);

/* The same on every server, for ever. Whoever tries can find two texts with one hash: it may only
 * decide where nothing but the client's own data is mixed up. */
uint64_t hash_stored(span s);

static inline uint64_t hash_u64(uint64_t x) {
  x ^= x >> 32;
  x *= UINT64_C(0x9e3779b97f4a7c15);
  x ^= x >> 29;
  x *= UINT64_C(0xbf58476d1ce4e5b9);
  return x ^ (x >> 32);
}

#endif

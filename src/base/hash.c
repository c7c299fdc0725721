#include "base/hash.h"

typedef struct sip {
  uint64_t v0, v1, v2, v3;
} sip;

static inline uint64_t rotl(uint64_t x, unsigned n) { return (x << n) | (x >> (64 - n)); }

static inline void sip_round(sip *s) {
  s->v0 += s->v1;
  s->v1 = rotl(s->v1, 13) ^ s->v0;
  s->v0 = rotl(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = rotl(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = rotl(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = rotl(s->v1, 17) ^ s->v2;
  s->v2 = rotl(s->v2, 32);
}

static void sip_word(sip *s, uint64_t m) {
  s->v3 ^= m;
  sip_round(s);
  s->v0 ^= m;
}

uint64_t hash_bytes(hash_key key, span in) {
  sip s = {key.k0 ^ UINT64_C(0x736f6d6570736575), key.k1 ^ UINT64_C(0x646f72616e646f6d),
           key.k0 ^ UINT64_C(0x6c7967656e657261), key.k1 ^ UINT64_C(0x7465646279746573)};
  size_t whole = in.n & ~(size_t)7;
  for (size_t i = 0; i < whole; i += 8) {
    uint64_t m;
    memcpy(&m, in.p + i, 8);
    sip_word(&s, m);
  }
  uint64_t last = (uint64_t)in.n << 56;
  for (size_t i = whole; i < in.n; i++) last |= (uint64_t)in.p[i] << (8 * (i - whole));
  sip_word(&s, last);
  s.v2 ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(&s);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_stored(span s) { return hash_bytes((hash_key){1, 2}, s); }

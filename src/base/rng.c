#include "base/rng.h"

#include <string.h>

static uint64_t splitmix(uint64_t *x) {
  uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

void rng_seed(rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) r->s[i] = splitmix(&seed);
}

static uint64_t rotl(uint64_t x, unsigned n) { return (x << n) | (x >> (64 - n)); }

uint64_t rng_next(rng *r) {
  uint64_t *s = r->s;
  uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

uint64_t rng_below(rng *r, uint64_t n) {
  ASSERT(n > 0);
  uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
  do x = rng_next(r);
  while (x >= limit);
  return x % n;
}

void rng_fill(rng *r, void *p, size_t n) {
  for (uint8_t *at = p; n;) {
    uint64_t x = rng_next(r);
    size_t take = MIN(n, sizeof x);
    memcpy(at, &x, take);
    at += take;
    n -= take;
  }
}

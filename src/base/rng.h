/* rng.h - a seeded random stream (xoshiro256**). The same seed gives the same numbers everywhere;
 * whoever owns the stream decides where the seed comes from. Not for secrets. */
#ifndef PERDURE_BASE_RNG_H
#define PERDURE_BASE_RNG_H

#include "base/base.h"

typedef struct rng {
  uint64_t s[4];
} rng;

void rng_seed(rng *r, uint64_t seed);
uint64_t rng_next(rng *r);
/* Uniform in [0, n); n > 0. */
uint64_t rng_below(rng *r, uint64_t n);
void rng_fill(rng *r, void *p, size_t n);

#endif

#include "schedule/farm.h"

static const uint32_t C1 = 0xcc9e2d51, C2 = 0x1b873593, ADD = 0xe6546b64;

static uint32_t word(span s, size_t at) {
  const uint8_t *p = s.p + at;
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t rotate(uint32_t v, int right) { return v >> right | v << (32 - right); }

static uint32_t finish(uint32_t h) {
  h = (h ^ h >> 16) * 0x85ebca6b;
  h = (h ^ h >> 13) * 0xc2b2ae35;
  return h ^ h >> 16;
}

static uint32_t scramble(uint32_t v) { return rotate(v * C1, 17) * C2; }

static uint32_t blend(uint32_t h) { return rotate(h, 19) * 5 + ADD; }

static uint32_t mix(uint32_t v, uint32_t h) { return blend(h ^ scramble(v)); }

static uint32_t up_to_4(span s) {
  uint32_t b = 0, c = 9;
  for (size_t i = 0; i < s.n; i++) {
    b = b * C1 + (uint32_t)(int32_t)(int8_t)s.p[i];
    c ^= b;
  }
  return finish(mix(b, mix((uint32_t)s.n, c)));
}

static uint32_t up_to_12(span s) {
  uint32_t n = (uint32_t)s.n;
  uint32_t a = n + word(s, 0), b = n * 5 + word(s, s.n - 4), c = 9 + word(s, s.n >> 1 & 4);
  return finish(mix(c, mix(b, mix(a, n * 5))));
}

static uint32_t up_to_24(span s) {
  uint32_t a = word(s, (s.n >> 1) - 4), b = word(s, 4), c = word(s, s.n - 8);
  uint32_t d = word(s, s.n >> 1), e = word(s, 0), f = word(s, s.n - 4);
  uint32_t h = d * C1 + (uint32_t)s.n;
  a = rotate(a, 12) + f;
  h = mix(c, h) + a;
  a = rotate(a, 3) + c;
  h = mix(e, h) + a;
  a = rotate(a + f, 12) + d;
  h = mix(b, h) + a;
  return finish(h);
}

uint32_t farm_fingerprint32(span s) {
  if (s.n <= 4) return up_to_4(s);
  if (s.n <= 12) return up_to_12(s);
  if (s.n <= 24) return up_to_24(s);
  uint32_t h = (uint32_t)s.n, g = C1 * h, f = g;
  h = blend(blend(h ^ scramble(word(s, s.n - 4))) ^ scramble(word(s, s.n - 16)));
  g = blend(blend(g ^ scramble(word(s, s.n - 8))) ^ scramble(word(s, s.n - 12)));
  f = rotate(f + scramble(word(s, s.n - 20)), 19) + 113;
  for (; s.n > 20; s = span_of(s.p + 20, s.n - 20)) {
    uint32_t a = word(s, 0), b = word(s, 4), c = word(s, 8), d = word(s, 12), e = word(s, 16);
    h = mix(d, h + a) + e;
    uint32_t g_now = g + b, f_now = f + c;
    g = mix(c, g_now) + a;
    f = mix(b + e * C1, f_now) + d;
    f += g;
    g += f;
  }
  g = rotate(rotate(g, 11) * C1, 17) * C1;
  f = rotate(rotate(f, 11) * C1, 17) * C1;
  h = rotate(blend(h + g), 17) * C1;
  return rotate(blend(h + f), 17) * C1;
}

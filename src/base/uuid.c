#include "base/uuid.h"

uuid uuid_random(rng *r) {
  uuid u;
  rng_fill(r, u.b, sizeof u.b);
  u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
  u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
  return u;
}

static bool is_dash(size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

void uuid_format(uuid u, char ret_text[UUID_TEXT_BYTES]) {
  static const char hex[] = "0123456789abcdef";
  size_t nibble = 0;
  for (size_t i = 0; i < UUID_TEXT_BYTES; i++) {
    if (is_dash(i)) {
      ret_text[i] = '-';
      continue;
    }
    uint8_t byte = u.b[nibble / 2];
    ret_text[i] = hex[nibble % 2 ? byte & 0xf : byte >> 4];
    nibble++;
  }
}

static int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_parse(span text, uuid *ret_uuid) {
  if (text.n != UUID_TEXT_BYTES) return false;
  uuid u = {{0}};
  size_t nibble = 0;
  for (size_t i = 0; i < UUID_TEXT_BYTES; i++) {
    if (is_dash(i)) {
      if (text.p[i] != '-') return false;
      continue;
    }
    int v = hex_value(text.p[i]);
    if (v < 0) return false;
    u.b[nibble / 2] = (uint8_t)(u.b[nibble / 2] << 4 | v);
    nibble++;
  }
  *ret_uuid = u;
  return true;
}

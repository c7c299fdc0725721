#include "proto/pb_wire.h"

/* Length of the well-formed sequence at p, 0 if there is none (Unicode, table 3-7). */
static size_t sequence_bytes(const uint8_t *p, size_t n) {
  uint8_t b = p[0];
  if (b < 0x80) return 1;
  if (b < 0xC2 || b > 0xF4) return 0;
  size_t len = b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
  if (n < len) return 0;
  uint8_t least = b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
  uint8_t most = b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < least || p[1] > most) return 0;
  for (size_t i = 2; i < len; i++) {
    if ((p[i] & 0xC0) != 0x80) return 0;
  }
  return len;
}

size_t pb_utf8_valid_bytes(span s) {
  size_t i = 0;
  while (i < s.n) {
    uint64_t word;
    if (s.n - i >= sizeof word) {
      memcpy(&word, s.p + i, sizeof word);
      if (!(word & UINT64_C(0x8080808080808080))) {
        i += sizeof word;
        continue;
      }
    }
    size_t len = sequence_bytes(s.p + i, s.n - i);
    if (len == 0) return i;
    i += len;
  }
  return i;
}

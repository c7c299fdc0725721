/* fold.c - letters that are the same to a search: cases, and those with an accent. Latin, Greek and
 * Cyrillic; other scripts are compared as they are. */
#include "base/buf.h"
#include "visibility/attribute.h"

/* U+00C0 to U+017F without accents; a dot: the letter stays. */
static const char latin[] =
    "aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.y"
    "aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiii...jjkk.llllll."
    "...nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzz.";

static size_t sequence_bytes(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/* One character and its length; bytes that are no UTF-8 stand for themselves. */
static uint32_t decode(span s, size_t at, size_t *ret_n) {
  size_t n = sequence_bytes(s.p[at]);
  if (n == 1 || at + n > s.n) {
    *ret_n = 1;
    return s.p[at];
  }
  uint32_t c = s.p[at] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) c = c << 6 | (s.p[at + i] & 0x3f);
  *ret_n = n;
  return c;
}

static void encode(buf *out, uint32_t c) {
  if (c < 0x80) {
    buf_addb(out, (uint8_t)c);
  } else if (c < 0x800) {
    buf_addb(out, (uint8_t)(0xc0 | c >> 6));
    buf_addb(out, (uint8_t)(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    buf_addb(out, (uint8_t)(0xe0 | c >> 12));
    buf_addb(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    buf_addb(out, (uint8_t)(0x80 | (c & 0x3f)));
  } else {
    buf_addb(out, (uint8_t)(0xf0 | c >> 18));
    buf_addb(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
    buf_addb(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    buf_addb(out, (uint8_t)(0x80 | (c & 0x3f)));
  }
}

/* 0: the character disappears (an accent of its own). */
static uint32_t folded(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c | 0x20;
  if (c >= 0xc0 && c < 0xc0 + sizeof latin - 1) {
    if (latin[c - 0xc0] != '.') return (uint32_t)latin[c - 0xc0];
    if (c < 0xe0) return c == 0xd7 || c == 0xdf ? c : c + 0x20;
    bool odd_is_upper = c >= 0x139 && c <= 0x148;
    return c >= 0x100 && (c & 1) == odd_is_upper ? c + 1 : c;
  }
  if (c >= 0x300 && c <= 0x36f) return 0;
  if (c >= 0x391 && c <= 0x3a9) return c + 0x20;
  if (c >= 0x410 && c <= 0x42f) return c + 0x20;
  if (c >= 0x400 && c <= 0x40f) return c + 0x50;
  return c;
}

span fold(span text, arena *a) {
  buf out = BUF_INIT;
  size_t n;
  for (size_t at = 0; at < text.n; at += n) {
    uint32_t c = folded(decode(text, at, &n));
    if (c) encode(&out, c);
  }
  span result = arena_dup(a, buf_span(&out));
  buf_release(&out);
  return result;
}

static bool is_word(uint32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (c < 0xc0) return c == 0xaa || c == 0xb5 || c == 0xba;
  if (c == 0xd7 || c == 0xf7) return false;
  return (c < 0x2000 || c > 0x206f) && (c < 0x3000 || c > 0x303f);
}

void fold_words(span text, attribute_values *to) {
  size_t begin = 0, n;
  for (size_t at = 0; at <= text.n; at += n) {
    n = 1;
    if (at < text.n && is_word(decode(text, at, &n))) continue;
    if (at > begin) {
      span word = fold(span_of(text.p + begin, at - begin), to->arena);
      attribute_values_add(to, VALUE_OF_TEXT(word));
    }
    begin = at + n;
  }
}

#include "proto/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char HEX[] = "0123456789abcdef";

void json_put_string(buf *out, span s) {
  buf_addb(out, '"');
  size_t done = 0;
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    buf_add(out, span_of(s.p + done, i - done));
    done = i + 1;
    const char *at = c ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", c) : NULL;
    if (at) {
      buf_addb(out, '\\');
      buf_addb(out, (uint8_t)at[1]);
    } else {
      uint8_t escape[] = {'\\', 'u', '0', '0', (uint8_t)HEX[c >> 4], (uint8_t)HEX[c & 15]};
      buf_add(out, span_of(escape, sizeof escape));
    }
  }
  if (done < s.n) buf_add(out, span_of(s.p + done, s.n - done));
  buf_addb(out, '"');
}

void json_put_integer(buf *out, int64_t v) {
  uint8_t digits[20];
  size_t at = sizeof digits;
  uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  do {
    digits[--at] = (uint8_t)('0' + rest % 10);
    rest /= 10;
  } while (rest);
  if (v < 0) digits[--at] = '-';
  buf_add(out, span_of(digits + at, sizeof digits - at));
}

/* True when v is not a number that JSON can write, or is the zero that readers take for an integer
 * without a sign. */
static bool put_special(buf *out, double v) {
  if (isnan(v))
    buf_adds(out, "\"NaN\"");
  else if (isinf(v))
    buf_adds(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  else if (v == 0 && signbit(v))
    buf_adds(out, "-0.0");
  else
    return false;
  return true;
}

void json_put_double(buf *out, double v) {
  if (put_special(out, v)) return;
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    (void)snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  buf_adds(out, text);
}

void json_put_float(buf *out, float v) {
  if (put_special(out, (double)v)) return;
  char text[40];
  for (int digits = 6; digits <= 9; digits++) {
    (void)snprintf(text, sizeof text, "%.*g", digits, (double)v);
    if (strtof(text, NULL) == v) break;
  }
  buf_adds(out, text);
}

static size_t skip_digits(span s, size_t i) {
  while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') i++;
  return i;
}

bool json_is_number(span s) {
  size_t i = s.n && s.p[0] == '-';
  size_t digits = skip_digits(s, i);
  if (digits == i || (s.p[i] == '0' && digits > i + 1)) return false;
  i = digits;
  if (i < s.n && s.p[i] == '.') {
    digits = skip_digits(s, i + 1);
    if (digits == i + 1) return false;
    i = digits;
  }
  if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
    i++;
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) i++;
    digits = skip_digits(s, i);
    if (digits == i) return false;
    i = digits;
  }
  return i == s.n;
}

enum { MAX_NUMBER_BYTES = 400 }; /* more than any double needs */

static const char *copy_number(span text, char to[MAX_NUMBER_BYTES]) {
  if (!json_is_number(text)) return "not a number";
  if (text.n >= MAX_NUMBER_BYTES) return "a number of too many digits";
  memcpy(to, text.p, text.n);
  to[text.n] = 0;
  return NULL;
}

static bool get_special(span text, double *ret) {
  if (span_eq(text, SPAN("NaN")))
    *ret = (double)NAN;
  else if (span_eq(text, SPAN("Infinity")))
    *ret = (double)INFINITY;
  else if (span_eq(text, SPAN("-Infinity")))
    *ret = -(double)INFINITY;
  else
    return false;
  return true;
}

const char *json_get_double(span text, double *ret) {
  if (get_special(text, ret)) return NULL;
  char number[MAX_NUMBER_BYTES];
  const char *problem = copy_number(text, number);
  if (problem) return problem;
  *ret = strtod(number, NULL);
  return isinf(*ret) ? "a number out of range" : NULL;
}

const char *json_get_float(span text, float *ret) {
  double special;
  if (get_special(text, &special)) {
    *ret = (float)special;
    return NULL;
  }
  char number[MAX_NUMBER_BYTES];
  const char *problem = copy_number(text, number);
  if (problem) return problem;
  *ret = strtof(number, NULL);
  return isinf(*ret) ? "a number out of range" : NULL;
}

/* Digits without the point and without zeros at the end, times ten to the exponent. */
static const char *get_decimal(const char *text, char digits[MAX_NUMBER_BYTES], size_t *ret_n,
                               long *ret_exponent) {
  size_t n = 0;
  long exponent = 0;
  bool fraction = false;
  for (; *text && *text != 'e' && *text != 'E'; text++) {
    if (*text == '.') {
      fraction = true;
      continue;
    }
    digits[n++] = *text;
    exponent -= fraction;
  }
  if (*text) {
    long written = strtol(text + 1, NULL, 10);
    if (written > 1000 || written < -1000) return "a number out of range";
    exponent += written;
  }
  for (; n > 0 && digits[n - 1] == '0'; n--) exponent++;
  *ret_n = n;
  *ret_exponent = exponent;
  return NULL;
}

const char *json_get_integer(span text, int64_t least, uint64_t most, int64_t *ret) {
  char number[MAX_NUMBER_BYTES], digits[MAX_NUMBER_BYTES];
  const char *problem = copy_number(text, number);
  if (problem) return problem;
  bool negative = number[0] == '-';
  size_t n;
  long exponent;
  problem = get_decimal(number + negative, digits, &n, &exponent);
  if (problem) return problem;
  if (n > 0 && exponent < 0) return "not an integer";
  uint64_t v = 0;
  for (size_t i = 0; n > 0 && i < n + (size_t)exponent; i++) {
    uint64_t digit = i < n ? (uint64_t)(digits[i] - '0') : 0;
    if (v > (UINT64_MAX - digit) / 10) return "an integer out of range";
    v = v * 10 + digit;
  }
  uint64_t limit = negative ? 0 - (uint64_t)least : most;
  if (v > limit) return "an integer out of range";
  *ret = (int64_t)(negative ? 0 - v : v);
  return NULL;
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void json_put_base64(buf *out, span s) {
  uint8_t *to = buf_reserve(out, (s.n + 2) / 3 * 4);
  size_t n = 0;
  for (size_t i = 0; i < s.n; i += 3) {
    size_t have = MIN(s.n - i, (size_t)3);
    uint32_t v = (uint32_t)s.p[i] << 16;
    if (have > 1) v |= (uint32_t)s.p[i + 1] << 8;
    if (have > 2) v |= s.p[i + 2];
    to[n++] = (uint8_t)BASE64[v >> 18];
    to[n++] = (uint8_t)BASE64[v >> 12 & 63];
    to[n++] = have > 1 ? (uint8_t)BASE64[v >> 6 & 63] : '=';
    to[n++] = have > 2 ? (uint8_t)BASE64[v & 63] : '=';
  }
  out->n += n;
}

static int base64_value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

const char *json_get_base64(span text, arena *a, span *ret) {
  size_t padding = 0;
  while (padding < 2 && text.n > padding && text.p[text.n - padding - 1] == '=') padding++;
  if (padding && text.n % 4 != 0) return "not base64";
  text.n -= padding;
  if (text.n % 4 == 1) return "not base64";
  uint8_t *p = arena_alloc(a, text.n / 4 * 3 + 3);
  size_t n = 0;
  uint32_t v = 0;
  for (size_t i = 0; i < text.n; i++) {
    int six = base64_value(text.p[i]);
    if (six < 0) return "not base64";
    v = v << 6 | (uint32_t)six;
    if (i % 4 != 0) p[n++] = (uint8_t)(v >> (6 - 2 * (i % 4)));
  }
  *ret = span_of(p, n);
  return NULL;
}

const char *json_put_mask_path(buf *out, span path) {
  for (size_t i = 0; i < path.n; i++) {
    uint8_t c = path.p[i];
    if (c >= 'A' && c <= 'Z') return "a field mask path that has no JSON form";
    if (c == '_') {
      if (i + 1 == path.n || path.p[i + 1] < 'a' || path.p[i + 1] > 'z') {
        return "a field mask path that has no JSON form";
      }
      c = (uint8_t)(path.p[++i] - 'a' + 'A');
    }
    buf_addb(out, c);
  }
  return NULL;
}

const char *json_get_mask_path(span text, arena *a, span *ret) {
  uint8_t *p = arena_alloc(a, text.n * 2 + 1);
  size_t n = 0;
  for (size_t i = 0; i < text.n; i++) {
    uint8_t c = text.p[i];
    if (c == '_') return "an underscore in a field mask path";
    if (c >= 'A' && c <= 'Z') {
      p[n++] = '_';
      c = (uint8_t)(c - 'A' + 'a');
    }
    p[n++] = c;
  }
  *ret = span_of(p, n);
  return NULL;
}

#include "rpc/grpc_status.h"

#include <stdio.h>

static const char hex[] = "0123456789ABCDEF";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void grpc_percent_encode(span text, buf *out) {
  uint8_t *p = buf_reserve(out, text.n * 3);
  uint8_t *w = p;
  for (size_t i = 0; i < text.n; i++) {
    uint8_t c = text.p[i];
    if (c >= 0x20 && c <= 0x7e && c != '%') {
      *w++ = c;
    } else {
      *w++ = '%';
      *w++ = (uint8_t)hex[c >> 4];
      *w++ = (uint8_t)hex[c & 15];
    }
  }
  out->n += (size_t)(w - p);
}

static int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

span grpc_percent_decode(span text, arena *a) {
  uint8_t *p = arena_alloc(a, text.n + 1);
  size_t n = 0;
  for (size_t i = 0; i < text.n; i++) {
    int high = -1, low = -1;
    if (text.p[i] == '%' && i + 2 < text.n) {
      high = hex_value(text.p[i + 1]);
      low = hex_value(text.p[i + 2]);
    }
    if (high >= 0 && low >= 0) {
      p[n++] = (uint8_t)(high << 4 | low);
      i += 2;
    } else {
      p[n++] = text.p[i];
    }
  }
  p[n] = 0;
  return span_of(p, n);
}

void grpc_base64_encode(span bytes, buf *out) {
  uint8_t *p = buf_reserve(out, bytes.n / 3 * 4 + 4);
  uint8_t *w = p;
  size_t i = 0;
  for (; i + 2 < bytes.n; i += 3) {
    uint32_t v = (uint32_t)bytes.p[i] << 16 | (uint32_t)bytes.p[i + 1] << 8 | bytes.p[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) *w++ = (uint8_t)alphabet[v >> shift & 63];
  }
  size_t left = bytes.n - i;
  if (left) {
    uint32_t v = (uint32_t)bytes.p[i] << 16 | (left == 2 ? (uint32_t)bytes.p[i + 1] << 8 : 0);
    for (size_t k = 0; k <= left; k++) *w++ = (uint8_t)alphabet[v >> (18 - 6 * k) & 63];
  }
  out->n += (size_t)(w - p);
}

static int base64_value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

bool grpc_base64_decode(span text, arena *a, span *ret_bytes) {
  while (text.n && text.p[text.n - 1] == '=') text.n--;
  if (text.n % 4 == 1) return false;
  uint8_t *p = arena_alloc(a, text.n / 4 * 3 + 3);
  size_t n = 0;
  uint32_t v = 0;
  for (size_t i = 0; i < text.n; i++) {
    int d = base64_value(text.p[i]);
    if (d < 0) return false;
    v = v << 6 | (uint32_t)d;
    /* Bits gathered so far, modulo the bytes already written. */
    if (i % 4 != 0) p[n++] = (uint8_t)(v >> (6 - 2 * (i % 4)));
  }
  *ret_bytes = span_of(p, n);
  return true;
}

/* --- google.rpc.Status { code = 1, message = 2, details = 3 }, Any { type_url = 1, value = 2 } */

static void add_varint(buf *b, uint64_t v) {
  for (; v >= 0x80; v >>= 7) buf_addb(b, (uint8_t)(v | 0x80));
  buf_addb(b, (uint8_t)v);
}

static void add_field(buf *b, unsigned number, span value) {
  add_varint(b, number << 3 | 2);
  add_varint(b, value.n);
  buf_add(b, value);
}

void grpc_details_encode(const err *e, span message, buf *out) {
  static const char type_prefix[] = "type.googleapis.com/";
  buf any = BUF_INIT, status = BUF_INIT, url = BUF_INIT;
  buf_adds(&url, type_prefix);
  buf_adds(&url, e->detail_type);
  add_field(&any, 1, buf_span(&url));
  add_field(&any, 2, e->detail);
  add_varint(&status, 1 << 3);
  add_varint(&status, (uint64_t)e->code);
  add_field(&status, 2, message);
  add_field(&status, 3, buf_span(&any));
  grpc_base64_encode(buf_span(&status), out);
  buf_release(&url);
  buf_release(&any);
  buf_release(&status);
}

static bool take_varint(span *in, uint64_t *ret) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
    uint8_t c = *in->p++;
    in->n--;
    v |= (uint64_t)(c & 0x7f) << shift;
    if (c < 0x80) {
      *ret = v;
      return true;
    }
  }
  return false;
}

/* The first length-delimited field with this number; only varint and length-delimited fields occur
 * in the messages read here. */
static bool find_field(span in, unsigned number, span *ret) {
  uint64_t tag, n;
  while (in.n) {
    if (!take_varint(&in, &tag) || !take_varint(&in, &n)) return false;
    if ((tag & 7) == 0) continue;
    if ((tag & 7) != 2 || n > in.n) return false;
    if (tag >> 3 == number) {
      *ret = span_of(in.p, (size_t)n);
      return true;
    }
    in = span_of(in.p + n, in.n - (size_t)n);
  }
  return false;
}

void grpc_details_decode(span header, arena *a, err *e) {
  span status, any, url, value;
  if (!grpc_base64_decode(header, a, &status)) return;
  if (!find_field(status, 3, &any) || !find_field(any, 1, &url)) return;
  if (!find_field(any, 2, &value)) value = span_of(url.p + url.n, 0);
  const uint8_t *slash = url.n ? memrchr(url.p, '/', url.n) : NULL;
  if (slash) url = span_of(slash + 1, (size_t)(url.p + url.n - slash - 1));
  e->detail_type = arena_cstr(a, url);
  e->detail = value;
}

/* --- grpc-timeout */

static int64_t unit_ns(uint8_t unit) {
  switch (unit) {
    case 'H':
      return 3600 * NS_PER_SEC;
    case 'M':
      return 60 * NS_PER_SEC;
    case 'S':
      return NS_PER_SEC;
    case 'm':
      return NS_PER_MS;
    case 'u':
      return 1000;
    case 'n':
      return 1;
    default:
      return 0;
  }
}

const char *grpc_timeout_parse(span text, int64_t *ret_ns) {
  const int64_t most = INT64_C(1) << 62;
  if (text.n < 2) return "timeout string is too short";
  if (text.n > 9) return "timeout string is too long";
  int64_t v = 0, unit = unit_ns(text.p[text.n - 1]);
  if (!unit) return "timeout unit is not recognized";
  for (size_t i = 0; i + 1 < text.n; i++) {
    if (text.p[i] < '0' || text.p[i] > '9') return "timeout is not a number";
    v = v * 10 + (text.p[i] - '0');
  }
  *ret_ns = v > most / unit ? most : v * unit;
  return NULL;
}

size_t grpc_timeout_format(int64_t timeout_ms, char ret_text[GRPC_TIMEOUT_TEXT_BYTES]) {
  /* At most eight digits are allowed. */
  bool in_ms = timeout_ms < 100000000;
  int64_t v = in_ms ? timeout_ms : MIN(timeout_ms / 1000, INT64_C(99999999));
  return (size_t)snprintf(ret_text, GRPC_TIMEOUT_TEXT_BYTES, "%lld%c", (long long)v,
                          in_ms ? 'm' : 'S');
}

#include "proto/json_lex.h"

#include "proto/json_text.h"
#include "proto/pb_wire.h"

bool json_fail(json_in *in, const char *problem) {
  if (!in->problem) in->problem = problem;
  return false;
}

uint8_t json_peek(json_in *in) {
  while (in->p < in->end && (*in->p == ' ' || *in->p == '\n' || *in->p == '\t' || *in->p == '\r')) {
    in->p++;
  }
  return in->p < in->end ? *in->p : 0;
}

bool json_accept(json_in *in, char sign) {
  if (json_peek(in) != (uint8_t)sign) return false;
  in->p++;
  return true;
}

bool json_expect(json_in *in, char sign) {
  if (json_accept(in, sign)) return true;
  switch (sign) {
    case '{':
      return json_fail(in, "not an object");
    case '[':
      return json_fail(in, "not an array");
    case '"':
      return json_fail(in, "not a string");
    case ':':
      return json_fail(in, "no colon after a name");
    default:
      return json_fail(in, in->p == in->end ? "truncated" : "no comma between values");
  }
}

bool json_accept_word(json_in *in, const char *word) {
  (void)json_peek(in);
  span rest = span_of(in->p, (size_t)(in->end - in->p)), w = span_cstr(word);
  if (!span_starts_with(rest, w)) return false;
  if (rest.n > w.n) {
    uint8_t c = rest.p[w.n];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return false;
  }
  in->p += w.n;
  return true;
}

static bool get_hex4(json_in *in, uint32_t *ret) {
  uint32_t v = 0;
  if (in->end - in->p < 4) return json_fail(in, "truncated");
  for (int i = 0; i < 4; i++) {
    uint8_t c = *in->p++;
    uint8_t lower = c | 0x20;
    if (c >= '0' && c <= '9')
      v = v << 4 | (uint32_t)(c - '0');
    else if (lower >= 'a' && lower <= 'f')
      v = v << 4 | (uint32_t)(lower - 'a' + 10);
    else
      return json_fail(in, "a \\u escape without four hexadecimal digits");
  }
  *ret = v;
  return true;
}

static bool get_escaped_code_point(json_in *in, uint32_t *ret) {
  uint32_t low;
  if (!get_hex4(in, ret)) return false;
  if (*ret < 0xD800 || *ret > 0xDFFF) return true;
  if (*ret > 0xDBFF || in->end - in->p < 2 || in->p[0] != '\\' || in->p[1] != 'u') {
    return json_fail(in, "half a surrogate pair");
  }
  in->p += 2;
  if (!get_hex4(in, &low)) return false;
  if (low < 0xDC00 || low > 0xDFFF) return json_fail(in, "half a surrogate pair");
  *ret = 0x10000 + ((*ret - 0xD800) << 10) + (low - 0xDC00);
  return true;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t c) {
  if (c < 0x80) {
    *to++ = (uint8_t)c;
  } else if (c < 0x800) {
    *to++ = (uint8_t)(0xC0 | c >> 6);
    *to++ = (uint8_t)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *to++ = (uint8_t)(0xE0 | c >> 12);
    *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    *to++ = (uint8_t)(0x80 | (c & 63));
  } else {
    *to++ = (uint8_t)(0xF0 | c >> 18);
    *to++ = (uint8_t)(0x80 | (c >> 12 & 63));
    *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    *to++ = (uint8_t)(0x80 | (c & 63));
  }
  return to;
}

/* in->p stands behind a backslash. An escape is never shorter than what it stands for. */
static uint8_t *unescape(json_in *in, uint8_t *to) {
  static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
  uint8_t c = in->p < in->end ? *in->p++ : 0;
  if (c == 'u') {
    uint32_t code_point;
    return get_escaped_code_point(in, &code_point) ? put_utf8(to, code_point) : NULL;
  }
  for (size_t i = 0; i + 1 < sizeof escapes; i += 2) {
    if ((uint8_t)escapes[i] == c) {
      *to++ = (uint8_t)escapes[i + 1];
      return to;
    }
  }
  (void)json_fail(in, "an unknown escape");
  return NULL;
}

/* Length up to the closing quote that ends the string at p, and whether it has escapes. */
static bool find_end(json_in *in, size_t *ret_n, bool *ret_escaped) {
  const uint8_t *p = in->p;
  *ret_escaped = false;
  for (; p < in->end && *p != '"'; p++) {
    if (*p < 0x20) {
      in->p = p;
      return json_fail(in, "a control character in a string");
    }
    if (*p == '\\') {
      *ret_escaped = true;
      if (++p == in->end) break;
    }
  }
  if (p >= in->end) {
    in->p = in->end;
    return json_fail(in, "truncated");
  }
  *ret_n = (size_t)(p - in->p);
  return true;
}

bool json_string(json_in *in, span *ret) {
  size_t n = 0;
  bool escaped = false;
  if (!json_expect(in, '"') || !find_end(in, &n, &escaped)) return false;
  span raw = span_of(in->p, n);
  size_t valid = pb_utf8_valid_bytes(raw);
  if (valid != n) {
    in->p += valid;
    return json_fail(in, "invalid UTF-8");
  }
  if (!escaped) {
    in->p += n + 1;
    *ret = raw;
    return true;
  }
  uint8_t *text = arena_alloc(in->a, n), *to = text;
  while (*in->p != '"') {
    if (*in->p != '\\') {
      *to++ = *in->p++;
      continue;
    }
    in->p++;
    to = unescape(in, to);
    if (!to) return false;
  }
  in->p++;
  *ret = span_of(text, (size_t)(to - text));
  return true;
}

bool json_number(json_in *in, span *ret) {
  uint8_t c = json_peek(in);
  if (c != '-' && (c < '0' || c > '9')) return json_fail(in, "not a number");
  const uint8_t *start = in->p;
  while (in->p < in->end && ((*in->p >= '0' && *in->p <= '9') || memchr("+-.eE", *in->p, 5))) {
    in->p++;
  }
  *ret = span_of(start, (size_t)(in->p - start));
  return json_is_number(*ret) || json_fail(in, "not a number");
}

bool json_next_member(json_in *in, size_t *n, span *ret_name) {
  if (json_accept(in, '}')) return false;
  if (*n > 0 && !json_expect(in, ',')) return false;
  (*n)++;
  return json_string(in, ret_name) && json_expect(in, ':');
}

bool json_next_element(json_in *in, size_t *n) {
  if (json_accept(in, ']')) return false;
  if (*n > 0 && !json_expect(in, ',')) return false;
  (*n)++;
  return true;
}

static bool skip(json_in *in, unsigned depth) {
  span text;
  size_t n = 0;
  if (depth > JSON_MAX_DEPTH) return json_fail(in, "nested too deep");
  switch (json_peek(in)) {
    case '{':
      in->p++;
      while (json_next_member(in, &n, &text)) {
        if (!skip(in, depth + 1)) return false;
      }
      return !in->problem;
    case '[':
      in->p++;
      while (json_next_element(in, &n)) {
        if (!skip(in, depth + 1)) return false;
      }
      return !in->problem;
    case '"':
      return json_string(in, &text);
    default:
      if (json_accept_word(in, "null") || json_accept_word(in, "true") ||
          json_accept_word(in, "false")) {
        return true;
      }
      return json_number(in, &text);
  }
}

bool json_skip(json_in *in) { return skip(in, 0); }

#include "base/civil.h"
#include "proto/json_text.h"

#define TIMESTAMP_LEAST INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_MOST INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */
#define DURATION_MOST INT64_C(315576000000)   /* 10,000 years */
enum { NANOS = 1000000000 };

/* ".5" as 3, 6 or 9 digits; nothing for 0. */
static void put_fraction(buf *out, int32_t nanos) {
  if (nanos == 0) return;
  if (nanos % 1000000 == 0)
    buf_addf(out, ".%03d", nanos / 1000000);
  else if (nanos % 1000 == 0)
    buf_addf(out, ".%06d", nanos / 1000);
  else
    buf_addf(out, ".%09d", nanos);
}

const char *json_put_timestamp(buf *out, int64_t seconds, int32_t nanos) {
  if (seconds < TIMESTAMP_LEAST || seconds > TIMESTAMP_MOST || nanos < 0 || nanos >= NANOS) {
    return "a timestamp out of range";
  }
  int64_t days = seconds / DAY_SECONDS, rest = seconds % DAY_SECONDS;
  if (rest < 0) {
    rest += DAY_SECONDS;
    days--;
  }
  civil_date d = civil_of_days(days);
  buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d", (int)d.year, d.month, d.day, (int)(rest / 3600),
           (int)(rest / 60 % 60), (int)(rest % 60));
  put_fraction(out, nanos);
  buf_addb(out, 'Z');
  return NULL;
}

/* n digits at *at, which moves behind them; -1 if they are not there. */
static int get_digits(span s, size_t *at, size_t n) {
  int v = 0;
  if (s.n - *at < n) return -1;
  for (size_t i = 0; i < n; i++) {
    uint8_t c = s.p[*at + i];
    if (c < '0' || c > '9') return -1;
    v = v * 10 + (c - '0');
  }
  *at += n;
  return v;
}

static bool get_char(span s, size_t *at, char c) {
  if (*at == s.n || s.p[*at] != (uint8_t)c) return false;
  (*at)++;
  return true;
}

/* A fraction of up to nine digits, if there is one. */
static bool get_fraction(span s, size_t *at, int32_t *ret_nanos) {
  *ret_nanos = 0;
  if (!get_char(s, at, '.')) return true;
  int32_t unit = NANOS;
  while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9') {
    unit /= 10;
    if (unit == 0) return false;
    *ret_nanos += (s.p[(*at)++] - '0') * unit;
  }
  return unit != NANOS;
}

static bool valid_date(int year, int month, int day) {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  return day <= civil_month_days(year, month);
}

static bool get_offset(span s, size_t *at, int64_t *ret_seconds) {
  *ret_seconds = 0;
  if (get_char(s, at, 'Z')) return true;
  int sign = get_char(s, at, '-') ? -1 : 1;
  if (sign == 1 && !get_char(s, at, '+')) return false;
  int hours = get_digits(s, at, 2);
  if (hours < 0 || hours > 23 || !get_char(s, at, ':')) return false;
  int minutes = get_digits(s, at, 2);
  if (minutes < 0 || minutes > 59) return false;
  *ret_seconds = sign * (hours * 3600 + minutes * 60);
  return true;
}

const char *json_get_timestamp(span s, int64_t *ret_seconds, int32_t *ret_nanos) {
  static const char malformed[] = "not a time in RFC 3339";
  size_t at = 0;
  int part[6];
  for (size_t i = 0; i < ARRAY_LEN(part); i++) {
    part[i] = get_digits(s, &at, i == 0 ? 4 : 2);
    if (part[i] < 0 || (i < 5 && !get_char(s, &at, "--T::"[i]))) return malformed;
  }
  if (!valid_date(part[0], part[1], part[2]) || part[3] > 23 || part[4] > 59 || part[5] > 59) {
    return malformed;
  }
  int64_t offset;
  if (!get_fraction(s, &at, ret_nanos) || !get_offset(s, &at, &offset) || at != s.n) {
    return malformed;
  }
  int64_t seconds = civil_days(part[0], part[1], part[2]) * DAY_SECONDS + part[3] * 3600 +
                    part[4] * 60 + part[5] - offset;
  if (seconds < TIMESTAMP_LEAST || seconds > TIMESTAMP_MOST) return "a timestamp out of range";
  *ret_seconds = seconds;
  return NULL;
}

const char *json_put_duration(buf *out, int64_t seconds, int32_t nanos) {
  if (seconds < -DURATION_MOST || seconds > DURATION_MOST || nanos <= -NANOS || nanos >= NANOS ||
      (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) {
    return "a duration out of range";
  }
  if (seconds < 0 || nanos < 0) buf_addb(out, '-');
  buf_addf(out, "%lld", (long long)(seconds < 0 ? -seconds : seconds));
  put_fraction(out, nanos < 0 ? -nanos : nanos);
  buf_addb(out, 's');
  return NULL;
}

const char *json_get_duration(span s, int64_t *ret_seconds, int32_t *ret_nanos) {
  static const char malformed[] = "not a duration such as \"1.5s\"";
  size_t at = 0;
  bool negative = get_char(s, &at, '-');
  size_t first = at;
  int64_t seconds = 0;
  for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++) {
    seconds = seconds * 10 + (s.p[at] - '0');
    if (seconds > DURATION_MOST) return "a duration out of range";
  }
  int32_t nanos;
  if (at == first || !get_fraction(s, &at, &nanos) || !get_char(s, &at, 's') || at != s.n) {
    return malformed;
  }
  *ret_seconds = negative ? -seconds : seconds;
  *ret_nanos = negative ? -nanos : nanos;
  return NULL;
}

#include "base/log.h"

#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static log_level least_level = LOG_INFO;
static log_format line_format = LOG_PRETTY;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(log_level least, log_format format) {
  least_level = least;
  line_format = format;
}

bool log_enabled(log_level level) { return level >= least_level; }

static void add_time(buf *b) {
  struct timespec ts;
  struct tm tm;
  (void)clock_gettime(CLOCK_REALTIME, &ts);
  (void)gmtime_r(&ts.tv_sec, &tm);
  buf_addf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
           tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
}

/* Bytes of the valid UTF-8 character at p that may be shown, or 0: not valid, or a control. */
static size_t printable(const uint8_t *p, size_t n) {
  static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
  size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
  if (len == 0 || len > n) return 0;
  uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
  for (size_t i = 1; i < len; i++) {
    if (p[i] >> 6 != 2) return 0;
    c = c << 6 | (p[i] & 0x3f);
  }
  bool surrogate = c >= 0xd800 && c <= 0xdfff;
  return c < least[len] || c == 0x7f || c > 0x10ffff || surrogate ? 0 : len;
}

/* Whatever is not printable is escaped in both formats: input can neither forge a line nor steer a
 * terminal, and a JSON line stays JSON. */
static void add_quoted(buf *b, span s) {
  buf_addb(b, '"');
  for (size_t i = 0; i < s.n;) {
    const uint8_t *p = s.p + i;
    size_t len = printable(p, s.n - i);
    if (!len && *p == 0xc2 && s.n - i > 1 && p[1] >> 5 == 4) {
      buf_addf(b, "\\u%04x", p[1]); /* a C1 control */
      i += 2;
      continue;
    }
    if (!len) buf_addf(b, "\\u%04x", *p);
    if (*p == '"' || *p == '\\') buf_addb(b, '\\');
    buf_add(b, span_of(p, len));
    i += MAX(len, (size_t)1);
  }
  buf_addb(b, '"');
}

static void add_value(buf *b, const log_field *f) {
  if (f->is_text) {
    add_quoted(b, f->text);
  } else {
    buf_addf(b, "%lld", (long long)f->number);
  }
}

static void add_json(buf *b, log_level level, const char *sentence, const log_field *fields) {
  buf_adds(b, "{\"ts\":\"");
  add_time(b);
  buf_addf(b, "\",\"level\":\"%s\",\"msg\":", level_names[level]);
  add_quoted(b, span_cstr(sentence));
  for (; fields->key; fields++) {
    buf_addf(b, ",\"%s\":", fields->key);
    add_value(b, fields);
  }
  buf_adds(b, "}\n");
}

static void add_pretty(buf *b, log_level level, const char *sentence, const log_field *fields) {
  add_time(b);
  buf_addf(b, " %-5s %s", level_names[level], sentence);
  for (; fields->key; fields++) {
    buf_addf(b, " %s=", fields->key);
    add_value(b, fields);
  }
  buf_addb(b, '\n');
}

void log_write(log_level level, const char *sentence, const log_field *fields) {
  buf b = BUF_INIT;
  if (line_format == LOG_JSON) {
    add_json(&b, level, sentence, fields);
  } else {
    add_pretty(&b, level, sentence, fields);
  }
  ssize_t ignored UNUSED = write(STDERR_FILENO, b.p, b.n);
  buf_release(&b);
}

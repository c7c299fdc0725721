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

/* Control characters are escaped in both formats, so that input cannot forge a line. */
static void add_quoted(buf *b, span s) {
  buf_addb(b, '"');
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (c == '"' || c == '\\') {
      buf_addb(b, '\\');
      buf_addb(b, c);
    } else if (c < 0x20 || c == 0x7f) {
      buf_addf(b, "\\u%04x", c);
    } else {
      buf_addb(b, c);
    }
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

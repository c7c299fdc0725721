/* log.h - log lines for the people who run the server: what happened and what to do.
 *
 * A line has a level, a sentence and key-value fields, written whole to standard error as one line
 * (JSON or readable text). Any thread may log. Libraries below server/ return errors instead; they
 * log only what no caller can be told.
 *
 *   LOG(WARN, "database is nearly full", LOG_I("free_bytes", n), LOG_S("file", path));
 */
#ifndef PERDURE_BASE_LOG_H
#define PERDURE_BASE_LOG_H

#include "base/span.h"

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_NEVER } log_level;
typedef enum log_format { LOG_PRETTY, LOG_JSON } log_format;

typedef struct log_field {
  const char *key; /* NULL ends the list */
  span text;       /* used when is_text */
  int64_t number;
  bool is_text;
} log_field;

#define LOG_S(k, v) ((log_field){.key = (k), .text = span_cstr(v), .is_text = true})
#define LOG_SPAN(k, v) ((log_field){.key = (k), .text = (v), .is_text = true})
#define LOG_I(k, v) ((log_field){.key = (k), .number = (int64_t)(v)})

/* Call once before threads start. Default: pretty, INFO. */
void log_configure(log_level least, log_format format);
bool log_enabled(log_level level);
void log_write(log_level level, const char *sentence, const log_field *fields);

#define LOG(level, ...) LOG_(LOG_##level, __VA_ARGS__, (log_field){.key = NULL})
#define LOG_(level, sentence, ...)                                                            \
  do {                                                                                        \
    if (log_enabled(level)) log_write((level), (sentence), (const log_field[]){__VA_ARGS__}); \
  } while (0)

#endif

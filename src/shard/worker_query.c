#include "shard/worker_query.h"

#include "proto/json_text.h"
#include "proto/pb_time.h"

/* Read and answered in one go: a query is short, and asked of few workers. */
typedef struct reader {
  span text;
  size_t at;
  span word; /* the token at hand; n == 0: the end */
  enum { WORD_NAME, WORD_TEXT, WORD_SIGN } kind;
  size_t word_at;
  unsigned depth;
  const pb_WorkerHeartbeat *worker;
  arena *arena;
} reader;

enum { MOST_DEPTH = 64 };

/* --- tokens --- */

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_sign(uint8_t c) { return strchr("=!<>(),", c) != NULL && c; }

static err *malformed(const reader *r) {
  if (!r->word.n) {
    return ERR(r->arena, INVALID_ARGUMENT, "malformed query: syntax error at position %zu",
               r->word_at + 1);
  }
  return ERR(r->arena, INVALID_ARGUMENT,
             "malformed query: syntax error at position %zu near '%.*s'", r->word_at + 1,
             SPAN_ARG(r->word));
}

/* Text in quotes; a doubled quote stands for one. */
static err *next_text(reader *r, uint8_t quote) {
  uint8_t *out = arena_alloc(r->arena, r->text.n - r->at + 1);
  size_t n = 0;
  for (r->at++;; r->at++) {
    if (r->at >= r->text.n) {
      r->word = span_of(out, n);
      return malformed(r);
    }
    uint8_t c = r->text.p[r->at];
    if (c == quote) {
      if (r->at + 1 >= r->text.n || r->text.p[r->at + 1] != quote) break;
      r->at++;
    }
    out[n++] = c;
  }
  r->at++;
  r->word = span_of(out, n);
  r->kind = quote == '`' ? WORD_NAME : WORD_TEXT;
  return NULL;
}

static err *next(reader *r) {
  while (r->at < r->text.n && is_space(r->text.p[r->at])) r->at++;
  r->word_at = r->at;
  r->word = SPAN_NONE;
  r->kind = WORD_SIGN;
  if (r->at == r->text.n) return NULL;
  const uint8_t *p = r->text.p;
  uint8_t c = p[r->at];
  if (c == '"' || c == '\'' || c == '`') return next_text(r, c);
  size_t from = r->at++;
  if (is_sign(c)) {
    bool pair = (c == '!' || c == '<' || c == '>') && r->at < r->text.n && p[r->at] == '=';
    if (pair) r->at++;
  } else {
    r->kind = WORD_NAME;
    while (r->at < r->text.n && !is_space(p[r->at]) && !is_sign(p[r->at])) r->at++;
  }
  r->word = span_of(p + from, r->at - from);
  return NULL;
}

static bool at_sign(const reader *r, const char *sign) {
  return r->kind == WORD_SIGN && r->word.n && span_eq(r->word, span_cstr(sign));
}

static bool at_word(const reader *r, const char *word) {
  if (r->kind != WORD_NAME || r->word.n != strlen(word)) return false;
  for (size_t i = 0; i < r->word.n; i++) {
    uint8_t c = r->word.p[i];
    if ((c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) != (uint8_t)word[i]) return false;
  }
  return true;
}

/* --- fields --- */

typedef struct field {
  bool known, is_time;
  span text;       /* empty: the worker does not say */
  int64_t time_ns; /* 0: the worker does not say */
} field;

/* "ShuttingDown" for WORKER_STATUS_SHUTTING_DOWN. */
static span status_name(int32_t status) {
  switch (status) {
    case PB_WORKER_STATUS_RUNNING:
      return SPAN("Running");
    case PB_WORKER_STATUS_SHUTTING_DOWN:
      return SPAN("ShuttingDown");
    case PB_WORKER_STATUS_SHUTDOWN:
      return SPAN("Shutdown");
    default:
      return SPAN("Unspecified");
  }
}

static int64_t time_ns(const pb_Timestamp *t) { return t ? t->seconds * NS_PER_SEC + t->nanos : 0; }

static field field_named(const pb_WorkerHeartbeat *w, span name) {
  const struct {
    const char *name;
    span text;
  } texts[] = {
      {"WorkerInstanceKey", w->worker_instance_key},
      {"WorkerIdentity", w->worker_identity},
      {"HostName", w->host_info ? w->host_info->host_name : SPAN_NONE},
      {"TaskQueue", w->task_queue},
      {"DeploymentName",
       w->deployment_version ? w->deployment_version->deployment_name : SPAN_NONE},
      {"BuildId", w->deployment_version ? w->deployment_version->build_id : SPAN_NONE},
      {"SdkName", w->sdk_name},
      {"SdkVersion", w->sdk_version},
      {"Status", status_name(w->status)},
      {"WorkerStatus", status_name(w->status)},
  };
  for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
    if (span_eq(name, span_cstr(texts[i].name))) {
      return (field){.known = true, .text = texts[i].text};
    }
  }
  bool start = span_eq(name, SPAN("StartTime"));
  if (!start && !span_eq(name, SPAN("HeartbeatTime"))) return (field){0};
  return (field){.known = true,
                 .is_time = true,
                 .time_ns = time_ns(start ? w->start_time : w->heartbeat_time)};
}

/* --- comparisons --- */

typedef struct value {
  bool is_text;
  span text;
} value;

static err *read_value(reader *r, value *ret) {
  if (r->kind == WORD_SIGN) return malformed(r);
  *ret = (value){.is_text = r->kind == WORD_TEXT, .text = r->word};
  return next(r);
}

static bool value_time(const value *v, int64_t *ret_ns) {
  int64_t seconds;
  int32_t nanos;
  if (!v->is_text) return !json_get_integer(v->text, INT64_MIN, INT64_MAX, ret_ns);
  if (json_get_timestamp(v->text, &seconds, &nanos)) return false;
  *ret_ns = seconds * NS_PER_SEC + nanos;
  return true;
}

/* -1, 0, 1; 2: the two cannot be compared. */
static int compare(const field *f, const value *v) {
  int64_t ns;
  if (f->is_time) {
    if (!value_time(v, &ns)) return 2;
    return (f->time_ns > ns) - (f->time_ns < ns);
  }
  if (!f->known || !v->is_text) return 2;
  return span_eq(f->text, v->text) ? 0 : span_cmp(f->text, v->text) < 0 ? -1 : 1;
}

static err *read_in(reader *r, const field *f, bool negated, bool *ret) {
  bool found = false, comparable = true;
  if (!at_sign(r, "(")) return malformed(r);
  do {
    value v = {0};
    TRY(next(r));
    TRY(read_value(r, &v));
    int c = compare(f, &v);
    found |= c == 0;
    comparable &= c != 2;
  } while (at_sign(r, ","));
  if (!at_sign(r, ")")) return malformed(r);
  *ret = comparable && found != negated;
  return next(r);
}

static err *read_between(reader *r, const field *f, bool negated, bool *ret) {
  value low = {0}, high = {0};
  TRY(read_value(r, &low));
  if (!at_word(r, "AND")) return malformed(r);
  TRY(next(r));
  TRY(read_value(r, &high));
  int a = compare(f, &low), b = compare(f, &high);
  *ret = f->is_time && a != 2 && b != 2 && (a >= 0 && b <= 0) != negated;
  return NULL;
}

static err *read_sign(reader *r, const field *f, bool *ret) {
  static const struct {
    const char *sign;
    bool less, equal, more;
  } signs[] = {{"=", false, true, false}, {"!=", true, false, true}, {"<", true, false, false},
               {"<=", true, true, false}, {">", false, false, true}, {">=", false, true, true}};
  for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
    if (!at_sign(r, signs[i].sign)) continue;
    value v = {0};
    TRY(next(r));
    TRY(read_value(r, &v));
    int c = compare(f, &v);
    bool is_order = signs[i].less != signs[i].more;
    bool holds =
        (c < 0 && signs[i].less) || (c == 0 && signs[i].equal) || (c == 1 && signs[i].more);
    *ret = c != 2 && holds && !(is_order && !f->is_time);
    return NULL;
  }
  return malformed(r);
}

static err *read_comparison(reader *r, bool *ret) {
  if (r->kind != WORD_NAME) return malformed(r);
  field f = field_named(r->worker, r->word);
  TRY(next(r));
  bool negated = at_word(r, "NOT");
  if (negated) TRY(next(r));
  if (at_word(r, "STARTS_WITH")) {
    value v = {0};
    TRY(next(r));
    TRY(read_value(r, &v));
    *ret = f.known && !f.is_time && v.is_text && span_starts_with(f.text, v.text) != negated;
    return NULL;
  }
  if (at_word(r, "IN")) {
    TRY(next(r));
    return read_in(r, &f, negated, ret);
  }
  if (at_word(r, "BETWEEN")) {
    TRY(next(r));
    return read_between(r, &f, negated, ret);
  }
  if (negated) return malformed(r);
  if (!at_word(r, "IS")) return read_sign(r, &f, ret);
  TRY(next(r));
  bool is_not = at_word(r, "NOT");
  if (is_not) TRY(next(r));
  if (!at_word(r, "NULL")) return malformed(r);
  *ret = f.known && (f.is_time ? f.time_ns != 0 : f.text.n != 0) == is_not;
  return next(r);
}

/* --- AND, OR, NOT --- */

static err *read_or(reader *r, bool *ret);

static err *read_part(reader *r, bool *ret) {
  if (at_word(r, "NOT")) {
    if (++r->depth > MOST_DEPTH) return malformed(r);
    TRY(next(r));
    TRY(read_part(r, ret));
    *ret = !*ret;
    r->depth--;
    return NULL;
  }
  if (!at_sign(r, "(")) return read_comparison(r, ret);
  if (++r->depth > MOST_DEPTH) return malformed(r);
  TRY(next(r));
  TRY(read_or(r, ret));
  if (!at_sign(r, ")")) return malformed(r);
  r->depth--;
  return next(r);
}

static err *read_and(reader *r, bool *ret) {
  TRY(read_part(r, ret));
  while (at_word(r, "AND")) {
    bool more = false;
    TRY(next(r));
    TRY(read_part(r, &more));
    *ret = *ret && more;
  }
  return NULL;
}

static err *read_or(reader *r, bool *ret) {
  TRY(read_and(r, ret));
  while (at_word(r, "OR")) {
    bool more = false;
    TRY(next(r));
    TRY(read_and(r, &more));
    *ret = *ret || more;
  }
  return NULL;
}

err *worker_query_matches(span query, const pb_WorkerHeartbeat *worker, arena *a,
                          bool *ret_matches) {
  reader r = {.text = query, .worker = worker, .arena = a};
  bool matches = true;
  TRY(next(&r));
  if (r.word.n || r.at < query.n) {
    TRY(read_or(&r, &matches));
    if (r.word.n || r.at < query.n) return malformed(&r);
  }
  *ret_matches = matches;
  return NULL;
}

#include "visibility/filter_int.h"

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool is_letter(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@';
}

static uint8_t peek(const lexer *l, size_t ahead) {
  return l->at + ahead < l->in.n ? l->in.p[l->at + ahead] : 0;
}

/* Words that are no names. Other words of SQL are names like any other. */
static const char *const words[] = {
    "and",  "or",     "not",    "in",     "between",     "like",    "regexp",   "rlike",
    "is",   "null",   "true",   "false",  "starts_with", "order",   "group",    "by",
    "asc",  "desc",   "limit",  "having", "select",      "from",    "where",    "union",
    "xor",  "match",  "exists", "case",   "when",        "then",    "end",      "else",
    "drop", "into",   "for",    "lock",   "all",         "default", "interval", "div",
    "mod",  "update", "insert", "delete",
};

static bool is_word(span s) {
  for (size_t i = 0; i < ARRAY_LEN(words); i++) {
    if (span_eq(s, span_cstr(words[i]))) return true;
  }
  return false;
}

static span lower(span s, arena *a) {
  span copy = arena_dup(a, s);
  uint8_t *p = (uint8_t *)copy.p;
  for (size_t i = 0; i < copy.n; i++) {
    if (p[i] >= 'A' && p[i] <= 'Z') p[i] |= 0x20;
  }
  return copy;
}

/* Up to the end of a line, or of a comment that has one. False: it never ends. */
static bool skip_comment(lexer *l, size_t lead, const char *close) {
  size_t n = strlen(close);
  for (l->at += lead; l->at < l->in.n; l->at++) {
    if (l->in.n - l->at >= n && memcmp(l->in.p + l->at, close, n) == 0) {
      l->at += n;
      return true;
    }
  }
  return false;
}

/* False: a comment has no end. */
static bool skip_blanks(lexer *l) {
  for (;;) {
    uint8_t c = peek(l, 0), next = peek(l, 1);
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      l->at++;
    } else if (c == '#' || (c == '-' && next == '-') || (c == '/' && next == '/')) {
      (void)skip_comment(l, 1, "\n");
    } else if (c == '/' && next == '*') {
      if (!skip_comment(l, 2, "*/")) return false;
    } else {
      return true;
    }
  }
}

static void take_name(lexer *l, token *t) {
  while (l->at < l->in.n && (is_letter(peek(l, 0)) || is_digit(peek(l, 0)) || peek(l, 0) == '$')) {
    l->at++;
  }
  t->text = span_of(l->in.p + t->begin, l->at - t->begin);
  span word = lower(t->text, l->arena);
  t->type = is_word(word) ? TOKEN_WORD : TOKEN_NAME;
  if (t->type == TOKEN_WORD) t->text = word;
}

static void take_number(lexer *l, token *t) {
  t->type = TOKEN_NUMBER;
  if (peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x') {
    for (l->at += 2; is_digit(peek(l, 0)) || is_letter(peek(l, 0));) l->at++;
  } else {
    while (is_digit(peek(l, 0))) l->at++;
    if (peek(l, 0) == '.') l->at++;
    while (is_digit(peek(l, 0))) l->at++;
    if ((peek(l, 0) | 0x20) == 'e') {
      l->at++;
      if (peek(l, 0) == '+' || peek(l, 0) == '-') l->at++;
      while (is_digit(peek(l, 0))) l->at++;
    }
    if (is_letter(peek(l, 0))) t->type = TOKEN_BAD;
  }
  t->text = span_of(l->in.p + t->begin, l->at - t->begin);
}

/* A doubled quote stands for itself; a backslash for what follows it. */
static void take_quoted(lexer *l, token *t, uint8_t quote) {
  uint8_t *out = arena_alloc(l->arena, l->in.n - l->at);
  size_t n = 0;
  t->type = TOKEN_BAD;
  for (l->at++; l->at < l->in.n; l->at++) {
    uint8_t c = peek(l, 0);
    if (c == quote && peek(l, 1) != quote) {
      t->type = quote == '`' ? TOKEN_NAME : TOKEN_TEXT;
      l->at++;
      break;
    }
    if (c == quote) {
      l->at++;
    } else if (c == '\\' && quote != '`' && l->at + 1 < l->in.n) {
      static const char from[] = "0bnrtZ", to[] = "\0\b\n\r\t\x1a";
      const char *known = memchr(from, peek(l, 1), sizeof from - 1);
      l->at++;
      c = known ? (uint8_t)to[known - from] : peek(l, 0);
    }
    out[n++] = c;
  }
  t->text = span_of(out, n);
}

static void take_sign(lexer *l, token *t) {
  static const char *const signs[] = {"<=>", "<=", ">=", "<>", "!=", "&&", "||"};
  for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
    span s = span_cstr(signs[i]);
    if (!span_starts_with(span_of(l->in.p + l->at, l->in.n - l->at), s)) continue;
    l->at += s.n;
    t->text = s;
    return;
  }
  if (!memchr("=<>!()+-~*/%|&^,.;", peek(l, 0), 18)) t->type = TOKEN_BAD;
  do { /* not half a character */
    l->at++;
  } while ((peek(l, 0) & 0xc0) == 0x80);
  t->text = span_of(l->in.p + t->begin, l->at - t->begin);
}

void lexer_next(lexer *l, token *t) {
  size_t before = l->at;
  bool ends = skip_blanks(l);
  *t = (token){.type = TOKEN_SIGN, .begin = ends ? l->at : before};
  uint8_t c = peek(l, 0);
  if (!ends) {
    t->type = TOKEN_BAD;
    t->text = span_of(l->in.p + before, l->in.n - before);
  } else if (l->at >= l->in.n) {
    t->type = TOKEN_END;
  } else if (is_letter(c)) {
    take_name(l, t);
  } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
    take_number(l, t);
  } else if (c == '\'' || c == '"' || c == '`') {
    take_quoted(l, t, c);
  } else {
    take_sign(l, t);
  }
  t->end = l->at;
}

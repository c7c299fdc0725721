/* script_lines.c - lines and words of scripts. */
#include "engine/script_verbs.h"

span script_next_line(span *rest) {
  const uint8_t *end = memchr(rest->p, '\n', rest->n);
  size_t n = end ? (size_t)(end - rest->p) : rest->n;
  span line = span_of(rest->p, n);
  size_t skip = n + (end ? 1 : 0);
  *rest = span_of(rest->p + skip, rest->n - skip);
  return line;
}

/* Words are separated by blanks; "..." may hold blanks, within a word too. A backslash takes the
 * next character as it is, but for \n. */
void script_split(span text, arena *a, script_line *out) {
  *out = (script_line){0};
  uint8_t *word = arena_alloc(a, text.n + 1);
  size_t i = 0;
  while (i < text.n) {
    while (i < text.n && text.p[i] == ' ') i++;
    if (i == text.n) break;
    size_t n = 0;
    bool quoted = false;
    for (; i < text.n && (quoted || text.p[i] != ' '); i++) {
      if (text.p[i] == '\\' && i + 1 < text.n) {
        i++;
        word[n++] = text.p[i] == 'n' ? '\n' : text.p[i];
      } else if (text.p[i] == '"') {
        quoted = !quoted;
      } else {
        word[n++] = text.p[i];
      }
    }
    ASSERT(out->n < LINE_MOST_WORDS);
    out->words[out->n++] = arena_dup(a, span_of(word, n));
  }
}

static bool is_indented(span line) { return line.n && line.p[0] == ' '; }

const char *script_run(world *w, span input) {
  while (input.n) {
    arena_reset(&w->arena);
    span text = script_next_line(&input);
    size_t most = 0;
    for (span at = input; at.n && is_indented(at); most++) (void)script_next_line(&at);
    script_line line, *subs = arena_array(&w->arena, script_line, most + 1);
    script_split(text, &w->arena, &line);
    if (!line.n) continue;
    line.subs = subs;
    while (input.n && is_indented(input)) {
      script_split(script_next_line(&input), &w->arena, &subs[line.n_subs++]);
    }
    const char *why = script_do(w, &line);
    if (why || w->broken) return why;
  }
  return NULL;
}

/* script_test.c - runs the scripts in testdata/: what is done to one run, and what must come of it.
 *
 *   script_test DIR [SCRIPT...]       compares; the output that differs is shown
 *   script_test DIR --rewrite [...]   writes the outputs into the scripts, for review with git diff
 *   script_test DIR --answers OUT   also writes what `recorded LABEL` names to
 * OUT/SCRIPT/LABEL.bin
 *
 * A script is blocks: lines, "----", and what happens, up to a blank line. "#" begins a comment
 * between blocks. Indented lines belong to the line above. testdata/README.md lists the verbs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/script_text.h"
#include "engine/script_verbs.h"

typedef struct options {
  const char *dir, *answers;
  bool rewrite;
} options;

static span next_line(span *rest) {
  const uint8_t *end = memchr(rest->p, '\n', rest->n);
  size_t n = end ? (size_t)(end - rest->p) : rest->n;
  span line = span_of(rest->p, n);
  size_t skip = n + (end ? 1 : 0);
  *rest = span_of(rest->p + skip, rest->n - skip);
  return line;
}

/* Words are separated by blanks; "..." may hold blanks, within a word too. A backslash takes the
 * next character as it is, but for \n. */
static void split(span text, arena *a, script_line *out) {
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

/* Does the lines of one block's input. */
static void run_block(world *w, span input) {
  while (input.n) {
    arena_reset(&w->arena);
    span text = next_line(&input);
    size_t most = 0;
    for (span at = input; at.n && is_indented(at); most++) (void)next_line(&at);
    script_line line, *subs = arena_array(&w->arena, script_line, most + 1);
    split(text, &w->arena, &line);
    if (!line.n) continue;
    line.subs = subs;
    while (input.n && is_indented(input)) {
      split(next_line(&input), &w->arena, &subs[line.n_subs++]);
    }
    const char *why = script_do(w, &line);
    if (why) buf_addf(&w->out, "SCRIPT ERROR %s\n", why);
    if (w->broken) {
      buf_addf(&w->out, "BROKEN %s\n", w->broken);
      w->broken = NULL;
    }
  }
}

typedef struct block {
  span input, expected; /* with their line ends */
} block;

/* What stands before the next block is copied; false at the end of the script. */
static bool next_block(span *rest, buf *rewritten, block *ret) {
  while (rest->n) {
    span before = *rest, line = next_line(rest);
    if (line.n && line.p[0] != '#') {
      *ret = (block){.input = span_of(before.p, 0)};
      span at = before;
      while (at.n) {
        line = next_line(&at);
        if (span_eq(line, SPAN("----"))) break;
        ret->input.n += line.n + 1;
      }
      ret->expected = span_of(at.p, 0);
      while (at.n) {
        line = next_line(&at);
        if (!line.n) break;
        ret->expected.n += line.n + 1;
      }
      *rest = at;
      return true;
    }
    buf_add(rewritten, line);
    buf_addb(rewritten, '\n');
  }
  return false;
}

static void show_difference(const char *name, const block *b, span got) {
  printf("%s: not as expected after\n%.*s--- expected\n%.*s--- got\n%.*s---\n", name,
         SPAN_ARG(b->input), SPAN_ARG(b->expected), SPAN_ARG(got));
}

static bool read_file(const char *path, buf *out) {
  FILE *f = fopen(path, "rb");
  if (!f) return false;
  size_t n;
  do {
    uint8_t *p = buf_reserve(out, 65536);
    n = fread(p, 1, 65536, f);
    out->n += n;
  } while (n);
  (void)fclose(f);
  return true;
}

static void write_file(const char *path, span s) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(s.p, 1, s.n, f) != s.n || fclose(f) != 0) {
    fprintf(stderr, "cannot write %s\n", path);
    exit(1);
  }
}

/* OUT/SCRIPT/LABEL.bin for every LABEL: the message's type, a line end, the encoded message. */
static void write_answers(const char *folder, const char *name, world *w) {
  char path[512];
  if (!w->n_answers) return;
  (void)snprintf(path, sizeof path, "%s/%.*s", folder, (int)strlen(name) - 4, name);
  if (mkdir(path, 0777) != 0 && errno != EEXIST) {
    fprintf(stderr, "cannot make %s\n", path);
    exit(1);
  }
  for (size_t i = 0; i < w->n_answers; i++) {
    (void)snprintf(path, sizeof path, "%s/%.*s/%.*s.bin", folder, (int)strlen(name) - 4, name,
                   SPAN_ARG(w->answers[i].label));
    buf all = BUF_INIT;
    buf_addf(&all, "%s\n", w->answers[i].type);
    buf_add(&all, w->answers[i].encoded);
    write_file(path, buf_span(&all));
    buf_release(&all);
  }
}

static bool run_script(const options *o, const char *name) {
  char path[512];
  buf text = BUF_INIT, rewritten = BUF_INIT;
  bool same = true;
  world w;
  world_init(&w);
  (void)snprintf(path, sizeof path, "%s/%s", o->dir, name);
  if (!read_file(path, &text)) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  span rest = buf_span(&text);
  block b;
  while (next_block(&rest, &rewritten, &b)) {
    buf_clear(&w.out);
    run_block(&w, b.input);
    span got = buf_span(&w.out);
    if (!span_eq(got, b.expected) && !o->rewrite) {
      show_difference(name, &b, got);
      same = false;
    }
    if (memmem(got.p, got.n, "BROKEN", 6) || memmem(got.p, got.n, "SCRIPT ERROR", 12)) same = false;
    buf_add(&rewritten, b.input);
    buf_adds(&rewritten, "----\n");
    buf_add(&rewritten, got);
    if (rest.n) buf_addb(&rewritten, '\n');
  }
  if (o->rewrite) write_file(path, buf_span(&rewritten));
  if (o->answers) write_answers(o->answers, name, &w);
  printf("%s %s\n", same ? "ok    " : "FAILED", name);
  world_release(&w);
  buf_release(&text);
  buf_release(&rewritten);
  return same;
}

static int is_script(const struct dirent *d) {
  size_t n = strlen(d->d_name);
  return n > 4 && strcmp(d->d_name + n - 4, ".txt") == 0;
}

int main(int argc, char **argv) {
  options o = {.dir = argc > 1 ? argv[1] : "."};
  int failed = 0, run = 0, named = 0;
  for (int i = 2; i < argc; i++) {
    if (strcmp(argv[i], "--rewrite") == 0) {
      o.rewrite = true;
    } else if (strcmp(argv[i], "--answers") == 0 && i + 1 < argc) {
      o.answers = argv[++i];
    } else {
      argv[2 + named++] = argv[i];
    }
  }
  for (int i = 0; i < named; i++, run++) failed += !run_script(&o, argv[2 + i]);
  if (named) return failed != 0;
  struct dirent **names;
  int n = scandir(o.dir, &names, is_script, alphasort);
  for (int i = 0; i < n; i++, run++) {
    failed += !run_script(&o, names[i]->d_name);
    free(names[i]);
  }
  if (n >= 0) free(names);
  printf("%d passed, %d failed\n", run - failed, failed);
  return failed || run == 0;
}

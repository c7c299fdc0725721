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

/* Runs the lines; what went wrong becomes part of the output. */
static void run_block(world *w, span input) {
  const char *why = script_run(w, input);
  if (why) buf_addf(&w->out, "SCRIPT ERROR %s\n", why);
  if (w->broken) {
    buf_addf(&w->out, "BROKEN %s\n", w->broken);
    w->broken = NULL;
  }
}

typedef struct block {
  span input, expected; /* with their line ends */
} block;

/* What stands before the next block is copied; false at the end of the script. */
static bool next_block(span *rest, buf *rewritten, block *ret) {
  while (rest->n) {
    span before = *rest, line = script_next_line(rest);
    if (line.n && line.p[0] != '#') {
      *ret = (block){.input = span_of(before.p, 0)};
      span at = before;
      while (at.n) {
        line = script_next_line(&at);
        if (span_eq(line, SPAN("----"))) break;
        ret->input.n += line.n + 1;
      }
      ret->expected = span_of(at.p, 0);
      while (at.n) {
        line = script_next_line(&at);
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

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the folder's scripts, in order. */
static const char **scripts(const char *folder, arena *a, int *ret_n) {
  enum { MOST_SCRIPTS = 1000 };
  const char **names = arena_array(a, const char *, MOST_SCRIPTS);
  DIR *d = opendir(folder);
  *ret_n = 0;
  for (struct dirent *e; d && (e = readdir(d));) {
    size_t n = strlen(e->d_name);
    if (n < 5 || strcmp(e->d_name + n - 4, ".txt") != 0) continue;
    ASSERT(*ret_n < MOST_SCRIPTS);
    names[(*ret_n)++] = arena_printf(a, "%s", e->d_name);
  }
  if (d) (void)closedir(d);
  if (*ret_n) qsort(names, (size_t)*ret_n, sizeof *names, by_name);
  return names;
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
  arena a = ARENA_INIT;
  int n;
  const char **names = scripts(o.dir, &a, &n);
  for (; run < n; run++) failed += !run_script(&o, names[run]);
  arena_release(&a);
  printf("%d passed, %d failed\n", run - failed, failed);
  return failed || run == 0;
}

#include "server/crash_note.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { NUMBERS = 5, PATH_BYTES = 4096, MOST_NOTED = 1000 };

static const int numbers[NUMBERS] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[NUMBERS];
static char note_path[PATH_BYTES]; /* for the handler, which may not look at the heap */
static crash_note *active;

/* --- when it happens: only what a signal handler may do --- */

static void write_key(int fd, int64_t key) {
  char line[24];
  size_t at = sizeof line;
  line[--at] = '\n';
  do {
    line[--at] = (char)('0' + key % 10);
    key /= 10;
  } while (key > 0);
  if (write(fd, line + at, sizeof line - at) > 0) (void)fsync(fd);
}

static void restore_signals(void) {
  for (int i = 0; i < NUMBERS; i++) (void)sigaction(numbers[i], &before[i], NULL);
}

/* Afterwards the process dies as it would have: a fault happens again, an abort is raised again. */
static void on_fatal(int number) {
  int saved = errno;
  restore_signals();
  if (active && active->suspect) {
    int fd = open(note_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
      write_key(fd, *active->suspect);
      (void)close(fd);
    }
  }
  errno = saved;
  if (number == SIGABRT) (void)raise(number);
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_NODEFER};
  (void)sigemptyset(&action.sa_mask);
  for (int i = 0; i < NUMBERS; i++) (void)sigaction(numbers[i], &action, &before[i]);
}

/* --- what was noted --- */

typedef struct notes {
  int64_t keys[MOST_NOTED]; /* the newest */
  size_t n;
} notes;

static void notes_read(notes *ns, const char *path) {
  FILE *f = fopen(path, "r");
  char line[32];
  ns->n = 0;
  if (!f) return;
  while (fgets(line, sizeof line, f)) {
    if (ns->n == MOST_NOTED) memmove(ns->keys, ns->keys + 1, --ns->n * sizeof ns->keys[0]);
    ns->keys[ns->n++] = strtoll(line, NULL, 10);
  }
  (void)fclose(f);
}

static bool has(const crash_note *n, int64_t key) {
  for (size_t i = 0; i < n->n_quarantined; i++) {
    if (n->quarantined[i] == key) return true;
  }
  return false;
}

static void quarantine(crash_note *n, const notes *ns, arena *a) {
  n->quarantined = arena_alloc(a, (ns->n + 1) * sizeof *n->quarantined);
  for (size_t i = 1; i < ns->n; i++) {
    int64_t key = ns->keys[i];
    if (key <= 0 || key != ns->keys[i - 1] || has(n, key)) continue;
    n->quarantined[n->n_quarantined++] = key;
    LOG(ERROR,
        "the server crashed twice in a row while it worked on a run, which stays out of service; "
        "the others go on. Please report this. To try it again: stop, remove the file, start",
        LOG_I("run", key), LOG_S("file", n->path));
  }
}

void crash_note_begin(crash_note *n, const char *db_path, arena *a) {
  notes *ns = mem_new(notes);
  *n = (crash_note){.path = arena_printf(a, "%s.crashes", db_path)};
  notes_read(ns, n->path);
  quarantine(n, ns, a);
  mem_free(ns);
  if (snprintf(note_path, sizeof note_path, "%s", n->path) >= (int)sizeof note_path) return;
  active = n;
  catch_signals();
}

/* Keeps what quarantines a run: a last line alone is not the first of two any more. */
static void notes_rewrite(const crash_note *n) {
  if (!n->n_quarantined) {
    (void)unlink(n->path);
    return;
  }
  FILE *f = fopen(n->path, "w");
  if (!f) return;
  for (size_t i = 0; i < n->n_quarantined; i++) {
    fprintf(f, "%" PRId64 "\n%" PRId64 "\n", n->quarantined[i], n->quarantined[i]);
  }
  (void)fclose(f);
}

void crash_note_end(crash_note *n) {
  if (active != n) return;
  active = NULL;
  restore_signals();
  notes_rewrite(n);
}

/* main.c - the command line of the simulation: one seed with its trace, or many, each in a process
 * of its own so that an assertion that fails names its seed too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

static sim *current;

static void usage(void) {
  printf(
      "usage: ./dev sim --seed S [--steps N] [--trace] [--mutant NAME]\n"
      "       ./dev sim --seeds N [--from S] [--jobs N] [--steps N] [--mutant NAME]\n"
      "\n"
      "  --seed S        run one seed; prints `seed S hash H` when nothing is broken\n"
      "  --seeds N       run N seeds, each in a process of its own\n"
      "  --from S        the first of them (1)\n"
      "  --jobs N        processes at once (2)\n"
      "  --steps N       steps before the faults end (6000)\n"
      "  --trace         print every line of the trace\n"
      "  --until-broken  with --seeds: stop at the first seed that breaks\n"
      "  --hashes        with --seeds: print the hash of each\n"
      "  --mutant NAME   a broken build, to see it caught:\n");
  for (int i = 1; mutant_what((sim_mutant)i); i++) {
    printf("      %-18s %s\n", mutant_name((sim_mutant)i), mutant_what((sim_mutant)i));
  }
}

/* An assertion of the core failed; there is no process to save. */
static void on_abort(int number) {
  signal(SIGABRT, SIG_DFL);
  sim_broken(current, "ASSERT", "the core ended the process with signal %d", number);
}

static int run_one(const sim_options *o, bool quiet) {
  current = sim_new(o);
  signal(SIGABRT, on_abort);
  sim_run(current);
  const sim *s = current;
  printf("seed %llu hash %016llx", (unsigned long long)o->seed, (unsigned long long)s->hash);
  if (!quiet) {
    printf(" steps %llu calls %llu ok %llu runs %lld crashes %llu drains %llu seconds %lld",
           (unsigned long long)s->step, (unsigned long long)s->n_calls, (unsigned long long)s->n_ok,
           (long long)s->n_runs, (unsigned long long)s->n_crashes, (unsigned long long)s->n_drains,
           (long long)((s->now_ns - s->start_ns) / NS_PER_SEC));
  }
  printf("\n");
  fflush(stdout);
  sim_free(current);
  return 0;
}

/* --- many --- */

typedef struct job {
  pid_t pid;
  uint64_t seed;
  FILE *out;
} job;

enum { MOST_JOBS = 16 };

static void job_start(job *j, const sim_options *o, uint64_t seed) {
  j->out = tmpfile();
  j->seed = seed;
  fflush(stdout);
  j->pid = fork();
  if (j->pid != 0) return;
  sim_options mine = *o;
  mine.seed = seed;
  if (dup2(fileno(j->out), STDOUT_FILENO) < 0) _exit(2);
  alarm(120);
  exit(run_one(&mine, true));
}

static void print_file(FILE *f) {
  char line[512];
  rewind(f);
  while (fgets(line, sizeof line, f)) fputs(line, stdout);
}

typedef struct many {
  uint64_t from, n, jobs;
  bool hashes, until_broken;
} many;

static void job_ended(const job *j, const many *m, bool good, int status) {
  if (!good) printf("not ok seed %llu (status %d)\n", (unsigned long long)j->seed, status);
  if (good && !m->hashes) printf("ok seed %llu\n", (unsigned long long)j->seed);
  if (!good || m->hashes) print_file(j->out);
  fflush(stdout);
  fclose(j->out);
}

static int run_many(const sim_options *o, const many *m) {
  job jobs[MOST_JOBS] = {{0}};
  int n_jobs = (int)m->jobs;
  uint64_t n = m->n, from = m->from, next = from, ended = 0, failed = 0;
  while (ended < n) {
    for (int i = 0; i < n_jobs && next < from + n; i++) {
      if (!jobs[i].pid) job_start(&jobs[i], o, next++);
    }
    int status;
    pid_t pid = wait(&status);
    for (int i = 0; i < n_jobs; i++) {
      if (jobs[i].pid != pid) continue;
      bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      failed += !good;
      job_ended(&jobs[i], m, good, status);
      jobs[i].pid = 0;
      ended++;
    }
    if (failed && m->until_broken) n = next - from;
  }
  printf("%llu passed, %llu failed\n", (unsigned long long)(n - failed),
         (unsigned long long)failed);
  return failed ? 1 : 0;
}

int main(int argc, char **argv) {
  sim_options o = {.steps = 6000};
  many m = {.from = 1, .jobs = 2};
  bool one = false;
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "--trace") == 0) {
      o.trace = true;
      continue;
    }
    if (strcmp(name, "--hashes") == 0) {
      m.hashes = true;
      continue;
    }
    if (strcmp(name, "--until-broken") == 0) {
      m.until_broken = true;
      continue;
    }
    i++;
    if (strcmp(name, "--seed") == 0) {
      o.seed = number;
      one = true;
    } else if (strcmp(name, "--seeds") == 0) {
      m.n = number;
    } else if (strcmp(name, "--from") == 0) {
      m.from = number;
    } else if (strcmp(name, "--jobs") == 0) {
      m.jobs = MIN(MAX(number, 1), MOST_JOBS);
    } else if (strcmp(name, "--steps") == 0) {
      o.steps = number;
    } else if (strcmp(name, "--mutant") != 0 || !mutant_parse(value, &o.mutant)) {
      usage();
      return strcmp(name, "--help") == 0 ? 0 : 2;
    }
  }
  if (m.n) return run_many(&o, &m);
  if (one) return run_one(&o, false);
  usage();
  return 2;
}

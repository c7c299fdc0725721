/* store_bench - CPU time of the store alone, per one-activity workflow.
 *
 *   store_bench [--dir DIR] [--workflows N] [--history BYTES] [--batch N] [--listed 0]
 *               [--types N]
 *
 * Such a workflow is 12 rows in 4 steps: its start, its first workflow task, its activity, its
 * last workflow task. Two of them are for lists, at its start and end; --listed 0 leaves them out.
 * Workflows are of N types in turn, otherwise of one.
 * As in real life no two steps of one workflow share a batch: a batch of 16 takes one step from
 * each of 16 workflows. CPU is of the whole process, the kernel's part included, checkpoints and
 * the final one too. Syncs go to the disk that holds DIR.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/sqlite.h"
#include "store/test_env.h"

enum { STEPS = 4, MAX_ROWS = 4, MAX_BATCH = 1024, MAX_TYPES = 100 };

typedef struct bench {
  test_env env;
  store *store;
  rng random;
  int64_t seq;
  bool listed;
  span types[MAX_TYPES];
  size_t n_types;
  bytes *info, *state, *item, *history[16];
} bench;

static double cpu_us(void) {
  struct rusage r;
  (void)getrusage(RUSAGE_SELF, &r);
  return 1e6 * (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static double wall_us(void) {
  struct timespec ts;
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  return 1e6 * (double)ts.tv_sec + (double)ts.tv_nsec / 1e3;
}

static bytes *random_bytes(rng *r, size_t n) {
  bytes *b = bytes_new(n);
  rng_fill(r, b->p, n);
  return b;
}

static void fill_visible(const bench *b, int64_t run, bool closed, span workflow_id,
                         store_visible *v, store_row *row) {
  *v = (store_visible){.was_status = closed ? 1 : 0,
                       .change = closed ? ATTRIBUTES_STAY : ATTRIBUTES_ANEW,
                       .run_id = SPAN("01a1ff3d-71bb-74a7-a34b-49463dd916a5"),
                       .type = b->types[(size_t)run % b->n_types],
                       .queue = SPAN("transfers"),
                       .started_ns = run * NS_PER_MS,
                       .execution_ns = run * NS_PER_MS,
                       .closed_ns = closed ? (run + 20) * NS_PER_MS : 0,
                       .events = 11,
                       .history_bytes = 1200,
                       .transitions = 7};
  *row = (store_row){.kind = ROW_VISIBLE_PUT,
                     .run = run,
                     .ns = 1,
                     .status = closed ? 2 : 1,
                     .workflow_id = workflow_id,
                     .visible = v};
}

/* The rows of one step; `rows` has room for MAX_ROWS. */
static size_t fill_step(bench *b, int64_t run, int step, span workflow_id, store_visible *v,
                        store_row *rows) {
  enum { TASK_QUEUE = 7, ACTIVITY_QUEUE = 8, ACTIVITY_ID = 5 };
  static const int64_t first_event[STEPS] = {1, 3, 6, 10};
  size_t n = 0;
  bool task_waits = step == 0 || step == 2;
  store_queued queued = {0};
  if (task_waits) queued = (store_queued){TASK_QUEUE, 3, ++b->seq};
  rows[n++] = (store_row){.kind = step ? ROW_RUN_UPDATE : ROW_RUN_INSERT,
                          .run = run,
                          .ns = 1,
                          .workflow_id = workflow_id,
                          .status = step == STEPS - 1 ? 2 : 1,
                          .queued = queued,
                          .info = b->info,
                          .blob = b->state};
  rows[n++] = (store_row){.kind = ROW_HISTORY_ADD,
                          .run = run,
                          .id = first_event[step],
                          .blob = b->history[rng_below(&b->random, ARRAY_LEN(b->history))]};
  bool ends = step == STEPS - 1;
  if (b->listed && (step == 0 || ends)) fill_visible(b, run, ends, workflow_id, v, &rows[n++]);
  if (step == 0) {
    rows[n++] =
        (store_row){.kind = ROW_CURRENT_PUT, .run = run, .ns = 1, .workflow_id = workflow_id};
  } else if (step == 1) {
    rows[n++] = (store_row){.kind = ROW_ITEM_PUT,
                            .run = run,
                            .id = ACTIVITY_ID,
                            .due_ns = INT64_C(1700000000) * NS_PER_SEC + b->seq,
                            .queued = {ACTIVITY_QUEUE, 3, ++b->seq},
                            .blob = b->item};
  } else if (step == 2) {
    rows[n++] = (store_row){.kind = ROW_ITEM_DELETE, .run = run, .id = ACTIVITY_ID};
  }
  return n;
}

typedef struct sink {
  store_batch batch;
  bool done;
} sink;

static void batch_done(env_task *t) {
  CONTAINER_OF(CONTAINER_OF(t, store_batch, task), sink, batch)->done = true;
}

/* One step of `n` workflows, whose runs are `first`, `first` + 1, ... */
static double write_batch(bench *b, int64_t first, size_t n, int step, char (*ids)[33]) {
  static store_step steps[MAX_BATCH];
  static store_row rows[MAX_BATCH][MAX_ROWS];
  static store_visible visible[MAX_BATCH];
  for (size_t i = 0; i < n; i++) {
    int64_t run = first + (int64_t)i;
    steps[i] = (store_step){.next = i + 1 < n ? &steps[i + 1] : NULL, .run = run, .rows = rows[i]};
    steps[i].n_rows = fill_step(b, run, step, span_cstr(ids[i]), &visible[i], rows[i]);
  }
  sink s = {.batch = {.task.run = batch_done, .steps = steps}};
  double begin = wall_us();
  b->store->commit(b->store, &s.batch);
  test_env_run_until(&b->env, &s.done);
  double end = wall_us();
  for (size_t i = 0; i < n; i++) {
    if (steps[i].status != STORE_OK) PANIC("%s", s.batch.error->what);
  }
  arena_release(&s.batch.arena);
  return end - begin;
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(size_t batch, size_t workflows, double cpu, double wall, const store_stats *st,
                   double *commit_us, size_t n) {
  qsort(commit_us, n, sizeof *commit_us, compare_double);
  printf("%6zu %9zu %10.1f %11.1f %9.0f %9.2f %8.2f %8.2f %8.2f %6.2f\n", batch, workflows,
         cpu / (double)workflows, wall / (double)workflows, 1e6 * (double)workflows / wall,
         (double)st->syncs / (double)workflows, commit_us[n / 2] / 1e3,
         commit_us[n * 99 / 100] / 1e3, commit_us[n - 1] / 1e3,
         (double)st->file_bytes / (double)workflows / 1e3);
}

static void run_batches(bench *b, const char *path, size_t batch, size_t workflows) {
  arena a = ARENA_INIT;
  store_sqlite_options o = {.path = path};
  err *e = store_sqlite_open(&o, &b->env.env, &a, &b->store);
  if (e) PANIC("%s", err_text(&a, e));
  size_t waves = workflows / batch, n = 0;
  double *commit_us = arena_array(&a, double, waves *STEPS);
  static char ids[MAX_BATCH][33];
  double cpu = cpu_us(), wall = wall_us();
  for (size_t w = 0; w < waves; w++) {
    for (size_t i = 0; i < batch; i++) {
      (void)snprintf(ids[i], sizeof ids[i], "transfer-%016llx",
                     (unsigned long long)rng_next(&b->random));
    }
    for (int step = 0; step < STEPS; step++) {
      commit_us[n++] = write_batch(b, 1 + (int64_t)(w * batch), batch, step, ids);
    }
  }
  wall = wall_us() - wall;
  store_stats stats;
  b->store->stats(b->store, &stats);
  b->store->close(b->store);
  cpu = cpu_us() - cpu;
  report(batch, waves * batch, cpu, wall, &stats, commit_us, n);
  (void)unlink(path);
  arena_release(&a);
}

int main(int argc, char **argv) {
  const char *dir = ".";
  size_t workflows = 64000, history_bytes = 300, only = 0, types = 1;
  bool listed = true;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--dir") == 0) dir = argv[i + 1];
    if (strcmp(argv[i], "--workflows") == 0) workflows = (size_t)strtoull(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--batch") == 0) only = (size_t)strtoull(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--listed") == 0) listed = strcmp(argv[i + 1], "0") != 0;
    if (strcmp(argv[i], "--types") == 0) types = (size_t)strtoull(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--history") == 0) history_bytes = (size_t)strtoull(argv[i + 1], NULL, 10);
  }
  bench b = {.listed = listed, .n_types = MIN(MAX(types, (size_t)1), (size_t)MAX_TYPES)};
  test_env_init(&b.env, 1);
  rng_seed(&b.random, 2);
  b.info = random_bytes(&b.random, 150);
  b.state = random_bytes(&b.random, 120);
  b.item = random_bytes(&b.random, 200);
  for (size_t i = 0; i < ARRAY_LEN(b.history); i++) {
    /* From two thirds to four thirds of the mean. */
    size_t n = history_bytes * 2 / 3 + rng_below(&b.random, history_bytes * 2 / 3 + 1);
    b.history[i] = random_bytes(&b.random, n);
  }
  arena a = ARENA_INIT;
  for (size_t i = 0; i < b.n_types; i++) b.types[i] = arena_spanf(&a, "MoneyTransfer%02zu", i);
  const char *path = arena_printf(&a, "%s/store_bench.db", dir);
  printf("SQLite %s, %s\n", store_sqlite_version(), path);
  puts(
      "             ------- per workflow ------- workflows     syncs  ---- commit, ms -----  kB "
      "of");
  puts(
      " batch workflows     CPU us     wall us  per second per wf.      p50      p99      max   "
      "file");
  static const size_t sizes[] = {1, 4, 16, 64, 256};
  for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
    if (only && only != sizes[i]) continue;
    run_batches(&b, path, sizes[i], MIN(workflows, sizes[i] * 3000));
  }
  arena_release(&a);
  test_env_release(&b.env);
  bytes_unref(b.info);
  bytes_unref(b.state);
  bytes_unref(b.item);
  for (size_t i = 0; i < ARRAY_LEN(b.history); i++) bytes_unref(b.history[i]);
  return 0;
}

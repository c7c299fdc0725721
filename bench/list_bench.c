/* list_bench - how fast lists are among many closed workflows.
 *
 *   list_bench [--dir DIR] [--runs N] [--pages N]
 *
 * Fills a database with closed runs of seven statuses and a few open ones, each with one of 20
 * types, a keyword of 1,000 values, an integer and the builds of its workers, which have no index,
 * then asks what clients ask. Pages have 100 entries and begin at random places of the list; times
 * are of the whole query, rows of the answer included. At last one workflow after the other is
 * committed, first alone and then while queries without an index run into their deadline.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite.h"
#include "store/test_env.h"

enum { BATCH = 1000, KEYWORDS = 1000, TYPES = 20, OPEN_EVERY = 1000, RARE_BUILD_EVERY = 5000 };
enum { KEYWORD = 1, NUMBER, BUILDS };

typedef struct bench {
  test_env env;
  store *store;
  rng random;
  arena arena;
  int64_t runs;
  int pages;
  bytes *info, *state;
} bench;

static double clock_ms(clockid_t clock) {
  struct timespec ts;
  (void)clock_gettime(clock, &ts);
  return 1e3 * (double)ts.tv_sec + (double)ts.tv_nsec / 1e6;
}

static double wall_ms(void) { return clock_ms(CLOCK_MONOTONIC); }

/* What passed on the wall, and what this process computed in it: on a machine that does other work
 * the second tells more. */
typedef struct times {
  double *wall, *cpu, began_wall, began_cpu;
  int n;
} times;

static times times_new(bench *b, int most) {
  return (times){.wall = arena_array(&b->arena, double, most),
                 .cpu = arena_array(&b->arena, double, most)};
}

static void times_begin(times *t) {
  t->began_cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
  t->began_wall = wall_ms();
}

static void times_end(times *t) {
  t->wall[t->n] = wall_ms() - t->began_wall;
  t->cpu[t->n++] = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - t->began_cpu;
}

static const span rare_build = SPAN_INIT("unversioned:0.9");

static span keyword(arena *a, uint64_t n) { return arena_spanf(a, "customer-%04d", (int)n); }

static void fill_visible(bench *b, int64_t run, arena *a, store_visible *v) {
  bool open = run % OPEN_EVERY == 0;
  v->run_id = SPAN("01a1ff3d-71bb-74a7-a34b-49463dd916a5");
  v->type = arena_spanf(a, "Type%d", (int)rng_below(&b->random, TYPES));
  v->queue = SPAN("queue");
  v->started_ns = v->execution_ns = run * NS_PER_MS;
  v->closed_ns = open ? 0 : (run + (int64_t)rng_below(&b->random, 10000)) * NS_PER_MS;
  v->attributes = arena_array(a, store_attribute, 4);
  v->attributes[0] = (store_attribute){
      .id = KEYWORD, .value = VALUE_OF_TEXT(keyword(a, rng_below(&b->random, KEYWORDS)))};
  v->attributes[1] =
      (store_attribute){.id = NUMBER, .value = VALUE_OF_INT((int64_t)rng_below(&b->random, 1000))};
  v->attributes[2] = (store_attribute){
      .id = BUILDS, .value = VALUE_OF_TEXT(SPAN("unversioned")), .unindexed = true};
  v->attributes[3] = (store_attribute){
      .id = BUILDS,
      .value = VALUE_OF_TEXT(run % RARE_BUILD_EVERY ? SPAN("unversioned:1.0") : rare_build),
      .unindexed = true};
  v->n_attributes = 4;
}

static int32_t status_of(bench *b, int64_t run) {
  if (run % OPEN_EVERY == 0) return 1;
  return rng_below(&b->random, 10) ? 2 : 3 + (int32_t)rng_below(&b->random, 5);
}

static void add_run(bench *b, test_batch *batch, int64_t run) {
  store_visible *v = arena_new(&batch->arena, store_visible);
  span id = arena_spanf(&batch->arena, "order-%016llx", (long long)rng_next(&b->random));
  int32_t status = status_of(b, run);
  fill_visible(b, run, &batch->arena, v);
  store_row rows[] = {
      {.kind = ROW_RUN_INSERT, .run = run, .ns = 1, .status = status, .workflow_id = id},
      {.kind = ROW_CURRENT_PUT, .run = run, .ns = 1, .workflow_id = id},
      {.kind = ROW_VISIBLE_PUT, .run = run, .ns = 1, .status = status, .workflow_id = id}};
  rows[0].info = bytes_ref(b->info);
  rows[0].blob = bytes_ref(b->state);
  rows[2].visible = v;
  (void)test_batch_step(batch, run, rows, ARRAY_LEN(rows));
}

/* Runs from `first` to before `end`, in one commit. */
static void commit_runs(bench *b, int64_t first, int64_t end) {
  test_batch batch;
  test_batch_init(&batch);
  for (int64_t run = first; run < end; run++) add_run(b, &batch, run);
  test_batch_commit(&batch, b->store, &b->env);
  ASSERT(!batch.batch.error);
  test_batch_release(&batch);
}

static void fill(bench *b) {
  for (int64_t first = 1; first <= b->runs; first += BATCH) {
    commit_runs(b, first, MIN(first + BATCH, b->runs + 1));
  }
}

typedef struct asked {
  store_query q;
  bool done;
} asked;

static void query_done(env_task *t) {
  CONTAINER_OF(CONTAINER_OF(t, store_query, task), asked, q)->done = true;
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void times_print(const times *t, const char *name, size_t found, const char *end) {
  const int middle = t->n / 2, high = t->n * 99 / 100;
  qsort(t->wall, (size_t)t->n, sizeof *t->wall, compare_double);
  qsort(t->cpu, (size_t)t->n, sizeof *t->cpu, compare_double);
  printf("%-46s %8.2f %8.2f %8.2f %8.2f %9zu %s\n", name, t->wall[middle], t->wall[high],
         t->cpu[middle], t->cpu[high], found, end);
  (void)fflush(stdout);
}

/* Where a page may begin. */
static void random_place(bench *b, store_query *q) {
  q->has_after = true;
  q->after =
      (store_place){.ended_ns = (int64_t)rng_below(&b->random, (uint64_t)b->runs) * NS_PER_MS,
                    .started_ns = INT64_MAX};
}

/* `next` changes the query for each time. */
static void measure(bench *b, const char *name, store_query q, int most,
                    void (*next)(bench *b, store_query *q)) {
  times t = times_new(b, most);
  size_t found = 0;
  const char *end = "";
  while (t.n < most) {
    asked a = {.q = q};
    if (next) next(b, &a.q);
    a.q.ns = 1;
    a.q.limit = 100;
    a.q.task.run = query_done;
    times_begin(&t);
    b->store->query(b->store, &a.q);
    test_env_run_until(&b->env, &a.done);
    times_end(&t);
    found = a.q.n_found + (size_t)a.q.count;
    if (a.q.error) end = err_code_name(a.q.error->code);
    store_query_release(&a.q);
  }
  times_print(&t, name, found, end);
}

static store_pred *equals(bench *b, store_field f, store_value v) {
  store_pred *p = arena_new(&b->arena, store_pred);
  *p = (store_pred){.op = OP_IN, .field = f, .n_values = 1};
  p->values = arena_array(&b->arena, store_value, 1);
  p->values[0] = v;
  return p;
}

static const store_field status_field = {.column = COLUMN_STATUS};
static const store_field type_field = {.column = COLUMN_TYPE};
static const store_field keyword_field = {.column = COLUMN_ATTRIBUTE, .attribute = KEYWORD};

static void any_status(bench *b, store_query *q) {
  random_place(b, q);
  q->where = equals(b, status_field, VALUE_OF_INT(2 + (int64_t)rng_below(&b->random, 6)));
}

static store_pred *any_type(bench *b) {
  span name = arena_spanf(&b->arena, "Type%d", (int)rng_below(&b->random, TYPES));
  return equals(b, type_field, VALUE_OF_TEXT(name));
}

static void page_of_type(bench *b, store_query *q) {
  random_place(b, q);
  q->where = any_type(b);
}

static store_pred *both(bench *b, store_pred *x, store_pred *y) {
  store_pred *p = arena_new(&b->arena, store_pred);
  *p = (store_pred){.op = OP_AND, .n_args = 2};
  p->args = arena_array(&b->arena, store_pred *, 2);
  p->args[0] = x;
  p->args[1] = y;
  return p;
}

static void count_failed_of_type(bench *b, store_query *q) {
  q->where = both(b, any_type(b), equals(b, status_field, VALUE_OF_INT(3)));
}

static void any_keyword(bench *b, store_query *q) {
  random_place(b, q);
  span word = keyword(&b->arena, rng_below(&b->random, KEYWORDS));
  q->where = equals(b, keyword_field, VALUE_OF_TEXT(word));
}

static void count_keyword(bench *b, store_query *q) {
  any_keyword(b, q);
  q->has_after = false;
}

static store_pred *of_rare_build(bench *b) {
  static const store_field builds = {
      .column = COLUMN_ATTRIBUTE, .attribute = BUILDS, .many = true, .unindexed = true};
  return equals(b, builds, VALUE_OF_TEXT(rare_build));
}

/* Nothing has this type and number: every record must be looked at. */
static void ask_without_end(bench *b, asked *a) {
  static const store_field events = {.column = COLUMN_HISTORY_BYTES};
  *a = (asked){.q = {.kind = QUERY_COUNT, .ns = 1, .deadline_ms = 1000}};
  a->q.where = both(b, equals(b, events, VALUE_OF_INT(-1)), of_rare_build(b));
  a->q.task.run = query_done;
  b->store->query(b->store, &a->q);
}

static void measure_commits(bench *b, const char *name, int most, bool asking) {
  times t = times_new(b, most);
  asked a = {.done = true};
  size_t queries = 0;
  while (t.n < most) {
    if (asking && a.done) {
      store_query_release(&a.q);
      ask_without_end(b, &a);
      queries++;
    }
    times_begin(&t);
    commit_runs(b, b->runs + 1, b->runs + 2);
    times_end(&t);
    b->runs++;
  }
  if (!a.done) test_env_run_until(&b->env, &a.done);
  store_query_release(&a.q);
  times_print(&t, name, queries, "");
}

static void run_all(bench *b) {
  store_query page = {.kind = QUERY_PAGE, .deadline_ms = 1000};
  store_query count = {.kind = QUERY_COUNT, .deadline_ms = 1000};
  store_query group = {.kind = QUERY_GROUP, .group = status_field, .deadline_ms = 1000};
  store_query types = {.kind = QUERY_GROUP, .group = type_field, .deadline_ms = 1000};
  store_query sorted = page;
  sorted.ordered = true;
  sorted.order = (store_field){.column = COLUMN_ATTRIBUTE, .attribute = NUMBER};
  store_query failed = count, of_type = count;
  failed.where = equals(b, status_field, VALUE_OF_INT(3));
  of_type.where = equals(b, type_field, VALUE_OF_TEXT(SPAN("Type7")));
  store_query of_build = count, of_open = count;
  of_build.where = of_rare_build(b);
  of_open.where = both(b, of_rare_build(b), equals(b, status_field, VALUE_OF_INT(1)));
  store_query rare = page;
  rare.where = equals(b, type_field, VALUE_OF_TEXT(SPAN("No such type")));
  puts(
      "query                                          p50, ms  p99, ms  cpu p50  cpu p99     "
      "found");
  measure(b, "page, all", page, b->pages, random_place);
  measure(b, "page by status", page, b->pages, any_status);
  measure(b, "page by type", page, b->pages, page_of_type);
  measure(b, "page of a type that is not there", rare, b->pages, NULL);
  measure(b, "page by custom keyword", page, b->pages, any_keyword);
  measure(b, "count, all", count, b->pages, NULL);
  measure(b, "count by status", failed, b->pages, NULL);
  measure(b, "group by status", group, b->pages, NULL);
  measure(b, "count by custom keyword", count, b->pages, count_keyword);
  measure(b, "count by type", of_type, b->pages, NULL);
  measure(b, "count by type and status", count, b->pages, count_failed_of_type);
  measure(b, "count of a build, open", of_open, b->pages, NULL);
  measure(b, "count of a build (no index)", of_build, 5, NULL);
  measure(b, "group by type (no index)", types, 5, NULL);
  measure(b, "page ordered by custom integer (no index)", sorted, 5, NULL);
  measure_commits(b, "commit of one workflow, alone", b->pages, false);
  measure_commits(b, "commit while such queries run (found: queries)", b->pages * 4, true);
}

int main(int argc, char **argv) {
  bench b = {.runs = 1000000, .pages = 500};
  const char *dir = ".";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--dir") == 0) dir = argv[i + 1];
    if (strcmp(argv[i], "--runs") == 0) b.runs = strtoll(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--pages") == 0) b.pages = (int)strtol(argv[i + 1], NULL, 10);
  }
  test_env_init(&b.env, 1);
  rng_seed(&b.random, 3);
  b.info = bytes_new(250);
  b.state = bytes_new(200);
  memset(b.info->p, 1, b.info->n);
  memset(b.state->p, 1, b.state->n);
  const char *path = arena_printf(&b.arena, "%s/list_bench.db", dir);
  store_sqlite_options o = {.path = path};
  err *e = store_sqlite_open(&o, &b.env.env, &b.arena, &b.store);
  if (e) PANIC("%s", err_text(&b.arena, e));
  double begin = wall_ms();
  fill(&b);
  printf("%lld runs written in %.1f s\n", (long long)b.runs, (wall_ms() - begin) / 1e3);
  run_all(&b);
  b.store->close(b.store);
  (void)unlink(path);
  bytes_unref(b.info);
  bytes_unref(b.state);
  arena_release(&b.arena);
  test_env_release(&b.env);
  return 0;
}

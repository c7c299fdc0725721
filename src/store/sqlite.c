#include "store/sqlite.h"

#include <pthread.h>
#include <time.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

enum {
  CHECKPOINT_PAGES = 2000,    /* under load: longer pauses and no less work with more */
  IDLE_CHECKPOINT_PAGES = 64, /* not worth a sync with fewer, until the pause is long */
  SHORT_PAUSE_MS = 5,
  LONG_PAUSE_MS = 1000,
  WAL_PAUSE_MS = 200,
};
#define WAL_CAP_BYTES (UINT64_C(256) << 20)

typedef struct sqlite_store {
  store base;
  sqlite_file file;
  sqlite_writer writer;
  sqlite_reader reader;
  sqlite_querier querier;
  bool inline_io;
  uint32_t checkpoint_pages;
  uint64_t wal_cap_bytes;

  pthread_t writer_thread, reader_thread, query_thread;
  /* Held by the reader during a load and by the querier during a query; the writer takes both to
   * empty the WAL, but waits only for loads, which are short. */
  pthread_mutex_t reading, querying;

  pthread_mutex_t mu; /* of what follows */
  pthread_cond_t writer_wake, reader_wake, query_wake;
  store_batch *batch; /* to be written */
  int64_t batch_since_ns;
  list loads;     /* of store_load.task.node */
  list queries;   /* of store_query.task.node */
  bool wal_waits; /* for a pause between queries, to be emptied */
  bool closing;
  store_stats counts; /* as of the last commit, checkpoint or load */
} sqlite_store;

static sqlite_store *self(store *s) { return CONTAINER_OF(s, sqlite_store, base); }

static int64_t monotonic_ns(void) {
  struct timespec ts;
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static uint64_t pages_in_wal(const sqlite_store *s) {
  return s->writer.wal_pages - MIN(s->writer.backfilled, s->writer.wal_pages);
}

/* --- the writer --- */

static uint64_t wal_bytes(const sqlite_store *s) {
  enum { WAL_HEADER_BYTES = 32, FRAME_HEADER_BYTES = 24 };
  if (!s->writer.wal_pages) return 0;
  return WAL_HEADER_BYTES +
         (uint64_t)s->writer.wal_pages * (FRAME_HEADER_BYTES + SQLITE_STORE_PAGE_BYTES);
}

static void publish_counts(sqlite_store *s, int64_t commit_ns) {
  sqlite3_int64 file_bytes = 0;
  sqlite3_file *f = NULL;
  (void)sqlite3_file_control(s->writer.db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
  if (f && f->pMethods) (void)f->pMethods->xFileSize(f, &file_bytes);
  (void)pthread_mutex_lock(&s->mu);
  s->counts.commits = s->writer.commits;
  s->counts.steps = s->writer.steps;
  s->counts.rows = s->writer.rows;
  s->counts.checkpoints = s->writer.checkpoints;
  s->counts.wal_bytes = wal_bytes(s);
  s->counts.file_bytes = (uint64_t)file_bytes;
  s->counts.commit_ns_total += (uint64_t)commit_ns;
  (void)pthread_mutex_unlock(&s->mu);
}

static void write_batch(sqlite_store *s, store_batch *b, int64_t since_ns) {
  sqlite_writer_apply(&s->writer, b);
  publish_counts(s, monotonic_ns() - since_ns);
  s->base.env->post(s->base.env, &b->task);
}

static void set_wal_waits(sqlite_store *s, bool waits) {
  (void)pthread_mutex_lock(&s->mu);
  s->wal_waits = waits;
  (void)pthread_mutex_unlock(&s->mu);
  if (!waits) (void)pthread_cond_signal(&s->query_wake);
}

/* Some reader was always in the way of starting the WAL anew. Commits must not wait for a query:
 * while one is under way, the next one is asked to leave a pause for another try. */
static void empty_wal(sqlite_store *s) {
  bool busy = pthread_mutex_trylock(&s->querying) != 0;
  set_wal_waits(s, busy);
  if (busy) return;
  (void)pthread_mutex_lock(&s->reading);
  sqlite_writer_truncate_wal(&s->writer);
  (void)pthread_mutex_unlock(&s->reading);
  (void)pthread_mutex_unlock(&s->querying);
}

static void checkpoint(sqlite_store *s) {
  sqlite_writer_checkpoint(&s->writer);
  if (wal_bytes(s) > s->wal_cap_bytes) empty_wal(s);
  publish_counts(s, 0);
}

/* Sleeps up to `ms` for a batch or the end. Holds s->mu. */
static void pause_ms(sqlite_store *s, int ms) {
  int64_t until = monotonic_ns() + ms * NS_PER_MS;
  struct timespec ts = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
  int rc = 0;
  while (!s->batch && !s->closing && rc == 0) {
    rc = pthread_cond_timedwait(&s->writer_wake, &s->mu, &ts);
  }
}

/* Nothing to write: what is in the WAL goes to the main file, a little at once in a short gap, the
 * rest when the gap is long. Holds s->mu, but not while it works. */
static void use_gap(sqlite_store *s) {
  static const struct {
    int ms;
    uint32_t least_pages;
  } gaps[] = {{SHORT_PAUSE_MS, IDLE_CHECKPOINT_PAGES}, {LONG_PAUSE_MS, 1}};
  for (size_t i = 0; i < ARRAY_LEN(gaps) && pages_in_wal(s) > 0; i++) {
    pause_ms(s, gaps[i].ms);
    if (s->batch || s->closing) return;
    if (pages_in_wal(s) < gaps[i].least_pages) continue;
    (void)pthread_mutex_unlock(&s->mu);
    checkpoint(s);
    (void)pthread_mutex_lock(&s->mu);
  }
  while (!s->batch && !s->closing) (void)pthread_cond_wait(&s->writer_wake, &s->mu);
}

static void *writer_main(void *arg) {
  sqlite_store *s = arg;
  (void)pthread_mutex_lock(&s->mu);
  for (;;) {
    if (!s->batch && !s->closing) use_gap(s);
    store_batch *b = s->batch;
    if (!b && s->closing) break;
    if (!b) continue;
    int64_t since_ns = s->batch_since_ns;
    s->batch = NULL;
    (void)pthread_mutex_unlock(&s->mu);
    write_batch(s, b, since_ns);
    if (pages_in_wal(s) >= s->checkpoint_pages) checkpoint(s);
    (void)pthread_mutex_lock(&s->mu);
  }
  (void)pthread_mutex_unlock(&s->mu);
  return NULL;
}

static void sqlite_commit(store *base, store_batch *b) {
  sqlite_store *s = self(base);
  int64_t since_ns = monotonic_ns();
  if (s->inline_io) {
    write_batch(s, b, since_ns);
    if (pages_in_wal(s) >= s->checkpoint_pages) checkpoint(s);
    return;
  }
  (void)pthread_mutex_lock(&s->mu);
  ASSERT(!s->batch && !s->closing);
  s->batch = b;
  s->batch_since_ns = since_ns;
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_cond_signal(
      &s->writer_wake); /* without the lock, or it wakes only to wait for it */
}

/* --- the reader --- */

static void run_load(sqlite_store *s, store_load *l) {
  (void)pthread_mutex_lock(&s->reading);
  sqlite_reader_load(&s->reader, l);
  (void)pthread_mutex_unlock(&s->reading);
  (void)pthread_mutex_lock(&s->mu);
  s->counts.loads++;
  (void)pthread_mutex_unlock(&s->mu);
  s->base.env->post(s->base.env, &l->task);
}

static void *reader_main(void *arg) {
  sqlite_store *s = arg;
  (void)pthread_mutex_lock(&s->mu);
  for (;;) {
    while (list_empty(&s->loads) && !s->closing) {
      (void)pthread_cond_wait(&s->reader_wake, &s->mu);
    }
    list_node *n = list_pop_front(&s->loads);
    if (!n) break;
    (void)pthread_mutex_unlock(&s->mu);
    run_load(s, CONTAINER_OF(n, store_load, task.node));
    (void)pthread_mutex_lock(&s->mu);
  }
  (void)pthread_mutex_unlock(&s->mu);
  return NULL;
}

static void sqlite_load(store *base, store_load *l) {
  sqlite_store *s = self(base);
  l->error = NULL;
  l->found = l->more = false;
  l->row = (store_row){0};
  l->rows = NULL;
  l->n_rows = 0;
  if (s->inline_io) {
    run_load(s, l);
    return;
  }
  (void)pthread_mutex_lock(&s->mu);
  ASSERT(!s->closing);
  list_push_back(&s->loads, &l->task.node); /* env's only once it is posted */
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_cond_signal(&s->reader_wake);
}

/* --- the querier --- */

static void run_query(sqlite_store *s, store_query *q) {
  (void)pthread_mutex_lock(&s->querying);
  sqlite_querier_run(&s->querier, q);
  (void)pthread_mutex_unlock(&s->querying);
  (void)pthread_mutex_lock(&s->mu);
  s->counts.queries++;
  (void)pthread_mutex_unlock(&s->mu);
  s->base.env->post(s->base.env, &q->task);
}

/* Leaves the writer time to empty the WAL. Holds s->mu. */
static void pause_queries(sqlite_store *s) {
  int64_t until = monotonic_ns() + WAL_PAUSE_MS * NS_PER_MS;
  struct timespec ts = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
  int rc = 0;
  while (s->wal_waits && !s->closing && rc == 0) {
    rc = pthread_cond_timedwait(&s->query_wake, &s->mu, &ts);
  }
  s->wal_waits = false;
}

static void *query_main(void *arg) {
  sqlite_store *s = arg;
  (void)pthread_mutex_lock(&s->mu);
  for (;;) {
    while (list_empty(&s->queries) && !s->closing) {
      (void)pthread_cond_wait(&s->query_wake, &s->mu);
    }
    pause_queries(s);
    list_node *n = list_pop_front(&s->queries);
    if (!n) break;
    (void)pthread_mutex_unlock(&s->mu);
    run_query(s, CONTAINER_OF(n, store_query, task.node));
    (void)pthread_mutex_lock(&s->mu);
  }
  (void)pthread_mutex_unlock(&s->mu);
  return NULL;
}

static void sqlite_query(store *base, store_query *q) {
  sqlite_store *s = self(base);
  store_query_begin(q);
  if (s->inline_io) {
    run_query(s, q);
    return;
  }
  (void)pthread_mutex_lock(&s->mu);
  ASSERT(!s->closing);
  list_push_back(&s->queries, &q->task.node);
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_cond_signal(&s->query_wake);
}

/* --- the whole --- */

static void sqlite_stats(store *base, store_stats *ret_stats) {
  sqlite_store *s = self(base);
  (void)pthread_mutex_lock(&s->mu);
  *ret_stats = s->counts;
  (void)pthread_mutex_unlock(&s->mu);
  ret_stats->syncs = atomic_load_explicit(&s->file.vfs->syncs, memory_order_relaxed);
}

static void release(sqlite_store *s) {
  sqlite_querier_release(&s->querier);
  sqlite_reader_release(&s->reader);
  sqlite_writer_release(&s->writer); /* the last connection checkpoints and removes the WAL */
  sqlite_file_close(&s->file);
  (void)pthread_cond_destroy(&s->query_wake);
  (void)pthread_cond_destroy(&s->reader_wake);
  (void)pthread_cond_destroy(&s->writer_wake);
  (void)pthread_mutex_destroy(&s->mu);
  (void)pthread_mutex_destroy(&s->reading);
  (void)pthread_mutex_destroy(&s->querying);
  mem_free(s);
}

static void sqlite_close(store *base) {
  sqlite_store *s = self(base);
  if (!s->inline_io) {
    (void)pthread_mutex_lock(&s->mu);
    s->closing = true;
    (void)pthread_cond_broadcast(&s->writer_wake);
    (void)pthread_cond_broadcast(&s->reader_wake);
    (void)pthread_cond_broadcast(&s->query_wake);
    (void)pthread_mutex_unlock(&s->mu);
    (void)pthread_join(s->writer_thread, NULL);
    (void)pthread_join(s->reader_thread, NULL);
    (void)pthread_join(s->query_thread, NULL);
  }
  release(s);
}

static void init_locks(sqlite_store *s) {
  pthread_condattr_t attr;
  (void)pthread_condattr_init(&attr);
  (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&s->writer_wake, &attr);
  (void)pthread_cond_init(&s->query_wake, &attr);
  (void)pthread_cond_init(&s->reader_wake, NULL);
  (void)pthread_condattr_destroy(&attr);
  (void)pthread_mutex_init(&s->mu, NULL);
  (void)pthread_mutex_init(&s->reading, NULL);
  (void)pthread_mutex_init(&s->querying, NULL);
}

static err *start(sqlite_store *s, const store_sqlite_options *o, arena *a) {
  TRY(sqlite_file_open(&s->file, o, a));
  TRY(sqlite_file_connect(&s->file, o, s->base.env->now_ns(s->base.env), &s->writer, &s->reader,
                          &s->querier, a));
  TRY(sqlite_get_int(s->writer.db, s->file.path,
                     "SELECT max((SELECT coalesce(max(run), 0) FROM run),"
                     " (SELECT deleted_run FROM high_water))",
                     &s->base.last_run_key, a));
  s->base.last_seq = s->writer.seq_reserved;
  publish_counts(s, 0);
  if (s->inline_io) return NULL;
  int rc = pthread_create(&s->writer_thread, NULL, writer_main, s);
  ASSERT(rc == 0);
  rc = pthread_create(&s->reader_thread, NULL, reader_main, s);
  ASSERT(rc == 0);
  rc = pthread_create(&s->query_thread, NULL, query_main, s);
  ASSERT(rc == 0);
  return NULL;
}

/* --- SQLite's memory is ours too --- */

static void *sql_malloc(int n) { return mem_alloc((size_t)n); }
static void *sql_realloc(void *p, int n) { return mem_realloc(p, (size_t)n); }
static int sql_size(void *p) { return p ? (int)mem_size(p) : 0; }
static int sql_roundup(int n) { return (n + 7) & ~7; }
static int sql_mem_init(void *arg) { return SQLITE_OK; }
static void sql_mem_shutdown(void *arg) {}

/* Refused when SQLite is already running: fine, it then uses what it has. */
static void configure_sqlite(void) {
  static const sqlite3_mem_methods memory = {
      .xMalloc = sql_malloc,
      .xFree = mem_free,
      .xRealloc = sql_realloc,
      .xSize = sql_size,
      .xRoundup = sql_roundup,
      .xInit = sql_mem_init,
      .xShutdown = sql_mem_shutdown,
  };
  (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
  /* Its counters cost a mutex at every allocation. */
  (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

err *store_sqlite_open(const store_sqlite_options *o, env *e, arena *a, store **ret_store) {
  configure_sqlite();
  sqlite_store *s = mem_new(sqlite_store);
  s->base = (store){.env = e,
                    .commit = sqlite_commit,
                    .load = sqlite_load,
                    .query = sqlite_query,
                    .stats = sqlite_stats,
                    .close = sqlite_close};
  s->inline_io = o->inline_io;
  s->checkpoint_pages = o->checkpoint_pages ? o->checkpoint_pages : CHECKPOINT_PAGES;
  s->wal_cap_bytes = o->wal_cap_bytes ? o->wal_cap_bytes : WAL_CAP_BYTES;
  list_init(&s->loads);
  list_init(&s->queries);
  init_locks(s);
  err *failure = start(s, o, a);
  if (failure) {
    release(s);
    return failure;
  }
  *ret_store = &s->base;
  return NULL;
}

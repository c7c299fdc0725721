#include "store/sqlite.h"

#include <pthread.h>
#include <time.h>

#include "base/mem.h"
#include "store/commit_log.h"

enum {
  CHECKPOINT_PAGES = 2000,    /* under load: longer pauses and no less work with more */
  IDLE_CHECKPOINT_PAGES = 64, /* not worth a sync with fewer, until the pause is long */
  FLUSH_ROWS = 256,           /* between two batches, while a flush is under way */
  FLUSH_AGE_MS = 500,         /* what is committed is in tables after so long */
  FLUSH_RETRY_MS = 1000,
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
  uint64_t wal_cap_bytes, flush_bytes;

  pthread_t writer_thread, reader_thread, query_thread;
  /* Held by the reader during a load and by the querier during a query; the writer takes both to
   * empty the WAL, but waits only for loads, which are short. */
  pthread_mutex_t reading, querying;

  pthread_mutex_t mu; /* of what follows */
  pthread_cond_t writer_wake, reader_wake, query_wake, flushed;
  store_batch *batch; /* to be written */
  int64_t batch_since_ns;
  int64_t last_commit, in_tables; /* as the writer has them */
  int64_t wanted;                 /* some reader waits until this commit is in tables */
  uint64_t failed_flushes;
  err_code failure_code; /* of the last one */
  char *failure;
  list loads;         /* of store_load.task.node */
  list queries;       /* of store_query.task.node */
  bool wal_waits;     /* for a pause between queries, to be emptied */
  bool closing;       /* for the readers */
  bool ending;        /* for the writer, when there are no readers any more */
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

/* How far the writer is, for the other threads. */
static void publish_progress(sqlite_store *s, int64_t commit_ns) {
  sqlite3_int64 file_bytes = 0;
  sqlite3_file *f = NULL;
  (void)sqlite3_file_control(s->writer.db, "main", SQLITE_FCNTL_FILE_POINTER, &f);
  if (f && f->pMethods) (void)f->pMethods->xFileSize(f, &file_bytes);
  (void)pthread_mutex_lock(&s->mu);
  s->last_commit = s->writer.last_commit;
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
  sqlite_writer_commit(&s->writer, b, since_ns);
  publish_progress(s, monotonic_ns() - since_ns);
  s->base.env->post(s->base.env, &b->task);
}

/* Whoever waits for a flush is told how far it is. */
static void publish_flush(sqlite_store *s) {
  const err *e = s->writer.failure;
  (void)pthread_mutex_lock(&s->mu);
  s->in_tables = s->writer.in_tables;
  if (e) {
    s->failed_flushes++;
    s->failure_code = e->code;
    mem_free(s->failure);
    s->failure = mem_strdup(e->what);
    s->wanted = s->in_tables;
  }
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_cond_broadcast(&s->flushed);
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
  publish_progress(s, 0);
}

static bool must_flush(const sqlite_store *s) { return s->wanted > s->in_tables; }

static bool is_flushing(const sqlite_store *s) { return s->writer.flushing && !s->writer.failure; }

/* In the writer's thread only, like what follows. */
static bool flush_is_due(const sqlite_store *s) {
  const sqlite_writer *w = &s->writer;
  if (!w->open->first) return false;
  return (uint64_t)commit_log_bytes(w->log) >= s->flush_bytes ||
         monotonic_ns() - w->open_since_ns >= FLUSH_AGE_MS * NS_PER_MS;
}

/* Some of what is committed goes to the tables, or all of it. */
static void flush(sqlite_store *s, bool all) {
  sqlite_writer *w = &s->writer;
  if (all) {
    (void)sqlite_writer_flush_all(w);
  } else if (flush_is_due(s) && !is_flushing(s)) {
    (void)sqlite_writer_begin_flush(w);
  } else if (w->flushing) {
    (void)sqlite_writer_flush_some(w, flush_is_due(s) ? SIZE_MAX : FLUSH_ROWS);
  } else {
    return;
  }
  publish_flush(s);
}

/* --- the writer's thread --- */

static bool has_work(const sqlite_store *s) {
  return s->batch || must_flush(s) || s->ending || is_flushing(s);
}

/* Sleeps up to `ms` for work. Holds s->mu. */
static void pause_ms(sqlite_store *s, int64_t ms) {
  int64_t until = monotonic_ns() + ms * NS_PER_MS;
  struct timespec ts = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
  int rc = 0;
  while (!has_work(s) && rc == 0) {
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
    if (has_work(s)) return;
    if (pages_in_wal(s) < gaps[i].least_pages) continue;
    (void)pthread_mutex_unlock(&s->mu);
    checkpoint(s);
    (void)pthread_mutex_lock(&s->mu);
  }
  while (!has_work(s)) (void)pthread_cond_wait(&s->writer_wake, &s->mu);
}

/* Until there is something to do. Holds s->mu, but not while it works. */
static void wait_for_work(sqlite_store *s) {
  if (has_work(s)) return;
  if (s->writer.failure) {
    pause_ms(s, FLUSH_RETRY_MS);
  } else if (s->writer.open->first) {
    int64_t age_ms = (monotonic_ns() - s->writer.open_since_ns) / NS_PER_MS;
    if (age_ms < FLUSH_AGE_MS) pause_ms(s, FLUSH_AGE_MS - age_ms);
  } else {
    use_gap(s);
  }
}

static void *writer_main(void *arg) {
  sqlite_store *s = arg;
  (void)pthread_mutex_lock(&s->mu);
  for (;;) {
    wait_for_work(s);
    store_batch *b = s->batch;
    int64_t since_ns = s->batch_since_ns;
    bool all = must_flush(s);
    if (!b && s->ending) break;
    s->batch = NULL;
    (void)pthread_mutex_unlock(&s->mu);
    if (b) write_batch(s, b, since_ns);
    flush(s, all);
    if (pages_in_wal(s) >= s->checkpoint_pages && !s->writer.next) checkpoint(s);
    (void)pthread_mutex_lock(&s->mu);
  }
  (void)pthread_mutex_unlock(&s->mu);
  return NULL;
}

static void commit_inline(sqlite_store *s, store_batch *b, int64_t since_ns) {
  write_batch(s, b, since_ns);
  flush(s, flush_is_due(s));
  if (pages_in_wal(s) >= s->checkpoint_pages) checkpoint(s);
}

static void sqlite_commit(store *base, store_batch *b) {
  sqlite_store *s = self(base);
  int64_t since_ns = monotonic_ns();
  if (s->inline_io) {
    commit_inline(s, b, since_ns);
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

/* When this returns NULL, the tables have all that was committed before. */
static err *wait_for_tables(sqlite_store *s, arena *a) {
  if (s->inline_io) flush(s, true);
  (void)pthread_mutex_lock(&s->mu);
  int64_t want = s->last_commit;
  uint64_t failed = s->failed_flushes;
  if (want > s->in_tables && !s->inline_io) {
    s->wanted = MAX(s->wanted, want);
    (void)pthread_cond_signal(&s->writer_wake);
    while (want > s->in_tables && s->failed_flushes == failed) {
      (void)pthread_cond_wait(&s->flushed, &s->mu);
    }
  }
  err *e = want <= s->in_tables
               ? NULL
               : err_make(a, HERE, s->failure_code, NULL,
                          "what was committed last cannot be read yet: %s", s->failure);
  (void)pthread_mutex_unlock(&s->mu);
  return e;
}

/* Whether the tables are enough for this load as they are. */
static bool is_settled(sqlite_store *s, const store_load *l) {
  switch (l->kind) {
    case LOAD_RUN:
    case LOAD_HISTORY:
    case LOAD_ATTEMPTS:
      return !sqlite_writer_touches(&s->writer, l->run);
    default:
      return false;
  }
}

static void run_load(sqlite_store *s, store_load *l) {
  if (!is_settled(s, l)) l->error = wait_for_tables(s, &l->arena);
  if (!l->error) {
    (void)pthread_mutex_lock(&s->reading);
    sqlite_reader_load(&s->reader, l);
    (void)pthread_mutex_unlock(&s->reading);
  }
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
  q->error = wait_for_tables(s, &q->arena);
  if (!q->error) {
    (void)pthread_mutex_lock(&s->querying);
    sqlite_querier_run(&s->querier, q);
    (void)pthread_mutex_unlock(&s->querying);
  }
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
  mem_free(s->failure);
  sqlite_writer_release(&s->writer); /* the last connection checkpoints and removes the WAL */
  sqlite_file_close(&s->file);
  (void)pthread_cond_destroy(&s->query_wake);
  (void)pthread_cond_destroy(&s->reader_wake);
  (void)pthread_cond_destroy(&s->writer_wake);
  (void)pthread_cond_destroy(&s->flushed);
  (void)pthread_mutex_destroy(&s->mu);
  (void)pthread_mutex_destroy(&s->reading);
  (void)pthread_mutex_destroy(&s->querying);
  mem_free(s);
}

/* The writer goes last: readers may wait for it. */
static void end_threads(sqlite_store *s) {
  (void)pthread_mutex_lock(&s->mu);
  s->closing = true;
  (void)pthread_cond_broadcast(&s->reader_wake);
  (void)pthread_cond_broadcast(&s->query_wake);
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_join(s->reader_thread, NULL);
  (void)pthread_join(s->query_thread, NULL);
  (void)pthread_mutex_lock(&s->mu);
  s->ending = true;
  (void)pthread_cond_broadcast(&s->writer_wake);
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_join(s->writer_thread, NULL);
}

static void sqlite_close(store *base) {
  sqlite_store *s = self(base);
  if (!s->inline_io) end_threads(s);
  sqlite_writer_finish(&s->writer);
  release(s);
}

static void init_locks(sqlite_store *s) {
  pthread_condattr_t attr;
  (void)pthread_condattr_init(&attr);
  (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&s->writer_wake, &attr);
  (void)pthread_cond_init(&s->query_wake, &attr);
  (void)pthread_cond_init(&s->reader_wake, NULL);
  (void)pthread_cond_init(&s->flushed, NULL);
  (void)pthread_condattr_destroy(&attr);
  (void)pthread_mutex_init(&s->mu, NULL);
  (void)pthread_mutex_init(&s->reading, NULL);
  (void)pthread_mutex_init(&s->querying, NULL);
}

static err *start(sqlite_store *s, const store_sqlite_options *o, arena *a) {
  TRY(sqlite_file_open(&s->file, o, a));
  TRY(sqlite_file_connect(&s->file, o, s->base.env->now_ns(s->base.env), &s->writer, &s->reader,
                          &s->querier, a));
  s->base.last_run_key = s->writer.largest_run;
  s->in_tables = s->writer.in_tables;
  s->base.last_seq = s->writer.seq_reserved;
  publish_progress(s, 0);
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
  s->flush_bytes = (uint64_t)s->checkpoint_pages * SQLITE_STORE_PAGE_BYTES / 8;
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

/* sqlite_int.h - the parts of the SQLite store, for its own files only.
 *
 *   sqlite.c         the store: two threads, their queues, close
 *   sqlite_open.c    lock, checks of what is there, pragmas
 *   sqlite_schema.c  tables and migrations
 *   sqlite_commit.c  batches: their steps are checked and go to the commit log and the overlay
 *   sqlite_flush.c   from the overlay to the tables
 *   sqlite_write.c   statements for each kind of row, checkpoints
 *   sqlite_read.c    loads
 *   sqlite_visible.c what lists see, as it is written
 *   sqlite_query.c   lists
 *   sqlite_vfs.c     SQLite's door to the disk: counts syncs, and dies of one that fails
 */
#ifndef PERDURE_STORE_SQLITE_INT_H
#define PERDURE_STORE_SQLITE_INT_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/overlay.h"
#include "store/sqlite.h"

enum {
  SQLITE_STORE_APPLICATION_ID = 0x50445552, /* "PDUR" */
  SQLITE_STORE_PAGE_BYTES = 4096,
  SQLITE_STORE_SEQ_RESERVE = 1 << 26, /* seqs that one write of high_water covers */
};

/* The current run of a workflow id: its newest, if it is not hidden. */
#define SQLITE_CURRENT_RUN(ns, workflow_id)                             \
  "SELECT run FROM workflow WHERE run = (SELECT max(run) FROM workflow" \
  " WHERE ns = " ns " AND workflow_id = " workflow_id ") AND ns = " ns  \
  " AND workflow_id = " workflow_id " AND NOT hidden"

/* --- sqlite_vfs.c --- */

typedef struct sqlite_vfs {
  sqlite3_vfs vfs; /* registered under a name of its own */
  sqlite3_vfs *base;
  char name[32];
  atomic_uint_fast64_t syncs;
  void (*on_sync_failure)(void *arg);
  void *on_sync_failure_arg;
} sqlite_vfs;

/* NULL when `base_name` is not registered. */
sqlite_vfs *sqlite_vfs_new(const char *base_name, void (*on_sync_failure)(void *arg), void *arg);
void sqlite_vfs_free(sqlite_vfs *v);

/* Opens a file below SQLite. `flags` as for xOpen; `full_path` from sqlite3_create_filename when
 * it is a main database. NULL if it cannot be opened. */
bool sqlite_vfs_exists(sqlite_vfs *v, const char *full_path);
sqlite3_file *sqlite_vfs_open_raw(sqlite_vfs *v, const char *full_path, int flags);
void sqlite_vfs_close_raw(sqlite3_file *f);

/* --- sqlite_write.c --- */

typedef enum sqlite_write_stmt {
  W_BEGIN,
  W_COMMIT,
  W_ROLLBACK,
  W_RUN_INSERT,
  W_RUN_UPDATE,
  W_RUN_DELETE,
  W_RUN_HIDE_OLDER,
  W_RUN_DELETE_NAME,
  W_RUN_DELETE_ITEMS,
  W_RUN_DELETE_HISTORY,
  W_RUN_DELETE_ATTEMPTS,
  W_HIGH_WATER_RUN,
  W_HIGH_WATER_SEQ,
  W_ITEM_PUT,
  W_ITEM_DELETE,
  W_HISTORY_ADD,
  W_CURRENT_PUT,
  W_CURRENT_GET,
  W_RUN_FACTS,
  W_RUN_NAME,
  W_LAST_COMMIT,
  W_MISFIT_ADD,
  W_ATTEMPT_PUT,
  W_ATTEMPT_DELETE,
  W_NAMED_PUT,
  W_NAMED_DELETE,
  W_VISIBLE_ADD,
  W_VISIBLE_CLOSE,
  W_VISIBLE_ATTRIBUTES,
  W_VISIBLE_GET,
  W_VISIBLE_DELETE,
  W_VISIBLE_COUNT,
  W_ATTRIBUTE_ADD,
  W_ATTRIBUTE_DELETE,
  W_COUNT,
} sqlite_write_stmt;

/* How much a number of records changes with the transaction under way. */
typedef struct sqlite_count {
  int64_t ns;
  int32_t status;
  int64_t by;
} sqlite_count;

struct commit_log;

/* What is committed is in the log (a private store has none) and in `open`; when that is large or
 * old enough it becomes `flushing`, whose rows go to the tables in one transaction, a few at a
 * time, while the next commits gather in a new one. */
typedef struct sqlite_writer {
  const char *path;
  sqlite3 *db;
  sqlite3_stmt *st[W_COUNT];
  hash_key key;
  struct commit_log *log;
  arena batch_scratch; /* of the batch at hand */
  int64_t last_commit; /* number of the newest */
  int64_t in_tables;   /* and of the newest that is in tables */
  int64_t largest_run; /* that was ever committed */

  pthread_mutex_t mu; /* held while the overlays change, for sqlite_writer_touches */
  overlay *open, *flushing;
  int64_t open_since_ns; /* its first commit; monotonic */

  arena scratch;        /* of the transaction under way */
  overlay_row *next;    /* of `flushing`, to be written; NULL: the transaction is to be begun */
  sqlite_count *counts; /* of the transaction under way */
  size_t n_counts, cap_counts;
  int64_t seq_reserved; /* high_water.seq, committed */
  bool wal_synced;      /* since the last flush */
  arena failure_arena;
  err *failure; /* of the last flush; NULL: it did not fail */

  uint32_t wal_pages;  /* in the WAL after the last transaction */
  uint32_t backfilled; /* of them, already in the main file */
  uint64_t commits, steps, rows, checkpoints;
  bool checkpoint_failing;
} sqlite_writer;

MUST_USE err *sqlite_writer_prepare(sqlite_writer *w, arena *a);
void sqlite_writer_release(sqlite_writer *w);
/* SQLITE_NOTFOUND: a run that is to be updated is not there. */
int sqlite_write_row(sqlite_writer *w, const store_row *r);
/* Moves what it can from the WAL to the main file, without waiting for anyone. */
void sqlite_writer_checkpoint(sqlite_writer *w);
/* The same, and empties the WAL. No reader may be in a transaction. */
void sqlite_writer_truncate_wal(sqlite_writer *w);

/* --- sqlite_commit.c --- */

/* Sets the status of every step. */
void sqlite_writer_commit(sqlite_writer *w, store_batch *b, int64_t now_ns);

/* --- sqlite_flush.c --- */

/* Opens the log and brings what it holds to the tables. `v` NULL: of a private store, not written.
 */
MUST_USE err *sqlite_writer_recover(sqlite_writer *w, sqlite_vfs *v, bool sync, arena *a);
/* After the last commit: everything to the tables, the log removed. */
void sqlite_writer_finish(sqlite_writer *w);
/* `open` is now `flushing`; what was is finished first. false: see w->failure. */
bool sqlite_writer_begin_flush(sqlite_writer *w);
/* Writes up to so many rows of `flushing`; true when nothing of it is left. After a failure
 * (w->failure) nothing of it is in tables, and the next call begins again. */
bool sqlite_writer_flush_some(sqlite_writer *w, size_t n_rows);
/* Everything that is pending; false: see w->failure. */
bool sqlite_writer_flush_all(sqlite_writer *w);
/* Whether a read of this run would miss something in the tables. Any thread. */
bool sqlite_writer_touches(sqlite_writer *w, int64_t run);

/* --- sqlite_visible.c --- */

/* These return SQLite's codes. The counts of a transaction begin with it and are written last. */
int sqlite_visible_put(sqlite_writer *w, const store_row *r);
int sqlite_visible_delete(sqlite_writer *w, int64_t run);
void sqlite_counts_begin(sqlite_writer *w);
int sqlite_counts_write(sqlite_writer *w);

/* --- sqlite_read.c --- */

typedef enum sqlite_read_stmt {
  R_BEGIN,
  R_COMMIT,
  R_RUN,
  R_ITEMS,
  R_CURRENT,
  R_HISTORY,
  R_DUE_RUNS,
  R_DUE_ITEMS,
  R_QUEUE_RUNS,
  R_QUEUE_ITEMS,
  R_ATTEMPTS,
  R_NAMED,
  R_BACKLOG,
  R_COUNT,
} sqlite_read_stmt;

typedef struct sqlite_reader {
  const char *path;
  sqlite3 *db;
  sqlite3_stmt *st[R_COUNT];
  uint64_t loads;
} sqlite_reader;

MUST_USE err *sqlite_reader_prepare(sqlite_reader *r, arena *a);
void sqlite_reader_release(sqlite_reader *r);
/* Fills in the results, or l->error. */
void sqlite_reader_load(sqlite_reader *r, store_load *l);

/* --- sqlite_query.c --- */

typedef struct sqlite_querier {
  const char *path;
  sqlite3 *db;
  int64_t until_ns; /* of the query at hand, monotonic; INT64_MAX: no deadline */
} sqlite_querier;

/* Functions that queries use. */
MUST_USE err *sqlite_querier_prepare(sqlite_querier *q, arena *a);
void sqlite_querier_release(sqlite_querier *q);
/* Fills in the results, or s->error. */
void sqlite_querier_run(sqlite_querier *q, store_query *s);

/* --- sqlite_schema.c --- */

/* A new, empty file gets the schema; an older one is migrated; anything else is an error. */
MUST_USE err *sqlite_schema_check(sqlite3 *db, const char *path, arena *a);
MUST_USE err *sqlite_schema_migrate(sqlite3 *db, const char *path, int64_t now_ns, arena *a);

/* --- sqlite_open.c --- */

typedef struct sqlite_file {
  char *path;      /* full */
  char *lock_path; /* NULL when there is no lock */
  int lock_fd;
  sqlite_vfs *vfs;
  bool private_file;
  bool has_names; /* a private file that is not yet unlinked */
} sqlite_file;

MUST_USE err *sqlite_file_open(sqlite_file *f, const store_sqlite_options *o, arena *a);
/* Opens the connections: the writer first, since it recovers. */
MUST_USE err *sqlite_file_connect(sqlite_file *f, const store_sqlite_options *o, int64_t now_ns,
                                  sqlite_writer *w, sqlite_reader *r, sqlite_querier *q, arena *a);
void sqlite_file_close(sqlite_file *f);

/* --- shared --- */

/* Steps once; SQLITE_OK whether or not there was a row. */
static inline int sqlite_run(sqlite3_stmt *st) {
  int rc = sqlite3_step(st);
  (void)sqlite3_reset(st);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static inline void sqlite_bind_int(sqlite3_stmt *st, int at, int64_t v) {
  (void)sqlite3_bind_int64(st, at, v);
}

/* Borrowed until the statement is reset. */
static inline void sqlite_bind_text(sqlite3_stmt *st, int at, span s) {
  (void)sqlite3_bind_text64(st, at, s.p ? (const char *)s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

void sqlite_bind_value(sqlite3_stmt *st, int at, const store_value *v);

/* What SQLite's last error on this connection means for a person. */
err *sqlite_error(arena *a, const char *where, sqlite3 *db, int rc, const char *path);
#define SQLITE_ERROR_AT(a, db, rc, path) sqlite_error((a), HERE, (db), (rc), (path))

MUST_USE err *sqlite_prepare_all(sqlite3 *db, const char *path, const char *const *sql, size_t n,
                                 sqlite3_stmt **ret_stmts, arena *a);
void sqlite_finalize_all(sqlite3_stmt **stmts, size_t n);
MUST_USE err *sqlite_exec(sqlite3 *db, const char *path, const char *sql, arena *a);
/* First column of the first row; 0 when there is none. */
MUST_USE err *sqlite_get_int(sqlite3 *db, const char *path, const char *sql, int64_t *ret_value,
                             arena *a);

#endif

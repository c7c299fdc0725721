#include "store/commit_log.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

/* SQLite's file system takes no more at once than a bit over this. */
enum { CHUNK_BYTES = 1 << 16 };

typedef struct file_head {
  char magic[8];
  int64_t database;
  uint64_t epoch, sum;
} file_head;

typedef struct record_head {
  uint64_t sum, size;
  int64_t number;
} record_head;

static const char magic[8] = {'P', 'D', 'U', 'R', 'L', 'O', 'G', '1'};

typedef struct log_file {
  char *path;
  sqlite3_file *file; /* NULL: not there */
  uint64_t epoch;     /* 0: nothing in it */
} log_file;

struct commit_log {
  sqlite_vfs *vfs;
  int64_t database;
  bool sync;
  log_file files[2];
  log_file *current;
  uint64_t epoch; /* the largest */
  int64_t end;    /* of the current file; 0: it is yet to be begun */
  buf record;     /* head and content */
};

static uint64_t head_sum(const file_head *h) { return XXH3_64bits(h, offsetof(file_head, sum)); }

static uint64_t record_sum(uint64_t epoch, span record) {
  size_t skip = offsetof(record_head, size);
  return XXH3_64bits_withSeed(record.p + skip, record.n - skip, epoch);
}

/* --- opening --- */

static err *open_file(commit_log *l, log_file *f, arena *a) {
  if (!sqlite_vfs_exists(l->vfs, f->path)) return NULL;
  f->file = sqlite_vfs_open_raw(l->vfs, f->path, SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE);
  if (!f->file) return SQLITE_ERROR_AT(a, NULL, SQLITE_CANTOPEN, f->path);
  file_head h = {0};
  int rc = f->file->pMethods->xRead(f->file, &h, sizeof h, 0);
  if (rc == SQLITE_IOERR_SHORT_READ) return NULL;
  if (rc != SQLITE_OK) return SQLITE_ERROR_AT(a, NULL, rc, f->path);
  if (memcmp(h.magic, magic, sizeof magic) != 0 || h.sum != head_sum(&h)) return NULL;
  if (h.database != l->database) {
    return ERR(
        a, FAILED_PRECONDITION,
        "%s holds commits of another database than the one beside it; both were left as they "
        "are. If that database was deleted on purpose, remove %s; otherwise bring it back",
        f->path, f->path);
  }
  f->epoch = h.epoch;
  return NULL;
}

err *commit_log_open(sqlite_vfs *v, const char *path, int64_t database, bool sync, arena *a,
                     commit_log **ret_log) {
  commit_log *l = mem_new(commit_log);
  l->vfs = v;
  l->database = database;
  l->sync = sync;
  for (int i = 0; i < 2 && v; i++) {
    l->files[i].path = mem_strdup(arena_printf(a, "%s-log%d", path, i));
    err *e = open_file(l, &l->files[i], a);
    if (!e) continue;
    commit_log_close(l, true);
    return e;
  }
  l->epoch = MAX(l->files[0].epoch, l->files[1].epoch);
  l->current = &l->files[l->epoch && l->files[0].epoch == l->epoch];
  *ret_log = l;
  return NULL;
}

void commit_log_close(commit_log *l, bool needed) {
  if (!l) return;
  for (int i = 0; i < 2; i++) {
    log_file *f = &l->files[i];
    if (f->file) sqlite_vfs_close_raw(f->file);
    if (f->file && !needed) (void)l->vfs->vfs.xDelete(&l->vfs->vfs, f->path, 0);
    mem_free(f->path);
  }
  buf_release(&l->record);
  mem_free(l);
}

/* --- reading --- */

typedef struct replay {
  int64_t last; /* number of the record before */
  commit_log_visit *visit;
  void *arg;
  arena *a;
} replay;

static err *replay_record(replay *r, const log_file *f, int64_t number, span content) {
  if (number <= r->last) return NULL;
  if (number != r->last + 1) {
    return ERR(r->a, DATA_LOSS,
               "%s begins with commit %lld, but the database beside it ends with %lld: it is older "
               "than its log. Bring back the database that belongs to it, or remove the log if the "
               "older state is wanted",
               f->path, (long long)number, (long long)r->last);
  }
  TRY(r->visit(r->arg, number, content));
  r->last = number;
  return NULL;
}

static err *replay_file(const log_file *f, span all, replay *r) {
  for (size_t at = sizeof(file_head); at + sizeof(record_head) <= all.n;) {
    record_head h;
    memcpy(&h, all.p + at, sizeof h);
    if (h.size > all.n - at - sizeof h) break;
    size_t n = sizeof h + (size_t)h.size;
    if (h.sum != record_sum(f->epoch, span_of(all.p + at, n))) break;
    TRY(replay_record(r, f, h.number, span_of(all.p + at + sizeof h, (size_t)h.size)));
    at += n;
  }
  return NULL;
}

static err *read_file(const log_file *f, buf *ret_all, arena *a) {
  sqlite3_int64 size = 0;
  int rc = f->file->pMethods->xFileSize(f->file, &size);
  while (rc == SQLITE_OK && (sqlite3_int64)ret_all->n < size) {
    int n = (int)MIN(size - (sqlite3_int64)ret_all->n, CHUNK_BYTES);
    rc = f->file->pMethods->xRead(f->file, buf_reserve(ret_all, (size_t)n), n,
                                  (sqlite3_int64)ret_all->n);
    ret_all->n += (size_t)n;
  }
  return rc == SQLITE_OK ? NULL : SQLITE_ERROR_AT(a, NULL, rc, f->path);
}

err *commit_log_replay(commit_log *l, int64_t after, commit_log_visit *visit, void *arg, arena *a) {
  replay r = {.last = after, .visit = visit, .arg = arg, .a = a};
  bool swapped = l->files[0].epoch > l->files[1].epoch;
  for (int i = 0; i < 2; i++) {
    const log_file *f = &l->files[swapped ? 1 - i : i];
    if (!f->epoch) continue;
    buf all = BUF_INIT;
    err *e = read_file(f, &all, a);
    if (!e) e = replay_file(f, buf_span(&all), &r);
    buf_release(&all);
    if (e) return e;
  }
  return NULL;
}

/* --- writing --- */

buf *commit_log_content(commit_log *l) {
  buf_clear(&l->record);
  record_head none = {0};
  buf_add(&l->record, span_of(&none, sizeof none));
  return &l->record;
}

static int begin_file(commit_log *l) {
  log_file *f = l->current;
  if (!f->file) {
    f->file = sqlite_vfs_open_raw(l->vfs, f->path,
                                  SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!f->file) return SQLITE_CANTOPEN;
  }
  file_head h = {.database = l->database, .epoch = l->epoch + 1};
  memcpy(h.magic, magic, sizeof magic);
  h.sum = head_sum(&h);
  int rc = f->file->pMethods->xWrite(f->file, &h, sizeof h, 0);
  if (rc != SQLITE_OK) return rc;
  f->epoch = ++l->epoch;
  l->end = sizeof h;
  return SQLITE_OK;
}

/* What was written of a record that failed must not be found after a crash. If this fails too, the
 * next record overwrites it. */
static void unwrite(commit_log *l) {
  static const record_head none;
  sqlite3_file *f = l->current->file;
  (void)f->pMethods->xWrite(f, &none, sizeof none, l->end);
}

span commit_log_appended(const commit_log *l) {
  return span_of(l->record.p + sizeof(record_head), l->record.n - sizeof(record_head));
}

static int write_record(const commit_log *l) {
  sqlite3_file *f = l->current->file;
  int rc = SQLITE_OK;
  for (size_t at = 0; rc == SQLITE_OK && at < l->record.n; at += CHUNK_BYTES) {
    int n = (int)MIN(l->record.n - at, (size_t)CHUNK_BYTES);
    rc = f->pMethods->xWrite(f, l->record.p + at, n, l->end + (int64_t)at);
  }
  return rc != SQLITE_OK || !l->sync
             ? rc
             : f->pMethods->xSync(f, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

int commit_log_append(commit_log *l, int64_t number) {
  if (!l->vfs) {
    l->end += (int64_t)l->record.n;
    return SQLITE_OK;
  }
  if (!l->end) {
    int rc = begin_file(l);
    if (rc != SQLITE_OK) return rc;
  }
  record_head h = {.size = l->record.n - sizeof h, .number = number};
  memcpy(l->record.p, &h, sizeof h);
  h.sum = record_sum(l->current->epoch, buf_span(&l->record));
  memcpy(l->record.p, &h, sizeof h);
  int rc = write_record(l);
  if (rc != SQLITE_OK) {
    unwrite(l);
    return rc;
  }
  l->end += (int64_t)l->record.n;
  return SQLITE_OK;
}

bool commit_log_is_synced(const commit_log *l) { return l->vfs && l->sync; }

int64_t commit_log_bytes(const commit_log *l) { return l->end; }

void commit_log_switch(commit_log *l) {
  l->current = l->current == &l->files[0] ? &l->files[1] : &l->files[0];
  l->end = 0;
}

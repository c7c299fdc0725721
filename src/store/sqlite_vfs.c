#include <stdio.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

/* A file of ours, followed in memory by the file of the VFS below. */
typedef struct vfs_file {
  sqlite3_file file;
  sqlite_vfs *vfs;
  const char *name;                  /* NULL for a temporary file */
  _Alignas(int64_t) uint8_t below[]; /* SQLite promises no more for its files */
} vfs_file;

static vfs_file *self(sqlite3_file *f) { return CONTAINER_OF(f, vfs_file, file); }
static sqlite3_file *below(sqlite3_file *f) { return (sqlite3_file *)(void *)self(f)->below; }
static sqlite_vfs *vfs_of(sqlite3_vfs *v) { return CONTAINER_OF(v, sqlite_vfs, vfs); }

/* What was not synced may be lost while the page cache still shows it, so nothing may be
 * acknowledged or even read any more. The next start rewrites the WAL from what it can read. */
static int sync_failed(sqlite_vfs *v, const char *name, int rc) {
  if (v->on_sync_failure) {
    v->on_sync_failure(v->on_sync_failure_arg);
    return rc;
  }
  PANIC(
      "the disk failed to make %s durable (%s). Stopping at once; nothing unsafe was acknowledged. "
      "Check the disk, then start again",
      name ? name : "a temporary file", sqlite3_errstr(rc));
}

static int file_sync(sqlite3_file *f, int flags) {
  vfs_file *s = self(f);
  atomic_fetch_add_explicit(&s->vfs->syncs, 1, memory_order_relaxed);
  int rc = below(f)->pMethods->xSync(below(f), flags);
  return rc == SQLITE_OK ? rc : sync_failed(s->vfs, s->name, rc);
}

static int file_close(sqlite3_file *f) { return below(f)->pMethods->xClose(below(f)); }
static int file_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
  return below(f)->pMethods->xRead(below(f), p, n, at);
}
static int file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
  return below(f)->pMethods->xWrite(below(f), p, n, at);
}
static int file_truncate(sqlite3_file *f, sqlite3_int64 size) {
  return below(f)->pMethods->xTruncate(below(f), size);
}
static int file_size(sqlite3_file *f, sqlite3_int64 *ret_size) {
  return below(f)->pMethods->xFileSize(below(f), ret_size);
}
static int file_lock(sqlite3_file *f, int level) {
  return below(f)->pMethods->xLock(below(f), level);
}
static int file_unlock(sqlite3_file *f, int level) {
  return below(f)->pMethods->xUnlock(below(f), level);
}
static int file_check_lock(sqlite3_file *f, int *ret_reserved) {
  return below(f)->pMethods->xCheckReservedLock(below(f), ret_reserved);
}
static int file_control(sqlite3_file *f, int op, void *arg) {
  return below(f)->pMethods->xFileControl(below(f), op, arg);
}
static int file_sector_size(sqlite3_file *f) { return below(f)->pMethods->xSectorSize(below(f)); }
static int file_characteristics(sqlite3_file *f) {
  return below(f)->pMethods->xDeviceCharacteristics(below(f));
}
static int file_shm_map(sqlite3_file *f, int page, int page_bytes, int extend,
                        void volatile **ret_p) {
  return below(f)->pMethods->xShmMap(below(f), page, page_bytes, extend, ret_p);
}
static int file_shm_lock(sqlite3_file *f, int at, int n, int flags) {
  return below(f)->pMethods->xShmLock(below(f), at, n, flags);
}
static void file_shm_barrier(sqlite3_file *f) { below(f)->pMethods->xShmBarrier(below(f)); }
static int file_shm_unmap(sqlite3_file *f, int remove) {
  return below(f)->pMethods->xShmUnmap(below(f), remove);
}

/* Version 2: no memory-mapped reads, which would turn an I/O error into SIGBUS. */
static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
  vfs_file *s = self(f);
  s->vfs = vfs_of(v);
  s->name = name;
  f->pMethods = NULL;
  int rc = s->vfs->base->xOpen(s->vfs->base, name, below(f), flags, ret_flags);
  /* SQLite closes a file whose methods are set, even if opening it failed. */
  if (below(f)->pMethods) f->pMethods = &file_methods;
  return rc;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_dir) {
  sqlite_vfs *s = vfs_of(v);
  int rc = s->base->xDelete(s->base, name, sync_dir);
  return rc == SQLITE_IOERR_DIR_FSYNC ? sync_failed(s, name, rc) : rc;
}
static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *ret_yes) {
  return vfs_of(v)->base->xAccess(vfs_of(v)->base, name, flags, ret_yes);
}
static int vfs_full_path(sqlite3_vfs *v, const char *name, int n, char *ret_path) {
  return vfs_of(v)->base->xFullPathname(vfs_of(v)->base, name, n, ret_path);
}
static int vfs_randomness(sqlite3_vfs *v, int n, char *ret_p) {
  return vfs_of(v)->base->xRandomness(vfs_of(v)->base, n, ret_p);
}
static int vfs_sleep(sqlite3_vfs *v, int us) {
  return vfs_of(v)->base->xSleep(vfs_of(v)->base, us);
}
static int vfs_time(sqlite3_vfs *v, double *ret_days) {
  return vfs_of(v)->base->xCurrentTime(vfs_of(v)->base, ret_days);
}
static int vfs_last_error(sqlite3_vfs *v, int n, char *ret_text) {
  return vfs_of(v)->base->xGetLastError(vfs_of(v)->base, n, ret_text);
}

sqlite_vfs *sqlite_vfs_new(const char *base_name, void (*on_sync_failure)(void *arg), void *arg) {
  static atomic_uint made;
  sqlite3_vfs *base = sqlite3_vfs_find(base_name);
  if (!base) return NULL;
  sqlite_vfs *v = mem_new(sqlite_vfs);
  v->base = base;
  v->on_sync_failure = on_sync_failure;
  v->on_sync_failure_arg = arg;
  (void)snprintf(v->name, sizeof v->name, "perdure-%u", atomic_fetch_add(&made, 1));
  v->vfs = (sqlite3_vfs){
      .iVersion = 1,
      .szOsFile = (int)sizeof(vfs_file) + base->szOsFile,
      .mxPathname = base->mxPathname,
      .zName = v->name,
      .xOpen = vfs_open,
      .xDelete = vfs_delete,
      .xAccess = vfs_access,
      .xFullPathname = vfs_full_path,
      .xRandomness = vfs_randomness,
      .xSleep = vfs_sleep,
      .xCurrentTime = vfs_time,
      .xGetLastError = vfs_last_error,
  };
  (void)sqlite3_vfs_register(&v->vfs, 0);
  return v;
}

void sqlite_vfs_free(sqlite_vfs *v) {
  if (!v) return;
  (void)sqlite3_vfs_unregister(&v->vfs);
  mem_free(v);
}

bool sqlite_vfs_exists(sqlite_vfs *v, const char *full_path) {
  int yes = 0;
  return v->base->xAccess(v->base, full_path, SQLITE_ACCESS_EXISTS, &yes) == SQLITE_OK && yes;
}

sqlite3_file *sqlite_vfs_open_raw(sqlite_vfs *v, const char *full_path, int flags) {
  sqlite3_file *f = mem_zalloc((size_t)v->vfs.szOsFile);
  int got;
  if (vfs_open(&v->vfs, full_path, f, flags, &got) == SQLITE_OK) return f;
  if (f->pMethods) (void)f->pMethods->xClose(f);
  mem_free(f);
  return NULL;
}

void sqlite_vfs_close_raw(sqlite3_file *f) {
  (void)f->pMethods->xClose(f);
  mem_free(f);
}

#include "store/simdisk.h"

#include <sqlite3.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"

enum { SECTOR_BYTES = 512, SHM_LOCKS = 8, PATH_BYTES = 128 };

/* A change since the last sync: n bytes at `at`, or with data NULL a truncation to `at`. */
typedef struct disk_write {
  list_node node;
  size_t at, n;
  uint8_t *data;
} disk_write;

typedef struct disk_file {
  list_node node;
  char name[PATH_BYTES]; /* empty: temporary, gone when it is closed */
  buf cache, durable;
  list pending;
  list handles;
  uint8_t **shm;
  int n_shm;
} disk_file;

typedef struct disk_handle {
  sqlite3_file file;
  simdisk *disk;
  disk_file *on;
  list_node node;
  int lock;
  uint16_t shm_shared, shm_exclusive; /* bit per lock */
} disk_handle;

struct simdisk {
  sqlite3_vfs vfs;
  rng random;
  list files;
  uint64_t operations, stop_at, capacity;
  uint64_t fail_sync;
  uint32_t fail_writes_per_1000;
  bool stopped;
  double days;
};

static disk_handle *handle_of(sqlite3_file *f) { return CONTAINER_OF(f, disk_handle, file); }
static simdisk *disk_of(sqlite3_vfs *v) { return CONTAINER_OF(v, simdisk, vfs); }
static disk_file *file_at(list_node *n) { return CONTAINER_OF(n, disk_file, node); }

/* False when the disk has stopped, perhaps just now. */
static bool operate(simdisk *d) {
  if (!d->stopped && d->operations++ >= d->stop_at) d->stopped = true;
  return !d->stopped;
}

/* --- images --- */

static void resize(buf *b, size_t n) {
  if (n > b->n) memset(buf_reserve(b, n - b->n), 0, n - b->n);
  b->n = n;
}

static void apply(buf *b, size_t at, const uint8_t *data, size_t n) {
  if (at + n > b->n) resize(b, at + n);
  memcpy(b->p + at, data, n);
}

static void free_write(disk_write *w) {
  list_remove(&w->node);
  mem_free(w->data);
  mem_free(w);
}

static void add_pending(disk_file *f, size_t at, const void *data, size_t n) {
  disk_write *w = mem_new(disk_write);
  w->at = at;
  w->n = n;
  if (data) w->data = memcpy(mem_alloc(n), data, n);
  list_push_back(&f->pending, &w->node);
}

static void make_durable(disk_file *f) {
  LIST_FOR_EACH (n, &f->pending) {
    disk_write *w = CONTAINER_OF(n, disk_write, node);
    if (w->data) {
      apply(&f->durable, w->at, w->data, w->n);
    } else {
      resize(&f->durable, w->at);
    }
    free_write(w);
  }
}

typedef enum survival { KEEP_NONE, KEEP_ALL, KEEP_PREFIX, KEEP_SOME, SURVIVALS } survival;

/* Sectors of one write that reached the disk. */
static void apply_torn(simdisk *d, buf *b, const disk_write *w, survival kept, bool last) {
  size_t sectors = (w->n + SECTOR_BYTES - 1) / SECTOR_BYTES;
  size_t whole = last ? rng_below(&d->random, sectors + 1) : sectors;
  for (size_t i = 0; i < sectors; i++) {
    if (kept == KEEP_PREFIX && i >= whole) break;
    if (kept == KEEP_SOME && rng_below(&d->random, 2)) continue;
    size_t at = i * SECTOR_BYTES;
    apply(b, w->at + at, w->data + at, MIN(w->n - at, (size_t)SECTOR_BYTES));
  }
}

static void lose_pending(simdisk *d, disk_file *f, survival kept) {
  size_t n = 0, i = 0;
  LIST_FOR_EACH (each, &f->pending) n++;
  size_t prefix = n ? rng_below(&d->random, n) : 0;
  LIST_FOR_EACH (each, &f->pending) {
    disk_write *w = CONTAINER_OF(each, disk_write, node);
    bool reached = kept != KEEP_NONE && (kept != KEEP_PREFIX || i <= prefix);
    if (reached && w->data) {
      apply_torn(d, &f->durable, w, kept, i == prefix);
    } else if (reached && (kept != KEEP_SOME || rng_below(&d->random, 2))) {
      resize(&f->durable, w->at);
    }
    i++;
    free_write(w);
  }
}

/* --- files --- */

static disk_file *find_file(simdisk *d, const char *name) {
  LIST_FOR_EACH (n, &d->files) {
    if (strcmp(file_at(n)->name, name) == 0) return file_at(n);
  }
  return NULL;
}

static disk_file *make_file(simdisk *d, const char *name) {
  disk_file *f = mem_new(disk_file);
  (void)snprintf(f->name, sizeof f->name, "%s", name);
  list_init(&f->pending);
  list_init(&f->handles);
  list_push_back(&d->files, &f->node);
  return f;
}

static void drop_shm(disk_file *f) {
  for (int i = 0; i < f->n_shm; i++) mem_free(f->shm[i]);
  mem_free(f->shm);
  f->shm = NULL;
  f->n_shm = 0;
}

static void free_file(disk_file *f) {
  ASSERT(list_empty(&f->handles));
  LIST_FOR_EACH (n, &f->pending) free_write(CONTAINER_OF(n, disk_write, node));
  drop_shm(f);
  buf_release(&f->cache);
  buf_release(&f->durable);
  list_remove(&f->node);
  mem_free(f);
}

static uint64_t used_bytes(simdisk *d) {
  uint64_t n = 0;
  LIST_FOR_EACH (each, &d->files) n += file_at(each)->cache.n;
  return n;
}

/* --- methods of a file --- */

static int disk_close(sqlite3_file *file) {
  disk_handle *h = handle_of(file);
  list_remove(&h->node);
  if (!h->on->name[0]) free_file(h->on);
  return SQLITE_OK;
}

static int disk_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at) {
  disk_handle *h = handle_of(file);
  const buf *b = &h->on->cache;
  if (h->disk->stopped) return SQLITE_IOERR_READ;
  size_t have = (size_t)at < b->n ? MIN(b->n - (size_t)at, (size_t)n) : 0;
  if (have) memcpy(p, b->p + at, have);
  memset((char *)p + have, 0, (size_t)n - have);
  return have == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int disk_put(sqlite3_file *file, const void *p, int n, sqlite3_int64 at) {
  disk_handle *h = handle_of(file);
  simdisk *d = h->disk;
  if (!operate(d)) return SQLITE_IOERR_WRITE;
  if (d->fail_writes_per_1000 && rng_below(&d->random, 1000) < d->fail_writes_per_1000) {
    return SQLITE_IOERR_WRITE;
  }
  size_t end = (size_t)at + (size_t)n;
  if (end > h->on->cache.n && used_bytes(d) + end - h->on->cache.n > d->capacity) {
    return SQLITE_FULL;
  }
  apply(&h->on->cache, (size_t)at, p, (size_t)n);
  add_pending(h->on, (size_t)at, p, (size_t)n);
  return SQLITE_OK;
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size) {
  disk_handle *h = handle_of(file);
  if (!operate(h->disk)) return SQLITE_IOERR_TRUNCATE;
  resize(&h->on->cache, (size_t)size);
  add_pending(h->on, (size_t)size, NULL, 0);
  return SQLITE_OK;
}

static int disk_sync(sqlite3_file *file, int flags) {
  disk_handle *h = handle_of(file);
  if (!operate(h->disk)) return SQLITE_IOERR_FSYNC;
  if (h->disk->fail_sync && --h->disk->fail_sync == 0) {
    LIST_FOR_EACH (n, &h->on->pending) free_write(CONTAINER_OF(n, disk_write, node));
    return SQLITE_IOERR_FSYNC;
  }
  make_durable(h->on);
  return SQLITE_OK;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *ret_size) {
  *ret_size = (sqlite3_int64)handle_of(file)->on->cache.n;
  return SQLITE_OK;
}

/* The strongest lock of the others. */
static int others_lock(const disk_handle *h) {
  int most = SQLITE_LOCK_NONE;
  LIST_FOR_EACH (n, &h->on->handles) {
    const disk_handle *o = CONTAINER_OF(n, disk_handle, node);
    if (o != h) most = MAX(most, o->lock);
  }
  return most;
}

static int disk_lock(sqlite3_file *file, int level) {
  disk_handle *h = handle_of(file);
  int others = others_lock(h);
  bool free = level == SQLITE_LOCK_SHARED     ? others < SQLITE_LOCK_PENDING
              : level == SQLITE_LOCK_RESERVED ? others < SQLITE_LOCK_RESERVED
                                              : others == SQLITE_LOCK_NONE;
  if (!free) return SQLITE_BUSY;
  h->lock = MAX(h->lock, level);
  return SQLITE_OK;
}

static int disk_unlock(sqlite3_file *file, int level) {
  disk_handle *h = handle_of(file);
  h->lock = MIN(h->lock, level);
  return SQLITE_OK;
}

static int disk_check_reserved(sqlite3_file *file, int *ret_reserved) {
  disk_handle *h = handle_of(file);
  *ret_reserved = MAX(h->lock, others_lock(h)) >= SQLITE_LOCK_RESERVED;
  return SQLITE_OK;
}

static int disk_control(sqlite3_file *file, int op, void *arg) { return SQLITE_NOTFOUND; }
static int disk_sector_size(sqlite3_file *file) { return SECTOR_BYTES; }
/* As the real VFS says of ordinary disks: a torn write leaves its neighbours alone. */
static int disk_characteristics(sqlite3_file *file) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

static int disk_shm_map(sqlite3_file *file, int region, int n, int extend, void volatile **ret_p) {
  disk_file *f = handle_of(file)->on;
  *ret_p = NULL;
  if (region >= f->n_shm && !extend) return SQLITE_OK;
  while (f->n_shm <= region) {
    f->shm = mem_realloc(f->shm, sizeof *f->shm * ((size_t)f->n_shm + 1));
    f->shm[f->n_shm++] = mem_zalloc((size_t)n);
  }
  *ret_p = f->shm[region];
  return SQLITE_OK;
}

static int disk_shm_lock(sqlite3_file *file, int at, int n, int flags) {
  disk_handle *h = handle_of(file);
  uint16_t mask = (uint16_t)(((1 << n) - 1) << at);
  if (flags & SQLITE_SHM_UNLOCK) {
    h->shm_shared &= (uint16_t)~mask;
    h->shm_exclusive &= (uint16_t)~mask;
    return SQLITE_OK;
  }
  bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
  LIST_FOR_EACH (each, &h->on->handles) {
    const disk_handle *o = CONTAINER_OF(each, disk_handle, node);
    if (o == h) continue;
    if ((o->shm_exclusive & mask) || (exclusive && (o->shm_shared & mask))) return SQLITE_BUSY;
  }
  *(exclusive ? &h->shm_exclusive : &h->shm_shared) |= mask;
  return SQLITE_OK;
}

static void disk_shm_barrier(sqlite3_file *file) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

static int disk_shm_unmap(sqlite3_file *file, int remove) {
  disk_handle *h = handle_of(file);
  h->shm_shared = h->shm_exclusive = 0;
  if (remove) drop_shm(h->on);
  return SQLITE_OK;
}

static const sqlite3_io_methods disk_methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_put,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_check_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector_size,
    .xDeviceCharacteristics = disk_characteristics,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

/* --- methods of the VFS --- */

static int disk_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags) {
  simdisk *d = disk_of(v);
  disk_handle *h = handle_of(file);
  *h = (disk_handle){.disk = d};
  if (d->stopped) return SQLITE_CANTOPEN;
  h->on = name ? find_file(d, name) : NULL;
  if (!h->on && name && !(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
  if (!h->on) {
    if (!operate(d)) return SQLITE_CANTOPEN;
    h->on = make_file(d, name ? name : "");
  }
  list_push_back(&h->on->handles, &h->node);
  h->file.pMethods = &disk_methods;
  if (ret_flags) *ret_flags = flags;
  return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *v, const char *name, int sync_dir) {
  simdisk *d = disk_of(v);
  disk_file *f = find_file(d, name);
  if (!f) return SQLITE_IOERR_DELETE_NOENT;
  if (!operate(d)) return SQLITE_IOERR_DELETE;
  free_file(f);
  return SQLITE_OK;
}

static int disk_access(sqlite3_vfs *v, const char *name, int flags, int *ret_yes) {
  const disk_file *f = find_file(disk_of(v), name);
  *ret_yes = f && (flags != SQLITE_ACCESS_EXISTS || f->cache.n > 0);
  return SQLITE_OK;
}

static int disk_full_path(sqlite3_vfs *v, const char *name, int n, char *ret_path) {
  return snprintf(ret_path, (size_t)n, "%s", name) < n ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int disk_randomness(sqlite3_vfs *v, int n, char *ret_p) {
  rng_fill(&disk_of(v)->random, ret_p, (size_t)n);
  return n;
}

static int disk_sleep(sqlite3_vfs *v, int us) { return us; }

static int disk_time(sqlite3_vfs *v, double *ret_days) {
  *ret_days = disk_of(v)->days += 1e-5;
  return SQLITE_OK;
}

static int disk_last_error(sqlite3_vfs *v, int n, char *ret_text) { return 0; }

/* --- the disk --- */

simdisk *simdisk_new(const char *vfs_name, uint64_t seed) {
  simdisk *d = mem_new(simdisk);
  ASSERT(!sqlite3_vfs_find(vfs_name));
  d->vfs = (sqlite3_vfs){
      .iVersion = 1,
      .szOsFile = sizeof(disk_handle),
      .mxPathname = PATH_BYTES - 1,
      .zName = mem_strdup(vfs_name),
      .xOpen = disk_open,
      .xDelete = disk_delete,
      .xAccess = disk_access,
      .xFullPathname = disk_full_path,
      .xRandomness = disk_randomness,
      .xSleep = disk_sleep,
      .xCurrentTime = disk_time,
      .xGetLastError = disk_last_error,
  };
  rng_seed(&d->random, seed);
  list_init(&d->files);
  d->stop_at = d->capacity = UINT64_MAX;
  d->days = 2460000.5;
  (void)sqlite3_vfs_register(&d->vfs, 0);
  /* SQLite's own stream of random numbers, which salts the WAL. */
  (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed & INT32_MAX) | 1, NULL);
  return d;
}

void simdisk_free(simdisk *d) {
  (void)sqlite3_vfs_unregister(&d->vfs);
  LIST_FOR_EACH (n, &d->files) free_file(file_at(n));
  mem_free((char *)(uintptr_t)d->vfs.zName);
  mem_free(d);
}

void simdisk_stop_after(simdisk *d, uint64_t operations) {
  d->stop_at = d->operations + operations;
}
void simdisk_stop(simdisk *d) { d->stopped = true; }
bool simdisk_stopped(const simdisk *d) { return d->stopped; }
uint64_t simdisk_operations(const simdisk *d) { return d->operations; }

void simdisk_restart_process(simdisk *d) {
  LIST_FOR_EACH (n, &d->files) {
    ASSERT(list_empty(&file_at(n)->handles));
    drop_shm(file_at(n));
  }
  d->stopped = false;
  d->stop_at = UINT64_MAX;
}

void simdisk_lose_power(simdisk *d) {
  survival kept = (survival)rng_below(&d->random, SURVIVALS);
  LIST_FOR_EACH (n, &d->files) {
    disk_file *f = file_at(n);
    lose_pending(d, f, kept);
    buf_clear(&f->cache);
    buf_add(&f->cache, buf_span(&f->durable));
  }
  simdisk_restart_process(d);
}

void simdisk_fail_sync(simdisk *d, uint64_t n) { d->fail_sync = n; }
void simdisk_fail_writes(simdisk *d, uint32_t per_1000) { d->fail_writes_per_1000 = per_1000; }
void simdisk_set_capacity(simdisk *d, uint64_t bytes) { d->capacity = bytes; }
uint64_t simdisk_used_bytes(const simdisk *d) { return used_bytes((simdisk *)(uintptr_t)d); }

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/sqlite_int.h"

const char *store_sqlite_version(void) { return sqlite3_libversion(); }

/* --- SQLite's answers --- */

err *sqlite_error(arena *a, const char *where, sqlite3 *db, int rc, const char *path) {
  int system_errno = db ? sqlite3_system_errno(db) : 0;
  const char *what = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  int primary = rc & 0xff;
  if (primary == SQLITE_FULL || (primary == SQLITE_IOERR && system_errno == ENOSPC)) {
    return err_make(a, where, ERR_UNAVAILABLE, NULL,
                    "the disk that holds %s is full: free some space; nothing needs a restart",
                    path);
  }
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return err_make(
          a, where, ERR_DATA_LOSS, NULL,
          "%s is damaged (%s). Restore a backup, or save what can be read with: sqlite3 "
          "%s .recover",
          path, what, path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return err_make(a, where, ERR_FAILED_PRECONDITION, NULL,
                      "%s cannot be written (%s): check that the disk is not mounted read-only and "
                      "that this user owns the file and its directory",
                      path, system_errno ? strerror(system_errno) : what);
    case SQLITE_IOERR:
      return err_make(a, where, ERR_UNAVAILABLE, NULL, "reading or writing %s failed: %s (%s)",
                      path, what, system_errno ? strerror(system_errno) : sqlite3_errstr(rc));
    case SQLITE_BUSY:
      return err_make(a, where, ERR_UNAVAILABLE, NULL,
                      "another program holds a lock on %s; close it: one file has one server",
                      path);
    default:
      return err_make(a, where, ERR_INTERNAL, NULL, "the database %s refused: %s", path, what);
  }
}

err *sqlite_prepare_all(sqlite3 *db, const char *path, const char *const *sql, size_t n,
                        sqlite3_stmt **ret_stmts, arena *a) {
  for (size_t i = 0; i < n; i++) {
    int rc = sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &ret_stmts[i], NULL);
    if (rc != SQLITE_OK) return SQLITE_ERROR_AT(a, db, rc, path);
  }
  return NULL;
}

void sqlite_finalize_all(sqlite3_stmt **stmts, size_t n) {
  for (size_t i = 0; i < n; i++) {
    (void)sqlite3_finalize(stmts[i]);
    stmts[i] = NULL;
  }
}

err *sqlite_exec(sqlite3 *db, const char *path, const char *sql, arena *a) {
  int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? NULL : SQLITE_ERROR_AT(a, db, rc, path);
}

err *sqlite_get_int(sqlite3 *db, const char *path, const char *sql, int64_t *ret_value, arena *a) {
  sqlite3_stmt *st;
  int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
  if (rc != SQLITE_OK) return SQLITE_ERROR_AT(a, db, rc, path);
  rc = sqlite3_step(st);
  int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
  err *e = rc == SQLITE_ROW || rc == SQLITE_DONE ? NULL : SQLITE_ERROR_AT(a, db, rc, path);
  (void)sqlite3_finalize(st);
  if (!e) *ret_value = value;
  return e;
}

/* --- the file system --- */

static err *check_directory(const char *path, arena *a) {
  const char *slash = strrchr(path, '/');
  const char *dir = slash == path ? "/"
                    : slash       ? arena_cstr(a, span_of(path, (size_t)(slash - path)))
                                  : ".";
  struct stat st;
  if (stat(dir, &st) != 0) {
    return ERR(a, NOT_FOUND, "cannot open %s: directory %s: %s. Create it with: mkdir -p %s", path,
               dir, strerror(errno), dir);
  }
  if (!S_ISDIR(st.st_mode)) {
    return ERR(a, FAILED_PRECONDITION, "cannot open %s: %s is not a directory", path, dir);
  }
  return NULL;
}

static err *cannot_write(const char *path, int why, arena *a) {
  if (why == ENOSPC || why == EDQUOT) {
    return ERR(a, UNAVAILABLE, "the disk that holds %s is full: free some space", path);
  }
  return ERR(
      a, FAILED_PRECONDITION,
      "%s cannot be written (%s): check that the disk is not mounted read-only and that this "
      "user owns the file and its directory",
      path, strerror(why));
}

/* The lock belongs to the open file, so it ends with the process however that ends. The holder
 * removes the file when it closes; whoever then locks a file without a name starts again. */
static err *take_lock(sqlite_file *f, arena *a) {
  for (;;) {
    int fd = open(f->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return cannot_write(f->lock_path, errno, a);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      int why = errno;
      char pid[24] = {0};
      ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
      (void)close(fd);
      if (why != EWOULDBLOCK) return cannot_write(f->lock_path, why, a);
      return ERR(
          a, FAILED_PRECONDITION,
          "%s is in use by the server with process id %s: one file has one server. Stop that "
          "one, or choose another file",
          f->path, n > 0 ? pid : "(unknown)");
    }
    struct stat mine, named;
    if (fstat(fd, &mine) == 0 && stat(f->lock_path, &named) == 0 && mine.st_ino == named.st_ino &&
        mine.st_dev == named.st_dev) {
      f->lock_fd = fd;
      break;
    }
    (void)close(fd);
  }
  char pid[24];
  int n = snprintf(pid, sizeof pid, "%ld", (long)getpid());
  if (ftruncate(f->lock_fd, 0) != 0 || pwrite(f->lock_fd, pid, (size_t)n, 0) != n) {
    return cannot_write(f->lock_path, errno, a);
  }
  return NULL;
}

/* SQLite would make it 0644; its side files take the mode of this one. */
static err *make_file(const char *path, arena *a) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return cannot_write(path, errno, a);
  struct stat st;
  bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  (void)close(fd);
  return regular ? NULL : ERR(a, FAILED_PRECONDITION, "%s is not a regular file", path);
}

static err *make_private_directory(sqlite_file *f, arena *a) {
  const char *tmp = getenv("TMPDIR");
  char *dir = (char *)(uintptr_t)arena_printf(a, "%s/perdure-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(dir)) return cannot_write(dir, errno, a);
  f->path = mem_strdup(arena_printf(a, "%s/db", dir));
  f->has_names = true;
  return NULL;
}

/* The open connections keep the files; the system frees them when the process ends, however. */
static void forget_names(sqlite_file *f) {
  static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
  arena a = ARENA_INIT;
  for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
    (void)unlink(arena_printf(&a, "%s%s", f->path, suffixes[i]));
  }
  (void)rmdir(arena_cstr(&a, span_of(f->path, strlen(f->path) - strlen("/db"))));
  arena_release(&a);
  f->has_names = false;
}

/* --- before SQLite opens the file --- */

/* Refuses a file of another kind before anything can touch it. A hot journal means that the first
 * page may be half written; then SQLite has to recover before sqlite_schema_check can tell. */
static err *check_header(sqlite_file *f, arena *a) {
  enum { HEADER_BYTES = 100, APPLICATION_ID_AT = 68 };
  if (!sqlite_vfs_exists(f->vfs, f->path) ||
      sqlite_vfs_exists(f->vfs, arena_printf(a, "%s-journal", f->path)))
    return NULL;
  sqlite3_filename name = sqlite3_create_filename(f->path, "", "", 0, NULL);
  int flags = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE;
  sqlite3_file *file = name ? sqlite_vfs_open_raw(f->vfs, name, flags) : NULL;
  sqlite3_int64 size = 0;
  uint8_t h[HEADER_BYTES] = {0};
  int rc = file ? file->pMethods->xFileSize(file, &size) : SQLITE_CANTOPEN;
  if (rc == SQLITE_OK && size > 0) {
    rc = file->pMethods->xRead(file, h, (int)MIN(size, HEADER_BYTES), 0);
  }
  if (file) sqlite_vfs_close_raw(file);
  sqlite3_free_filename(name);
  if (rc != SQLITE_OK) return SQLITE_ERROR_AT(a, NULL, rc, f->path);
  if (size == 0) return NULL;
  if (size < HEADER_BYTES || memcmp(h, "SQLite format 3", 16) != 0) {
    return ERR(
        a, FAILED_PRECONDITION,
        "%s is not a database of perdure, or its beginning is damaged; it was left as it is. "
        "Choose another file name, or restore a backup",
        f->path);
  }
  const uint8_t *id = h + APPLICATION_ID_AT;
  int64_t application = (int64_t)id[0] << 24 | id[1] << 16 | id[2] << 8 | id[3];
  if (application == SQLITE_STORE_APPLICATION_ID) return NULL;
  return ERR(a, FAILED_PRECONDITION,
             "%s is an SQLite database of another program; it was left as it is. Choose another "
             "file name",
             f->path);
}

/* If an fsync failed before the last crash, the kernel may hold pages of the WAL that it believes
 * to be clean but that never reached the disk. Writing them again makes what we are about to read
 * the truth; without it, measured power losses lost acknowledged commits in most runs. */
static err *rewrite_wal(sqlite_file *f, arena *a) {
  enum { CHUNK_BYTES = 65536 };
  const char *path = arena_printf(a, "%s-wal", f->path);
  if (!sqlite_vfs_exists(f->vfs, path)) return NULL;
  sqlite3_file *file = sqlite_vfs_open_raw(f->vfs, path, SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE);
  if (!file) return SQLITE_ERROR_AT(a, NULL, SQLITE_CANTOPEN, path);
  uint8_t *chunk = mem_alloc(CHUNK_BYTES);
  sqlite3_int64 size = 0;
  int rc = file->pMethods->xFileSize(file, &size);
  for (sqlite3_int64 at = 0; rc == SQLITE_OK && at < size; at += CHUNK_BYTES) {
    int n = (int)MIN(size - at, CHUNK_BYTES);
    rc = file->pMethods->xRead(file, chunk, n, at);
    if (rc == SQLITE_OK) rc = file->pMethods->xWrite(file, chunk, n, at);
  }
  if (rc == SQLITE_OK && size > 0) rc = file->pMethods->xSync(file, SQLITE_SYNC_FULL);
  mem_free(chunk);
  sqlite_vfs_close_raw(file);
  return rc == SQLITE_OK ? NULL : SQLITE_ERROR_AT(a, NULL, rc, path);
}

err *sqlite_file_open(sqlite_file *f, const store_sqlite_options *o, arena *a) {
  *f = (sqlite_file){.lock_fd = -1, .private_file = !o->path};
  f->vfs = sqlite_vfs_new(o->vfs, o->on_sync_failure, o->on_sync_failure_arg);
  if (!f->vfs) return ERR(a, INTERNAL, "there is no SQLite VFS named %s", o->vfs);
  if (f->private_file) {
    TRY(make_private_directory(f, a));
  } else {
    if (!o->vfs) TRY(check_directory(o->path, a));
    sqlite3_vfs *base = f->vfs->base;
    char *full = arena_alloc(a, (size_t)base->mxPathname + 1);
    int rc = base->xFullPathname(base, o->path, base->mxPathname + 1, full);
    if ((rc & 0xff) != SQLITE_OK) return ERR(a, INVALID_ARGUMENT, "%s is not a path", o->path);
    f->path = mem_strdup(full);
  }
  if (!o->vfs) {
    if (!f->private_file) {
      f->lock_path = mem_strdup(arena_printf(a, "%s-lock", f->path));
      TRY(take_lock(f, a));
    }
    TRY(make_file(f->path, a));
  }
  TRY(check_header(f, a));
  return rewrite_wal(f, a);
}

void sqlite_file_close(sqlite_file *f) {
  if (f->private_file && f->has_names) forget_names(f);
  if (f->lock_fd >= 0) {
    (void)unlink(f->lock_path);
    (void)close(f->lock_fd);
  }
  sqlite_vfs_free(f->vfs);
  mem_free(f->lock_path);
  mem_free(f->path);
}

/* --- connections --- */

static err *connect_one(sqlite_file *f, int64_t cache_bytes, sqlite3 **ret_db, arena *a) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  sqlite3 *db = NULL;
  int rc = sqlite3_open_v2(f->path, &db, flags, f->vfs->name);
  *ret_db = db; /* closed by the caller, even after an error */
  if (rc != SQLITE_OK) return SQLITE_ERROR_AT(a, db, rc, f->path);
  (void)sqlite3_extended_result_codes(db, 1);
  (void)sqlite3_busy_timeout(db, 5000);
  const char *sql =
      arena_printf(a,
                   "PRAGMA cache_size = -%lld; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = "
                   "OFF; PRAGMA foreign_keys = OFF; PRAGMA mmap_size = 0; "
                   "PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF",
                   (long long)(cache_bytes / 1024));
  return sqlite_exec(db, f->path, sql, a);
}

static err *prepare_file(sqlite_file *f, sqlite3 *db, bool sync_off, int64_t now_ns, arena *a) {
  TRY(sqlite_exec(db, f->path, sync_off ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL",
                  a));
  TRY(sqlite_schema_check(db, f->path, a));
  if (sqlite3_db_readonly(db, "main") != 0) {
    return SQLITE_ERROR_AT(a, db, SQLITE_READONLY, f->path);
  }
  int64_t application;
  TRY(sqlite_get_int(db, f->path, "PRAGMA application_id", &application, a));
  if (application == 0) {
    /* The mark goes in with the first page, so that a crash leaves nothing unrecognisable. */
    TRY(sqlite_exec(db, f->path,
                    arena_printf(a, "PRAGMA page_size = %d; PRAGMA application_id = %d",
                                 SQLITE_STORE_PAGE_BYTES, SQLITE_STORE_APPLICATION_ID),
                    a));
  }
  TRY(sqlite_exec(db, f->path, "PRAGMA journal_mode = WAL", a));
  TRY(sqlite_schema_migrate(db, f->path, now_ns, a));
  /* From here on the commit log has what the WAL may still lose. */
  return sync_off ? NULL : sqlite_exec(db, f->path, "PRAGMA synchronous = NORMAL", a);
}

/* A connection that only reads, with its side files open while they have names. */
static err *connect_reader(sqlite_file *f, int64_t cache_bytes, sqlite3 **ret_db, arena *a) {
  int64_t ignored;
  TRY(connect_one(f, cache_bytes, ret_db, a));
  TRY(sqlite_exec(*ret_db, f->path, "PRAGMA query_only = ON", a));
  return sqlite_get_int(*ret_db, f->path, "SELECT count(*) FROM high_water", &ignored, a);
}

err *sqlite_file_connect(sqlite_file *f, const store_sqlite_options *o, int64_t now_ns,
                         sqlite_writer *w, sqlite_reader *r, sqlite_querier *q, arena *a) {
  int64_t cache_bytes = o->cache_bytes ? (int64_t)o->cache_bytes : 4 << 20;
  w->path = r->path = q->path = f->path;
  TRY(connect_one(f, cache_bytes, &w->db, a));
  TRY(prepare_file(f, w->db, o->sync_off || f->private_file, now_ns, a));
  TRY(sqlite_writer_prepare(w, a));
  TRY(sqlite_writer_recover(w, f->private_file ? NULL : f->vfs, !o->sync_off, a));
  TRY(connect_reader(f, cache_bytes / 4, &r->db, a));
  TRY(sqlite_reader_prepare(r, a));
  TRY(connect_reader(f, cache_bytes, &q->db, a));
  TRY(sqlite_querier_prepare(q, a));
  if (f->private_file) forget_names(f);
  return NULL;
}

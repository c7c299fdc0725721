/* sqlite.h - the store on one SQLite file, behind a log of commits.
 *
 * One thread owns the only connection that commits and checkpoints; another reads through a
 * query_only connection. With these two rules SQLite before 3.51.3 is safe from its WAL-reset
 * defect, so no other process may write to the file: one file has one server, held by a lock file
 * (`<path>-lock`, with the process id) beside it.
 *
 * A commit is durable when it is in the log (`<path>-log0` and `-log1`, beside SQLite's `-wal` and
 * `-shm`); the tables follow. A clean end leaves `<path>` alone.
 *
 * Files are created with mode 0600. A file that is not ours, is damaged or was written by a newer
 * version is refused with a sentence that names it, and left as it is. Before SQLite opens the
 * file, its WAL is rewritten and synced: after a failed fsync the kernel may show pages that never
 * reached the disk. For the same reason a sync that fails ends the process at once.
 *
 * A full disk is not the end: steps get STORE_FAILED, loads go on (those of runs that were
 * committed just before may get UNAVAILABLE), and commits work again as soon as there is room.
 */
#ifndef PERDURE_STORE_SQLITE_H
#define PERDURE_STORE_SQLITE_H

#include "store/store.h"

typedef struct store_sqlite_options {
  const char *path;   /* NULL: a private file in $TMPDIR that has no name and is never synced */
  size_t cache_bytes; /* of the writing connection and of the one for lists; 0: 4 MiB. The reader
                         has a quarter of it. */
  uint32_t checkpoint_pages; /* of WAL between checkpoints under load; 0: 2000 */
  uint64_t wal_cap_bytes;    /* readers wait for a checkpoint when the WAL is larger; 0: 256 MiB */

  /* For simulations and tests. */
  const char *vfs; /* a registered SQLite VFS instead of the file system; no lock file then */
  bool inline_io;  /* no threads: a call does its work before it returns */
  bool sync_off;
  void (*on_sync_failure)(void *arg); /* instead of ending the process */
  void *on_sync_failure_arg;
} store_sqlite_options;

/* `a` holds the error. Takes some milliseconds; does not grow with the size of the file. */
MUST_USE err *store_sqlite_open(const store_sqlite_options *o, env *e, arena *a, store **ret_store);

/* Version of the linked SQLite library, and the newest schema this program knows. */
const char *store_sqlite_version(void);
int store_sqlite_schema_version(void);

#endif

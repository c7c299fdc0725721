/* commit_log.h - what is committed and not yet in tables: two files of records beside the database.
 *
 * A commit appends one record and syncs the file. Records are numbered one after the other. The
 * files are used in turn: when the tables durably hold what one of them says, it is written anew
 * from its beginning. A record that is not whole ends its file; it was never acknowledged.
 *
 *   file    "PDURLOG1", database, epoch, checksum; then records
 *   record  checksum (of the rest and the epoch), size, number, content
 *
 * The database's number ties the files to it; the epoch grows with every use of a file, so that
 * what is left of an earlier use is never taken for a record. Numbers are in the machine's order of
 * bytes. Every access goes through the VFS below SQLite. One thread at a time.
 */
#ifndef PERDURE_STORE_COMMIT_LOG_H
#define PERDURE_STORE_COMMIT_LOG_H

#include "base/buf.h"
#include "store/sqlite_int.h"

typedef struct commit_log commit_log;

/* The files are PATH-log0 and PATH-log1; what is not there is made when it is needed. A file of
 * another database is an error and is left as it is. `sync` false: nothing is ever synced. `v`
 * NULL: nothing is ever written, for a store that ends with its process. */
MUST_USE err *commit_log_open(sqlite_vfs *v, const char *path, int64_t database, bool sync,
                              arena *a, commit_log **ret_log);
/* Files that are no longer needed are removed. Accepts NULL. */
void commit_log_close(commit_log *l, bool needed);

/* The content is valid during the call. */
typedef err *commit_log_visit(void *arg, int64_t number, span content);
/* Every record after this number, in order. DATA_LOSS when one is missing in between. */
MUST_USE err *commit_log_replay(commit_log *l, int64_t after, commit_log_visit *visit, void *arg,
                                arena *a);

/* Where the next record's content is to be added; empty. */
buf *commit_log_content(commit_log *l);
/* Writes and syncs it; the last number plus one. SQLite's code: after an error there is no such
 * record. */
int commit_log_append(commit_log *l, int64_t number);
/* The content of the record that was appended last, until the next one is begun. */
span commit_log_appended(const commit_log *l);
bool commit_log_is_synced(const commit_log *l);
/* Of the file in use. */
int64_t commit_log_bytes(const commit_log *l);
/* The next record begins the other file. Its records are in tables, durably. */
void commit_log_switch(commit_log *l);

#endif

#include "store/sqlite_int.h"

/* One entry per schema version, each applied once, in order, in one transaction with its mark.
 * Never edit an entry that was released: add one. Why these tables: integer keys keep a run's rows
 * together and let new ones be appended; with 16-byte keys in clustered tables the same work cost
 * four times as much. */
static const char *const migrations[] = {
    "CREATE TABLE schema_change("
    "  version INTEGER PRIMARY KEY, applied_ns INTEGER NOT NULL, library TEXT NOT NULL) STRICT;"
    "CREATE TABLE run("
    "  run INTEGER PRIMARY KEY, ns INTEGER NOT NULL, workflow_id TEXT NOT NULL,"
    "  status INTEGER NOT NULL, due_ns INTEGER NOT NULL, queue INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL, seq INTEGER NOT NULL, info BLOB, state BLOB) STRICT;"
    "CREATE INDEX run_due ON run(due_ns) WHERE due_ns > 0;"
    "CREATE INDEX run_queue ON run(queue, priority, seq) WHERE queue > 0;"
    "CREATE TABLE item("
    "  key INTEGER PRIMARY KEY, kind INTEGER NOT NULL, due_ns INTEGER NOT NULL,"
    "  queue INTEGER NOT NULL, priority INTEGER NOT NULL, seq INTEGER NOT NULL, blob BLOB) STRICT;"
    "CREATE INDEX item_due ON item(due_ns) WHERE due_ns > 0;"
    "CREATE INDEX item_queue ON item(queue, priority, seq) WHERE queue > 0;"
    "CREATE TABLE history(key INTEGER PRIMARY KEY, blob BLOB) STRICT;"
    "CREATE TABLE current("
    "  ns INTEGER NOT NULL, workflow_id TEXT NOT NULL, run INTEGER NOT NULL,"
    "  PRIMARY KEY(ns, workflow_id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE attempt(key INTEGER NOT NULL, attempt INTEGER NOT NULL, blob BLOB) STRICT;"
    "CREATE UNIQUE INDEX attempt_key ON attempt(key, attempt);"
    "CREATE TABLE named(name TEXT PRIMARY KEY, blob BLOB) STRICT, WITHOUT ROWID;"
    /* Keys and seqs that rows no longer show: the largest deleted run, and a seq that no written
     * one exceeds. */
    "CREATE TABLE high_water("
    "  id INTEGER PRIMARY KEY, deleted_run INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;"
    "INSERT INTO high_water VALUES(1, 0, 0);",

    /* Lists. `ended` is the largest integer while a run is open, so that one index gives the order
     * of lists; it is per status, and lists of several are merged from it. An attribute is numbered
     * id * 2, and one more in a run that has a division. */
    "CREATE TABLE visible("
    "  run INTEGER PRIMARY KEY, ns INTEGER NOT NULL, status INTEGER NOT NULL,"
    "  ended INTEGER NOT NULL, started INTEGER NOT NULL, execution INTEGER NOT NULL,"
    "  workflow_id TEXT NOT NULL, run_id TEXT NOT NULL, type TEXT NOT NULL, queue TEXT NOT NULL,"
    "  parent_workflow_id TEXT, parent_run_id TEXT, root_workflow_id TEXT, root_run_id TEXT,"
    "  division TEXT, events INTEGER, history_bytes INTEGER, transitions INTEGER,"
    "  attributes BLOB) STRICT;"
    "CREATE INDEX visible_order ON visible(ns, status, ended, started) WHERE division IS NULL;"
    "CREATE INDEX visible_divided ON visible(ns, status, ended, started)"
    "  WHERE division IS NOT NULL;"
    /* The same order for each type, by which most lists are filtered. */
    "CREATE INDEX visible_type ON visible(ns, type, status, ended, started)"
    "  WHERE division IS NULL;"
    "CREATE TABLE attribute("
    "  attribute INTEGER NOT NULL, value ANY NOT NULL, ended INTEGER NOT NULL,"
    "  started INTEGER NOT NULL, run INTEGER NOT NULL, status INTEGER NOT NULL,"
    "  PRIMARY KEY(attribute, value, ended, started, run)) STRICT, WITHOUT ROWID;"
    /* Every run of a workflow id; the newest is the current one, unless it is hidden as all are
     * since the current one was deleted. */
    "CREATE TABLE workflow("
    "  ns INTEGER NOT NULL, workflow_id TEXT NOT NULL, run INTEGER NOT NULL,"
    "  hidden INTEGER NOT NULL, PRIMARY KEY(ns, workflow_id, run)) STRICT, WITHOUT ROWID;"
    "INSERT INTO workflow SELECT r.ns, r.workflow_id, r.run,"
    "  NOT EXISTS(SELECT 1 FROM current c WHERE c.ns = r.ns AND c.workflow_id = r.workflow_id)"
    "  FROM run r;"
    "DROP TABLE current;"
    "CREATE TABLE visible_count("
    "  ns INTEGER NOT NULL, status INTEGER NOT NULL, n INTEGER NOT NULL,"
    "  PRIMARY KEY(ns, status)) STRICT, WITHOUT ROWID;",

    /* What of the commit log is in tables; the number by which the log knows its database. */
    "CREATE TABLE commit_log("
    "  id INTEGER PRIMARY KEY, database INTEGER NOT NULL, last_commit INTEGER NOT NULL) STRICT;"
    "INSERT INTO commit_log VALUES(1, random(), 0);"
    /* Rows that were committed and then did not fit: none, unless the program is wrong. */
    "CREATE TABLE misfit("
    "  run INTEGER NOT NULL, kind INTEGER NOT NULL, reason TEXT NOT NULL, row BLOB NOT NULL) "
    "STRICT;",
};

int store_sqlite_schema_version(void) { return (int)ARRAY_LEN(migrations); }

err *sqlite_schema_check(sqlite3 *db, const char *path, arena *a) {
  int64_t application, version, tables;
  TRY(sqlite_get_int(db, path, "PRAGMA application_id", &application, a));
  TRY(sqlite_get_int(db, path, "PRAGMA user_version", &version, a));
  TRY(sqlite_get_int(db, path, "SELECT count(*) FROM sqlite_schema", &tables, a));
  bool empty = application == 0 && version == 0 && tables == 0;
  if (application != SQLITE_STORE_APPLICATION_ID && !empty) {
    return ERR(a, FAILED_PRECONDITION,
               "%s is an SQLite database of another program; it was left as it is. Choose another "
               "file name",
               path);
  }
  if (version > store_sqlite_schema_version()) {
    return ERR(a, FAILED_PRECONDITION,
               "%s was written by a newer version of perdure (schema %lld, this program knows %d); "
               "it was left as it is. Install the newer version, or choose another file",
               path, (long long)version, store_sqlite_schema_version());
  }
  return NULL;
}

static err *migrate_one(sqlite3 *db, const char *path, int version, int64_t now_ns, arena *a) {
  TRY(sqlite_exec(db, path, "BEGIN IMMEDIATE", a));
  TRY(sqlite_exec(db, path, migrations[version - 1], a));
  TRY(sqlite_exec(db, path,
                  arena_printf(a,
                               "INSERT INTO schema_change VALUES(%d, %lld, sqlite_version());"
                               "PRAGMA user_version = %d; COMMIT",
                               version, (long long)now_ns, version),
                  a));
  return NULL;
}

err *sqlite_schema_migrate(sqlite3 *db, const char *path, int64_t now_ns, arena *a) {
  int64_t version;
  TRY(sqlite_get_int(db, path, "PRAGMA user_version", &version, a));
  for (int v = (int)version + 1; v <= store_sqlite_schema_version(); v++) {
    TRY(migrate_one(db, path, v, now_ns, a));
  }
  return NULL;
}

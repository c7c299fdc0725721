/* store.h - what the shard needs of durable storage: one atomic batch at a time, and loads.
 *
 * Everything is asynchronous: a call returns at once and its callback runs later through env.post
 * on the owner's thread. Loads see what was committed before they were asked for. The caller may
 * have one commit under way and any number of loads. Backings: sqlite.h (a file) and memory.h (the
 * simulator's model).
 *
 * Rows. A run has an integer key (RUN_KEY_BITS), given out by the shard and carried inside its run
 * id. Everything that belongs to a run is keyed by (run << ROW_ID_BITS | id), so that a run's rows
 * lie together and need no second index:
 *
 * - run: one per run: due, queue order, immutable `info` and mutable `state` (RunInfo, RunState)
 * - item: one per pending activity, timer, ...: id, kind, due, queue order, blob
 * - history: one per event batch: id is the first event's id, blob an encoded History
 * - current: (namespace, workflow id) -> the newest run
 * - attempt: one per attempt of an activity, kept beside history (id = scheduled event id)
 * - named: small cluster-wide records by name: namespaces, task queues, keys
 * - visible: what lists see of a run, and the queries over it (visible.h)
 *
 * `due_ns` (0: none) and `queue` (0: none) are indexed: they are how timers and tasks are found
 * after a restart. Blobs are messages of perdure.store.v1; the store does not look inside.
 */
#ifndef PERDURE_STORE_STORE_H
#define PERDURE_STORE_STORE_H

#include "store/visible.h"

enum { ROW_ID_BITS = 20, RUN_KEY_BITS = 43 };
#define ROW_ID_MAX ((INT64_C(1) << ROW_ID_BITS) - 1)
#define RUN_KEY_MAX ((INT64_C(1) << RUN_KEY_BITS) - 1)

/* Where a dispatchable task stands: ordered by (priority, seq) within a queue. The shard takes for
 * seq the time of the offer in microseconds, or more if that was used: it always grows. */
typedef struct store_queued {
  int64_t queue; /* 0: not dispatchable */
  int32_t priority;
  int64_t seq;
} store_queued;

typedef enum store_row_kind {
  ROW_RUN_INSERT,     /* run, ns, workflow_id, status, due_ns, queued, info, blob (state) */
  ROW_RUN_UPDATE,     /* run, status, due_ns, queued, blob (state); the run must exist */
  ROW_RUN_DELETE,     /* run: removes every row of the run, and `current` if it points at it */
  ROW_ITEM_PUT,       /* run, id, item_kind, due_ns, queued, blob */
  ROW_ITEM_DELETE,    /* run, id; of no item: nothing happens */
  ROW_HISTORY_ADD,    /* run, id (first event id, larger than any before), blob */
  ROW_CURRENT_PUT,    /* ns, workflow_id, run; see `expected_run`. At most one in a step. */
  ROW_ATTEMPT_PUT,    /* run, id (scheduled event id), attempt, blob */
  ROW_ATTEMPT_DELETE, /* run, id, attempt */
  ROW_NAMED_PUT,      /* name, blob */
  ROW_NAMED_DELETE,
  ROW_VISIBLE_PUT, /* run, ns, workflow_id, status, visible; in the step that writes the run */
} store_row_kind;

typedef struct store_row {
  store_row_kind kind;
  int64_t run, id;
  int32_t item_kind, status, attempt;
  int64_t ns; /* key of the namespace */
  span workflow_id, name;
  int64_t due_ns;
  store_queued queued;
  bytes *info, *blob; /* referenced by whoever owns the step, until the commit's callback */
  const store_visible *visible; /* in the arena of whoever owns the step, as long */
  int64_t expected_run; /* CURRENT_PUT: the run `current` must name, 0 for none, or the step is
                           refused with STORE_CONFLICT */
} store_row;

typedef enum store_status {
  STORE_OK,
  STORE_CONFLICT, /* the CURRENT_PUT of this step did not find what it expected */
  STORE_FAILED,   /* not written; `batch->error` says why. The store goes on. */
} store_status;

/* Rows that are written together or not at all. Within a batch, a step whose run had an earlier
 * step refused or failed gets the same status without being tried. Steps of no run (run 0, named
 * records) do not depend on each other. */
typedef struct store_step {
  struct store_step *next;
  int64_t run;
  store_row *rows;
  size_t n_rows;
  store_status status;  /* set before the callback */
  int64_t conflict_run; /* STORE_CONFLICT: the run that `current` names */
} store_step;

/* One transaction. Steps are applied in order. If the transaction as a whole fails, each step is
 * tried again in a transaction of its own, so that a bad one fails alone. */
typedef struct store_batch {
  env_task task; /* the store posts it when done; run is set by the caller */
  store_step *steps;
  const err *error; /* of the last failure; valid during the callback */
  arena arena;      /* the store's errors; released by the caller */
} store_batch;

/* A load: the caller embeds it, fills the request, and owns the arena with the results. */
typedef struct store_load {
  env_task task; /* posted when done; run is set by the caller */
  enum {
    LOAD_RUN,      /* run -> found, row, rows[] = items */
    LOAD_CURRENT,  /* ns, workflow_id -> found, run; then as LOAD_RUN */
    LOAD_HISTORY,  /* run, from_id, until_id (exclusive; 0: to the end), max_bytes (0: no bound) ->
                      rows[] (id, blob), at least one if there is one; the first row is the batch
                      that holds from_id; `more` */
    LOAD_DUE,      /* until_ns, after_due_ns, after_key, limit -> rows[] (run, id, due_ns) by due,
                      id 0 is the run row itself; `more` */
    LOAD_QUEUE,    /* queued (position to start after), limit -> rows[] (run, id, queued); `more` */
    LOAD_BACKLOG,  /* queued.queue -> rows[] by priority: queued (of the oldest), id = how many */
    LOAD_ATTEMPTS, /* run, id (0: of every activity) -> rows[] (id, attempt, blob) */
    LOAD_NAMED,    /* name = prefix -> rows[] (name, blob) by name */
  } kind;
  int64_t run, id, ns, from_id, until_id, until_ns, after_due_ns, after_key;
  span workflow_id, name;
  store_queued queued;
  size_t limit, max_bytes;
  /* results */
  arena arena;      /* holds row structs and names; blobs are references the caller drops */
  err *error;       /* NULL, or why nothing was read */
  bool found, more; /* more: limit or max_bytes ended the answer, not the rows */
  store_row row;    /* the run row of LOAD_RUN / LOAD_CURRENT */
  store_row *rows;
  size_t n_rows;
} store_load;

typedef struct store_stats {
  uint64_t commits, steps, rows, syncs, loads, queries;
  uint64_t commit_ns_total; /* from commit call to durable */
  uint64_t checkpoints;
  uint64_t wal_bytes, file_bytes;
} store_stats;

typedef struct store store;

/* The functions of a backing. Owner's thread only. */
struct store {
  env *env;
  /* Starts writing; the batch belongs to the store until its task runs. One at a time. */
  void (*commit)(store *s, store_batch *b);
  void (*load)(store *s, store_load *l);
  /* Sees what was committed before it was asked. Neither commits nor loads wait for it. */
  void (*query)(store *s, store_query *q);
  /* No run key and no seq that was ever written is larger. Set by open, not kept up to date. */
  int64_t last_run_key, last_seq;
  void (*stats)(store *s, store_stats *ret_stats);
  /* Finishes what is under way (its tasks are posted when this returns), checkpoints, closes. */
  void (*close)(store *s);
};

static inline int64_t store_row_key(int64_t run, int64_t id) { return run << ROW_ID_BITS | id; }

#endif

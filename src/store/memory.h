/* memory.h - the store of the simulator: what a disk holds, as a model, with faults on request.
 *
 * A `store_memory_disk` outlives the store opened on it, as a disk outlives a process. Everything
 * happens on the owner's thread and is decided by the env's random stream alone: the same seed
 * gives the same order of events.
 */
#ifndef PERDURE_STORE_MEMORY_H
#define PERDURE_STORE_MEMORY_H

#include "store/store.h"

typedef struct store_memory_disk store_memory_disk;

store_memory_disk *store_memory_disk_new(void);
/* No store may be open on it. */
void store_memory_disk_free(store_memory_disk *d);

typedef struct store_memory_options {
  store_memory_disk *disk;
  /* A commit or load waits for up to this many turns of the env before it happens, and as many
   * before its task is posted. */
  uint32_t max_turns;
  /* Chance of each transaction and each load to fail, as on a full disk. */
  uint32_t fail_commits_per_1000, fail_loads_per_1000;
  /* A broken disk, to prove that tests see it: the last transaction is acknowledged before it is
   * durable, and a crash forgets it. */
  bool acknowledge_early;
} store_memory_options;

store *store_memory_open(const store_memory_options *o, env *e);
/* The next n transactions fail. */
void store_memory_fail_commits(store *s, uint32_t n);
/* From here on nothing fails any more. */
void store_memory_end_faults(store *s);
/* The process died: what is not committed is gone and the disk can be opened again. The caller
 * makes its env forget what it still had to run before it calls this. */
void store_memory_crash(store *s);

#endif

/* memory_disk.h - the rows of the model and their transactions, for memory.c only. */
#ifndef PERDURE_STORE_MEMORY_DISK_H
#define PERDURE_STORE_MEMORY_DISK_H

#include "store/memory.h"
#include "store/ordered.h"

typedef enum disk_table {
  TABLE_RUN,
  TABLE_ITEM,
  TABLE_HISTORY,
  TABLE_CURRENT,
  TABLE_ATTEMPT,
  TABLE_NAMED,
  TABLE_VISIBLE,
} disk_table;

typedef struct disk_row {
  ordered_node by_key, by_due, by_queue;
  disk_table table;
  store_row r; /* text, blobs and the record of lists are its own */
  arena arena; /* holds the record of lists */
  uint8_t text[];
} disk_row;

/* Rows are never changed: a change removes one and adds another, so that it can be undone. */
typedef struct disk_change {
  struct disk_change *before;
  struct disk_row *added, *removed;
} disk_change;

typedef struct disk_log {
  disk_change *last;
  arena arena;
} disk_log;

struct store_memory_disk {
  ordered rows;      /* by table and key */
  ordered due;       /* runs and items by (due_ns, key) */
  ordered queue;     /* runs and items by (queue, priority, seq, key) */
  disk_log unsynced; /* the last transaction, for acknowledge_early */
  int64_t last_run_key, last_seq;
};

/* Makes the step's changes and adds them to `log`. Sets the status; for STORE_FAILED also
 * `*ret_why`, and the changes made so far are in the log. */
void disk_write_step(store_memory_disk *d, store_step *s, disk_log *log, const char **ret_why);
/* Undoes everything in the log; or makes it final. Both leave the log empty. */
void disk_undo(store_memory_disk *d, disk_log *log);
void disk_keep(disk_log *log);

void disk_load(store_memory_disk *d, store_load *l);
const disk_row *disk_first(const store_memory_disk *d, disk_table table);
const disk_row *disk_next(const disk_row *r); /* of the same table */
const disk_row *disk_run(const store_memory_disk *d, int64_t run);

/* --- memory_query.c --- */

store_visible *visible_copy(const store_visible *v, arena *a);
void disk_query(const store_memory_disk *d, store_query *q);

#endif

/* matching.h - task queues, and the polls that wait on them.
 *
 * A queue holds tasks in the order (priority, seq) and polls in the order of arrival; never both,
 * except while a page of the backlog is being read, or while its rate is used up. Memory holds a
 * window over the backlog: the first tasks, up to a limit. What lies behind the window is on disk
 * only and is read page by page
 * (`host.load`, answered by matching_loaded) when the window runs low.
 *
 *   window complete   every task of the queue is in memory; new ones join it
 *   window cut        tasks up to `end` are in memory; a new one joins only if it sorts before
 *                     `end`, otherwise the disk keeps it until its page is read
 *
 * While a page is being read every new task joins: the page may have been read before the task was
 * written. A task may be handed out although it is over (it was read while its end was on the way
 * to disk): whoever gets it asks the run.
 *
 * Query tasks ride the same queues, before other tasks; they are never on disk.
 *
 * Pure data; the owner's thread only. `offer` is called from match_add, match_add_query and
 * matching_loaded.
 */
#ifndef PERDURE_MATCHING_MATCHING_H
#define PERDURE_MATCHING_MATCHING_H

#include "base/heap.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/span.h"
#include "matching/rate.h"
#include "store/store.h"

typedef struct matching matching;
typedef struct match_queue match_queue;

/* A task, as it is handed out. */
typedef struct match_task {
  int64_t run, id; /* id: as the owner likes; with run it names the task */
  store_queued queued;
  int64_t sticky_fallback;   /* key of the normal queue, when this one is sticky; 0: not known */
  bool unwritten;            /* no row holds it: it stays in memory, window or not */
  struct match_query *query; /* a query task; then the rest but the queue is 0 */
} match_task;

/* A poll that waits. The owner embeds it and keeps it until it was offered a task or cancelled. */
typedef struct match_poll {
  list_node node;
  match_queue *queue;
  /* The poll has left the queue and owns the task now. */
  void (*offer)(struct match_poll *p, const match_task *task);
} match_poll;

/* A query that waits for a poll. The owner embeds it. */
typedef struct match_query {
  list_node node;
  match_queue *queue; /* NULL: not waiting */
} match_query;

typedef struct match_host {
  void *ctx;
  /* Read up to `limit` tasks of the queue after this place, then call matching_loaded or
   * matching_load_failed, not from inside. What was handed out or changed before must be on disk
   * when the page is read. */
  void (*load)(void *ctx, int64_t queue, store_queued after, size_t limit);
  int64_t (*now_ns)(void *ctx);
  /* Call matching_wake at this time. */
  void (*wake)(void *ctx, int64_t when_ns);
} match_host;

struct matching {
  match_host host;
  size_t window; /* tasks of one queue in memory */
  hmap queues;
  list throttled;        /* queues with polls and tasks that wait for their rate */
  uint64_t tasks, polls; /* in memory, waiting */
};

enum {
  MATCH_MAX_POLLERS = 256, /* remembered per queue */
  MATCH_LEVELS = 5,        /* priorities 1 to 5 */
};
#define MATCH_POLLER_MEMORY_NS (300 * NS_PER_SEC)
#define MATCH_STICKY_SILENCE_NS (10 * NS_PER_SEC)
#define MATCH_QUERY_SILENCE_NS (20 * NS_PER_SEC)

void matching_init(matching *m, match_host host, size_t window);
/* Waiting polls and queries must be gone. */
void matching_release(matching *m);

/* Makes the queue on first use. `on_disk`: its backlog may hold tasks from before. */
match_queue *matching_queue(matching *m, int64_t key, bool on_disk);
/* NULL when there is none. */
match_queue *matching_find(const matching *m, int64_t key);
int64_t match_queue_key(const match_queue *q);
/* Whether something waits in the queue or may wait behind its window, or somebody has pinned it. */
bool match_in_use(const match_queue *q);
/* Forgets the queue. False: it is in use. */
bool matching_drop(matching *m, match_queue *q);
/* Whoever keeps a pointer to a queue pins it. */
void match_pin(match_queue *q);
void match_unpin(match_queue *q);

/* A task became ready. One that is known already stays where it is, unless it was offered again
 * later (a greater seq): then it moves to the new place. */
void match_add(matching *m, match_queue *q, const match_task *task);
/* A task comes back from a poll that cannot take it: it is first in line again. */
void match_put_back(matching *m, match_queue *q, const match_task *task);
/* Whether a task at this place would be kept in memory. */
bool match_keeps(const match_queue *q, store_queued place);
void match_add_query(matching *m, match_queue *q, match_query *query);
void match_cancel_query(matching *m, match_query *query);

/* True: a task is there at once. False: the poll waits; `first` puts it before the others. */
bool match_poll_start(matching *m, match_queue *q, match_poll *p, bool first, match_task *ret_task);
/* Harmless for a poll that does not wait. */
void match_poll_cancel(matching *m, match_poll *p);

/* At most so many tasks a second are handed out; NULL: no limit. Queries are not counted. */
void match_set_rate(matching *m, match_queue *q, const float *per_second);
/* Serves queues whose rate allows it again. */
void matching_wake(matching *m);
/* What a poll that waited this long is told about the number of pollers: one less, one more, or 0:
 * as it is. At most ten times a second. */
int match_scaling(const matching *m, match_queue *q, int64_t waited_ns);

/* A poll of this worker was seen. `about`: what else is to be said of it, as the owner likes. */
void match_saw_poller(match_queue *q, span identity, span about, int64_t now_ns);
void match_forget_pollers(match_queue *q);
bool match_polled_within(const match_queue *q, int64_t now_ns, int64_t ns);
/* Takes every task out of the queue's window, one a call; false: none is left. */
bool match_take(matching *m, match_queue *q, match_task *ret_task);

void matching_loaded(matching *m, int64_t queue, const store_row *rows, size_t n, bool more);
/* Nothing was read; ask again with match_retry_load. */
void matching_load_failed(matching *m, int64_t queue);
void match_retry_load(matching *m, match_queue *q);

typedef struct match_poller {
  span identity, about;
  int64_t seen_ns;
} match_poller;

/* The tasks of one priority. */
typedef struct match_level {
  size_t backlog;     /* in memory */
  int64_t oldest_seq; /* of those; INT64_MAX: there is none */
  bool used;          /* ever since the queue is in memory */
  float adds_per_second, dispatches_per_second;
} match_level;

typedef struct match_queue_view {
  size_t backlog; /* tasks in memory; `complete`: that is all */
  bool complete;
  size_t polls;
  match_poller *pollers; /* of the last five minutes, newest first; in the arena */
  size_t n_pollers;
  match_level levels[MATCH_LEVELS];
} match_queue_view;

void match_look(const match_queue *q, int64_t now_ns, arena *a, match_queue_view *ret_view);

#endif

/* shard_int.h - the inside of the shard.
 *
 *   call ---find---> run_cache.c ---run---> act: a step ---step_stage---> commit.c
 *     ^                                                                      |
 *     '------------------------- gate opens: done(op) <---- durable --------'
 *
 * A `step` is what one request changes: parts (one engine step per run), one row set, one store
 * step. A `gate` is somebody who waits until what was observed of a run is durable. A `waiter` is
 * an op that may wait long (poll, history long poll, query): it has a deadline and can be given up.
 */
#ifndef PERDURE_SHARD_SHARD_INT_H
#define PERDURE_SHARD_SHARD_INT_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "matching/matching.h"
#include "shard/shard.h"
#include "shard/token.h"

typedef struct shard_run shard_run;
typedef struct step step;
typedef struct run_use run_use;
typedef struct gate gate;
typedef struct waiter waiter;

/* --- history_cache.c: recent event batches of a run, and reads --- */

typedef struct history_batch {
  int64_t first_id;
  bytes *blob;
  uint64_t lsn; /* UINT64_MAX: not staged yet */
} history_batch;

/* The newest batches, without a gap up to the run's next event. */
typedef struct history_cache {
  history_batch *v;
  size_t start, n, cap; /* v[start .. start + n) */
  size_t bytes;
} history_cache;

typedef struct history_read history_read;
struct history_read {
  shard_run *run;
  int64_t from, until;
  int64_t max_batches;
  arena *arena;    /* of the result */
  int64_t *starts; /* optional, until - from places: ids of events that begin a batch */
  void (*done)(shard *s, history_read *r, const err *e);
  /* result */
  span events;     /* encoded History */
  int64_t next_id; /* first event that was not read */
  int64_t batches;
  size_t n_starts;
};

/* --- runs --- */

typedef enum run_phase { RUN_LOADING, RUN_READY, RUN_QUARANTINED, RUN_DELETED, RUN_GONE } run_phase;

struct shard_run {
  hmap_node by_key;
  hmap_node by_id; /* while `current` */
  list_node lru;
  list_node lazy_node; /* in s->lazy: has something to write by lazy_by_ns */
  heap_node due;
  int64_t key, ns;
  run_phase phase;
  bool current, publish_ready;
  bool closed;   /* counted in s->closed_bytes, in s->closed */
  uint32_t pins; /* whoever keeps a pointer over a callback */
  uint64_t lsn;  /* of the newest step that is not lazy */
  int64_t lazy_by_ns;
  span workflow_id; /* owned */
  engine_run *engine;
  list uses; /* run_use, while LOADING */
  store_row *lazy;
  size_t n_lazy, cap_lazy;
  history_cache history;
  list watchers; /* waiters for events */
  list queries;
  list describes;    /* of a schedule, until what it has to tell is told */
  list update_waits; /* clients that wait for an update */
  size_t bytes;
  char *trouble; /* QUARANTINED: what is broken */
};

/* Somebody who needs a run. `ready` is called once, maybe before run_find returns. */
struct run_use {
  list_node node;
  int64_t ns, key; /* ns 0: any */
  span workflow_id, run_id;
  arena *arena; /* for errors */
  void (*ready)(shard *s, run_use *u, shard_run *run, const err *e);
};

struct gate {
  list_node node;
  shard_run *run; /* pinned */
  uint64_t lsn;
  void (*open)(shard *s, gate *g, const err *e);
};

typedef struct step_part {
  shard_run *run;
  engine_step *st;
} step_part;

enum { STEP_PARTS = 4 };

struct step {
  list_node node; /* staged, in flight or spare */
  shard *s;
  arena arena;
  uint32_t refs;
  uint64_t lsn;
  step_part parts[STEP_PARTS];
  size_t n_parts;
  store_step store;
  bool names_queues;    /* writes names of task queues */
  int64_t reserves_key; /* writes how far run keys are promised */
  /* Named rows: whether they are durable now. */
  void (*named_done)(shard *s, step *t, const err *e);
  void *owner;
};

struct waiter {
  shard_op *op;
  void (*timeout)(shard *s, waiter *w);
  void (*gone)(shard *s, waiter *w, const err *e); /* NULL: the caller left */
};

/* --- names --- */

/* A namespace's record as it was written, or is to be. */
typedef struct ns_version {
  arena arena;
  bytes *blob;
  const pb_store_Namespace *record;
} ns_version;

typedef struct ns_entry {
  hmap_node by_name, by_id, by_key;
  list_node node;
  shard_namespace_info info; /* of what is durable */
  arena names;               /* every name it had: info.name is borrowed for good */
  ns_version *durable;       /* NULL: it is being registered */
  ns_version *newest;        /* the same, or what is being written */
  bool emptied;              /* nothing was left in it; its record waits for its time */
} ns_entry;

typedef struct queue_name {
  hmap_node by_name, by_key;
  list_node node; /* in s->polled_only: no row names it; in s->sticky */
  int64_t key, ns;
  bool activity, sticky, stored; /* stored: its name is on disk */
  bool rate_is_set, has_worker_rate;
  float set_rate,
      worker_rate; /* tasks a second: by an operator, by the newest poll that said one */
  bytes *config;   /* encoded TaskQueueConfig, or NULL */
  size_t n;
  uint8_t name[];
} queue_name;

struct shard {
  env *env;
  store *store;
  shard_config config;
  engine_host host;
  zones zones;
  token_keys tokens;
  hash_key hash_key;
  matching matching;
  int64_t last_run_key, last_seq, last_ns_key, last_queue_key;
  int64_t promised_key, reserved_key; /* promise.c */

  /* runs */
  hmap runs, currents, current_loads;
  list lru, closed; /* least recently used first; closed runs apart */
  size_t run_bytes, closed_bytes;

  /* names */
  hmap ns_by_name, ns_by_id, ns_by_key, queue_by_name, queue_by_key;
  list batches;
  struct reclaim *reclaim;
  list namespaces, gone_namespaces;
  list polled_only; /* oldest first */
  size_t n_polled_only;
  list sticky; /* stored names of sticky queues, the one not looked at for longest first */
  size_t n_sticky;
  int64_t sticky_ns; /* next look at them; INT64_MAX: there are none */

  /* commit */
  list staged, in_flight, gates, lazy, spare;
  size_t n_spare;
  uint64_t staged_lsn, batch_lsn, durable_lsn;
  store_batch batch;
  bool committing;
  env_task turn;
  bool turn_posted;

  /* time */
  heap due, cold_due, deadlines;
  hmap cold;
  int64_t wake_ns;           /* asked of env; INT64_MAX: nothing */
  int64_t due_until_ns;      /* deadlines up to here are in memory */
  int64_t scan_ns, retry_ns; /* next scan of deadlines; next try of failed queue pages */
  int64_t throttle_ns;       /* a queue whose rate was used up may go on; INT64_MAX: none waits */
  bool scanning;
  uint64_t tie;

  /* messages between runs: mail.h */
  hmap letters;
  heap letters_due;

  /* waiting */
  list waiters; /* op->node */
  list again;   /* polls that look for another task */
  list left;    /* workers that have left, oldest first */
  hmap left_by_key;
  hmap workers;
  list workers_by_age; /* the one not heard of for longest first */
  list starved;        /* queues whose page could not be read: starved_queue */
  hmap queries_by_id;
  uint64_t last_query;
  list page_loads; /* page_load, waiting for lazy steps to be durable */

  buf scratch; /* of one history read */
  uint64_t loads_under_way;
  shard_stats stats;
  bool draining;
  const char *broken;       /* why nothing can be served */
  volatile int64_t suspect; /* see shard_suspect */
  void (*drained)(void *arg);
  void *drained_arg;
  void (*ready)(void *arg, const err *e);
  void *ready_arg;
};

/* --- shard.c --- */

/* Calls shard_wake at or before this time. */
void want_wake(shard *s, int64_t when_ns);
/* Runs the turn soon: polls that go on, then a commit. */
void want_turn(shard *s);
int64_t now_ns(shard *s);
/* At the end of whatever the env runs: while it drains nobody waits, and maybe it is done. */
void check_drained(shard *s);

/* --- run_id.c: the key of a run inside its id --- */

void run_id_format(int64_t key, int64_t now_ns, rng *random, char ret_text[UUID_TEXT_BYTES]);
bool run_id_parse(span text, int64_t *ret_key);

/* --- run_cache.c --- */

void run_cache_init(shard *s);
void run_cache_release(shard *s);
/* By workflow id and, if given, run id. */
void run_find(shard *s, run_use *u);
/* By key; u->run_id is checked when it is given. */
void run_find_key(shard *s, run_use *u);
shard_run *run_by_key(const shard *s, int64_t key);
/* The current run if it is in memory. */
shard_run *run_current(const shard *s, int64_t ns, span workflow_id);
/* Puts a run that the engine has just made into memory, as the current one of its workflow id. */
shard_run *run_adopt(shard *s, engine_run *engine);
void run_pin(shard_run *run);
void run_unpin(shard *s, shard_run *run);
/* After a failed commit: tasks that were handed out may be ready again. */
void run_publish_ready(shard *s, shard_run *run);
/* After every change: deadlines, memory, queries. */
void run_changed(shard *s, shard_run *run);
/* Forgets what memory says about the run; everybody who waits for it gets the error. It is read
 * again at once unless it never was on disk. */
void run_drop(shard *s, shard_run *run, const err *e, bool reload);
/* A staged step takes its rows away: nobody finds it any more. */
void run_deleted(shard *s, shard_run *run);
/* The same, durable. */
void run_delete_durable(shard *s, shard_run *run);
/* An invariant is broken: nobody uses the run until it is repaired. */
void run_quarantine(shard *s, shard_run *run, const char *trouble);
void runs_evict(shard *s);
const err *run_gone_error(arena *a);
err *run_trouble_error(arena *a, const char *trouble);
/* NOT_FOUND with the detail that clients look for. */
err *not_found_error(arena *a, const char *what);
/* No run of these ids; run_id may be empty. */
err *run_not_found(arena *a, span workflow_id, span run_id);

/* --- commit.c --- */

step *step_new(shard *s);
void step_unref(step *t);
void steps_release(shard *s);
/* A further run in this step, and where the engine puts its effects. */
engine_step *step_part_add(shard *s, step *t, shard_run *run);
/* A run that the engine makes in this step: run is set by step_adopt. */
engine_step *step_part_new(shard *s, step *t);
shard_run *step_adopt(shard *s, step *t, engine_step *st, engine_run *engine);
/* What the parts hold will be written; lazily if all are lazy. Errors: a broken invariant. */
MUST_USE err *step_stage(shard *s, step *t);
/* A step that is one named row. */
void step_stage_named(shard *s, step *t, store_row row);
/* Writes what was put off for this run. */
void run_flush(shard *s, shard_run *run);
void flush_all(shard *s);
void flush_due(shard *s, int64_t now);
void gate_wait(shard *s, gate *g, shard_run *run, void (*open)(shard *s, gate *g, const err *e));
/* For an lsn without a run. */
void gate_wait_lsn(shard *s, gate *g, uint64_t lsn, void (*open)(shard *s, gate *g, const err *e));
void gates_fail(shard *s, shard_run *run, const err *e);
/* Steps of this run that are not in flight yet are forgotten, with the runs they share. */
void staged_forget(shard *s, shard_run *run, const err *e);
void commit_start(shard *s);

/* --- call.c: one request that acts on one run and answers --- */

typedef struct call call;
typedef void call_fn(shard *s, call *c, shard_run *run);
struct call {
  run_use use;
  gate gate;
  shard *s;
  shard_op *op;
  const void *request;
  call_fn *act;
  step *step;
  const void *response;
  err *error;
  void *extra;
};

/* False: refused and answered already (draining), and the arena may be gone. */
bool call_init(call *c, shard *s, shard_op *op, const void *request, call_fn *act);
/* The same in the op's arena, or NULL. */
call *call_new(shard *s, shard_op *op, const void *request, call_fn *act);
void call_find(call *c, span workflow_id, span run_id);
void call_find_key(call *c, int64_t key, span run_id);
/* The step of the call, with the run as its part. */
engine_step *call_step(call *c, shard_run *run);
/* Answers when what was observed of the run is durable; run may be NULL. */
void call_answer(call *c, shard_run *run, const void *response);
void call_refuse(call *c, shard_run *run, const err *e);
/* After an engine call: refuses with e, or stages the step and answers. */
void call_finish(call *c, shard_run *run, const err *e, const void *response);
void op_fail(shard_op *op, const err *e);
/* Refuses and answers while the shard drains. */
bool op_refused(shard *s, shard_op *op);
err *draining_error(arena *a);

/* --- start.c --- */

pb_Link *link_to_request(arena *a, span ns_name, const engine_view *v, span request_id,
                         int32_t event_type);
pb_Link *link_to_signal(arena *a, span ns_name, const engine_view *v, span request_id);

/* --- ops.c --- */

/* A request that names the first run of a chain means its newest run, and only that chain. */
MUST_USE err *check_chain(arena *a, const shard_run *run, span first_run_id);

/* --- waiters --- */

/* The op waits until `until_ns` at most. */
void waiter_begin(shard *s, waiter *w, shard_op *op, int64_t until_ns);
void waiter_move(shard *s, waiter *w, int64_t until_ns);
void waiter_end(shard *s, waiter *w);

/* --- timers.c --- */

void timers_init(shard *s);
void timers_release(shard *s);
void timers_set(shard *s, shard_run *run);
void timers_evicted(shard *s, shard_run *run, int64_t due_ns);
/* Whether its tasks are to be offered again (timers_load_again). */
bool timers_loaded(shard *s, int64_t key);
/* A dropped run could not be read: later, or its tasks and deadlines would be forgotten. */
void timers_load_again(shard *s, int64_t key);
/* Fires what is due, a bounded number; asks to be woken for the rest. */
void timers_fire(shard *s, int64_t now);
int64_t timers_next_ns(const shard *s);

/* --- names.c --- */

void names_init(shard *s);
void names_release(shard *s);
MUST_USE err *names_load(shard *s, const store_row *rows, size_t n, arena *a);
queue_name *queue_named(shard *s, int64_t ns, span name, bool activity, bool sticky);
/* Rows that name a queue by its key must find the name after a restart: the names that are not on
 * disk join the step, so that none is there without the other. */
void names_join(shard *s, step *t);
void names_durable(shard *s, const step *t);
/* The names of a namespace's queues leave the disk; in memory they are harmless. */
void names_forget(shard *s, int64_t ns);
/* A row that names the queue is on its way to the disk. */
bool queue_is_staged(const shard *s, int64_t key);
/* Its name is on disk now. */
void queue_stored(shard *s, queue_name *q);
/* Stages a step that takes the name off the disk. The key stays good: whoever uses it again writes
 * the name again. */
void queue_delete_name(shard *s, queue_name *q, step *t);
/* NULL when nobody used it yet. */
queue_name *queue_find(const shard *s, int64_t ns, span name, bool activity);
queue_name *queue_by_key(const shard *s, int64_t key);
/* --- sticky.c --- */

void sticky_init(shard *s);
/* Harmless for names that are of no sticky queue. */
void sticky_watch(shard *s, queue_name *q);
void sticky_unwatch(shard *s, queue_name *q);
/* Names whose workers are gone leave the disk. */
void sticky_wake(shard *s, int64_t now);

/* --- names.c, queue_config.c --- */

/* The row that keeps the name, with its configuration or NULL. */
store_row queue_name_row(const queue_name *q, const pb_TaskQueueConfig *config, arena *a);
/* Of the queue of this key, made if needed. */
match_queue *queue_of_key(shard *s, int64_t key);
int64_t host_queue_key(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky);

typedef struct reclaim reclaim;

/* --- namespaces.c --- */

void namespaces_init(shard *s);
void namespaces_release(shard *s);
/* A namespace with something left to delete now, or 0; then maybe when there will be. */
int64_t namespace_deleted_next(const shard *s, int64_t now, int64_t *ret_due_ns);
/* Nothing is left in it: its record goes, if it is time. */
void namespace_forget(shard *s, int64_t ns);
bool namespace_row(const store_row *row);
MUST_USE err *namespace_load(shard *s, const store_row *row, arena *a);
int64_t host_retention_ns(void *ctx, int64_t ns);
const pb_store_Namespace *host_namespace(void *ctx, int64_t ns);

/* --- promise.c: run keys of children --- */

void host_promise_run(void *ctx, arena *a, span *ret_run_id);
/* The next step to be staged has to write promise_row. */
bool promise_is_unwritten(const shard *s);
store_row promise_row(shard *s, step *t);
void promise_durable(shard *s, const step *t);
MUST_USE err *promise_load(shard *s, const store_row *rows, size_t n, arena *a);

/* --- workers.c --- */

void workers_init(shard *s);
void workers_release(shard *s);
void worker_heard(shard *s, int64_t ns, const pb_WorkerHeartbeat *beat);

/* --- queue_config.c --- */

/* Its rate limit and whose it is, a RateLimitSource; NULL: none. */
const float *queue_rate(const queue_name *q, int32_t *ret_source);
/* A copy; NULL when nothing was ever set. */
pb_TaskQueueConfig *queue_config(const queue_name *q, arena *a);
void queue_worker_rate(shard *s, queue_name *q, float per_second);
void queue_take_config(shard *s, queue_name *q, const pb_TaskQueueConfig *c, arena *a);

/* --- publish.c: tasks to matching --- */

void publish_task(shard *s, shard_run *run, const engine_task *task);
bool publish_keeps(shard *s, const engine_task *task);
void matching_host_load(void *ctx, int64_t queue, store_queued after, size_t limit);
/* Asks for pages whose time has come. */
void pages_go_on(shard *s);

/* --- history_cache.c, history.c --- */

void history_add(shard_run *run, int64_t first_id, bytes *blob, uint64_t lsn);
void history_release(shard_run *run);
/* Forgets the oldest durable batches over the budget. */
void history_trim(shard *s, shard_run *run);
void history_mark_staged(shard_run *run, uint64_t lsn);
/* Pins the run until `done`, which may be called before this returns. */
void history_start(shard *s, history_read *r);
bool is_history_waiter(const waiter *w);
void watchers_wake(shard *s, shard_run *run);
void watchers_fail(shard *s, shard_run *run, const err *e);
span seal_history_page(shard *s, int64_t ns, const pb_store_HistoryPageToken *page, arena *a);

enum { HISTORY_PAGE_BATCHES = 256 };

/* --- poll.c, wft.c --- */

/* Polls that look for another task. */
void polls_go_on(shard *s);
/* Ends waiting polls of this worker, and those on this queue, with an empty answer. */
void polls_end(shard *s, span worker_instance_key, const match_queue *queue);
/* idle_poll.c: the same for polls that are never given anything. */
void idle_polls_end(shard *s, span worker_instance_key);
span seal_task(shard *s, token_kind kind, const shard_run *run, const engine_token *token,
               span query_id, arena *a);
MUST_USE err *open_task(shard *s, shard_op *op, token_kind kind, span token,
                        pb_store_TaskToken **ret_token);
engine_token task_token(const pb_store_TaskToken *t);
/* The history part of a task's answer: events, next page token, events that are not written. */
void fill_history(shard *s, const shard_run *run, const engine_wft *wft, const history_read *r,
                  arena *a);

/* --- schedule.c --- */

/* After a change of a schedule: descriptions that wait for what it has begun. */
void describes_wake(shard *s, shard_run *run);
void describes_fail(shard *s, shard_run *run, const err *e);

/* --- left.c: workers that have left, by instance key --- */

void left_init(shard *s);
void left_release(shard *s);
void left_add(shard *s, span key);
bool left_has(shard *s, span key);

/* --- update.c --- */

/* After a step was staged: those who wait for what it brought. */
void updates_tell(shard *s, shard_run *run, const engine_step *st);
void updates_fail(shard *s, shard_run *run, const err *e);

/* --- query.c --- */

/* Waiting queries of the run join the task that is being handed out. */
void queries_attach(shard *s, shard_run *run, pb_PollWorkflowTaskQueueResponse *response, arena *a);
/* Takes the answers of a completion, before its step is staged; queries_reply gives them. */
void queries_answer(shard *s, shard_run *run, const pb_RespondWorkflowTaskCompletedRequest *r);
void queries_reply(shard *s, shard_run *run);
/* After a change of the run: those that cannot ride a task go on their own. */
void queries_review(shard *s, shard_run *run);
void queries_fail(shard *s, shard_run *run, const err *e);
/* A poll met a query. From here on it is named by the number that this returns. */
uint64_t query_take(shard *s, match_query *mq, int64_t *ret_run);
/* False: the query is over. */
bool query_fill(shard *s, uint64_t id, shard_run *run, pb_PollWorkflowTaskQueueResponse *response,
                arena *a);
/* The poll could not take it. */
void query_again(shard *s, uint64_t id);

#endif

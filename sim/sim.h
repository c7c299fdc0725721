/* sim.h - the whole server's core in one process, under a clock, a network, a disk and a scheduler
 * that a seed decides.
 *
 *   client*.c worker.c activity.c  actors: they send requests and judge the answers
 *   net.c                          the transport's stand-in: delays, lost requests, lost replies
 *   world.c                        clock, scheduler, and the life of the server: crash, drain, open
 *   program.c program_update.c     the workflow that workers run: history -> commands, messages
 *   model.c model_update.c model_schedule.c model_list.c
 *                                  what was promised: acknowledgements, and checks of each answer
 *   audit.c                        what the disk holds, against the model and the rules of a run
 *   audit_outside.c                what runs told each other: every message has one effect
 *   audit_update.c audit_reset.c   updates in history; what a reset keeps
 *   audit_schedule.c               schedules and what they start
 *   audit_visible.c                what lists read
 *   caretaker.c                    ends, after the faults, what does not end by itself
 *   audit_open.c                   what is under way and what does not end
 *   model_gone.c                   what a deletion may take, what a reset copied
 *   mutant.c                       broken builds on request, to prove that the checks see them
 *
 * Everything random comes from `sim.random` (actors, scheduler, faults) or from the server's env,
 * both seeded by the run's seed: the same seed gives the same trace on every compiler.
 */
#ifndef PERDURE_SIM_SIM_H
#define PERDURE_SIM_SIM_H

#include <stdio.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/mem.h"
#include "shard/shard.h"
#include "store/memory.h"

typedef struct sim sim;
typedef struct sim_call sim_call;

#define SIM_MS NS_PER_MS

/* --- mutants (mutant.c) --- */

/* clang-format off */
#define SIM_MUTANTS(X) \
  X(none, "the build as it is") \
  X(acknowledge_early, "the store says durable before it is") \
  X(failed_is_ok, "a failed transaction is reported as written") \
  X(conflict_is_ok, "a refused start is reported as written") \
  X(no_due_scan, "deadlines are not found after a start") \
  X(no_backlog, "tasks are not found after a start") \
  X(no_names, "names are not found after a start") \
  X(other_history, "a read of history gets another run's") \
  X(no_current, "the current run of an id is not found") \
  X(lost_wake, "every fourth request to be woken is forgotten") \
  X(lost_post, "one posted task in two hundred never runs") \
  X(clock_ahead, "the server's clock runs two seconds ahead now and then") \
  X(drop_item_delete, "items of finished activities and timers are not deleted") \
  X(drop_history, "one batch of events in ten is not written") \
  X(drop_due, "deadlines are not indexed") \
  X(drop_queue, "places in queues are not indexed") \
  X(drop_current, "conflicting starts are not refused") \
  X(drop_attempt, "the ledger of attempts is not written") \
  X(drop_queue_name, "names of task queues are not written") \
  X(old_state, "one update of a run's state in eight writes the state before it") \
  X(cut_failure, "the causes of an activity's failure are cut") \
  X(forget_request_id, "signals lose their request id") \
  X(new_start_id, "starts lose their request id") \
  X(short_timer, "timers fire after nine tenths of their time") \
  X(more_attempts, "one more attempt than the retry policy allows") \
  X(fast_backoff, "retries wait half as long as the policy says")
/* clang-format on */

typedef enum sim_mutant {
#define X(name, what) MUTANT_##name,
  SIM_MUTANTS(X)
#undef X
} sim_mutant;

/* --- what a seed chose --- */

typedef struct sim_swarm {
  uint32_t clients, workers, activity_workers, ids, queues;
  uint32_t crash_in;                 /* one step in so many; 0: never */
  uint32_t drain_per_100;            /* of the ends of the server: by a drain */
  uint32_t drop_per_1000;            /* of requests, and of replies */
  uint32_t dup_per_1000;             /* of requests: a second copy arrives some time later */
  uint32_t full_per_10000;           /* of steps: the disk is full for some transactions */
  uint32_t delay_ms;                 /* largest, one way */
  uint32_t disk_turns;               /* largest, of a commit or a load */
  uint32_t disk_ms;                  /* the clock may move so much while the disk works */
  uint32_t fail_commits, fail_loads; /* per 1000 */
  uint32_t wake_late_ms;
  uint32_t vanish_per_1000;                /* of polls */
  uint32_t think_ms;                       /* of clients */
  uint32_t sticky_per_100, forget_per_100; /* workers: use sticky queues; lose their cache */
  uint32_t worker_silent, worker_late, worker_fails, worker_bad, worker_twice; /* per 1000 */
  uint32_t activity_silent, activity_late, activity_fails, activity_fatal, activity_twice;
  uint32_t forged_per_1000;
  uint32_t repeat_per_100; /* of a client's requests: sent again with the same request id */
  uint32_t weights[32];    /* of what clients do */
  uint32_t memory_bytes;   /* of runs, so that they are evicted all the time; 0: plenty */
  uint32_t timer_window_ms;
  bool big_signals;  /* histories outgrow what is kept in memory */
  bool small_window; /* of task queues */
  bool check_steps;
} sim_swarm;

/* --- the world --- */

typedef enum sim_server_state {
  SERVER_DOWN,
  SERVER_OPENING,
  SERVER_UP,
  SERVER_DRAINING
} server_state;

typedef struct sim_env {
  env env;
  sim *sim;
  list posted;
  int64_t wake_ns, wake_late_ns;
  uint64_t wakes, posts;
} sim_env;

typedef struct sim_options {
  uint64_t seed, steps;
  bool trace;
  sim_mutant mutant;
} sim_options;

enum { TRACE_LINES = 400, TRACE_BYTES = 200 };

struct sim {
  sim_options options;
  sim_swarm swarm;
  rng random;
  int64_t now_ns, start_ns;
  uint64_t step, event_tie;
  bool quiet; /* faults are off: everything must come to its end */
  heap events;
  int64_t quiet_ns, up_ns; /* since when */
  struct worker *workers[16];
  uint32_t n_workers;

  sim_env env;
  store_memory_disk *disk;
  store *store;
  void (*real_commit)(store *s, store_batch *b); /* behind a mutant's */
  void (*real_load)(store *s, store_load *l);
  void (*real_done)(env_task *t);
  shard *shard;
  server_state state;
  uint32_t epoch; /* of the server's processes */
  shard_op ns_op;
  arena ns_arena;
  list at_server; /* sim_call.node */

  uint64_t hash;
  char lines[TRACE_LINES][TRACE_BYTES];
  uint64_t n_lines;

  struct model *model;
  uint64_t next_id;
  uint64_t errands; /* of the caretaker, not done yet */
  uint64_t n_crashes, n_drains, n_calls, n_ok, n_audits, n_runs, n_deletes;
};

sim *sim_new(const sim_options *o);
void sim_free(sim *s);
/* Runs to the end; a broken invariant ends the process (sim_broken). */
void sim_run(sim *s);
void sim_trace(sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints the invariant, the end of the trace and the command to replay; exit code 1. */
_Noreturn void sim_broken(sim *s, const char *invariant, const char *fmt, ...) PRINTF_LIKE(3, 4);
void sim_print_tail(const sim *s);
void sim_at(sim *s, int64_t when_ns, void (*run)(sim *s, void *arg), void *arg);
void sim_after_ms(sim *s, uint64_t ms, void (*run)(sim *s, void *arg), void *arg);
uint64_t sim_below(sim *s, uint64_t n);
/* Chances are 0 once the faults are off. */
bool sim_fault(sim *s, uint32_t n, uint32_t of);
bool sim_chance(sim *s, uint32_t n, uint32_t of);
/* Steps may be undone by more than a crash. */
static inline bool sim_commits_fail(const sim *s) {
  return s->swarm.fail_commits || s->swarm.full_per_10000;
}
uint64_t sim_hash(span s);
void swarm_choose(sim *s);

/* --- net.c --- */

/* clang-format off */
#define SIM_METHODS(X) \
  X(start, StartWorkflowExecution) X(signal_with_start, SignalWithStartWorkflowExecution) \
  X(signal, SignalWorkflowExecution) X(request_cancel, RequestCancelWorkflowExecution) \
  X(terminate, TerminateWorkflowExecution) X(describe, DescribeWorkflowExecution) \
  X(history, GetWorkflowExecutionHistory) X(history_reverse, GetWorkflowExecutionHistoryReverse) \
  X(query, QueryWorkflow) X(reset_sticky, ResetStickyTaskQueue) \
  X(poll_workflow, PollWorkflowTaskQueue) X(wft_complete, RespondWorkflowTaskCompleted) \
  X(wft_fail, RespondWorkflowTaskFailed) X(query_complete, RespondQueryTaskCompleted) \
  X(poll_activity, PollActivityTaskQueue) X(activity_complete, RespondActivityTaskCompleted) \
  X(activity_fail, RespondActivityTaskFailed) X(activity_cancel, RespondActivityTaskCanceled) \
  X(activity_heartbeat, RecordActivityTaskHeartbeat) \
  X(activity_complete_by_id, RespondActivityTaskCompletedById) \
  X(shutdown_worker, ShutdownWorker) X(describe_task_queue, DescribeTaskQueue) \
  X(update, UpdateWorkflowExecution) X(poll_update, PollWorkflowExecutionUpdate) \
  X(update_with_start, ExecuteMultiOperation) X(reset, ResetWorkflowExecution) \
  X(delete, DeleteWorkflowExecution) X(create_schedule, CreateSchedule) \
  X(patch_schedule, PatchSchedule) X(delete_schedule, DeleteSchedule) \
  X(describe_schedule, DescribeSchedule) X(activity_pause, PauseActivity) \
  X(activity_unpause, UnpauseActivity) X(activity_update_options, UpdateActivityOptions) \
  X(list, ListWorkflowExecutions) X(count, CountWorkflowExecutions) \
  X(start_batch, StartBatchOperation) X(describe_batch, DescribeBatchOperation)
/* clang-format on */

typedef enum sim_method {
#define X(name, Name) CALL_##name,
  SIM_METHODS(X)
#undef X
} sim_method;

/* A call: made by an actor, freed by net.c after `reply`. */
struct sim_call {
  shard_op op;
  list_node node;
  sim *sim;
  sim_method method;
  arena arena; /* the server's side */
  bytes *sent; /* the request */
  void (*reply)(sim *s, sim_call *c);
  void *who;     /* the actor's */
  uint64_t note; /* the actor's */
  int64_t sent_ns, arrived_ns, answered_ns;
  bool at_server, vanished;
  /* The outcome for the actor. `lost`: nobody knows whether it was done. */
  bool lost;
  err_code code;
  buf what, got;
};

const char *net_method_name(sim_method m);
sim_call *net_call(sim *s, sim_method m, const void *request, int64_t wait_ns,
                   void (*reply)(sim *s, sim_call *c), void *who);
/* The caller is gone: no reply. */
void net_vanish(sim_call *c);
/* The server died. */
void net_cut(sim *s);
/* R3: nobody waits at the server for ever. */
void net_check_waits(sim *s);
const pb_desc *net_request_desc(sim_method m);
static inline bool net_ok(const sim_call *c) { return !c->lost && c->code == ERR_OK; }
/* The answer, decoded; it lives as long as the call and the arena. */
void *net_response(const sim_call *c, arena *a);

/* --- actors --- */

/* As workflow_task_finish_event_id: points that only batches can ask for. */
enum { SIM_RESET_FIRST_TASK = -1, SIM_RESET_LAST_TASK = -2 };

/* Request ids of signal-with-start begin so: they are their signals', and a repeated call may start
 * another run when the first has ended. */
#define SIM_WITH_START "with"

void clients_start(sim *s);
void workers_start(sim *s);
void activity_workers_start(sim *s);
/* Some worker has this task, which came with the answer to a start. */
void workers_take(sim *s, const pb_PollWorkflowTaskQueueResponse *r);

/* --- program.c --- */

enum { PROGRAM_STAGES = 6, PROGRAM_WIDTH = 3 };

typedef struct program_plan {
  uint64_t seed;
  int depth, generation; /* after so many runs of the chain; below so many parents */
} program_plan;

span program_input(program_plan p, arena *a);
program_plan program_of_input(span input);
/* Appends the commands that follow from this history (events 1..n) to the request. */
void program_step(pb_HistoryEvent *const *events, size_t n, span run_id, span queue, arena *a,
                  pb_RespondWorkflowTaskCompletedRequest *r);
/* Names of signals that runs send begin so, followed by the run's id; they are sent once. */
#define PROGRAM_SENT "sent "
/* The Initiated event of a child, signal or cancel request that this event ends, or 0. */
int64_t program_answered(const pb_HistoryEvent *ev);
/* What an activity or timer "stage-index" was meant to be. */
int64_t program_timer_ns(program_plan p, span id);
void program_retry(program_plan p, span id, pb_RetryPolicy *ret_policy, arena *a);
span text_payloads(arena *a, const char *text);

/* --- program_update.c --- */

/* What is done with an update of this name. */
#define UPDATE_ACCEPT "accept"
#define UPDATE_REJECT "reject"
#define UPDATE_SLOW "slow" /* accepted, and completed with the run's next task */
#define UPDATE_FAIL "fail" /* accepted, and completed with a failure */
/* The failure of a rejection. */
#define UPDATE_REJECTED "the plan rejects it"

/* Adds the answers to these messages, and to what was accepted before; before the commands of
 * program_step, whose call comes first. */
void program_updates(pb_HistoryEvent *const *events, size_t n, const pb_list_Message *in,
                     bool with_commands, arena *a, pb_RespondWorkflowTaskCompletedRequest *r);

/* --- model.c --- */

typedef enum record_kind {
  REC_START,    /* workflow id, request id -> text: run id */
  REC_RUN,      /* run id; acknowledged: somebody was told that it exists; text: the run that a
                   reset made it from; number: its first event that is not of that one; given: it
                   has the signals that came later; accepted: its deletion was acknowledged */
  REC_SIGNAL,   /* workflow id, signal name; in an audit: number: the run it was found in last,
                   given: how often there, attempt: how often before */
  REC_WFT,      /* token of a workflow task -> accepted */
  REC_TOKEN,    /* token of an activity task -> text: key of its attempt */
  REC_ATTEMPT,  /* run id, activity id, attempt -> accepted; text: the failure that was accepted */
  REC_ACTIVITY, /* run id, activity id -> accepted: answers that ended it; time: of the next attempt
                 */
  REC_WORKFLOW, /* workflow id; acknowledged: it has a run */
  REC_ID,       /* workflow id -> text: request id of the newest run that the audit saw */
  REC_CLOSED,   /* run id: was acknowledged to be closed */
  REC_CHILD,    /* run id of the parent, initiated event -> text: first run id of the child */
  REC_SCHEDULE, /* schedule id; number: its client; text: its notes, where they are known; attempt:
                   its overlap policy; accepted: its deletion was acknowledged; given: workflows of
                   it that are open */
  REC_BATCH,    /* job id */
  REC_ACTION,   /* id of a workflow that a schedule starts */
  REC_STARTED,  /* run id of a child; acknowledged: a parent knows that it was started */
  REC_SENT,     /* name of a signal that a run sent */
  REC_UPDATE,   /* run id, update id -> text: outcome; number: its accepted event; accepted:
                   completed events; given: it was rejected */
} record_kind;

/* Of an activity. Unknown: somebody unpaused it, or tried to. */
typedef enum pause_state { PAUSE_NONE, PAUSE_ASKED, PAUSE_DONE, PAUSE_UNKNOWN } pause_state;

typedef struct record {
  hmap_node node;
  list_node order;
  record_kind kind;
  pause_state pause;
  span key; /* owned */
  bool acknowledged;
  uint32_t accepted, given; /* answers taken; times handed out */
  int64_t time_ns, number;
  int32_t attempt;  /* REC_WFT */
  uint32_t epoch;   /* of the server that gave it out */
  uint64_t newest;  /* REC_ATTEMPT: hash of the token given out last */
  uint64_t *events; /* REC_RUN: hash of each event that was shown, 0: not yet */
  size_t n_events;
  size_t n_disk;          /* REC_RUN: events on disk at the last audit */
  bytes *text, *workflow; /* REC_UPDATE, REC_ACTIVITY: id of its workflow */
  bool may_go;            /* it was in a run that somebody asked to delete */
  /* REC_SENT: a reset came between the signal and its answer; REC_SCHEDULE: it was triggered, so
   * that two of its times may be one. */
  bool told_again;
  uint64_t seen_at;  /* number of the audit that found it on disk */
  uint64_t twice_at; /* REC_SIGNAL: of the audit that found it twice in one run */
  uint32_t seen;     /* how often */
} record;

typedef struct model {
  hmap records;
  list order;
} model;

void model_init(sim *s);
void model_free(sim *s);
record *model_find(sim *s, record_kind kind, span key);
record *model_make(sim *s, record_kind kind, span key);
/* "a/b", for keys. */
span model_key(arena *a, span first, span second);
/* An event was shown to somebody, or is on disk. */
void model_event(sim *s, span run_id, const pb_HistoryEvent *ev, const char *where);
/* Somebody asks to delete this run: what is in it need not be found any more. */
void model_delete_asked(sim *s, const pb_WorkflowExecution *x);
bool model_may_be_gone(sim *s, const record *r);
/* The run in whose history an event was written first: resets copy. */
span model_origin(sim *s, span run_id, int64_t event_id);
/* One of the records of this kind that were acknowledged, or NULL. */
const record *model_some(sim *s, record_kind kind);
/* The server answers this call now. */
void model_answered(sim *s, sim_call *c, const err *e, const void *response);

/* --- model_update.c --- */

record *model_update_of(sim *s, span run_id, span update_id);
void model_update_names(const record *r, pb_UpdateRef *ref, arena *a);
void model_update_answered(sim *s, const pb_UpdateRef *ref, int32_t stage,
                           const pb_Outcome *outcome, arena *a);

/* --- model_schedule.c --- */

void model_schedule_asked(sim *s, span id, const pb_SchedulePatch *patch);
void model_schedule_deleting(sim *s, span id);
void model_schedule_answered(sim *s, const sim_call *c, const void *request, const void *response);
void model_schedule_not_found(sim *s, span id);

/* --- model_list.c --- */

/* What a list says of time may be as old as the wait of its query for the disk. */
#define SIM_LIST_LAG_NS (2 * NS_PER_SEC)
void model_listed(sim *s, const sim_call *c, const pb_ListWorkflowExecutionsRequest *q,
                  const pb_ListWorkflowExecutionsResponse *l);
void model_counted(sim *s, const sim_call *c, const pb_CountWorkflowExecutionsRequest *q,
                   const pb_CountWorkflowExecutionsResponse *r);
void model_batch_not_found(sim *s, span job_id);

/* --- caretaker.c --- */

void caretaker_start(sim *s);

/* --- audit.c --- */

/* What the disk holds, at any moment. `final`: nothing is under way. */
void audit_disk(sim *s, bool final);
/* Memory and disk say the same where nothing is under way. */
void audit_memory(sim *s);
/* Runs that are still open. */
size_t audit_open_runs(sim *s);
/* Into the trace: what they wait for. */
void audit_say_open(sim *s);
/* Ids of events that the disk has of this run, plus one; 0: the run is not there. */
int64_t audit_next_event_id(sim *s, span run_id);
/* T5: what was handed out is on disk as started soon after. */
void audit_starts(sim *s);
/* A completed workflow task of the run, for a reset; 0: none. */
int64_t audit_some_task(sim *s, span run_id);
/* When the run was closed, as the disk knows it; 0: it is open, or not there. */
int64_t audit_close_ns(sim *s, span run_id);

/* --- mutant.c --- */

const char *mutant_name(sim_mutant m);
const char *mutant_what(sim_mutant m);
bool mutant_parse(const char *name, sim_mutant *ret_mutant);
void mutant_wrap_store(sim *s);
/* May change a request on its way in and a response on its way out. */
void mutant_request(sim *s, sim_method m, void *request, arena *a);
bool mutant_loses_post(sim *s);
bool mutant_loses_wake(sim *s);
int64_t mutant_clock_ns(sim *s);

#endif

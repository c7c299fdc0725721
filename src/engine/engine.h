/* engine.h - the rules of one run: (state, command, time, randomness) -> (state, effects).
 *
 * Pure: no clock, socket, thread, store or global. The caller (shard/) owns an engine_run per run
 * in memory, passes one command at a time, and then either keeps or drops the outcome:
 *
 *   engine_step st;  engine_step_init(&st, ...);
 *   err *e = engine_signal(run, &st, &args);   // applied in memory when e == NULL
 *   ... stage st.rows, publish st.tasks once durable, answer with st.reply_err or the response
 *
 * An error means refused, nothing changed. A step that succeeded has already changed the run; if
 * its rows cannot be committed, the run must be freed and loaded again. `st.reply_err` is an error
 * for the caller of a step that *did* change something (an invalid completion fails the workflow
 * task).
 *
 * Everything a step returns lives in its arena, except blobs: each row holds one reference per blob
 * that the receiver drops with engine_rows_release.
 *
 * Rules come from the behaviour of server 1.32; event order and texts are checked by
 * tests/conformance.
 */
#ifndef PERDURE_ENGINE_ENGINE_H
#define PERDURE_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/rng.h"
#include "proto/pb.gen.h"
#include "schedule/zone.h"
#include "store/store.h"

typedef struct engine_run engine_run;

/* Limits that an operator may set (limit.* dynamic configuration of the original). */
typedef struct engine_limits {
  size_t blob_bytes; /* one payload field: input, result, details, failure */
  size_t memo_bytes;
  size_t history_bytes, suggest_history_bytes;
  size_t state_bytes; /* of details, memo and attributes that the run's state holds; not failures */
  int64_t history_events, suggest_history_events;
  int64_t pending;                    /* activities (children, ...) per run */
  int64_t signals;                    /* per run */
  int64_t updates_in_flight, updates; /* per run: not completed; ever accepted */
  size_t update_bytes;                /* of requests in flight, per run */
  int32_t buffered_events;
  size_t buffered_bytes;
  size_t transaction_bytes; /* of events that one completion writes */
  int64_t ledger_bytes;     /* of failures kept beside history, per run */
  int64_t callbacks;        /* per run */
} engine_limits;

extern const engine_limits engine_default_limits;

/* How many attempts of an activity the ledger (rows ATTEMPT_PUT) keeps whole. There are more rows:
 * readers leave out all but the newest of these. */
enum { ENGINE_LEDGER_ATTEMPTS = 64 };

typedef enum engine_task_kind { ENGINE_WORKFLOW_TASK, ENGINE_ACTIVITY_TASK } engine_task_kind;

/* A task that became ready for a worker. */
typedef struct engine_task {
  engine_task_kind kind;
  int64_t id; /* ENGINE_ACTIVITY_TASK: scheduled event id; workflow task: 0 */
  store_queued queued;
  int64_t sticky_fallback; /* queue key of the normal queue when `queued` is a sticky one, else 0 */
} engine_task;

/* What identifies one start of one task: the content of a task token. */
typedef struct engine_token {
  int64_t scheduled_id, started_id;
  int32_t attempt;
  int64_t started_time_ns;
} engine_token;

/* The services a step needs from the shard. */
typedef struct engine_host {
  void *ctx;
  const engine_limits *limits;
  zones *zones; /* of cron schedules */
  /* Key of a task queue, made on first use. */
  int64_t (*queue_key)(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky);
  /* Next place in a queue; grows with every call, over restarts too. */
  int64_t (*next_seq)(void *ctx);
  /* A fresh run: its key and its id (36 characters, carrying the key), in the arena. */
  void (*new_run)(void *ctx, arena *a, int64_t *ret_run, span *ret_run_id);
  /* The namespace's record: which search attributes it has. No function, or NULL: only those that
   * exist everywhere. */
  const pb_store_Namespace *(*namespace)(void *ctx, int64_t ns);
  /* How long closed runs of a namespace are kept; 0, or no function: for good. */
  int64_t (*retention_ns)(void *ctx, int64_t ns);
  /* The same for a run that another step will make: only the id is stored until then. */
  void (*promise_run)(void *ctx, arena *a, span *ret_run_id);
  /* Id of the namespace of this name; p == NULL: there is none. */
  span (*namespace_id)(void *ctx, span name);
} engine_host;

/* How far an update has come. */
typedef enum engine_update_stage {
  ENGINE_UPDATE_UNKNOWN,
  ENGINE_UPDATE_ADMITTED,
  ENGINE_UPDATE_ACCEPTED,
  ENGINE_UPDATE_COMPLETED
} engine_update_stage;

typedef struct engine_update {
  span id;
  engine_update_stage stage;
  const pb_Outcome *outcome; /* of COMPLETED, or NULL: */
  int64_t outcome_event_id;  /* it is in this UpdateCompleted event */
  err *error;                /* the update was aborted: what its client is told */
} engine_update;

typedef struct engine_step {
  /* given */
  const engine_host *host;
  int64_t now_ns;
  rng *random;
  arena *arena;

  /* effects */
  store_row *rows;
  size_t n_rows, cap_rows;
  engine_task *tasks;
  size_t n_tasks, cap_tasks;
  int64_t *messages; /* to other runs, for when the step is durable: see message.h */
  size_t n_messages, cap_messages;
  engine_update *updates; /* that came further or ended */
  size_t n_updates, cap_updates;
  bool lazy;            /* only tasks started or backoffs ended: may be written with the run's next
                           commit (at most 100 ms later); nothing else waits for it */
  bool new_events;      /* history grew */
  bool closed;          /* the run is closed by this step */
  bool deleted;         /* its rows go with this step: the run may only be freed */
  err *reply_err;       /* the caller's answer although state changed */
  engine_run *follower; /* run started by this one in the same transaction (continue-as-new, retry);
                           its rows and tasks are in follower_step. The shard owns it. */
  struct engine_step *follower_step;
} engine_step;

void engine_step_init(engine_step *st, const engine_host *host, int64_t now_ns, rng *random,
                      arena *a);
/* Drops the blob references of rows that are not needed any more. */
void engine_rows_release(store_row *rows, size_t n);

/* --- life --- */

/* Who started a run as its child. */
typedef struct engine_parent {
  span ns_name, ns_id;
  span workflow_id, run_id;
  int64_t initiated_id;
  span root_workflow_id, root_run_id;
} engine_parent;

typedef struct engine_start_args {
  int64_t ns; /* key of the namespace */
  span ns_name;
  int64_t run;
  span run_id;
  /* Validated and with defaults filled in: policies, timeouts, retry policy, request id. */
  const pb_StartWorkflowExecutionRequest *request;
  const pb_SignalWithStartWorkflowExecutionRequest *signal; /* or NULL */
  const engine_parent *parent;                              /* or NULL */
  const pb_WorkflowExecution *schedule;                     /* that starts it, or NULL */
  int64_t expected_run;     /* what `current` names now; 0: nothing */
  const engine_run *before; /* that run; NULL: nothing */
} engine_start_args;

/* A memo without the fields that stand for "not there"; NULL when none is left. */
pb_Memo *engine_memo_fields(const pb_Memo *memo, arena *a);
/* Makes a run with its first events. The run is the caller's. Cannot be refused. */
engine_run *engine_start(engine_step *st, const engine_start_args *args);

/* From its rows. DATA_LOSS when they do not decode or contradict each other. */
MUST_USE err *engine_load(const store_row *row, const store_row *items, size_t n_items, arena *a,
                          engine_run **ret_run);
void engine_free(engine_run *run);
size_t engine_memory_bytes(const engine_run *run);
/* Checks every invariant of the run; the first that is broken, in words, or NULL. */
const char *engine_check(const engine_run *run, arena *a);

/* --- reads --- */

typedef struct engine_view {
  int64_t run, ns;
  span workflow_id, run_id, first_run_id, request_id, workflow_type, task_queue;
  span new_run_id;   /* of a closed run that continued */
  span reset_run_id; /* of a run that was reset: what came of it */
  int32_t status;    /* WorkflowExecutionStatus */
  int64_t next_event_id, close_event_batch_id;
  int64_t completed_wfts, last_completed_started_id;
  bool wft_pending, wft_started, backoff; /* backoff: the first task is not scheduled yet */
  bool unsettled;                         /* engine_settle has something to write */
  int64_t backoff_until_ns;
  int32_t wft_attempt;
  int64_t wft_scheduled_id;
  span sticky_queue; /* p == NULL: none */
  int64_t sticky_timeout_ns;
  int64_t start_time_ns, close_time_ns;
  int64_t history_bytes;
} engine_view;

/* Spans are valid until the next step or engine_free. */
void engine_look(const engine_run *run, engine_view *ret_view);
/* Earliest time at which engine_fire has something to do; 0: never. */
int64_t engine_next_due_ns(const engine_run *run);
/* Only memory knows of the pending workflow task, or that it was handed out. */
bool engine_task_in_memory(const engine_run *run);
/* The pending workflow task is not in any row; a crash forgets it, with the updates it is for. */
bool engine_task_is_speculative(const engine_run *run);
/* Every task that is ready now (after a load). */
void engine_ready_tasks(engine_run *run, engine_step *st);
pb_DescribeWorkflowExecutionResponse *engine_describe(const engine_run *run, int64_t now_ns,
                                                      arena *a);
/* Of the pending activity with this id; 0: none. */
int64_t engine_activity_scheduled_id(const engine_run *run, span activity_id);
/* A pending activity of an open run alone, as engine_describe shows it; NULL: none. */
pb_PendingActivityInfo *engine_describe_activity(const engine_run *run, int64_t scheduled_id,
                                                 int64_t now_ns, arena *a);
/* perdure.api.v1: what went wrong and what happens next. `close` is the event that closed the run,
 * NULL while it is open. Parts of the answer are the run's. */
pb_api_ExplainWorkflowResponse *engine_explain(const engine_run *run, const pb_HistoryEvent *close,
                                               arena *a);
/* Its entry in a list, from the blobs of its row alone. DATA_LOSS when they do not decode. */
MUST_USE err *engine_list_entry(span info, span state, arena *a, pb_WorkflowExecutionInfo **ret);
/* Workflow type, retry policy, ... of the run for a query task or a describe. */
const pb_store_RunInfo *engine_info(const engine_run *run);
/* Events of the pending workflow task that are not in history (transient attempts), to be shown to
 * SDKs after the last event: 0, 1 (scheduled) or 2 (and started) events, encoded as History. */
span engine_transient_events(const engine_run *run, arena *a);

/* --- time --- */

/* Everything due at st->now_ns: timers, activity timeouts and retries, workflow task timeouts,
 * backoff, run timeout; a closed run whose time is over is deleted. Never refused; may have no
 * effect. */
void engine_fire(engine_run *run, engine_step *st);

/* --- workflow tasks --- */

typedef struct engine_poller {
  span identity, request_id;
  const pb_WorkerVersionCapabilities *version; /* or NULL */
  bool sticky;                                 /* polled a sticky queue */
  bool eager; /* the client that starts the run takes its first task: nothing is written before */
} engine_poller;

/* Whether a task was handed out as it was planned, in one transaction: to the client that starts
 * the run, or to the worker that answers the task before. */
bool engine_start_came_at_once(const pb_WorkflowTaskStartedEventAttributes *start);

/* The answer to a workflow task poll, all but history bytes and the sealed token. */
typedef struct engine_wft {
  engine_token token;
  pb_PollWorkflowTaskQueueResponse *response;
  int64_t history_from_id;  /* first event the worker needs */
  int64_t history_until_id; /* exclusive, of what is in history rows */
  span unwritten;           /* encoded History to append after them, or p == NULL */
} engine_wft;

/* Hands the pending workflow task to a poller. NOT_FOUND when it is gone or already started (the
 * shard drops the task and polls on). Usually without rows: the start is kept in memory and written
 * with whatever is written next, or by engine_settle. */
MUST_USE err *engine_wft_start(engine_run *run, engine_step *st, const engine_poller *p,
                               engine_wft *ret_wft);
/* The answer once more, for a client that did not get it: the first task of the run is in flight,
 * in its first attempt. False: that is over. */
bool engine_wft_first_again(engine_run *run, arena *a, engine_wft *ret_wft);
/* Takes back a start whose poller vanished before delivery; the task is ready again, as if never
 * handed out. NOT_FOUND when the start is over or already in history. */
MUST_USE err *engine_wft_unstart(engine_run *run, engine_step *st, const engine_token *token);
/* Writes the start of the workflow task if only memory knows it: within SHARD_LAZY_NS of the start,
 * and before anyone is shown a history or description that must hold it. False: nothing to do. */
bool engine_settle(engine_run *run, engine_step *st);
/* Writes a speculative task, which then is a normal one: where it cannot be offered from memory. */
void engine_write_speculative(engine_run *run, engine_step *st);
/* No poller was seen on the sticky queue: offer the pending task to the normal queue instead. */
void engine_wft_leave_sticky(engine_run *run, engine_step *st);
/* Forgets the sticky queue (ResetStickyTaskQueue, or its worker shut down). */
void engine_reset_sticky(engine_run *run, engine_step *st);

/* `ret_next` has response != NULL when return_new_workflow_task made a task at once; `ret_eager`
 * lists activities to hand to the same worker. Query results are the shard's. */
typedef struct engine_completion {
  engine_wft next;
  pb_RespondWorkflowTaskCompletedResponse *response;
} engine_completion;

MUST_USE err *engine_wft_complete(engine_run *run, engine_step *st, const engine_token *token,
                                  const pb_RespondWorkflowTaskCompletedRequest *request,
                                  engine_completion *ret_done);
MUST_USE err *engine_wft_fail(engine_run *run, engine_step *st, const engine_token *token,
                              const pb_RespondWorkflowTaskFailedRequest *request);
/* Whether this token's task is the one in flight (or may still be accepted after a restart). */
bool engine_wft_is_current(const engine_run *run, const engine_token *token);

/* --- activities --- */

typedef struct engine_activity {
  engine_token token;
  pb_PollActivityTaskQueueResponse *response; /* all but the sealed token */
} engine_activity;

/* As engine_wft_start. `st->lazy` is false for the last permitted attempt: it must be durable
 * before dispatch. */
/* `seq` is the place in the queue that the task was offered with: it may have moved since. */
MUST_USE err *engine_activity_start(engine_run *run, engine_step *st, int64_t scheduled_id,
                                    int64_t seq, const engine_poller *p,
                                    engine_activity *ret_activity);
MUST_USE err *engine_activity_unstart(engine_run *run, engine_step *st, const engine_token *token);

/* The activity an operation is about: by token, or by id (token NULL). */
typedef struct engine_activity_ref {
  const engine_token *token;
  span activity_id;
} engine_activity_ref;

MUST_USE err *engine_activity_complete(engine_run *run, engine_step *st, engine_activity_ref ref,
                                       span result, span identity,
                                       const pb_WorkerVersionStamp *version);
MUST_USE err *engine_activity_fail(engine_run *run, engine_step *st, engine_activity_ref ref,
                                   const pb_Failure *failure, span identity,
                                   span last_heartbeat_details,
                                   const pb_WorkerVersionStamp *version);
MUST_USE err *engine_activity_cancel(engine_run *run, engine_step *st, engine_activity_ref ref,
                                     span details, span identity,
                                     const pb_WorkerVersionStamp *version);
/* What the attempt is told by its heartbeat. */
typedef struct engine_heartbeat {
  bool cancel_requested, paused, reset;
} engine_heartbeat;

/* Lazy. */
MUST_USE err *engine_activity_heartbeat(engine_run *run, engine_step *st, engine_activity_ref ref,
                                        span details, span identity, engine_heartbeat *ret_heard);

/* --- activities, by operators: not an event any of them --- */

/* FAILED_PRECONDITION when the activity named is paused, by another request. */
MUST_USE err *engine_activity_pause(engine_run *run, engine_step *st,
                                    const pb_PauseActivityRequest *r);
MUST_USE err *engine_activity_unpause(engine_run *run, engine_step *st,
                                      const pb_UnpauseActivityRequest *r);
MUST_USE err *engine_activity_reset(engine_run *run, engine_step *st,
                                    const pb_ResetActivityRequest *r);
/* Paths of the mask are in snake_case. `ret_options`: of the last activity that was changed. */
MUST_USE err *engine_activity_update_options(engine_run *run, engine_step *st,
                                             const pb_UpdateActivityOptionsRequest *r,
                                             pb_ActivityOptions **ret_options);

/* --- updates --- */

/* How far the update of this id has come. UNKNOWN with an error: it was aborted. Spans and the
 * outcome are valid until the next step, or live in the arena. */
engine_update engine_update_look(const engine_run *run, span update_id, arena *a);
/* Admits an update unless its id is known: it is delivered with the next workflow task, which is
 * made if none is pending. Without rows: what is admitted only memory knows, and clients whose
 * update was lost send it again. The request's meta is set.
 * NOT_FOUND (the run is closed), RESOURCE_EXHAUSTED, FAILED_PRECONDITION (WorkflowNotReady, or too
 * many). */
MUST_USE err *engine_update_admit(engine_run *run, engine_step *st,
                                  const pb_update_Request *request);
/* The same for a run that engine_start has just made, which has its task. */
void engine_update_with_start(engine_run *run, const pb_update_Request *request, arena *a);
/* Admitted updates that only memory holds. */
bool engine_has_updates(const engine_run *run);

/* --- messages from outside --- */

typedef struct engine_signal_args {
  span name, input, identity, request_id;
  const pb_Header *header;
  const pb_Link *const *links;
  size_t n_links;
  bool despite_backoff; /* the first workflow task does not wait for the rest of its delay */
  const pb_WorkflowExecution *sender; /* a workflow; NULL: a client */
} engine_signal_args;

MUST_USE err *engine_signal(engine_run *run, engine_step *st, const engine_signal_args *args);
/* What a start that found this run leaves with it (on_conflict_options). */
typedef struct engine_attach_args {
  span request_id; /* p == NULL: none */
  const pb_Link *const *links;
  size_t n_links;
  const pb_list_Callback *callbacks; /* or NULL */
} engine_attach_args;

/* Of the mask only `priority` and its fields mean something here. No workflow task follows.
 * `ret_options`: those that count now. */
MUST_USE err *engine_update_options(engine_run *run, engine_step *st,
                                    const pb_UpdateWorkflowExecutionOptionsRequest *r,
                                    pb_WorkflowExecutionOptions **ret_options);
/* Why a versioning override cannot be one, or NULL. */
const char *engine_override_problem(const pb_VersioningOverride *v, arena *a);
/* The version that a sound one sends workflow tasks to; false: none by name. */
bool engine_override_pins(const pb_VersioningOverride *v, span *ret_deployment, span *ret_build);
/* A request id that is attached already changes nothing. No workflow task follows. */
MUST_USE err *engine_attach(engine_run *run, engine_step *st, const engine_attach_args *args);
bool engine_is_attached(const engine_run *run, span request_id);
typedef struct engine_cancel_args {
  span cause, identity, request_id;
  const pb_Link *const *links;
  size_t n_links;
  const pb_WorkflowExecution *sender; /* a workflow; NULL: a client */
  int64_t sender_initiated_id;
} engine_cancel_args;

MUST_USE err *engine_request_cancel(engine_run *run, engine_step *st,
                                    const engine_cancel_args *args);
typedef struct engine_terminate_args {
  span reason, details, identity;
  const pb_Link *const *links;
  size_t n_links;
  bool by_reset; /* the children go on: they are those of the new run */
} engine_terminate_args;

MUST_USE err *engine_terminate(engine_run *run, engine_step *st, const engine_terminate_args *args);
/* --- reset --- */

/* What of that which came after the point is applied again. */
typedef struct engine_reapply {
  bool signals, updates;
} engine_reapply;

typedef struct engine_reset_args {
  int64_t run; /* the new one */
  span run_id;
  int64_t expected_run; /* what `current` names now; 0: nothing */
  const engine_run *base;
  /* The base's events before the point, at least one, and everything after it: of the base, then
   * of the runs that followed it. They stay in use until the step is staged. */
  pb_HistoryEvent *const *events;
  size_t n_events;
  pb_HistoryEvent *const *later;
  size_t n_later;
  const engine_run *last; /* of the chain: events wait in its buffer; NULL: none to look at */
  span reason;
  engine_reapply again;
  const pb_list_PostResetOperation *after; /* new options only; masks as in engine_update_options */
} engine_reset_args;

/* Makes the run that begins with these events. INVALID_ARGUMENT when the point is not one. */
MUST_USE err *engine_reset(engine_step *st, const engine_reset_args *args, engine_run **ret_run);
/* Where the first workflow task that this build completed has its end, in this run or in one before
 * it in the chain. The id is in the arena. */
bool engine_reset_point(const engine_run *run, span build_id, arena *a, span *ret_run_id,
                        int64_t *ret_event_id);
/* The base of a reset knows what came of it. */
void engine_note_reset(engine_run *run, engine_step *st, span new_run_id);

/* --- deletion --- */

/* Removes the run. A closed one goes with this step (st->deleted), unless it still has
 * something to tell other runs: then it is due for deletion a second later. An open one is
 * terminated, so that those who wait for its end can see it, and is due for deletion a second
 * later; call this again before. Never refused. */
void engine_delete(engine_run *run, engine_step *st);
/* The same at once, whatever the run is doing: nobody is told. */
void engine_discard(engine_run *run, engine_step *st);

#endif

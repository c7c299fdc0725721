/* shard.h - runs in memory, their steps, their commits, and everybody who waits for them.
 *
 * One thread owns a shard. A request becomes a `shard_op`: the shard finds or loads the run, lets
 * the engine take a step, stages its rows, and answers when they are durable:
 *
 *   load   the run is in memory (hot, within a byte budget) or its rows are read
 *   step   engine_*(): state changes in memory, effects are queued
 *   commit everything staged becomes one store batch as soon as the batch before is durable
 *   publish replies, tasks to matching, history waiters: never before the newest step they observed
 *          is durable, reads included
 *
 * A step that only starts a task is lazy: it is written with the run's next commit, at the latest
 * after SHARD_LAZY_NS. When a commit fails, every run changed since is dropped and read again, and
 * its waiters get the error.
 *
 * Pure: time, randomness and deferred calls come from env; storage is store.h.
 */
#ifndef PERDURE_SHARD_SHARD_H
#define PERDURE_SHARD_SHARD_H

#include "base/env.h"
#include "base/heap.h"
#include "engine/engine.h"
#include "store/store.h"
#include "visibility/filter.h"

typedef struct shard shard;

#define SHARD_LAZY_NS (100 * NS_PER_MS)

typedef struct shard_config {
  engine_limits limits;
  size_t memory_bytes;        /* of runs and history kept in memory */
  size_t shed_bytes;          /* above this, new starts get RESOURCE_EXHAUSTED */
  int64_t long_poll_ns;       /* history long poll: 20 s */
  int64_t poll_ns;            /* task polls: 60 s */
  int64_t timer_window_ns;    /* how far ahead deadlines are held in memory */
  size_t queue_window;        /* tasks of one queue held in memory */
  int32_t buffered_queries;   /* per run, on the next workflow task */
  bool eager_activities;      /* workers may have activities with the answer that schedules them */
  bool eager_workflows;       /* clients may have the first task of what they start */
  bool check_steps;           /* engine_check after every step, not only after a load */
  zone_source *zone_source;   /* NULL: only UTC is known */
  const uint8_t *secret;      /* 32 bytes that sign tokens, for a simulator; NULL: random ones */
  const int64_t *quarantined; /* keys of runs that are not to be touched; as long as the shard */
  size_t n_quarantined;
} shard_config;

extern const shard_config shard_default_config;

/* One request under way. The caller embeds it in its own call, fills the first part and keeps it
 * alive until `done`, which is called exactly once, maybe before the shard_* call returns. */
typedef struct shard_op shard_op;
struct shard_op {
  arena *arena; /* the request's; responses and errors are made in it */
  int64_t ns;   /* key of the namespace: shard_namespace */
  span ns_name;
  int64_t deadline_ns; /* env time by which the caller wants an answer; INT64_MAX: none */
  /* shard_history: ends with the events of a workflow task that is not in history (for SDKs). */
  bool unwritten_events;
  /* `response` is the method's response message, or NULL with an error. Valid during the call. */
  void (*done)(shard_op *op, const err *e, const void *response);
  /* Optional. The op is about to wait long; the shard keeps no reference to the request or to
   * anything in the arena, and the caller may empty it. */
  void (*park)(shard_op *op);

  /* The shard's. */
  struct shard_run *run;
  list_node node;
  heap_node timer;
  uint64_t lsn; /* answer once this is durable */
  void *state;
};

typedef struct shard_namespace_info {
  int64_t key;
  span name;                        /* valid as long as the shard */
  const pb_store_Namespace *record; /* valid until control returns to the shard */
} shard_namespace_info;

/* Reads namespaces, task queue names and token keys, makes what is missing, then calls ready once
 * (with an error if the database cannot be used). The store is borrowed. */
shard *shard_new(env *e, store *s, const shard_config *config,
                 void (*ready)(void *arg, const err *e), void *arg);
/* Every waiting op gets UNAVAILABLE; lazy steps are written; then done. */
void shard_drain(shard *s, void (*done)(void *arg), void *arg);
void shard_free(shard *s);
/* The key of the run that is being worked on now, 0: of none. May be read in a signal handler. */
const volatile int64_t *shard_suspect(const shard *s);
/* env.wake_at's call: fires what is due. */
void shard_wake(shard *s);

/* Time zones of cron schedules. */
zones *shard_zones(shard *s);

/* --- namespaces --- */

/* NULL when there is none of this name. */
const shard_namespace_info *shard_namespace(const shard *s, span name);
const shard_namespace_info *shard_namespace_by_id(const shard *s, span id);
/* In the order of names: the first one after `name`; NULL after the last. */
const shard_namespace_info *shard_namespace_after(const shard *s, span name);
/* The namespace a task token belongs to, for a request that names none; NULL: not our token. */
const shard_namespace_info *shard_namespace_of_token(const shard *s, span token);
/* Changes of namespaces answer without a response when they are durable. op->ns is not used. */

/* The key that a run id carries; false: it carries none. */
bool shard_run_key(span run_id, int64_t *ret_key);

/* A new one: its key, id and time are given to it. ALREADY_EXISTS
 * (NamespaceAlreadyExistsFailure). */
void shard_register_namespace(shard *s, shard_op *op, const pb_store_Namespace *record);
/* What its record will be once all changes under way are durable: what a further change starts
 * from. Valid as info->record. */
const pb_store_Namespace *shard_namespace_newest(const shard *s, const shard_namespace_info *info);
/* Writes a record in place of the one with its key, which exists. */
void shard_update_namespace(shard *s, shard_op *op, const pb_store_Namespace *record);

/* --- requests: validated by the caller (fields present, sizes, defaults filled in) --- */

void shard_start(shard *s, shard_op *op, const pb_StartWorkflowExecutionRequest *r);
/* `start` is the start that the request stands for, normalised like any other. */
void shard_signal_with_start(shard *s, shard_op *op,
                             const pb_SignalWithStartWorkflowExecutionRequest *r,
                             const pb_StartWorkflowExecutionRequest *start);
void shard_signal(shard *s, shard_op *op, const pb_SignalWorkflowExecutionRequest *r);
void shard_request_cancel(shard *s, shard_op *op,
                          const pb_RequestCancelWorkflowExecutionRequest *r);
void shard_terminate(shard *s, shard_op *op, const pb_TerminateWorkflowExecutionRequest *r);
/* An open run is terminated first. Durable when done. */
void shard_delete(shard *s, shard_op *op, const pb_DeleteWorkflowExecutionRequest *r);
typedef enum shard_reset_point {
  SHARD_RESET_GIVEN, /* the request says it */
  SHARD_RESET_FIRST_TASK,
  SHARD_RESET_LAST_TASK, /* that was completed */
  SHARD_RESET_BUILD,     /* the first one that a build of the worker completed, over the chain */
} shard_reset_point;

typedef struct shard_reset_how {
  engine_reapply again;
  shard_reset_point point;
  span build_id;
  bool this_run_only; /* and not those before it in its chain */
} shard_reset_how;

void shard_reset(shard *s, shard_op *op, const pb_ResetWorkflowExecutionRequest *r,
                 shard_reset_how how);
void shard_describe(shard *s, shard_op *op, const pb_DescribeWorkflowExecutionRequest *r);
void shard_history(shard *s, shard_op *op, const pb_GetWorkflowExecutionHistoryRequest *r,
                   bool follows_next_run);
void shard_history_reverse(shard *s, shard_op *op,
                           const pb_GetWorkflowExecutionHistoryReverseRequest *r);
void shard_query(shard *s, shard_op *op, const pb_QueryWorkflowRequest *r);
/* The request's meta, input and update id are set, the wait policy is filled in. */
void shard_update(shard *s, shard_op *op, const pb_UpdateWorkflowExecutionRequest *r);
void shard_poll_update(shard *s, shard_op *op, const pb_PollWorkflowExecutionUpdateRequest *r);
/* Both or neither; errors are MultiOperationExecutionFailure. */
void shard_update_with_start(shard *s, shard_op *op, const pb_StartWorkflowExecutionRequest *start,
                             const pb_UpdateWorkflowExecutionRequest *update);
/* The error of a multi operation from those of its parts, NULL being one that succeeded. */
err *shard_multi_error(arena *a, const err *start, const err *update);
/* Of the part that would have succeeded. */
err *shard_multi_aborted(arena *a);
void shard_reset_sticky(shard *s, shard_op *op, const pb_ResetStickyTaskQueueRequest *r);

void shard_poll_workflow(shard *s, shard_op *op, const pb_PollWorkflowTaskQueueRequest *r);
void shard_wft_complete(shard *s, shard_op *op, const pb_RespondWorkflowTaskCompletedRequest *r);
void shard_wft_fail(shard *s, shard_op *op, const pb_RespondWorkflowTaskFailedRequest *r);
void shard_query_complete(shard *s, shard_op *op, const pb_RespondQueryTaskCompletedRequest *r);

void shard_poll_activity(shard *s, shard_op *op, const pb_PollActivityTaskQueueRequest *r);
/* Waits as the others do; there are no such tasks yet. */
void shard_poll_nexus(shard *s, shard_op *op, const pb_PollNexusTaskQueueRequest *r);
void shard_activity_complete(shard *s, shard_op *op,
                             const pb_RespondActivityTaskCompletedRequest *r);
void shard_activity_fail(shard *s, shard_op *op, const pb_RespondActivityTaskFailedRequest *r);
void shard_activity_cancel(shard *s, shard_op *op, const pb_RespondActivityTaskCanceledRequest *r);
void shard_activity_heartbeat(shard *s, shard_op *op,
                              const pb_RecordActivityTaskHeartbeatRequest *r);
void shard_activity_complete_by_id(shard *s, shard_op *op,
                                   const pb_RespondActivityTaskCompletedByIdRequest *r);
void shard_activity_fail_by_id(shard *s, shard_op *op,
                               const pb_RespondActivityTaskFailedByIdRequest *r);
void shard_activity_cancel_by_id(shard *s, shard_op *op,
                                 const pb_RespondActivityTaskCanceledByIdRequest *r);
void shard_activity_heartbeat_by_id(shard *s, shard_op *op,
                                    const pb_RecordActivityTaskHeartbeatByIdRequest *r);
/* Paths of the mask are in snake_case, and none that is not built. */
void shard_update_options(shard *s, shard_op *op,
                          const pb_UpdateWorkflowExecutionOptionsRequest *r);
void shard_activity_pause(shard *s, shard_op *op, const pb_PauseActivityRequest *r);
void shard_activity_unpause(shard *s, shard_op *op, const pb_UnpauseActivityRequest *r);
void shard_activity_reset(shard *s, shard_op *op, const pb_ResetActivityRequest *r);
/* The paths of the mask are in snake_case. */
void shard_activity_update_options(shard *s, shard_op *op,
                                   const pb_UpdateActivityOptionsRequest *r);
/* Ends the worker's polls with an empty answer at once; forgets its sticky queue. */
void shard_shutdown_worker(shard *s, shard_op *op, const pb_ShutdownWorkerRequest *r);
/* What workers say of themselves; kept in memory. */
void shard_worker_heartbeat(shard *s, shard_op *op, const pb_RecordWorkerHeartbeatRequest *r);
void shard_list_workers(shard *s, shard_op *op, const pb_ListWorkersRequest *r);
void shard_count_workers(shard *s, shard_op *op, const pb_CountWorkersRequest *r);
void shard_describe_worker(shard *s, shard_op *op, const pb_DescribeWorkerRequest *r);
/* A workflow or activity queue. Durable when done. */
void shard_update_queue_config(shard *s, shard_op *op, const pb_UpdateTaskQueueConfigRequest *r);
void shard_describe_task_queue(shard *s, shard_op *op, const pb_DescribeTaskQueueRequest *r);

/* --- lists --- */

enum { SHARD_LIST_PAGE = 1000 };

/* Which runs, in what order (visibility/filter.h). Lists see what was acknowledged before. */
typedef struct shard_list {
  const filter *filter;
  span query; /* its text: a page token belongs to it */
  size_t limit;
  span page_token; /* empty: from the begin */
} shard_list;

/* `response` of op->done. Entries live in the op's arena. */
typedef struct shard_listed {
  pb_WorkflowExecutionInfo **v;
  size_t n;
  span next_page_token; /* empty: that was all */
} shard_listed;

typedef struct shard_counted {
  int64_t count;
  const store_group *groups; /* when the filter groups */
  size_t n_groups;
} shard_counted;

/* INVALID_ARGUMENT for a page token that is not of this list; DEADLINE_EXCEEDED when the answer
 * takes longer than SHARD_QUERY_MS. */
void shard_list_runs(shard *s, shard_op *op, const shard_list *l);
void shard_count_runs(shard *s, shard_op *op, const filter *f);
/* The same for schedules; the response to a list is a ListSchedulesResponse. */
void shard_list_schedules(shard *s, shard_op *op, const shard_list *l);
void shard_count_schedules(shard *s, shard_op *op, const filter *f);
enum { SHARD_QUERY_MS = 1000 };

/* --- batches --- */

/* Over r->executions, or a query that can be read, also as shard_batch_query. Durable when done;
 * ALREADY_EXISTS for a job id that is known, RESOURCE_EXHAUSTED while another batch of the
 * namespace runs. */
void shard_start_batch(shard *s, shard_op *op, const pb_StartBatchOperationRequest *r);
/* A batch's query, narrowed to the workflows that its operation can be for. */
span shard_batch_query(const pb_StartBatchOperationRequest *q, arena *a);
/* NOT_FOUND when there is none, or it has ended. */
void shard_stop_batch(shard *s, shard_op *op, const pb_StopBatchOperationRequest *r);
void shard_describe_batch(shard *s, shard_op *op, span job_id);
/* Newest first; `after` is the page token of the page before. */
void shard_list_batches(shard *s, shard_op *op, size_t limit, span after);

/* The caller has gone: a waiting op ends at once (done with CANCELLED), a task that was matched to
 * it goes to another poller. Harmless when the op is past waiting. */
void shard_op_gone(shard *s, shard_op *op);

/* --- schedules: as above; `start` is what their actions start, see engine/schedule.h --- */

void shard_create_schedule(shard *s, shard_op *op, const pb_CreateScheduleRequest *r,
                           const pb_StartWorkflowExecutionRequest *start);
void shard_update_schedule(shard *s, shard_op *op, const pb_UpdateScheduleRequest *r,
                           const pb_StartWorkflowExecutionRequest *start);
void shard_patch_schedule(shard *s, shard_op *op, const pb_PatchScheduleRequest *r);
void shard_delete_schedule(shard *s, shard_op *op, const pb_DeleteScheduleRequest *r);
void shard_describe_schedule(shard *s, shard_op *op, const pb_DescribeScheduleRequest *r);
void shard_matching_times(shard *s, shard_op *op, const pb_ListScheduleMatchingTimesRequest *r);

/* --- perdure.api.v1 --- */

typedef struct shard_attempts_query {
  span workflow_id, run_id;
  span activity_id; /* of a pending activity; empty: scheduled_event_id names it */
  int64_t scheduled_event_id;
} shard_attempts_query;

typedef struct shard_attempts {
  int64_t scheduled_event_id;
  const pb_PendingActivityInfo *pending; /* NULL: the activity has ended */
  pb_store_AttemptRecord **v;            /* oldest first, failures resolved */
  size_t n;
} shard_attempts;

/* `response` of op->done is a shard_attempts. The query must live as long as the op. */
void shard_list_attempts(shard *s, shard_op *op, const shard_attempts_query *q);
void shard_explain(shard *s, shard_op *op, const pb_api_ExplainWorkflowRequest *r);

typedef struct shard_stats {
  uint64_t steps, lazy_steps, batches, batch_steps, commit_failures;
  uint64_t runs_in_memory, run_bytes, loads, evictions;
  uint64_t parked_polls, history_waiters, queries;
  uint64_t backlog; /* tasks ready and not handed out, in memory windows */
} shard_stats;

void shard_get_stats(const shard *s, shard_stats *ret_stats);

#endif

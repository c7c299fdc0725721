/* check.h - what a request has to look like before a shard sees it, and the defaults that are
 * filled in. Texts and their order are those of server 1.32 (tests/conformance records them).
 *
 * Pure: no clock, socket or loop, so that the simulator checks its requests with the same code.
 * Every error is INVALID_ARGUMENT unless said; normalised copies and errors live in the arena.
 */
#ifndef PERDURE_RPC_HANDLERS_CHECK_H
#define PERDURE_RPC_HANDLERS_CHECK_H

#include "engine/engine.h"
#include "proto/pb.gen.h"

enum {
  CHECK_ID_BYTES = 1000, /* ids and names */
  CHECK_BUILD_ID_BYTES = 255,
  CHECK_FAIRNESS_KEY_BYTES = 64,
  CHECK_LINKS = 10,
  CHECK_LINK_BYTES = 4000,
  CHECK_PAGE_EVENTS = 256, /* largest page of history */
};

/* What checks need to know of their surroundings. */
typedef struct checker {
  arena *arena;
  const engine_limits *limits;
  rng *random; /* for request ids that were left out */
  zones *zones;
  int64_t now_ns;
  span ns_name;
  const pb_store_Namespace *ns; /* NULL: search attributes are only those that are everywhere */
} checker;

/* --- clients --- */

typedef struct check_client_range {
  const char *name, *versions;
} check_client_range;

extern const check_client_range check_clients[];
extern const size_t check_client_count;

/* What a client says of itself in the headers client-name, client-version and
 * supported-server-versions. FAILED_PRECONDITION when the two do not go together. */
MUST_USE err *check_client(const checker *k, span name, span client_version, span server_range,
                           const char *server_version);

/* --- parts --- */

MUST_USE err *check_execution(const checker *k, const pb_WorkflowExecution *execution);
MUST_USE err *check_identity(const checker *k, span identity);
/* One payload field against the blob limit. */
MUST_USE err *check_blob(const checker *k, size_t n_bytes);
/* NULL when the duration can be used, else what is wrong with it. Lengths over 100 years are cut
 * to that, in a copy that replaces *d. */
const char *check_duration(const checker *k, pb_Duration **d);
/* Fills in what is zero; the copy replaces *policy. NULL is no policy. */
MUST_USE err *check_retry_policy(const checker *k, pb_RetryPolicy **policy);
/* `partition` also allows the reserved names of a queue's partitions. The copy has its kind set. */
MUST_USE err *check_task_queue(const checker *k, bool partition, pb_TaskQueue **queue);
MUST_USE err *check_links(const checker *k, const pb_list_Link *links);
/* Callbacks with the keys of their headers in lower case, and links without those of callbacks,
 * replace what is given. UNIMPLEMENTED: a variant that nobody knows. */
MUST_USE err *check_callbacks(const checker *k, pb_list_Callback *callbacks, pb_list_Link *links);
MUST_USE err *check_priority(const checker *k, const pb_Priority *priority);
/* A random UUID, for ids that were left out. */
span check_new_id(const checker *k);
/* As they go into events; NULL when none has a value. */
MUST_USE err *check_search_attributes(const checker *k, pb_SearchAttributes **attributes);
/* No worker has a version here, so none can be pinned to: FAILED_PRECONDITION. UNIMPLEMENTED where
 * the original would go on. `task_queue`: empty when it is not known. */
MUST_USE err *check_override(const checker *k, const pb_VersioningOverride *v, span task_queue);
MUST_USE err *check_worker_version(const checker *k, bool use_versioning, span build_id,
                                   const pb_WorkerDeploymentOptions *options,
                                   const pb_TaskQueue *queue);

MUST_USE err *check_workflow_type(const checker *k, const pb_WorkflowType *type);
MUST_USE err *check_timeouts(const checker *k, pb_StartWorkflowExecutionRequest *s);

/* --- options of an open run --- */

/* `doing` is part of the text for a path of the mask that means nothing. UNIMPLEMENTED names what
 * is not built. */
MUST_USE err *check_run_options(const checker *k, const pb_WorkflowExecutionOptions *o,
                                const pb_FieldMask *mask, const char *doing);

/* --- resets --- */

/* What a reset does with the new run in the end; new options only. */
MUST_USE err *check_post_reset(const checker *k, const pb_list_PostResetOperation *operations);
/* What a reset sends to the new run again. */
MUST_USE err *check_reset(const checker *k, const pb_ResetWorkflowExecutionRequest *r,
                          engine_reapply *ret_reapply);

/* --- starts --- */

/* A copy with every default filled in. UNIMPLEMENTED names a field that would change behaviour and
 * is not built. */
MUST_USE err *check_start(const checker *k, const pb_StartWorkflowExecutionRequest *r,
                          pb_StartWorkflowExecutionRequest **ret_start);
/* The start that the request stands for, and a copy with its request id set. */
MUST_USE err *check_signal_with_start(const checker *k,
                                      const pb_SignalWithStartWorkflowExecutionRequest *r,
                                      pb_SignalWithStartWorkflowExecutionRequest **ret_request,
                                      pb_StartWorkflowExecutionRequest **ret_start);

/* --- updates --- */

/* A copy with its update id and wait policy set. PERMISSION_DENIED for a stage nobody may wait for,
 * UNIMPLEMENTED for callbacks. */
MUST_USE err *check_update_workflow(const checker *k, const pb_UpdateWorkflowExecutionRequest *r,
                                    pb_UpdateWorkflowExecutionRequest **ret_update);
MUST_USE err *check_poll_update(const checker *k, const pb_PollWorkflowExecutionUpdateRequest *r);

typedef struct check_multi {
  pb_StartWorkflowExecutionRequest *start;
  pb_UpdateWorkflowExecutionRequest *update;
  err *start_error, *update_error; /* of one that is not valid */
} check_multi;

/* An error: these are not a start and an update. Otherwise each is checked on its own. */
MUST_USE err *check_multi_operation(const checker *k, const pb_ExecuteMultiOperationRequest *r,
                                    check_multi *ret_multi);

/* --- schedules: the request is the caller's own copy and is filled in --- */

/* `ret_start`: what each action starts, in the form that engine_schedule_args wants. */
MUST_USE err *check_create_schedule(const checker *k, pb_CreateScheduleRequest *r,
                                    pb_StartWorkflowExecutionRequest **ret_start);
/* FAILED_PRECONDITION: a memo cannot be changed. */
MUST_USE err *check_update_schedule(const checker *k, pb_UpdateScheduleRequest *r,
                                    pb_StartWorkflowExecutionRequest **ret_start);
MUST_USE err *check_patch_schedule(const checker *k, pb_PatchScheduleRequest *r);

/* --- what the answers of workers carry --- */

/* An activity's failure as a worker reports it. */
MUST_USE err *check_activity_failure(const checker *k, const pb_Failure *failure);
/* A failure made by the server itself, e.g. "Complete result exceeds size limit.". */
pb_Failure *failure_of_server(arena *a, const char *message, bool non_retryable);
/* The failure itself while it is within the blob limit, else one of the server that says so, with
 * as much of the chain as fits half a mebibyte as its cause. */
pb_Failure *failure_within_limit(const checker *k, pb_Failure *failure);

#endif

/* api.h - the services that clients call: one table of methods, one small function per method.
 *
 * A handler checks its request, fills in defaults and hands it to the shard; the shard answers the
 * call when what it says is durable. Every method of the protocol has a row in table.c; one without
 * a handler answers UNIMPLEMENTED. All on the loop's thread.
 */
#ifndef PERDURE_RPC_HANDLERS_API_H
#define PERDURE_RPC_HANDLERS_API_H

#include "rpc/handlers/check.h"
#include "rpc/rpc.h"
#include "shard/shard.h"

typedef struct api api;

typedef struct api_config {
  engine_limits limits;
  size_t shed_bytes;          /* of memory in use, above which new work is refused; 0: no limit */
  bool polls_end_on_shutdown; /* told to workers: wait for your polls after ShutdownWorker */
  const char *server_version; /* of the protocol's server that clients may take us for */
  const char *address;        /* where clients find this server: "127.0.0.1:7233" */
} api_config;

/* Borrows the shard and the env. */
api *api_new(shard *s, env *e, const api_config *config);
/* For rpc_server_new; valid until api_free. */
const rpc_service *api_services(const api *a, size_t *ret_n);
void api_free(api *a);

/* --- for the handlers --- */

/* One call being looked at; gone when the handler returns. */
typedef struct ask {
  api *api;
  rpc_call *call;
  arena *arena;
  const void *request;
  const shard_namespace_info *ns; /* NULL: the method has none */
  checker check;
} ask;

/* Either an error, or the call was or will be answered. */
typedef err *(*api_handler)(ask *k);

typedef enum api_flags {
  API_LONG_POLL = 1,
  API_NAMES_NAMESPACE = 2, /* its namespace field is a subject, not a place: no lookup */
  API_SHED_FIRST = 4,      /* makes new work: refused before others when memory is short */
  API_STARTS = 8,          /* not in a namespace that is deprecated */
} api_flags;

typedef struct api_row {
  const char *method;
  rpc_access access;
  api_handler handle; /* NULL: not built */
  unsigned flags;
} api_row;

extern const api_row api_workflow_rows[], api_operator_rows[], api_health_rows[],
    api_diagnostics_rows[];
extern const size_t api_workflow_row_count, api_operator_row_count, api_health_row_count,
    api_diagnostics_row_count;

shard *ask_shard(const ask *k);
const api_config *ask_config(const ask *k);
/* The op for the one shard_* call of this handler; answers the call when done. */
shard_op *ask_op(ask *k);
/* The same, with the answer made from the shard's by `map`, which may use op->arena. */
typedef const void *(*api_map)(arena *a, const void *response, const void *arg);
shard_op *ask_op_mapped(ask *k, api_map map, const void *arg);
/* Answers at once. */
err *ask_reply(ask *k, const void *response);
int64_t ask_now_ns(ask *k);
/* NOT_FOUND with NamespaceNotFoundFailure. */
err *api_namespace_not_found(arena *a, span name);
/* FAILED_PRECONDITION (NamespaceInvalidStateFailure) when the namespace is deleted. */
MUST_USE err *api_check_namespace_state(ask *k, const shard_namespace_info *info);

/* system.c */
err *api_get_system_info(ask *k);
err *api_get_cluster_info(ask *k);
err *api_list_clusters(ask *k);
err *api_remove_cluster(ask *k);
err *api_health_check(ask *k);
/* namespace.c */
err *api_register_namespace(ask *k);
err *api_describe_namespace(ask *k);
err *api_list_namespaces(ask *k);
/* namespace_update.c */
err *api_update_namespace(ask *k);
err *api_deprecate_namespace(ask *k);
err *api_delete_namespace(ask *k);
/* workflow.c */
err *api_start_workflow(ask *k);
err *api_signal_with_start(ask *k);
err *api_signal(ask *k);
err *api_request_cancel(ask *k);
err *api_terminate(ask *k);
err *api_delete(ask *k);
err *api_reset(ask *k);
err *api_describe(ask *k);
err *api_history(ask *k);
err *api_history_reverse(ask *k);
err *api_query(ask *k);
err *api_reset_sticky(ask *k);
/* update.c */
err *api_update(ask *k);
err *api_poll_update(ask *k);
err *api_multi_operation(ask *k);
/* schedule.c */
err *api_create_schedule(ask *k);
err *api_update_schedule(ask *k);
err *api_patch_schedule(ask *k);
err *api_delete_schedule(ask *k);
err *api_describe_schedule(ask *k);
err *api_matching_times(ask *k);
err *api_list_schedules(ask *k);
err *api_count_schedules(ask *k);
/* list.c */
err *api_list_workflows(ask *k);
err *api_scan_workflows(ask *k);
err *api_count_workflows(ask *k);
err *api_list_archived(ask *k);
/* list_legacy.c */
err *api_list_open(ask *k);
err *api_list_closed(ask *k);
/* The filter of a request, for this namespace. */
MUST_USE err *ask_filter(ask *k, span query, filter **ret);
/* Lists, and answers with what `map` makes of the shard_listed. */
err *ask_list(ask *k, span query, int32_t page_size, span page_token, api_map map);
/* How many entries a page has when this many are asked for. */
size_t ask_page(int32_t asked);
/* What a group of a count has in common, as clients are shown it. */
pb_list_Payload ask_group_values(arena *a, const attribute *by, const store_value *v);
/* search_attributes.c */
err *api_get_search_attributes(ask *k);
err *api_add_search_attributes(ask *k);
err *api_remove_search_attributes(ask *k);
err *api_list_search_attributes(ask *k);
/* batch.c */
err *api_start_batch(ask *k);
err *api_stop_batch(ask *k);
err *api_describe_batch(ask *k);
err *api_list_batches(ask *k);
/* worker.c */
err *api_poll_workflow(ask *k);
err *api_poll_activity(ask *k);
err *api_poll_nexus(ask *k);
err *api_wft_complete(ask *k);
err *api_wft_fail(ask *k);
err *api_query_complete(ask *k);
err *api_shutdown_worker(ask *k);
/* activity.c */
err *api_activity_complete(ask *k);
err *api_activity_fail(ask *k);
err *api_activity_cancel(ask *k);
err *api_activity_heartbeat(ask *k);
err *api_activity_complete_by_id(ask *k);
err *api_activity_fail_by_id(ask *k);
err *api_activity_cancel_by_id(ask *k);
err *api_activity_heartbeat_by_id(ask *k);
/* workers.c */
err *api_worker_heartbeat(ask *k);
err *api_list_workers(ask *k);
err *api_count_workers(ask *k);
err *api_describe_worker(ask *k);
err *api_fetch_worker_config(ask *k);
err *api_update_worker_config(ask *k);
/* queue.c */
err *api_describe_task_queue(ask *k);
err *api_list_partitions(ask *k);
err *api_update_queue_config(ask *k);
/* activity_control.c, and for run_options.c: */
/* The execution that an operator means, with the texts of these requests. */
err *check_operated(ask *k, const pb_WorkflowExecution *x);
/* Clients may write paths in lowerCamelCase. */
pb_FieldMask *snake_case_mask(arena *a, const pb_FieldMask *mask);
err *api_update_options(ask *k);
err *api_activity_pause(ask *k);
err *api_activity_unpause(ask *k);
err *api_activity_reset(ask *k);
err *api_activity_update_options(ask *k);
err *api_activity_execution_pause(ask *k);
err *api_activity_execution_unpause(ask *k);
err *api_activity_execution_reset(ask *k);
err *api_activity_execution_update_options(ask *k);
/* diagnostics.c */
err *api_list_activity_attempts(ask *k);
err *api_explain_workflow(ask *k);

#endif

#include "rpc/handlers/check.h"

/* Search attributes that the server itself keeps: no client may set them. */
static const char *const system_attributes[] = {
    "WorkflowId",    "RunId",        "WorkflowType",        "TaskQueue",
    "StartTime",     "CloseTime",    "ExecutionTime",       "ExecutionStatus",
    "ParentRunId",   "RootRunId",    "ParentWorkflowId",    "RootWorkflowId",
    "HistoryLength", "VisibilityId", "HistorySizeBytes",    "ExecutionDuration",
    "_version",      "Namespace",    "StateTransitionCount"};

/* Search attributes that exist everywhere and that a client may set. */
static const char *const predefined_attributes[] = {"TemporalChangeVersion",
                                                    "BinaryChecksums",
                                                    "BuildIds",
                                                    "BatcherNamespace",
                                                    "BatcherUser",
                                                    "TemporalScheduledStartTime",
                                                    "TemporalScheduledById",
                                                    "TemporalSchedulePaused",
                                                    "TemporalNamespaceDivision",
                                                    "TemporalPauseInfo",
                                                    "TemporalReportedProblems"};

static bool is_one_of(span name, const char *const *names, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (span_eq(name, span_cstr(names[i]))) return true;
  }
  return false;
}

err *check_search_attributes(const checker *k, const pb_SearchAttributes *attributes) {
  if (!attributes || attributes->indexed_fields.n == 0) return NULL;
  span name = attributes->indexed_fields.v[0]->key;
  if (is_one_of(name, system_attributes, ARRAY_LEN(system_attributes))) {
    return ERR(k->arena, INVALID_ARGUMENT, "%.*s attribute can't be set in SearchAttributes",
               SPAN_ARG(name));
  }
  if (is_one_of(name, predefined_attributes, ARRAY_LEN(predefined_attributes))) {
    return ERR(k->arena, UNIMPLEMENTED,
               "search_attributes: this server does not keep %.*s yet; start without it",
               SPAN_ARG(name));
  }
  return ERR(k->arena, INVALID_ARGUMENT,
             "Namespace %.*s has no mapping defined for search attribute %.*s",
             SPAN_ARG(k->ns_name), SPAN_ARG(name));
}

err *check_worker_version(const checker *k, bool use_versioning, span build_id,
                          const pb_WorkerDeploymentOptions *options, const pb_TaskQueue *queue) {
  bool versioned =
      options && options->worker_versioning_mode == PB_WORKER_VERSIONING_MODE_VERSIONED;
  if (queue && queue->kind == PB_TASK_QUEUE_KIND_STICKY && queue->normal_name.n == 0 &&
      (use_versioning || options)) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "NormalName must be set on sticky queue when UseVersioning is true or "
               "DeploymentOptions are set.");
  }
  if (use_versioning && build_id.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "WorkerVersionStamp must be present if UseVersioning is true.");
  }
  if (build_id.n > CHECK_BUILD_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Build ID exceeds configured limit.workerBuildIdSize, use a shorter build ID.");
  }
  if (versioned && (options->deployment_name.n == 0 || options->build_id.n == 0)) {
    return ERR(k->arena, INVALID_ARGUMENT, "Deployment name and build id must be set together.");
  }
  if (use_versioning || versioned) {
    return ERR(k->arena, UNIMPLEMENTED,
               "worker versioning is not built into this server yet; run the worker unversioned");
  }
  return NULL;
}

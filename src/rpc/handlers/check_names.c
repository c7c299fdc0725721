#include "rpc/handlers/check.h"
#include "visibility/attribute.h"

err *check_search_attributes(const checker *k, pb_SearchAttributes **attributes) {
  pb_store_Namespace bare = {.name = k->ns_name};
  return attributes_check(k->ns ? k->ns : &bare, *attributes, false, k->arena, attributes);
}

err *check_override(const checker *k, const pb_VersioningOverride *v, span task_queue) {
  arena *a = k->arena;
  span deployment, build;
  const char *why = engine_override_problem(v, a);
  if (why) return ERR(a, INVALID_ARGUMENT, "%s", why);
  if (task_queue.n && engine_override_pins(v, &deployment, &build)) {
    return ERR(a, FAILED_PRECONDITION,
               "Pinned version '%.*s:%.*s' is not present in task queue '%.*s' of type 'Workflow'",
               SPAN_ARG(deployment), SPAN_ARG(build), SPAN_ARG(task_queue));
  }
  return ERR(a, UNIMPLEMENTED,
             "versioning_override: this server does not route by the version of workers yet");
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

/* override.c - what a versioning override has to look like. Nothing is routed by it yet. */
#include "engine/engine.h"

typedef pb_VersioningOverride override;

/* "DEPLOYMENT.BUILD" */
static bool split_version(span text, span *ret_deployment, span *ret_build) {
  size_t dot = 0;
  while (dot < text.n && text.p[dot] != '.') dot++;
  if (dot == 0 || dot + 1 >= text.n) return false;
  *ret_deployment = span_of(text.p, dot);
  *ret_build = span_of(text.p + dot + 1, text.n - dot - 1);
  return true;
}

static const char *deployment_problem(const pb_Deployment *d) {
  if (!d->series_name.n) return "deployment name cannot be empty";
  return d->build_id.n ? NULL : "deployment build ID cannot be empty";
}

/* The form of older clients: a behavior, and beside it a deployment or a version as text. */
static const char *older_problem(const override *v, arena *a) {
  span deployment, build;
  switch (v->behavior) {
    case PB_VERSIONING_BEHAVIOR_UNSPECIFIED:
      return "override behavior is required";
    case PB_VERSIONING_BEHAVIOR_PINNED:
      if (v->deployment) return deployment_problem(v->deployment);
      if (!v->pinned_version.n) {
        return "must provide deployment (deprecated) or pinned version if behavior is 'PINNED'";
      }
      if (split_version(v->pinned_version, &deployment, &build)) return NULL;
      return arena_printf(a,
                          "invalid version string \"%.*s\", expected format is "
                          "\"<deployment_name>.<build_id>\"",
                          SPAN_ARG(v->pinned_version));
    case PB_VERSIONING_BEHAVIOR_AUTO_UPGRADE:
      if (v->deployment) return "only provide deployment if behavior is 'PINNED'";
      return v->pinned_version.n ? "only provide pinned version if behavior is 'PINNED'" : NULL;
    default:
      return arena_printf(a, "override behavior %d not recognized", v->behavior);
  }
}

const char *engine_override_problem(const override *v, arena *a) {
  switch (v->which_override) {
    case PB_VersioningOverride_pinned_FIELD:
      if (!v->pinned->version) return "must provide version if override is pinned.";
      return v->pinned->behavior ? NULL
                                 : "must specify pinned override behavior if override is pinned.";
    case PB_VersioningOverride_auto_upgrade_FIELD:
      return v->auto_upgrade ? NULL : "auto-upgrade override must be true";
    case PB_VersioningOverride_one_time_FIELD:
      return v->one_time->target_deployment_version
                 ? NULL
                 : "must provide target deployment version if override is one-time.";
    default:
      return older_problem(v, a);
  }
}

bool engine_override_pins(const override *v, span *ret_deployment, span *ret_build) {
  const pb_WorkerDeploymentVersion *version = NULL;
  if (v->which_override == PB_VersioningOverride_pinned_FIELD) version = v->pinned->version;
  if (v->which_override == PB_VersioningOverride_one_time_FIELD) {
    version = v->one_time->target_deployment_version;
  }
  if (version) {
    *ret_deployment = version->deployment_name;
    *ret_build = version->build_id;
    return true;
  }
  return !v->which_override && !v->deployment &&
         split_version(v->pinned_version, ret_deployment, ret_build);
}

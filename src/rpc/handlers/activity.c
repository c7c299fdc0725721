/* Answers about activities, by token and by id. What is too large for a history does not fail the
 * call: it becomes a failure of the activity, as the worker could not repair it by trying again. */
#include "rpc/handlers/api.h"

static const char result_too_large[] = "Complete result exceeds size limit.";
static const char details_too_large[] = "Cancel details exceed size limit.";
static const char heartbeat_too_large[] = "Heartbeat details exceed size limit.";

static bool too_large(const ask *k, span payloads) {
  return payloads.n > ask_config(k)->limits.blob_bytes;
}

static const void *empty_complete(arena *a, const void *response, const void *arg) {
  return pb_new(a, RespondActivityTaskCompletedResponse);
}

static const void *empty_cancel(arena *a, const void *response, const void *arg) {
  return pb_new(a, RespondActivityTaskCanceledResponse);
}

/* The activity was failed for its heartbeat; the worker is told to stop. */
static const void *heartbeat_stop(arena *a, const void *response, const void *arg) {
  pb_RecordActivityTaskHeartbeatResponse *r = pb_new(a, RecordActivityTaskHeartbeatResponse);
  r->cancel_requested = true;
  return r;
}

static void fail_instead(ask *k, span token, span identity, const char *why, api_map map) {
  pb_RespondActivityTaskFailedRequest *f = pb_new(k->arena, RespondActivityTaskFailedRequest);
  f->task_token = token;
  f->identity = identity;
  f->failure = failure_of_server(k->arena, why, true);
  shard_activity_fail(ask_shard(k), ask_op_mapped(k, map, NULL), f);
}

/* The failures that were put in place of what the worker sent. */
static const void *with_failures(arena *a, const void *response, const void *arg) {
  return arg ? arg : response;
}

/* Replaces what is too large; a list of what was replaced goes to the worker. */
static pb_RespondActivityTaskFailedResponse *replace_large(ask *k, pb_Failure **failure,
                                                           span *heartbeat) {
  pb_RespondActivityTaskFailedResponse *r = pb_new(k->arena, RespondActivityTaskFailedResponse);
  r->failures.v = arena_array(k->arena, pb_Failure *, 2);
  if (too_large(k, *heartbeat)) {
    r->failures.v[r->failures.n++] = failure_of_server(k->arena, heartbeat_too_large, true);
    *heartbeat = SPAN_NONE;
  }
  pb_Failure *kept = failure_within_limit(&k->check, *failure);
  if (kept != *failure) r->failures.v[r->failures.n++] = kept;
  *failure = kept;
  return r;
}

err *api_activity_complete(ask *k) {
  const pb_RespondActivityTaskCompletedRequest *q = k->request;
  TRY(check_identity(&k->check, q->identity));
  if (too_large(k, q->result)) {
    fail_instead(k, q->task_token, q->identity, result_too_large, empty_complete);
  } else {
    shard_activity_complete(ask_shard(k), ask_op(k), q);
  }
  return NULL;
}

err *api_activity_fail(ask *k) {
  const pb_RespondActivityTaskFailedRequest *q = k->request;
  TRY(check_activity_failure(&k->check, q->failure));
  TRY(check_identity(&k->check, q->identity));
  pb_RespondActivityTaskFailedRequest *f = pb_new(k->arena, RespondActivityTaskFailedRequest);
  *f = *q;
  const void *r = replace_large(k, &f->failure, &f->last_heartbeat_details);
  shard_activity_fail(ask_shard(k), ask_op_mapped(k, with_failures, r), f);
  return NULL;
}

err *api_activity_cancel(ask *k) {
  const pb_RespondActivityTaskCanceledRequest *q = k->request;
  TRY(check_identity(&k->check, q->identity));
  if (too_large(k, q->details)) {
    fail_instead(k, q->task_token, q->identity, details_too_large, empty_cancel);
  } else {
    shard_activity_cancel(ask_shard(k), ask_op(k), q);
  }
  return NULL;
}

err *api_activity_heartbeat(ask *k) {
  const pb_RecordActivityTaskHeartbeatRequest *q = k->request;
  if (too_large(k, q->details)) {
    fail_instead(k, q->task_token, q->identity, heartbeat_too_large, heartbeat_stop);
  } else {
    shard_activity_heartbeat(ask_shard(k), ask_op(k), q);
  }
  return NULL;
}

/* --- by id --- */

typedef struct activity_name {
  span workflow_id, run_id, activity_id, identity;
} activity_name;

static err *check_activity_name(ask *k, const activity_name *n) {
  pb_WorkflowExecution x = {.workflow_id = n->workflow_id, .run_id = n->run_id};
  if (n->activity_id.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "ActivityId is not set on request.");
  }
  if (n->workflow_id.n == 0) { /* would be an activity of its own; there are none */
    return ERR(k->arena, NOT_FOUND, "activity not found for ID: %.*s", SPAN_ARG(n->activity_id));
  }
  if (check_execution(&k->check, &x)) {
    return ERR(k->arena, INVALID_ARGUMENT, "RunId is not valid UUID.");
  }
  return NULL;
}

static void fail_instead_by_id(ask *k, const activity_name *n, const char *why, api_map map) {
  pb_RespondActivityTaskFailedByIdRequest *f =
      pb_new(k->arena, RespondActivityTaskFailedByIdRequest);
  f->workflow_id = n->workflow_id;
  f->run_id = n->run_id;
  f->activity_id = n->activity_id;
  f->identity = n->identity;
  f->failure = failure_of_server(k->arena, why, true);
  shard_activity_fail_by_id(ask_shard(k), ask_op_mapped(k, map, NULL), f);
}

err *api_activity_complete_by_id(ask *k) {
  const pb_RespondActivityTaskCompletedByIdRequest *q = k->request;
  activity_name n = {q->workflow_id, q->run_id, q->activity_id, q->identity};
  TRY(check_activity_name(k, &n));
  TRY(check_identity(&k->check, q->identity));
  if (too_large(k, q->result)) {
    fail_instead_by_id(k, &n, result_too_large, empty_complete);
  } else {
    shard_activity_complete_by_id(ask_shard(k), ask_op(k), q);
  }
  return NULL;
}

err *api_activity_fail_by_id(ask *k) {
  const pb_RespondActivityTaskFailedByIdRequest *q = k->request;
  activity_name n = {q->workflow_id, q->run_id, q->activity_id, q->identity};
  TRY(check_activity_name(k, &n));
  TRY(check_identity(&k->check, q->identity));
  TRY(check_activity_failure(&k->check, q->failure));
  pb_RespondActivityTaskFailedByIdRequest *f =
      pb_new(k->arena, RespondActivityTaskFailedByIdRequest);
  *f = *q;
  const void *r = replace_large(k, &f->failure, &f->last_heartbeat_details);
  shard_activity_fail_by_id(ask_shard(k), ask_op_mapped(k, with_failures, r), f);
  return NULL;
}

err *api_activity_cancel_by_id(ask *k) {
  const pb_RespondActivityTaskCanceledByIdRequest *q = k->request;
  activity_name n = {q->workflow_id, q->run_id, q->activity_id, q->identity};
  TRY(check_activity_name(k, &n));
  TRY(check_identity(&k->check, q->identity));
  if (too_large(k, q->details)) {
    fail_instead_by_id(k, &n, details_too_large, empty_cancel);
  } else {
    shard_activity_cancel_by_id(ask_shard(k), ask_op(k), q);
  }
  return NULL;
}

err *api_activity_heartbeat_by_id(ask *k) {
  const pb_RecordActivityTaskHeartbeatByIdRequest *q = k->request;
  activity_name n = {q->workflow_id, q->run_id, q->activity_id, q->identity};
  TRY(check_activity_name(k, &n));
  if (too_large(k, q->details)) {
    fail_instead_by_id(k, &n, heartbeat_too_large, heartbeat_stop);
  } else {
    shard_activity_heartbeat_by_id(ask_shard(k), ask_op(k), q);
  }
  return NULL;
}

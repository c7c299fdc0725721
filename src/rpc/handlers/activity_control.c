/* Operators' requests about pending activities, in their older and newer form. The newer ones name
 * one activity; what they say is put into the older ones, which the shard knows. */
#include "base/uuid.h"
#include "rpc/handlers/api.h"

/* --- the older form --- */

err *check_operated(ask *k, const pb_WorkflowExecution *x) {
  uuid run;
  if (!x || x->workflow_id.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "WorkflowId is not set on request.");
  }
  if (!x->run_id.n || uuid_parse(x->run_id, &run)) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "RunId is not valid UUID.");
}

static err *check_target(ask *k, const pb_WorkflowExecution *x, bool is_chosen) {
  TRY(check_operated(k, x));
  if (is_chosen) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT,
             "Either Activity.Id or Activity.Type should be set on request.");
}

static err *check_jitter(ask *k, const pb_Duration *jitter) {
  pb_Duration *d = (pb_Duration *)jitter;
  const char *wrong = check_duration(&k->check, &d);
  return wrong ? ERR(k->arena, INVALID_ARGUMENT, "invalid Jitter: %s", wrong) : NULL;
}

err *api_activity_pause(ask *k) {
  const pb_PauseActivityRequest *q = k->request;
  TRY(check_target(k, q->execution, q->which_activity != 0));
  shard_activity_pause(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_activity_unpause(ask *k) {
  const pb_UnpauseActivityRequest *q = k->request;
  TRY(check_target(k, q->execution, q->which_activity != 0));
  shard_activity_unpause(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_activity_reset(ask *k) {
  const pb_ResetActivityRequest *q = k->request;
  TRY(check_target(k, q->execution, q->which_activity != 0));
  shard_activity_reset(ask_shard(k), ask_op(k), q);
  return NULL;
}

/* Clients may write paths in lowerCamelCase: the engine knows them in snake_case. */
static span snake_case(arena *a, span path) {
  uint8_t *text = arena_alloc(a, path.n * 2 + 1);
  size_t n = 0;
  for (size_t i = 0; i < path.n; i++) {
    uint8_t c = path.p[i];
    bool is_upper = c >= 'A' && c <= 'Z';
    if (is_upper) text[n++] = '_';
    text[n++] = is_upper ? (uint8_t)(c - 'A' + 'a') : c;
  }
  return span_of(text, n);
}

pb_FieldMask *snake_case_mask(arena *a, const pb_FieldMask *mask) {
  pb_FieldMask *m = pb_new(a, FieldMask);
  m->paths.v = arena_array(a, span, mask->paths.n + 1);
  for (; m->paths.n < mask->paths.n; m->paths.n++) {
    m->paths.v[m->paths.n] = snake_case(a, mask->paths.v[m->paths.n]);
  }
  return m;
}

static err *check_update(ask *k, const pb_UpdateActivityOptionsRequest *q) {
  if (q->restore_original) {
    if (!q->update_mask) return NULL;
    return ERR(k->arena, INVALID_ARGUMENT, "Both UpdateMask and RestoreOriginal are provided");
  }
  if (!q->activity_options) {
    return ERR(k->arena, INVALID_ARGUMENT, "ActivityOptions are not provided");
  }
  return q->update_mask ? NULL : ERR(k->arena, INVALID_ARGUMENT, "UpdateMask is not provided");
}

static err *update_options(ask *k, pb_UpdateActivityOptionsRequest *q, api_map map) {
  TRY(check_update(k, q));
  if (q->update_mask) q->update_mask = snake_case_mask(k->arena, q->update_mask);
  shard_activity_update_options(ask_shard(k), ask_op_mapped(k, map, NULL), q);
  return NULL;
}

err *api_activity_update_options(ask *k) {
  const pb_UpdateActivityOptionsRequest *q = k->request;
  pb_UpdateActivityOptionsRequest *u = pb_new(k->arena, UpdateActivityOptionsRequest);
  *u = *q;
  TRY(check_target(k, q->execution, q->which_activity != 0));
  return update_options(k, u, NULL);
}

/* --- the newer form --- */

typedef struct activity_target {
  span workflow_id, run_id, activity_id, identity, request_id;
} activity_target;

#define TARGET(q) \
  { (q)->workflow_id, (q)->run_id, (q)->activity_id, (q)->identity, (q)->request_id }

static err *check_length(ask *k, span text, const char *what) {
  if (text.n <= CHECK_ID_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "%s exceeds length limit. Length=%zu Limit=%d", what,
             text.n, CHECK_ID_BYTES);
}

static err *check_one(ask *k, const activity_target *t, pb_WorkflowExecution **ret_execution) {
  uuid run;
  if (!t->activity_id.n) return ERR(k->arena, INVALID_ARGUMENT, "activity ID is required");
  TRY(check_length(k, t->activity_id, "activity ID"));
  TRY(check_length(k, t->workflow_id, "workflow ID"));
  if (t->run_id.n && !uuid_parse(t->run_id, &run)) {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid run id: must be a valid UUID");
  }
  TRY(check_length(k, t->identity, "identity"));
  TRY(check_length(k, t->request_id, "request ID"));
  if (!t->workflow_id.n) { /* would be an activity of its own; there are none */
    return ERR(k->arena, NOT_FOUND, "activity not found for ID: %.*s", SPAN_ARG(t->activity_id));
  }
  *ret_execution = pb_new(k->arena, WorkflowExecution);
  (*ret_execution)->workflow_id = t->workflow_id;
  (*ret_execution)->run_id = t->run_id;
  return NULL;
}

static const void *paused(arena *a, const void *response, const void *arg) {
  return pb_new(a, PauseActivityExecutionResponse);
}

err *api_activity_execution_pause(ask *k) {
  const pb_PauseActivityExecutionRequest *q = k->request;
  activity_target t = TARGET(q);
  pb_PauseActivityRequest *p = pb_new(k->arena, PauseActivityRequest);
  TRY(check_one(k, &t, &p->execution));
  p->which_activity = PB_PauseActivityRequest_id_FIELD;
  p->id = q->activity_id;
  p->identity = q->identity;
  p->reason = q->reason;
  p->request_id = q->request_id.n ? q->request_id : check_new_id(&k->check); /* not so above */
  shard_activity_pause(ask_shard(k), ask_op_mapped(k, paused, NULL), p);
  return NULL;
}

static const void *unpaused(arena *a, const void *response, const void *arg) {
  return pb_new(a, UnpauseActivityExecutionResponse);
}

err *api_activity_execution_unpause(ask *k) {
  const pb_UnpauseActivityExecutionRequest *q = k->request;
  activity_target t = TARGET(q);
  pb_UnpauseActivityRequest *u = pb_new(k->arena, UnpauseActivityRequest);
  TRY(check_one(k, &t, &u->execution));
  TRY(check_jitter(k, q->jitter));
  u->which_activity = PB_UnpauseActivityRequest_id_FIELD;
  u->id = q->activity_id;
  u->jitter = q->jitter;
  shard_activity_unpause(ask_shard(k), ask_op_mapped(k, unpaused, NULL), u);
  return NULL;
}

static const void *was_reset(arena *a, const void *response, const void *arg) {
  return pb_new(a, ResetActivityExecutionResponse);
}

err *api_activity_execution_reset(ask *k) {
  const pb_ResetActivityExecutionRequest *q = k->request;
  activity_target t = TARGET(q);
  pb_ResetActivityRequest *r = pb_new(k->arena, ResetActivityRequest);
  TRY(check_one(k, &t, &r->execution));
  TRY(check_jitter(k, q->jitter));
  r->which_activity = PB_ResetActivityRequest_id_FIELD;
  r->id = q->activity_id;
  r->keep_paused = q->keep_paused;
  r->jitter = q->jitter;
  r->restore_original_options = q->restore_original_options;
  r->reset_heartbeat = q->reset_heartbeat;
  shard_activity_reset(ask_shard(k), ask_op_mapped(k, was_reset, NULL), r);
  return NULL;
}

static const void *updated(arena *a, const void *response, const void *arg) {
  const pb_UpdateActivityOptionsResponse *from = response;
  pb_UpdateActivityExecutionOptionsResponse *r = pb_new(a, UpdateActivityExecutionOptionsResponse);
  r->activity_options = from->activity_options;
  return r;
}

err *api_activity_execution_update_options(ask *k) {
  const pb_UpdateActivityExecutionOptionsRequest *q = k->request;
  activity_target t = TARGET(q);
  pb_UpdateActivityOptionsRequest *u = pb_new(k->arena, UpdateActivityOptionsRequest);
  TRY(check_one(k, &t, &u->execution));
  u->which_activity = PB_UpdateActivityOptionsRequest_id_FIELD;
  u->id = q->activity_id;
  u->activity_options = q->activity_options;
  u->update_mask = q->update_mask;
  u->restore_original = q->restore_original;
  return update_options(k, u, updated);
}

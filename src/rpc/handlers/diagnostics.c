/* perdure.api.v1.DiagnosticsService: why a workflow fails or waits. */
#include "proto/pb_time.h"
#include "rpc/handlers/api.h"

/* Clients take answers of 4 MiB: a page ends once its failures fill half of that. */
static const size_t page_bytes = 2 << 20;

static int32_t number_of(const pb_store_AttemptRecord *r) {
  return r->number ? r->number : r->attempt;
}

static pb_api_ActivityAttempt *show_attempt(arena *a, const pb_store_AttemptRecord *r) {
  pb_api_ActivityAttempt *t = pb_new(a, api_ActivityAttempt);
  t->number = number_of(r);
  t->attempt = r->attempt;
  t->scheduled_time = pb_time_or_null(a, r->scheduled_time);
  t->started_time = pb_time_or_null(a, r->started_time);
  t->ended_time = pb_time_or_null(a, r->ended_time);
  t->worker_identity = r->worker_identity;
  t->failure = r->failure;
  t->failure_omitted = r->failure_omitted;
  t->failure_bytes = r->failure_bytes;
  t->retry_state = r->retry_state;
  if (r->next_delay) t->next_delay = pb_duration_new(a, r->next_delay);
  return t;
}

/* Newest first, those before the number that the page before ended with. */
static const void *page_of_attempts(arena *a, const void *response, const void *arg) {
  const shard_attempts *all = response;
  const pb_api_ListActivityAttemptsRequest *q = arg;
  pb_api_ListActivityAttemptsResponse *r = pb_new(a, api_ListActivityAttemptsResponse);
  size_t most = q->page_size > 0 ? (size_t)q->page_size : all->n, filled = 0;
  r->scheduled_event_id = all->scheduled_event_id;
  r->pending = (pb_PendingActivityInfo *)all->pending;
  r->attempts.v = arena_array(a, pb_api_ActivityAttempt *, all->n + 1);
  for (size_t i = all->n; i-- > 0;) {
    if (q->before_number && number_of(all->v[i]) >= q->before_number) continue;
    pb_api_ActivityAttempt *t = show_attempt(a, all->v[i]);
    filled += pb_encoded_bytes(&pb_api_ActivityAttempt_desc, t);
    if (r->attempts.n >= most || (r->attempts.n && filled > page_bytes)) {
      r->more = true;
      break;
    }
    r->attempts.v[r->attempts.n++] = t;
  }
  return r;
}

err *api_list_activity_attempts(ask *k) {
  const pb_api_ListActivityAttemptsRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  if (!q->activity_id.n == !q->scheduled_event_id) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "exactly one of activity_id and scheduled_event_id must name the activity");
  }
  if (q->scheduled_event_id < 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "scheduled_event_id must be positive");
  }
  if (q->page_size < 0) return ERR(k->arena, INVALID_ARGUMENT, "page_size must not be negative");
  if (q->before_number < 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "before_number must not be negative");
  }
  shard_attempts_query *query = arena_new(k->arena, shard_attempts_query);
  *query = (shard_attempts_query){.workflow_id = q->execution->workflow_id,
                                  .run_id = q->execution->run_id,
                                  .activity_id = q->activity_id,
                                  .scheduled_event_id = q->scheduled_event_id};
  shard_list_attempts(ask_shard(k), ask_op_mapped(k, page_of_attempts, q), query);
  return NULL;
}

err *api_explain_workflow(ask *k) {
  const pb_api_ExplainWorkflowRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  shard_explain(ask_shard(k), ask_op(k), q);
  return NULL;
}

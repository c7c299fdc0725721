#include "proto/pb_time.h"
#include "rpc/handlers/api.h"

static err *check_id(ask *k, span id) {
  if (id.n) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "Can't load workflow execution.  WorkflowId not set.");
}

err *api_create_schedule(ask *k) {
  const pb_CreateScheduleRequest *q = k->request;
  TRY(check_id(k, q->schedule_id));
  pb_CreateScheduleRequest *r = pb_new(k->arena, CreateScheduleRequest);
  *r = *q;
  pb_StartWorkflowExecutionRequest *start;
  TRY(check_create_schedule(&k->check, r, &start));
  shard_create_schedule(ask_shard(k), ask_op(k), r, start);
  return NULL;
}

err *api_update_schedule(ask *k) {
  const pb_UpdateScheduleRequest *q = k->request;
  TRY(check_id(k, q->schedule_id));
  pb_UpdateScheduleRequest *r = pb_new(k->arena, UpdateScheduleRequest);
  *r = *q;
  pb_StartWorkflowExecutionRequest *start;
  TRY(check_update_schedule(&k->check, r, &start));
  shard_update_schedule(ask_shard(k), ask_op(k), r, start);
  return NULL;
}

err *api_patch_schedule(ask *k) {
  const pb_PatchScheduleRequest *q = k->request;
  TRY(check_id(k, q->schedule_id));
  pb_PatchScheduleRequest *r = pb_new(k->arena, PatchScheduleRequest);
  *r = *q;
  TRY(check_patch_schedule(&k->check, r));
  shard_patch_schedule(ask_shard(k), ask_op(k), r);
  return NULL;
}

err *api_describe_schedule(ask *k) {
  const pb_DescribeScheduleRequest *q = k->request;
  TRY(check_id(k, q->schedule_id));
  shard_describe_schedule(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_delete_schedule(ask *k) {
  const pb_DeleteScheduleRequest *q = k->request;
  TRY(check_id(k, q->schedule_id));
  shard_delete_schedule(ask_shard(k), ask_op(k), q);
  return NULL;
}

/* Told like the failure of a query: the protocol's server asks the run behind the schedule. */
static err *missing_times(arena *a) {
  pb_Failure failure = {.message = SPAN("missing or invalid query"), .source = SPAN("GoSDK")};
  failure.which_failure_info = PB_Failure_application_failure_info_FIELD;
  failure.application_failure_info = pb_new(a, ApplicationFailureInfo);
  pb_QueryFailedFailure detail = {.failure = &failure};
  err *e = ERR(a, INVALID_ARGUMENT, "missing or invalid query");
  e->detail_type = pb_name(&pb_QueryFailedFailure_desc);
  e->detail = PB_ENCODE(QueryFailedFailure, &detail, a);
  return e;
}

err *api_matching_times(ask *k) {
  const pb_ListScheduleMatchingTimesRequest *q = k->request;
  TRY(check_id(k, q->schedule_id));
  if (!q->start_time || !q->end_time) return missing_times(k->arena);
  shard_matching_times(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_list_schedules(ask *k) {
  const pb_ListSchedulesRequest *q = k->request;
  filter *f;
  TRY(ask_filter(k, q->query, &f));
  shard_list l = {.filter = f,
                  .query = q->query,
                  .limit = ask_page(q->maximum_page_size),
                  .page_token = q->next_page_token};
  shard_list_schedules(ask_shard(k), ask_op(k), &l);
  return NULL;
}

static const void *count_response(arena *a, const void *response, const void *arg) {
  const shard_counted *c = response;
  const filter *f = arg;
  pb_CountSchedulesResponse *r = pb_new(a, CountSchedulesResponse);
  r->count = c->count;
  r->groups.v = arena_array(a, pb_CountSchedulesResponse_AggregationGroup *, c->n_groups);
  for (size_t i = 0; i < c->n_groups; i++) {
    pb_CountSchedulesResponse_AggregationGroup *g =
        pb_new(a, CountSchedulesResponse_AggregationGroup);
    g->group_values = ask_group_values(a, &f->group, &c->groups[i].value);
    g->count = c->groups[i].count;
    r->groups.v[r->groups.n++] = g;
  }
  return r;
}

err *api_count_schedules(ask *k) {
  const pb_CountSchedulesRequest *q = k->request;
  filter *f;
  TRY(ask_filter(k, q->query, &f));
  shard_count_schedules(ask_shard(k), ask_op_mapped(k, count_response, f), f);
  return NULL;
}

/* list_legacy.c - the lists of open and of closed workflows that older clients ask for: their
 * fields as a filter. */
#include "base/buf.h"
#include "proto/pb_table.h"
#include "proto/pb_time.h"
#include "rpc/handlers/api.h"

static void add_text(buf *out, span s) {
  buf_adds(out, "'");
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] == '\'' || s.p[i] == '\\') buf_adds(out, "\\");
    buf_addb(out, s.p[i]);
  }
  buf_adds(out, "'");
}

static void add_equal(buf *out, const char *name, span value) {
  buf_addf(out, " AND %s = ", name);
  add_text(out, value);
}

static err *add_times(ask *k, const pb_StartTimeFilter *f, buf *out) {
  if (!f || (!f->earliest_time && !f->latest_time)) return NULL;
  int64_t earliest = pb_time_ns(f->earliest_time);
  int64_t latest = f->latest_time ? pb_time_ns(f->latest_time) : INT64_MAX;
  if (earliest > latest) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "EarliestTime in StartTimeFilter should not be larger than LatestTime.");
  }
  buf_addf(out, " AND StartTime BETWEEN %lld AND %lld", (long long)earliest, (long long)latest);
  return NULL;
}

static err *list_by(ask *k, buf *query, int32_t page_size, span page_token, api_map map) {
  span text = arena_dup(k->arena, buf_span(query));
  buf_release(query);
  return ask_list(k, text, page_size, page_token, map);
}

static const void *open_response(arena *a, const void *response, const void *arg) {
  const shard_listed *l = response;
  pb_ListOpenWorkflowExecutionsResponse *r = pb_new(a, ListOpenWorkflowExecutionsResponse);
  r->executions.v = l->v;
  r->executions.n = l->n;
  r->next_page_token = l->next_page_token;
  return r;
}

err *api_list_open(ask *k) {
  const pb_ListOpenWorkflowExecutionsRequest *q = k->request;
  buf query = BUF_INIT;
  buf_adds(&query, "ExecutionStatus = 'Running'");
  err *e = add_times(k, q->start_time_filter, &query);
  if (e) {
    buf_release(&query);
    return e;
  }
  if (q->which_filters == PB_ListOpenWorkflowExecutionsRequest_execution_filter_FIELD) {
    add_equal(&query, "WorkflowId", q->execution_filter->workflow_id);
  } else if (q->which_filters == PB_ListOpenWorkflowExecutionsRequest_type_filter_FIELD) {
    add_equal(&query, "WorkflowType", q->type_filter->name);
  }
  return list_by(k, &query, q->maximum_page_size, q->next_page_token, open_response);
}

static const void *closed_response(arena *a, const void *response, const void *arg) {
  const shard_listed *l = response;
  pb_ListClosedWorkflowExecutionsResponse *r = pb_new(a, ListClosedWorkflowExecutionsResponse);
  r->executions.v = l->v;
  r->executions.n = l->n;
  r->next_page_token = l->next_page_token;
  return r;
}

static err *add_closed_filter(ask *k, const pb_ListClosedWorkflowExecutionsRequest *q, buf *out) {
  switch (q->which_filters) {
    case PB_ListClosedWorkflowExecutionsRequest_execution_filter_FIELD:
      add_equal(out, "WorkflowId", q->execution_filter->workflow_id);
      return NULL;
    case PB_ListClosedWorkflowExecutionsRequest_type_filter_FIELD:
      add_equal(out, "WorkflowType", q->type_filter->name);
      return NULL;
    case PB_ListClosedWorkflowExecutionsRequest_status_filter_FIELD:
      break;
    default:
      return NULL;
  }
  int32_t status = q->status_filter->status;
  if (status == PB_WORKFLOW_EXECUTION_STATUS_UNSPECIFIED ||
      status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "StatusFilter must be specified and must be not Running.");
  }
  const char *name = pb_enum_name(&pb_WorkflowExecutionStatus_enum, status);
  add_equal(out, "ExecutionStatus", name ? span_cstr(name) : arena_spanf(k->arena, "%d", status));
  return NULL;
}

err *api_list_closed(ask *k) {
  const pb_ListClosedWorkflowExecutionsRequest *q = k->request;
  buf query = BUF_INIT;
  buf_adds(&query, "ExecutionStatus != 'Running'");
  err *e = add_times(k, q->start_time_filter, &query);
  if (!e) e = add_closed_filter(k, q, &query);
  if (e) {
    buf_release(&query);
    return e;
  }
  return list_by(k, &query, q->maximum_page_size, q->next_page_token, closed_response);
}

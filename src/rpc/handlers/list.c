/* list.c - lists and counts of workflows by a filter. */
#include "rpc/handlers/api.h"

err *ask_filter(ask *k, span query, filter **ret) {
  filter_context c = {.ns = k->check.ns, .run_key = shard_run_key, .arena = k->arena};
  *ret = arena_new(k->arena, filter);
  return filter_read(&c, query, *ret);
}

size_t ask_page(int32_t asked) {
  return asked <= 0 || asked > SHARD_LIST_PAGE ? SHARD_LIST_PAGE : (size_t)asked;
}

err *ask_list(ask *k, span query, int32_t page_size, span page_token, api_map map) {
  shard_list l = {.query = query, .limit = ask_page(page_size), .page_token = page_token};
  filter *f;
  TRY(ask_filter(k, query, &f));
  l.filter = f;
  shard_list_runs(ask_shard(k), ask_op_mapped(k, map, NULL), &l);
  return NULL;
}

static const void *list_response(arena *a, const void *response, const void *arg) {
  const shard_listed *l = response;
  pb_ListWorkflowExecutionsResponse *r = pb_new(a, ListWorkflowExecutionsResponse);
  r->executions.v = l->v;
  r->executions.n = l->n;
  r->next_page_token = l->next_page_token;
  return r;
}

err *api_list_workflows(ask *k) {
  const pb_ListWorkflowExecutionsRequest *q = k->request;
  return ask_list(k, q->query, q->page_size, q->next_page_token, list_response);
}

static const void *scan_response(arena *a, const void *response, const void *arg) {
  const shard_listed *l = response;
  pb_ScanWorkflowExecutionsResponse *r = pb_new(a, ScanWorkflowExecutionsResponse);
  r->executions.v = l->v;
  r->executions.n = l->n;
  r->next_page_token = l->next_page_token;
  return r;
}

err *api_scan_workflows(ask *k) {
  const pb_ScanWorkflowExecutionsRequest *q = k->request;
  return ask_list(k, q->query, q->page_size, q->next_page_token, scan_response);
}

err *api_list_archived(ask *k) {
  return ERR(k->arena, INVALID_ARGUMENT, "Cluster is not configured for visibility archival.");
}

/* --- counts --- */

static const char *const status_names[] = {"Unspecified",    "Running",  "Completed",
                                           "Failed",         "Canceled", "Terminated",
                                           "ContinuedAsNew", "TimedOut", "Paused"};

/* A status by its name; that there is no division as an empty one. */
pb_list_Payload ask_group_values(arena *a, const attribute *by, const store_value *v) {
  pb_list_Payload values = {.v = arena_array(a, pb_Payload *, 1), .n = 1};
  store_value shown = *v;
  if (by->field.column == COLUMN_STATUS && v->i >= 0 && v->i < (int64_t)ARRAY_LEN(status_names)) {
    shown = VALUE_OF_TEXT(span_cstr(status_names[v->i]));
  } else if (by->field.column == COLUMN_DIVISION && v->kind == VALUE_NULL) {
    shown = VALUE_OF_TEXT(SPAN(""));
  }
  values.v[0] = attribute_payload(by->type, &shown, a);
  return values;
}

static const void *count_response(arena *a, const void *response, const void *arg) {
  const shard_counted *c = response;
  const filter *f = arg;
  pb_CountWorkflowExecutionsResponse *r = pb_new(a, CountWorkflowExecutionsResponse);
  r->count = c->count;
  r->groups.v = arena_array(a, pb_CountWorkflowExecutionsResponse_AggregationGroup *, c->n_groups);
  for (size_t i = 0; i < c->n_groups; i++) {
    pb_CountWorkflowExecutionsResponse_AggregationGroup *g =
        pb_new(a, CountWorkflowExecutionsResponse_AggregationGroup);
    g->group_values = ask_group_values(a, &f->group, &c->groups[i].value);
    g->count = c->groups[i].count;
    r->groups.v[r->groups.n++] = g;
  }
  return r;
}

err *api_count_workflows(ask *k) {
  const pb_CountWorkflowExecutionsRequest *q = k->request;
  filter *f;
  TRY(ask_filter(k, q->query, &f));
  shard_count_runs(ask_shard(k), ask_op_mapped(k, count_response, f), f);
  return NULL;
}

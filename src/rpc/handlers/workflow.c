#include "rpc/handlers/api.h"

err *api_start_workflow(ask *k) {
  pb_StartWorkflowExecutionRequest *start;
  TRY(check_start(&k->check, k->request, &start));
  shard_start(ask_shard(k), ask_op(k), start);
  return NULL;
}

err *api_signal_with_start(ask *k) {
  pb_SignalWithStartWorkflowExecutionRequest *q;
  pb_StartWorkflowExecutionRequest *start;
  TRY(check_signal_with_start(&k->check, k->request, &q, &start));
  shard_signal_with_start(ask_shard(k), ask_op(k), q, start);
  return NULL;
}

err *api_signal(ask *k) {
  const pb_SignalWorkflowExecutionRequest *q = k->request;
  TRY(check_execution(&k->check, q->workflow_execution));
  if (q->signal_name.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "SignalName is not set on request.");
  }
  if (q->signal_name.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "SignalName length exceeds limit.");
  }
  if (q->request_id.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "RequestId length exceeds limit.");
  }
  TRY(check_links(&k->check, &q->links));
  TRY(check_blob(&k->check, q->input.n));
  shard_signal(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_request_cancel(ask *k) {
  const pb_RequestCancelWorkflowExecutionRequest *q = k->request;
  TRY(check_execution(&k->check, q->workflow_execution));
  TRY(check_links(&k->check, &q->links));
  shard_request_cancel(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_terminate(ask *k) {
  const pb_TerminateWorkflowExecutionRequest *q = k->request;
  TRY(check_execution(&k->check, q->workflow_execution));
  TRY(check_links(&k->check, &q->links));
  pb_TerminateWorkflowExecutionRequest *t = pb_new(k->arena, TerminateWorkflowExecutionRequest);
  *t = *q;
  if (t->reason.n == 0) t->reason = SPAN("terminated by user via frontend");
  if (t->identity.n == 0) t->identity = SPAN("frontend-service");
  shard_terminate(ask_shard(k), ask_op(k), t);
  return NULL;
}

err *api_delete(ask *k) {
  const pb_DeleteWorkflowExecutionRequest *q = k->request;
  TRY(check_execution(&k->check, q->workflow_execution));
  shard_delete(ask_shard(k), ask_op(k), q);
  return NULL;
}

err *api_reset(ask *k) {
  const pb_ResetWorkflowExecutionRequest *q = k->request;
  engine_reapply reapply;
  TRY(check_reset(&k->check, q, &reapply));
  shard_reset(ask_shard(k), ask_op(k), q, (shard_reset_how){.again = reapply});
  return NULL;
}

err *api_describe(ask *k) {
  const pb_DescribeWorkflowExecutionRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  shard_describe(ask_shard(k), ask_op(k), q);
  return NULL;
}

static int32_t page_events(int32_t asked) {
  return asked <= 0 || asked > CHECK_PAGE_EVENTS ? CHECK_PAGE_EVENTS : asked;
}

/* Clients older than this feature see a close event that says where the chain goes on. */
static bool follows_next_run(ask *k) {
  span features = rpc_header(k->call, "supported-features");
  span wanted = SPAN("follows-next-run-id");
  while (features.n) {
    const uint8_t *comma = memchr(features.p, ',', features.n);
    size_t n = comma ? (size_t)(comma - features.p) : features.n;
    span one = span_of(features.p, n);
    while (one.n && one.p[0] == ' ') one = span_of(one.p + 1, one.n - 1);
    if (span_eq(one, wanted)) return true;
    n = MIN(n + 1, features.n);
    features = span_of(features.p + n, features.n - n);
  }
  return false;
}

/* People are shown what is in history; SDKs also the workflow task that is tried again. */
static bool is_for_people(ask *k) {
  span client = rpc_header(k->call, "client-name");
  return span_eq(client, SPAN("temporal-cli")) || span_eq(client, SPAN("temporal-ui"));
}

err *api_history(ask *k) {
  const pb_GetWorkflowExecutionHistoryRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  pb_GetWorkflowExecutionHistoryRequest *h = pb_new(k->arena, GetWorkflowExecutionHistoryRequest);
  *h = *q;
  h->maximum_page_size = page_events(q->maximum_page_size);
  if (!h->history_event_filter_type) {
    h->history_event_filter_type = PB_HISTORY_EVENT_FILTER_TYPE_ALL_EVENT;
  }
  shard_op *op = ask_op(k);
  op->unwritten_events = !is_for_people(k);
  shard_history(ask_shard(k), op, h, follows_next_run(k));
  return NULL;
}

err *api_history_reverse(ask *k) {
  const pb_GetWorkflowExecutionHistoryReverseRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  pb_GetWorkflowExecutionHistoryReverseRequest *h =
      pb_new(k->arena, GetWorkflowExecutionHistoryReverseRequest);
  *h = *q;
  h->maximum_page_size = page_events(q->maximum_page_size);
  shard_history_reverse(ask_shard(k), ask_op(k), h);
  return NULL;
}

err *api_query(ask *k) {
  const pb_QueryWorkflowRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  if (!q->query) return ERR(k->arena, INVALID_ARGUMENT, "WorkflowQuery is not set on request.");
  if (q->query->query_type.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "QueryType is not set on request.");
  }
  TRY(check_blob(&k->check, q->query->query_args.n));
  pb_QueryWorkflowRequest *r = pb_new(k->arena, QueryWorkflowRequest);
  *r = *q;
  if (!r->query_reject_condition) r->query_reject_condition = PB_QUERY_REJECT_CONDITION_NONE;
  shard_query(ask_shard(k), ask_op(k), r);
  return NULL;
}

err *api_reset_sticky(ask *k) {
  const pb_ResetStickyTaskQueueRequest *q = k->request;
  TRY(check_execution(&k->check, q->execution));
  shard_reset_sticky(ask_shard(k), ask_op(k), q);
  return NULL;
}

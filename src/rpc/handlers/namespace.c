#include "base/uuid.h"
#include "rpc/handlers/api.h"

static const int64_t min_retention_s = 3600;

err *api_register_namespace(ask *k) {
  const pb_RegisterNamespaceRequest *q = k->request;
  pb_Duration *retention = q->workflow_execution_retention_period;
  if (q->namespace.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "Namespace not set on request.");
  }
  if (q->is_global_namespace) {
    return ERR(k->arena, INVALID_ARGUMENT, "Cannot register global namespace when not enabled");
  }
  if (!retention || check_duration(&k->check, &retention) || retention->seconds < min_retention_s) {
    return ERR(k->arena, INVALID_ARGUMENT, "A valid retention period is not set on request.");
  }
  if (q->active_cluster_name.n && !span_eq(q->active_cluster_name, SPAN("active"))) {
    return ERR(k->arena, INVALID_ARGUMENT, "Invalid cluster name: %.*s",
               SPAN_ARG(q->active_cluster_name));
  }
  for (size_t i = 0; i < q->clusters.n; i++) {
    span name = q->clusters.v[i]->cluster_name;
    if (!span_eq(name, SPAN("active"))) {
      return ERR(k->arena, INVALID_ARGUMENT, "Invalid cluster name: %.*s", SPAN_ARG(name));
    }
  }
  if (q->history_archival_state == PB_ARCHIVAL_STATE_ENABLED ||
      q->visibility_archival_state == PB_ARCHIVAL_STATE_ENABLED) {
    return ERR(k->arena, UNIMPLEMENTED,
               "archival is not built into this server; register the namespace without it");
  }
  shard_register_namespace(ask_shard(k), ask_op(k), q);
  return NULL;
}

static pb_Duration *duration_of(arena *a, int64_t ns) {
  pb_Duration *d = pb_new(a, Duration);
  d->seconds = ns / NS_PER_SEC;
  d->nanos = (int32_t)(ns % NS_PER_SEC);
  return d;
}

static pb_NamespaceInfo *info_of(ask *k, const pb_store_Namespace *n) {
  const engine_limits *limits = &ask_config(k)->limits;
  pb_NamespaceInfo *info = pb_new(k->arena, NamespaceInfo);
  info->name = n->name;
  info->state = n->state;
  info->id = n->id;
  info->description = n->description;
  info->owner_email = n->owner_email;
  info->data.v = arena_array(k->arena, pb_NamespaceInfo_DataEntry *, n->data.n);
  info->data.n = n->data.n;
  for (size_t i = 0; i < n->data.n; i++) {
    info->data.v[i] = pb_new(k->arena, NamespaceInfo_DataEntry);
    info->data.v[i]->key = n->data.v[i]->key;
    info->data.v[i]->value = n->data.v[i]->value;
  }
  info->capabilities = pb_new(k->arena, NamespaceInfo_Capabilities);
  info->capabilities->eager_workflow_start = true;
  info->capabilities->worker_poll_complete_on_shutdown = ask_config(k)->polls_end_on_shutdown;
  info->limits = pb_new(k->arena, NamespaceInfo_Limits);
  info->limits->blob_size_limit_error = (int64_t)limits->blob_bytes;
  info->limits->memo_size_limit_error = (int64_t)limits->memo_bytes;
  return info;
}

static pb_DescribeNamespaceResponse *describe(ask *k, const pb_store_Namespace *n) {
  pb_DescribeNamespaceResponse *r = pb_new(k->arena, DescribeNamespaceResponse);
  r->namespace_info = info_of(k, n);
  r->config = pb_new(k->arena, NamespaceConfig);
  r->config->workflow_execution_retention_ttl = duration_of(k->arena, n->retention);
  r->config->bad_binaries = pb_new(k->arena, BadBinaries);
  r->config->history_archival_state = PB_ARCHIVAL_STATE_DISABLED;
  r->config->visibility_archival_state = PB_ARCHIVAL_STATE_DISABLED;
  pb_NamespaceReplicationConfig *replication = pb_new(k->arena, NamespaceReplicationConfig);
  replication->active_cluster_name = SPAN("active");
  replication->clusters.v = arena_array(k->arena, pb_ClusterReplicationConfig *, 1);
  replication->clusters.n = 1;
  replication->clusters.v[0] = pb_new(k->arena, ClusterReplicationConfig);
  replication->clusters.v[0]->cluster_name = SPAN("active");
  r->replication_config = replication;
  return r;
}

/* The original tells an id that is no UUID with the words of its UUID parser. */
static err *check_id(ask *k, span id) {
  uuid parsed;
  if (uuid_parse(id, &parsed)) return NULL;
  if (id.n != UUID_TEXT_BYTES) {
    return ERR(k->arena, UNKNOWN, "invalid UUID length: %zu", id.n);
  }
  return ERR(k->arena, UNKNOWN, "invalid UUID format");
}

err *api_describe_namespace(ask *k) {
  const pb_DescribeNamespaceRequest *q = k->request;
  const shard_namespace_info *found;
  if (q->namespace.n == 0 && q->id.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "Namespace not set on request.");
  }
  if (q->namespace.n && q->id.n) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "GetNamespace operation failed.  Both ID and Name specified in request.");
  }
  if (q->id.n) {
    TRY(check_id(k, q->id));
    found = shard_namespace_by_id(ask_shard(k), q->id);
  } else {
    found = shard_namespace(ask_shard(k), q->namespace);
  }
  if (!found) return api_namespace_not_found(k->arena, q->id.n ? q->id : q->namespace);
  return ask_reply(k, describe(k, found->record));
}

/* In the order of names; the page token is the last name of the page before. */
err *api_list_namespaces(ask *k) {
  const pb_ListNamespacesRequest *q = k->request;
  size_t limit = q->page_size > 0 ? (size_t)q->page_size : 100;
  pb_ListNamespacesResponse r = {0};
  span after = q->next_page_token;
  const shard_namespace_info *n = shard_namespace_after(ask_shard(k), after);
  limit = MIN(limit, 1000);
  r.namespaces.v = arena_array(k->arena, pb_DescribeNamespaceResponse *, limit);
  while (n && r.namespaces.n < limit) {
    r.namespaces.v[r.namespaces.n++] = describe(k, n->record);
    after = n->record->name;
    n = shard_namespace_after(ask_shard(k), after);
  }
  if (n) r.next_page_token = after;
  return ask_reply(k, &r);
}

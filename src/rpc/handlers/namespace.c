#include "rpc/handlers/namespace.h"
#include "base/uuid.h"
#include "proto/pb_time.h"
#include "rpc/handlers/api.h"

static const int64_t min_retention_s = 3600;

static const char *const system_name = "temporal-system";

/* There is one cluster. */
err *api_check_cluster(ask *k, span name) {
  if (span_eq(name, SPAN("active"))) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "Invalid cluster name: %.*s", SPAN_ARG(name));
}

err *api_check_retention(ask *k, pb_Duration *retention) {
  if (retention && !check_duration(&k->check, &retention) && retention->seconds >= min_retention_s)
    return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "A valid retention period is not set on request.");
}

static err *check_registration(ask *k, const pb_RegisterNamespaceRequest *q) {
  if (q->namespace.n == 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "Namespace not set on request.");
  }
  if (q->is_global_namespace) {
    return ERR(k->arena, INVALID_ARGUMENT, "Cannot register global namespace when not enabled");
  }
  TRY(api_check_retention(k, q->workflow_execution_retention_period));
  if (q->active_cluster_name.n) TRY(api_check_cluster(k, q->active_cluster_name));
  for (size_t i = 0; i < q->clusters.n; i++) {
    TRY(api_check_cluster(k, q->clusters.v[i]->cluster_name));
  }
  if (!span_eq(q->namespace, span_cstr(system_name))) return NULL;
  err *e = ERR(k->arena, ALREADY_EXISTS, "Namespace \"%s\" already exists", system_name);
  pb_NamespaceAlreadyExistsFailure detail = {0};
  e->detail_type = pb_name(&pb_NamespaceAlreadyExistsFailure_desc);
  e->detail = PB_ENCODE(NamespaceAlreadyExistsFailure, &detail, k->arena);
  return e;
}

static const void *registered(arena *a, const void *response, const void *arg) {
  (void)response;
  (void)arg;
  return pb_new(a, RegisterNamespaceResponse);
}

/* Archival is not switched on in this cluster: asking for it changes nothing, as in the original.
 */
err *api_register_namespace(ask *k) {
  const pb_RegisterNamespaceRequest *q = k->request;
  TRY(check_registration(k, q));
  pb_Duration *retention = q->workflow_execution_retention_period;
  TRY(api_check_retention(k, retention));
  pb_store_Namespace record = {.name = q->namespace,
                               .description = q->description,
                               .owner_email = q->owner_email,
                               .retention = pb_duration_ns(retention),
                               .state = PB_NAMESPACE_STATE_REGISTERED,
                               .replication_state = PB_REPLICATION_STATE_NORMAL};
  record.data.v = arena_array(k->arena, pb_store_Namespace_DataEntry *, q->data.n);
  for (size_t i = 0; i < q->data.n; i++) {
    pb_store_Namespace_DataEntry *entry = pb_new(k->arena, store_Namespace_DataEntry);
    entry->key = q->data.v[i]->key;
    entry->value = q->data.v[i]->value;
    record.data.v[record.data.n++] = entry;
  }
  shard_register_namespace(ask_shard(k), ask_op_mapped(k, registered, NULL), &record);
  return NULL;
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
  info->capabilities->sync_update = true;
  info->capabilities->async_update = true;
  info->capabilities->worker_heartbeats = true;
  info->capabilities->poller_autoscaling = true;
  info->capabilities->reported_problems_search_attribute = true;
  info->capabilities->worker_poll_complete_on_shutdown = ask_config(k)->polls_end_on_shutdown;
  info->supports_schedules = true;
  info->limits = pb_new(k->arena, NamespaceInfo_Limits);
  info->limits->blob_size_limit_error = (int64_t)limits->blob_bytes;
  info->limits->memo_size_limit_error = (int64_t)limits->memo_bytes;
  return info;
}

static void show_aliases(ask *k, const pb_store_Namespace *n, pb_NamespaceConfig *c) {
  size_t count = n->search_attributes.n;
  attribute_aliases *aliases = &c->custom_search_attribute_aliases;
  aliases->v = arena_array(k->arena, pb_NamespaceConfig_CustomSearchAttributeAliasesEntry *, count);
  for (; aliases->n < count; aliases->n++) {
    pb_NamespaceConfig_CustomSearchAttributeAliasesEntry *e =
        pb_new(k->arena, NamespaceConfig_CustomSearchAttributeAliasesEntry);
    e->key = attribute_column(n->search_attributes.v[aliases->n], k->arena);
    e->value = n->search_attributes.v[aliases->n]->name;
    aliases->v[aliases->n] = e;
  }
}

static pb_NamespaceConfig *config_of(ask *k, const pb_store_Namespace *n) {
  pb_NamespaceConfig *c = pb_new(k->arena, NamespaceConfig);
  c->workflow_execution_retention_ttl = pb_duration_new(k->arena, n->retention);
  c->bad_binaries = n->bad_binaries ? n->bad_binaries : pb_new(k->arena, BadBinaries);
  show_aliases(k, n, c);
  c->history_archival_state = PB_ARCHIVAL_STATE_DISABLED;
  c->visibility_archival_state = PB_ARCHIVAL_STATE_DISABLED;
  return c;
}

static pb_NamespaceReplicationConfig *replication_of(ask *k, const pb_store_Namespace *n) {
  pb_NamespaceReplicationConfig *c = pb_new(k->arena, NamespaceReplicationConfig);
  c->active_cluster_name = SPAN("active");
  c->clusters.v = arena_array(k->arena, pb_ClusterReplicationConfig *, 1);
  c->clusters.n = 1;
  c->clusters.v[0] = pb_new(k->arena, ClusterReplicationConfig);
  c->clusters.v[0]->cluster_name = SPAN("active");
  c->state = n->replication_state;
  return c;
}

static pb_DescribeNamespaceResponse *describe(ask *k, const pb_store_Namespace *n) {
  pb_DescribeNamespaceResponse *r = pb_new(k->arena, DescribeNamespaceResponse);
  r->namespace_info = info_of(k, n);
  r->config = config_of(k, n);
  r->replication_config = replication_of(k, n);
  return r;
}

pb_UpdateNamespaceResponse *api_updated_namespace(ask *k, const pb_store_Namespace *n) {
  pb_UpdateNamespaceResponse *r = pb_new(k->arena, UpdateNamespaceResponse);
  r->namespace_info = info_of(k, n);
  r->config = config_of(k, n);
  r->replication_config = replication_of(k, n);
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
  enum { PAGE = 100, LONGEST_PAGE = 1000 };
  const pb_ListNamespacesRequest *q = k->request;
  if (q->page_size < 0) {
    return ERR(k->arena, INVALID_ARGUMENT, "PageSize must not be negative, but is %d.",
               q->page_size);
  }
  size_t limit = q->page_size ? MIN((size_t)q->page_size, (size_t)LONGEST_PAGE) : PAGE;
  bool deleted_too = q->namespace_filter && q->namespace_filter->include_deleted;
  pb_ListNamespacesResponse r = {0};
  r.namespaces.v = arena_array(k->arena, pb_DescribeNamespaceResponse *, limit);
  const shard_namespace_info *n = shard_namespace_after(ask_shard(k), q->next_page_token);
  for (; n; n = shard_namespace_after(ask_shard(k), n->name)) {
    if (n->record->state == PB_NAMESPACE_STATE_DELETED && !deleted_too) continue;
    if (r.namespaces.n == limit) {
      r.next_page_token = r.namespaces.v[limit - 1]->namespace_info->name;
      break;
    }
    r.namespaces.v[r.namespaces.n++] = describe(k, n->record);
  }
  return ask_reply(k, &r);
}

#include "rpc/handlers/api.h"

/* True where it holds here, or where it only makes clients send more than they would. */
err *api_get_system_info(ask *k) {
  pb_GetSystemInfoResponse_Capabilities can = {.signal_and_query_header = true,
                                               .internal_error_differentiation = true,
                                               .activity_failure_include_heartbeat = true,
                                               .encoded_failure_attributes = true,
                                               .upsert_memo = true,
                                               .supports_schedules = true,
                                               .count_group_by_execution_status = true,
                                               .eager_workflow_start = true,
                                               .sdk_metadata = true,
                                               .build_id_based_versioning = true,
                                               .nexus = true,
                                               .server_scaled_deployments = true};
  pb_GetSystemInfoResponse r = {.server_version = span_cstr(ask_config(k)->server_version),
                                .capabilities = &can};
  return ask_reply(k, &r);
}

static const char cluster_name[] = "active";

/* The first namespace's id is as old and as unique as the database. */
static span cluster_id(const ask *k) {
  const shard_namespace_info *first = shard_namespace(ask_shard(k), SPAN("default"));
  return first ? first->record->id : SPAN_NONE;
}

err *api_get_cluster_info(ask *k) {
  pb_list_GetClusterInfoResponse_SupportedClientsEntry clients = {
      arena_array(k->arena, pb_GetClusterInfoResponse_SupportedClientsEntry *, check_client_count),
      check_client_count};
  for (size_t i = 0; i < clients.n; i++) {
    clients.v[i] = pb_new(k->arena, GetClusterInfoResponse_SupportedClientsEntry);
    clients.v[i]->key = span_cstr(check_clients[i].name);
    clients.v[i]->value = span_cstr(check_clients[i].versions);
  }
  pb_GetClusterInfoResponse r = {
      .supported_clients = clients,
      .server_version = span_cstr(ask_config(k)->server_version),
      .cluster_id = cluster_id(k),
      .cluster_name = span_cstr(cluster_name),
      .history_shard_count = 1,
      .persistence_store = SPAN("sqlite"),
      .visibility_store = SPAN("sqlite"),
      .initial_failover_version = 1,
      .failover_version_increment = 10,
  };
  return ask_reply(k, &r);
}

/* This server alone. */
err *api_list_clusters(ask *k) {
  pb_ClusterMetadata *one = pb_new(k->arena, ClusterMetadata);
  one->cluster_name = span_cstr(cluster_name);
  one->cluster_id = cluster_id(k);
  one->address = span_cstr(ask_config(k)->address);
  one->initial_failover_version = 1;
  one->history_shard_count = 1;
  one->is_connection_enabled = true;
  pb_ListClustersResponse r = {.clusters = {&one, 1}};
  return ask_reply(k, &r);
}

err *api_remove_cluster(ask *k) {
  const pb_RemoveRemoteClusterRequest *q = k->request;
  if (span_eq(q->cluster_name, span_cstr(cluster_name))) {
    return ERR(k->arena, INTERNAL,
               "Unable to delete cluster info with error: Cannot delete current cluster metadata.");
  }
  return ERR(k->arena, NOT_FOUND, "The cluster to be deleted cannot be found in clusters cache.");
}

err *api_health_check(ask *k) {
  const pb_HealthCheckRequest *q = k->request;
  if (q->service.n && !span_eq(q->service, span_cstr(pb_WorkflowService_service.name))) {
    return ERR(k->arena, NOT_FOUND, "unknown service");
  }
  pb_HealthCheckResponse r = {.status = PB_HealthCheckResponse_SERVING};
  return ask_reply(k, &r);
}

#include "rpc/handlers/api.h"

/* True where it holds here, or where it only makes clients send more than they would. */
err *api_get_system_info(ask *k) {
  pb_GetSystemInfoResponse_Capabilities can = {.signal_and_query_header = true,
                                               .internal_error_differentiation = true,
                                               .activity_failure_include_heartbeat = true,
                                               .encoded_failure_attributes = true,
                                               .upsert_memo = true,
                                               .eager_workflow_start = true,
                                               .sdk_metadata = true,
                                               .build_id_based_versioning = true};
  pb_GetSystemInfoResponse r = {.server_version = span_cstr(ask_config(k)->server_version),
                                .capabilities = &can};
  return ask_reply(k, &r);
}

static const struct {
  const char *name, *versions;
} clients[] = {
    {"temporal-go", "<2.0.0"},         {"temporal-java", "<2.0.0"}, {"temporal-php", "<2.0.0"},
    {"temporal-typescript", "<2.0.0"}, {"temporal-cli", "<2.0.0"},  {"temporal-server", "<2.0.0"},
    {"Nexus-go-sdk", "<2.0.0"},        {"temporal-ui", "<3.0.0"},
};

err *api_get_cluster_info(ask *k) {
  /* The first namespace's id is as old and as unique as the database. */
  const shard_namespace_info *first = shard_namespace(ask_shard(k), SPAN("default"));
  pb_GetClusterInfoResponse_SupportedClientsEntry entries[ARRAY_LEN(clients)] = {0};
  pb_GetClusterInfoResponse_SupportedClientsEntry *rows[ARRAY_LEN(clients)];
  for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
    entries[i].key = span_cstr(clients[i].name);
    entries[i].value = span_cstr(clients[i].versions);
    rows[i] = &entries[i];
  }
  pb_GetClusterInfoResponse r = {
      .supported_clients = {.v = rows, .n = ARRAY_LEN(clients)},
      .server_version = span_cstr(ask_config(k)->server_version),
      .cluster_id = first ? first->record->id : SPAN_NONE,
      .cluster_name = SPAN("active"),
      .history_shard_count = 1,
      .persistence_store = SPAN("sqlite"),
      .visibility_store = SPAN("sqlite"),
      .initial_failover_version = 1,
      .failover_version_increment = 10,
  };
  return ask_reply(k, &r);
}

err *api_health_check(ask *k) {
  const pb_HealthCheckRequest *q = k->request;
  if (q->service.n && !span_eq(q->service, span_cstr(pb_WorkflowService_service.name))) {
    return ERR(k->arena, NOT_FOUND, "unknown service");
  }
  pb_HealthCheckResponse r = {.status = PB_HealthCheckResponse_SERVING};
  return ask_reply(k, &r);
}

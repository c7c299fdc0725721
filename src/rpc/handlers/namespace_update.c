/* namespace_update.c - changes of a namespace: fields are merged into the record that there is. */
#include "proto/pb_time.h"
#include "rpc/handlers/namespace.h"

enum { MOST_BAD_BINARIES = 10 };

typedef struct change {
  ask *ask;
  const pb_UpdateNamespaceRequest *request;
  pb_store_Namespace record; /* as it will be */
  /* Bad binaries and the state of replication alone are answered, but not kept: so does the
   * original, whose test for a change does not look at them. */
  bool kept;
} change;

static err *check_state(ask *k, int32_t from, int32_t to) {
  static const int32_t registered = PB_NAMESPACE_STATE_REGISTERED;
  static const int32_t deprecated = PB_NAMESPACE_STATE_DEPRECATED;
  static const int32_t deleted = PB_NAMESPACE_STATE_DELETED;
  if (to == PB_NAMESPACE_STATE_UNSPECIFIED || to == from) return NULL;
  if (from == registered && (to == deprecated || to == deleted)) return NULL;
  if (from == deprecated && to == deleted) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT, "Invalid namespace state update.");
}

static void put_data(arena *a, pb_store_Namespace *n, span key, span value) {
  pb_store_Namespace_DataEntry *entry = pb_new(a, store_Namespace_DataEntry);
  entry->key = key;
  entry->value = value;
  for (size_t i = 0; i < n->data.n; i++) {
    if (!span_eq(n->data.v[i]->key, key)) continue;
    n->data.v[i] = entry;
    return;
  }
  n->data.v[n->data.n++] = entry;
}

static err *change_info(change *c) {
  const pb_UpdateNamespaceInfo *in = c->request->update_info;
  pb_store_Namespace *n = &c->record;
  arena *a = c->ask->arena;
  if (!in) return NULL;
  TRY(check_state(c->ask, n->state, in->state));
  c->kept = c->kept || in->description.n || in->owner_email.n || in->data.n || in->state;
  if (in->description.n) n->description = in->description;
  if (in->owner_email.n) n->owner_email = in->owner_email;
  if (in->state) n->state = in->state;
  pb_store_Namespace_DataEntry **before = n->data.v;
  n->data.v = arena_array(a, pb_store_Namespace_DataEntry *, n->data.n + in->data.n + 1);
  for (size_t i = 0; i < n->data.n; i++) n->data.v[i] = before[i];
  for (size_t i = 0; i < in->data.n; i++) {
    put_data(a, n, in->data.v[i]->key, in->data.v[i]->value);
  }
  return NULL;
}

/* --- bad binaries --- */

static size_t binary_at(const pb_BadBinaries *b, span checksum) {
  size_t i = 0;
  while (i < b->binaries.n && !span_eq(b->binaries.v[i]->key, checksum)) i++;
  return i;
}

/* A copy with room for more. */
static pb_BadBinaries *binaries_copy(change *c, size_t more) {
  arena *a = c->ask->arena;
  static const pb_BadBinaries none;
  const pb_BadBinaries *old = c->record.bad_binaries ? c->record.bad_binaries : &none;
  pb_BadBinaries *b = pb_new(a, BadBinaries);
  b->binaries.v = arena_array(a, pb_BadBinaries_BinariesEntry *, old->binaries.n + more + 1);
  for (size_t i = 0; i < old->binaries.n; i++) b->binaries.v[b->binaries.n++] = old->binaries.v[i];
  return b;
}

static err *add_binaries(change *c, const pb_BadBinaries *in) {
  arena *a = c->ask->arena;
  pb_BadBinaries *b = binaries_copy(c, in->binaries.n);
  for (size_t i = 0; i < in->binaries.n; i++) {
    static const pb_BadBinaryInfo unset;
    const pb_BadBinaryInfo *given = in->binaries.v[i]->value;
    pb_BadBinaries_BinariesEntry *entry = pb_new(a, BadBinaries_BinariesEntry);
    entry->key = in->binaries.v[i]->key;
    entry->value = pb_new(a, BadBinaryInfo);
    *entry->value = given ? *given : unset;
    entry->value->create_time = pb_time_new(a, ask_now_ns(c->ask));
    size_t at = binary_at(b, entry->key);
    b->binaries.v[at] = entry;
    if (at == b->binaries.n) b->binaries.n++;
  }
  if (b->binaries.n > MOST_BAD_BINARIES) {
    return ERR(a, INVALID_ARGUMENT, "Total resetBinaries cannot exceed the max limit: %d",
               MOST_BAD_BINARIES);
  }
  c->record.bad_binaries = b;
  return NULL;
}

static err *remove_binary(change *c, span checksum) {
  pb_BadBinaries *b = binaries_copy(c, 0);
  size_t at = binary_at(b, checksum);
  if (at == b->binaries.n) {
    return ERR(c->ask->arena, INVALID_ARGUMENT, "Bad binary checksum %.*s doesn't exists.",
               SPAN_ARG(checksum));
  }
  b->binaries.v[at] = b->binaries.v[--b->binaries.n];
  c->record.bad_binaries = b;
  c->kept = true;
  return NULL;
}

/* --- configuration --- */

/* Archival is not switched on in this cluster: asking for it changes nothing. */
static err *change_config(change *c) {
  const pb_NamespaceConfig *in = c->request->config;
  if (in && in->workflow_execution_retention_ttl) {
    TRY(api_check_retention(c->ask, in->workflow_execution_retention_ttl));
    c->record.retention = pb_duration_ns(in->workflow_execution_retention_ttl);
    c->kept = true;
  }
  if (in && in->custom_search_attribute_aliases.n) {
    pb_store_Namespace *changed;
    TRY(attributes_alias(&c->record, &in->custom_search_attribute_aliases, c->ask->arena,
                         &changed));
    c->record = *changed;
    c->kept = true;
  }
  if (in && in->bad_binaries) TRY(add_binaries(c, in->bad_binaries));
  if (c->request->delete_bad_binary.n) TRY(remove_binary(c, c->request->delete_bad_binary));
  return NULL;
}

static err *change_replication(change *c) {
  static const char *const states[] = {"Unspecified", "Registered", "Deprecated", "Deleted"};
  const pb_NamespaceReplicationConfig *in = c->request->replication_config;
  arena *a = c->ask->arena;
  if (!in) return NULL;
  for (size_t i = 0; i < in->clusters.n; i++) {
    TRY(api_check_cluster(c->ask, in->clusters.v[i]->cluster_name));
  }
  if (in->active_cluster_name.n) TRY(api_check_cluster(c->ask, in->active_cluster_name));
  if (!in->state || in->state == c->record.replication_state) return NULL;
  if (c->record.state != PB_NAMESPACE_STATE_REGISTERED) {
    return ERR(a, INVALID_ARGUMENT,
               "update ReplicationState is only supported when namespace is in Registered state, "
               "current state: %s",
               states[c->record.state & 3]);
  }
  if (in->state == PB_REPLICATION_STATE_HANDOVER) {
    return ERR(a, INVALID_ARGUMENT, "Handover can only be set for global namespace");
  }
  c->record.replication_state = in->state;
  return NULL;
}

/* --- the calls --- */

static err *find(ask *k, span name, const shard_namespace_info **ret_info) {
  if (name.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "Namespace not set on request.");
  *ret_info = shard_namespace(ask_shard(k), name);
  return *ret_info ? NULL : api_namespace_not_found(k->arena, name);
}

static const void *given_response(arena *a, const void *response, const void *arg) {
  (void)a;
  (void)response;
  return arg;
}

err *api_update_namespace(ask *k) {
  const pb_UpdateNamespaceRequest *q = k->request;
  const shard_namespace_info *info;
  TRY(find(k, q->namespace, &info));
  TRY(api_check_namespace_state(k, info));
  if (q->promote_namespace) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "global namespace is not enabled on this cluster, cannot update global namespace or "
               "promote local namespace: %.*s",
               SPAN_ARG(q->namespace));
  }
  change c = {.ask = k, .request = q, .record = *shard_namespace_newest(ask_shard(k), info)};
  TRY(change_info(&c));
  TRY(change_config(&c));
  TRY(change_replication(&c));
  pb_UpdateNamespaceResponse *r = api_updated_namespace(k, &c.record);
  if (!c.kept) return ask_reply(k, r);
  r = PB_COPY(UpdateNamespaceResponse, r, k->arena);
  shard_update_namespace(ask_shard(k), ask_op_mapped(k, given_response, r), &c.record);
  return NULL;
}

err *api_deprecate_namespace(ask *k) {
  const pb_DeprecateNamespaceRequest *q = k->request;
  const shard_namespace_info *info;
  TRY(find(k, q->namespace, &info));
  TRY(api_check_namespace_state(k, info));
  pb_store_Namespace record = *shard_namespace_newest(ask_shard(k), info);
  record.state = PB_NAMESPACE_STATE_DEPRECATED;
  const void *response = pb_new(k->arena, DeprecateNamespaceResponse);
  shard_update_namespace(ask_shard(k), ask_op_mapped(k, given_response, response), &record);
  return NULL;
}

/* --- deletion --- */

static err *find_deleted(ask *k, const pb_DeleteNamespaceRequest *q,
                         const shard_namespace_info **ret_info) {
  if (q->namespace.n && q->namespace_id.n) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Only one of namespace name or Id should be set on request.");
  }
  if (span_eq(q->namespace, SPAN("temporal-system"))) {
    return ERR(k->arena, FAILED_PRECONDITION, "unable to delete system namespace");
  }
  if (!q->namespace_id.n) return find(k, q->namespace, ret_info);
  *ret_info = shard_namespace_by_id(ask_shard(k), q->namespace_id);
  return *ret_info ? NULL : api_namespace_not_found(k->arena, q->namespace_id);
}

/* With as much of the id as makes it new. */
static span deleted_name(ask *k, const pb_store_Namespace *n) {
  span name = SPAN_NONE;
  for (size_t digits = 5; digits <= n->id.n; digits++) {
    name = arena_spanf(k->arena, "%.*s-deleted-%.*s", SPAN_ARG(n->name), (int)digits,
                       (const char *)n->id.p);
    if (!shard_namespace(ask_shard(k), name)) break;
  }
  return name;
}

err *api_delete_namespace(ask *k) {
  const pb_DeleteNamespaceRequest *q = k->request;
  const shard_namespace_info *info = NULL;
  TRY(find_deleted(k, q, &info));
  pb_Duration *delay = q->namespace_delete_delay;
  const char *why = check_duration(&k->check, &delay);
  if (why) return ERR(k->arena, INVALID_ARGUMENT, "invalid NamespaceDeleteDelay: %s", why);
  pb_store_Namespace record = *shard_namespace_newest(ask_shard(k), info);
  pb_DeleteNamespaceResponse *r = pb_new(k->arena, DeleteNamespaceResponse);
  if (record.delete_after) {
    r->deleted_namespace = record.name;
    return ask_reply(k, r);
  }
  record.name = r->deleted_namespace = deleted_name(k, &record);
  record.state = PB_NAMESPACE_STATE_DELETED;
  record.delete_after = ask_now_ns(k) + pb_duration_ns(delay);
  shard_update_namespace(ask_shard(k), ask_op_mapped(k, given_response, r), &record);
  return NULL;
}

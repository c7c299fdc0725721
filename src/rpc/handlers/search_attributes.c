/* search_attributes.c - which search attributes a namespace has; adding and removing them. */
#include "rpc/handlers/api.h"

enum { MOST_SHOWN = 128 };

typedef struct shown {
  span name;
  int32_t type;
} shown;

static size_t everywhere(shown *out) {
  attribute at;
  size_t n = 0;
  while (n < MOST_SHOWN && attribute_everywhere(n, &at)) {
    out[n++] = (shown){.name = at.name, .type = at.type};
  }
  return n;
}

/* The columns that the original has for custom attributes: its answer to clients that name no
 * namespace. */
static size_t columns(arena *a, shown *out) {
  static const struct {
    int32_t type;
    int n;
  } types[] = {{PB_INDEXED_VALUE_TYPE_BOOL, 3},     {PB_INDEXED_VALUE_TYPE_DATETIME, 3},
               {PB_INDEXED_VALUE_TYPE_DOUBLE, 3},   {PB_INDEXED_VALUE_TYPE_INT, 3},
               {PB_INDEXED_VALUE_TYPE_KEYWORD, 10}, {PB_INDEXED_VALUE_TYPE_KEYWORD_LIST, 3},
               {PB_INDEXED_VALUE_TYPE_TEXT, 3}};
  size_t n = 0;
  for (size_t i = 0; i < ARRAY_LEN(types); i++) {
    for (int k = 1; k <= types[i].n; k++) {
      out[n++] = (shown){.name = arena_spanf(a, "%s%02d", attribute_type_name(types[i].type), k),
                         .type = types[i].type};
    }
  }
  return n;
}

err *api_get_search_attributes(ask *k) {
  pb_GetSearchAttributesResponse r = {0};
  shown all[MOST_SHOWN];
  size_t n = everywhere(all);
  n += columns(k->arena, all + n);
  r.keys.v = arena_array(k->arena, pb_GetSearchAttributesResponse_KeysEntry *, n);
  for (; r.keys.n < n; r.keys.n++) {
    pb_GetSearchAttributesResponse_KeysEntry *e =
        pb_new(k->arena, GetSearchAttributesResponse_KeysEntry);
    e->key = all[r.keys.n].name;
    e->value = all[r.keys.n].type;
    r.keys.v[r.keys.n] = e;
  }
  return ask_reply(k, &r);
}

static err *find_namespace(ask *k, span name, const pb_store_Namespace **ret) {
  if (!name.n) return ERR(k->arena, INVALID_ARGUMENT, "Namespace is not set on request.");
  const shard_namespace_info *ns = shard_namespace(ask_shard(k), name);
  if (!ns) return api_namespace_not_found(k->arena, name);
  *ret = shard_namespace_newest(ask_shard(k), ns);
  return NULL;
}

static const void *added(arena *a, const void *response, const void *arg) {
  return pb_new(a, AddSearchAttributesResponse);
}

err *api_add_search_attributes(ask *k) {
  const pb_AddSearchAttributesRequest *q = k->request;
  const pb_store_Namespace *ns;
  pb_store_Namespace *changed;
  TRY(find_namespace(k, q->namespace, &ns));
  TRY(attributes_add(ns, q, k->arena, &changed));
  shard_update_namespace(ask_shard(k), ask_op_mapped(k, added, NULL), changed);
  return NULL;
}

static const void *removed(arena *a, const void *response, const void *arg) {
  return pb_new(a, RemoveSearchAttributesResponse);
}

err *api_remove_search_attributes(ask *k) {
  const pb_RemoveSearchAttributesRequest *q = k->request;
  const pb_store_Namespace *ns;
  pb_store_Namespace *changed;
  TRY(find_namespace(k, q->namespace, &ns));
  TRY(attributes_remove(ns, q, k->arena, &changed));
  shard_update_namespace(ask_shard(k), ask_op_mapped(k, removed, NULL), changed);
  return NULL;
}

err *api_list_search_attributes(ask *k) {
  const pb_ListSearchAttributesRequest *q = k->request;
  const pb_store_Namespace *ns;
  pb_ListSearchAttributesResponse r = {0};
  shown system[MOST_SHOWN];
  TRY(find_namespace(k, q->namespace, &ns));
  size_t n_system = everywhere(system), n_custom = ns->search_attributes.n;
  r.system_attributes.v =
      arena_array(k->arena, pb_ListSearchAttributesResponse_SystemAttributesEntry *, n_system);
  r.custom_attributes.v =
      arena_array(k->arena, pb_ListSearchAttributesResponse_CustomAttributesEntry *, n_custom);
  for (; r.system_attributes.n < n_system; r.system_attributes.n++) {
    pb_ListSearchAttributesResponse_SystemAttributesEntry *e =
        pb_new(k->arena, ListSearchAttributesResponse_SystemAttributesEntry);
    e->key = system[r.system_attributes.n].name;
    e->value = system[r.system_attributes.n].type;
    r.system_attributes.v[r.system_attributes.n] = e;
  }
  for (; r.custom_attributes.n < n_custom; r.custom_attributes.n++) {
    pb_ListSearchAttributesResponse_CustomAttributesEntry *e =
        pb_new(k->arena, ListSearchAttributesResponse_CustomAttributesEntry);
    e->key = ns->search_attributes.v[r.custom_attributes.n]->name;
    e->value = ns->search_attributes.v[r.custom_attributes.n]->type;
    r.custom_attributes.v[r.custom_attributes.n] = e;
  }
  return ask_reply(k, &r);
}

#include "rpc/handlers/api.h"

#include "base/mem.h"

/* Where the fields lie that every request is checked by. */
typedef struct api_method {
  const api_row *row;
  bool has_namespace, has_token;
  uint16_t namespace_at, token_at;
} api_method;

/* What is served: a service of the schema and its rows in table.c. */
static const struct {
  const pb_service *service;
  const api_row *rows;
  const size_t *n_rows;
} served[] = {
    {&pb_WorkflowService_service, api_workflow_rows, &api_workflow_row_count},
    {&pb_OperatorService_service, api_operator_rows, &api_operator_row_count},
    {&pb_Health_service, api_health_rows, &api_health_row_count},
    {&pb_DiagnosticsService_service, api_diagnostics_rows, &api_diagnostics_row_count},
};
enum { SERVICES = ARRAY_LEN(served) };

struct api {
  shard *shard;
  env *env;
  api_config config;
  rpc_service services[SERVICES];
  rpc_method *methods;       /* of all services, one after the other */
  api_method *method_fields; /* same order */
};

/* What answers a call once the shard is done; lives until then. */
typedef struct api_op {
  shard_op op;
  api *api;
  rpc_call *call;
  api_map map;
  const void *map_arg;
} api_op;

static const api_row *find_row(const api_row *rows, size_t n, const char *method) {
  for (size_t i = 0; i < n; i++) {
    if (strcmp(rows[i].method, method) == 0) return &rows[i];
  }
  PANIC("method %s has no row in the service table", method);
}

static bool find_span(const pb_desc *d, const char *name, pb_type type, uint16_t *ret_at) {
  const pb_field *rows = pb_rows(d);
  for (size_t i = 0; i < d->field_count; i++) {
    if (rows[i].type == type && strcmp(pb_names + rows[i].name, name) == 0) {
      *ret_at = rows[i].offset;
      return true;
    }
  }
  return false;
}

static void handle(void *ctx, rpc_call *call);

static void fill_service(api *a, size_t at, const pb_service *from, const api_row *rows, size_t n,
                         size_t first) {
  ASSERT(from->method_count == n);
  a->services[at] = (rpc_service){
      .name = from->name, .methods = a->methods + first, .n_methods = from->method_count, .ctx = a};
  for (size_t i = 0; i < from->method_count; i++) {
    const pb_method *m = &from->methods[i];
    const api_row *row = find_row(rows, n, m->name);
    a->methods[first + i] = (rpc_method){.name = m->name,
                                         .request = m->request,
                                         .response = m->response,
                                         .handle = row->handle ? handle : NULL,
                                         .access = row->access,
                                         .long_poll = (row->flags & API_LONG_POLL) != 0,
                                         .shed_first = (row->flags & API_SHED_FIRST) != 0};
    api_method *f = &a->method_fields[first + i];
    f->row = row;
    f->has_namespace = find_span(m->request, "namespace", PB_STRING, &f->namespace_at);
    f->has_token = find_span(m->request, "task_token", PB_BYTES, &f->token_at);
  }
}

api *api_new(shard *s, env *e, const api_config *config) {
  api *a = mem_new(api);
  a->shard = s;
  a->env = e;
  a->config = *config;
  size_t n = 0;
  for (size_t i = 0; i < SERVICES; i++) n += *served[i].n_rows;
  a->methods = mem_zalloc(n * sizeof *a->methods);
  a->method_fields = mem_zalloc(n * sizeof *a->method_fields);
  n = 0;
  for (size_t i = 0; i < SERVICES; i++) {
    fill_service(a, i, served[i].service, served[i].rows, *served[i].n_rows, n);
    n += *served[i].n_rows;
  }
  return a;
}

const rpc_service *api_services(const api *a, size_t *ret_n) {
  *ret_n = SERVICES;
  return a->services;
}

void api_free(api *a) {
  mem_free(a->methods);
  mem_free(a->method_fields);
  mem_free(a);
}

shard *ask_shard(const ask *k) { return k->api->shard; }

const api_config *ask_config(const ask *k) { return &k->api->config; }

err *ask_reply(ask *k, const void *response) {
  rpc_reply(k->call, response);
  return NULL;
}

err *api_namespace_not_found(arena *a, span name) {
  err *e = ERR(a, NOT_FOUND, "Namespace %.*s is not found.", SPAN_ARG(name));
  pb_NamespaceNotFoundFailure detail = {.namespace = name};
  e->detail_type = "temporal.api.errordetails.v1.NamespaceNotFoundFailure";
  e->detail = PB_ENCODE(NamespaceNotFoundFailure, &detail, a);
  return e;
}

int64_t ask_now_ns(ask *k) { return k->api->env->now_ns(k->api->env); }

static err *invalid_state(arena *a, const shard_namespace_info *info, bool starts) {
  static const char *const names[] = {"Unspecified", "Registered", "Deprecated", "Deleted"};
  static int32_t allowed[] = {PB_NAMESPACE_STATE_REGISTERED, PB_NAMESPACE_STATE_DEPRECATED};
  int32_t state = info->record->state;
  err *e = ERR(a, FAILED_PRECONDITION, "Namespace has invalid state: %s. Must be Registered%s.",
               names[state & 3], starts ? "" : " or Deprecated");
  pb_NamespaceInvalidStateFailure detail = {.namespace = info->name, .state = state};
  detail.allowed_states.v = allowed;
  detail.allowed_states.n = starts ? 1 : 2;
  e->detail_type = pb_name(&pb_NamespaceInvalidStateFailure_desc);
  e->detail = PB_ENCODE(NamespaceInvalidStateFailure, &detail, a);
  return e;
}

static err *check_state(arena *a, const shard_namespace_info *info, bool starts) {
  int32_t state = info->record->state;
  bool allowed =
      state == PB_NAMESPACE_STATE_REGISTERED || (state == PB_NAMESPACE_STATE_DEPRECATED && !starts);
  return allowed ? NULL : invalid_state(a, info, starts);
}

err *api_check_namespace_state(ask *k, const shard_namespace_info *info) {
  return check_state(k->arena, info, false);
}

static span field_of(const void *request, uint16_t at) {
  return *(const span *)(const void *)((const char *)request + at);
}

/* A request that names no namespace is in that of its token. */
static err *check_token(ask *k, span token) {
  if (token.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "Task token not set on request.");
  if (k->ns) return NULL;
  k->ns = shard_namespace_of_token(k->api->shard, token);
  if (!k->ns) return ERR(k->arena, INVALID_ARGUMENT, "Error deserializing task token.");
  return NULL;
}

/* Checks every method has in common: the namespace exists, a token is there. */
static err *check_place(ask *k, const api_method *m) {
  span token = m->has_token ? field_of(k->request, m->token_at) : SPAN_NONE;
  span name = m->has_namespace ? field_of(k->request, m->namespace_at) : SPAN_NONE;
  if (name.n > CHECK_ID_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT, "Namespace length exceeds limit.");
  }
  if (m->has_namespace && !(m->row->flags & API_NAMES_NAMESPACE) && (name.n || !m->has_token)) {
    if (name.n == 0) return ERR(k->arena, INVALID_ARGUMENT, "Namespace is empty.");
    k->ns = shard_namespace(k->api->shard, name);
    if (!k->ns) return api_namespace_not_found(k->arena, name);
  }
  if (m->has_token) TRY(check_token(k, token));
  return k->ns ? check_state(k->arena, k->ns, (m->row->flags & API_STARTS) != 0) : NULL;
}

/* Clients tell what is missing from other failures by the type of the detail. */
static void fail(rpc_call *call, const err *e) {
  err with_type = *e;
  if (e->code == ERR_NOT_FOUND && !e->detail_type && rpc_call_method(call)->access != RPC_PUBLIC) {
    with_type.detail_type = "temporal.api.errordetails.v1.NotFoundFailure";
  }
  rpc_fail(call, &with_type);
}

/* What is under way goes on; only new work is refused. */
static err *check_memory(const ask *k, const api_row *row) {
  size_t limit = k->api->config.shed_bytes;
  if (!(row->flags & API_SHED_FIRST) || !limit || mem_in_use_bytes() <= limit) return NULL;
  pb_ResourceExhaustedFailure detail = {.cause = PB_RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
                                        .scope = PB_RESOURCE_EXHAUSTED_SCOPE_SYSTEM};
  err *e = ERR(k->arena, RESOURCE_EXHAUSTED,
               "the server uses %zu MiB of memory and may use %zu: new workflows wait",
               mem_in_use_bytes() >> 20, limit >> 20);
  e->detail_type = "temporal.api.errordetails.v1.ResourceExhaustedFailure";
  e->detail = PB_ENCODE(ResourceExhaustedFailure, &detail, k->arena);
  return e;
}

static err *check_sender(ask *k) {
  return check_client(
      &k->check, rpc_header(k->call, "client-name"), rpc_header(k->call, "client-version"),
      rpc_header(k->call, "supported-server-versions"), k->api->config.server_version);
}

static void handle(void *ctx, rpc_call *call) {
  api *a = ctx;
  const rpc_method *method = rpc_call_method(call);
  const api_method *m = &a->method_fields[method - a->methods];
  ask k = {.api = a, .call = call, .arena = rpc_arena(call), .request = rpc_request(call)};
  if (rpc_gone(call)) { /* nobody would hear the answer */
    rpc_fail(call, ERR(k.arena, CANCELLED, "the caller has gone"));
    return;
  }
  k.check = (checker){.arena = k.arena,
                      .limits = &a->config.limits,
                      .random = &a->env->random,
                      .zones = shard_zones(a->shard),
                      .now_ns = a->env->now_ns(a->env)};
  err *e = check_place(&k, m);
  if (k.ns) {
    k.check.ns_name = k.ns->name;
    k.check.ns = shard_namespace_newest(a->shard, k.ns);
  }
  if (!e) e = check_sender(&k);
  if (!e) e = check_memory(&k, m->row);
  if (!e) e = m->row->handle(&k);
  if (e) fail(call, e);
}

static void op_done(shard_op *op, const err *e, const void *response) {
  api_op *o = CONTAINER_OF(op, api_op, op);
  if (e) {
    fail(o->call, e);
  } else {
    rpc_reply(o->call, o->map ? o->map(op->arena, response, o->map_arg) : response);
  }
  mem_free(o);
}

static void op_park(shard_op *op) { rpc_park(CONTAINER_OF(op, api_op, op)->call); }

static void op_gone(rpc_call *call, void *arg) {
  api_op *o = arg;
  shard_op_gone(o->api->shard, &o->op);
}

/* The transport counts on the monotonic clock, the shard on the env's. */
static int64_t env_deadline_ns(const ask *k) {
  int64_t deadline = rpc_deadline_ns(k->call);
  if (deadline == INT64_MAX) return INT64_MAX;
  return k->api->env->now_ns(k->api->env) + (deadline - (int64_t)uv_hrtime());
}

shard_op *ask_op_mapped(ask *k, api_map map, const void *arg) {
  api_op *o = mem_new(api_op);
  o->api = k->api;
  o->call = k->call;
  o->map = map;
  o->map_arg = arg;
  o->op = (shard_op){.arena = k->arena,
                     .ns = k->ns ? k->ns->key : 0,
                     .ns_name = k->ns ? k->ns->name : SPAN_NONE,
                     .deadline_ns = env_deadline_ns(k),
                     .done = op_done,
                     .park = map ? NULL : op_park};
  rpc_on_gone(k->call, op_gone, o);
  return &o->op;
}

shard_op *ask_op(ask *k) { return ask_op_mapped(k, NULL, NULL); }

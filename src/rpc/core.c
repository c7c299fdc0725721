#include "rpc/core.h"

#include <sys/random.h>

#include "base/mem.h"
#include "rpc/h2_options.h"

const rpc_limits rpc_default_limits = {
    .max_message_bytes = 4 * 1024 * 1024,
    .max_header_bytes = 16 * 1024,
    .max_streams = 16 * 1024,
    .max_connection_bytes = 128 * 1024 * 1024,
    .max_total_bytes = 1024 * 1024 * 1024,
    .max_connections = 10000,
    .idle_ns = 10 * 60 * NS_PER_SEC,
    .first_request_ns = 10 * NS_PER_SEC,
    .request_ns = 60 * NS_PER_SEC,
    .answer_ns = 60 * NS_PER_SEC,
    .keepalive_ns = 60 * NS_PER_SEC,
    .keepalive_timeout_ns = 20 * NS_PER_SEC,
    .gzip_answer_bytes = 8 * 1024, /* 2 KiB would cost 11 us: as much as four whole calls */
};

static span method_path(const rpc_service *s, const rpc_method *m) {
  size_t service = strlen(s->name), method = strlen(m->name);
  char *p = mem_alloc(service + method + 2);
  p[0] = '/';
  memcpy(p + 1, s->name, service);
  p[service + 1] = '/';
  memcpy(p + service + 2, m->name, method);
  return span_of(p, service + method + 2);
}

static void add_entries(rpc_core *core) {
  size_t n = 1;
  for (size_t i = 0; i < core->n_services; i++) n += core->services[i].n_methods;
  core->entries = mem_zalloc(n * sizeof *core->entries);
  core->method_stats = mem_zalloc(n * sizeof *core->method_stats);
  for (size_t i = 0; i < core->n_services; i++) {
    const rpc_service *s = &core->services[i];
    for (size_t k = 0; k < s->n_methods; k++) {
      rpc_entry *e = &core->entries[core->n_entries];
      e->service = s;
      e->method = &s->methods[k];
      e->path = method_path(s, e->method);
      e->stats = &core->method_stats[core->n_entries++];
      e->stats->service = s->name;
      e->stats->method = e->method->name;
      hmap_insert(&core->by_path, &e->node, hash_bytes(core->path_key, e->path));
    }
  }
  rpc_entry *unknown = &core->entries[core->n_entries];
  unknown->stats = &core->method_stats[core->n_entries++];
  unknown->stats->service = "";
  unknown->stats->method = "unknown";
}

void rpc_core_init(rpc_core *core, const rpc_limits *limits, const rpc_service *services,
                   size_t n_services, int64_t (*clock_ns)(void)) {
  *core = (rpc_core){
      .limits = *limits, .clock_ns = clock_ns, .services = services, .n_services = n_services};
  /* Clients choose paths; an unpredictable key keeps them from choosing collisions. */
  if (getrandom(&core->path_key, sizeof core->path_key, 0) != sizeof core->path_key) {
    PANIC("the system gives no random numbers");
  }
  hmap_init(&core->by_path);
  heap_init(&core->deadlines);
  list_init(&core->conns);
  list_init(&core->dirty);
  list_init(&core->free_calls);
  core->gzip = grpc_gzip_new();
  core->options = h2_server_options();
  core->callbacks = h2_server_callbacks();
  add_entries(core);
}

void rpc_core_release(rpc_core *core) {
  ASSERT(core->n_calls == 0 && core->n_conns == 0);
  rpc_call_pool_release(core);
  for (size_t i = 0; i < core->n_entries; i++) mem_free((void *)(uintptr_t)core->entries[i].path.p);
  mem_free(core->entries);
  mem_free(core->method_stats);
  hmap_release(&core->by_path);
  heap_release(&core->deadlines);
  grpc_gzip_free(core->gzip);
  buf_release(&core->scratch);
  nghttp2_option_del(core->options);
  nghttp2_session_callbacks_del(core->callbacks);
}

const rpc_entry *rpc_core_find(const rpc_core *core, span path) {
  uint64_t hash = hash_bytes(core->path_key, path);
  for (hmap_node *n = hmap_first(&core->by_path, hash); n; n = hmap_next(n)) {
    const rpc_entry *e = CONTAINER_OF(n, rpc_entry, node);
    if (span_eq(e->path, path)) return e;
  }
  return &core->entries[core->n_entries - 1];
}

bool rpc_core_has_service(const rpc_core *core, span name) {
  for (size_t i = 0; i < core->n_services; i++) {
    if (span_eq(span_cstr(core->services[i].name), name)) return true;
  }
  return false;
}

int64_t rpc_core_expire(rpc_core *core, int64_t now_ns) {
  for (;;) {
    heap_node *n = heap_min(&core->deadlines);
    if (!n) return INT64_MAX;
    if (n->key > now_ns) return n->key;
    rpc_call *c = CONTAINER_OF(n, rpc_call, by_deadline);
    arena a = ARENA_INIT;
    rpc_conn_send_status(c->conn, c, ERR(&a, DEADLINE_EXCEEDED, "context deadline exceeded"));
    rpc_call_gone(c, ERR_DEADLINE_EXCEEDED);
    arena_release(&a);
  }
}

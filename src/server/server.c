#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/http.h"
#include "http/metrics.h"
#include "http/page.h"
#include "rpc/handlers/api.h"
#include "schedule/zone_files.h"
#include "server/crash_note.h"
#include "server/env_uv.h"
#include "server/observe.h"
#include "store/sqlite.h"

static const int64_t drain_ms = 10 * 1000;
static const char protocol_version[] = "1.32.0"; /* of the server whose behaviour this one has */

typedef enum server_stage { STARTING, SERVING, DRAINING, CLOSED } server_stage;

enum { SIGNALS = 3 };

typedef struct server {
  const server_options *options;
  server_stage stage;
  int64_t begin_ns, started_ns;
  int exit_status;
  arena arena;
  uv_loop_t loop;
  env_uv env;
  store *store;
  zone_files zone_files;
  crash_note crashes;
  shard *shard;
  api *api;
  rpc_server *rpc;
  bool rpc_drained, shard_drained;
  observer observer;
  http_server *metrics, *ui;
  page_facts facts;
  uv_signal_t signals[SIGNALS];
  shard_op ns_op; /* registers namespaces, one after the other */
  size_t ns_next;
} server;

static void say(const err *e) {
  arena a = ARENA_INIT;
  fprintf(stderr, "perdure: %s\n", e->what);
  for (const err *why = e->cause; why; why = why->cause) {
    fprintf(stderr, "  because %s\n", why->what);
  }
  LOG(DEBUG, "the server cannot start", LOG_S("error", err_text(&a, e)));
  arena_release(&a);
}

/* --- the end --- */

static void close_all(server *s) {
  s->stage = CLOSED;
  observer_close(&s->observer);
  http_server_free(s->metrics);
  http_server_free(s->ui);
  if (s->rpc) rpc_server_free(s->rpc);
  if (s->store) s->store->close(s->store);
  crash_note_end(&s->crashes);
  for (int i = 0; i < SIGNALS; i++) uv_close((uv_handle_t *)&s->signals[i], NULL);
  env_uv_close(&s->env);
}

static void close_when_drained(server *s) {
  if (s->stage != DRAINING || !s->rpc_drained || !s->shard_drained) return;
  LOG(INFO, "the server has ended; the database is closed");
  close_all(s);
}

static void on_rpc_drained(void *arg) {
  server *s = arg;
  s->rpc_drained = true;
  close_when_drained(s);
}

static void on_shard_drained(void *arg) {
  server *s = arg;
  s->shard_drained = true;
  close_when_drained(s);
}

static void drain(server *s) {
  s->stage = DRAINING;
  s->rpc_drained = !s->rpc;
  if (s->rpc) rpc_server_drain(s->rpc, drain_ms, on_rpc_drained, s);
  shard_drain(s->shard, on_shard_drained, s);
}

static void start_failed(server *s, const err *e) {
  say(e);
  s->exit_status = 1;
  close_all(s);
}

/* --- signals --- */

static void reload(server *s) {
  arena a = ARENA_INIT;
  const err *e = NULL;
  if (!s->rpc || !s->options->tls.cert_path) {
    LOG(INFO, "there are no TLS files to read again");
    return;
  }
  e = rpc_server_reload_tls(s->rpc, &a);
  if (e) {
    LOG(ERROR, "the TLS files cannot be used; the ones before stay in use",
        LOG_S("error", err_text(&a, e)));
  } else {
    LOG(INFO, "the TLS files were read again");
  }
  arena_release(&a);
}

static void on_signal(uv_signal_t *handle, int number) {
  server *s = handle->data;
  if (number == SIGHUP) {
    reload(s);
  } else if (s->stage == SERVING) {
    LOG(INFO, "the server ends: clients are told, open polls end; a second signal ends at once");
    drain(s);
  } else {
    _exit(s->stage == STARTING ? 0 : 1); /* what was acknowledged is on disk */
  }
}

static void watch_signals(server *s) {
  static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < SIGNALS; i++) {
    ASSERT(uv_signal_init(&s->loop, &s->signals[i]) == 0);
    s->signals[i].data = s;
    ASSERT(uv_signal_start(&s->signals[i], on_signal, numbers[i]) == 0);
  }
}

/* --- what HTTP shows --- */

static size_t resident_bytes(void) {
  unsigned long total = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return 0;
  if (fscanf(f, "%lu %lu", &total, &resident) != 2) resident = 0;
  fclose(f);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void render_metrics(void *arg, buf *out) {
  const server *s = arg;
  metrics m = {.loop_lag_ns = s->env.lag_ns,
               .heap_bytes = mem_in_use_bytes(),
               .resident_bytes = resident_bytes(),
               .started_ns = s->started_ns};
  rpc_server_stats(s->rpc, &m.rpc);
  shard_get_stats(s->shard, &m.shard);
  s->store->stats(s->store, &m.store);
  metrics_render(&m, out);
}

static bool make_metrics(void *ctx, buf *out) {
  return observer_ask(&((server *)ctx)->observer, out);
}

static bool make_page(void *ctx, buf *out) {
  page_render(&((const server *)ctx)->facts, out);
  return true;
}

static const http_page metrics_pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", make_metrics}};
static const http_page ui_pages[] = {{"/", "text/html; charset=utf-8", make_page},
                                     {"/namespaces/...", "text/html; charset=utf-8", make_page}};

static err *listen_http(server *s) {
  const server_options *o = s->options;
  s->facts = (page_facts){PERDURE_VERSION, o->listen.ip, rpc_server_port(s->rpc), o->db_path};
  if (o->metrics.port >= 0) {
    TRY(http_server_new(o->metrics.ip, o->metrics.port, metrics_pages, ARRAY_LEN(metrics_pages), s,
                        &s->arena, &s->metrics));
  }
  if (o->ui.port >= 0) {
    TRY(http_server_new(o->ui.ip, o->ui.port, ui_pages, ARRAY_LEN(ui_pages), s, &s->arena, &s->ui));
  }
  return NULL;
}

/* --- the start --- */

static err *listen_rpc(server *s) {
  const server_options *o = s->options;
  api_config config = {.limits = o->shard.limits,
                       .shed_bytes = o->shard.shed_bytes,
                       .polls_end_on_shutdown = o->polls_end_on_shutdown,
                       .server_version = protocol_version,
                       .address = arena_printf(&s->arena, "%s:%d", o->listen.ip, o->listen.port)};
  rpc_limits limits = rpc_default_limits;
  const rpc_service *services;
  size_t n;
  limits.max_total_bytes = MIN(limits.max_total_bytes, o->shard.shed_bytes / 4 * 3);
  s->api = api_new(s->shard, &s->env.env, &config);
  services = api_services(s->api, &n);
  return rpc_server_new(&s->loop, o->listen.ip, o->listen.port, o->tls.cert_path ? &o->tls : NULL,
                        &limits, services, n, &s->arena, &s->rpc);
}

static void serve(server *s) {
  const server_options *o = s->options;
  err *e = listen_rpc(s);
  if (!e) e = listen_http(s);
  if (e) { /* the shard has begun to work */
    say(e);
    s->exit_status = 1;
    drain(s);
    return;
  }
  s->stage = SERVING;
  for (size_t i = 0; i < o->n_notes; i++) LOG(WARN, o->notes[i]);
  LOG(INFO, "the server is ready", LOG_S("address", o->listen.ip),
      LOG_I("port", rpc_server_port(s->rpc)),
      LOG_S("database", o->db_path ? o->db_path : "private"),
      LOG_S("tls", o->tls.cert_path ? "on" : "off"),
      LOG_I("ready_after_ms", ((int64_t)uv_hrtime() - s->begin_ns) / NS_PER_MS));
  if (s->metrics) {
    LOG(INFO, "metrics are served at /metrics", LOG_S("address", o->metrics.ip),
        LOG_I("port", http_server_port(s->metrics)));
  }
  if (s->ui) {
    LOG(INFO, "the web page is served", LOG_S("address", o->ui.ip),
        LOG_I("port", http_server_port(s->ui)));
  }
}

static void make_namespaces(server *s);

static void on_namespace(shard_op *op, const err *e, const void *response) {
  server *s = CONTAINER_OF(op, server, ns_op);
  if (e) {
    start_failed(s, e);
  } else {
    make_namespaces(s);
  }
}

static shard_op *next_op(server *s) {
  s->ns_op = (shard_op){.arena = &s->arena, .deadline_ns = INT64_MAX, .done = on_namespace};
  return &s->ns_op;
}

/* Whether the namespace's attributes are being written; also when they cannot be. */
static bool add_attributes(server *s, const shard_namespace_info *ns) {
  const pb_store_Namespace *record = shard_namespace_newest(s->shard, ns);
  pb_store_Namespace *changed;
  if (!s->options->search_attributes.search_attributes.n) return false;
  err *e = attributes_add(record, &s->options->search_attributes, &s->arena, &changed);
  if (e) {
    start_failed(s, e);
    return true;
  }
  if (changed->search_attributes.n == record->search_attributes.n) return false;
  shard_update_namespace(s->shard, next_op(s), changed);
  return true;
}

/* Those that are missing, one after the other, with their search attributes; then serves. */
static void make_namespaces(server *s) {
  const server_options *o = s->options;
  while (s->ns_next < o->n_namespaces) {
    span name = span_cstr(o->namespaces[s->ns_next]);
    const shard_namespace_info *ns = shard_namespace(s->shard, name);
    if (!ns) {
      pb_store_Namespace record = {.name = name,
                                   .retention = 24 * 3600 * NS_PER_SEC,
                                   .state = PB_NAMESPACE_STATE_REGISTERED};
      shard_register_namespace(s->shard, next_op(s), &record);
      return;
    }
    s->ns_next++;
    if (add_attributes(s, ns)) return;
  }
  serve(s);
}

static void on_shard_ready(void *arg, const err *e) {
  server *s = arg;
  if (e) {
    start_failed(s, e);
  } else {
    make_namespaces(s);
  }
}

static void on_wake(void *arg) {
  server *s = arg;
  if (s->shard && s->stage != CLOSED) shard_wake(s->shard);
}

static err *open_store(server *s) {
  const server_options *o = s->options;
  if (o->data_dir && mkdir(o->data_dir, 0700) != 0 && errno != EEXIST) {
    return ERR(&s->arena, UNAVAILABLE, "cannot make the data folder %s: %s", o->data_dir,
               strerror(errno));
  }
  store_sqlite_options options = {.path = o->db_path};
  return store_sqlite_open(&options, &s->env.env, &s->arena, &s->store);
}

static void start(server *s) {
  err *e = open_store(s);
  if (e) {
    start_failed(s, e);
    return;
  }
  shard_config config = s->options->shard;
  zone_files_init(&s->zone_files);
  config.zone_source = &s->zone_files.source;
  if (s->options->db_path) {
    crash_note_begin(&s->crashes, s->options->db_path, &s->arena);
    config.quarantined = s->crashes.quarantined;
    config.n_quarantined = s->crashes.n_quarantined;
  }
  s->shard = shard_new(&s->env.env, s->store, &config, on_shard_ready, s);
  s->crashes.suspect = shard_suspect(s->shard);
}

int server_run(const server_options *o, int64_t begin_ns) {
  server s = {.options = o, .begin_ns = begin_ns};
  if (o->print_config) server_options_print(stderr, o);
  ASSERT(uv_loop_init(&s.loop) == 0);
  env_uv_init(&s.env, &s.loop);
  s.env.on_wake = on_wake;
  s.env.on_wake_arg = &s;
  s.started_ns = s.env.env.now_ns(&s.env.env);
  observer_init(&s.observer, &s.env, render_metrics, &s);
  watch_signals(&s);
  start(&s);
  uv_run(&s.loop, UV_RUN_DEFAULT);
  if (s.shard) shard_free(s.shard);
  if (s.api) api_free(s.api);
  observer_release(&s.observer);
  uv_loop_close(&s.loop);
  arena_release(&s.arena);
  return s.exit_status;
}

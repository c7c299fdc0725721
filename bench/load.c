/* load.c - the load generator's command line, connections and summary. */
#include "load.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto/pb_payload.h"

_Noreturn void load_fail(const char *what, const err *e) {
  arena a = ARENA_INIT;
  (void)fprintf(stderr, "load: %s%s%s\n", what, e ? ": " : "", e ? err_text(&a, e) : "");
  exit(1);
}

int64_t load_now_ns(void) {
  struct timespec ts;
  (void)clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

void load_call(load *l, const char *method, const pb_desc *d, const void *request,
               int64_t timeout_ms, rpc_client_fn *fn, void *arg) {
  arena a = ARENA_INIT;
  const char *path =
      arena_printf(&a, "/temporal.api.workflowservice.v1.WorkflowService/%s", method);
  rpc_client *c = l->clients[l->next_client++ % (size_t)l->opt.connections];
  l->calls++;
  (void)rpc_client_call(c, path, pb_encode_arena(d, request, &a), timeout_ms, true, fn, arg);
  arena_release(&a);
}

span load_payloads(arena *a, const char *text) {
  return pb_json_payloads(a, arena_spanf(a, "\"%s\"", text));
}

span load_workflow_id(load *l, arena *a, int64_t index) {
  return arena_spanf(a, "%.*s-%" PRId64, SPAN_ARG(l->run_name), index);
}

load_workflow *load_find(load *l, span id) {
  size_t prefix = l->run_name.n + 1;
  if (!span_starts_with(id, l->run_name) || id.n <= prefix) return NULL;
  int64_t index = 0;
  for (size_t i = prefix; i < id.n; i++) {
    if (id.p[i] < '0' || id.p[i] > '9') return NULL;
    index = index * 10 + (id.p[i] - '0');
  }
  return index < l->started ? &l->workflows[index] : NULL;
}

static int by_value(const void *x, const void *y) {
  int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
  return (a > b) - (a < b);
}

static double quantile_ms(load *l, double q) {
  int64_t at = (int64_t)(q * (double)(l->ended - 1));
  return (double)l->latencies_ns[at] / 1e6;
}

/* One line of JSON, for bench/run.py. */
static void print_summary(load *l) {
  double seconds = (double)(l->ended_at_ns - l->begun_at_ns) / 1e9;
  qsort(l->latencies_ns, (size_t)l->ended, sizeof *l->latencies_ns, by_value);
  (void)printf("{\"workflows\":%" PRId64
               ",\"seconds\":%.6f,\"per_second\":%.1f,\"p50_ms\":%.3f,"
               "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"calls\":%" PRId64 ",\"history\":\"%s\"}\n",
               l->ended, seconds, (double)l->ended / seconds, quantile_ms(l, 0.5),
               quantile_ms(l, 0.99), quantile_ms(l, 1.0), l->calls, l->history);
}

static void usage(FILE *out) {
  (void)fprintf(
      out,
      "load - many small workflows against a server, client and worker in one process\n\n"
      "  --ip ADDRESS        server (default 127.0.0.1)\n"
      "  --port N            server's gRPC port (default 7233)\n"
      "  --workflows N       how many in all (default 1000)\n"
      "  --in-flight N       how many at once (default 64)\n"
      "  --activities N      of each workflow, scheduled together (default 1)\n"
      "  --failures N        of each activity before it succeeds, 1 ms apart (default 0)\n"
      "  --signals N         to each workflow, all at once (default 0)\n"
      "  --query             one of each workflow, then a signal\n"
      "  --update            one of each workflow\n"
      "  --child             one of each workflow\n"
      "  --pollers N         of each kind: normal, sticky, activity (default 16)\n"
      "  --connections N     (default 2)\n"
      "  --queue NAME        task queue (default load)\n"
      "  --history           also print the event types of the first workflow\n"
      "  --park MS           only park the pollers for so long\n\n"
      "Prints one line of JSON: {\"workflows\":..,\"per_second\":..,\"p50_ms\":..,..}\n"
      "Example: load --port 7233 --workflows 5000 --in-flight 64\n");
}

static int64_t number(const char *flag, const char *text) {
  char *end;
  long long v = strtoll(text, &end, 10);
  if (*end || v < 0) {
    (void)fprintf(stderr, "load: --%s wants a number, not \"%s\"\n", flag, text);
    exit(2);
  }
  return v;
}

/* One option: exactly one of the three says where its value goes. */
typedef struct load_flag {
  const char *name;
  int64_t *number;
  bool *yes;
  const char **text;
} load_flag;

static void parse_with(const load_flag *flags, size_t n, int argc, char **argv) {
  struct option *options = mem_zalloc((n + 1) * sizeof *options);
  int at = 0;
  for (size_t i = 0; i < n; i++)
    options[i] = (struct option){flags[i].name, !flags[i].yes, NULL, 0};
  for (int c; (c = getopt_long(argc, argv, "", options, &at)) != -1;) {
    const load_flag *f = &flags[at];
    if (c != 0) {
      usage(stderr);
      exit(2);
    }
    if (f->number) *f->number = number(f->name, optarg);
    if (f->yes) *f->yes = true;
    if (f->text) *f->text = optarg;
  }
  mem_free(options);
}

static void parse(int argc, char **argv, load_options *o) {
  bool help = false;
  const load_flag flags[] = {
      {"help", .yes = &help},
      {"ip", .text = &o->ip},
      {"port", .number = &o->port},
      {"workflows", .number = &o->workflows},
      {"in-flight", .number = &o->in_flight},
      {"activities", .number = &o->activities},
      {"failures", .number = &o->failures},
      {"signals", .number = &o->signals},
      {"query", .yes = &o->query},
      {"update", .yes = &o->update},
      {"child", .yes = &o->child},
      {"pollers", .number = &o->pollers},
      {"connections", .number = &o->connections},
      {"queue", .text = &o->queue},
      {"history", .yes = &o->show_history},
      {"park", .number = &o->pause_ms},
  };
  parse_with(flags, ARRAY_LEN(flags), argc, argv);
  if (help) {
    usage(stdout);
    exit(0);
  }
  o->connections = MAX(o->connections, 1);
  if (o->query) o->signals = MAX(o->signals, 1);
}

static void stop_parking(uv_timer_t *t) {
  load *l = t->data;
  l->stopping = true;
  uv_stop(&l->loop);
}

static void connect_all(load *l) {
  arena a = ARENA_INIT;
  l->clients = mem_zalloc((size_t)l->opt.connections * sizeof(rpc_client *));
  for (int i = 0; i < l->opt.connections; i++) {
    err *e = rpc_client_new(&l->loop, l->opt.ip, (int)l->opt.port, NULL, &a, &l->clients[i]);
    if (e) load_fail("cannot connect", e);
  }
  arena_release(&a);
}

int main(int argc, char **argv) {
  static load l;
  l.opt = (load_options){.ip = "127.0.0.1",
                         .port = 7233,
                         .workflows = 1000,
                         .in_flight = 64,
                         .activities = 1,
                         .pollers = 16,
                         .connections = 2,
                         .queue = "load"};
  parse(argc, argv, &l.opt);
  arena names = ARENA_INIT;
  l.queue = span_cstr(l.opt.queue);
  l.sticky_queue = arena_spanf(&names, "%s-sticky-%d", l.opt.queue, (int)getpid());
  l.run_name = arena_spanf(&names, "load-%d-%" PRId64, (int)getpid(), load_now_ns());
  l.workflows = mem_zalloc((size_t)(l.opt.workflows + 1) * sizeof *l.workflows);
  l.latencies_ns = mem_zalloc((size_t)(l.opt.workflows + 1) * sizeof *l.latencies_ns);
  (void)uv_loop_init(&l.loop);
  connect_all(&l);
  load_worker_start(&l);
  l.begun_at_ns = load_now_ns();
  uv_timer_t park = {.data = &l};
  if (l.opt.pause_ms) {
    (void)uv_timer_init(&l.loop, &park);
    (void)uv_timer_start(&park, stop_parking, (uint64_t)l.opt.pause_ms, 0);
  } else {
    load_client_start(&l);
  }
  (void)uv_run(&l.loop, UV_RUN_DEFAULT);
  if (!l.opt.pause_ms) print_summary(&l);
  return 0;
}

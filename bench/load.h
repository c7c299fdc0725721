/* load.h - the load generator: client and worker of one-activity workflows in one process.
 *
 * It makes the eight calls an SDK makes for such a workflow (start, result long poll; two workflow
 * task polls and completions; one activity poll and completion), compresses requests as SDKs do,
 * uses a sticky queue, and checks every result. One loop, one thread.
 */
#ifndef PERDURE_BENCH_LOAD_H
#define PERDURE_BENCH_LOAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/pb_time.h"
#include "rpc/client.h"

typedef struct load_options {
  const char *ip;
  int port;
  int64_t workflows, in_flight;
  int activities; /* of each workflow, scheduled together */
  int failures;   /* of each activity before it succeeds, 1 ms apart */
  int pollers;    /* of each kind */
  int connections;
  const char *queue;
  bool show_history; /* of the first workflow, event types in one line */
  int64_t pause_ms;  /* only park the pollers for so long, start nothing */
} load_options;

typedef struct load load;

/* What the generator knows of one workflow. */
typedef struct load_workflow {
  int64_t index;
  int64_t started_at_ns;
  int activities_done; /* as its workflow tasks have shown */
  bool closed;
} load_workflow;

struct load {
  load_options opt;
  uv_loop_t loop;
  rpc_client **clients;
  size_t next_client;
  span sticky_queue, queue, run_name;
  load_workflow *workflows;
  int64_t started, ended, calls;
  int64_t *latencies_ns;
  int64_t begun_at_ns, ended_at_ns;
  bool stopping;
  char history[4096];
};

_Noreturn void load_fail(const char *what, const err *e);
int64_t load_now_ns(void);

/* Calls WorkflowService/<method> with an encoded request. */
void load_call(load *l, const char *method, const pb_desc *d, const void *request,
               int64_t timeout_ms, rpc_client_fn *fn, void *arg);
#define LOAD_CALL(l, Method, request, timeout_ms, fn, arg) \
  load_call((l), #Method, &pb_##Method##Request_desc, (request), (timeout_ms), (fn), (arg))

/* Payloads with one JSON string, encoded. */
span load_payloads(arena *a, const char *text);
/* The workflow of an id made by load_workflow_id. */
load_workflow *load_find(load *l, span workflow_id);
span load_workflow_id(load *l, arena *a, int64_t index);

void load_client_start(load *l);
void load_worker_start(load *l);

#endif

/* load.h - the load generator: client and worker in one process.
 *
 * By default a workflow has one activity, and the generator makes the eight calls an SDK makes for
 * it (start, result long poll; two workflow task polls and completions; one activity poll and
 * completion). It can also signal, query and update the workflow, or have it start a child; the
 * workflow completes once it has seen all that was asked for. Requests are compressed as SDKs do, a
 * sticky queue is used, every result is checked. One loop, one thread.
 */
#ifndef PERDURE_BENCH_LOAD_H
#define PERDURE_BENCH_LOAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/pb_time.h"
#include "rpc/client.h"

typedef struct load_options {
  const char *ip;
  int64_t port;
  int64_t workflows, in_flight;
  int64_t activities; /* of each workflow, scheduled together */
  int64_t failures;   /* of each activity before it succeeds, 1 ms apart */
  int64_t signals;    /* to each workflow, all at once */
  bool query;         /* one, before the signals; there is at least one then */
  bool update;        /* one, waited for */
  bool child;         /* one, which completes at once */
  int64_t pollers;    /* of each kind */
  int64_t connections;
  const char *queue;
  bool show_history; /* of the first workflow, event types in one line */
  int64_t pause_ms;  /* only park the pollers for so long, start nothing */
} load_options;

typedef struct load load;

/* What the generator knows of one workflow. */
typedef struct load_workflow {
  int64_t index;
  int64_t started_at_ns;
  /* As its workflow tasks have shown: */
  int activities_done, signals_seen, updates_done, children_done;
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

/* Room for so many more commands. */
void load_commands_reserve(arena *a, pb_RespondWorkflowTaskCompletedRequest *r, size_t n);
pb_Command *load_command_add(arena *a, pb_RespondWorkflowTaskCompletedRequest *r, int32_t type,
                             uint32_t which);

/* load_messages.c - what is beside activities: signals, queries, updates, children. */

/* The run has started: sends it what the options say. */
void load_send_messages(load *l, load_workflow *w);
/* A query that came as a task of its own. */
void load_answer_query_task(load *l, const pb_PollWorkflowTaskQueueResponse *t);
/* Queries and updates that ride on this task; adds commands and messages to the answer. */
void load_answer_messages(arena *a, load_workflow *w, const pb_PollWorkflowTaskQueueResponse *t,
                          pb_RespondWorkflowTaskCompletedRequest *r);
void load_add_child(load *l, arena *a, span workflow_id, pb_RespondWorkflowTaskCompletedRequest *r);
bool load_is_child(const pb_PollWorkflowTaskQueueResponse *t);

void load_client_start(load *l);
void load_worker_start(load *l);

#endif

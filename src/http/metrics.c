#include "http/metrics.h"

#include <inttypes.h>

static void head(buf *out, const char *name, const char *type, const char *help) {
  buf_addf(out, "# HELP perdure_%s %s\n# TYPE perdure_%s %s\n", name, help, name, type);
}

static void number(buf *out, const char *name, const char *type, const char *help, uint64_t v) {
  head(out, name, type, help);
  buf_addf(out, "perdure_%s %" PRIu64 "\n", name, v);
}

static void counter(buf *out, const char *name, const char *help, uint64_t v) {
  number(out, name, "counter", help, v);
}

static void gauge(buf *out, const char *name, const char *help, uint64_t v) {
  number(out, name, "gauge", help, v);
}

static void seconds(buf *out, const char *name, const char *type, const char *help, int64_t ns) {
  head(out, name, type, help);
  buf_addf(out, "perdure_%s %.9f\n", name, (double)ns / (double)NS_PER_SEC);
}

static void store_part(buf *out, const store_stats *s) {
  counter(out, "commits_total", "Transactions made durable.", s->commits);
  counter(out, "commit_rows_total", "Rows written.", s->rows);
  counter(out, "commit_steps_total", "Steps written; divided by commits, the batch size.",
          s->steps);
  counter(out, "syncs_total", "Syncs of files to disk.", s->syncs);
  seconds(out, "commit_seconds_total", "counter", "Time from a commit's begin until durable.",
          (int64_t)s->commit_ns_total);
  counter(out, "loads_total", "Reads from the database.", s->loads);
  gauge(out, "wal_bytes", "Size of the write-ahead log.", s->wal_bytes);
  gauge(out, "database_bytes", "Size of the database file.", s->file_bytes);
}

static void shard_part(buf *out, const shard_stats *s) {
  counter(out, "steps_total", "Steps that runs took.", s->steps);
  counter(out, "lazy_steps_total", "Steps written with a later commit.", s->lazy_steps);
  counter(out, "commit_failures_total", "Commits that failed.", s->commit_failures);
  gauge(out, "runs_in_memory", "Workflow runs held in memory.", s->runs_in_memory);
  gauge(out, "run_bytes", "Memory of these runs.", s->run_bytes);
  counter(out, "run_loads_total", "Runs read back into memory.", s->loads);
  counter(out, "run_evictions_total", "Runs dropped from memory for space.", s->evictions);
  gauge(out, "parked_polls", "Polls of workers that wait for a task.", s->parked_polls);
  gauge(out, "history_waiters", "History reads that wait for an event.", s->history_waiters);
  gauge(out, "queries", "Queries that wait for a worker.", s->queries);
  gauge(out, "backlog", "Tasks that are ready and held in memory.", s->backlog);
}

static void methods_by_code(buf *out, const rpc_stats *s) {
  head(out, "requests_total", "counter", "Calls answered, by method and status.");
  for (size_t i = 0; i < s->n_methods; i++) {
    const rpc_method_stats *m = &s->methods[i];
    for (unsigned code = 0; code < ARRAY_LEN(m->by_code); code++) {
      if (!m->by_code[code]) continue;
      buf_addf(out, "perdure_requests_total{method=\"%s\",code=\"%s\"} %" PRIu64 "\n", m->method,
               err_code_name((err_code)code), m->by_code[code]);
    }
  }
}

static void methods_by_latency(buf *out, const rpc_stats *s) {
  head(out, "request_seconds", "histogram", "Time to answer, without methods that wait.");
  for (size_t i = 0; i < s->n_methods; i++) {
    const rpc_method_stats *m = &s->methods[i];
    uint64_t sum = 0;
    for (size_t b = 0; b < ARRAY_LEN(m->latency_buckets); b++) sum += m->latency_buckets[b];
    if (!sum) continue;
    uint64_t so_far = 0;
    for (size_t b = 0; b < ARRAY_LEN(m->latency_buckets); b++) {
      so_far += m->latency_buckets[b];
      buf_addf(out, "perdure_request_seconds_bucket{method=\"%s\",le=\"%.6f\"} %" PRIu64 "\n",
               m->method, (double)(UINT64_C(16) << b) / 1e6, so_far);
      if (so_far == sum) break;
    }
    buf_addf(out,
             "perdure_request_seconds_bucket{method=\"%s\",le=\"+Inf\"} %" PRIu64
             "\nperdure_request_seconds_sum{method=\"%s\"} %.9f\n"
             "perdure_request_seconds_count{method=\"%s\"} %" PRIu64 "\n",
             m->method, sum, m->method, (double)m->latency_ns_total / (double)NS_PER_SEC, m->method,
             sum);
  }
}

static void rpc_part(buf *out, const rpc_stats *s) {
  gauge(out, "connections", "Open connections.", s->connections);
  counter(out, "connections_total", "Connections accepted.", s->connections_total);
  gauge(out, "streams", "Calls under way.", s->streams);
  counter(out, "received_bytes_total", "Bytes read from clients.", s->bytes_in);
  counter(out, "sent_bytes_total", "Bytes sent to clients.", s->bytes_out);
  gauge(out, "connection_bytes", "Memory of connections and unanswered calls.", s->memory_bytes);
  methods_by_code(out, s);
  methods_by_latency(out, s);
}

void metrics_render(const metrics *m, buf *out) {
  store_part(out, &m->store);
  shard_part(out, &m->shard);
  rpc_part(out, &m->rpc);
  seconds(out, "loop_lag_seconds", "gauge", "How long the event loop took to take up this request.",
          m->loop_lag_ns);
  gauge(out, "heap_bytes", "Memory handed out by the allocator.", m->heap_bytes);
  gauge(out, "resident_bytes", "Resident memory of the process.", m->resident_bytes);
  seconds(out, "start_time_seconds", "gauge", "When the server started, since 1970.",
          m->started_ns);
}

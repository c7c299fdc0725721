/* metrics.h - the server's figures in the text format of Prometheus. */
#ifndef PERDURE_HTTP_METRICS_H
#define PERDURE_HTTP_METRICS_H

#include "base/buf.h"
#include "rpc/rpc.h"
#include "shard/shard.h"

typedef struct metrics {
  rpc_stats rpc;
  shard_stats shard;
  store_stats store;
  int64_t loop_lag_ns; /* until the loop took up what another thread asked of it */
  size_t heap_bytes;   /* handed out by mem.h */
  size_t resident_bytes;
  int64_t started_ns; /* wall time */
} metrics;

void metrics_render(const metrics *m, buf *out);

#endif

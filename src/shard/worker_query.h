/* worker_query.h - which workers a client means:
 *
 *   TaskQueue = "q" AND (SdkName STARTS_WITH "temporal-" OR NOT Status = "Running")
 *
 * Comparisons of a field with one value, IN, BETWEEN, IS NULL, joined by AND, OR, NOT and
 * parentheses. Texts: = != STARTS_WITH IN and their NOT; times (RFC 3339 in quotes, or
 * nanoseconds): = != < <= > >= BETWEEN. A field that workers do not have, or an operator that its
 * type does not have, matches nothing. An empty query matches every worker.
 */
#ifndef PERDURE_SHARD_WORKER_QUERY_H
#define PERDURE_SHARD_WORKER_QUERY_H

#include "proto/pb.gen.h"

/* INVALID_ARGUMENT when the query cannot be read; that does not depend on the worker. */
MUST_USE err *worker_query_matches(span query, const pb_WorkerHeartbeat *worker, arena *a,
                                   bool *ret_matches);

#endif

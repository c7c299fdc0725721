/* filter.h - the list filter: the text that clients list, count and batch by, as a query.
 *
 *   WorkflowType = 'Order' AND (Amount > 100 OR Region IN ('eu', 'us')) ORDER BY Amount DESC
 *
 * Conditions: = != <> < > <= >=, [NOT] IN, [NOT] BETWEEN, [NOT] STARTS_WITH, IS [NOT] NULL, joined
 * with AND, OR, NOT and parentheses. Names are search attributes, in backquotes if need be; values
 * are texts in quotes, numbers, true and false. Times are RFC 3339 or nanoseconds, durations
 * nanoseconds, "1h30m", "2d" or "hh:mm:ss". ORDER BY and GROUP BY take one attribute, of any type
 * with one value.
 *
 * Errors are INVALID_ARGUMENT, have the original's words and say at which character. Everything
 * lives in the arena.
 */
#ifndef PERDURE_VISIBILITY_FILTER_H
#define PERDURE_VISIBILITY_FILTER_H

#include "visibility/attribute.h"

enum { FILTER_BYTES = 64 * 1024, FILTER_CONDITIONS = 300, FILTER_DEPTH = 100 };

/* What the ids of schedules begin with as workflow ids. */
#define FILTER_SCHEDULE_PREFIX "temporal-sys-scheduler:"

typedef struct filter {
  const store_pred *where; /* NULL: everything */
  bool divided;            /* it speaks of divisions itself */
  bool ordered, descending, grouped;
  attribute order, group;
} filter;

typedef struct filter_context {
  const pb_store_Namespace *ns;
  /* The key that a run id carries, if it can; so that RunId finds a run without a search. */
  bool (*run_key)(span run_id, int64_t *ret_key);
  arena *arena;
} filter_context;

MUST_USE err *filter_read(const filter_context *c, span text, filter *ret);

#endif

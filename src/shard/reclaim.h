/* reclaim.h - what is left of namespaces that were deleted: their schedules go, so that nothing new
 * begins, then their runs, page by page, then their queues, then their record.
 *
 * That a namespace is being deleted is in its record, and what is left of it is found by the index
 * that lists use: a restart goes on where it was. Nobody is told of the end of a run here: whoever
 * could hear of it is in the same namespace.
 */
#ifndef PERDURE_SHARD_RECLAIM_H
#define PERDURE_SHARD_RECLAIM_H

#include "shard/shard_int.h"

void reclaim_init(shard *s);
void reclaim_release(shard *s);
/* Goes on if there is something to do and nothing under way. */
void reclaim_wake(shard *s, int64_t now);

#endif

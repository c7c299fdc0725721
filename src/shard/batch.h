/* batch.h - one operation on many workflows, in the background.
 *
 * A batch is a named record: what is to be done, and how far it has come. It takes one workflow
 * after the other through the same calls that clients make, and writes its progress after each; a
 * restart goes on where it was, so that the last operation may be done twice (signals and resets
 * are not repeated: a signal has a request id, which the batch and its place give).
 *
 * NOT_FOUND, also of a workflow that has ended, counts as done, but not where a reset has to look
 * for the task (batch_operation.h); other refusals count as failed. While the server cannot write,
 * the batch waits. Records go when the namespace's retention is over.
 */
#ifndef PERDURE_SHARD_BATCH_H
#define PERDURE_SHARD_BATCH_H

#include "shard/shard_int.h"

void batches_init(shard *s);
void batches_release(shard *s);
bool batch_row(const store_row *row);
MUST_USE err *batch_load(shard *s, const store_row *row, arena *a);
/* Goes on with those whose time has come; asks to be woken for the others. */
void batches_wake(shard *s, int64_t now);

#endif

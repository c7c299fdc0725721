/* batch_operation.h - what a batch does to one workflow: the requests that clients would make. */
#ifndef PERDURE_SHARD_BATCH_OPERATION_H
#define PERDURE_SHARD_BATCH_OPERATION_H

#include "shard/shard_int.h"

/* Makes the request; op->done is called with its outcome. Everything is in the op's arena. */
void batch_operate(shard *s, shard_op *op, const pb_store_BatchJob *job, pb_WorkflowExecution *e);
int32_t batch_operation_type(const pb_StartBatchOperationRequest *q);
span batch_operation_identity(const pb_StartBatchOperationRequest *q);
/* Whether a workflow that is not there is a failure; otherwise nothing is left to do for it. */
bool batch_operation_needs_workflow(const pb_StartBatchOperationRequest *q);

#endif

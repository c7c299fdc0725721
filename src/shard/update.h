/* update.h - waiting for updates, for all who ask about one: UpdateWorkflowExecution, its poll, and
 * the update that comes with a start. */
#ifndef PERDURE_SHARD_UPDATE_H
#define PERDURE_SHARD_UPDATE_H

#include "shard/shard_int.h"

typedef enum update_asker {
  ASKED_BY_UPDATE,
  ASKED_BY_POLL,
  ASKED_AGAIN_WITH_START, /* a start with an update that the run had completed before */
} update_asker;

typedef struct update_question {
  update_asker asker;
  span update_id, request_id;
  const pb_WaitPolicy *policy;
  bytes *start_response; /* encoded, of a start with an update: the waiter's reference; or NULL */
} update_question;

/* The run knows the update. The op ends when it has come as far as was asked for. */
void update_wait_begin(shard *s, shard_op *op, shard_run *run, const update_question *q);

/* The answer to ExecuteMultiOperation. */
const void *multi_response(span start_response, pb_UpdateWorkflowExecutionResponse *update,
                           arena *a);

#endif

/* test_client.h - the requests of a client and a worker, with what tests do not care about filled
 * in. The task queue is "q". */
#ifndef PERDURE_SHARD_TEST_CLIENT_H
#define PERDURE_SHARD_TEST_CLIENT_H

#include "shard/test_world.h"

typedef struct start_options {
  const char *request_id; /* NULL: the workflow id */
  int32_t conflict, reuse;
  bool eager;
} start_options;

/* Runs the world; the call must have succeeded. */
void *answer(world *w, ask *a);
void answer_free(world *w, ask *a);
/* A copy that lives until the next call. */
span keep_token(span token);

ask *start_workflow(world *w, const char *id);
ask *start_workflow_with(world *w, const char *id, const start_options *o);
ask *signal_workflow(world *w, const char *id, const char *name);
ask *signal_with_start(world *w, const char *id);
ask *describe(world *w, const char *id, span run_id);
ask *query_workflow(world *w, const char *id);
ask *get_history(world *w, const char *id, bool wait);
ask *get_history_page(world *w, const char *id, int32_t page, span token);
ask *get_reverse_page(world *w, const char *id, int32_t page, span token);
ask *wait_history(world *w, const char *id, span token, bool close_event);
void expect_events(const pb_GetWorkflowExecutionHistoryResponse *r, const int32_t *types, size_t n);

ask *poll_workflow(world *w, const char *queue);
ask *poll_workflow_as(world *w, const char *queue, const char *instance_key);
ask *poll_sticky(world *w, const char *queue);
ask *poll_activity(world *w, const char *queue);
ask *poll_nexus(world *w, const char *instance_key);
/* A completion with any commands; sticky: a queue name or NULL. */
ask *complete_commands(world *w, span token, pb_Command **commands, size_t n, const char *sticky);
ask *complete_workflow(world *w, span token);
ask *complete_with_activity(world *w, span token, const char *activity_id);
ask *complete_with_eager_activity(world *w, span token, const char *activity_id);
ask *complete_with_timer(world *w, span token, int64_t ns);
ask *complete_with_query(world *w, span token, span query_id);
ask *complete_activity(world *w, span token);
ask *fail_activity(world *w, span token);
ask *answer_query(world *w, span token);
/* Polls one task and completes the workflow. */
void finish_workflow(world *w);

#endif

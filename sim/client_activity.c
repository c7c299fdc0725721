/* client_activity.c - operators of activities: they pause one that a worker has seen, change how
 * long it may run, and let it go on. */
#include "client_int.h"

#include "base/uuid.h"
#include "proto/pb_time.h"

static record *some_activity(client *c) {
  sim *s = c->sim;
  record *found = NULL;
  size_t n = 0;
  LIST_FOR_EACH (node, &s->model->order) {
    record *r = CONTAINER_OF(node, record, order);
    if (r->kind != REC_ACTIVITY || r->accepted || !r->workflow) continue;
    if (sim_below(s, ++n) == 0) found = r;
  }
  return found;
}

static pb_WorkflowExecution *execution_of(client *c, const record *r, span *ret_activity) {
  pb_WorkflowExecution *x = pb_new(&c->arena, WorkflowExecution);
  span key = arena_dup(&c->arena, r->key);
  x->run_id = span_of(key.p, UUID_TEXT_BYTES);
  x->workflow_id = arena_dup(&c->arena, bytes_span(r->workflow));
  *ret_activity = span_of(key.p + UUID_TEXT_BYTES + 1, key.n - UUID_TEXT_BYTES - 1);
  return x;
}

static void pause(client *c, record *r) {
  pb_PauseActivityRequest q = {.which_activity = PB_PauseActivityRequest_id_FIELD,
                               .request_id = client_new_id(c, "req")};
  q.execution = execution_of(c, r, &q.id);
  r->pause = MAX(r->pause, PAUSE_ASKED);
  client_send(c, CALL_activity_pause, &q);
}

static void unpause(client *c, record *r) {
  pb_UnpauseActivityRequest q = {.which_activity = PB_UnpauseActivityRequest_id_FIELD};
  q.execution = execution_of(c, r, &q.id);
  r->pause = PAUSE_UNKNOWN;
  client_send(c, CALL_activity_unpause, &q);
}

static void change(client *c, const record *r) {
  span mask[] = {SPAN("start_to_close_timeout")};
  pb_FieldMask fields = {.paths = {.v = mask, .n = 1}};
  pb_ActivityOptions options = {.start_to_close_timeout = pb_duration_new(
                                    &c->arena, (int64_t)(1 + sim_below(c->sim, 9)) * NS_PER_SEC)};
  pb_UpdateActivityOptionsRequest q = {.which_activity = PB_UpdateActivityOptionsRequest_id_FIELD,
                                       .activity_options = &options,
                                       .update_mask = &fields};
  q.execution = execution_of(c, r, &q.id);
  client_send(c, CALL_activity_update_options, &q);
}

void client_operate(client *c) {
  record *r = some_activity(c);
  if (!r) {
    client_describe(c);
    return;
  }
  switch (sim_below(c->sim, 4)) {
    case 0:
      unpause(c, r);
      break;
    case 1:
      change(c, r);
      break;
    default:
      pause(c, r);
  }
}

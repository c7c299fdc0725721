/* update.c - the updates that a run knows: admitted, looked up, delivered, given up. */
#include "engine/update.h"

#include "base/mem.h"

/* --- the list --- */

run_update *update_find(const engine_run *run, span id) {
  LIST_FOR_EACH (n, &run->updates) {
    run_update *u = CONTAINER_OF(n, run_update, node);
    if (update_waits(u) && span_eq(update_id(u), id)) return u;
  }
  return NULL;
}

run_update *update_add(engine_run *run, span id, bytes *request, int64_t item_id) {
  run_update *u = mem_zalloc(sizeof *u + id.n);
  u->n = id.n;
  if (id.n) memcpy(u->id, id.p, id.n);
  u->request = request;
  u->item_id = item_id;
  list_init(&u->repeats);
  list_push_back(&run->updates, &u->node);
  run->update_bytes += request->n;
  run->memory_bytes += (int64_t)(sizeof *u + id.n + request->n);
  return u;
}

static void forget(engine_run *run, run_update *u) {
  LIST_FOR_EACH (n, &u->repeats) {
    update_repeat *again = CONTAINER_OF(n, update_repeat, node);
    run->update_bytes -= again->request->n;
    run->memory_bytes -= (int64_t)(sizeof *again + again->request->n);
    list_remove(&again->node);
    bytes_unref(again->request);
    mem_free(again);
  }
  run->update_bytes -= u->request->n;
  run->memory_bytes -= (int64_t)(sizeof *u + u->n + u->request->n);
  list_remove(&u->node);
  bytes_unref(u->request);
  mem_free(u);
}

void updates_settle(engine_run *run, bool keep) {
  LIST_FOR_EACH (n, &run->updates) {
    run_update *u = CONTAINER_OF(n, run_update, node);
    if (keep && u->leaves && !u->stays) {
      forget(run, u);
      continue;
    }
    u->is_over = u->is_over || (keep && u->leaves);
    u->leaves = u->stays = false;
  }
}

void updates_release(engine_run *run) {
  LIST_FOR_EACH (n, &run->updates) forget(run, CONTAINER_OF(n, run_update, node));
}

void updates_load(engine_run *run) {
  arena a = ARENA_INIT;
  size_t n = 0;
  engine_item **items = NULL;
  if (run->updates_known) items = items_sorted(run, PB_ITEM_KIND_UPDATE, &a, &n);
  for (size_t i = 0; i < n; i++) {
    const pb_store_UpdateItem *it = item_msg(items[i]);
    if (it->accepted_id || !run_is_open(run)) continue;
    span request = PB_ENCODE(update_Request, it->request, &a);
    update_add(run, it->update_id, bytes_copy(request), items[i]->id);
  }
  arena_release(&a);
}

bool updates_wait(const engine_run *run) {
  LIST_FOR_EACH (n, &run->updates) {
    if (update_waits(CONTAINER_OF(n, run_update, node))) return true;
  }
  return false;
}

bool engine_has_updates(const engine_run *run) { return !list_empty(&run->updates); }

static int64_t count_waiting(const engine_run *run) {
  int64_t count = 0;
  LIST_FOR_EACH (n, &run->updates) {
    const run_update *u = CONTAINER_OF(n, run_update, node);
    count += update_waits(u) && !u->item_id;
  }
  return count;
}

int64_t updates_count(const engine_run *run) { return run->updates_known + count_waiting(run); }

/* --- asked about --- */

pb_Outcome *outcome_of_closed(arena *a) {
  pb_Outcome *o = pb_new(a, Outcome);
  o->which_value = PB_Outcome_failure_FIELD;
  o->failure = failure_application(
      a, SPAN("Workflow Update failed because the Workflow completed before the Update completed."),
      SPAN("AcceptedUpdateCompletedWorkflow"));
  return o;
}

static err *abort_error(update_abort why, arena *a) {
  switch (why) {
    case UPDATE_ABORT_TASK_BROKEN:
      return not_ready_error(
          a,
          "Unable to perform workflow execution update due to unexpected workflow task failure.");
    case UPDATE_ABORT_TASK_FAILING:
      return not_ready_error(
          a, "Unable to perform workflow execution update due to Workflow Task in failed state.");
    case UPDATE_ABORT_CONTINUED:
      return run_closing_error(a);
    default:
      return engine_not_found(a, "workflow update was aborted by closing workflow");
  }
}

static engine_update look_at_item(const engine_run *run, const pb_store_UpdateItem *it, arena *a) {
  engine_update known = {.id = it->update_id, .stage = ENGINE_UPDATE_ADMITTED};
  if (it->accepted_id) known.stage = ENGINE_UPDATE_ACCEPTED;
  if (it->completed_id) {
    known.stage = ENGINE_UPDATE_COMPLETED;
    known.outcome_event_id = it->completed_id;
  } else if (it->accepted_id && !run_is_open(run)) {
    known.stage = ENGINE_UPDATE_COMPLETED;
    known.outcome = outcome_of_closed(a);
  }
  return known;
}

static bool was_aborted(const engine_run *run, span id) {
  LIST_FOR_EACH (n, &run->updates) {
    const run_update *u = CONTAINER_OF(n, run_update, node);
    if (u->is_over && span_eq(update_id(u), id)) return true;
  }
  return false;
}

engine_update engine_update_look(const engine_run *run, span id, arena *a) {
  if (was_aborted(run, id)) {
    update_abort why = run->state.new_run_id.n ? UPDATE_ABORT_CONTINUED : UPDATE_ABORT_CLOSED;
    return (engine_update){.id = id, .error = abort_error(why, a)};
  }
  if (update_find(run, id)) return (engine_update){.id = id, .stage = ENGINE_UPDATE_ADMITTED};
  const engine_item *it = item_by_name(run, PB_ITEM_KIND_UPDATE, id);
  return it ? look_at_item(run, item_msg(it), a) : (engine_update){.id = id};
}

/* --- admitted --- */

static err *check_bytes(const engine_run *run, const engine_limits *l, size_t n_bytes, arena *a) {
  if (run->update_bytes + n_bytes <= l->update_bytes) return NULL;
  return too_many_at_once_error(
      a, arena_printf(
             a, "limit on total payload size of in-flight updates has been reached (%zu bytes)",
             l->update_bytes));
}

static err *check_limits(const engine_run *run, const engine_limits *l, size_t n_bytes, arena *a) {
  int64_t in_flight = count_waiting(run) + run->state.updates_open;
  if (in_flight >= l->updates_in_flight) {
    return too_many_at_once_error(
        a,
        arena_printf(a, "limit on number of concurrent in-flight updates has been reached (%lld)",
                     (long long)l->updates_in_flight));
  }
  TRY(check_bytes(run, l, n_bytes, a));
  if (updates_count(run) < l->updates) return NULL;
  return ERR(
      a, FAILED_PRECONDITION,
      "The limit on the total number of distinct updates in this workflow has been reached "
      "(%lld). Make sure any duplicate updates share an Update ID so the server can "
      "deduplicate them, and consider rejecting updates that you aren't going to process. You can "
      "also Continue-as-New to avoid this; we recommend you check Continue-as-New Suggested "
      "in your Workflow.",
      (long long)l->updates);
}

static pb_update_Request *repeated(const update_repeat *again, arena *a) {
  pb_update_Request *request = NULL;
  err *e = PB_DECODE(update_Request, bytes_span(again->request), a, &request);
  ASSERT(!e);
  return request;
}

static void keep_repeat(engine_run *run, run_update *u, const pb_update_Request *request,
                        arena *a) {
  LIST_FOR_EACH (n, &u->repeats) {
    const pb_update_Request *known = repeated(CONTAINER_OF(n, update_repeat, node), a);
    if (span_eq(known->request_id, request->request_id)) return;
  }
  update_repeat *again = mem_new(update_repeat);
  again->request = bytes_copy(PB_ENCODE(update_Request, request, a));
  list_push_back(&u->repeats, &again->node);
  run->update_bytes += again->request->n;
  run->memory_bytes += (int64_t)(sizeof *again + again->request->n);
}

static void take_repeats(engine_run *run, run_update *u) {
  LIST_FOR_EACH (n, &u->repeats) {
    const pb_update_Request *q = repeated(CONTAINER_OF(n, update_repeat, node), run->tx.arena);
    pb_HistoryEvent *ev = attach_to_update(run, q);
    if (!ev) continue;
    tx_append(run, ev);
    attach_note_written(run, ev);
  }
}

void updates_take_repeats(engine_run *run) {
  LIST_FOR_EACH (n, &run->updates) {
    run_update *u = CONTAINER_OF(n, run_update, node);
    if (!u->leaves || list_empty(&u->repeats)) continue;
    const engine_item *it = item_by_name(run, PB_ITEM_KIND_UPDATE, update_id(u));
    if (it && ((const pb_store_UpdateItem *)item_msg(it))->accepted_id) take_repeats(run, u);
  }
}

/* The update is known: what is new are the callbacks of this request. One that no worker has yet,
 * and one that is completed, takes none, as in the original. */
static err *admit_again(engine_run *run, engine_step *st, const pb_update_Request *request,
                        engine_update_stage stage) {
  if (!request->completion_callbacks.n || !run_is_open(run)) return NULL;
  if (stage == ENGINE_UPDATE_ADMITTED) {
    run_update *u = update_find(run, request->meta->update_id);
    if (!u->sent) return NULL;
    TRY(check_bytes(run, st->host->limits, pb_encoded_bytes(&pb_update_Request_desc, request),
                    st->arena));
    keep_repeat(run, u, request, st->arena);
  } else if (stage == ENGINE_UPDATE_ACCEPTED) {
    st->lazy = false;
    tx_begin(run, st);
    wft_settle(run);
    pb_HistoryEvent *ev = attach_to_update(run, request);
    if (ev) tx_buffer(run, ev);
    tx_finish(run);
    run_check_limits(run, st);
  }
  return NULL;
}

err *engine_update_admit(engine_run *run, engine_step *st, const pb_update_Request *request) {
  arena *a = st->arena;
  engine_update known = engine_update_look(run, request->meta->update_id, a);
  if (known.error) return known.error;
  if (known.stage) return admit_again(run, st, request, known.stage);
  if (!run_is_open(run)) return run_closed_error(a);
  if (run->state.close_attempted && run->state.wft_started_id) return run_closing_error(a);
  if (run->state.wft_attempt >= UPDATES_FAIL_FROM_ATTEMPT) {
    return abort_error(UPDATE_ABORT_TASK_FAILING, a);
  }
  span encoded = PB_ENCODE(update_Request, request, a);
  TRY(check_limits(run, st->host->limits, encoded.n, a));
  update_add(run, request->meta->update_id, bytes_copy(encoded), 0);
  wft_speculate(run, st);
  return NULL;
}

void engine_update_with_start(engine_run *run, const pb_update_Request *request, arena *a) {
  bytes *encoded = bytes_copy(PB_ENCODE(update_Request, request, a));
  update_add(run, request->meta->update_id, encoded, 0);
}

void update_admit_again(engine_run *run, const pb_update_Request *request) {
  tx *t = &run->tx;
  EVENT(t, ev, attrs, WORKFLOW_EXECUTION_UPDATE_ADMITTED,
        workflow_execution_update_admitted_event_attributes,
        WorkflowExecutionUpdateAdmittedEventAttributes);
  attrs->request = (pb_update_Request *)request;
  attrs->origin = PB_UPDATE_ADMITTED_EVENT_ORIGIN_REAPPLY;
  tx_append(run, ev);
  span id = request->meta->update_id;
  pb_store_UpdateItem *it = item_new(run, ev->event_id, PB_ITEM_KIND_UPDATE, id);
  it->update_id = id;
  it->request_id = request->request_id;
  it->request = (pb_update_Request *)request;
  update_add(run, id, bytes_copy(PB_ENCODE(update_Request, request, t->arena)), ev->event_id);
}

/* --- delivered --- */

static pb_Message *message_for(const engine_run *run, const run_update *u, arena *a) {
  pb_Message *m = pb_new(a, Message);
  m->id = arena_spanf(a, "%.*s/request", SPAN_ARG(update_id(u)));
  m->protocol_instance_id = arena_dup(a, update_id(u));
  m->which_sequencing_id = PB_Message_event_id_FIELD;
  m->event_id = run->state.wft_started_id - 1;
  m->body = pb_new(a, Any);
  m->body->type_url = SPAN("type.googleapis.com/temporal.api.update.v1.Request");
  m->body->value = arena_dup(a, bytes_span(u->request));
  return m;
}

void updates_send(engine_run *run, arena *a, pb_list_Message *ret) {
  const pb_store_RunState *s = &run->state;
  bool is_heartbeat = s->wft_original_time != s->wft_scheduled_time;
  size_t n = 0;
  LIST_FOR_EACH (node, &run->updates) n++;
  if (!n) return;
  ret->v = arena_array(a, pb_Message *, n);
  LIST_FOR_EACH (node, &run->updates) {
    run_update *u = CONTAINER_OF(node, run_update, node);
    if (!update_waits(u) || (u->sent && is_heartbeat)) continue;
    u->sent = true;
    if (!u->item_id) ret->v[ret->n++] = message_for(run, u, a); /* else an event holds it */
  }
}

void updates_unsend(engine_run *run) {
  LIST_FOR_EACH (n, &run->updates) CONTAINER_OF(n, run_update, node)->sent = false;
}

/* --- given up --- */

static void tell_aborted(engine_run *run, const run_update *u, update_abort why) {
  arena *a = run->tx.arena;
  *step_update(run->tx.st) =
      (engine_update){.id = arena_dup(a, update_id(u)), .error = abort_error(why, a)};
}

void updates_abort(engine_run *run, update_abort why) {
  LIST_FOR_EACH (n, &run->updates) {
    run_update *u = CONTAINER_OF(n, run_update, node);
    if (!update_waits(u) || (why == UPDATE_ABORT_TASK_BROKEN && !u->sent)) continue;
    tell_aborted(run, u, why);
    u->leaves = true;
    u->stays = why == UPDATE_ABORT_CLOSED || why == UPDATE_ABORT_CONTINUED;
    engine_item *it = u->item_id ? item_by_id(run, u->item_id, PB_ITEM_KIND_UPDATE) : NULL;
    if (it) item_delete(run, it);
  }
}

void updates_close(engine_run *run) {
  updates_abort(run, run->state.new_run_id.n ? UPDATE_ABORT_CONTINUED : UPDATE_ABORT_CLOSED);
  size_t n = 0;
  engine_item **items = NULL;
  arena *a = run->tx.arena;
  if (run->state.updates_open) items = items_sorted(run, PB_ITEM_KIND_UPDATE, a, &n);
  for (size_t i = 0; i < n; i++) {
    const pb_store_UpdateItem *it = item_msg(items[i]);
    if (it->completed_id) continue;
    *step_update(run->tx.st) = (engine_update){.id = arena_dup(a, it->update_id),
                                               .stage = ENGINE_UPDATE_COMPLETED,
                                               .outcome = outcome_of_closed(a)};
  }
}

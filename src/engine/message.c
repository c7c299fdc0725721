/* message.c - messages to other runs: which item tells what, and what an answer does. */
#include "engine/message.h"

#include "engine/outside.h"

static const outside_kind *const kinds[] = {&outside_child,           &outside_signal,
                                            &outside_cancel,          &outside_result,
                                            &outside_scheduled_start, &outside_schedule_stop};

static const outside_kind *kind_of(int32_t item_kind) {
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    if (kinds[i]->item_kind == item_kind) return kinds[i];
  }
  return NULL;
}

bool item_tells(int32_t item_kind) { return kind_of(item_kind) != NULL; }

bool outside_is_whole(int32_t item_kind, const void *msg) {
  switch (item_kind) {
    case PB_ITEM_KIND_CHILD: {
      const pb_store_ChildItem *c = msg;
      return c->initiated && c->initiated->workflow_type;
    }
    case PB_ITEM_KIND_EXTERNAL_SIGNAL: {
      const pb_store_ExternalSignalItem *s = msg;
      return s->initiated && s->initiated->workflow_execution;
    }
    case PB_ITEM_KIND_EXTERNAL_CANCEL: {
      const pb_store_ExternalCancelItem *c = msg;
      return c->initiated && c->initiated->workflow_execution;
    }
    case PB_ITEM_KIND_SCHEDULED_START:
      return ((const pb_store_ScheduledStartItem *)msg)->start != NULL;
    case PB_ITEM_KIND_SCHEDULE_STOP:
      return ((const pb_store_ScheduleStopItem *)msg)->target != NULL;
    default:
      return ((const pb_store_ChildResultItem *)msg)->close != NULL;
  }
}

pb_WorkflowExecution *execution_new(arena *a, span workflow_id, span run_id) {
  pb_WorkflowExecution *e = pb_new(a, WorkflowExecution);
  e->workflow_id = workflow_id;
  e->run_id = run_id;
  return e;
}

span own_namespace_id(const engine_run *run) {
  const engine_host *h = run->tx.st->host;
  return h->namespace_id(h->ctx, run->info->namespace_name);
}

/* A due time in the past is found by the first look at the index after a restart; it never fires:
 * whoever loads the run delivers. */
void outside_tell(engine_run *run, engine_item *it, bool tells) {
  item_set_due(run, it, tells ? run->tx.now_ns : 0, (store_queued){0});
}

bool run_has_messages(const engine_run *run) {
  for (hmap_node *n = hmap_each(&run->by_id, NULL); n; n = hmap_each(&run->by_id, n)) {
    const engine_item *it = CONTAINER_OF(n, engine_item, by_id);
    if (item_tells(it->kind) && it->due_ns && !it->deleted) return true;
  }
  return false;
}

static engine_item *item_of(const engine_run *run, int64_t id) {
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    engine_item *it = item_by_id(run, id, kinds[i]->item_kind);
    if (it) return it;
  }
  return NULL;
}

void engine_waiting_messages(const engine_run *run, engine_step *st) {
  if (!run->outside.n) return;
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    size_t n;
    engine_item **items = items_sorted(run, kinds[i]->item_kind, st->arena, &n);
    for (size_t k = 0; k < n; k++) {
      if (items[k]->due_ns) step_message(st, items[k]->id);
    }
  }
}

bool engine_message_read(const engine_run *run, int64_t id, arena *a, engine_message *ret_message) {
  const engine_item *it = item_of(run, id);
  if (!it || !it->due_ns) return false;
  *ret_message = (engine_message){.id = id, .ns = run->ns};
  ret_message->from.workflow_id = arena_dup(a, run->info->workflow_id);
  ret_message->from.run_id = arena_dup(a, run->info->run_id);
  return kind_of(it->kind)->read(run, it, a, ret_message);
}

void engine_message_answered(engine_run *run, engine_step *st, int64_t id, engine_message_kind kind,
                             engine_answer answer) {
  engine_item *it = item_of(run, id);
  if (!it || !it->due_ns) return;
  tx_begin(run, st);
  wft_settle(run);
  kind_of(it->kind)->answered(run, it, kind, answer);
  tx_finish(run);
  run_check_limits(run, st);
}

bool engine_is_child_of(const engine_run *run, const pb_WorkflowExecution *parent) {
  const pb_WorkflowExecution *own = run->info->started->parent_workflow_execution;
  return own && span_eq(own->workflow_id, parent->workflow_id) &&
         span_eq(own->run_id, parent->run_id);
}

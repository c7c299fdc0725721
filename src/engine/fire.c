/* fire.c - time passes: everything due is done in one step, then one workflow task. */
#include "engine/schedule_int.h"

int64_t run_due_ns(const engine_run *run) {
  const pb_store_RunState *s = &run->state;
  if (!run_is_open(run)) return s->delete_time;
  if (s->schedule) return s->schedule->due_time;
  int64_t due = INT64_MAX;
  if (run->info->run_deadline) due = MIN(due, run->info->run_deadline);
  if (s->first_backoff_until) due = MIN(due, s->first_backoff_until);
  int32_t type;
  int64_t of_task = wft_deadline_ns(run, &type);
  if (of_task) due = MIN(due, of_task);
  return due == INT64_MAX ? 0 : due;
}

int64_t engine_next_due_ns(const engine_run *run) {
  int64_t of_run = run_due_ns(run);
  const heap_node *first = heap_min(&run->due);
  if (!first) return of_run;
  return of_run ? MIN(of_run, first->key) : first->key;
}

/* Takes the due items off the heap, earliest first; tx_finish puts back those that still have a
 * deadline. */
static engine_item **take_due(engine_run *run, int64_t now_ns, arena *a, size_t *ret_n) {
  engine_item **due = arena_array(a, engine_item *, run->due.n + 1);
  size_t n = 0;
  while (heap_min(&run->due) && heap_min(&run->due)->key <= now_ns) {
    engine_item *it = CONTAINER_OF(heap_min(&run->due), engine_item, due_node);
    heap_remove(&run->due, &it->due_node);
    due[n++] = it;
  }
  *ret_n = n;
  return due;
}

static void fire_items(engine_run *run) {
  size_t n;
  bool wake = false;
  engine_item **due = take_due(run, run->tx.now_ns, run->tx.arena, &n);
  for (size_t i = 0; i < n; i++) {
    engine_item *it = due[i];
    item_set_due(run, it, it->due_ns, it->queued);
    if (it->kind == PB_ITEM_KIND_TIMER) {
      timer_fire(run, it);
      wake = true;
    } else {
      wake = activity_fire(run, it) || wake;
    }
  }
  if (wake) wft_wake(run);
}

void engine_fire(engine_run *run, engine_step *st) {
  if (!run_is_open(run)) {
    if (run->state.delete_time && run->state.delete_time <= st->now_ns) run_delete(run, st);
    return;
  }
  if (run->state.schedule) {
    schedule_fire(run, st);
    return;
  }
  int64_t due = engine_next_due_ns(run);
  if (!due || due > MAX(st->now_ns, run->state.last_event_time)) return;
  tx_begin(run, st);
  if (run->info->run_deadline && run->info->run_deadline <= run->tx.now_ns) {
    st->lazy = false;
    wft_settle_last(run);
    run_timed_out(run);
    tx_finish(run);
    return;
  }
  int32_t timeout_type;
  (void)wft_deadline_ns(run, &timeout_type);
  int64_t of_run = run_due_ns(run);
  wft_settle(run);
  if (of_run && of_run <= run->tx.now_ns) {
    st->lazy = false;
    wft_fire(run, timeout_type);
  }
  fire_items(run);
  tx_finish(run);
}

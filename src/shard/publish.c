/* publish.c - tasks to matching, and pages of the backlog from disk.
 *
 * A page is read only when nothing is put off: a task that memory handed out, or holds without a
 * row yet, would otherwise be missed or read twice. */
#include "base/log.h"
#include "shard/shard_int.h"

typedef struct page_load {
  list_node node; /* in s->page_loads until it is asked for */
  store_load load;
  shard *s;
  int64_t queue;
  uint64_t lsn;
} page_load;

typedef struct starved_queue {
  list_node node;
  int64_t queue;
} starved_queue;

/* An activity is named by its scheduled event, a workflow task by 0. */
static match_task match_task_of(const shard_run *run, const engine_task *t) {
  return (match_task){
      .run = run->key,
      .id = t->kind == ENGINE_ACTIVITY_TASK ? t->id : 0,
      .queued = t->queued,
      .unwritten = t->kind == ENGINE_WORKFLOW_TASK && engine_task_is_speculative(run->engine),
      .sticky_fallback = t->sticky_fallback};
}

static void leave_sticky(shard *s, shard_run *run) {
  step *t = step_new(s);
  engine_wft_leave_sticky(run->engine, step_part_add(s, t, run));
  err *e = step_stage(s, t);
  if (e) LOG(ERROR, "a task could not leave its sticky queue", LOG_S("error", e->what));
  step_unref(t);
}

void publish_task(shard *s, shard_run *run, const engine_task *task) {
  match_queue *q = queue_of_key(s, task->queued.queue);
  if (task->sticky_fallback && !match_polled_within(q, now_ns(s), MATCH_STICKY_SILENCE_NS)) {
    leave_sticky(s, run);
    return;
  }
  match_task mt = match_task_of(run, task);
  match_add(&s->matching, q, &mt);
}

bool publish_keeps(shard *s, const engine_task *task) {
  return match_keeps(queue_of_key(s, task->queued.queue), task->queued);
}

static void page_loaded(env_task *task) {
  page_load *p = CONTAINER_OF(CONTAINER_OF(task, store_load, task), page_load, load);
  shard *s = p->s;
  store_load *l = &p->load;
  s->loads_under_way--;
  if (l->error) {
    LOG(ERROR, "a page of a task queue could not be read; trying again",
        LOG_S("error", l->error->what));
    matching_load_failed(&s->matching, p->queue);
    starved_queue *sq = mem_new(starved_queue);
    sq->queue = p->queue;
    list_push_back(&s->starved, &sq->node);
    s->retry_ns = now_ns(s) + NS_PER_SEC;
    want_wake(s, s->retry_ns);
  } else {
    matching_loaded(&s->matching, p->queue, l->rows, l->n_rows, l->more);
  }
  engine_rows_release(l->rows, l->n_rows);
  arena_release(&l->arena);
  mem_free(p);
  check_drained(s);
}

void matching_host_load(void *ctx, int64_t queue, store_queued after, size_t limit) {
  shard *s = ctx;
  page_load *p = mem_new(page_load);
  after.queue = queue;
  p->s = s;
  p->queue = queue;
  p->load = (store_load){
      .kind = LOAD_QUEUE, .queued = after, .limit = limit, .task = {.run = page_loaded}};
  flush_all(s);
  p->lsn = s->staged_lsn;
  list_push_back(&s->page_loads, &p->node);
  want_turn(s);
}

static void retry_starved(shard *s) {
  if (now_ns(s) < s->retry_ns) return;
  for (list_node *n = list_pop_front(&s->starved); n; n = list_pop_front(&s->starved)) {
    starved_queue *sq = CONTAINER_OF(n, starved_queue, node);
    match_queue *q = matching_find(&s->matching, sq->queue);
    mem_free(sq);
    if (q && !s->draining) match_retry_load(&s->matching, q);
  }
}

void pages_go_on(shard *s) {
  retry_starved(s);
  LIST_FOR_EACH (n, &s->page_loads) {
    page_load *p = CONTAINER_OF(n, page_load, node);
    if (p->lsn > s->durable_lsn && !s->draining) continue;
    list_remove(n);
    if (s->draining) {
      matching_load_failed(&s->matching, p->queue);
      mem_free(p);
    } else {
      s->loads_under_way++;
      s->store->load(s->store, &p->load);
    }
  }
}

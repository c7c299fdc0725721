/* commit.c - group commit: everything staged while a batch is in flight forms the next one; who
 * waits for it is told when it is durable, or failed. */
#include "shard/mail.h"

static void batch_done(env_task *task);

void gate_wait_lsn(shard *s, gate *g, uint64_t lsn, void (*open)(shard *s, gate *g, const err *e)) {
  g->lsn = lsn;
  g->open = open;
  if (lsn <= s->durable_lsn) {
    open(s, g, NULL);
  } else {
    list_push_back(&s->gates, &g->node);
  }
}

void gate_wait(shard *s, gate *g, shard_run *run, void (*open)(shard *s, gate *g, const err *e)) {
  g->run = run;
  run_pin(run);
  gate_wait_lsn(s, g, run->lsn, open);
}

void gates_fail(shard *s, shard_run *run, const err *e) {
  list failed;
  list_init(&failed);
  LIST_FOR_EACH (n, &s->gates) {
    if (CONTAINER_OF(n, gate, node)->run != run) continue;
    list_remove(n);
    list_push_back(&failed, n);
  }
  for (list_node *n = list_pop_front(&failed); n; n = list_pop_front(&failed)) {
    gate *g = CONTAINER_OF(n, gate, node);
    g->open(s, g, e);
  }
}

static void gates_open(shard *s) {
  list ready;
  list_init(&ready);
  LIST_FOR_EACH (n, &s->gates) {
    if (CONTAINER_OF(n, gate, node)->lsn > s->durable_lsn) continue;
    list_remove(n);
    list_push_back(&ready, n);
  }
  for (list_node *n = list_pop_front(&ready); n; n = list_pop_front(&ready)) {
    gate *g = CONTAINER_OF(n, gate, node);
    g->open(s, g, NULL);
  }
}

static void unpin_parts(shard *s, step *t) {
  for (size_t i = 0; i < t->n_parts; i++) run_unpin(s, t->parts[i].run);
}

static bool has_run(const step *t, const shard_run *run) {
  for (size_t i = 0; i < t->n_parts; i++) {
    if (t->parts[i].run == run) return true;
  }
  return false;
}

void staged_forget(shard *s, shard_run *run, const err *e) {
  list lost;
  list_init(&lost);
  LIST_FOR_EACH (n, &s->staged) {
    if (!has_run(CONTAINER_OF(n, step, node), run)) continue;
    list_remove(n);
    list_push_back(&lost, n);
  }
  for (list_node *n = list_pop_front(&lost); n; n = list_pop_front(&lost)) {
    step *t = CONTAINER_OF(n, step, node);
    for (size_t i = 0; i < t->n_parts; i++) {
      run_drop(s, t->parts[i].run, e, true);
    }
    unpin_parts(s, t);
    step_unref(t);
  }
}

void commit_start(shard *s) {
  if (s->committing || list_empty(&s->staged)) return;
  store_step *last = NULL;
  s->batch.steps = NULL;
  s->batch.error = NULL;
  for (list_node *n = list_pop_front(&s->staged); n; n = list_pop_front(&s->staged)) {
    step *t = CONTAINER_OF(n, step, node);
    list_push_back(&s->in_flight, n);
    t->store.next = NULL;
    t->store.status = STORE_OK;
    if (last) {
      last->next = &t->store;
    } else {
      s->batch.steps = &t->store;
    }
    last = &t->store;
    s->stats.batch_steps++;
  }
  s->batch_lsn = s->staged_lsn;
  s->batch.task = (env_task){.run = batch_done};
  s->committing = true;
  s->stats.batches++;
  s->store->commit(s->store, &s->batch);
}

static void step_failed(shard *s, step *t, const err *e) {
  s->stats.commit_failures++;
  for (size_t i = 0; i < t->n_parts; i++) {
    run_drop(s, t->parts[i].run, e, true);
  }
  if (t->named_done) t->named_done(s, t, e);
}

static void step_durable(shard *s, step *t) {
  if (t->named_done) t->named_done(s, t, NULL);
  names_durable(s, t);
  promise_durable(s, t);
  for (size_t i = 0; i < t->n_parts; i++) {
    shard_run *run = t->parts[i].run;
    engine_step *st = t->parts[i].st;
    if (st->deleted) run_delete_durable(s, run);
    if (run->phase != RUN_READY) continue;
    for (size_t k = 0; k < st->n_tasks && run->phase == RUN_READY; k++) {
      publish_task(s, run, &st->tasks[k]);
    }
    if (st->n_messages) mail_post(s, run, st);
    if (st->new_events || st->closed) watchers_wake(s, run);
    if (!list_empty(&run->describes)) describes_wake(s, run);
  }
}

static const err *failure_of(shard *s, const step *t) {
  if (t->store.status == STORE_CONFLICT) {
    return ERR(&s->batch.arena, UNAVAILABLE,
               "another run of this workflow id was started at the same time; try again");
  }
  return ERR_WRAP(&s->batch.arena, UNAVAILABLE, s->batch.error,
                  "the change could not be written: %s",
                  s->batch.error ? s->batch.error->what : "the database refused it");
}

static void batch_done(env_task *task) {
  shard *s = CONTAINER_OF(CONTAINER_OF(task, store_batch, task), shard, batch);
  list done;
  list_init(&done);
  for (list_node *n = list_pop_front(&s->in_flight); n; n = list_pop_front(&s->in_flight)) {
    list_push_back(&done, n);
  }
  s->committing = false;
  LIST_FOR_EACH (n, &done) {
    step *t = CONTAINER_OF(n, step, node);
    if (t->store.status != STORE_OK) step_failed(s, t, failure_of(s, t));
  }
  s->durable_lsn = s->batch_lsn;
  arena_release(&s->batch.arena);
  commit_start(s);
  for (list_node *n = list_pop_front(&done); n; n = list_pop_front(&done)) {
    step *t = CONTAINER_OF(n, step, node);
    if (t->store.status == STORE_OK) step_durable(s, t);
    unpin_parts(s, t);
    step_unref(t);
  }
  gates_open(s);
  pages_go_on(s);
  runs_evict(s);
  check_drained(s);
}

#include "store/test_env.h"

#include <time.h>

static int64_t env_now_ns(env *e) {
  struct timespec ts;
  (void)clock_gettime(CLOCK_REALTIME, &ts);
  return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static void env_post(env *e, env_task *t) {
  test_env *s = CONTAINER_OF(e, test_env, env);
  (void)pthread_mutex_lock(&s->mu);
  list_push_back(&s->tasks, &t->node);
  (void)pthread_mutex_unlock(&s->mu);
  (void)pthread_cond_signal(&s->posted);
}

static void env_wake_at(env *e, int64_t when_ns) { PANIC("the store asks for no wake"); }

void test_env_init(test_env *e, uint64_t seed) {
  e->env = (env){.now_ns = env_now_ns, .post = env_post, .wake_at = env_wake_at};
  rng_seed(&e->env.random, seed);
  list_init(&e->tasks);
  (void)pthread_mutex_init(&e->mu, NULL);
  (void)pthread_cond_init(&e->posted, NULL);
}

void test_env_release(test_env *e) {
  ASSERT(list_empty(&e->tasks));
  (void)pthread_cond_destroy(&e->posted);
  (void)pthread_mutex_destroy(&e->mu);
}

static env_task *take(test_env *e, bool wait) {
  (void)pthread_mutex_lock(&e->mu);
  while (wait && list_empty(&e->tasks)) (void)pthread_cond_wait(&e->posted, &e->mu);
  list_node *n = list_pop_front(&e->tasks);
  (void)pthread_mutex_unlock(&e->mu);
  return n ? CONTAINER_OF(n, env_task, node) : NULL;
}

void test_env_run_until(test_env *e, const bool *done) {
  while (!*done) {
    env_task *t = take(e, true);
    t->run(t);
  }
}

void test_env_run_posted(test_env *e) {
  for (env_task *t; (t = take(e, false));) t->run(t);
}

void test_env_forget(test_env *e) {
  while (take(e, false)) continue;
}

static void batch_done(env_task *t) {
  CONTAINER_OF(CONTAINER_OF(t, store_batch, task), test_batch, batch)->done = true;
}

void test_batch_init(test_batch *b) { *b = (test_batch){.batch.task.run = batch_done}; }

void test_batch_release(test_batch *b) {
  for (store_step *s = b->batch.steps; s; s = s->next) {
    for (size_t i = 0; i < s->n_rows; i++) {
      bytes_unref(s->rows[i].info);
      bytes_unref(s->rows[i].blob);
    }
  }
  arena_release(&b->batch.arena);
  arena_release(&b->arena);
}

store_step *test_batch_step(test_batch *b, int64_t run, const store_row *rows, size_t n_rows) {
  store_step *s = arena_new(&b->arena, store_step);
  s->run = run;
  s->rows = arena_array(&b->arena, store_row, n_rows);
  memcpy(s->rows, rows, n_rows * sizeof *rows);
  s->n_rows = n_rows;
  *(b->last ? &b->last->next : &b->batch.steps) = s;
  b->last = s;
  return s;
}

void test_batch_commit(test_batch *b, store *s, test_env *e) {
  s->commit(s, &b->batch);
  test_env_run_until(e, &b->done);
}

static void load_done(env_task *t) {
  CONTAINER_OF(CONTAINER_OF(t, store_load, task), test_load, load)->done = true;
}

void test_load_run(test_load *l, store *s, test_env *e) {
  l->done = false;
  l->load.task.run = load_done;
  s->load(s, &l->load);
  test_env_run_until(e, &l->done);
}

void test_load_release(test_load *l) {
  bytes_unref(l->load.row.info);
  bytes_unref(l->load.row.blob);
  for (size_t i = 0; i < l->load.n_rows; i++) bytes_unref(l->load.rows[i].blob);
  arena_release(&l->load.arena);
}

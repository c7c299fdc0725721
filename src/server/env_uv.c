#include "server/env_uv.h"

#include <sys/random.h>
#include <time.h>

static const int64_t compare_every_ns = NS_PER_SEC;
/* The wall clock may jump while a timer runs on the monotonic one: look at least this often. */
static const int64_t longest_timer_ns = NS_PER_SEC;
/* Of the time that passes, how much is taken back while the wall clock is behind. */
enum { SLEW = 128 };

void steady_clock_init(steady_clock *c, int64_t wall_ns, int64_t monotonic_ns) {
  *c = (steady_clock){
      .ahead_ns = wall_ns - monotonic_ns, .last_ns = wall_ns, .compared_ns = monotonic_ns};
}

bool steady_clock_wants_wall(const steady_clock *c, int64_t monotonic_ns) {
  return monotonic_ns - c->compared_ns >= compare_every_ns;
}

void steady_clock_compare(steady_clock *c, int64_t wall_ns, int64_t monotonic_ns) {
  int64_t behind = c->ahead_ns - (wall_ns - monotonic_ns);
  int64_t most = (monotonic_ns - c->compared_ns) / SLEW;
  c->ahead_ns -= MIN(behind, most); /* negative where the wall clock is ahead */
  c->compared_ns = monotonic_ns;
}

int64_t steady_clock_now(steady_clock *c, int64_t monotonic_ns) {
  c->last_ns = MAX(c->last_ns, monotonic_ns + c->ahead_ns);
  return c->last_ns;
}

static int64_t wall_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static int64_t now_ns(env *base) {
  env_uv *e = CONTAINER_OF(base, env_uv, env);
  int64_t monotonic = (int64_t)uv_hrtime();
  if (steady_clock_wants_wall(&e->clock, monotonic)) {
    steady_clock_compare(&e->clock, wall_ns(), monotonic);
  }
  return steady_clock_now(&e->clock, monotonic);
}

static void post(env *base, env_task *t) {
  env_uv *e = CONTAINER_OF(base, env_uv, env);
  uv_mutex_lock(&e->mutex);
  if (list_empty(&e->posted)) e->posted_ns = (int64_t)uv_hrtime();
  list_push_back(&e->posted, &t->node);
  uv_mutex_unlock(&e->mutex);
  uv_async_send(&e->async);
}

static env_task *take_posted(env_uv *e) {
  uv_mutex_lock(&e->mutex);
  list_node *n = list_pop_front(&e->posted);
  uv_mutex_unlock(&e->mutex);
  return n ? CONTAINER_OF(n, env_task, node) : NULL;
}

/* Tasks that the tasks post run in the same turn only as far as they were there at its begin, so
 * that sockets get their turn too. */
static void on_async(uv_async_t *handle) {
  env_uv *e = handle->data;
  uv_mutex_lock(&e->mutex);
  list_node *last = list_empty(&e->posted) ? NULL : e->posted.head.prev;
  if (last) e->lag_ns = (int64_t)uv_hrtime() - e->posted_ns;
  uv_mutex_unlock(&e->mutex);
  for (env_task *t; last && (t = take_posted(e));) {
    bool is_last = &t->node == last;
    t->run(t);
    if (is_last) break;
  }
  uv_mutex_lock(&e->mutex);
  bool more = !list_empty(&e->posted);
  if (more) e->posted_ns = (int64_t)uv_hrtime();
  uv_mutex_unlock(&e->mutex);
  if (more && !uv_is_closing((uv_handle_t *)handle)) uv_async_send(handle);
}

static void on_timer(uv_timer_t *handle);

static void arm(env_uv *e) {
  int64_t wait = MIN(MAX(e->wake_ns - now_ns(&e->env), 0), longest_timer_ns);
  uv_update_time(e->loop);
  uv_timer_start(&e->timer, on_timer, (uint64_t)((wait + NS_PER_MS - 1) / NS_PER_MS), 0);
}

static void on_timer(uv_timer_t *handle) {
  env_uv *e = handle->data;
  if (now_ns(&e->env) < e->wake_ns) {
    arm(e);
    return;
  }
  e->wake_ns = INT64_MAX;
  e->on_wake(e->on_wake_arg);
}

static void wake_at(env *base, int64_t when_ns) {
  env_uv *e = CONTAINER_OF(base, env_uv, env);
  if (when_ns == e->wake_ns) return;
  e->wake_ns = when_ns;
  if (when_ns == INT64_MAX) {
    uv_timer_stop(&e->timer);
  } else {
    arm(e);
  }
}

void env_uv_init(env_uv *e, uv_loop_t *loop) {
  uint64_t seed;
  *e = (env_uv){.loop = loop, .wake_ns = INT64_MAX};
  e->env = (env){.now_ns = now_ns, .post = post, .wake_at = wake_at};
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) PANIC("the system has no randomness");
  rng_seed(&e->env.random, seed);
  steady_clock_init(&e->clock, wall_ns(), (int64_t)uv_hrtime());
  list_init(&e->posted);
  ASSERT(uv_mutex_init(&e->mutex) == 0);
  ASSERT(uv_async_init(loop, &e->async, on_async) == 0);
  ASSERT(uv_timer_init(loop, &e->timer) == 0);
  e->async.data = e->timer.data = e;
}

/* A task may close the env: the mutex is needed until the task has returned. */
static void on_closed(uv_handle_t *handle) { uv_mutex_destroy(&((env_uv *)handle->data)->mutex); }

void env_uv_close(env_uv *e) {
  uv_close((uv_handle_t *)&e->async, on_closed);
  uv_close((uv_handle_t *)&e->timer, NULL);
}

/* env_uv.h - the env (base/env.h) that a libuv loop provides.
 *
 * Its clock starts at the wall time and then follows the monotonic clock, so that it never runs
 * backward. Where the wall clock is ahead (a suspend, a step) it follows at once; where it is
 * behind, time goes on a little slower until they meet: durations are right to a percent, whatever
 * somebody does to the clock.
 */
#ifndef PERDURE_SERVER_ENV_UV_H
#define PERDURE_SERVER_ENV_UV_H

#include <uv.h>

#include "base/env.h"

/* --- the clock, apart from where the times come from --- */

typedef struct steady_clock {
  int64_t ahead_ns;    /* of the monotonic clock */
  int64_t last_ns;     /* handed out */
  int64_t compared_ns; /* monotonic time of the last look at the wall clock */
} steady_clock;

void steady_clock_init(steady_clock *c, int64_t wall_ns, int64_t monotonic_ns);
/* Whether it is time to look at the wall clock again. */
bool steady_clock_wants_wall(const steady_clock *c, int64_t monotonic_ns);
void steady_clock_compare(steady_clock *c, int64_t wall_ns, int64_t monotonic_ns);
int64_t steady_clock_now(steady_clock *c, int64_t monotonic_ns);

/* --- the env --- */

typedef struct env_uv {
  env env;
  uv_loop_t *loop;
  uv_async_t async;
  uv_timer_t timer;
  uv_mutex_t mutex; /* of `posted` */
  list posted;
  int64_t wake_ns; /* INT64_MAX: nobody asked */
  void (*on_wake)(void *arg);
  void *on_wake_arg;
  steady_clock clock;
  int64_t lag_ns; /* between the last post and its run */
  int64_t posted_ns;
} env_uv;

/* `on_wake` is called when a time asked for with wake_at has come; set it before the loop runs. */
void env_uv_init(env_uv *e, uv_loop_t *loop);
/* Closes its handles; what was posted and did not run yet never will. The loop must run once
 * more. */
void env_uv_close(env_uv *e);

#endif

/* env.h - what the outside world gives to the pure parts: time, randomness, deferred calls.
 *
 * engine, matching, shard and the store interface take an env instead of a clock, a loop or libc's
 * random; server/ makes one from libuv, sim/ one from a seed.
 */
#ifndef PERDURE_BASE_ENV_H
#define PERDURE_BASE_ENV_H

#include "base/list.h"
#include "base/rng.h"

/* A call to make later. The owner embeds it and keeps it alive until `run` was called. */
typedef struct env_task {
  list_node node; /* the env's */
  void (*run)(struct env_task *t);
} env_task;

typedef struct env env;
struct env {
  /* Wall time in ns since 1970, corrected so that it never runs backward. Owner's thread. */
  int64_t (*now_ns)(env *e);
  /* Calls t->run on the owner's thread, soon, in the order of posting. Any thread. */
  void (*post)(env *e, env_task *t);
  /* Asks for `on_wake` at or after this time (ns); a later request replaces the one before.
   * Owner's thread. */
  void (*wake_at)(env *e, int64_t when_ns);
  /* Seeded once by whoever made the env. Owner's thread. */
  rng random;
};

#endif

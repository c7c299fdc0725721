/* test_world.h - a shard on the model store under a clock that the test turns. */
#ifndef PERDURE_SHARD_TEST_WORLD_H
#define PERDURE_SHARD_TEST_WORLD_H

#include "shard/shard.h"
#include "store/memory.h"

typedef struct world {
  env env;
  list tasks;
  int64_t now, wake; /* wake: INT64_MAX is none */
  store_memory_disk *disk;
  store_memory_options options;
  store *store;
  shard *shard;
  shard_config config;
  shard_namespace_info ns;
  bool ready, drained;
} world;

/* With the namespace "default". */
void world_init(world *w);
void world_release(world *w);
/* The process dies and starts again on the same disk. */
void world_crash(world *w);
/* Drains, closes and opens again. */
void world_restart(world *w);
/* Until nothing is left to run now. */
void world_run(world *w);
/* Time passes, with everything that becomes due. */
void world_pass(world *w, int64_t ns);

/* A request and its answer. */
typedef struct ask {
  shard_op op;
  arena arena;
  bool done, parked;
  err_code code; /* ERR_OK or the error's */
  char *text;
  const char *detail_type;
  void *answer; /* a copy, in `arena` */
  const pb_desc *desc;
} ask;

/* For a call whose response is of this type; ask_free when it is done. */
ask *ask_new(world *w, const pb_desc *response);
void ask_free(ask *a);

#endif

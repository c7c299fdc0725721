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
/* A cmocka test with a world of its own. */
int world_setup(void **state);
int world_teardown(void **state);
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
/* The process dies and starts again on the same disk. */
void world_crash(world *w);
/* Drains, closes and opens again. */
void world_restart(world *w);
/* Until nothing is left to run now. */
void world_run(world *w);
/* At most so many deferred calls. */
void world_turns(world *w, int64_t n);
/* Time passes, with everything that becomes due. */
void world_pass(world *w, int64_t ns);

/* What the shard is given: gone as soon as it has answered, and emptied when it parks, as callers
 * may do. */
typedef struct ask_call {
  shard_op op;
  arena arena; /* of the request */
  struct ask *ask;
} ask_call;

/* A request and its answer. */
typedef struct ask {
  ask_call *call; /* NULL: answered */
  arena arena;    /* of the answer */
  bool done, parked;
  err_code code; /* ERR_OK or the error's */
  char *text;
  const char *detail_type;
  void *answer; /* a copy, in `arena` */
  const pb_desc *desc;
  void (*take)(struct ask *a, const void *response); /* of an answer that is no message */
} ask;

/* For a call whose response is of this type; ask_free when it is done. */
ask *ask_new(world *w, const pb_desc *response);
void ask_free(ask *a);
/* The caller leaves; nothing if there is an answer. */
void ask_gone(world *w, ask *a);
/* Its server is dead: there will be no answer. */
void ask_abandon(ask *a);

#endif

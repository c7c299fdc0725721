/* test_env.h - an env for tests of the store: posted tasks run when the test says so. */
#ifndef PERDURE_STORE_TEST_ENV_H
#define PERDURE_STORE_TEST_ENV_H

#include <pthread.h>

#include "base/env.h"
#include "store/store.h"

typedef struct test_env {
  env env;
  pthread_mutex_t mu;
  pthread_cond_t posted;
  list tasks;
} test_env;

void test_env_init(test_env *e, uint64_t seed);
void test_env_release(test_env *e);
/* Runs tasks, waiting for more, until *done. */
void test_env_run_until(test_env *e, const bool *done);
/* Runs what was posted, in order, until nothing is left; waits for nothing. */
void test_env_run_posted(test_env *e);
/* Drops what was posted, as the death of a process does. */
void test_env_forget(test_env *e);

/* A batch that the test fills with steps, and a flag that says when it is done. */
typedef struct test_batch {
  store_batch batch;
  arena arena; /* of the steps */
  store_step *last;
  bool done;
} test_batch;

void test_batch_init(test_batch *b);
/* Drops the blobs of every row. */
void test_batch_release(test_batch *b);
store_step *test_batch_step(test_batch *b, int64_t run, const store_row *rows, size_t n_rows);
/* Commits and waits. */
void test_batch_commit(test_batch *b, store *s, test_env *e);

typedef struct test_load {
  store_load load;
  bool done;
} test_load;

/* The request is in l->load; waits for the answer. */
void test_load_run(test_load *l, store *s, test_env *e);
void test_load_release(test_load *l);

#endif

#include "shard/test_world.h"

#include "base/mem.h"
#include "proto/pb_time.h"

static int64_t env_now(env *e) { return CONTAINER_OF(e, world, env)->now; }

static void env_post(env *e, env_task *t) {
  list_push_back(&CONTAINER_OF(e, world, env)->tasks, &t->node);
}

static void env_wake_at(env *e, int64_t when_ns) { CONTAINER_OF(e, world, env)->wake = when_ns; }

static void on_ready(void *arg, const err *e) {
  world *w = arg;
  w->ready = !e;
}

static void on_drained(void *arg) { ((world *)arg)->drained = true; }

static void run_tasks(world *w) {
  for (list_node *n = list_pop_front(&w->tasks); n; n = list_pop_front(&w->tasks)) {
    env_task *t = CONTAINER_OF(n, env_task, node);
    t->run(t);
  }
}

void world_run(world *w) {
  for (run_tasks(w); w->wake <= w->now; run_tasks(w)) {
    w->wake = INT64_MAX;
    shard_wake(w->shard);
  }
}

void world_turns(world *w, int64_t n) {
  for (; n > 0 && !list_empty(&w->tasks); n--) {
    env_task *t = CONTAINER_OF(list_pop_front(&w->tasks), env_task, node);
    t->run(t);
  }
}

void world_pass(world *w, int64_t ns) {
  int64_t until = w->now + ns;
  world_run(w);
  while (w->wake <= until) {
    w->now = MAX(w->now, w->wake);
    world_run(w);
  }
  w->now = until;
  world_run(w);
}

static void close_shard(world *w) {
  shard_drain(w->shard, on_drained, w);
  world_run(w);
  ASSERT(w->drained);
  shard_free(w->shard);
  w->store->close(w->store);
}

/* Again and again on a disk that fails. */
static void open_shard(world *w) {
  w->ready = w->drained = false;
  while (!w->ready) {
    w->wake = INT64_MAX;
    w->options.disk = w->disk;
    w->store = store_memory_open(&w->options, &w->env);
    w->shard = shard_new(&w->env, w->store, &w->config, on_ready, w);
    world_run(w);
    if (!w->ready) close_shard(w);
  }
}

static void find_namespace(world *w) {
  const shard_namespace_info *ns = shard_namespace(w->shard, SPAN("default"));
  ASSERT(ns);
  w->ns = *ns;
}

void world_init(world *w) {
  *w = (world){.now = INT64_C(1700000000) * NS_PER_SEC, .wake = INT64_MAX};
  list_init(&w->tasks);
  rng_seed(&w->env.random, 7);
  w->env.now_ns = env_now;
  w->env.post = env_post;
  w->env.wake_at = env_wake_at;
  w->disk = store_memory_disk_new();
  w->config = shard_default_config;
  w->config.check_steps = true;
  open_shard(w);
  ask *a = ask_new(w, NULL);
  pb_store_Namespace r = {.name = SPAN("default"), .state = PB_NAMESPACE_STATE_REGISTERED};
  shard_register_namespace(w->shard, &a->call->op, &r);
  world_run(w);
  ASSERT(a->done && !a->code);
  ask_free(a);
  find_namespace(w);
}

void world_release(world *w) {
  close_shard(w);
  store_memory_disk_free(w->disk);
}

int world_setup(void **state) {
  static world w;
  world_init(&w);
  *state = &w;
  return 0;
}

int world_teardown(void **state) {
  world_release(*state);
  return 0;
}

void world_restart(world *w) {
  close_shard(w);
  open_shard(w);
  find_namespace(w);
}

void world_crash(world *w) {
  /* The old shard is abandoned as a dead process is; its memory is not given back. */
  store_memory_crash(w->store);
  list_init(&w->tasks);
  open_shard(w);
  find_namespace(w);
}

static void call_free(ask_call *c) {
  c->ask->call = NULL;
  arena_release(&c->arena);
  mem_free(c);
}

static void on_done(shard_op *op, const err *e, const void *response) {
  ask_call *c = CONTAINER_OF(op, ask_call, op);
  ask *a = c->ask;
  ASSERT(!a->done);
  a->done = true;
  a->code = e ? e->code : ERR_OK;
  if (e) {
    a->text = mem_strdup(e->what);
    a->detail_type = arena_cstr(&a->arena, span_cstr(e->detail_type));
  } else if (a->desc) {
    /* What was spliced is decoded, as a client would. */
    span encoded = pb_encode_arena(a->desc, response, &a->arena);
    ASSERT(!pb_decode(a->desc, encoded, &a->arena, &a->answer));
  } else if (a->take) {
    a->take(a, response);
  }
  call_free(c);
}

static void on_park(shard_op *op) {
  ask_call *c = CONTAINER_OF(op, ask_call, op);
  c->ask->parked = true;
  arena_release(&c->arena);
}

ask *ask_new(world *w, const pb_desc *response) {
  ask *a = mem_new(ask);
  a->desc = response;
  a->call = mem_new(ask_call);
  a->call->ask = a;
  a->call->op = (shard_op){.arena = &a->call->arena,
                           .ns = w->ns.key,
                           .ns_name = SPAN("default"),
                           .deadline_ns = w->now + 70 * NS_PER_SEC,
                           .done = on_done,
                           .park = on_park};
  return a;
}

void ask_gone(world *w, ask *a) {
  if (a->call) shard_op_gone(w->shard, &a->call->op);
}

void ask_abandon(ask *a) {
  if (a->call) call_free(a->call);
  a->done = true;
  ask_free(a);
}

void ask_free(ask *a) {
  ASSERT(a->done);
  arena_release(&a->arena);
  mem_free(a->text);
  mem_free(a);
}

#include "rpc/test_world.h"

#include "proto/pb.gen.h"

#include <stdio.h>

static void echo(void *ctx, rpc_call *c) {
  world **w = ctx;
  if (*w) (*w)->echoes++;
  rpc_reply(c, rpc_request(c));
}

static void fail_call(void *ctx, rpc_call *c) {
  err *e = ERR(rpc_arena(c), NOT_FOUND, "no such thing: 100%% \xc3\xbc\n");
  e->detail_type = "test.Detail";
  e->detail = arena_dup(rpc_arena(c), *(const span *)rpc_request(c));
  rpc_fail(c, e);
}

static void on_gone(rpc_call *c, void *arg) {
  world *w = arg;
  for (size_t i = w->n_parked; i-- > 0;) {
    if (w->parked[i] != c) continue;
    w->parked[i] = w->parked[--w->n_parked];
    break;
  }
  w->n_gone++;
  arena a = ARENA_INIT;
  rpc_fail(c, ERR(&a, CANCELLED, "gone"));
  arena_release(&a);
}

static void park(void *ctx, rpc_call *c) {
  world *w = *(world **)ctx;
  rpc_park(c);
  w->parked[w->n_parked++] = c;
  rpc_on_gone(c, on_gone, w);
}

static void huge(void *ctx, rpc_call *c) {
  size_t n = 1024 * 1024;
  uint8_t *p = arena_alloc(rpc_arena(c), n);
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i * 2654435761u >> 24);
  const span message = span_of(p, n);
  rpc_reply(c, &message);
}

static const rpc_method methods[] = {
    {.name = "Echo", .handle = echo},
    {.name = "Fail", .handle = fail_call},
    {.name = "Park", .handle = park, .long_poll = true},
    {.name = "Wait", .handle = park},
    {.name = "Unbuilt"},
    {.name = "Huge", .handle = huge},
    {.name = "Decoded",
     .request = &pb_HealthCheckRequest_desc,
     .response = &pb_HealthCheckRequest_desc,
     .handle = echo},
};

static world *current;

const rpc_service world_service = {"test.Service", methods, ARRAY_LEN(methods), &current};

world *world_new(const rpc_limits *limits, const rpc_tls *tls, const rpc_client_tls *client_tls) {
  world *w = mem_new(world);
  current = w;
  assert_int_equal(uv_loop_init(&w->loop), 0);
  w->services[0] = world_service;
  err *e =
      rpc_server_new(&w->loop, "127.0.0.1", 0, tls, limits, w->services, 1, &w->mem, &w->server);
  if (e) fail_msg("%s", err_text(&w->mem, e));
  e = rpc_client_new(&w->loop, "127.0.0.1", rpc_server_port(w->server), client_tls, &w->mem,
                     &w->client);
  if (e) fail_msg("%s", err_text(&w->mem, e));
  return w;
}

void world_free(world *w) {
  rpc_client_free(w->client);
  rpc_server_free(w->server);
  (void)uv_run(&w->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&w->loop), 0);
  arena_release(&w->mem);
  current = NULL;
  mem_free(w);
}

static void on_late(uv_timer_t *t) { *(bool *)t->data = true; }

typedef bool condition(const world *w, const void *arg);

static void run_until(world *w, condition *met, const void *arg, uint64_t most_ms) {
  bool late = false;
  uv_timer_t timer;
  (void)uv_timer_init(&w->loop, &timer);
  timer.data = &late;
  uv_update_time(&w->loop);
  (void)uv_timer_start(&timer, on_late, most_ms, 0);
  while (!late && !met(w, arg)) (void)uv_run(&w->loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&timer, NULL);
  (void)uv_run(&w->loop, UV_RUN_NOWAIT);
}

static bool is_done(const world *w, const void *arg) { return *(const bool *)arg; }
static bool is_parked(const world *w, const void *arg) {
  return w->n_parked >= *(const size_t *)arg;
}
static bool is_gone(const world *w, const void *arg) { return w->n_gone >= *(const size_t *)arg; }
static bool never(const world *w, const void *arg) { return false; }

void world_run_until(world *w, const bool *done) {
  run_until(w, is_done, done, 10000);
  assert_true(*done);
}

void world_run_until_parked(world *w, size_t n) {
  run_until(w, is_parked, &n, 10000);
  assert_int_equal(w->n_parked, n);
}

void world_run_until_gone(world *w, size_t n) {
  run_until(w, is_gone, &n, 10000);
  assert_int_equal(w->n_gone, n);
}

void world_run_ms(world *w, uint64_t ms) { run_until(w, never, NULL, ms); }

void world_keep(void *arg, const err *e, span message) {
  answer *a = arg;
  a->done = true;
  buf_add(&a->message, message);
  if (!e) return;
  a->code = e->code;
  (void)snprintf(a->what, sizeof a->what, "%s", e->what);
  if (e->detail_type) (void)snprintf(a->detail_type, sizeof a->detail_type, "%s", e->detail_type);
  buf_add(&a->detail, e->detail);
}

void world_call(world *w, const char *method, span request, int64_t timeout_ms, bool gzip,
                answer *ret) {
  char path[200];
  (void)snprintf(path, sizeof path, method[0] == '/' ? "%s" : "/test.Service/%s", method);
  *ret = (answer){.w = w};
  rpc_client_call(w->client, path, request, timeout_ms, gzip, world_keep, ret);
}

void world_ask(world *w, const char *method, span request, bool gzip, answer *ret) {
  world_call(w, method, request, 0, gzip, ret);
  world_run_until(w, &ret->done);
}

void answer_release(answer *a) {
  buf_release(&a->message);
  buf_release(&a->detail);
}

void world_unpark(world *w, size_t i, span message) {
  rpc_call *c = w->parked[i];
  w->parked[i] = w->parked[--w->n_parked];
  rpc_reply(c, &message);
}

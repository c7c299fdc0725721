/* CPU of one RPC: a server that echoes, in a child process, and our client with a fixed number of
 * calls in flight.
 *
 *   rpc_echo [calls [in_flight [connections [bytes [gzip]]]]] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/client.h"
#include "rpc/rpc.h"

typedef struct bench {
  uv_loop_t loop;
  rpc_client *clients[64];
  uint8_t *message;
  long calls, in_flight, connections, bytes, gzip;
  long started, ended;
} bench;

static void echo(void *ctx, rpc_call *c) { rpc_reply(c, rpc_request(c)); }

static const rpc_method methods[] = {{.name = "Echo", .handle = echo}};
static const rpc_service service = {"bench.Rpc", methods, 1, NULL};

static void check(const err *e) {
  arena a = ARENA_INIT;
  if (e) PANIC("%s", err_text(&a, e));
}

static double cpu_us(int who) {
  struct rusage u;
  (void)getrusage(who, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void on_term(uv_signal_t *s, int number) { uv_stop(s->loop); }

static void serve(int port_fd) {
  uv_loop_t loop;
  uv_signal_t term;
  arena a = ARENA_INIT;
  rpc_server *server;
  (void)uv_loop_init(&loop);
  check(rpc_server_new(&loop, "127.0.0.1", 0, NULL, NULL, &service, 1, &a, &server));
  int port = rpc_server_port(server);
  if (write(port_fd, &port, sizeof port) != sizeof port) PANIC("the parent is gone");
  (void)uv_signal_init(&loop, &term);
  (void)uv_signal_start(&term, on_term, SIGTERM);
  (void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void next(bench *b);

static void on_answer(void *arg, const err *e, span message) {
  bench *b = arg;
  check(e);
  if (message.n != (size_t)b->bytes) PANIC("an answer has %zu bytes", message.n);
  if (++b->ended == b->calls) uv_stop(&b->loop);
  if (b->started < b->calls) next(b);
}

static void next(bench *b) {
  rpc_client *c = b->clients[b->started++ % b->connections];
  rpc_client_call(c, "/bench.Rpc/Echo", span_of(b->message, (size_t)b->bytes), 10000, b->gzip,
                  on_answer, b);
}

static void measure(bench *b, int port) {
  arena a = ARENA_INIT;
  (void)uv_loop_init(&b->loop);
  b->message = arena_alloc(&a, (size_t)b->bytes);
  for (long i = 0; i < b->bytes; i++) b->message[i] = (uint8_t)("protocol buffer"[i % 15] + i / 50);
  for (long i = 0; i < b->connections; i++) {
    check(rpc_client_new(&b->loop, "127.0.0.1", port, NULL, &a, &b->clients[i]));
  }
  while (b->started < b->in_flight) next(b);
  (void)uv_run(&b->loop, UV_RUN_DEFAULT);
  arena_release(&a);
}

static long argument(int argc, char **argv, int i, long otherwise) {
  return i < argc ? strtol(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
  int fds[2], port;
  if (pipe(fds) != 0) PANIC("no pipe");
  pid_t child = fork();
  if (child == 0) {
    serve(fds[1]);
    return 0;
  }
  if (read(fds[0], &port, sizeof port) != sizeof port) PANIC("the server did not start");
  bench b = {.calls = argument(argc, argv, 1, 300000),
             .in_flight = argument(argc, argv, 2, 64),
             .connections = argument(argc, argv, 3, 1),
             .bytes = argument(argc, argv, 4, 200),
             .gzip = argument(argc, argv, 5, 0)};
  double start = (double)uv_hrtime() / 1e3;
  measure(&b, port);
  double wall = (double)uv_hrtime() / 1e3 - start;
  double client = cpu_us(RUSAGE_SELF);
  (void)kill(child, SIGTERM);
  (void)waitpid(child, NULL, 0);
  double server = cpu_us(RUSAGE_CHILDREN);
  double n = (double)b.calls;
  printf(
      "%ld in flight on %ld connections, %ld bytes%s: %.0f calls/s, server %.2f us/call, "
      "client %.2f us/call\n",
      b.in_flight, b.connections, b.bytes, b.gzip ? " gzip" : "", n / wall * 1e6, server / n,
      client / n);
  return 0;
}

/* world.c - clock, scheduler and the life of the server.
 *
 * Each step picks one of what may happen now: the next posted task of the server, its wake-up, or
 * the next event of the outside world; or the clock moves. A server that crashes leaves its memory
 * behind (nobody frees a dead process) and its disk to the next one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#include "base/log.h"
#include "proto/pb_time.h"

typedef struct event {
  heap_node node;
  void (*run)(sim *s, void *arg);
  void *arg;
} event;

static const int64_t start_of_time_ns = INT64_C(1700000000) * NS_PER_SEC;
static const int64_t quiet_most_ns = INT64_C(3600) * NS_PER_SEC;
static const uint64_t quiet_most_steps = 2000000;

enum { AUDIT_EVERY = 700 };

static void server_open(sim *s);
static void server_crash(sim *s);

/* --- randomness, trace --- */

uint64_t sim_below(sim *s, uint64_t n) { return rng_below(&s->random, n); }

bool sim_chance(sim *s, uint32_t n, uint32_t of) { return n && sim_below(s, of) < n; }

bool sim_fault(sim *s, uint32_t n, uint32_t of) { return !s->quiet && sim_chance(s, n, of); }

uint64_t sim_hash(span s) {
  static const hash_key key = {0x5e11aba5, 0x7e57};
  return hash_bytes(key, s);
}

void sim_trace(sim *s, const char *fmt, ...) {
  char *line = s->lines[s->n_lines % TRACE_LINES];
  int64_t at = s->now_ns - s->start_ns;
  int n = snprintf(line, TRACE_BYTES, "%llu %lld.%06lld ", (unsigned long long)s->step,
                   (long long)(at / NS_PER_SEC), (long long)(at % NS_PER_SEC / 1000));
  va_list ap;
  va_start(ap, fmt);
  (void)vsnprintf(line + n, (size_t)(TRACE_BYTES - n), fmt, ap);
  va_end(ap);
  s->n_lines++;
  s->hash = hash_u64(s->hash ^ sim_hash(span_cstr(line)));
  if (s->options.trace) puts(line);
}

void sim_print_tail(const sim *s) {
  uint64_t from = s->n_lines > TRACE_LINES ? s->n_lines - TRACE_LINES : 0;
  from = MAX(from, s->n_lines > 60 ? s->n_lines - 60 : 0);
  printf("  the last lines of the trace:\n");
  for (uint64_t i = from; i < s->n_lines; i++) printf("    %s\n", s->lines[i % TRACE_LINES]);
}

void sim_broken(sim *s, const char *invariant, const char *fmt, ...) {
  va_list ap;
  sim_print_tail(s);
  printf("broken %s seed %llu step %llu: ", invariant, (unsigned long long)s->options.seed,
         (unsigned long long)s->step);
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  printf("\n  replay: ./dev sim --seed %llu --steps %llu", (unsigned long long)s->options.seed,
         (unsigned long long)s->options.steps);
  if (s->options.mutant) printf(" --mutant %s", mutant_name(s->options.mutant));
  printf(" --trace\n");
  fflush(stdout);
  _Exit(1);
}

/* --- events of the outside world --- */

void sim_at(sim *s, int64_t when_ns, void (*run)(sim *s, void *arg), void *arg) {
  event *e = mem_new(event);
  e->run = run;
  e->arg = arg;
  heap_insert(&s->events, &e->node, MAX(when_ns, s->now_ns), ++s->event_tie);
}

void sim_after_ms(sim *s, uint64_t ms, void (*run)(sim *s, void *arg), void *arg) {
  sim_at(s, s->now_ns + (int64_t)ms * NS_PER_MS, run, arg);
}

static int64_t next_event_ns(const sim *s) {
  const heap_node *n = heap_min(&s->events);
  return n ? n->key : INT64_MAX;
}

static void run_event(sim *s) {
  heap_node *n = heap_min(&s->events);
  event *e = CONTAINER_OF(n, event, node);
  heap_remove(&s->events, n);
  void (*run)(sim * s, void *arg) = e->run;
  void *arg = e->arg;
  mem_free(e);
  run(s, arg);
}

/* --- the server's env --- */

static int64_t env_now(env *e) { return mutant_clock_ns(CONTAINER_OF(e, sim_env, env)->sim); }

static void env_post(env *e, env_task *t) {
  sim_env *se = CONTAINER_OF(e, sim_env, env);
  se->posts++;
  if (mutant_loses_post(se->sim)) return;
  list_push_back(&se->posted, &t->node);
}

static void env_wake_at(env *e, int64_t when_ns) {
  sim_env *se = CONTAINER_OF(e, sim_env, env);
  sim *s = se->sim;
  se->wakes++;
  if (when_ns != INT64_MAX && mutant_loses_wake(s)) return;
  se->wake_ns = when_ns;
  se->wake_late_ns =
      s->quiet ? 0 : (int64_t)sim_below(s, (uint64_t)s->swarm.wake_late_ms * 1000 + 1) * 1000;
}

static int64_t wake_due_ns(const sim *s) {
  if (s->env.wake_ns == INT64_MAX) return INT64_MAX;
  return s->env.wake_ns + s->env.wake_late_ns;
}

static void env_open(sim *s) {
  sim_env *e = &s->env;
  *e = (sim_env){.sim = s, .wake_ns = INT64_MAX};
  e->env = (env){.now_ns = env_now, .post = env_post, .wake_at = env_wake_at};
  rng_seed(&e->env.random, rng_next(&s->random));
  list_init(&e->posted);
}

/* --- the life of the server --- */

static void server_up(sim *s) {
  s->state = SERVER_UP;
  s->up_ns = s->now_ns;
  sim_trace(s, "server %u is up", s->epoch);
}

static void *this_epoch(const sim *s) { return (void *)(uintptr_t)s->epoch; }

static void give_up(sim *s, void *epoch) {
  if (epoch == this_epoch(s) && s->state == SERVER_OPENING) server_crash(s);
}

/* The process ends and is started again. */
static void open_failed(sim *s, const err *e) {
  sim_trace(s, "server %u cannot start: %s", s->epoch, e->what);
  sim_after_ms(s, 10, give_up, this_epoch(s));
}

static void on_namespace(shard_op *op, const err *e, const void *response) {
  sim *s = CONTAINER_OF(op, sim, ns_op);
  if (e) {
    open_failed(s, e);
    return;
  }
  server_up(s);
}

static void on_ready(void *arg, const err *e) {
  sim *s = arg;
  if (e) {
    open_failed(s, e);
    return;
  }
  if (shard_namespace(s->shard, SPAN("default"))) {
    server_up(s);
    return;
  }
  pb_store_Namespace ns = {.name = SPAN("default"),
                           .retention = 24 * 3600 * NS_PER_SEC,
                           .state = PB_NAMESPACE_STATE_REGISTERED};
  s->ns_op = (shard_op){.arena = &s->ns_arena, .deadline_ns = INT64_MAX, .done = on_namespace};
  shard_register_namespace(s->shard, &s->ns_op, &ns);
}

static void server_open(sim *s) {
  static const uint8_t secret[32] = "the secret of the simulation";
  const sim_swarm *w = &s->swarm;
  env_open(s);
  s->epoch++;
  s->state = SERVER_OPENING;
  store_memory_options o = {.disk = s->disk,
                            .max_turns = w->disk_turns,
                            .fail_commits_per_1000 = s->quiet ? 0 : w->fail_commits,
                            .fail_loads_per_1000 = s->quiet ? 0 : w->fail_loads,
                            .acknowledge_early = s->options.mutant == MUTANT_acknowledge_early};
  s->store = store_memory_open(&o, &s->env.env);
  mutant_wrap_store(s);
  shard_config c = shard_default_config;
  c.secret = secret;
  c.check_steps = w->check_steps;
  c.poll_ns = 20 * NS_PER_SEC;
  c.long_poll_ns = 10 * NS_PER_SEC;
  c.timer_window_ns = (int64_t)w->timer_window_ms * NS_PER_MS;
  if (w->memory_bytes) c.memory_bytes = w->memory_bytes;
  if (w->small_window) c.queue_window = 3;
  s->shard = shard_new(&s->env.env, s->store, &c, on_ready, s);
}

static void open_again(sim *s, void *arg) {
  if (s->state == SERVER_DOWN) server_open(s);
}

static void server_crash(sim *s) {
  sim_trace(s, "server %u crashes", s->epoch);
  s->n_crashes++;
  list_init(&s->env.posted);
  s->env.wake_ns = INT64_MAX;
  store_memory_crash(s->store);
  s->store = NULL;
  s->shard = NULL;
  s->state = SERVER_DOWN;
  net_cut(s);
  arena_release(&s->ns_arena);
  audit_disk(s, false);
  sim_after_ms(s, sim_below(s, 3000), open_again, NULL);
}

static void server_ended(sim *s) {
  sim_trace(s, "server %u has drained", s->epoch);
  if (!list_empty(&s->at_server)) {
    const sim_call *c = CONTAINER_OF(list_first(&s->at_server), sim_call, node);
    sim_broken(s, "R2", "%s was not answered when the server had drained",
               net_method_name(c->method));
  }
  s->store->close(s->store);
  for (list_node *n = list_pop_front(&s->env.posted); n; n = list_pop_front(&s->env.posted)) {
    env_task *t = CONTAINER_OF(n, env_task, node);
    t->run(t);
  }
  shard_free(s->shard);
  s->store = NULL;
  s->shard = NULL;
  s->env.wake_ns = INT64_MAX;
  s->state = SERVER_DOWN;
  arena_release(&s->ns_arena);
  audit_disk(s, false);
  sim_after_ms(s, sim_below(s, 1000), open_again, NULL);
}

/* Not from inside the shard's call. */
static void end_drained(sim *s, void *epoch) {
  if (epoch == this_epoch(s) && s->state == SERVER_DRAINING) server_ended(s);
}

static void on_drained(void *arg) {
  sim *s = arg;
  sim_at(s, s->now_ns, end_drained, this_epoch(s));
}

static void server_drain(sim *s) {
  sim_trace(s, "server %u drains", s->epoch);
  s->n_drains++;
  s->state = SERVER_DRAINING;
  shard_drain(s->shard, on_drained, s);
}

static bool may_crash(sim *s) {
  if (s->quiet || s->state == SERVER_DOWN) return false;
  return s->swarm.crash_in && sim_below(s, s->swarm.crash_in) == 0;
}

static void server_end(sim *s) {
  if (s->state == SERVER_UP && sim_chance(s, s->swarm.drain_per_100, 100)) {
    server_drain(s);
  } else {
    server_crash(s);
  }
}

/* --- the scheduler --- */

/* Something that may run now ran; false: the clock has to move. */
static bool run_one(sim *s) {
  bool task = !list_empty(&s->env.posted);
  bool due = next_event_ns(s) <= s->now_ns;
  bool wake = s->shard && wake_due_ns(s) <= s->now_ns;
  uint64_t weights = (task ? 6u : 0u) + (due ? 3u : 0u) + (wake ? 3u : 0u);
  if (!weights) return false;
  uint64_t pick = sim_below(s, weights);
  if (task && pick < 6) {
    env_task *t = CONTAINER_OF(list_pop_front(&s->env.posted), env_task, node);
    t->run(t);
    return true;
  }
  if (task) pick -= 6;
  if (due && pick < 3) {
    run_event(s);
  } else {
    s->env.wake_ns = INT64_MAX;
    shard_wake(s->shard);
  }
  return true;
}

static void move_clock(sim *s) {
  int64_t next = MIN(next_event_ns(s), wake_due_ns(s));
  if (next == INT64_MAX) sim_broken(s, "L1", "nothing will ever happen again");
  s->now_ns = MAX(s->now_ns, next);
}

static void one_step(sim *s) {
  s->step++;
  s->now_ns += 1000 * (int64_t)(1 + sim_below(s, 20));
  if (s->store && sim_fault(s, s->swarm.full_per_10000, 10000)) {
    sim_trace(s, "the disk is full");
    store_memory_fail_commits(s->store, 1 + (uint32_t)sim_below(s, 20));
  }
  if (may_crash(s)) {
    server_end(s);
  } else if (!list_empty(&s->env.posted) && sim_fault(s, s->swarm.disk_ms ? 20 : 0, 1000)) {
    s->now_ns += (int64_t)sim_below(s, s->swarm.disk_ms) * NS_PER_MS;
  } else if (!run_one(s)) {
    move_clock(s);
  }
  if (s->step % 64 == 0) net_check_waits(s);
  if (s->step % 256 == 0) audit_starts(s);
  if (s->step % AUDIT_EVERY == 0) {
    audit_disk(s, false);
    audit_memory(s);
  }
}

/* Faults are off; the process that is up stays: what only its memory forgot must show. */
static void be_quiet(sim *s) {
  s->quiet = true;
  s->quiet_ns = s->now_ns;
  sim_trace(s, "faults are off");
  if (s->store) store_memory_end_faults(s->store);
  caretaker_start(s);
}

void sim_run(sim *s) {
  server_open(s);
  clients_start(s);
  workers_start(s);
  activity_workers_start(s);
  while (s->step < s->options.steps) one_step(s);
  be_quiet(s);
  int64_t until = s->now_ns + quiet_most_ns;
  uint64_t last = s->step + quiet_most_steps;
  for (uint64_t n = 0;; n++) {
    one_step(s);
    if (n % 64) continue;
    if (s->state == SERVER_UP && !s->errands && audit_open_runs(s) == 0) break;
    if (s->now_ns > until || s->step > last) {
      audit_disk(s, true);
      audit_say_open(s);
      sim_broken(s, "L1", "%zu runs are open %lld s after the faults ended", audit_open_runs(s),
                 (long long)((s->now_ns - until + quiet_most_ns) / NS_PER_SEC));
    }
  }
  while (!list_empty(&s->env.posted)) one_step(s);
  audit_disk(s, true);
  audit_memory(s);
  server_crash(s);
  audit_disk(s, true);
}

/* --- the sim --- */

sim *sim_new(const sim_options *o) {
  sim *s = mem_new(sim);
  s->options = *o;
  rng_seed(&s->random, o->seed);
  s->start_ns = s->now_ns = start_of_time_ns + (int64_t)sim_below(s, 1u << 30);
  heap_init(&s->events);
  list_init(&s->at_server);
  s->disk = store_memory_disk_new();
  log_configure(LOG_NEVER, LOG_PRETTY);
  swarm_choose(s);
  model_init(s);
  return s;
}

void sim_free(sim *s) {
  while (heap_min(&s->events)) {
    event *e = CONTAINER_OF(heap_min(&s->events), event, node);
    heap_remove(&s->events, &e->node);
    mem_free(e);
  }
  heap_release(&s->events);
  model_free(s);
  store_memory_disk_free(s->disk);
  mem_free(s);
}

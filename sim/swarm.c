/* swarm.c - what a seed turns on. Each seed leaves most faults out: rare combinations are found
 * where few things happen at once. */
#include "sim.h"

/* 0 most of the time, else up to `most`. */
static uint32_t some(sim *s, uint32_t of_100, uint32_t most) {
  uint64_t on = sim_below(s, 100), n = 1 + sim_below(s, most);
  return on < of_100 ? (uint32_t)n : 0;
}

static bool on(sim *s, uint32_t of_100) { return sim_below(s, 100) < of_100; }

static uint32_t between(sim *s, uint32_t least, uint32_t most) {
  return least + (uint32_t)sim_below(s, most - least + 1);
}

static uint32_t crash_rate(sim *s) {
  static const uint32_t rates[] = {0, 4000, 2000, 1000, 500, 200};
  return rates[sim_below(s, ARRAY_LEN(rates))];
}

void swarm_choose(sim *s) {
  sim_swarm *w = &s->swarm;
  w->clients = between(s, 1, 5);
  w->workers = between(s, 1, 4);
  w->activity_workers = between(s, 1, 4);
  w->ids = between(s, 2, 14);
  w->queues = between(s, 1, 3);
  w->crash_in = crash_rate(s);
  w->drain_per_100 = some(s, 40, 60);
  w->drop_per_1000 = some(s, 40, 120);
  w->dup_per_1000 = some(s, 40, 80);
  w->full_per_10000 = some(s, 25, 30);
  w->delay_ms = on(s, 50) ? between(s, 0, 5) : between(s, 0, 400);
  w->disk_turns = between(s, 0, 6);
  w->disk_ms = some(s, 40, 300);
  w->fail_commits = some(s, 30, 100);
  w->fail_loads = some(s, 35, 120);
  w->wake_late_ms = on(s, 50) ? 0 : between(s, 0, 200);
  w->vanish_per_1000 = some(s, 50, 300);
  w->think_ms = on(s, 50) ? between(s, 5, 100) : between(s, 100, 3000);
  w->sticky_per_100 = on(s, 70) ? between(s, 20, 100) : 0;
  w->forget_per_100 = some(s, 40, 50);
  w->worker_silent = some(s, 40, 150);
  w->worker_late = some(s, 40, 100);
  w->worker_fails = some(s, 40, 150);
  w->worker_bad = some(s, 40, 150);
  w->worker_twice = some(s, 40, 150);
  w->activity_silent = some(s, 40, 200);
  w->activity_late = some(s, 40, 150);
  w->activity_fails = some(s, 60, 500);
  w->activity_fatal = some(s, 30, 150);
  w->activity_twice = some(s, 40, 150);
  w->forged_per_1000 = some(s, 30, 50);
  w->repeat_per_100 = some(s, 60, 50);
  for (size_t i = 0; i < ARRAY_LEN(w->weights); i++) w->weights[i] = some(s, 60, 10);
  w->weights[0] = between(s, 4, 20); /* starts */
  w->memory_bytes = on(s, 40) ? between(s, 1000, 60000) : 0;
  w->timer_window_ms = between(s, 1000, 20000);
  w->small_window = on(s, 35);
  w->big_signals = on(s, 10);
  w->check_steps = on(s, 80);
}

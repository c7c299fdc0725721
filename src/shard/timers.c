/* timers.c - the earliest deadline of every run that has one soon.
 *
 * A run in memory is in `due` by its own earliest deadline. For the others the disk is scanned a
 * window ahead: `cold` holds (run, earliest deadline) up to due_until_ns; when one comes, the run
 * is loaded and fires like any other. A run that leaves memory adds itself to `cold` if its
 * deadline lies in the window that was scanned (or is being scanned); a later scan finds the rest.
 */
#include "base/log.h"
#include "shard/mail.h"

enum { FIRE_A_TURN = 64, SCAN_ROWS = 1024, COLD_MOST = 1000000 };

typedef struct cold_run {
  hmap_node node;
  heap_node due;
  int64_t run;
  bool publish; /* its tasks are to be offered again once it is loaded */
} cold_run;

typedef struct due_scan {
  store_load load;
  shard *s;
} due_scan;

typedef struct cold_use {
  run_use use;
  arena arena;
  bool publish;
} cold_use;

static void scan_start(shard *s, int64_t after_due_ns, int64_t after_key);

void timers_init(shard *s) {
  heap_init(&s->due);
  heap_init(&s->cold_due);
  heap_init(&s->deadlines);
  hmap_init(&s->cold);
  s->wake_ns = INT64_MAX;
  s->due_until_ns = INT64_MIN;
}

static cold_run *cold_find(const shard *s, int64_t run) {
  for (hmap_node *n = hmap_first(&s->cold, hash_u64((uint64_t)run)); n; n = hmap_next(n)) {
    cold_run *c = CONTAINER_OF(n, cold_run, node);
    if (c->run == run) return c;
  }
  return NULL;
}

static void cold_drop(shard *s, cold_run *c) {
  heap_remove(&s->cold_due, &c->due);
  hmap_remove(&s->cold, &c->node);
  mem_free(c);
}

static void cold_add(shard *s, int64_t run, int64_t due_ns, bool publish) {
  cold_run *c = cold_find(s, run);
  if (c) c->publish = c->publish || publish;
  if (c && c->due.key <= due_ns) return;
  if (c) {
    heap_remove(&s->cold_due, &c->due);
  } else {
    c = mem_new(cold_run);
    c->run = run;
    c->publish = publish;
    hmap_insert(&s->cold, &c->node, hash_u64((uint64_t)run));
  }
  heap_insert(&s->cold_due, &c->due, due_ns, (uint64_t)run);
  want_wake(s, due_ns);
}

void timers_release(shard *s) {
  for (hmap_node *n = hmap_each(&s->cold, NULL), *next; n; n = next) {
    next = hmap_each(&s->cold, n);
    cold_drop(s, CONTAINER_OF(n, cold_run, node));
  }
  hmap_release(&s->cold);
  heap_release(&s->due);
  heap_release(&s->cold_due);
  heap_release(&s->deadlines);
}

void timers_set(shard *s, shard_run *run) {
  int64_t due = engine_next_due_ns(run->engine);
  if (heap_linked(&run->due) && run->due.key == due) return;
  heap_remove(&s->due, &run->due);
  if (!due) return;
  heap_insert(&s->due, &run->due, due, (uint64_t)run->key);
  want_wake(s, due);
}

void timers_evicted(shard *s, shard_run *run, int64_t due_ns) {
  if (due_ns <= s->due_until_ns) cold_add(s, run->key, due_ns, false);
}

void timers_load_again(shard *s, int64_t key) { cold_add(s, key, now_ns(s) + NS_PER_SEC, true); }

bool timers_loaded(shard *s, int64_t key) {
  cold_run *c = cold_find(s, key);
  bool publish = c && c->publish;
  if (c) cold_drop(s, c);
  return publish;
}

/* --- firing --- */

static void fire(shard *s, shard_run *run, int64_t now) {
  step *t = step_new(s);
  engine_step *st = step_part_add(s, t, run);
  run_pin(run);
  s->suspect = run->key;
  engine_fire(run->engine, st);
  err *e = step_stage(s, t);
  s->suspect = 0;
  if (!e && run->phase == RUN_READY && heap_linked(&run->due) && run->due.key <= now) {
    /* Never the same deadline in an endless loop. */
    heap_remove(&s->due, &run->due);
    heap_insert(&s->due, &run->due, now + NS_PER_SEC, (uint64_t)run->key);
  }
  run_unpin(s, run);
  step_unref(t);
}

static void cold_ready(shard *s, run_use *u, shard_run *run, const err *e) {
  cold_use *c = CONTAINER_OF(u, cold_use, use);
  if (e && e->code != ERR_NOT_FOUND && e->code != ERR_DATA_LOSS) {
    cold_add(s, u->key, now_ns(s) + NS_PER_SEC, c->publish);
  }
  if (!e && c->publish) run_publish_ready(s, run);
  /* At once: where memory is short the run may be gone again before the next wake. */
  int64_t now = now_ns(s);
  bool is_due = !e && run->phase == RUN_READY && heap_linked(&run->due) && run->due.key <= now;
  if (is_due) fire(s, run, now);
  arena_release(&c->arena);
  mem_free(c);
}

static void cold_wake(shard *s, int64_t run, bool publish) {
  cold_use *c = mem_new(cold_use);
  c->publish = publish;
  c->use = (run_use){.key = run, .arena = &c->arena, .ready = cold_ready};
  run_find_key(s, &c->use);
}

void timers_fire(shard *s, int64_t now) {
  for (int i = 0; i < FIRE_A_TURN; i++) {
    heap_node *n = heap_min(&s->due);
    if (!n || n->key > now) break;
    fire(s, CONTAINER_OF(n, shard_run, due), now);
  }
  for (int i = 0; i < FIRE_A_TURN; i++) {
    heap_node *n = heap_min(&s->cold_due);
    if (!n || n->key > now) break;
    cold_run *c = CONTAINER_OF(n, cold_run, due);
    int64_t run = c->run;
    bool publish = c->publish;
    cold_drop(s, c);
    cold_wake(s, run, publish);
  }
  if (!s->scanning && now >= s->scan_ns) {
    int64_t from = s->due_until_ns;
    s->due_until_ns = now + s->config.timer_window_ns;
    scan_start(s, MAX(from, 0), from < 0 ? 0 : INT64_MAX);
  }
}

int64_t timers_next_ns(const shard *s) {
  int64_t next = s->scanning ? INT64_MAX : s->scan_ns;
  if (heap_min(&s->due)) next = MIN(next, heap_min(&s->due)->key);
  if (heap_min(&s->cold_due)) next = MIN(next, heap_min(&s->cold_due)->key);
  if (heap_min(&s->deadlines)) next = MIN(next, heap_min(&s->deadlines)->key);
  next = MIN(next, mail_next_ns(s));
  return next;
}

/* --- the scan --- */

static void scan_done(env_task *task) {
  due_scan *d = CONTAINER_OF(CONTAINER_OF(task, store_load, task), due_scan, load);
  shard *s = d->s;
  store_load *l = &d->load;
  int64_t now = now_ns(s);
  s->loads_under_way--;
  s->scanning = false;
  s->scan_ns = s->due_until_ns - s->config.timer_window_ns / 2;
  if (l->error) {
    LOG(ERROR, "deadlines could not be read; trying again", LOG_S("error", l->error->what));
    s->due_until_ns = l->after_due_ns;
    s->scan_ns = now + NS_PER_SEC;
  }
  for (size_t i = 0; i < l->n_rows; i++) {
    /* A read under way may fail. */
    const shard_run *run = run_by_key(s, l->rows[i].run);
    if (run && run->phase != RUN_LOADING) continue;
    cold_add(s, l->rows[i].run, l->rows[i].due_ns, false);
  }
  if (l->more && l->n_rows && !s->draining) {
    const store_row *last = &l->rows[l->n_rows - 1];
    if (s->cold.count < COLD_MOST) {
      scan_start(s, last->due_ns, store_row_key(last->run, last->id));
    } else {
      /* Enough for now: the rest is found when these have fired. */
      s->due_until_ns = last->due_ns - 1;
      s->scan_ns = MAX(s->due_until_ns, now + NS_PER_SEC);
    }
  }
  engine_rows_release(l->rows, l->n_rows);
  arena_release(&l->arena);
  mem_free(d);
  want_wake(s, timers_next_ns(s));
  check_drained(s);
}

static void scan_start(shard *s, int64_t after_due_ns, int64_t after_key) {
  due_scan *d = mem_new(due_scan);
  d->s = s;
  d->load = (store_load){.kind = LOAD_DUE,
                         .after_due_ns = after_due_ns,
                         .after_key = after_key,
                         .until_ns = s->due_until_ns,
                         .limit = SCAN_ROWS,
                         .task = {.run = scan_done}};
  s->scanning = true;
  s->loads_under_way++;
  s->store->load(s->store, &d->load);
}

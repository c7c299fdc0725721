#include "store/memory.h"

#include "base/mem.h"
#include "store/memory_disk.h"

typedef struct memory_store memory_store;

/* A commit or a load under way. */
typedef struct memory_op {
  env_task task;
  list_node node;      /* in memory_store.ops */
  memory_store *store; /* NULL: closed, only the memory is left to free */
  uint32_t turns;      /* to wait before the next thing happens */
  enum { OP_WRITE_TOGETHER, OP_WRITE_ALONE, OP_LOAD, OP_QUERY, OP_DONE } next;
  store_batch *batch;
  store_step *step; /* OP_WRITE_ALONE: the one to write */
  store_load *load;
  store_query *query;
} memory_op;

struct memory_store {
  store base;
  store_memory_options options;
  list ops;
  uint32_t fail_commits;
  store_stats counts;
};

static memory_store *self(store *s) { return CONTAINER_OF(s, memory_store, base); }

static bool chance(memory_store *s, uint32_t per_1000) {
  return per_1000 && rng_below(&s->base.env->random, 1000) < per_1000;
}

static uint32_t some_turns(memory_store *s) {
  if (!s->options.max_turns) return 0;
  return (uint32_t)rng_below(&s->base.env->random, (uint64_t)s->options.max_turns + 1);
}

/* --- commits --- */

static bool injected_failure(memory_store *s, store_batch *b) {
  if (s->fail_commits) {
    s->fail_commits--;
  } else if (!chance(s, s->options.fail_commits_per_1000)) {
    return false;
  }
  b->error = ERR(&b->arena, UNAVAILABLE, "the disk of the simulation is full");
  return true;
}

static bool refused_before(const store_batch *b, store_step *s) {
  for (const store_step *e = b->steps; e != s && s->run; e = e->next) {
    if (e->run != s->run || e->status == STORE_OK) continue;
    s->status = e->status;
    s->conflict_run = e->conflict_run;
    return true;
  }
  return false;
}

/* The end of a transaction that is durable now. */
static void committed(memory_store *s, disk_log *log) {
  disk_log *unsynced = &s->options.disk->unsynced;
  disk_keep(unsynced);
  if (s->options.acknowledge_early) {
    *unsynced = *log;
    *log = (disk_log){0};
  } else {
    disk_keep(log);
  }
  s->counts.commits++;
  s->counts.syncs++;
}

static void count_step(memory_store *s, const store_step *step) {
  if (step->status != STORE_OK) return;
  s->counts.steps++;
  s->counts.rows += step->n_rows;
}

/* Writes the steps from `from` up to, not including, `until` as one transaction. */
static bool write_steps(memory_store *s, store_batch *b, store_step *from, store_step *until) {
  disk_log log = {0};
  bool failed = injected_failure(s, b);
  for (store_step *e = from; e != until && !failed; e = e->next) {
    const char *why = NULL;
    if (refused_before(b, e)) continue;
    disk_write_step(s->options.disk, e, &log, &why);
    if (e->status != STORE_FAILED) continue;
    b->error = ERR(&b->arena, INTERNAL, "%s", why);
    failed = true;
  }
  if (failed) {
    disk_undo(s->options.disk, &log);
    return false;
  }
  committed(s, &log);
  for (store_step *e = from; e != until; e = e->next) count_step(s, e);
  return true;
}

static void write_together(memory_store *s, memory_op *op) {
  op->next = OP_DONE;
  if (write_steps(s, op->batch, op->batch->steps, NULL)) return;
  op->next = OP_WRITE_ALONE;
  op->step = op->batch->steps;
}

static void write_alone(memory_store *s, memory_op *op) {
  store_step *step = op->step;
  if (!refused_before(op->batch, step) && !write_steps(s, op->batch, step, step->next)) {
    step->status = STORE_FAILED;
  }
  op->step = step->next;
  if (!op->step) op->next = OP_DONE;
}

/* --- operations --- */

static void run_load(memory_store *s, memory_op *op) {
  store_load *l = op->load;
  op->next = OP_DONE;
  s->counts.loads++;
  if (chance(s, s->options.fail_loads_per_1000)) {
    l->error = ERR(&l->arena, UNAVAILABLE, "the disk of the simulation cannot be read");
    return;
  }
  disk_load(s->options.disk, l);
}

static void run_query(memory_store *s, memory_op *op) {
  store_query *q = op->query;
  op->next = OP_DONE;
  s->counts.queries++;
  if (chance(s, s->options.fail_loads_per_1000)) {
    q->error = ERR(&q->arena, UNAVAILABLE, "the disk of the simulation cannot be read");
    return;
  }
  disk_query(s->options.disk, q);
}

static env_task *task_of(memory_op *op) {
  if (op->batch) return &op->batch->task;
  return op->load ? &op->load->task : &op->query->task;
}

/* Lets the op's next thing happen; false when it was the last. */
static bool advance(memory_store *s, memory_op *op) {
  switch (op->next) {
    case OP_WRITE_TOGETHER:
      write_together(s, op);
      return true;
    case OP_WRITE_ALONE:
      write_alone(s, op);
      return true;
    case OP_LOAD:
      run_load(s, op);
      return true;
    case OP_QUERY:
      run_query(s, op);
      return true;
    case OP_DONE:
      s->base.env->post(s->base.env, task_of(op));
      return false;
  }
  PANIC("unknown state of an operation: %d", (int)op->next);
}

static void on_turn(env_task *t) {
  memory_op *op = CONTAINER_OF(t, memory_op, task);
  memory_store *s = op->store;
  bool more = s != NULL;
  if (more && op->turns > 0) {
    op->turns--;
  } else if (more) {
    more = advance(s, op);
    op->turns = some_turns(s);
  }
  if (more) {
    s->base.env->post(s->base.env, &op->task);
    return;
  }
  list_remove(&op->node);
  mem_free(op);
}

static memory_op *start_op(memory_store *s) {
  memory_op *op = mem_new(memory_op);
  op->task.run = on_turn;
  op->store = s;
  op->turns = some_turns(s);
  list_push_back(&s->ops, &op->node);
  s->base.env->post(s->base.env, &op->task);
  return op;
}

static void memory_commit(store *base, store_batch *b) {
  memory_store *s = self(base);
  LIST_FOR_EACH (n, &s->ops) ASSERT(CONTAINER_OF(n, memory_op, node)->batch == NULL);
  b->error = NULL;
  memory_op *op = start_op(s);
  op->batch = b;
  op->next = OP_WRITE_TOGETHER;
}

static void memory_load(store *base, store_load *l) {
  l->error = NULL;
  l->found = l->more = false;
  l->row = (store_row){0};
  l->rows = NULL;
  l->n_rows = 0;
  memory_op *op = start_op(self(base));
  op->load = l;
  op->next = OP_LOAD;
}

static void memory_query(store *base, store_query *q) {
  store_query_begin(q);
  memory_op *op = start_op(self(base));
  op->query = q;
  op->next = OP_QUERY;
}

static void memory_stats(store *base, store_stats *ret_stats) { *ret_stats = self(base)->counts; }

static void memory_close(store *base) {
  memory_store *s = self(base);
  LIST_FOR_EACH (n, &s->ops) {
    memory_op *op = CONTAINER_OF(n, memory_op, node);
    while (advance(s, op)) continue;
    op->store = NULL; /* its task is still with the env, and frees it */
    list_remove(&op->node);
  }
  disk_keep(&s->options.disk->unsynced);
  mem_free(s);
}

store *store_memory_open(const store_memory_options *o, env *e) {
  memory_store *s = mem_new(memory_store);
  s->base = (store){.env = e,
                    .commit = memory_commit,
                    .load = memory_load,
                    .query = memory_query,
                    .stats = memory_stats,
                    .close = memory_close,
                    .last_run_key = o->disk->last_run_key,
                    .last_seq = o->disk->last_seq};
  s->options = *o;
  list_init(&s->ops);
  return &s->base;
}

void store_memory_fail_commits(store *s, uint32_t n) { self(s)->fail_commits = n; }

void store_memory_end_faults(store *base) {
  memory_store *s = self(base);
  s->fail_commits = s->options.fail_commits_per_1000 = s->options.fail_loads_per_1000 = 0;
}

void store_memory_crash(store *base) {
  memory_store *s = self(base);
  LIST_FOR_EACH (n, &s->ops) {
    list_remove(n);
    mem_free(CONTAINER_OF(n, memory_op, node));
  }
  if (s->options.acknowledge_early) disk_undo(s->options.disk, &s->options.disk->unsynced);
  mem_free(s);
}

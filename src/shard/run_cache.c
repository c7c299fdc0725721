/* run_cache.c - the runs in memory: found, loaded, dropped, evicted.
 *
 *            find                rows decode
 *   (absent) -----> LOADING ------------------> READY ---evict---> (absent)
 *                      |  '--- not there           |  '--- a commit failed --> GONE, read again
 *                      '--- do not decode --> QUARANTINED <--- an invariant is broken
 *   READY --- a step takes its rows away --> DELETED --- durable --> GONE
 *
 * A LOADING run is in `runs`, so that nothing else can load or change it meanwhile. The current run
 * of a workflow id is known only while it is in memory; a read that asked the disk for it is told
 * (`stale`) when a run of the id was evicted since.
 */
#include "base/log.h"
#include "shard/mail.h"

typedef struct run_load {
  store_load load;
  shard *s;
  shard_run *run;
} run_load;

typedef struct current_load {
  store_load load;
  hmap_node node;
  shard *s;
  list uses;
  bool stale;
  int64_t ns;
  size_t n;
  uint8_t workflow_id[];
} current_load;

void run_cache_init(shard *s) {
  hmap_init(&s->runs);
  hmap_init(&s->currents);
  hmap_init(&s->current_loads);
  list_init(&s->lru);
  list_init(&s->closed);
  rng *r = &s->env->random;
  s->hash_key = (hash_key){rng_next(r), rng_next(r)};
}

static uint64_t id_hash(const shard *s, int64_t ns, span workflow_id) {
  return hash_bytes(s->hash_key, workflow_id) ^ hash_u64((uint64_t)ns);
}

shard_run *run_by_key(const shard *s, int64_t key) {
  for (hmap_node *n = hmap_first(&s->runs, hash_u64((uint64_t)key)); n; n = hmap_next(n)) {
    shard_run *run = CONTAINER_OF(n, shard_run, by_key);
    if (run->key == key) return run;
  }
  return NULL;
}

shard_run *run_current(const shard *s, int64_t ns, span workflow_id) {
  for (hmap_node *n = hmap_first(&s->currents, id_hash(s, ns, workflow_id)); n; n = hmap_next(n)) {
    shard_run *run = CONTAINER_OF(n, shard_run, by_id);
    if (run->ns == ns && span_eq(run->workflow_id, workflow_id)) return run;
  }
  return NULL;
}

static shard_run *run_make(shard *s, int64_t key) {
  shard_run *run = mem_new(shard_run);
  run->key = key;
  run->phase = RUN_LOADING;
  list_init(&run->uses);
  list_init(&run->watchers);
  list_init(&run->queries);
  list_init(&run->describes);
  list_init(&run->update_waits);
  hmap_insert(&s->runs, &run->by_key, hash_u64((uint64_t)key));
  return run;
}

static void current_clear(shard *s, shard_run *run) {
  if (run->current) hmap_remove(&s->currents, &run->by_id);
  run->current = false;
}

static void current_set(shard *s, shard_run *run) {
  if (run->current) return;
  shard_run *before = run_current(s, run->ns, run->workflow_id);
  if (before) current_clear(s, before);
  run->current = true;
  hmap_insert(&s->currents, &run->by_id, id_hash(s, run->ns, run->workflow_id));
}

static void run_free(shard_run *run) {
  ASSERT(list_empty(&run->uses) && list_empty(&run->watchers) && list_empty(&run->queries));
  ASSERT(list_empty(&run->describes));
  ASSERT(list_empty(&run->update_waits));
  mem_free((void *)run->workflow_id.p);
  mem_free(run->trouble);
  mem_free(run->lazy);
  mem_free(run->history.v);
  mem_free(run);
}

void run_pin(shard_run *run) { run->pins++; }

void run_unpin(shard *s, shard_run *run) {
  ASSERT(run->pins > 0);
  if (--run->pins == 0 && run->phase == RUN_GONE) run_free(run);
}

/* Everything that memory knows of the run but the object itself. */
static void run_forget(shard *s, shard_run *run) {
  current_clear(s, run);
  heap_remove(&s->due, &run->due);
  list_remove(&run->lru);
  list_remove(&run->lazy_node);
  engine_rows_release(run->lazy, run->n_lazy);
  run->n_lazy = 0;
  history_release(run);
  engine_free(run->engine);
  run->engine = NULL;
  s->run_bytes -= run->bytes;
  if (run->closed) s->closed_bytes -= run->bytes;
  run->closed = false;
  run->bytes = 0;
}

static void run_remove(shard *s, shard_run *run) {
  run_forget(s, run);
  hmap_remove(&s->runs, &run->by_key);
  run->phase = RUN_GONE;
  if (!run->pins) run_free(run);
}

static void name_run(shard_run *run, span workflow_id) {
  if (run->workflow_id.p) return;
  uint8_t *id = mem_alloc(workflow_id.n + 1);
  if (workflow_id.n) memcpy(id, workflow_id.p, workflow_id.n);
  run->workflow_id = span_of(id, workflow_id.n);
}

static void run_begin(shard *s, shard_run *run, engine_run *engine) {
  engine_view v;
  engine_look(engine, &v);
  run->engine = engine;
  run->ns = v.ns;
  run->phase = RUN_READY;
  name_run(run, v.workflow_id);
  run_changed(s, run);
}

shard_run *run_adopt(shard *s, engine_run *engine) {
  engine_view v;
  engine_look(engine, &v);
  shard_run *run = run_make(s, v.run);
  run_begin(s, run, engine);
  current_set(s, run);
  return run;
}

/* Used just now. Closed runs are seldom needed again and may take only a part of the memory. */
static void run_touch(shard *s, shard_run *run) {
  list_remove(&run->lru);
  list_push_back(run->closed ? &s->closed : &s->lru, &run->lru);
}

void run_changed(shard *s, shard_run *run) {
  if (run->phase != RUN_READY) return;
  timers_set(s, run);
  history_trim(s, run);
  size_t now = sizeof *run + run->workflow_id.n + run->history.bytes +
               run->cap_lazy * sizeof(store_row) + engine_memory_bytes(run->engine);
  engine_view v;
  engine_look(run->engine, &v);
  s->run_bytes += now - run->bytes;
  if (run->closed) s->closed_bytes -= run->bytes;
  run->bytes = now;
  run->closed = v.status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (run->closed) s->closed_bytes += now;
  run_touch(s, run);
  if (!list_empty(&run->queries)) queries_review(s, run);
}

/* --- errors --- */

const err *run_gone_error(arena *a) {
  return ERR(a, UNAVAILABLE, "the run was dropped from memory while it was in use; try again");
}

err *not_found_error(arena *a, const char *what) {
  err *e = ERR(a, NOT_FOUND, "%s", what);
  e->detail_type = pb_name(&pb_NotFoundFailure_desc);
  return e;
}

err *run_not_found(arena *a, span workflow_id, span run_id) {
  if (!run_id.n) {
    return not_found_error(
        a, arena_printf(a, "workflow not found for ID: %.*s", SPAN_ARG(workflow_id)));
  }
  return not_found_error(
      a,
      arena_printf(a, "workflow execution not found for workflow ID \"%.*s\" and run ID \"%.*s\"",
                   SPAN_ARG(workflow_id), SPAN_ARG(run_id)));
}

err *run_trouble_error(arena *a, const char *trouble) {
  return ERR(a, DATA_LOSS,
             "this run is out of service because its state is broken: %s. Other runs are not "
             "affected. Please report this with the server's log.",
             trouble);
}

static bool is_asked_for(const run_use *u, const shard_run *run) {
  engine_view v;
  engine_look(run->engine, &v);
  return (!u->ns || v.ns == u->ns) && (!u->run_id.n || span_eq(v.run_id, u->run_id)) &&
         (!u->workflow_id.n || span_eq(v.workflow_id, u->workflow_id));
}

static void use_give(shard *s, run_use *u, shard_run *run) {
  if (run->phase == RUN_QUARANTINED) {
    u->ready(s, u, NULL, run_trouble_error(u->arena, run->trouble));
  } else if (run->phase != RUN_READY && run->phase != RUN_DELETED) {
    u->ready(s, u, NULL, run_gone_error(u->arena));
  } else if (run->phase == RUN_DELETED || !is_asked_for(u, run)) {
    u->ready(s, u, NULL, run_not_found(u->arena, u->workflow_id, u->run_id));
  } else {
    int64_t outer = s->suspect; /* one use may lead to another */
    run_touch(s, run);
    s->suspect = run->key;
    u->ready(s, u, run, NULL);
    s->suspect = outer;
  }
}

/* The run is pinned meanwhile: what one use does may drop it for the others. */
static void uses_give(shard *s, shard_run *run, list *uses) {
  run_pin(run);
  for (list_node *n = list_pop_front(uses); n; n = list_pop_front(uses)) {
    use_give(s, CONTAINER_OF(n, run_use, node), run);
  }
  run_unpin(s, run);
}

static void uses_fail(shard *s, list *uses, const err *e) {
  for (list_node *n = list_pop_front(uses); n; n = list_pop_front(uses)) {
    run_use *u = CONTAINER_OF(n, run_use, node);
    u->ready(s, u, NULL,
             e ? err_dup(u->arena, e) : run_not_found(u->arena, u->workflow_id, u->run_id));
  }
}

/* --- loading by key --- */

static void load_release(shard *s, store_load *l) {
  engine_rows_release(&l->row, 1);
  engine_rows_release(l->rows, l->n_rows);
  arena_release(&l->arena);
  s->loads_under_way--;
}

/* After a failed commit: tasks that were handed out may be ready again. */
void run_publish_ready(shard *s, shard_run *run) {
  step *t = step_new(s);
  engine_step *st = step_part_add(s, t, run);
  engine_ready_tasks(run->engine, st);
  for (size_t i = 0; i < st->n_tasks && run->phase == RUN_READY; i++) {
    publish_task(s, run, &st->tasks[i]);
  }
  step_unref(t);
}

static bool is_quarantined(const shard *s, int64_t key) {
  for (size_t i = 0; i < s->config.n_quarantined; i++) {
    if (s->config.quarantined[i] == key) return true;
  }
  return false;
}

/* What is wrong with a run that was read, or NULL and the run. */
static const char *decode(shard *s, store_load *l, int64_t key, engine_run **ret_engine) {
  if (is_quarantined(s, key)) return "the server crashed twice in a row while it worked on it";
  s->suspect = key;
  err *e = engine_load(&l->row, l->rows, l->n_rows, &l->arena, ret_engine);
  const char *trouble = e ? e->what : engine_check(*ret_engine, &l->arena);
  s->suspect = 0;
  return trouble;
}

/* The rows of a LOADING run have come. */
static void run_loaded(shard *s, shard_run *run, store_load *l) {
  engine_run *engine = NULL;
  const char *trouble = decode(s, l, run->key, &engine);
  s->stats.loads++;
  if (trouble) {
    engine_free(engine);
    run->ns = l->row.ns;
    name_run(run, l->row.workflow_id);
    run_quarantine(s, run, trouble);
  } else {
    run_begin(s, run, engine);
    if (timers_loaded(s, run->key)) run->publish_ready = true;
    if (run->publish_ready) run_publish_ready(s, run);
    mail_again(s, run);
  }
}

static void run_load_done(env_task *task) {
  run_load *rl = CONTAINER_OF(CONTAINER_OF(task, store_load, task), run_load, load);
  shard *s = rl->s;
  shard_run *run = rl->run;
  list uses;
  list_init(&uses);
  for (list_node *n = list_pop_front(&run->uses); n; n = list_pop_front(&run->uses)) {
    list_push_back(&uses, n);
  }
  if (rl->load.error || !rl->load.found) {
    if (rl->load.error && run->publish_ready) timers_load_again(s, run->key);
    run_remove(s, run);
    uses_fail(s, &uses, rl->load.error);
  } else {
    run_pin(run);
    run_loaded(s, run, &rl->load);
    uses_give(s, run, &uses);
    run_unpin(s, run);
  }
  load_release(s, &rl->load);
  mem_free(rl);
  runs_evict(s);
  check_drained(s);
}

static shard_run *run_load_start(shard *s, int64_t key) {
  run_load *rl = mem_new(run_load);
  rl->s = s;
  rl->run = run_make(s, key);
  rl->load = (store_load){.kind = LOAD_RUN, .run = key, .task = {.run = run_load_done}};
  s->loads_under_way++;
  s->store->load(s->store, &rl->load);
  return rl->run;
}

void run_find_key(shard *s, run_use *u) {
  shard_run *run = run_by_key(s, u->key);
  if (!run) run = run_load_start(s, u->key);
  if (run->phase == RUN_LOADING) {
    list_push_back(&run->uses, &u->node);
  } else {
    use_give(s, u, run);
  }
}

/* --- loading by workflow id --- */

static current_load *current_load_find(const shard *s, int64_t ns, span workflow_id) {
  uint64_t hash = id_hash(s, ns, workflow_id);
  for (hmap_node *n = hmap_first(&s->current_loads, hash); n; n = hmap_next(n)) {
    current_load *l = CONTAINER_OF(n, current_load, node);
    if (l->ns == ns && span_eq(span_of(l->workflow_id, l->n), workflow_id)) return l;
  }
  return NULL;
}

static void current_found(shard *s, current_load *cl, list *uses) {
  store_load *l = &cl->load;
  shard_run *run = run_current(s, cl->ns, span_of(cl->workflow_id, cl->n));
  if (!run) {
    run = run_by_key(s, l->row.run);
    if (!run) {
      run = run_make(s, l->row.run);
      run_pin(run);
      run_loaded(s, run, l);
      run_unpin(s, run);
    }
    if (run->phase == RUN_READY) current_set(s, run);
  }
  if (run->phase != RUN_LOADING) {
    uses_give(s, run, uses);
    return;
  }
  for (list_node *n = list_pop_front(uses); n; n = list_pop_front(uses)) {
    list_push_back(&run->uses, n);
  }
}

static void current_load_done(env_task *task) {
  current_load *cl = CONTAINER_OF(CONTAINER_OF(task, store_load, task), current_load, load);
  shard *s = cl->s;
  hmap_remove(&s->current_loads, &cl->node);
  list uses;
  list_init(&uses);
  for (list_node *n = list_pop_front(&cl->uses); n; n = list_pop_front(&cl->uses)) {
    list_push_back(&uses, n);
  }
  shard_run *known = run_current(s, cl->ns, span_of(cl->workflow_id, cl->n));
  if (cl->load.error && !known) {
    uses_fail(s, &uses, cl->load.error);
  } else if (cl->stale && !known) {
    for (list_node *n = list_pop_front(&uses); n; n = list_pop_front(&uses)) {
      run_find(s, CONTAINER_OF(n, run_use, node));
    }
  } else if (!cl->load.found && !known) {
    uses_fail(s, &uses, NULL);
  } else {
    current_found(s, cl, &uses);
  }
  load_release(s, &cl->load);
  mem_free(cl);
  runs_evict(s);
  check_drained(s);
}

static void find_current(shard *s, run_use *u) {
  shard_run *run = run_current(s, u->ns, u->workflow_id);
  if (run) {
    use_give(s, u, run);
    return;
  }
  current_load *cl = current_load_find(s, u->ns, u->workflow_id);
  if (!cl) {
    cl = mem_zalloc(sizeof *cl + u->workflow_id.n + 1);
    cl->s = s;
    cl->ns = u->ns;
    cl->n = u->workflow_id.n;
    if (cl->n) memcpy(cl->workflow_id, u->workflow_id.p, cl->n);
    list_init(&cl->uses);
    hmap_insert(&s->current_loads, &cl->node, id_hash(s, cl->ns, u->workflow_id));
    cl->load = (store_load){.kind = LOAD_CURRENT,
                            .ns = cl->ns,
                            .workflow_id = span_of(cl->workflow_id, cl->n),
                            .task = {.run = current_load_done}};
    s->loads_under_way++;
    s->store->load(s->store, &cl->load);
  }
  list_push_back(&cl->uses, &u->node);
}

void run_find(shard *s, run_use *u) {
  if (!u->run_id.n) {
    find_current(s, u);
  } else if (run_id_parse(u->run_id, &u->key)) {
    run_find_key(s, u);
  } else {
    u->ready(s, u, NULL, run_not_found(u->arena, u->workflow_id, u->run_id));
  }
}

/* --- leaving memory --- */

static void waiting_fail(shard *s, shard_run *run, const err *e) {
  gates_fail(s, run, e);
  watchers_fail(s, run, e);
  queries_fail(s, run, e);
  describes_fail(s, run, e);
  updates_fail(s, run, e);
}

void run_drop(shard *s, shard_run *run, const err *e, bool reload) {
  if (run->phase != RUN_READY && run->phase != RUN_DELETED) return;
  int64_t key = run->key;
  run_pin(run);
  run_remove(s, run);
  if (reload) run_load_start(s, key)->publish_ready = true;
  staged_forget(s, run, e);
  waiting_fail(s, run, e);
  run_unpin(s, run);
}

void run_deleted(shard *s, shard_run *run) {
  arena a = ARENA_INIT;
  err *e = not_found_error(
      &a, arena_printf(&a, "workflow not found for ID: %.*s", SPAN_ARG(run->workflow_id)));
  run_pin(run);
  run_forget(s, run);
  run->phase = RUN_DELETED;
  watchers_fail(s, run, e);
  queries_fail(s, run, e);
  describes_fail(s, run, e);
  run_unpin(s, run);
  arena_release(&a);
}

void run_delete_durable(shard *s, shard_run *run) {
  if (run->phase == RUN_DELETED) run_remove(s, run);
}

void run_quarantine(shard *s, shard_run *run, const char *trouble) {
  arena a = ARENA_INIT;
  err *e = run_trouble_error(&a, trouble);
  LOG(ERROR, "a run is out of service: its state is broken; the others go on. Please report this",
      LOG_SPAN("workflow_id", run->workflow_id), LOG_I("run", run->key), LOG_S("trouble", trouble));
  run_pin(run);
  mem_free(run->trouble);
  run->trouble = mem_strdup(trouble);
  run_forget(s, run);
  run->phase = RUN_QUARANTINED;
  staged_forget(s, run, e);
  waiting_fail(s, run, e);
  run_unpin(s, run);
  arena_release(&a);
}

static bool is_evictable(const shard *s, const shard_run *run) {
  /* What is in memory only would be lost: nobody would time the task out. */
  if (engine_task_in_memory(run->engine)) return false;
  return !run->pins && run->lsn <= s->durable_lsn && !list_linked(&run->lazy_node) &&
         list_empty(&run->watchers) && list_empty(&run->queries) && list_empty(&run->describes);
}

static void evict(shard *s, shard_run *run) {
  int64_t due = engine_next_due_ns(run->engine);
  current_load *cl = current_load_find(s, run->ns, run->workflow_id);
  if (cl) cl->stale = true;
  if (due) timers_evicted(s, run, due);
  run_remove(s, run);
  s->stats.evictions++;
}

/* Some of the least recently used ones, until no more than `most` bytes are left. */
static void evict_from(shard *s, list *l, const size_t *counted, size_t most) {
  enum { LOOK_AT = 64 };
  for (int i = 0; i<LOOK_AT && * counted> most && !list_empty(l); i++) {
    shard_run *run = CONTAINER_OF(list_first(l), shard_run, lru);
    if (is_evictable(s, run)) {
      evict(s, run);
    } else { /* in use: it must not hide those behind it */
      list_remove(&run->lru);
      list_push_back(l, &run->lru);
    }
  }
}

void runs_evict(shard *s) {
  enum { CLOSED_PART = 16 };
  evict_from(s, &s->closed, &s->closed_bytes, s->config.memory_bytes / CLOSED_PART);
  evict_from(s, &s->lru, &s->run_bytes, s->config.memory_bytes);
}

void run_cache_release(shard *s) {
  for (hmap_node *n = hmap_each(&s->runs, NULL), *next; n; n = next) {
    next = hmap_each(&s->runs, n);
    shard_run *run = CONTAINER_OF(n, shard_run, by_key);
    ASSERT(!run->pins);
    run_remove(s, run);
  }
  hmap_release(&s->runs);
  hmap_release(&s->currents);
  hmap_release(&s->current_loads);
}

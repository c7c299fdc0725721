/* step.c - what one request changes, and when it is written: with the next commit, or lazily. */
#include "shard/shard_int.h"

enum { SPARE_STEPS = 256, SPARE_BYTES = 16 * 1024 };

/* Steps are made and dropped all the time: some are kept with the memory of their arena. */
step *step_new(shard *s) {
  list_node *n = list_pop_front(&s->spare);
  if (n) {
    s->n_spare--;
  } else {
    n = &mem_new(step)->node;
  }
  step *t = CONTAINER_OF(n, step, node);
  t->s = s;
  t->refs = 1;
  return t;
}

void steps_release(shard *s) {
  for (list_node *n = list_pop_front(&s->spare); n; n = list_pop_front(&s->spare)) {
    step *t = CONTAINER_OF(n, step, node);
    arena_release(&t->arena);
    mem_free(t);
  }
}

static void rows_drop(step *t) {
  engine_rows_release(t->store.rows, t->store.n_rows);
  t->store.n_rows = 0;
  for (size_t i = 0; i < t->n_parts; i++) {
    engine_rows_release(t->parts[i].st->rows, t->parts[i].st->n_rows);
    t->parts[i].st->n_rows = 0;
  }
}

void step_unref(step *t) {
  if (!t || --t->refs > 0) return;
  shard *s = t->s;
  rows_drop(t);
  if (s->n_spare == SPARE_STEPS || t->arena.total_bytes > SPARE_BYTES) {
    arena_release(&t->arena);
    mem_free(t);
    return;
  }
  arena_reset(&t->arena);
  *t = (step){.arena = t->arena};
  list_push_front(&s->spare, &t->node);
  s->n_spare++;
}

engine_step *step_part_new(shard *s, step *t) {
  ASSERT(t->n_parts < STEP_PARTS);
  engine_step *st = arena_new(&t->arena, engine_step);
  engine_step_init(st, &s->host, now_ns(s), &s->env->random, &t->arena);
  t->parts[t->n_parts++] = (step_part){.st = st};
  return st;
}

engine_step *step_part_add(shard *s, step *t, shard_run *run) {
  engine_step *st = step_part_new(s, t);
  t->parts[t->n_parts - 1].run = run;
  return st;
}

shard_run *step_adopt(shard *s, step *t, engine_step *st, engine_run *engine) {
  shard_run *run = run_adopt(s, engine);
  for (size_t i = 0; i < t->n_parts; i++) {
    if (t->parts[i].st == st) t->parts[i].run = run;
  }
  return run;
}

/* The runs that follow others in this step become parts of their own. */
static void adopt_followers(shard *s, step *t) {
  for (size_t i = 0; i < t->n_parts; i++) {
    engine_step *st = t->parts[i].st;
    if (!st->follower) continue;
    ASSERT(t->n_parts < STEP_PARTS);
    engine_step *next = st->follower_step;
    t->parts[t->n_parts++] = (step_part){.st = next, .run = run_adopt(s, st->follower)};
    st->follower = NULL;
  }
}

/* --- merging rows of one run --- */

static bool same_slot(const store_row *a, const store_row *b) {
  if (a->kind == ROW_RUN_UPDATE || b->kind == ROW_RUN_UPDATE) return a->kind == b->kind;
  if (a->kind == ROW_ATTEMPT_PUT || b->kind == ROW_ATTEMPT_PUT) {
    return a->kind == b->kind && a->id == b->id && a->attempt == b->attempt;
  }
  bool a_item = a->kind == ROW_ITEM_PUT || a->kind == ROW_ITEM_DELETE;
  bool b_item = b->kind == ROW_ITEM_PUT || b->kind == ROW_ITEM_DELETE;
  return a_item && b_item && a->id == b->id;
}

static void join_history(store_row *into, store_row *from) {
  bytes *both = bytes_new(into->blob->n + from->blob->n);
  memcpy(both->p, into->blob->p, into->blob->n);
  memcpy(both->p + into->blob->n, from->blob->p, from->blob->n);
  engine_rows_release(into, 1);
  engine_rows_release(from, 1);
  into->blob = both;
}

/* Puts a row over what is there: the last one of a slot counts, batches of events become one. */
static void merge_row(store_row *rows, size_t *n, store_row *row) {
  enum { JOIN_BYTES = 64 * 1024 };
  for (size_t i = *n; i-- > 0;) {
    if (same_slot(&rows[i], row)) {
      engine_rows_release(&rows[i], 1);
      rows[i] = *row;
      return;
    }
    if (row->kind == ROW_HISTORY_ADD && rows[i].kind == ROW_HISTORY_ADD) {
      if (rows[i].blob->n + row->blob->n > JOIN_BYTES) break;
      join_history(&rows[i], row);
      return;
    }
  }
  rows[(*n)++] = *row;
}

static void lazy_add(shard *s, shard_run *run, engine_step *st) {
  size_t need = run->n_lazy + st->n_rows;
  if (need > run->cap_lazy) {
    run->cap_lazy = MAX(need, run->cap_lazy * 2);
    run->lazy = mem_realloc(run->lazy, run->cap_lazy * sizeof *run->lazy);
  }
  for (size_t i = 0; i < st->n_rows; i++) {
    if (st->rows[i].kind == ROW_HISTORY_ADD) {
      history_add(run, st->rows[i].id, st->rows[i].blob, UINT64_MAX);
    }
    merge_row(run->lazy, &run->n_lazy, &st->rows[i]);
  }
  st->n_rows = 0;
}

static void lazy_mark(shard *s, shard_run *run) {
  if (list_linked(&run->lazy_node)) return;
  run->lazy_by_ns = now_ns(s) + SHARD_LAZY_NS;
  list_push_back(&s->lazy, &run->lazy_node);
  want_wake(s, run->lazy_by_ns);
}

/* --- staging --- */

static bool is_lazy(const step *t) {
  for (size_t i = 0; i < t->n_parts; i++) {
    if (!t->parts[i].st->lazy) return false;
  }
  return true;
}

/* A lazy task must be known to memory: the disk does not have it yet. */
static bool tasks_keep(shard *s, const step *t) {
  for (size_t i = 0; i < t->n_parts; i++) {
    const engine_step *st = t->parts[i].st;
    for (size_t k = 0; k < st->n_tasks; k++) {
      if (!publish_keeps(s, &st->tasks[k])) return false;
    }
  }
  return true;
}

static void publish_now(shard *s, step *t) {
  for (size_t i = 0; i < t->n_parts; i++) {
    step_part *p = &t->parts[i];
    size_t n = p->st->n_tasks;
    p->st->n_tasks = 0;
    for (size_t k = 0; k < n && p->run->phase == RUN_READY; k++) {
      publish_task(s, p->run, &p->st->tasks[k]);
    }
  }
}

static size_t rows_of(const step *t) {
  size_t n = 0;
  for (size_t i = 0; i < t->n_parts; i++) n += t->parts[i].st->n_rows + t->parts[i].run->n_lazy;
  return n;
}

/* What was put off for the run goes first, then the rows of this step, merged. */
static void collect_rows(shard *s, step *t, step_part *p) {
  shard_run *run = p->run;
  size_t first = t->store.n_rows, n = 0;
  store_row *rows = t->store.rows + first;
  for (size_t i = 0; i < run->n_lazy; i++) rows[n++] = run->lazy[i];
  run->n_lazy = 0;
  list_remove(&run->lazy_node);
  history_mark_staged(run, t->lsn);
  for (size_t i = 0; i < p->st->n_rows; i++) {
    store_row *row = &p->st->rows[i];
    if (row->kind == ROW_HISTORY_ADD) history_add(run, row->id, row->blob, t->lsn);
    merge_row(rows, &n, row);
  }
  p->st->n_rows = 0;
  t->store.n_rows += n;
  run->lsn = t->lsn;
}

static void stage(shard *s, step *t) {
  size_t n = rows_of(t);
  if (!n) return;
  t->lsn = ++s->staged_lsn;
  bool promises = promise_is_unwritten(s);
  t->store.rows = arena_array(&t->arena, store_row, n + promises);
  t->store.run = t->parts[0].run->key;
  for (size_t i = 0; i < t->n_parts; i++) {
    run_pin(t->parts[i].run);
    collect_rows(s, t, &t->parts[i]);
  }
  if (promises) t->store.rows[t->store.n_rows++] = promise_row(s, t);
  names_join(s, t);
  t->refs++;
  list_push_back(&s->staged, &t->node);
  s->stats.steps++;
  want_turn(s);
}

static err *check_parts(shard *s, step *t) {
  if (!s->config.check_steps) return NULL;
  for (size_t i = 0; i < t->n_parts; i++) {
    const char *trouble = engine_check(t->parts[i].run->engine, &t->arena);
    if (!trouble) continue;
    err *e = run_trouble_error(&t->arena, trouble);
    rows_drop(t);
    run_quarantine(s, t->parts[i].run, trouble);
    for (size_t k = 0; k < t->n_parts; k++) {
      if (k != i) run_drop(s, t->parts[k].run, e, true);
    }
    return e;
  }
  return NULL;
}

/* A task that no row holds must fit into what memory keeps of its queue. */
static void write_speculative(shard *s, step *t) {
  for (size_t i = 0; i < t->n_parts; i++) {
    step_part *p = &t->parts[i];
    if (!engine_task_is_speculative(p->run->engine)) continue;
    for (size_t k = 0; k < p->st->n_tasks; k++) {
      if (!publish_keeps(s, &p->st->tasks[k])) engine_write_speculative(p->run->engine, p->st);
    }
  }
}

err *step_stage(shard *s, step *t) {
  adopt_followers(s, t);
  write_speculative(s, t);
  TRY(check_parts(s, t));
  bool lazy = is_lazy(t) && tasks_keep(s, t);
  if (lazy) {
    for (size_t i = 0; i < t->n_parts; i++) lazy_add(s, t->parts[i].run, t->parts[i].st);
    s->stats.lazy_steps++;
  } else {
    stage(s, t);
  }
  for (size_t i = 0; i < t->n_parts; i++) {
    shard_run *run = t->parts[i].run;
    if (t->parts[i].st->deleted) {
      run_deleted(s, run);
      continue;
    }
    engine_view v;
    engine_look(run->engine, &v);
    if (run->n_lazy || v.unsettled) lazy_mark(s, run);
    run_changed(s, run);
    updates_tell(s, run, t->parts[i].st);
  }
  if (lazy) publish_now(s, t);
  return NULL;
}

void step_stage_named(shard *s, step *t, store_row row) {
  t->store.rows = arena_array(&t->arena, store_row, 1);
  t->store.rows[0] = row;
  t->store.n_rows = 1;
  t->lsn = ++s->staged_lsn;
  t->refs++;
  list_push_back(&s->staged, &t->node);
  s->stats.steps++;
  want_turn(s);
}

/* --- writing what was put off --- */

void run_flush(shard *s, shard_run *run) {
  if (run->phase != RUN_READY || !list_linked(&run->lazy_node)) return;
  step *t = step_new(s);
  engine_step *st = step_part_add(s, t, run);
  engine_settle(run->engine, st);
  list_remove(&run->lazy_node);
  err *e = check_parts(s, t);
  if (!e) {
    stage(s, t);
    run_changed(s, run);
  }
  step_unref(t);
}

void flush_all(shard *s) {
  for (list_node *n = list_first(&s->lazy); n; n = list_first(&s->lazy)) {
    run_flush(s, CONTAINER_OF(n, shard_run, lazy_node));
  }
}

void flush_due(shard *s, int64_t now) {
  for (list_node *n = list_first(&s->lazy); n; n = list_first(&s->lazy)) {
    shard_run *run = CONTAINER_OF(n, shard_run, lazy_node);
    if (run->lazy_by_ns > now) {
      want_wake(s, run->lazy_by_ns);
      return;
    }
    run_flush(s, run);
  }
}

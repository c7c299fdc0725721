#include "shard/reclaim.h"

#include "base/log.h"
#include "engine/schedule.h"

enum { PAGE_RUNS = 100 };

struct reclaim {
  shard *s;
  store_query query;
  gate gate;
  int64_t ns, next_ns;
  size_t waiting; /* runs of the page that are being found */
  bool busy, schedules_gone;
};

typedef struct reclaim_use {
  run_use use;
  arena arena;
  reclaim *r;
} reclaim_use;

void reclaim_init(shard *s) {
  s->reclaim = mem_new(reclaim);
  s->reclaim->s = s;
}

void reclaim_release(shard *s) { mem_free(s->reclaim); }

static void end_turn(reclaim *r) {
  shard *s = r->s;
  r->busy = false;
  s->loads_under_way--;
  if (!s->draining) reclaim_wake(s, now_ns(s));
  check_drained(s);
}

static void page_durable(shard *s, gate *g, const err *e) {
  (void)s;
  (void)e; /* what could not be written is found again */
  end_turn(CONTAINER_OF(g, reclaim, gate));
}

static void one_done(reclaim *r) {
  if (--r->waiting) return;
  r->gate = (gate){0};
  gate_wait_lsn(r->s, &r->gate, r->s->staged_lsn, page_durable);
}

/* A run that cannot be read goes, too. */
static void delete_unread(shard *s, int64_t key) {
  step *t = step_new(s);
  step_stage_named(s, t, (store_row){.kind = ROW_RUN_DELETE, .run = key});
  step_unref(t);
}

static void found(shard *s, run_use *u, shard_run *run, const err *e) {
  reclaim_use *c = CONTAINER_OF(u, reclaim_use, use);
  reclaim *r = c->r;
  if (e && e->code == ERR_DATA_LOSS) {
    delete_unread(s, u->key);
  } else if (!e) {
    step *t = step_new(s);
    engine_discard(run->engine, step_part_add(s, t, run));
    err *failed = step_stage(s, t);
    if (failed) delete_unread(s, u->key);
    step_unref(t);
  }
  arena_release(&c->arena);
  mem_free(c);
  one_done(r);
}

static void delete_page(reclaim *r) {
  shard *s = r->s;
  r->waiting = r->query.n_found + 1;
  for (size_t i = 0; i < r->query.n_found; i++) {
    reclaim_use *c = mem_new(reclaim_use);
    c->r = r;
    c->use = (run_use){.key = r->query.found[i].run, .arena = &c->arena, .ready = found};
    run_find_key(s, &c->use);
  }
}

static void page_found(env_task *task) {
  reclaim *r = CONTAINER_OF(CONTAINER_OF(task, store_query, task), reclaim, query);
  shard *s = r->s;
  if (r->query.error) {
    LOG(ERROR, "runs of a deleted namespace could not be listed; trying again",
        LOG_S("error", r->query.error->what));
    r->next_ns = now_ns(s) + NS_PER_SEC;
    store_query_release(&r->query);
    end_turn(r);
    return;
  }
  if (!r->query.n_found && r->schedules_gone) namespace_forget(s, r->ns);
  r->schedules_gone |= !r->query.n_found;
  delete_page(r);
  store_query_release(&r->query); /* before the turn may end, and the next one asks with it */
  one_done(r);
}

void reclaim_wake(shard *s, int64_t now) {
  reclaim *r = s->reclaim;
  if (r->busy) return;
  int64_t due = 0;
  int64_t ns = namespace_deleted_next(s, now, &due);
  r->schedules_gone &= ns == r->ns;
  r->ns = ns;
  if (!r->ns) {
    if (due) want_wake(s, due);
    return;
  }
  if (now < r->next_ns) {
    want_wake(s, r->next_ns);
    return;
  }
  r->busy = true;
  s->loads_under_way++;
  r->query = (store_query){.task = {.run = page_found},
                           .kind = QUERY_PAGE,
                           .ns = r->schedules_gone ? r->ns : schedule_ns(r->ns),
                           .divided = true,
                           .limit = PAGE_RUNS};
  s->store->query(s->store, &r->query);
}

/* shard.c - the life of a shard: opened, woken, drained, freed. */
#include "shard/shard.h"

#include "base/log.h"
#include "shard/batch.h"
#include "shard/mail.h"
#include "shard/reclaim.h"

const shard_config shard_default_config = {
    .memory_bytes = 256 << 20,
    .shed_bytes = 768 << 20,
    .long_poll_ns = 20 * NS_PER_SEC,
    .poll_ns = 60 * NS_PER_SEC,
    .timer_window_ns = 60 * NS_PER_SEC,
    .queue_window = 10000,
    .buffered_queries = 1,
    .eager_activities = true,
    .eager_workflows = true,
};

typedef struct opening {
  store_load load;
  shard *s;
} opening;

int64_t now_ns(shard *s) { return s->env->now_ns(s->env); }

const volatile int64_t *shard_suspect(const shard *s) { return &s->suspect; }

void want_wake(shard *s, int64_t when_ns) {
  if (when_ns >= s->wake_ns) return;
  s->wake_ns = when_ns;
  s->env->wake_at(s->env, when_ns);
}

static void turn(env_task *task) {
  shard *s = CONTAINER_OF(task, shard, turn);
  s->turn_posted = false;
  polls_go_on(s);
  commit_start(s);
  pages_go_on(s);
  check_drained(s);
}

void want_turn(shard *s) {
  if (s->turn_posted || (s->committing && list_empty(&s->again))) return;
  s->turn_posted = true;
  s->turn.run = turn;
  s->env->post(s->env, &s->turn);
}

static void deadlines_fire(shard *s, int64_t now) {
  for (heap_node *n = heap_min(&s->deadlines); n && n->key <= now; n = heap_min(&s->deadlines)) {
    waiter *w = CONTAINER_OF(n, shard_op, timer)->state;
    heap_remove(&s->deadlines, n);
    w->timeout(s, w);
  }
}

void shard_wake(shard *s) {
  int64_t now = now_ns(s);
  s->wake_ns = INT64_MAX;
  flush_due(s, now);
  if (!s->draining && !s->broken) {
    timers_fire(s, now);
    mail_wake(s, now);
    batches_wake(s, now);
    reclaim_wake(s, now);
    sticky_wake(s, now);
  }
  if (now >= s->throttle_ns) {
    s->throttle_ns = INT64_MAX;
    matching_wake(&s->matching);
  }
  deadlines_fire(s, now);
  if (now >= s->retry_ns) pages_go_on(s);
  if (!s->draining) {
    want_wake(s, MIN(timers_next_ns(s), s->throttle_ns));
  } else if (heap_min(&s->deadlines)) {
    want_wake(s, heap_min(&s->deadlines)->key);
  }
  check_drained(s);
}

zones *shard_zones(shard *s) { return &s->zones; }

/* --- opening --- */

static void opened(opening *o, const err *e) {
  shard *s = o->s;
  if (e) s->broken = mem_strdup(e->what);
  s->ready(s->ready_arg, e);
}

/* From here on a new key of our own signs; it is durable before any token can be needed again. */
static err *add_key(shard *s, arena *a) {
  uint8_t secret[TOKEN_SECRET_BYTES];
  if (s->config.secret) {
    memcpy(secret, s->config.secret, sizeof secret);
  } else {
    TRY(token_new_secret(a, secret));
  }
  int32_t id = s->tokens.n ? s->tokens.v[s->tokens.n - 1].id + 1 : 1;
  token_keys_add(&s->tokens, id, now_ns(s), secret);
  step *t = step_new(s);
  store_row row = {.kind = ROW_NAMED_PUT, .name = SPAN("token-keys")};
  row.blob = bytes_copy(token_keys_encode(&s->tokens, a));
  step_stage_named(s, t, row);
  step_unref(t);
  return NULL;
}

static err *take_names(shard *s, store_load *l) {
  if (l->error) return l->error;
  TRY(names_load(s, l->rows, l->n_rows, &l->arena));
  for (size_t i = 0; i < l->n_rows; i++) {
    if (!span_eq(l->rows[i].name, SPAN("token-keys"))) continue;
    TRY(token_keys_decode(&s->tokens, bytes_span(l->rows[i].blob), &l->arena));
  }
  TRY(promise_load(s, l->rows, l->n_rows, &l->arena));
  return token_keys_are_old(&s->tokens, now_ns(s)) ? add_key(s, &l->arena) : NULL;
}

static void names_read(env_task *task) {
  opening *o = CONTAINER_OF(CONTAINER_OF(task, store_load, task), opening, load);
  shard *s = o->s;
  s->loads_under_way--;
  err *e = take_names(s, &o->load);
  if (!e) want_wake(s, now_ns(s));
  opened(o, e);
  engine_rows_release(o->load.rows, o->load.n_rows);
  arena_release(&o->load.arena);
  mem_free(o);
  check_drained(s);
}

/* The time, so that how long a task waits is seen from its place, over restarts too. */
static int64_t host_next_seq(void *ctx) {
  shard *s = ctx;
  s->last_seq = MAX(s->last_seq + 1, now_ns(s) / NS_PER_US);
  return s->last_seq;
}

static int64_t matching_host_now(void *ctx) { return now_ns(ctx); }

static void matching_host_wake(void *ctx, int64_t when_ns) {
  shard *s = ctx;
  s->throttle_ns = MIN(s->throttle_ns, when_ns);
  want_wake(s, when_ns);
}

static void host_new_run(void *ctx, arena *a, int64_t *ret_run, span *ret_run_id) {
  shard *s = ctx;
  char *text = arena_alloc(a, UUID_TEXT_BYTES);
  *ret_run = ++s->last_run_key;
  run_id_format(*ret_run, now_ns(s), &s->env->random, text);
  *ret_run_id = span_of(text, UUID_TEXT_BYTES);
}

static span host_namespace_id(void *ctx, span name) {
  const shard_namespace_info *ns = shard_namespace(ctx, name);
  return ns ? ns->record->id : SPAN_NONE;
}

shard *shard_new(env *e, store *st, const shard_config *config,
                 void (*ready)(void *arg, const err *e), void *arg) {
  shard *s = mem_new(shard);
  s->env = e;
  s->store = st;
  s->config = *config;
  s->last_run_key = st->last_run_key;
  s->last_seq = st->last_seq;
  s->ready = ready;
  s->ready_arg = arg;
  s->host = (engine_host){.ctx = s,
                          .limits = &s->config.limits,
                          .zones = &s->zones,
                          .queue_key = host_queue_key,
                          .next_seq = host_next_seq,
                          .new_run = host_new_run,
                          .namespace = host_namespace,
                          .retention_ns = host_retention_ns,
                          .promise_run = host_promise_run,
                          .namespace_id = host_namespace_id};
  if (!s->config.limits.blob_bytes) s->config.limits = engine_default_limits;
  zones_init(&s->zones, config->zone_source);
  token_keys_init(&s->tokens);
  s->throttle_ns = INT64_MAX;
  matching_init(&s->matching,
                (match_host){.ctx = s,
                             .load = matching_host_load,
                             .now_ns = matching_host_now,
                             .wake = matching_host_wake},
                s->config.queue_window);
  run_cache_init(s);
  names_init(s);
  left_init(s);
  workers_init(s);
  timers_init(s);
  mail_init(s);
  reclaim_init(s);
  list *lists[] = {&s->staged, &s->in_flight, &s->gates,      &s->lazy, &s->waiters,
                   &s->again,  &s->starved,   &s->page_loads, &s->spare};
  for (size_t i = 0; i < ARRAY_LEN(lists); i++) list_init(lists[i]);
  hmap_init(&s->queries_by_id);
  opening *o = mem_new(opening);
  o->s = s;
  o->load = (store_load){.kind = LOAD_NAMED, .task = {.run = names_read}};
  s->loads_under_way++;
  st->load(st, &o->load);
  return s;
}

/* --- closing --- */

/* Everybody who waits is told, except those whose answer is under way. */
static void waiters_leave(shard *s) {
  arena a = ARENA_INIT;
  const err *e = draining_error(&a);
  list waiting;
  list_init(&waiting);
  for (list_node *n = list_pop_front(&s->waiters); n; n = list_pop_front(&s->waiters)) {
    list_push_back(&waiting, n);
  }
  for (list_node *n = list_first(&waiting); n; n = list_first(&waiting)) {
    list_remove(n);
    list_push_back(&s->waiters, n);
    waiter *w = CONTAINER_OF(n, shard_op, node)->state;
    w->gone(s, w, e);
  }
  arena_release(&a);
}

void check_drained(shard *s) {
  if (!s->draining || !s->drained) return;
  waiters_leave(s); /* who began to wait since: its run was being read when the drain began */
  bool busy = s->committing || !list_empty(&s->staged) || s->loads_under_way || s->turn_posted ||
              !list_empty(&s->again) || !list_empty(&s->waiters);
  if (busy) return;
  void (*drained)(void *arg) = s->drained;
  s->drained = NULL;
  drained(s->drained_arg);
}

void shard_drain(shard *s, void (*done)(void *arg), void *arg) {
  s->draining = true;
  s->drained = done;
  s->drained_arg = arg;
  waiters_leave(s);
  flush_all(s);
  want_turn(s);
  check_drained(s);
}

void shard_free(shard *s) {
  if (!s) return;
  ASSERT(!s->committing && !s->loads_under_way && list_empty(&s->waiters));
  pages_go_on(s);
  mail_release(s);
  reclaim_release(s);
  run_cache_release(s);
  steps_release(s);
  matching_release(&s->matching);
  names_release(s);
  left_release(s);
  workers_release(s);
  timers_release(s);
  hmap_release(&s->queries_by_id);
  token_keys_release(&s->tokens);
  zones_release(&s->zones);
  buf_release(&s->scratch);
  mem_free((void *)s->broken);
  mem_free(s);
}

void shard_get_stats(const shard *s, shard_stats *ret_stats) {
  *ret_stats = s->stats;
  ret_stats->runs_in_memory = s->runs.count;
  ret_stats->run_bytes = s->run_bytes;
  ret_stats->parked_polls = s->matching.polls;
  LIST_FOR_EACH (n, &s->waiters) {
    ret_stats->history_waiters += is_history_waiter(CONTAINER_OF(n, shard_op, node)->state);
  }
  ret_stats->queries = s->queries_by_id.count;
  ret_stats->backlog = s->matching.tasks;
}

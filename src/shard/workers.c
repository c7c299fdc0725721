/* workers.c - workers as they describe themselves in heartbeats: the newest of each.
 *
 * In memory only: after a restart they are known again with their next heartbeats. A worker that
 * shuts down is forgotten, and one that was not heard of for a day. */
#include <stdlib.h>

#include "shard/shard_int.h"
#include "shard/worker_query.h"

static const int64_t memory_ns = 24 * 3600 * NS_PER_SEC;

enum { MOST_WORKERS = 100000, PAGE = 100, MOST_PAGE = 1000 };

typedef struct seen_worker {
  hmap_node by_key;
  list_node age;
  int64_t ns, seen_ns;
  arena arena;
  const pb_WorkerHeartbeat *beat;
} seen_worker;

static uint64_t worker_hash(const shard *s, int64_t ns, span key) {
  return hash_bytes(s->hash_key, key) ^ hash_u64((uint64_t)ns);
}

static seen_worker *find(const shard *s, int64_t ns, span key) {
  for (hmap_node *n = hmap_first(&s->workers, worker_hash(s, ns, key)); n; n = hmap_next(n)) {
    seen_worker *w = CONTAINER_OF(n, seen_worker, by_key);
    if (w->ns == ns && span_eq(w->beat->worker_instance_key, key)) return w;
  }
  return NULL;
}

static void forget(shard *s, seen_worker *w) {
  hmap_remove(&s->workers, &w->by_key);
  list_remove(&w->age);
  arena_release(&w->arena);
  mem_free(w);
}

static seen_worker *oldest(const shard *s) {
  list_node *n = list_first(&s->workers_by_age);
  return n ? CONTAINER_OF(n, seen_worker, age) : NULL;
}

static void forget_old(shard *s) {
  for (seen_worker *w = oldest(s); w; w = oldest(s)) {
    if (w->seen_ns > now_ns(s) - memory_ns && s->workers.count <= MOST_WORKERS) return;
    forget(s, w);
  }
}

void workers_init(shard *s) {
  hmap_init(&s->workers);
  list_init(&s->workers_by_age);
}

void workers_release(shard *s) {
  for (seen_worker *w = oldest(s); w; w = oldest(s)) forget(s, w);
  hmap_release(&s->workers);
}

void worker_heard(shard *s, int64_t ns, const pb_WorkerHeartbeat *beat) {
  seen_worker *w = find(s, ns, beat->worker_instance_key);
  if (w) forget(s, w);
  if (beat->status != PB_WORKER_STATUS_SHUTDOWN) {
    w = mem_new(seen_worker);
    w->ns = ns;
    w->seen_ns = now_ns(s);
    w->beat = PB_COPY(WorkerHeartbeat, beat, &w->arena);
    hmap_insert(&s->workers, &w->by_key, worker_hash(s, ns, beat->worker_instance_key));
    list_push_back(&s->workers_by_age, &w->age);
  }
  forget_old(s);
}

void shard_worker_heartbeat(shard *s, shard_op *op, const pb_RecordWorkerHeartbeatRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  for (size_t i = 0; i < r->worker_heartbeat.n; i++) {
    worker_heard(s, op->ns, r->worker_heartbeat.v[i]);
  }
  op->done(op, NULL, pb_new(op->arena, RecordWorkerHeartbeatResponse));
}

void shard_describe_worker(shard *s, shard_op *op, const pb_DescribeWorkerRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  forget_old(s);
  const seen_worker *w = find(s, op->ns, r->worker_instance_key);
  if (!w) {
    op_fail(op, not_found_error(op->arena, arena_printf(op->arena, "Worker %.*s not found",
                                                        SPAN_ARG(r->worker_instance_key))));
    return;
  }
  pb_DescribeWorkerResponse *response = pb_new(op->arena, DescribeWorkerResponse);
  response->worker_info = pb_new(op->arena, WorkerInfo);
  response->worker_info->worker_heartbeat = (pb_WorkerHeartbeat *)w->beat;
  op->done(op, NULL, response);
}

/* --- lists --- */

static int by_instance_key(const void *a, const void *b) {
  const pb_WorkerHeartbeat *x = *(const pb_WorkerHeartbeat *const *)a;
  const pb_WorkerHeartbeat *y = *(const pb_WorkerHeartbeat *const *)b;
  return span_cmp(x->worker_instance_key, y->worker_instance_key);
}

typedef struct found_workers {
  const pb_WorkerHeartbeat **v; /* by instance key */
  size_t n;
} found_workers;

static err *find_all(shard *s, const shard_op *op, span query, found_workers *ret) {
  static const pb_WorkerHeartbeat nobody;
  bool matches;
  forget_old(s);
  /* A bad query is one also where there is nobody. */
  TRY(worker_query_matches(query, &nobody, op->arena, &matches));
  ret->v = arena_array(op->arena, const pb_WorkerHeartbeat *, s->workers.count + 1);
  ret->n = 0;
  arena scratch = ARENA_INIT;
  LIST_FOR_EACH (n, &s->workers_by_age) {
    const seen_worker *w = CONTAINER_OF(n, seen_worker, age);
    if (w->ns != op->ns) continue;
    err *e = worker_query_matches(query, w->beat, &scratch, &matches);
    ASSERT(!e); /* it was read already */
    if (matches) ret->v[ret->n++] = w->beat;
    arena_reset(&scratch);
  }
  arena_release(&scratch);
  if (ret->n > 1) qsort(ret->v, ret->n, sizeof *ret->v, by_instance_key);
  return NULL;
}

void shard_count_workers(shard *s, shard_op *op, const pb_CountWorkersRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  found_workers all;
  err *e = find_all(s, op, r->query, &all);
  if (e) {
    op_fail(op, e);
    return;
  }
  pb_CountWorkersResponse *response = pb_new(op->arena, CountWorkersResponse);
  response->count = (int64_t)all.n;
  op->done(op, NULL, response);
}

static pb_WorkerListInfo *list_info(const pb_WorkerHeartbeat *w, arena *a) {
  pb_WorkerListInfo *i = pb_new(a, WorkerListInfo);
  i->worker_instance_key = w->worker_instance_key;
  i->worker_identity = w->worker_identity;
  i->task_queue = w->task_queue;
  i->deployment_version = w->deployment_version;
  i->sdk_name = w->sdk_name;
  i->sdk_version = w->sdk_version;
  i->status = w->status;
  i->start_time = w->start_time;
  if (w->host_info) {
    i->host_name = w->host_info->host_name;
    i->worker_grouping_key = w->host_info->worker_grouping_key;
    i->process_id = w->host_info->process_id;
  }
  i->plugins = w->plugins;
  i->drivers = w->drivers;
  return i;
}

/* The instance key after which the page begins. */
static err *page_start(shard *s, const shard_op *op, span token, span *ret_after) {
  int64_t ns;
  *ret_after = SPAN_NONE;
  if (!token.n) return NULL;
  if (token_open(&s->tokens, TOKEN_WORKER_PAGE, token, &ns, ret_after) && ns == op->ns) return NULL;
  return ERR(op->arena, INVALID_ARGUMENT, "invalid next_page_token");
}

static pb_ListWorkersResponse *list_page(shard *s, const shard_op *op, const found_workers *all,
                                         span after, size_t page) {
  arena *a = op->arena;
  pb_ListWorkersResponse *r = pb_new(a, ListWorkersResponse);
  r->workers.v = arena_array(a, pb_WorkerListInfo *, page);
  r->workers_info.v = arena_array(a, pb_WorkerInfo *, page);
  for (size_t i = 0; i < all->n; i++) {
    const pb_WorkerHeartbeat *w = all->v[i];
    if (after.p && span_cmp(w->worker_instance_key, after) <= 0) continue;
    if (r->workers.n == page) {
      span last = r->workers.v[page - 1]->worker_instance_key;
      r->next_page_token = token_seal(&s->tokens, TOKEN_WORKER_PAGE, op->ns, last, a);
      break;
    }
    r->workers.v[r->workers.n++] = list_info(w, a);
    pb_WorkerInfo *whole = pb_new(a, WorkerInfo);
    whole->worker_heartbeat = (pb_WorkerHeartbeat *)w;
    r->workers_info.v[r->workers_info.n++] = whole;
  }
  return r;
}

void shard_list_workers(shard *s, shard_op *op, const pb_ListWorkersRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  found_workers all = {0};
  span after;
  size_t page = r->page_size > 0 ? (size_t)MIN(r->page_size, MOST_PAGE) : PAGE;
  err *e = page_start(s, op, r->next_page_token, &after);
  if (!e) e = find_all(s, op, r->query, &all);
  if (e) {
    op_fail(op, e);
    return;
  }
  op->done(op, NULL, list_page(s, op, &all, after, page));
}

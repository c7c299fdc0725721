#include "matching/matching.h"

#include "base/hash.h"
#include "base/mem.h"

typedef struct entry {
  hmap_node by_id;
  heap_node order;
  match_task task;
} entry;

typedef struct seen_poller {
  list_node node;
  int64_t seen_ns;
  bytes *about;
  size_t n;
  uint8_t identity[];
} seen_poller;

/* How often tasks of one priority come and go. */
typedef struct level_meters {
  rate_meter adds, dispatches;
} level_meters;

enum { ADVICE_PER_SECOND = 10 };

struct match_queue {
  hmap_node by_key;
  int64_t key;
  heap order;
  hmap by_id;
  list polls, queries, pollers; /* pollers: newest first */
  size_t n_polls, n_pollers, pins;
  int64_t last_poll_ns;
  bool complete;    /* the window holds everything */
  bool loading;     /* a page was asked for and has not come */
  store_queued end; /* of the window, when it is not complete */
  rate_limit limit;
  rate_limit advice; /* about the number of pollers */
  list_node throttled;
  level_meters *levels[MATCH_LEVELS]; /* made on first use */
};

void matching_init(matching *m, match_host host, size_t window) {
  *m = (matching){.host = host, .window = MAX(window, (size_t)4)};
  hmap_init(&m->queues);
  list_init(&m->throttled);
}

static entry *entry_of(heap_node *n) { return CONTAINER_OF(n, entry, order); }

static void entry_drop(matching *m, match_queue *q, entry *e) {
  heap_remove(&q->order, &e->order);
  hmap_remove(&q->by_id, &e->by_id);
  mem_free(e);
  m->tasks--;
}

static void queue_free(matching *m, match_queue *q) {
  ASSERT(list_empty(&q->polls) && list_empty(&q->queries));
  while (heap_min(&q->order)) entry_drop(m, q, entry_of(heap_min(&q->order)));
  match_forget_pollers(q);
  list_remove(&q->throttled);
  for (int i = 0; i < MATCH_LEVELS; i++) mem_free(q->levels[i]);
  heap_release(&q->order);
  hmap_release(&q->by_id);
  mem_free(q);
}

void matching_release(matching *m) {
  for (hmap_node *n = hmap_each(&m->queues, NULL), *next; n; n = next) {
    next = hmap_each(&m->queues, n);
    hmap_remove(&m->queues, n);
    queue_free(m, CONTAINER_OF(n, match_queue, by_key));
  }
  hmap_release(&m->queues);
}

match_queue *matching_find(const matching *m, int64_t key) {
  for (hmap_node *n = hmap_first(&m->queues, hash_u64((uint64_t)key)); n; n = hmap_next(n)) {
    match_queue *q = CONTAINER_OF(n, match_queue, by_key);
    if (q->key == key) return q;
  }
  return NULL;
}

match_queue *matching_queue(matching *m, int64_t key, bool on_disk) {
  match_queue *q = matching_find(m, key);
  if (q) return q;
  q = mem_new(match_queue);
  q->key = key;
  q->complete = !on_disk;
  q->end = (store_queued){.queue = key, .priority = INT32_MIN, .seq = INT64_MIN};
  q->last_poll_ns = INT64_MIN;
  rate_limit_set(&q->advice, ADVICE_PER_SECOND);
  heap_init(&q->order);
  hmap_init(&q->by_id);
  list_init(&q->polls);
  list_init(&q->queries);
  list_init(&q->pollers);
  hmap_insert(&m->queues, &q->by_key, hash_u64((uint64_t)key));
  return q;
}

int64_t match_queue_key(const match_queue *q) { return q->key; }

bool match_in_use(const match_queue *q) {
  return q->pins || q->order.n || !q->complete || q->loading || !list_empty(&q->polls) ||
         !list_empty(&q->queries);
}

bool matching_drop(matching *m, match_queue *q) {
  if (match_in_use(q)) return false;
  hmap_remove(&m->queues, &q->by_key);
  queue_free(m, q);
  return true;
}

void match_pin(match_queue *q) { q->pins++; }

void match_unpin(match_queue *q) {
  ASSERT(q->pins > 0);
  q->pins--;
}

/* --- tasks --- */

static level_meters *meters_of(match_queue *q, int32_t priority) {
  int32_t level = MIN(MAX(priority, 1), MATCH_LEVELS) - 1;
  if (!q->levels[level]) q->levels[level] = mem_new(level_meters);
  return q->levels[level];
}

static int64_t now_of(const matching *m) { return m->host.now_ns(m->host.ctx); }

static bool is_behind(store_queued a, store_queued b) {
  return a.priority != b.priority ? a.priority > b.priority : a.seq > b.seq;
}

static uint64_t id_hash(int64_t run, int64_t id) {
  return hash_u64((uint64_t)run ^ hash_u64((uint64_t)id));
}

static entry *entry_find(const match_queue *q, int64_t run, int64_t id) {
  for (hmap_node *n = hmap_first(&q->by_id, id_hash(run, id)); n; n = hmap_next(n)) {
    entry *e = CONTAINER_OF(n, entry, by_id);
    if (e->task.run == run && e->task.id == id) return e;
  }
  return NULL;
}

/* True: it was not known, at no place. */
static bool entry_add(matching *m, match_queue *q, const match_task *task) {
  entry *old = entry_find(q, task->run, task->id);
  if (old && old->task.queued.seq >= task->queued.seq) return false;
  if (old) entry_drop(m, q, old);
  entry *e = mem_new(entry);
  e->task = *task;
  e->task.queued.queue = q->key;
  heap_insert(&q->order, &e->order, task->queued.priority, (uint64_t)task->queued.seq);
  hmap_insert(&q->by_id, &e->by_id, id_hash(task->run, task->id));
  m->tasks++;
  return !old;
}

/* The window has grown to twice its size: what sorts last goes back to being on disk only, if it is
 * there. */
static void cut(matching *m, match_queue *q) {
  if (q->order.n <= m->window * 2 || q->loading) return;
  heap kept = HEAP_INIT;
  while (kept.n < m->window) {
    entry *e = entry_of(heap_min(&q->order));
    heap_remove(&q->order, &e->order);
    q->end = e->task.queued;
    heap_insert(&kept, &e->order, e->task.queued.priority, (uint64_t)e->task.queued.seq);
  }
  for (heap_node *n = heap_min(&q->order); n; n = heap_min(&q->order)) {
    entry *e = entry_of(n);
    if (!e->task.unwritten) {
      entry_drop(m, q, e);
      continue;
    }
    heap_remove(&q->order, n);
    heap_insert(&kept, n, e->task.queued.priority, (uint64_t)e->task.queued.seq);
  }
  heap_release(&q->order);
  q->order = kept;
  q->complete = false;
}

/* The first task may go only if nothing on disk sorts before it. */
static entry *first_entry(const match_queue *q) {
  heap_node *n = heap_min(&q->order);
  if (!n) return NULL;
  entry *e = entry_of(n);
  return q->complete || !is_behind(e->task.queued, q->end) ? e : NULL;
}

/* Tasks behind the window may be in memory too; they do not count while none before them is. */
static void load_if_low(matching *m, match_queue *q) {
  if (q->complete || q->loading) return;
  if (q->order.n > m->window / 2 && first_entry(q)) return;
  q->loading = true;
  m->host.load(m->host.ctx, q->key, q->end, m->window);
}

static void throttle(matching *m, match_queue *q) {
  int64_t when = rate_limit_next_ns(&q->limit);
  if (!list_linked(&q->throttled)) list_push_back(&m->throttled, &q->throttled);
  if (when != INT64_MAX) m->host.wake(m->host.ctx, when);
}

bool match_take(matching *m, match_queue *q, match_task *ret_task) {
  list_node *n = list_pop_front(&q->queries);
  if (n) {
    match_query *query = CONTAINER_OF(n, match_query, node);
    query->queue = NULL;
    *ret_task = (match_task){.query = query, .queued = {.queue = q->key}};
    return true;
  }
  entry *e = first_entry(q);
  if (e && !rate_limit_take(&q->limit, now_of(m))) {
    throttle(m, q);
    e = NULL;
  }
  if (e) {
    *ret_task = e->task;
    rate_count(&meters_of(q, e->task.queued.priority)->dispatches, now_of(m));
    entry_drop(m, q, e);
  }
  load_if_low(m, q);
  return e != NULL;
}

static void serve(matching *m, match_queue *q) {
  match_task task;
  while (!list_empty(&q->polls) && match_take(m, q, &task)) {
    match_poll *p = CONTAINER_OF(list_first(&q->polls), match_poll, node);
    match_poll_cancel(m, p);
    p->offer(p, &task);
  }
}

void matching_wake(matching *m) {
  int64_t now = now_of(m);
  LIST_FOR_EACH (n, &m->throttled) {
    match_queue *q = CONTAINER_OF(n, match_queue, throttled);
    if (rate_limit_next_ns(&q->limit) > now) {
      throttle(m, q);
      continue;
    }
    list_remove(&q->throttled);
    serve(m, q);
  }
}

void match_set_rate(matching *m, match_queue *q, const float *per_second) {
  if (per_second) {
    rate_limit_set(&q->limit, *per_second);
  } else {
    rate_limit_clear(&q->limit);
  }
  list_remove(&q->throttled);
  serve(m, q);
}

bool match_keeps(const match_queue *q, store_queued place) {
  return q->complete || q->loading || !is_behind(place, q->end);
}

void match_add(matching *m, match_queue *q, const match_task *task) {
  bool kept = task->unwritten || match_keeps(q, task->queued);
  if (!kept || entry_add(m, q, task)) {
    rate_count(&meters_of(q, task->queued.priority)->adds, now_of(m));
  }
  if (!kept) return;
  cut(m, q);
  serve(m, q);
}

void match_put_back(matching *m, match_queue *q, const match_task *task) {
  if (task->query) {
    task->query->queue = q;
    list_push_front(&q->queries, &task->query->node);
  } else {
    (void)entry_add(m, q, task);
  }
  serve(m, q);
}

void match_add_query(matching *m, match_queue *q, match_query *query) {
  query->queue = q;
  list_push_back(&q->queries, &query->node);
  serve(m, q);
}

void match_cancel_query(matching *m, match_query *query) {
  list_remove(&query->node);
  query->queue = NULL;
}

/* --- polls --- */

bool match_poll_start(matching *m, match_queue *q, match_poll *p, bool first,
                      match_task *ret_task) {
  p->queue = q;
  if (list_empty(&q->polls) && match_take(m, q, ret_task)) return true;
  if (first) {
    list_push_front(&q->polls, &p->node);
  } else {
    list_push_back(&q->polls, &p->node);
  }
  q->n_polls++;
  m->polls++;
  return false;
}

void match_poll_cancel(matching *m, match_poll *p) {
  if (!list_linked(&p->node)) return;
  list_remove(&p->node);
  p->queue->n_polls--;
  m->polls--;
}

static void poller_drop(match_queue *q, seen_poller *s) {
  list_remove(&s->node);
  q->n_pollers--;
  bytes_unref(s->about);
  mem_free(s);
}

void match_forget_pollers(match_queue *q) {
  LIST_FOR_EACH (n, &q->pollers) poller_drop(q, CONTAINER_OF(n, seen_poller, node));
  q->last_poll_ns = INT64_MIN;
}

/* Behind, or getting there: tasks wait, or come faster than they go. */
static bool needs_pollers(const match_queue *q, int64_t now) {
  const int64_t patience_ns = 200 * NS_PER_MS;
  const float surplus = 1.2F;
  heap_node *first = heap_min(&q->order);
  if (first && now - entry_of(first)->task.queued.seq * NS_PER_US > patience_ns) return true;
  float adds = 0, dispatches = 0;
  for (int i = 0; i < MATCH_LEVELS; i++) {
    if (!q->levels[i]) continue;
    adds += rate_per_second(&q->levels[i]->adds, now);
    dispatches += rate_per_second(&q->levels[i]->dispatches, now);
  }
  return dispatches > 0 && adds / dispatches > surplus;
}

int match_scaling(const matching *m, match_queue *q, int64_t waited_ns) {
  int64_t now = now_of(m);
  if (waited_ns >= NS_PER_SEC) return -1;
  if (!rate_limit_take(&q->advice, now)) return 0;
  return needs_pollers(q, now) ? 1 : 0;
}

void match_saw_poller(match_queue *q, span identity, span about, int64_t now_ns) {
  q->last_poll_ns = now_ns;
  seen_poller *found = NULL;
  LIST_FOR_EACH (n, &q->pollers) {
    seen_poller *s = CONTAINER_OF(n, seen_poller, node);
    if (span_eq(span_of(s->identity, s->n), identity)) {
      found = s;
      break;
    }
  }
  if (!found) {
    if (q->n_pollers == MATCH_MAX_POLLERS) {
      poller_drop(q, CONTAINER_OF(q->pollers.head.prev, seen_poller, node));
    }
    found = mem_alloc(sizeof *found + identity.n);
    *found = (seen_poller){.n = identity.n};
    if (identity.n) memcpy(found->identity, identity.p, identity.n);
    q->n_pollers++;
  }
  found->seen_ns = now_ns;
  if (!span_eq(bytes_span(found->about), about)) {
    bytes_unref(found->about);
    found->about = about.n ? bytes_copy(about) : NULL;
  }
  list_remove(&found->node);
  list_push_front(&q->pollers, &found->node);
}

bool match_polled_within(const match_queue *q, int64_t now_ns, int64_t ns) {
  return !list_empty(&q->polls) || (q->last_poll_ns != INT64_MIN && q->last_poll_ns >= now_ns - ns);
}

/* --- pages of the backlog --- */

void matching_loaded(matching *m, int64_t queue, const store_row *rows, size_t n, bool more) {
  match_queue *q = matching_find(m, queue);
  if (!q || !q->loading) return;
  q->loading = false;
  for (size_t i = 0; i < n; i++) {
    match_task task = {.run = rows[i].run, .id = rows[i].id, .queued = rows[i].queued};
    (void)entry_add(m, q, &task);
  }
  q->complete = !more;
  if (n) q->end = rows[n - 1].queued;
  cut(m, q);
  serve(m, q);
  load_if_low(m, q);
}

void matching_load_failed(matching *m, int64_t queue) {
  match_queue *q = matching_find(m, queue);
  if (q) q->loading = false;
}

void match_retry_load(matching *m, match_queue *q) { load_if_low(m, q); }

static void look_at_level(const match_queue *q, int i, int64_t now_ns, match_level *ret) {
  *ret = (match_level){.oldest_seq = INT64_MAX, .used = q->levels[i] != NULL};
  if (!ret->used) return;
  ret->adds_per_second = rate_per_second(&q->levels[i]->adds, now_ns);
  ret->dispatches_per_second = rate_per_second(&q->levels[i]->dispatches, now_ns);
}

void match_look(const match_queue *q, int64_t now_ns, arena *a, match_queue_view *ret_view) {
  *ret_view = (match_queue_view){.backlog = q->order.n,
                                 .complete = q->complete,
                                 .polls = q->n_polls,
                                 .pollers = arena_array(a, match_poller, q->n_pollers)};
  LIST_FOR_EACH (n, &q->pollers) {
    const seen_poller *s = CONTAINER_OF(n, seen_poller, node);
    if (s->seen_ns < now_ns - MATCH_POLLER_MEMORY_NS) break;
    ret_view->pollers[ret_view->n_pollers++] =
        (match_poller){.identity = arena_dup(a, span_of(s->identity, s->n)),
                       .about = arena_dup(a, bytes_span(s->about)),
                       .seen_ns = s->seen_ns};
  }
  for (int i = 0; i < MATCH_LEVELS; i++) look_at_level(q, i, now_ns, &ret_view->levels[i]);
  for (hmap_node *n = hmap_each(&q->by_id, NULL); n; n = hmap_each(&q->by_id, n)) {
    const store_queued *at = &CONTAINER_OF(n, entry, by_id)->task.queued;
    match_level *l = &ret_view->levels[MIN(MAX(at->priority, 1), MATCH_LEVELS) - 1];
    l->backlog++;
    l->used = true;
    l->oldest_seq = MIN(l->oldest_seq, at->seq);
  }
}

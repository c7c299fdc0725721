/* names.c - the names of task queues, and what else is kept by name for the whole database. */
#include "shard/batch.h"
#include "shard/shard_int.h"

static const char queue_prefix[] = "queue/";

void names_init(shard *s) {
  hmap_init(&s->queue_by_name);
  hmap_init(&s->queue_by_key);
  namespaces_init(s);
  batches_init(s);
  list_init(&s->polled_only);
  sticky_init(s);
}

static void queue_free(queue_name *q) {
  bytes_unref(q->config);
  mem_free(q);
}

void names_release(shard *s) {
  for (hmap_node *n = hmap_each(&s->queue_by_key, NULL), *next; n; n = next) {
    next = hmap_each(&s->queue_by_key, n);
    queue_free(CONTAINER_OF(n, queue_name, by_key));
  }
  batches_release(s);
  namespaces_release(s);
  hmap_release(&s->queue_by_name);
  hmap_release(&s->queue_by_key);
}

static uint64_t queue_hash(const shard *s, int64_t ns, span name, bool activity) {
  return hash_bytes(s->hash_key, name) ^ hash_u64((uint64_t)ns * 2 + activity);
}

queue_name *queue_by_key(const shard *s, int64_t key) {
  for (hmap_node *n = hmap_first(&s->queue_by_key, hash_u64((uint64_t)key)); n; n = hmap_next(n)) {
    queue_name *q = CONTAINER_OF(n, queue_name, by_key);
    if (q->key == key) return q;
  }
  return NULL;
}

queue_name *queue_find(const shard *s, int64_t ns, span name, bool activity) {
  uint64_t hash = queue_hash(s, ns, name, activity);
  for (hmap_node *n = hmap_first(&s->queue_by_name, hash); n; n = hmap_next(n)) {
    queue_name *q = CONTAINER_OF(n, queue_name, by_name);
    if (q->ns == ns && q->activity == activity && span_eq(span_of(q->name, q->n), name)) return q;
  }
  return NULL;
}

static queue_name *queue_add(shard *s, const pb_store_TaskQueueName *record, bool stored) {
  queue_name *q = mem_zalloc(sizeof *q + record->name.n);
  q->key = record->key;
  q->ns = record->namespace_key;
  q->activity = record->activity;
  q->sticky = record->sticky;
  q->stored = stored;
  q->n = record->name.n;
  if (q->n) memcpy(q->name, record->name.p, q->n);
  s->last_queue_key = MAX(s->last_queue_key, q->key);
  hmap_insert(&s->queue_by_name, &q->by_name, queue_hash(s, q->ns, record->name, q->activity));
  hmap_insert(&s->queue_by_key, &q->by_key, hash_u64((uint64_t)q->key));
  matching_queue(&s->matching, q->key, stored);
  return q;
}

bool queue_is_staged(const shard *s, int64_t key) {
  const list *under_way[] = {&s->staged, &s->in_flight};
  for (size_t i = 0; i < ARRAY_LEN(under_way); i++) {
    LIST_FOR_EACH (n, under_way[i]) {
      const store_step *st = &CONTAINER_OF(n, step, node)->store;
      for (size_t k = 0; k < st->n_rows; k++) {
        if (st->rows[k].queued.queue == key) return true;
      }
    }
  }
  return false;
}

static void push_polled_only(shard *s, queue_name *q) {
  list_push_back(&s->polled_only, &q->node);
  s->n_polled_only++;
}

void queue_stored(shard *s, queue_name *q) {
  if (q->stored) return;
  q->stored = true;
  list_remove(&q->node);
  s->n_polled_only--;
  sticky_watch(s, q);
}

void queue_delete_name(shard *s, queue_name *q, step *t) {
  store_row row = {.kind = ROW_NAMED_DELETE,
                   .name = arena_spanf(&t->arena, "%s%lld", queue_prefix, (long long)q->key)};
  sticky_unwatch(s, q);
  q->stored = false;
  push_polled_only(s, q);
  step_stage_named(s, t, row);
}

/* Names that clients only poll cost nothing but memory; so many of them are kept. */
static void forget_polled_only(shard *s) {
  enum { KEPT = 4096, LOOK_AT = 16 };
  for (int i = 0; i < LOOK_AT && s->n_polled_only > KEPT; i++) {
    queue_name *q = CONTAINER_OF(list_pop_front(&s->polled_only), queue_name, node);
    match_queue *mq = matching_find(&s->matching, q->key);
    bool in_use = queue_is_staged(s, q->key) || (mq && !matching_drop(&s->matching, mq));
    if (in_use) {
      list_push_back(&s->polled_only, &q->node);
      continue;
    }
    hmap_remove(&s->queue_by_name, &q->by_name);
    hmap_remove(&s->queue_by_key, &q->by_key);
    queue_free(q);
    s->n_polled_only--;
  }
}

queue_name *queue_named(shard *s, int64_t ns, span name, bool activity, bool sticky) {
  queue_name *q = queue_find(s, ns, name, activity);
  if (q) return q;
  pb_store_TaskQueueName record = {.key = s->last_queue_key + 1,
                                   .namespace_key = ns,
                                   .name = name,
                                   .activity = activity,
                                   .sticky = sticky};
  forget_polled_only(s);
  q = queue_add(s, &record, false);
  push_polled_only(s, q);
  return q;
}

match_queue *queue_of_key(shard *s, int64_t key) { return matching_queue(&s->matching, key, true); }

static queue_name *unstored(const shard *s, const store_row *row) {
  queue_name *q = row->queued.queue ? queue_by_key(s, row->queued.queue) : NULL;
  return q && !q->stored ? q : NULL;
}

store_row queue_name_row(const queue_name *q, const pb_TaskQueueConfig *config, arena *a) {
  pb_store_TaskQueueName record = {.key = q->key,
                                   .namespace_key = q->ns,
                                   .name = span_of(q->name, q->n),
                                   .activity = q->activity,
                                   .sticky = q->sticky,
                                   .config = (pb_TaskQueueConfig *)config};
  return (store_row){.kind = ROW_NAMED_PUT,
                     .name = arena_spanf(a, "%s%lld", queue_prefix, (long long)q->key),
                     .blob = bytes_copy(PB_ENCODE(store_TaskQueueName, &record, a))};
}

void names_join(shard *s, step *t) {
  size_t n = t->store.n_rows, more = 0;
  for (size_t i = 0; i < n; i++) more += unstored(s, &t->store.rows[i]) != NULL;
  if (!more) return;
  store_row *rows = arena_array(&t->arena, store_row, n + more);
  memcpy(rows, t->store.rows, n * sizeof *rows);
  for (size_t i = 0; i < n; i++) {
    const queue_name *q = unstored(s, &rows[i]);
    if (q) rows[t->store.n_rows++] = queue_name_row(q, NULL, &t->arena);
  }
  t->store.rows = rows;
  t->names_queues = true;
}

void names_durable(shard *s, const step *t) {
  if (!t->names_queues) return;
  for (size_t i = 0; i < t->store.n_rows; i++) {
    queue_name *q = unstored(s, &t->store.rows[i]);
    if (q) queue_stored(s, q);
  }
}

int64_t host_queue_key(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky) {
  return queue_named(ctx, ns, name, kind == ENGINE_ACTIVITY_TASK, sticky)->key;
}

void names_forget(shard *s, int64_t ns) {
  for (hmap_node *n = hmap_each(&s->queue_by_key, NULL); n; n = hmap_each(&s->queue_by_key, n)) {
    queue_name *q = CONTAINER_OF(n, queue_name, by_key);
    if (q->ns != ns || !q->stored) continue;
    step *t = step_new(s);
    queue_delete_name(s, q, t);
    step_unref(t);
  }
}

err *names_load(shard *s, const store_row *rows, size_t n, arena *a) {
  for (size_t i = 0; i < n; i++) {
    if (namespace_row(&rows[i])) {
      TRY(namespace_load(s, &rows[i], a));
    } else if (batch_row(&rows[i])) {
      TRY(batch_load(s, &rows[i], a));
    } else if (span_starts_with(rows[i].name, span_cstr(queue_prefix))) {
      pb_store_TaskQueueName *record;
      err *e = PB_DECODE(store_TaskQueueName, bytes_span(rows[i].blob), a, &record);
      if (e) return ERR_WRAP(a, DATA_LOSS, e, "a stored task queue name does not decode");
      queue_name *q = queue_add(s, record, true);
      sticky_watch(s, q);
      if (record->config) queue_take_config(s, q, record->config, a);
    }
  }
  return NULL;
}

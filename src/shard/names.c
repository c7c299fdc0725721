/* names.c - what is kept by name for the whole database: namespaces and task queues. */
#include "base/uuid.h"
#include "proto/pb_time.h"
#include "shard/shard_int.h"

static const char namespace_prefix[] = "namespace/";
static const char queue_prefix[] = "queue/";

void names_init(shard *s) {
  hmap_init(&s->ns_by_name);
  hmap_init(&s->ns_by_id);
  hmap_init(&s->queue_by_name);
  hmap_init(&s->queue_by_key);
  list_init(&s->namespaces);
  list_init(&s->polled_only);
}

static void ns_free(ns_entry *n) {
  arena_release(&n->arena);
  bytes_unref(n->blob);
  mem_free(n);
}

void names_release(shard *s) {
  for (list_node *n = list_pop_front(&s->namespaces); n; n = list_pop_front(&s->namespaces)) {
    ns_free(CONTAINER_OF(n, ns_entry, node));
  }
  for (hmap_node *n = hmap_each(&s->queue_by_key, NULL), *next; n; n = next) {
    next = hmap_each(&s->queue_by_key, n);
    mem_free(CONTAINER_OF(n, queue_name, by_key));
  }
  hmap_release(&s->ns_by_name);
  hmap_release(&s->ns_by_id);
  hmap_release(&s->queue_by_name);
  hmap_release(&s->queue_by_key);
}

/* --- namespaces --- */

const shard_namespace_info *shard_namespace(const shard *s, span name) {
  uint64_t hash = hash_bytes(s->hash_key, name);
  for (hmap_node *n = hmap_first(&s->ns_by_name, hash); n; n = hmap_next(n)) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, by_name);
    if (span_eq(e->info.record->name, name)) return e->durable ? &e->info : NULL;
  }
  return NULL;
}

const shard_namespace_info *shard_namespace_by_id(const shard *s, span id) {
  uint64_t hash = hash_bytes(s->hash_key, id);
  for (hmap_node *n = hmap_first(&s->ns_by_id, hash); n; n = hmap_next(n)) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, by_id);
    if (span_eq(e->info.record->id, id)) return e->durable ? &e->info : NULL;
  }
  return NULL;
}

const shard_namespace_info *shard_namespace_after(const shard *s, span name) {
  const ns_entry *found = NULL;
  LIST_FOR_EACH (n, &s->namespaces) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, node);
    span candidate = e->info.record->name;
    if (!e->durable || span_cmp(candidate, name) <= 0) continue;
    if (!found || span_cmp(candidate, found->info.record->name) < 0) found = e;
  }
  return found ? &found->info : NULL;
}

const shard_namespace_info *shard_namespace_of_token(const shard *s, span token) {
  static const token_kind kinds[] = {TOKEN_WORKFLOW_TASK, TOKEN_ACTIVITY_TASK, TOKEN_QUERY_TASK};
  int64_t ns = 0;
  span body;
  for (size_t i = 0; i < ARRAY_LEN(kinds) && !ns; i++) {
    if (!token_open(&s->tokens, kinds[i], token, &ns, &body)) ns = 0;
  }
  LIST_FOR_EACH (n, &s->namespaces) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, node);
    if (e->info.key == ns && e->durable) return &e->info;
  }
  return NULL;
}

static err *ns_add(shard *s, bytes *blob, bool durable, arena *a, ns_entry **ret_entry) {
  ns_entry *n = mem_new(ns_entry);
  pb_store_Namespace *record = NULL;
  n->blob = bytes_ref(blob);
  n->durable = durable;
  err *e = PB_DECODE(store_Namespace, bytes_span(blob), &n->arena, &record);
  if (e) {
    err *copy = ERR(a, DATA_LOSS, "a stored namespace does not decode");
    ns_free(n);
    return copy;
  }
  n->info = (shard_namespace_info){.key = record->key, .record = record};
  s->last_ns_key = MAX(s->last_ns_key, record->key);
  list_push_back(&s->namespaces, &n->node);
  hmap_insert(&s->ns_by_name, &n->by_name, hash_bytes(s->hash_key, record->name));
  hmap_insert(&s->ns_by_id, &n->by_id, hash_bytes(s->hash_key, record->id));
  if (ret_entry) *ret_entry = n;
  return NULL;
}

static void ns_remove(shard *s, ns_entry *n) {
  hmap_remove(&s->ns_by_name, &n->by_name);
  hmap_remove(&s->ns_by_id, &n->by_id);
  list_remove(&n->node);
  ns_free(n);
}

static void ns_written(shard *s, step *t, const err *e) {
  ns_entry *n = t->owner;
  if (e) {
    ns_remove(s, n);
  } else {
    n->durable = true;
  }
}

typedef struct ns_call {
  gate gate;
  shard_op *op;
  span name;
} ns_call;

/* The gate opens after the step's outcome was told to ns_written. */
static void ns_answer(shard *s, gate *g, const err *e) {
  ns_call *c = CONTAINER_OF(g, ns_call, gate);
  if (!shard_namespace(s, c->name)) {
    op_fail(c->op, ERR_WRAP(c->op->arena, UNAVAILABLE, e, "the namespace could not be written"));
    return;
  }
  c->op->done(c->op, NULL, pb_new(c->op->arena, RegisterNamespaceResponse));
}

static bool ns_known(shard *s, span name) {
  uint64_t hash = hash_bytes(s->hash_key, name);
  for (hmap_node *n = hmap_first(&s->ns_by_name, hash); n; n = hmap_next(n)) {
    if (span_eq(CONTAINER_OF(n, ns_entry, by_name)->info.record->name, name)) return true;
  }
  return false;
}

static void copy_data(const pb_RegisterNamespaceRequest *r, pb_store_Namespace *record, arena *a) {
  record->data.v = arena_array(a, pb_store_Namespace_DataEntry *, r->data.n);
  for (size_t i = 0; i < r->data.n; i++) {
    pb_store_Namespace_DataEntry *entry = pb_new(a, store_Namespace_DataEntry);
    entry->key = r->data.v[i]->key;
    entry->value = r->data.v[i]->value;
    record->data.v[record->data.n++] = entry;
  }
}

void shard_register_namespace(shard *s, shard_op *op, const pb_RegisterNamespaceRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  if (ns_known(s, r->namespace)) {
    err *e = ERR(op->arena, ALREADY_EXISTS, "Namespace already exists.");
    pb_NamespaceAlreadyExistsFailure detail = {0};
    e->detail_type = pb_name(&pb_NamespaceAlreadyExistsFailure_desc);
    e->detail = PB_ENCODE(NamespaceAlreadyExistsFailure, &detail, op->arena);
    op_fail(op, e);
    return;
  }
  char id[UUID_TEXT_BYTES];
  uuid_format(uuid_random(&s->env->random), id);
  pb_store_Namespace record = {
      .key = ++s->last_ns_key,
      .name = r->namespace,
      .id = span_of(id, sizeof id),
      .description = r->description,
      .owner_email = r->owner_email,
      .retention = pb_duration_ns(r->workflow_execution_retention_period),
      .state = PB_NAMESPACE_STATE_REGISTERED,
      .created_time = now_ns(s),
  };
  copy_data(r, &record, op->arena);
  step *t = step_new(s);
  bytes *blob = bytes_copy(PB_ENCODE(store_Namespace, &record, op->arena));
  ns_entry *entry = NULL;
  err *e = ns_add(s, blob, false, op->arena, &entry);
  ASSERT(!e);
  t->owner = entry;
  t->named_done = ns_written;
  step_stage_named(
      s, t,
      (store_row){.kind = ROW_NAMED_PUT,
                  .name = arena_spanf(&t->arena, "%s%.*s", namespace_prefix, SPAN_ARG(record.id)),
                  .blob = blob});
  ns_call *c = arena_new(op->arena, ns_call);
  c->op = op;
  c->name = r->namespace;
  gate_wait_lsn(s, &c->gate, t->lsn, ns_answer);
  step_unref(t);
}

/* --- task queues --- */

static uint64_t queue_hash(const shard *s, int64_t ns, span name, bool activity) {
  return hash_bytes(s->hash_key, name) ^ hash_u64((uint64_t)ns * 2 + activity);
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

/* Names that clients only poll cost nothing but memory; so many of them are kept. */
static void forget_polled_only(shard *s) {
  enum { KEPT = 4096, LOOK_AT = 16 };
  for (int i = 0; i < LOOK_AT && s->n_polled_only > KEPT; i++) {
    queue_name *q = CONTAINER_OF(list_pop_front(&s->polled_only), queue_name, node);
    match_queue *mq = matching_find(&s->matching, q->key);
    if (mq && !matching_drop(&s->matching, mq)) {
      list_push_back(&s->polled_only, &q->node);
      continue;
    }
    hmap_remove(&s->queue_by_name, &q->by_name);
    hmap_remove(&s->queue_by_key, &q->by_key);
    mem_free(q);
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
  list_push_back(&s->polled_only, &q->node);
  s->n_polled_only++;
  return q;
}

match_queue *queue_of_key(shard *s, int64_t key) { return matching_queue(&s->matching, key, true); }

static queue_name *unstored(const shard *s, const store_row *row) {
  if (!row->queued.queue) return NULL;
  uint64_t hash = hash_u64((uint64_t)row->queued.queue);
  for (hmap_node *n = hmap_first(&s->queue_by_key, hash); n; n = hmap_next(n)) {
    queue_name *q = CONTAINER_OF(n, queue_name, by_key);
    if (q->key == row->queued.queue) return q->stored ? NULL : q;
  }
  return NULL;
}

static store_row name_row(const queue_name *q, arena *a) {
  pb_store_TaskQueueName record = {.key = q->key,
                                   .namespace_key = q->ns,
                                   .name = span_of(q->name, q->n),
                                   .activity = q->activity,
                                   .sticky = q->sticky};
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
    if (q) rows[t->store.n_rows++] = name_row(q, &t->arena);
  }
  t->store.rows = rows;
  t->names_queues = true;
}

void names_durable(shard *s, const step *t) {
  if (!t->names_queues) return;
  for (size_t i = 0; i < t->store.n_rows; i++) {
    queue_name *q = unstored(s, &t->store.rows[i]);
    if (q) q->stored = true;
  }
}

int64_t host_queue_key(void *ctx, int64_t ns, span name, engine_task_kind kind, bool sticky) {
  return queue_named(ctx, ns, name, kind == ENGINE_ACTIVITY_TASK, sticky)->key;
}

err *names_load(shard *s, const store_row *rows, size_t n, arena *a) {
  for (size_t i = 0; i < n; i++) {
    if (span_starts_with(rows[i].name, span_cstr(namespace_prefix))) {
      TRY(ns_add(s, rows[i].blob, true, a, NULL));
    } else if (span_starts_with(rows[i].name, span_cstr(queue_prefix))) {
      pb_store_TaskQueueName *record;
      err *e = PB_DECODE(store_TaskQueueName, bytes_span(rows[i].blob), a, &record);
      if (e) return ERR_WRAP(a, DATA_LOSS, e, "a stored task queue name does not decode");
      queue_add(s, record, true);
    }
  }
  return NULL;
}

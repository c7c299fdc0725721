/* namespaces.c - namespaces: their records in memory, and changes of them.
 *
 * A record is never changed in place: a change is a new version, which is staged, and which readers
 * see once it is durable. A change that comes meanwhile starts from the newest version, so that
 * none is lost.
 */
#include "base/uuid.h"
#include "shard/shard_int.h"

static const char prefix[] = "namespace/";

void namespaces_init(shard *s) {
  hmap_init(&s->ns_by_name);
  hmap_init(&s->ns_by_id);
  hmap_init(&s->ns_by_key);
  list_init(&s->namespaces);
  list_init(&s->gone_namespaces);
}

static void version_free(ns_version *v) {
  if (!v) return;
  arena_release(&v->arena);
  bytes_unref(v->blob);
  mem_free(v);
}

static void entry_free(ns_entry *n) {
  if (n->newest != n->durable) version_free(n->newest);
  version_free(n->durable);
  arena_release(&n->names);
  mem_free(n);
}

void namespaces_release(shard *s) {
  list *lists[] = {&s->namespaces, &s->gone_namespaces};
  for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
    for (list_node *n = list_pop_front(lists[i]); n; n = list_pop_front(lists[i])) {
      entry_free(CONTAINER_OF(n, ns_entry, node));
    }
  }
  hmap_release(&s->ns_by_name);
  hmap_release(&s->ns_by_id);
  hmap_release(&s->ns_by_key);
}

/* --- finding --- */

static ns_entry *by_key(const shard *s, int64_t key) {
  for (hmap_node *n = hmap_first(&s->ns_by_key, hash_u64((uint64_t)key)); n; n = hmap_next(n)) {
    ns_entry *e = CONTAINER_OF(n, ns_entry, by_key);
    if (e->info.key == key) return e;
  }
  return NULL;
}

const shard_namespace_info *shard_namespace(const shard *s, span name) {
  uint64_t hash = hash_bytes(s->hash_key, name);
  for (hmap_node *n = hmap_first(&s->ns_by_name, hash); n; n = hmap_next(n)) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, by_name);
    if (span_eq(e->info.name, name)) return &e->info;
  }
  return NULL;
}

const shard_namespace_info *shard_namespace_by_id(const shard *s, span id) {
  uint64_t hash = hash_bytes(s->hash_key, id);
  for (hmap_node *n = hmap_first(&s->ns_by_id, hash); n; n = hmap_next(n)) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, by_id);
    if (span_eq(e->info.record->id, id)) return &e->info;
  }
  return NULL;
}

const shard_namespace_info *shard_namespace_after(const shard *s, span name) {
  const ns_entry *found = NULL;
  LIST_FOR_EACH (n, &s->namespaces) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, node);
    if (!e->durable || span_cmp(e->info.name, name) <= 0) continue;
    if (!found || span_cmp(e->info.name, found->info.name) < 0) found = e;
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
  const ns_entry *e = by_key(s, ns);
  return e && e->durable ? &e->info : NULL;
}

const pb_store_Namespace *shard_namespace_newest(const shard *s, const shard_namespace_info *info) {
  (void)s;
  return CONTAINER_OF(info, ns_entry, info)->newest->record;
}

int64_t host_retention_ns(void *ctx, int64_t ns) {
  const ns_entry *e = by_key(ctx, ns);
  return e ? e->newest->record->retention : 0;
}

const pb_store_Namespace *host_namespace(void *ctx, int64_t ns) {
  const ns_entry *e = by_key(ctx, ns);
  return e ? e->newest->record : NULL;
}

/* Whether the name is taken, or will be. */
static bool name_is_used(const shard *s, span name) {
  LIST_FOR_EACH (n, &s->namespaces) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, node);
    if (span_eq(e->newest->record->name, name)) return true;
    if (e->durable && span_eq(e->info.name, name)) return true;
  }
  return false;
}

/* --- versions --- */

static err *version_new(bytes *blob, arena *a, ns_version **ret_version) {
  ns_version *v = mem_new(ns_version);
  pb_store_Namespace *record = NULL;
  v->blob = bytes_ref(blob);
  if (PB_DECODE(store_Namespace, bytes_span(blob), &v->arena, &record)) {
    version_free(v);
    return ERR(a, DATA_LOSS, "a stored namespace does not decode");
  }
  v->record = record;
  *ret_version = v;
  return NULL;
}

static ns_entry *entry_new(shard *s, ns_version *first) {
  ns_entry *n = mem_new(ns_entry);
  n->newest = first;
  n->info.key = first->record->key;
  s->last_ns_key = MAX(s->last_ns_key, n->info.key);
  list_push_back(&s->namespaces, &n->node);
  hmap_insert(&s->ns_by_key, &n->by_key, hash_u64((uint64_t)n->info.key));
  return n;
}

/* Readers see this version from now on. */
static void version_show(shard *s, ns_entry *n, ns_version *v) {
  ns_version *before = n->durable;
  n->durable = v;
  n->info.record = v->record;
  if (!before) hmap_insert(&s->ns_by_id, &n->by_id, hash_bytes(s->hash_key, v->record->id));
  if (!before || !span_eq(n->info.name, v->record->name)) {
    if (before) hmap_remove(&s->ns_by_name, &n->by_name);
    n->info.name = arena_dup(&n->names, v->record->name);
    hmap_insert(&s->ns_by_name, &n->by_name, hash_bytes(s->hash_key, n->info.name));
  }
  version_free(before);
  if (v->record->delete_after) want_wake(s, now_ns(s));
}

bool namespace_row(const store_row *row) { return span_starts_with(row->name, span_cstr(prefix)); }

err *namespace_load(shard *s, const store_row *row, arena *a) {
  ns_version *v;
  TRY(version_new(row->blob, a, &v));
  version_show(s, entry_new(s, v), v);
  return NULL;
}

/* --- changes --- */

typedef struct ns_change {
  gate gate;
  shard_op *op;
  ns_entry *entry;
  ns_version *version;
  bool failed;
} ns_change;

/* The row's outcome; before the gate opens. */
static void change_written(shard *s, step *t, const err *e) {
  ns_change *c = t->owner;
  ns_entry *n = c->entry;
  if (!e) {
    version_show(s, n, c->version);
    return;
  }
  c->failed = true;
  if (n->newest == c->version) n->newest = n->durable;
  version_free(c->version);
  if (n->newest) return;
  hmap_remove(&s->ns_by_key, &n->by_key);
  list_remove(&n->node);
  entry_free(n);
}

static void change_answer(shard *s, gate *g, const err *e) {
  ns_change *c = CONTAINER_OF(g, ns_change, gate);
  (void)s;
  if (c->failed) {
    op_fail(c->op, ERR_WRAP(c->op->arena, UNAVAILABLE, e, "the namespace could not be written"));
  } else {
    c->op->done(c->op, NULL, NULL);
  }
}

static bytes *encoded(const pb_store_Namespace *record, arena *a) {
  return bytes_copy(PB_ENCODE(store_Namespace, record, a));
}

/* Stages the version and answers the op when it is durable. `c` outlives the step: it is the op's.
 */
static void change_stage(shard *s, shard_op *op, ns_entry *n, ns_version *v) {
  ns_change *c = arena_new(op->arena, ns_change);
  *c = (ns_change){.op = op, .entry = n, .version = v};
  n->newest = v;
  step *t = step_new(s);
  t->owner = c;
  t->named_done = change_written;
  store_row row = {.kind = ROW_NAMED_PUT,
                   .name = arena_spanf(&t->arena, "%s%.*s", prefix, SPAN_ARG(v->record->id)),
                   .blob = bytes_ref(v->blob)};
  step_stage_named(s, t, row);
  gate_wait_lsn(s, &c->gate, t->lsn, change_answer);
  step_unref(t);
}

static err *exists_error(arena *a, span name) {
  err *e = ERR(a, ALREADY_EXISTS, "Namespace \"%.*s\" already exists", SPAN_ARG(name));
  pb_NamespaceAlreadyExistsFailure detail = {0};
  e->detail_type = pb_name(&pb_NamespaceAlreadyExistsFailure_desc);
  e->detail = PB_ENCODE(NamespaceAlreadyExistsFailure, &detail, a);
  return e;
}

void shard_register_namespace(shard *s, shard_op *op, const pb_store_Namespace *record) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  if (name_is_used(s, record->name)) {
    op_fail(op, exists_error(op->arena, record->name));
    return;
  }
  char id[UUID_TEXT_BYTES];
  uuid_format(uuid_random(&s->env->random), id);
  pb_store_Namespace whole = *record;
  whole.key = ++s->last_ns_key;
  whole.id = span_of(id, sizeof id);
  whole.created_time = now_ns(s);
  ns_version *v = NULL;
  bytes *blob = encoded(&whole, op->arena);
  err *e = version_new(blob, op->arena, &v);
  bytes_unref(blob);
  ASSERT(!e);
  change_stage(s, op, entry_new(s, v), v);
}

void shard_update_namespace(shard *s, shard_op *op, const pb_store_Namespace *record) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  ns_entry *n = by_key(s, record->key);
  ASSERT(n);
  ns_version *v = NULL;
  bytes *blob = encoded(record, op->arena);
  err *e = version_new(blob, op->arena, &v);
  bytes_unref(blob);
  ASSERT(!e);
  change_stage(s, op, n, v);
}

/* --- deletion --- */

static int64_t earlier(int64_t a, int64_t b) { return !a || b < a ? b : a; }

int64_t namespace_deleted_next(const shard *s, int64_t now, int64_t *ret_due_ns) {
  LIST_FOR_EACH (n, &s->namespaces) {
    const ns_entry *e = CONTAINER_OF(n, ns_entry, node);
    int64_t after = e->durable ? e->durable->record->delete_after : 0;
    if (!after) continue;
    if (!e->emptied || after <= now) return e->info.key;
    *ret_due_ns = earlier(*ret_due_ns, after);
  }
  return 0;
}

void namespace_forget(shard *s, int64_t ns) {
  ns_entry *e = by_key(s, ns);
  if (!e || e->newest != e->durable) return;
  e->emptied = true;
  if (now_ns(s) < e->durable->record->delete_after) return;
  span id = e->durable->record->id;
  step *t = step_new(s);
  store_row row = {.kind = ROW_NAMED_DELETE,
                   .name = arena_spanf(&t->arena, "%s%.*s", prefix, SPAN_ARG(id))};
  step_stage_named(s, t, row);
  step_unref(t);
  names_forget(s, ns);
  hmap_remove(&s->ns_by_name, &e->by_name);
  hmap_remove(&s->ns_by_id, &e->by_id);
  hmap_remove(&s->ns_by_key, &e->by_key);
  list_remove(&e->node);
  list_push_back(&s->gone_namespaces, &e->node);
}

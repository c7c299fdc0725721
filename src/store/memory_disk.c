#include "store/memory_disk.h"

#include "base/mem.h"

#define BY(index, n) CONTAINER_OF(n, disk_row, index)

static int order(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int64_t key_of(const disk_row *r) { return store_row_key(r->r.run, r->r.id); }

static int compare_key(const ordered_node *x, const ordered_node *y) {
  const disk_row *a = BY(by_key, x), *b = BY(by_key, y);
  int c = order(a->table, b->table);
  if (c) return c;
  if (a->table == TABLE_NAMED) return span_cmp(a->r.name, b->r.name);
  if (a->table == TABLE_CURRENT) {
    c = order(a->r.ns, b->r.ns);
    return c ? c : span_cmp(a->r.workflow_id, b->r.workflow_id);
  }
  c = order(key_of(a), key_of(b));
  return c ? c : order(a->r.attempt, b->r.attempt);
}

static int compare_due(const ordered_node *x, const ordered_node *y) {
  const disk_row *a = BY(by_due, x), *b = BY(by_due, y);
  int c = order(a->r.due_ns, b->r.due_ns);
  return c ? c : order(key_of(a), key_of(b));
}

static int compare_queue(const ordered_node *x, const ordered_node *y) {
  const disk_row *a = BY(by_queue, x), *b = BY(by_queue, y);
  int c = order(a->r.queued.queue, b->r.queued.queue);
  if (!c) c = order(a->r.queued.priority, b->r.queued.priority);
  if (!c) c = order(a->r.queued.seq, b->r.queued.seq);
  return c ? c : order(key_of(a), key_of(b));
}

/* --- rows --- */

static bool indexed(const disk_row *r) { return r->table == TABLE_RUN || r->table == TABLE_ITEM; }

static void link_row(store_memory_disk *d, disk_row *r) {
  ordered_insert(&d->rows, &r->by_key);
  if (indexed(r) && r->r.due_ns > 0) ordered_insert(&d->due, &r->by_due);
  if (indexed(r) && r->r.queued.queue > 0) ordered_insert(&d->queue, &r->by_queue);
}

static void unlink_row(store_memory_disk *d, disk_row *r) {
  ordered_remove(&d->rows, &r->by_key);
  if (indexed(r) && r->r.due_ns > 0) ordered_remove(&d->due, &r->by_due);
  if (indexed(r) && r->r.queued.queue > 0) ordered_remove(&d->queue, &r->by_queue);
}

static disk_row *make_row(disk_table table, const store_row *from) {
  span text = table == TABLE_NAMED ? from->name : from->workflow_id;
  disk_row *r = mem_zalloc(sizeof *r + text.n);
  if (text.n) memcpy(r->text, text.p, text.n);
  r->table = table;
  r->r = *from;
  r->r.workflow_id = table == TABLE_NAMED ? SPAN_NONE : span_of(r->text, text.n);
  r->r.name = table == TABLE_NAMED ? span_of(r->text, text.n) : SPAN_NONE;
  if (r->r.info) (void)bytes_ref(r->r.info);
  if (r->r.blob) (void)bytes_ref(r->r.blob);
  if (from->visible) r->r.visible = visible_copy(from->visible, &r->arena);
  return r;
}

static void free_row(disk_row *r) {
  if (!r) return;
  bytes_unref(r->r.info);
  bytes_unref(r->r.blob);
  arena_release(&r->arena);
  mem_free(r);
}

static disk_row probe(disk_table table, const store_row *key) {
  return (disk_row){.table = table, .r = *key};
}

static disk_row *find_row(const store_memory_disk *d, disk_table table, const store_row *key) {
  disk_row p = probe(table, key);
  ordered_node *n = ordered_from(&d->rows, &p.by_key);
  return n && compare_key(n, &p.by_key) == 0 ? BY(by_key, n) : NULL;
}

/* --- changes --- */

static void change(store_memory_disk *d, disk_log *log, disk_row *removed, disk_row *added) {
  disk_change *c = arena_new(&log->arena, disk_change);
  *c = (disk_change){.before = log->last, .added = added, .removed = removed};
  log->last = c;
  if (removed) unlink_row(d, removed);
  if (!added) return;
  link_row(d, added);
  d->last_seq = MAX(d->last_seq, added->r.queued.seq);
  if (added->table == TABLE_RUN) d->last_run_key = MAX(d->last_run_key, added->r.run);
}

void disk_undo(store_memory_disk *d, disk_log *log) {
  for (disk_change *c = log->last; c; c = c->before) {
    if (c->added) unlink_row(d, c->added);
    if (c->removed) link_row(d, c->removed);
    free_row(c->added);
  }
  log->last = NULL;
  arena_release(&log->arena);
}

void disk_keep(disk_log *log) {
  for (disk_change *c = log->last; c; c = c->before) free_row(c->removed);
  log->last = NULL;
  arena_release(&log->arena);
}

/* Rows of one table whose keys are of this run. */
static void delete_rows(store_memory_disk *d, disk_table table, int64_t run, disk_log *log) {
  store_row key = {.run = run, .attempt = INT32_MIN};
  disk_row p = probe(table, &key);
  ordered_node *n = ordered_from(&d->rows, &p.by_key);
  while (n && BY(by_key, n)->table == table && BY(by_key, n)->r.run == run) {
    ordered_node *after = ordered_next(n);
    change(d, log, BY(by_key, n), NULL);
    n = after;
  }
}

static void delete_run(store_memory_disk *d, int64_t run, disk_log *log) {
  static const disk_table tables[] = {TABLE_ITEM, TABLE_HISTORY, TABLE_ATTEMPT, TABLE_VISIBLE,
                                      TABLE_RUN};
  disk_row *r = find_row(d, TABLE_RUN, &(store_row){.run = run});
  disk_row *current = r ? find_row(d, TABLE_CURRENT, &r->r) : NULL;
  if (current && current->r.run == run) change(d, log, current, NULL);
  for (size_t i = 0; i < ARRAY_LEN(tables); i++) delete_rows(d, tables[i], run, log);
}

static const char *write_run(store_memory_disk *d, const store_row *r, disk_log *log) {
  store_row key = {.run = r->run};
  disk_row *old = find_row(d, TABLE_RUN, &key);
  store_row row = *r;
  row.id = 0;
  row.attempt = 0;
  if (r->kind == ROW_RUN_INSERT) {
    if (old) return "a run with this key exists";
  } else {
    if (!old) return "a run that the store does not hold was to be updated";
    row.ns = old->r.ns;
    row.workflow_id = old->r.workflow_id;
    row.info = old->r.info;
  }
  change(d, log, old, make_row(TABLE_RUN, &row));
  return NULL;
}

static void put(store_memory_disk *d, disk_table table, const store_row *r, disk_log *log) {
  change(d, log, find_row(d, table, r), make_row(table, r));
}

static void put_visible(store_memory_disk *d, const store_row *r, disk_log *log) {
  disk_row *old = find_row(d, TABLE_VISIBLE, r), *new = make_row(TABLE_VISIBLE, r);
  if (old && r->visible->change == ATTRIBUTES_STAY) {
    store_visible all = *new->r.visible;
    all.attributes = old->r.visible->attributes;
    all.n_attributes = old->r.visible->n_attributes;
    new->r.visible = visible_copy(&all, &new->arena);
  }
  change(d, log, old, new);
}

static void drop(store_memory_disk *d, disk_table table, const store_row *r, disk_log *log) {
  disk_row *old = find_row(d, table, r);
  if (old) change(d, log, old, NULL);
}

static const char *write_row(store_memory_disk *d, const store_row *r, disk_log *log) {
  store_row by_id = *r; /* of a table without attempts */
  by_id.attempt = 0;
  switch (r->kind) {
    case ROW_RUN_INSERT:
    case ROW_RUN_UPDATE:
      return write_run(d, r, log);
    case ROW_RUN_DELETE:
      delete_run(d, r->run, log);
      break;
    case ROW_ITEM_PUT:
      put(d, TABLE_ITEM, &by_id, log);
      break;
    case ROW_ITEM_DELETE:
      drop(d, TABLE_ITEM, &by_id, log);
      break;
    case ROW_HISTORY_ADD:
      if (find_row(d, TABLE_HISTORY, &by_id)) return "this history batch exists";
      put(d, TABLE_HISTORY, &by_id, log);
      break;
    case ROW_ATTEMPT_PUT:
      put(d, TABLE_ATTEMPT, r, log);
      break;
    case ROW_ATTEMPT_DELETE:
      drop(d, TABLE_ATTEMPT, r, log);
      break;
    case ROW_NAMED_PUT:
      put(d, TABLE_NAMED, r, log);
      break;
    case ROW_NAMED_DELETE:
      drop(d, TABLE_NAMED, r, log);
      break;
    case ROW_VISIBLE_PUT:
      put_visible(d, &by_id, log);
      break;
    case ROW_CURRENT_PUT:
      break; /* done before the step's other rows */
  }
  return NULL;
}

void disk_write_step(store_memory_disk *d, store_step *s, disk_log *log, const char **ret_why) {
  s->status = STORE_OK;
  s->conflict_run = 0;
  for (size_t i = 0; i < s->n_rows; i++) {
    const store_row *r = &s->rows[i];
    if (r->kind != ROW_CURRENT_PUT) continue;
    const disk_row *current = find_row(d, TABLE_CURRENT, r);
    int64_t run = current ? current->r.run : 0;
    if (run != r->expected_run) {
      s->status = STORE_CONFLICT;
      s->conflict_run = run;
      return;
    }
    put(d, TABLE_CURRENT, r, log);
    break;
  }
  for (size_t i = 0; i < s->n_rows; i++) {
    const char *why = write_row(d, &s->rows[i], log);
    if (!why) continue;
    s->status = STORE_FAILED;
    *ret_why = why;
    return;
  }
}

/* --- loads --- */

static store_row *add_row(store_load *l) {
  size_t n = l->n_rows;
  if ((n & (n - 1)) == 0) {
    store_row *more = arena_array(&l->arena, store_row, n ? n * 2 : 1);
    if (n) memcpy(more, l->rows, n * sizeof *more);
    l->rows = more;
  }
  return &l->rows[l->n_rows++];
}

static bytes *share(bytes *b) { return b ? bytes_ref(b) : NULL; }

/* Blob bytes so far decide about `max_bytes`; false when the answer is full. */
static bool add_blob_row(store_load *l, const disk_row *r, size_t *n_bytes) {
  *n_bytes += r->r.blob ? r->r.blob->n : 0;
  if (l->kind == LOAD_HISTORY && l->max_bytes && l->n_rows && *n_bytes > l->max_bytes) {
    l->more = true;
    return false;
  }
  store_row *row = add_row(l);
  *row = r->r;
  row->info = NULL;
  row->blob = share(r->r.blob);
  row->name = arena_dup(&l->arena, r->r.name);
  row->workflow_id = SPAN_NONE;
  return true;
}

/* Rows of one table with keys in [from, until). */
static void load_range(store_memory_disk *d, store_load *l, disk_table table, int64_t run,
                       int64_t from, int64_t until) {
  disk_row p = probe(table, &(store_row){.run = run, .id = from, .attempt = INT32_MIN});
  size_t n_bytes = 0;
  for (ordered_node *n = ordered_from(&d->rows, &p.by_key); n; n = ordered_next(n)) {
    const disk_row *r = BY(by_key, n);
    if (r->table != table || r->r.run != run || r->r.id >= until) break;
    if (!add_blob_row(l, r, &n_bytes)) break;
  }
}

static void load_run(store_memory_disk *d, store_load *l) {
  const disk_row *r = find_row(d, TABLE_RUN, &(store_row){.run = l->run});
  if (!r) return;
  l->found = true;
  l->row = r->r;
  l->row.kind = ROW_RUN_INSERT;
  l->row.workflow_id = arena_dup(&l->arena, r->r.workflow_id);
  l->row.info = share(r->r.info);
  l->row.blob = share(r->r.blob);
  load_range(d, l, TABLE_ITEM, l->run, 0, ROW_ID_MAX + 1);
}

static void load_current(store_memory_disk *d, store_load *l) {
  store_row key = {.ns = l->ns, .workflow_id = l->workflow_id};
  const disk_row *r = find_row(d, TABLE_CURRENT, &key);
  if (!r) return;
  l->run = r->r.run;
  load_run(d, l);
}

static void load_history(store_memory_disk *d, store_load *l) {
  int64_t from = l->from_id;
  disk_row p = probe(TABLE_HISTORY, &(store_row){.run = l->run, .attempt = INT32_MIN});
  for (ordered_node *n = ordered_from(&d->rows, &p.by_key); n; n = ordered_next(n)) {
    const disk_row *r = BY(by_key, n);
    if (r->table != TABLE_HISTORY || r->r.run != l->run || r->r.id > l->from_id) break;
    from = r->r.id;
  }
  load_range(d, l, TABLE_HISTORY, l->run, from, l->until_id ? l->until_id : ROW_ID_MAX + 1);
  l->found = l->n_rows > 0;
}

static bool full(store_load *l) {
  if (!l->limit || l->n_rows < l->limit) return false;
  l->more = true;
  return true;
}

static void add_position(store_load *l, const disk_row *r) {
  store_row *row = add_row(l);
  *row = (store_row){.kind = r->table == TABLE_RUN ? ROW_RUN_UPDATE : ROW_ITEM_PUT,
                     .run = r->r.run,
                     .id = r->r.id};
  if (l->kind == LOAD_DUE) {
    row->due_ns = r->r.due_ns;
  } else {
    row->queued = r->r.queued;
  }
}

static void load_due(store_memory_disk *d, store_load *l) {
  disk_row p = {.r = {.due_ns = l->after_due_ns,
                      .run = l->after_key >> ROW_ID_BITS,
                      .id = l->after_key & ROW_ID_MAX}};
  for (ordered_node *n = ordered_from(&d->due, &p.by_due); n; n = ordered_next(n)) {
    const disk_row *r = BY(by_due, n);
    if (r->r.due_ns > l->until_ns) break;
    if (compare_due(n, &p.by_due) == 0) continue;
    if (full(l)) break;
    add_position(l, r);
  }
}

static void load_queue(store_memory_disk *d, store_load *l) {
  disk_row p = {.r = {.queued = l->queued, .run = INT64_MAX >> ROW_ID_BITS, .id = ROW_ID_MAX}};
  for (ordered_node *n = ordered_from(&d->queue, &p.by_queue); n; n = ordered_next(n)) {
    const disk_row *r = BY(by_queue, n);
    if (r->r.queued.queue != l->queued.queue || full(l)) break;
    add_position(l, r);
  }
}

static void load_backlog(store_memory_disk *d, store_load *l) {
  store_queued first = {.queue = l->queued.queue, .priority = INT32_MIN, .seq = INT64_MIN};
  disk_row p = {.r = {.queued = first}};
  for (ordered_node *n = ordered_from(&d->queue, &p.by_queue); n; n = ordered_next(n)) {
    const disk_row *r = BY(by_queue, n);
    if (r->r.queued.queue != l->queued.queue) break;
    store_row *last = l->n_rows ? &l->rows[l->n_rows - 1] : NULL;
    if (last && last->queued.priority == r->r.queued.priority) {
      last->id++;
      continue;
    }
    *add_row(l) = (store_row){.queued = r->r.queued, .id = 1};
  }
}

static void load_named(store_memory_disk *d, store_load *l) {
  disk_row p = probe(TABLE_NAMED, &(store_row){.name = l->name});
  size_t n_bytes = 0;
  for (ordered_node *n = ordered_from(&d->rows, &p.by_key); n; n = ordered_next(n)) {
    const disk_row *r = BY(by_key, n);
    if (!span_starts_with(r->r.name, l->name)) break;
    (void)add_blob_row(l, r, &n_bytes);
  }
}

void disk_load(store_memory_disk *d, store_load *l) {
  switch (l->kind) {
    case LOAD_RUN:
      load_run(d, l);
      break;
    case LOAD_CURRENT:
      load_current(d, l);
      break;
    case LOAD_HISTORY:
      load_history(d, l);
      break;
    case LOAD_DUE:
      load_due(d, l);
      break;
    case LOAD_QUEUE:
      load_queue(d, l);
      break;
    case LOAD_BACKLOG:
      load_backlog(d, l);
      break;
    case LOAD_ATTEMPTS:
      load_range(d, l, TABLE_ATTEMPT, l->run, l->id, l->id ? l->id + 1 : ROW_ID_MAX + 1);
      break;
    case LOAD_NAMED:
      load_named(d, l);
      break;
  }
}

/* --- for queries --- */

const disk_row *disk_first(const store_memory_disk *d, disk_table table) {
  disk_row p = probe(table, &(store_row){.attempt = INT32_MIN});
  ordered_node *n = ordered_from(&d->rows, &p.by_key);
  return n && BY(by_key, n)->table == table ? BY(by_key, n) : NULL;
}

const disk_row *disk_next(const disk_row *r) {
  ordered_node *n = ordered_next(&r->by_key);
  return n && BY(by_key, n)->table == r->table ? BY(by_key, n) : NULL;
}

const disk_row *disk_run(const store_memory_disk *d, int64_t run) {
  return find_row(d, TABLE_RUN, &(store_row){.run = run});
}

/* --- the disk --- */

store_memory_disk *store_memory_disk_new(void) {
  store_memory_disk *d = mem_new(store_memory_disk);
  ordered_init(&d->rows, compare_key);
  ordered_init(&d->due, compare_due);
  ordered_init(&d->queue, compare_queue);
  return d;
}

void store_memory_disk_free(store_memory_disk *d) {
  if (!d) return;
  disk_keep(&d->unsynced);
  for (ordered_node *n = ordered_first(&d->rows), *after; n; n = after) {
    after = ordered_next(n);
    free_row(BY(by_key, n));
  }
  mem_free(d);
}

#include "store/overlay.h"

#include "base/mem.h"
#include "store/row_code.h"

/* --- facts --- */

void facts_init(facts *f, arena *a, hash_key key) { *f = (facts){.arena = a, .key = key}; }

void facts_release(facts *f) {
  hmap_release(&f->runs);
  hmap_release(&f->names);
}

const run_fact *facts_of_run(const facts *f, int64_t run) {
  for (hmap_node *n = hmap_first(&f->runs, hash_u64((uint64_t)run)); n; n = hmap_next(n)) {
    const run_fact *r = CONTAINER_OF(n, run_fact, node);
    if (r->run == run) return r;
  }
  return NULL;
}

static uint64_t name_hash(const facts *f, int64_t ns, span workflow_id) {
  return hash_u64((uint64_t)ns) ^ hash_bytes(f->key, workflow_id);
}

const name_fact *facts_of_name(const facts *f, int64_t ns, span workflow_id) {
  if (!f->names.count) return NULL;
  for (hmap_node *n = hmap_first(&f->names, name_hash(f, ns, workflow_id)); n; n = hmap_next(n)) {
    const name_fact *w = CONTAINER_OF(n, name_fact, node);
    if (w->ns == ns && span_eq(w->workflow_id, workflow_id)) return w;
  }
  return NULL;
}

static run_fact *make_run(facts *f, int64_t run) {
  run_fact *r = (run_fact *)(uintptr_t)facts_of_run(f, run);
  if (r) return r;
  r = arena_new(f->arena, run_fact);
  r->run = run;
  hmap_insert(&f->runs, &r->node, hash_u64((uint64_t)run));
  return r;
}

static void set_current(facts *f, int64_t ns, span workflow_id, int64_t run) {
  name_fact *w = (name_fact *)(uintptr_t)facts_of_name(f, ns, workflow_id);
  if (!w) {
    w = arena_new(f->arena, name_fact);
    w->ns = ns;
    w->workflow_id = workflow_id;
    hmap_insert(&f->names, &w->node, name_hash(f, ns, workflow_id));
  }
  w->current = run;
}

void facts_note(facts *f, const store_row *r) {
  if (r->kind == ROW_NAMED_PUT || r->kind == ROW_NAMED_DELETE) return;
  run_fact *run = make_run(f, r->run);
  switch (r->kind) {
    case ROW_RUN_INSERT:
      run->born = run->exists = true;
      run->ns = r->ns;
      run->workflow_id = r->workflow_id;
      break;
    case ROW_RUN_UPDATE:
      run->exists = true;
      break;
    case ROW_RUN_DELETE:
      run->deleted = true;
      if (r->workflow_id.p) set_current(f, r->ns, r->workflow_id, 0);
      break;
    case ROW_HISTORY_ADD:
      run->last_history = MAX(run->last_history, r->id);
      break;
    case ROW_CURRENT_PUT:
      set_current(f, r->ns, r->workflow_id, r->run);
      break;
    default:
      break;
  }
}

/* --- rows --- */

overlay *overlay_new(hash_key key) {
  overlay *o = mem_new(overlay);
  arena_init(&o->arena);
  facts_init(&o->facts, &o->arena, key);
  o->end = &o->first;
  return o;
}

void overlay_free(overlay *o) {
  if (!o) return;
  facts_release(&o->facts);
  hmap_release(&o->rows);
  arena_release(&o->arena);
  mem_free(o);
}

/* Rows of one subject replace one another; history and what has an effect of its own does not. */
typedef enum subject { OF_RUN, OF_ITEM, OF_ATTEMPT, OF_NAMED, OF_VISIBLE, OF_NONE } subject;

static subject subject_of(const store_row *r) {
  static const subject subjects[] = {
      [ROW_RUN_INSERT] = OF_RUN,         [ROW_RUN_UPDATE] = OF_RUN,
      [ROW_RUN_DELETE] = OF_NONE,        [ROW_ITEM_PUT] = OF_ITEM,
      [ROW_ITEM_DELETE] = OF_ITEM,       [ROW_HISTORY_ADD] = OF_NONE,
      [ROW_CURRENT_PUT] = OF_NONE,       [ROW_ATTEMPT_PUT] = OF_ATTEMPT,
      [ROW_ATTEMPT_DELETE] = OF_ATTEMPT, [ROW_NAMED_PUT] = OF_NAMED,
      [ROW_NAMED_DELETE] = OF_NAMED,     [ROW_VISIBLE_PUT] = OF_VISIBLE,
  };
  return subjects[r->kind];
}

static bool same_subject(const store_row *a, const store_row *b) {
  if (subject_of(a) != subject_of(b)) return false;
  switch (subject_of(a)) {
    case OF_RUN:
    case OF_VISIBLE:
      return a->run == b->run;
    case OF_ITEM:
      return a->run == b->run && a->id == b->id;
    case OF_ATTEMPT:
      return a->run == b->run && a->id == b->id && a->attempt == b->attempt;
    case OF_NAMED:
      return span_eq(a->name, b->name);
    case OF_NONE:
      return false;
  }
  return false;
}

static uint64_t subject_hash(const overlay *o, const store_row *r) {
  subject s = subject_of(r);
  if (s == OF_NAMED) return hash_bytes(o->facts.key, r->name);
  uint64_t id = s == OF_RUN || s == OF_VISIBLE ? 0 : (uint64_t)r->id;
  uint64_t attempt = s == OF_ATTEMPT ? (uint64_t)r->attempt : 0;
  return hash_u64((uint64_t)store_row_key(r->run, (int64_t)id) * 8 + s + (attempt << 32));
}

static overlay_row *find_row(const overlay *o, const store_row *r, uint64_t hash) {
  for (hmap_node *n = hmap_first(&o->rows, hash); n; n = hmap_next(n)) {
    overlay_row *at = CONTAINER_OF(n, overlay_row, node);
    if (same_subject(&at->row, r)) return at;
  }
  return NULL;
}

static bool born_here(const overlay *o, int64_t run) {
  const run_fact *f = facts_of_run(&o->facts, run);
  return f && f->born;
}

static bool is_delete(const store_row *r) {
  return r->kind == ROW_ITEM_DELETE || r->kind == ROW_ATTEMPT_DELETE;
}

/* The later record, in our arena since it was decoded, is to replace what `before` was to. */
static void replace_visible(const store_visible *before, const store_visible *later) {
  store_visible *v = (store_visible *)(uintptr_t)later;
  v->was_status = before->was_status;
  if (v->change == ATTRIBUTES_STAY) {
    v->attributes = before->attributes;
    v->n_attributes = before->n_attributes;
    v->change = before->change;
  } else if (before->change == ATTRIBUTES_ANEW) {
    v->change = ATTRIBUTES_ANEW;
  }
}

/* `at` is now what `r` says. */
static void replace(overlay *o, overlay_row *at, const store_row *r) {
  store_row before = at->row;
  at->row = *r;
  at->gone = is_delete(r) && born_here(o, r->run);
  if (r->kind == ROW_RUN_UPDATE && before.kind == ROW_RUN_INSERT) {
    at->row.kind = ROW_RUN_INSERT;
    at->row.ns = before.ns;
    at->row.workflow_id = before.workflow_id;
    at->row.info = before.info;
  }
  if (r->kind == ROW_VISIBLE_PUT) replace_visible(before.visible, r->visible);
}

static void append(overlay *o, const store_row *r, uint64_t hash) {
  overlay_row *at = arena_new(&o->arena, overlay_row);
  at->row = *r;
  *o->end = at;
  o->end = &at->next;
  o->n_rows++;
  if (subject_of(r) != OF_NONE) hmap_insert(&o->rows, &at->node, hash);
}

static void add_row(overlay *o, const store_row *r) {
  facts_note(&o->facts, r);
  o->largest_seq = MAX(o->largest_seq, r->queued.seq);
  if (subject_of(r) == OF_NONE) {
    append(o, r, 0);
    return;
  }
  uint64_t hash = subject_hash(o, r);
  overlay_row *at = find_row(o, r, hash);
  if (at) {
    replace(o, at, r);
  } else if (!(is_delete(r) && born_here(o, r->run))) {
    append(o, r, hash);
  }
}

bool overlay_add(overlay *o, int64_t commit, span content) {
  store_row r;
  for (size_t at = 0; at < content.n;) {
    if (!row_decode(content, &at, &o->arena, &r)) return false;
    add_row(o, &r);
  }
  o->last_commit = commit;
  return true;
}

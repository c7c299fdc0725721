/* Lists of the model: every record is looked at, with the plain meaning of each predicate. */
#include <stdlib.h>

#include "store/memory_disk.h"

store_visible *visible_copy(const store_visible *v, arena *a) {
  store_visible *c = arena_new(a, store_visible);
  *c = *v;
  span *texts[] = {&c->run_id,        &c->type,        &c->queue,    &c->parent_workflow_id,
                   &c->parent_run_id, &c->root_run_id, &c->division, &c->root_workflow_id};
  for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
    if (texts[i]->p) *texts[i] = arena_dup(a, *texts[i]);
  }
  c->attributes = arena_array(a, store_attribute, v->n_attributes);
  for (size_t i = 0; i < v->n_attributes; i++) {
    c->attributes[i] = v->attributes[i];
    c->attributes[i].value.text = arena_dup(a, v->attributes[i].value.text);
  }
  return c;
}

/* --- what a predicate says of a record --- */

typedef enum tri { NO, YES, UNKNOWN } tri;

static store_value text_or_null(span s) {
  return s.p ? VALUE_OF_TEXT(s) : (store_value){.kind = VALUE_NULL};
}

static store_value if_closed(const store_visible *v, int64_t i) {
  return v->closed_ns ? VALUE_OF_INT(i) : (store_value){.kind = VALUE_NULL};
}

static store_value attribute_of(const store_visible *v, int64_t id) {
  for (size_t i = 0; i < v->n_attributes; i++) {
    if (v->attributes[i].id == id) return v->attributes[i].value;
  }
  return (store_value){.kind = VALUE_NULL};
}

static store_value value_of(const store_row *r, const store_field *f) {
  const store_visible *v = r->visible;
  switch (f->column) {
    case COLUMN_RUN:
      return VALUE_OF_INT(r->run);
    case COLUMN_WORKFLOW_ID:
      return VALUE_OF_TEXT(r->workflow_id);
    case COLUMN_RUN_ID:
      return VALUE_OF_TEXT(v->run_id);
    case COLUMN_TYPE:
      return VALUE_OF_TEXT(v->type);
    case COLUMN_QUEUE:
      return VALUE_OF_TEXT(v->queue);
    case COLUMN_STATUS:
      return VALUE_OF_INT(r->status);
    case COLUMN_STARTED:
      return VALUE_OF_INT(v->started_ns);
    case COLUMN_EXECUTION:
      return VALUE_OF_INT(v->execution_ns);
    case COLUMN_CLOSED:
      return if_closed(v, v->closed_ns);
    case COLUMN_PARENT_WORKFLOW_ID:
      return text_or_null(v->parent_workflow_id);
    case COLUMN_PARENT_RUN_ID:
      return text_or_null(v->parent_run_id);
    case COLUMN_ROOT_WORKFLOW_ID:
      return VALUE_OF_TEXT(v->root_workflow_id.p ? v->root_workflow_id : r->workflow_id);
    case COLUMN_ROOT_RUN_ID:
      return VALUE_OF_TEXT(v->root_run_id.p ? v->root_run_id : v->run_id);
    case COLUMN_DIVISION:
      return text_or_null(v->division);
    case COLUMN_EVENTS:
      return if_closed(v, v->events);
    case COLUMN_HISTORY_BYTES:
      return if_closed(v, v->history_bytes);
    case COLUMN_DURATION:
      return if_closed(v, v->closed_ns - v->execution_ns);
    case COLUMN_TRANSITIONS:
      return if_closed(v, v->transitions);
    case COLUMN_ATTRIBUTE:
      return attribute_of(v, f->attribute);
  }
  PANIC("unknown column %d", (int)f->column);
}

static bool is_among(const store_pred *p, const store_value *v) {
  for (size_t i = 0; i < p->n_values; i++) {
    if (store_value_cmp(v, &p->values[i]) == 0) return true;
  }
  return false;
}

static tri any_among(const store_pred *p, const store_row *r) {
  const store_visible *v = r->visible;
  for (size_t i = 0; i < v->n_attributes; i++) {
    const store_attribute *a = &v->attributes[i];
    if (a->id == p->field.attribute && is_among(p, &a->value)) return YES;
  }
  return NO;
}

static tri compare(const store_pred *p, const store_row *r) {
  store_value v = value_of(r, &p->field);
  if (p->op == OP_MISSING) return v.kind == VALUE_NULL ? YES : NO;
  if (p->op == OP_IN && p->field.many) return any_among(p, r);
  if (v.kind == VALUE_NULL) return UNKNOWN;
  int c = p->op == OP_IN ? 0 : store_value_cmp(&v, &p->values[0]);
  switch (p->op) {
    case OP_IN:
      return is_among(p, &v) ? YES : NO;
    case OP_LESS:
      return c < 0 ? YES : NO;
    case OP_LESS_EQUAL:
      return c <= 0 ? YES : NO;
    case OP_GREATER:
      return c > 0 ? YES : NO;
    case OP_GREATER_EQUAL:
      return c >= 0 ? YES : NO;
    case OP_PREFIX:
      return store_value_has_prefix(&v, &p->values[0]) ? YES : NO;
    default:
      PANIC("operator %d compares nothing", (int)p->op);
  }
}

static tri holds(const store_pred *p, const store_row *r) {
  if (p->op > OP_NOT) return compare(p, r);
  if (p->op == OP_NOT) {
    tri t = holds(p->args[0], r);
    return t == UNKNOWN ? UNKNOWN : t == YES ? NO : YES;
  }
  tri decides = p->op == OP_AND ? NO : YES, all = p->op == OP_AND ? YES : NO;
  for (size_t i = 0; i < p->n_args; i++) {
    tri t = holds(p->args[i], r);
    if (t == decides) return t;
    if (t == UNKNOWN) all = UNKNOWN;
  }
  return all;
}

/* --- answers --- */

static bool is_wanted(const store_query *q, const store_row *r) {
  if (r->ns != q->ns || (!q->divided && r->visible->division.p)) return false;
  return !q->where || holds(q->where, r) == YES;
}

static store_place place_of(const store_query *q, const store_row *r) {
  const store_visible *v = r->visible;
  store_place p = {.ended_ns = v->closed_ns ? v->closed_ns : INT64_MAX,
                   .started_ns = v->started_ns,
                   .run = r->run};
  if (q->ordered) p.key = value_of(r, &q->order);
  return p;
}

/* Puts the record where it belongs; what does not fit any more is more. */
static void insert(store_query *q, const store_row *r, store_place place) {
  size_t at = q->n_found;
  while (at > 0 && store_place_cmp(q, &place, &q->found[at - 1].place) < 0) at--;
  if (q->n_found == q->limit) {
    q->more = true;
    if (at == q->limit) return;
    q->n_found--;
  }
  for (size_t i = q->n_found; i > at; i--) q->found[i] = q->found[i - 1];
  q->found[at] = (store_found){.run = r->run, .status = r->status, .place = place};
  q->n_found++;
}

static void add_group(store_query *q, store_value v) {
  for (size_t i = 0; i < q->n_groups; i++) {
    if (store_value_cmp(&q->groups[i].value, &v) != 0) continue;
    q->groups[i].count++;
    return;
  }
  store_group *more = arena_array(&q->arena, store_group, q->n_groups + 1);
  if (q->n_groups) memcpy(more, q->groups, q->n_groups * sizeof *more);
  more[q->n_groups++] = (store_group){.value = v, .count = 1};
  q->groups = more;
}

static int by_value(const void *a, const void *b) {
  return store_value_cmp(&((const store_group *)a)->value, &((const store_group *)b)->value);
}

static store_value own(store_value v, arena *a) {
  if (v.kind == VALUE_TEXT) v.text = arena_dup(a, v.text);
  return v;
}

static void take(store_query *q, const store_row *r) {
  if (q->kind == QUERY_PAGE) {
    store_place place = place_of(q, r);
    if (!q->has_after || store_place_cmp(q, &place, &q->after) > 0) insert(q, r, place);
    return;
  }
  q->count++;
  if (q->kind == QUERY_GROUP) add_group(q, own(value_of(r, &q->group), &q->arena));
}

void disk_query(const store_memory_disk *d, store_query *q) {
  if (q->kind == QUERY_PAGE) q->found = arena_array(&q->arena, store_found, q->limit);
  for (const disk_row *r = disk_first(d, TABLE_VISIBLE); r; r = disk_next(r)) {
    if (is_wanted(q, &r->r)) take(q, &r->r);
  }
  for (size_t i = 0; i < q->n_found; i++) {
    const disk_row *run = disk_run(d, q->found[i].run);
    q->found[i].place.key = own(q->found[i].place.key, &q->arena);
    if (run && run->r.info) q->found[i].info = bytes_ref(run->r.info);
    if (run && run->r.blob) q->found[i].state = bytes_ref(run->r.blob);
  }
  if (q->n_groups > 1) qsort(q->groups, q->n_groups, sizeof *q->groups, by_value);
}

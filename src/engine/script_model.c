/* script_model.c - the rows a store would hold after a script's steps. */
#include "base/mem.h"
#include "engine/script_world.h"

store_row *model_find(model *m, store_row_kind kind, int64_t run, int64_t id) {
  for (size_t i = 0; i < m->n; i++) {
    store_row *r = &m->rows[i];
    if (r->kind == kind && r->run == run && r->id == id) return r;
  }
  return NULL;
}

static store_row *slot(model *m, const store_row *row, store_row_kind kind, int64_t id) {
  store_row *r = model_find(m, kind, row->run, id);
  if (r) return r;
  if (m->n == m->cap) {
    m->cap = m->cap ? m->cap * 2 : 64;
    m->rows = mem_realloc(m->rows, m->cap * sizeof *m->rows);
  }
  r = &m->rows[m->n++];
  *r = (store_row){.kind = kind, .run = row->run, .id = id};
  return r;
}

static void put(store_row *to, const store_row *from, store_row_kind kind, int64_t id) {
  bytes *old_info = to->info, *info = from->info ? from->info : old_info;
  if (info) (void)bytes_ref(info);
  bytes_unref(old_info);
  bytes_unref(to->blob);
  *to = *from;
  to->kind = kind;
  to->id = id;
  to->info = info;
  to->blob = bytes_ref(from->blob);
  to->workflow_id = to->name = SPAN_NONE;
}

static const char *put_item(model *m, const store_row *row) {
  store_row *old = model_find(m, ROW_ITEM_PUT, row->run, row->id);
  if (old && old->item_kind != row->item_kind) return "two items have the same id";
  if (row->queued.queue && !row->queued.seq) return "an item in a queue has no place in it";
  put(slot(m, row, ROW_ITEM_PUT, row->id), row, ROW_ITEM_PUT, row->id);
  return NULL;
}

static const char *delete_item(model *m, const store_row *row) {
  store_row *old = model_find(m, ROW_ITEM_PUT, row->run, row->id);
  if (!old) return "an item is deleted that is not stored";
  if (old->item_kind != row->item_kind) return "an item is deleted as another kind";
  bytes_unref(old->blob);
  m->n--;
  memmove(old, old + 1, (size_t)(m->rows + m->n - old) * sizeof *old);
  return NULL;
}

static const char *add_history(model *m, const store_row *row, arena *a) {
  int64_t next = 1;
  for (size_t i = 0; i < m->n; i++) {
    if (m->rows[i].kind != ROW_HISTORY_ADD || m->rows[i].run != row->run) continue;
    pb_History *h;
    err *e = PB_DECODE(History, bytes_span(m->rows[i].blob), a, &h);
    if (e) return e->what;
    next = m->rows[i].id + (int64_t)h->events.n;
  }
  if (row->id != next) return "history has a gap";
  put(slot(m, row, ROW_HISTORY_ADD, row->id), row, ROW_HISTORY_ADD, row->id);
  return NULL;
}

static const char *put_current(model *m, const store_row *row) {
  store_row any = {.run = 0};
  store_row *now = model_find(m, ROW_CURRENT_PUT, 0, 0);
  if (row->expected_run != (now ? now->ns : 0)) return "`current` names another run than expected";
  slot(m, &any, ROW_CURRENT_PUT, 0)->ns = row->run;
  return NULL;
}

const char *model_apply(model *m, const store_row *row, arena *a) {
  store_row *run = model_find(m, ROW_RUN_INSERT, row->run, 0);
  switch (row->kind) {
    case ROW_RUN_INSERT:
      if (run) return "a run is inserted twice";
      if (!row->info) return "a run has no info";
      put(slot(m, row, ROW_RUN_INSERT, 0), row, ROW_RUN_INSERT, 0);
      return NULL;
    case ROW_RUN_UPDATE:
      if (!run) return "a run is updated that is not stored";
      put(run, row, ROW_RUN_INSERT, 0);
      return NULL;
    case ROW_ITEM_PUT:
      return put_item(m, row);
    case ROW_ITEM_DELETE:
      return delete_item(m, row);
    case ROW_HISTORY_ADD:
      return add_history(m, row, a);
    case ROW_CURRENT_PUT:
      return put_current(m, row);
    case ROW_ATTEMPT_PUT: {
      int64_t id = row->id << 8 | row->attempt;
      put(slot(m, row, ROW_ATTEMPT_PUT, id), row, ROW_ATTEMPT_PUT, id);
      return NULL;
    }
    case ROW_VISIBLE_PUT: /* the line `visible` shows it */
      return NULL;
    default:
      return "a kind of row that steps do not write";
  }
}

err *model_load(model *m, int64_t run, arena *a, engine_run **ret_run) {
  const store_row *head = model_find(m, ROW_RUN_INSERT, run, 0);
  if (!head) return ERR(a, NOT_FOUND, "the run is not stored");
  store_row *items = arena_array(a, store_row, m->n);
  size_t n = 0;
  for (size_t i = 0; i < m->n; i++) {
    if (m->rows[i].kind == ROW_ITEM_PUT && m->rows[i].run == run) items[n++] = m->rows[i];
  }
  /* A store gives them by id. */
  for (size_t i = 1; i < n; i++) {
    for (size_t k = i; k > 0 && items[k].id < items[k - 1].id; k--) {
      store_row tmp = items[k];
      items[k] = items[k - 1];
      items[k - 1] = tmp;
    }
  }
  return engine_load(head, items, n, a, ret_run);
}

void model_copy(model *to, const model *from) {
  model_release(to);
  to->rows = mem_alloc((from->n + 1) * sizeof *to->rows);
  to->n = to->cap = from->n;
  for (size_t i = 0; i < from->n; i++) {
    to->rows[i] = from->rows[i];
    if (to->rows[i].info) (void)bytes_ref(to->rows[i].info);
    if (to->rows[i].blob) (void)bytes_ref(to->rows[i].blob);
  }
}

void model_release(model *m) {
  engine_rows_release(m->rows, m->n);
  mem_free(m->rows);
  *m = (model){0};
}

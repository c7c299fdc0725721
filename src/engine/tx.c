/* tx.c - the transaction of one step: items and state as they change, and the rows they become. */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/schedule_int.h"
#include "engine/update.h"

const pb_desc *item_desc(int32_t kind) {
  switch (kind) {
    case PB_ITEM_KIND_ACTIVITY:
      return &pb_store_ActivityItem_desc;
    case PB_ITEM_KIND_TIMER:
      return &pb_store_TimerItem_desc;
    case PB_ITEM_KIND_BUFFERED:
      return &pb_store_BufferedItem_desc;
    case PB_ITEM_KIND_SIGNAL_REQUEST:
      return &pb_store_SignalRequestItem_desc;
    case PB_ITEM_KIND_CHILD:
      return &pb_store_ChildItem_desc;
    case PB_ITEM_KIND_EXTERNAL_SIGNAL:
      return &pb_store_ExternalSignalItem_desc;
    case PB_ITEM_KIND_EXTERNAL_CANCEL:
      return &pb_store_ExternalCancelItem_desc;
    case PB_ITEM_KIND_CHILD_RESULT:
      return &pb_store_ChildResultItem_desc;
    case PB_ITEM_KIND_UPDATE:
      return &pb_store_UpdateItem_desc;
    case PB_ITEM_KIND_SCHEDULED_START:
      return &pb_store_ScheduledStartItem_desc;
    case PB_ITEM_KIND_SCHEDULE_STOP:
      return &pb_store_ScheduleStopItem_desc;
    case PB_ITEM_KIND_CALLBACK:
      return &pb_store_CallbackItem_desc;
    default:
      return NULL;
  }
}

void engine_step_init(engine_step *st, const engine_host *host, int64_t now_ns, rng *random,
                      arena *a) {
  *st = (engine_step){.host = host, .now_ns = now_ns, .random = random, .arena = a, .lazy = true};
}

void engine_rows_release(store_row *rows, size_t n) {
  for (size_t i = 0; i < n; i++) {
    bytes_unref(rows[i].info);
    bytes_unref(rows[i].blob);
    rows[i].info = rows[i].blob = NULL;
  }
}

/* Doubles an array of the step's arena when it is full. */
static void *grown(arena *a, void *old, size_t n, size_t *cap, size_t item_bytes) {
  if (n < *cap) return old;
  size_t cap_now = *cap ? *cap * 2 : 8;
  void *bigger = arena_zalloc(a, cap_now * item_bytes);
  if (n) memcpy(bigger, old, n * item_bytes);
  *cap = cap_now;
  return bigger;
}

store_row *step_row(engine_step *st) {
  st->rows = grown(st->arena, st->rows, st->n_rows, &st->cap_rows, sizeof *st->rows);
  return &st->rows[st->n_rows++];
}

void step_task(engine_step *st, engine_task task) {
  st->tasks = grown(st->arena, st->tasks, st->n_tasks, &st->cap_tasks, sizeof *st->tasks);
  st->tasks[st->n_tasks++] = task;
}

void step_message(engine_step *st, int64_t id) {
  st->messages =
      grown(st->arena, st->messages, st->n_messages, &st->cap_messages, sizeof *st->messages);
  st->messages[st->n_messages++] = id;
}

engine_update *step_update(engine_step *st) {
  st->updates = grown(st->arena, st->updates, st->n_updates, &st->cap_updates, sizeof *st->updates);
  return &st->updates[st->n_updates++];
}

void tx_begin(engine_run *run, engine_step *st) {
  ASSERT(!run->tx.active);
  run->tx = (tx){.st = st,
                 .arena = st->arena,
                 .now_ns = MAX(st->now_ns, run->state.last_event_time),
                 .saved = run->state,
                 .saved_queued = run->wft_queued,
                 .saved_unwritten = run->unwritten,
                 .first_event_id = run->state.next_event_id,
                 .first_task = st->n_tasks,
                 .first_row = st->n_rows,
                 .first_update = st->n_updates,
                 .active = true};
}

/* Of what is pending: an item deleted in this step does not count. */
static void count(engine_run *run, const engine_item *it, int by) {
  if (it->kind == PB_ITEM_KIND_ACTIVITY) run->activities += by;
  if (it->kind == PB_ITEM_KIND_TIMER) run->timers += by;
  if (it->kind == PB_ITEM_KIND_UPDATE) run->updates_known += by;
  if (it->kind == PB_ITEM_KIND_CALLBACK) run->callbacks += by;
  if (!item_tells(it->kind)) return;
  run->outside.n += by;
  if (it->kind == PB_ITEM_KIND_CHILD) run->outside.children += by;
  if (it->kind == PB_ITEM_KIND_EXTERNAL_SIGNAL) run->outside.signals += by;
  if (it->kind == PB_ITEM_KIND_EXTERNAL_CANCEL) run->outside.cancels += by;
}

static void item_unlink(engine_run *run, engine_item *it) {
  hmap_remove(&run->by_id, &it->by_id);
  if (it->by_name.hash) hmap_remove(&run->by_name, &it->by_name);
  heap_remove(&run->due, &it->due_node);
  list_remove(&it->buffered);
  if (!it->deleted) count(run, it, -1);
}

/* What of the kept version counts towards the limit of a run's state. */
static void count_details(engine_run *run, engine_item *it) {
  run->detail_bytes -= it->counted_bytes;
  it->counted_bytes = 0;
  if (it->kind == PB_ITEM_KIND_ACTIVITY && it->msg) {
    it->counted_bytes = ((const pb_store_ActivityItem *)it->msg)->heartbeat_details.n;
  }
  run->detail_bytes += it->counted_bytes;
}

static void item_free(engine_run *run, engine_item *it) {
  run->detail_bytes -= it->counted_bytes;
  run->memory_bytes -= (int64_t)(sizeof *it + it->arena.total_bytes + bytes_span(it->blob).n);
  arena_release(&it->arena);
  bytes_unref(it->blob);
  mem_free(it);
}

static void items_forget(engine_run *run) {
  engine_item *next;
  for (engine_item *it = run->tx.touched; it; it = next) {
    next = it->next_touched;
    if (it->deleted) count(run, it, 1);
    it->touched = it->deleted = false;
    it->edit = NULL;
    if (!it->msg) {
      item_unlink(run, it);
      item_free(run, it);
      continue;
    }
    it->due_ns = it->saved_due_ns;
    it->queued = it->saved_queued;
  }
  run->tx.touched = NULL;
}

/* Effects of the transaction are taken back. */
static void effects_forget(tx *t) {
  engine_step *st = t->st;
  if (st->follower) {
    engine_rows_release(st->follower_step->rows, st->follower_step->n_rows);
    engine_free(st->follower);
    st->follower = NULL;
    st->follower_step = NULL;
  }
  st->closed = false; /* nothing follows in a step that closed the run before */
  if (st->n_rows) engine_rows_release(st->rows + t->first_row, st->n_rows - t->first_row);
  st->n_rows = t->first_row;
  st->n_tasks = t->first_task;
  st->n_updates = t->first_update;
}

void tx_rollback(engine_run *run) {
  items_forget(run);
  effects_forget(&run->tx);
  run->state = run->tx.saved;
  run->wft_queued = run->tx.saved_queued;
  run->unwritten = run->tx.saved_unwritten;
  updates_settle(run, false);
  run->tx.events = run->tx.buffered = (tx_events){0};
}

void tx_abandon(engine_run *run) {
  tx_rollback(run);
  run->tx.active = false;
}

static void touch(engine_run *run, engine_item *it) {
  if (it->touched) return;
  it->touched = true;
  it->saved_due_ns = it->due_ns;
  it->saved_queued = it->queued;
  it->next_touched = run->tx.touched;
  run->tx.touched = it;
}

/* 0 marks "has no name", so no name hashes to it. */
static uint64_t name_hash(const engine_run *run, int32_t kind, span name) {
  return (hash_bytes(run->name_key, name) ^ hash_u64((uint64_t)kind)) | 1;
}

static engine_item *item_link(engine_run *run, int64_t id, int32_t kind, span name) {
  engine_item *it = mem_new(engine_item);
  it->id = id;
  it->kind = kind;
  hmap_insert(&run->by_id, &it->by_id, hash_u64((uint64_t)id));
  if (name.p) hmap_insert(&run->by_name, &it->by_name, name_hash(run, kind, name));
  count(run, it, 1);
  if (kind == PB_ITEM_KIND_BUFFERED) list_push_back(&run->buffered, &it->buffered);
  run->memory_bytes += (int64_t)sizeof *it;
  return it;
}

void *item_new(engine_run *run, int64_t id, int32_t kind, span name) {
  ASSERT(id <= ROW_ID_MAX);
  engine_item *it = item_link(run, id, kind, name);
  touch(run, it);
  it->edit = arena_zalloc(run->tx.arena, pb_struct_bytes(item_desc(kind)));
  return it->edit;
}

engine_item *item_by_id(const engine_run *run, int64_t id, int32_t kind) {
  for (hmap_node *n = hmap_first(&run->by_id, hash_u64((uint64_t)id)); n; n = hmap_next(n)) {
    engine_item *it = CONTAINER_OF(n, engine_item, by_id);
    if (it->id == id && it->kind == kind && !it->deleted) return it;
  }
  return NULL;
}

static span item_name(const engine_item *it) {
  const void *msg = item_msg(it);
  switch (it->kind) {
    case PB_ITEM_KIND_ACTIVITY:
      return ((const pb_store_ActivityItem *)msg)->scheduled->activity_id;
    case PB_ITEM_KIND_TIMER:
      return ((const pb_store_TimerItem *)msg)->timer_id;
    case PB_ITEM_KIND_SIGNAL_REQUEST:
      return ((const pb_store_SignalRequestItem *)msg)->request_id;
    case PB_ITEM_KIND_UPDATE:
      return ((const pb_store_UpdateItem *)msg)->update_id;
    default:
      return SPAN_NONE;
  }
}

engine_item *item_by_name(const engine_run *run, int32_t kind, span name) {
  uint64_t hash = name_hash(run, kind, name);
  for (hmap_node *n = hmap_first(&run->by_name, hash); n; n = hmap_next(n)) {
    engine_item *it = CONTAINER_OF(n, engine_item, by_name);
    if (it->kind == kind && !it->deleted && span_eq(item_name(it), name)) return it;
  }
  return NULL;
}

const void *item_msg(const engine_item *it) { return it->edit ? it->edit : it->msg; }

void *item_edit(engine_run *run, engine_item *it) {
  touch(run, it);
  if (!it->edit) {
    size_t n = pb_struct_bytes(item_desc(it->kind));
    it->edit = memcpy(arena_alloc(run->tx.arena, n), it->msg, n);
  }
  return it->edit;
}

void item_set_due(engine_run *run, engine_item *it, int64_t due_ns, store_queued queued) {
  touch(run, it);
  it->due_ns = due_ns;
  it->queued = queued;
}

void item_delete(engine_run *run, engine_item *it) {
  touch(run, it);
  if (!it->deleted) count(run, it, -1);
  it->deleted = true;
}

static int by_item_id(const void *a, const void *b) {
  const engine_item *x = *(engine_item *const *)a, *y = *(engine_item *const *)b;
  return (x->id > y->id) - (x->id < y->id);
}

engine_item **items_sorted(const engine_run *run, int32_t kind, arena *a, size_t *ret_n) {
  engine_item **items = arena_array(a, engine_item *, run->by_id.count + 1);
  size_t n = 0;
  for (hmap_node *h = hmap_each(&run->by_id, NULL); h; h = hmap_each(&run->by_id, h)) {
    engine_item *it = CONTAINER_OF(h, engine_item, by_id);
    if (it->kind == kind && !it->deleted) items[n++] = it;
  }
  if (n > 1) qsort(items, n, sizeof(engine_item *), by_item_id);
  *ret_n = n;
  return items;
}

/* Decodes what was just encoded (or loaded), so that memory and row cannot differ. */
static err *decode_into(const pb_desc *d, bytes *blob, arena *fresh, arena *errs, void **ret_msg) {
  arena_init_sized(fresh, pb_struct_bytes(d) + 512);
  return pb_decode(d, bytes_span(blob), fresh, ret_msg) == NULL
             ? NULL
             : ERR(errs, DATA_LOSS, "a stored %s does not decode", pb_name(d));
}

static bytes *encode(engine_run *run, const pb_desc *d, const void *msg) {
  return bytes_copy(pb_encode_arena(d, msg, run->tx.arena));
}

static void item_keep(engine_run *run, engine_item *it) {
  bytes *blob = encode(run, item_desc(it->kind), it->edit);
  arena fresh;
  void *msg = NULL;
  err *e = decode_into(item_desc(it->kind), blob, &fresh, run->tx.arena, &msg);
  ASSERT(!e);
  run->memory_bytes -= (int64_t)(it->arena.total_bytes + bytes_span(it->blob).n);
  arena_release(&it->arena);
  bytes_unref(it->blob);
  it->arena = fresh;
  it->blob = blob;
  it->msg = msg;
  count_details(run, it);
  run->memory_bytes += (int64_t)(it->arena.total_bytes + blob->n);
}

static void set_due_node(engine_run *run, engine_item *it) {
  heap_remove(&run->due, &it->due_node);
  if (!it->due_ns || item_tells(it->kind)) return;
  heap_insert(&run->due, &it->due_node, it->due_ns, (uint64_t)it->id);
}

static void item_write(engine_run *run, engine_item *it) {
  if (it->deleted) {
    if (it->msg) {
      *step_row(run->tx.st) = (store_row){
          .kind = ROW_ITEM_DELETE, .run = run->run, .id = it->id, .item_kind = it->kind};
    }
    item_unlink(run, it);
    item_free(run, it);
    return;
  }
  if (it->edit) item_keep(run, it);
  *step_row(run->tx.st) = (store_row){.kind = ROW_ITEM_PUT,
                                      .run = run->run,
                                      .id = it->id,
                                      .item_kind = it->kind,
                                      .due_ns = it->due_ns,
                                      .queued = it->queued,
                                      .blob = bytes_ref(it->blob)};
  set_due_node(run, it);
  if (it->due_ns && item_tells(it->kind)) step_message(run->tx.st, it->id);
  it->edit = NULL;
  it->touched = false;
}

static void items_write(engine_run *run) {
  engine_item *next;
  for (engine_item *it = run->tx.touched; it; it = next) {
    next = it->next_touched;
    item_write(run, it);
  }
  run->tx.touched = NULL;
}

static void state_keep(engine_run *run, bytes *blob) {
  arena fresh;
  void *msg = NULL;
  err *e = decode_into(&pb_store_RunState_desc, blob, &fresh, run->tx.arena, &msg);
  ASSERT(!e);
  arena_release(&run->state_arena);
  bytes_unref(run->state_blob);
  run->state_arena = fresh;
  run->state_blob = blob;
  run->state = *(pb_store_RunState *)msg;
}

void run_recall_state(engine_run *run) {
  arena fresh;
  void *msg = NULL;
  err *e = decode_into(&pb_store_RunState_desc, run->state_blob, &fresh, &fresh, &msg);
  ASSERT(!e);
  arena_release(&run->state_arena);
  run->state_arena = fresh;
  run->state = *(pb_store_RunState *)msg;
}

static void run_row_write(engine_run *run, bytes *state) {
  bool first = !run->inserted, visible = first || visible_changed(run);
  store_attributes_change change = first ? ATTRIBUTES_ANEW : seen_attributes_change(run);
  state_keep(run, state);
  store_row *row = step_row(run->tx.st);
  *row = (store_row){.kind = run->inserted ? ROW_RUN_UPDATE : ROW_RUN_INSERT,
                     .run = run->run,
                     .ns = run->ns,
                     .status = run->state.status,
                     .workflow_id = run->info->workflow_id,
                     .due_ns = run_due_ns(run),
                     .queued = run->wft_queued,
                     .blob = bytes_ref(run->state_blob)};
  if (first) row->info = bytes_ref(run->info_blob);
  if (visible) visible_write(run, first, change);
  if (!first) return;
  run->inserted = true;
  *step_row(run->tx.st) = (store_row){.kind = ROW_CURRENT_PUT,
                                      .run = run->run,
                                      .ns = run->ns,
                                      .workflow_id = run->info->workflow_id,
                                      .expected_run = run->expected_run};
}

void tx_end_unwritten(engine_run *run) {
  ASSERT(run->tx.active && !run->tx.events.n && !run->tx.touched);
  updates_settle(run, true);
  run->tx.active = false;
}

static bool run_row_changed(const engine_run *run) {
  const tx *t = &run->tx;
  return !run->inserted || memcmp(&t->saved, &run->state, sizeof t->saved) != 0 ||
         !same_place(&t->saved_queued, &run->wft_queued);
}

/* A task that was offered and then cancelled in the same step is not offered. */
static void tasks_keep_ready(engine_run *run) {
  engine_step *st = run->tx.st;
  size_t n = 0;
  for (size_t i = 0; i < st->n_tasks; i++) {
    const engine_task *t = &st->tasks[i];
    const engine_item *it = NULL;
    if (t->kind == ENGINE_ACTIVITY_TASK) it = item_by_id(run, t->id, PB_ITEM_KIND_ACTIVITY);
    int64_t seq = t->kind == ENGINE_WORKFLOW_TASK ? run->wft_queued.seq : it ? it->queued.seq : 0;
    if (seq == t->queued.seq) st->tasks[n++] = *t;
  }
  st->n_tasks = n;
}

static int by_id(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* In the order of the commands that they come from. */
static void messages_sort(engine_run *run) {
  engine_step *st = run->tx.st;
  if (st->n_messages > 1) qsort(st->messages, st->n_messages, sizeof *st->messages, by_id);
}

void tx_finish(engine_run *run) {
  tx *t = &run->tx;
  ASSERT(t->active);
  failing_settle(run);
  tx_settle_buffer(run);
  /* A row must not know of a start that history does not. */
  if (run->unwritten && run_row_changed(run)) wft_settle(run);
  if (t->events.n) run->state.last_event_time = t->now_ns;
  tx_write_events(run);
  /* The state may name what lies in items: it is encoded before any of them is forgotten. */
  bytes *state = NULL;
  if (run_row_changed(run)) {
    run->state.state_transitions++;
    state = encode(run, &pb_store_RunState_desc, &run->state);
  }
  items_write(run);
  messages_sort(run);
  if (state) run_row_write(run, state);
  tasks_keep_ready(run);
  updates_settle(run, true);
  t->active = false;
}

/* Whether what every reader relies on is there. */
static bool item_is_whole(int32_t kind, const void *msg) {
  if (kind == PB_ITEM_KIND_BUFFERED) return ((const pb_store_BufferedItem *)msg)->event != NULL;
  if (kind == PB_ITEM_KIND_CALLBACK) return ((const pb_store_CallbackItem *)msg)->callback != NULL;
  if (item_tells(kind)) return outside_is_whole(kind, msg);
  if (kind != PB_ITEM_KIND_ACTIVITY) return true;
  const pb_ActivityTaskScheduledEventAttributes *s =
      ((const pb_store_ActivityItem *)msg)->scheduled;
  return s && s->activity_type && s->task_queue;
}

bool info_is_whole(const pb_store_RunInfo *info) {
  const pb_WorkflowExecutionStartedEventAttributes *s = info->started;
  return s && s->workflow_type && s->task_queue;
}

err *engine_load(const store_row *row, const store_row *items, size_t n_items, arena *a,
                 engine_run **ret_run) {
  engine_run *run = run_new(row->run, row->ns);
  run->inserted = true;
  run->wft_queued = row->queued;
  run->info_blob = bytes_ref(row->info);
  run->state_blob = bytes_ref(row->blob);
  void *state = NULL, *info = NULL;
  err *e = decode_into(&pb_store_RunInfo_desc, run->info_blob, &run->info_arena, a, &info);
  if (!e && !info_is_whole(info)) e = ERR(a, DATA_LOSS, "a stored run has no first event");
  if (!e) e = decode_into(&pb_store_RunState_desc, run->state_blob, &run->state_arena, a, &state);
  for (size_t i = 0; !e && i < n_items; i++) {
    const pb_desc *d = item_desc(items[i].item_kind);
    arena fresh;
    void *msg = NULL;
    if (!d) {
      e = ERR(a, DATA_LOSS, "item %lld has the unknown kind %d: was it written by a newer version?",
              (long long)items[i].id, items[i].item_kind);
      break;
    }
    e = decode_into(d, items[i].blob, &fresh, a, &msg);
    if (!e && !item_is_whole(items[i].item_kind, msg)) {
      e = ERR(a, DATA_LOSS, "item %lld lacks what an item of its kind must have",
              (long long)items[i].id);
    }
    if (e) {
      arena_release(&fresh);
      break;
    }
    engine_item holder = {.kind = items[i].item_kind, .msg = msg};
    engine_item *it = item_link(run, items[i].id, items[i].item_kind, item_name(&holder));
    it->arena = fresh;
    it->msg = msg;
    it->blob = bytes_ref(items[i].blob);
    it->due_ns = items[i].due_ns;
    it->queued = items[i].queued;
    count_details(run, it);
    run->memory_bytes += (int64_t)(fresh.total_bytes + it->blob->n);
    set_due_node(run, it);
  }
  if (!e && ((pb_store_RunState *)state)->schedule && !schedule_is_whole(state)) {
    e = ERR(a, DATA_LOSS, "a stored schedule lacks its state");
  }
  if (e) {
    engine_free(run);
    return e;
  }
  run->info = info;
  run->state = *(pb_store_RunState *)state;
  updates_load(run);
  *ret_run = run;
  return NULL;
}

engine_run *run_new(int64_t run_key, int64_t ns) {
  engine_run *run = mem_new(engine_run);
  run->run = run_key;
  run->ns = ns;
  /* A per-run key is enough: a name that collides in one run does not in the next. */
  run->name_key = (hash_key){hash_u64((uint64_t)run_key), hash_u64((uint64_t)run_key + 1)};
  list_init(&run->buffered);
  list_init(&run->updates);
  return run;
}

void engine_free(engine_run *run) {
  if (!run) return;
  for (hmap_node *n = hmap_each(&run->by_id, NULL); n; n = hmap_each(&run->by_id, NULL)) {
    engine_item *it = CONTAINER_OF(n, engine_item, by_id);
    item_unlink(run, it);
    item_free(run, it);
  }
  updates_release(run);
  hmap_release(&run->by_id);
  hmap_release(&run->by_name);
  heap_release(&run->due);
  arena_release(&run->info_arena);
  arena_release(&run->state_arena);
  arena_release(&run->start_arena);
  bytes_unref(run->info_blob);
  bytes_unref(run->state_blob);
  mem_free(run);
}

size_t engine_memory_bytes(const engine_run *run) {
  return sizeof *run + run->info_arena.total_bytes + run->state_arena.total_bytes +
         bytes_span(run->info_blob).n + bytes_span(run->state_blob).n +
         (size_t)MAX(run->memory_bytes, 0);
}

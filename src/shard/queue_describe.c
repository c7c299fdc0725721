/* queue_describe.c - what is said of a task queue: its pollers, its backlog, how fast it goes.
 *
 * The backlog is exact: what memory does not hold is counted on disk, after everything that was put
 * off is written. */
#include "proto/pb_time.h"
#include "shard/shard_int.h"

static const double unlimited_rate = 100000; /* what is reported where nothing limits */
enum { DEFAULT_LEVEL = 3 };

/* One type of the queue. */
typedef struct queue_part {
  int32_t type;
  int64_t key; /* 0: nobody used it yet */
  bool sticky;
  match_queue_view view;
} queue_part;

enum { QUEUE_TYPES = 2 };

typedef struct describe {
  shard *s;
  shard_op *op;
  const pb_DescribeTaskQueueRequest *request;
  queue_part parts[QUEUE_TYPES];
  size_t n, at;
  bool stats, enhanced;
  gate gate;
  store_load load;
} describe;

/* --- parts of the answer --- */

static pb_PollerInfo *poller_info(const match_poller *p, arena *a) {
  pb_PollerInfo *info = NULL;
  if (PB_DECODE(PollerInfo, p->about, a, &info)) info = pb_new(a, PollerInfo);
  if (info->rate_per_second <= 0) info->rate_per_second = unlimited_rate;
  info->identity = p->identity;
  info->last_access_time = pb_time_new(a, p->seen_ns);
  return info;
}

static pb_list_PollerInfo pollers(const queue_part *p, arena *a) {
  pb_list_PollerInfo all = {.v = arena_array(a, pb_PollerInfo *, p->view.n_pollers + 1)};
  for (; all.n < p->view.n_pollers; all.n++) {
    all.v[all.n] = poller_info(&p->view.pollers[all.n], a);
  }
  return all;
}

static pb_TaskQueueStats *level_stats(const describe *d, const match_level *l, arena *a) {
  pb_TaskQueueStats *s = pb_new(a, TaskQueueStats);
  int64_t age_ns = l->backlog ? now_ns(d->s) - l->oldest_seq * NS_PER_US : 0;
  s->approximate_backlog_count = (int64_t)l->backlog;
  s->approximate_backlog_age = pb_duration_new(a, MAX(age_ns, INT64_C(0)));
  s->tasks_add_rate = l->adds_per_second;
  s->tasks_dispatch_rate = l->dispatches_per_second;
  return s;
}

static match_level all_levels(const queue_part *p) {
  match_level sum = {.oldest_seq = INT64_MAX};
  for (int i = 0; i < MATCH_LEVELS; i++) {
    const match_level *l = &p->view.levels[i];
    sum.backlog += l->backlog;
    sum.oldest_seq = MIN(sum.oldest_seq, l->oldest_seq);
    sum.adds_per_second += l->adds_per_second;
    sum.dispatches_per_second += l->dispatches_per_second;
  }
  return sum;
}

static pb_TaskQueueStats *stats(const describe *d, const queue_part *p, arena *a) {
  match_level sum = all_levels(p);
  return level_stats(d, &sum, a);
}

static void add_levels(const describe *d, const queue_part *p, pb_DescribeTaskQueueResponse *r,
                       arena *a) {
  r->stats_by_priority_key.v =
      arena_array(a, pb_DescribeTaskQueueResponse_StatsByPriorityKeyEntry *, MATCH_LEVELS);
  for (int32_t i = 0; i < MATCH_LEVELS; i++) {
    const match_level *l = &p->view.levels[i];
    if (!l->used && i + 1 != DEFAULT_LEVEL) continue;
    pb_DescribeTaskQueueResponse_StatsByPriorityKeyEntry *e =
        pb_new(a, DescribeTaskQueueResponse_StatsByPriorityKeyEntry);
    e->key = i + 1;
    e->value = level_stats(d, l, a);
    r->stats_by_priority_key.v[r->stats_by_priority_key.n++] = e;
  }
}

static pb_TaskQueueVersioningInfo *versioning(arena *a) {
  pb_TaskQueueVersioningInfo *v = pb_new(a, TaskQueueVersioningInfo);
  v->current_version = SPAN("__unversioned__");
  v->update_time = pb_new(a, Timestamp);
  v->update_time->seconds = INT64_C(-62135596800); /* never */
  return v;
}

static pb_DescribeTaskQueueResponse_EffectiveRateLimit *effective_rate(const queue_name *q,
                                                                       arena *a) {
  pb_DescribeTaskQueueResponse_EffectiveRateLimit *l =
      pb_new(a, DescribeTaskQueueResponse_EffectiveRateLimit);
  const float *rate = q ? queue_rate(q, &l->rate_limit_source) : NULL;
  if (!rate) l->rate_limit_source = PB_RATE_LIMIT_SOURCE_SYSTEM;
  l->requests_per_second = rate ? *rate : (float)unlimited_rate;
  return l;
}

static pb_TaskQueueStatus *older_status(const queue_part *p, arena *a) {
  pb_TaskQueueStatus *s = pb_new(a, TaskQueueStatus);
  s->backlog_count_hint = (int64_t)all_levels(p).backlog;
  s->rate_per_second = unlimited_rate;
  s->task_id_block = pb_new(a, TaskIdBlock);
  return s;
}

static pb_DescribeTaskQueueResponse *plain_answer(const describe *d) {
  arena *a = d->op->arena;
  const queue_part *p = &d->parts[0];
  const queue_name *name = p->key ? queue_by_key(d->s, p->key) : NULL;
  pb_DescribeTaskQueueResponse *r = pb_new(a, DescribeTaskQueueResponse);
  r->pollers = pollers(p, a);
  if (!p->sticky && d->request->task_queue->kind != PB_TASK_QUEUE_KIND_STICKY) {
    r->versioning_info = versioning(a);
  }
  r->effective_rate_limit = effective_rate(name, a);
  if (d->request->report_stats) {
    r->stats = stats(d, p, a);
    add_levels(d, p, r, a);
  }
  if (d->request->report_config && name) r->config = queue_config(name, a);
  if (d->request->include_task_queue_status) r->task_queue_status = older_status(p, a);
  return r;
}

/* --- the enhanced mode: by version and type --- */

static pb_TaskQueueTypeInfo *type_info(const describe *d, const queue_part *p, bool unversioned,
                                       arena *a) {
  static const queue_part nobody = {.view.levels[0].oldest_seq = INT64_MAX};
  pb_TaskQueueTypeInfo *t = pb_new(a, TaskQueueTypeInfo);
  if (!unversioned) p = &nobody;
  if (d->request->report_pollers) t->pollers = pollers(p, a);
  if (d->request->report_stats) t->stats = stats(d, p, a);
  return t;
}

static void add_version(const describe *d, span build_id, pb_DescribeTaskQueueResponse *r) {
  arena *a = d->op->arena;
  const bool unversioned = build_id.n == 0;
  pb_TaskQueueVersionInfo *v = pb_new(a, TaskQueueVersionInfo);
  v->types_info.v = arena_array(a, pb_TaskQueueVersionInfo_TypesInfoEntry *, QUEUE_TYPES);
  for (size_t i = 0; i < d->n; i++) {
    pb_TaskQueueVersionInfo_TypesInfoEntry *e = pb_new(a, TaskQueueVersionInfo_TypesInfoEntry);
    e->key = d->parts[i].type;
    e->value = type_info(d, &d->parts[i], unversioned, a);
    v->types_info.v[v->types_info.n++] = e;
  }
  /* Every new workflow goes to workers without a version, and none to another. */
  if (d->request->report_task_reachability) {
    v->task_reachability = unversioned ? PB_BUILD_ID_TASK_REACHABILITY_REACHABLE
                                       : PB_BUILD_ID_TASK_REACHABILITY_UNREACHABLE;
  }
  pb_DescribeTaskQueueResponse_VersionsInfoEntry *e =
      pb_new(a, DescribeTaskQueueResponse_VersionsInfoEntry);
  e->key = build_id;
  e->value = v;
  r->versions_info.v[r->versions_info.n++] = e;
}

static pb_DescribeTaskQueueResponse *enhanced_answer(const describe *d) {
  arena *a = d->op->arena;
  const pb_TaskQueueVersionSelection *which = d->request->versions;
  size_t n = which ? which->build_ids.n : 0;
  pb_DescribeTaskQueueResponse *r = pb_new(a, DescribeTaskQueueResponse);
  r->versions_info.v = arena_array(a, pb_DescribeTaskQueueResponse_VersionsInfoEntry *, n + 1);
  if (!which || which->unversioned) add_version(d, SPAN_NONE, r);
  for (size_t i = 0; i < n; i++) {
    if (which->build_ids.v[i].n) add_version(d, which->build_ids.v[i], r);
  }
  return r;
}

/* --- collecting --- */

static void describe_next(describe *d);

static void take_counts(queue_part *p, const store_load *l) {
  for (int i = 0; i < MATCH_LEVELS; i++) {
    p->view.levels[i].backlog = 0;
    p->view.levels[i].oldest_seq = INT64_MAX;
  }
  for (size_t i = 0; i < l->n_rows; i++) {
    const store_row *row = &l->rows[i];
    int32_t level = MIN(MAX(row->queued.priority, 1), MATCH_LEVELS);
    match_level *to = &p->view.levels[level - 1];
    to->used = true;
    to->backlog += (size_t)row->id;
    to->oldest_seq = MIN(to->oldest_seq, row->queued.seq);
  }
}

static void backlog_counted(env_task *task) {
  describe *d = CONTAINER_OF(CONTAINER_OF(task, store_load, task), describe, load);
  shard *s = d->s;
  s->loads_under_way--;
  if (d->load.error) {
    op_fail(d->op, ERR_WRAP(d->op->arena, UNAVAILABLE, d->load.error,
                            "the backlog of the task queue could not be counted"));
  } else {
    take_counts(&d->parts[d->at], &d->load);
    arena_release(&d->load.arena);
    d->at++;
    describe_next(d);
  }
  check_drained(s);
}

static void all_is_written(shard *s, gate *g, const err *e) {
  describe *d = CONTAINER_OF(g, describe, gate);
  if (e) {
    op_fail(d->op, err_dup(d->op->arena, e));
    return;
  }
  d->load = (store_load){.kind = LOAD_BACKLOG,
                         .queued = {.queue = d->parts[d->at].key},
                         .task = {.run = backlog_counted}};
  s->loads_under_way++;
  s->store->load(s->store, &d->load);
}

/* True: the view is complete. */
static bool look(describe *d, queue_part *p) {
  shard *s = d->s;
  bool activity = p->type == PB_TASK_QUEUE_TYPE_ACTIVITY;
  const queue_name *name = activity || p->type == PB_TASK_QUEUE_TYPE_WORKFLOW
                               ? queue_find(s, d->op->ns, d->request->task_queue->name, activity)
                               : NULL;
  if (!name) {
    for (int i = 0; i < MATCH_LEVELS; i++) p->view.levels[i].oldest_seq = INT64_MAX;
    return true;
  }
  p->key = name->key;
  p->sticky = name->sticky;
  match_look(queue_of_key(s, name->key), now_ns(s), d->op->arena, &p->view);
  return p->view.complete || !d->stats;
}

static void describe_next(describe *d) {
  for (; d->at < d->n; d->at++) {
    if (look(d, &d->parts[d->at])) continue;
    flush_all(d->s);
    gate_wait_lsn(d->s, &d->gate, d->s->staged_lsn, all_is_written);
    return;
  }
  d->op->done(d->op, NULL, d->enhanced ? enhanced_answer(d) : plain_answer(d));
}

void shard_describe_task_queue(shard *s, shard_op *op, const pb_DescribeTaskQueueRequest *r) {
  op->state = NULL;
  if (op_refused(s, op)) return;
  describe *d = arena_new(op->arena, describe);
  d->s = s;
  d->op = op;
  d->request = r;
  d->enhanced = r->api_mode == PB_DESCRIBE_TASK_QUEUE_MODE_ENHANCED;
  d->stats = r->report_stats || r->include_task_queue_status;
  if (!d->enhanced) {
    d->parts[d->n++].type = r->task_queue_type;
  } else {
    for (int32_t type = PB_TASK_QUEUE_TYPE_WORKFLOW; type <= PB_TASK_QUEUE_TYPE_ACTIVITY; type++) {
      bool asked = r->task_queue_types.n == 0;
      for (size_t i = 0; i < r->task_queue_types.n; i++) asked |= r->task_queue_types.v[i] == type;
      if (asked) d->parts[d->n++].type = type;
    }
  }
  describe_next(d);
}

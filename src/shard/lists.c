/* lists.c - runs found by what is known of them. The store answers from what is durable, and
 * nothing is acknowledged before it is: a list holds every run that its caller has heard of. */
#include "engine/schedule.h"
#include "shard/shard_int.h"

typedef struct listing {
  store_query query;
  shard *s;
  shard_op *op;
  uint64_t query_hash;
  void (*answer)(struct listing *l);
} listing;

bool shard_run_key(span run_id, int64_t *ret_key) { return run_id_parse(run_id, ret_key); }

/* --- pages --- */

static span seal_place(const listing *l, const store_place *place) {
  arena *a = l->op->arena;
  pb_store_ListPageToken t = {.query_hash = l->query_hash,
                              .ended = place->ended_ns,
                              .started = place->started_ns,
                              .run = place->run};
  switch (place->key.kind) {
    case VALUE_NULL:
      break;
    case VALUE_INT:
      t.which_key = PB_store_ListPageToken_key_int_FIELD;
      t.key_int = place->key.i;
      break;
    case VALUE_REAL:
      t.which_key = PB_store_ListPageToken_key_real_FIELD;
      t.key_real = place->key.real;
      break;
    case VALUE_TEXT:
      t.which_key = PB_store_ListPageToken_key_text_FIELD;
      t.key_text = place->key.text;
      break;
  }
  span body = PB_ENCODE(store_ListPageToken, &t, a);
  return token_seal(&l->s->tokens, TOKEN_LIST_PAGE, l->op->ns, body, a);
}

static store_value key_of(const pb_store_ListPageToken *t) {
  switch (t->which_key) {
    case PB_store_ListPageToken_key_int_FIELD:
      return VALUE_OF_INT(t->key_int);
    case PB_store_ListPageToken_key_real_FIELD:
      return VALUE_OF_REAL(t->key_real);
    case PB_store_ListPageToken_key_text_FIELD:
      return VALUE_OF_TEXT(t->key_text);
    default:
      return (store_value){.kind = VALUE_NULL};
  }
}

static err *open_place(listing *l, span token) {
  arena *a = l->op->arena;
  pb_store_ListPageToken *t;
  int64_t ns;
  span body;
  if (!token.n) return NULL;
  if (!token_open(&l->s->tokens, TOKEN_LIST_PAGE, token, &ns, &body) || ns != l->op->ns ||
      PB_DECODE(store_ListPageToken, body, a, &t) || t->query_hash != l->query_hash) {
    return ERR(a, INVALID_ARGUMENT,
               "Invalid NextPageToken: it was not given out for this query in this namespace");
  }
  l->query.has_after = true;
  l->query.after = (store_place){
      .key = key_of(t), .ended_ns = t->ended, .started_ns = t->started, .run = t->run};
  return NULL;
}

static void answer_page(listing *l) {
  const store_query *q = &l->query;
  shard_op *op = l->op;
  shard_listed *r = arena_new(op->arena, shard_listed);
  r->v = arena_array(op->arena, pb_WorkflowExecutionInfo *, q->n_found + 1);
  for (size_t i = 0; i < q->n_found; i++) {
    const store_found *f = &q->found[i];
    err *e = engine_list_entry(bytes_span(f->info), bytes_span(f->state), op->arena, &r->v[r->n++]);
    if (!e) continue;
    op_fail(op, e);
    return;
  }
  if (q->more) r->next_page_token = seal_place(l, &q->found[q->n_found - 1].place);
  op->done(op, NULL, r);
}

static void answer_schedules(listing *l) {
  const store_query *q = &l->query;
  shard_op *op = l->op;
  pb_ListSchedulesResponse *r = pb_new(op->arena, ListSchedulesResponse);
  r->schedules.v = arena_array(op->arena, pb_ScheduleListEntry *, q->n_found + 1);
  for (size_t i = 0; i < q->n_found; i++) {
    const store_found *f = &q->found[i];
    err *e = engine_schedule_entry(bytes_span(f->info), bytes_span(f->state), &l->s->zones,
                                   op->arena, &r->schedules.v[r->schedules.n++]);
    if (!e) continue;
    op_fail(op, e);
    return;
  }
  if (q->more) r->next_page_token = seal_place(l, &q->found[q->n_found - 1].place);
  op->done(op, NULL, r);
}

/* --- counts --- */

static void answer_count(listing *l) {
  shard_counted r = {
      .count = l->query.count, .groups = l->query.groups, .n_groups = l->query.n_groups};
  l->op->done(l->op, NULL, &r);
}

/* --- both --- */

static void listed(env_task *task) {
  listing *l = CONTAINER_OF(CONTAINER_OF(task, store_query, task), listing, query);
  shard *s = l->s;
  s->loads_under_way--;
  if (l->query.error) {
    op_fail(l->op, l->query.error);
  } else {
    l->answer(l);
  }
  store_query_release(&l->query);
  mem_free(l);
  check_drained(s);
}

/* NULL: refused and answered already. */
static listing *listing_new(shard *s, shard_op *op, const filter *f, void (*answer)(listing *l)) {
  op->state = NULL;
  if (op_refused(s, op)) return NULL;
  listing *l = mem_new(listing);
  l->s = s;
  l->op = op;
  l->answer = answer;
  l->query = (store_query){.task = {.run = listed},
                           .ns = op->ns,
                           .where = f->where,
                           .divided = f->divided,
                           .deadline_ms = SHARD_QUERY_MS};
  return l;
}

static void ask_store(listing *l) {
  l->s->loads_under_way++;
  l->s->store->query(l->s->store, &l->query);
}

/* NULL: refused and answered already. */
static listing *list_new(shard *s, shard_op *op, const shard_list *request,
                         void (*answer)(listing *l)) {
  const filter *f = request->filter;
  listing *l = listing_new(s, op, f, answer);
  if (!l) return NULL;
  l->query_hash = hash_stored(request->query); /* a page token outlives the process */
  l->query.kind = QUERY_PAGE;
  l->query.limit = MIN(request->limit, (size_t)SHARD_LIST_PAGE);
  l->query.ordered = f->ordered;
  l->query.descending = f->descending;
  l->query.order = f->order.field;
  err *e = open_place(l, request->page_token);
  if (!e) return l;
  mem_free(l);
  op_fail(op, e);
  return NULL;
}

void shard_list_runs(shard *s, shard_op *op, const shard_list *request) {
  listing *l = list_new(s, op, request, answer_page);
  if (l) ask_store(l);
}

/* NULL: refused and answered already. */
static listing *count_new(shard *s, shard_op *op, const filter *f) {
  listing *l = listing_new(s, op, f, answer_count);
  if (!l) return NULL;
  l->query.kind = f->grouped ? QUERY_GROUP : QUERY_COUNT;
  l->query.group = f->group.field;
  return l;
}

void shard_count_runs(shard *s, shard_op *op, const filter *f) {
  listing *l = count_new(s, op, f);
  if (l) ask_store(l);
}

/* --- schedules: all in their namespace that were not deleted --- */

static const store_pred *open_only(const store_pred *where, arena *a) {
  store_pred *open = arena_new(a, store_pred), *both = arena_new(a, store_pred);
  *open = (store_pred){.op = OP_IN, .field = {.column = COLUMN_STATUS}, .n_values = 1};
  open->values = arena_array(a, store_value, 1);
  open->values[0] = VALUE_OF_INT(PB_WORKFLOW_EXECUTION_STATUS_RUNNING);
  if (!where) return open;
  *both = (store_pred){.op = OP_AND, .args = arena_array(a, store_pred *, 2), .n_args = 2};
  both->args[0] = open;
  both->args[1] = (store_pred *)(uintptr_t)where;
  return both;
}

static void among_schedules(listing *l) {
  if (!l) return;
  l->query.where = open_only(l->query.where, l->op->arena);
  l->query.ns = schedule_ns(l->op->ns);
  l->query.divided = true;
  ask_store(l);
}

void shard_list_schedules(shard *s, shard_op *op, const shard_list *request) {
  among_schedules(list_new(s, op, request, answer_schedules));
}

void shard_count_schedules(shard *s, shard_op *op, const filter *f) {
  among_schedules(count_new(s, op, f));
}

/* Lists: random records and random queries give the same answers on the model, which evaluates a
 * query directly, and on SQLite, which translates it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "base/buf.h"
#include "store/store_fixture.h"

enum { RUNS = 250, QUERIES = 1500 };
/* Kinds of attributes; each namespace has one of each. */
enum { TEXT = 1, INT, NUMBER, LIST, PLAIN, ATTRIBUTES = PLAIN }; /* PLAIN: unindexed, a list */

typedef struct record {
  store_visible v;
  int32_t status;
  bool gone;
  char workflow_id[16];
} record;

typedef struct pair {
  fixture *f[2]; /* the model and SQLite */
  rng random;
  arena arena;
  record records[RUNS + 1];
} pair;

static int64_t ns_of(int64_t run) { return 1 + run % 2; }

static store_field attribute(int64_t ns, int64_t kind) {
  return (store_field){.column = COLUMN_ATTRIBUTE,
                       .attribute = ns * 10 + kind,
                       .many = kind == LIST || kind == PLAIN,
                       .unindexed = kind == PLAIN};
}

static uint64_t below(pair *p, uint64_t n) { return rng_below(&p->random, n); }
static bool one_in(pair *p, uint64_t n) { return below(p, n) == 0; }

static span word(pair *p) {
  static const char *const words[] = {"", "a", "Ab", "ab", "b", "abc", "\xc3\xa4", "a\\%_'\""};
  return span_cstr(words[below(p, ARRAY_LEN(words))]);
}

/* Of the type that a column or attribute has. */
static store_value value_for(pair *p, store_field f) {
  switch (f.column) {
    case COLUMN_RUN:
    case COLUMN_STARTED:
    case COLUMN_EXECUTION:
    case COLUMN_CLOSED:
      return VALUE_OF_INT((int64_t)below(p, 60));
    case COLUMN_STATUS:
      return VALUE_OF_INT((int64_t)below(p, 8));
    case COLUMN_EVENTS:
    case COLUMN_HISTORY_BYTES:
    case COLUMN_DURATION:
    case COLUMN_TRANSITIONS:
      return VALUE_OF_INT((int64_t)below(p, 20));
    case COLUMN_WORKFLOW_ID:
      return VALUE_OF_TEXT(arena_spanf(&p->arena, "ab%d", (int)below(p, 20)));
    case COLUMN_ATTRIBUTE:
      break;
    default:
      return VALUE_OF_TEXT(word(p));
  }
  int64_t kind = f.attribute % 10;
  if (kind == TEXT || kind == LIST || kind == PLAIN) return VALUE_OF_TEXT(word(p));
  if (kind == NUMBER && one_in(p, 2)) return VALUE_OF_REAL((double)below(p, 8) / 2);
  return VALUE_OF_INT((int64_t)below(p, 5) - 2);
}

/* --- records --- */

static void commit_both(pair *p, int64_t run, store_row *rows, size_t n) {
  for (int i = 0; i < 2; i++) {
    store_row *own = arena_array(&p->arena, store_row, n);
    for (size_t k = 0; k < n; k++) {
      own[k] = rows[k];
      bool has_blob = rows[k].kind == ROW_RUN_INSERT || rows[k].kind == ROW_RUN_UPDATE;
      own[k].info = rows[k].kind == ROW_RUN_INSERT ? text("info") : NULL;
      own[k].blob = has_blob ? text("state") : NULL;
    }
    commit_rows(p->f[i], run, own, n, STORE_OK);
  }
}

static void random_attributes(pair *p, int64_t ns, int64_t first, store_visible *v) {
  v->attributes = arena_array(&p->arena, store_attribute, 3 * ATTRIBUTES);
  v->n_attributes = 0;
  for (int64_t kind = first; kind <= ATTRIBUTES; kind++) {
    store_field f = attribute(ns, kind);
    for (uint64_t n = below(p, f.many ? 4 : 2); n > 0; n--) {
      v->attributes[v->n_attributes++] =
          (store_attribute){.id = f.attribute, .value = value_for(p, f), .unindexed = f.unindexed};
    }
  }
}

/* As other attributes than before, or some of them, or as the same. */
static void change_attributes(pair *p, int64_t run, record *r) {
  bool indexed = false;
  for (size_t i = 0; i < r->v.n_attributes; i++) {
    indexed = indexed || !r->v.attributes[i].unindexed;
  }
  r->v.change = ATTRIBUTES_ANEW;
  if (!indexed && one_in(p, 2)) {
    r->v.change = one_in(p, 2) ? ATTRIBUTES_UNINDEXED : ATTRIBUTES_STAY;
  }
  if (r->v.change == ATTRIBUTES_UNINDEXED) random_attributes(p, ns_of(run), PLAIN, &r->v);
  if (r->v.change == ATTRIBUTES_ANEW && one_in(p, 3)) random_attributes(p, ns_of(run), 1, &r->v);
}

static span word_or_none(pair *p) { return one_in(p, 2) ? SPAN_NONE : word(p); }

static store_row visible_put(pair *p, const record *r, int64_t run) {
  store_visible *v = arena_new(&p->arena, store_visible);
  *v = r->v;
  if (v->change == ATTRIBUTES_STAY) v->n_attributes = 0;
  return (store_row){.kind = ROW_VISIBLE_PUT,
                     .run = run,
                     .ns = ns_of(run),
                     .status = r->status,
                     .workflow_id = span_cstr(r->workflow_id),
                     .visible = v};
}

static void start(pair *p, int64_t run) {
  record *r = &p->records[run];
  (void)snprintf(r->workflow_id, sizeof r->workflow_id, "%s%d", one_in(p, 2) ? "ab" : "",
                 (int)run / 4);
  r->status = 1;
  r->v = (store_visible){.run_id = word(p),
                         .type = word(p),
                         .queue = word(p),
                         .started_ns = (int64_t)below(p, 50),
                         .execution_ns = (int64_t)below(p, 50),
                         .parent_workflow_id = word_or_none(p),
                         .parent_run_id = word_or_none(p),
                         .root_workflow_id = word_or_none(p),
                         .root_run_id = word_or_none(p),
                         .division = one_in(p, 8) ? word(p) : SPAN_NONE};
  if (one_in(p, 2)) random_attributes(p, ns_of(run), one_in(p, 2) ? 1 : PLAIN, &r->v);
  store_row rows[] = {{.kind = ROW_RUN_INSERT, .run = run, .ns = ns_of(run), .status = 1},
                      visible_put(p, r, run),
                      {.kind = ROW_CURRENT_PUT, .run = run, .ns = ns_of(run)}};
  rows[0].workflow_id = rows[2].workflow_id = rows[1].workflow_id;
  for (int64_t before = run - 2; before > 0 && !rows[2].expected_run; before -= 2) {
    if (strcmp(p->records[before].workflow_id, r->workflow_id) == 0) rows[2].expected_run = before;
  }
  commit_both(p, run, rows, 3);
}

static void change(pair *p, int64_t run) {
  record *r = &p->records[run];
  if (r->gone) return;
  if (one_in(p, 10)) {
    store_row rows[] = {{.kind = ROW_RUN_DELETE, .run = run}};
    r->gone = true;
    commit_both(p, run, rows, 1);
    return;
  }
  r->v.was_status = r->status;
  change_attributes(p, run, r);
  if (one_in(p, 2)) {
    r->status = 2 + (int32_t)below(p, 5);
    r->v.closed_ns = 1 + (int64_t)below(p, 60);
    r->v.events = (int64_t)below(p, 20);
    r->v.history_bytes = (int64_t)below(p, 20);
    r->v.transitions = (int64_t)below(p, 20);
  }
  store_row rows[] = {{.kind = ROW_RUN_UPDATE, .run = run, .status = r->status},
                      visible_put(p, r, run)};
  commit_both(p, run, rows, 2);
}

/* --- queries --- */

static store_field random_field(pair *p, int64_t ns) {
  store_field f = {.column = (store_column)below(p, COLUMN_COUNT + ATTRIBUTES)};
  return f.column < COLUMN_COUNT ? f : attribute(ns, 1 + (int64_t)below(p, ATTRIBUTES));
}

static store_pred *random_pred(pair *p, int64_t ns, int depth) {
  store_pred *d = arena_new(&p->arena, store_pred);
  d->op = (store_op)(depth > 0 ? below(p, OP_MISSING + 1) : OP_IN + below(p, OP_MISSING - OP_NOT));
  if (d->op <= OP_NOT) {
    d->n_args = d->op == OP_NOT ? 1 : 1 + below(p, 3);
    d->args = arena_zalloc_many(&p->arena, sizeof(store_pred *), d->n_args + 1);
    for (size_t i = 0; i < d->n_args; i++) d->args[i] = random_pred(p, ns, depth - 1);
    return d;
  }
  d->field = random_field(p, ns);
  if (d->field.many && d->op != OP_MISSING) d->op = OP_IN;
  if (d->op == OP_PREFIX) d->field = (store_field){.column = COLUMN_WORKFLOW_ID};
  d->n_values = d->op == OP_IN ? 1 + below(p, 3) : d->op == OP_MISSING ? 0 : 1;
  d->values = arena_array(&p->arena, store_value, d->n_values + 1);
  for (size_t i = 0; i < d->n_values; i++) d->values[i] = value_for(p, d->field);
  if (d->op == OP_PREFIX) d->values[0] = VALUE_OF_TEXT(word(p));
  return d;
}

/* Of one type or a few, as most lists are, and of `also`. */
static store_pred *of_types(pair *p, store_pred *also) {
  store_pred *types = arena_new(&p->arena, store_pred);
  *types = (store_pred){.op = OP_IN, .field = {.column = COLUMN_TYPE}, .n_values = 1 + below(p, 3)};
  types->values = arena_array(&p->arena, store_value, types->n_values);
  for (size_t i = 0; i < types->n_values; i++) types->values[i] = value_for(p, types->field);
  if (!also) return types;
  store_pred *both = arena_new(&p->arena, store_pred);
  *both = (store_pred){.op = OP_AND, .n_args = 2};
  both->args = arena_array(&p->arena, store_pred *, 2);
  both->args[0] = also;
  both->args[1] = types;
  return both;
}

static store_query random_query(pair *p) {
  int64_t ns = 1 + (int64_t)below(p, 2);
  store_query q = {.kind = (store_query_kind)below(p, 3),
                   .ns = ns,
                   .where = one_in(p, 8) ? NULL : random_pred(p, ns, 3),
                   .divided = one_in(p, 3),
                   .limit = 1 + below(p, 30)};
  if (one_in(p, 4)) q.where = of_types(p, one_in(p, 4) ? NULL : random_pred(p, ns, 2));
  do {
    q.order = random_field(p, ns);
  } while (q.order.many);
  q.group = q.order;
  q.ordered = one_in(p, 2);
  q.descending = one_in(p, 2);
  return q;
}

typedef struct asked {
  store_query q;
  bool done;
} asked;

static void query_done(env_task *t) {
  CONTAINER_OF(CONTAINER_OF(t, store_query, task), asked, q)->done = true;
}

static void ask(fixture *f, asked *a) {
  a->done = false;
  a->q.task.run = query_done;
  a->q.arena = (arena)ARENA_INIT;
  f->store->query(f->store, &a->q);
  test_env_run_until(&f->env, &a->done);
  if (a->q.error) fail_msg("%s", err_text(&f->arena, a->q.error));
}

static void assert_same(const store_query *a, const store_query *b) {
  assert_int_equal(a->n_found, b->n_found);
  assert_int_equal(a->more, b->more);
  assert_int_equal(a->count, b->count);
  assert_int_equal(a->n_groups, b->n_groups);
  for (size_t i = 0; i < a->n_found; i++) {
    assert_int_equal(a->found[i].run, b->found[i].run);
    assert_int_equal(a->found[i].status, b->found[i].status);
    assert_int_equal(store_place_cmp(a, &a->found[i].place, &b->found[i].place), 0);
    assert_blob(a->found[i].info, "info");
    assert_blob(b->found[i].info, "info");
    assert_blob(b->found[i].state, "state");
  }
  for (size_t i = 0; i < a->n_groups; i++) {
    assert_int_equal(store_value_cmp(&a->groups[i].value, &b->groups[i].value), 0);
    assert_int_equal(a->groups[i].count, b->groups[i].count);
  }
}

/* A query and the pages after it. */
static size_t compare(pair *p) {
  store_query q = random_query(p);
  size_t found = 0;
  for (;;) {
    asked a = {.q = q}, b = {.q = q};
    ask(p->f[0], &a);
    ask(p->f[1], &b);
    assert_same(&a.q, &b.q);
    found += a.q.n_found + (size_t)a.q.count;
    bool more = a.q.more;
    if (more) {
      q.has_after = true;
      q.after = a.q.found[a.q.n_found - 1].place;
      q.after.key.text = arena_dup(&p->arena, q.after.key.text);
    }
    store_query_release(&a.q);
    store_query_release(&b.q);
    if (!more) return found;
  }
}

static int setup_pair(void **state) {
  pair *p = test_calloc(1, sizeof *p);
  (void)setup_memory((void **)&p->f[0]);
  (void)setup_inline((void **)&p->f[1]);
  rng_seed(&p->random, 11);
  *state = p;
  return 0;
}

static int teardown_pair(void **state) {
  pair *p = *state;
  for (int i = 0; i < 2; i++) (void)teardown((void **)&p->f[i]);
  arena_release(&p->arena);
  test_free(p);
  return 0;
}

static void random_queries_have_the_same_answer_on_both(void **state) {
  pair *p = *state;
  size_t found = 0, empty = 0;
  for (int64_t run = 1; run <= RUNS; run++) start(p, run);
  for (int i = 0; i < RUNS * 2; i++) change(p, 1 + (int64_t)below(p, RUNS));
  for (int i = 0; i < QUERIES; i++) {
    size_t n = compare(p);
    found += n;
    empty += n == 0;
  }
  print_message("%d queries, %zu records or counts, %zu empty answers\n", QUERIES, found, empty);
  assert_true(empty < QUERIES / 2);
}

/* Counters are not wrong after refused and failed steps. */
static void counts_follow_records_through_changes(void **state) {
  pair *p = *state;
  for (int64_t run = 1; run <= 60; run++) start(p, run);
  for (int i = 0; i < 300; i++) {
    change(p, 1 + (int64_t)below(p, 60));
    asked a = {.q = {.kind = QUERY_GROUP, .ns = 1, .group = {.column = COLUMN_STATUS}}};
    asked b = a;
    ask(p->f[0], &a);
    ask(p->f[1], &b);
    assert_same(&a.q, &b.q);
    store_query_release(&a.q);
    store_query_release(&b.q);
  }
}

static void a_query_ends_at_its_deadline(void **state) {
  fixture *f = *state;
  for (int64_t first = 1; first <= 20000; first += 1000) {
    test_batch b;
    test_batch_init(&b);
    for (int64_t run = first; run < first + 1000; run++) {
      store_visible *v = arena_new(&b.arena, store_visible);
      *v = (store_visible){.run_id = SPAN("r"), .type = SPAN("t"), .queue = SPAN("q")};
      const store_row rows[] = {run_insert(run, "w"),
                                {.kind = ROW_VISIBLE_PUT,
                                 .run = run,
                                 .ns = 1,
                                 .status = 1,
                                 .workflow_id = SPAN("w"),
                                 .visible = v}};
      (void)test_batch_step(&b, run, rows, 2);
    }
    test_batch_commit(&b, f->store, &f->env);
    test_batch_release(&b);
  }
  store_value wanted = VALUE_OF_TEXT(SPAN("none"));
  store_pred leaf = {
      .op = OP_PREFIX, .field = {.column = COLUMN_TYPE}, .values = &wanted, .n_values = 1};
  enum { LEAVES = 200 };
  store_pred *args[LEAVES];
  for (int i = 0; i < LEAVES; i++) args[i] = &leaf;
  store_pred any = {.op = OP_OR, .args = args, .n_args = LEAVES};
  asked a = {.q = {.kind = QUERY_COUNT, .ns = 1, .where = &any, .deadline_ms = 1}};
  a.q.task.run = query_done;
  f->store->query(f->store, &a.q);
  test_env_run_until(&f->env, &a.done);
  assert_non_null(a.q.error);
  assert_int_equal(a.q.error->code, ERR_DEADLINE_EXCEEDED);
  store_query_release(&a.q);
  assert_true(run_exists(f, 20000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(random_queries_have_the_same_answer_on_both, setup_pair,
                                      teardown_pair),
      cmocka_unit_test_setup_teardown(counts_follow_records_through_changes, setup_pair,
                                      teardown_pair),
      cmocka_unit_test_setup_teardown(a_query_ends_at_its_deadline, setup_sqlite, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

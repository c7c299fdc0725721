/* Which sources a query is read from, and that SQLite finds each in the order of lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "store/sqlite_query_sql.h"

enum { RUNNING = 1, COMPLETED = 2, FAILED = 3 };

static const int64_t counts[STORE_STATUS_MAX + 1] = {
    [RUNNING] = 5, [COMPLETED] = 900, [FAILED] = 300};
static const store_field type = {.column = COLUMN_TYPE};
static const store_field status = {.column = COLUMN_STATUS};
static const store_field keyword = {.column = COLUMN_ATTRIBUTE, .attribute = 7};

static store_pred among(store_field f, store_value *values, size_t n) {
  return (store_pred){.op = OP_IN, .field = f, .values = values, .n_values = n};
}

typedef struct planned {
  arena arena;
  sqlite3 *db;
  store_query q;
  sql_plan plan;
} planned;

static int setup(void **state) {
  static planned p;
  p = (planned){.q = {.ns = 1, .limit = 100}};
  assert_int_equal(sqlite3_open(":memory:", &p.db), SQLITE_OK);
  assert_null(sqlite_schema_migrate(p.db, ":memory:", 0, &p.arena));
  assert_int_equal(sql_add_functions(p.db), SQLITE_OK);
  *state = &p;
  return 0;
}

static int teardown(void **state) {
  planned *p = *state;
  assert_int_equal(sqlite3_close(p->db), SQLITE_OK);
  arena_release(&p->arena);
  return 0;
}

static void plan(planned *p, store_query_kind kind, const store_pred *where) {
  p->q.kind = kind;
  p->q.where = where;
  sql_make_plan(&p->plan, &p->q, counts, &p->arena);
}

/* All conditions, joined with AND. */
static const store_pred *all_of(planned *p, store_pred *a, store_pred *b) {
  store_pred *and = arena_new(&p->arena, store_pred);
  *and = (store_pred){.op = OP_AND, .args = arena_array(&p->arena, store_pred *, 2), .n_args = 2};
  and->args[0] = a;
  and->args[1] = b;
  return and;
}

/* What SQLite does for a page from this source, in one step; otherwise the test fails. */
static const char *only_step(planned *p, const sql_source *src) {
  sql s = {.arena = &p->arena};
  int rc;
  sql_add(&s, "EXPLAIN QUERY PLAN SELECT v.run, v.status, v.ended, v.started");
  sql_add_source(&s, &p->plan, src);
  sql_add(&s, " ORDER BY v.ended DESC, v.started DESC, v.run DESC");
  sqlite3_stmt *st = sql_prepare(&s, p->db, &rc);
  assert_int_equal(rc, SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  const char *step = arena_printf(&p->arena, "%s", (const char *)sqlite3_column_text(st, 3));
  assert_int_equal(sqlite3_step(st), SQLITE_DONE);
  (void)sqlite3_finalize(st);
  return step;
}

static void assert_source(const sql_source *s, const char *value, int32_t of_status) {
  assert_int_equal(s->kind, SOURCE_TYPE);
  assert_int_equal(s->status, of_status);
  assert_false(s->divided);
  assert_true(span_eq(s->value.text, span_cstr(value)));
}

static void a_type_is_read_from_its_index_once_per_status(void **state) {
  planned *p = *state;
  store_pred rare = among(type, &VALUE_OF_TEXT(SPAN("Rare")), 1);
  const store_query_kind kinds[] = {QUERY_PAGE, QUERY_COUNT, QUERY_GROUP};
  for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
    p->q.group = status;
    plan(p, kinds[k], &rare);
    assert_int_equal(p->plan.n_sources, 3);
    assert_int_equal(p->plan.n_rest, 0);
    assert_false(p->plan.needs_record);
    for (int32_t i = 0; i < 3; i++) {
      assert_source(&p->plan.sources[i], "Rare", RUNNING + i);
      assert_string_equal(only_step(p, &p->plan.sources[i]),
                          "SEARCH v USING INDEX visible_type (ns=? AND type=? AND status=?)");
    }
  }
}

static void a_type_with_a_status_is_one_source(void **state) {
  planned *p = *state;
  store_pred rare = among(type, &VALUE_OF_TEXT(SPAN("Rare")), 1);
  store_pred failed = among(status, &VALUE_OF_INT(FAILED), 1);
  plan(p, QUERY_COUNT, all_of(p, &failed, &rare));
  assert_int_equal(p->plan.n_sources, 1);
  assert_source(&p->plan.sources[0], "Rare", FAILED);
  assert_false(p->plan.needs_record);
}

static void a_type_that_is_given_twice_is_read_once(void **state) {
  planned *p = *state;
  store_value values[] = {VALUE_OF_TEXT(SPAN("A")), VALUE_OF_TEXT(SPAN("B")),
                          VALUE_OF_TEXT(SPAN("A"))};
  store_pred some = among(type, values, ARRAY_LEN(values));
  plan(p, QUERY_PAGE, &some);
  assert_int_equal(p->plan.n_sources, 6);
  for (int32_t i = 0; i < 6; i++) {
    assert_source(&p->plan.sources[i], i < 3 ? "A" : "B", RUNNING + i % 3);
  }
}

static void a_bound_on_the_time_of_closing_limits_what_is_read_of_a_type(void **state) {
  planned *p = *state;
  store_pred rare = among(type, &VALUE_OF_TEXT(SPAN("Rare")), 1);
  store_pred after = {.op = OP_GREATER,
                      .field = {.column = COLUMN_CLOSED},
                      .values = &VALUE_OF_INT(5),
                      .n_values = 1};
  plan(p, QUERY_PAGE, all_of(p, &after, &rare));
  assert_false(p->plan.needs_record);
  assert_string_equal(
      only_step(p, &p->plan.sources[0]),
      "SEARCH v USING INDEX visible_type (ns=? AND type=? AND status=? AND ended>?)");
}

static void what_is_likely_fewer_comes_before_a_type(void **state) {
  planned *p = *state;
  store_pred rare = among(type, &VALUE_OF_TEXT(SPAN("Rare")), 1);
  store_pred customer = among(keyword, &VALUE_OF_TEXT(SPAN("c")), 1);
  plan(p, QUERY_PAGE, all_of(p, &rare, &customer));
  assert_int_equal(p->plan.n_sources, 1);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_ATTRIBUTE);
  store_pred named =
      among((store_field){.column = COLUMN_WORKFLOW_ID}, &VALUE_OF_TEXT(SPAN("w")), 1);
  plan(p, QUERY_PAGE, all_of(p, &rare, &named));
  assert_int_equal(p->plan.n_sources, 1);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_ALL);
}

/* The index has records without a division only, and few statements are merged at once. */
static void a_type_is_only_a_condition_where_its_index_does_not_serve(void **state) {
  planned *p = *state;
  store_value values[11];
  for (size_t i = 0; i < ARRAY_LEN(values); i++) {
    values[i] = VALUE_OF_TEXT(arena_spanf(&p->arena, "T%d", (int)i));
  }
  store_pred many = among(type, values, 11), fewer = among(type, values, 10);
  plan(p, QUERY_PAGE, &many);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_STATUS);
  plan(p, QUERY_PAGE, &fewer);
  assert_int_equal(p->plan.n_sources, 30);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_TYPE);
  p->q.divided = true;
  plan(p, QUERY_PAGE, &fewer);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_STATUS);
  assert_int_equal(p->plan.n_rest, 1);
  store_pred other = {.op = OP_NOT, .args = (store_pred *[]){&fewer}, .n_args = 1};
  p->q.divided = false;
  plan(p, QUERY_COUNT, &other);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_ALL);
}

/* An attribute without an index is looked for among all records, or among those of a status that
 * few have. */
static void an_unindexed_attribute_is_a_condition_on_the_fewest_records(void **state) {
  planned *p = *state;
  store_field builds = {
      .column = COLUMN_ATTRIBUTE, .attribute = 9, .many = true, .unindexed = true};
  store_pred of_build = among(builds, &VALUE_OF_TEXT(SPAN("b")), 1);
  store_pred open = among(status, &VALUE_OF_INT(RUNNING), 1);
  store_pred failed = among(status, &VALUE_OF_INT(FAILED), 1);
  plan(p, QUERY_COUNT, &of_build);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_ALL);
  plan(p, QUERY_COUNT, all_of(p, &of_build, &failed));
  assert_int_equal(p->plan.sources[0].kind, SOURCE_ALL);
  plan(p, QUERY_COUNT, all_of(p, &of_build, &open));
  assert_int_equal(p->plan.n_sources, 1);
  assert_int_equal(p->plan.sources[0].kind, SOURCE_STATUS);
  assert_int_equal(p->plan.sources[0].status, RUNNING);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_type_is_read_from_its_index_once_per_status, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(a_type_with_a_status_is_one_source, setup, teardown),
      cmocka_unit_test_setup_teardown(a_type_that_is_given_twice_is_read_once, setup, teardown),
      cmocka_unit_test_setup_teardown(a_bound_on_the_time_of_closing_limits_what_is_read_of_a_type,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_likely_fewer_comes_before_a_type, setup, teardown),
      cmocka_unit_test_setup_teardown(an_unindexed_attribute_is_a_condition_on_the_fewest_records,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(a_type_is_only_a_condition_where_its_index_does_not_serve,
                                      setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

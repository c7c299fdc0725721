/* What is left of rows that are committed one after the other: golden scripts. A line is a commit;
 * the rows it has are written as below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "store/overlay.h"
#include "store/row_code.h"

typedef struct fixture {
  overlay *overlay;
  int64_t commits;
  arena arena;
} fixture;

static int setup(void **state) {
  static fixture f;
  f = (fixture){.overlay = overlay_new((hash_key){1, 2})};
  *state = &f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  overlay_free(f->overlay);
  arena_release(&f->arena);
  return 0;
}

static bytes *text(fixture *f, const char *s) {
  span given = span_cstr(s);
  bytes *b = arena_alloc(&f->arena, sizeof *b + given.n);
  b->n = given.n;
  memcpy(b->p, given.p, given.n);
  return b;
}

static void commit(fixture *f, const store_row *rows, size_t n) {
  buf content = BUF_INIT;
  for (size_t i = 0; i < n; i++) row_encode(&rows[i], &content);
  assert_true(overlay_add(f->overlay, ++f->commits, buf_span(&content)));
  buf_release(&content);
}
#define COMMIT(f, ...)                          \
  commit((f), (const store_row[]){__VA_ARGS__}, \
         sizeof((const store_row[]){__VA_ARGS__}) / sizeof(store_row))

#define RUN(kind_, run_, state)                                                \
  (store_row) {                                                                \
    .kind = ROW_RUN_##kind_, .run = (run_), .ns = 1, .workflow_id = SPAN("w"), \
    .blob = text(f, (state))                                                   \
  }
#define ITEM(run_, id_, blob_) \
  (store_row) { .kind = ROW_ITEM_PUT, .run = (run_), .id = (id_), .blob = text(f, (blob_)) }
#define ITEM_END(run_, id_) \
  (store_row) { .kind = ROW_ITEM_DELETE, .run = (run_), .id = (id_) }
#define EVENTS(run_, id_) \
  (store_row) { .kind = ROW_HISTORY_ADD, .run = (run_), .id = (id_), .blob = text(f, "events") }
#define NAMED(name_, blob_) \
  (store_row) { .kind = ROW_NAMED_PUT, .name = SPAN(name_), .blob = text(f, (blob_)) }

static void assert_left(fixture *f, const char *expected) {
  static const char *const names[] = {
      [ROW_RUN_INSERT] = "insert",         [ROW_RUN_UPDATE] = "update",
      [ROW_RUN_DELETE] = "delete",         [ROW_ITEM_PUT] = "item",
      [ROW_ITEM_DELETE] = "end",           [ROW_HISTORY_ADD] = "events",
      [ROW_CURRENT_PUT] = "current",       [ROW_ATTEMPT_PUT] = "attempt",
      [ROW_ATTEMPT_DELETE] = "no attempt", [ROW_NAMED_PUT] = "named",
      [ROW_NAMED_DELETE] = "no name",      [ROW_VISIBLE_PUT] = "visible",
  };
  buf b = BUF_INIT;
  for (const overlay_row *r = f->overlay->first; r; r = r->next) {
    if (r->gone) continue;
    span blob = bytes_span(r->row.blob);
    buf_addf(&b, "%s%s %d.%d", b.n ? ", " : "", names[r->row.kind], (int)r->row.run,
             (int)r->row.id);
    if (blob.n) buf_addf(&b, " %.*s", SPAN_ARG(blob));
  }
  buf_addb(&b, 0);
  assert_string_equal((const char *)b.p, expected);
  buf_release(&b);
}

static void the_last_state_of_a_run_is_left(void **state) {
  fixture *f = *state;
  COMMIT(f, RUN(INSERT, 7, "a"), EVENTS(7, 1));
  COMMIT(f, RUN(UPDATE, 7, "b"), EVENTS(7, 3));
  COMMIT(f, RUN(UPDATE, 8, "x"));
  COMMIT(f, RUN(UPDATE, 7, "c"), RUN(UPDATE, 8, "y"));
  assert_left(f, "insert 7.0 c, events 7.1 events, events 7.3 events, update 8.0 y");
  assert_true(span_eq(f->overlay->first->row.workflow_id, SPAN("w")));
  assert_int_equal(f->overlay->last_commit, 4);
}

static void an_item_that_began_and_ended_here_leaves_nothing(void **state) {
  fixture *f = *state;
  COMMIT(f, RUN(INSERT, 7, "a"), ITEM(7, 5, "pending"), ITEM(7, 6, "pending"));
  COMMIT(f, ITEM(7, 5, "started"), ITEM_END(7, 6), ITEM_END(7, 9));
  assert_left(f, "insert 7.0 a, item 7.5 started");
  COMMIT(f, ITEM_END(7, 5));
  assert_left(f, "insert 7.0 a");
  COMMIT(f, ITEM(7, 5, "again"));
  assert_left(f, "insert 7.0 a, item 7.5 again");
}

static void the_end_of_an_item_that_may_be_in_tables_is_left(void **state) {
  fixture *f = *state;
  COMMIT(f, ITEM_END(7, 5), ITEM(7, 6, "started"));
  COMMIT(f, ITEM_END(7, 6));
  assert_left(f, "end 7.5, end 7.6");
}

static void attempts_and_names_replace_their_like(void **state) {
  fixture *f = *state;
  store_row attempt = {.kind = ROW_ATTEMPT_PUT, .run = 7, .id = 5, .attempt = 1};
  store_row second = {.kind = ROW_ATTEMPT_PUT, .run = 7, .id = 5, .attempt = 2};
  store_row none = {.kind = ROW_ATTEMPT_DELETE, .run = 7, .id = 5, .attempt = 1};
  COMMIT(f, attempt, second, NAMED("a", "1"), NAMED("b", "1"));
  COMMIT(f, none, NAMED("a", "2"));
  assert_left(f, "no attempt 7.5, attempt 7.5, named 0.0 2, named 0.0 1");
}

static void the_last_record_of_lists_remembers_the_first(void **state) {
  fixture *f = *state;
  store_attribute city = {.id = 3, .value = VALUE_OF_TEXT(SPAN("Oslo"))};
  store_visible first = {
      .run_id = SPAN("r"), .was_status = 1, .attributes = &city, .n_attributes = 1};
  store_visible last = {
      .run_id = SPAN("r"), .was_status = 2, .closed_ns = 9, .change = ATTRIBUTES_STAY};
  COMMIT(f, {.kind = ROW_VISIBLE_PUT, .run = 7, .status = 1, .visible = &first});
  COMMIT(f, {.kind = ROW_VISIBLE_PUT, .run = 7, .status = 2, .visible = &last});
  const store_row *r = &f->overlay->first->row;
  assert_null(f->overlay->first->next);
  assert_int_equal(r->status, 2);
  assert_int_equal(r->visible->closed_ns, 9);
  assert_int_equal(r->visible->was_status, 1);
  assert_int_equal(r->visible->change, ATTRIBUTES_ANEW);
  assert_int_equal(r->visible->n_attributes, 1);
  assert_true(span_eq(r->visible->attributes[0].value.text, SPAN("Oslo")));
}

static void it_knows_what_its_rows_say(void **state) {
  fixture *f = *state;
  store_row current = {.kind = ROW_CURRENT_PUT, .run = 7, .ns = 1, .workflow_id = SPAN("w")};
  COMMIT(f, RUN(INSERT, 7, "a"), current, EVENTS(7, 4), RUN(UPDATE, 8, "b"), ITEM_END(9, 1));
  const facts *k = &f->overlay->facts;
  assert_true(facts_of_run(k, 7)->born && facts_of_run(k, 7)->last_history == 4);
  assert_true(facts_of_run(k, 8)->exists && !facts_of_run(k, 8)->born);
  assert_false(facts_of_run(k, 9)->exists);
  assert_null(facts_of_run(k, 10));
  assert_int_equal(facts_of_name(k, 1, SPAN("w"))->current, 7);
  assert_null(facts_of_name(k, 2, SPAN("w")));
  COMMIT(f, {.kind = ROW_RUN_DELETE, .run = 7, .ns = 1, .workflow_id = SPAN("w")});
  assert_true(facts_of_run(k, 7)->deleted);
  assert_int_equal(facts_of_name(k, 1, SPAN("w"))->current, 0);
}

static void a_damaged_commit_is_told(void **state) {
  fixture *f = *state;
  buf content = BUF_INIT;
  row_encode(&RUN(INSERT, 7, "state"), &content);
  for (size_t n = 1; n < content.n; n++) {
    overlay *o = overlay_new((hash_key){1, 2});
    assert_false(overlay_add(o, 1, span_of(content.p, n)));
    overlay_free(o);
  }
  buf_release(&content);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(the_last_state_of_a_run_is_left),
      CASE(an_item_that_began_and_ended_here_leaves_nothing),
      CASE(the_end_of_an_item_that_may_be_in_tables_is_left),
      CASE(attempts_and_names_replace_their_like),
      CASE(the_last_record_of_lists_remembers_the_first),
      CASE(it_knows_what_its_rows_say),
      CASE(a_damaged_commit_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

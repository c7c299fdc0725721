/* The list filter: what text becomes which predicates, and what is said of text that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "base/buf.h"
#include "visibility/filter.h"

typedef struct world {
  arena arena;
  pb_store_Namespace ns;
} world;

static bool run_key(span run_id, int64_t *ret_key) {
  *ret_key = 77;
  return run_id.n == 36;
}

static int setup(void **state) {
  static const struct {
    const char *name;
    int32_t type;
  } customs[] = {{"K", 2}, {"I", 3}, {"D", 4}, {"B", 5}, {"T", 1}, {"W", 6}, {"L", 7}};
  world *w = test_calloc(1, sizeof *w);
  pb_AddSearchAttributesRequest r = {0};
  r.search_attributes.v =
      arena_array(&w->arena, pb_AddSearchAttributesRequest_SearchAttributesEntry *, 7);
  for (size_t i = 0; i < ARRAY_LEN(customs); i++) {
    r.search_attributes.v[i] = pb_new(&w->arena, AddSearchAttributesRequest_SearchAttributesEntry);
    r.search_attributes.v[i]->key = span_cstr(customs[i].name);
    r.search_attributes.v[i]->value = customs[i].type;
    r.search_attributes.n++;
  }
  pb_store_Namespace empty = {.key = 1, .name = SPAN("default")}, *full;
  assert_null(attributes_add(&empty, &r, &w->arena, &full));
  w->ns = *full;
  *state = w;
  return 0;
}

static int teardown(void **state) {
  arena_release(&((world *)*state)->arena);
  test_free(*state);
  return 0;
}

/* --- predicates as text --- */

static void put_value(buf *out, const store_value *v) {
  if (v->kind == VALUE_INT) buf_addf(out, "%lld", (long long)v->i);
  if (v->kind == VALUE_REAL) buf_addf(out, "%g", v->real);
  if (v->kind == VALUE_TEXT) buf_addf(out, "'%.*s'", SPAN_ARG(v->text));
}

static void put_pred(buf *out, const store_pred *p) {
  static const char *const names[] = {"AND", "OR", "NOT", "in",     "<",
                                      "<=",  ">",  ">=",  "prefix", "missing"};
  buf_addf(out, "(%s", names[p->op]);
  for (size_t i = 0; i < p->n_args; i++) {
    buf_adds(out, " ");
    put_pred(out, p->args[i]);
  }
  if (p->op > OP_NOT) {
    if (p->field.column == COLUMN_ATTRIBUTE) {
      int number = (int)(p->field.attribute & ((1 << ATTRIBUTE_NS_BITS) - 1));
      static const char customs[] = "BDIKLTW"; /* numbered by name */
      if (number > ATTRIBUTE_FIRST_CUSTOM) {
        buf_addf(out, " %c", customs[number - ATTRIBUTE_FIRST_CUSTOM - 1]);
      } else {
        buf_addf(out, " #%d", number);
      }
    } else {
      buf_addf(out, " @%d", (int)p->field.column);
    }
  }
  for (size_t i = 0; i < p->n_values; i++) {
    buf_adds(out, " ");
    put_value(out, &p->values[i]);
  }
  buf_adds(out, ")");
}

static const char *read(world *w, const char *text) {
  filter_context c = {.ns = &w->ns, .run_key = run_key, .arena = &w->arena};
  filter f;
  buf out = BUF_INIT;
  err *e = filter_read(&c, span_cstr(text), &f);
  if (e) {
    assert_int_equal(e->code, ERR_INVALID_ARGUMENT);
    return e->what;
  }
  if (f.where) put_pred(&out, f.where);
  if (f.divided) buf_adds(&out, " divided");
  if (f.grouped) buf_addf(&out, " by %.*s", SPAN_ARG(f.group.name));
  if (f.ordered) {
    buf_addf(&out, " order %.*s %s", SPAN_ARG(f.order.name), f.descending ? "desc" : "asc");
  }
  const char *result = arena_cstr(&w->arena, buf_span(&out));
  buf_release(&out);
  return result;
}

typedef struct example {
  const char *text, *means;
} example;

static void check(void **state, const example *examples, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const char *got = read(*state, examples[i].text);
    if (strcmp(got, examples[i].means) == 0) continue;
    fail_msg("%s\n  means   %s\n  wanted  %s", examples[i].text, got, examples[i].means);
  }
}
#define CHECK(state, examples) check((state), (examples), ARRAY_LEN(examples))

static void conditions_become_predicates(void **state) {
  static const example examples[] = {
      {"", ""},
      {"  \n", ""},
      {"WorkflowId = 'a'", "(in @1 'a')"},
      {"WorkflowId != \"a\"", "(NOT (in @1 'a'))"},
      {"WorkflowId <> 'a'", "(NOT (in @1 'a'))"},
      {"K in ('a', 'b')", "(in K 'a' 'b')"},
      {"K NOT IN ('a')", "(NOT (in K 'a'))"},
      {"K BETWEEN 'a' AND 'b'", "(AND (>= K 'a') (<= K 'b'))"},
      {"K NOT BETWEEN 'a' AND 'b'", "(NOT (AND (>= K 'a') (<= K 'b')))"},
      {"K STARTS_WITH 'a'", "(prefix K 'a')"},
      {"K not starts_with 'a'", "(NOT (prefix K 'a'))"},
      {"K IS NULL", "(missing K)"},
      {"K IS NOT NULL", "(NOT (missing K))"},
      {"I < 5 AND I >= -5", "(AND (< I 5) (>= I -5))"},
      {"D > 1.5", "(> D 1.5)"},
      {"I = 1e3", "(in I 1000)"},
      {"B = true", "(in B 1)"},
      {"L = 'X\xc3\x89'", "(in L 'xe')"},
      {"T = 'Big-World'", "(in T 'big' 'world')"},
      {"RunId = 'x'", "(AND (in @0 0) (in @2 'x'))"},
      {"RunId IN ('01a1ff3d-71bb-74a7-a34b-49463dd916a5')",
       "(AND (in @0 77) (in @2 '01a1ff3d-71bb-74a7-a34b-49463dd916a5'))"},
  };
  CHECK(state, examples);
}

static void and_binds_before_or_and_not_before_both(void **state) {
  static const example examples[] = {
      {"K='a' OR I=1 AND D=2", "(OR (in K 'a') (AND (in I 1) (in D 2)))"},
      {"(K='a' OR I=1) AND D=2", "(AND (OR (in K 'a') (in I 1)) (in D 2))"},
      {"NOT K='a' AND I=1", "(AND (NOT (in K 'a')) (in I 1))"},
      {"NOT (K='a' && I=1) || D=2", "(OR (NOT (AND (in K 'a') (in I 1))) (in D 2))"},
      {"NOT NOT I IS NULL", "(NOT (NOT (missing I)))"},
  };
  CHECK(state, examples);
}

static void values_have_the_form_of_their_attribute(void **state) {
  static const example examples[] = {
      {"ExecutionStatus = 'Running'", "(in @5 1)"},
      {"ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_TIMED_OUT'", "(in @5 7)"},
      {"ExecutionStatus IN ('ContinuedAsNew', 2)", "(in @5 6 2)"},
      {"StartTime > '2024-01-02T03:04:05.5+01:00'", "(> @6 1704161045500000000)"},
      {"CloseTime < 5", "(< @8 5)"},
      {"ExecutionDuration > '1d2h'", "(> @16 93600000000000)"},
      {"ExecutionDuration > '1.5h'", "(> @16 5400000000000)"},
      {"ExecutionDuration > '01:02:03'", "(> @16 3723000000000)"},
      {"ExecutionDuration > '-5us'", "(> @16 -5000)"},
      {"ExecutionDuration > '5'", "(> @16 5)"},
      {"W > '2024-01-01T00:00:00Z'", "(> W 1704067200000000000)"},
  };
  CHECK(state, examples);
}

static void names_may_be_quoted_and_have_aliases(void **state) {
  static const example examples[] = {
      {"`K` = 'a'", "(in K 'a')"},
      {"ScheduledById = 'a'", "(in #9 'a')"},
      {"FailureType = 'a' AND TemporalFailureRootType = 'b'", "(AND (in #17 'a') (in #18 'b'))"},
      {"FailureFingerprint = '00ff'", "(in #19 '00ff')"},
      {"RetryingActivities > 0", "(> #20 0)"},
      {"ScheduleId = 'a'", "(in @1 'temporal-sys-scheduler:a')"},
      {"NamespaceDivision = 'a'", "(in @13 'a') divided"},
      {"TemporalNamespaceDivision IS NULL", "(missing @13) divided"},
  };
  CHECK(state, examples);
}

static void orders_and_groups_follow_the_conditions(void **state) {
  static const example examples[] = {
      {"ORDER BY I", " order I asc"},
      {"K = 'a' ORDER BY StartTime DESC", "(in K 'a') order StartTime desc"},
      {"GROUP BY ExecutionStatus", " by ExecutionStatus"},
      {"K = 'a' group by K order by K", "(in K 'a') by K order K asc"},
      {"GROUP BY TemporalNamespaceDivision", " divided by TemporalNamespaceDivision"},
  };
  CHECK(state, examples);
}

static void quotes_escapes_and_comments_are_read_as_in_sql(void **state) {
  static const example examples[] = {
      {"K = 'it''s'", "(in K 'it's')"},      {"K = 'it\\'s'", "(in K 'it's')"},
      {"K = \"it's\"", "(in K 'it's')"},     {"K = 'a' -- b", "(in K 'a')"},
      {"K /* x */ = 'a' # c", "(in K 'a')"}, {"K='a'and/**/I=1;", "(AND (in K 'a') (in I 1))"},
  };
  CHECK(state, examples);
}

#define AT(n) " (at character " #n " of the query)"

static void wrong_grammar_is_pointed_at(void **state) {
  static const example examples[] = {
      {"K == 'a'", "invalid query: malformed SQL query: syntax error at position 32" AT(4)},
      {"K =", "invalid query: malformed SQL query: syntax error at position 31" AT(4)},
      {"K = 'a", "invalid query: malformed SQL query: syntax error at position 34 near 'a'" AT(5)},
      {"(K = 'a'", "invalid query: malformed SQL query: syntax error at position 36" AT(9)},
      {"K = 'a' FOO 'x'",
       "invalid query: malformed SQL query: syntax error at position 39 near 'FOO'" AT(9)},
      {"K IN ()", "invalid query: malformed SQL query: syntax error at position 35" AT(7)},
      {"I = 5a", "invalid query: malformed SQL query: syntax error at position 33 near '5'" AT(5)},
      {"K = 'a' LIMIT 1", "invalid query: operation is not supported: 'LIMIT' clause" AT(15)},
      {"ORDER BY K, I",
       "invalid query: operation is not supported: 'ORDER BY' clause supports only a single "
       "field" AT(11)},
  };
  CHECK(state, examples);
}

static void wrong_types_are_told_with_the_originals_words(void **state) {
  static const example examples[] = {
      {"Nope = 'x'", "invalid query: invalid search attribute: Nope" AT(1)},
      {"WorkflowId = q1",
       "invalid query: operation is not supported: column name on the right side of comparison "
       "expression (did you forget to quote \"q1\"?)" AT(14)},
      {"WorkflowId", "invalid query: invalid expression: incomplete expression" AT(1)},
      {"K = 5",
       "invalid query: invalid expression: invalid value type for search attribute K of type "
       "Keyword: 5 (type: int64)" AT(5)},
      {"I = '5'",
       "invalid query: invalid expression: invalid value type for search attribute I of type Int: "
       "\"5\" (type: string)" AT(5)},
      {"L > 'x'",
       "invalid query: operation is not supported: operator '>' not supported for KeywordList type "
       "search attribute 'L'" AT(1)},
      {"B BETWEEN false AND true",
       "invalid query: invalid expression: cannot do range condition on search attribute 'B' of "
       "type Bool" AT(1)},
      {"T = ''",
       "invalid query: invalid expression: no tokens found filtering on Text type search attribute "
       "T" AT(5)},
      {"ExecutionStatus = 'running'",
       "invalid query: invalid expression: invalid ExecutionStatus value 'running'" AT(19)},
      {"W > 'yesterday'",
       "invalid query: invalid expression: unable to parse datetime 'yesterday'" AT(5)},
      {"K = NULL",
       "invalid query: invalid expression: unexpected value type *sqlparser.NullVal" AT(5)},
      {"'q1' = WorkflowId",
       "invalid query: invalid expression: must be a column name but was *sqlparser.SQLVal" AT(1)},
      {"GROUP BY L",
       "invalid query: operation is not supported: 'GROUP BY' clause is not supported for search "
       "attribute L" AT(10)},
  };
  CHECK(state, examples);
}

static void no_filter_makes_endless_work(void **state) {
  world *w = *state;
  buf b = BUF_INIT;
  for (int i = 0; i < 5000; i++) buf_adds(&b, "(");
  const char *deep = read(w, arena_cstr(&w->arena, buf_span(&b)));
  assert_non_null(strstr(deep, "it has more than 100 levels of NOT and parentheses"));
  buf_clear(&b);
  for (int i = 0; i < 1000; i++) buf_adds(&b, i ? " OR I=1" : "I=1");
  const char *wide = read(w, arena_cstr(&w->arena, buf_span(&b)));
  assert_non_null(strstr(wide, "it has more than 300 conditions"));
  buf_release(&b);
}

/* Whatever bytes come, reading ends with a filter or a sentence. */
static void random_texts_do_no_harm(void **state) {
  static const char *const pieces[] = {
      "K",  "I",  "=",  "'a'", "5",    "(", ")", "AND", "NOT",      "IN",   ",",  "`",       "\"",
      "--", "/*", "\\", "IS",  "NULL", "-", ".", ";",   "ORDER BY", "\xff", "1e", "BETWEEN", " "};
  world *w = *state;
  rng r;
  rng_seed(&r, 5);
  for (int i = 0; i < 20000; i++) {
    buf b = BUF_INIT;
    for (uint64_t n = rng_below(&r, 12); n > 0; n--) {
      buf_adds(&b, pieces[rng_below(&r, ARRAY_LEN(pieces))]);
      if (rng_below(&r, 3)) buf_adds(&b, " ");
    }
    assert_non_null(read(w, arena_cstr(&w->arena, buf_span(&b))));
    buf_release(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conditions_become_predicates),
      cmocka_unit_test(and_binds_before_or_and_not_before_both),
      cmocka_unit_test(values_have_the_form_of_their_attribute),
      cmocka_unit_test(names_may_be_quoted_and_have_aliases),
      cmocka_unit_test(orders_and_groups_follow_the_conditions),
      cmocka_unit_test(quotes_escapes_and_comments_are_read_as_in_sql),
      cmocka_unit_test(wrong_grammar_is_pointed_at),
      cmocka_unit_test(wrong_types_are_told_with_the_originals_words),
      cmocka_unit_test(no_filter_makes_endless_work),
      cmocka_unit_test(random_texts_do_no_harm),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}

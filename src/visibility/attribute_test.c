/* Search attributes: what a namespace may have, and what their values may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>

#include "visibility/attribute.h"

typedef struct world {
  arena arena;
  pb_store_Namespace *ns;
} world;

static int setup(void **state) {
  world *w = test_calloc(1, sizeof *w);
  w->ns = pb_new(&w->arena, store_Namespace);
  w->ns->key = 3;
  w->ns->name = SPAN("default");
  *state = w;
  return 0;
}

static int teardown(void **state) {
  arena_release(&((world *)*state)->arena);
  test_free(*state);
  return 0;
}

static err *add(world *w, const char *name, int32_t type) {
  pb_AddSearchAttributesRequest_SearchAttributesEntry entry = {.key = span_cstr(name),
                                                               .value = type};
  pb_AddSearchAttributesRequest_SearchAttributesEntry *entries[] = {&entry};
  pb_AddSearchAttributesRequest r = {0};
  r.search_attributes.v = entries;
  r.search_attributes.n = 1;
  return attributes_add(w->ns, &r, &w->arena, &w->ns);
}

static void remove_one(world *w, const char *name) {
  span names[] = {span_cstr(name)};
  pb_RemoveSearchAttributesRequest r = {0};
  r.search_attributes.v = names;
  r.search_attributes.n = 1;
  assert_null(attributes_remove(w->ns, &r, &w->arena, &w->ns));
}

static pb_Payload *json(world *w, const char *text) {
  pb_Payload *p = pb_new(&w->arena, Payload);
  p->metadata.v = arena_array(&w->arena, pb_Payload_MetadataEntry *, 1);
  p->metadata.v[0] = pb_new(&w->arena, Payload_MetadataEntry);
  p->metadata.v[0]->key = SPAN("encoding");
  p->metadata.v[0]->value = SPAN("json/plain");
  p->metadata.n = 1;
  p->data = span_cstr(text);
  return p;
}

static pb_SearchAttributes *one(world *w, const char *name, const char *value) {
  pb_SearchAttributes *s = pb_new(&w->arena, SearchAttributes);
  s->indexed_fields.v = arena_array(&w->arena, pb_SearchAttributes_IndexedFieldsEntry *, 1);
  s->indexed_fields.v[0] = pb_new(&w->arena, SearchAttributes_IndexedFieldsEntry);
  s->indexed_fields.v[0]->key = span_cstr(name);
  s->indexed_fields.v[0]->value = json(w, value);
  s->indexed_fields.n = 1;
  return s;
}

/* NULL: accepted. */
static const char *set(world *w, const char *name, const char *value) {
  pb_SearchAttributes *out;
  err *e = attributes_check(w->ns, one(w, name, value), false, &w->arena, &out);
  return e ? e->what : NULL;
}

static void types_have_as_many_attributes_as_in_the_original(void **state) {
  world *w = *state;
  for (int i = 0; i < 3; i++) {
    assert_null(add(w, arena_printf(&w->arena, "Int%d", i), PB_INDEXED_VALUE_TYPE_INT));
  }
  for (int i = 0; i < 10; i++) {
    assert_null(add(w, arena_printf(&w->arena, "Key%d", i), PB_INDEXED_VALUE_TYPE_KEYWORD));
  }
  err *e = add(w, "Int3", PB_INDEXED_VALUE_TYPE_INT);
  assert_string_equal(e->what,
                      "Unable to create search attributes: cannot have more than 3 search "
                      "attribute of type Int.");
  assert_non_null(add(w, "Key10", PB_INDEXED_VALUE_TYPE_KEYWORD));
  assert_null(add(w, "Int0", PB_INDEXED_VALUE_TYPE_INT)); /* it is there */
  assert_int_equal(w->ns->search_attributes.n, 13);
}

static void names_of_the_system_are_reserved(void **state) {
  static const char *const names[] = {"WorkflowId", "BuildIds", "TemporalFoo"};
  for (size_t i = 0; i < ARRAY_LEN(names); i++) {
    err *e = add(*state, names[i], PB_INDEXED_VALUE_TYPE_KEYWORD);
    assert_non_null(strstr(e->what, "is reserved by system."));
  }
}

static void an_attribute_that_is_added_again_is_another(void **state) {
  world *w = *state;
  attribute before, after;
  assert_null(add(w, "A", PB_INDEXED_VALUE_TYPE_KEYWORD));
  assert_true(attribute_find(w->ns, SPAN("A"), &before));
  remove_one(w, "A");
  assert_false(attribute_find(w->ns, SPAN("A"), &after));
  assert_null(add(w, "A", PB_INDEXED_VALUE_TYPE_INT));
  assert_true(attribute_find(w->ns, SPAN("A"), &after));
  assert_true(after.field.attribute > before.field.attribute);
}

static void values_must_be_of_the_type(void **state) {
  static const struct {
    int32_t type;
    const char *good, *bad, *told;
  } cases[] = {
      {PB_INDEXED_VALUE_TYPE_KEYWORD, "\"x\"", "5", "5"},
      {PB_INDEXED_VALUE_TYPE_KEYWORD, "[\"x\"]", "[\"one\",\"two\"]", "[one two]"},
      {PB_INDEXED_VALUE_TYPE_INT, "-1", "5.5", "5.5"},
      {PB_INDEXED_VALUE_TYPE_INT, " 5 ", "9223372036854775808", "9.223372036854776e+18"},
      {PB_INDEXED_VALUE_TYPE_INT, "[1]", "{\"a\":1,\"b\":[1,\"x\",null]}",
       "map[a:1 b:[1 x <nil>]]"},
      {PB_INDEXED_VALUE_TYPE_DOUBLE, "5", "\"x\"", "x"},
      {PB_INDEXED_VALUE_TYPE_DOUBLE, "1.5", "[1.5,2]", "[1.5 2]"},
      {PB_INDEXED_VALUE_TYPE_BOOL, "true", "\"true\"", "true"},
      {PB_INDEXED_VALUE_TYPE_DATETIME, "\"2024-01-02T03:04:05+02:00\"", "\"2024-01-02\"",
       "2024-01-02"},
      {PB_INDEXED_VALUE_TYPE_KEYWORD_LIST, "[\"a\",\"b\"]", "\"single\"", "single"},
      {PB_INDEXED_VALUE_TYPE_TEXT, "\"a b\"", "{bad",
       "value from <metadata:{key:\"encoding\"  value:\"json/plain\"}  data:\"{bad\">"},
  };
  world *w = *state;
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    const char *name = arena_printf(&w->arena, "A%zu", i);
    assert_null(add(w, name, cases[i].type));
    assert_null(set(w, name, cases[i].good));
    const char *told = set(w, name, cases[i].bad);
    assert_non_null(told);
    assert_string_equal(
        told, arena_printf(&w->arena, "invalid value for search attribute %s of type %s: %s", name,
                           attribute_type_name(cases[i].type), cases[i].told));
    remove_one(w, name);
  }
}

static void unknown_and_protected_names_are_refused(void **state) {
  assert_string_equal(set(*state, "Nope", "1"),
                      "Namespace default has no mapping defined for search attribute Nope");
  assert_string_equal(set(*state, "WorkflowId", "\"x\""),
                      "WorkflowId attribute can't be set in SearchAttributes");
  assert_null(set(*state, "BuildIds", "[\"x\"]"));
}

static void events_get_the_type_and_no_nils(void **state) {
  world *w = *state;
  pb_SearchAttributes *out;
  assert_null(add(w, "K", PB_INDEXED_VALUE_TYPE_KEYWORD));
  assert_null(attributes_check(w->ns, one(w, "K", "\"x\""), false, &w->arena, &out));
  const pb_Payload *p = out->indexed_fields.v[0]->value;
  assert_int_equal(p->metadata.n, 2);
  assert_true(span_eq(p->metadata.v[1]->key, SPAN("type")));
  assert_true(span_eq(p->metadata.v[1]->value, SPAN("Keyword")));
  assert_null(attributes_check(w->ns, one(w, "K", "null"), false, &w->arena, &out));
  assert_null(out);
  assert_null(attributes_check(w->ns, one(w, "K", "null"), true, &w->arena, &out));
  assert_int_equal(out->indexed_fields.n, 1);
}

static void texts_are_found_by_words_and_lists_without_case(void **state) {
  world *w = *state;
  store_attribute *v;
  size_t n;
  span division;
  assert_null(add(w, "T", PB_INDEXED_VALUE_TYPE_TEXT));
  assert_null(add(w, "L", PB_INDEXED_VALUE_TYPE_KEYWORD_LIST));
  attributes_index(w->ns, one(w, "T", "\"\xc3\x84rger-frei foo_bar\""), 0, &w->arena, &v, &n,
                   &division);
  static const char *const words[] = {"arger", "frei", "foo", "bar"};
  assert_int_equal(n, ARRAY_LEN(words));
  for (size_t i = 0; i < n; i++) assert_true(span_eq(v[i].value.text, span_cstr(words[i])));
  attributes_index(w->ns, one(w, "L", "[\"Xy z\"]"), 0, &w->arena, &v, &n, &division);
  assert_int_equal(n, 1);
  assert_true(span_eq(v[0].value.text, SPAN("xy z")));
  attributes_index(w->ns, one(w, "TemporalNamespaceDivision", "\"d\""), 0, &w->arena, &v, &n,
                   &division);
  assert_int_equal(n, 0);
  assert_true(span_eq(division, SPAN("d")));
}

static void what_the_server_keeps_for_filters_is_known_to_filters_alone(void **state) {
  static const char *const names[] = {"FailureType", "FailureRootType", "FailureFingerprint",
                                      "RetryingActivities"};
  world *w = *state;
  attribute at;
  for (size_t i = 0; i < ARRAY_LEN(names); i++) {
    assert_false(attribute_find(w->ns, span_cstr(names[i]), &at));
    assert_true(attribute_find_to_ask(w->ns, span_cstr(names[i]), &w->arena, &at));
    assert_int_equal(at.kind, ATTRIBUTE_KEPT);
    store_attribute seen = attribute_seen(w->ns->key, ATTRIBUTE_FAILURE_TYPE + (attribute_number)i,
                                          VALUE_OF_INT(1), &w->arena);
    assert_int_equal(seen.id, at.field.attribute);
    assert_string_equal(set(w, names[i], "\"x\""),
                        arena_printf(&w->arena,
                                     "Namespace default has no mapping defined for search "
                                     "attribute %s",
                                     names[i]));
    for (size_t k = 0; attribute_everywhere(k, &at); k++) {
      assert_false(span_eq(at.name, span_cstr(names[i])));
    }
  }
}

static void an_added_attribute_comes_before_a_kept_one(void **state) {
  world *w = *state;
  attribute own, kept;
  assert_null(add(w, "FailureType", PB_INDEXED_VALUE_TYPE_INT));
  assert_null(set(w, "FailureType", "5"));
  assert_true(attribute_find_to_ask(w->ns, SPAN("FailureType"), &w->arena, &own));
  assert_int_equal(own.kind, ATTRIBUTE_CUSTOM);
  assert_true(attribute_find_to_ask(w->ns, SPAN("TemporalFailureType"), &w->arena, &kept));
  assert_int_equal(kept.kind, ATTRIBUTE_KEPT);
  assert_true(own.field.attribute != kept.field.attribute);
}

static err *alias(world *w, const char *column, const char *name) {
  pb_NamespaceConfig_CustomSearchAttributeAliasesEntry entry = {.key = span_cstr(column),
                                                                .value = span_cstr(name)};
  pb_NamespaceConfig_CustomSearchAttributeAliasesEntry *entries[] = {&entry};
  attribute_aliases all = {.v = entries, .n = 1};
  return attributes_alias(w->ns, &all, &w->arena, &w->ns);
}

static void an_alias_is_a_name_for_a_place_of_its_type(void **state) {
  world *w = *state;
  assert_null(add(w, "Color", PB_INDEXED_VALUE_TYPE_KEYWORD));
  assert_non_null(alias(w, "Keyword01", "Colour"));
  assert_null(alias(w, "Keyword01", "Color"));
  assert_null(alias(w, "Keyword03", "Size"));
  assert_null(add(w, "Taste", PB_INDEXED_VALUE_TYPE_KEYWORD));
  assert_null(alias(w, "Keyword01", ""));
  static const char *const columns[] = {"Keyword03", "Keyword02"};
  assert_int_equal(w->ns->search_attributes.n, ARRAY_LEN(columns));
  for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
    span column = attribute_column(w->ns->search_attributes.v[i], &w->arena);
    assert_true(span_eq(column, span_cstr(columns[i])));
  }
  static const char *const wrong[] = {"Keyword00", "Keyword11", "Int04", "Unspecified01", "01", ""};
  for (size_t i = 0; i < ARRAY_LEN(wrong); i++) assert_non_null(alias(w, wrong[i], "X"));
  assert_non_null(alias(w, "Keyword04", "WorkflowId"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(types_have_as_many_attributes_as_in_the_original, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(an_alias_is_a_name_for_a_place_of_its_type, setup, teardown),
      cmocka_unit_test_setup_teardown(names_of_the_system_are_reserved, setup, teardown),
      cmocka_unit_test_setup_teardown(an_attribute_that_is_added_again_is_another, setup, teardown),
      cmocka_unit_test_setup_teardown(values_must_be_of_the_type, setup, teardown),
      cmocka_unit_test_setup_teardown(unknown_and_protected_names_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(events_get_the_type_and_no_nils, setup, teardown),
      cmocka_unit_test_setup_teardown(what_the_server_keeps_for_filters_is_known_to_filters_alone,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(an_added_attribute_comes_before_a_kept_one, setup, teardown),
      cmocka_unit_test_setup_teardown(texts_are_found_by_words_and_lists_without_case, setup,
                                      teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* attribute_change.c - the custom search attributes of a namespace change. Each has a place among
 * those of its type, which the protocol calls a field ("Keyword01") with an alias, its name. */
#include <stdlib.h>

#include "visibility/attribute.h"

static bool is_custom(const pb_store_Namespace *ns, span name) {
  for (size_t i = 0; i < ns->search_attributes.n; i++) {
    if (span_eq(ns->search_attributes.v[i]->name, name)) return true;
  }
  return false;
}

static bool exists_everywhere(span name) {
  attribute at;
  for (size_t i = 0; attribute_everywhere(i, &at); i++) {
    if (span_eq(at.name, name)) return true;
  }
  return false;
}

static bool is_reserved(span name) {
  static const char *const others[] = {"VisibilityId", "NamespaceId", "Namespace"};
  for (size_t i = 0; i < ARRAY_LEN(others); i++) {
    if (span_eq(span_cstr(others[i]), name)) return true;
  }
  return exists_everywhere(name) || span_starts_with(name, SPAN("Temporal"));
}

static pb_store_Namespace *with_room(const pb_store_Namespace *ns, size_t more, arena *a) {
  pb_store_Namespace *n = pb_new(a, store_Namespace);
  size_t old = ns->search_attributes.n;
  *n = *ns;
  n->search_attributes.v = arena_array(a, pb_store_SearchAttribute *, old + more + 1);
  for (size_t i = 0; i < old; i++) n->search_attributes.v[i] = ns->search_attributes.v[i];
  return n;
}

static err *check_most(const pb_store_Namespace *ns, int32_t type, arena *a) {
  size_t n = 0;
  for (size_t i = 0; i < ns->search_attributes.n; i++) {
    n += ns->search_attributes.v[i]->type == type;
  }
  if (n < attribute_most(type)) return NULL;
  return ERR(a, INVALID_ARGUMENT,
             "Unable to create search attributes: cannot have more than %zu search attribute of "
             "type %s.",
             attribute_most(type), attribute_type_name(type));
}

typedef pb_AddSearchAttributesRequest_SearchAttributesEntry add_entry;

static int by_name(const void *a, const void *b) {
  const add_entry *x = *(add_entry *const *)a, *y = *(add_entry *const *)b;
  return span_cmp(x->key, y->key);
}

static pb_store_SearchAttribute *at_place(const pb_store_Namespace *ns, int32_t type,
                                          int32_t place) {
  for (size_t i = 0; i < ns->search_attributes.n; i++) {
    pb_store_SearchAttribute *s = ns->search_attributes.v[i];
    if (s->type == type && s->place == place) return s;
  }
  return NULL;
}

static err *add_at(pb_store_Namespace *n, span name, int32_t type, int32_t place, arena *a) {
  pb_store_SearchAttribute *s = pb_new(a, store_SearchAttribute);
  if (n->last_search_attribute < ATTRIBUTE_FIRST_CUSTOM) {
    n->last_search_attribute = ATTRIBUTE_FIRST_CUSTOM;
  }
  if (n->last_search_attribute + 1 >= 1 << ATTRIBUTE_NS_BITS) {
    return ERR(a, RESOURCE_EXHAUSTED,
               "%d search attributes were added to and removed from this namespace over time; it "
               "takes no more",
               n->last_search_attribute);
  }
  s->number = ++n->last_search_attribute;
  s->name = name;
  s->type = type;
  s->place = place;
  n->search_attributes.v[n->search_attributes.n++] = s;
  return NULL;
}

static err *add_one(pb_store_Namespace *n, const add_entry *e, arena *a) {
  if (is_custom(n, e->key)) return NULL;
  TRY(check_most(n, e->value, a));
  int32_t place = 1;
  while (at_place(n, e->value, place)) place++;
  return add_at(n, e->key, e->value, place, a);
}

static err *reserved(span name, arena *a) {
  return ERR(a, INVALID_ARGUMENT, "Search attribute %.*s is reserved by system.", SPAN_ARG(name));
}

err *attributes_add(const pb_store_Namespace *ns, const pb_AddSearchAttributesRequest *r, arena *a,
                    pb_store_Namespace **ret_ns) {
  size_t count = r->search_attributes.n;
  if (!count) return ERR(a, INVALID_ARGUMENT, "SearchAttributes are not set on request.");
  add_entry **sorted = arena_array(a, add_entry *, count);
  for (size_t i = 0; i < count; i++) sorted[i] = r->search_attributes.v[i];
  if (count > 1) qsort(sorted, count, sizeof(add_entry *), by_name);
  for (size_t i = 0; i < count; i++) {
    if (is_reserved(sorted[i]->key)) return reserved(sorted[i]->key, a);
    if (!attribute_type_name(sorted[i]->value)) {
      return ERR(a, INVALID_ARGUMENT, "Unknown search attribute type: %d.", sorted[i]->value);
    }
  }
  pb_store_Namespace *n = with_room(ns, count, a);
  for (size_t i = 0; i < count; i++) TRY(add_one(n, sorted[i], a));
  *ret_ns = n;
  return NULL;
}

static void remove_named(pb_store_Namespace *n, span name) {
  size_t kept = 0;
  for (size_t k = 0; k < n->search_attributes.n; k++) {
    pb_store_SearchAttribute *s = n->search_attributes.v[k];
    if (!span_eq(s->name, name)) n->search_attributes.v[kept++] = s;
  }
  n->search_attributes.n = kept;
}

err *attributes_remove(const pb_store_Namespace *ns, const pb_RemoveSearchAttributesRequest *r,
                       arena *a, pb_store_Namespace **ret_ns) {
  if (!r->search_attributes.n) {
    return ERR(a, INVALID_ARGUMENT, "SearchAttributes are not set on request.");
  }
  pb_store_Namespace *n = with_room(ns, 0, a);
  for (size_t i = 0; i < r->search_attributes.n; i++) {
    span name = r->search_attributes.v[i];
    if (exists_everywhere(name)) {
      return ERR(a, INVALID_ARGUMENT, "Unable to remove non-custom search attributes: %.*s.",
                 SPAN_ARG(name));
    }
    remove_named(n, name);
  }
  *ret_ns = n;
  return NULL;
}

/* --- aliases --- */

span attribute_column(const pb_store_SearchAttribute *s, arena *a) {
  return arena_spanf(a, "%s%02d", attribute_type_name(s->type), s->place);
}

/* "Keyword07" */
static bool read_column(span text, int32_t *ret_type, int32_t *ret_place) {
  if (text.n < 3) return false;
  span type = span_of(text.p, text.n - 2);
  int tens = text.p[text.n - 2] - '0', ones = text.p[text.n - 1] - '0';
  if (tens < 0 || tens > 9 || ones < 0 || ones > 9) return false;
  *ret_place = tens * 10 + ones;
  for (*ret_type = 1; attribute_type_name(*ret_type); ++*ret_type) {
    if (!span_eq(span_cstr(attribute_type_name(*ret_type)), type)) continue;
    return *ret_place > 0 && (size_t)*ret_place <= attribute_most(*ret_type);
  }
  return false;
}

/* A name that was in use before is left alone, as the original does. */
static err *alias_one(const pb_store_Namespace *before, pb_store_Namespace *n, span column,
                      span name, arena *a) {
  int32_t type, place;
  if (!read_column(column, &type, &place)) {
    return ERR(a, INVALID_ARGUMENT,
               "custom_search_attribute_aliases: %.*s is no field of a custom search attribute",
               SPAN_ARG(column));
  }
  const pb_store_SearchAttribute *there = at_place(n, type, place);
  if (!name.n) {
    if (there) remove_named(n, there->name);
    return NULL;
  }
  if (there && !span_eq(there->name, name)) {
    return ERR(a, INVALID_ARGUMENT, "Custom search attribute field name already allocated.");
  }
  if (there || is_custom(before, name)) return NULL;
  return is_reserved(name) ? reserved(name, a) : add_at(n, name, type, place, a);
}

err *attributes_alias(const pb_store_Namespace *ns, const attribute_aliases *aliases, arena *a,
                      pb_store_Namespace **ret_ns) {
  pb_store_Namespace *n = with_room(ns, aliases->n, a);
  for (size_t i = 0; i < aliases->n; i++) {
    TRY(alias_one(ns, n, aliases->v[i]->key, aliases->v[i]->value, a));
  }
  *ret_ns = n;
  return NULL;
}

/* attribute.h - search attributes: which there are in a namespace, and how their values are read.
 *
 * Three kinds. The system's describe the run itself (WorkflowId, StartTime, ...): lists know them
 * as columns and nobody sets them. Predefined ones exist everywhere (BuildIds, ...); most may be
 * set. Custom ones are added per namespace and kept in its record, with a number that is never used
 * again, so that an attribute that is removed and added anew starts empty.
 *
 * Beyond the original, the server keeps attributes that filters may speak of and nothing else: they
 * are in no answer, no event and no list of attributes, and nobody sets them.
 *
 *   FailureType         Keyword  type of the failure that the run ended with, or that keeps it from
 *                                going on: "ValueError", "Timeout:StartToClose", "Activity"
 *   FailureRootType     Keyword  the same of its innermost cause
 *   FailureFingerprint  Keyword  16 hexadecimal digits, the same for failures that are alike
 *   RetryingActivities  Int      pending activities in their second attempt or a later one; no
 *                                value when there are none
 *
 * engine/failing.c says which failure that is. An attribute of the same name that a namespace adds
 * comes first, as programs written for the original expect; with "Temporal" before the name
 * (TemporalFailureType) the server's is meant.
 *
 * Texts and their order are those of the original. Values and errors live in the arena passed in.
 */
#ifndef PERDURE_VISIBILITY_ATTRIBUTE_H
#define PERDURE_VISIBILITY_ATTRIBUTE_H

#include "proto/pb.gen.h"
#include "store/visible.h"

enum {
  ATTRIBUTE_NS_BITS = 20, /* of a stored attribute's id: what is below the namespace's key */
  ATTRIBUTE_FIRST_CUSTOM = 128,
  ATTRIBUTE_VALUE_BYTES = 2 * 1024,
  ATTRIBUTE_TOTAL_BYTES = 40 * 1024,
};

typedef enum attribute_kind {
  ATTRIBUTE_SYSTEM,
  ATTRIBUTE_PREDEFINED,
  ATTRIBUTE_PROTECTED, /* predefined, and only the server sets it */
  ATTRIBUTE_KEPT,      /* only filters know of it */
  ATTRIBUTE_CUSTOM,
} attribute_kind;

/* Of attributes that the server itself sets; rows hold them. Those from ATTRIBUTE_FAILURE_TYPE on
 * are ATTRIBUTE_KEPT. */
typedef enum attribute_number {
  ATTRIBUTE_BINARY_CHECKSUMS = 4,
  ATTRIBUTE_BUILD_IDS = 5,
  ATTRIBUTE_SCHEDULE_PAUSED = 10,
  ATTRIBUTE_PAUSE_INFO = 11,
  ATTRIBUTE_REPORTED_PROBLEMS = 12,
  ATTRIBUTE_FAILURE_TYPE = 17,
  ATTRIBUTE_FAILURE_ROOT_TYPE = 18,
  ATTRIBUTE_FAILURE_FINGERPRINT = 19,
  ATTRIBUTE_RETRYING_ACTIVITIES = 20,
} attribute_number;

typedef struct attribute {
  span name;
  int32_t type; /* IndexedValueType */
  attribute_kind kind;
  store_field field;
} attribute;

/* By its exact name; false: the namespace has none of it. */
bool attribute_find(const pb_store_Namespace *ns, span name, attribute *ret);
/* For filters: also those that only the server keeps. */
bool attribute_find_to_ask(const pb_store_Namespace *ns, span name, arena *a, attribute *ret);
/* All that exist in every namespace, in a fixed order; false after the last. */
bool attribute_everywhere(size_t at, attribute *ret);
/* "KeywordList" */
const char *attribute_type_name(int32_t type);
/* How many custom ones of a type a namespace may have. */
size_t attribute_most(int32_t type);

/* --- changing what a namespace has --- */

/* The record with these added (those that are there stay as they are) or removed (those that are
 * not there do not matter): a copy in the arena, which shares strings with the old one. */
MUST_USE err *attributes_add(const pb_store_Namespace *ns, const pb_AddSearchAttributesRequest *r,
                             arena *a, pb_store_Namespace **ret_ns);
MUST_USE err *attributes_remove(const pb_store_Namespace *ns,
                                const pb_RemoveSearchAttributesRequest *r, arena *a,
                                pb_store_Namespace **ret_ns);
/* The same in the words of UpdateNamespace: names for places, an empty one frees its place. */
typedef pb_list_NamespaceConfig_CustomSearchAttributeAliasesEntry attribute_aliases;
MUST_USE err *attributes_alias(const pb_store_Namespace *ns, const attribute_aliases *aliases,
                               arena *a, pb_store_Namespace **ret_ns);
/* "Keyword01" */
span attribute_column(const pb_store_SearchAttribute *s, arena *a);

/* --- values --- */

/* Checks what a client wants to set. *ret: as it goes into events, by name and with its types; with
 * `keep_nil` also those without a value, which remove the attribute. NULL when nothing is left. */
MUST_USE err *attributes_check(const pb_store_Namespace *ns, const pb_SearchAttributes *in,
                               bool keep_nil, arena *a, pb_SearchAttributes **ret);
/* Whether a payload means that there is no value. */
bool attribute_is_nil(const pb_Payload *p);

/* What lists see of these attributes; what the namespace does not know any more is left out.
 * A division is returned apart; p == NULL: none. The array has room for `more`. */
void attributes_index(const pb_store_Namespace *ns, const pb_SearchAttributes *in, size_t more,
                      arena *a, store_attribute **ret, size_t *ret_n, span *ret_division);
/* The same of one that the server sets, in the namespace with this key. */
store_attribute attribute_seen(int64_t ns, attribute_number number, store_value v, arena *a);

/* A payload of this attribute type. */
pb_Payload *attribute_payload(int32_t type, const store_value *v, arena *a);

/* --- attribute_value.c, fold.c: for the other files of this folder --- */

/* Appends the values of a payload; false: it is not of this type. */
typedef struct attribute_values {
  arena *arena;
  store_value *v;
  size_t n, cap;
} attribute_values;

void attribute_values_add(attribute_values *to, store_value v);
bool attribute_read(int32_t type, const pb_Payload *p, attribute_values *to);
/* How Go would print the payload's value. */
span attribute_value_text(const pb_Payload *p, arena *a);
/* Letters without case and accents, as texts and lists are searched. */
span fold(span text, arena *a);
/* The words of a text, folded. */
void fold_words(span text, attribute_values *to);

#endif

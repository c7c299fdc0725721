#include "visibility/attribute.h"

#include <stdlib.h>

#include "proto/pb_table.h"

typedef struct row {
  const char *name;
  int32_t type;
  attribute_kind kind;
  store_column column;
  int32_t number; /* of COLUMN_ATTRIBUTE; never changes: rows hold it */
} row;

/* clang-format off */
#define KEYWORD PB_INDEXED_VALUE_TYPE_KEYWORD
#define KEYWORDS PB_INDEXED_VALUE_TYPE_KEYWORD_LIST
#define INT PB_INDEXED_VALUE_TYPE_INT
#define BOOL PB_INDEXED_VALUE_TYPE_BOOL
#define DATETIME PB_INDEXED_VALUE_TYPE_DATETIME

static const row rows[] = {
    {"WorkflowId", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_WORKFLOW_ID, 0},
    {"RunId", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_RUN_ID, 0},
    {"WorkflowType", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_TYPE, 0},
    {"StartTime", DATETIME, ATTRIBUTE_SYSTEM, COLUMN_STARTED, 0},
    {"ExecutionTime", DATETIME, ATTRIBUTE_SYSTEM, COLUMN_EXECUTION, 0},
    {"CloseTime", DATETIME, ATTRIBUTE_SYSTEM, COLUMN_CLOSED, 0},
    {"ExecutionStatus", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_STATUS, 0},
    {"TaskQueue", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_QUEUE, 0},
    {"HistoryLength", INT, ATTRIBUTE_SYSTEM, COLUMN_EVENTS, 0},
    {"ExecutionDuration", INT, ATTRIBUTE_SYSTEM, COLUMN_DURATION, 0},
    {"StateTransitionCount", INT, ATTRIBUTE_SYSTEM, COLUMN_TRANSITIONS, 0},
    {"HistorySizeBytes", INT, ATTRIBUTE_SYSTEM, COLUMN_HISTORY_BYTES, 0},
    {"ParentWorkflowId", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_PARENT_WORKFLOW_ID, 0},
    {"ParentRunId", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_PARENT_RUN_ID, 0},
    {"RootWorkflowId", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_ROOT_WORKFLOW_ID, 0},
    {"RootRunId", KEYWORD, ATTRIBUTE_SYSTEM, COLUMN_ROOT_RUN_ID, 0},
    {"TemporalExternalPayloadSizeBytes", INT, ATTRIBUTE_SYSTEM, COLUMN_ATTRIBUTE, 1},
    {"TemporalExternalPayloadCount", INT, ATTRIBUTE_SYSTEM, COLUMN_ATTRIBUTE, 2},
    {"TemporalChangeVersion", KEYWORDS, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE, 3},
    {"BinaryChecksums", KEYWORDS, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE,
     ATTRIBUTE_BINARY_CHECKSUMS},
    {"BuildIds", KEYWORDS, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE, ATTRIBUTE_BUILD_IDS},
    {"BatcherNamespace", KEYWORD, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE, 6},
    {"BatcherUser", KEYWORD, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE, 7},
    {"TemporalScheduledStartTime", DATETIME, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE, 8},
    {"TemporalScheduledById", KEYWORD, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE, 9},
    {"TemporalSchedulePaused", BOOL, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE,
     ATTRIBUTE_SCHEDULE_PAUSED},
    {"TemporalNamespaceDivision", KEYWORD, ATTRIBUTE_PREDEFINED, COLUMN_DIVISION, 0},
    {"TemporalPauseInfo", KEYWORDS, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE,
     ATTRIBUTE_PAUSE_INFO},
    {"TemporalReportedProblems", KEYWORDS, ATTRIBUTE_PREDEFINED, COLUMN_ATTRIBUTE,
     ATTRIBUTE_REPORTED_PROBLEMS},
    {"TemporalWorkerDeployment", KEYWORD, ATTRIBUTE_PROTECTED, COLUMN_ATTRIBUTE, 13},
    {"TemporalWorkerDeploymentVersion", KEYWORD, ATTRIBUTE_PROTECTED, COLUMN_ATTRIBUTE, 14},
    {"TemporalWorkflowVersioningBehavior", KEYWORD, ATTRIBUTE_PROTECTED, COLUMN_ATTRIBUTE, 15},
    {"TemporalUsedWorkerDeploymentVersions", KEYWORDS, ATTRIBUTE_PROTECTED, COLUMN_ATTRIBUTE, 16},
};

static const row kept_rows[] = {
    {"FailureType", KEYWORD, ATTRIBUTE_KEPT, COLUMN_ATTRIBUTE, ATTRIBUTE_FAILURE_TYPE},
    {"FailureRootType", KEYWORD, ATTRIBUTE_KEPT, COLUMN_ATTRIBUTE, ATTRIBUTE_FAILURE_ROOT_TYPE},
    {"FailureFingerprint", KEYWORD, ATTRIBUTE_KEPT, COLUMN_ATTRIBUTE,
     ATTRIBUTE_FAILURE_FINGERPRINT},
    {"RetryingActivities", INT, ATTRIBUTE_KEPT, COLUMN_ATTRIBUTE, ATTRIBUTE_RETRYING_ACTIVITIES},
};
/* clang-format on */

/* As many as the original has columns for. */
static const struct {
  int32_t type;
  const char *name;
  size_t most;
} types[] = {
    {PB_INDEXED_VALUE_TYPE_UNSPECIFIED, "Unspecified", 0},
    {PB_INDEXED_VALUE_TYPE_TEXT, "Text", 3},
    {PB_INDEXED_VALUE_TYPE_KEYWORD, "Keyword", 10},
    {PB_INDEXED_VALUE_TYPE_INT, "Int", 3},
    {PB_INDEXED_VALUE_TYPE_DOUBLE, "Double", 3},
    {PB_INDEXED_VALUE_TYPE_BOOL, "Bool", 3},
    {PB_INDEXED_VALUE_TYPE_DATETIME, "Datetime", 3},
    {PB_INDEXED_VALUE_TYPE_KEYWORD_LIST, "KeywordList", 3},
};

const char *attribute_type_name(int32_t type) {
  return type >= 0 && (size_t)type < ARRAY_LEN(types) ? types[type].name : NULL;
}

size_t attribute_most(int32_t type) { return attribute_type_name(type) ? types[type].most : 0; }

static store_field field_of(int64_t ns, store_column column, int32_t number, int32_t type) {
  store_field f = {.column = column};
  if (column != COLUMN_ATTRIBUTE) return f;
  f.attribute = ns << ATTRIBUTE_NS_BITS | number;
  f.many = type == PB_INDEXED_VALUE_TYPE_KEYWORD_LIST || type == PB_INDEXED_VALUE_TYPE_TEXT;
  /* Nearly every run has builds: to index them would cost each one more than its record does. */
  f.unindexed = number == ATTRIBUTE_BUILD_IDS || number == ATTRIBUTE_BINARY_CHECKSUMS;
  return f;
}

static void from_row(int64_t ns, const row *r, attribute *ret) {
  *ret = (attribute){.name = span_cstr(r->name),
                     .type = r->type,
                     .kind = r->kind,
                     .field = field_of(ns, r->column, r->number, r->type)};
}

bool attribute_everywhere(size_t at, attribute *ret) {
  if (at >= ARRAY_LEN(rows)) return false;
  from_row(0, &rows[at], ret);
  return true;
}

bool attribute_find(const pb_store_Namespace *ns, span name, attribute *ret) {
  for (size_t i = 0; i < ns->search_attributes.n; i++) {
    const pb_store_SearchAttribute *s = ns->search_attributes.v[i];
    if (!span_eq(s->name, name)) continue;
    *ret = (attribute){.name = s->name,
                       .type = s->type,
                       .kind = ATTRIBUTE_CUSTOM,
                       .field = field_of(ns->key, COLUMN_ATTRIBUTE, s->number, s->type)};
    return true;
  }
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    if (!span_eq(span_cstr(rows[i].name), name)) continue;
    from_row(ns->key, &rows[i], ret);
    return true;
  }
  return false;
}

static bool find_kept(const pb_store_Namespace *ns, span name, attribute *ret) {
  for (size_t i = 0; i < ARRAY_LEN(kept_rows); i++) {
    if (!span_eq(span_cstr(kept_rows[i].name), name)) continue;
    from_row(ns->key, &kept_rows[i], ret);
    return true;
  }
  return false;
}

/* The prefix of the server's own names may be left out or be too many. */
bool attribute_find_to_ask(const pb_store_Namespace *ns, span name, arena *a, attribute *ret) {
  const span prefix = SPAN("Temporal");
  bool prefixed = span_starts_with(name, prefix);
  span other = prefixed ? span_of(name.p + prefix.n, name.n - prefix.n)
                        : arena_spanf(a, "Temporal%.*s", SPAN_ARG(name));
  if (attribute_find(ns, name, ret)) return true;
  if (attribute_find(ns, other, ret) && ret->kind != ATTRIBUTE_CUSTOM) return true;
  return find_kept(ns, prefixed ? other : name, ret);
}

store_attribute attribute_seen(int64_t ns, attribute_number number, store_value v, arena *a) {
  int32_t type = KEYWORD;
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    if (rows[i].column == COLUMN_ATTRIBUTE && rows[i].number == (int32_t)number)
      type = rows[i].type;
  }
  store_field f = field_of(ns, COLUMN_ATTRIBUTE, number, type);
  if (f.many) v.text = fold(v.text, a);
  return (store_attribute){.id = f.attribute, .value = v, .unindexed = f.unindexed};
}

/* marker.c - commands that only record something: markers, memo, search attributes. */
#include "engine/command.h"

err *command_record_marker(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_RECORD_MARKER_ATTRIBUTES;
  COMMAND_NEEDS(c, cmd, record_marker_command_attributes, BAD_RECORD_MARKER_ATTRIBUTES,
                "RecordMarker");
  const pb_RecordMarkerCommandAttributes *in = cmd->record_marker_command_attributes;
  if (!in->marker_name.n) {
    return command_refuse(c, cause, "MarkerName is not set on RecordMarkerCommand.");
  }
  if (in->marker_name.n > ID_LIMIT_BYTES) {
    return command_refuse(c, cause,
                          "MarkerName on RecordMarkerCommand exceeds length limit. "
                          "MarkerName=%.*s Length=%zu Limit=%d",
                          SPAN_ARG(in->marker_name), in->marker_name.n, ID_LIMIT_BYTES);
  }
  engine_run *run = c->run;
  tx *t = &run->tx;
  size_t details = pb_encoded_bytes(&pb_RecordMarkerCommandAttributes_desc, in);
  TRY(command_check_bytes(c, details, t->st->host->limits->blob_bytes, cause,
                          "RecordMarkerCommandAttributes.Details"));
  EVENT(t, ev, attrs, MARKER_RECORDED, marker_recorded_event_attributes,
        MarkerRecordedEventAttributes);
  attrs->marker_name = in->marker_name;
  attrs->details.v = (void *)in->details.v;
  attrs->details.n = in->details.n;
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->header = in->header;
  attrs->failure = in->failure ? failure_fit_depth(in->failure, t->arena) : NULL;
  tx_append(run, ev);
  return NULL;
}

void merge_search_attributes(engine_run *run, const pb_SearchAttributes *changes) {
  arena *a = run->tx.arena;
  const pb_SearchAttributes *old = run->state.search_attributes;
  if (!old) old = run->info->started->search_attributes;
  pb_SearchAttributes *merged = pb_new(a, SearchAttributes);
  size_t most = (old ? old->indexed_fields.n : 0) + changes->indexed_fields.n;
  merged->indexed_fields.v = arena_array(a, pb_SearchAttributes_IndexedFieldsEntry *, most + 1);
  for (size_t i = 0; old && i < old->indexed_fields.n; i++) {
    bool replaced = false;
    for (size_t k = 0; k < changes->indexed_fields.n; k++) {
      replaced =
          replaced || span_eq(changes->indexed_fields.v[k]->key, old->indexed_fields.v[i]->key);
    }
    if (!replaced) merged->indexed_fields.v[merged->indexed_fields.n++] = old->indexed_fields.v[i];
  }
  for (size_t k = 0; k < changes->indexed_fields.n; k++) {
    if (!attribute_is_nil(changes->indexed_fields.v[k]->value)) {
      merged->indexed_fields.v[merged->indexed_fields.n++] = changes->indexed_fields.v[k];
    }
  }
  run->state.search_attributes = merged;
}

/* Nothing, null and an empty list, in whatever encoding. */
static bool is_nothing(const pb_Payload *p) {
  return !p || p->data.n == 0 || span_eq(p->data, SPAN("null")) || span_eq(p->data, SPAN("[]"));
}

pb_Memo *engine_memo_fields(const pb_Memo *memo, arena *a) {
  if (!memo) return NULL;
  pb_Memo *out = pb_new(a, Memo);
  out->fields.v = arena_array(a, pb_Memo_FieldsEntry *, memo->fields.n);
  for (size_t i = 0; i < memo->fields.n; i++) {
    if (!is_nothing(memo->fields.v[i]->value)) out->fields.v[out->fields.n++] = memo->fields.v[i];
  }
  return out->fields.n ? out : NULL;
}

void merge_memo(engine_run *run, const pb_Memo *changes) {
  arena *a = run->tx.arena;
  const pb_Memo *old = run->state.memo;
  pb_Memo *merged = pb_new(a, Memo);
  size_t most = (old ? old->fields.n : 0) + changes->fields.n;
  merged->fields.v = arena_array(a, pb_Memo_FieldsEntry *, most);
  for (size_t i = 0; old && i < old->fields.n; i++) {
    bool replaced = false;
    for (size_t k = 0; k < changes->fields.n; k++) {
      replaced = replaced || span_eq(changes->fields.v[k]->key, old->fields.v[i]->key);
    }
    if (!replaced) merged->fields.v[merged->fields.n++] = old->fields.v[i];
  }
  for (size_t k = 0; k < changes->fields.n; k++) {
    if (!attribute_is_nil(changes->fields.v[k]->value)) {
      merged->fields.v[merged->fields.n++] = changes->fields.v[k];
    }
  }
  run->state.memo = merged;
}

err *command_modify_properties(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES;
  COMMAND_NEEDS(c, cmd, modify_workflow_properties_command_attributes,
                BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES, "ModifyWorkflowProperties");
  const pb_ModifyWorkflowPropertiesCommandAttributes *in =
      cmd->modify_workflow_properties_command_attributes;
  if (!in->upserted_memo) {
    return command_refuse(c, cause, "UpsertedMemo is not set on ModifyWorkflowPropertiesCommand.");
  }
  engine_run *run = c->run;
  tx *t = &run->tx;
  TRY(command_check_bytes(c, pb_encoded_bytes(&pb_Memo_desc, in->upserted_memo),
                          t->st->host->limits->memo_bytes, cause,
                          "ModifyWorkflowPropertiesCommandAttributes"));
  EVENT(t, ev, attrs, WORKFLOW_PROPERTIES_MODIFIED, workflow_properties_modified_event_attributes,
        WorkflowPropertiesModifiedEventAttributes);
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->upserted_memo = in->upserted_memo;
  merge_memo(run, in->upserted_memo);
  tx_append(run, ev);
  return NULL;
}

err *command_check_search_attributes(command_ctx *c, const pb_SearchAttributes *some, bool keep_nil,
                                     pb_SearchAttributes **ret) {
  engine_step *st = c->run->tx.st;
  err *bad = attributes_check(step_namespace(c->run, st), some, keep_nil, st->arena, ret);
  if (!bad) return NULL;
  return command_refuse(c, PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES, "%s", bad->what);
}

err *command_upsert_search_attributes(command_ctx *c, const pb_Command *cmd) {
  const int32_t cause = PB_WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES;
  COMMAND_NEEDS(c, cmd, upsert_workflow_search_attributes_command_attributes, BAD_SEARCH_ATTRIBUTES,
                "UpsertWorkflowSearchAttributes");
  const pb_UpsertWorkflowSearchAttributesCommandAttributes *in =
      cmd->upsert_workflow_search_attributes_command_attributes;
  if (!in->search_attributes) {
    return command_refuse(c, cause,
                          "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.");
  }
  engine_run *run = c->run;
  tx *t = &run->tx;
  pb_SearchAttributes *changes;
  TRY(command_check_search_attributes(c, in->search_attributes, true, &changes));
  if (!changes) changes = in->search_attributes;
  EVENT(t, ev, attrs, UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        upsert_workflow_search_attributes_event_attributes,
        UpsertWorkflowSearchAttributesEventAttributes);
  attrs->workflow_task_completed_event_id = c->completed_event_id;
  attrs->search_attributes = changes;
  merge_search_attributes(run, changes);
  tx_append(run, ev);
  return NULL;
}

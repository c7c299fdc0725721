/* pb_payload.h - payloads and search attributes that the server makes itself. */
#ifndef PERDURE_PROTO_PB_PAYLOAD_H
#define PERDURE_PROTO_PB_PAYLOAD_H

#include "proto/pb.gen.h"

/* Payloads with one value of encoding json/plain, encoded in the arena. */
static inline span pb_json_payloads(arena *a, span json) {
  pb_Payload_MetadataEntry encoding = {.key = SPAN("encoding"), .value = SPAN("json/plain")};
  pb_Payload_MetadataEntry *entries[] = {&encoding};
  pb_Payload payload = {.data = json};
  pb_Payload *values[] = {&payload};
  pb_Payloads all = {0};
  payload.metadata.v = entries;
  payload.metadata.n = 1;
  all.payloads.v = values;
  all.payloads.n = 1;
  return PB_ENCODE(Payloads, &all, a);
}

static inline pb_Payload_MetadataEntry *pb_metadata(arena *a, span key, span value) {
  pb_Payload_MetadataEntry *e = pb_new(a, Payload_MetadataEntry);
  e->key = key;
  e->value = value;
  return e;
}

/* A search attribute with its type, as responses show it. */
static inline pb_SearchAttributes_IndexedFieldsEntry *pb_attribute_new(arena *a, const char *name,
                                                                       const char *type,
                                                                       span json) {
  pb_SearchAttributes_IndexedFieldsEntry *e = pb_new(a, SearchAttributes_IndexedFieldsEntry);
  e->key = span_cstr(name);
  e->value = pb_new(a, Payload);
  e->value->metadata.v = arena_array(a, pb_Payload_MetadataEntry *, 2);
  e->value->metadata.v[0] = pb_metadata(a, SPAN("encoding"), SPAN("json/plain"));
  e->value->metadata.v[1] = pb_metadata(a, SPAN("type"), span_cstr(type));
  e->value->metadata.n = 2;
  e->value->data = json;
  return e;
}

#endif

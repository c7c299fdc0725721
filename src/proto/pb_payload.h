/* pb_payload.h - payloads that the server makes itself. */
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

#endif

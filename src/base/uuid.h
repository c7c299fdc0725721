/* uuid.h - RFC 4122 version 4 identifiers in their 36-character text form. */
#ifndef PERDURE_BASE_UUID_H
#define PERDURE_BASE_UUID_H

#include "base/rng.h"
#include "base/span.h"

enum { UUID_TEXT_BYTES = 36 };

typedef struct uuid {
  uint8_t b[16];
} uuid;

uuid uuid_random(rng *r);
/* Writes 36 characters, no NUL. */
void uuid_format(uuid u, char ret_text[UUID_TEXT_BYTES]);
/* Accepts exactly the 36-character form in either case. */
bool uuid_parse(span text, uuid *ret_uuid);

#endif

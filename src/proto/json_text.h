/* json_text.h - inside the codec: the pieces of JSON text that have a form of their own. Writers
 * append to a buf; readers take the text between the quotes and return NULL or what is wrong. */
#ifndef PERDURE_PROTO_JSON_TEXT_H
#define PERDURE_PROTO_JSON_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

/* With quotes and escapes; s is UTF-8. */
void json_put_string(buf *out, span s);

/* The grammar of a JSON number. */
bool json_is_number(span s);

void json_put_integer(buf *out, int64_t v);

/* The shortest digits that read back as the same number; NaN and the infinities as strings. */
void json_put_double(buf *out, double v);
void json_put_float(buf *out, float v);
const char *json_get_double(span text, double *ret);
const char *json_get_float(span text, float *ret);
/* Accepts 1.0 and 1e3, as JSON numbers have one kind. */
const char *json_get_integer(span text, int64_t least, uint64_t most, int64_t *ret);

/* Base64 with padding, without quotes; read in either alphabet, padded or not. */
void json_put_base64(buf *out, span s);
const char *json_get_base64(span text, arena *a, span *ret);

/* google.protobuf.Timestamp in RFC 3339 and Duration as "1.5s", without quotes. The writers return
 * what is wrong with a value out of range. */
const char *json_put_timestamp(buf *out, int64_t seconds, int32_t nanos);
const char *json_get_timestamp(span text, int64_t *ret_seconds, int32_t *ret_nanos);
const char *json_put_duration(buf *out, int64_t seconds, int32_t nanos);
const char *json_get_duration(span text, int64_t *ret_seconds, int32_t *ret_nanos);

/* One path of a FieldMask: some_field.inner_name against someField.innerName. Written without
 * quotes or escapes. */
const char *json_put_mask_path(buf *out, span path);
const char *json_get_mask_path(span text, arena *a, span *ret);

#endif

/* script_text.h - messages of the protocol as short text, for the engine's test scripts.
 *
 * Reading: text_set(d, msg, "retry_policy.maximum_attempts", "3") makes the messages on the way.
 * Values, besides numbers, names of enums and plain text:
 *   10s 300ms 1m 2h      durations
 *   a  ["a",2]           payloads: each element as JSON; null: the payload that means nothing
 *   blob*2097153  x*1001 that many bytes: a binary payload, or text
 *   "Type: message"      a failure of an application; "!Type: ..." is not retryable
 * A message that has a name is set by it (activity_type=Act); a repeated field grows by one; the
 * key of a map is the next part of the path (memo.fields.k=v).
 *
 * Writing: text_dump writes " name=value" for every field that is set. "_event_id" and "_timeout"
 * are cut from names. Times are relative to TEXT_EPOCH_NS.
 */
#ifndef PERDURE_ENGINE_SCRIPT_TEXT_H
#define PERDURE_ENGINE_SCRIPT_TEXT_H

#include "base/buf.h"
#include "proto/pb.gen.h"

#define TEXT_EPOCH_NS (INT64_C(1600000000) * NS_PER_SEC)

/* False, and a sentence in ret_why, when there is no such field or it has no such value. */
bool text_set(const pb_desc *d, void *msg, span path, span value, arena *a, const char **ret_why);
/* Whether the first part of the path is a field of the message. */
bool text_has_field(const pb_desc *d, span path);
/* "10s" and the like; false when it is not a duration. */
bool text_duration(span text, int64_t *ret_ns);

void text_dump(buf *out, const pb_desc *d, const void *msg);
void text_add_duration(buf *out, int64_t ns);
/* "+10s" after the epoch. */
void text_add_time(buf *out, int64_t ns);
/* "EVENT_TYPE_TIMER_FIRED" as "TimerFired". */
void text_add_enum(buf *out, const pb_enum *e, int32_t number);
void text_add_span(buf *out, span s);

#endif

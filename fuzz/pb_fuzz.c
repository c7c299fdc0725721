/* The codec: whatever decodes must encode to something that decodes to the same, in binary and in
 * JSON, and checking must agree with decoding.
 *
 * Input: a byte that says binary or JSON, two that choose the message type, the text. */
#include "proto/pb.gen.h"
#include "proto/pb_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void read_again(const pb_desc *d, const void *msg, arena *a) {
  span once = pb_encode_arena(d, msg, a);
  void *again;
  ASSERT(!pb_decode(d, once, a, &again));
  ASSERT(pb_equal(d, msg, again));
  ASSERT(pb_equal(d, msg, pb_copy(d, again, a)));
  buf twice = BUF_INIT;
  pb_encode(d, again, &twice);
  ASSERT(span_eq(once, buf_span(&twice)));
  buf_release(&twice);
}

/* A message without JSON form is fine, a form that we do not read is not. */
static void through_json(const pb_desc *d, const void *msg, pb_json_flags flags, arena *a) {
  buf once = BUF_INIT, twice = BUF_INIT;
  void *again;
  if (!pb_json_encode(d, msg, flags, a, &once)) {
    ASSERT(!pb_json_decode(d, buf_span(&once), flags, a, &again));
    ASSERT(!pb_json_encode(d, again, flags, a, &twice));
    if (!(flags & PB_JSON_SHORTHAND)) ASSERT(span_eq(buf_span(&once), buf_span(&twice)));
  }
  buf_release(&once);
  buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
  if (n < 3) return 0;
  const pb_desc *d = &pb_descs[(p[1] | (size_t)p[2] << 8) % pb_desc_count];
  if (d->special == PB_IS_MAP_ENTRY) return 0; /* only ever read inside its map */
  span in = span_of(p + 3, n - 3);
  arena a = ARENA_INIT;
  void *msg;
  err *e;
  if (p[0] & 1) {
    e = pb_json_decode(d, in, p[0] & 2 ? PB_JSON_SHORTHAND : PB_JSON_CANONICAL, &a, &msg);
  } else {
    e = pb_decode(d, in, &a, &msg);
    ASSERT(!e == !pb_check(d, in, &a));
  }
  if (!e) {
    read_again(d, msg, &a);
    through_json(d, msg, PB_JSON_CANONICAL, &a);
    through_json(d, msg, PB_JSON_PRETTY, &a);
    through_json(d, msg, PB_JSON_SHORTHAND, &a);
  }
  arena_release(&a);
  return 0;
}

/* pb_peer - answers the differential test: reads frames on standard input, answers on standard
 * output. A frame is
 *
 *   u8 op, u16 name length, name, u32 data length, data      (little endian)
 *
 * and an answer u8 ok, u32 length, bytes; ok == 0 carries the error's sentence. Operations:
 *   b  binary -> binary, through decode, copy, encode; every way to encode must agree
 *   j  binary -> JSON        J  JSON -> binary
 *   c  binary -> nothing, checked only
 */
#include <stdio.h>

#include "proto/pb.gen.h"
#include "proto/pb_json.h"

static bool read_exactly(void *p, size_t n) { return fread(p, 1, n, stdin) == n; }

static void answer(bool ok, span s) {
  uint32_t n = (uint32_t)s.n;
  putchar(ok);
  fwrite(&n, sizeof n, 1, stdout);
  fwrite(s.p ? s.p : (const uint8_t *)"", 1, s.n, stdout);
  fflush(stdout);
}

static err *round_trip(const pb_desc *d, span in, arena *a, buf *out) {
  void *msg;
  TRY(pb_decode(d, in, a, &msg));
  TRY(pb_check(d, in, a));
  void *copy = pb_copy(d, msg, a);
  span encoded = pb_encode_arena(d, copy, a);
  pb_encode(d, msg, out);
  if (!pb_equal(d, msg, copy)) return ERR(a, INTERNAL, "a copy differs");
  if (!span_eq(encoded, buf_span(out))) return ERR(a, INTERNAL, "two encodings differ");
  void *again;
  TRY(pb_decode(d, encoded, a, &again));
  if (!pb_equal(d, msg, again)) return ERR(a, INTERNAL, "decode of encode differs");
  return NULL;
}

static err *run(char op, const pb_desc *d, span in, arena *a, buf *out) {
  void *msg;
  switch (op) {
    case 'b':
      return round_trip(d, in, a, out);
    case 'c':
      return pb_check(d, in, a);
    case 'j':
      TRY(pb_decode(d, in, a, &msg));
      return pb_json_encode(d, msg, PB_JSON_CANONICAL, a, out);
    case 'J':
      TRY(pb_json_decode(d, in, PB_JSON_CANONICAL, a, &msg));
      pb_encode(d, msg, out);
      return NULL;
    default:
      return ERR(a, INTERNAL, "unknown operation %c", op);
  }
}

int main(void) {
  arena a = ARENA_INIT;
  buf out = BUF_INIT;
  for (;;) {
    struct __attribute__((packed)) {
      char op;
      uint16_t name_bytes;
    } head;
    uint32_t n;
    if (!read_exactly(&head, sizeof head)) break;
    uint8_t *name = arena_alloc(&a, head.name_bytes);
    if (!read_exactly(name, head.name_bytes) || !read_exactly(&n, sizeof n)) return 1;
    uint8_t *data = arena_alloc(&a, n);
    if (!read_exactly(data, n)) return 1;
    const pb_desc *d = pb_find(span_of(name, head.name_bytes));
    buf_clear(&out);
    err *e =
        d ? run(head.op, d, span_of(data, n), &a, &out) : ERR(&a, NOT_FOUND, "no such message");
    answer(!e, e ? span_cstr(e->what) : buf_span(&out));
    arena_reset(&a);
  }
  buf_release(&out);
  arena_release(&a);
  return 0;
}

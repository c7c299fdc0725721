/* run_id.c - a run id is a version 7 UUID (RFC 9562): the time it was made, then random bits. The
 * last 62 bits hold the run's key, masked by a hash of the rest: ids of one millisecond look random
 * and do not repeat, and the key is read back without an index. An id that was not made here gives
 * some key; who uses it compares the stored id. */
#include "base/uuid.h"
#include "shard/shard_int.h"

enum { TAIL_BITS = 62, SPARE_BITS = TAIL_BITS - RUN_KEY_BITS };
_Static_assert(SPARE_BITS > 0, "a key fits behind the variant bits");
#define TAIL_MASK ((UINT64_C(1) << TAIL_BITS) - 1)

static uint64_t big_endian(const uint8_t p[8]) {
  uint64_t v = 0;
  for (size_t i = 0; i < 8; i++) v = v << 8 | p[i];
  return v;
}

static uint64_t mask_of(const uuid *u) { return hash_u64(big_endian(u->b)) & TAIL_MASK; }

void run_id_format(int64_t key, int64_t now_ns, rng *random, char ret_text[UUID_TEXT_BYTES]) {
  ASSERT(key > 0 && key <= RUN_KEY_MAX);
  uuid u = uuid_random(random);
  uint64_t spare = big_endian(u.b + 8) >> (64 - SPARE_BITS);
  uint64_t ms = (uint64_t)(now_ns / NS_PER_MS);
  for (size_t i = 0; i < 6; i++) u.b[i] = (uint8_t)(ms >> (8 * (5 - i)));
  u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x70);
  uint64_t tail = ((uint64_t)key | spare << RUN_KEY_BITS) ^ mask_of(&u);
  tail |= UINT64_C(2) << TAIL_BITS; /* the variant */
  for (size_t i = 0; i < 8; i++) u.b[8 + i] = (uint8_t)(tail >> (8 * (7 - i)));
  uuid_format(u, ret_text);
}

bool run_id_parse(span text, int64_t *ret_key) {
  uuid u;
  if (!uuid_parse(text, &u)) return false;
  *ret_key = (int64_t)((big_endian(u.b + 8) ^ mask_of(&u)) & (uint64_t)RUN_KEY_MAX);
  return *ret_key > 0;
}

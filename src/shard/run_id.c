/* run_id.c - a run id is a version 4 UUID whose first six bytes hold the run's key, masked by a
 * hash of the rest: ids look random and do not sort or repeat, and the key is read back without an
 * index. An id that was not made here gives some key; who uses it compares the stored id. */
#include "base/uuid.h"
#include "shard/shard_int.h"

enum { KEY_BYTES = 6 };
_Static_assert(RUN_KEY_BITS <= KEY_BYTES * 8, "a key fits before the version nibble");

static uint64_t mask_of(const uuid *u) {
  uint64_t rest = 0, more = 0;
  for (size_t i = KEY_BYTES; i < sizeof u->b; i++) {
    more = more << 8 | rest >> 56;
    rest = rest << 8 | u->b[i];
  }
  return hash_u64(rest ^ hash_u64(more));
}

void run_id_format(int64_t key, rng *random, char ret_text[UUID_TEXT_BYTES]) {
  ASSERT(key > 0 && key <= RUN_KEY_MAX);
  uuid u = uuid_random(random);
  uint64_t spare = (uint64_t)u.b[0] >> (8 - (KEY_BYTES * 8 - RUN_KEY_BITS));
  uint64_t head = ((uint64_t)key | spare << RUN_KEY_BITS) ^ mask_of(&u);
  for (size_t i = 0; i < KEY_BYTES; i++) u.b[i] = (uint8_t)(head >> (8 * i));
  uuid_format(u, ret_text);
}

bool run_id_parse(span text, int64_t *ret_key) {
  uuid u;
  if (!uuid_parse(text, &u)) return false;
  uint64_t head = 0;
  for (size_t i = 0; i < KEY_BYTES; i++) head |= (uint64_t)u.b[i] << (8 * i);
  *ret_key = (int64_t)((head ^ mask_of(&u)) & (uint64_t)RUN_KEY_MAX);
  return *ret_key > 0;
}

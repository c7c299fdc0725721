/* token_fuzz.c - opaque tokens from a client: whatever arrives, only what was sealed here opens.
 *
 * The first byte chooses what is done with the rest: opened as it is, or used to damage a genuine
 * token, or sealed and opened again. */
#include "shard/token.h"

static const token_kind kinds[] = {TOKEN_WORKFLOW_TASK, TOKEN_ACTIVITY_TASK, TOKEN_QUERY_TASK,
                                   TOKEN_HISTORY_PAGE, TOKEN_LIST_PAGE};

static void open_all(const token_keys *k, span token, bool genuine, token_kind kind) {
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    int64_t ns;
    span body;
    bool opens = token_open(k, kinds[i], token, &ns, &body);
    ASSERT(opens == (genuine && kinds[i] == kind));
  }
}

/* Every byte of the input is added to a place of the token; all zero leaves it genuine. */
static void damage(const token_keys *k, span in, arena *a) {
  span token = token_seal(k, TOKEN_ACTIVITY_TASK, 7, SPAN("a body of some length"), a);
  uint8_t *p = (uint8_t *)token.p;
  bool genuine = true;
  for (size_t i = 0; i < MIN(in.n, token.n); i++) {
    p[i] = (uint8_t)(p[i] + in.p[i]);
    genuine &= in.p[i] == 0;
  }
  open_all(k, token, genuine, TOKEN_ACTIVITY_TASK);
}

/* Also a body that is no TaskToken at all must not hurt whoever decodes it. */
static void round_trip(const token_keys *k, span in, arena *a) {
  if (in.n > TOKEN_MAX_BYTES / 2) return;
  span token = token_seal(k, TOKEN_QUERY_TASK, 7, in, a), body;
  int64_t ns;
  ASSERT(token_open(k, TOKEN_QUERY_TASK, token, &ns, &body) && ns == 7 && span_eq(body, in));
  pb_store_TaskToken *decoded;
  err *e = PB_DECODE(store_TaskToken, body, a, &decoded);
  ASSERT(!e || e->code == ERR_INVALID_ARGUMENT);
  token_keys read;
  token_keys_init(&read);
  e = token_keys_decode(&read, in, a);
  ASSERT(!e || e->code == ERR_DATA_LOSS);
  token_keys_release(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const uint8_t secret[TOKEN_SECRET_BYTES] = {1, 2, 3};
  static token_keys keys;
  if (n == 0) return 0;
  if (!keys.n) token_keys_add(&keys, 1, 0, secret);
  arena a = ARENA_INIT;
  span rest = span_of(data + 1, n - 1);
  switch (data[0] % 3) {
    case 0:
      open_all(&keys, rest, false, 0);
      break;
    case 1:
      damage(&keys, rest, &a);
      break;
    default:
      round_trip(&keys, rest, &a);
      break;
  }
  arena_release(&a);
  return 0;
}

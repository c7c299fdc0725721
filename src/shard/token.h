/* token.h - opaque tokens: what a client must hand back unchanged.
 *
 * A token is  version | kind | key id | namespace key | MAC | body. The MAC (HMAC-SHA-256, first 16
 * bytes) covers everything, so that a token of another kind or server, a shortened or a made-up one
 * is refused before its body is looked at. Keys have ids: a new one signs, the old ones go on
 * verifying as long as they are kept.
 */
#ifndef PERDURE_SHARD_TOKEN_H
#define PERDURE_SHARD_TOKEN_H

#include "proto/pb.gen.h"

typedef enum token_kind {
  TOKEN_WORKFLOW_TASK = 1,
  TOKEN_ACTIVITY_TASK = 2,
  TOKEN_QUERY_TASK = 3,
  TOKEN_HISTORY_PAGE = 4,
  TOKEN_LIST_PAGE = 5,
} token_kind;

enum { TOKEN_SECRET_BYTES = 32, TOKEN_MAC_BYTES = 16, TOKEN_MAX_BYTES = 16 * 1024 };

typedef struct token_key {
  int32_t id;
  uint8_t secret[TOKEN_SECRET_BYTES];
  void *mac; /* prepared with the secret */
} token_key;

typedef struct token_keys {
  token_key *v; /* the last one signs */
  size_t n;
} token_keys;

void token_keys_init(token_keys *k);
void token_keys_release(token_keys *k);
void token_keys_add(token_keys *k, int32_t id, const uint8_t secret[TOKEN_SECRET_BYTES]);
/* A secret from the system's random source, or an error. */
MUST_USE err *token_new_secret(arena *a, uint8_t ret_secret[TOKEN_SECRET_BYTES]);

/* The stored form. DATA_LOSS when it cannot be used. */
span token_keys_encode(const token_keys *k, int64_t now_ns, arena *a);
MUST_USE err *token_keys_decode(token_keys *k, span in, arena *a);

/* At least one key must be there. */
span token_seal(const token_keys *k, token_kind kind, int64_t ns, span body, arena *a);
/* False: not a token of this kind. The body points into the token. */
bool token_open(const token_keys *k, token_kind kind, span token, int64_t *ret_ns, span *ret_body);

#endif

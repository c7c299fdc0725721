/* token.h - opaque tokens: what a client must hand back unchanged.
 *
 * A token is  version | kind | key id | namespace key | MAC | body. The MAC (HMAC-SHA-256, first 16
 * bytes) covers everything, so that a token of another kind or server, a shortened or a made-up one
 * is refused before its body is looked at. Keys have ids: a new one signs, the old ones go on
 * verifying as long as they are kept. A start with a key of over TOKEN_KEY_AGE_NS makes a new one;
 * an activity may be completed years later, so TOKEN_KEYS of them are kept.
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
  TOKEN_WORKER_PAGE = 6,
} token_kind;

#define TOKEN_KEY_AGE_NS (90 * 24 * 3600 * NS_PER_SEC)
enum { TOKEN_KEYS = 32 };
enum { TOKEN_SECRET_BYTES = 32, TOKEN_MAC_BYTES = 16, TOKEN_MAX_BYTES = 16 * 1024 };

typedef struct token_key {
  int32_t id;
  int64_t created_ns;
  uint8_t secret[TOKEN_SECRET_BYTES];
  void *mac; /* prepared with the secret */
} token_key;

typedef struct token_keys {
  token_key *v; /* the last one signs */
  size_t n;
} token_keys;

void token_keys_init(token_keys *k);
void token_keys_release(token_keys *k);
/* Drops the oldest one where TOKEN_KEYS are there. */
void token_keys_add(token_keys *k, int32_t id, int64_t created_ns,
                    const uint8_t secret[TOKEN_SECRET_BYTES]);
/* There is none, or the newest is old: another is to be added. */
bool token_keys_are_old(const token_keys *k, int64_t now_ns);
/* A secret from the system's random source, or an error. */
MUST_USE err *token_new_secret(arena *a, uint8_t ret_secret[TOKEN_SECRET_BYTES]);

/* The stored form. DATA_LOSS when it cannot be used. */
span token_keys_encode(const token_keys *k, arena *a);
MUST_USE err *token_keys_decode(token_keys *k, span in, arena *a);

/* At least one key must be there. */
span token_seal(const token_keys *k, token_kind kind, int64_t ns, span body, arena *a);
/* False: not a token of this kind. The body points into the token. */
bool token_open(const token_keys *k, token_kind kind, span token, int64_t *ret_ns, span *ret_body);

#endif

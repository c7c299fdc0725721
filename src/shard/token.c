#include "shard/token.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/mem.h"

enum {
  VERSION = 1,
  KEY_ID_AT = 2,
  NS_AT = 6,
  MAC_AT = 14,
  BODY_AT = MAC_AT + TOKEN_MAC_BYTES,
};

void token_keys_init(token_keys *k) { *k = (token_keys){0}; }

static void forget(token_key *key) {
  EVP_MAC_CTX_free(key->mac);
  OPENSSL_cleanse(key->secret, sizeof key->secret);
}

void token_keys_release(token_keys *k) {
  for (size_t i = 0; i < k->n; i++) forget(&k->v[i]);
  mem_free(k->v);
  token_keys_init(k);
}

bool token_keys_are_old(const token_keys *k, int64_t now_ns) {
  return !k->n || now_ns - k->v[k->n - 1].created_ns > TOKEN_KEY_AGE_NS;
}

void token_keys_add(token_keys *k, int32_t id, int64_t created_ns,
                    const uint8_t secret[TOKEN_SECRET_BYTES]) {
  if (k->n == TOKEN_KEYS) {
    forget(&k->v[0]);
    memmove(k->v, k->v + 1, --k->n * sizeof *k->v);
  }
  k->v = mem_realloc(k->v, (k->n + 1) * sizeof *k->v);
  token_key *key = &k->v[k->n++];
  *key = (token_key){.id = id, .created_ns = created_ns};
  memcpy(key->secret, secret, TOKEN_SECRET_BYTES);
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  key->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
  if (!key->mac || !EVP_MAC_init(key->mac, secret, TOKEN_SECRET_BYTES, params)) {
    PANIC("the crypto library has no HMAC-SHA-256");
  }
  EVP_MAC_free(hmac);
}

err *token_new_secret(arena *a, uint8_t ret_secret[TOKEN_SECRET_BYTES]) {
  if (RAND_bytes(ret_secret, TOKEN_SECRET_BYTES) == 1) return NULL;
  return ERR(a, UNAVAILABLE, "the system gives no random bytes for the key that signs tokens");
}

span token_keys_encode(const token_keys *k, arena *a) {
  pb_store_TokenKeys msg = {0};
  msg.keys.v = arena_array(a, pb_store_TokenKeys_Key *, k->n);
  for (size_t i = 0; i < k->n; i++) {
    pb_store_TokenKeys_Key *key = pb_new(a, store_TokenKeys_Key);
    key->id = k->v[i].id;
    key->secret = span_of(k->v[i].secret, TOKEN_SECRET_BYTES);
    key->created_time = k->v[i].created_ns;
    msg.keys.v[msg.keys.n++] = key;
  }
  return PB_ENCODE(store_TokenKeys, &msg, a);
}

err *token_keys_decode(token_keys *k, span in, arena *a) {
  pb_store_TokenKeys *msg;
  err *e = PB_DECODE(store_TokenKeys, in, a, &msg);
  if (e) return ERR_WRAP(a, DATA_LOSS, e, "the stored keys of tokens do not decode");
  for (size_t i = 0; i < msg->keys.n; i++) {
    const pb_store_TokenKeys_Key *key = msg->keys.v[i];
    if (key->secret.n != TOKEN_SECRET_BYTES) {
      return ERR(a, DATA_LOSS, "the stored key %d of tokens has %zu bytes instead of %d", key->id,
                 key->secret.n, TOKEN_SECRET_BYTES);
    }
    token_keys_add(k, key->id, key->created_time, key->secret.p);
  }
  if (k->n) return NULL;
  return ERR(a, DATA_LOSS, "the stored keys of tokens are empty");
}

static void put_number(uint8_t *p, uint64_t v, size_t n) {
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_number(const uint8_t *p, size_t n) {
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
  return v;
}

static void make_mac(const token_key *key, span head, span body, uint8_t ret_mac[TOKEN_MAC_BYTES]) {
  uint8_t full[EVP_MAX_MD_SIZE];
  size_t n = 0;
  bool ok = EVP_MAC_init(key->mac, NULL, 0, NULL) && EVP_MAC_update(key->mac, head.p, head.n) &&
            (!body.n || EVP_MAC_update(key->mac, body.p, body.n)) &&
            EVP_MAC_final(key->mac, full, &n, sizeof full);
  ASSERT(ok && n >= TOKEN_MAC_BYTES);
  memcpy(ret_mac, full, TOKEN_MAC_BYTES);
}

span token_seal(const token_keys *k, token_kind kind, int64_t ns, span body, arena *a) {
  ASSERT(k->n > 0);
  const token_key *key = &k->v[k->n - 1];
  uint8_t *p = arena_alloc(a, BODY_AT + body.n);
  p[0] = VERSION;
  p[1] = (uint8_t)kind;
  put_number(p + KEY_ID_AT, (uint32_t)key->id, 4);
  put_number(p + NS_AT, (uint64_t)ns, 8);
  if (body.n) memcpy(p + BODY_AT, body.p, body.n);
  make_mac(key, span_of(p, MAC_AT), body, p + MAC_AT);
  return span_of(p, BODY_AT + body.n);
}

bool token_open(const token_keys *k, token_kind kind, span token, int64_t *ret_ns, span *ret_body) {
  if (token.n < BODY_AT || token.n > TOKEN_MAX_BYTES) return false;
  if (token.p[0] != VERSION || token.p[1] != (uint8_t)kind) return false;
  span body = span_of(token.p + BODY_AT, token.n - BODY_AT);
  for (size_t i = k->n; i-- > 0;) {
    uint8_t mac[TOKEN_MAC_BYTES];
    if (get_number(token.p + KEY_ID_AT, 4) != (uint32_t)k->v[i].id) continue;
    make_mac(&k->v[i], span_of(token.p, MAC_AT), body, mac);
    if (CRYPTO_memcmp(mac, token.p + MAC_AT, TOKEN_MAC_BYTES) != 0) continue;
    *ret_ns = (int64_t)get_number(token.p + NS_AT, 8);
    *ret_body = body;
    return true;
  }
  return false;
}

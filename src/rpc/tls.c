#include "rpc/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/mem.h"

struct tls_stream {
  SSL *ssl;
  BIO *in, *out; /* owned by ssl */
  bool ready;
  char error[160];
};

enum { READ_BYTES = 16 * 1024 };

static const unsigned char alpn_h2[] = {2, 'h', '2'};

static const char *last_error(arena *a) {
  char text[256] = "no reason given";
  unsigned long code = ERR_peek_last_error();
  if (code) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return arena_cstr(a, span_cstr(text));
}

static int select_h2(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
                     const unsigned char *offered, unsigned n, void *arg) {
  for (unsigned i = 0; i < n; i += 1u + offered[i]) {
    if (n - i >= sizeof alpn_h2 && memcmp(offered + i, alpn_h2, sizeof alpn_h2) == 0) {
      *ret = offered + i + 1;
      *ret_n = 2;
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *new_context(const SSL_METHOD *method) {
  ERR_clear_error();
  SSL_CTX *x = SSL_CTX_new(method);
  if (!x) PANIC("OpenSSL gives no context");
  (void)SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION);
  (void)SSL_CTX_set_options(
      x, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  (void)SSL_CTX_set_mode(x, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return x;
}

static err *load_identity(SSL_CTX *x, const char *cert, const char *key, arena *a) {
  if (SSL_CTX_use_certificate_chain_file(x, cert) != 1) {
    return ERR(a, INVALID_ARGUMENT, "cannot use the certificate file %s: %s", cert, last_error(a));
  }
  if (SSL_CTX_use_PrivateKey_file(x, key, SSL_FILETYPE_PEM) != 1) {
    return ERR(a, INVALID_ARGUMENT, "cannot use the key file %s: %s", key, last_error(a));
  }
  if (SSL_CTX_check_private_key(x) != 1) {
    return ERR(a, INVALID_ARGUMENT, "the key in %s does not belong to the certificate in %s", key,
               cert);
  }
  return NULL;
}

static err *load_ca(SSL_CTX *x, const char *ca, arena *a) {
  if (SSL_CTX_load_verify_locations(x, ca, NULL) == 1) return NULL;
  return ERR(a, INVALID_ARGUMENT, "cannot use the CA file %s: %s", ca, last_error(a));
}

static err *require_client_certificate(SSL_CTX *x, const char *ca, arena *a) {
  TRY(load_ca(x, ca, a));
  SSL_CTX_set_client_CA_list(x, SSL_load_client_CA_file(ca));
  SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  return NULL;
}

err *tls_server_context(const rpc_tls *files, arena *a, SSL_CTX **ret_context) {
  SSL_CTX *x = new_context(TLS_server_method());
  SSL_CTX_set_alpn_select_cb(x, select_h2, NULL);
  const unsigned char session_id[] = "perdure";
  (void)SSL_CTX_set_session_id_context(x, session_id, sizeof session_id - 1);
  err *e = load_identity(x, files->cert_path, files->key_path, a);
  if (!e && files->client_ca_path) e = require_client_certificate(x, files->client_ca_path, a);
  if (e) {
    SSL_CTX_free(x);
    return e;
  }
  *ret_context = x;
  return NULL;
}

err *tls_client_context(const rpc_client_tls *files, arena *a, SSL_CTX **ret_context) {
  SSL_CTX *x = new_context(TLS_client_method());
  SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL);
  (void)SSL_CTX_set_alpn_protos(x, alpn_h2, sizeof alpn_h2);
  err *e = NULL;
  if (files->ca_path) {
    e = load_ca(x, files->ca_path, a);
  } else {
    (void)SSL_CTX_set_default_verify_paths(x);
  }
  if (!e && files->cert_path) e = load_identity(x, files->cert_path, files->key_path, a);
  if (e) {
    SSL_CTX_free(x);
    return e;
  }
  *ret_context = x;
  return NULL;
}

static tls_stream *new_stream(SSL_CTX *context) {
  tls_stream *t = mem_new(tls_stream);
  t->ssl = SSL_new(context);
  t->in = BIO_new(BIO_s_mem());
  t->out = BIO_new(BIO_s_mem());
  if (!t->ssl || !t->in || !t->out) PANIC("out of memory");
  (void)BIO_set_mem_eof_return(t->in, -1);
  SSL_set_bio(t->ssl, t->in, t->out);
  return t;
}

tls_stream *tls_server_stream(SSL_CTX *context) {
  tls_stream *t = new_stream(context);
  SSL_set_accept_state(t->ssl);
  return t;
}

tls_stream *tls_client_stream(SSL_CTX *context, const char *server_name) {
  tls_stream *t = new_stream(context);
  SSL_set_connect_state(t->ssl);
  (void)SSL_set_tlsext_host_name(t->ssl, server_name);
  (void)SSL_set1_host(t->ssl, server_name);
  (void)SSL_do_handshake(t->ssl); /* writes the first message */
  ERR_clear_error();
  return t;
}

void tls_stream_free(tls_stream *t) {
  if (!t) return;
  SSL_free(t->ssl);
  mem_free(t);
}

static bool failed(tls_stream *t, const char *why) {
  unsigned long code = ERR_peek_last_error();
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  (void)snprintf(t->error, sizeof t->error, "%s", reason ? reason : why);
  ERR_clear_error();
  return false;
}

static bool check_alpn(tls_stream *t) {
  const unsigned char *name;
  unsigned n;
  SSL_get0_alpn_selected(t->ssl, &name, &n);
  if (n == 2 && memcmp(name, "h2", 2) == 0) return true;
  return failed(t, "the peer does not offer h2 by ALPN");
}

bool tls_stream_feed(tls_stream *t, span in, buf *plain) {
  ERR_clear_error();
  if (in.n && BIO_write(t->in, in.p, (int)in.n) != (int)in.n) return failed(t, "out of memory");
  if (!t->ready) {
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1) {
      return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? true
                                                              : failed(t, "handshake refused");
    }
    if (!check_alpn(t)) return false;
    t->ready = true;
  }
  for (;;) {
    int n = SSL_read(t->ssl, buf_reserve(plain, READ_BYTES), READ_BYTES);
    if (n <= 0) {
      return SSL_get_error(t->ssl, n) == SSL_ERROR_WANT_READ ? true : failed(t, "closed by peer");
    }
    plain->n += (size_t)n;
  }
}

bool tls_stream_ready(const tls_stream *t) { return t->ready; }

void tls_stream_write(tls_stream *t, span plain) {
  ASSERT(t->ready);
  while (plain.n) {
    int n = SSL_write(t->ssl, plain.p, (int)MIN(plain.n, (size_t)INT32_MAX));
    if (n <= 0) break; /* the connection is broken; the next read says so */
    plain = span_of(plain.p + n, plain.n - (size_t)n);
  }
}

void tls_stream_pull(tls_stream *t, buf *out) {
  size_t n = BIO_ctrl_pending(t->out);
  if (!n) return;
  int got = BIO_read(t->out, buf_reserve(out, n), (int)n);
  if (got > 0) out->n += (size_t)got;
}

const char *tls_stream_error(const tls_stream *t) { return t->error; }

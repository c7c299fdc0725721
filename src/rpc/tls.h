/* tls.h - TLS as a filter between two byte streams, without sockets (OpenSSL memory BIOs).
 *
 * TLS 1.2 or newer; both sides must agree on "h2" by ALPN. Internal to rpc/. One thread.
 */
#ifndef PERDURE_RPC_TLS_H
#define PERDURE_RPC_TLS_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/err.h"
#include "rpc/client.h"
#include "rpc/rpc.h"

typedef struct tls_stream tls_stream;

/* Reads the files. INVALID_ARGUMENT names the file and what is wrong with it. Free with
 * SSL_CTX_free. */
MUST_USE err *tls_server_context(const rpc_tls *files, arena *a, SSL_CTX **ret_context);
MUST_USE err *tls_client_context(const rpc_client_tls *files, arena *a, SSL_CTX **ret_context);

tls_stream *tls_server_stream(SSL_CTX *context);
/* The server's certificate must be valid for `server_name`. */
tls_stream *tls_client_stream(SSL_CTX *context, const char *server_name);
void tls_stream_free(tls_stream *t);

/* Takes bytes from the peer, appends the plain text in them. False: refused or ended; the bytes of
 * tls_stream_pull (an alert) may still be sent. */
MUST_USE bool tls_stream_feed(tls_stream *t, span in, buf *plain);
/* The handshake is complete: tls_stream_write may be used. */
bool tls_stream_ready(const tls_stream *t);
void tls_stream_write(tls_stream *t, span plain);
/* Appends the bytes for the peer. */
void tls_stream_pull(tls_stream *t, buf *out);
/* Why tls_stream_feed returned false. */
const char *tls_stream_error(const tls_stream *t);

#endif

/* http.h - plain HTTP for people and monitoring: the web page and the metrics, each on its own
 * port.
 *
 * A thread of its own answers one request after the other; pages are made there. */
#ifndef PERDURE_HTTP_HTTP_H
#define PERDURE_HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"

typedef struct http_server http_server;

typedef struct http_page {
  const char *path; /* "/metrics"; "/x/..." answers everything under /x/ as well as /x */
  const char *content_type;
  /* Called on the server's thread. False: 503. */
  bool (*make)(void *ctx, buf *out);
} http_page;

/* Only GET and HEAD; other paths get 404. `pages` and ctx are borrowed. UNAVAILABLE says why the
 * address cannot be used. */
MUST_USE err *http_server_new(const char *ip, int port, const http_page *pages, size_t n_pages,
                              void *ctx, arena *a, http_server **ret_server);
int http_server_port(const http_server *s);
/* Waits for the request under way; accepts NULL. */
void http_server_free(http_server *s);

#endif

#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/mem.h"

enum { MAX_CONNECTIONS = 64, IDLE_SECONDS = 10, CONNECTION_BYTES = 8 * 1024 };

struct http_server {
  struct MHD_Daemon *daemon;
  const http_page *pages;
  size_t n_pages;
  void *ctx;
};

static bool matches(const http_page *page, const char *url) {
  size_t n = strlen(page->path);
  if (n < 4 || strcmp(page->path + n - 4, "/...") != 0) return strcmp(page->path, url) == 0;
  return strncmp(page->path, url, n - 4) == 0 && (url[n - 4] == 0 || url[n - 4] == '/');
}

static const http_page *find_page(const http_server *s, const char *url) {
  for (size_t i = 0; i < s->n_pages; i++) {
    if (matches(&s->pages[i], url)) return &s->pages[i];
  }
  return NULL;
}

static enum MHD_Result send_text(struct MHD_Connection *c, unsigned status, const char *type,
                                 span text) {
  struct MHD_Response *r =
      MHD_create_response_from_buffer(text.n, (void *)(uintptr_t)text.p, MHD_RESPMEM_MUST_COPY);
  if (!r) return MHD_NO;
  MHD_add_response_header(r, "Content-Type", type);
  MHD_add_response_header(r, "Cache-Control", "no-store");
  MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, "Allow", "GET, HEAD");
  enum MHD_Result sent = MHD_queue_response(c, status, r);
  MHD_destroy_response(r);
  return sent;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **seen) {
  const http_server *s = cls;
  const char plain[] = "text/plain; charset=utf-8";
  static int mark;
  if (!*seen) { /* called first with the headers alone */
    *seen = &mark;
    return MHD_YES;
  }
  *upload_bytes = 0;
  if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
    return send_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, plain, SPAN("only GET here\n"));
  }
  const http_page *page = find_page(s, url);
  if (!page) return send_text(c, MHD_HTTP_NOT_FOUND, plain, SPAN("there is no such page\n"));
  buf out = BUF_INIT;
  bool made = page->make(s->ctx, &out);
  enum MHD_Result sent =
      made ? send_text(c, MHD_HTTP_OK, page->content_type, buf_span(&out))
           : send_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, plain, SPAN("the server is busy\n"));
  buf_release(&out);
  return sent;
}

static bool read_address(const char *ip, int port, struct sockaddr_storage *ret) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
  memset(ret, 0, sizeof *ret);
  if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return true;
  }
  if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return true;
  }
  return false;
}

err *http_server_new(const char *ip, int port, const http_page *pages, size_t n_pages, void *ctx,
                     arena *a, http_server **ret_server) {
  struct sockaddr_storage at;
  if (!read_address(ip, port, &at)) {
    return ERR(a, INVALID_ARGUMENT, "\"%s\" is not an IP address", ip);
  }
  http_server *s = mem_new(http_server);
  s->pages = pages;
  s->n_pages = n_pages;
  s->ctx = ctx;
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
  if (at.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  s->daemon = MHD_start_daemon(
      flags, 0, NULL, NULL, answer, s, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
  if (!s->daemon) {
    int why = errno;
    mem_free(s);
    return ERR(a, UNAVAILABLE, "cannot listen on %s:%d: %s; choose another port", ip, port,
               why ? strerror(why) : "the address cannot be used");
  }
  *ret_server = s;
  return NULL;
}

int http_server_port(const http_server *s) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
  return info ? info->port : 0;
}

void http_server_free(http_server *s) {
  if (!s) return;
  MHD_stop_daemon(s->daemon);
  mem_free(s);
}

#include "base/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http.h"
#include "http/metrics.h"
#include "http/page.h"

static bool make_text(void *ctx, buf *out) {
  buf_adds(out, ctx);
  return true;
}

static bool make_nothing(void *ctx, buf *out) { return false; }

static const http_page pages[] = {{"/metrics", "text/plain", make_text},
                                  {"/busy", "text/plain", make_nothing},
                                  {"/namespaces/...", "text/html", make_text}};

/* The whole answer to one request. */
static void ask(int port, const char *method, const char *path, char *ret, size_t size) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  char line[128];
  size_t n = 0;
  ssize_t got;
  inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
  snprintf(line, sizeof line, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method,
           path);
  assert_int_equal(write(fd, line, strlen(line)), strlen(line));
  while (n + 1 < size && (got = read(fd, ret + n, size - n - 1)) > 0) n += (size_t)got;
  ret[n] = 0;
  close(fd);
}

TEST(pages_are_served) {
  static const struct {
    const char *method, *path, *begin, *contains;
  } cases[] = {
      {"GET", "/metrics", "HTTP/1.1 200 ", "\r\n\r\nhello"},
      {"HEAD", "/metrics", "HTTP/1.1 200 ", "Content-Length: 5"},
      {"GET", "/namespaces", "HTTP/1.1 200 ", "Content-Type: text/html"},
      {"GET", "/namespaces/default/workflows", "HTTP/1.1 200 ", "hello"},
      {"GET", "/namespacesx", "HTTP/1.1 404 ", "there is no such page"},
      {"GET", "/metrics/more", "HTTP/1.1 404 ", "there is no such page"},
      {"GET", "/../etc/passwd", "HTTP/1.1 404 ", "there is no such page"},
      {"GET", "/busy", "HTTP/1.1 503 ", "busy"},
      {"POST", "/metrics", "HTTP/1.1 405 ", "Allow: GET, HEAD"},
  };
  arena a = ARENA_INIT;
  http_server *s = NULL;
  char text[4096], hello[] = "hello";
  assert_null(http_server_new("127.0.0.1", 0, pages, ARRAY_LEN(pages), hello, &a, &s));
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    ask(http_server_port(s), cases[i].method, cases[i].path, text, sizeof text);
    assert_memory_equal(text, cases[i].begin, strlen(cases[i].begin));
    assert_non_null(strstr(text, cases[i].contains));
  }
  http_server_free(s);
  arena_release(&a);
}

TEST(a_port_in_use_gets_a_sentence) {
  arena a = ARENA_INIT;
  http_server *s = NULL, *second = NULL;
  assert_null(http_server_new("127.0.0.1", 0, pages, 1, NULL, &a, &s));
  const err *e = http_server_new("127.0.0.1", http_server_port(s), pages, 1, NULL, &a, &second);
  assert_non_null(e);
  assert_int_equal(e->code, ERR_UNAVAILABLE);
  assert_non_null(strstr(e->what, "choose another port"));
  e = http_server_new("nowhere", 0, pages, 1, NULL, &a, &second);
  assert_string_equal(e->what, "\"nowhere\" is not an IP address");
  http_server_free(s);
  arena_release(&a);
}

TEST(figures_are_written_as_prometheus_reads_them) {
  rpc_method_stats method = {
      .service = "S", .method = "Start", .calls = 3, .by_code = {2, 0, 0, 1}};
  metrics m = {.rpc = {.connections = 4, .methods = &method, .n_methods = 1},
               .store = {.commits = 7, .commit_ns_total = 1500000000},
               .shard = {.backlog = 9}};
  buf out = BUF_INIT;
  method.latency_buckets[2] = 3;
  metrics_render(&m, &out);
  buf_addb(&out, 0);
  const char *text = (const char *)out.p;
  static const char *const lines[] = {
      "# TYPE perdure_commits_total counter\nperdure_commits_total 7\n",
      "perdure_commit_seconds_total 1.500000000\n",
      "perdure_backlog 9\n",
      "perdure_connections 4\n",
      "perdure_requests_total{method=\"Start\",code=\"OK\"} 2\n",
      "perdure_requests_total{method=\"Start\",code=\"INVALID_ARGUMENT\"} 1\n",
      "perdure_request_seconds_bucket{method=\"Start\",le=\"0.000064\"} 3\n",
      "perdure_request_seconds_bucket{method=\"Start\",le=\"+Inf\"} 3\n",
      "perdure_request_seconds_count{method=\"Start\"} 3\n",
  };
  for (size_t i = 0; i < ARRAY_LEN(lines); i++) assert_non_null(strstr(text, lines[i]));
  buf_release(&out);
}

TEST(the_page_says_where_the_api_is_and_escapes) {
  page_facts f = {.version = "1<2", .ip = "127.0.0.1", .port = 7233, .database = "a&b.db"};
  buf out = BUF_INIT;
  page_render(&f, &out);
  buf_addb(&out, 0);
  const char *text = (const char *)out.p;
  assert_non_null(strstr(text, "127.0.0.1:7233"));
  assert_non_null(strstr(text, "1&lt;2"));
  assert_non_null(strstr(text, "a&amp;b.db"));
  buf_release(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pages_are_served),
      cmocka_unit_test(a_port_in_use_gets_a_sentence),
      cmocka_unit_test(figures_are_written_as_prometheus_reads_them),
      cmocka_unit_test(the_page_says_where_the_api_is_and_escapes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "http/page.h"

static void add_escaped(buf *out, const char *text) {
  for (; *text; text++) {
    switch (*text) {
      case '<':
        buf_adds(out, "&lt;");
        break;
      case '>':
        buf_adds(out, "&gt;");
        break;
      case '&':
        buf_adds(out, "&amp;");
        break;
      case '"':
        buf_adds(out, "&quot;");
        break;
      default:
        buf_addb(out, (uint8_t)*text);
    }
  }
}

void page_render(const page_facts *f, buf *out) {
  buf_adds(out,
           "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
           "<title>Perdure</title>\n<style>\n"
           "body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto;"
           " padding: 0 1rem; }\n"
           "pre { background: #8882; padding: 1rem; overflow-x: auto; }\n"
           "@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }\n"
           "</style>\n</head>\n<body>\n<h1>Perdure</h1>\n"
           "<p>A durable-execution server that speaks the Temporal protocol. Version ");
  add_escaped(out, f->version);
  buf_adds(out, ".</p>\n<p>The gRPC API listens on <code>");
  add_escaped(out, f->ip);
  buf_addf(out, ":%d</code>. ", f->port);
  if (f->database) {
    buf_adds(out, "Everything is kept in <code>");
    add_escaped(out, f->database);
    buf_adds(out, "</code>.</p>\n");
  } else {
    buf_adds(out, "Nothing is kept when the server stops.</p>\n");
  }
  buf_adds(out,
           "<p>A web interface is not built yet. Until then the official command line shows what "
           "happens here:</p>\n<pre>temporal workflow describe --address ");
  add_escaped(out, f->ip);
  buf_addf(out, ":%d --workflow-id ID\ntemporal workflow show --address ", f->port);
  add_escaped(out, f->ip);
  buf_addf(out, ":%d --workflow-id ID</pre>\n</body>\n</html>\n", f->port);
}

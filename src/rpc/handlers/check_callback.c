/* Completion callbacks of starts. Those of updates are only kept: nothing calls them. */
#include "rpc/handlers/check.h"

enum { CALLBACK_URL_BYTES = 1000, CALLBACK_HEADER_BYTES = 8192 };

/* The server's own addresses. Others may be called only where they are configured, and here none
 * can be. */
static bool is_own(span url) {
  return span_eq(url, SPAN("temporal://system")) || span_eq(url, SPAN("temporal://internal"));
}

static span lower(arena *a, span text) {
  uint8_t *p = arena_alloc(a, text.n);
  for (size_t i = 0; i < text.n; i++) {
    bool upper = text.p[i] >= 'A' && text.p[i] <= 'Z';
    p[i] = upper ? (uint8_t)(text.p[i] - 'A' + 'a') : text.p[i];
  }
  return span_of(p, text.n);
}

/* The scheme in lower case, with the colon; empty when there is none. */
static span scheme_of(arena *a, span url) {
  size_t n = 0;
  while (n < url.n && url.p[n] != ':') n++;
  return n < url.n ? lower(a, span_of(url.p, n + 1)) : SPAN_NONE;
}

static err *check_url(const checker *k, span url) {
  if (url.n > CALLBACK_URL_BYTES) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "invalid url: url length longer than max length allowed of %d", CALLBACK_URL_BYTES);
  }
  if (is_own(url)) return NULL;
  span scheme = scheme_of(k->arena, url);
  span rest = span_of(url.p + scheme.n, url.n - scheme.n);
  if (!span_eq(scheme, SPAN("http:")) && !span_eq(scheme, SPAN("https:"))) {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid url: unknown scheme: %.*s%.*s",
               SPAN_ARG(scheme), SPAN_ARG(rest));
  }
  if (!span_starts_with(rest, SPAN("//")) || rest.n == 2 || rest.p[2] == '/') {
    return ERR(k->arena, INVALID_ARGUMENT, "invalid url: missing host");
  }
  return ERR(k->arena, INVALID_ARGUMENT,
             "invalid url: url does not match any configured callback address: %.*s%.*s",
             SPAN_ARG(scheme), SPAN_ARG(rest));
}

/* The keys in lower case. */
static err *check_header(const checker *k, pb_Callback_Nexus *nexus) {
  pb_list_Callback_Nexus_HeaderEntry *h = &nexus->header;
  pb_Callback_Nexus_HeaderEntry **v = arena_array(k->arena, pb_Callback_Nexus_HeaderEntry *, h->n);
  size_t n_bytes = 0;
  for (size_t i = 0; i < h->n; i++) {
    v[i] = PB_COPY(Callback_Nexus_HeaderEntry, h->v[i], k->arena);
    v[i]->key = lower(k->arena, v[i]->key);
    n_bytes += v[i]->key.n + v[i]->value.n;
  }
  h->v = v;
  if (n_bytes <= CALLBACK_HEADER_BYTES) return NULL;
  return ERR(k->arena, INVALID_ARGUMENT,
             "invalid header: header size longer than max allowed size of %d",
             CALLBACK_HEADER_BYTES);
}

static err *check_callback(const checker *k, pb_Callback **callback) {
  uint32_t which = (*callback)->which_variant;
  if (which == PB_Callback_internal_FIELD) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "unsupported callback variant: *common.Callback_Internal_");
  }
  if (which != PB_Callback_nexus_FIELD) {
    return ERR(k->arena, UNIMPLEMENTED, "unknown callback variant: <nil>");
  }
  TRY(check_url(k, (*callback)->nexus->url));
  *callback = PB_COPY(Callback, *callback, k->arena);
  (*callback)->nexus = PB_COPY(Callback_Nexus, (*callback)->nexus, k->arena);
  return check_header(k, (*callback)->nexus);
}

/* --- links --- */

static bool is_link_of(const pb_list_Callback *callbacks, span link, arena *a) {
  for (size_t i = 0; i < callbacks->n; i++) {
    const pb_list_Link *links = &callbacks->v[i]->links;
    for (size_t k = 0; k < links->n; k++) {
      if (span_eq(PB_ENCODE(Link, links->v[k], a), link)) return true;
    }
  }
  return false;
}

/* What a callback links to is not named again by the request that brings it. */
static void leave_out_links(const checker *k, const pb_list_Callback *callbacks,
                            pb_list_Link *links) {
  pb_Link **v = arena_array(k->arena, pb_Link *, links->n);
  size_t n = 0;
  for (size_t i = 0; i < links->n; i++) {
    span link = PB_ENCODE(Link, links->v[i], k->arena);
    if (!is_link_of(callbacks, link, k->arena)) v[n++] = links->v[i];
  }
  links->v = v;
  links->n = n;
}

static err *check_all_links(const checker *k, const pb_list_Callback *callbacks,
                            const pb_list_Link *links) {
  size_t n = links->n;
  for (size_t i = 0; i < callbacks->n; i++) n += callbacks->v[i]->links.n;
  pb_list_Link all = {.v = arena_array(k->arena, pb_Link *, n)};
  for (size_t i = 0; i < links->n; i++) all.v[all.n++] = links->v[i];
  for (size_t i = 0; i < callbacks->n; i++) {
    const pb_list_Link *more = &callbacks->v[i]->links;
    for (size_t m = 0; m < more->n; m++) all.v[all.n++] = more->v[m];
  }
  return check_links(k, &all);
}

err *check_callbacks(const checker *k, pb_list_Callback *callbacks, pb_list_Link *links) {
  if (!callbacks->n) return check_links(k, links);
  if ((int64_t)callbacks->n > k->limits->callbacks) {
    return ERR(k->arena, INVALID_ARGUMENT, "cannot attach more than %lld callbacks to an execution",
               (long long)k->limits->callbacks);
  }
  pb_list_Callback copy = {.v = arena_array(k->arena, pb_Callback *, callbacks->n),
                           .n = callbacks->n};
  for (size_t i = 0; i < copy.n; i++) {
    copy.v[i] = callbacks->v[i];
    TRY(check_callback(k, &copy.v[i]));
  }
  *callbacks = copy;
  leave_out_links(k, callbacks, links);
  return check_all_links(k, callbacks, links);
}

/* Which clients this server talks to, by the versions they send in headers. */
#include "rpc/handlers/check.h"

const check_client_range check_clients[] = {
    {"temporal-go", "<2.0.0"},         {"temporal-java", "<2.0.0"}, {"temporal-php", "<2.0.0"},
    {"temporal-typescript", "<2.0.0"}, {"temporal-cli", "<2.0.0"},  {"temporal-server", "<2.0.0"},
    {"Nexus-go-sdk", "<2.0.0"},        {"temporal-ui", "<3.0.0"},
};
const size_t check_client_count = ARRAY_LEN(check_clients);

typedef struct version {
  uint32_t part[3];
} version;

static bool take_number(span *s, uint32_t *ret_n) {
  size_t i = 0;
  uint32_t n = 0;
  while (i < s->n && i < 9 && s->p[i] >= '0' && s->p[i] <= '9') n = n * 10 + (s->p[i++] - '0');
  *s = span_of(s->p + i, s->n - i);
  *ret_n = n;
  return i > 0;
}

/* "1.2.3", and "1.2.3-rc1+build" whose end does not count. */
static bool parse_version(span s, version *ret) {
  for (int i = 0; i < 3; i++) {
    if (i > 0) {
      if (s.n == 0 || s.p[0] != '.') return false;
      s = span_of(s.p + 1, s.n - 1);
    }
    if (!take_number(&s, &ret->part[i])) return false;
  }
  return s.n == 0 || s.p[0] == '-' || s.p[0] == '+';
}

static int version_cmp(const version *x, const version *y) {
  for (int i = 0; i < 3; i++) {
    if (x->part[i] != y->part[i]) return x->part[i] < y->part[i] ? -1 : 1;
  }
  return 0;
}

/* One condition such as ">=1.0.0"; false when it cannot be read. */
static bool holds(span term, const version *v, bool *ret_holds) {
  static const struct {
    span sign;
    bool less, equal, more;
  } signs[] = {{SPAN_INIT(">="), false, true, true}, {SPAN_INIT("<="), true, true, false},
               {SPAN_INIT("!="), true, false, true}, {SPAN_INIT("=="), false, true, false},
               {SPAN_INIT(">"), false, false, true}, {SPAN_INIT("<"), true, false, false},
               {SPAN_INIT("!"), true, false, true},  {SPAN_INIT("="), false, true, false},
               {SPAN_INIT(""), false, true, false}};
  version limit;
  size_t i = 0;
  while (!span_starts_with(term, signs[i].sign)) i++;
  if (!parse_version(span_of(term.p + signs[i].sign.n, term.n - signs[i].sign.n), &limit)) {
    return false;
  }
  int c = version_cmp(v, &limit);
  *ret_holds = c < 0 ? signs[i].less : c > 0 ? signs[i].more : signs[i].equal;
  return true;
}

/* ">=1.0.0 <2.0.0 || 3.0.0": conditions that all hold, in one of the alternatives. On a term that
 * cannot be read, that term. */
static span in_range(span range, const version *v, bool *ret_in) {
  bool any = false, all = true;
  while (range.n) {
    size_t n = 0;
    while (n < range.n && range.p[n] != ' ') n++;
    span term = span_of(range.p, n);
    if (span_eq(term, SPAN("||"))) {
      any = any || all;
      all = true;
    } else if (n) {
      bool one;
      if (!holds(term, v, &one)) return term;
      all = all && one;
    }
    n += n < range.n;
    range = span_of(range.p + n, range.n - n);
  }
  *ret_in = any || all;
  return SPAN_NONE;
}

static const check_client_range *find_client(span name) {
  for (size_t i = 0; i < check_client_count; i++) {
    if (span_eq(name, span_cstr(check_clients[i].name))) return &check_clients[i];
  }
  return NULL;
}

static err *check_client_version(const checker *k, span name, span text) {
  const check_client_range *client = find_client(name);
  version v;
  bool in = false;
  if (!client) return NULL;
  if (!parse_version(text, &v)) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Unable to parse client version: No Major.Minor.Patch elements found");
  }
  (void)in_range(span_cstr(client->versions), &v, &in);
  if (in) return NULL;
  err *e = ERR(k->arena, FAILED_PRECONDITION,
               "Client version %.*s is not supported. Server supports %s versions: %s",
               SPAN_ARG(text), client->name, client->versions);
  pb_ClientVersionNotSupportedFailure detail = {.client_version = text,
                                                .client_name = name,
                                                .supported_versions = span_cstr(client->versions)};
  e->detail_type = "temporal.api.errordetails.v1.ClientVersionNotSupportedFailure";
  e->detail = PB_ENCODE(ClientVersionNotSupportedFailure, &detail, k->arena);
  return e;
}

err *check_client(const checker *k, span name, span client_version, span server_range,
                  const char *server_version) {
  version v;
  bool in = false;
  if (name.n == 0 || client_version.n == 0) return NULL;
  TRY(check_client_version(k, name, client_version));
  if (server_range.n == 0) return NULL;
  ASSERT(parse_version(span_cstr(server_version), &v));
  span bad = in_range(server_range, &v, &in);
  if (bad.p) {
    return ERR(k->arena, INVALID_ARGUMENT,
               "Unable to parse supported server versions: Could not get version from string: "
               "\"%.*s\"",
               SPAN_ARG(bad));
  }
  if (in) return NULL;
  err *e = ERR(k->arena, FAILED_PRECONDITION,
               "Server version %s is not supported. Client supports server versions: %.*s",
               server_version, SPAN_ARG(server_range));
  pb_ServerVersionNotSupportedFailure detail = {.server_version = span_cstr(server_version),
                                                .client_supported_server_versions = server_range};
  e->detail_type = "temporal.api.errordetails.v1.ServerVersionNotSupportedFailure";
  e->detail = PB_ENCODE(ServerVersionNotSupportedFailure, &detail, k->arena);
  return e;
}

#include "cli/options.h"

#include <stdlib.h>
#include <strings.h>

/* --- dynamic configuration --- */

typedef enum key_kind { KEY_BYTES, KEY_COUNT64, KEY_COUNT32, KEY_DURATION, KEY_SWITCH } key_kind;

static const struct {
  const char *key;
  key_kind kind;
  size_t at; /* in server_options */
} keys[] = {
    {"limit.blobSize.error", KEY_BYTES, offsetof(server_options, shard.limits.blob_bytes)},
    {"limit.memoSize.error", KEY_BYTES, offsetof(server_options, shard.limits.memo_bytes)},
    {"limit.historySize.error", KEY_BYTES, offsetof(server_options, shard.limits.history_bytes)},
    {"limit.historySize.suggestContinueAsNew", KEY_BYTES,
     offsetof(server_options, shard.limits.suggest_history_bytes)},
    {"limit.historyCount.error", KEY_COUNT64,
     offsetof(server_options, shard.limits.history_events)},
    {"limit.historyCount.suggestContinueAsNew", KEY_COUNT64,
     offsetof(server_options, shard.limits.suggest_history_events)},
    {"limit.numPendingActivities.error", KEY_COUNT64,
     offsetof(server_options, shard.limits.pending)},
    {"history.maximumSignalsPerExecution", KEY_COUNT64,
     offsetof(server_options, shard.limits.signals)},
    {"history.maximumBufferedEventsBatch", KEY_COUNT32,
     offsetof(server_options, shard.limits.buffered_events)},
    {"history.MaxBufferedQueryCount", KEY_COUNT32,
     offsetof(server_options, shard.buffered_queries)},
    {"history.longPollExpirationInterval", KEY_DURATION,
     offsetof(server_options, shard.long_poll_ns)},
    {"limit.mutableStateSize.error", KEY_BYTES, offsetof(server_options, shard.limits.state_bytes)},
    {"history.maxInFlightUpdates", KEY_COUNT64,
     offsetof(server_options, shard.limits.updates_in_flight)},
    {"history.maxInFlightUpdatePayloads", KEY_BYTES,
     offsetof(server_options, shard.limits.update_bytes)},
    {"history.maxTotalUpdates", KEY_COUNT64, offsetof(server_options, shard.limits.updates)},
    {"history.maximumBufferedEventsSizeInBytes", KEY_BYTES,
     offsetof(server_options, shard.limits.buffered_bytes)},
    {"system.transactionSizeLimit", KEY_BYTES,
     offsetof(server_options, shard.limits.transaction_bytes)},
    {"callback.maxPerExecution", KEY_COUNT64, offsetof(server_options, shard.limits.callbacks)},
    {"system.enableActivityEagerExecution", KEY_SWITCH,
     offsetof(server_options, shard.eager_activities)},
    {"system.enableEagerWorkflowStart", KEY_SWITCH,
     offsetof(server_options, shard.eager_workflows)},
    {"frontend.enableCancelWorkerPollsOnShutdown", KEY_SWITCH,
     offsetof(server_options, polls_end_on_shutdown)},
    {"matching.longPollExpirationInterval", KEY_DURATION, offsetof(server_options, shard.poll_ns)},
};

/* How this server is anyway. NULL: whatever the value, nobody can see a difference. */
static const struct {
  const char *key, *value;
} fixed[] = {
    {"frontend.activityAPIsEnabled", "true"},
    {"frontend.enableExecuteMultiOperation", "true"},
    {"frontend.enableServerVersionCheck", "false"}, /* whether it asks for newer versions of it */
    {"frontend.enableUpdateWorkflowExecution", "true"},
    {"frontend.enableUpdateWorkflowExecutionAsyncAccepted", "true"},
    {"history.enableCHASMCallbacks", NULL},
    {"history.enableCHASMSignalBacklinks", "true"},
    {"history.enableChasm", NULL},
    {"history.enableRequestIdRefLinks", "true"},
    {"history.enableTransitionHistory", NULL},
    {"system.forceSearchAttributesCacheRefreshOnRead", NULL},
};

/* A whole number without sign. */
static bool read_count(const char *text, int64_t *ret_n) {
  size_t n = strspn(text, "0123456789");
  if (n == 0 || n > 18 || text[n]) return false;
  *ret_n = strtoll(text, NULL, 10);
  return true;
}

/* "20s", "5000ms", "1m30s"; a bare number is seconds. */
static bool read_duration(const char *text, int64_t *ret_ns) {
  static const struct {
    const char *unit;
    int64_t ns;
  } units[] = {{"ns", 1},         {"us", 1000},           {"ms", NS_PER_MS},
               {"s", NS_PER_SEC}, {"m", 60 * NS_PER_SEC}, {"h", 3600 * NS_PER_SEC}};
  int64_t total = 0, n;
  if (read_count(text, &n) && n < INT64_MAX / NS_PER_SEC) {
    *ret_ns = n * NS_PER_SEC;
    return true;
  }
  while (*text) {
    char *unit;
    size_t digits = strspn(text, "0123456789"), u;
    if (digits == 0 || digits > 9) return false;
    n = strtoll(text, &unit, 10);
    size_t letters = strcspn(unit, "0123456789");
    for (u = 0; u < ARRAY_LEN(units); u++) {
      if (strlen(units[u].unit) == letters && strncmp(unit, units[u].unit, letters) == 0) break;
    }
    if (u == ARRAY_LEN(units) || n > INT64_MAX / 8 / units[u].ns) return false;
    total += n * units[u].ns;
    if (total < 0 || total > INT64_MAX / 4) return false;
    text = unit + letters;
  }
  *ret_ns = total;
  return total > 0;
}

static const char *without_quotes(arena *a, const char *text) {
  size_t n = strlen(text);
  if (n < 2 || text[0] != '"' || text[n - 1] != '"') return text;
  return arena_printf(a, "%.*s", (int)n - 2, text + 1);
}

static bool read_key(key_kind kind, const char *text, int64_t *ret_n) {
  switch (kind) {
    case KEY_DURATION:
      return read_duration(text, ret_n);
    case KEY_SWITCH:
      *ret_n = strcmp(text, "true") == 0;
      return *ret_n || strcmp(text, "false") == 0;
    case KEY_COUNT32:
      return read_count(text, ret_n) && *ret_n <= INT32_MAX;
    default:
      return read_count(text, ret_n);
  }
}

static void add_note(arena *a, server_options *o, const char *note) {
  for (size_t i = 0; i < o->n_notes; i++) {
    if (strcmp(o->notes[i], note) == 0) return;
  }
  const char **more = arena_array(a, const char *, o->n_notes + 1);
  if (o->n_notes) memcpy(more, o->notes, o->n_notes * sizeof *more);
  more[o->n_notes++] = note;
  o->notes = more;
}

/* Of a key that changes nothing here. */
static void note_key(arena *a, server_options *o, const char *key, const char *text) {
  for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
    if (strcasecmp(fixed[i].key, key) != 0) continue;
    if (!fixed[i].value || strcmp(fixed[i].value, text) == 0) return;
    add_note(a, o,
             arena_printf(a, "--dynamic-config-value %s=%s has no effect: here it is always %s",
                          key, text, fixed[i].value));
    return;
  }
  add_note(a, o,
           arena_printf(a,
                        "--dynamic-config-value %s=%s has no effect: this server has no such "
                        "setting",
                        key, text));
}

static const char *key_wants(key_kind kind) {
  if (kind == KEY_SWITCH) return "true or false";
  return kind == KEY_DURATION ? "a duration such as 20s" : "a whole number";
}

err *server_options_set(arena *a, server_options *o, const char *key, const char *value) {
  const char *text = without_quotes(a, value);
  for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
    if (strcasecmp(keys[i].key, key) != 0) continue;
    void *at = (char *)o + keys[i].at;
    int64_t n = 0;
    if (!read_key(keys[i].kind, text, &n)) {
      return ERR(a, INVALID_ARGUMENT, "--dynamic-config-value %s wants %s, not %s.", key,
                 key_wants(keys[i].kind), value);
    }
    switch (keys[i].kind) {
      case KEY_BYTES:
        *(size_t *)at = (size_t)n;
        break;
      case KEY_COUNT32:
        *(int32_t *)at = (int32_t)n;
        break;
      case KEY_SWITCH:
        *(bool *)at = n != 0;
        break;
      case KEY_COUNT64:
      case KEY_DURATION:
        *(int64_t *)at = n;
        break;
    }
    return NULL;
  }
  note_key(a, o, key, text);
  return NULL;
}

/* --- flags --- */

static err *add_attribute(arena *a, server_options *o, const char *text) {
  pb_AddSearchAttributesRequest *all = &o->search_attributes;
  const char *type = strchr(text, '=') + 1;
  int32_t number = 1;
  while (attribute_type_name(number) && strcmp(attribute_type_name(number), type) != 0) number++;
  if (!attribute_type_name(number)) {
    return ERR(
        a, INVALID_ARGUMENT,
        "--search-attribute %s: the type is one of Text, Keyword, Int, Double, Bool, Datetime, "
        "KeywordList.",
        text);
  }
  pb_AddSearchAttributesRequest_SearchAttributesEntry *e =
      pb_new(a, AddSearchAttributesRequest_SearchAttributesEntry);
  e->key = span_of(text, (size_t)(type - text) - 1);
  e->value = number;
  all->search_attributes.v[all->search_attributes.n++] = e;
  return NULL;
}

static err *add_namespace(arena *a, server_options *o, const char *name) {
  if (!*name || strlen(name) > 1000) {
    return ERR(a, INVALID_ARGUMENT, "--namespace wants a name of 1 to 1000 bytes.");
  }
  for (size_t i = 0; i < o->n_namespaces; i++) {
    if (strcmp(o->namespaces[i], name) == 0) return NULL;
  }
  o->namespaces[o->n_namespaces++] = name;
  return NULL;
}

/* Flags that may be repeated. */
static err *read_lists(const cli_args *args, arena *a, server_options *o) {
  o->namespaces = arena_array(a, const char *, args->n_values + 1);
  o->search_attributes.search_attributes.v =
      arena_array(a, pb_AddSearchAttributesRequest_SearchAttributesEntry *, args->n_values + 1);
  TRY(add_namespace(a, o, "default"));
  for (size_t i = 0; i < args->n_values; i++) {
    const char *flag = args->values[i].flag->name, *text = args->values[i].text;
    if (strcmp(flag, "namespace") == 0) TRY(add_namespace(a, o, text));
    if (strcmp(flag, "dynamic-config-value") == 0) {
      const char *equals = strchr(text, '=');
      const char *key = arena_printf(a, "%.*s", (int)(equals - text), text);
      TRY(server_options_set(a, o, key, equals + 1));
    }
    if (strcmp(flag, "search-attribute") == 0) TRY(add_attribute(a, o, text));
  }
  return NULL;
}

static const char *ip_of(const char *name) {
  return strcmp(name, "localhost") == 0 ? "127.0.0.1" : name;
}

/* "127.0.0.1:7233", "[::1]:7233", "localhost:7233" */
static err *read_address(arena *a, const char *flag, const char *text, server_address *ret) {
  const char *colon = strrchr(text, ':');
  size_t n = colon ? (size_t)(colon - text) : 0;
  bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
  if (n == 0 || !cli_parse_port(colon + 1, &ret->port)) {
    return ERR(a, INVALID_ARGUMENT, "--%s wants ADDRESS:PORT, not \"%s\".", flag, text);
  }
  ret->ip = ip_of(brackets ? arena_printf(a, "%.*s", (int)n - 2, text + 1)
                           : arena_printf(a, "%.*s", (int)n, text));
  return NULL;
}

static err *read_start_dev(const cli_args *args, arena *a, server_options *o) {
  o->db_path = cli_text(args, "db-filename");
  o->listen = (server_address){ip_of(cli_text(args, "ip")), cli_port(args, "port")};
  o->metrics = (server_address){o->listen.ip, cli_port(args, "metrics-port")};
  if (!cli_switch(args, "headless")) {
    const char *ip = cli_text(args, "ui-ip");
    int port = cli_port(args, "ui-port");
    if (port < 0) port = o->listen.port ? o->listen.port + 1000 : 0;
    if (port > 65535) {
      return ERR(a, INVALID_ARGUMENT,
                 "The web page's port, --port plus 1000, would be %d: choose one with --ui-port or "
                 "use --headless.",
                 port);
    }
    o->ui = (server_address){ip ? ip_of(ip) : o->listen.ip, port};
  }
  if (cli_given(args, "http-port")) {
    add_note(a, o, "--http-port has no effect: the HTTP API is not built yet");
  }
  if (cli_given(args, "sqlite-pragma")) {
    add_note(a, o, "--sqlite-pragma has no effect: the server chooses its own pragmas");
  }
  return NULL;
}

static err *read_start(const cli_args *args, arena *a, server_options *o) {
  const char *dir = cli_text(args, "data-dir"), *metrics = cli_text(args, "metrics-listen");
  if (!dir || !*dir) {
    return ERR(a, INVALID_ARGUMENT,
               "perdure server start needs --data-dir DIR, the folder its database lives in.");
  }
  o->data_dir = dir;
  o->db_path = arena_printf(a, "%s/perdure.db", dir);
  TRY(read_address(a, "listen", cli_text(args, "listen"), &o->listen));
  if (metrics) TRY(read_address(a, "metrics-listen", metrics, &o->metrics));
  o->tls = (rpc_tls){.cert_path = cli_text(args, "tls-cert"),
                     .key_path = cli_text(args, "tls-key"),
                     .client_ca_path = cli_text(args, "tls-client-ca")};
  if (!o->tls.cert_path != !o->tls.key_path) {
    return ERR(a, INVALID_ARGUMENT, "--tls-cert and --tls-key are given together or not at all.");
  }
  if (o->tls.client_ca_path && !o->tls.cert_path) {
    return ERR(a, INVALID_ARGUMENT, "--tls-client-ca needs --tls-cert and --tls-key.");
  }
  return NULL;
}

static log_level level_of(const char *text) {
  static const char *const names[] = {"debug", "info", "warn", "error", "never"};
  for (size_t i = 0; i < ARRAY_LEN(names); i++) {
    if (strcmp(text, names[i]) == 0) return (log_level)i;
  }
  return LOG_INFO;
}

err *server_options_read(const cli_args *args, arena *a, server_options *ret_options) {
  server_options o = {.shard = shard_default_config, .metrics.port = -1, .ui.port = -1};
  o.shard.limits = engine_default_limits;
  o.log_level = level_of(cli_text(args, "log-level"));
  o.log_format = strcmp(cli_text(args, "log-format"), "json") == 0 ? LOG_JSON : LOG_PRETTY;
  o.print_config = cli_switch(args, "log-config");
  o.shard.shed_bytes = (size_t)cli_size(args, "memory-cap");
  o.shard.memory_bytes = o.shard.shed_bytes / 4;
  TRY(read_lists(args, a, &o));
  if (args->command->verb == CLI_SERVER_START) {
    TRY(read_start(args, a, &o));
  } else {
    TRY(read_start_dev(args, a, &o));
  }
  *ret_options = o;
  return NULL;
}

static void print_address(FILE *out, const char *name, server_address at) {
  if (at.port < 0) {
    fprintf(out, "%-24s off\n", name);
  } else {
    fprintf(out, "%-24s %s:%d\n", name, at.ip, at.port);
  }
}

void server_options_print(FILE *out, const server_options *o) {
  const engine_limits *l = &o->shard.limits;
  fprintf(out, "%-24s %s\n", "database", o->db_path ? o->db_path : "a private file");
  print_address(out, "grpc", o->listen);
  print_address(out, "metrics", o->metrics);
  print_address(out, "web page", o->ui);
  fprintf(out, "%-24s %s\n", "tls", o->tls.cert_path ? o->tls.cert_path : "off");
  fprintf(out, "%-24s %s\n", "tls client authority",
          o->tls.client_ca_path ? o->tls.client_ca_path : "off");
  for (size_t i = 0; i < o->n_namespaces; i++) {
    fprintf(out, "%-24s %s\n", i ? "" : "namespaces", o->namespaces[i]);
  }
  fprintf(out, "%-24s %zu bytes\n", "memory cap", o->shard.shed_bytes);
  fprintf(out, "%-24s %zu bytes\n", "runs in memory", o->shard.memory_bytes);
  fprintf(out, "%-24s %zu bytes\n", "largest payload", l->blob_bytes);
  fprintf(out, "%-24s %zu bytes\n", "largest memo", l->memo_bytes);
  fprintf(out, "%-24s %lld events, %zu bytes\n", "largest history", (long long)l->history_events,
          l->history_bytes);
}

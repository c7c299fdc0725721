#include "cli/cli.h"

/* clang-format off */
const cli_flag cli_common_flags[] = {
    {"log-format", 0, CLI_CHOICE, false, "json|pretty|text", "pretty",
     "How log lines look; text is the same as pretty."},
    {"log-level", 0, CLI_CHOICE, false, "debug|info|warn|error|never", "info",
     "The least severe log lines to write."},
};

static const cli_flag start_dev_flags[] = {
    {"db-filename", 'f', CLI_TEXT, false, "FILE", NULL,
     "Keep everything in this SQLite file, durably. Without it a private file is used that "
     "vanishes with the server."},
    {"namespace", 'n', CLI_TEXT, true, "NAME", NULL,
     "Create this namespace. \"default\" is always created."},
    {"port", 'p', CLI_PORT, false, "PORT", "7233", "Port of the gRPC API."},
    {"ip", 0, CLI_TEXT, false, "ADDRESS", "localhost", "Address the gRPC API listens on."},
    {"http-port", 0, CLI_PORT, false, "PORT", NULL,
     "Port of the HTTP API. Accepted, but the HTTP API is not built yet: nothing listens."},
    {"metrics-port", 0, CLI_PORT, false, "PORT", NULL,
     "Serve Prometheus metrics at /metrics on this port. Without it there are none."},
    {"ui-port", 0, CLI_PORT, false, "PORT", NULL,
     "Port of the web page. The default is the gRPC port plus 1000."},
    {"ui-ip", 0, CLI_TEXT, false, "ADDRESS", NULL,
     "Address the web page listens on. The default is that of --ip."},
    {"headless", 0, CLI_SWITCH, false, NULL, NULL, "Serve no web page."},
    {"dynamic-config-value", 0, CLI_PAIR, true, "KEY=VALUE", NULL,
     "Set a value of the dynamic configuration, e.g. limit.blobSize.error=10240. Keys this server "
     "has no use for are ignored; of a repeated key the last value counts."},
    {"search-attribute", 0, CLI_PAIR, true, "NAME=TYPE", NULL,
     "Add a search attribute to every namespace of the command line. Types are Text, Keyword, Int, "
     "Double, Bool, Datetime and KeywordList."},
    {"sqlite-pragma", 0, CLI_PAIR, true, "PRAGMA=VALUE", NULL,
     "Accepted; this server chooses its own pragmas."},
    {"ui-public-path", 0, CLI_TEXT, false, "PATH", NULL, "Accepted; the web page has one path."},
    {"ui-asset-path", 0, CLI_TEXT, false, "PATH", NULL, "Accepted; the web page has no assets."},
    {"ui-codec-endpoint", 0, CLI_TEXT, false, "URL", NULL,
     "Accepted; the web page shows no payloads."},
    {"ui-disable-news-fetch", 0, CLI_SWITCH, false, NULL, NULL,
     "Accepted; nothing is ever fetched."},
    {"memory-cap", 0, CLI_SIZE, false, "SIZE", "1GiB",
     "Memory at which new workflows are refused until there is less."},
    {"log-config", 0, CLI_SWITCH, false, NULL, NULL, "Print the configuration to standard error."},
};

static const cli_flag start_flags[] = {
    {"data-dir", 0, CLI_TEXT, false, "DIR", NULL,
     "Folder of the database; created if it is missing. Needed."},
    {"listen", 0, CLI_TEXT, false, "ADDRESS:PORT", "127.0.0.1:7233",
     "Where the gRPC API listens; [::]:7233 is every address."},
    {"tls-cert", 0, CLI_TEXT, false, "FILE", NULL,
     "Certificate chain (PEM). With --tls-key the API speaks TLS; SIGHUP reads both again."},
    {"tls-key", 0, CLI_TEXT, false, "FILE", NULL, "Private key of --tls-cert (PEM)."},
    {"tls-client-ca", 0, CLI_TEXT, false, "FILE", NULL,
     "Clients must present a certificate of this authority (PEM)."},
    {"namespace", 'n', CLI_TEXT, true, "NAME", NULL,
     "Create this namespace if it is missing. \"default\" is always created."},
    {"memory-cap", 0, CLI_SIZE, false, "SIZE", "1GiB",
     "Memory at which new workflows are refused until there is less."},
    {"metrics-listen", 0, CLI_TEXT, false, "ADDRESS:PORT", NULL,
     "Serve Prometheus metrics at /metrics there. Without it there are none."},
    {"dynamic-config-value", 0, CLI_PAIR, true, "KEY=VALUE", NULL,
     "Set a value of the dynamic configuration, e.g. limit.blobSize.error=10240. Keys this server "
     "has no use for are ignored; of a repeated key the last value counts."},
    {"log-config", 0, CLI_SWITCH, false, NULL, NULL, "Print the configuration to standard error."},
};

const cli_command cli_commands[] = {
    {"server start-dev", CLI_SERVER_START_DEV,
     "Run a server for development.",
     "Speaks the Temporal protocol, so official SDKs and tools connect to it as they are. Without\n"
     "--db-filename everything is gone when it stops. SIGTERM and Ctrl-C end it cleanly.\n",
     "  perdure server start-dev\n"
     "  perdure server start-dev --db-filename workflows.db --namespace orders\n"
     "  perdure server start-dev --port 0 --headless --log-format json\n",
     start_dev_flags, ARRAY_LEN(start_dev_flags)},
    {"server start", CLI_SERVER_START,
     "Run a server that keeps what it acknowledges.",
     "One process owns a data folder; every answer waits until what it says is synced to disk.\n"
     "SIGTERM drains: clients are told to go, open polls end, then the database is closed. A\n"
     "second signal ends at once, which loses nothing that was acknowledged. SIGHUP reads the TLS\n"
     "files again.\n",
     "  perdure server start --data-dir /var/lib/perdure\n"
     "  perdure server start --data-dir /var/lib/perdure --listen 0.0.0.0:7233 \\\n"
     "      --tls-cert server.pem --tls-key server.key --tls-client-ca clients.pem\n"
     "  perdure server start --data-dir data --memory-cap 4GiB --metrics-listen 127.0.0.1:9090\n",
     start_flags, ARRAY_LEN(start_flags)},
};
const size_t cli_command_count = ARRAY_LEN(cli_commands);

const cli_group cli_groups[] = {
    {"", "Perdure runs code to its end across crashes, retries and months of waiting.",
     "  perdure server start-dev\n"
     "  perdure server start-dev --help\n"},
    {"server", "Run a server.",
     "  perdure server start-dev --db-filename workflows.db\n"
     "  perdure server start --data-dir /var/lib/perdure\n"},
};
const size_t cli_group_count = ARRAY_LEN(cli_groups);
const size_t cli_common_flag_count = ARRAY_LEN(cli_common_flags);
/* clang-format on */

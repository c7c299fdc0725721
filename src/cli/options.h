/* options.h - what a `perdure server` command line means, in the terms of the parts it configures.
 * Everything lives in the arena or in argv. */
#ifndef PERDURE_CLI_OPTIONS_H
#define PERDURE_CLI_OPTIONS_H

#include "base/log.h"
#include "cli/cli.h"
#include "rpc/rpc.h"
#include "shard/shard.h"

typedef struct server_address {
  const char *ip; /* "127.0.0.1", "::" */
  int port;       /* -1: do not listen */
} server_address;

typedef struct server_options {
  const char *db_path;  /* NULL: a private file that vanishes */
  const char *data_dir; /* to be made before the file; or NULL */
  server_address listen, metrics, ui;
  rpc_tls tls;
  shard_config shard;
  bool polls_end_on_shutdown; /* workers are told to leave ending their polls to the server */
  const char **namespaces;    /* "default" first */
  size_t n_namespaces;
  pb_AddSearchAttributesRequest search_attributes; /* to be in each of them */
  log_level log_level;
  log_format log_format;
  bool print_config;
  const char **notes; /* sentences for the log: what was accepted without effect */
  size_t n_notes;
} server_options;

MUST_USE err *server_options_read(const cli_args *args, arena *a, server_options *ret_options);
void server_options_print(FILE *out, const server_options *o);

/* Sets what a key of the dynamic configuration names, in any case. A key that changes nothing here
 * is noted, unless the server is as its value says anyway.
 * INVALID_ARGUMENT when the value of a known key cannot be read. */
MUST_USE err *server_options_set(arena *a, server_options *o, const char *key, const char *value);

#endif

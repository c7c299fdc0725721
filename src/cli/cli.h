/* cli.h - command lines: a table of commands and flags in, values out.
 *
 * The table (commands.c) says everything: what is parsed, what --help prints, which values are
 * accepted. Nothing here acts.
 */
#ifndef PERDURE_CLI_CLI_H
#define PERDURE_CLI_CLI_H

#include <stdio.h>

#include "base/err.h"

typedef enum cli_kind {
  CLI_SWITCH, /* no value needed; --x=false is understood */
  CLI_TEXT,
  CLI_PORT,   /* 0 to 65535 */
  CLI_SIZE,   /* bytes, with KiB, MiB, GiB (also KB, MB, GB as 1024s) */
  CLI_PAIR,   /* KEY=VALUE */
  CLI_CHOICE, /* one of `choices` */
} cli_kind;

typedef struct cli_flag {
  const char *name; /* without dashes */
  char letter;      /* -x, or 0 */
  cli_kind kind;
  bool repeatable;
  const char *value;    /* how help shows it; CLI_CHOICE: "a|b|c", which is also what is accepted */
  const char *fallback; /* as text; NULL: none */
  const char *help;
} cli_flag;

typedef enum cli_verb { CLI_NO_VERB, CLI_SERVER_START_DEV, CLI_SERVER_START } cli_verb;

typedef struct cli_command {
  const char *path; /* "server start-dev"; groups are prefixes of it */
  cli_verb verb;
  const char *summary, *text, *examples;
  const cli_flag *flags;
  size_t n_flags;
} cli_command;

typedef struct cli_group {
  const char *path, *summary, *examples;
} cli_group;

extern const cli_command cli_commands[];
extern const size_t cli_command_count;
extern const cli_group cli_groups[]; /* the first is the program itself */
extern const size_t cli_group_count;
extern const cli_flag cli_common_flags[]; /* of every command */
extern const size_t cli_common_flag_count;

typedef struct cli_value {
  const cli_flag *flag;
  const char *text; /* "true" / "false" for a switch */
} cli_value;

typedef struct cli_args {
  const cli_command *command; /* NULL: help or version was asked for */
  const char *help_path;      /* print the help of this path */
  bool version;
  cli_value *values; /* in the order given */
  size_t n_values;
} cli_args;

/* INVALID_ARGUMENT is a sentence for the person at the keyboard. Everything lives in the arena or
 * in argv. */
MUST_USE err *cli_parse(int argc, char **argv, arena *a, cli_args *ret_args);

/* The last value given, else the fallback, else NULL. The flag must be one of the command's. */
const char *cli_text(const cli_args *args, const char *flag);
bool cli_switch(const cli_args *args, const char *flag);
/* -1: neither given nor a fallback. */
int cli_port(const cli_args *args, const char *flag);
uint64_t cli_size(const cli_args *args, const char *flag);
/* Was it on the command line? */
bool cli_given(const cli_args *args, const char *flag);

/* "2GiB" and the like. */
bool cli_parse_size(const char *text, uint64_t *ret_size);
/* 0 to 65535. */
bool cli_parse_port(const char *text, int *ret_port);

/* Help of a group ("" is the program) or of a command. */
void cli_print_help(FILE *out, const char *path);

#endif

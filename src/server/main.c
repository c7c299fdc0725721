/* The program: reads the command line and runs what it names. */
#include <stdio.h>

#include <uv.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "server/server.h"

enum { EXIT_USAGE = 2 };

static int usage(const err *e) {
  fprintf(stderr, "perdure: %s\nSee perdure --help.\n", e->what);
  return EXIT_USAGE;
}

static int run(const cli_args *args, int64_t begin_ns, arena *a) {
  server_options options;
  const err *e = server_options_read(args, a, &options);
  if (e) return usage(e);
  log_configure(options.log_level, options.log_format);
  return server_run(&options, begin_ns);
}

int main(int argc, char **argv) {
  int64_t begin_ns = (int64_t)uv_hrtime();
  arena a = ARENA_INIT;
  cli_args args;
  int status = 0;
  const err *e = cli_parse(argc, argv, &a, &args);
  if (e) {
    status = usage(e);
  } else if (args.version) {
    printf("perdure %s\n", PERDURE_VERSION);
  } else if (args.help_path) {
    cli_print_help(stdout, args.help_path);
  } else {
    status = run(&args, begin_ns, &a);
  }
  arena_release(&a);
  return status;
}

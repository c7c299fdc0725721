/* server.h - one server process: the parts wired together, started, drained and closed in order. */
#ifndef PERDURE_SERVER_SERVER_H
#define PERDURE_SERVER_SERVER_H

#include "cli/options.h"

/* Serves until a signal ends it; the exit status of the process. `begin_ns` is uv_hrtime when the
 * process began. */
int server_run(const server_options *o, int64_t begin_ns);

#endif

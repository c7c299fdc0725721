/* duration.h - lengths of time as people write them: "1h30m", "1.5s", "-2ms" and, where asked for,
 * "2d". The texts and their errors are those of Go programs, which clients compare. */
#ifndef PERDURE_BASE_DURATION_H
#define PERDURE_BASE_DURATION_H

#include "base/err.h"

typedef enum duration_units { DURATION_HOURS, DURATION_DAYS } duration_units; /* the largest */

/* INVALID_ARGUMENT: time: invalid duration "x", time: missing unit ..., time: unknown unit ... */
MUST_USE err *duration_parse(span text, duration_units units, arena *a, int64_t *ret_ns);

#endif

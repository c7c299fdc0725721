/* err.h - the one error type: a code, a sentence, the place it was made, and the error behind it.
 *
 * NULL is success. An err lives in the arena it was made in and dies with it. Codes are the gRPC
 * status codes, so that rpc/ sends them as they are; `detail` is the message that clients find in
 * google.rpc.Status.details (they read only the first one).
 *
 * The failure of a workflow or an activity is a different thing: a value of the domain
 * (temporal.api.failure.v1.Failure). Never carry one in an err.
 */
#ifndef PERDURE_BASE_ERR_H
#define PERDURE_BASE_ERR_H

#include "base/arena.h"

/* clang-format off */
#define ERR_CODES(X) \
  X(OK, 0) X(CANCELLED, 1) X(UNKNOWN, 2) X(INVALID_ARGUMENT, 3) X(DEADLINE_EXCEEDED, 4) \
  X(NOT_FOUND, 5) X(ALREADY_EXISTS, 6) X(PERMISSION_DENIED, 7) X(RESOURCE_EXHAUSTED, 8) \
  X(FAILED_PRECONDITION, 9) X(ABORTED, 10) X(OUT_OF_RANGE, 11) X(UNIMPLEMENTED, 12) \
  X(INTERNAL, 13) X(UNAVAILABLE, 14) X(DATA_LOSS, 15) X(UNAUTHENTICATED, 16)
/* clang-format on */

typedef enum err_code {
#define X(name, number) ERR_##name = number,
  ERR_CODES(X)
#undef X
} err_code;

typedef struct err {
  err_code code;
  const char *what;        /* a sentence for a person */
  const char *where;       /* file:line */
  const struct err *cause; /* or NULL */
  const char *detail_type; /* full protobuf name of `detail`, or NULL */
  span detail;             /* encoded message, in the same arena */
} err;

const char *err_code_name(err_code code);

err *err_make(arena *a, const char *where, err_code code, const err *cause, const char *fmt, ...)
    PRINTF_LIKE(5, 6) __attribute__((returns_nonnull));

#define ERR(a, code, ...) err_make((a), HERE, ERR_##code, NULL, __VA_ARGS__)
#define ERR_WRAP(a, code, cause, ...) err_make((a), HERE, ERR_##code, (cause), __VA_ARGS__)

/* Copies an error and its causes into another arena. */
err *err_dup(arena *a, const err *e);

/* "sentence (file:line); because: sentence (file:line)", for logs and command lines. */
const char *err_text(arena *a, const err *e);

#define TRY(expr)                  \
  do {                             \
    err *try_err_ = (expr);        \
    if (try_err_) return try_err_; \
  } while (0)

#endif

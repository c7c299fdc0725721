/* base.h - what every file of the project may use: attributes, assertions, small macros.
 *
 * Assertions check our own invariants and stay on in release builds; input from outside is never
 * asserted, it gets an `err` (err.h).
 */
#ifndef PERDURE_BASE_BASE_H
#define PERDURE_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#undef MIN /* sys/param.h, which uv.h includes, has its own */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define HERE __FILE__ ":" STRINGIFY(__LINE__)

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)

/* Ends the process: one of our own invariants is broken. Never returns. */
_Noreturn void panic_at(const char *where, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define PANIC(...) panic_at(HERE, __VA_ARGS__)
#define ASSERT(cond) ((cond) ? (void)0 : panic_at(HERE, "assertion failed: %s", #cond))

#endif

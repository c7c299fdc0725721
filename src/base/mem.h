/* mem.h - the only door to malloc.
 *
 * Requests and state are bounded by limits long before memory ends, so an allocation that fails
 * here ends the process with a sentence: what was acknowledged is durable, and a restart recovers
 * it. Every function may be called from any thread.
 */
#ifndef PERDURE_BASE_MEM_H
#define PERDURE_BASE_MEM_H

#include "base/base.h"

/* Never NULL. mem_zalloc clears. Free with mem_free. n == 0 is allowed. */
void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull));
/* Accepts NULL. */
void mem_free(void *p);
char *mem_strdup(const char *s) __attribute__((returns_nonnull));

/* How much the block really holds, at least what was asked for. */
size_t mem_size(const void *p);

/* Bytes handed out and not yet freed, as the allocator rounds them. */
size_t mem_in_use_bytes(void);

#define mem_new(T) ((T *)mem_zalloc(sizeof(T)))

#endif

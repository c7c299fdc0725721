/* arena.h - the lifetime of one request: allocate freely, release everything at once.
 *
 * An arena belongs to one owner and is used by one thread at a time. Memory handed out stays valid
 * until arena_reset or arena_release; there is no single free. Alignment is that of max_align_t.
 */
#ifndef PERDURE_BASE_ARENA_H
#define PERDURE_BASE_ARENA_H

#include "base/span.h"

typedef struct arena_block arena_block;

typedef struct arena {
  arena_block *blocks; /* newest first */
  uint8_t *cur, *end;  /* free part of the newest block */
  size_t total_bytes;  /* of all blocks */
  size_t first_bytes;  /* size of the first block; 0: the default */
} arena;

#define ARENA_INIT \
  { 0 }

/* Ready to use and without memory until the first allocation. */
void arena_init(arena *a);
/* The same, for an arena that will hold about this much. */
void arena_init_sized(arena *a, size_t first_bytes);
/* Frees every block; the arena is then as after arena_init. */
void arena_release(arena *a);
/* Forgets every allocation but keeps the first block for the next use. */
void arena_reset(arena *a);

/* Uninitialised memory; arena_zalloc clears it. Never NULL. */
void *arena_alloc(arena *a, size_t n) __attribute__((returns_nonnull));
void *arena_zalloc(arena *a, size_t n) __attribute__((returns_nonnull));
#define arena_new(a, T) ((T *)arena_zalloc((a), sizeof(T)))
void *arena_zalloc_many(arena *a, size_t size, size_t n) __attribute__((returns_nonnull));
#define arena_array(a, T, n) ((T *)arena_zalloc_many((a), sizeof(T), (size_t)(n)))

/* Copies into the arena. The copy is followed by a NUL that is not counted. */
span arena_dup(arena *a, span s);
const char *arena_cstr(arena *a, span s);
/* Formatted text in the arena. */
const char *arena_printf(arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
span arena_spanf(arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif

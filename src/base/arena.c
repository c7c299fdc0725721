#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { ALIGN = _Alignof(max_align_t), FIRST_BLOCK_BYTES = 2048, MAX_BLOCK_BYTES = 64 * 1024 };

struct arena_block {
  arena_block *next;
  size_t size_bytes; /* of data */
  _Alignas(max_align_t) uint8_t data[];
};

void arena_init(arena *a) { *a = (arena)ARENA_INIT; }

void arena_init_sized(arena *a, size_t first_bytes) {
  *a = (arena){.first_bytes = first_bytes};
}

static void free_blocks(arena_block *b) {
  while (b) {
    arena_block *next = b->next;
    mem_free(b);
    b = next;
  }
}

void arena_release(arena *a) {
  free_blocks(a->blocks);
  arena_init(a);
}

void arena_reset(arena *a) {
  arena_block *first = a->blocks;
  while (first && first->next) {
    arena_block *next = first->next;
    mem_free(first);
    first = next;
  }
  if (!first) return;
  a->blocks = first;
  a->cur = first->data;
  a->end = first->data + first->size_bytes;
  a->total_bytes = first->size_bytes;
}

static void add_block(arena *a, size_t need) {
  size_t first = a->first_bytes ? a->first_bytes : (size_t)FIRST_BLOCK_BYTES;
  size_t size = a->blocks ? MIN(a->total_bytes * 2, (size_t)MAX_BLOCK_BYTES) : first;
  size = MAX(size, need);
  arena_block *b = mem_alloc(sizeof *b + size);
  b->next = a->blocks;
  b->size_bytes = size;
  a->blocks = b;
  a->cur = b->data;
  a->end = b->data + size;
  a->total_bytes += size;
}

void *arena_alloc(arena *a, size_t n) {
  ASSERT(n <= SIZE_MAX - ALIGN);
  n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
  if (!a->cur || n > (size_t)(a->end - a->cur)) add_block(a, n);
  void *p = a->cur;
  a->cur += n;
  return p;
}

void *arena_zalloc(arena *a, size_t n) { return memset(arena_alloc(a, n), 0, n); }

void *arena_zalloc_many(arena *a, size_t size, size_t n) {
  size_t total;
  ASSERT(!__builtin_mul_overflow(size, n, &total));
  return arena_zalloc(a, total);
}

span arena_dup(arena *a, span s) {
  uint8_t *p = arena_alloc(a, s.n + 1);
  if (s.n) memcpy(p, s.p, s.n);
  p[s.n] = 0;
  return (span){p, s.n};
}

const char *arena_cstr(arena *a, span s) { return (const char *)arena_dup(a, s).p; }

static PRINTF_LIKE(2, 0) span vformat(arena *a, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  ASSERT(n >= 0);
  char *p = arena_alloc(a, (size_t)n + 1);
  (void)vsnprintf(p, (size_t)n + 1, fmt, again);
  va_end(again);
  return span_of(p, (size_t)n);
}

const char *arena_printf(arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  span s = vformat(a, fmt, ap);
  va_end(ap);
  return (const char *)s.p;
}

span arena_spanf(arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  span s = vformat(a, fmt, ap);
  va_end(ap);
  return s;
}

#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t in_use;

static void *account(void *p, size_t n) {
  if (!p) PANIC("out of memory: %zu bytes refused by the system", n);
  atomic_fetch_add_explicit(&in_use, malloc_usable_size(p), memory_order_relaxed);
  return p;
}

void *mem_alloc(size_t n) { return account(malloc(n ? n : 1), n); }

void *mem_zalloc(size_t n) { return account(calloc(1, n ? n : 1), n); }

void *mem_realloc(void *p, size_t n) {
  if (p) atomic_fetch_sub_explicit(&in_use, malloc_usable_size(p), memory_order_relaxed);
  return account(realloc(p, n ? n : 1), n);
}

void mem_free(void *p) {
  if (!p) return;
  atomic_fetch_sub_explicit(&in_use, malloc_usable_size(p), memory_order_relaxed);
  free(p);
}

char *mem_strdup(const char *s) {
  size_t n = strlen(s) + 1;
  return memcpy(mem_alloc(n), s, n);
}

size_t mem_in_use_bytes(void) { return atomic_load_explicit(&in_use, memory_order_relaxed); }

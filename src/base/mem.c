/* mem.c - malloc behind a small store of free blocks per thread.
 *
 * The same few sizes are taken and given back thousands of times a second, more of them at once
 * than the C library keeps at hand, and some are larger than what it keeps. A block freed here goes
 * on a list of its size and thread and is taken again from there; at most KEPT_BYTES wait so.
 * Blocks are the C library's own, so one may be freed by another thread than took it. Sanitizers
 * see every malloc and free: with them nothing is kept. */
#include "base/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
  /* Classes of size: SMALL_STEP apart up to SMALL_CLASSES, then LARGE_STEP apart. The C library
   * adds a head of 8 bytes and rounds to 16, so a class holds 8 more than a multiple. */
  HEAD_BYTES = 8,
  SMALL_STEP = 16,
  SMALL_CLASSES = 64,
  SMALL_MAX_BYTES = SMALL_CLASSES * SMALL_STEP + HEAD_BYTES,
  LARGE_STEP = 256,
  LARGE_CLASSES = 64,
  LARGE_MAX_BYTES = SMALL_MAX_BYTES + LARGE_CLASSES * LARGE_STEP,
  CLASSES = SMALL_CLASSES + LARGE_CLASSES,
  KEPT_BYTES = SANITIZED ? 0 : 1024 * 1024,
};

typedef struct block {
  struct block *next;
} block;

typedef struct cache {
  struct cache *next;   /* in `caches` */
  atomic_size_t in_use; /* taken less given back by this thread; wraps. Written by it alone. */
  size_t kept_bytes;
  block *kept[CLASSES];
} cache;

static _Thread_local cache *mine;
static pthread_mutex_t caches_mutex = PTHREAD_MUTEX_INITIALIZER;
static cache *caches;
static size_t in_use_of_ended; /* threads; under the mutex */
static pthread_key_t at_end;
static pthread_once_t at_end_once = PTHREAD_ONCE_INIT;

/* The thread ends. */
static void cache_free(void *arg) {
  cache *c = arg;
  (void)pthread_mutex_lock(&caches_mutex);
  cache **at = &caches;
  while (*at != c) at = &(*at)->next;
  *at = c->next;
  in_use_of_ended += atomic_load_explicit(&c->in_use, memory_order_relaxed);
  (void)pthread_mutex_unlock(&caches_mutex);
  for (size_t i = 0; i < CLASSES; i++) {
    for (block *b = c->kept[i], *next; b; b = next) {
      next = b->next;
      free(b);
    }
  }
  mine = NULL;
  free(c);
}

static void make_at_end(void) { ASSERT(pthread_key_create(&at_end, cache_free) == 0); }

static __attribute__((noinline)) cache *cache_new(void) {
  cache *c = calloc(1, sizeof *c);
  if (!c) PANIC("out of memory: %zu bytes refused by the system", sizeof *c);
  (void)pthread_once(&at_end_once, make_at_end);
  (void)pthread_setspecific(at_end, c);
  (void)pthread_mutex_lock(&caches_mutex);
  c->next = caches;
  caches = c;
  (void)pthread_mutex_unlock(&caches_mutex);
  return mine = c;
}

static inline cache *cache_mine(void) { return mine ? mine : cache_new(); }

static inline void count(cache *c, size_t by) {
  size_t now = atomic_load_explicit(&c->in_use, memory_order_relaxed);
  atomic_store_explicit(&c->in_use, now + by, memory_order_relaxed);
}

/* The smallest class that holds n <= LARGE_MAX_BYTES bytes. */
static inline size_t class_for(size_t n) {
  if (n <= SMALL_STEP + HEAD_BYTES) return 0;
  if (n <= SMALL_MAX_BYTES) return (n - HEAD_BYTES - 1) / SMALL_STEP;
  return SMALL_CLASSES + (n - SMALL_MAX_BYTES - 1) / LARGE_STEP;
}

static inline size_t class_bytes(size_t class) {
  return class < SMALL_CLASSES ? (class + 1) * SMALL_STEP + HEAD_BYTES
                               : SMALL_MAX_BYTES + (class - SMALL_CLASSES + 1) * LARGE_STEP;
}

static void *refused(size_t n) { PANIC("out of memory: %zu bytes refused by the system", n); }

/* A kept block, or NULL; *n becomes what to ask the C library for. */
static inline void *take(cache *c, size_t *n) {
  if (!KEPT_BYTES || *n > LARGE_MAX_BYTES) return NULL;
  size_t class = class_for(*n);
  block *b = c->kept[class];
  *n = class_bytes(class);
  if (!b) return NULL;
  size_t size = malloc_usable_size(b);
  c->kept[class] = b->next;
  c->kept_bytes -= size;
  count(c, size);
  return b;
}

static void *account(cache *c, void *p, size_t n) {
  if (!p) return refused(n);
  count(c, malloc_usable_size(p));
  return p;
}

void *mem_alloc(size_t n) {
  cache *c = cache_mine();
  void *p = take(c, &n);
  return p ? p : account(c, malloc(n ? n : 1), n);
}

void *mem_zalloc(size_t n) {
  cache *c = cache_mine();
  size_t wanted = n;
  void *p = take(c, &n);
  return p ? memset(p, 0, wanted) : account(c, calloc(1, n ? n : 1), n);
}

void mem_free(void *p) {
  if (!p) return;
  cache *c = cache_mine();
  size_t size = malloc_usable_size(p);
  count(c, -size);
  if (size > KEPT_BYTES - c->kept_bytes || size > LARGE_MAX_BYTES || size < class_bytes(0)) {
    free(p);
    return;
  }
  size_t class = class_for(size);
  if (class_bytes(class) > size) class --; /* the C library may have given a little more */
  block *b = p;
  b->next = c->kept[class];
  c->kept[class] = b;
  c->kept_bytes += size;
}

void *mem_realloc(void *p, size_t n) {
  if (!p) return mem_alloc(n);
  size_t size = malloc_usable_size(p);
  if (!SANITIZED && n <= size && n >= size / 2) return p;
  if (size > LARGE_MAX_BYTES && n > LARGE_MAX_BYTES) {
    cache *c = cache_mine();
    count(c, -size);
    return account(c, realloc(p, n), n);
  }
  void *moved = mem_alloc(n);
  memcpy(moved, p, MIN(size, n));
  mem_free(p);
  return moved;
}

size_t mem_size(const void *p) { return malloc_usable_size((void *)(uintptr_t)p); }

char *mem_strdup(const char *s) {
  size_t n = strlen(s) + 1;
  return memcpy(mem_alloc(n), s, n);
}

size_t mem_in_use_bytes(void) {
  (void)pthread_mutex_lock(&caches_mutex);
  size_t n = in_use_of_ended;
  for (const cache *c = caches; c; c = c->next) {
    n += atomic_load_explicit(&c->in_use, memory_order_relaxed);
  }
  (void)pthread_mutex_unlock(&caches_mutex);
  return n;
}

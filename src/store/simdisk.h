/* simdisk.h - a disk in memory below SQLite that forgets what was not synced. For tests.
 *
 * It is an SQLite VFS. Each file has a durable image, the writes since its last sync, and the page
 * cache, which is what a process sees. Losing power keeps none, all, a prefix or a random part of
 * the unsynced writes, torn into sectors of 512 bytes; creating and deleting a file is durable at
 * once. Everything is decided by the seed, on one thread: use store_sqlite_options.inline_io.
 */
#ifndef PERDURE_STORE_SIMDISK_H
#define PERDURE_STORE_SIMDISK_H

#include "base/rng.h"

typedef struct simdisk simdisk;

/* Registers the VFS under its name, which must be new. */
simdisk *simdisk_new(const char *vfs_name, uint64_t seed);
/* Every file must be closed. */
void simdisk_free(simdisk *d);

/* After this many writes, syncs and the like, the disk stops: nothing has an effect and everything
 * fails, until simdisk_lose_power or simdisk_restart_process. */
void simdisk_stop_after(simdisk *d, uint64_t operations);
void simdisk_stop(simdisk *d);
bool simdisk_stopped(const simdisk *d);
/* Operations so far. */
uint64_t simdisk_operations(const simdisk *d);

/* What the machine finds when it comes back. Every file must be closed. */
void simdisk_lose_power(simdisk *d);
/* The process came back, not the machine: the page cache is as it was. Every file must be closed.
 */
void simdisk_restart_process(simdisk *d);

/* The n-th sync from now fails with EIO. What it should have written stays visible in the page
 * cache, marked clean, as Linux does: later syncs do not write it. */
void simdisk_fail_sync(simdisk *d, uint64_t n);
/* Chance of each write to fail with EIO; nothing of it is written. */
void simdisk_fail_writes(simdisk *d, uint32_t per_1000);
/* Writes that would make the files larger together fail as on a full disk. */
void simdisk_set_capacity(simdisk *d, uint64_t bytes);
uint64_t simdisk_used_bytes(const simdisk *d);

#endif

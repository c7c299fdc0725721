/* Cycles of commits, loss of power and recovery, through the whole SQLite store on a simulated
 * disk. After each one: what was acknowledged is there, nothing is there that was never sent, steps
 * are whole, and SQLite finds its file intact. Two broken variants must be caught.
 *
 * STORE_POWER_CYCLES=n (per fault) and STORE_POWER_SEED=n in the environment ask for more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* After the headers that it needs. */
#include <cmocka.h>
#include <sqlite3.h>

#include "base/hash.h"
#include "base/log.h"
#include "store/simdisk.h"
#include "store/sqlite.h"
#include "store/test_env.h"

enum { RUNS = 16, CYCLES_PER_DISK = 40, MAX_STEPS = 8, MAX_EVENT_BYTES = 2500 };

typedef enum fault {
  FAULT_POWER,
  FAULT_FULL_DISK,    /* power, and times without room */
  FAULT_WRITE_ERRORS, /* power, and writes that fail */
  FAULT_SYNC_ERROR,   /* a sync fails, the process restarts, then power */
  BROKEN_SYNC_OFF,
  BROKEN_EARLY_ACKNOWLEDGEMENT,
} fault;

static const char *const fault_names[] = {"power loss",   "full disk", "write errors",
                                          "failed syncs", "sync off",  "early acknowledgement"};

/* Events 1..n of a run: each is one step that updates the run, adds a history row and replaces the
 * run's only item. */
typedef struct run_ledger {
  int64_t acknowledged, sent;
} run_ledger;

typedef struct world {
  fault fault;
  uint64_t seed;
  rng random;
  simdisk *disk;
  test_env env;
  arena arena;
  store *store;
  const char *said;          /* by the last commit that failed */
  bool full;                 /* the disk */
  run_ledger runs[RUNS + 1]; /* by run key */
} world;

static uint64_t below(world *w, uint64_t n) { return rng_below(&w->random, n); }

/* --- what is written --- */

static bytes *event_bytes(int64_t run, int64_t n) {
  uint64_t h = hash_u64((uint64_t)(run << 32 | n));
  bytes *b = bytes_new(20 + h % MAX_EVENT_BYTES);
  rng r;
  rng_seed(&r, h);
  rng_fill(&r, b->p, b->n);
  return b;
}

static bytes *state_bytes(int64_t n) { return bytes_copy(span_of(&n, sizeof n)); }

static void add_event(world *w, test_batch *b, int64_t run, int64_t n) {
  store_row rows[5];
  size_t k = 0;
  rows[k++] = (store_row){.kind = n == 1 ? ROW_RUN_INSERT : ROW_RUN_UPDATE,
                          .run = run,
                          .ns = 1,
                          .workflow_id = arena_spanf(&b->arena, "workflow-%d", (int)run),
                          .due_ns = n % 3,
                          .blob = state_bytes(n)};
  rows[k++] =
      (store_row){.kind = ROW_HISTORY_ADD, .run = run, .id = n, .blob = event_bytes(run, n)};
  rows[k++] = (store_row){.kind = ROW_ITEM_PUT,
                          .run = run,
                          .id = n,
                          .due_ns = n,
                          .queued = {1 + run % 2, 1, run * 100000 + n},
                          .blob = state_bytes(n)};
  if (n == 1) {
    rows[k++] = (store_row){
        .kind = ROW_CURRENT_PUT, .run = run, .ns = 1, .workflow_id = rows[0].workflow_id};
  } else {
    rows[k++] = (store_row){.kind = ROW_ITEM_DELETE, .run = run, .id = n - 1};
  }
  (void)test_batch_step(b, run, rows, k);
}

/* One batch of random runs' next events; false when a step failed. */
static bool commit_some(world *w) {
  int64_t next[RUNS + 1], of_step[MAX_STEPS];
  for (int i = 1; i <= RUNS; i++) next[i] = w->runs[i].acknowledged;
  test_batch b;
  test_batch_init(&b);
  size_t n = 1 + below(w, MAX_STEPS);
  for (size_t i = 0; i < n; i++) {
    int64_t run = 1 + (int64_t)below(w, RUNS);
    of_step[i] = ++next[run];
    add_event(w, &b, run, next[run]);
    w->runs[run].sent = MAX(w->runs[run].sent, next[run]);
    if (w->fault == BROKEN_EARLY_ACKNOWLEDGEMENT) w->runs[run].acknowledged = next[run];
  }
  test_batch_commit(&b, w->store, &w->env);
  bool all = true;
  size_t i = 0;
  w->said = b.batch.error ? err_text(&w->arena, b.batch.error) : "nothing";
  for (const store_step *s = b.batch.steps; s; s = s->next, i++) {
    if (s->status == STORE_OK) w->runs[s->run].acknowledged = of_step[i];
    all &= s->status == STORE_OK;
  }
  test_batch_release(&b);
  return all;
}

/* --- what is found --- */

/* What was committed shortly before the disk was full may have to wait for room to be read. */
static bool is_unavailable(const test_load *l) {
  return l->load.error && l->load.error->code == ERR_UNAVAILABLE;
}

static const char *check_run(world *w, int64_t run) {
  run_ledger *ledger = &w->runs[run];
  test_load h = {.load = {.kind = LOAD_HISTORY, .run = run}};
  test_load r = {.load = {.kind = LOAD_CURRENT,
                          .ns = 1,
                          .workflow_id = arena_spanf(&w->arena, "workflow-%d", (int)run)}};
  test_load_run(&h, w->store, &w->env);
  test_load_run(&r, w->store, &w->env);
  const char *wrong = NULL;
  int64_t n = (int64_t)h.load.n_rows, state = 0;
  bool excused = w->full || simdisk_stopped(w->disk);
  if (excused && (is_unavailable(&h) || is_unavailable(&r))) {
    test_load_release(&h);
    test_load_release(&r);
    return NULL;
  }
  for (int64_t i = 0; i < n; i++) {
    const store_row *row = &h.load.rows[i];
    bytes *expected = event_bytes(run, i + 1);
    if (row->id != i + 1) wrong = "a gap in a history";
    if (!span_eq(bytes_span(row->blob), bytes_span(expected))) wrong = "an event has changed";
    bytes_unref(expected);
  }
  if (r.load.found) memcpy(&state, r.load.row.blob->p, sizeof state);
  if (h.load.error || r.load.error) {
    wrong = err_text(&w->arena, h.load.error ? h.load.error : r.load.error);
  } else if (n < ledger->acknowledged) {
    wrong = arena_printf(&w->arena, "run %d: %d events were acknowledged, %d are there", (int)run,
                         (int)ledger->acknowledged, (int)n);
  } else if (n > ledger->sent) {
    wrong = "an event that was never sent";
  } else if (state != n || r.load.n_rows != (n > 0) || (n > 0 && r.load.rows[0].id != n)) {
    wrong = "half a step";
  }
  ledger->acknowledged = ledger->sent = n;
  test_load_release(&h);
  test_load_release(&r);
  return wrong;
}

static const char *integrity(world *w) {
  sqlite3 *db;
  sqlite3_stmt *st = NULL;
  const char *wrong = NULL;
  int rc = sqlite3_open_v2("db", &db, SQLITE_OPEN_READWRITE, "simdisk");
  if (rc == SQLITE_OK) rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL);
  if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
    const char *said = (const char *)sqlite3_column_text(st, 0);
    if (strcmp(said, "ok") != 0) wrong = arena_printf(&w->arena, "integrity_check: %s", said);
  } else {
    wrong = arena_printf(&w->arena, "integrity_check failed: %s", sqlite3_errmsg(db));
  }
  (void)sqlite3_finalize(st);
  (void)sqlite3_close(db);
  return wrong;
}

static const char *check_all(world *w) {
  const char *wrong = integrity(w);
  for (int64_t run = 1; run <= RUNS && !wrong; run++) wrong = check_run(w, run);
  return wrong;
}

/* --- a cycle --- */

/* Stands for the end of the process. */
static void on_sync_failure(void *disk) { simdisk_stop(disk); }

static err *open_store(world *w) {
  store_sqlite_options o = {.path = "db",
                            .vfs = "simdisk",
                            .inline_io = true,
                            .checkpoint_pages = 40,
                            .sync_off = w->fault == BROKEN_SYNC_OFF,
                            .on_sync_failure = on_sync_failure,
                            .on_sync_failure_arg = w->disk};
  return store_sqlite_open(&o, &w->env.env, &w->arena, &w->store);
}

static void close_store(world *w) {
  simdisk_stop(w->disk); /* a process that dies writes nothing more */
  w->store->close(w->store);
  w->store = NULL;
}

/* Opens and checks; now and then recovery itself loses power. */
static const char *recover(world *w) {
  err *e;
  while (below(w, 4) == 0) {
    simdisk_stop_after(w->disk, below(w, 30));
    e = open_store(w);
    if (!e) close_store(w);
    if (e && !simdisk_stopped(w->disk)) return err_text(&w->arena, e);
    simdisk_lose_power(w->disk);
  }
  e = open_store(w);
  return e ? err_text(&w->arena, e) : check_all(w);
}

static const char *fill_disk(world *w) {
  simdisk_set_capacity(w->disk, simdisk_used_bytes(w->disk) + below(w, 60000));
  w->full = true;
  for (uint64_t n = below(w, 12); n > 0; n--) (void)commit_some(w);
  const char *wrong = NULL;
  if (!simdisk_stopped(w->disk)) wrong = check_all(w); /* other reads go on */
  simdisk_set_capacity(w->disk, UINT64_MAX);
  w->full = false;
  bool works = commit_some(w);
  if (!works && !simdisk_stopped(w->disk)) {
    return arena_printf(&w->arena, "no commit although there is room again: %s", w->said);
  }
  if (simdisk_stopped(w->disk)) return NULL;
  return wrong ? wrong : check_all(w);
}

static const char *commit_until_it_stops(world *w) {
  if (w->fault == FAULT_SYNC_ERROR) {
    simdisk_fail_sync(w->disk, 1 + below(w, 40));
  } else {
    simdisk_stop_after(w->disk, below(w, 600));
  }
  if (w->fault == FAULT_WRITE_ERRORS) simdisk_fail_writes(w->disk, 20);
  const char *wrong = NULL;
  while (!simdisk_stopped(w->disk) && !wrong) {
    if (w->fault == FAULT_FULL_DISK && below(w, 20) == 0) {
      wrong = fill_disk(w);
    } else if (!commit_some(w) && !simdisk_stopped(w->disk) && w->fault != FAULT_WRITE_ERRORS) {
      wrong = arena_printf(&w->arena, "a commit failed: %s", w->said);
    }
  }
  simdisk_fail_writes(w->disk, 0);
  simdisk_set_capacity(w->disk, UINT64_MAX);
  return wrong;
}

static const char *cycle(world *w) {
  const char *wrong = commit_until_it_stops(w);
  close_store(w);
  if (wrong) return wrong;
  if (w->fault == FAULT_SYNC_ERROR) {
    simdisk_restart_process(w->disk);
    err *e = open_store(w);
    if (e) return err_text(&w->arena, e);
    wrong = check_all(w);
    for (uint64_t n = below(w, 5); n > 0 && !wrong; n--) {
      if (!commit_some(w)) wrong = "a commit failed after the restart";
    }
    close_store(w);
    if (wrong) return wrong;
  }
  simdisk_lose_power(w->disk);
  return recover(w);
}

/* --- many cycles --- */

/* Cycles on one new disk, up to n; returns the first thing that was wrong. */
static const char *cycles_on_a_disk(world *w, int n, int *done) {
  memset(w->runs, 0, sizeof w->runs);
  w->disk = simdisk_new("simdisk", w->seed);
  rng_seed(&w->random, w->seed);
  err *e = open_store(w);
  if (e) return err_text(&w->arena, e);
  const char *wrong = NULL;
  for (int i = 0; i < n && !wrong; i++, (*done)++) wrong = cycle(w);
  if (w->store) close_store(w);
  simdisk_restart_process(w->disk);
  simdisk_free(w->disk);
  return wrong;
}

static uint64_t from_environment(const char *name, uint64_t otherwise) {
  const char *s = getenv(name);
  return s ? strtoull(s, NULL, 10) : otherwise;
}

/* How many disks showed something wrong within so many cycles. */
static int bad_disks(fault f, int cycles) {
  world w = {.fault = f, .seed = from_environment("STORE_POWER_SEED", 1)};
  test_env_init(&w.env, 1);
  int bad = 0, done = 0;
  for (; done < cycles; w.seed++) {
    int before = done;
    const char *wrong = cycles_on_a_disk(&w, MIN(CYCLES_PER_DISK, cycles - done), &done);
    if (wrong && (bad++ == 0 || f < BROKEN_SYNC_OFF)) {
      print_message("%s, seed %d, cycle %d: %s\n", fault_names[f], (int)w.seed, done - before,
                    wrong);
    }
    arena_reset(&w.arena);
  }
  print_message("%s: %d cycles, %d bad disks\n", fault_names[f], done, bad);
  arena_release(&w.arena);
  test_env_release(&w.env);
  return bad;
}

static int cycles_asked(void) { return (int)from_environment("STORE_POWER_CYCLES", 1000); }

static void power_loss_loses_nothing_acknowledged(void **state) {
  assert_int_equal(bad_disks(FAULT_POWER, cycles_asked()), 0);
}

static void a_full_disk_refuses_and_recovers(void **state) {
  assert_int_equal(bad_disks(FAULT_FULL_DISK, cycles_asked()), 0);
}

static void failing_writes_fail_their_steps_alone(void **state) {
  assert_int_equal(bad_disks(FAULT_WRITE_ERRORS, cycles_asked()), 0);
}

static void a_failed_sync_loses_nothing_acknowledged(void **state) {
  assert_int_equal(bad_disks(FAULT_SYNC_ERROR, cycles_asked()), 0);
}

static void the_test_sees_that_sync_is_off(void **state) {
  assert_true(bad_disks(BROKEN_SYNC_OFF, 40) > 5);
}

static void the_test_sees_an_early_acknowledgement(void **state) {
  assert_true(bad_disks(BROKEN_EARLY_ACKNOWLEDGEMENT, 100) > 5);
}

int main(void) {
  log_configure(LOG_NEVER, LOG_PRETTY); /* failing checkpoints */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(power_loss_loses_nothing_acknowledged),
      cmocka_unit_test(a_full_disk_refuses_and_recovers),
      cmocka_unit_test(failing_writes_fail_their_steps_alone),
      cmocka_unit_test(a_failed_sync_loses_nothing_acknowledged),
      cmocka_unit_test(the_test_sees_that_sync_is_off),
      cmocka_unit_test(the_test_sees_an_early_acknowledgement),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ledger.c - what happened to each attempt of an activity, kept beside history.
 *
 * Each attempt has a row; rows are used again after LEDGER_SLOTS attempts, so that at least the
 * last ENGINE_LEDGER_ATTEMPTS are whole. A failure that one of the LEDGER_SHARED attempts before
 * reported too is stored once: the later row names the earlier, which is overwritten only after the
 * later one is no longer among the last ENGINE_LEDGER_ATTEMPTS. Beyond the run's budget rows say
 * that the failure was left out, and its size; what is overwritten is given back to the budget,
 * LEDGER_SHARED rows at a time.
 */
#include "base/hash.h"
#include "engine/engine_int.h"

enum {
  LEDGER_SHARED = 32,
  LEDGER_SLOTS = ENGINE_LEDGER_ATTEMPTS + LEDGER_SHARED,
  LEDGER_PARTS = LEDGER_SLOTS / LEDGER_SHARED,
  LEDGER_REFS = 8,
};

/* Attempts are counted on when an operator lets their count begin anew. */
static int32_t number_of(const pb_store_ActivityItem *act) {
  return act->earlier_attempts + act->attempt;
}

static int32_t slot_of(int32_t attempt) { return (attempt - 1) % LEDGER_SLOTS + 1; }

/* The kept failure with this hash, or NULL. */
static pb_store_AttemptFailureRef *find_ref(const pb_store_ActivityItem *act, uint64_t hash) {
  for (size_t i = 0; i < act->ledger.n; i++) {
    if (act->ledger.v[i]->hash == hash) return act->ledger.v[i];
  }
  return NULL;
}

/* Notes that `attempt` holds this failure; forgets what its row held before and the oldest. */
static void add_ref(pb_store_ActivityItem *act, arena *a, uint64_t hash, int32_t attempt) {
  pb_store_AttemptFailureRef **refs = arena_array(a, pb_store_AttemptFailureRef *, LEDGER_REFS);
  size_t n = 0;
  size_t from = act->ledger.n >= LEDGER_REFS ? act->ledger.n - LEDGER_REFS + 1 : 0;
  for (size_t i = from; i < act->ledger.n; i++) {
    if (act->ledger.v[i]->slot != slot_of(attempt)) refs[n++] = act->ledger.v[i];
  }
  refs[n] = pb_new(a, store_AttemptFailureRef);
  refs[n]->hash = hash;
  refs[n]->slot = slot_of(attempt);
  refs[n]->last_attempt = attempt;
  act->ledger.v = refs;
  act->ledger.n = n + 1;
}

/* The stored copy must still be there when the newest kept attempt is read. */
static bool ref_holds(const pb_store_AttemptFailureRef *ref, int32_t attempt) {
  return attempt - ref->last_attempt < LEDGER_SHARED;
}

/* The bytes of the part of the rows that this attempt's row belongs to. The first attempt of a part
 * begins it anew. */
static int64_t *part_bytes(engine_run *run, pb_store_ActivityItem *act, int32_t attempt) {
  int64_t *parts = arena_array(run->tx.arena, int64_t, LEDGER_PARTS);
  for (size_t i = 0; i < act->ledger_bytes.n && i < LEDGER_PARTS; i++) {
    parts[i] = act->ledger_bytes.v[i];
  }
  act->ledger_bytes.v = parts;
  act->ledger_bytes.n = LEDGER_PARTS;
  int64_t *part = &parts[(slot_of(attempt) - 1) / LEDGER_SHARED];
  if ((attempt - 1) % LEDGER_SHARED == 0) {
    run->state.ledger_bytes -= *part;
    *part = 0;
  }
  return part;
}

static void store_failure(engine_run *run, pb_store_ActivityItem *act, const pb_Failure *failure,
                          pb_store_AttemptRecord *rec) {
  const int32_t number = number_of(act);
  arena *a = run->tx.arena;
  span encoded = PB_ENCODE(Failure, failure, a);
  uint64_t hash = hash_stored(encoded);
  rec->failure_bytes = (int64_t)encoded.n;
  int64_t *part = part_bytes(run, act, number);
  pb_store_AttemptFailureRef *ref = find_ref(act, hash);
  if (ref && ref_holds(ref, number)) {
    rec->failure_slot = ref->slot;
    return;
  }
  if (run->state.ledger_bytes + (int64_t)encoded.n > run->tx.st->host->limits->ledger_bytes) {
    rec->failure_omitted = true;
    return;
  }
  rec->failure = (pb_Failure *)failure;
  run->state.ledger_bytes += (int64_t)encoded.n;
  *part += (int64_t)encoded.n;
  add_ref(act, a, hash, number);
}

void ledger_add(engine_run *run, engine_item *it, const ledger_entry *entry) {
  pb_store_ActivityItem *act = item_edit(run, it);
  pb_store_AttemptRecord rec = {.attempt = act->attempt,
                                .scheduled_time = act->scheduled_time,
                                .started_time = act->started_time,
                                .ended_time = entry->ended_time,
                                .worker_identity = entry->worker_identity,
                                .next_delay = entry->next_delay,
                                .retry_state = entry->retry_state};
  if (act->earlier_attempts) rec.number = number_of(act);
  if (entry->failure) store_failure(run, act, entry->failure, &rec);
  *step_row(run->tx.st) =
      (store_row){.kind = ROW_ATTEMPT_PUT,
                  .run = run->run,
                  .id = it->id,
                  .attempt = slot_of(number_of(act)),
                  .blob = bytes_copy(PB_ENCODE(store_AttemptRecord, &rec, run->tx.arena))};
}

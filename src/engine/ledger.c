/* ledger.c - what happened to each attempt of an activity, kept beside history.
 *
 * The last LEDGER_ATTEMPTS attempts have a row each (row number attempt mod LEDGER_ATTEMPTS). A
 * failure that an earlier kept attempt reported too is stored once: the later row names the
 * earlier. When a row that others name is about to be overwritten, the new failure is written out
 * in full, so nothing dangles. Beyond the run's budget rows say that the failure was left out, and
 * its size.
 */
#include "base/hash.h"
#include "engine/engine_int.h"

enum { LEDGER_ATTEMPTS = 64, LEDGER_REFS = 8 };

static int32_t slot_of(int32_t attempt) { return (attempt - 1) % LEDGER_ATTEMPTS + 1; }

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
  return attempt - ref->last_attempt < LEDGER_ATTEMPTS / 2;
}

static void store_failure(engine_run *run, pb_store_ActivityItem *act, const pb_Failure *failure,
                          pb_store_AttemptRecord *rec) {
  arena *a = run->tx.arena;
  span encoded = PB_ENCODE(Failure, failure, a);
  uint64_t hash = hash_bytes((hash_key){1, 2}, encoded);
  rec->failure_bytes = (int64_t)encoded.n;
  pb_store_AttemptFailureRef *ref = find_ref(act, hash);
  if (ref && ref_holds(ref, rec->attempt)) {
    rec->failure_slot = ref->slot;
    return;
  }
  if (run->state.ledger_bytes + (int64_t)encoded.n > run->tx.st->host->limits->ledger_bytes) {
    rec->failure_omitted = true;
    return;
  }
  rec->failure = (pb_Failure *)failure;
  run->state.ledger_bytes += (int64_t)encoded.n;
  add_ref(act, a, hash, rec->attempt);
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
  if (entry->failure) store_failure(run, act, entry->failure, &rec);
  *step_row(run->tx.st) =
      (store_row){.kind = ROW_ATTEMPT_PUT,
                  .run = run->run,
                  .id = it->id,
                  .attempt = slot_of(act->attempt),
                  .blob = bytes_copy(PB_ENCODE(store_AttemptRecord, &rec, run->tx.arena))};
}

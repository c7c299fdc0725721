/* promise.c - run keys promised to children before their runs exist.
 *
 * A start that is delivered twice finds by the promised run id whether it was delivered before. So
 * no other run may get that key, not even after a crash between the promise and the start: a named
 * record says how far keys may have been promised, and is written with the first promise beyond.
 */
#include "shard/shard_int.h"

static const span record_name = {(const uint8_t *)"run-keys", 8};

void host_promise_run(void *ctx, arena *a, span *ret_run_id) {
  shard *s = ctx;
  s->host.new_run(s, a, &s->promised_key, ret_run_id);
}

bool promise_is_unwritten(const shard *s) { return s->promised_key > s->reserved_key; }

store_row promise_row(shard *s, step *t) {
  enum { BLOCK = 64 }; /* a row for so many children; what a crash skips is no loss */
  pb_store_PromisedRunKeys record = {.until = s->promised_key + BLOCK};
  t->reserves_key = record.until;
  return (store_row){.kind = ROW_NAMED_PUT,
                     .name = record_name,
                     .blob = bytes_copy(PB_ENCODE(store_PromisedRunKeys, &record, &t->arena))};
}

void promise_durable(shard *s, const step *t) {
  s->reserved_key = MAX(s->reserved_key, t->reserves_key);
}

err *promise_load(shard *s, const store_row *rows, size_t n, arena *a) {
  for (size_t i = 0; i < n; i++) {
    if (!span_eq(rows[i].name, record_name)) continue;
    pb_store_PromisedRunKeys *record;
    err *e = PB_DECODE(store_PromisedRunKeys, bytes_span(rows[i].blob), a, &record);
    if (e) return ERR_WRAP(a, DATA_LOSS, e, "the stored promise of run keys does not decode");
    s->reserved_key = s->promised_key = record->until;
    s->last_run_key = MAX(s->last_run_key, record->until);
  }
  return NULL;
}

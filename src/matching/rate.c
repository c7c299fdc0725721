#include "matching/rate.h"

#include <string.h>

static void advance(rate_meter *m, int64_t slot) {
  if (slot <= m->slot) return;
  int64_t passed = MIN(slot - m->slot, (int64_t)RATE_SLOTS);
  for (int64_t i = 1; i <= passed; i++) m->counts[(m->slot + i) % RATE_SLOTS] = 0;
  m->slot = slot;
}

void rate_count(rate_meter *m, int64_t now_ns) {
  int64_t slot = now_ns / RATE_SLOT_NS;
  if (!m->first_ns) *m = (rate_meter){.first_ns = now_ns, .slot = slot};
  advance(m, slot);
  m->counts[m->slot % RATE_SLOTS]++;
}

float rate_per_second(const rate_meter *m, int64_t now_ns) {
  if (!m->first_ns) return 0;
  rate_meter at = *m;
  advance(&at, now_ns / RATE_SLOT_NS);
  uint64_t sum = 0;
  for (int i = 0; i < RATE_SLOTS; i++) sum += at.counts[i];
  int64_t most = RATE_SLOTS * RATE_SLOT_NS;
  int64_t over_ns = MAX(MIN(now_ns - m->first_ns, most), INT64_C(1));
  /* A moment after the first one it is not yet known how often they come. */
  over_ns = MAX(over_ns, NS_PER_SEC);
  return (float)((double)sum * (double)NS_PER_SEC / (double)over_ns);
}

void rate_limit_set(rate_limit *l, float per_second) {
  l->limited = true;
  l->per_second = per_second;
  l->interval_ns = per_second > 0 ? (int64_t)((double)NS_PER_SEC / (double)per_second) : 0;
  l->burst = MAX((int64_t)per_second, (int64_t)1);
}

void rate_limit_clear(rate_limit *l) { *l = (rate_limit){.next_ns = l->next_ns}; }

bool rate_limit_take(rate_limit *l, int64_t now_ns) {
  if (!l->limited) return true;
  if (rate_limit_next_ns(l) > now_ns) return false;
  l->next_ns = MAX(l->next_ns, now_ns) + l->interval_ns;
  return true;
}

int64_t rate_limit_next_ns(const rate_limit *l) {
  if (!l->limited) return 0;
  return l->per_second > 0 ? l->next_ns - (l->burst - 1) * l->interval_ns : INT64_MAX;
}

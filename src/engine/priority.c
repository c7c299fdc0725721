/* priority.c - which tasks go first. Fairness keys and weights are carried, and order nothing. */
#include "engine/engine_int.h"

enum { DEFAULT_LEVEL = 3, LOWEST_LEVEL = 5 };

const char *priority_problem(const pb_Priority *p) {
  if (!p) return NULL;
  if (p->priority_key < 0) return "priority key can't be negative";
  if (p->fairness_key.n > FAIRNESS_KEY_LIMIT_BYTES) return "fairness key length exceeds limit";
  return p->fairness_weight < 0 ? "must be greater than zero" : NULL;
}

int32_t priority_level(const pb_Priority *p) {
  return p && p->priority_key ? MIN(p->priority_key, LOWEST_LEVEL) : DEFAULT_LEVEL;
}

const pb_Priority *priority_inherited(const pb_Priority *own, const pb_Priority *of_parent,
                                      arena *a) {
  if (!own || !of_parent) return own ? own : of_parent;
  pb_Priority *p = pb_new(a, Priority);
  *p = *own;
  if (!p->priority_key) p->priority_key = of_parent->priority_key;
  if (!p->fairness_key.n) p->fairness_key = of_parent->fairness_key;
  if (p->fairness_weight == 0) p->fairness_weight = of_parent->fairness_weight;
  return p;
}

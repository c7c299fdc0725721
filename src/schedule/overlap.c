/* overlap.c - what is buffered meets what is running.
 *
 *   policy          something runs                    another one begins in this step
 *   SKIP            skipped                           skipped
 *   BUFFER_ONE      waits if none does, else skipped  the same
 *   BUFFER_ALL      waits                             waits
 *   CANCEL_OTHER    waits; what runs is cancelled     begins instead of it
 *   TERMINATE_OTHER waits; what runs is terminated    begins instead of it
 *   ALLOW_ALL       begins beside                     begins beside
 */
#include "schedule/scheduler_int.h"

static void skip(overlap_outcome *out, pb_store_ScheduledStart *start) { out->skipped++; }

static void wait(overlap_outcome *out, pb_store_ScheduledStart *start) {
  out->waiting[out->n_waiting++] = start;
}

static void wait_first(overlap_outcome *out, pb_store_ScheduledStart *start) {
  if (out->n_waiting) {
    skip(out, start);
  } else {
    wait(out, start);
  }
}

static void cancel_other(overlap_outcome *out, pb_store_ScheduledStart *start) {
  out->cancel = true;
  wait(out, start);
}

static void terminate_other(overlap_outcome *out, pb_store_ScheduledStart *start) {
  out->terminate = true;
  wait(out, start);
}

static void instead(overlap_outcome *out, pb_store_ScheduledStart *start) { out->alone = start; }

typedef void action(overlap_outcome *out, pb_store_ScheduledStart *start);

static const struct {
  action *running, *beginning;
} rules[] = {
    [PB_SCHEDULE_OVERLAP_POLICY_SKIP] = {skip, skip},
    [PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ONE] = {wait_first, wait_first},
    [PB_SCHEDULE_OVERLAP_POLICY_BUFFER_ALL] = {wait, wait},
    [PB_SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER] = {cancel_other, instead},
    [PB_SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER] = {terminate_other, instead},
};

static void decide_one(const overlap_input *in, overlap_outcome *out,
                       pb_store_ScheduledStart *start) {
  int32_t policy = start->overlap_policy ? start->overlap_policy : in->policy;
  if (policy == PB_SCHEDULE_OVERLAP_POLICY_ALLOW_ALL) {
    out->beside[out->n_beside++] = start;
  } else if (!in->is_running && !out->alone) {
    out->alone = start;
  } else if (policy > 0 && policy < (int32_t)ARRAY_LEN(rules)) {
    (in->is_running ? rules[policy].running : rules[policy].beginning)(out, start);
  }
}

overlap_outcome overlap_decide(const overlap_input *in, arena *a) {
  overlap_outcome out = {.beside = arena_array(a, pb_store_ScheduledStart *, in->n + 1),
                         .waiting = arena_array(a, pb_store_ScheduledStart *, in->n + 1)};
  for (size_t i = 0; i < in->n; i++) decide_one(in, &out, in->starts[i]);
  /* They would be stopped at once. */
  if (out.cancel || out.terminate) out.n_beside = 0;
  return out;
}

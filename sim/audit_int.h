/* audit_int.h - one run under audit, shared by audit.c and audit_outside.c. */
#ifndef PERDURE_SIM_AUDIT_INT_H
#define PERDURE_SIM_AUDIT_INT_H

#include "sim.h"

#include "engine/engine_int.h"

typedef struct audit_run {
  sim *sim;
  arena *arena;
  store_load *load; /* of the run */
  pb_store_RunInfo *info;
  pb_store_RunState *state;
  pb_HistoryEvent **events;
  size_t n;
  engine_run *engine;
} audit_run;

#define BROKEN(r, id, fmt, ...)                                                   \
  sim_broken((r)->sim, id, "run %.*s of %.*s: " fmt, SPAN_ARG((r)->info->run_id), \
             SPAN_ARG((r)->info->workflow_id), __VA_ARGS__)

/* From the disk, as it is now. */
void audit_load(sim *s, store_load *l);
void audit_load_release(store_load *l);
/* False: it is not there. Released by the caller. */
bool audit_load_state(sim *s, span run_id, store_load *l, pb_store_RunState **ret_state);
/* The record was found on disk in this audit. */
void audit_see(audit_run *r, record *rec);
/* Fills events and n; what is not in order is broken. */
void audit_read_events(audit_run *r);
const pb_HistoryEvent *audit_event_at(const audit_run *r, int64_t id, int32_t type);

/* --- audit_outside.c --- */

/* What this run told others, and what it was told, as its history says. */
void audit_outside(audit_run *r);
/* A signal that is in history, or waits in the buffer. */
void audit_sent_signal(audit_run *r, const pb_HistoryEvent *ev);
/* After all runs. */
void audit_outside_all(sim *s);

/* Without faults a deadline is kept; there is one. */
void audit_due(audit_run *r, int64_t due_ns, const char *what);

/* --- audit_schedule.c --- */

void audit_schedule(audit_run *r);
/* A workflow, maybe of a schedule. */
void audit_scheduled(audit_run *r);
/* After all runs. */
void audit_schedules_all(sim *s);

/* --- audit_visible.c --- */

/* After all runs. */
void audit_visible(sim *s);

/* --- audit_reset.c --- */

void audit_reset(audit_run *r);

/* --- audit_update.c --- */

void audit_updates(audit_run *r);
/* After all runs. */
void audit_updates_all(sim *s);

#endif

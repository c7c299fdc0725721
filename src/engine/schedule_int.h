/* schedule_int.h - inside the engine: what it does for a run that is a schedule. */
#ifndef PERDURE_ENGINE_SCHEDULE_INT_H
#define PERDURE_ENGINE_SCHEDULE_INT_H

#include "engine/engine_int.h"
#include "engine/message.h"
#include "schedule/scheduler.h"

/* --- schedule.c --- */

/* In a transaction: a copy of the state, which the rules change in place. schedule_settle goes on
 * from there and keeps what is to be done. */
scheduler schedule_open(engine_run *run);
void schedule_settle(engine_run *run, scheduler *s);
void schedule_fire(engine_run *run, engine_step *st);
/* Whether what every reader relies on is there. */
bool schedule_is_whole(const pb_store_RunState *state);

/* --- schedule_effects.c --- */

/* Where the action cannot be started, no start is made; true if there was one. */
bool schedule_drop_starts(engine_run *run, scheduler *s);
/* What the rules want done becomes items, which messages are derived from. */
void schedule_keep_effects(engine_run *run, scheduler *s);
/* What is not told yet will not be. */
void schedule_drop_effects(engine_run *run);
/* A workflow has ended. It was started, even if the answer to that is still on its way. */
void schedule_take_end(engine_run *run, scheduler *s, const engine_message *m);

#endif

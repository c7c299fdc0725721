/* script_replay.h - whether a run's history alone says what its rows say. */
#ifndef PERDURE_ENGINE_SCRIPT_REPLAY_H
#define PERDURE_ENGINE_SCRIPT_REPLAY_H

#include "engine/script_world.h"

/* The run's events in the model, up to the longest history that is replayed. */
pb_HistoryEvent **world_events(world *w, int64_t run, arena *a, size_t *ret_n);
/* Replays the history in the model and compares with the run as its rows have it, in all that
 * events tell. What differs, or NULL. */
const char *replay_problem(world *w, const engine_run *rows, arena *a);

#endif

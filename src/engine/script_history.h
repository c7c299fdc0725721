/* script_history.h - what every history must look like, whatever happened. */
#ifndef PERDURE_ENGINE_SCRIPT_HISTORY_H
#define PERDURE_ENGINE_SCRIPT_HISTORY_H

#include "engine/script_world.h"

/* Ids without a gap, what refers to an event refers to one of the right type before it, nothing
 * ends twice, nothing after the end. What is wrong, or NULL. */
const char *history_problem(model *m, int64_t run, arena *a);

#endif

/* replay_int.h - the parts of replay.h: one function per type of event. */
#ifndef PERDURE_ENGINE_REPLAY_INT_H
#define PERDURE_ENGINE_REPLAY_INT_H

#include "engine/replay.h"

typedef struct replayer {
  engine_run *run;
  const replay_args *args;
  bool unfit; /* the event at hand speaks of what is not there */
} replayer;

typedef struct replay_rule {
  int32_t type;
  void (*apply)(replayer *r, pb_HistoryEvent *ev); /* NULL ends a table */
} replay_rule;

#define REPLAY_RULE(TYPE, fn) \
  { PB_EVENT_TYPE_##TYPE, fn }

extern const replay_rule replay_outside_rules[];

/* The pending item that an event is about; NULL: the event does not fit. */
engine_item *replay_pending(replayer *r, int64_t id, int32_t kind);
/* The item is not pending any more. */
void replay_over(replayer *r, int64_t id, int32_t kind);

#endif

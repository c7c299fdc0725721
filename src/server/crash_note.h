/* crash_note.h - which run was being worked on when the process died, so that one poisoned run does
 * not take the server down for all.
 *
 * A fatal signal appends a line to DATABASE.crashes: the key of the run under way, or 0. A run on
 * two lines in a row is quarantined from the next start on: left as it is, visibly, until somebody
 * removes the file. A server that ends in order takes back the last line if it stands alone. kill
 * -9 and power failures leave no line: they say nothing about a run.
 *
 * One per process: signal handlers have no argument.
 */
#ifndef PERDURE_SERVER_CRASH_NOTE_H
#define PERDURE_SERVER_CRASH_NOTE_H

#include "base/arena.h"

typedef struct crash_note {
  const char *path; /* NULL: not begun */
  int64_t *quarantined;
  size_t n_quarantined;
  const volatile int64_t *suspect; /* set by the owner once it is known; NULL: nothing is noted */
} crash_note;

/* Reads what was noted, says in the log what is quarantined, and catches fatal signals. `n` must
 * stay where it is until crash_note_end; the results live in the arena. */
void crash_note_begin(crash_note *n, const char *db_path, arena *a);
/* The process ends in order. Nothing happens when it was never begun. */
void crash_note_end(crash_note *n);

#endif

/* overlay.h - rows that are committed and not yet in tables, merged as far as they can be.
 *
 * Most of what a step writes is soon replaced: the state of a run by its next state, an item by its
 * end. Rows stay here for a while, so that tables see only what is left of them, in the order in
 * which each first came. Beside the rows the overlay knows what they say about runs and workflow
 * ids, by which a later step is checked before it is committed.
 *
 * `facts` are that knowledge alone; levels of them lie over one another and over the tables.
 *
 * The writing thread changes an overlay; others may ask overlay_touches under the lock that covers
 * those changes.
 */
#ifndef PERDURE_STORE_OVERLAY_H
#define PERDURE_STORE_OVERLAY_H

#include "base/hash.h"
#include "base/hmap.h"
#include "store/store.h"

/* --- what is known of runs and workflow ids --- */

typedef struct run_fact {
  hmap_node node;
  int64_t run;
  bool born;            /* by these rows */
  bool exists, deleted; /* neither: these rows do not tell */
  int64_t last_history; /* the largest id of its history rows here; 0: none */
  int64_t ns;           /* of a run born here */
  span workflow_id;
} run_fact;

typedef struct name_fact {
  hmap_node node;
  int64_t ns;
  span workflow_id;
  int64_t current; /* the run that is current now; 0: none */
} name_fact;

typedef struct facts {
  arena *arena; /* of the owner: facts, and what rows refer to */
  hash_key key;
  hmap runs, names;
} facts;

void facts_init(facts *f, arena *a, hash_key key);
void facts_release(facts *f);
/* What a row says, once it is part of a commit. A ROW_RUN_DELETE has a workflow id only if the run
 * is the current one of it. */
void facts_note(facts *f, const store_row *r);
/* NULL: nothing is known here. */
const run_fact *facts_of_run(const facts *f, int64_t run);
const name_fact *facts_of_name(const facts *f, int64_t ns, span workflow_id);

/* --- the overlay --- */

typedef struct overlay_row {
  struct overlay_row *next; /* in order */
  hmap_node node;           /* by what the row is about */
  bool gone;                /* nothing of it is left */
  store_row row;
} overlay_row;

typedef struct overlay {
  arena arena;
  facts facts;
  hmap rows;
  overlay_row *first, **end;
  size_t n_rows;
  int64_t last_commit; /* number of the newest */
  int64_t largest_seq; /* of a row's place in a queue, replaced rows included */
} overlay;

overlay *overlay_new(hash_key key);
/* Accepts NULL. */
void overlay_free(overlay *o);
/* The rows of one commit; `content` is not kept. false: it is damaged. */
bool overlay_add(overlay *o, int64_t commit, span content);
/* Whether a read of this run may miss something in the tables. */
static inline bool overlay_touches(const overlay *o, int64_t run) {
  return o && facts_of_run(&o->facts, run);
}

#endif

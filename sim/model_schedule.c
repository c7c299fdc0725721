/* model_schedule.c - what the owners of schedules were told (C1). Between a request and its answer
 * nobody knows the notes. */
#include "sim.h"

#include "engine/schedule.h"

static void set_notes(record *r, span notes) {
  bytes_unref(r->text);
  r->text = notes.p ? bytes_copy(notes) : NULL;
}

void model_schedule_asked(sim *s, span id, const pb_SchedulePatch *patch) {
  record *r = model_make(s, REC_SCHEDULE, id);
  if (patch->trigger_immediately) {
    r->told_again = true;
  } else {
    set_notes(r, SPAN_NONE);
  }
}

void model_schedule_deleting(sim *s, span id) {
  record *r = model_make(s, REC_SCHEDULE, id);
  r->may_go = true;
  set_notes(r, SPAN_NONE);
}

void model_schedule_answered(sim *s, const sim_call *c, const void *request, const void *response) {
  record *r;
  if (c->method == CALL_create_schedule) {
    const pb_CreateScheduleRequest *q = request;
    r = model_make(s, REC_SCHEDULE, q->schedule_id);
    if (!r->acknowledged && !r->may_go) set_notes(r, q->schedule->state->notes);
    r->acknowledged = true;
  } else if (c->method == CALL_patch_schedule) {
    const pb_PatchScheduleRequest *q = request;
    r = model_make(s, REC_SCHEDULE, q->schedule_id);
    if (q->patch->trigger_immediately || r->may_go) return;
    set_notes(r, q->patch->pause.n ? q->patch->pause : q->patch->unpause);
  } else if (c->method == CALL_delete_schedule) {
    model_make(s, REC_SCHEDULE, ((const pb_DeleteScheduleRequest *)request)->schedule_id)
        ->accepted = 1;
  } else if (c->method == CALL_describe_schedule) {
    const pb_DescribeScheduleRequest *q = request;
    const pb_DescribeScheduleResponse *d = response;
    r = model_make(s, REC_SCHEDULE, q->schedule_id);
    if (r->text && !span_eq(bytes_span(r->text), d->schedule->state->notes)) {
      sim_broken(s, "C1", "schedule %.*s is described with the notes %.*s", SPAN_ARG(r->key),
                 SPAN_ARG(d->schedule->state->notes));
    }
  }
}

void model_schedule_not_found(sim *s, span id) {
  const record *r = model_make(s, REC_SCHEDULE, id);
  if (!r->acknowledged || r->may_go) return;
  sim_broken(s, "C1", "schedule %.*s was acknowledged and is not found", SPAN_ARG(id));
}

/* audit_visible.c - the records that lists read, against the runs (V1): one each, and true. */
#include "audit_int.h"

#include "store/memory_disk.h"

static void check_record(sim *s, const disk_row *row) {
  arena a = ARENA_INIT;
  store_load l = {.kind = LOAD_RUN, .run = row->r.run};
  pb_store_RunState *state;
  pb_store_RunInfo *info;
  const store_visible *v = row->r.visible;
  audit_load(s, &l);
  if (!l.found) sim_broken(s, "V1", "run %lld is listed and not there", (long long)row->r.run);
  if (PB_DECODE(store_RunState, bytes_span(l.row.blob), &a, &state) ||
      PB_DECODE(store_RunInfo, bytes_span(l.row.info), &a, &info)) {
    sim_broken(s, "D3", "run %lld does not decode", (long long)row->r.run);
  }
  audit_run r = {.sim = s, .info = info};
  bool open = state->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
  if (row->r.status != state->status) {
    BROKEN(&r, "V1", "it is listed with status %d and has %d", row->r.status, state->status);
  }
  if (!span_eq(v->run_id, info->run_id))
    BROKEN(&r, "V1", "it is listed as %.*s", SPAN_ARG(v->run_id));
  if (v->closed_ns != (open ? 0 : state->close_time)) {
    BROKEN(&r, "V1", "it is listed as closed at %lld", (long long)v->closed_ns);
  }
  audit_load_release(&l);
  arena_release(&a);
}

void audit_visible(sim *s) {
  int64_t listed = 0, there = 0;
  for (const disk_row *row = disk_first(s->disk, TABLE_VISIBLE); row; row = disk_next(row)) {
    check_record(s, row);
    listed++;
  }
  for (const disk_row *row = disk_first(s->disk, TABLE_RUN); row; row = disk_next(row)) there++;
  if (listed != there) {
    sim_broken(s, "V1", "%lld runs are listed, %lld are there", (long long)listed,
               (long long)there);
  }
}

/* mutant.c - broken builds. Each breaks one promise at the seam between the core and its
 * surroundings (env, store, requests), where it can be done without touching the core; a test
 * proves that some check sees it. */
#include "sim.h"

#include "engine/engine.h"
#include "proto/pb_time.h"
#include "store/memory_disk.h"

static const struct {
  const char *name, *what;
} mutants[] = {
#define X(name, what) {#name, what},
    SIM_MUTANTS(X)
#undef X
};

const char *mutant_name(sim_mutant m) { return mutants[m].name; }
const char *mutant_what(sim_mutant m) {
  return (size_t)m < ARRAY_LEN(mutants) ? mutants[m].what : NULL;
}

bool mutant_parse(const char *name, sim_mutant *ret_mutant) {
  for (size_t i = 0; i < ARRAY_LEN(mutants); i++) {
    if (strcmp(mutants[i].name, name) != 0) continue;
    *ret_mutant = (sim_mutant)i;
    return true;
  }
  return false;
}

/* --- env --- */

bool mutant_loses_post(sim *s) {
  return s->options.mutant == MUTANT_lost_post && s->env.posts % 200 == 0;
}

bool mutant_loses_wake(sim *s) {
  return s->options.mutant == MUTANT_lost_wake && s->env.wakes % 4 == 0;
}

int64_t mutant_clock_ns(sim *s) {
  bool ahead = s->options.mutant == MUTANT_clock_ahead && s->now_ns / NS_PER_SEC % 10 > 7;
  return s->now_ns + (ahead ? 2 * NS_PER_SEC : 0);
}

/* --- store --- */

static bool drops_row(sim *s, const store_row *r) {
  switch (s->options.mutant) {
    case MUTANT_drop_item_delete:
      return r->kind == ROW_ITEM_DELETE;
    case MUTANT_drop_history:
      return r->kind == ROW_HISTORY_ADD && r->id > 1 && sim_below(s, 10) == 0;
    case MUTANT_drop_attempt:
      return r->kind == ROW_ATTEMPT_PUT;
    case MUTANT_drop_queue_name:
      return r->kind == ROW_NAMED_PUT && span_starts_with(r->name, SPAN("queue/"));
    case MUTANT_old_state:
      return r->kind == ROW_RUN_UPDATE && sim_below(s, 8) == 0;
    default:
      return false;
  }
}

static void change_row(sim *s, store_row *r) {
  if (s->options.mutant == MUTANT_drop_due) r->due_ns = 0;
  if (s->options.mutant == MUTANT_drop_queue) r->queued = (store_queued){0};
  if (s->options.mutant == MUTANT_drop_current && r->kind == ROW_CURRENT_PUT) {
    store_load l = {.kind = LOAD_CURRENT, .ns = r->ns, .workflow_id = r->workflow_id};
    disk_load(s->disk, &l);
    r->expected_run = l.found ? l.run : 0;
    engine_rows_release(&l.row, 1);
    engine_rows_release(l.rows, l.n_rows);
    arena_release(&l.arena);
  }
}

static sim *sim_of_store(store *st) { return CONTAINER_OF(st->env, sim_env, env)->sim; }

/* Only one simulation runs in a process. */
static sim *liar;

static void lie(env_task *t) {
  store_batch *b = CONTAINER_OF(t, store_batch, task);
  store_status hidden = liar->options.mutant == MUTANT_failed_is_ok ? STORE_FAILED : STORE_CONFLICT;
  for (store_step *e = b->steps; e; e = e->next) {
    if (e->status == hidden) e->status = STORE_OK;
  }
  liar->real_done(t);
}

static void load(store *st, store_load *l) {
  sim *s = sim_of_store(st);
  switch (s->options.mutant) {
    case MUTANT_no_due_scan:
      if (l->kind == LOAD_DUE) l->until_ns = 0;
      break;
    case MUTANT_no_backlog:
      if (l->kind == LOAD_QUEUE) l->queued.queue = -1;
      break;
    case MUTANT_no_names:
      if (l->kind == LOAD_NAMED) l->name = SPAN("queue/none");
      break;
    case MUTANT_other_history:
      if (l->kind == LOAD_HISTORY && l->run > 1) l->run--;
      break;
    case MUTANT_no_current:
      if (l->kind == LOAD_CURRENT && sim_below(s, 4) == 0) l->ns = -1;
      break;
    default:
      break;
  }
  s->real_load(st, l);
}

static void commit(store *st, store_batch *b) {
  sim *s = sim_of_store(st);
  liar = s;
  if (s->options.mutant == MUTANT_failed_is_ok || s->options.mutant == MUTANT_conflict_is_ok) {
    s->real_done = b->task.run;
    b->task.run = lie;
  }
  for (store_step *e = b->steps; e; e = e->next) {
    size_t n = 0;
    for (size_t i = 0; i < e->n_rows; i++) {
      store_row row = e->rows[i];
      if (drops_row(s, &row)) {
        engine_rows_release(&row, 1);
        continue;
      }
      change_row(s, &row);
      e->rows[n++] = row;
    }
    e->n_rows = n;
  }
  s->real_commit(st, b);
}

void mutant_wrap_store(sim *s) {
  s->real_commit = s->store->commit;
  s->real_load = s->store->load;
  if (!s->options.mutant) return;
  s->store->commit = commit;
  s->store->load = load;
}

/* --- requests --- */

static void change_command(sim *s, pb_Command *c, arena *a) {
  if (c->which_attributes == PB_Command_start_timer_command_attributes_FIELD) {
    pb_StartTimerCommandAttributes *t = c->start_timer_command_attributes;
    int64_t ns = pb_duration_ns(t->start_to_fire_timeout);
    if (s->options.mutant == MUTANT_short_timer) {
      t->start_to_fire_timeout = pb_duration_new(a, ns / 10 * 9);
    }
  } else if (c->which_attributes == PB_Command_schedule_activity_task_command_attributes_FIELD) {
    pb_RetryPolicy *p = c->schedule_activity_task_command_attributes->retry_policy;
    if (!p) return;
    if (s->options.mutant == MUTANT_more_attempts && p->maximum_attempts) p->maximum_attempts++;
    if (s->options.mutant == MUTANT_fast_backoff) {
      p->initial_interval = pb_duration_new(a, pb_duration_ns(p->initial_interval) / 2);
    }
  }
}

void mutant_request(sim *s, sim_method m, void *request, arena *a) {
  sim_mutant mutant = s->options.mutant;
  if (m == CALL_wft_complete) {
    pb_RespondWorkflowTaskCompletedRequest *r = request;
    for (size_t i = 0; i < r->commands.n; i++) change_command(s, r->commands.v[i], a);
  } else if (m == CALL_activity_fail && mutant == MUTANT_cut_failure) {
    pb_Failure *f = ((pb_RespondActivityTaskFailedRequest *)request)->failure;
    if (f) f->cause = NULL;
  } else if (m == CALL_signal && mutant == MUTANT_forget_request_id) {
    ((pb_SignalWorkflowExecutionRequest *)request)->request_id = SPAN_NONE;
  } else if (m == CALL_start && mutant == MUTANT_new_start_id) {
    ((pb_StartWorkflowExecutionRequest *)request)->request_id =
        arena_spanf(a, "new-%llu", (unsigned long long)s->n_calls);
  }
}

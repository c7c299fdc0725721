/* script_random_test.c - random lines of scripts against one run, with crashes in between: the
 * promises of script_world.h hold after every line, histories are sound, and the run can be ended.
 *
 *   script_random_test [SEEDS] [FIRST-SEED]      prints the lines of the seed that fails
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/script_history.h"
#include "engine/script_verbs.h"

enum { LINES = 150, NAMES = 6, MOST_COMMANDS = 4 };

typedef struct walk {
  world w;
  rng random;
  buf said; /* every line so far */
  arena arena;
} walk;

static uint64_t below(walk *k, uint64_t n) { return rng_below(&k->random, n); }

/* --- lines --- */

static const char *command_line(walk *k, engine_run *run) {
  arena *a = &k->arena;
  int id = (int)below(k, NAMES);
  switch (below(k, 15)) {
    case 12:
      return arena_printf(a, " StartChildWorkflowExecution workflow_id=k%d workflow_type=K %s\n",
                          id, below(k, 3) ? "" : "parent_close_policy=Abandon");
    case 13:
      return arena_printf(a,
                          " SignalExternalWorkflowExecution execution.workflow_id=k%d "
                          "signal_name=s\n",
                          id);
    case 14:
      return arena_printf(a, " RequestCancelExternalWorkflowExecution workflow_id=x%d\n", id);
    case 0:
    case 1:
    case 2:
      return arena_printf(a,
                          " ScheduleActivityTask activity_id=a%d activity_type=Act task_queue=q "
                          "start_to_close_timeout=%ds heartbeat_timeout=%ds "
                          "retry_policy.maximum_attempts=%d%s\n",
                          id, (int)below(k, 4) + 1, (int)below(k, 3), (int)below(k, 4),
                          below(k, 3) ? "" : " schedule_to_close_timeout=6s");
    case 3:
    case 4: {
      size_t n;
      engine_item **items = items_sorted(run, PB_ITEM_KIND_ACTIVITY, a, &n);
      int64_t event = n ? items[below(k, n)]->id : (int64_t)below(k, 20);
      return arena_printf(a, " RequestCancelActivityTask scheduled_event_id=%lld\n",
                          (long long)event);
    }
    case 5:
    case 6:
      return arena_printf(a, " StartTimer timer_id=t%d start_to_fire_timeout=%ds\n", id,
                          (int)below(k, 4));
    case 7:
      return arena_printf(a, " CancelTimer timer_id=t%d\n", id);
    case 8:
      return " RecordMarker marker_name=m details.data=1\n";
    case 9:
      return arena_printf(a, " ModifyWorkflowProperties upserted_memo.fields.m%d=%d\n", id, id);
    case 10:
      return below(k, 8) ? "" : " FailWorkflowExecution failure=\"Broken: down\"\n";
    default:
      return below(k, 8) ? "" : " ContinueAsNewWorkflowExecution input=again\n";
  }
}

/* Of an update that waits, that was accepted, or of none. */
static const char *message_line(walk *k) {
  static const char *const ways[] = {"accept", "accept", "respond", "refuse"};
  const char *way = ways[below(k, ARRAY_LEN(ways))];
  return arena_printf(&k->arena, " %s u%d%s\n", way, (int)below(k, NAMES),
                      strcmp(way, "respond") == 0 ? " outcome.success=r" : "");
}

static const char *completion(walk *k, engine_run *run) {
  arena *a = &k->arena;
  const char *text = arena_printf(
      a, "complete token=w%d%s%s%s%s\n", (int)below(k, 3),
      below(k, 2) ? " capabilities.discard_speculative_workflow_task_with_events=true" : "",
      below(k, 2) ? " sticky_attributes.worker_task_queue=s "
                    "sticky_attributes.schedule_to_start_timeout=2s"
                  : "",
      below(k, 5) ? "" : " force_create_new_workflow_task=true",
      below(k, 4) ? ""
                  : arena_printf(a, " return_new_workflow_task=true as=w%d", (int)below(k, 3)));
  for (uint64_t n = below(k, 3); n > 0; n--) {
    text = arena_printf(a, "%s%s", text, message_line(k));
  }
  if (below(k, 3) == 0) return text; /* nothing else: a speculative task may be dropped */
  for (uint64_t n = below(k, MOST_COMMANDS + 1); n > 0; n--) {
    text = arena_printf(a, "%s%s", text, command_line(k, run));
  }
  return text;
}

static const char *answer(walk *k) {
  static const char *const ways[] = {"done %s result=r",
                                     "failed %s failure=\"Broken: no\"",
                                     "failed %s failure=\"!Broken: never\"",
                                     "canceled %s",
                                     "beat %s details=d",
                                     "release %s"};
  char who[16];
  size_t way = below(k, ARRAY_LEN(ways));
  bool by_id = below(k, 4) == 0 && way != ARRAY_LEN(ways) - 1;
  (void)snprintf(who, sizeof who, "%sa%d", by_id ? "id:" : "", (int)below(k, NAMES));
  const char *at = strstr(ways[way], "%s");
  return arena_printf(&k->arena, "%.*s%s%s\n", (int)(at - ways[way]), ways[way], who, at + 2);
}

static const char *control(walk *k) {
  arena *a = &k->arena;
  const int id = (int)below(k, NAMES);
  switch (below(k, 6)) {
    case 0:
    case 1:
      return arena_printf(a, "pause id=a%d request_id=p%d\n", id, (int)below(k, 3));
    case 2:
      return arena_printf(a, "unpause %s%s\n", below(k, 2) ? "unpause_all=true" : "type=Act",
                          below(k, 2) ? "" : " reset_attempts=true reset_heartbeat=true");
    case 3:
      return arena_printf(a, "unpause id=a%d jitter=2s\n", id);
    case 4:
      return arena_printf(a, "reset id=a%d%s%s\n", id, below(k, 2) ? " keep_paused=true" : "",
                          below(k, 2) ? " restore_original_options=true" : "");
    default:
      if (below(k, 3) == 0) return arena_printf(a, "options id=a%d restore_original=true\n", id);
      return arena_printf(a,
                          "options id=a%d update_mask.paths=start_to_close_timeout "
                          "update_mask.paths=task_queue.name "
                          "activity_options.start_to_close_timeout=%ds "
                          "activity_options.task_queue=%s\n",
                          id, 1 + (int)below(k, 5), below(k, 2) ? "q" : "elsewhere");
  }
}

/* From another run: an answer to something that this one told, or the end of a child. */
static const char *outside(walk *k, engine_run *run) {
  static const struct {
    const char *kind;
    int32_t item;
  } kinds[] = {{"start", PB_ITEM_KIND_CHILD},
               {"close", PB_ITEM_KIND_CHILD},
               {"signal", PB_ITEM_KIND_EXTERNAL_SIGNAL},
               {"cancel", PB_ITEM_KIND_EXTERNAL_CANCEL},
               {"result", PB_ITEM_KIND_CHILD_RESULT},
               {"child_ended", PB_ITEM_KIND_CHILD}};
  static const char *const answers[] = {"done", "done", "exists", "not_found"};
  arena *a = &k->arena;
  size_t n, at = below(k, ARRAY_LEN(kinds));
  engine_item **items = items_sorted(run, kinds[at].item, a, &n);
  const engine_item *it = n ? items[below(k, n)] : NULL;
  if (at + 1 < ARRAY_LEN(kinds)) {
    return arena_printf(a, "answer %s %lld %s\n", kinds[at].kind, it ? (long long)it->id : 7,
                        answers[below(k, ARRAY_LEN(answers))]);
  }
  const pb_store_ChildItem *child = it ? item_msg(it) : NULL;
  return arena_printf(a, "child_ended %lld completed %.*s result=r\n", it ? (long long)it->id : 7,
                      SPAN_ARG(child && child->run_id.n ? child->run_id : SPAN("none")));
}

static const char *any_line(walk *k, engine_run *run) {
  arena *a = &k->arena;
  switch (below(k, 28)) {
    case 25:
    case 26:
      return arena_printf(a, "update u%d\n", (int)below(k, NAMES));
    case 27:
      return arena_printf(a, "look u%d\n", (int)below(k, NAMES));
    case 22:
    case 23:
    case 24:
      return outside(k, run);
    case 0:
    case 1:
    case 2:
      return arena_printf(a, "poll %sas=w%d\n", below(k, 3) ? "" : "sticky ", (int)below(k, 3));
    case 3:
    case 4:
    case 5:
      return completion(k, run);
    case 6:
      return arena_printf(a, "fail token=w%d\n", (int)below(k, 3));
    case 7:
      return arena_printf(a, "unstart token=w%d\n", (int)below(k, 3));
    case 8:
      return "settle\n";
    case 9:
    case 10:
      return arena_printf(a, "take a%d\n", (int)below(k, NAMES));
    case 11:
    case 12:
    case 13:
      return answer(k);
    case 14:
      return below(k, 2) ? arena_printf(a, "signal s request_id=r%d\n", (int)below(k, NAMES))
                         : "signal s\n";
    case 15:
      if (below(k, 3) == 0) return arena_printf(a, "attach request_id=x%d\n", (int)below(k, 9));
      return below(k, 5) ? "leave_sticky\n" : "cancel\n";
    case 16:
      return below(k, 4) ? "reset_sticky\n" : below(k, 6) ? "describe\n" : "terminate\n";
    case 17:
    case 18:
      return arena_printf(a, "advance %dms\n", (int)below(k, 2500));
    case 19:
    case 20:
      return control(k);
    default:
      return below(k, 2) ? "crash\n" : "crash unwritten\n";
  }
}

/* --- running them --- */

/* Answers to tokens that were never given out are part of the game. */
static bool is_fine(const char *why) { return !why || strcmp(why, "no such token") == 0; }

static bool say(walk *k, const char *text) {
  world *w = &k->w;
  buf_adds(&k->said, text);
  buf_clear(&w->out);
  const char *why = script_run(w, span_cstr(text));
  if (w->broken) printf("broken: %s\n", w->broken);
  if (!is_fine(why)) printf("not a line: %s\n", why);
  return !w->broken && is_fine(why);
}

static bool check_histories(walk *k) {
  for (size_t i = 0; i < k->w.n_runs; i++) {
    const char *why = history_problem(&k->w.model, k->w.runs[i]->run, &k->arena);
    if (!why) continue;
    printf("history of run %zu: %s\n", i + 1, why);
    return false;
  }
  return true;
}

/* Whatever state the run is in: polling and completing ends it. */
static bool end_run(walk *k) {
  for (int i = 0; i < 20; i++) {
    engine_view v;
    engine_look(world_run(&k->w), &v);
    if (v.status != PB_WORKFLOW_EXECUTION_STATUS_RUNNING) return true;
    if (!say(k, v.wft_pending ? "leave_sticky\nadvance 700s\npoll as=last\n"
                              : "advance 10s\nsignal wake\n")) {
      return false;
    }
    if (!say(k, "complete token=last\n CompleteWorkflowExecution\n")) return false;
  }
  printf("the run cannot be ended\n");
  return false;
}

static bool run_walk(walk *k) {
  bool retried = below(k, 3) == 0;
  const char *start =
      arena_printf(&k->arena, "start%s%s%s%s\n", below(k, 3) ? "" : " parent=p/parent-run/5",
                   retried ? " retry_policy.maximum_attempts=3" : "",
                   below(k, 4) ? "" : " workflow_run_timeout=60s",
                   below(k, 5) ? "" : " workflow_start_delay=3s");
  if (!say(k, start)) return false;
  for (int i = 0; i < LINES; i++) {
    arena_reset(&k->arena);
    if (!say(k, any_line(k, world_run(&k->w)))) return false;
    while (k->w.current + 1 < k->w.n_runs) {
      if (!say(k, "follow\n")) return false;
    }
    if (k->w.n_runs > WORLD_MOST_RUNS / 2) break;
  }
  return check_histories(k) && end_run(k) && check_histories(k);
}

static bool run_seed(uint64_t seed) {
  walk k = {0};
  world_init(&k.w);
  k.w.limits.buffered_events = 5;
  rng_seed(&k.random, seed);
  bool good = run_walk(&k);
  if (!good) printf("seed %llu:\n%.*s", (unsigned long long)seed, SPAN_ARG(buf_span(&k.said)));
  world_release(&k.w);
  buf_release(&k.said);
  arena_release(&k.arena);
  return good;
}

int main(int argc, char **argv) {
  uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 500;
  uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  uint64_t failed = 0;
  for (uint64_t seed = first; seed < first + seeds && !failed; seed++) failed += !run_seed(seed);
  printf("%llu passed, %llu failed\n", (unsigned long long)(seeds - failed),
         (unsigned long long)failed);
  return failed != 0;
}

/* hostile_test.c - what a worker may send is any message that decodes: completions and answers with
 * their bytes changed at random never break a promise of script_world.h.
 *
 *   hostile_test [ROUNDS] [SEED]
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/script_text.h"
#include "engine/script_verbs.h"

/* Every command with every field that the engine looks at. */
static const char *const commands[] = {
    "ScheduleActivityTask activity_id=b activity_type=Act task_queue=q header.fields.h=1 input=x "
    "schedule_to_close_timeout=9s schedule_to_start_timeout=8s start_to_close_timeout=7s "
    "heartbeat_timeout=6s retry_policy.initial_interval=1s retry_policy.backoff_coefficient=2 "
    "retry_policy.maximum_interval=5s retry_policy.maximum_attempts=3 "
    "retry_policy.non_retryable_error_types=TemporalTimeout:Heartbeat priority.priority_key=2",
    "RequestCancelActivityTask scheduled_event_id=5",
    "StartTimer timer_id=t2 start_to_fire_timeout=3s",
    "CancelTimer timer_id=t",
    "RecordMarker marker_name=m details.d=1 header.fields.h=1 failure.message=f "
    "failure.cause.message=g",
    "ModifyWorkflowProperties upserted_memo.fields.k=1",
    "UpsertWorkflowSearchAttributes search_attributes.indexed_fields.BuildIds=1",
    "FailWorkflowExecution failure.message=f failure.application_failure_info.type=T "
    "failure.application_failure_info.next_retry_delay=1s failure.cause.message=g",
    "CancelWorkflowExecution details=d",
    "CompleteWorkflowExecution result=r",
    "ContinueAsNewWorkflowExecution workflow_type=U task_queue=q2 input=x workflow_run_timeout=9s "
    "workflow_task_timeout=5s backoff_start_interval=2s retry_policy.maximum_attempts=3 "
    "initiator=1 "
    "failure.message=f last_completion_result=r header.fields.h=1 memo.fields.m=1 "
    "search_attributes.indexed_fields.BuildIds=1",
};

/* What it says of the updates that it was sent, and of one that it was not. */
static const char *const messages[] = {"accept u",
                                       "accept v",
                                       "accept nobody",
                                       "respond u outcome.success=r",
                                       "respond v outcome.failure=\"Broken: no\"",
                                       "refuse v failure=\"Refused: no\""};

static void add_messages(world *w, rng *random, pb_RespondWorkflowTaskCompletedRequest *r,
                         size_t n) {
  r->messages.v = arena_array(&w->arena, pb_Message *, n + 1);
  for (size_t i = 0; i < n; i++) {
    script_line line;
    script_split(span_cstr(messages[rng_below(random, ARRAY_LEN(messages))]), &w->arena, &line);
    const char *why = script_message(w, &line, r);
    if (why) PANIC("%s", why);
  }
}

/* A completion with these commands, encoded. */
static span encode_completion(world *w, rng *random) {
  arena *a = &w->arena;
  pb_RespondWorkflowTaskCompletedRequest *r = pb_new(a, RespondWorkflowTaskCompletedRequest);
  const char *why = NULL;
  const pb_desc *d = &pb_RespondWorkflowTaskCompletedRequest_desc;
  (void)text_set(d, r, SPAN("sticky_attributes.worker_task_queue"), SPAN("s"), a, &why);
  (void)text_set(d, r, SPAN("sticky_attributes.schedule_to_start_timeout"), SPAN("5s"), a, &why);
  (void)text_set(d, r, SPAN("worker_version_stamp.build_id"), SPAN("b"), a, &why);
  (void)text_set(d, r, SPAN("sdk_metadata.sdk_name"), SPAN("n"), a, &why);
  r->identity = SPAN("worker");
  r->force_create_new_workflow_task = rng_below(random, 2);
  r->return_new_workflow_task = rng_below(random, 2);
  size_t n = rng_below(random, 5), n_messages = rng_below(random, 5);
  r->commands.v = arena_array(a, pb_Command *, n + n_messages + 1);
  add_messages(w, random, r, n_messages);
  for (size_t i = 0; i < n; i++) {
    r->commands.v[r->commands.n++] =
        script_command(w, span_cstr(commands[rng_below(random, ARRAY_LEN(commands))]));
  }
  return PB_ENCODE(RespondWorkflowTaskCompletedRequest, r, a);
}

static span changed(span s, rng *random, arena *a) {
  uint8_t *p = arena_alloc(a, s.n + 1);
  if (s.n) memcpy(p, s.p, s.n);
  for (uint64_t k = rng_below(random, 6); k > 0 && s.n; k--) {
    p[rng_below(random, s.n)] = (uint8_t)(rng_below(random, 2) ? rng_next(random) : 0x12);
  }
  return span_of(p, s.n - (rng_below(random, 8) || !s.n ? 0 : rng_below(random, s.n)));
}

static bool complete(world *w, rng *random) {
  pb_RespondWorkflowTaskCompletedRequest *r;
  engine_completion done;
  span encoded = changed(encode_completion(w, random), random, &w->arena);
  if (PB_DECODE(RespondWorkflowTaskCompletedRequest, encoded, &w->arena, &r)) return false;
  const engine_token *token = world_token_named(w, SPAN("wft"));
  engine_step *st = world_begin(w);
  world_end(w, engine_wft_complete(world_run(w), st, token, r, &done));
  return true;
}

static bool answer(world *w, rng *random) {
  arena *a = &w->arena;
  const char *why = NULL;
  pb_RespondActivityTaskFailedRequest *r = pb_new(a, RespondActivityTaskFailedRequest);
  const pb_desc *d = &pb_RespondActivityTaskFailedRequest_desc;
  (void)text_set(d, r, SPAN("failure"), SPAN("Broken: it is"), a, &why);
  (void)text_set(d, r, SPAN("failure.application_failure_info.next_retry_delay"), SPAN("1s"), a,
                 &why);
  (void)text_set(d, r, SPAN("failure.cause.timeout_failure_info.timeout_type"), SPAN("1"), a, &why);
  (void)text_set(d, r, SPAN("worker_version.build_id"), SPAN("b"), a, &why);
  span encoded = changed(pb_encode_arena(d, r, a), random, a);
  if (pb_decode(d, encoded, a, (void **)&r)) return false;
  engine_activity_ref ref = {.token = world_token_named(w, SPAN("a"))};
  engine_step *st = world_begin(w);
  world_end(w, engine_activity_fail(world_run(w), st, ref, r->failure, r->identity,
                                    r->last_heartbeat_details, r->worker_version));
  return true;
}

/* One run with an activity, a timer and a task in flight, then one hostile message. */
static bool round_of(rng *random, uint64_t *decoded) {
  world w;
  world_init(&w);
  const char *why = script_run(&w, SPAN("start retry_policy.maximum_attempts=2 memo.fields.k=0\n"
                                        "poll\n"
                                        "complete\n"
                                        " ScheduleActivityTask activity_id=a activity_type=Act "
                                        "task_queue=q start_to_close_timeout=9s\n"
                                        " StartTimer timer_id=t start_to_fire_timeout=5s\n"
                                        "take a\n"));
  /* The task is a normal one, or one that only memory knows. */
  if (!why) why = script_run(&w, rng_below(random, 2) ? SPAN("signal s\n") : SPAN("update w\n"));
  if (!why) why = script_run(&w, SPAN("update u\nupdate v\npoll\n"));
  arena_reset(&w.arena);
  if (!why) *decoded += rng_below(random, 4) ? complete(&w, random) : answer(&w, random);
  if (!why && !w.broken) why = script_run(&w, SPAN("crash\nadvance 100s\ndescribe\nterminate\n"));
  if (why || w.broken) printf("%s\n", why ? why : w.broken);
  bool good = !why && !w.broken;
  world_release(&w);
  return good;
}

int main(int argc, char **argv) {
  uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
  uint64_t decoded = 0, failed = 0;
  rng random;
  rng_seed(&random, argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
  for (uint64_t i = 0; i < rounds && !failed; i++) failed += !round_of(&random, &decoded);
  printf("%llu messages decoded\n", (unsigned long long)decoded);
  printf("%llu passed, %llu failed\n", (unsigned long long)(rounds - failed),
         (unsigned long long)failed);
  return failed != 0 || decoded < rounds / 10;
}

/* Many workflows on a store that is slow and fails, in little memory, with crashes: whatever
 * happens, what was acknowledged stays, histories have no gap, and everything ends. */
#include "shard/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shard/test_client.h"

enum { WORKFLOWS = 40, POLLS = 6 };

typedef struct soak {
  world w;
  rng random;
  ask *starts[WORKFLOWS], *signals[WORKFLOWS];
  bool started[WORKFLOWS];
  int signalled[WORKFLOWS];
  ask *polls[POLLS], *activity_polls[POLLS], *answers[POLLS], *activity_answers[POLLS];
} soak;

static const char *name_of(int i) {
  static char text[16];
  (void)snprintf(text, sizeof text, "wf-%d", i);
  return text;
}

/* A call that has ended, or whose process died, is forgotten. */
static void forget(ask **a) {
  if (*a) ask_free(*a);
  *a = NULL;
}

static void step_starts(soak *k) {
  for (int i = 0; i < WORKFLOWS; i++) {
    if (k->starts[i] && k->starts[i]->done) {
      if (!k->starts[i]->code) k->started[i] = true;
      forget(&k->starts[i]);
    }
    if (!k->starts[i] && !k->started[i] && rng_below(&k->random, 100) == 0) {
      k->starts[i] = start_workflow(&k->w, name_of(i));
    }
    if (k->signals[i] && k->signals[i]->done) {
      if (!k->signals[i]->code) k->signalled[i]++;
      forget(&k->signals[i]);
    }
    if (!k->signals[i] && k->started[i] && rng_below(&k->random, 40) == 0) {
      k->signals[i] = signal_workflow(&k->w, name_of(i), "s");
    }
  }
}

static ask *act_on_task(soak *k, const pb_PollWorkflowTaskQueueResponse *task) {
  /* One activity after the other, then the end. */
  enum { ACTIVITIES = 6 };
  int ended = 0, scheduled = 0;
  for (size_t i = 0; i < task->history->events.n; i++) {
    int32_t type = task->history->events.v[i]->event_type;
    scheduled += type == PB_EVENT_TYPE_ACTIVITY_TASK_SCHEDULED;
    ended += type == PB_EVENT_TYPE_ACTIVITY_TASK_COMPLETED;
  }
  if (ended == ACTIVITIES) return complete_workflow(&k->w, task->task_token);
  if (scheduled > ended) return complete_commands(&k->w, task->task_token, NULL, 0, NULL);
  return complete_with_activity(&k->w, task->task_token, "a");
}

static void step_worker(soak *k, int i) {
  if (k->answers[i] && k->answers[i]->done) forget(&k->answers[i]);
  if (k->activity_answers[i] && k->activity_answers[i]->done) forget(&k->activity_answers[i]);
  ask *p = k->polls[i];
  if (p && p->done && !k->answers[i]) {
    const pb_PollWorkflowTaskQueueResponse *task = p->answer;
    if (!p->code && task->task_token.n) k->answers[i] = act_on_task(k, task);
    forget(&k->polls[i]);
  } else if (!p) {
    k->polls[i] = poll_workflow(&k->w, "q");
  } else if (!p->done && rng_below(&k->random, 20) == 0) {
    ask_gone(&k->w, p);
  }
  p = k->activity_polls[i];
  if (p && p->done && !k->activity_answers[i]) {
    const pb_PollActivityTaskQueueResponse *task = p->answer;
    if (!p->code && task->task_token.n) {
      k->activity_answers[i] = complete_activity(&k->w, task->task_token);
    }
    forget(&k->activity_polls[i]);
  } else if (!p) {
    k->activity_polls[i] = poll_activity(&k->w, "q");
  } else if (!p->done && rng_below(&k->random, 20) == 0) {
    ask_gone(&k->w, p);
  }
}

static void abandon(ask **a) {
  if (*a) ask_abandon(*a);
  *a = NULL;
}

static void crash(soak *k) {
  for (int i = 0; i < WORKFLOWS; i++) {
    abandon(&k->starts[i]);
    abandon(&k->signals[i]);
  }
  for (int i = 0; i < POLLS; i++) {
    ask **all[] = {&k->polls[i], &k->activity_polls[i], &k->answers[i], &k->activity_answers[i]};
    for (size_t n = 0; n < ARRAY_LEN(all); n++) abandon(all[n]);
  }
  world_crash(&k->w);
}

/* The disk may go on failing: asked until there is an answer. */
static ask *insist(soak *k, int i, bool history) {
  for (;;) {
    ask *a =
        history ? get_history(&k->w, name_of(i), false) : describe(&k->w, name_of(i), SPAN_NONE);
    world_run(&k->w);
    assert_true(a->done);
    if (!a->code) return a;
    assert_int_equal(a->code, ERR_UNAVAILABLE);
    ask_free(a);
  }
}

static void check_workflow(soak *k, int i) {
  ask *a = insist(k, i, true);
  const pb_GetWorkflowExecutionHistoryResponse *r = a->answer;
  int signals = 0;
  for (size_t n = 0; n < r->history->events.n; n++) {
    assert_int_equal(r->history->events.v[n]->event_id, n + 1);
    signals += r->history->events.v[n]->event_type == PB_EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED;
  }
  assert_true(signals >= k->signalled[i]);
  assert_int_equal(r->history->events.v[r->history->events.n - 1]->event_type,
                   PB_EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED);
  ask_free(a);
}

static bool all_ended(soak *k) {
  for (int i = 0; i < WORKFLOWS; i++) {
    if (!k->started[i]) return false;
    ask *a = insist(k, i, false);
    const pb_DescribeWorkflowExecutionResponse *d = a->answer;
    bool open = d->workflow_execution_info->status == PB_WORKFLOW_EXECUTION_STATUS_RUNNING;
    ask_free(a);
    if (open) return false;
  }
  return true;
}

static void turn(soak *k, int64_t ns) {
  step_starts(k);
  for (int i = 0; i < POLLS; i++) step_worker(k, i);
  world_pass(&k->w, ns);
}

static void run_soak(uint64_t seed, bool crashes) {
  static soak k;
  k = (soak){0};
  world_init(&k.w);
  rng_seed(&k.random, seed);
  rng_seed(&k.w.env.random, seed);
  k.w.config.memory_bytes = 64 * 1024;
  k.w.config.queue_window = 8;
  k.w.options.max_turns = 5;
  k.w.options.fail_commits_per_1000 = 150;
  k.w.options.fail_loads_per_1000 = 50;
  world_restart(&k.w);
  for (int i = 0; i < 800; i++) {
    turn(&k, (int64_t)rng_below(&k.random, 40) * NS_PER_MS);
    if (crashes && rng_below(&k.random, 150) == 0) crash(&k);
  }
  if (crashes) {
    k.w.options.fail_commits_per_1000 = k.w.options.fail_loads_per_1000 = 0;
    crash(&k);
  }
  int rounds = 0;
  for (; rounds < 2000 && (rounds % 50 || !all_ended(&k)); rounds++) turn(&k, 100 * NS_PER_MS);
  assert_true(rounds < 2000);
  for (int i = 0; i < WORKFLOWS; i++) check_workflow(&k, i);
  crash(&k);
  world_release(&k.w);
}

static void test_failing_store(void **state) {
  for (uint64_t seed = 1; seed <= 10; seed++) run_soak(seed, false);
}

static void test_crashes(void **state) {
  for (uint64_t seed = 11; seed <= 20; seed++) run_soak(seed, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_store),
                                     cmocka_unit_test(test_crashes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

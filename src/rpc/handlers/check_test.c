#include "base/test.h"

#include "rpc/handlers/check.h"

typedef struct world {
  arena arena;
  rng random;
  zones zones;
  checker k;
  pb_StartWorkflowExecutionRequest *r;
} world;

static span text_of(arena *a, size_t n) {
  uint8_t *p = arena_alloc(a, n);
  memset(p, 'x', n);
  return span_of(p, n);
}

static pb_Duration *duration(arena *a, int64_t seconds, int32_t nanos) {
  pb_Duration *d = pb_new(a, Duration);
  d->seconds = seconds;
  d->nanos = nanos;
  return d;
}

static void setup(world *w) {
  memset(w, 0, sizeof *w);
  rng_seed(&w->random, 1);
  w->k = (checker){.arena = &w->arena,
                   .limits = &engine_default_limits,
                   .random = &w->random,
                   .zones = &w->zones,
                   .ns_name = SPAN("default")};
  w->r = pb_new(&w->arena, StartWorkflowExecutionRequest);
  w->r->workflow_id = SPAN("w");
  w->r->workflow_type = pb_new(&w->arena, WorkflowType);
  w->r->workflow_type->name = SPAN("T");
  w->r->task_queue = pb_new(&w->arena, TaskQueue);
  w->r->task_queue->name = SPAN("q");
}

static pb_RetryPolicy *with_retry(world *w) {
  w->r->retry_policy = pb_new(&w->arena, RetryPolicy);
  return w->r->retry_policy;
}

/* --- starts that are refused: what is wrong, and the sentence --- */

static void no_id(world *w) { w->r->workflow_id = SPAN_NONE; }
static void long_id(world *w) { w->r->workflow_id = text_of(&w->arena, 1001); }
static void no_type(world *w) { w->r->workflow_type = NULL; }
static void empty_type(world *w) { w->r->workflow_type->name = SPAN_NONE; }
static void long_type(world *w) { w->r->workflow_type->name = text_of(&w->arena, 1001); }
static void no_queue(world *w) { w->r->task_queue = NULL; }
static void empty_queue(world *w) { w->r->task_queue->name = SPAN_NONE; }
static void long_queue(world *w) { w->r->task_queue->name = text_of(&w->arena, 1001); }
static void reserved_queue(world *w) { w->r->task_queue->name = SPAN("/_sys/mine/1"); }
static void long_request(world *w) { w->r->request_id = text_of(&w->arena, 1001); }
static void negative_execution(world *w) {
  w->r->workflow_execution_timeout = duration(&w->arena, -1, 0);
}
static void negative_run(world *w) { w->r->workflow_run_timeout = duration(&w->arena, 0, -1); }
static void negative_task(world *w) { w->r->workflow_task_timeout = duration(&w->arena, -1, 0); }
static void mixed_signs(world *w) { w->r->workflow_run_timeout = duration(&w->arena, 1, -5); }
static void negative_delay(world *w) { w->r->workflow_start_delay = duration(&w->arena, -1, 0); }
static void delay_and_cron(world *w) {
  w->r->workflow_start_delay = duration(&w->arena, 5, 0);
  w->r->cron_schedule = SPAN("@daily");
}
static void bad_cron(world *w) { w->r->cron_schedule = SPAN("every now and then"); }
static void cron_never(world *w) { w->r->cron_schedule = SPAN("0 0 31 2 *"); }
static void cron_nowhere(world *w) { w->r->cron_schedule = SPAN("CRON_TZ=X/Y @daily"); }
static void coefficient(world *w) { with_retry(w)->backoff_coefficient = 0.5; }
static void initial(world *w) { with_retry(w)->initial_interval = duration(&w->arena, -1, 0); }
static void maximum(world *w) { with_retry(w)->maximum_interval = duration(&w->arena, -1, 0); }
static void crossed(world *w) {
  with_retry(w)->initial_interval = duration(&w->arena, 5, 0);
  w->r->retry_policy->maximum_interval = duration(&w->arena, 1, 0);
}
static void attempts(world *w) { with_retry(w)->maximum_attempts = -1; }
static void timeout_type(world *w) {
  static span types[] = {SPAN_INIT("Whatever"), SPAN_INIT("TemporalTimeout:Sometimes")};
  with_retry(w)->non_retryable_error_types = (pb_list_span){types, 2};
}
static void terminate_and_fail(world *w) {
  w->r->workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING;
  w->r->workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL;
}
static void reject_and_terminate(world *w) {
  w->r->workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
  w->r->workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
}
static void attribute(world *w) {
  static pb_SearchAttributes_IndexedFieldsEntry entry = {.key = SPAN_INIT("Undefined")};
  static pb_SearchAttributes_IndexedFieldsEntry *entries[] = {&entry};
  w->r->search_attributes = pb_new(&w->arena, SearchAttributes);
  w->r->search_attributes->indexed_fields.v = entries;
  w->r->search_attributes->indexed_fields.n = 1;
}
static void system_attribute(world *w) {
  static pb_SearchAttributes_IndexedFieldsEntry entry = {.key = SPAN_INIT("WorkflowId")};
  static pb_SearchAttributes_IndexedFieldsEntry *entries[] = {&entry};
  w->r->search_attributes = pb_new(&w->arena, SearchAttributes);
  w->r->search_attributes->indexed_fields.v = entries;
  w->r->search_attributes->indexed_fields.n = 1;
}
static void input(world *w) { w->r->input = text_of(&w->arena, 2 * 1024 * 1024 + 1); }
static void memo(world *w) {
  static pb_Payload payload;
  static pb_Memo_FieldsEntry entry = {.key = SPAN_INIT("big"), .value = &payload};
  static pb_Memo_FieldsEntry *entries[] = {&entry};
  payload.data = text_of(&w->arena, 2 * 1024 * 1024);
  w->r->memo = pb_new(&w->arena, Memo);
  w->r->memo->fields.v = entries;
  w->r->memo->fields.n = 1;
}
static void priority(world *w) {
  w->r->priority = pb_new(&w->arena, Priority);
  w->r->priority->priority_key = -1;
}
static void fairness(world *w) {
  w->r->priority = pb_new(&w->arena, Priority);
  w->r->priority->fairness_key = text_of(&w->arena, 65);
}
static void weight(world *w) {
  w->r->priority = pb_new(&w->arena, Priority);
  w->r->priority->fairness_weight = -1;
}
static void callbacks_alone(world *w) {
  w->r->on_conflict_options = pb_new(&w->arena, workflow_OnConflictOptions);
  w->r->on_conflict_options->attach_completion_callbacks = true;
}
static void many_links(world *w) {
  w->r->links.v = arena_array(&w->arena, pb_Link *, 11);
  w->r->links.n = 11;
}
static void empty_link(world *w) {
  w->r->links.v = arena_array(&w->arena, pb_Link *, 1);
  w->r->links.v[0] = pb_new(&w->arena, Link);
  w->r->links.n = 1;
}
static void link_to_nothing(world *w) {
  empty_link(w);
  w->r->links.v[0]->which_variant = PB_Link_workflow_event_FIELD;
  w->r->links.v[0]->workflow_event = pb_new(&w->arena, Link_WorkflowEvent);
}
static void callback_to(world *w, span url) {
  pb_Callback *c = pb_new(&w->arena, Callback);
  c->which_variant = PB_Callback_nexus_FIELD;
  c->nexus = pb_new(&w->arena, Callback_Nexus);
  c->nexus->url = url;
  w->r->completion_callbacks.v = arena_array(&w->arena, pb_Callback *, 1);
  w->r->completion_callbacks.v[0] = c;
  w->r->completion_callbacks.n = 1;
}
static void callback_inside(world *w) { callback_to(w, SPAN("temporal://system/")); }
static void callback_outside(world *w) { callback_to(w, SPAN("http://localhost/x")); }
static void callback_header(world *w) {
  callback_to(w, SPAN("temporal://system"));
  pb_Callback_Nexus_HeaderEntry *entry = pb_new(&w->arena, Callback_Nexus_HeaderEntry);
  entry->key = text_of(&w->arena, 8192);
  entry->value = SPAN("x");
  pb_list_Callback_Nexus_HeaderEntry *header = &w->r->completion_callbacks.v[0]->nexus->header;
  header->v = arena_array(&w->arena, pb_Callback_Nexus_HeaderEntry *, 1);
  header->v[header->n++] = entry;
}
static void callbacks_many(world *w) { w->r->completion_callbacks.n = 2001; }
static void callback_nowhere(world *w) { callback_to(w, SPAN("https:///x")); }
static void no_override(world *w) {
  w->r->versioning_override = pb_new(&w->arena, VersioningOverride);
}
static void auto_upgrade(world *w) {
  no_override(w);
  w->r->versioning_override->behavior = PB_VERSIONING_BEHAVIOR_AUTO_UPGRADE;
}

static const struct {
  void (*spoil)(world *w);
  const char *sentence;
} refused[] = {
    {no_id, "WorkflowId is not set on request."},
    {long_id, "WorkflowId exceeds maximum allowed length (1001/1000)"},
    {no_type, "WorkflowType is not set on request."},
    {empty_type, "WorkflowType is not set on request."},
    {long_type, "WorkflowType length exceeds limit."},
    {no_queue, "taskQueue is not set"},
    {empty_queue, "missing task queue name"},
    {long_queue, "taskQueue length exceeds limit"},
    {reserved_queue, "task queue name cannot start with reserved prefix /_sys/"},
    {long_request, "RequestId length exceeds limit."},
    {negative_execution,
     "An invalid WorkflowExecutionTimeoutSeconds is set on request. cause: negative duration"},
    {negative_run,
     "An invalid WorkflowRunTimeoutSeconds is set on request. cause: negative duration"},
    {negative_task,
     "An invalid WorkflowTaskTimeoutSeconds is set on request. cause: negative duration"},
    {mixed_signs,
     "An invalid WorkflowRunTimeoutSeconds is set on request. cause: duration has seconds and "
     "nanos with different signs"},
    {negative_delay,
     "An invalid WorkflowStartDelaySeconds is set on request. cause: negative duration"},
    {delay_and_cron, "CronSchedule and WorkflowStartDelay may not be used together."},
    {bad_cron, "invalid CronSchedule."},
    {cron_nowhere, "invalid CronSchedule."},
    {cron_never, "invalid CronSchedule, no time can be found to satisfy the schedule"},
    {coefficient, "BackoffCoefficient cannot be less than 1 on retry policy."},
    {initial, "invalid InitialInterval set on retry policy: negative duration"},
    {maximum, "invalid MaximumInterval set on retry policy: negative duration"},
    {crossed, "MaximumInterval cannot be less than InitialInterval on retry policy."},
    {attempts, "MaximumAttempts cannot be negative on retry policy."},
    {timeout_type, "Invalid timeout type value: Sometimes."},
    {terminate_and_fail,
     "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used "
     "together with a WorkflowIDConflictPolicy"},
    {reject_and_terminate,
     "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used "
     "together with WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING"},
    {attribute, "Namespace default has no mapping defined for search attribute Undefined"},
    {system_attribute, "WorkflowId attribute can't be set in SearchAttributes"},
    {input, "Blob data size exceeds limit."},
    {memo, "Memo size exceeds limit."},
    {priority, "priority key can't be negative"},
    {fairness, "fairness key length exceeds limit"},
    {weight, "must be greater than zero"},
    {callbacks_alone, "attaching request ID is required for attaching completion callbacks"},
    {many_links, "cannot attach more than 10 links per request, got 11"},
    {empty_link, "unsupported link variant"},
    {link_to_nothing, "workflow event link must not have an empty namespace field"},
    {callback_inside, "invalid url: unknown scheme: temporal://system/"},
    {callback_header, "invalid header: header size longer than max allowed size of 8192"},
    {callbacks_many, "cannot attach more than 2000 callbacks to an execution"},
    {callback_outside,
     "invalid url: url does not match any configured callback address: http://localhost/x"},
    {callback_nowhere, "invalid url: missing host"},
    {no_override, "override behavior is required"},
    {auto_upgrade, "versioning_override: this server does not route by the version of workers yet"},
};

TEST(a_bad_start_is_refused_with_its_sentence) {
  for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
    world w;
    pb_StartWorkflowExecutionRequest *start;
    setup(&w);
    refused[i].spoil(&w);
    const err *e = check_start(&w.k, w.r, &start);
    assert_non_null(e);
    assert_string_equal(e->what, refused[i].sentence);
    bool unbuilt = strstr(e->what, "does not route") != NULL;
    assert_int_equal(e->code, unbuilt ? ERR_UNIMPLEMENTED : ERR_INVALID_ARGUMENT);
    arena_release(&w.arena);
  }
}

/* --- defaults --- */

TEST(defaults_are_filled_in) {
  world w;
  pb_StartWorkflowExecutionRequest *s;
  setup(&w);
  assert_null(check_start(&w.k, w.r, &s));
  assert_int_equal(s->workflow_id_reuse_policy, PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE);
  assert_int_equal(s->workflow_id_conflict_policy, PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL);
  assert_int_equal(s->task_queue->kind, PB_TASK_QUEUE_KIND_NORMAL);
  assert_int_equal(s->request_id.n, 36);
  assert_int_equal(s->workflow_task_timeout->seconds, 10);
  assert_null(s->workflow_run_timeout);
  assert_null(s->workflow_execution_timeout);
  assert_null(s->retry_policy);
  assert_int_equal(w.r->task_queue->kind, 0); /* the request itself stays as it is */
  arena_release(&w.arena);
}

TEST(timeouts_limit_each_other) {
  static const struct {
    int64_t execution, run, task; /* asked for; 0 is unset */
    int64_t run_to, task_to;
  } cases[] = {
      {0, 0, 0, 0, 10},    {0, 0, 500, 0, 120}, {60, 0, 0, 60, 10}, {60, 100, 0, 60, 10},
      {60, 30, 0, 30, 10}, {0, 5, 0, 5, 5},     {3, 0, 20, 3, 3},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    world w;
    pb_StartWorkflowExecutionRequest *s;
    setup(&w);
    if (cases[i].execution) {
      w.r->workflow_execution_timeout = duration(&w.arena, cases[i].execution, 0);
    }
    if (cases[i].run) w.r->workflow_run_timeout = duration(&w.arena, cases[i].run, 0);
    if (cases[i].task) w.r->workflow_task_timeout = duration(&w.arena, cases[i].task, 0);
    assert_null(check_start(&w.k, w.r, &s));
    assert_int_equal(s->workflow_run_timeout ? s->workflow_run_timeout->seconds : 0,
                     cases[i].run_to);
    assert_int_equal(s->workflow_task_timeout->seconds, cases[i].task_to);
    arena_release(&w.arena);
  }
}

TEST(retry_policy_gets_its_defaults) {
  world w;
  pb_StartWorkflowExecutionRequest *s;
  setup(&w);
  with_retry(&w)->initial_interval = duration(&w.arena, 0, 300000000);
  assert_null(check_start(&w.k, w.r, &s));
  assert_int_equal(s->retry_policy->maximum_interval->seconds, 30);
  assert_true(s->retry_policy->backoff_coefficient == 2.0);
  assert_int_equal(s->retry_policy->maximum_attempts, 0);
  arena_release(&w.arena);
}

TEST(one_attempt_makes_the_rest_of_a_policy_irrelevant) {
  world w;
  pb_StartWorkflowExecutionRequest *s;
  setup(&w);
  with_retry(&w)->maximum_attempts = 1;
  w.r->retry_policy->backoff_coefficient = 0.5;
  w.r->retry_policy->initial_interval = duration(&w.arena, -1, 0);
  assert_null(check_start(&w.k, w.r, &s));
  arena_release(&w.arena);
}

TEST(a_century_is_the_longest_duration) {
  world w;
  pb_StartWorkflowExecutionRequest *s;
  setup(&w);
  w.r->workflow_run_timeout = duration(&w.arena, INT64_MAX, 0);
  assert_null(check_start(&w.k, w.r, &s));
  assert_int_equal(s->workflow_run_timeout->seconds, INT64_C(100) * 365 * 24 * 3600);
  arena_release(&w.arena);
}

TEST(terminate_if_running_becomes_terminate_existing) {
  world w;
  pb_StartWorkflowExecutionRequest *s;
  setup(&w);
  w.r->workflow_id_reuse_policy = PB_WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING;
  assert_null(check_start(&w.k, w.r, &s));
  assert_int_equal(s->workflow_id_reuse_policy, PB_WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE);
  assert_int_equal(s->workflow_id_conflict_policy,
                   PB_WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING);
  arena_release(&w.arena);
}

/* --- signal with start --- */

TEST(signal_with_start_has_sentences_of_its_own) {
  world w;
  pb_SignalWithStartWorkflowExecutionRequest *q, *r;
  pb_StartWorkflowExecutionRequest *s;
  setup(&w);
  r = pb_new(&w.arena, SignalWithStartWorkflowExecutionRequest);
#define REFUSED(sentence) \
  assert_string_equal(check_signal_with_start(&w.k, r, &q, &s)->what, sentence)
  REFUSED("WorkflowId is not set on request.");
  r->workflow_id = SPAN("w");
  REFUSED("signal not set");
  r->signal_name = text_of(&w.arena, 1001);
  REFUSED("signal name exceeds maximum allowed length (1001/1000)");
  r->signal_name = SPAN("s");
  REFUSED("workflow type not set");
  r->workflow_type = w.r->workflow_type;
  REFUSED("taskQueue is not set");
  r->task_queue = w.r->task_queue;
  r->request_id = text_of(&w.arena, 1001);
  REFUSED("Request ID exceeds maximum allowed length (1001/1000)");
  r->request_id = SPAN("id");
  r->workflow_id_conflict_policy = PB_WORKFLOW_ID_CONFLICT_POLICY_FAIL;
  REFUSED(
      "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for "
      "this operation.");
  r->workflow_id_conflict_policy = 0;
  r->signal_input = text_of(&w.arena, 2 * 1024 * 1024 + 1);
  REFUSED("Blob data size exceeds limit.");
  r->signal_input = SPAN("x");
#undef REFUSED
  assert_null(check_signal_with_start(&w.k, r, &q, &s));
  assert_int_equal(s->workflow_id_conflict_policy, PB_WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING);
  assert_int_equal(s->workflow_task_timeout->seconds, 10);
  assert_span(s->request_id, "id");
  assert_span(q->request_id, "id");
  arena_release(&w.arena);
}

TEST(nothing_null_and_empty_lists_are_no_memo) {
  static const char *const nothing[] = {"", "null", "[]"};
  for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
    world w;
    pb_StartWorkflowExecutionRequest *s;
    setup(&w);
    memo(&w);
    w.r->memo->fields.v[0]->value->data = span_cstr(nothing[i]);
    assert_null(check_start(&w.k, w.r, &s));
    assert_null(s->memo);
    arena_release(&w.arena);
  }
}

/* --- clients --- */

TEST(clients_of_unsupported_versions_are_refused) {
  static const struct {
    const char *name, *version, *server_range, *sentence;
  } cases[] = {
      {"temporal-go", "1.30.0", "", NULL},
      {"temporal-go", "1.30.0", ">=1.0.0 <2.0.0", NULL},
      {"temporal-ui", "2.0.0-rc1", "", NULL},
      {"temporal-python", "99.0.0", "", NULL},
      {"temporal-java", "", "nonsense", NULL},
      {"", "", ">2.0.0", NULL},
      {"unheard-of", "nonsense", "<1.0.0 || 1.32.0", NULL},
      {"temporal-go", "9.0.0", "",
       "Client version 9.0.0 is not supported. Server supports temporal-go versions: <2.0.0"},
      {"temporal-java", "nonsense", "",
       "Unable to parse client version: No Major.Minor.Patch elements found"},
      {"temporal-go", "1.30.0", ">2.0.0",
       "Server version 1.32.0 is not supported. Client supports server versions: >2.0.0"},
      {"temporal-go", "1.30.0", "zz",
       "Unable to parse supported server versions: Could not get version from string: \"zz\""},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    world w;
    setup(&w);
    const err *e = check_client(&w.k, span_cstr(cases[i].name), span_cstr(cases[i].version),
                                span_cstr(cases[i].server_range), "1.32.0");
    if (cases[i].sentence) {
      assert_non_null(e);
      assert_string_equal(e->what, cases[i].sentence);
    } else {
      assert_null(e);
    }
    arena_release(&w.arena);
  }
}

/* --- executions and failures --- */

TEST(executions) {
  world w;
  setup(&w);
  pb_WorkflowExecution x = {0};
  assert_string_equal(check_execution(&w.k, NULL)->what, "Execution is not set on request.");
  assert_string_equal(check_execution(&w.k, &x)->what, "WorkflowId is not set on request.");
  x.workflow_id = SPAN("w");
  assert_null(check_execution(&w.k, &x));
  x.run_id = SPAN("nonsense");
  assert_string_equal(check_execution(&w.k, &x)->what, "Invalid RunId.");
  x.run_id = SPAN("B1946AC9-2F5E-4E1A-9A3B-6A1D2C3E4F50");
  assert_null(check_execution(&w.k, &x));
  arena_release(&w.arena);
}

TEST(a_failure_over_the_limit_is_cut_visibly) {
  world w;
  setup(&w);
  pb_Failure *f = pb_new(&w.arena, Failure), *cause = pb_new(&w.arena, Failure);
  f->message = SPAN("outer");
  f->cause = cause;
  cause->message = text_of(&w.arena, 3 * 1024 * 1024);
  cause->which_failure_info = PB_Failure_application_failure_info_FIELD;
  cause->application_failure_info = pb_new(&w.arena, ApplicationFailureInfo);
  cause->application_failure_info->type = SPAN("Kind");
  pb_Failure *kept = failure_within_limit(&w.k, f);
  assert_span(kept->message, "Failure exceeds size limit.");
  assert_true(kept->server_failure_info->non_retryable);
  assert_span(kept->cause->message, "outer");
  assert_span(kept->cause->cause->application_failure_info->type, "Kind");
  assert_true(pb_encoded_bytes(&pb_Failure_desc, kept) < 600 * 1024);
  cause->message = SPAN("small");
  assert_ptr_equal(failure_within_limit(&w.k, f), f);
  arena_release(&w.arena);
}

TEST(an_activity_failure_is_an_application_failure) {
  world w;
  setup(&w);
  pb_Failure *f = pb_new(&w.arena, Failure);
  assert_null(check_activity_failure(&w.k, NULL));
  assert_string_equal(check_activity_failure(&w.k, f)->what,
                      "Failure must have ApplicationFailureInfo.");
  f->which_failure_info = PB_Failure_application_failure_info_FIELD;
  f->application_failure_info = pb_new(&w.arena, ApplicationFailureInfo);
  assert_null(check_activity_failure(&w.k, f));
  arena_release(&w.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bad_start_is_refused_with_its_sentence),
      cmocka_unit_test(defaults_are_filled_in),
      cmocka_unit_test(timeouts_limit_each_other),
      cmocka_unit_test(retry_policy_gets_its_defaults),
      cmocka_unit_test(one_attempt_makes_the_rest_of_a_policy_irrelevant),
      cmocka_unit_test(a_century_is_the_longest_duration),
      cmocka_unit_test(terminate_if_running_becomes_terminate_existing),
      cmocka_unit_test(signal_with_start_has_sentences_of_its_own),
      cmocka_unit_test(nothing_null_and_empty_lists_are_no_memo),
      cmocka_unit_test(clients_of_unsupported_versions_are_refused),
      cmocka_unit_test(executions),
      cmocka_unit_test(a_failure_over_the_limit_is_cut_visibly),
      cmocka_unit_test(an_activity_failure_is_an_application_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/mem.h"
#include "base/test.h"
#include "proto/pb.gen.h"

static arena a;

static int setup(void **state UNUSED) {
  arena_init(&a);
  return 0;
}
static int teardown(void **state UNUSED) {
  arena_release(&a);
  return 0;
}

/* Input written as a literal, NULs included. */
#define IN(lit) span_of(lit, sizeof(lit) - 1)

#define assert_ok(e)                          \
  do {                                        \
    err *e_ = (e);                            \
    if (e_) fail_msg("%s", err_text(&a, e_)); \
  } while (0)

#define assert_refused(e, sentence)                   \
  do {                                                \
    err *e_ = (e);                                    \
    assert_non_null(e_);                              \
    assert_int_equal(e_->code, ERR_INVALID_ARGUMENT); \
    assert_string_equal(e_->what, sentence);          \
  } while (0)

static void *decoded(const pb_desc *d, span in) {
  void *msg = NULL;
  assert_ok(pb_decode(d, in, &a, &msg));
  return msg;
}
#define DECODE(Name, in) ((pb_##Name *)decoded(&pb_##Name##_desc, in))

TEST(strings_are_borrowed_and_keep_nul) {
  span in =
      IN("\x0a\x05"
         "a\0b\0c"
         "\x12\x00");
  pb_WorkflowExecution *e = DECODE(WorkflowExecution, in);
  assert_int_equal(e->workflow_id.n, 5);
  assert_ptr_equal(e->workflow_id.p, in.p + 2);
  assert_int_equal(e->run_id.n, 0);
}

TEST(invalid_utf8_is_refused_with_its_path) {
  static const char *const bad[] = {
      "\x80",     "\xc0\x80", "\xed\xa0\x80",       "\xf4\x90\x80\x80",
      "\xe2\x82", "\xff",     "ascii and then \xc3"};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    pb_WorkflowExecution e = {.run_id = span_cstr(bad[i])};
    pb_Link_WorkflowEvent link = {.run_id = span_cstr(bad[i])};
    pb_Link l = {.which_variant = PB_Link_workflow_event_FIELD, .workflow_event = &link};
    pb_Link *links[] = {&l, &l};
    pb_StartWorkflowExecutionRequest r = {.links = {links, 2}};
    void *ret;
    assert_refused(
        pb_decode(&pb_WorkflowExecution_desc, PB_ENCODE(WorkflowExecution, &e, &a), &a, &ret),
        "temporal.api.common.v1.WorkflowExecution.run_id: invalid UTF-8");
    assert_refused(pb_decode(&pb_StartWorkflowExecutionRequest_desc,
                             PB_ENCODE(StartWorkflowExecutionRequest, &r, &a), &a, &ret),
                   "temporal.api.workflowservice.v1.StartWorkflowExecutionRequest.links[0]."
                   "workflow_event.run_id: "
                   "invalid UTF-8");
  }
}

TEST(valid_utf8_of_every_length_is_taken) {
  pb_WorkflowExecution e = {
      .run_id = span_cstr("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80"
                          "\xf4\x8f\xbf\xbf")};
  assert_ok(pb_check(&pb_WorkflowExecution_desc, PB_ENCODE(WorkflowExecution, &e, &a), &a));
}

/* A chain of failures, each the cause of the one before. */
static span nested_failures(unsigned levels) {
  span inner = SPAN("\x0a\x01x"); /* message */
  for (unsigned i = 0; i < levels; i++) {
    buf b = BUF_INIT;
    size_t n = inner.n;
    buf_addb(&b, PB_Failure_cause_FIELD << 3 | 2);
    for (; n >= 0x80; n >>= 7) buf_addb(&b, (uint8_t)(n | 0x80));
    buf_addb(&b, (uint8_t)n);
    buf_add(&b, inner);
    inner = arena_dup(&a, buf_span(&b));
    buf_release(&b);
  }
  return inner;
}

TEST(nesting_ends_at_the_limit) {
  void *ret;
  assert_ok(pb_decode(&pb_Failure_desc, nested_failures(PB_MAX_DEPTH), &a, &ret));
  assert_ok(pb_check(&pb_Failure_desc, nested_failures(PB_MAX_DEPTH), &a));
  err *e = pb_decode(&pb_Failure_desc, nested_failures(PB_MAX_DEPTH + 1), &a, &ret);
  assert_non_null(e);
  assert_non_null(strstr(e->what, ".cause.cause.cause: nested too deep"));
  assert_non_null(pb_check(&pb_Failure_desc, nested_failures(10000), &a));
}

TEST(groups_nest_no_deeper_than_messages) {
  uint8_t deep[20000];
  memset(deep, 0x0b, 10000); /* start of group 1 */
  memset(deep + 10000, 0x0c, 10000);
  assert_refused(pb_check(&pb_Empty_desc, span_of(deep, sizeof deep), &a),
                 "google.protobuf.Empty: nested too deep");
  pb_Empty *m = DECODE(Empty, IN("\x0b\x10\x01\x0c"));
  assert_int_equal(m->head.unknown.n, 4);
  assert_refused(pb_check(&pb_Empty_desc, IN("\x0b\x14"), &a),
                 "google.protobuf.Empty: the end of another group");
  assert_refused(pb_check(&pb_Empty_desc, IN("\x0c"), &a),
                 "google.protobuf.Empty: the end of a group that was not begun");
}

/* packed elements of ResetOptions.reset_reapply_exclude_types */
static span packed(size_t count) {
  buf b = BUF_INIT;
  size_t n = count;
  buf_addb(&b, PB_ResetOptions_reset_reapply_exclude_types_FIELD << 3 | 2);
  for (; n >= 0x80; n >>= 7) buf_addb(&b, (uint8_t)(n | 0x80));
  buf_addb(&b, (uint8_t)n);
  memset(buf_reserve(&b, count), 1, count);
  b.n += count;
  span s = arena_dup(&a, buf_span(&b));
  buf_release(&b);
  return s;
}

TEST(elements_are_limited) {
  void *ret;
  assert_refused(
      pb_decode(&pb_ResetOptions_desc, packed(10 * 1000 * 1000), &a, &ret),
      "temporal.api.common.v1.ResetOptions.reset_reapply_exclude_types: too many elements");
  assert_non_null(pb_check(&pb_ResetOptions_desc, packed(PB_MAX_ELEMENTS + 1), &a));
  pb_ResetOptions *o = DECODE(ResetOptions, packed(PB_MAX_ELEMENTS));
  assert_int_equal(o->reset_reapply_exclude_types.n, PB_MAX_ELEMENTS);
}

TEST(memory_is_limited) {
  size_t count = 3000000; /* two bytes each here, hundreds as structs */
  uint8_t *in = arena_alloc(&a, count * 2);
  for (size_t i = 0; i < count; i++) memcpy(in + i * 2, "\x0a\x00", 2);
  void *ret;
  err *e = pb_decode(&pb_History_desc, span_of(in, count * 2), &a, &ret);
  assert_non_null(e);
  assert_non_null(strstr(e->what, "needs too much memory"));
  assert_true(mem_in_use_bytes() < (size_t)PB_MAX_DECODED_BYTES + (64 << 20));
}

static pb_StartWorkflowExecutionRequest *sample(void) {
  pb_StartWorkflowExecutionRequest *r = pb_new(&a, StartWorkflowExecutionRequest);
  r->namespace = SPAN("default");
  r->workflow_id = SPAN("transfer-1");
  r->workflow_type = pb_new(&a, WorkflowType);
  r->workflow_type->name = SPAN("Transfer");
  r->task_queue = pb_new(&a, TaskQueue);
  r->task_queue->name = SPAN("bank");
  r->retry_policy = pb_new(&a, RetryPolicy);
  r->retry_policy->backoff_coefficient = 2.0;
  r->retry_policy->initial_interval = pb_new(&a, Duration);
  r->retry_policy->initial_interval->seconds = -5;
  pb_Payload *p = pb_new(&a, Payload);
  p->data = SPAN("{}");
  pb_Payload_MetadataEntry *m = pb_new(&a, Payload_MetadataEntry);
  m->key = SPAN("encoding");
  m->value = SPAN("json/plain");
  p->metadata.v = arena_array(&a, pb_Payload_MetadataEntry *, 1);
  p->metadata.v[p->metadata.n++] = m;
  pb_Payloads *input = pb_new(&a, Payloads);
  input->payloads.v = arena_array(&a, pb_Payload *, 1);
  input->payloads.v[input->payloads.n++] = p;
  r->input = PB_ENCODE(Payloads, input, &a);
  return r;
}

TEST(truncation_at_every_byte_is_refused_or_ends_a_field) {
  pb_StartWorkflowExecutionRequest *r = sample();
  span whole = PB_ENCODE(StartWorkflowExecutionRequest, r, &a);
  size_t refused = 0;
  for (size_t n = 0; n < whole.n; n++) {
    uint8_t *exact = mem_alloc(n); /* so that a read behind the end is seen */
    memcpy(exact, whole.p, n);
    void *msg;
    err *e = pb_decode(&pb_StartWorkflowExecutionRequest_desc, span_of(exact, n), &a, &msg);
    assert_int_equal(
        e != NULL, pb_check(&pb_StartWorkflowExecutionRequest_desc, span_of(exact, n), &a) != NULL);
    if (e)
      refused++;
    else
      assert_true(span_eq(PB_ENCODE(StartWorkflowExecutionRequest, msg, &a), span_of(exact, n)));
    mem_free(exact);
  }
  assert_int_equal(refused, whole.n - 6); /* nothing, and behind each field but the last */
}

TEST(payloads_stay_encoded_and_join) {
  pb_StartWorkflowExecutionRequest *r = sample();
  span once = PB_ENCODE(StartWorkflowExecutionRequest, r, &a);
  buf twice = BUF_INIT;
  buf_add(&twice, once);
  buf_add(&twice, once);
  pb_StartWorkflowExecutionRequest *got = DECODE(StartWorkflowExecutionRequest, buf_span(&twice));
  pb_Payloads *input = DECODE(Payloads, got->input);
  assert_int_equal(input->payloads.n, 2);
  assert_span(input->payloads.v[1]->metadata.v[0]->value, "json/plain");
  r->input = SPAN("\x0a\x02\x08\x01"); /* metadata is no number: unknown, and kept */
  assert_ok(pb_check(&pb_StartWorkflowExecutionRequest_desc,
                     PB_ENCODE(StartWorkflowExecutionRequest, r, &a), &a));
  r->input = SPAN("\x0a\x03\x12\x05x");
  assert_refused(
      pb_check(&pb_StartWorkflowExecutionRequest_desc,
               PB_ENCODE(StartWorkflowExecutionRequest, r, &a), &a),
      "temporal.api.workflowservice.v1.StartWorkflowExecutionRequest.input.payloads.data: "
      "truncated");
  r->input = SPAN_NONE;
  got = DECODE(StartWorkflowExecutionRequest, PB_ENCODE(StartWorkflowExecutionRequest, r, &a));
  assert_null(got->input.p);
  r->input = SPAN("");
  got = DECODE(StartWorkflowExecutionRequest, PB_ENCODE(StartWorkflowExecutionRequest, r, &a));
  assert_non_null(got->input.p);
  buf_release(&twice);
}

TEST(unknown_fields_survive_in_order) {
  /* 100: 1, workflow_id "w", 101: "x", run_id "r", 102 fixed */
  span in =
      IN("\xa0\x06\x01\x0a\x01w\xaa\x06\x01x\x12\x01r\xb5\x06"
         "1234");
  pb_WorkflowExecution *e = DECODE(WorkflowExecution, in);
  assert_span(e->workflow_id, "w");
  assert_span(e->run_id, "r");
  span out = PB_ENCODE(WorkflowExecution, e, &a);
  assert_true(span_eq(out, IN("\x0a\x01w\x12\x01r\xa0\x06\x01\xaa\x06\x01x\xb5\x06"
                              "1234")));
  /* A known number with another wire type is unknown too. */
  e = DECODE(WorkflowExecution, IN("\x08\x05"));
  assert_true(span_eq(e->head.unknown, IN("\x08\x05")));
}

TEST(many_scattered_unknown_fields_take_linear_time) {
  size_t count = 300000;
  uint8_t *in = arena_alloc(&a, count * 6);
  for (size_t i = 0; i < count; i++) memcpy(in + i * 6, "\xa0\x06\x01\x0a\x01w", 6);
  pb_WorkflowExecution *e = DECODE(WorkflowExecution, span_of(in, count * 6));
  assert_int_equal(e->head.unknown.n, count * 3);
}

TEST(a_message_of_unknown_bytes_alone_is_spliced) {
  pb_HistoryEvent event = {.event_id = 7, .task_id = 9};
  pb_HistoryEvent encoded = {.head.unknown = PB_ENCODE(HistoryEvent, &event, &a)};
  pb_HistoryEvent *events[] = {&event}, *spliced[] = {&encoded};
  pb_History x = {.events = {events, 1}}, y = {.events = {spliced, 1}};
  assert_true(span_eq(PB_ENCODE(History, &x, &a), PB_ENCODE(History, &y, &a)));
}

TEST(the_last_of_equal_map_keys_wins) {
  span in =
      IN("\x0a\x06\x0a\x01k\x12\x01"
         "1"
         "\x0a\x06\x0a\x01l\x12\x01"
         "2"
         "\x0a\x06\x0a\x01k\x12\x01"
         "3"
         "\x0a\x03\x0a\x01m");
  pb_Payload *p = DECODE(Payload, in);
  assert_int_equal(p->metadata.n, 3);
  assert_span(p->metadata.v[0]->key, "l");
  assert_span(p->metadata.v[1]->key, "k");
  assert_span(p->metadata.v[1]->value, "3");
  assert_span(p->metadata.v[2]->key, "m");
  assert_int_equal(p->metadata.v[2]->value.n, 0);
}

TEST(map_entries_without_a_value_have_an_empty_one) {
  pb_Memo *m = DECODE(Memo, IN("\x0a\x03\x0a\x01k"));
  assert_non_null(m->fields.v[0]->value);
  pb_MarkerRecordedEventAttributes *r =
      DECODE(MarkerRecordedEventAttributes, IN("\x12\x03\x0a\x01k"));
  assert_non_null(r->details.v[0]->value.p);
}

TEST(a_oneof_keeps_the_last_member_and_merges_the_same) {
  pb_Link_WorkflowEvent event = {.workflow_id = SPAN("w")}, event2 = {.run_id = SPAN("r")};
  pb_Link_BatchJob job = {.job_id = SPAN("j")};
  pb_Link l1 = {.which_variant = PB_Link_workflow_event_FIELD, .workflow_event = &event};
  pb_Link l2 = {.which_variant = PB_Link_workflow_event_FIELD, .workflow_event = &event2};
  pb_Link l3 = {.which_variant = PB_Link_batch_job_FIELD, .batch_job = &job};
  buf b = BUF_INIT;
  pb_encode(&pb_Link_desc, &l1, &b);
  pb_encode(&pb_Link_desc, &l2, &b);
  pb_Link *got = DECODE(Link, buf_span(&b));
  assert_span(got->workflow_event->workflow_id, "w");
  assert_span(got->workflow_event->run_id, "r");
  pb_encode(&pb_Link_desc, &l3, &b);
  got = DECODE(Link, buf_span(&b));
  assert_int_equal(got->which_variant, PB_Link_batch_job_FIELD);
  assert_span(got->batch_job->job_id, "j");
  pb_encode(&pb_Link_desc, &l2, &b);
  got = DECODE(Link, buf_span(&b));
  assert_int_equal(got->workflow_event->workflow_id.n, 0);
  buf_release(&b);
}

TEST(packed_and_single_elements_mix) {
  pb_ResetOptions *o = DECODE(ResetOptions, IN("\x60\x01\x62\x03\x02\x80\x01\x60\x03\x62\x00"));
  assert_int_equal(o->reset_reapply_exclude_types.n, 4);
  assert_int_equal(o->reset_reapply_exclude_types.v[2], 128);
  assert_int_equal(o->reset_reapply_exclude_types.v[3], 3);
  assert_refused(pb_check(&pb_ResetOptions_desc, IN("\x62\x02\x01\x80"), &a),
                 "temporal.api.common.v1.ResetOptions.reset_reapply_exclude_types: truncated");
}

TEST(malformed_tags_and_numbers_are_refused) {
  static const struct {
    span in;
    const char *problem;
  } cases[] = {
      {SPAN_INIT("\x00"), "a field number out of range"},
      {SPAN_INIT("\x07"), "a field number out of range"},
      {SPAN_INIT("\x80"), "truncated"},
      {SPAN_INIT("\xff\xff\xff\xff\x7f\x01"), "a field number out of range"},
      {SPAN_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "a varint of more than 64 bits"},
      {SPAN_INIT("\x0e"), "wrong wire type"},
      {SPAN_INIT("\x0f"), "wrong wire type"},
      {SPAN_INIT("\x09"
                 "1234567"),
       "truncated"},
      {SPAN_INIT("\x0d"
                 "123"),
       "truncated"},
      {SPAN_INIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "truncated"},
      {SPAN_INIT("\x0b"), "truncated"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    assert_refused(pb_check(&pb_Empty_desc, cases[i].in, &a),
                   arena_printf(&a, "google.protobuf.Empty: %s", cases[i].problem));
  }
}

TEST(numbers_keep_their_sign_and_width) {
  pb_Duration d = {.seconds = INT64_MIN, .nanos = -1};
  span in = PB_ENCODE(Duration, &d, &a);
  assert_int_equal(in.n, 22);
  pb_Duration *got = DECODE(Duration, in);
  assert_true(got->seconds == INT64_MIN && got->nanos == -1);
  got = DECODE(Duration, IN("\x10\xff\xff\xff\xff\xff\x7f")); /* wider than the field: cut */
  assert_int_equal(got->nanos, -1);
}

TEST(floats_are_absent_only_when_all_bits_are_zero) {
  pb_RetryPolicy p = {.backoff_coefficient = -0.0};
  assert_int_equal(PB_ENCODE(RetryPolicy, &p, &a).n, 9);
  p.backoff_coefficient = 0.0;
  assert_int_equal(PB_ENCODE(RetryPolicy, &p, &a).n, 0);
}

TEST(encoding_appends_and_grows) {
  pb_StartWorkflowExecutionRequest *r = sample();
  r->identity = packed(100000);
  span whole = PB_ENCODE(StartWorkflowExecutionRequest, r, &a);
  assert_int_equal(whole.n, pb_encoded_bytes(&pb_StartWorkflowExecutionRequest_desc, r));
  buf b = BUF_INIT;
  buf_adds(&b, "head");
  pb_encode(&pb_StartWorkflowExecutionRequest_desc, r, &b);
  pb_encode(&pb_Empty_desc, &(pb_Empty){0}, &b);
  assert_int_equal(b.n, 4 + whole.n);
  assert_memory_equal(b.p, "head", 4);
  assert_memory_equal(b.p + 4, whole.p, whole.n);
  buf_release(&b);
}

TEST(copies_are_equal_and_borrow_nothing) {
  span in = PB_ENCODE(StartWorkflowExecutionRequest, sample(), &a);
  uint8_t *own = mem_alloc(in.n);
  memcpy(own, in.p, in.n);
  pb_StartWorkflowExecutionRequest *r = DECODE(StartWorkflowExecutionRequest, span_of(own, in.n));
  pb_StartWorkflowExecutionRequest *copy = PB_COPY(StartWorkflowExecutionRequest, r, &a);
  assert_true(pb_equal(&pb_StartWorkflowExecutionRequest_desc, r, copy));
  memset(own, 0xff, in.n);
  mem_free(own);
  assert_true(span_eq(PB_ENCODE(StartWorkflowExecutionRequest, copy, &a), in));
  copy->retry_policy->initial_interval->nanos = 1;
  assert_false(pb_equal(&pb_StartWorkflowExecutionRequest_desc, sample(), copy));
}

TEST(maps_are_equal_in_any_order) {
  pb_Payload *x = DECODE(Payload, IN("\x0a\x06\x0a\x01k\x12\x01"
                                     "1"
                                     "\x0a\x06\x0a\x01l\x12\x01"
                                     "2"));
  pb_Payload *y = DECODE(Payload, IN("\x0a\x06\x0a\x01l\x12\x01"
                                     "2"
                                     "\x0a\x06\x0a\x01k\x12\x01"
                                     "1"));
  pb_Payload *z = DECODE(Payload, IN("\x0a\x06\x0a\x01l\x12\x01"
                                     "2"
                                     "\x0a\x06\x0a\x01k\x12\x01"
                                     "2"));
  assert_true(pb_equal(&pb_Payload_desc, x, y));
  assert_false(pb_equal(&pb_Payload_desc, x, z));
}

TEST(names_are_found) {
  for (size_t i = 0; i < pb_desc_count; i++) {
    assert_ptr_equal(pb_find(span_cstr(pb_name(&pb_descs[i]))), &pb_descs[i]);
  }
  assert_null(pb_find(SPAN("temporal.api.common.v1.Payloa")));
  assert_string_equal(pb_enum_name(&pb_EventType_enum, PB_EVENT_TYPE_TIMER_FIRED),
                      "EVENT_TYPE_TIMER_FIRED");
  assert_null(pb_enum_name(&pb_EventType_enum, -5));
  int32_t n = -1;
  assert_true(pb_enum_number(&pb_EventType_enum, SPAN("TimerFired"), &n));
  assert_int_equal(n, PB_EVENT_TYPE_TIMER_FIRED);
  assert_false(pb_enum_number(&pb_EventType_enum, SPAN("timerFired"), &n));
  pb_Any *any = pb_any(&pb_WorkflowType_desc, &(pb_WorkflowType){.name = SPAN("T")}, &a);
  assert_span(any->type_url, "type.googleapis.com/temporal.api.common.v1.WorkflowType");
  assert_span(any->value, "\x0a\x01T");
}

TEST(services_list_their_methods) {
  assert_string_equal(pb_WorkflowService_service.name,
                      "temporal.api.workflowservice.v1.WorkflowService");
  bool found = false;
  for (size_t i = 0; i < pb_WorkflowService_service.method_count; i++) {
    const pb_method *m = &pb_WorkflowService_service.methods[i];
    if (strcmp(m->name, "PollWorkflowTaskQueue") != 0) continue;
    found = true;
    assert_ptr_equal(m->request, &pb_PollWorkflowTaskQueueRequest_desc);
    assert_ptr_equal(m->response, &pb_PollWorkflowTaskQueueResponse_desc);
  }
  assert_true(found);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(strings_are_borrowed_and_keep_nul),
      T(invalid_utf8_is_refused_with_its_path),
      T(valid_utf8_of_every_length_is_taken),
      T(nesting_ends_at_the_limit),
      T(groups_nest_no_deeper_than_messages),
      T(elements_are_limited),
      T(memory_is_limited),
      T(truncation_at_every_byte_is_refused_or_ends_a_field),
      T(payloads_stay_encoded_and_join),
      T(unknown_fields_survive_in_order),
      T(many_scattered_unknown_fields_take_linear_time),
      T(a_message_of_unknown_bytes_alone_is_spliced),
      T(the_last_of_equal_map_keys_wins),
      T(map_entries_without_a_value_have_an_empty_one),
      T(a_oneof_keeps_the_last_member_and_merges_the_same),
      T(packed_and_single_elements_mix),
      T(malformed_tags_and_numbers_are_refused),
      T(numbers_keep_their_sign_and_width),
      T(floats_are_absent_only_when_all_bits_are_zero),
      T(encoding_appends_and_grows),
      T(copies_are_equal_and_borrow_nothing),
      T(maps_are_equal_in_any_order),
      T(names_are_found),
      T(services_list_their_methods),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

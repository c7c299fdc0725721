#include "proto/pb_json.h"

#include "base/test.h"
#include "proto/pb.gen.h"

static arena a;
static buf out;

static int setup(void **state UNUSED) {
  arena_init(&a);
  buf_init(&out);
  return 0;
}
static int teardown(void **state UNUSED) {
  arena_release(&a);
  buf_release(&out);
  return 0;
}

static void *read_json(const pb_desc *d, const char *json, pb_json_flags flags) {
  void *msg = NULL;
  err *e = pb_json_decode(d, span_cstr(json), flags, &a, &msg);
  if (e) fail_msg("%s", e->what);
  return msg;
}
#define READ(Name, json) ((pb_##Name *)read_json(&pb_##Name##_desc, (json), PB_JSON_CANONICAL))

static const char *write_json(const pb_desc *d, const void *msg, pb_json_flags flags) {
  buf_clear(&out);
  err *e = pb_json_encode(d, msg, flags, &a, &out);
  if (e) fail_msg("%s", e->what);
  return arena_cstr(&a, buf_span(&out));
}

/* Reads and writes again. */
static const char *through(const pb_desc *d, const char *json, pb_json_flags flags) {
  return write_json(d, read_json(d, json, flags), flags);
}

static void refused(const pb_desc *d, const char *json, const char *sentence) {
  void *msg;
  err *e = pb_json_decode(d, span_cstr(json), PB_JSON_CANONICAL, &a, &msg);
  if (!e) fail_msg("accepted: %s", json);
  assert_int_equal(e->code, ERR_INVALID_ARGUMENT);
  assert_string_equal(e->what + strlen(pb_name(d)), sentence);
}

TEST(writes_the_canonical_form) {
  pb_HistoryEvent e = {.event_id = 5, .event_type = PB_EVENT_TYPE_TIMER_STARTED};
  pb_Timestamp t = {.seconds = 1, .nanos = 500000000};
  pb_Duration d = {.seconds = -1, .nanos = -1000};
  pb_TimerStartedEventAttributes s = {.timer_id = SPAN("t\"1\n\x01"), .start_to_fire_timeout = &d};
  e.event_time = &t;
  e.which_attributes = PB_HistoryEvent_timer_started_event_attributes_FIELD;
  e.timer_started_event_attributes = &s;
  assert_string_equal(write_json(&pb_HistoryEvent_desc, &e, PB_JSON_CANONICAL),
                      "{\"eventId\":\"5\",\"eventTime\":\"1970-01-01T00:00:01.500Z\","
                      "\"eventType\":\"EVENT_TYPE_TIMER_STARTED\",\"timerStartedEventAttributes\":"
                      "{\"timerId\":\"t\\\"1\\n\\u0001\",\"startToFireTimeout\":\"-1.000001s\"}}");
  e.event_type = 9999;
  e.which_attributes = 0;
  e.event_time = NULL;
  assert_string_equal(write_json(&pb_HistoryEvent_desc, &e, PB_JSON_PRETTY),
                      "{\n  \"eventId\": \"5\",\n  \"eventType\": 9999\n}");
  assert_string_equal(write_json(&pb_Empty_desc, &(pb_Empty){0}, PB_JSON_PRETTY), "{}");
}

TEST(reads_what_other_writers_may_send) {
  pb_HistoryEvent *e =
      READ(HistoryEvent,
           " { \"event_id\" : 1.5e1 , \"eventType\":\"TimerFired\", \"taskId\":null,\n"
           "\"version\":\"-3\",\"eventTime\":\"2024-02-29T12:00:00.25+01:30\"} ");
  assert_int_equal(e->event_id, 15);
  assert_int_equal(e->event_type, PB_EVENT_TYPE_TIMER_FIRED);
  assert_int_equal(e->version, -3);
  assert_int_equal(e->event_time->seconds, 1709202600);
  assert_int_equal(e->event_time->nanos, 250000000);
  pb_Payload *p = READ(Payload, "{\"data\":\"-_8\"}");
  assert_int_equal(p->data.n, 2);
  pb_RetryPolicy *r =
      READ(RetryPolicy, "{\"backoffCoefficient\":\"NaN\",\"maximumAttempts\":\"7\"}");
  assert_true(r->backoff_coefficient != r->backoff_coefficient);
  assert_int_equal(r->maximum_attempts, 7);
  pb_WorkflowType *t = READ(WorkflowType, "{\"name\":\"\\u0041\\ud83d\\ude00\\/\\u0000\"}");
  assert_int_equal(t->name.n, 7);
}

TEST(refuses_with_a_path_and_a_place) {
  const pb_desc *h = &pb_History_desc, *e = &pb_HistoryEvent_desc, *r = &pb_RetryPolicy_desc;
  refused(h, "{\"events\":[{},{\"eventId\":1,\n\"nope\":1}]}",
          ".events[1].nope: an unknown name (line 2, column 8)");
  refused(h, "{\"events\":[null]}", ".events[0]: null instead of a value (line 1, column 12)");
  refused(e, "{\"eventId\":\"x\"}", ".eventId: not a number (line 1, column 15)");
  refused(e, "{\"eventId\":1.5}", ".eventId: not an integer (line 1, column 15)");
  refused(e, "{\"eventId\":9223372036854775808}",
          ".eventId: an integer out of range (line 1, column 31)");
  refused(e, "{\"eventId\":1,\"event_id\":1}", ".event_id: given twice (line 1, column 25)");
  refused(e, "{\"eventType\":\"NOPE\"}", ".eventType: an unknown enum value (line 1, column 20)");
  refused(e, "{\"workerMayIgnore\":1}", ".workerMayIgnore: not true or false (line 1, column 20)");
  refused(e, "{\"eventTime\":\"2023-02-29T00:00:00Z\"}",
          ".eventTime: not a time in RFC 3339 (line 1, column 36)");
  refused(e, "{\"timerFiredEventAttributes\":{},\"timerStartedEventAttributes\":{}}",
          ".timerStartedEventAttributes: a second member of a oneof (line 1, column 63)");
  refused(r, "{\"initialInterval\":\"5\"}",
          ".initialInterval: not a duration such as \"1.5s\" (line 1, column 23)");
  refused(r, "{\"maximumAttempts\":2147483648}",
          ".maximumAttempts: an integer out of range (line 1, column 30)");
  refused(r, "{} x", ": text after the end (line 1, column 4)");
  refused(r, "[]", ": not an object (line 1, column 1)");
  refused(r, "", ": not an object (line 1, column 1)");
  refused(r, "{\"maximumAttempts\":1", ": truncated (line 1, column 21)");
  refused(r, "{\"maximumAttempts\":1 \"x\":2}", ": no comma between values (line 1, column 22)");
  refused(&pb_WorkflowType_desc, "{\"name\":\"\\ud800\"}",
          ".name: half a surrogate pair (line 1, column 16)");
  refused(&pb_WorkflowType_desc, "{\"name\":\"a\xff\"}",
          ".name: invalid UTF-8 (line 1, column 11)");
  refused(&pb_WorkflowType_desc, "{\"name\":\"a\nb\"}",
          ".name: a control character in a string (line 1, column 11)");
  refused(&pb_Payload_desc, "{\"data\":\"a\"}", ".data: not base64 (line 1, column 12)");
}

TEST(unknown_names_can_be_ignored) {
  pb_RetryPolicy *r =
      read_json(&pb_RetryPolicy_desc, "{\"x\":{\"y\":[1,{}]},\"maximumAttempts\":2,\"z\":null}",
                PB_JSON_IGNORE_UNKNOWN);
  assert_int_equal(r->maximum_attempts, 2);
}

TEST(nesting_and_elements_are_limited) {
  buf b = BUF_INIT;
  void *msg;
  for (int i = 0; i < 10000; i++) buf_adds(&b, "{\"cause\":");
  err *e = pb_json_decode(&pb_Failure_desc, buf_span(&b), PB_JSON_CANONICAL, &a, &msg);
  assert_non_null(strstr(e->what, "nested too deep"));
  buf_clear(&b);
  buf_adds(&b, "{\"unknown\":");
  for (int i = 0; i < 10000; i++) buf_adds(&b, "[");
  e = pb_json_decode(&pb_Failure_desc, buf_span(&b), PB_JSON_IGNORE_UNKNOWN, &a, &msg);
  assert_non_null(strstr(e->what, "nested too deep"));
  buf_clear(&b);
  buf_adds(&b, "{\"resetReapplyExcludeTypes\":[1");
  for (int i = 0; i < PB_MAX_ELEMENTS; i++) buf_adds(&b, ",1");
  buf_adds(&b, "]}");
  e = pb_json_decode(&pb_ResetOptions_desc, buf_span(&b), PB_JSON_CANONICAL, &a, &msg);
  assert_non_null(strstr(e->what, "too many elements"));
  buf_release(&b);
}

TEST(truncated_text_is_refused_at_every_byte) {
  static const char json[] =
      "{\"message\":\"a\\u0041\",\"cause\":{\"applicationFailureInfo\":{\"type\":\"T\","
      "\"nonRetryable\":true,"
      "\"nextRetryDelay\":\"1.5s\",\"details\":{\"payloads\":[{\"data\":\"AA==\"}]}}}}";
  for (size_t n = 0; n < sizeof json - 1; n++) {
    void *msg;
    span cut = arena_dup(&a, span_of(json, n));
    assert_non_null(pb_json_decode(&pb_Failure_desc, cut, PB_JSON_CANONICAL, &a, &msg));
  }
  assert_string_equal(through(&pb_Failure_desc, json, PB_JSON_CANONICAL),
                      "{\"message\":\"aA\",\"cause\":{\"applicationFailureInfo\":{\"type\":\"T\","
                      "\"nonRetryable\":true,\"details\":{\"payloads\":[{\"data\":\"AA==\"}]},"
                      "\"nextRetryDelay\":\"1.500s\"}}}");
}

TEST(well_known_types_have_their_own_form) {
  static const struct {
    const pb_desc *desc;
    const char *json;
  } cases[] = {
      {&pb_Struct_desc, "{\"a\":[1,\"x\",null,true,{\"b\":-0.5}],\"\":{}}"},
      {&pb_Value_desc, "null"},
      {&pb_ListValue_desc, "[]"},
      {&pb_FieldMask_desc, "\"someField.innerName,x\""},
      {&pb_FieldMask_desc, "\"\""},
      {&pb_Int64Value_desc, "\"-5\""},
      {&pb_BoolValue_desc, "true"},
      {&pb_BytesValue_desc, "\"AAE=\""},
      {&pb_Duration_desc, "\"-0.500s\""},
      {&pb_Duration_desc, "\"315576000000s\""},
      {&pb_Timestamp_desc, "\"0001-01-01T00:00:00Z\""},
      {&pb_Timestamp_desc, "\"9999-12-31T23:59:59.999999999Z\""},
      {&pb_Timestamp_desc, "\"2000-02-29T23:59:59.000001Z\""},
      {&pb_Any_desc, "{}"},
      {&pb_Any_desc,
       "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}"},
      {&pb_Any_desc,
       "{\"@type\":\"type.googleapis.com/temporal.api.common.v1.WorkflowType\",\"name\":\"T\"}"},
      {&pb_Any_desc,
       "{\"@type\":\"x/google.protobuf.Any\",\"value\":{\"@type\":\"y/google.protobuf.BoolValue\","
       "\"value\":true}}"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    assert_string_equal(through(cases[i].desc, cases[i].json, PB_JSON_CANONICAL), cases[i].json);
  }
  const char *late = "{\"name\":\"T\",\"@type\":\"x/temporal.api.common.v1.WorkflowType\"}";
  assert_string_equal(through(&pb_Any_desc, late, PB_JSON_CANONICAL),
                      "{\"@type\":\"x/temporal.api.common.v1.WorkflowType\",\"name\":\"T\"}");
  refused(&pb_Any_desc, "{\"name\":1}", ": an Any without \"@type\" (line 1, column 11)");
  refused(&pb_Any_desc, "{\"@type\":\"x/y\"}", ": an Any of an unknown type (line 1, column 2)");
  refused(&pb_FieldMask_desc, "\"a_b\"", ": an underscore in a field mask path (line 1, column 6)");
}

TEST(what_has_no_json_form_is_an_error_and_leaves_the_buffer) {
  pb_Timestamp t = {.seconds = INT64_MAX};
  buf_adds(&out, "kept");
  err *e = pb_json_encode(&pb_Timestamp_desc, &t, PB_JSON_CANONICAL, &a, &out);
  assert_string_equal(e->what, "google.protobuf.Timestamp: a timestamp out of range");
  assert_int_equal(out.n, 4);
  pb_Any any = {.type_url = SPAN("x/unknown.Type"), .value = SPAN("\x01")};
  assert_non_null(pb_json_encode(&pb_Any_desc, &any, PB_JSON_CANONICAL, &a, &out));
}

TEST(payload_shorthand_is_the_plain_json) {
  static const char *const same[] = {
      "[]",
      "[1,\"x\",null,true,{\"a\":[1,2]},[]]",
      "[{\"_protoMessageType\":\"my.Type\",\"a\":1,\"b\":{\"c\":2}}]",
      "[{\"_protoMessageType\":\"my.Type\"}]",
      "[{\"metadata\":{\"encoding\":\"YmluYXJ5L3BsYWlu\"},\"data\":\"AAE=\"}]",
      "[{\"metadata\":\"no payload\",\"data\":1}]",
  };
  for (size_t i = 0; i < ARRAY_LEN(same); i++) {
    const char *want = same[i];
    if (strstr(want, "YmluYXJ5")) {
      want = arena_printf(&a, "{\"payloads\":%s}", same[i]);
    }
    assert_string_equal(through(&pb_Payloads_desc, same[i], PB_JSON_SHORTHAND), want);
  }
  pb_Payloads *p = read_json(&pb_Payloads_desc, "[ { \"a\" : \" x \" } ]", PB_JSON_SHORTHAND);
  assert_span(p->payloads.v[0]->metadata.v[0]->value, "json/plain");
  assert_string_equal(write_json(&pb_Payloads_desc, p, PB_JSON_SHORTHAND), "[{\"a\":\" x \"}]");
  assert_string_equal(write_json(&pb_Payloads_desc, p, PB_JSON_CANONICAL),
                      "{\"payloads\":[{\"metadata\":{\"encoding\":\"anNvbi9wbGFpbg==\"},\"data\":"
                      "\"eyAiYSIgOiAiIHggIiB9\"}]}");
  p = read_json(&pb_Payloads_desc, "{\"payloads\":[5]}", PB_JSON_SHORTHAND);
  assert_span(p->payloads.v[0]->data, "5");
}

TEST(payload_shorthand_reaches_fields_and_maps) {
  static const char json[] =
      "{\"workflowId\":\"w\",\"input\":[\"hello\",{\"n\":1}],\"memo\":{\"fields\":{\"k\":\"v\","
      "\"n\":null}}}";
  pb_StartWorkflowExecutionRequest *r =
      read_json(&pb_StartWorkflowExecutionRequest_desc, json, PB_JSON_SHORTHAND);
  pb_Payloads *input;
  assert_null(PB_DECODE(Payloads, r->input, &a, &input));
  assert_span(input->payloads.v[0]->data, "\"hello\"");
  assert_span(r->memo->fields.v[1]->value->metadata.v[0]->value, "binary/null");
  assert_string_equal(write_json(&pb_StartWorkflowExecutionRequest_desc, r, PB_JSON_SHORTHAND),
                      json);
}

TEST(data_that_is_no_json_is_not_shortened) {
  pb_Payload p = {.data = SPAN("{broken")};
  pb_Payload_MetadataEntry m = {.key = SPAN("encoding"), .value = SPAN("json/plain")};
  pb_Payload_MetadataEntry *entries[] = {&m};
  p.metadata.v = entries;
  p.metadata.n = 1;
  assert_string_equal(
      write_json(&pb_Payload_desc, &p, PB_JSON_SHORTHAND),
      "{\"metadata\":{\"encoding\":\"anNvbi9wbGFpbg==\"},\"data\":\"e2Jyb2tlbg==\"}");
}

TEST(map_keys_of_every_type_are_strings) {
  static const char json[] = "{\"metadata\":{\"\":\"\",\"a\\nb\":\"AA==\"}}";
  assert_string_equal(through(&pb_Payload_desc, json, PB_JSON_CANONICAL), json);
  pb_Payload *p = READ(Payload, "{\"metadata\":{\"a\":\"AA==\",\"a\":\"AQ==\"}}");
  assert_int_equal(p->metadata.n, 1);
  assert_int_equal(p->metadata.v[0]->value.p[0], 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(writes_the_canonical_form),
      T(reads_what_other_writers_may_send),
      T(refuses_with_a_path_and_a_place),
      T(unknown_names_can_be_ignored),
      T(nesting_and_elements_are_limited),
      T(truncated_text_is_refused_at_every_byte),
      T(well_known_types_have_their_own_form),
      T(what_has_no_json_form_is_an_error_and_leaves_the_buffer),
      T(payload_shorthand_is_the_plain_json),
      T(payload_shorthand_reaches_fields_and_maps),
      T(data_that_is_no_json_is_not_shortened),
      T(map_keys_of_every_type_are_strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

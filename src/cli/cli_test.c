#include "base/test.h"

#include "cli/options.h"

typedef struct line {
  arena arena;
  cli_args args;
  server_options options;
  const err *error;
} line;

/* Reads a command line given as words separated by single spaces. */
static void read_line(line *l, const char *words) {
  char *argv[64] = {(char *)(uintptr_t) "perdure"};
  int argc = 1;
  memset(l, 0, sizeof *l);
  char *text = (char *)(uintptr_t)arena_printf(&l->arena, "%s", words);
  for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
    argv[argc++] = w;
  }
  char **kept = arena_array(&l->arena, char *, argc);
  memcpy(kept, argv, (size_t)argc * sizeof *kept);
  l->error = cli_parse(argc, kept, &l->arena, &l->args);
  if (!l->error && l->args.command && !l->args.help_path && !l->args.version) {
    l->error = server_options_read(&l->args, &l->arena, &l->options);
  }
}

static void assert_refused(const char *words, const char *sentence) {
  line l;
  read_line(&l, words);
  assert_non_null(l.error);
  assert_string_equal(l.error->what, sentence);
  arena_release(&l.arena);
}

TEST(start_dev_without_flags) {
  line l;
  read_line(&l, "server start-dev");
  assert_null(l.error);
  assert_int_equal(l.args.command->verb, CLI_SERVER_START_DEV);
  assert_null(l.options.db_path);
  assert_string_equal(l.options.listen.ip, "127.0.0.1");
  assert_int_equal(l.options.listen.port, 7233);
  assert_int_equal(l.options.ui.port, 8233);
  assert_int_equal(l.options.metrics.port, -1);
  assert_int_equal(l.options.n_namespaces, 1);
  assert_string_equal(l.options.namespaces[0], "default");
  assert_int_equal(l.options.log_level, LOG_INFO);
  arena_release(&l.arena);
}

/* What the Python SDK really sends. */
TEST(start_dev_as_sdks_call_it) {
  line l;
  read_line(&l,
            "server start-dev --port 34567 --namespace default --ip 127.0.0.1 --log-format pretty "
            "--log-level warn --dynamic-config-value frontend.enableServerVersionCheck=false "
            "--dynamic-config-value frontend.enableUpdateWorkflowExecution=true --headless "
            "--dynamic-config-value limit.historyCount.suggestContinueAsNew=50 "
            "--dynamic-config-value system.system.refreshNexusEndpointsMinWait=\"0s\" "
            "--dynamic-config-value limit.blobSize.error=10240 "
            "--dynamic-config-value limit.blobSize.warn=2048");
  assert_null(l.error);
  assert_int_equal(l.options.listen.port, 34567);
  assert_int_equal(l.options.ui.port, -1);
  assert_int_equal(l.options.log_level, LOG_WARN);
  assert_int_equal(l.options.shard.limits.suggest_history_events, 50);
  assert_int_equal(l.options.shard.limits.blob_bytes, 10240);
  assert_int_equal(l.options.n_namespaces, 1);
  assert_int_equal(l.options.n_notes, 2); /* the key that is misspelt, and a limit to warn at */
  arena_release(&l.arena);
}

TEST(the_last_value_of_a_repeated_key_counts) {
  line l;
  read_line(&l,
            "server start-dev --dynamic-config-value limit.memoSize.error=1 "
            "--dynamic-config-value=limit.memoSize.error=2 "
            "--dynamic-config-value history.longPollExpirationInterval=\"5s\" "
            "--dynamic-config-value frontend.enableCancelWorkerPollsOnShutdown=true "
            "--dynamic-config-value history.MaxBufferedQueryCount=10000");
  assert_null(l.error);
  assert_int_equal(l.options.shard.limits.memo_bytes, 2);
  assert_int_equal(l.options.shard.long_poll_ns, 5 * NS_PER_SEC);
  assert_int_equal(l.options.shard.buffered_queries, 10000);
  assert_true(l.options.polls_end_on_shutdown);
  arena_release(&l.arena);
}

TEST(keys_are_honoured_or_noted) {
  line l;
  read_line(&l,
            "server start-dev --dynamic-config-value system.enableactivityeagerexecution=false "
            "--dynamic-config-value system.enableEagerWorkflowStart=false "
            "--dynamic-config-value frontend.enableExecuteMultiOperation=true "
            "--dynamic-config-value frontend.activityAPIsEnabled=false "
            "--dynamic-config-value history.enableChasm=true "
            "--dynamic-config-value nexusoperation.enableStandalone=true "
            "--dynamic-config-value nexusoperation.enableStandalone=true");
  assert_null(l.error);
  assert_false(l.options.shard.eager_activities);
  assert_false(l.options.shard.eager_workflows);
  assert_int_equal(l.options.n_notes, 2);
  assert_string_equal(l.options.notes[0],
                      "--dynamic-config-value frontend.activityAPIsEnabled=false has no effect: "
                      "here it is always true");
  assert_string_equal(l.options.notes[1],
                      "--dynamic-config-value nexusoperation.enableStandalone=true has no effect: "
                      "this server has no such setting");
  arena_release(&l.arena);
}

TEST(values_of_all_forms) {
  line l;
  read_line(&l,
            "server start-dev -p=7000 -n a --namespace=b -n a -f x.db --headless=false "
            "--search-attribute CustomIntField=Int --memory-cap 512MiB --ui-ip 0.0.0.0");
  assert_null(l.error);
  assert_int_equal(l.options.listen.port, 7000);
  assert_int_equal(l.options.ui.port, 8000);
  assert_string_equal(l.options.ui.ip, "0.0.0.0");
  assert_string_equal(l.options.db_path, "x.db");
  assert_int_equal(l.options.n_namespaces, 3);
  assert_string_equal(l.options.namespaces[2], "b");
  assert_int_equal(l.options.shard.shed_bytes, 512 << 20);
  const pb_AddSearchAttributesRequest *attributes = &l.options.search_attributes;
  assert_int_equal(attributes->search_attributes.n, 1);
  assert_true(span_eq(attributes->search_attributes.v[0]->key, SPAN("CustomIntField")));
  assert_int_equal(attributes->search_attributes.v[0]->value, PB_INDEXED_VALUE_TYPE_INT);
  arena_release(&l.arena);
}

TEST(the_production_form) {
  line l;
  read_line(&l,
            "server start --data-dir data --listen [::1]:9 --tls-cert c --tls-key k "
            "--tls-client-ca ca --metrics-listen 127.0.0.1:9090 --log-format json");
  assert_null(l.error);
  assert_int_equal(l.args.command->verb, CLI_SERVER_START);
  assert_string_equal(l.options.data_dir, "data");
  assert_string_equal(l.options.db_path, "data/perdure.db");
  assert_string_equal(l.options.listen.ip, "::1");
  assert_int_equal(l.options.listen.port, 9);
  assert_string_equal(l.options.tls.client_ca_path, "ca");
  assert_int_equal(l.options.metrics.port, 9090);
  assert_int_equal(l.options.ui.port, -1);
  assert_int_equal(l.options.log_format, LOG_JSON);
  arena_release(&l.arena);
}

TEST(a_wrong_line_gets_a_sentence) {
  static const char *const cases[][2] = {
      {"server start-dv",
       "There is no command \"perdure server start-dv\". Did you mean perdure "
       "server start-dev?"},
      {"worker", "There is no command \"perdure worker\"."},
      {"server start-dev now", "\"now\" is one word too many after perdure server start-dev."},
      {"server start-dev --headles", "There is no flag --headles here. Did you mean --headless?"},
      {"server start-dev --frobnicate=1", "There is no flag --frobnicate here."},
      {"server start-dev -z", "There is no flag -z here."},
      {"server start-dev --port", "--port needs a value."},
      {"server start-dev --port 70000",
       "--port wants a port number from 0 to 65535, not \"70000\"."},
      {"server start-dev --headless=maybe", "--headless wants true or false, not \"maybe\"."},
      {"server start-dev --log-format xml",
       "--log-format wants one of json|pretty|text, not \"xml\"."},
      {"server start-dev --memory-cap much",
       "--memory-cap wants a size such as 512MiB or 2GiB, not \"much\"."},
      {"server start-dev --dynamic-config-value x",
       "--dynamic-config-value wants KEY=VALUE, not \"x\"."},
      {"server start-dev --dynamic-config-value limit.blobSize.error=big",
       "--dynamic-config-value limit.blobSize.error wants a whole number, not big."},
      {"server start-dev --search-attribute A=Number",
       "--search-attribute A=Number: the type is one of Text, Keyword, Int, Double, Bool, "
       "Datetime, KeywordList."},
      {"server start-dev --port 65000",
       "The web page's port, --port plus 1000, would be 66000: choose one with --ui-port or use "
       "--headless."},
      {"server start",
       "perdure server start needs --data-dir DIR, the folder its database lives in."},
      {"server start --data-dir d --listen 7233", "--listen wants ADDRESS:PORT, not \"7233\"."},
      {"server start --data-dir d --tls-cert c",
       "--tls-cert and --tls-key are given together or not at all."},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) assert_refused(cases[i][0], cases[i][1]);
}

TEST(help_and_version) {
  line l;
  read_line(&l, "");
  assert_string_equal(l.args.help_path, "");
  arena_release(&l.arena);
  read_line(&l, "server --help");
  assert_string_equal(l.args.help_path, "server");
  arena_release(&l.arena);
  read_line(&l, "server start-dev --port 1 -h");
  assert_string_equal(l.args.help_path, "server start-dev");
  arena_release(&l.arena);
  read_line(&l, "--version");
  assert_true(l.args.version);
  assert_null(l.args.help_path);
  arena_release(&l.arena);
}

/* Every flag is in the help of its command. */
TEST(help_is_complete) {
  for (size_t i = 0; i < cli_command_count; i++) {
    char text[16 * 1024] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    cli_print_help(out, cli_commands[i].path);
    fclose(out);
    assert_non_null(strstr(text, "Examples:\n  perdure "));
    for (size_t f = 0; f < cli_commands[i].n_flags; f++) {
      char name[64];
      snprintf(name, sizeof name, "--%s", cli_commands[i].flags[f].name);
      assert_non_null(strstr(text, name));
    }
    assert_non_null(strstr(text, "--log-level"));
  }
}

TEST(sizes) {
  uint64_t n;
  assert_true(cli_parse_size("7", &n) && n == 7);
  assert_true(cli_parse_size("2GiB", &n) && n == UINT64_C(2) << 30);
  assert_true(cli_parse_size("64K", &n) && n == 65536);
  assert_false(cli_parse_size("", &n));
  assert_false(cli_parse_size("-1", &n));
  assert_false(cli_parse_size("1PB", &n));
  assert_false(cli_parse_size("99999999999GiB", &n));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(start_dev_without_flags),
      cmocka_unit_test(start_dev_as_sdks_call_it),
      cmocka_unit_test(the_last_value_of_a_repeated_key_counts),
      cmocka_unit_test(keys_are_honoured_or_noted),
      cmocka_unit_test(values_of_all_forms),
      cmocka_unit_test(the_production_form),
      cmocka_unit_test(a_wrong_line_gets_a_sentence),
      cmocka_unit_test(help_and_version),
      cmocka_unit_test(help_is_complete),
      cmocka_unit_test(sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "cli/cli.h"

#include <stdlib.h>

static const cli_flag help_flag = {"help", 'h', CLI_SWITCH, false, NULL, NULL, NULL};
static const cli_flag version_flag = {"version", 'v', CLI_SWITCH, false, NULL, NULL, NULL};

static const cli_command *find_command(const char *path) {
  for (size_t i = 0; i < cli_command_count; i++) {
    if (strcmp(cli_commands[i].path, path) == 0) return &cli_commands[i];
  }
  return NULL;
}

static bool is_group(const char *path) {
  for (size_t i = 0; i < cli_group_count; i++) {
    if (strcmp(cli_groups[i].path, path) == 0) return true;
  }
  return false;
}

/* The i-th flag that may follow the command, or NULL after the last. */
static const cli_flag *flag_at(const cli_command *c, size_t i) {
  if (c && i < c->n_flags) return &c->flags[i];
  i -= c ? c->n_flags : 0;
  if (i < cli_common_flag_count) return &cli_common_flags[i];
  i -= cli_common_flag_count;
  return i == 0 ? &help_flag : i == 1 ? &version_flag : NULL;
}

static const cli_flag *find_flag(const cli_command *c, const char *name, size_t n) {
  const cli_flag *f;
  for (size_t i = 0; (f = flag_at(c, i)); i++) {
    if (strlen(f->name) == n && memcmp(f->name, name, n) == 0) return f;
  }
  return NULL;
}

static const cli_flag *find_letter(const cli_command *c, char letter) {
  const cli_flag *f;
  for (size_t i = 0; (f = flag_at(c, i)); i++) {
    if (f->letter == letter) return f;
  }
  return NULL;
}

/* --- what was probably meant --- */

static size_t edit_distance(const char *x, const char *y) {
  size_t row[64], n = MIN(strlen(y), ARRAY_LEN(row) - 1);
  for (size_t j = 0; j <= n; j++) row[j] = j;
  for (size_t i = 1; x[i - 1]; i++) {
    size_t before = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t old = row[j], change = before + (x[i - 1] != y[j - 1]);
      row[j] = MIN(change, MIN(old, row[j - 1]) + 1);
      before = old;
    }
  }
  return row[n];
}

/* " Did you mean X?", or nothing when no candidate is near. */
static const char *meant(arena *a, const char *dashes, const char *best, size_t distance,
                         const char *given) {
  if (!best || distance > 1 + strlen(given) / 3) return "";
  return arena_printf(a, " Did you mean %s%s?", dashes, best);
}

static const char *nearest_flag(arena *a, const cli_command *c, const char *given) {
  const char *best = NULL;
  const cli_flag *f;
  size_t least = SIZE_MAX;
  for (size_t i = 0; (f = flag_at(c, i)); i++) {
    size_t d = edit_distance(given, f->name);
    if (d < least) {
      least = d;
      best = f->name;
    }
  }
  return meant(a, "--", best, least, given);
}

static const char *nearest_command(arena *a, const char *given) {
  const char *best = NULL;
  size_t least = SIZE_MAX;
  for (size_t i = 0; i < cli_command_count; i++) {
    size_t d = edit_distance(given, cli_commands[i].path);
    if (d < least) {
      least = d;
      best = cli_commands[i].path;
    }
  }
  return meant(a, "perdure ", best, least, given);
}

/* --- values --- */

bool cli_parse_size(const char *text, uint64_t *ret_size) {
  static const struct {
    const char *unit;
    int shift;
  } units[] = {{"", 0},    {"B", 0},    {"K", 10}, {"KB", 10}, {"KiB", 10}, {"M", 20},
               {"MB", 20}, {"MiB", 20}, {"G", 30}, {"GB", 30}, {"GiB", 30}, {"TiB", 40}};
  char *end;
  if (text[0] < '0' || text[0] > '9') return false;
  unsigned long long n = strtoull(text, &end, 10);
  for (size_t i = 0; i < ARRAY_LEN(units); i++) {
    if (strcmp(end, units[i].unit) != 0) continue;
    if (n > UINT64_MAX >> units[i].shift >> 1) return false;
    *ret_size = (uint64_t)n << units[i].shift;
    return true;
  }
  return false;
}

bool cli_parse_port(const char *text, int *ret_port) {
  size_t n = strspn(text, "0123456789");
  if (n == 0 || n > 5 || text[n]) return false;
  long port = strtol(text, NULL, 10);
  if (port > 65535) return false;
  *ret_port = (int)port;
  return true;
}

static bool is_choice(const char *choices, const char *text) {
  size_t n = strlen(text);
  for (const char *p = choices; p; p = strchr(p, '|')) {
    if (*p == '|') p++;
    if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == 0)) return n > 0;
  }
  return false;
}

static err *check_value(arena *a, const cli_flag *f, const char *text) {
  uint64_t size;
  int port;
  const char *wants = NULL;
  const char *equals = strchr(text, '=');
  switch (f->kind) {
    case CLI_SWITCH:
      if (!is_choice("true|false", text)) wants = "true or false";
      break;
    case CLI_TEXT:
      break;
    case CLI_PORT:
      if (!cli_parse_port(text, &port)) wants = "a port number from 0 to 65535";
      break;
    case CLI_SIZE:
      if (!cli_parse_size(text, &size)) wants = "a size such as 512MiB or 2GiB";
      break;
    case CLI_PAIR:
      if (!equals || equals == text) wants = arena_printf(a, "%s", f->value);
      break;
    case CLI_CHOICE:
      if (!is_choice(f->value, text)) wants = arena_printf(a, "one of %s", f->value);
      break;
  }
  if (!wants) return NULL;
  return ERR(a, INVALID_ARGUMENT, "--%s wants %s, not \"%s\".", f->name, wants, text);
}

static err *add_value(arena *a, cli_args *args, const cli_flag *f, const char *text) {
  TRY(check_value(a, f, text));
  args->values[args->n_values++] = (cli_value){f, text};
  return NULL;
}

/* One flag, at argv[*at]; moves on over a value in the next argument. */
static err *parse_flag(int argc, char **argv, int *at, arena *a, cli_args *args) {
  const char *word = argv[*at], *text = NULL;
  const cli_flag *f;
  if (word[1] == '-') {
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    f = find_flag(args->command, word + 2, n);
    if (!f) {
      const char *name = arena_printf(a, "%.*s", (int)n, word + 2);
      return ERR(a, INVALID_ARGUMENT, "There is no flag --%s here.%s", name,
                 nearest_flag(a, args->command, name));
    }
    if (equals) text = equals + 1;
  } else {
    f = find_letter(args->command, word[1]);
    if (!f) return ERR(a, INVALID_ARGUMENT, "There is no flag -%c here.", word[1]);
    if (word[2]) text = word + 2 + (word[2] == '=');
  }
  if (!text && f->kind == CLI_SWITCH) text = "true";
  if (!text) {
    if (*at + 1 >= argc) return ERR(a, INVALID_ARGUMENT, "--%s needs a value.", f->name);
    text = argv[++*at];
  }
  return add_value(a, args, f, text);
}

/* Words up to the first flag name a command or a group. */
static err *parse_words(int argc, char **argv, int *at, arena *a, const char **ret_path) {
  const char *path = "";
  while (*at < argc && argv[*at][0] != '-') {
    const char *longer =
        *path ? arena_printf(a, "%s %s", path, argv[*at]) : arena_printf(a, "%s", argv[*at]);
    if (!is_group(longer) && !find_command(longer)) {
      return ERR(a, INVALID_ARGUMENT, "There is no command \"perdure %s\".%s", longer,
                 nearest_command(a, longer));
    }
    path = longer;
    ++*at;
    if (find_command(path)) break;
  }
  *ret_path = path;
  return NULL;
}

err *cli_parse(int argc, char **argv, arena *a, cli_args *ret_args) {
  cli_args args = {.values = arena_array(a, cli_value, argc + 1)};
  const char *path;
  int at = 1;
  TRY(parse_words(argc, argv, &at, a, &path));
  args.command = find_command(path);
  for (; at < argc; at++) {
    if (argv[at][0] != '-' || !argv[at][1]) {
      return ERR(a, INVALID_ARGUMENT, "\"%s\" is one word too many%s%s.", argv[at],
                 *path ? " after perdure " : "", path);
    }
    TRY(parse_flag(argc, argv, &at, a, &args));
  }
  for (size_t i = 0; i < args.n_values; i++) {
    if (args.values[i].flag == &help_flag) args.help_path = path;
    if (args.values[i].flag == &version_flag) args.version = true;
  }
  if (!args.command && !args.version) args.help_path = path;
  *ret_args = args;
  return NULL;
}

/* --- looking values up --- */

static const cli_flag *known_flag(const cli_args *args, const char *name) {
  const cli_flag *f = find_flag(args->command, name, strlen(name));
  ASSERT(f);
  return f;
}

const char *cli_text(const cli_args *args, const char *flag) {
  const cli_flag *f = known_flag(args, flag);
  for (size_t i = args->n_values; i > 0; i--) {
    if (args->values[i - 1].flag == f) return args->values[i - 1].text;
  }
  return f->fallback;
}

bool cli_given(const cli_args *args, const char *flag) {
  const cli_flag *f = known_flag(args, flag);
  for (size_t i = 0; i < args->n_values; i++) {
    if (args->values[i].flag == f) return true;
  }
  return false;
}

bool cli_switch(const cli_args *args, const char *flag) {
  const char *text = cli_text(args, flag);
  return text && strcmp(text, "true") == 0;
}

int cli_port(const cli_args *args, const char *flag) {
  const char *text = cli_text(args, flag);
  int port = -1;
  if (text) ASSERT(cli_parse_port(text, &port));
  return port;
}

uint64_t cli_size(const cli_args *args, const char *flag) {
  const char *text = cli_text(args, flag);
  uint64_t n = 0;
  ASSERT(text && cli_parse_size(text, &n));
  return n;
}

#include "cli/cli.h"

enum { FLAG_WIDTH = 34, LINE_WIDTH = 92 };

/* Words of `text` between FLAG_WIDTH and LINE_WIDTH. */
static void print_wrapped(FILE *out, const char *text) {
  size_t at = FLAG_WIDTH;
  while (*text) {
    size_t n = strcspn(text, " ");
    if (at > FLAG_WIDTH && at + 1 + n > LINE_WIDTH) {
      fprintf(out, "\n%*s", FLAG_WIDTH, "");
      at = FLAG_WIDTH;
    }
    at += (size_t)fprintf(out, "%s%.*s", at > FLAG_WIDTH ? " " : "", (int)n, text);
    text += n;
    text += *text == ' ';
  }
  fputc('\n', out);
}

static void print_flag(FILE *out, const cli_flag *f) {
  char left[96], help[640];
  char letter[8] = "    ";
  if (f->letter) snprintf(letter, sizeof letter, "-%c, ", f->letter);
  snprintf(left, sizeof left, "  %s--%s%s%s", letter, f->name, f->value ? " " : "",
           f->value ? f->value : "");
  fprintf(out, "%-*s", FLAG_WIDTH, left);
  if (strlen(left) >= FLAG_WIDTH) fprintf(out, "\n%*s", FLAG_WIDTH, "");
  snprintf(help, sizeof help, "%s%s%s%s%s", f->help, f->repeatable ? " May be repeated." : "",
           f->fallback ? " (default " : "", f->fallback ? f->fallback : "", f->fallback ? ")" : "");
  print_wrapped(out, help);
}

static void print_common(FILE *out) {
  for (size_t i = 0; i < cli_common_flag_count; i++) print_flag(out, &cli_common_flags[i]);
  fprintf(out, "%-*sPrint this help.\n", FLAG_WIDTH, "  -h, --help");
}

static void print_command(FILE *out, const cli_command *c) {
  fprintf(out, "%s\n\n%s\nUsage:\n  perdure %s [flags]\n\nExamples:\n%s\nFlags:\n", c->summary,
          c->text, c->path, c->examples);
  for (size_t i = 0; i < c->n_flags; i++) print_flag(out, &c->flags[i]);
  print_common(out);
}

/* Whether `path` lies directly or deeper under `group`. */
static bool is_under(const char *path, const char *group) {
  size_t n = strlen(group);
  if (n == 0) return true;
  return strncmp(path, group, n) == 0 && path[n] == ' ';
}

static void print_group(FILE *out, const cli_group *g) {
  fprintf(out, "%s\n\nUsage:\n  perdure %s%s<command> [flags]\n\nCommands:\n", g->summary, g->path,
          *g->path ? " " : "");
  for (size_t i = 0; i < cli_command_count; i++) {
    if (!is_under(cli_commands[i].path, g->path)) continue;
    fprintf(out, "  %-*s%s\n", FLAG_WIDTH - 2, cli_commands[i].path, cli_commands[i].summary);
  }
  fprintf(out, "\nExamples:\n%s\nFlags:\n", g->examples);
  print_common(out);
  if (!*g->path) fprintf(out, "%-*sPrint the version.\n", FLAG_WIDTH, "  -v, --version");
  fprintf(out,
          "\n\"perdure <command> --help\" tells all about a command.\n"
          "Exit status: 0 done, 1 failed, 2 the command line is wrong.\n");
}

void cli_print_help(FILE *out, const char *path) {
  for (size_t i = 0; i < cli_command_count; i++) {
    if (strcmp(cli_commands[i].path, path) == 0) {
      print_command(out, &cli_commands[i]);
      return;
    }
  }
  for (size_t i = 0; i < cli_group_count; i++) {
    if (strcmp(cli_groups[i].path, path) == 0) print_group(out, &cli_groups[i]);
  }
}

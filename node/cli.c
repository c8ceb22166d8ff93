/* cli.c: see cli.h. */
#include "node/cli.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "proto/jsonwhole.h"

enum {
    WORD_CHARS_MAX = 32, /* of a word that may be a slip of the fingers */
    MESSAGE_CHARS_MAX = 2048,
    COMMANDS_MAX = 64,
    OPTIONS_MAX = 64,
    SUMMARY_COLUMN = 10
};

static const char default_home[] = "/var/lib/huren";

/* Levenshtein distance; both words are at most WORD_CHARS_MAX long. */
static size_t
distance(const char *a, const char *b)
{
    size_t a_count = strlen(a), b_count = strlen(b);
    size_t row[WORD_CHARS_MAX + 1];
    assert(b_count <= WORD_CHARS_MAX);
    for (size_t j = 0; j <= b_count; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_count; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_count; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            row[j] = best;
        }
    }
    return row[b_count];
}

const char *
cli_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX, length = strlen(word);
    if (length > WORD_CHARS_MAX) {
        return NULL;
    }
    for (; *names != NULL; names++) {
        if (strlen(*names) > WORD_CHARS_MAX) {
            continue;
        }
        size_t d = distance(word, *names);
        if (d < best_distance) {
            best_distance = d;
            best = *names;
        }
    }
    size_t allowed = length < 4 ? 1 : length / 2 < 3 ? length / 2 : 3;
    return best_distance <= allowed ? best : NULL;
}

/* Replace what must not reach a terminal.  Length stays. */
static void
make_printable(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (*p != 0) {
        size_t more = *p < 0x80                  ? 0
                      : *p >= 0xc2 && *p <= 0xdf ? 1
                      : *p >= 0xe0 && *p <= 0xef ? 2
                      : *p >= 0xf0 && *p <= 0xf4 ? 3
                                                 : SIZE_MAX;
        bool good = more != SIZE_MAX && *p >= 0x20 && *p != 0x7f &&
                    !(*p == 0xc2 && p[1] < 0xa0); /* C1 controls */
        for (size_t i = 1; good && i <= more; i++) {
            good = (p[i] & 0xc0) == 0x80; /* stops at the final zero */
        }
        if (good) {
            p += 1 + more;
        } else {
            *p++ = '?';
        }
    }
}

int
cli_error(struct cli *cli, int exit_code, const char *format, ...)
{
    char message[MESSAGE_CHARS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    make_printable(message);
    cli->said = true;
    if (cli->command != NULL) {
        fprintf(cli->err, "huren: %s: %s\n", cli->command, message);
    } else {
        fprintf(cli->err, "huren: %s\n", message);
    }
    return exit_code;
}

static const struct cli_command *
find_command(const struct cli_command *commands, const char *name)
{
    for (; commands->name != NULL; commands++) {
        if (strcmp(commands->name, name) == 0) {
            return commands;
        }
    }
    return NULL;
}

static const char *
nearest_command(const struct cli_command *commands, const char *word)
{
    const char *names[COMMANDS_MAX + 1];
    size_t count = 0;
    for (; commands->name != NULL && count < COMMANDS_MAX; commands++) {
        names[count++] = commands->name;
    }
    names[count] = NULL;
    return cli_nearest(word, names);
}

static void
print_help(const struct cli_command *commands, FILE *out)
{
    fputs("usage: huren [--home DIR] [--json] COMMAND [ARGUMENTS]\n"
          "       huren COMMAND --help\n"
          "\n"
          "Lets hospitals rely on each other's examination and laboratory results\n"
          "without a central database.\n"
          "\n"
          "commands:\n",
          out);
    for (; commands->name != NULL; commands++) {
        fprintf(out, "  %-*s %s\n", SUMMARY_COLUMN, commands->name, commands->summary);
    }
    fputs("\n"
          "options, before or after the command:\n"
          "  --home DIR   home of the node (else HUREN_HOME, else /var/lib/huren)\n"
          "  --json       JSON lines instead of text\n"
          "  --help       this page, or the page of the command\n"
          "\n"
          "exit codes: 0 yes or done; 1 no (not verified, not found, refused by rule);\n"
          "            2 could not tell or could not do (usage, input, I/O)\n",
          out);
}

/* Take --home, --json and --help out of argv[1..]; false after an error. */
static bool
take_global_options(struct cli *cli, int *argc, char **argv, bool *help)
{
    int kept = 1, i = 1;
    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            cli->json = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *help = true;
        } else if (strncmp(argv[i], "--home=", 7) == 0) {
            cli->home = argv[i] + 7;
        } else if (strcmp(argv[i], "--home") == 0) {
            if (i + 1 >= *argc) {
                cli_error(cli, CLI_TROUBLE, "--home needs a directory");
                return false;
            }
            cli->home = argv[++i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    while (i < *argc) {
        argv[kept++] = argv[i++];
    }
    argv[kept] = NULL;
    *argc = kept;
    if (cli->home[0] == 0) {
        cli_error(cli, CLI_TROUBLE, "the home is named by an empty text");
        return false;
    }
    return true;
}

static int
unknown_command(struct cli *cli, const struct cli_command *commands, const char *word)
{
    const char *nearest = nearest_command(commands, word);
    if (word[0] == '-') {
        return cli_error(cli, CLI_TROUBLE, "option %s is not known; see `huren --help`", word);
    }
    if (nearest != NULL) {
        return cli_error(cli, CLI_TROUBLE, "there is no command '%s'; is '%s' meant?", word,
                         nearest);
    }
    return cli_error(cli, CLI_TROUBLE, "there is no command '%s'; see `huren --help`", word);
}

int
cli_main(const struct cli_command *commands, int argc, char **argv, const char *home_env,
         FILE *out, FILE *err)
{
    struct cli cli = {.home = home_env != NULL && home_env[0] != 0 ? home_env : default_home,
                      .json = false,
                      .out = out,
                      .err = err,
                      .command = NULL,
                      .mark = json_whole_mark()};
    bool help = false;
    if (!take_global_options(&cli, &argc, argv, &help)) {
        return CLI_TROUBLE;
    }
    if (argc < 2) {
        print_help(commands, help ? out : err);
        return help ? CLI_YES : CLI_TROUBLE;
    }
    const struct cli_command *command = find_command(commands, argv[1]);
    if (command == NULL) {
        return unknown_command(&cli, commands, argv[1]);
    }
    cli.command = command->name;
    int code = CLI_YES;
    if (help) {
        fputs(command->help, out);
    } else {
        code = command->run(&cli, argc - 1, argv + 1);
    }
    if (json_whole_mark() != cli.mark && (code != CLI_TROUBLE || !cli.said)) {
        /* Part of an answer is none. */
        return cli_error(&cli, CLI_TROUBLE, "%s", status_text(STATUS_NO_MEMORY));
    }
    if (fflush(out) != 0 || ferror(out)) { /* a full disk must not look like an answer */
        return cli_error(&cli, CLI_TROUBLE, "cannot write the output");
    }
    return code;
}

int
cli_subcommand(struct cli *cli, const struct cli_command *commands, int argc, char **argv)
{
    if (argc < 2) {
        char list[MESSAGE_CHARS_MAX] = "";
        size_t used = 0;
        for (const struct cli_command *c = commands; c->name != NULL; c++) {
            int n = snprintf(list + used, sizeof list - used, " %s", c->name);
            assert(n > 0 && (size_t)n < sizeof list - used);
            used += (size_t)n;
        }
        return cli_error(cli, CLI_TROUBLE, "say which:%s; see `huren %s --help`", list,
                         cli->command);
    }
    const struct cli_command *command = find_command(commands, argv[1]);
    if (command == NULL) {
        const char *nearest = nearest_command(commands, argv[1]);
        return nearest == NULL
                   ? cli_error(cli, CLI_TROUBLE, "there is no '%s'; see `huren %s --help`",
                               argv[1], cli->command)
                   : cli_error(cli, CLI_TROUBLE, "there is no '%s'; is '%s' meant?", argv[1],
                               nearest);
    }
    char name[2 * WORD_CHARS_MAX];
    snprintf(name, sizeof name, "%s %s", cli->command, command->name);
    const char *outer = cli->command;
    cli->command = name;
    int code = command->run(cli, argc - 1, argv + 1);
    cli->command = outer;
    return code;
}

static bool
unknown_option(struct cli *cli, const struct cli_option *options, const char *word)
{
    const char *names[OPTIONS_MAX + 1];
    char name[WORD_CHARS_MAX + 1];
    size_t count = 0, length = strcspn(word, "=");
    for (; options->name != NULL && count < OPTIONS_MAX; options++) {
        names[count++] = options->name;
    }
    names[count] = NULL;
    snprintf(name, sizeof name, "%.*s",
             (int)(length < WORD_CHARS_MAX ? length : WORD_CHARS_MAX), word);
    const char *nearest = cli_nearest(name, names);
    if (nearest != NULL) {
        cli_error(cli, CLI_TROUBLE, "option %s is not known; is %s meant?", name, nearest);
    } else {
        cli_error(cli, CLI_TROUBLE, "option %s is not known; see --help of this command", name);
    }
    return false;
}

bool
cli_options(struct cli *cli, struct cli_option *options, int *argc, char **argv)
{
    int kept = 1, i = 1;
    for (struct cli_option *o = options; o->name != NULL; o++) {
        o->count = 0;
    }
    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || argv[i][1] == 0) {
            argv[kept++] = argv[i];
            continue;
        }
        size_t length = strcspn(argv[i], "=");
        struct cli_option *o = options;
        while (o->name != NULL &&
               (strlen(o->name) != length || strncmp(o->name, argv[i], length) != 0)) {
            o++;
        }
        if (o->name == NULL) {
            return unknown_option(cli, options, argv[i]);
        }
        if (o->values_max == 0) {
            if (argv[i][length] == '=') {
                cli_error(cli, CLI_TROUBLE, "option %s takes no value", o->name);
                return false;
            }
            o->count++;
            continue;
        }
        if (o->count == o->values_max) {
            cli_error(cli, CLI_TROUBLE, "option %s is given more than %zu time%s", o->name,
                      o->values_max, o->values_max == 1 ? "" : "s");
            return false;
        }
        if (argv[i][length] == '=') {
            o->values[o->count++] = argv[i] + length + 1;
        } else if (i + 1 < *argc) {
            o->values[o->count++] = argv[++i];
        } else {
            cli_error(cli, CLI_TROUBLE, "option %s needs a value", o->name);
            return false;
        }
    }
    for (i += i < *argc; i < *argc; i++) { /* skips "--" */
        argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}

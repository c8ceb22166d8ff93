/* cli.h: what every command of `huren` is given and how it speaks.
 *
 * Exit codes (DESIGN 12): 0 yes or done; 1 no: not verified, not found,
 * refused by rule; 2 could not tell or could not do: usage, input, I/O.
 * Messages are one line: what was being done, to what, what is wrong, what to
 * do.  With --json the output is JSON lines; errors stay text on `err`. */
#ifndef NODE_CLI_H
#define NODE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proto/status.h"

enum { CLI_YES = 0, CLI_NO = 1, CLI_TROUBLE = 2 };

struct cli {
    const char *home;    /* --home, else HUREN_HOME, else /var/lib/huren */
    bool json;           /* --json, before or after the command */
    FILE *out;           /* answers */
    FILE *err;           /* errors and progress */
    const char *command; /* name of the running command, for messages */
    bool said;           /* an error was written */
    unsigned long mark;  /* json_whole_mark: of what jansson lacked since, nobody was told */
};

/* A command: argv[0] is its name, argv[argc] is NULL; --home, --json and
 * --help are taken out already.  Returns the exit code. */
struct cli_command {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
    const char *summary; /* one line of `huren --help` */
    const char *help;    /* usage, what it does, examples, exit codes; ends in LF */
};

/* Declares cmd_X and cmd_X_help of every command. */
#define COMMAND(name, summary)                                                                 \
    int cmd_##name(struct cli *cli, int argc, char **argv);                                    \
    extern const char cmd_##name##_help[];
#include "node/commands.h"
#undef COMMAND

/* Run `argv` (argv[0] is the program) against `commands`, ended by a row with
 * a NULL name.  `home_env` is HUREN_HOME or NULL.  Returns the exit code. */
int cli_main(const struct cli_command *commands, int argc, char **argv, const char *home_env,
             FILE *out, FILE *err);

/* One option of a command.  `--x VALUE` and `--x=VALUE` are the same. */
struct cli_option {
    const char *name;    /* "--evidence" */
    const char **values; /* room for values_max; NULL for a flag */
    size_t values_max;   /* 0: a flag */
    size_t count;        /* set by cli_options: how often it was given */
};

/* Read the options in argv[1..]; what is left, the operands, is moved up to
 * argv[1..*argc - 1] in order.  "--" ends the options; "-" is an operand.
 * `options` ends with a row whose name is NULL.  On false an error was
 * written, which names the nearest option; return CLI_TROUBLE then. */
MUST_USE bool cli_options(struct cli *cli, struct cli_option *options, int *argc, char **argv);

/* Write "huren: COMMAND: message" as one line to `err`; bytes below 0x20 and
 * invalid UTF-8 in it are replaced by '?'.  Returns `exit_code`. */
__attribute__((format(printf, 3, 4))) int cli_error(struct cli *cli, int exit_code,
                                                    const char *format, ...);

/* Dispatch to a subcommand, as `huren charter sign`: argv[1] is its name.
 * Without one, or with one that is unknown, an error that lists them. */
int cli_subcommand(struct cli *cli, const struct cli_command *commands, int argc, char **argv);

/* The name nearest to `word` in `names` (ended by NULL), or NULL if none is
 * near enough to be meant. */
const char *cli_nearest(const char *word, const char *const *names);

#endif

/* huren policy: packs and decisions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli.h"
#include "node/policy_json.h"

static const char decide_help[] =
    "usage: huren policy decide [FILE]\n"
    "\n"
    "Reads decision inputs, one JSON object a line, from FILE or standard input, and\n"
    "writes one JSON object a line: verdict, at_best, checks with their citations,\n"
    "reason, obligations, billing.  A line that cannot be decided (no JSON object, or\n"
    "a pack that is not known) gets {\"error\": ...} in its place; the others go on.\n"
    "\n"
    "exit codes: 0 every line was decided; 2 some line was not\n";

static const char mark_help[] =
    "usage: huren policy mark [FILE]\n"
    "\n"
    "Reads decision inputs as `huren policy decide` does, without the receiver, and\n"
    "says what the issuer prints: mark (true, false, \"unknown\"), text, row_sign,\n"
    "footnote.  A mark is printed only when it is true.\n"
    "\n"
    "exit codes: 0 every line was answered; 2 some line was not\n";

typedef enum status answer_line(const struct policy_set *, const char *, size_t, json_t **,
                                char *, size_t);

/* Answer one line; false when it got an error. */
static bool
answer_one(struct cli *cli, const struct policy_set *set, answer_line *answer, const char *line,
           size_t bytes)
{
    char error[256] = "";
    json_t *out = NULL;
    enum status st = answer(set, line, bytes, &out, error, sizeof error);
    bool ok = st == STATUS_OK;
    if (!ok) {
        out = json_pack("{s:s}", "error", error[0] != '\0' ? error : status_text(st));
    }
    if (out == NULL || json_dumpf(out, cli->out, JSON_COMPACT) != 0) {
        fputs("{\"error\":\"out of memory\"}", cli->out);
        ok = false;
    }
    fputc('\n', cli->out);
    fflush(cli->out);
    json_decref(out);
    return ok;
}

static bool
is_blank(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (strchr(" \t\r\n", line[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static int
answer_lines(struct cli *cli, FILE *in, const char *name, answer_line *answer)
{
    struct policy_set *set = NULL;
    char error[512];
    char *line = NULL;
    size_t room = 0;
    size_t bad = 0;
    ssize_t got;
    if (policy_set_load_embedded(&set, error, sizeof error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "packs of this binary: %s", error);
    }
    while ((got = getline(&line, &room, in)) > 0) {
        size_t bytes = (size_t)got - (line[got - 1] == '\n');
        if (!is_blank(line, bytes)) {
            bad += !answer_one(cli, set, answer, line, bytes);
        }
    }
    free(line);
    policy_set_free(set);
    if (ferror(in)) {
        return cli_error(cli, CLI_TROUBLE, "%s: %s", name, strerror(errno));
    }
    if (ferror(cli->out)) {
        return cli_error(cli, CLI_TROUBLE, "answers could not be written");
    }
    return bad == 0 ? CLI_YES : CLI_TROUBLE;
}

static int
run_lines(struct cli *cli, int argc, char **argv, answer_line *answer)
{
    struct cli_option options[] = {{NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc > 2) {
        return cli_error(cli, CLI_TROUBLE, "takes one file at most");
    }
    if (argc < 2 || strcmp(argv[1], "-") == 0) {
        return answer_lines(cli, stdin, "standard input", answer);
    }
    FILE *in = fopen(argv[1], "r");
    if (in == NULL) {
        return cli_error(cli, CLI_TROUBLE, "%s: %s", argv[1], strerror(errno));
    }
    int exit_code = answer_lines(cli, in, argv[1], answer);
    fclose(in);
    return exit_code;
}

static int
run_decide(struct cli *cli, int argc, char **argv)
{
    return run_lines(cli, argc, argv, policy_decide_json);
}

static int
run_mark(struct cli *cli, int argc, char **argv)
{
    return run_lines(cli, argc, argv, policy_mark_json);
}

static const struct cli_command subcommands[] = {
    {"decide", run_decide, "JSON lines in, decisions out", decide_help},
    {"mark", run_mark, "what the issuer prints on a result", mark_help},
    {NULL, NULL, NULL, NULL}};

int
cmd_policy(struct cli *cli, int argc, char **argv)
{
    return cli_subcommand(cli, subcommands, argc, argv);
}

const char cmd_policy_help[] =
    "usage: huren policy decide|mark [ARGUMENTS]\n"
    "       huren policy COMMAND --help\n"
    "\n"
    "Whether a result is recognized is decided by packs: one regulation each, as data.\n"
    "\n"
    "  decide   decision inputs in, decisions out, one JSON object a line\n"
    "  mark     what the issuer prints on a result\n";

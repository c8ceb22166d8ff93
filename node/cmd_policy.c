/* huren policy: packs and decisions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/cmd_policy.h"
#include "node/policy_explain.h"
#include "node/policy_home_io.h"
#include "node/policy_json.h"

static const char decide_help[] =
    "usage: huren policy decide [FILE]\n"
    "\n"
    "Reads decision inputs, one JSON object a line, from FILE or standard input, and\n"
    "writes one JSON object a line: verdict, at_best, checks with their citations,\n"
    "reason, obligations, billing.  A line that cannot be decided (no JSON object, or\n"
    "a pack that is not known) gets {\"error\": ...} in its place; the others go on.\n"
    "Packs are those of this binary and of the home, if there is one; an input without the\n"
    "member annex gets what the annexes say that a charter of the home puts in force.\n"
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

/* Answer one line, the `number`th; false when it could not be. */
typedef bool answer_line(struct cli *, const struct policy_set *, const char *, size_t, size_t,
                         const void *);

typedef enum status json_answer(const struct policy_set *, const char *, size_t, json_t **,
                                char *, size_t);

static bool
print_answer(struct cli *cli, const struct policy_set *set, json_answer *answer,
             const char *line, size_t bytes)
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
decide_one(struct cli *cli, const struct policy_set *set, const char *line, size_t bytes,
           size_t number, const void *context)
{
    (void)number;
    (void)context;
    return print_answer(cli, set, policy_decide_json, line, bytes);
}

static bool
mark_one(struct cli *cli, const struct policy_set *set, const char *line, size_t bytes,
         size_t number, const void *context)
{
    (void)number;
    (void)context;
    return print_answer(cli, set, policy_mark_json, line, bytes);
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
answer_lines(struct cli *cli, FILE *in, const char *name, answer_line *answer,
             const void *context)
{
    struct policy_set *set = NULL;
    char *line = NULL;
    size_t room = 0;
    size_t number = 0;
    size_t bad = 0;
    ssize_t got;
    if (!policy_home_load(cli, &set)) {
        return CLI_TROUBLE;
    }
    while ((got = getline(&line, &room, in)) > 0) {
        size_t bytes = (size_t)got - (line[got - 1] == '\n');
        number++;
        if (!is_blank(line, bytes)) {
            bad += !answer(cli, set, line, bytes, number, context);
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

/* Answer the lines of the one operand, or of standard input. */
static int
run_operand(struct cli *cli, int argc, char **argv, answer_line *answer, const void *context)
{
    if (argc > 2) {
        return cli_error(cli, CLI_TROUBLE, "takes one file at most");
    }
    if (argc < 2 || strcmp(argv[1], "-") == 0) {
        return answer_lines(cli, stdin, "standard input", answer, context);
    }
    FILE *in = fopen(argv[1], "r");
    if (in == NULL) {
        return cli_error(cli, CLI_TROUBLE, "%s: %s", argv[1], strerror(errno));
    }
    int exit_code = answer_lines(cli, in, argv[1], answer, context);
    fclose(in);
    return exit_code;
}

static int
run_lines(struct cli *cli, int argc, char **argv, struct cli_option *options,
          answer_line *answer, const void *context)
{
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    return run_operand(cli, argc, argv, answer, context);
}

static const char explain_help[] =
    "usage: huren policy explain [--lang zh|en] [--table] [FILE]\n"
    "\n"
    "Reads decision inputs as `huren policy decide` does and prints a page for each: for\n"
    "a doctor, what the rules ask, what stands against it, what is unknown and what\n"
    "would settle it, each with its clause; with --table for an official, every check\n"
    "in one table (columns parted by TAB).\n"
    "\n"
    "exit codes: 0 every line was explained; 2 some line was not\n";

/* How `explain` answers. */
struct explain_options {
    bool english, table;
};

static enum status
explain_input(const struct policy_set *set, const json_t *input,
              const struct explain_options *options, char **page, char *error,
              size_t error_bytes)
{
    const json_t *id = json_object_get(input, "pack");
    struct policy_arena arena = {NULL};
    struct hr_policy_input facts;
    const struct hr_pack *pack =
        json_is_string(id) ? policy_set_pack(set, policy_set_find(set, json_string_value(id),
                                                                  json_string_length(id)))
                           : NULL;
    if (pack == NULL) {
        snprintf(error, error_bytes, "names no pack that is known here");
        return STATUS_NOT_FOUND;
    }
    json_t *whole = policy_set_complete(set, input);
    enum status st =
        whole == NULL ? STATUS_NO_MEMORY : policy_input_from_json(whole, &arena, &facts);
    if (st == STATUS_OK) {
        st = (options->table ? policy_explain_table : policy_explain_page)(
            pack, policy_set_catalog(set), &facts, options->english, page);
    }
    policy_arena_free(&arena);
    json_decref(whole);
    return st;
}

/* Print the page of one line; false when there is none. */
static bool
explain_one(struct cli *cli, const struct policy_set *set, const char *line, size_t bytes,
            size_t number, const void *options)
{
    char error[256] = "";
    char *page = NULL;
    json_t *input;
    enum status st = policy_json_parse(line, bytes, &input, error, sizeof error);
    st = st == STATUS_OK ? explain_input(set, input, options, &page, error, sizeof error) : st;
    json_decref(input);
    if (st != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "line %zu: %s", number,
                  error[0] != '\0' ? error : status_text(st));
        return false;
    }
    fprintf(cli->out, "%s%s", number > 1 ? "\f\n" : "", page);
    free(page);
    fflush(cli->out);
    return true;
}

static int
run_decide(struct cli *cli, int argc, char **argv)
{
    struct cli_option none[] = {{NULL, NULL, 0, 0}};
    return run_lines(cli, argc, argv, none, decide_one, NULL);
}

static int
run_mark(struct cli *cli, int argc, char **argv)
{
    struct cli_option none[] = {{NULL, NULL, 0, 0}};
    return run_lines(cli, argc, argv, none, mark_one, NULL);
}

static int
run_explain(struct cli *cli, int argc, char **argv)
{
    const char *lang[1] = {"zh"};
    struct cli_option options[] = {
        {"--lang", lang, 1, 0}, {"--table", NULL, 0, 0}, {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (strcmp(lang[0], "zh") != 0 && strcmp(lang[0], "en") != 0) {
        return cli_error(cli, CLI_TROUBLE, "--lang is zh or en");
    }
    struct explain_options how = {strcmp(lang[0], "en") == 0, options[1].count > 0};
    return run_operand(cli, argc, argv, explain_one, &how);
}

static const struct cli_command subcommands[] = {
    {"decide", run_decide, "JSON lines in, decisions out", decide_help},
    {"mark", run_mark, "what the issuer prints on a result", mark_help},
    {"explain", run_explain, "a decision as a page for people", explain_help},
    {"list", cmd_policy_list, "the packs and annexes in hand", cmd_policy_list_help},
    {"check", cmd_policy_check, "check the sources of packs", cmd_policy_check_help},
    {"build", cmd_policy_build, "compile and sign a pack", cmd_policy_build_help},
    {"export", cmd_policy_export, "compiled packs for libhuren-policy", cmd_policy_export_help},
    {"adopt", cmd_policy_adopt, "give a built pack to a home", cmd_policy_adopt_help},
    {"simulate", cmd_policy_simulate, "recorded decisions under a draft",
     cmd_policy_simulate_help},
    {NULL, NULL, NULL, NULL}};

int
cmd_policy(struct cli *cli, int argc, char **argv)
{
    return cli_subcommand(cli, subcommands, argc, argv);
}

const char cmd_policy_help[] =
    "usage: huren policy decide|mark|explain|list|check|build|export|adopt|simulate "
    "[ARGUMENTS]\n"
    "       huren policy COMMAND --help\n"
    "\n"
    "Whether a result is recognized is decided by packs: one regulation each, as data.\n"
    "\n"
    "  decide   decision inputs in, decisions out, one JSON object a line\n"
    "  mark     what the issuer prints on a result\n"
    "  explain  a decision as a page for a doctor, or a table for an official\n"
    "  list     the packs and annexes of this binary and home\n"
    "  check    check the sources of packs\n"
    "  build    compile, test and sign a pack\n"
    "  export   write the compiled catalog and packs, for libhuren-policy\n"
    "  adopt    keep a built pack in a home, from where it reaches all members\n"
    "  simulate what a draft pack would change in recorded decisions\n";

/* Goal: the command line is read as documented and every slip is answered by
 * one line and exit code 2.
 * Method: a table with one command that prints what it was given; streams in
 * memory files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/cli.h"

static char out_text[4096], err_text[4096];

static int
cmd_echo(struct cli *cli, int argc, char **argv)
{
    const char *values[2];
    struct cli_option options[] = {
        {"--item", values, 2, 0}, {"--dry-run", NULL, 0, 0}, {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    fprintf(cli->out, "home=%s json=%d dry=%zu", cli->home, cli->json, options[1].count);
    for (size_t i = 0; i < options[0].count; i++) {
        fprintf(cli->out, " item=%s", values[i]);
    }
    for (int i = 1; i < argc; i++) {
        fprintf(cli->out, " [%s]", argv[i]);
    }
    return argv[argc] == NULL ? CLI_NO : CLI_TROUBLE;
}

static int
cmd_sub(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command subs[] = {
        {"first", cmd_echo, "", ""}, {"second", cmd_echo, "", ""}, {NULL, NULL, NULL, NULL}};
    return cli_subcommand(cli, subs, argc, argv);
}

static const struct cli_command commands[] = {
    {"echo", cmd_echo, "prints", "usage: huren echo\n"},
    {"charter", cmd_sub, "has parts", "usage: parts\n"},
    {NULL, NULL, NULL, NULL}};

/* Run the words of `line`, divided by blanks. */
static int
run(const char *line, const char *home_env)
{
    char copy[1024], *argv[64];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " ")) {
        argv[argc++] = w;
    }
    argv[argc] = NULL;
    FILE *out = tmpfile(), *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    int code = cli_main(commands, argc, argv, home_env, out, err);
    rewind(out);
    rewind(err);
    out_text[fread(out_text, 1, sizeof out_text - 1, out)] = 0;
    err_text[fread(err_text, 1, sizeof err_text - 1, err)] = 0;
    fclose(out);
    fclose(err);
    return code;
}

static void
test_global_options_stand_anywhere(void **state)
{
    (void)state;
    assert_int_equal(run("huren echo", NULL), CLI_NO);
    assert_string_equal(out_text, "home=/var/lib/huren json=0 dry=0");
    run("huren --home /a --json echo x", "/env");
    assert_string_equal(out_text, "home=/a json=1 dry=0 [x]");
    run("huren echo x --json --home=/b", "/env");
    assert_string_equal(out_text, "home=/b json=1 dry=0 [x]");
    run("huren echo -- --json", "/env");
    assert_string_equal(out_text, "home=/env json=0 dry=0 [--json]");
    assert_int_equal(run("huren echo --home", NULL), CLI_TROUBLE);
}

static void
test_options_and_operands_are_told_apart(void **state)
{
    (void)state;
    run("huren echo a --item 1 - --item=2 --dry-run b", NULL);
    assert_string_equal(out_text, "home=/var/lib/huren json=0 dry=1 item=1 item=2 [a] [-] [b]");
    assert_int_equal(run("huren echo --item 1 --item 2 --item 3", NULL), CLI_TROUBLE);
    assert_string_equal(err_text, "huren: echo: option --item is given more than 2 times\n");
    assert_int_equal(run("huren echo --item", NULL), CLI_TROUBLE);
    assert_string_equal(err_text, "huren: echo: option --item needs a value\n");
    assert_int_equal(run("huren echo --dry-run=yes", NULL), CLI_TROUBLE);
}

static void
test_a_slip_is_answered_by_the_nearest_name(void **state)
{
    (void)state;
    assert_int_equal(run("huren ehco", NULL), CLI_TROUBLE);
    assert_string_equal(err_text, "huren: there is no command 'ehco'; is 'echo' meant?\n");
    assert_int_equal(run("huren zebra", NULL), CLI_TROUBLE);
    assert_string_equal(err_text, "huren: there is no command 'zebra'; see `huren --help`\n");
    assert_int_equal(run("huren echo --itme 3", NULL), CLI_TROUBLE);
    assert_string_equal(err_text,
                        "huren: echo: option --itme is not known; is --item meant?\n");
    assert_int_equal(run("huren charter secnd", NULL), CLI_TROUBLE);
    assert_string_equal(err_text, "huren: charter: there is no 'secnd'; is 'second' meant?\n");
    assert_int_equal(run("huren charter", NULL), CLI_TROUBLE);
    assert_int_equal(run("huren charter second --item", NULL), CLI_TROUBLE);
    assert_string_equal(err_text, "huren: charter second: option --item needs a value\n");
    assert_int_equal(run("huren", NULL), CLI_TROUBLE);
}

static void
test_help_is_an_answer_not_an_error(void **state)
{
    (void)state;
    assert_int_equal(run("huren --help", NULL), CLI_YES);
    assert_non_null(strstr(out_text, "  charter    has parts\n"));
    assert_string_equal(err_text, "");
    assert_int_equal(run("huren echo --help --nonsense", NULL), CLI_YES);
    assert_string_equal(out_text, "usage: huren echo\n");
}

static void
test_control_characters_never_reach_the_terminal(void **state)
{
    (void)state;
    assert_int_equal(run("huren \x1b[2J\xc2\x9b\xff\xe4\xba\x92", NULL), CLI_TROUBLE);
    assert_string_equal(
        err_text, "huren: there is no command '?[2J???\xe4\xba\x92'; see `huren --help`\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global_options_stand_anywhere),
        cmocka_unit_test(test_options_and_operands_are_told_apart),
        cmocka_unit_test(test_a_slip_is_answered_by_the_nearest_name),
        cmocka_unit_test(test_help_is_an_answer_not_an_error),
        cmocka_unit_test(test_control_characters_never_reach_the_terminal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cmd_serve.c: huren serve, huren status: the daemon, and how it is. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "node/cli.h"
#include "node/engine.h"
#include "proto/jsonwhole.h"

enum { TURN_MS = 1000 };

const char cmd_serve_help[] =
    "usage: huren serve [--home DIR]\n"
    "\n"
    "The daemon of a home: keeps sessions with the other members, gossips the index, cosigns,\n"
    "answers look-ups, and does the work of the other commands while it runs.  It stays in "
    "the\n"
    "foreground and writes one line for each thing that an operator should know to standard\n"
    "error; \"ready\" means that it listens.  SIGTERM and SIGINT end it; it can also be killed "
    "at\n"
    "any moment without losing what was acknowledged.\n"
    "\n"
    "exit: 0 ended by a signal, 2 could not start, or the store failed\n";

const char cmd_status_help[] =
    "usage: huren status [--json] [--home DIR]\n"
    "\n"
    "What this home holds and knows: charter versions and their age, logs and how far behind\n"
    "they are, cosigning, the signing gate, peers, forks, space.\n"
    "\n"
    "exit: 0 shown, 2 could not look\n";

static volatile sig_atomic_t stopping;

static void
on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static void
say(const char *line)
{
    char at[32] = "";
    time_t now = time(NULL);
    struct tm t;
    if (gmtime_r(&now, &t) != NULL) {
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &t);
    }
    fprintf(stderr, "%s %s\n", at, line);
}

int
cmd_serve(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{NULL, NULL, 0, 0}};
    char error[512] = "";
    struct engine *e;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc > 1) {
        return cli_error(cli, CLI_TROUBLE, "%s is not expected; huren serve --help", argv[1]);
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    if (engine_open(cli->home, true, say, &e, error, sizeof error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (engine_listen(e, error, sizeof error) != STATUS_OK) {
        engine_close(e);
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    say("ready");
    while (!stopping && !e->stop) {
        engine_turn(e, TURN_MS);
    }
    bool failed = e->stop;
    say(failed ? "stopped: the store failed" : "stopped");
    engine_close(e);
    cli->mark = json_whole_mark(); /* whose call it was has heard of it (control_io.c) */
    return failed ? CLI_TROUBLE : CLI_YES;
}

int
cmd_status(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    json_t *args = json_pack("{s:b}", "json", cli->json);
    struct call call = {.command = "status", .args = args};
    int exit_code = call_run(cli, &call);
    json_decref(args);
    return exit_code;
}

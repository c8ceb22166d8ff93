/* cmd_resume.c: huren resume: the operator's word that signing may go on. */
#include <jansson.h>

#include "node/call.h"
#include "node/cli.h"

const char cmd_resume_help[] =
    "usage: huren resume [--network NET] [--home DIR]\n"
    "\n"
    "Let a running node sign again whose start was not a clean one (its home was restored,\n"
    "copied or moved) while no majority of the witnesses could be asked what it signed "
    "before.\n"
    "It is refused while the node still asks (a minute after its start), and when somebody\n"
    "showed a newer head: then it takes its entries back from the members by itself.\n"
    "\n"
    "Only say so when you know that nothing was signed after the copy was made: two heads "
    "that\n"
    "contradict each other end this hospital's log for good, and everybody can prove it.  The\n"
    "decision is recorded in the exchange log.  Where there is any way to reach the "
    "witnesses,\n"
    "or a bundle from one of them, prefer it.\n"
    "\n"
    "exit: 0 signing, 1 refused, 2 could not do it\n";

int
cmd_resume(struct cli *cli, int argc, char **argv)
{
    const char *network = NULL;
    struct cli_option options[] = {{"--network", &network, 1, 0}, {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc > 1) {
        return cli_error(cli, CLI_TROUBLE, "%s is not expected; huren resume --help", argv[1]);
    }
    json_t *args = json_pack("{s:b}", "json", cli->json);
    if (network != NULL) {
        json_object_set_new(args, "network", json_string(network));
    }
    struct call call = {.command = "resume", .args = args};
    int exit_code = call_run(cli, &call);
    json_decref(args);
    return exit_code;
}

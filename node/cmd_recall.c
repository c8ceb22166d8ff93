/* cmd_recall.c: huren recall: corrections and withdrawals of what others rely on. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/call.h"
#include "node/cli.h"

const char cmd_recall_help[] =
    "usage: huren recall list [--open] [--hours N] [--network NET] [--json]\n"
    "       huren recall overdue [--hours N] [--network NET] [--json]\n"
    "\n"
    "A result that was corrected or withdrawn is told to everybody who fetched it, decided on\n"
    "it or recognized it, again and again until they acknowledge.\n"
    "\n"
    "  list     what this home told others of its own results and who acknowledged; and what\n"
    "           it was told itself, with the decisions that leaned on it: name of the "
    "decision,\n"
    "           item, time, salted hash of the question, what the doctor did.  No patient\n"
    "           stands in it; the decision's name leads to its entry in this home's log\n"
    "  overdue  for a regulator (role auditor in the charter): over all exchange logs that "
    "this\n"
    "           home holds, without trust in their authors: recalls without acknowledgement,\n"
    "           results that somebody relied on and whose replacement nobody was told of, and\n"
    "           acknowledgements that the other's log does not confirm.\n"
    "           Logs of others are as new as the last round of gossip: of a correction of "
    "this\n"
    "           minute the notice may not be here yet\n"
    "\n"
    "  --open   leave out what was acknowledged\n"
    "  --hours N  overdue after so many; default recall_overdue_hours of config.yaml, else 24\n"
    "\n"
    "exit: 0 nothing is overdue, 1 something is, 2 could not tell\n";

int
cmd_recall(struct cli *cli, int argc, char **argv)
{
    const char *network = NULL;
    const char *hours = NULL;
    struct cli_option options[] = {{"--network", &network, 1, 0},
                                   {"--hours", &hours, 1, 0},
                                   {"--open", NULL, 0, 0},
                                   {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2 || (strcmp(argv[1], "list") != 0 && strcmp(argv[1], "overdue") != 0)) {
        return cli_error(cli, CLI_TROUBLE, "wants list or overdue; huren recall --help");
    }
    json_t *args = json_pack("{s:s,s:b,s:b}", "what", argv[1], "json", cli->json, "open",
                             options[2].count > 0);
    if (network != NULL) {
        json_object_set_new(args, "network", json_string(network));
    }
    if (hours != NULL) {
        char *end;
        errno = 0;
        unsigned long n = strtoul(hours, &end, 10);
        if (hours[0] < '0' || hours[0] > '9' || *end != '\0' || errno != 0 || n > 1000000) {
            json_decref(args);
            return cli_error(cli, CLI_TROUBLE, "--hours wants a number, not %s", hours);
        }
        json_object_set_new(args, "hours", json_integer((json_int_t)n));
    }
    struct call call = {.command = "recall", .args = args};
    int exit_code = call_run(cli, &call);
    json_decref(args);
    return exit_code;
}

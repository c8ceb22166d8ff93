/* cmd_outcome.c: huren outcome: what the doctor did after a decision. */
#include <jansson.h>
#include <string.h>

#include "node/call.h"
#include "node/cli.h"

enum { CODES_MAX = 16 };

const char cmd_outcome_help[] =
    "usage: huren outcome DECISION recognized [--note TEXT] [--network NET]\n"
    "       huren outcome DECISION repeated --code CODE [--code CODE]... [--note TEXT]\n"
    "\n"
    "Records what the doctor did: recognized the result, or had it repeated and why.  "
    "DECISION\n"
    "is its name as huren lookup prints it (1f2e3d4c/17).  Who recognizes a result relies on "
    "it:\n"
    "its issuer is told, so that a correction comes back (huren recall).  The log holds codes "
    "and\n"
    "a salted hash of the note; the note itself stays in this home.\n"
    "\n"
    "  --code CODE  a reason to repeat, of the regulations' lists:\n"
    "               NEG.CONDITION_CHANGED NEG.RAPID_CHANGE NEG.EXPIRED NEG.MAJOR_DECISION\n"
    "               NEG.RESULT_MISMATCH NEG.EMERGENCY NEG.PATIENT_REQUEST "
    "NEG.SERIAL_COMPARISON\n"
    "               NEG.FORENSIC NEG.IMAGE_INADEQUATE NEG.OTHER; CLINICAL (Sichuan and\n"
    "               Chongqing), SIGNED_NEED (Shanxi)\n"
    "  --note TEXT  in words; at most 4096 bytes\n"
    "\n"
    "exit: 0 logged, 1 no such decision, or it found no result, 2 could not do it\n";

int
cmd_outcome(struct cli *cli, int argc, char **argv)
{
    const char *network = NULL;
    const char *note = NULL;
    const char *codes[CODES_MAX];
    struct cli_option options[] = {{"--network", &network, 1, 0},
                                   {"--note", &note, 1, 0},
                                   {"--code", codes, CODES_MAX, 0},
                                   {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 3) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants DECISION and recognized or repeated; huren outcome --help");
    }
    json_t *list = json_array();
    for (size_t i = 0; i < options[2].count; i++) {
        json_array_append_new(list, json_string(codes[i]));
    }
    json_t *args = json_pack("{s:b,s:s,s:s,s:o}", "json", cli->json, "decision", argv[1],
                             "what", argv[2], "codes", list);
    if (args == NULL ||
        (note != NULL && json_object_set_new(args, "note", json_string(note)) != 0)) {
        json_decref(args);
        return cli_error(cli, CLI_TROUBLE, "the arguments are not UTF-8 text");
    }
    if (network != NULL) {
        json_object_set_new(args, "network", json_string(network));
    }
    struct call call = {.command = "outcome", .args = args};
    int exit_code = call_run(cli, &call);
    json_decref(args);
    return exit_code;
}

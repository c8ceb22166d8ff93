/* main.c: the huren command.  The rows stand in node/commands.h. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/cli.h"
#include "proto/jsonwhole.h"

#define COMMAND(name, summary) {#name, cmd_##name, summary, cmd_##name##_help},
static const struct cli_command commands[] = {
#include "node/commands.h"
    {NULL, NULL, NULL, NULL}};
#undef COMMAND

int
main(int argc, char **argv)
{
    (void)json_whole_mark();
    if (sodium_init() < 0) {
        fputs("huren: no source of random bytes\n", stderr);
        return CLI_TROUBLE;
    }
    return cli_main(commands, argc, argv, getenv("HUREN_HOME"), stdout, stderr);
}

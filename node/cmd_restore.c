/* cmd_restore.c: huren restore. */
#include <sodium.h>
#include <stdlib.h>

#include "node/backup_io.h"
#include "node/cli.h"

const char cmd_restore_help[] =
    "usage: huren --home NEW restore DIR [--passphrase-file FILE]\n"
    "\n"
    "Make the home NEW from the backup in the folder DIR.  Never over a home that is there.\n"
    "Every file is compared with its SHA-256 before anything is written; the store is opened "
    "and\n"
    "recomputed in a process of its own before the home can be used.\n"
    "\n"
    "A backup is older than what this hospital signed since.  So a restored node\n"
    "  - does not sign before it heard from a majority of the witnesses (or, where none can "
    "be\n"
    "    reached, before huren resume);\n"
    "  - takes the entries that it published since back from the members; their records come\n"
    "    from the LIS: import again everything since the day of the backup, nothing is\n"
    "    published twice;\n"
    "  - begins a new exchange log, whose first entry says what is missing; ask the authority\n"
    "    to name it under \"linked\" of this member in the members document.\n"
    "Reports that were held back and came after the backup lost their keys: they are "
    "withdrawn\n"
    "and published anew when they are imported again.  End the old daemon for good first: two\n"
    "under one key stop each other.\n"
    "\n"
    "exit: 0 restored, 1 refused: the backup is damaged or was changed, 2 could not do it\n";

int
cmd_restore(struct cli *cli, int argc, char **argv)
{
    const char *passphrase_file = NULL;
    struct cli_option options[] = {{"--passphrase-file", &passphrase_file, 1, 0},
                                   {NULL, NULL, 0, 0}};
    char error[BACKUP_ERROR_CHARS] = "";
    uint8_t *passphrase = NULL;
    size_t count = 0;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants the folder of one backup; huren restore --help");
    }
    if (passphrase_file != NULL &&
        backup_passphrase(passphrase_file, &passphrase, &count, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    struct backup *b = calloc(1, sizeof *b);
    enum status st = b == NULL ? STATUS_NO_MEMORY
                               : backup_restore(argv[1], cli->home,
                                                (struct view){passphrase, count}, b, error);
    if (passphrase != NULL) {
        sodium_memzero(passphrase, count);
        free(passphrase);
    }
    if (st == STATUS_OK && cli->json) {
        fprintf(cli->out, "{\"institution\":\"%s\",\"files\":%zu,\"logs\":%zu}\n",
                b->institution, b->file_count, b->log_count);
    } else if (st == STATUS_OK) {
        fprintf(
            cli->out,
            "%s: the home of %s is back, as of the backup.  Next: huren serve, where it can\n"
            "reach the witnesses; then import again what came since from the LIS.\n",
            cli->home, b->institution);
    }
    free(b);
    if (st == STATUS_OK) {
        return CLI_YES;
    }
    return cli_error(cli,
                     st == STATUS_CORRUPT || st == STATUS_MALFORMED || st == STATUS_BAD_KEY
                         ? CLI_NO
                         : CLI_TROUBLE,
                     "%s", error[0] != '\0' ? error : status_text(st));
}

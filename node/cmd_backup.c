/* cmd_backup.c: huren backup. */
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/backup_io.h"
#include "node/cli.h"

const char cmd_backup_help[] =
    "usage: huren backup DIR [--passphrase-file FILE] [--home DIR]\n"
    "\n"
    "Copy the home to the new folder DIR, also while its daemon runs: one consistent moment "
    "of\n"
    "the store, the seed, config.yaml, the code map, join files and network keys.  DIR/BACKUP\n"
    "lists each file with its SHA-256.  The copy is opened and recomputed, entry by entry, in "
    "a\n"
    "process of its own before it is called good; it is then on the disk (synced).  For a "
    "large\n"
    "home choose a quiet hour: while the copy is made, the store cannot reuse space.\n"
    "\n"
    "Without a passphrase a backup is as secret as the home: it holds the keys of this "
    "hospital\n"
    "and the results that it published.  With --passphrase-file (a file of mode 0600) all of "
    "it\n"
    "is encrypted; who loses the passphrase has lost the backup.  The passphrase of the seed, "
    "if\n"
    "it has one, is not in a backup.\n"
    "\n"
    "A backup is an old state by the time it is made: see huren restore --help.\n"
    "\n"
    "exit: 0 made and checked, 2 could not do it (nothing is left in DIR)\n";

int
cmd_backup(struct cli *cli, int argc, char **argv)
{
    const char *passphrase_file = NULL;
    struct cli_option options[] = {{"--passphrase-file", &passphrase_file, 1, 0},
                                   {NULL, NULL, 0, 0}};
    char error[BACKUP_ERROR_CHARS] = "";
    uint8_t *passphrase = NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2) {
        return cli_error(cli, CLI_TROUBLE, "wants one new folder; huren backup --help");
    }
    if (passphrase_file != NULL &&
        backup_passphrase(passphrase_file, &passphrase, &count, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    struct backup *b = calloc(1, sizeof *b);
    enum status st =
        b == NULL ? STATUS_NO_MEMORY
                  : backup_make(cli->home, argv[1], (struct view){passphrase, count}, b, error);
    if (passphrase != NULL) {
        sodium_memzero(passphrase, count);
        free(passphrase);
    }
    if (st != STATUS_OK) {
        free(b);
        return cli_error(cli, CLI_TROUBLE, "%s", error[0] != '\0' ? error : status_text(st));
    }
    for (size_t i = 0; i < b->file_count; i++) {
        bytes += b->files[i].bytes;
    }
    if (cli->json) {
        fprintf(cli->out, "{\"files\":%zu,\"bytes\":%" PRIu64 ",\"logs\":%zu,\"sealed\":%s}\n",
                b->file_count, bytes, b->log_count, b->sealed ? "true" : "false");
    } else {
        fprintf(cli->out, "%s: %zu files, %" PRIu64 " bytes, checked\n", argv[1], b->file_count,
                bytes);
        for (size_t i = 0; i < b->log_count; i++) {
            fprintf(cli->out, "  %s up to %" PRIu64 "\n", b->logs[i].origin, b->logs[i].size);
        }
        fprintf(cli->out, "%s\n",
                b->sealed
                    ? "encrypted: keep the passphrase elsewhere"
                    : "SECRET: it holds this hospital's keys and results; keep it like the "
                      "home itself, or use --passphrase-file");
    }
    free(b);
    return CLI_YES;
}

#include "node/passphrase_io.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/keyfile.h"
#include "node/file_io.h"

bool
passphrase_read(struct cli *cli, const char *path, uint8_t **out, size_t *count)
{
    char error[FILE_ERROR_CHARS];
    struct stat sb;
    if (strcmp(path, "-") != 0 && stat(path, &sb) == 0 &&
        (sb.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        cli_error(cli, CLI_TROUBLE, "passphrase file %s: others may read it; chmod 600 it",
                  path);
        return false;
    }
    if (file_read(path, KEYFILE_PASSPHRASE_BYTES_MAX + 2, out, count, error) != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "%s", error);
        return false;
    }
    while (*count > 0 && ((*out)[*count - 1] == '\n' || (*out)[*count - 1] == '\r')) {
        (*count)--;
    }
    if (*count == 0) {
        free(*out);
        cli_error(cli, CLI_TROUBLE, "passphrase file %s is empty", path);
        return false;
    }
    return true;
}

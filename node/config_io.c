/* config_io.c: reading HOME/config.yaml. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/keyfile.h"
#include "node/config_impl.h"
#include "node/file_io.h"

/* A passphrase is a file of one line that only its owner may read. */
static enum status
read_passphrase(const char *base, struct config_block *c, char *error, size_t error_bytes)
{
    char path[FILE_PATH_CHARS_MAX], why[FILE_ERROR_CHARS];
    struct stat sb;
    if (!file_beside(base, c->config.passphrase_file, path)) {
        snprintf(error, error_bytes, "%.200s: passphrase_file has too long a name", base);
        return STATUS_MALFORMED;
    }
    if (stat(path, &sb) == 0 && (sb.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        snprintf(error, error_bytes, "%.200s: others may read it; chmod 600 it", path);
        return STATUS_REFUSED;
    }
    enum status st = file_read(path, KEYFILE_PASSPHRASE_BYTES_MAX + 2, &c->passphrase,
                               &c->passphrase_count, why);
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "passphrase of the seed: %s", why);
        return st;
    }
    while (c->passphrase_count > 0 && (c->passphrase[c->passphrase_count - 1] == '\n' ||
                                       c->passphrase[c->passphrase_count - 1] == '\r')) {
        c->passphrase_count--;
    }
    return STATUS_OK;
}

enum status
config_load(const char *home, struct config **out, char *error, size_t error_bytes)
{
    char path[FILE_PATH_CHARS_MAX], why[FILE_ERROR_CHARS];
    uint8_t *bytes;
    size_t count;
    *out = NULL;
    int n = snprintf(path, sizeof path, "%s/config.yaml", home);
    if (n < 0 || (size_t)n >= sizeof path) {
        snprintf(error, error_bytes, "the name of the home is too long");
        return STATUS_TOO_BIG;
    }
    enum status st = file_read(path, CONFIG_BYTES_MAX, &bytes, &count, why);
    if (st == STATUS_NOT_FOUND) {
        snprintf(
            error, error_bytes,
            "%.300s is no huren home (no config.yaml); make one with `huren init`, or name it "
            "with --home or HUREN_HOME",
            home);
        return st;
    }
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "%s", why);
        return st;
    }
    st = config_parse((struct view){bytes, count}, path, out, error, error_bytes);
    free(bytes);
    if (st == STATUS_OK && (*out)->passphrase_file[0] != 0) {
        st = read_passphrase(path, (struct config_block *)*out, error, error_bytes);
        if (st != STATUS_OK) {
            config_free(*out);
            *out = NULL;
        }
    }
    return st;
}

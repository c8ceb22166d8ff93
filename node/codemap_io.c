#include "node/codemap_io.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/embedded.h"
#include "node/file_io.h"
#include "proto/limits.h"

/* Read a code map into `m`; `must` exist or not. */
static bool
load_map(struct cli *cli, struct codemap *m, const char *path, bool must)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct codemap_error error;
    char why[FILE_ERROR_CHARS];
    enum status st = file_read(path, IMPORT_FILE_BYTES_MAX, &bytes, &count, why);
    if (st == STATUS_NOT_FOUND && !must) {
        return true;
    }
    if (st != STATUS_OK) {
        (void)cli_error(cli, CLI_TROUBLE, "code map: %s", why);
        return false;
    }
    st = codemap_add(m, (struct view){bytes, count}, &error);
    free(bytes);
    if (st != STATUS_OK) {
        if (error.row > 0) {
            (void)cli_error(cli, CLI_TROUBLE, "code map %s: row %u: %s", path,
                            (unsigned)error.row, error.reason);
        } else {
            (void)cli_error(cli, CLI_TROUBLE, "code map %s: %s", path,
                            error.reason[0] != '\0' ? error.reason : status_text(st));
        }
        return false;
    }
    return true;
}

struct codemap *
codemap_load(struct cli *cli, const char *const *paths, size_t count)
{
    char path[4096];
    struct codemap *m = NULL;
    const struct embedded_file *catalog = embedded_find("policy/catalog/catalog.csv");
    if (catalog == NULL || codemap_new(catalog->data, &m) != STATUS_OK) {
        (void)cli_error(cli, CLI_TROUBLE, "the built-in catalog cannot be read");
        return NULL;
    }
    int n = snprintf(path, sizeof path, "%s/codemap.csv", cli->home);
    bool ok = n < 0 || (size_t)n >= sizeof path || load_map(cli, m, path, false);
    for (size_t i = 0; ok && i < count; i++) {
        ok = load_map(cli, m, paths[i], true);
    }
    if (!ok) {
        codemap_free(m);
        m = NULL;
    }
    return m;
}

#include "node/join_io.h"

#include <stdio.h>
#include <string.h>

#include "crypto/joinfile.h"
#include "crypto/keys.h"
#include "node/file_io.h"
#include "node/home_io.h"

enum { COUNTERSIGNERS_MAX = 4 };

static bool
can_be_dialled(const char *url)
{
    return url[0] != 0 && strncmp(url, "tcp://0.0.0.0:", 14) != 0 &&
           strncmp(url, "tcp://[::]:", 11) != 0 && strncmp(url, "tcp://*:", 8) != 0;
}

/* Sign with the keys of the seeds before the newest, too. */
static enum status
countersign(const struct seeds *seeds, const char *network, uint8_t *text, size_t *count)
{
    enum status st = STATUS_OK;
    for (size_t i = 1; st == STATUS_OK && i <= COUNTERSIGNERS_MAX && i < seeds->count; i++) {
        struct network_keys before;
        keys_derive(seeds->at[seeds->count - 1 - i], network, &before);
        st = joinfile_countersign(text, JOINFILE_BYTES_MAX, count, &before);
        keys_wipe(&before);
    }
    return st;
}

int
join_io_write(struct cli *cli, const struct config *c, const struct config_network *n,
              const struct seeds *seeds)
{
    struct joinfile join;
    struct network_keys keys;
    uint8_t text[JOINFILE_BYTES_MAX];
    size_t count;
    char path[HOME_IO_PATH_CHARS], file[NETWORK_CHARS_MAX + 8], error[FILE_ERROR_CHARS];
    const char *address = can_be_dialled(n->advertise) ? n->advertise : n->listen;
    memset(&join, 0, sizeof join);
    strcpy(join.institution, c->institution);
    strcpy(join.network, n->name);
    if (strlen(c->name) > JOINFILE_NAME_BYTES_MAX) {
        return cli_error(cli, CLI_TROUBLE, "the name of the institution is too long");
    }
    strcpy(join.name, c->name);
    if (can_be_dialled(address)) {
        strcpy(join.addresses[join.address_count++], address);
    }
    keys_derive(seeds->at[seeds->count - 1], n->name, &keys);
    enum status st = joinfile_encode(&join, &keys, text, sizeof text, &count);
    keys_wipe(&keys);
    st = st == STATUS_OK ? countersign(seeds, n->name, text, &count) : st;
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "join file for %s: %s", n->name, status_text(st));
    }
    snprintf(file, sizeof file, n == c->networks ? "join" : "join.%s", n->name);
    if (home_io_path(cli->home, file, path) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "the name of the home is too long");
    }
    if (file_write(path, (struct view){text, count}, 0644, true, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (!cli->json) {
        fprintf(cli->out, "  %s: hand it to the authority of %s\n", path, n->name);
        if (join.address_count == 0) {
            fprintf(
                cli->out,
                "    (it names no address: nobody can dial this node; set listen or "
                "advertise in config.yaml\n     and run `huren init --network %s` again, or "
                "let this node dial others)\n",
                n->name);
        }
    }
    return CLI_YES;
}

/* cmd_keys.c: huren keys: the keys of this home, and new ones. */
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/base64.h"
#include "node/charter_store_io.h"
#include "node/cli.h"
#include "node/config.h"
#include "node/home_io.h"
#include "node/join_io.h"
#include "node/keychoice.h"
#include "node/seeds_io.h"
#include "proto/text.h"
#include "store/store.h"

const char cmd_keys_help[] =
    "usage: huren keys [--network NET]\n"
    "       huren keys rotate\n"
    "\n"
    "Without a word more: the keys of this home in each network, and which of them the\n"
    "charter has in force.\n"
    "\n"
    "rotate  makes new keys for all networks of this home: a new seed (HOME/seed-2, -3 ...)\n"
    "        beside the old one, and join files that name the new keys, signed with the old\n"
    "        ones as well, so that the authority sees that they come from here.  Nothing\n"
    "        changes until the authority lists them (huren charter build members): from\n"
    "        that moment this home signs with the new keys, by itself.  Old seeds stay: keep\n"
    "        copies of all of them off line.\n"
    "\n"
    "Once new keys are listed, the old ones sign nothing any more; what they signed before\n"
    "stays good; sessions under the old session key are taken for 30 more days, so that\n"
    "nobody who has not heard of the change is cut off.\n"
    "\n"
    "If others may have the old keys, rotate as well, hand over the new join file, and tell\n"
    "the authority since when: it writes revoked: TIME beside join: in members.yaml.  Then\n"
    "nothing that the old keys signed since counts, unless a witness saw it before.\n"
    "If the seed is lost: huren init --help, --again.\n"
    "\n"
    "exit codes: 0 done; 2 could not do it\n";

/* What the charter in the home says of us; NULL: nothing. */
struct listed {
    struct store *store;
    struct store_txn *txn;
    struct charter *charter;
};

static void
listed_close(struct listed *l)
{
    charter_free(l->charter);
    if (l->txn != NULL) {
        store_abort(l->txn);
    }
    store_close(l->store);
    memset(l, 0, sizeof *l);
}

static const Hr__MemberRow *
listed_open(struct cli *cli, const struct config *c, const char *network, struct listed *l)
{
    struct store_options options = {.read_only = true};
    char path[HOME_IO_PATH_CHARS], reason[CHARTER_REASON_CHARS];
    memset(l, 0, sizeof *l);
    if (home_io_path(cli->home, "store", path) != STATUS_OK ||
        store_open(path, &options, &l->store) != STATUS_OK ||
        store_begin_read(l->store, &l->txn) != STATUS_OK ||
        charter_store_load(l->txn, network, &l->charter, reason) != STATUS_OK) {
        return NULL;
    }
    return charter_member(l->charter, c->institution);
}

static const char *
state_text(const struct keychoice *choice, const Hr__MemberRow *row,
           const struct network_public *p, size_t i, int64_t now_s, char since[64])
{
    const Hr__PublicKeys *k = row == NULL ? NULL : charter_log_key_set(row, p->log);
    char at[CHARTER_TIME_CHARS];
    since[0] = '\0';
    if (k == NULL) {
        return i > choice->use || row == NULL ? "not listed yet" : "not listed";
    }
    if (choice->listed && choice->use == i) {
        return "in force";
    }
    if ((int64_t)k->from > now_s) {
        return "listed, not yet in force";
    }
    charter_time_text((int64_t)k->to, at);
    snprintf(since, 64, " %s", at);
    return k->revoked ? "revoked since" : "ended";
}

static int
show_network(struct cli *cli, const struct config *c, const char *network,
             const struct seeds *seeds)
{
    struct network_public all[SEEDS_MAX];
    struct listed l;
    struct keychoice choice;
    int64_t now_s = (int64_t)time(NULL);
    for (size_t i = 0; i < seeds->count; i++) {
        struct network_keys keys;
        keys_derive(seeds->at[i], network, &keys);
        keys_public(&keys, &all[i]);
        keys_wipe(&keys);
    }
    const Hr__MemberRow *row = listed_open(cli, c, network, &l);
    keychoice_make(row, all, seeds->count, now_s, &choice);
    for (size_t i = 0; i < seeds->count; i++) {
        char b64[BASE64_CHARS(KEY_BYTES) + 1] = "", since[64], file[16];
        const char *state = state_text(&choice, row, &all[i], i, now_s, since);
        base64_encode((struct view){all[i].log, KEY_BYTES}, (uint8_t *)b64);
        snprintf(file, sizeof file, i == 0 ? "seed" : "seed-%zu", i + 1);
        if (cli->json) {
            fprintf(cli->out,
                    "{\"network\":\"%s\",\"seed\":\"%s\",\"log_key\":\"%s\",\"state\":\"%s%s\","
                    "\"in_force\":%s}\n",
                    network, file, b64, state, since,
                    choice.listed && choice.use == i ? "true" : "false");
        } else {
            fprintf(cli->out, "%s  HOME/%-8s log key %s  %s%s\n", network, file, b64, state,
                    since);
        }
    }
    listed_close(&l);
    return CLI_YES;
}

static int
rotate(struct cli *cli, const struct config *c, struct seeds *seeds)
{
    char error[KEYFILE_IO_ERROR_CHARS];
    if (c->network_count == 0) {
        return cli_error(cli, CLI_TROUBLE,
                         "this home is in no network: it has no keys to "
                         "exchange");
    }
    if (seeds_io_add(cli->home, c->institution, config_passphrase(c), seeds, error) !=
        STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (!cli->json) {
        fprintf(
            cli->out,
            "%s/seed-%zu: the new secret of this home; keep a copy off line, beside the old "
            "ones\n",
            cli->home, seeds->count);
    }
    int code = CLI_YES;
    for (size_t i = 0; code == CLI_YES && i < c->network_count; i++) {
        code = join_io_write(cli, c, &c->networks[i], seeds);
    }
    if (code == CLI_YES && !cli->json) {
        fprintf(cli->out, "next: when the authority has listed the new keys, they are used "
                          "by themselves\n");
    }
    return code;
}

int
cmd_keys(struct cli *cli, int argc, char **argv)
{
    const char *network = NULL;
    struct cli_option options[] = {{"--network", &network, 1, 0}, {NULL, NULL, 0, 0}};
    struct config *c = NULL;
    struct seeds seeds;
    char error[CONFIG_ERROR_CHARS], key_error[KEYFILE_IO_ERROR_CHARS];
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    bool rotates = argc == 2 && strcmp(argv[1], "rotate") == 0;
    if (argc > 2 || (argc == 2 && !rotates)) {
        return cli_error(cli, CLI_TROUBLE, "wants nothing, or rotate; huren keys --help");
    }
    if (rotates && network != NULL) {
        return cli_error(cli, CLI_TROUBLE,
                         "rotate makes new keys for all networks of this home");
    }
    if (config_load(cli->home, &c, error, sizeof error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (network != NULL && config_network(c, network) == NULL) {
        code = cli_error(cli, CLI_TROUBLE, "this home is not in the network %s", network);
        config_free(c);
        return code;
    }
    if (seeds_io_read(cli->home, config_passphrase(c), &seeds, key_error) != STATUS_OK) {
        config_free(c);
        return cli_error(cli, CLI_TROUBLE, "%s", key_error);
    }
    if (rotates) {
        code = rotate(cli, c, &seeds);
    }
    for (size_t i = 0; !rotates && code == CLI_YES && i < c->network_count; i++) {
        if (network == NULL || strcmp(network, c->networks[i].name) == 0) {
            code = show_network(cli, c, c->networks[i].name, &seeds);
        }
    }
    seeds_io_wipe(&seeds);
    config_free(c);
    return code;
}

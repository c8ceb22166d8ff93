/* cmd_init.c: huren init: a home with its seed, store, configuration, join file. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/joinfile.h"
#include "crypto/keyfile.h"
#include "node/cli.h"
#include "node/config.h"
#include "node/file_io.h"
#include "node/home_io.h"
#include "node/join_io.h"
#include "node/origin.h"
#include "node/seeds_io.h"
#include "proto/text.h"
#include "store/store.h"

enum { CONFIG_TEXT_BYTES = 16 * 1024 };

const char cmd_init_help[] =
    "usage: huren init --institution CODE --name NAME [--network NET]... [--home DIR]\n"
    "                  [--listen URL] [--advertise URL] [--passphrase-file FILE] [--again]\n"
    "       huren init --network NET [--home DIR] [--listen URL] [--advertise URL]\n"
    "\n"
    "The first form makes the home of an institution: its secret seed (HOME/seed, 0600),\n"
    "its store, and a commented HOME/config.yaml.  With --network it also writes the join\n"
    "file HOME/join (HOME/join.NET for each network after the first), which is to be\n"
    "handed to the authority of that network: it holds public keys only.\n"
    "The second form adds a network to a home, or writes its join file again, for instance\n"
    "after the address in config.yaml was changed.  Nothing else in a home is replaced.\n"
    "\n"
    "  --institution CODE      institution code (a-z 0-9 . _ -, capitals are folded)\n"
    "  --name NAME             name of the institution, as people read it\n"
    "  --network NET           name of a network, which reads like a DNS name\n"
    "  --listen URL            tcp://host:port where the node answers others\n"
    "  --advertise URL         what others dial, when that is another address\n"
    "  --again                 the seed of this institution was lost, or all of its home: see\n"
    "                          below\n"
    "  --passphrase-file FILE  put the seed under this passphrase; config.yaml names the\n"
    "                          file, which only its owner may read\n"
    "\n"
    "example:\n"
    "  huren init --institution 420581001 --name 'First People''s Hospital' \\\n"
    "        --network yx-county.hb.cn --listen tcp://10.1.0.5:7411 --home /var/lib/huren\n"
    "\n"
    "When seed and home are lost: huren init --again makes a new home for the same\n"
    "institution, with new keys.  Hand over its join file; the authority asks back, and "
    "writes\n"
    "keys_lost: yes beside join: in members.yaml (or revoked: TIME, if somebody may have the\n"
    "old seed).  Then adopt root and members, run huren serve, and wait until huren status\n"
    "says signing: the home waits for the witnesses, takes what it had published back from\n"
    "other members, and goes on in the same log under the new keys.  At last import this\n"
    "hospital's reports again: records seal to the same bytes, so nothing is published twice.\n"
    "Held reports, whose keys are lost, are withdrawn and published anew.\n"
    "\n"
    "Back the seed up on paper or a stick: without it the home cannot be restored.\n"
    "\n"
    "exit codes: 0 done; 2 could not do it (usage, a home is there already, files)\n";

struct init {
    const char *institution, *name, *listen, *advertise, *passphrase_file;
    const char *networks[CONFIG_NETWORKS_MAX];
    size_t network_count;
    bool again;
    uint8_t *passphrase;
    size_t passphrase_count;
    char passphrase_path[FILE_PATH_CHARS_MAX]; /* absolute */
};

static bool
home_path(struct cli *cli, const char *name, char out[HOME_IO_PATH_CHARS])
{
    if (home_io_path(cli->home, name, out) != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "the name of the home is too long");
        return false;
    }
    return true;
}

/* ---- a new home ----------------------------------------------------------- */

static int
write_config(struct cli *cli, const struct config *c)
{
    char *text = malloc(CONFIG_TEXT_BYTES), path[HOME_IO_PATH_CHARS], error[FILE_ERROR_CHARS],
         why[CONFIG_ERROR_CHARS];
    struct config *again = NULL;
    size_t count;
    int code = CLI_YES;
    if (text == NULL) {
        return cli_error(cli, CLI_TROUBLE, "out of memory");
    }
    enum status st = config_write(c, text, CONFIG_TEXT_BYTES, &count);
    if (st == STATUS_OK) { /* what is written can be read, whatever was typed */
        st = config_parse((struct view){(const uint8_t *)text, count}, "config.yaml", &again,
                          why, sizeof why);
    } else {
        snprintf(why, sizeof why, "%s", status_text(st));
    }
    if (st != STATUS_OK) {
        code = cli_error(cli, CLI_TROUBLE, "%s", why);
    } else if (!home_path(cli, "config.yaml", path)) {
        code = CLI_TROUBLE;
    } else if (file_write(path, (struct view){(const uint8_t *)text, count}, 0644, false,
                          error) != STATUS_OK) {
        code = cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    config_free(again);
    free(text);
    return code;
}

/* Make the store's files, so that read-only commands find them. */
static int
make_store(struct cli *cli, bool again)
{
    struct store_options options = {.read_only = false};
    struct store *store;
    char path[HOME_IO_PATH_CHARS];
    if (!home_path(cli, "store", path)) {
        return CLI_TROUBLE;
    }
    enum status st = store_open(path, &options, &store);
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "store %s: %s", path, status_text(st));
    }
    store_close(store);
    if (again) {
        return CLI_YES; /* much was signed: the first start waits for the witnesses */
    }
    /* Nothing was signed yet, on this machine with this data file: the first
     * start is a clean one (DESIGN 10). */
    char error[HOME_IO_ERROR_CHARS];
    if (home_io_signed(cli->home, NULL, 0, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    return CLI_YES;
}

/* Refuse what the configuration could not say before anything is made. */
static int
check_values(struct cli *cli, const struct init *in,
             char institution[INSTITUTION_CHARS_MAX + 1])
{
    if (in->institution == NULL || in->name == NULL) {
        return cli_error(cli, CLI_TROUBLE,
                         "a new home needs --institution CODE and --name NAME");
    }
    if (origin_fold_institution(in->institution, institution) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE,
                         "institution '%s' is not a code of 1 to %d characters a-z 0-9 . _ -",
                         in->institution, INSTITUTION_CHARS_MAX);
    }
    struct view name = text_view(in->name);
    for (size_t at = 0; at < name.count;) {
        uint32_t point;
        size_t n = text_next(name, at, &point);
        if (n == 0 || !text_is_printable(point)) {
            return cli_error(cli, CLI_TROUBLE, "the name has a character that cannot be shown");
        }
        at += n;
    }
    return name.count > 0 && name.count <= JOINFILE_NAME_BYTES_MAX
               ? CLI_YES
               : cli_error(cli, CLI_TROUBLE, "the name is empty or over %d bytes",
                           JOINFILE_NAME_BYTES_MAX);
}

static int
make_home(struct cli *cli, const struct init *in)
{
    char institution[INSTITUTION_CHARS_MAX + 1], error[HOME_IO_ERROR_CHARS],
        key_error[KEYFILE_IO_ERROR_CHARS];
    struct config_network networks[CONFIG_NETWORKS_MAX];
    struct seeds seeds = {0};
    int code = check_values(cli, in, institution);
    if (code != CLI_YES) {
        return code;
    }
    for (size_t i = 0; i < in->network_count; i++) {
        networks[i] =
            (struct config_network){.name = in->networks[i],
                                    .listen = in->listen != NULL ? in->listen : "",
                                    .advertise = in->advertise != NULL ? in->advertise : ""};
    }
    struct config c = {.institution = institution,
                       .name = in->name,
                       .zone_min = 480,
                       .passphrase_file = in->passphrase_path,
                       .network_count = in->network_count,
                       .networks = networks};
    if (home_io_create(cli->home, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (seeds_io_add(cli->home, institution,
                     (struct view){in->passphrase, in->passphrase_count}, &seeds,
                     key_error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", key_error);
    }
    if ((code = make_store(cli, in->again)) != CLI_YES ||
        (code = write_config(cli, &c)) != CLI_YES) {
        return code;
    }
    if (!cli->json) {
        fprintf(cli->out, "home of %s (%s) made in %s\n", in->name, institution, cli->home);
        fprintf(cli->out, "  %s/seed: the secret of this home; keep a copy off line\n",
                cli->home);
        fprintf(cli->out, "  %s/config.yaml: its configuration\n", cli->home);
    }
    for (size_t i = 0; code == CLI_YES && i < c.network_count; i++) {
        code = join_io_write(cli, &c, &networks[i], &seeds);
    }
    seeds_io_wipe(&seeds);
    if (code == CLI_YES && !cli->json) {
        fprintf(cli->out, "next: %s\n",
                c.network_count == 0
                    ? "huren init --network NET, once it is clear which network this is for"
                    : "when the authority has listed this home: huren charter adopt FILE..., "
                      "then huren serve");
    }
    return code;
}

/* ---- a network more in a home --------------------------------------------- */

/* The text with a network more at its end; the result is read to see that it says
 * so and nothing else. */
static int
add_network(struct cli *cli, const struct init *in, const struct config *c, const char *network)
{
    char path[HOME_IO_PATH_CHARS], error[FILE_ERROR_CHARS], why[CONFIG_ERROR_CHARS];
    uint8_t *text = NULL;
    char *more = NULL;
    struct config *after = NULL;
    size_t count, cut, room;
    int code = CLI_TROUBLE;
    if (!home_path(cli, "config.yaml", path)) {
        return CLI_TROUBLE;
    }
    if (file_read(path, CONFIG_BYTES_MAX, &text, &count, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    const char *none = strstr((const char *)text, "networks: []\n");
    cut = none != NULL ? (size_t)(none - (const char *)text) : count;
    room = count + CONFIG_TEXT_BYTES;
    more = malloc(room);
    if (more == NULL) {
        cli_error(cli, CLI_TROUBLE, "out of memory");
        goto cleanup;
    }
    int n = snprintf(
        more, room, "%.*s%s%s  - name: %s\n    %slisten: %s\n    %sadvertise: %s\n", (int)cut,
        (const char *)text, cut > 0 && text[cut - 1] != '\n' ? "\n" : "",
        c->network_count == 0 ? "networks:\n" : "", network, in->listen == NULL ? "# " : "",
        in->listen == NULL ? "tcp://0.0.0.0:7411" : in->listen,
        in->advertise == NULL ? "# " : "",
        in->advertise == NULL ? "tcp://huren.hospital.example:7411" : in->advertise);
    bool good = n > 0 && (size_t)n < room &&
                (none == NULL || cut + strlen("networks: []\n") == count) &&
                config_parse((struct view){(const uint8_t *)more, (size_t)n}, path, &after, why,
                             sizeof why) == STATUS_OK &&
                after->network_count == c->network_count + 1 &&
                strcmp(after->networks[c->network_count].name, network) == 0;
    if (!good) {
        cli_error(
            cli, CLI_TROUBLE,
            "cannot add %s to %s, which was edited: add it there under networks, then run "
            "this again for the join file",
            network, path);
    } else if (file_write(path, (struct view){(const uint8_t *)more, (size_t)n}, 0644, true,
                          error) != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "%s", error);
    } else {
        code = CLI_YES;
    }
cleanup:
    config_free(after);
    free(more);
    free(text);
    return code;
}

static int
extend_home(struct cli *cli, const struct init *in)
{
    struct config *c = NULL;
    struct seeds seeds;
    char error[CONFIG_ERROR_CHARS], key_error[KEYFILE_IO_ERROR_CHARS],
        institution[INSTITUTION_CHARS_MAX + 1];
    int code = CLI_YES;
    if (in->network_count == 0) {
        return cli_error(cli, CLI_TROUBLE,
                         "%s is a home already; --network NET adds a network to it", cli->home);
    }
    if (config_load(cli->home, &c, error, sizeof error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (in->institution != NULL &&
        (origin_fold_institution(in->institution, institution) != STATUS_OK ||
         strcmp(institution, c->institution) != 0)) {
        code = cli_error(cli, CLI_TROUBLE, "%s is the home of %s, not of %s", cli->home,
                         c->institution, in->institution);
    }
    for (size_t i = 0; code == CLI_YES && i < in->network_count; i++) {
        if (config_network(c, in->networks[i]) == NULL) {
            code = add_network(cli, in, c, in->networks[i]);
            config_free(c);
            c = NULL;
            if (code == CLI_YES &&
                config_load(cli->home, &c, error, sizeof error) != STATUS_OK) {
                code = cli_error(cli, CLI_TROUBLE, "%s", error);
            }
        }
    }
    if (code == CLI_YES) {
        if (seeds_io_read(cli->home, config_passphrase(c), &seeds, key_error) != STATUS_OK) {
            code = cli_error(cli, CLI_TROUBLE, "%s", key_error);
        } else {
            for (size_t i = 0; code == CLI_YES && i < in->network_count; i++) {
                code = join_io_write(cli, c, config_network(c, in->networks[i]), &seeds);
            }
            seeds_io_wipe(&seeds);
        }
    }
    config_free(c);
    return code;
}

/* ---- the command ---------------------------------------------------------- */

/* The passphrase, and the name of its file as config.yaml will need it. */
static bool
take_passphrase(struct cli *cli, struct init *in)
{
    char error[FILE_ERROR_CHARS];
    struct stat sb;
    char here[FILE_PATH_CHARS_MAX] = "";
    bool absolute = in->passphrase_file[0] == '/';
    bool good = absolute || getcwd(here, sizeof here) != NULL;
    int n = snprintf(in->passphrase_path, sizeof in->passphrase_path, "%s%s%s", here,
                     absolute ? "" : "/", in->passphrase_file);
    good = good && n > 0 && (size_t)n < sizeof in->passphrase_path;
    if (!good) {
        cli_error(cli, CLI_TROUBLE, "cannot read the passphrase file %s", in->passphrase_file);
        return false;
    }
    if (stat(in->passphrase_path, &sb) != 0 || (sb.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        cli_error(cli, CLI_TROUBLE, "passphrase file %s: others may read it; chmod 600 it",
                  in->passphrase_file);
        return false;
    }
    if (file_read(in->passphrase_path, KEYFILE_PASSPHRASE_BYTES_MAX + 2, &in->passphrase,
                  &in->passphrase_count, error) != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "%s", error);
        return false;
    }
    while (in->passphrase_count > 0 && (in->passphrase[in->passphrase_count - 1] == '\n' ||
                                        in->passphrase[in->passphrase_count - 1] == '\r')) {
        in->passphrase_count--;
    }
    if (in->passphrase_count == 0) {
        cli_error(cli, CLI_TROUBLE, "passphrase file %s is empty", in->passphrase_file);
        return false;
    }
    return true;
}

int
cmd_init(struct cli *cli, int argc, char **argv)
{
    const char *institution[1] = {NULL}, *name[1] = {NULL}, *listen[1] = {NULL},
               *advertise[1] = {NULL}, *passphrase[1] = {NULL};
    struct init in = {0};
    struct cli_option options[] = {{"--institution", institution, 1, 0},
                                   {"--name", name, 1, 0},
                                   {"--network", in.networks, CONFIG_NETWORKS_MAX, 0},
                                   {"--listen", listen, 1, 0},
                                   {"--advertise", advertise, 1, 0},
                                   {"--passphrase-file", passphrase, 1, 0},
                                   {"--again", NULL, 0, 0},
                                   {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 1) {
        return cli_error(cli, CLI_TROUBLE, "'%s' is no option; see huren init --help", argv[1]);
    }
    in.institution = institution[0];
    in.name = name[0];
    in.listen = listen[0];
    in.advertise = advertise[0];
    in.passphrase_file = passphrase[0];
    in.network_count = options[2].count;
    in.again = options[6].count > 0;
    for (size_t i = 0; i < in.network_count; i++) {
        if (origin_vet_network(in.networks[i]) != STATUS_OK) {
            return cli_error(
                cli, CLI_TROUBLE,
                "'%s' is not the name of a network: 1 to %d characters a-z 0-9 . - _, "
                "as yx-county.hb.cn",
                in.networks[i], NETWORK_CHARS_MAX);
        }
    }
    if (in.passphrase_file != NULL && !take_passphrase(cli, &in)) {
        free(in.passphrase);
        return CLI_TROUBLE;
    }
    if (in.again && home_io_is_home(cli->home)) {
        free(in.passphrase);
        return cli_error(cli, CLI_TROUBLE,
                         "%s is a home already: --again is for a new one, after its seed was "
                         "lost; huren keys rotate makes new keys where it is not",
                         cli->home);
    }
    int code = home_io_is_home(cli->home) ? extend_home(cli, &in) : make_home(cli, &in);
    if (in.passphrase != NULL) {
        sodium_memzero(in.passphrase, in.passphrase_count);
        free(in.passphrase);
    }
    return code;
}

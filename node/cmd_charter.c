/* cmd_charter.c: huren charter new, keygen, build, sign, adopt, show. */
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "crypto/base64.h"
#include "crypto/keys.h"
#include "node/call.h"
#include "node/charter_build.h"
#include "node/charter_examples.h"
#include "node/charter_impl.h"
#include "node/charter_key.h"
#include "node/charter_show_io.h"
#include "node/charter_source_io.h"
#include "node/charter_store_io.h"
#include "node/cli.h"
#include "node/config.h"
#include "node/file_io.h"
#include "node/home_io.h"
#include "node/keyfile_io.h"
#include "node/origin.h"
#include "proto/text.h"
#include "store/store.h"

enum { FILES_MAX = 64, KEYS_PER_CALL_MAX = 16 };

/* C17 asks compilers for 4095 characters at least; gcc and clang take more. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
const char cmd_charter_help[] =
    "usage: huren charter new KIND [-o FILE]\n"
    "       huren charter keygen NAME [-o FILE] [--passphrase-file FILE]\n"
    "       huren charter build KIND SOURCE -o FILE [--previous FILE] [--network NAME]\n"
    "                     [--version N] [--valid-days N] [--network-keys FILE]\n"
    "                     [--new-epoch] [--look-back-epochs N]\n"
    "       huren charter sign FILE --key KEYFILE... [-o FILE] [--passphrase-file FILE]\n"
    "       huren charter adopt FILE... [--dry-run]\n"
    "       huren charter show [FILE...] [--network NAME]\n"
    "\n"
    "The charter is what governs a network: four signed documents, KIND being\n"
    "  root      keys, and how many of them must sign each kind\n"
    "  members   the roster: institutions, their keys, what the rules need to know\n"
    "  quality   external quality assessment, evaluations, inspections\n"
    "  policy    the packs of rules in force, settings of the network\n"
    "Each has a version that only rises.  A node adopts a document when enough of the\n"
    "keys of its root signed it; version N+1 of a root needs the keys of N and its own.\n"
    "The first root is trusted because an operator adopts it by hand: compare its hash\n"
    "with the authority by telephone.  Documents reach other nodes by gossip.\n"
    "\n"
    "new     write a commented example source\n"
    "keygen  make the key of a charter signer: a secret file (0600), and FILE.pub\n"
    "build   make the unsigned document of a source; members also makes the network\n"
    "        keys, kept in HOME/network-keys-NETWORK or the file of --network-keys, and\n"
    "        seals them to each member; a new epoch begins when a member leaves, after a\n"
    "        year, or with --new-epoch\n"
    "sign    show what is signed, and add one signature for each key; several people\n"
    "        sign one after the other, or each a copy: adopt merges the signatures\n"
    "adopt   check documents and keep those that hold, in any order; without a root\n"
    "        so far, the lowest root among them is the first\n"
    "show    documents of files, or those in force in the home\n"
    "\n"
    "an authority begins a network:\n"
    "  huren init --institution weijian --name 'Health Commission' --network yx.cn\n"
    "  huren charter keygen li -o li.key\n"
    "  huren charter new root -o root.yaml           # and edit it\n"
    "  huren charter build root root.yaml -o root-1.charter\n"
    "  huren charter sign root-1.charter --key li.key\n"
    "  huren charter build members members.yaml -o members-1.charter\n"
    "  huren charter sign members-1.charter --key li.key\n"
    "  huren charter adopt root-1.charter members-1.charter\n"
    "a hospital: huren charter adopt root-1.charter members-1.charter\n"
    "\n"
    "exit codes: 0 done; 1 a document is refused (the others are adopted); 2 could not\n"
    "            do it (usage, a source with a mistake, files)\n"
    "\n"
    "root.yaml\n"
    "---------\n" CHARTER_EXAMPLE_ROOT "\n"
    "members.yaml\n"
    "------------\n" CHARTER_EXAMPLE_MEMBERS "\n"
    "quality.yaml\n"
    "------------\n" CHARTER_EXAMPLE_QUALITY "\n"
    "policy.yaml\n"
    "-----------\n" CHARTER_EXAMPLE_POLICY;
#pragma GCC diagnostic pop

static int64_t
now_s(void)
{
    return (int64_t)time(NULL);
}

static bool
read_kind(struct cli *cli, const char *text, enum charter_kind *kind)
{
    if (charter_kind_parse(text_view(text), kind)) {
        return true;
    }
    cli_error(cli, CLI_TROUBLE, "'%s' is not root, members, quality or policy", text);
    return false;
}

/* ---- new ------------------------------------------------------------------ */

static int
charter_new(struct cli *cli, int argc, char **argv)
{
    static const char *const examples[CHARTER_KIND_COUNT] = {
        CHARTER_EXAMPLE_ROOT, CHARTER_EXAMPLE_MEMBERS, CHARTER_EXAMPLE_QUALITY,
        CHARTER_EXAMPLE_POLICY};
    const char *out[1];
    struct cli_option options[] = {{"-o", out, 1, 0}, {NULL, NULL, 0, 0}};
    enum charter_kind kind;
    char error[FILE_ERROR_CHARS];
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2) {
        return cli_error(cli, CLI_TROUBLE, "say which: root, members, quality or policy");
    }
    if (!read_kind(cli, argv[1], &kind)) {
        return CLI_TROUBLE;
    }
    if (options[0].count == 0) {
        fputs(examples[kind], cli->out);
        return CLI_YES;
    }
    enum status st = file_write(out[0], text_view(examples[kind]), 0644, false, error);
    return st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s", error);
}

/* ---- keygen --------------------------------------------------------------- */

/* The first line of a file that only its owner may read. */
static bool
read_passphrase(struct cli *cli, const char *path, uint8_t **out, size_t *count)
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

static int
write_public(struct cli *cli, const char *name, const char *secret_path,
             const uint8_t public_key[KEY_BYTES])
{
    struct charter_public_key key;
    char path[FILE_PATH_CHARS_MAX], text[CHARTER_PUBLIC_KEY_BYTES_MAX], error[FILE_ERROR_CHARS];
    uint8_t b64[BASE64_CHARS(KEY_BYTES) + 1] = "";
    strcpy(key.name, name);
    memcpy(key.public_key, public_key, KEY_BYTES);
    base64_encode((struct view){public_key, KEY_BYTES}, b64);
    size_t count = charter_public_key_encode(&key, text);
    if (snprintf(path, sizeof path, "%s.pub", secret_path) >= (int)sizeof path) {
        return cli_error(cli, CLI_TROUBLE, "the name of the file is too long");
    }
    if (file_write(path, (struct view){(const uint8_t *)text, count}, 0644, false, error) !=
        STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (cli->json) {
        fprintf(cli->out, "{\"name\":\"%s\",\"public_key\":\"%s\"}\n", name, (const char *)b64);
    } else {
        fprintf(cli->out,
                "secret key  %s (keep it off line)\n"
                "public key  %s; for root.yaml:\n"
                "  - name: %s\n"
                "    public_key: %s\n"
                "    roles: [root, members, quality, policy]\n",
                secret_path, path, name, (const char *)b64);
    }
    return CLI_YES;
}

static int
charter_keygen(struct cli *cli, int argc, char **argv)
{
    const char *out[1], *passphrase_file[1];
    struct cli_option options[] = {
        {"-o", out, 1, 0}, {"--passphrase-file", passphrase_file, 1, 0}, {NULL, NULL, 0, 0}};
    struct cli_option *o = options;
    char path[FILE_PATH_CHARS_MAX], error[KEYFILE_IO_ERROR_CHARS];
    uint8_t *passphrase = NULL;
    size_t count = 0;
    if (!cli_options(cli, o, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2 || keys_vet_name(argv[1], INSTITUTION_CHARS_MAX) != STATUS_OK ||
        strcmp(argv[1], "previous") == 0) {
        return cli_error(cli, CLI_TROUBLE, "give the key one name of a-z 0-9 . _ -, as li");
    }
    if (snprintf(path, sizeof path, "%s%s", o[0].count > 0 ? out[0] : argv[1],
                 o[0].count > 0 ? "" : ".key") >= (int)sizeof path) {
        return cli_error(cli, CLI_TROUBLE, "the name of the file is too long");
    }
    if (o[1].count > 0 && !read_passphrase(cli, passphrase_file[0], &passphrase, &count)) {
        return CLI_TROUBLE;
    }
    struct keyfile key = {.kind = KEYFILE_SIGNING};
    struct keyfile_lock lock = {.passphrase = {passphrase, count},
                                .passes = KEYFILE_PASSES,
                                .memory_kib = KEYFILE_MEMORY_KIB};
    struct sign_key pair;
    strcpy(key.name, argv[1]);
    randombytes_buf(key.secret, sizeof key.secret);
    randombytes_buf(lock.salt, sizeof lock.salt);
    randombytes_buf(lock.nonce, sizeof lock.nonce);
    keys_sign_key(key.secret, &pair);
    enum status st = keyfile_io_write(path, &key, passphrase != NULL ? &lock : NULL, error);
    int code = st != STATUS_OK ? cli_error(cli, CLI_TROUBLE, "%s", error)
                               : write_public(cli, argv[1], path, pair.public_key);
    keyfile_wipe(&key);
    sodium_memzero(&pair, sizeof pair);
    if (passphrase != NULL) {
        sodium_memzero(passphrase, count);
        free(passphrase);
    }
    return code;
}

/* ---- build ---------------------------------------------------------------- */

static int
charter_build_command(struct cli *cli, int argc, char **argv)
{
    const char *out[1], *previous[1] = {NULL}, *network[1] = {NULL}, *version[1] = {NULL},
                        *days[1] = {NULL}, *keys[1] = {NULL}, *epochs[1] = {NULL};
    struct cli_option options[] = {{"-o", out, 1, 0},
                                   {"--previous", previous, 1, 0},
                                   {"--network", network, 1, 0},
                                   {"--version", version, 1, 0},
                                   {"--valid-days", days, 1, 0},
                                   {"--network-keys", keys, 1, 0},
                                   {"--look-back-epochs", epochs, 1, 0},
                                   {"--new-epoch", NULL, 0, 0},
                                   {NULL, NULL, 0, 0}};
    char error[CHARTER_SOURCE_ERROR_CHARS], write_error[FILE_ERROR_CHARS];
    uint8_t *file;
    size_t count;
    uint32_t look_back = 1;
    enum charter_kind kind;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 3 || options[0].count == 0) {
        return cli_error(cli, CLI_TROUBLE, "usage: huren charter build KIND SOURCE -o FILE");
    }
    if (!read_kind(cli, argv[1], &kind)) {
        return CLI_TROUBLE;
    }
    if (epochs[0] != NULL && !text_to_u32(text_view(epochs[0]), &look_back)) {
        return cli_error(cli, CLI_TROUBLE, "--look-back-epochs is a number");
    }
    if (kind == CHARTER_MEMBERS && keys[0] == NULL && !home_io_is_home(cli->home)) {
        return cli_error(cli, CLI_TROUBLE,
                         "the keys of the network need a place: --network-keys FILE, or --home "
                         "with the home of the authority (%s is none)",
                         cli->home);
    }
    struct charter_source_options o = {.kind = kind,
                                       .path = argv[2],
                                       .network = network[0],
                                       .version = version[0],
                                       .valid_days = days[0],
                                       .previous = previous[0],
                                       .now_s = now_s(),
                                       .network_keys = keys[0],
                                       .home = cli->home,
                                       .new_epoch = options[7].count > 0,
                                       .look_back_epochs = look_back};
    enum status st = charter_source_build(&o, &file, &count, error);
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    st = file_write(out[0], (struct view){file, count}, 0644, true, write_error);
    free(file);
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", write_error);
    }
    if (!cli->json) {
        fprintf(cli->out, "%s written, unsigned; next: huren charter sign %s --key KEYFILE\n",
                out[0], out[0]);
    }
    return CLI_YES;
}

/* ---- sign ----------------------------------------------------------------- */

/* A file and the document in it. */
struct opened {
    uint8_t *bytes;
    size_t count;
    struct charter_document doc;
};

static void
opened_free(struct opened *o)
{
    charter_document_free(&o->doc);
    free(o->bytes);
    memset(o, 0, sizeof *o);
}

static bool
open_document(struct cli *cli, const char *path, struct opened *out, int *code)
{
    char error[FILE_ERROR_CHARS], reason[CHARTER_REASON_CHARS];
    memset(out, 0, sizeof *out);
    if (file_read(path, CHARTER_FILE_BYTES_MAX, &out->bytes, &out->count, error) != STATUS_OK) {
        *code = cli_error(cli, CLI_TROUBLE, "%s", error);
        return false;
    }
    enum status st =
        charter_document_decode((struct view){out->bytes, out->count}, &out->doc, reason);
    if (st != STATUS_OK) {
        opened_free(out);
        *code = cli_error(cli, st == STATUS_BAD_PROOF ? CLI_NO : CLI_TROUBLE, "%s: %s", path,
                          reason[0] != 0 ? reason : status_text(st));
        return false;
    }
    return true;
}

static int
sign_with(struct cli *cli, struct opened *doc, const char *path, const char *key_path,
          struct view passphrase)
{
    struct keyfile key;
    struct note_signer signer;
    char error[KEYFILE_IO_ERROR_CHARS], reason[CHARTER_REASON_CHARS];
    char name[KEY_NAME_CHARS_MAX + 1];
    uint8_t *out;
    size_t count;
    if (keyfile_io_read(key_path, passphrase, &key, error) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (key.kind != KEYFILE_SIGNING ||
        keys_vet_name(key.name, INSTITUTION_CHARS_MAX) != STATUS_OK) {
        keyfile_wipe(&key);
        return cli_error(cli, CLI_TROUBLE, "%s is no key of `huren charter keygen`", key_path);
    }
    origin_charter_name(doc->doc.head.network, key.name, name);
    enum status st = note_signer_make(text_view(name), NOTE_KEY_ED25519, key.secret, &signer);
    keyfile_wipe(&key);
    if (st == STATUS_OK) {
        st = charter_sign((struct view){doc->bytes, doc->count}, &signer, &out, &count, reason);
    } else {
        snprintf(reason, sizeof reason, "%s", status_text(st));
    }
    note_signer_wipe(&signer);
    if (st != STATUS_OK) {
        return cli_error(cli, st == STATUS_EXISTS ? CLI_NO : CLI_TROUBLE, "%s: %s", path,
                         reason);
    }
    opened_free(doc);
    doc->bytes = out;
    doc->count = count;
    st = charter_document_decode((struct view){out, count}, &doc->doc, reason);
    return st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s: %s", path, reason);
}

static int
charter_sign_command(struct cli *cli, int argc, char **argv)
{
    const char *keys[KEYS_PER_CALL_MAX], *out[1], *passphrase_file[1];
    struct cli_option options[] = {{"--key", keys, KEYS_PER_CALL_MAX, 0},
                                   {"-o", out, 1, 0},
                                   {"--passphrase-file", passphrase_file, 1, 0},
                                   {NULL, NULL, 0, 0}};
    struct opened doc;
    char error[FILE_ERROR_CHARS];
    uint8_t *passphrase = NULL;
    size_t passphrase_count = 0;
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2 || options[0].count == 0) {
        return cli_error(cli, CLI_TROUBLE, "usage: huren charter sign FILE --key KEYFILE...");
    }
    if (!open_document(cli, argv[1], &doc, &code)) {
        return code;
    }
    if (options[2].count > 0 &&
        !read_passphrase(cli, passphrase_file[0], &passphrase, &passphrase_count)) {
        opened_free(&doc);
        return CLI_TROUBLE;
    }
    for (size_t i = 0; code == CLI_YES && i < options[0].count; i++) {
        code =
            sign_with(cli, &doc, argv[1], keys[i], (struct view){passphrase, passphrase_count});
    }
    if (code == CLI_YES &&
        file_write(options[1].count > 0 ? out[0] : argv[1], (struct view){doc.bytes, doc.count},
                   0644, true, error) != STATUS_OK) {
        code = cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    if (code == CLI_YES) {
        enum status st = cli->json ? charter_show_json(cli->out, &doc.doc, NULL, now_s())
                                   : charter_show(cli->out, &doc.doc, NULL, now_s());
        code = st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s", status_text(st));
    }
    if (passphrase != NULL) {
        sodium_memzero(passphrase, passphrase_count);
        free(passphrase);
    }
    opened_free(&doc);
    return code;
}

/* ---- adopt ---------------------------------------------------------------- */

static int
charter_adopt_command(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{"--dry-run", NULL, 0, 0}, {NULL, NULL, 0, 0}};
    struct opened opened[FILES_MAX];
    struct view blobs[FILES_MAX];
    size_t count = 0;
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc < 2 || argc - 1 > FILES_MAX) {
        return cli_error(cli, CLI_TROUBLE, "name 1 to %d files", FILES_MAX);
    }
    for (int i = 1; i < argc; i++) {
        if (!open_document(cli, argv[i], &opened[count], &code)) {
            goto cleanup;
        }
        blobs[count] = (struct view){opened[count].bytes, opened[count].count};
        count++;
        if (strcmp(opened[count - 1].doc.head.network, opened[0].doc.head.network) != 0) {
            code = cli_error(cli, CLI_TROUBLE,
                             "%s is of another network than %s: adopt one network at a time",
                             argv[i], argv[1]);
            goto cleanup;
        }
    }
    json_t *args = json_pack("{s:b,s:b}", "json", cli->json, "dry_run", options[0].count > 0);
    struct call call = {
        .command = "charter-adopt", .args = args, .blobs = blobs, .blob_count = count};
    code = call_run(cli, &call);
    json_decref(args);
cleanup:
    for (size_t i = 0; i < count; i++) {
        opened_free(&opened[i]);
    }
    return code;
}

/* ---- show ----------------------------------------------------------------- */

static int
show_one(struct cli *cli, const struct charter_document *d, const struct charter *c)
{
    enum status st = cli->json ? charter_show_json(cli->out, d, c, now_s())
                               : charter_show(cli->out, d, c, now_s());
    return st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s", status_text(st));
}

/* All documents in force of one network; *shown is set when there are any. */
static int
show_network(struct cli *cli, struct store_txn *txn, const char *network, bool *shown)
{
    struct charter *c;
    char reason[CHARTER_REASON_CHARS];
    enum status st = charter_store_load(txn, network, &c, reason);
    if (st == STATUS_NOT_FOUND) {
        return CLI_YES;
    }
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "charter of %s: %s%s%s", network, status_text(st),
                         reason[0] != 0 ? ": " : "", reason);
    }
    int code = CLI_YES;
    for (unsigned k = 0; code == CLI_YES && k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = charter_document(c, (enum charter_kind)k);
        if (d != NULL) {
            code = show_one(cli, d, c);
        } else if (!cli->json) {
            fprintf(cli->out, "%s of %s: none adopted\n",
                    charter_kind_text((enum charter_kind)k), network);
        }
        if (!cli->json) {
            fputc('\n', cli->out);
        }
    }
    if (!cli->json && now_s() < charter_newest_issued_s(c)) {
        fprintf(cli->out, "CLOCK WRONG: this clock is earlier than a document in hand\n");
    }
    charter_free(c);
    *shown = true;
    return code;
}

/* Open the store beside a daemon, or ask for what is there. */
static int
show_home(struct cli *cli, const char *network)
{
    struct store_options options = {.read_only = true};
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    char path[HOME_IO_PATH_CHARS], name[NETWORK_CHARS_MAX + 1] = "";
    struct view next;
    bool shown = false;
    int code = CLI_YES;
    enum status st = home_io_path(cli->home, "store", path);
    st = st == STATUS_OK ? store_open(path, &options, &store) : st;
    st = st == STATUS_OK ? store_begin_read(store, &txn) : st;
    if (st != STATUS_OK) {
        store_close(store);
        return cli_error(cli, CLI_TROUBLE, "store of %s: %s", cli->home, status_text(st));
    }
    if (network != NULL) {
        code = show_network(cli, txn, network, &shown);
    }
    while (network == NULL && code == CLI_YES &&
           store_charter_next_network(txn, text_view(name), &next) == STATUS_OK &&
           next.count <= NETWORK_CHARS_MAX) {
        memcpy(name, next.bytes, next.count);
        name[next.count] = 0;
        code = show_network(cli, txn, name, &shown);
    }
    store_abort(txn);
    store_close(store);
    if (code == CLI_YES && !shown) {
        code = cli_error(
            cli, CLI_NO, "no charter was adopted in %s%s%s; see huren charter --help",
            cli->home, network != NULL ? " for " : "", network != NULL ? network : "");
    }
    return code;
}

static int
charter_show_command(struct cli *cli, int argc, char **argv)
{
    const char *network[1] = {NULL};
    struct cli_option options[] = {{"--network", network, 1, 0}, {NULL, NULL, 0, 0}};
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc == 1) {
        return show_home(cli, network[0]);
    }
    for (int i = 1; code == CLI_YES && i < argc; i++) {
        struct opened o;
        if (open_document(cli, argv[i], &o, &code)) {
            code = show_one(cli, &o.doc, NULL);
            opened_free(&o);
        }
    }
    return code;
}

/* --------------------------------------------------------------------------- */

int
cmd_charter(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command commands[] = {{"new", charter_new, "", ""},
                                                  {"keygen", charter_keygen, "", ""},
                                                  {"build", charter_build_command, "", ""},
                                                  {"sign", charter_sign_command, "", ""},
                                                  {"adopt", charter_adopt_command, "", ""},
                                                  {"show", charter_show_command, "", ""},
                                                  {NULL, NULL, NULL, NULL}};
    return cli_subcommand(cli, commands, argc, argv);
}

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
#include "node/charter_build.h"
#include "node/charter_examples.h"
#include "node/charter_impl.h"
#include "node/charter_key.h"
#include "node/charter_source_io.h"
#include "node/cli.h"
#include "node/cmd_charter.h"
#include "node/config.h"
#include "node/file_io.h"
#include "node/home_io.h"
#include "node/keyfile_io.h"
#include "node/origin.h"
#include "node/passphrase_io.h"
#include "proto/text.h"

enum { KEYS_PER_CALL_MAX = 16 };

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
    "                     [--root FILE]\n"
    "       huren charter merge FILE... -o FILE [--root FILE]\n"
    "       huren charter adopt FILE|FOLDER... [--dry-run]\n"
    "       huren charter show [FILE|KIND:VERSION...] [--network NAME] [--root FILE]\n"
    "       huren charter diff A B [--network NAME]\n"
    "       huren charter export FOLDER [--network NAME]\n"
    "       huren charter refused [-o FOLDER] [--network NAME]\n"
    "       huren charter impact [--all] [--network NAME]\n"
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
    "        sign one after the other, or each a copy; then says who signed and how many\n"
    "        are missing, by the root of --root or of the home (for a root: the one before)\n"
    "merge   join the signatures of copies of one text that several people signed\n"
    "adopt   check documents and keep those that hold, in any order; without a root\n"
    "        so far, the lowest root among them is the first.  Who missed versions of the\n"
    "        root gives them all; of a FOLDER all files *.charter are taken\n"
    "show    documents of files, or those in force in the home, or one version kept there\n"
    "diff    what changed from A to B, row by row, and what it means; A and B are files or\n"
    "        KIND:VERSION of the home, as members:3\n"
    "export  write all versions that the home keeps to FOLDER, for a USB stick\n"
    "refused what was refused, from whom, why and by whom it is signed; -o writes the signed\n"
    "        texts, of a contradiction both, to FOLDER: who signed cannot deny it\n"
    "impact  recorded decisions of this home that would be weaker by what the quality\n"
    "        document says now, with what the doctor did; adopting one lists them as well,\n"
    "        and status counts them; what a recovery lost of our log is named.  --all, at an\n"
    "        auditor: of all members, from their exchange logs as gossip brought them\n"
    "After a rotation of keys the documents in force need signatures of the new ones as\n"
    "well (sign the same file again, merge, adopt): who was away judges by the newest root.\n"
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
    "exit codes: 0 done; 1 a document is refused (the others are adopted), or impact lists\n"
    "            something; 2 could not do it (usage, a source with a mistake, files)\n"
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
    if (o[1].count > 0 && !passphrase_read(cli, passphrase_file[0], &passphrase, &count)) {
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

static int
sign_with(struct cli *cli, struct charter_opened *doc, const char *path, const char *key_path,
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
    charter_opened_free(doc);
    doc->bytes = out;
    doc->count = count;
    st = charter_document_decode((struct view){out, count}, &doc->doc, reason);
    return st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s: %s", path, reason);
}

static int
charter_sign_command(struct cli *cli, int argc, char **argv)
{
    const char *keys[KEYS_PER_CALL_MAX], *out[1], *passphrase_file[1], *root[1];
    struct cli_option options[] = {{"--key", keys, KEYS_PER_CALL_MAX, 0},
                                   {"-o", out, 1, 0},
                                   {"--passphrase-file", passphrase_file, 1, 0},
                                   {"--root", root, 1, 0},
                                   {NULL, NULL, 0, 0}};
    struct charter_opened doc;
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
    if (!charter_open(cli, argv[1], &doc, &code)) {
        return code;
    }
    if (options[2].count > 0 &&
        !passphrase_read(cli, passphrase_file[0], &passphrase, &passphrase_count)) {
        charter_opened_free(&doc);
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
        struct charter_judge judge;
        bool judged = charter_judge_open(cli, options[3].count > 0 ? root[0] : NULL,
                                         doc.doc.head.network, &judge);
        code = !judged ? CLI_TROUBLE : charter_show_one(cli, &doc.doc, &judge);
        charter_judge_close(&judge);
    }
    if (passphrase != NULL) {
        sodium_memzero(passphrase, passphrase_count);
        free(passphrase);
    }
    charter_opened_free(&doc);
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
                                                  {"merge", cmd_charter_merge, "", ""},
                                                  {"adopt", cmd_charter_adopt, "", ""},
                                                  {"show", cmd_charter_show, "", ""},
                                                  {"diff", cmd_charter_diff, "", ""},
                                                  {"export", cmd_charter_export, "", ""},
                                                  {"refused", cmd_charter_refused, "", ""},
                                                  {"impact", cmd_charter_impact, "", ""},
                                                  {NULL, NULL, NULL, NULL}};
    return cli_subcommand(cli, commands, argc, argv);
}

/* huren policy list, check, build: the packs themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "node/cli.h"
#include "node/cmd_policy.h"
#include "node/keyfile_io.h"
#include "node/pack_file.h"
#include "node/passphrase_io.h"
#include "node/policy_home_io.h"
#include "node/policy_io.h"

enum { ERROR_CHARS = 1024, FOLDERS_MAX = 64, VKEYS_MAX = 16, HEX_CHARS = 2 * HASH_BYTES + 1 };

const char cmd_policy_list_help[] =
    "usage: huren policy list [--json]\n"
    "\n"
    "The packs carried in this binary and, with a home, those that it adopted or that its\n"
    "charters name: id, version, address (SHA-256), document, number of listed items, and\n"
    "what of the regulation is not in hand.  Then the annexes of the home, and which of them\n"
    "a charter puts in force.\n"
    "\n"
    "exit codes: 0 done\n";

const char cmd_policy_check_help[] =
    "usage: huren policy check DIR...\n"
    "       huren policy check [--vkey KEY]... FILE.hrpack\n"
    "\n"
    "Checks the sources of packs: pack.yaml, items.csv, vectors.jsonl.  Refused with\n"
    "file, line and reason: an unknown rule or setting, an item twice or not in the\n"
    "catalog, a rule without citation, a vector that fails, and between several folders\n"
    "validities that overlap and parents that lead back.\n"
    "A built file is read as a node would: hashes, vectors, and with --vkey (a verifier\n"
    "key, NAME+ID+KEY) the signature of one of these keys.\n"
    "\n"
    "exit codes: 0 all are good; 1 one is not; 2 could not be read\n";

const char cmd_policy_build_help[] =
    "usage: huren policy build DIR [-o FILE] [--key KEYFILE [--passphrase-file FILE]]\n"
    "       huren policy build --annex CSV --pack ID --version N [-o FILE]\n"
    "                          [--key KEYFILE [--passphrase-file FILE]]\n"
    "\n"
    "Compiles a pack, runs its vectors and writes one file, DIR's id and version with\n"
    "the suffix .hrpack unless -o names another.  With --key (a signing key, as huren\n"
    "charter keygen makes) the file is signed; a locked key is opened with the passphrase\n"
    "in --passphrase-file (- for standard input).  Prints the address of the pack: the\n"
    "SHA-256 that names its rules and vectors, whoever signs.\n"
    "With --annex the file is an item list that came later: CSV with the columns code,\n"
    "limit_days (empty: no limit) and citation.\n"
    "\n"
    "exit codes: 0 built; 1 the pack is refused; 2 could not be read or written\n";

const char cmd_policy_export_help[] =
    "usage: huren policy export DIR\n"
    "\n"
    "Writes the compiled catalog (DIR/catalog.txt) and packs (DIR/ID.txt) of this binary,\n"
    "the form that libhuren-policy loads.  DIR must exist.\n"
    "\n"
    "exit codes: 0 done; 2 could not be written\n";

static void
to_hex(const uint8_t *bytes, char out[HEX_CHARS])
{
    sodium_bin2hex(out, HEX_CHARS, bytes, HASH_BYTES);
}

static json_t *
text_json(struct hr_text text)
{
    return json_stringn(text.size > 0 ? text.bytes : "", text.size);
}

static void
list_one(struct cli *cli, const struct policy_set *set, size_t index)
{
    const struct hr_pack *pack = policy_set_pack(set, index);
    char hex[HEX_CHARS];
    to_hex(policy_set_hash(set, index), hex);
    if (cli->json) {
        json_t *territory = json_array();
        for (size_t i = 0; i < hr_pack_territory_count(pack); i++) {
            json_array_append_new(territory, text_json(hr_pack_territory(pack, i)));
        }
        json_t *one = json_pack(
            "{s:o, s:o, s:s, s:o, s:{s:o, s:o}, s:o, s:o, s:I, s:{s:o, s:o}}", "pack",
            text_json(hr_pack_id(pack)), "version", text_json(hr_pack_version(pack)), "address",
            hex, "document", text_json(hr_pack_document(pack)), "title", "zh",
            text_json(hr_pack_title(pack, false)), "en", text_json(hr_pack_title(pack, true)),
            "territory", territory, "parent", text_json(hr_pack_parent(pack)), "items",
            (json_int_t)hr_pack_item_count(pack), "gaps", "zh",
            text_json(hr_pack_gaps(pack, false)), "en", text_json(hr_pack_gaps(pack, true)));
        json_dumpf(one, cli->out, JSON_COMPACT);
        fputc('\n', cli->out);
        json_decref(one);
        return;
    }
    struct hr_text id = hr_pack_id(pack);
    struct hr_text version = hr_pack_version(pack);
    struct hr_text document = hr_pack_document(pack);
    struct hr_text title = hr_pack_title(pack, false);
    struct hr_text gaps = hr_pack_gaps(pack, true);
    fprintf(cli->out, "%.*s version %.*s, %zu listed items\n  address  %s\n", (int)id.size,
            id.bytes, (int)version.size, version.bytes, hr_pack_item_count(pack), hex);
    fprintf(cli->out, "  document %.*s %.*s\n", (int)document.size, document.bytes,
            (int)title.size, title.bytes);
    fprintf(cli->out, "  gaps     %.*s\n", (int)gaps.size, gaps.bytes);
}

static void
list_annex(struct cli *cli, const struct policy_annex_about *a)
{
    char hex[HEX_CHARS];
    to_hex(a->hash, hex);
    if (cli->json) {
        json_t *one = json_pack("{s:s, s:I, s:s, s:I, s:b}", "annex_of", a->pack, "version",
                                (json_int_t)a->version, "address", hex, "items",
                                (json_int_t)a->items, "in_force", (int)a->named);
        json_dumpf(one, cli->out, JSON_COMPACT);
        fputc('\n', cli->out);
        json_decref(one);
        return;
    }
    fprintf(cli->out, "annex of %s version %u, %zu listed items%s\n  address  %s\n", a->pack,
            (unsigned)a->version, a->items,
            a->named ? "" : ", not named by a charter of this home", hex);
}

int
cmd_policy_list(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{NULL, NULL, 0, 0}};
    struct policy_set *set = NULL;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc > 1) {
        return cli_error(cli, CLI_TROUBLE, "takes no operands");
    }
    if (!policy_home_load(cli, &set)) {
        return CLI_TROUBLE;
    }
    for (size_t i = 0; i < policy_set_count(set); i++) {
        list_one(cli, set, i);
    }
    for (size_t i = 0; i < policy_set_annex_count(set); i++) {
        struct policy_annex_about about;
        if (policy_set_annex_at(set, i, &about)) {
            list_annex(cli, &about);
        }
    }
    policy_set_free(set);
    return CLI_YES;
}

static enum status
export_one(const char *folder, struct hr_text name, struct hr_text text, char *error,
           size_t error_bytes)
{
    char path[1024];
    int size = snprintf(path, sizeof path, "%s/%.*s.txt", folder, (int)name.size, name.bytes);
    if (size < 0 || (size_t)size >= sizeof path) {
        snprintf(error, error_bytes, "%.200s: name is too long", folder);
        return STATUS_TOO_BIG;
    }
    return policy_file_write(path, (const uint8_t *)text.bytes, text.size, error, error_bytes);
}

int
cmd_policy_export(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{NULL, NULL, 0, 0}};
    struct policy_set *set = NULL;
    char error[ERROR_CHARS] = "";
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2) {
        return cli_error(cli, CLI_TROUBLE, "name the folder to write to");
    }
    enum status st = policy_set_load_embedded(&set, error, sizeof error);
    if (st == STATUS_OK) {
        st = export_one(argv[1], (struct hr_text){"catalog", 7}, policy_set_catalog_text(set),
                        error, sizeof error);
    }
    for (size_t i = 0; st == STATUS_OK && i < policy_set_count(set); i++) {
        st = export_one(argv[1], hr_pack_id(policy_set_pack(set, i)), policy_set_text(set, i),
                        error, sizeof error);
    }
    policy_set_free(set);
    return st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s", error);
}

/* Refused by rule, or not readable at all. */
static int
exit_code_of(enum status st)
{
    return st == STATUS_MALFORMED || st == STATUS_REFUSED || st == STATUS_CORRUPT ? CLI_NO
                                                                                  : CLI_TROUBLE;
}

static int
complain(struct cli *cli, enum status st, const char *path, const char *error)
{
    if (error[0] != '\0') {
        return cli_error(cli, exit_code_of(st), "%s", error);
    }
    return cli_error(cli, exit_code_of(st), "%s: %s", path, status_text(st));
}

static int
check_folders(struct cli *cli, const struct policy_set *set, char **paths, size_t count,
              struct policy_folder *folders)
{
    const struct hr_pack *packs[FOLDERS_MAX];
    struct pack_sources sources[FOLDERS_MAX];
    size_t built = 0;
    int worst = CLI_YES;
    for (size_t i = 0; i < count; i++) {
        char error[ERROR_CHARS] = "";
        size_t vectors = 0;
        enum status st = policy_folder_read(paths[i], &folders[i], error, sizeof error);
        if (st == STATUS_OK) {
            st = policy_folder_build(&folders[i], policy_set_catalog(set), &vectors, error,
                                     sizeof error);
        }
        if (st != STATUS_OK) {
            int code = complain(cli, st, paths[i], error);
            worst = code > worst ? code : worst;
            continue;
        }
        struct hr_text id = hr_pack_id(folders[i].built.pack);
        fprintf(cli->out, "%s: %.*s is good, %zu vectors passed\n", paths[i], (int)id.size,
                id.bytes, vectors);
        packs[built] = folders[i].built.pack;
        sources[built++] = folders[i].sources;
    }
    char error[ERROR_CHARS] = "";
    enum status st = pack_check_together(packs, sources, built, error, sizeof error);
    if (st != STATUS_OK) {
        int code = complain(cli, st, "packs", error);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static bool
is_built_file(const char *path)
{
    static const char suffix[] = ".hrpack";
    size_t size = strlen(path);
    return size > sizeof suffix && strcmp(path + size - (sizeof suffix - 1), suffix) == 0;
}

static int
check_file(struct cli *cli, struct policy_set *set, const char *path, const char *const *vkeys,
           size_t vkey_count)
{
    struct note_key keys[VKEYS_MAX];
    struct hash address;
    char error[ERROR_CHARS] = "";
    char hex[HEX_CHARS];
    uint8_t *bytes = NULL;
    size_t size = 0;
    for (size_t i = 0; i < vkey_count; i++) {
        struct view vkey = {(const uint8_t *)vkeys[i], strlen(vkeys[i])};
        if (note_key_parse(vkey, &keys[i]) != STATUS_OK) {
            return cli_error(cli, CLI_TROUBLE, "--vkey %s is not a verifier key", vkeys[i]);
        }
    }
    enum status st = policy_file_read(path, 3 * (size_t)HR_PACK_TEXT_BYTES_MAX, &bytes, &size,
                                      error, sizeof error);
    if (st != STATUS_OK) {
        return complain(cli, st, path, error);
    }
    st = policy_set_add_file(set, (struct view){bytes, size}, keys, vkey_count, &address, error,
                             sizeof error);
    free(bytes);
    if (st != STATUS_OK && st != STATUS_EXISTS) {
        int code = st == STATUS_NO_MEMORY || st == STATUS_TOO_BIG ? CLI_TROUBLE : CLI_NO;
        return cli_error(cli, code, "%s: %s", path, error);
    }
    to_hex(address.bytes, hex);
    fprintf(cli->out, "%s: is good%s%s\n  address %s\n", path,
            st == STATUS_EXISTS ? ", the one in this binary" : "",
            vkey_count > 0 ? ", signed by a key given" : ", signatures not checked", hex);
    return CLI_YES;
}

int
cmd_policy_check(struct cli *cli, int argc, char **argv)
{
    const char *vkeys[VKEYS_MAX];
    struct cli_option options[] = {{"--vkey", vkeys, VKEYS_MAX, 0}, {NULL, NULL, 0, 0}};
    struct policy_set *set = NULL;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc < 2 || argc > FOLDERS_MAX) {
        return cli_error(cli, CLI_TROUBLE, "name the folders of 1 to %d packs",
                         FOLDERS_MAX - 1);
    }
    if (!policy_home_load(cli, &set)) {
        return CLI_TROUBLE;
    }
    if (argc == 2 && is_built_file(argv[1])) {
        int good = sodium_init() < 0 ? cli_error(cli, CLI_TROUBLE, "libsodium did not start")
                                     : check_file(cli, set, argv[1], vkeys, options[0].count);
        policy_set_free(set);
        return good;
    }
    size_t count = (size_t)argc - 1;
    struct policy_folder *folders = calloc(count, sizeof *folders);
    int code = folders == NULL ? cli_error(cli, CLI_TROUBLE, "out of memory")
                               : check_folders(cli, set, argv + 1, count, folders);
    for (size_t i = 0; folders != NULL && i < count; i++) {
        policy_folder_free(&folders[i]);
    }
    free(folders);
    policy_set_free(set);
    return code;
}

/* ---- build ------------------------------------------------------------------- */

static enum status
read_signer(const char *path, struct view passphrase, struct note_signer *signer,
            char error[ERROR_CHARS])
{
    struct keyfile key;
    _Static_assert(KEYFILE_IO_ERROR_CHARS <= (int)ERROR_CHARS, "an error of keyfile_io fits");
    memset(signer, 0, sizeof *signer);
    enum status st = keyfile_io_read(path, passphrase, &key, error);
    if (st != STATUS_OK) {
        return st;
    }
    if (key.kind != KEYFILE_SIGNING) {
        snprintf(error, ERROR_CHARS, "%s: is not a signing key", path);
        st = STATUS_BAD_KEY;
    } else {
        struct view name = {(const uint8_t *)key.name, strlen(key.name)};
        st = note_signer_make(name, NOTE_KEY_ED25519, key.secret, signer);
    }
    keyfile_wipe(&key);
    return st;
}

/* Encode, write, and print what was built. */
static enum status
write_built(struct cli *cli, struct pack_file *file, size_t count, const char *out_path,
            const struct note_signer *signer, char *error, size_t error_bytes)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    char path[512];
    char hex[HEX_CHARS];
    const char *unit = file->annex ? "items" : "vectors";
    enum status st = pack_file_encode(file, signer, &bytes, &size);
    if (st != STATUS_OK) {
        return st;
    }
    snprintf(path, sizeof path, "%s%s-v%u.hrpack", file->id, file->annex ? "-annex" : "",
             (unsigned)file->version);
    out_path = out_path != NULL ? out_path : path;
    st = policy_file_write(out_path, bytes, size, error, error_bytes);
    free(bytes);
    if (st != STATUS_OK) {
        return st;
    }
    to_hex(file->address.bytes, hex);
    char vkey[NOTE_VKEY_BYTES_MAX] = "";
    if (signer != NULL) {
        note_key_encode(&signer->key, vkey);
    }
    if (cli->json) {
        json_t *one = json_pack("{s:s, s:i, s:s, s:s, s:I, s:b}", "pack", file->id, "version",
                                (int)file->version, "address", hex, "file", out_path, unit,
                                (json_int_t)count, "signed", signer != NULL);
        if (signer != NULL) {
            json_object_set_new(one, "vkey", json_string(vkey));
        }
        json_dumpf(one, cli->out, JSON_COMPACT);
        fputc('\n', cli->out);
        json_decref(one);
    } else {
        fprintf(cli->out, "%s: %s%s version %u, %zu %s, %s\n  address %s\n", out_path,
                file->annex ? "annex of " : "", file->id, (unsigned)file->version, count, unit,
                signer != NULL ? "signed" : "not signed", hex);
        if (signer != NULL) {
            fprintf(cli->out, "  verifier key, for huren policy check --vkey\n    %s\n", vkey);
        }
    }
    return STATUS_OK;
}

static enum status
build_pack(struct cli *cli, const struct policy_set *set, const char *path,
           const char *out_path, const struct note_signer *signer, char *error,
           size_t error_bytes)
{
    struct policy_folder folder = {.path = NULL};
    struct pack_file file;
    size_t vectors = 0;
    enum status st = policy_folder_read(path, &folder, error, error_bytes);
    if (st == STATUS_OK) {
        st =
            policy_folder_build(&folder, policy_set_catalog(set), &vectors, error, error_bytes);
    }
    if (st == STATUS_OK) {
        st = pack_built_file(&folder.built, folder.vectors_view, &file);
    }
    if (st == STATUS_OK) {
        st = write_built(cli, &file, vectors, out_path, signer, error, error_bytes);
    }
    policy_folder_free(&folder);
    return st;
}

static enum status
build_annex(struct cli *cli, const struct policy_set *set, const char *path, const char *id,
            const char *version, const char *out_path, const struct note_signer *signer,
            char *error, size_t error_bytes)
{
    struct pack_file file = {.annex = true};
    struct policy_annex *annex = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    size_t digits = strlen(version);
    if (strlen(id) > PACK_ID_CHARS_MAX || digits == 0 || digits > 9 || version[0] == '0' ||
        strspn(version, "0123456789") != digits) {
        snprintf(error, error_bytes, "--pack is too long, or --version is no plain number");
        return STATUS_MALFORMED;
    }
    enum status st =
        policy_file_read(path, HR_PACK_TEXT_BYTES_MAX, &bytes, &size, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    memcpy(file.id, id, strlen(id) + 1);
    file.version = (uint32_t)strtoul(version, NULL, 10);
    file.rules = (struct view){bytes, size};
    st = policy_annex_load(file.rules, path, policy_set_catalog(set), &annex, error,
                           error_bytes);
    if (st == STATUS_OK) {
        st = write_built(cli, &file, policy_annex_count(annex), out_path, signer, error,
                         error_bytes);
    }
    policy_annex_free(annex);
    free(bytes);
    return st;
}

int
cmd_policy_build(struct cli *cli, int argc, char **argv)
{
    const char *values[6][1] = {{NULL}, {NULL}, {NULL}, {NULL}, {NULL}, {NULL}};
    enum { OUT, KEY, ANNEX, PACK, VERSION, PASSPHRASE };
    struct cli_option options[] = {{"-o", values[OUT], 1, 0},
                                   {"--key", values[KEY], 1, 0},
                                   {"--annex", values[ANNEX], 1, 0},
                                   {"--pack", values[PACK], 1, 0},
                                   {"--version", values[VERSION], 1, 0},
                                   {"--passphrase-file", values[PASSPHRASE], 1, 0},
                                   {NULL, NULL, 0, 0}};
    struct policy_set *set = NULL;
    struct note_signer signer;
    const struct note_signer *used = NULL;
    uint8_t *passphrase = NULL;
    size_t passphrase_bytes = 0;
    char error[ERROR_CHARS] = "";
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    bool annex = values[ANNEX][0] != NULL;
    if (argc != (annex ? 1 : 2) || (values[PACK][0] != NULL) != annex ||
        (values[VERSION][0] != NULL) != annex) {
        return cli_error(cli, CLI_TROUBLE,
                         "name the folder of one pack, or --annex, --pack and --version");
    }
    if (sodium_init() < 0) {
        return cli_error(cli, CLI_TROUBLE, "libsodium did not start");
    }
    if (values[PASSPHRASE][0] != NULL &&
        (values[KEY][0] == NULL ||
         !passphrase_read(cli, values[PASSPHRASE][0], &passphrase, &passphrase_bytes))) {
        return values[KEY][0] == NULL
                   ? cli_error(cli, CLI_TROUBLE, "--passphrase-file is for a --key")
                   : CLI_TROUBLE;
    }
    enum status st = policy_set_load_embedded(&set, error, sizeof error);
    if (st == STATUS_OK && values[KEY][0] != NULL) {
        st = read_signer(values[KEY][0], (struct view){passphrase, passphrase_bytes}, &signer,
                         error);
        used = &signer;
    }
    if (passphrase != NULL) {
        sodium_memzero(passphrase, passphrase_bytes);
        free(passphrase);
    }
    if (st == STATUS_OK) {
        st = annex ? build_annex(cli, set, values[ANNEX][0], values[PACK][0],
                                 values[VERSION][0], values[OUT][0], used, error, sizeof error)
                   : build_pack(cli, set, argv[1], values[OUT][0], used, error, sizeof error);
    }
    if (used != NULL) {
        note_signer_wipe(&signer);
    }
    policy_set_free(set);
    return st == STATUS_OK ? CLI_YES
                           : complain(cli, st, annex ? values[ANNEX][0] : argv[1], error);
}

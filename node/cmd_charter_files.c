/* huren charter adopt, merge, show, diff, export: documents in files and in the home. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "node/call.h"
#include "node/charter_diff.h"
#include "node/charter_show_io.h"
#include "node/charter_signed.h"
#include "node/charter_store_io.h"
#include "node/cmd_charter.h"
#include "node/file_io.h"
#include "node/home_io.h"
#include "proto/text.h"
#include "store/store.h"

enum { FILES_MAX = 256 }; /* as the owner takes them */

static int64_t
now_s(void)
{
    return (int64_t)time(NULL);
}

/* ---- opening ---------------------------------------------------------------- */

void
charter_opened_free(struct charter_opened *o)
{
    charter_document_free(&o->doc);
    free(o->bytes);
    memset(o, 0, sizeof *o);
}

/* Decode o->bytes; `name` is for messages. */
static bool
decode_opened(struct cli *cli, const char *name, struct charter_opened *o, int *code)
{
    char reason[CHARTER_REASON_CHARS] = "";
    enum status st =
        charter_document_decode((struct view){o->bytes, o->count}, &o->doc, reason);
    if (st != STATUS_OK) {
        charter_opened_free(o);
        *code = cli_error(cli, st == STATUS_BAD_PROOF ? CLI_NO : CLI_TROUBLE, "%s: %s", name,
                          reason[0] != 0 ? reason : status_text(st));
        return false;
    }
    return true;
}

bool
charter_open(struct cli *cli, const char *path, struct charter_opened *out, int *code)
{
    char error[FILE_ERROR_CHARS];
    memset(out, 0, sizeof *out);
    if (file_read(path, CHARTER_FILE_BYTES_MAX, &out->bytes, &out->count, error) != STATUS_OK) {
        *code = cli_error(cli, CLI_TROUBLE, "%s", error);
        return false;
    }
    return decode_opened(cli, path, out, code);
}

bool
charter_beside_open(struct cli *cli, bool must, struct charter_beside *b)
{
    struct store_options options = {.read_only = true};
    char path[HOME_IO_PATH_CHARS];
    memset(b, 0, sizeof *b);
    enum status st = home_io_path(cli->home, "store", path);
    st = st == STATUS_OK ? store_open(path, &options, &b->store) : st;
    st = st == STATUS_OK ? store_begin_read(b->store, &b->txn) : st;
    if (st == STATUS_OK) {
        return true;
    }
    store_close(b->store);
    memset(b, 0, sizeof *b);
    if (must) {
        cli_error(cli, CLI_TROUBLE, "store of %s: %s", cli->home, status_text(st));
    }
    return false;
}

void
charter_beside_close(struct charter_beside *b)
{
    store_abort(b->txn);
    store_close(b->store);
}

bool
charter_the_network(struct cli *cli, struct charter_beside *b, const char *given,
                    char out[NETWORK_CHARS_MAX + 1])
{
    struct view name, more;
    if (given != NULL) {
        snprintf(out, NETWORK_CHARS_MAX + 1, "%s", given);
        return true;
    }
    if (store_charter_next_network(b->txn, (struct view){NULL, 0}, &name) != STATUS_OK ||
        name.count > NETWORK_CHARS_MAX) {
        cli_error(cli, CLI_NO, "no charter was adopted in %s; see huren charter --help",
                  cli->home);
        return false;
    }
    memcpy(out, name.bytes, name.count);
    out[name.count] = 0;
    if (store_charter_next_network(b->txn, text_view(out), &more) == STATUS_OK) {
        cli_error(cli, CLI_TROUBLE,
                  "this home is in several networks: name one with --network");
        return false;
    }
    return true;
}

static bool
read_version(const char *text, uint64_t *out)
{
    uint64_t v = 0;
    for (const char *p = text; *p != 0; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*p < '0' || *p > '9' || v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = 10 * v + digit;
    }
    *out = v;
    return text[0] != '0' && v > 0;
}

/* "members:3", or "members" and "members:newest" for the newest. */
static bool
read_reference(const char *text, enum charter_kind *kind, uint64_t *version)
{
    const char *colon = strchr(text, ':');
    size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
    if (!charter_kind_parse((struct view){(const uint8_t *)text, n}, kind)) {
        return false;
    }
    *version = UINT64_MAX;
    return colon == NULL || strcmp(colon + 1, "newest") == 0 ||
           read_version(colon + 1, version);
}

bool
charter_open_any(struct cli *cli, const char *operand, const char *network,
                 struct charter_opened *out, int *code)
{
    enum charter_kind kind;
    uint64_t version;
    char name[NETWORK_CHARS_MAX + 1];
    struct stat sb;
    struct charter_beside b;
    if (stat(operand, &sb) == 0 || !read_reference(operand, &kind, &version)) {
        return charter_open(cli, operand, out, code);
    }
    memset(out, 0, sizeof *out);
    if (!charter_beside_open(cli, true, &b)) {
        *code = CLI_TROUBLE;
        return false;
    }
    bool good = charter_the_network(cli, &b, network, name);
    if (good) {
        enum status st = STATUS_OK;
        if (version == UINT64_MAX) {
            struct charter *c = NULL;
            char reason[CHARTER_REASON_CHARS];
            st = charter_store_load(b.txn, name, &c, reason);
            const struct charter_document *d =
                st == STATUS_OK ? charter_document(c, kind) : NULL;
            st = d == NULL && st == STATUS_OK ? STATUS_NOT_FOUND : st;
            version = d == NULL ? 0 : d->head.version;
            charter_free(c);
        }
        st = st == STATUS_OK
                 ? charter_store_file(b.txn, name, kind, version, &out->bytes, &out->count)
                 : st;
        good = st == STATUS_OK;
        if (!good) {
            *code = cli_error(cli, CLI_TROUBLE, "%s of %s in %s: %s", operand, name, cli->home,
                              st == STATUS_NOT_FOUND ? "this version is not kept here"
                                                     : status_text(st));
        }
    }
    charter_beside_close(&b);
    if (!good && *code == CLI_YES) {
        *code = CLI_TROUBLE; /* said by the_network */
    }
    return good && decode_opened(cli, operand, out, code);
}

/* ---- by whom signatures are judged -------------------------------------------- */

bool
charter_judge_open(struct cli *cli, const char *root_path, const char *network,
                   struct charter_judge *out)
{
    struct charter_beside b;
    char reason[CHARTER_REASON_CHARS];
    int code;
    memset(out, 0, sizeof *out);
    if (root_path != NULL) {
        if (!charter_open(cli, root_path, &out->file, &code)) {
            return false;
        }
        if (out->file.doc.head.kind != CHARTER_ROOT ||
            strcmp(out->file.doc.head.network, network) != 0) {
            cli_error(cli, CLI_TROUBLE, "%s is not a root of %s", root_path, network);
            return false;
        }
        return true;
    }
    if (home_io_is_home(cli->home) && charter_beside_open(cli, false, &b)) {
        if (charter_store_load(b.txn, network, &out->home, reason) != STATUS_OK) {
            out->home = NULL;
        }
        charter_beside_close(&b);
    }
    return true;
}

void
charter_judge_close(struct charter_judge *j)
{
    charter_opened_free(&j->file);
    charter_free(j->home);
    j->home = NULL;
}

const struct charter_document *
charter_judge_root(const struct charter_judge *j, const struct charter_document *d)
{
    bool is_root = d->head.kind == CHARTER_ROOT;
    if (j->file.bytes != NULL) {
        return &j->file.doc;
    }
    if (j->home == NULL) {
        return NULL;
    }
    if (is_root) {
        return charter_root_version(j->home, d->head.version - 1);
    }
    const struct charter_document *held = charter_document(j->home, d->head.kind);
    bool in_hand = held != NULL && hash_equal(&held->head.hash, &d->head.hash);
    return in_hand ? charter_root_version(j->home, charter_signed_under(j->home, d->head.kind))
                   : charter_document(j->home, CHARTER_ROOT);
}

int
charter_show_one(struct cli *cli, const struct charter_document *d,
                 const struct charter_judge *judge)
{
    const struct charter_document *root = charter_judge_root(judge, d);
    enum status st = cli->json ? charter_show_json(cli->out, d, root, now_s())
                               : charter_show(cli->out, d, root, now_s());
    return st == STATUS_OK ? CLI_YES : cli_error(cli, CLI_TROUBLE, "%s", status_text(st));
}

/* ---- adopt ---------------------------------------------------------------- */

/* Names of files, owned. */
struct names {
    size_t count;
    char *at[FILES_MAX];
};

static bool
add_name(struct cli *cli, struct names *n, const char *folder, const char *name)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    if (n->count == FILES_MAX) {
        cli_error(cli, CLI_TROUBLE, "more than %d files: adopt them in parts, roots first",
                  FILES_MAX);
        return false;
    }
    char *path = malloc(room);
    if (path == NULL) {
        cli_error(cli, CLI_TROUBLE, "out of memory");
        return false;
    }
    snprintf(path, room, "%s%s%s", folder, folder[0] != 0 ? "/" : "", name);
    n->at[n->count++] = path;
    return true;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
add_folder(struct cli *cli, struct names *n, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t before = n->count;
    bool good = dir != NULL;
    if (!good) {
        cli_error(cli, CLI_TROUBLE, "%s: %s", folder, strerror(errno));
        return false;
    }
    while (good && (entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length > 8 && entry->d_name[0] != '.' &&
            strcmp(entry->d_name + length - 8, ".charter") == 0) {
            good = add_name(cli, n, folder, entry->d_name);
        }
    }
    closedir(dir);
    if (good && n->count == before) {
        cli_error(cli, CLI_TROUBLE, "%s: no file *.charter in this folder", folder);
        return false;
    }
    qsort(n->at + before, n->count - before, sizeof n->at[0], by_name);
    return good;
}

static int
adopt_files(struct cli *cli, const struct names *names, bool dry_run)
{
    struct charter_opened *opened = calloc(names->count, sizeof *opened);
    struct view *blobs = calloc(names->count, sizeof *blobs);
    json_t *files = json_array();
    int code = opened == NULL || blobs == NULL ? cli_error(cli, CLI_TROUBLE, "out of memory")
                                               : CLI_YES;
    for (size_t i = 0; code == CLI_YES && i < names->count; i++) {
        if (!charter_open(cli, names->at[i], &opened[i], &code)) {
            break;
        }
        blobs[i] = (struct view){opened[i].bytes, opened[i].count};
        json_array_append_new(files, json_string(names->at[i]));
        if (strcmp(opened[i].doc.head.network, opened[0].doc.head.network) != 0) {
            code = cli_error(cli, CLI_TROUBLE,
                             "%s is of another network than %s: adopt one network at a time",
                             names->at[i], names->at[0]);
        }
    }
    if (code == CLI_YES) {
        json_t *args =
            json_pack("{s:b,s:b,s:O}", "json", cli->json, "dry_run", dry_run, "files", files);
        struct call call = {.command = "charter-adopt",
                            .args = args,
                            .blobs = blobs,
                            .blob_count = names->count};
        code = call_run(cli, &call);
        json_decref(args);
    }
    json_decref(files);
    for (size_t i = 0; opened != NULL && i < names->count; i++) {
        charter_opened_free(&opened[i]);
    }
    free(opened);
    free(blobs);
    return code;
}

int
cmd_charter_adopt(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{"--dry-run", NULL, 0, 0}, {NULL, NULL, 0, 0}};
    struct names names = {0};
    struct stat sb;
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc < 2) {
        return cli_error(cli, CLI_TROUBLE, "name 1 to %d files, or a folder of them",
                         FILES_MAX);
    }
    for (int i = 1; code == CLI_YES && i < argc; i++) {
        bool folder = stat(argv[i], &sb) == 0 && S_ISDIR(sb.st_mode);
        bool good =
            folder ? add_folder(cli, &names, argv[i]) : add_name(cli, &names, "", argv[i]);
        code = good ? CLI_YES : CLI_TROUBLE;
    }
    if (code == CLI_YES) {
        code = adopt_files(cli, &names, options[0].count > 0);
    }
    while (names.count > 0) {
        free(names.at[--names.count]);
    }
    return code;
}

/* ---- merge ------------------------------------------------------------------ */

static int
merge_opened(struct cli *cli, const struct charter_opened *opened, char **names, size_t count,
             const char *root_path, const char *out)
{
    const struct charter_document *list[FILES_MAX];
    struct charter_opened joined = {0};
    struct charter_judge judge;
    char reason[CHARTER_REASON_CHARS], error[FILE_ERROR_CHARS];
    size_t added = 0, bad = 0;
    int code = CLI_YES;
    for (size_t i = 0; i < count; i++) {
        list[i] = &opened[i].doc;
    }
    if (!charter_judge_open(cli, root_path, list[0]->head.network, &judge)) {
        charter_judge_close(&judge);
        return CLI_TROUBLE;
    }
    enum status st = charter_join(charter_judge_root(&judge, list[0]), list, count,
                                  &joined.bytes, &joined.count, &added, &bad, reason);
    if (st != STATUS_OK) {
        code = cli_error(
            cli, st == STATUS_REFUSED || st == STATUS_BAD_SIGNATURE ? CLI_NO : CLI_TROUBLE,
            "%s: %s; nothing was written", names[bad], reason);
    } else if (!decode_opened(cli, out, &joined, &code)) {
        /* said */
    } else if (file_write(out, (struct view){joined.bytes, joined.count}, 0644, true, error) !=
               STATUS_OK) {
        code = cli_error(cli, CLI_TROUBLE, "%s", error);
    } else {
        code = charter_show_one(cli, &joined.doc, &judge);
    }
    if (code == CLI_YES && !cli->json) {
        fprintf(cli->out, "%s written: %zu signature%s came from the other files\n", out, added,
                added == 1 ? "" : "s");
    }
    charter_opened_free(&joined);
    charter_judge_close(&judge);
    return code;
}

int
cmd_charter_merge(struct cli *cli, int argc, char **argv)
{
    const char *out[1], *root[1] = {NULL};
    struct cli_option options[] = {
        {"-o", out, 1, 0}, {"--root", root, 1, 0}, {NULL, NULL, 0, 0}};
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc < 2 || argc - 1 > FILES_MAX || options[0].count == 0) {
        return cli_error(cli, CLI_TROUBLE,
                         "usage: huren charter merge FILE... -o FILE [--root FILE]");
    }
    size_t count = (size_t)argc - 1, open = 0;
    struct charter_opened *opened = calloc(count, sizeof *opened);
    if (opened == NULL) {
        return cli_error(cli, CLI_TROUBLE, "out of memory");
    }
    while (open < count && charter_open(cli, argv[open + 1], &opened[open], &code)) {
        open++;
    }
    if (open == count) {
        code = merge_opened(cli, opened, argv + 1, count, root[0], out[0]);
    }
    while (open > 0) {
        charter_opened_free(&opened[--open]);
    }
    free(opened);
    return code;
}

/* ---- show ------------------------------------------------------------------- */

/* All documents in force of one network; *shown is set when there are any. */
static int
show_network(struct cli *cli, struct store_txn *txn, const char *network, bool *shown)
{
    struct charter_judge judge = {0};
    char reason[CHARTER_REASON_CHARS];
    enum status st = charter_store_load(txn, network, &judge.home, reason);
    if (st == STATUS_NOT_FOUND) {
        return CLI_YES;
    }
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "charter of %s: %s%s%s", network, status_text(st),
                         reason[0] != 0 ? ": " : "", reason);
    }
    int code = CLI_YES;
    for (unsigned k = 0; code == CLI_YES && k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = charter_document(judge.home, (enum charter_kind)k);
        if (d != NULL) {
            code = charter_show_one(cli, d, &judge);
        } else if (!cli->json) {
            fprintf(cli->out, "%s of %s: none adopted\n",
                    charter_kind_text((enum charter_kind)k), network);
        }
        if (!cli->json) {
            fputc('\n', cli->out);
        }
    }
    if (!cli->json && now_s() < charter_newest_issued_s(judge.home)) {
        fprintf(cli->out, "CLOCK WRONG: this clock is earlier than a document in hand\n");
    }
    charter_judge_close(&judge);
    *shown = true;
    return code;
}

static int
show_home(struct cli *cli, const char *network)
{
    struct charter_beside b;
    char name[NETWORK_CHARS_MAX + 1] = "";
    struct view next;
    bool shown = false;
    int code = CLI_YES;
    if (!charter_beside_open(cli, true, &b)) {
        return CLI_TROUBLE;
    }
    if (network != NULL) {
        code = show_network(cli, b.txn, network, &shown);
    }
    enum status st = STATUS_OK;
    while (network == NULL && code == CLI_YES &&
           (st = store_charter_next_network(b.txn, text_view(name), &next)) == STATUS_OK &&
           next.count <= NETWORK_CHARS_MAX) {
        memcpy(name, next.bytes, next.count);
        name[next.count] = 0;
        code = show_network(cli, b.txn, name, &shown);
    }
    charter_beside_close(&b);
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        code = cli_error(cli, CLI_TROUBLE, "store of %s: %s", cli->home, status_text(st));
    }
    if (code == CLI_YES && !shown) {
        code = cli_error(
            cli, CLI_NO, "no charter was adopted in %s%s%s; see huren charter --help",
            cli->home, network != NULL ? " for " : "", network != NULL ? network : "");
    }
    return code;
}

int
cmd_charter_show(struct cli *cli, int argc, char **argv)
{
    const char *network[1] = {NULL}, *root[1] = {NULL};
    struct cli_option options[] = {
        {"--network", network, 1, 0}, {"--root", root, 1, 0}, {NULL, NULL, 0, 0}};
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc == 1) {
        return show_home(cli, network[0]);
    }
    for (int i = 1; code == CLI_YES && i < argc; i++) {
        struct charter_opened o;
        struct charter_judge judge;
        if (charter_open_any(cli, argv[i], network[0], &o, &code)) {
            code = charter_judge_open(cli, root[0], o.doc.head.network, &judge)
                       ? charter_show_one(cli, &o.doc, &judge)
                       : CLI_TROUBLE;
            charter_judge_close(&judge);
            charter_opened_free(&o);
        }
    }
    return code;
}

/* ---- diff ------------------------------------------------------------------- */

int
cmd_charter_diff(struct cli *cli, int argc, char **argv)
{
    const char *network[1] = {NULL};
    struct cli_option options[] = {{"--network", network, 1, 0}, {NULL, NULL, 0, 0}};
    struct charter_opened a, b;
    char reason[CHARTER_REASON_CHARS];
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 3) {
        return cli_error(
            cli, CLI_TROUBLE,
            "name two documents: files, or KIND:VERSION of the home, as members:3");
    }
    if (!charter_open_any(cli, argv[1], network[0], &a, &code)) {
        return code;
    }
    if (!charter_open_any(cli, argv[2], network[0], &b, &code)) {
        charter_opened_free(&a);
        return code;
    }
    json_t *diff = NULL;
    enum status st = charter_diff(&a.doc, &b.doc, &diff, reason);
    if (st != STATUS_OK) {
        code = cli_error(cli, CLI_TROUBLE, "%s", reason[0] != 0 ? reason : status_text(st));
    } else if (cli->json) {
        json_dumpf(diff, cli->out, JSON_COMPACT);
        fputc('\n', cli->out);
    } else {
        charter_diff_text(cli->out, diff);
    }
    json_decref(diff);
    charter_opened_free(&a);
    charter_opened_free(&b);
    return code;
}

/* ---- export ----------------------------------------------------------------- */

/* All versions of one kind, newest first; *written counts them. */
static int
export_kind(struct cli *cli, struct charter_beside *b, const char *network,
            enum charter_kind kind, const char *folder, size_t *written)
{
    struct store_charter_key key = {
        .network = text_view(network), .kind = charter_store_kind(kind), .version = UINT64_MAX};
    char path[FILE_PATH_CHARS_MAX], error[FILE_ERROR_CHARS];
    struct view note;
    uint32_t rows;
    enum status st;
    while ((st = store_charter_newest(b->txn, &key, &note, &rows)) == STATUS_OK) {
        uint8_t *file = NULL;
        size_t count = 0;
        st = charter_store_file(b->txn, network, kind, key.version, &file, &count);
        if (st == STATUS_OK &&
            snprintf(path, sizeof path, "%s/%s-%s-%" PRIu64 ".charter", folder, network,
                     charter_kind_text(kind), key.version) >= (int)sizeof path) {
            st = STATUS_TOO_BIG;
        }
        snprintf(error, sizeof error, "%s %" PRIu64 ": %s", charter_kind_text(kind),
                 key.version, status_text(st));
        st = st == STATUS_OK ? file_write(path, (struct view){file, count}, 0644, true, error)
                             : st;
        free(file);
        if (st != STATUS_OK) {
            return cli_error(cli, CLI_TROUBLE, "%s", error);
        }
        if (cli->json) {
            json_t *o = json_pack("{s:s,s:s,s:I,s:s}", "network", network, "kind",
                                  charter_kind_text(kind), "version", (json_int_t)key.version,
                                  "file", path);
            json_dumpf(o, cli->out, JSON_COMPACT);
            fputc('\n', cli->out);
            json_decref(o);
        } else {
            fprintf(cli->out, "%s\n", path);
        }
        ++*written;
        if (key.version-- == 1) {
            break;
        }
    }
    return st == STATUS_OK || st == STATUS_NOT_FOUND
               ? CLI_YES
               : cli_error(cli, CLI_TROUBLE, "store of %s: %s", cli->home, status_text(st));
}

int
cmd_charter_export(struct cli *cli, int argc, char **argv)
{
    const char *given[1] = {NULL};
    struct cli_option options[] = {{"--network", given, 1, 0}, {NULL, NULL, 0, 0}};
    char network[NETWORK_CHARS_MAX + 1];
    struct charter_beside b;
    size_t written = 0;
    int code = CLI_YES;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2) {
        return cli_error(cli, CLI_TROUBLE, "name the folder to write to");
    }
    if (mkdir(argv[1], 0755) != 0 && errno != EEXIST) {
        return cli_error(cli, CLI_TROUBLE, "%s: %s", argv[1], strerror(errno));
    }
    if (!charter_beside_open(cli, true, &b)) {
        return CLI_TROUBLE;
    }
    if (!charter_the_network(cli, &b, given[0], network)) {
        charter_beside_close(&b);
        return CLI_TROUBLE;
    }
    for (unsigned k = 0; code == CLI_YES && k < CHARTER_KIND_COUNT; k++) {
        code = export_kind(cli, &b, network, (enum charter_kind)k, argv[1], &written);
    }
    charter_beside_close(&b);
    if (code == CLI_YES && written == 0) {
        code = cli_error(cli, CLI_TROUBLE, "no charter of %s was adopted in %s", network,
                         cli->home);
    }
    return code;
}

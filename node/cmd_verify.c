/* cmd_verify.c: huren verify. */
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/line.h"
#include "node/charter_document.h"
#include "node/cli.h"
#include "node/evidence.h"
#include "node/file_io.h"
#include "node/forkfile.h"
#include "node/home_io.h"
#include "node/policy_home_io.h"
#include "node/policy_io.h"
#include "node/verify_recall_io.h"
#include "proto/text.h"
#include "store/charter.h"

enum { PACK_FILES_MAX = 16, PACK_FILE_BYTES_MAX = 3 * HR_PACK_TEXT_BYTES_MAX };

const char cmd_verify_help[] =
    "usage: huren verify FILE [--root FILE] [--pack FILE]... [--json] [--home DIR]\n"
    "\n"
    "Checks evidence of a result with nothing but the charter's root: that it was published, "
    "by\n"
    "whom, that it was not altered, who cosigned, by which charter versions, and that the\n"
    "decisions in it come out the same again.  The root is taken from --root, else from the "
    "home;\n"
    "never from the file itself.  Needs no network.\n"
    "FILE may also be the proof that a log showed two histories (huren log fork): then it is\n"
    "checked that both heads are signed by that log and that they cannot both be true.\n"
    "\n"
    "  --root FILE  a root document that you trust, as huren charter adopt takes it\n"
    "  --pack FILE  a pack or annex (.hrpack) that the decisions need: those of this binary "
    "and\n"
    "               of the home are known; the charter in the file names the rest by hash\n"
    "  --standing   ask more: does the result still stand?\n"
    "  --witnesses N  ask more: did N witnesses see it, or more?\n"
    "\n"
    "Evidence stays authentic when its result is corrected or withdrawn.  What the home knows "
    "of\n"
    "that is said, also with --root: RECALLED, not recalled as of its copy of the log, or not "
    "known.\n"
    "\n"
    "exit: 0 verified, 1 not verified, 2 could not tell (no root, not readable, or a pack or\n"
    "annex is not here, so that a decision could not be made again); with --standing also 1 if "
    "it\n"
    "is recalled, 2 if this home cannot tell; with --witnesses also 1 if fewer cosigned\n";

/* A root and what its document points to. */
struct trusted {
    uint8_t *bytes;
    struct view *rows;
    struct charter_document d;
};

static void
trusted_free(struct trusted *t)
{
    charter_document_free(&t->d);
    free(t->rows);
    free(t->bytes);
    *t = (struct trusted){0};
}

static bool
root_of_file(struct cli *cli, const char *path, struct trusted *t)
{
    char error[FILE_ERROR_CHARS];
    char reason[CHARTER_REASON_CHARS];
    size_t count;
    if (file_read(path, CHARTER_FILE_BYTES_MAX, &t->bytes, &count, error) != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "%s", error);
        return false;
    }
    if (charter_document_decode((struct view){t->bytes, count}, &t->d, reason) != STATUS_OK ||
        t->d.head.kind != CHARTER_ROOT) {
        cli_error(cli, CLI_TROUBLE, "%s is not a root document of a charter", path);
        return false;
    }
    return true;
}

/* The lowest root version of a network, which its operator adopted by hand. */
static enum status
root_of_store(struct store_txn *txn, struct view network, struct trusted *t)
{
    struct store_charter_key key = {network, STORE_CHARTER_ROOT, UINT64_MAX};
    struct view note;
    struct view row;
    uint32_t count = 0;
    char reason[CHARTER_REASON_CHARS];
    enum status st = store_charter_newest(txn, &key, &note, &count);
    while (st == STATUS_OK && key.version > 1) {
        uint32_t rows;
        key.version--;
        if (store_charter_get(txn, &key, &note, &rows) != STATUS_OK) {
            key.version++;
            break;
        }
        count = rows;
    }
    st = st == STATUS_OK ? store_charter_get(txn, &key, &note, &count) : st;
    size_t total = note.count;
    for (uint32_t i = 0; st == STATUS_OK && i < count; i++) {
        st = store_charter_row(txn, &key, i, &row);
        total += row.count;
    }
    if (st != STATUS_OK) {
        return st;
    }
    t->bytes = malloc(total + 1);
    t->rows = calloc(count + 1, sizeof *t->rows);
    if (t->bytes == NULL || t->rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(t->bytes, note.bytes, note.count);
    size_t at = note.count;
    for (uint32_t i = 0; st == STATUS_OK && i < count; i++) {
        st = store_charter_row(txn, &key, i, &row);
        if (st == STATUS_OK) {
            memcpy(t->bytes + at, row.bytes, row.count);
            t->rows[i] = (struct view){t->bytes + at, row.count};
            at += row.count;
        }
    }
    return st == STATUS_OK ? charter_document_make((struct view){t->bytes, note.count}, t->rows,
                                                   count, &t->d, reason)
                           : st;
}

struct checked {
    enum status status;
    struct evidence_found found;
    char reason[EVIDENCE_REASON_CHARS];
};

/* Evidence, or the proof of a fork. */
static void
check_one(struct view file, const struct charter_document *root,
          const struct policy_set *policy, struct checked *c)
{
    int64_t now_s = (int64_t)time(NULL);
    if (!forkfile_is(file)) {
        c->status = evidence_check(file, root, policy, now_s, &c->found, c->reason);
        return;
    }
    c->found = (struct evidence_found){0};
    c->status = forkfile_check(file, root, now_s, &c->found.json, c->reason);
}

/* What the proof of a fork shows, in words. */
static void
print_fork(struct cli *cli, const char *path, const json_t *o)
{
    char name[256];
    static const char *const heads[] = {"smaller", "larger"};
    text_show(text_view(json_string_value(json_object_get(o, "name"))), name, sizeof name);
    fprintf(cli->out, "%s: verified: a FORK\n", path);
    fprintf(cli->out, "  the log %s of %s showed two histories:\n",
            json_string_value(json_object_get(o, "origin")), name);
    for (size_t i = 0; i < 2; i++) {
        const json_t *h = json_object_get(o, heads[i]);
        fprintf(cli->out, "  %" JSON_INTEGER_FORMAT " entries, root %s\n",
                json_integer_value(json_object_get(h, "size")),
                json_string_value(json_object_get(h, "root")));
    }
    fprintf(cli->out,
            "  both are signed with its key, and no log can have had both (as of members "
            "version %" JSON_INTEGER_FORMAT ")\n",
            json_integer_value(json_object_get(o, "members_version")));
    if (json_is_true(json_object_get(o, "key_ended"))) {
        fprintf(cli->out,
                "  that key is not in force any more: whoever took it may have signed one\n");
    }
}

static enum status
check_with_home(struct cli *cli, struct view file, const struct policy_set *policy,
                struct checked *c)
{
    char path[HOME_IO_PATH_CHARS];
    struct store_options options = {.read_only = true};
    struct store *store;
    struct store_txn *txn;
    struct view network;
    char after[NETWORK_CHARS_MAX + 1] = "";
    enum status st = home_io_path(cli->home, "store", path);
    st = st == STATUS_OK ? store_open(path, &options, &store) : st;
    if (st != STATUS_OK) {
        return st;
    }
    st = store_begin_read(store, &txn);
    bool begun = st == STATUS_OK;
    c->status = STATUS_NOT_FOUND;
    while (st == STATUS_OK && c->status != STATUS_OK &&
           (st = store_charter_next_network(txn, text_view(after), &network)) == STATUS_OK) {
        struct trusted t = {0};
        memcpy(after, network.bytes, network.count);
        after[network.count] = '\0';
        enum status root = root_of_store(txn, text_view(after), &t);
        struct checked one = {.status = root};
        if (root == STATUS_OK) {
            check_one(file, &t.d, policy, &one);
        }
        if (one.status == STATUS_NO_MEMORY) { /* it may have been the right root */
            st = STATUS_NO_MEMORY;
        } else if (root == STATUS_OK) {
            if (c->status == STATUS_NOT_FOUND || one.status == STATUS_OK ||
                c->status == STATUS_REFUSED) {
                *c = one; /* another network's root says least */
            }
        }
        trusted_free(&t);
    }
    if (begun) {
        store_abort(txn);
    }
    store_close(store);
    st = begun && st == STATUS_NOT_FOUND ? STATUS_OK : st;
    return st == STATUS_OK && c->status == STATUS_NOT_FOUND ? STATUS_NOT_FOUND : st;
}

static void
print_found(struct cli *cli, const char *path, const struct evidence_found *f)
{
    json_t *o = f->json;
    if (cli->json) {
        json_dumpf(o, cli->out, JSON_COMPACT);
        fputc('\n', cli->out);
        return;
    }
    char a[256];
    char b[256];
    text_show(text_view(json_string_value(json_object_get(o, "issuer_name"))), a, sizeof a);
    fprintf(cli->out, "%s: %s\n", path,
            f->decisions_unknown == 0
                ? "verified"
                : "published as it says, but not all of it could be told");
    fprintf(cli->out, "  published by %s %s\n", json_string_value(json_object_get(o, "issuer")),
            a);
    fprintf(cli->out,
            "  entry %" JSON_INTEGER_FORMAT " of %s, in the tree of %" JSON_INTEGER_FORMAT "\n",
            json_integer_value(json_object_get(o, "index")),
            json_string_value(json_object_get(o, "origin")),
            json_integer_value(json_object_get(o, "size")));
    fprintf(cli->out, "  cosigned by %zu of %zu witnesses\n", f->cosigned_by, f->cosigned_of);
    json_t *key = json_object_get(o, "log_key");
    if (key != NULL) {
        fprintf(cli->out, "  its log key %s %s; a witness saw this head before\n",
                json_is_true(json_object_get(key, "revoked")) ? "is revoked since" : "ended at",
                json_string_value(json_object_get(key, "ended")));
    }
    const char *kind;
    json_t *d;
    json_object_foreach(json_object_get(o, "charter"), kind, d)
    {
        fprintf(cli->out, "  as of %s version %" JSON_INTEGER_FORMAT " of %s%s\n", kind,
                json_integer_value(json_object_get(d, "version")),
                json_string_value(json_object_get(d, "issued_at")),
                json_is_true(json_object_get(d, "stale")) ? " (past its stale_after)" : "");
    }
    json_t *items = json_object_get(o, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *it = json_array_get(items, i);
        text_show(text_view(json_string_value(json_object_get(it, "value"))), a, sizeof a);
        text_show(text_view(json_string_value(json_object_get(it, "unit"))), b, sizeof b);
        fprintf(cli->out, "  result %s %s %s, examined %s\n",
                json_string_value(json_object_get(it, "item")), a, b,
                json_string_value(json_object_get(it, "examined_at")));
    }
    if (!f->opened) {
        fprintf(cli->out,
                "  the record is withheld: this proves what was logged, when and by whom\n");
    }
    json_t *list = json_object_get(o, "decisions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);
        text_show(text_view(json_string_value(json_object_get(one, "pack"))), a, sizeof a);
        text_show(text_view(json_string_value(json_object_get(one, "verdict"))), b, sizeof b);
        const char *annex = json_string_value(json_object_get(one, "annex"));
        fprintf(cli->out, "  decision of %s: %s, %s%s\n", a, b,
                json_is_true(json_object_get(one, "replayed")) ? "recomputed and the same"
                                                               : "not recomputed",
                annex != NULL && strcmp(annex, "not_used") == 0
                    ? ", without an annex that the charter names and its maker had not"
                    : "");
    }
}

/* What is asked beyond whether a file is authentic. */
struct demands {
    bool standing;
    uint64_t witnesses;
};

/* What the evidence proves, and the exit code. */
static int
report_found(struct cli *cli, const char *path, struct evidence_found *f,
             const struct demands *more)
{
    bool told = f->decisions_unknown == 0;
    json_object_set_new(f->json, "verified", told ? json_true() : json_null());
    if (more->witnesses > 0) {
        json_object_set_new(f->json, "enough_witnesses",
                            json_boolean(f->cosigned_by >= more->witnesses));
    }
    if (verify_recall_add(cli, f->json) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "%s: %s", path, status_text(STATUS_NO_MEMORY));
    }
    print_found(cli, path, f);
    if (!cli->json) {
        verify_recall_print(cli, f->json);
    }
    if (told && f->cosigned_by < more->witnesses) {
        return cli_error(cli, CLI_NO,
                         "%s: cosigned by %zu of %zu witnesses, %" PRIu64
                         " are wanted: ask its issuer or any member for newer evidence",
                         path, f->cosigned_by, f->cosigned_of, more->witnesses);
    }
    if (told) {
        return more->standing ? verify_recall_exit(cli, path, f->json) : CLI_YES;
    }
    return cli_error(cli, CLI_TROUBLE,
                     "%s: could not tell whether %s right: not here: %s; name its file with "
                     "--pack, or give it to a home with huren policy adopt",
                     path, f->decisions_unknown == 1 ? "a decision is" : "some decisions are",
                     f->missing);
}

/* Add files that were named; the rows in the evidence say by hash which ones count. */
static bool
add_packs(struct cli *cli, struct policy_set *set, const char *const *paths, size_t count)
{
    char error[1024] = "";
    for (size_t i = 0; i < count; i++) {
        struct hash address;
        uint8_t *bytes;
        size_t size;
        enum status st =
            policy_file_read(paths[i], PACK_FILE_BYTES_MAX, &bytes, &size, error, sizeof error);
        if (st != STATUS_OK) {
            cli_error(cli, CLI_TROUBLE, "%s", error);
            return false;
        }
        st = policy_set_add_file(set, (struct view){bytes, size}, NULL, 0, &address, error,
                                 sizeof error);
        free(bytes);
        if (st != STATUS_OK && st != STATUS_EXISTS) {
            cli_error(cli, CLI_TROUBLE, "%s: %s", paths[i], error);
            return false;
        }
    }
    return true;
}

int
cmd_verify(struct cli *cli, int argc, char **argv)
{
    const char *root = NULL;
    const char *witnesses = NULL;
    const char *packs[PACK_FILES_MAX];
    struct demands more = {0};
    struct cli_option options[] = {{"--root", &root, 1, 0},
                                   {"--pack", packs, PACK_FILES_MAX, 0},
                                   {"--standing", NULL, 0, 0},
                                   {"--witnesses", &witnesses, 1, 0},
                                   {NULL, NULL, 0, 0}};
    char error[FILE_ERROR_CHARS];
    uint8_t *bytes;
    size_t count;
    struct policy_set *policy;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 2) {
        return cli_error(cli, CLI_TROUBLE, "wants one FILE; huren verify --help");
    }
    more.standing = options[2].count > 0;
    if (witnesses != NULL &&
        line_decimal(text_view(witnesses), WITNESSES_MAX, &more.witnesses) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "--witnesses wants a number from 0 to %d",
                         WITNESSES_MAX);
    }
    if (sodium_init() < 0) {
        return cli_error(cli, CLI_TROUBLE, "libsodium did not start");
    }
    if (!policy_home_load(cli, &policy)) {
        return CLI_TROUBLE;
    }
    if (!add_packs(cli, policy, packs, options[1].count)) {
        policy_set_free(policy);
        return CLI_TROUBLE;
    }
    if (file_read(argv[1], EVIDENCE_BYTES_MAX + 1, &bytes, &count, error) != STATUS_OK) {
        policy_set_free(policy);
        return cli_error(cli, CLI_TROUBLE, "%s", error);
    }
    struct checked c = {.status = STATUS_NOT_FOUND};
    struct trusted t = {0};
    struct view file = {bytes, count};
    int exit_code = CLI_TROUBLE;
    enum status st = STATUS_OK;
    if (!evidence_is(file) && !forkfile_is(file)) {
        cli_error(cli, CLI_TROUBLE,
                  "%s is neither evidence nor the proof of a fork, of a version known here",
                  argv[1]);
    } else if (root != NULL && !root_of_file(cli, root, &t)) {
        exit_code = CLI_TROUBLE;
    } else {
        if (root != NULL) {
            check_one(file, &t.d, policy, &c);
        } else {
            st = check_with_home(cli, file, policy, &c);
        }
        if (st != STATUS_OK) {
            cli_error(
                cli, CLI_TROUBLE,
                "no root to check %s against: the home %s has none (%s); name one with --root",
                argv[1], cli->home, status_text(st));
        } else if (c.status == STATUS_OK && forkfile_is(file)) {
            if (cli->json) {
                json_object_set_new(c.found.json, "verified", json_true());
                json_dumpf(c.found.json, cli->out, JSON_COMPACT);
                fputc('\n', cli->out);
            } else {
                print_fork(cli, argv[1], c.found.json);
            }
            exit_code = CLI_YES;
        } else if (c.status == STATUS_OK) {
            exit_code = report_found(cli, argv[1], &c.found, &more);
        } else if (c.status == STATUS_NO_MEMORY || c.status == STATUS_UNSUPPORTED) {
            cli_error(cli, CLI_TROUBLE, "%s: %s", argv[1],
                      c.reason[0] != '\0' ? c.reason : status_text(c.status));
        } else {
            if (cli->json) {
                fprintf(cli->out, "{\"verified\":false}\n");
            }
            exit_code = cli_error(cli, CLI_NO, "%s: NOT VERIFIED: %s", argv[1],
                                  c.reason[0] != '\0' ? c.reason : status_text(c.status));
        }
    }
    json_decref(c.found.json);
    trusted_free(&t);
    free(bytes);
    policy_set_free(policy);
    return exit_code;
}

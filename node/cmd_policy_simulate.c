/* huren policy simulate: recorded decisions under a draft; huren policy adopt. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "crypto/checkpoint.h"
#include "crypto/tile.h"
#include "node/call.h"
#include "node/cmd_policy.h"
#include "node/origin.h"
#include "node/pack_file.h"
#include "node/pack_vectors.h"
#include "node/policy_home_io.h"
#include "node/policy_io.h"
#include "node/policy_simulate.h"

enum {
    ERROR_CHARS = 1024,
    OPERANDS_MAX = 64,
    VKEYS_MAX = 16,
    FILES_MAX = 16,
    PATH_CHARS = 4096,
    BUNDLE_BYTES_MAX = TILE_HASHES * (ENTRY_BYTES_MAX + 2),
    PACK_FILE_BYTES_MAX = 3 * HR_PACK_TEXT_BYTES_MAX
};

const char cmd_policy_simulate_help[] =
    "usage: huren policy simulate --pack DRAFT --log EXCH... [--was ID] [--vkey KEY]...\n"
    "                             [--network NET]\n"
    "\n"
    "Makes recorded decisions again under a draft pack, and says which verdicts flip: by\n"
    "item, by hospital that issued the result, and by reason (the checks that differ).\n"
    "DRAFT is the folder of a pack or a file that huren policy build wrote, of which the\n"
    "vectors must pass, or the id of a pack of this binary or home.  EXCH is a folder that "
    "huren log tiles exch wrote, or the word home: the\n"
    "exchange log of this home.  --log may be given several times.\n"
    "The entries must hash to the root of the log's checkpoint; with --vkey (what huren log\n"
    "vkey exch prints) one of these keys must have signed it.\n"
    "With --was only decisions under the pack ID are made again.\n"
    "\n"
    "  huren policy simulate --pack drafts/hubei-2027 --log home --was hubei-2023\n"
    "\n"
    "exit codes: 0 no verdict flips; 1 some do; 2 the draft or a log is not good\n";

const char cmd_policy_adopt_help[] =
    "usage: huren policy adopt FILE.hrpack...\n"
    "\n"
    "Keeps built packs and annexes in this home, from where members fetch them by hash.\n"
    "A pack is used once a policy document names its address (charter build policy), at the\n"
    "earliest 48 hours after that document was issued.\n"
    "Refused, and kept as evidence only: a pack of which a vector fails here, and another\n"
    "text of an id and version in hand.\n"
    "\n"
    "exit codes: 0 kept; 1 refused; 2 could not be read or kept\n";

/* ---- the draft ----------------------------------------------------------------- */

struct draft {
    struct policy_folder folder;
    uint8_t *file;
    void *memory;
    const struct hr_pack *pack;
};

static void
draft_free(struct draft *d)
{
    policy_folder_free(&d->folder);
    free(d->memory);
    free(d->file);
}

/* A built file, also one whose id and version are in this binary: it is a draft. */
static enum status
load_file(struct draft *d, const char *path, const struct hr_catalog *catalog, char *error)
{
    struct pack_file file;
    struct hr_load_error bad = {0, ""};
    size_t size = 0;
    size_t vectors = 0;
    enum status st =
        policy_file_read(path, PACK_FILE_BYTES_MAX, &d->file, &size, error, ERROR_CHARS);
    if (st != STATUS_OK) {
        return st;
    }
    st = pack_file_decode((struct view){d->file, size}, &file);
    if (st == STATUS_OK && file.annex) {
        snprintf(error, ERROR_CHARS, "%s: an annex has no rules; name a pack", path);
        return STATUS_UNSUPPORTED;
    }
    if (st != STATUS_OK) {
        snprintf(error, ERROR_CHARS, "%.900s: %s", path, status_text(st));
        return st;
    }
    const char *text = (const char *)file.rules.bytes;
    size_t bytes = hr_pack_memory_bytes(text, file.rules.count);
    d->memory = malloc(bytes);
    if (d->memory == NULL) {
        return STATUS_NO_MEMORY;
    }
    d->pack = hr_pack_load(text, file.rules.count, d->memory, bytes, &bad);
    if (d->pack == NULL) {
        snprintf(error, ERROR_CHARS, "%s: line %zu of its rules: %s", path, bad.line,
                 bad.reason);
        return STATUS_MALFORMED;
    }
    return pack_vectors_run(d->pack, catalog, file.vectors, path, &vectors, error, ERROR_CHARS);
}

static enum status
load_draft(struct draft *d, const char *path, const struct policy_set *set, char *error)
{
    const struct hr_catalog *catalog = policy_set_catalog(set);
    struct stat info;
    size_t vectors = 0;
    if (stat(path, &info) != 0) {
        size_t at = errno == ENOENT ? policy_set_find(set, path, strlen(path)) : SIZE_MAX;
        if (at != SIZE_MAX) { /* the id of a pack in hand */
            d->pack = policy_set_pack(set, at);
            return STATUS_OK;
        }
        snprintf(error, ERROR_CHARS, "%s: %s", path, strerror(errno));
        return STATUS_NOT_FOUND;
    }
    if (!S_ISDIR(info.st_mode)) {
        return load_file(d, path, catalog, error);
    }
    enum status st = policy_folder_read(path, &d->folder, error, ERROR_CHARS);
    if (st == STATUS_OK) {
        st = policy_folder_build(&d->folder, catalog, &vectors, error, ERROR_CHARS);
        d->pack = d->folder.built.pack;
    }
    return st;
}

/* ---- logs ------------------------------------------------------------------------ */

struct run {
    struct cli *cli;
    struct simulate *simulate;
    const char *network;
    size_t key_count;
    struct note_key keys[VKEYS_MAX];
    json_t *logs;
    /* of the log being read */
    const char *name;
    enum status status;
    uint8_t *checkpoint;
    size_t checkpoint_bytes;
    char error[ERROR_CHARS];
};

/* Entries and checkpoint are here: do they belong together? */
static enum status
check_log(struct run *run)
{
    struct note note;
    struct checkpoint head;
    struct origin origin;
    struct hash root;
    struct note_verified verified;
    char *error = run->error;
    enum status st = note_parse((struct view){run->checkpoint, run->checkpoint_bytes}, &note);
    st = st == STATUS_OK ? checkpoint_parse(note.text, &head) : st;
    if (st != STATUS_OK) {
        snprintf(error, ERROR_CHARS, "%s: checkpoint: %s", run->name, status_text(st));
        return st;
    }
    if (origin_parse(head.origin, &origin) != STATUS_OK || origin.log != ORIGIN_EXCH) {
        snprintf(error, ERROR_CHARS, "%s: not an exchange log: decisions stand in exch",
                 run->name);
        return STATUS_UNSUPPORTED;
    }
    simulate_root(run->simulate, &root);
    if (simulate_size(run->simulate) != head.size || !hash_equal(&root, &head.root)) {
        snprintf(error, ERROR_CHARS,
                 "%s: its entries do not hash to the root of its checkpoint: altered, cut or "
                 "mixed; nothing of it is used",
                 run->name);
        return STATUS_BAD_PROOF;
    }
    if (run->key_count > 0 &&
        (st = note_verify(&note, run->keys, run->key_count, 0, &verified)) != STATUS_OK) {
        snprintf(error, ERROR_CHARS, "%s: checkpoint: %s", run->name, status_text(st));
        return st;
    }
    json_array_append_new(
        run->logs,
        json_pack("{s:o,s:I,s:b}", "origin",
                  json_stringn((const char *)head.origin.bytes, head.origin.count), "size",
                  (json_int_t)head.size, "signature_checked", run->key_count > 0));
    return STATUS_OK;
}

static enum status
read_folder(struct run *run)
{
    char path[PATH_CHARS];
    struct note note;
    struct checkpoint head;
    snprintf(path, sizeof path, "%.4000s/checkpoint", run->name);
    enum status st = policy_file_read(path, NOTE_BYTES_MAX, &run->checkpoint,
                                      &run->checkpoint_bytes, run->error, ERROR_CHARS);
    if (st != STATUS_OK) {
        return st;
    }
    if (note_parse((struct view){run->checkpoint, run->checkpoint_bytes}, &note) != STATUS_OK ||
        checkpoint_parse(note.text, &head) != STATUS_OK) {
        return STATUS_OK; /* check_log says it */
    }
    for (uint64_t at = 0; st == STATUS_OK && at < head.size; at += TILE_HASHES) {
        uint64_t left = head.size - at;
        unsigned width = left < TILE_HASHES ? (unsigned)left : TILE_HASHES;
        char bundle[TILE_PATH_BYTES_MAX];
        uint8_t *bytes = NULL;
        size_t count = 0;
        tile_entries_path(at / TILE_HASHES, width, bundle);
        snprintf(path, sizeof path, "%.4000s/%s", run->name, bundle);
        st = policy_file_read(path, BUNDLE_BYTES_MAX, &bytes, &count, run->error, ERROR_CHARS);
        if (st == STATUS_OK) {
            st = simulate_bundle(run->simulate, (struct view){bytes, count}, width);
        }
        if (st != STATUS_OK && run->error[0] == '\0') {
            snprintf(run->error, ERROR_CHARS, "%.900s: %s", path, status_text(st));
        }
        free(bytes);
    }
    return st;
}

static void
home_text(void *ctx, bool err, const char *text, size_t n)
{
    struct run *run = ctx;
    (void)err;
    fwrite(text, 1, n, run->cli->err);
}

static void
home_blob(void *ctx, const char *name, struct view bytes)
{
    struct run *run = ctx;
    struct tile tile;
    bool entries = false;
    if (run->status != STATUS_OK) {
        return;
    }
    if (strcmp(name, "checkpoint") == 0 && run->checkpoint == NULL) {
        run->checkpoint = malloc(bytes.count + 1);
        run->status = run->checkpoint == NULL ? STATUS_NO_MEMORY : STATUS_OK;
        if (run->checkpoint != NULL) {
            memcpy(run->checkpoint, bytes.bytes, bytes.count);
            run->checkpoint_bytes = bytes.count;
        }
        return;
    }
    struct view path = {(const uint8_t *)name, strlen(name)};
    if (tile_path_parse(path, &tile, &entries) == STATUS_OK && entries) {
        run->status = simulate_bundle(run->simulate, bytes, tile.width);
    }
}

static void
home_done(void *ctx, int exit_code)
{
    struct run *run = ctx;
    if (exit_code != 0 && run->status == STATUS_OK) {
        run->status = STATUS_NOT_FOUND;
    }
}

/* The log as its owner gives it, whether a daemon runs or not. */
static enum status
read_home(struct run *run)
{
    json_t *args = json_pack("{s:s,s:s}", "what", "tiles", "log", "exch");
    if (run->network != NULL) {
        json_object_set_new(args, "network", json_string(run->network));
    }
    struct call call = {.command = "log", .args = args};
    struct call_sink sink = {run, home_text, home_blob, home_done};
    run->status = STATUS_OK;
    int code = call_run_sink(run->cli, &call, &sink);
    json_decref(args);
    if (run->status == STATUS_OK && (code != 0 || run->checkpoint == NULL)) {
        run->status = STATUS_NOT_FOUND;
    }
    if (run->status != STATUS_OK) {
        snprintf(run->error, ERROR_CHARS, "the exchange log of %s: %s", run->cli->home,
                 status_text(run->status));
    }
    return run->status;
}

static enum status
read_log(struct run *run, const char *name)
{
    run->name = name;
    run->error[0] = '\0';
    simulate_next_log(run->simulate);
    enum status st = strcmp(name, "home") == 0 ? read_home(run) : read_folder(run);
    st = st == STATUS_OK ? check_log(run) : st;
    free(run->checkpoint);
    run->checkpoint = NULL;
    return st;
}

/* ---- the answer -------------------------------------------------------------------- */

/* How often each item, or each hospital, flips. */
static json_t *
tally(const struct simulate_row *rows, size_t count, bool hospital)
{
    json_t *o = json_object();
    for (size_t i = 0; i < count; i++) {
        const char *name = hospital ? rows[i].hospital : rows[i].item;
        json_int_t sum = json_integer_value(json_object_get(o, name));
        json_object_set_new(o, name, json_integer(sum + (json_int_t)rows[i].count));
    }
    return o;
}

static json_t *
row_json(const struct simulate_row *r)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "item", r->item, "hospital", r->hospital,
                     "pack", r->pack, "before", r->before, "after", r->after, "reason", r->why,
                     "decisions", (json_int_t)r->count);
}

static json_t *
answer_json(struct run *run, const struct hr_pack *draft)
{
    struct simulate_totals t;
    size_t count;
    const struct simulate_row *rows = simulate_rows(run->simulate, &count);
    struct hr_text id = hr_pack_id(draft);
    struct hr_text version = hr_pack_version(draft);
    json_t *flips = json_array();
    simulate_totals(run->simulate, &t);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(flips, row_json(&rows[i]));
    }
    return json_pack(
        "{s:{s:o,s:o},s:O,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "draft", "pack",
        json_stringn(id.bytes, id.size), "version", json_stringn(version.bytes, version.size),
        "logs", run->logs, "entries", (json_int_t)t.entries, "replayed", (json_int_t)t.replayed,
        "flipped", (json_int_t)t.flipped, "only_at_best", (json_int_t)t.best_only,
        "without_input", (json_int_t)t.without, "other_packs", (json_int_t)t.other_packs,
        "unreadable", (json_int_t)t.unreadable, "recorded_otherwise", (json_int_t)t.unlike,
        "not_listed", (json_int_t)t.uncounted, "by_item", tally(rows, count, false),
        "by_hospital", tally(rows, count, true), "flips", flips);
}

static json_int_t
number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void
print_tally(FILE *out, const char *title, json_t *o)
{
    const char *name;
    json_t *sum;
    fprintf(out, "%s\n", title);
    json_object_foreach(o, name, sum)
    {
        fprintf(out, "  %-20s %6" JSON_INTEGER_FORMAT "\n", name, json_integer_value(sum));
    }
}

static void
print_text(FILE *out, const json_t *o)
{
    json_t *logs = json_object_get(o, "logs");
    json_t *flips = json_object_get(o, "flips");
    for (size_t i = 0; i < json_array_size(logs); i++) {
        json_t *l = json_array_get(logs, i);
        fprintf(out, "%s: %" JSON_INTEGER_FORMAT " entries, whole; signature %s\n",
                json_string_value(json_object_get(l, "origin")), number(l, "size"),
                json_is_true(json_object_get(l, "signature_checked")) ? "checked"
                                                                      : "not checked");
    }
    json_t *draft = json_object_get(o, "draft");
    fprintf(out,
            "%" JSON_INTEGER_FORMAT
            " decisions made again under %s version %s: %" JSON_INTEGER_FORMAT
            " verdicts flip, %" JSON_INTEGER_FORMAT " change at best only\n",
            number(o, "replayed"), json_string_value(json_object_get(draft, "pack")),
            json_string_value(json_object_get(draft, "version")), number(o, "flipped"),
            number(o, "only_at_best"));
    static const struct {
        const char *name, *words;
    } rest[] = {{"without_input", "had no input: nothing was held, or no pack was in force"},
                {"other_packs", "were made under another pack and left out"},
                {"unreadable", "could not be read"},
                {"recorded_otherwise", "are recorded otherwise than their pack says here"},
                {"not_listed", "flips of further kinds are not listed"}};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        if (number(o, rest[i].name) > 0) {
            fprintf(out, "%" JSON_INTEGER_FORMAT " %s\n", number(o, rest[i].name),
                    rest[i].words);
        }
    }
    if (json_array_size(flips) == 0) {
        return;
    }
    print_tally(out, "by item", json_object_get(o, "by_item"));
    print_tally(out, "by hospital", json_object_get(o, "by_hospital"));
    fprintf(out, "%6s  %-16s %-12s %-16s %-16s %s\n", "flips", "item", "hospital", "pack",
            "verdict", "reason");
    for (size_t i = 0; i < json_array_size(flips); i++) {
        json_t *f = json_array_get(flips, i);
        char verdict[64];
        snprintf(verdict, sizeof verdict, "%s > %s",
                 json_string_value(json_object_get(f, "before")),
                 json_string_value(json_object_get(f, "after")));
        fprintf(out, "%6" JSON_INTEGER_FORMAT "  %-16s %-12s %-16s %-16s %s\n",
                number(f, "decisions"), json_string_value(json_object_get(f, "item")),
                json_string_value(json_object_get(f, "hospital")),
                json_string_value(json_object_get(f, "pack")), verdict,
                json_string_value(json_object_get(f, "reason")));
    }
}

static int
answer(struct run *run, const struct hr_pack *draft)
{
    json_t *o = answer_json(run, draft);
    if (o == NULL) {
        return cli_error(run->cli, CLI_TROUBLE, "out of memory");
    }
    if (run->cli->json) {
        json_dumpf(o, run->cli->out, JSON_COMPACT);
        fputc('\n', run->cli->out);
    } else {
        print_text(run->cli->out, o);
    }
    bool flips = number(o, "flipped") > 0;
    json_decref(o);
    return flips ? CLI_NO : CLI_YES;
}

static int
simulate_logs(struct run *run, const char *pack, const char *was, const char *const *logs,
              size_t log_count)
{
    struct policy_set *set = NULL;
    struct draft draft = {0};
    char error[ERROR_CHARS] = "";
    if (!policy_home_load(run->cli, &set)) {
        return CLI_TROUBLE;
    }
    enum status st = load_draft(&draft, pack, set, error);
    st = st == STATUS_OK ? simulate_open(draft.pack, set, was, &run->simulate) : st;
    run->logs = json_array();
    for (size_t i = 0; st == STATUS_OK && i < log_count; i++) {
        st = read_log(run, logs[i]);
        memcpy(error, run->error, sizeof error);
    }
    int code = st == STATUS_OK ? answer(run, draft.pack)
                               : cli_error(run->cli, CLI_TROUBLE, "%s",
                                           error[0] != '\0' ? error : status_text(st));
    json_decref(run->logs);
    simulate_close(run->simulate);
    draft_free(&draft);
    policy_set_free(set);
    return code;
}

int
cmd_policy_simulate(struct cli *cli, int argc, char **argv)
{
    enum { PACK, LOG, WAS, VKEY, NETWORK };
    const char *pack = NULL;
    const char *was = NULL;
    const char *logs[OPERANDS_MAX];
    const char *vkeys[VKEYS_MAX];
    struct run run = {.cli = cli};
    struct cli_option options[] = {{"--pack", &pack, 1, 0},
                                   {"--log", logs, OPERANDS_MAX - 1, 0},
                                   {"--was", &was, 1, 0},
                                   {"--vkey", vkeys, VKEYS_MAX, 0},
                                   {"--network", &run.network, 1, 0},
                                   {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    size_t count = options[LOG].count;
    for (int i = 1; i < argc && count < OPERANDS_MAX; i++) {
        logs[count++] = argv[i]; /* --log A B */
    }
    if (pack == NULL || options[LOG].count == 0 || (size_t)argc > OPERANDS_MAX) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants --pack DRAFT and --log EXCH; huren policy simulate --help");
    }
    if (sodium_init() < 0) {
        return cli_error(cli, CLI_TROUBLE, "libsodium did not start");
    }
    for (; run.key_count < options[VKEY].count; run.key_count++) {
        const char *text = vkeys[run.key_count];
        struct view vkey = {(const uint8_t *)text, strlen(text)};
        if (note_key_parse(vkey, &run.keys[run.key_count]) != STATUS_OK) {
            return cli_error(cli, CLI_TROUBLE, "--vkey %s is not a verifier key", text);
        }
    }
    return simulate_logs(&run, pack, was, logs, count);
}

/* ---- adopt -------------------------------------------------------------------------- */

int
cmd_policy_adopt(struct cli *cli, int argc, char **argv)
{
    struct cli_option options[] = {{NULL, NULL, 0, 0}};
    struct view blobs[FILES_MAX];
    uint8_t *bytes[FILES_MAX];
    size_t count = 0;
    int code = CLI_YES;
    char error[ERROR_CHARS] = "";
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc < 2 || argc - 1 > FILES_MAX) {
        return cli_error(cli, CLI_TROUBLE, "name 1 to %d pack files", FILES_MAX);
    }
    json_t *files = json_array();
    for (int i = 1; i < argc && code == CLI_YES; i++) {
        size_t size = 0;
        if (policy_file_read(argv[i], PACK_FILE_BYTES_MAX, &bytes[count], &size, error,
                             sizeof error) != STATUS_OK) {
            code = cli_error(cli, CLI_TROUBLE, "%s", error);
            break;
        }
        blobs[count] = (struct view){bytes[count], size};
        count++;
        json_array_append_new(files, json_string(argv[i]));
    }
    json_t *args = json_pack("{s:b,s:o}", "json", cli->json, "files", files);
    if (code == CLI_YES) {
        struct call call = {
            .command = "pack-adopt", .args = args, .blobs = blobs, .blob_count = count};
        code = call_run(cli, &call);
    }
    json_decref(args);
    while (count > 0) {
        free(bytes[--count]);
    }
    return code;
}

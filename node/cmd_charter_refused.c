/* huren charter refused, impact: what was kept as evidence, and what leaned on quality. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/call.h"
#include "node/charter_evidence_io.h"
#include "node/charter_store_io.h"
#include "node/cmd_charter.h"
#include "node/file_io.h"
#include "proto/text.h"

struct refused_run {
    struct cli *cli;
    struct store_txn *txn;
    const char *network, *folder;
    size_t count;
    int code;
};

/* "li, wang": who signed, as the lines say. */
static void
signers(struct view bytes, char out[256])
{
    struct note note;
    size_t used = 0;
    out[0] = 0;
    if (charter_note_read(bytes, &note) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        char name[KEY_NAME_CHARS_MAX + 1];
        text_show(note.signatures[i].name, name, sizeof name);
        const char *slash = strrchr(name, '/');
        int n = snprintf(out + used, 256 - used, "%s%s", i == 0 ? "" : ", ",
                         slash == NULL ? name : slash + 1);
        if (n < 0 || (size_t)n >= 256 - used) {
            return;
        }
        used += (size_t)n;
    }
}

static void
write_note(struct refused_run *run, const char *stem, uint64_t number,
           const struct charter_head *h, struct view note)
{
    char path[FILE_PATH_CHARS_MAX], error[FILE_ERROR_CHARS] = "the name is too long";
    int n = snprintf(path, sizeof path, "%s/%s-%" PRIu64 "-%s-%" PRIu64 ".note", run->folder,
                     stem, number, charter_kind_text(h->kind), h->version);
    if (n >= (int)sizeof path || file_write(path, note, 0644, true, error) != STATUS_OK) {
        run->code = cli_error(run->cli, CLI_TROUBLE, "%s", error);
    }
}

/* What is in hand of the same version, for who compares the two. */
static void
write_held(struct refused_run *run, const struct charter_evidence *e)
{
    struct store_charter_key key = {.network = text_view(run->network),
                                    .kind = charter_store_kind(e->head.kind),
                                    .version = e->head.version};
    struct view note;
    uint32_t rows;
    if (store_charter_get(run->txn, &key, &note, &rows) == STATUS_OK) {
        write_note(run, "in-hand", e->number, &e->head, note);
    }
}

static void
print_one(void *ctx, const struct charter_evidence *e)
{
    static const char *const ranks[] = {"noise", "signed", "contradiction"};
    struct refused_run *run = ctx;
    FILE *out = run->cli->out;
    char hex[2 * HASH_BYTES + 1], at[CHARTER_TIME_CHARS], by[256], reason[512], from[128];
    sodium_bin2hex(hex, sizeof hex, e->head.hash.bytes, HASH_BYTES);
    charter_time_text(e->at_s, at);
    signers(e->note, by);
    text_show(text_view(e->reason), reason, sizeof reason);
    text_show(text_view(e->from), from, sizeof from);
    if (run->cli->json) {
        json_t *o = json_pack("{s:I,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:I,s:s,s:s}", "number",
                              (json_int_t)e->number, "network", e->head.network, "kind",
                              charter_kind_text(e->head.kind), "version",
                              (json_int_t)e->head.version, "hash", hex, "class", ranks[e->rank],
                              "status", status_text(e->why), "reason", reason, "at",
                              (json_int_t)e->at_s, "from", from, "signed_by", by);
        json_dumpf(o, out, JSON_COMPACT);
        fputc('\n', out);
        json_decref(o);
    } else {
        fprintf(out,
                "%" PRIu64 " %s %" PRIu64 " of %s, %s, from %s (%s)\n"
                "    %s\n    hash %s\n    lines by %s\n",
                e->number, charter_kind_text(e->head.kind), e->head.version, e->head.network,
                at, from[0] != 0 ? from : "a file", ranks[e->rank], reason, hex,
                by[0] != 0 ? by : "nobody");
    }
    if (run->folder != NULL) {
        write_note(run, "refused", e->number, &e->head, e->note);
        write_held(run, e);
    }
    run->count++;
}

int
cmd_charter_refused(struct cli *cli, int argc, char **argv)
{
    const char *given[1] = {NULL}, *folder[1] = {NULL};
    struct cli_option options[] = {
        {"--network", given, 1, 0}, {"-o", folder, 1, 0}, {NULL, NULL, 0, 0}};
    char network[NETWORK_CHARS_MAX + 1];
    struct charter_beside b;
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 1) {
        return cli_error(cli, CLI_TROUBLE, "'%s' is not understood; -o FOLDER writes files",
                         argv[1]);
    }
    if (folder[0] != NULL && mkdir(folder[0], 0755) != 0 && errno != EEXIST) {
        return cli_error(cli, CLI_TROUBLE, "%s: %s", folder[0], strerror(errno));
    }
    if (!charter_beside_open(cli, true, &b)) {
        return CLI_TROUBLE;
    }
    if (!charter_the_network(cli, &b, given[0], network)) {
        charter_beside_close(&b);
        return CLI_TROUBLE;
    }
    struct refused_run run = {
        .cli = cli, .txn = b.txn, .network = network, .folder = folder[0]};
    enum status st = charter_evidence_each(b.txn, network, print_one, &run);
    charter_beside_close(&b);
    if (st != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "store of %s: %s", cli->home, status_text(st));
    }
    if (run.count == 0 && !cli->json) {
        fprintf(cli->out, "no charter document of %s was refused here\n", network);
    }
    return run.code;
}

/* ---- impact ------------------------------------------------------------------- */

int
cmd_charter_impact(struct cli *cli, int argc, char **argv)
{
    const char *network[1] = {NULL};
    struct cli_option options[] = {
        {"--network", network, 1, 0}, {"--all", NULL, 0, 0}, {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc != 1) {
        return cli_error(cli, CLI_TROUBLE, "'%s' is not understood", argv[1]);
    }
    json_t *args = json_pack("{s:b,s:b}", "json", cli->json, "all", options[1].count > 0);
    if (network[0] != NULL) {
        json_object_set_new(args, "network", json_string(network[0]));
    }
    struct call call = {.command = "charter-impact", .args = args};
    int code = call_run(cli, &call);
    json_decref(args);
    return code;
}

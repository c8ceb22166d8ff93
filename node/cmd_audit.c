/* cmd_audit.c: huren audit: is what is stored, or was handed over, what it was? */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/audit_child_io.h"
#include "node/cli.h"
#include "node/home_io.h"
#include "proto/text.h"

const char cmd_audit_help[] =
    "usage: huren audit verify [DIR...] [--vkey KEY] [--threads N] [--json] [--home DIR]\n"
    "\n"
    "verify  recomputes everything and names the place of each damage.  Changes nothing, "
    "needs\n"
    "        no network, works beside a running daemon.  DIR is\n"
    "          a home (default: --home): every page, entry, tile, root, record, index row,\n"
    "          value, charter version and signature (heads, cosignatures, receipts);\n"
    "          a log that was handed over (files of huren log tiles): every entry, tile, the\n"
    "          root and the signed head, with the key of --vkey or of the home's charter, and\n"
    "          that it is the log that this home saw by gossip.\n"
    "        Damaged files are read in a process of their own: what they do to it is a "
    "finding.\n"
    "        A contradiction (a fork, a second replacement of one entry) is its author's "
    "doing:\n"
    "        it is kept and shown, and no damage.\n"
    "\n"
    "  --vkey KEY   the key of the log's heads, as huren log vkey prints it\n"
    "  --threads N  default: as many as there are processors, at most 4\n"
    "\n"
    "exit: 0 sound, 1 damage found, 2 could not tell\n";

static void
print_finding(struct cli *cli, const char *path, json_t *f)
{
    char log[256], what[1024], place[256];
    const char *part = json_string_value(json_object_get(f, "part"));
    json_t *index = json_object_get(f, "index"), *page = json_object_get(f, "page");

    if (cli->json) {
        json_object_set_new(f, "path", json_string(path));
        json_dumpf(f, cli->out, JSON_COMPACT | JSON_SORT_KEYS);
        fputc('\n', cli->out);
        return;
    }
    json_t *origin = json_object_get(f, "log");
    text_show(text_view(json_is_string(origin) ? json_string_value(origin) : ""), log,
              sizeof log);
    text_show(text_view(json_string_value(json_object_get(f, "what"))), what, sizeof what);
    fprintf(cli->out, "%s: %s%s%s", json_string_value(json_object_get(f, "kind")), log,
            log[0] == '\0' ? "" : ": ", part);
    if (index != NULL) {
        fprintf(cli->out, " %" JSON_INTEGER_FORMAT, json_integer_value(index));
    }
    if (json_object_get(f, "level") != NULL) {
        fprintf(cli->out, " of level %" JSON_INTEGER_FORMAT,
                json_integer_value(json_object_get(f, "level")));
    }
    if (page != NULL) {
        json_t *p = json_object_get(f, "place");
        text_show(text_view(json_is_string(p) ? json_string_value(p) : ""), place,
                  sizeof place);
        fprintf(cli->out, ", page %" JSON_INTEGER_FORMAT " of the file%s%s",
                json_integer_value(page), place[0] == '\0' ? "" : ", near ", place);
    }
    fprintf(cli->out, ": %s\n", what);
}

static json_int_t
count_of(const struct audit_result *r, const char *name)
{
    return json_integer_value(json_object_get(r->counts, name));
}

/* The last line; returns the exit code. */
static int
print_summary(struct cli *cli, const char *path, bool home, const struct audit_result *r)
{
    /* What was counted may be more than what was told. */
    json_int_t damages = count_of(r, "damages") > (json_int_t)r->damages
                             ? count_of(r, "damages")
                             : (json_int_t)r->damages;
    bool whole = r->counts != NULL && r->unknowns == 0;
    int exit_code = damages > 0 ? CLI_NO : whole ? CLI_YES : CLI_TROUBLE;

    if (cli->json) {
        json_t *o =
            json_pack("{s:s,s:b,s:b,s:I,s:I,s:O?}", "path", path, "sound", exit_code == CLI_YES,
                      "complete", whole, "damages", damages, "contradictions",
                      (json_int_t)r->contradictions, "counts", r->counts);
        json_dumpf(o, cli->out, JSON_COMPACT | JSON_SORT_KEYS);
        fputc('\n', cli->out);
        json_decref(o);
        return exit_code;
    }
    fprintf(cli->out, "%s: %s", path,
            exit_code == CLI_YES  ? "sound"
            : exit_code == CLI_NO ? "DAMAGED"
                                  : "could not be checked to the end");
    if (damages > 0) {
        fprintf(cli->out, ", %" JSON_INTEGER_FORMAT " findings", damages);
    }
    if (r->contradictions > 0) {
        fprintf(cli->out, ", %" PRIu64 " contradictions", r->contradictions);
    }
    if (home && r->counts != NULL) {
        fprintf(cli->out,
                "\n  %" JSON_INTEGER_FORMAT " logs, %" JSON_INTEGER_FORMAT
                " entries, %" JSON_INTEGER_FORMAT " tiles, %" JSON_INTEGER_FORMAT
                " records, %" JSON_INTEGER_FORMAT " index rows, %" JSON_INTEGER_FORMAT
                " signed heads, %" JSON_INTEGER_FORMAT " charter documents",
                count_of(r, "logs"), count_of(r, "entries"), count_of(r, "tiles"),
                count_of(r, "records"), count_of(r, "index_rows"), count_of(r, "heads"),
                count_of(r, "documents"));
    } else if (r->counts != NULL) {
        fprintf(cli->out,
                "\n  %s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                " entries, %" JSON_INTEGER_FORMAT " tiles, %" JSON_INTEGER_FORMAT
                " cosignatures",
                json_string_value(json_object_get(r->counts, "log")), count_of(r, "entries"),
                count_of(r, "size"), count_of(r, "tiles"), count_of(r, "cosignatures"));
    }
    fputc('\n', cli->out);
    return exit_code;
}

static bool
is_log(const char *path)
{
    char name[HOME_IO_PATH_CHARS];
    struct stat info;

    return home_io_path(path, "checkpoint", name) == STATUS_OK && stat(name, &info) == 0;
}

static int
verify_one(struct cli *cli, const char *path, const char *vkey, unsigned threads)
{
    struct audit_work work = {
        .home = cli->home, .path = path, .vkey = vkey, .threads = threads};
    struct audit_result result;
    bool home = home_io_is_home(path);
    size_t i;
    json_t *f;

    if (!home && !is_log(path)) {
        return cli_error(
            cli, CLI_TROUBLE,
            "%s is neither a home (no folder store) nor a log that was handed over "
            "(no file checkpoint)",
            path);
    }
    if (audit_run(cli, &work, home ? audit_home : audit_log_files, &result) != CLI_YES) {
        audit_result_free(&result);
        return CLI_TROUBLE;
    }
    json_array_foreach(result.findings, i, f)
    {
        print_finding(cli, path, f);
    }
    int exit_code = print_summary(cli, path, home, &result);
    audit_result_free(&result);
    fflush(cli->out);
    return exit_code;
}

static int
cmd_audit_verify(struct cli *cli, int argc, char **argv)
{
    const char *vkey = NULL, *threads_text = NULL;
    struct cli_option options[] = {
        {"--vkey", &vkey, 1, 0}, {"--threads", &threads_text, 1, 0}, {NULL, NULL, 0, 0}};
    struct note_key key;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t threads = processors < 1 ? 1 : processors > 4 ? 4 : (uint32_t)processors;

    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (threads_text != NULL &&
        (!text_to_u32(text_view(threads_text), &threads) || threads < 1 || threads > 16)) {
        return cli_error(cli, CLI_TROUBLE, "--threads wants a number from 1 to 16");
    }
    if (vkey != NULL && note_key_parse(text_view(vkey), &key) != STATUS_OK) {
        return cli_error(cli, CLI_TROUBLE, "--vkey wants a key as huren log vkey prints it");
    }
    if (argc < 2) {
        return verify_one(cli, cli->home, vkey, threads);
    }
    int worst = CLI_YES;
    for (int i = 1; i < argc; i++) {
        int code = verify_one(cli, argv[i], vkey, threads);
        worst = code == CLI_NO || worst == CLI_NO ? CLI_NO : code > worst ? code : worst;
    }
    return worst;
}

int
cmd_audit(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"verify", cmd_audit_verify, "recompute everything; name the place of each damage",
         cmd_audit_help},
        {NULL, NULL, NULL, NULL}};

    return cli_subcommand(cli, commands, argc, argv);
}

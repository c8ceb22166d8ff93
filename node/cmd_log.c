/* cmd_log.c: huren log: the signed logs of this home, for anybody to check. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/note.h"
#include "node/call.h"
#include "node/cli.h"
#include "node/file_io.h"

const char cmd_log_help[] =
    "usage: huren log checkpoint pub|exch [--network NET]\n"
    "       huren log prove pub|exch INDEX [--network NET]\n"
    "       huren log tiles pub|exch DIR [--network NET]\n"
    "       huren log vkey pub|exch [--network NET]\n"
    "       huren log retire pub [--network NET]\n"
    "       huren log fork ORIGIN FILE [--network NET]\n"
    "\n"
    "The logs of this home, in published formats that need none of our software:\n"
    "  checkpoint  the newest signed head with its cosignatures (C2SP signed note)\n"
    "  prove       that entry INDEX is in the log (C2SP tlog-proof)\n"
    "  tiles       the whole log as static files under DIR (C2SP tlog-tiles)\n"
    "  vkey        the key that checks its heads (signed-note verifier key)\n"
    "  retire      give up a pub log that contradicts what was signed before (huren status\n"
    "              says so), and begin its successor, .../pub/<8 hex>: import the reports\n"
    "              again; it is shown as unlinked until the members document names it\n"
    "  fork        write the proof that the log ORIGIN, of whomever, showed two histories\n"
    "              (huren status lists them) to FILE; huren verify FILE checks it anywhere\n"
    "pub holds what this institution published, exch what it asked, answered and decided.\n"
    "\n"
    "exit: 0 done, 1 nothing signed yet or no such entry, 2 could not do it\n";

struct tiles_sink {
    struct cli *cli;
    const char *folder;
    uint64_t files;
    int exit_code;
};

static void
tiles_text(void *ctx, bool err, const char *text, size_t n)
{
    struct tiles_sink *s = ctx;
    fwrite(text, 1, n, err ? s->cli->err : s->cli->out);
}

/* Make the folders of `path`, which ends in a file name. */
static bool
make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool ok = mkdir(path, 0755) == 0 || errno == EEXIST;
        *slash = '/';
        if (!ok) {
            return false;
        }
    }
    return true;
}

static void
tiles_blob(void *ctx, const char *name, struct view bytes)
{
    struct tiles_sink *s = ctx;
    char path[4096];
    if (strstr(name, "..") != NULL ||
        (size_t)snprintf(path, sizeof path, "%s/%s", s->folder, name) >= sizeof path) {
        return;
    }
    FILE *f = make_folders(path) ? fopen(path, "wb") : NULL;
    bool ok = f != NULL && fwrite(bytes.bytes, 1, bytes.count, f) == bytes.count;
    ok = f != NULL && fclose(f) == 0 && ok;
    if (!ok) {
        s->exit_code = cli_error(s->cli, CLI_TROUBLE, "writing %s: %s", path, strerror(errno));
    }
    s->files++;
}

static void
tiles_done(void *ctx, int exit_code)
{
    struct tiles_sink *s = ctx;
    s->exit_code = s->exit_code == 0 ? exit_code : s->exit_code;
}

/* ---- log fork ---- */

struct fork_sink {
    struct cli *cli;
    const char *path;
    int exit_code; /* of writing the file */
};

static void
fork_text(void *ctx, bool err, const char *text, size_t n)
{
    struct fork_sink *s = ctx;
    fwrite(text, 1, n, err ? s->cli->err : s->cli->out);
}

static void
fork_blob(void *ctx, const char *name, struct view bytes)
{
    struct fork_sink *s = ctx;
    char error[FILE_ERROR_CHARS];
    (void)name;
    if (file_write(s->path, bytes, 0644, false, error) != STATUS_OK) {
        s->exit_code = cli_error(s->cli, CLI_TROUBLE, "%s", error);
    }
}

static void
fork_done(void *ctx, int exit_code)
{
    (void)ctx;
    (void)exit_code;
}

static int
fork_file(struct cli *cli, const char *origin, const char *path, const char *network)
{
    json_t *args = json_pack("{s:s}", "origin", origin);
    if (network != NULL) {
        json_object_set_new(args, "network", json_string(network));
    }
    struct call call = {.command = "fork", .args = args};
    struct fork_sink s = {.cli = cli, .path = path};
    struct call_sink sink = {&s, fork_text, fork_blob, fork_done};
    int exit_code = call_run_sink(cli, &call, &sink);
    json_decref(args);
    return s.exit_code != 0 ? s.exit_code : exit_code;
}

static bool
read_index(const char *text, json_t *args)
{
    char *end;
    errno = 0;
    unsigned long long index = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || index > INT64_MAX) {
        return false;
    }
    json_object_set_new(args, "index", json_integer((json_int_t)index));
    return true;
}

int
cmd_log(struct cli *cli, int argc, char **argv)
{
    const char *network = NULL;
    struct cli_option options[] = {{"--network", &network, 1, 0}, {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "fork") == 0 && argc == 4) {
        return fork_file(cli, argv[2], argv[3], network);
    }
    bool prove = strcmp(what, "prove") == 0;
    bool tiles = strcmp(what, "tiles") == 0;
    bool plain = strcmp(what, "checkpoint") == 0 || strcmp(what, "vkey") == 0;
    bool retire = strcmp(what, "retire") == 0 && argc == 3 && strcmp(argv[2], "pub") == 0;
    if (argc != (prove || tiles ? 4 : 3) || !(prove || tiles || plain || retire)) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants checkpoint, prove, tiles or vkey, and pub or exch, or retire "
                         "pub, or fork ORIGIN "
                         "FILE; huren log --help");
    }
    json_t *args = json_pack("{s:b,s:s,s:s}", "json", cli->json, "what", what, "log", argv[2]);
    if (network != NULL) {
        json_object_set_new(args, "network", json_string(network));
    }
    int exit_code = CLI_TROUBLE;
    if (prove && !read_index(argv[3], args)) {
        cli_error(cli, CLI_TROUBLE, "%s is no index: wants a number from 0", argv[3]);
    } else {
        struct call call = {.command = retire ? "retire" : "log", .args = args};
        if (tiles) {
            struct tiles_sink s = {.cli = cli, .folder = argv[3]};
            struct call_sink sink = {&s, tiles_text, tiles_blob, tiles_done};
            exit_code = call_run_sink(cli, &call, &sink);
            exit_code = s.exit_code != 0 ? s.exit_code : exit_code;
            if (exit_code == CLI_YES) {
                fprintf(cli->out, "%" PRIu64 " files in %s\n", s.files, argv[3]);
            }
        } else {
            exit_code = call_run(cli, &call);
        }
    }
    json_decref(args);
    return exit_code;
}

/* cmd_lookup.c: huren lookup. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/call.h"
#include "node/cli.h"
#include "node/file_io.h"
#include "proto/civil.h"
#include "proto/limits.h"
#include "proto/text.h"

enum { ITEMS_MAX = 64 };

const char cmd_lookup_help[] =
    "usage: huren lookup --patient TYPE:VALUE --item CODE [--item CODE]... [options]\n"
    "\n"
    "Who holds a result for this patient and item, and is it recognized here?  Searches the\n"
    "index of this home, asks only the hospitals that hold a candidate, checks what they give\n"
    "against their signed logs, and decides by every pack that the charter has in force.\n"
    "Usable results come first, the newest first.  The physician is the judge: a verdict says\n"
    "what the rules ask, never more.\n"
    "\n"
    "  --patient TYPE:VALUE  RI resident card, PP passport (USA/123 for a foreign one), HM, "
    "TW,\n"
    "                        RP; \"-\" reads TYPE:VALUE from standard input, so that the "
    "number\n"
    "                        does not stand in the list of processes\n"
    "  --item CODE           canonical code (LAB.K, CT.CHEST.PLAIN) or a LOINC code of the "
    "catalog\n"
    "  --at TIME             moment of the decision, RFC 3339; default now\n"
    "  --name NAME, --sex M|F, --birth-date YYYY-MM-DD\n"
    "                        what you know of the patient: a difference is shown as identity "
    "in doubt\n"
    "  --encounter outpatient|inpatient|emergency\n"
    "  --order JSON, --doctor JSON\n"
    "                        as in the decision contract: {\"side\":\"left\"}, "
    "{\"title\":\"chief\"}\n"
    "  --evidence FILE       write the evidence of the first result: one file that huren "
    "verify\n"
    "                        checks with nothing but the charter's root.  It is an identified\n"
    "                        medical document\n"
    "  --network NET         if this home is in several\n"
    "  --json                one object: results[], as_of[], silent[], charter, warnings\n"
    "\n"
    "examples:\n"
    "  huren lookup --patient RI:11010519491231002X --item LAB.K\n"
    "  huren lookup --patient RI:11010519491231002X --item CT.CHEST.PLAIN --evidence ct.hre\n"
    "\n"
    "exit: 0 a verdict is should or must, 1 none is, 2 nobody could be asked, or a wrong "
    "call\n";

struct evidence_sink {
    struct cli *cli;
    const char *path;
    bool failed;
    bool written;
};

static void
sink_text(void *ctx, bool err, const char *text, size_t n)
{
    struct evidence_sink *s = ctx;
    FILE *f = err ? s->cli->err : s->cli->out;
    fwrite(text, 1, n, f);
    fflush(f);
}

static void
sink_blob(void *ctx, const char *name, struct view bytes)
{
    struct evidence_sink *s = ctx;
    char error[FILE_ERROR_CHARS];
    (void)name;
    if (s->path == NULL) {
        return;
    }
    s->written = file_write(s->path, bytes, 0600, true, error) == STATUS_OK;
    if (!s->written) {
        cli_error(s->cli, CLI_TROUBLE, "%s", error);
        s->failed = true;
    }
}

static void
sink_done(void *ctx, int exit_code)
{
    (void)ctx;
    (void)exit_code;
}

/* Split TYPE:VALUE, from the command line or standard input. */
static bool
read_patient(struct cli *cli, const char *given, json_t *args)
{
    char line[256] = "";
    if (strcmp(given, "-") == 0) {
        if (fgets(line, sizeof line, stdin) == NULL) {
            cli_error(cli, CLI_TROUBLE, "standard input holds no patient");
            return false;
        }
        line[strcspn(line, "\r\n")] = '\0';
        given = line;
    }
    const char *colon = strchr(given, ':');
    if (colon == NULL || colon == given || colon[1] == '\0') {
        cli_error(cli, CLI_TROUBLE, "--patient wants TYPE:VALUE, as RI:11010519491231002X");
        return false;
    }
    json_object_set_new(args, "type", json_stringn(given, (size_t)(colon - given)));
    json_object_set_new(args, "value", json_string(colon + 1));
    if (!json_is_string(json_object_get(args, "type")) ||
        !json_is_string(json_object_get(args, "value"))) {
        cli_error(cli, CLI_TROUBLE, "--patient is not UTF-8 text");
        return false;
    }
    return true;
}

static bool
read_time(struct cli *cli, const char *text, json_t *args)
{
    struct civil t;
    if (civil_parse_rfc3339(text_view(text), &t) != STATUS_OK || t.precision < CIVIL_DAY) {
        cli_error(cli, CLI_TROUBLE, "--at wants a time like 2026-11-22T09:30:00+08:00");
        return false;
    }
    json_object_set_new(args, "at", json_integer(civil_unix_ms(&t, 480) / 1000));
    return true;
}

static bool
read_json(struct cli *cli, const char *option, const char *text, json_t *args)
{
    json_error_t error;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(o)) {
        json_decref(o);
        cli_error(cli, CLI_TROUBLE, "--%s wants a JSON object", option);
        return false;
    }
    json_object_set_new(args, option, o);
    return true;
}

int
cmd_lookup(struct cli *cli, int argc, char **argv)
{
    const char *patient = NULL, *at = NULL, *evidence = NULL, *network = NULL, *name = NULL;
    const char *sex = NULL, *birth = NULL, *encounter = NULL, *order = NULL, *doctor = NULL;
    const char *items[ITEMS_MAX];
    struct cli_option options[] = {{"--patient", &patient, 1, 0},
                                   {"--item", items, ITEMS_MAX, 0},
                                   {"--at", &at, 1, 0},
                                   {"--evidence", &evidence, 1, 0},
                                   {"--network", &network, 1, 0},
                                   {"--name", &name, 1, 0},
                                   {"--sex", &sex, 1, 0},
                                   {"--birth-date", &birth, 1, 0},
                                   {"--encounter", &encounter, 1, 0},
                                   {"--order", &order, 1, 0},
                                   {"--doctor", &doctor, 1, 0},
                                   {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (argc > 1 || patient == NULL || options[1].count == 0) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants --patient TYPE:VALUE and --item CODE; huren lookup --help");
    }
    json_t *args = json_pack("{s:b,s:b}", "json", cli->json, "evidence", evidence != NULL);
    json_t *list = json_array();
    for (size_t i = 0; i < options[1].count; i++) {
        json_array_append_new(list, json_string(items[i]));
    }
    json_object_set_new(args, "items", list);
    const char *texts[][2] = {{"network", network},
                              {"name", name},
                              {"sex", sex},
                              {"birth_date", birth},
                              {"encounter", encounter}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i][1] != NULL) {
            json_object_set_new(args, texts[i][0], json_string(texts[i][1]));
        }
    }
    int exit_code = CLI_TROUBLE;
    if (read_patient(cli, patient, args) && (at == NULL || read_time(cli, at, args)) &&
        (order == NULL || read_json(cli, "order", order, args)) &&
        (doctor == NULL || read_json(cli, "doctor", doctor, args))) {
        struct evidence_sink s = {.cli = cli, .path = evidence};
        struct call_sink sink = {&s, sink_text, sink_blob, sink_done};
        struct call call = {.command = "lookup", .args = args};
        exit_code = call_run_sink(cli, &call, &sink);
        if (s.failed || (evidence != NULL && !s.written && exit_code == CLI_YES)) {
            exit_code = CLI_TROUBLE;
        }
    }
    json_decref(args);
    return exit_code;
}

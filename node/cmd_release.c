/* cmd_release.c: huren release. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/call.h"
#include "node/cli.h"
#include "proto/civil.h"
#include "proto/text.h"

enum { DAYS_DEFAULT = 30, DAYS_MAX = 3650, DAY_S = 86400, UTC8_MIN = 480 };

const char cmd_release_help[] =
    "usage: huren release --patient TYPE:VALUE --to INSTITUTION [--report ID]\n"
    "                     [--days N | --until DATE] [--network NET]\n"
    "       huren release --patient TYPE:VALUE --to INSTITUTION [--report ID] --withdraw\n"
    "       huren release --list [--network NET]\n"
    "\n"
    "Gives held reports of this hospital to another one, for a time.  A report is held when\n"
    "an item of it is sensitive (HIV, syphilis and the like: the catalog and the charter say\n"
    "which), when it was imported with --hold, or when its sender marked it confidential.\n"
    "Others see then that this hospital holds something under the patient's number, not what;\n"
    "they ask, and are refused, unless it was released to them.  What is given is written to\n"
    "the exchange logs of both sides first.  Who got a report keeps it: taking a release back\n"
    "ends further answers only.\n"
    "\n"
    "  --patient TYPE:VALUE  RI resident card, PP passport, HM, TW, RP; \"-\" reads it from\n"
    "                        standard input, so that it does not stand in the process list\n"
    "  --to INSTITUTION      institution code of the member that may have them\n"
    "  --report ID           this report alone (its number at this hospital), with its later\n"
    "                        corrections; default: all that are held of this patient now\n"
    "  --days N              so many days from now; default 30\n"
    "  --until DATE          up to the end of this day (YYYY-MM-DD, or an RFC 3339 time)\n"
    "  --withdraw            take the release back\n"
    "  --list                what is released now: leaf, institution, until when\n"
    "\n"
    "examples:\n"
    "  huren release --patient RI:11010519491231002X --to h2 --days 7\n"
    "  huren --json release --list\n"
    "\n"
    "exit codes: 0 done; 1 no such held report here; 2 could not do it\n";

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
    if (colon != NULL && colon != given && colon[1] != '\0') {
        json_object_set_new(args, "type", json_stringn(given, (size_t)(colon - given)));
        json_object_set_new(args, "value", json_string(colon + 1));
    }
    if (!json_is_string(json_object_get(args, "type")) ||
        !json_is_string(json_object_get(args, "value"))) {
        cli_error(cli, CLI_TROUBLE, "--patient wants TYPE:VALUE, as RI:11010519491231002X");
        return false;
    }
    return true;
}

/* The second at which the release ends. */
static bool
read_until(struct cli *cli, const char *days, const char *until, json_t *args)
{
    struct civil c;
    uint32_t n = DAYS_DEFAULT;
    int64_t at = 0;
    if (days != NULL && until != NULL) {
        cli_error(cli, CLI_TROUBLE, "--days and --until are two ways to say one thing");
        return false;
    }
    if (until != NULL) {
        if (civil_parse_rfc3339(text_view(until), &c) != STATUS_OK || c.precision < CIVIL_DAY) {
            cli_error(cli, CLI_TROUBLE, "--until wants a date like 2026-12-31");
            return false;
        }
        at = civil_unix_ms(&c, UTC8_MIN) / 1000 + (c.precision == CIVIL_DAY ? DAY_S : 0);
    } else {
        if (days != NULL && (!text_to_u32(text_view(days), &n) || n == 0 || n > DAYS_MAX)) {
            cli_error(cli, CLI_TROUBLE, "--days is a number from 1 to %d", DAYS_MAX);
            return false;
        }
        at = (int64_t)time(NULL) + (int64_t)n * DAY_S;
    }
    json_object_set_new(args, "until", json_integer(at));
    return true;
}

int
cmd_release(struct cli *cli, int argc, char **argv)
{
    const char *patient = NULL, *to = NULL, *report = NULL, *days = NULL, *until = NULL,
               *network = NULL;
    struct cli_option options[] = {
        {"--patient", &patient, 1, 0}, {"--to", &to, 1, 0},       {"--report", &report, 1, 0},
        {"--days", &days, 1, 0},       {"--until", &until, 1, 0}, {"--network", &network, 1, 0},
        {"--withdraw", NULL, 0, 0},    {"--list", NULL, 0, 0},    {NULL, NULL, 0, 0}};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    bool list = options[7].count > 0, withdraw = options[6].count > 0;
    if (argc > 1 || (list ? patient != NULL || to != NULL : patient == NULL || to == NULL)) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants --patient TYPE:VALUE and --to INSTITUTION, or --list; huren "
                         "release --help");
    }
    json_t *args =
        json_pack("{s:b,s:b,s:b}", "json", cli->json, "list", list, "withdraw", withdraw);
    const char *texts[][2] = {{"network", network}, {"to", to}, {"report", report}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i][1] != NULL) {
            json_object_set_new(args, texts[i][0], json_string(texts[i][1]));
        }
    }
    int exit_code = CLI_TROUBLE;
    if (list || (read_patient(cli, patient, args) &&
                 (withdraw || read_until(cli, days, until, args)))) {
        struct call call = {.command = "release", .args = args};
        exit_code = call_run(cli, &call);
    }
    json_decref(args);
    return exit_code;
}

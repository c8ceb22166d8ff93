/* huren import: results in. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/cli.h"
#include "node/codemap_io.h"
#include "node/file_io.h"
#include "node/import_io.h"
#include "node/normalise.h"
#include "node/normalise_print.h"
#include "proto/civil.h"
#include "proto/limits.h"
#include "proto/text.h"

enum { MAPS_MAX = 16, CHINA_OFFSET_MIN = 480 };

const char cmd_import_help[] =
    "usage: huren import [--dry-run] [--map FILE]... [--sender NAME] [--zone ZONE]\n"
    "                    [--network NET] [--hold] FILE...\n"
    "       huren import --retry [--map FILE]...\n"
    "\n"
    "Takes in results: HL7 v2 (ORU^R01, OUL^R21 to R24; single messages, batches, MLLP\n"
    "bytes) and CSV, UTF-8 or GB 18030, told by their content.  FILE may be - for\n"
    "standard input.  A bad record never loses the others.\n"
    "\n"
    "  --dry-run      print the normalised reports and store nothing; needs no home\n"
    "  --map FILE     code map; HOME/codemap.csv is read as well, when it is there\n"
    "  --sender NAME  take the code map's rows of this sender too\n"
    "  --zone ZONE    zone of times that state none (+08:00)\n"
    "  --network NET  publish in this network, if the home is in several\n"
    "  --hold         hold these reports, at the wish of hospital or patient: other\n"
    "                 hospitals see that something is held and get it only after huren\n"
    "                 release; corrections of a held report stay held\n"
    "  --retry        take up again what is in quarantine, after a new code map for example\n"
    "\n"
    "Code map: CSV with the header sender,system,local_code,item,unit.  sender is MSH-3\n"
    "or MSH-4 (* = any), system as in OBX-3 (* = any), item a code of the catalog, unit\n"
    "may be missing.  Or system names a field: PID-3 (local_code: identifier type as\n"
    "sent, item: RI PP HM TW RP), OBX-11 (status as sent, item: final ...), OBR-24\n"
    "(section, item: laboratory imaging pathology), MSH-7 (item: +08:00), MSH-18 (item:\n"
    "GB18030).  Lines that begin with # are comments.  For example:\n"
    "\n"
    "  sender,system,local_code,item\n"
    "  LIS,*,1001,LAB.K\n"
    "  LIS,PID-3,1,RI\n"
    "  LIS,OBX-11,,final\n"
    "\n"
    "CSV of results: the first line names the columns, in any order, in Chinese or\n"
    "English; rows with the same report_id are one report.  Needed: report_id (报告单号)\n"
    "or specimen_id (标本号); resident_card (身份证号), identifier (证件号码) with\n"
    "identifier_type (证件类型), or patient_id (病历号); local_code (项目代码), item, loinc\n"
    "or item_name (项目名称); value (结果), findings (检查所见) or impression (检查结论);\n"
    "examined_at (采样时间, 检查时间).  Also read: kind (报告类别), status (状态; empty =\n"
    "final), name (姓名), sex (性别), birth_date (出生日期), unit (单位), reference "
    "(参考范围),\n"
    "flags (异常标志), critical (危急值), reported_at (报告时间), specimen (标本类型), method\n"
    "(方法), device (仪器), note (备注), service (检查项目), department (科室), placer_id\n"
    "(申请单号), orderer (申请医师), author (报告医师), reviewer (审核医师), side (侧别),\n"
    "body_site (检查部位), study_uid, accession (影像号), sender (来源), system (编码体系),\n"
    "country (国籍), held (保密; yes holds the report), mark (互认标识).  Dates are year,\n"
    "month, day: 2024-01-05 8:03, 2024/1/5, 20240105.\n"
    "\n"
    "Marks (★, 鄂HR, 互认) that the source prints at a name, as a note, a flag, an OBX named\n"
    "互认标识, or in the column mark are kept as claims: a mark is derived from the rules.\n"
    "\n"
    "Held without --hold: HL7 with ORC-28 other than U, N, L, M, or PD1-12 Y; sensitive\n"
    "items of the catalog or the charter (HIV, syphilis and the like) always are.\n"
    "\n"
    "With --json one object a report: source, report_id, kind, status, action (publish,\n"
    "withdraw, hold, ignore), action_reason, patient{identifiers[{type,value,usable}],\n"
    "name,sex,birth_date}, items[{code,local_code,name,value,unit,reference,flags,status,\n"
    "examined_at,critical,doubtful,claimed_marks}], claimed_marks, findings, impression,\n"
    "warnings and more; without\n"
    "--dry-run also outcome (published, corrected, withdrawn, repeat, stale,\n"
    "no_identifier, no_time, nothing, not_published, refused) and reason.  Problems\n"
    "are lines on standard error: file, record, segment, field, reason.\n"
    "\n"
    "exit codes: 0 all good; 1 some record was refused; 2 nothing was usable, or usage or\n"
    "input/output\n";

struct import {
    struct cli *cli;
    struct importer *importer; /* NULL: --dry-run */
    const struct normalise_options *options;
    bool retrying, hold;
    uint32_t reports, refused;
};

static void
print_line(void *user, const char *text)
{
    fprintf(user, "%s\n", text);
}

static enum status
print_report(void *user, const struct normalised *n)
{
    struct import *im = user;
    n->report->held = n->report->held || im->hold;
    if (im->importer != NULL) {
        return importer_report(im->importer, n);
    }
    if (!im->cli->json) {
        normalised_lines(n, print_line, im->cli->out);
        return ferror(im->cli->out) ? STATUS_IO : STATUS_OK;
    }
    char *text = normalised_json(n);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool written = fprintf(im->cli->out, "%s\n", text) >= 0;
    free(text);
    return written ? STATUS_OK : STATUS_IO;
}

static enum status
print_problem(void *user, const struct problem *p)
{
    struct import *im = user;
    char line[1200], file[400];
    static const char *const kinds[] = {"", "ignored: ", "warning: "};
    problem_describe(p, line, sizeof line);
    text_show(text_view(p->file), file, sizeof file);
    (void)cli_error(im->cli, CLI_NO, "%s: %s%s", file, kinds[p->kind], line);
    return im->importer == NULL || im->retrying ? STATUS_OK : importer_problem(im->importer, p);
}

/* False when the file could not be read or the output not written. */
static bool
import_file(struct import *im, const struct normalise_options *o, const char *path)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct normalise_counts counts;
    const struct normalise_handler handler = {im, print_report, print_problem};
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    char why[FILE_ERROR_CHARS];
    enum status st = file_read(path, IMPORT_FILE_BYTES_MAX, &bytes, &count, why);
    if (st != STATUS_OK) {
        (void)cli_error(im->cli, CLI_TROUBLE, "%s", why);
        return false;
    }
    st = normalise_bytes(o, name, (struct view){bytes, count}, &handler, &counts);
    free(bytes);
    im->reports += counts.reports;
    im->refused += counts.refused;
    if (st != STATUS_OK) {
        (void)cli_error(im->cli, CLI_TROUBLE, "%s: %s", name, status_text(st));
    }
    return st == STATUS_OK;
}

/* A record out of quarantine: true when it gave reports now. */
static bool
retry_record(void *user, const char *file, struct view raw)
{
    struct import *im = user;
    struct normalise_counts counts;
    const struct normalise_handler handler = {im, print_report, print_problem};
    enum status st = normalise_bytes(im->options, file, raw, &handler, &counts);
    im->reports += counts.reports;
    im->refused += counts.refused;
    return st == STATUS_OK && counts.reports > 0 && counts.refused == 0;
}

static void
print_counts(struct cli *cli, const struct import_counts *c)
{
    if (cli->json) {
        return;
    }
    fprintf(cli->out,
            "%u published, %u corrected, %u withdrawn, %u there already, %u not published, %u "
            "records in quarantine\n",
            (unsigned)c->published, (unsigned)c->corrected, (unsigned)c->withdrawn,
            (unsigned)c->repeats, (unsigned)c->kept_out, (unsigned)c->quarantined);
    if (c->failed > 0) {
        fprintf(cli->out, "%u could NOT be stored: import the files again\n",
                (unsigned)c->failed);
    }
}

/* Take in the files, or what is in quarantine, and say how it went. */
static int
run(struct import *im, const struct normalise_options *o, bool retry, int argc, char **argv)
{
    bool ok = true;
    im->options = o;
    im->retrying = retry;
    if (retry) {
        ok = importer_retry(im->importer, retry_record, im);
    }
    for (int i = 1; i < argc; i++) {
        ok = import_file(im, o, argv[i]) && ok;
        ok = (im->importer == NULL || importer_flush(im->importer)) && ok;
    }
    bool kept_out = false;
    if (im->importer != NULL) {
        const struct import_counts *c = importer_counts(im->importer);
        print_counts(im->cli, c);
        kept_out = c->kept_out > 0;
    }
    ok = fflush(im->cli->out) == 0 && ok;
    if (!ok || (im->reports == 0 && !retry)) {
        return CLI_TROUBLE;
    }
    return im->refused > 0 || kept_out ? CLI_NO : CLI_YES;
}

int
cmd_import(struct cli *cli, int argc, char **argv)
{
    const char *maps[MAPS_MAX], *sender[1] = {NULL}, *zone[1] = {NULL}, *network[1] = {NULL};
    struct cli_option options[] = {{.name = "--dry-run"},
                                   {.name = "--map", .values = maps, .values_max = MAPS_MAX},
                                   {.name = "--sender", .values = sender, .values_max = 1},
                                   {.name = "--zone", .values = zone, .values_max = 1},
                                   {.name = "--retry"},
                                   {.name = "--network", .values = network, .values_max = 1},
                                   {.name = "--hold"},
                                   {.name = NULL}};
    struct normalise_options o = {.institution = "", .offset_min = CHINA_OFFSET_MIN};
    struct import im = {.cli = cli};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    bool dry = options[0].count > 0, retry = options[4].count > 0;
    if (retry ? argc > 1 || dry : argc < 2) {
        return cli_error(cli, CLI_TROUBLE,
                         retry ? "--retry takes neither files nor --dry-run"
                               : "name at least one file, or - for standard input");
    }
    if (options[3].count > 0 && !civil_parse_offset(text_view(zone[0]), &o.offset_min)) {
        return cli_error(cli, CLI_TROUBLE, "--zone %s is no zone; write it as +08:00", zone[0]);
    }
    o.sender = options[2].count > 0 ? sender[0] : NULL;
    o.today = (int32_t)(time(NULL) / 86400) + 1; /* somewhere on earth it is tomorrow */
    struct codemap *m = codemap_load(cli, maps, options[1].count);
    if (m == NULL) {
        return CLI_TROUBLE;
    }
    o.map = m;
    im.hold = options[6].count > 0;
    if (!dry && (im.importer = importer_open(cli, network[0])) == NULL) {
        codemap_free(m);
        return cli_error(cli, CLI_TROUBLE, "%s", status_text(STATUS_NO_MEMORY));
    }
    int exit_code = run(&im, &o, retry, argc, argv);
    importer_close(im.importer);
    codemap_free(m);
    return exit_code;
}

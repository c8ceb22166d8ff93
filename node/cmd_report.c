/* huren report: a report on paper. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/cli.h"
#include "node/codemap_io.h"
#include "node/decision_input.h"
#include "node/file_io.h"
#include "node/home_io.h"
#include "node/marks.h"
#include "node/normalise.h"
#include "node/policy_home_io.h"
#include "node/report_html.h"
#include "node/report_own_io.h"
#include "proto/civil.h"
#include "proto/report.h"
#include "proto/text.h"

enum {
    MAPS_MAX = 16,
    CHINA_OFFSET_MIN = 480,
    SIGNS_MAX = 64,
    PAGE_BYTES_FIRST = 256 * 1024,
    PAGE_BYTES_MAX = 64 * 1024 * 1024
};

const char cmd_report_help[] =
    "usage: huren report --html FILE [--only ID] [-o OUT] [options]\n"
    "       huren report --html --patient TYPE:VALUE ID [-o OUT] [options]\n"
    "\n"
    "Prints reports as one page of HTML for paper (A4, from a browser) and screen, with\n"
    "nothing fetched and no script.  A laboratory report has the form of Hubei's annex 3;\n"
    "imaging and pathology have findings and impression.  Each pack's mark and footnote\n"
    "stand where that pack wants them: the page's mark at the top right, a row's sign before\n"
    "its name or at its row.\n"
    "\n"
    "FILE is read as huren import --dry-run reads it; all its reports are printed, each on a\n"
    "new sheet.  Marks are derived with the charter of the home.  Without a home or charter\n"
    "nothing is marked, and the page says so.  A report that would not be published bears no\n"
    "mark; one that is withdrawn or cancelled, or no patient's, is not printed.\n"
    "\n"
    "ID is the number of a report that this home published.  The home cannot list its\n"
    "patients: the record opens only with the patient's number, so name it too.  The page\n"
    "bears the marks that the report was published with.  Only our own log is read.\n"
    "\n"
    "What the source claims as a mark is listed as a claim and never printed as a mark.\n"
    "The page is an identified medical document.\n"
    "\n"
    "  --html                the form; there is no other yet\n"
    "  --patient TYPE:VALUE  RI resident card, PP passport (USA/123), HM, TW, RP; \"-\" reads\n"
    "                        it from standard input, so that the number does not stand in\n"
    "                        the list of processes\n"
    "  --only ID             of the reports in FILE this one\n"
    "  -o OUT, --output OUT  write a file (0600) and not standard output\n"
    "  --set KEY=TEXT        a field of the form that a report does not carry: patient_id,\n"
    "                        sample_no, sample_barcode, bed_no, patient_class,\n"
    "                        clinical_diagnosis, received_at; for a single report\n"
    "  --map FILE, --sender NAME, --zone ZONE   as for huren import\n"
    "  --network NET         if this home is in several\n"
    "\n"
    "examples:\n"
    "  huren report --html monday.hl7 -o monday.html\n"
    "  huren report --html --patient RI:11010519491231002X R2026-001 --set bed_no=12\n"
    "\n"
    "exit codes: 0 printed; 1 no such report, or some record was refused; 2 nothing could be\n"
    "printed\n";

struct print_run {
    struct cli *cli;
    struct report_home home;
    struct policy_set *policy;
    struct report_page page;
    const char *only;      /* NULL: all */
    char institution[256]; /* name to print */
    char printed_at[32];
    int64_t now_s;
    const char *fields[REPORT_FIELD_COUNT];
    size_t forms;
};

/* ---- signs ---- */

static enum hr_kind
kind_of(const Hr__Report *r)
{
    return strcmp(r->kind, "imaging") == 0     ? HR_IMAGING
           : strcmp(r->kind, "pathology") == 0 ? HR_PATHOLOGY
                                               : HR_LAB;
}

/* What the packs print for reports of this kind: those of the charter first, so
 * that their footnote counts where two packs share a sign. */
static size_t
collect_signs(const struct print_run *run, const Hr__Report *r, struct hr_mark signs[SIGNS_MAX])
{
    size_t count = 0;
    const struct charter *c = run->home.charter;
    for (size_t i = 0; c != NULL && i < charter_pack_count(c) && count < SIGNS_MAX; i++) {
        size_t at = decision_pack(run->policy, charter_pack_at(c, i));
        if (at != SIZE_MAX) {
            hr_pack_mark(policy_set_pack(run->policy, at), kind_of(r), &signs[count++]);
        }
    }
    for (size_t i = 0; i < policy_set_count(run->policy) && count < SIGNS_MAX; i++) {
        hr_pack_mark(policy_set_pack(run->policy, i), kind_of(r), &signs[count++]);
    }
    return count;
}

/* ---- pages ---- */

/* Append a form, with more memory when it does not fit. */
static enum status
append_form(struct print_run *run, const struct report_form *form)
{
    struct report_page *p = &run->page;
    size_t before = p->count;
    for (;;) {
        report_page_form(p, form);
        if (!p->full) {
            run->forms++;
            return STATUS_OK;
        }
        size_t max = p->max * 2;
        uint8_t *more = max > PAGE_BYTES_MAX ? NULL : realloc(p->bytes, max);
        if (more == NULL) {
            return max > PAGE_BYTES_MAX ? STATUS_TOO_BIG : STATUS_NO_MEMORY;
        }
        *p = (struct report_page){.bytes = more, .max = max, .count = before};
    }
}

static enum status
print_form(struct print_run *run, const Hr__Report *r, enum report_marks marks,
           const char *hold)
{
    struct hr_mark signs[SIGNS_MAX];
    struct report_form form = {.report = r,
                               .institution = run->institution,
                               .printed_at = run->printed_at,
                               .catalog = policy_set_catalog(run->policy),
                               .signs = signs,
                               .sign_count = collect_signs(run, r, signs),
                               .marks = marks,
                               .hold = hold};
    memcpy(form.fields, run->fields, sizeof form.fields);
    return append_form(run, &form);
}

static enum status
print_own(void *user, Hr__Report *r)
{
    return print_form(user, r, REPORT_MARKS_PUBLISHED, NULL);
}

/* A report out of a file: derive its marks, print it. */
static enum status
print_normalised(void *user, const struct normalised *n)
{
    struct print_run *run = user;
    const struct charter *c = run->home.charter;
    struct report_arena *arena;
    char id[200];
    if (run->only != NULL && strcmp(run->only, n->report->report_id) != 0) {
        return STATUS_OK;
    }
    if (n->action == NORMALISE_WITHDRAW || n->action == NORMALISE_IGNORE) {
        text_show(text_view(n->report->report_id), id, sizeof id);
        (void)cli_error(run->cli, CLI_NO, "report %s is not printed: %s", id,
                        n->action_reason == NULL ? "withdrawn" : n->action_reason);
        return STATUS_OK;
    }
    if ((arena = report_arena_new(NORMALISE_BYTES_MAX)) == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = STATUS_OK;
    const char *hold = n->action == NORMALISE_HOLD ? n->action_reason : NULL;
    if (c != NULL && hold == NULL) {
        st = marks_derive(c, run->policy, run->home.config->institution, run->now_s, arena,
                          n->report);
    }
    if (st == STATUS_OK) {
        st = print_form(run, n->report,
                        c != NULL ? REPORT_MARKS_DERIVED : REPORT_MARKS_NO_CHARTER, hold);
    }
    report_arena_free(arena);
    return st;
}

static enum status
print_problem(void *user, const struct problem *p)
{
    struct print_run *run = user;
    char line[1200], file[400];
    static const char *const kinds[] = {"", "ignored: ", "warning: "};
    problem_describe(p, line, sizeof line);
    text_show(text_view(p->file), file, sizeof file);
    (void)cli_error(run->cli, CLI_NO, "%s: %s%s", file, kinds[p->kind], line);
    return STATUS_OK;
}

/* ---- the two ways ---- */

static int
print_file(struct print_run *run, struct normalise_options *o, const char *path,
           const char *const *maps, size_t map_count)
{
    uint8_t *bytes = NULL;
    size_t count = 0;
    struct normalise_counts counts = {0};
    const struct normalise_handler handler = {run, print_normalised, print_problem};
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    char why[FILE_ERROR_CHARS];
    enum status st = file_read(path, IMPORT_FILE_BYTES_MAX, &bytes, &count, why);
    if (st != STATUS_OK) {
        return cli_error(run->cli, CLI_TROUBLE, "%s", why);
    }
    struct codemap *map = codemap_load(run->cli, maps, map_count);
    if (map == NULL) {
        free(bytes);
        return CLI_TROUBLE;
    }
    o->map = map;
    st = normalise_bytes(o, name, (struct view){bytes, count}, &handler, &counts);
    codemap_free(map);
    free(bytes);
    if (st != STATUS_OK) {
        return cli_error(run->cli, CLI_TROUBLE, "%s: %s", name,
                         st == STATUS_TOO_BIG ? "the page would be over 64 MiB; print fewer "
                                                "reports with --only"
                                              : status_text(st));
    }
    if (run->forms == 0) {
        return cli_error(run->cli, run->only != NULL ? CLI_NO : CLI_TROUBLE,
                         run->only != NULL ? "%s holds no report with this number to print"
                                           : "%s holds no report to print",
                         name);
    }
    return counts.refused > 0 ? CLI_NO : CLI_YES;
}

static int
print_published(struct print_run *run, const char *patient, const char *id)
{
    char line[256] = "";
    if (strcmp(patient, "-") == 0) {
        if (fgets(line, sizeof line, stdin) == NULL) {
            return cli_error(run->cli, CLI_TROUBLE, "standard input holds no patient");
        }
        line[strcspn(line, "\r\n")] = '\0';
        patient = line;
    }
    return report_own_find(run->cli, &run->home, patient, id, run->now_s, print_own, run);
}

static int
write_page(struct print_run *run, const char *output, int exit_code)
{
    char error[FILE_ERROR_CHARS];
    const struct report_page *p = &run->page;
    if (output != NULL && strcmp(output, "-") != 0) {
        if (file_write(output, (struct view){p->bytes, p->count}, 0600, true, error) !=
            STATUS_OK) {
            return cli_error(run->cli, CLI_TROUBLE, "%s", error);
        }
        return exit_code;
    }
    bool ok = fwrite(p->bytes, 1, p->count, run->cli->out) == p->count;
    ok = fflush(run->cli->out) == 0 && ok;
    return ok ? exit_code
              : cli_error(run->cli, CLI_TROUBLE, "writing: %s", status_text(STATUS_IO));
}

/* ---- the command ---- */

static bool
read_fields(struct print_run *run, const char *const *given, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *equal = strchr(given[i], '=');
        size_t size = equal == NULL ? 0 : (size_t)(equal - given[i]);
        size_t k = 0;
        while (k < REPORT_FIELD_COUNT &&
               !(equal != NULL && strlen(report_field_key((enum report_field)k)) == size &&
                 strncmp(report_field_key((enum report_field)k), given[i], size) == 0)) {
            k++;
        }
        if (k == REPORT_FIELD_COUNT) {
            cli_error(run->cli, CLI_TROUBLE,
                      "--set wants KEY=TEXT with a key that huren report --help lists");
            return false;
        }
        run->fields[k] = equal + 1;
    }
    return true;
}

/* Moment, policy, and the home if there is one. */
static bool
begin(struct print_run *run, const char *network, bool needs_home)
{
    run->now_s = (int64_t)time(NULL);
    decision_time(run->now_s, run->printed_at);
    if (!policy_home_load(run->cli, &run->policy)) {
        return false;
    }
    if (!home_io_is_home(run->cli->home)) {
        if (needs_home || network != NULL) {
            cli_error(run->cli, CLI_TROUBLE, "%s is no home; name it with --home",
                      run->cli->home);
        }
        return !needs_home && network == NULL;
    }
    if (!report_home_open(run->cli, network, &run->home)) {
        return false;
    }
    (void)snprintf(run->institution, sizeof run->institution, "%s", run->home.config->name);
    return true;
}

static bool
begin_page(struct print_run *run)
{
    run->page =
        (struct report_page){.bytes = malloc(PAGE_BYTES_FIRST), .max = PAGE_BYTES_FIRST};
    if (run->page.bytes == NULL) {
        cli_error(run->cli, CLI_TROUBLE, "%s", status_text(STATUS_NO_MEMORY));
        return false;
    }
    report_page_begin(&run->page, "报告单");
    return true;
}

/* The last lines; they need a little room. */
static enum status
end_page(struct report_page *p)
{
    size_t before = p->count;
    if (report_page_end(p) == STATUS_OK) {
        return STATUS_OK;
    }
    uint8_t *more = realloc(p->bytes, p->max + 4096);
    if (more == NULL) {
        return STATUS_NO_MEMORY;
    }
    *p = (struct report_page){.bytes = more, .max = p->max + 4096, .count = before};
    return report_page_end(p);
}

int
cmd_report(struct cli *cli, int argc, char **argv)
{
    const char *maps[MAPS_MAX], *sender[1] = {NULL}, *zone[1] = {NULL}, *network[1] = {NULL};
    const char *patient[1] = {NULL}, *only[1] = {NULL}, *output[1] = {NULL};
    const char *fields[REPORT_FIELD_COUNT];
    struct cli_option options[] = {
        {.name = "--html"},
        {.name = "--map", .values = maps, .values_max = MAPS_MAX},
        {.name = "--sender", .values = sender, .values_max = 1},
        {.name = "--zone", .values = zone, .values_max = 1},
        {.name = "--network", .values = network, .values_max = 1},
        {.name = "--patient", .values = patient, .values_max = 1},
        {.name = "--only", .values = only, .values_max = 1},
        {.name = "--output", .values = output, .values_max = 1},
        {.name = "-o", .values = output, .values_max = 1},
        {.name = "--set", .values = fields, .values_max = REPORT_FIELD_COUNT},
        {.name = NULL}};
    struct normalise_options o = {.institution = "", .offset_min = CHINA_OFFSET_MIN};
    struct print_run run = {.cli = cli};
    if (!cli_options(cli, options, &argc, argv)) {
        return CLI_TROUBLE;
    }
    if (options[0].count == 0 || argc != 2 || (patient[0] != NULL && only[0] != NULL)) {
        return cli_error(cli, CLI_TROUBLE,
                         "wants --html and one FILE, or --html, --patient TYPE:VALUE and one "
                         "report number; huren report --help");
    }
    if (options[3].count > 0 && !civil_parse_offset(text_view(zone[0]), &o.offset_min)) {
        return cli_error(cli, CLI_TROUBLE, "--zone %s is no zone; write it as +08:00", zone[0]);
    }
    run.only = only[0];
    o.sender = sender[0];
    int exit_code = CLI_TROUBLE;
    if (read_fields(&run, fields, options[9].count) &&
        begin(&run, network[0], patient[0] != NULL) && begin_page(&run)) {
        o.institution = run.home.config != NULL ? run.home.config->institution : "";
        o.today = (int32_t)(run.now_s / 86400) + 1;
        exit_code = patient[0] != NULL ? print_published(&run, patient[0], argv[1])
                                       : print_file(&run, &o, argv[1], maps, options[1].count);
        if (run.forms > 1 && options[9].count > 0) {
            exit_code = cli_error(cli, CLI_TROUBLE,
                                  "--set is for one report, and here are %zu; name one with "
                                  "--only",
                                  run.forms);
        } else if (exit_code != CLI_TROUBLE && run.forms > 0) {
            exit_code = end_page(&run.page) == STATUS_OK
                            ? write_page(&run, output[0], exit_code)
                            : cli_error(cli, CLI_TROUBLE, "%s", status_text(STATUS_TOO_BIG));
        }
    }
    report_home_close(&run.home);
    policy_set_free(run.policy);
    free(run.page.bytes);
    return exit_code;
}

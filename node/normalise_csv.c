/* CSV files: rows with the same report number make one report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/normalise_csv.h"
#include "node/normalise_parts.h"
#include "proto/charset.h"
#include "proto/civil.h"
#include "proto/text.h"

/* A row as found in the first pass. */
struct row_place {
    const char *key; /* report number */
    struct view raw;
    uint32_t line;
};

struct table {
    struct run *run;
    struct csv_header header;
    struct view header_raw;
    char delimiter;
    bool header_read, refused;
    struct row_place *rows;
    size_t count, room;
    struct report_arena *keys;
};

/* A report in the making. */
struct sheet {
    struct table *table;
    struct draft draft;
    struct place bad;
    const char *why; /* refused, because */
    char first_patient[200];
};

/* ---- first pass: which rows belong together ---- */

static enum status
take_header(struct table *t, const struct csv_row *row)
{
    char unknown[400], missing[400], line[900];
    t->header_read = true;
    t->header_raw = row->raw;
    if (!csv_header_read(row, &t->header, unknown, missing, sizeof unknown)) {
        snprintf(line, sizeof line,
                 "the first line is no header of results that is known here; missing: %s "
                 "(huren import --help lists all names)",
                 missing);
        t->refused = true;
        return run_refuse(t->run, (struct place){0}, line);
    }
    if (unknown[0] != '\0') {
        snprintf(line, sizeof line, "columns that are not read: %s", unknown);
        struct problem p = {.kind = PROBLEM_WARNING, .file = t->run->file, .reason = line};
        t->run->counts->warnings++;
        return t->run->handler->problem(t->run->handler->user, &p);
    }
    return STATUS_OK;
}

static enum status
refuse_row(struct table *t, const struct csv_row *row, uint32_t column, const char *why)
{
    struct run *r = t->run;
    r->record = row->line;
    r->raw = row->raw;
    r->counts->records++;
    return run_refuse(r, (struct place){.field = column}, why);
}

static enum status
take_place(void *user, const struct csv_row *row)
{
    struct table *t = user;
    char line[120];
    if (!t->header_read) {
        return take_header(t, row);
    }
    if (t->refused) {
        return STATUS_OK;
    }
    size_t filled = row->count;
    while (filled > t->header.cells && row->cells[filled - 1].count == 0) {
        filled--;
    }
    if (filled > t->header.cells) {
        snprintf(line, sizeof line, "the row has %zu cells, the header %zu", filled,
                 t->header.cells);
        return refuse_row(t, row, (uint32_t)t->header.cells + 1, line);
    }
    struct view key = csv_cell(&t->header, row, COLUMN_REPORT_ID);
    if (key.count == 0) {
        key = csv_cell(&t->header, row, COLUMN_SPECIMEN_ID);
    }
    if (key.count == 0) {
        return refuse_row(t, row, (uint32_t)(t->header.at[COLUMN_REPORT_ID] + 1),
                          "the row has no report number");
    }
    if (t->count == t->room) {
        size_t room = t->room == 0 ? 256 : t->room * 2;
        struct row_place *larger = realloc(t->rows, room * sizeof *larger);
        if (larger == NULL) {
            return STATUS_NO_MEMORY;
        }
        t->rows = larger;
        t->room = room;
    }
    t->rows[t->count++] = (struct row_place){
        .key = report_text(t->keys, key), .raw = row->raw, .line = row->line};
    t->run->counts->records++;
    return report_arena_failed(t->keys) ? STATUS_NO_MEMORY : STATUS_OK;
}

static int
compare_rows(const void *a, const void *b)
{
    const struct row_place *x = a, *y = b;
    int c = strcmp(x->key, y->key);
    return c != 0 ? c : x->line < y->line ? -1 : x->line > y->line ? 1 : 0;
}

/* ---- second pass: a report ---- */

static struct view
get(const struct sheet *s, const struct csv_row *row, enum csv_column c)
{
    return csv_cell(&s->table->header, row, c);
}

static struct place
at_column(const struct sheet *s, enum csv_column c)
{
    int32_t at = s->table->header.at[c];
    return (struct place){.field = at < 0 ? 0 : (uint32_t)at + 1};
}

static char *
copy(struct sheet *s, const struct csv_row *row, enum csv_column c)
{
    return report_text(s->table->run->arena, get(s, row, c));
}

/* A number written with wide digits is a number. */
static char *
narrow(struct sheet *s, struct view v)
{
    struct report_arena *a = s->table->run->arena;
    uint8_t *out = v.count == 0 || text_is_decimal(v) ? NULL : report_alloc(a, v.count + 1);
    if (out != NULL) {
        struct view n = text_trim((struct view){out, text_narrow(v, out)});
        if (text_is_decimal(n)) {
            return report_text(a, n);
        }
    }
    return report_text(a, v);
}

static const char *
identifier_type(struct view type)
{
    static const struct {
        const char *word, *type;
    } words[] = {{"居民身份证", "NNCHN"},
                 {"身份证", "NNCHN"},
                 {"01", "NNCHN"},
                 {"1", "NNCHN"},
                 {"护照", "PPN"},
                 {"03", "PPN"},
                 {"港澳通行证", "HM"},
                 {"港澳居民来往内地通行证", "HM"},
                 {"06", "HM"},
                 {"台湾通行证", "TW"},
                 {"台湾居民来往大陆通行证", "TW"},
                 {"07", "TW"},
                 {"港澳台居民居住证", "RP"},
                 {"外国人永久居留证", "RP"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is(type, words[i].word)) {
            return words[i].type;
        }
    }
    return NULL;
}

/* What must be the same in all rows of a report. */
static void
describe_patient(const struct sheet *s, const struct csv_row *row, char *out, size_t cap)
{
    static const enum csv_column columns[] = {COLUMN_RESIDENT_CARD, COLUMN_IDENTIFIER,
                                              COLUMN_PATIENT_ID, COLUMN_NAME};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && n + 60 < cap; i++) {
        n += text_show(get(s, row, columns[i]), out + n, 48);
        out[n++] = '|';
        out[n] = '\0';
    }
}

static void
read_patient(struct sheet *s, const struct csv_row *row)
{
    struct run *r = s->table->run;
    struct view none = text_view(""), country = get(s, row, COLUMN_COUNTRY);
    Hr__Patient *p = s->draft.report->patient;
    struct view type = get(s, row, COLUMN_IDENTIFIER_TYPE);
    const char *known = identifier_type(type);
    draft_identifier(r, &s->draft, at_column(s, COLUMN_RESIDENT_CARD), text_view("NNCHN"),
                     get(s, row, COLUMN_RESIDENT_CARD), none, none);
    if (known != NULL) {
        type = text_view(known);
    } else if (type.count == 0) {
        type = text_view("NI");
    }
    draft_identifier(r, &s->draft, at_column(s, COLUMN_IDENTIFIER), type,
                     get(s, row, COLUMN_IDENTIFIER), none, country);
    draft_identifier(r, &s->draft, at_column(s, COLUMN_PATIENT_ID), text_view("PI"),
                     get(s, row, COLUMN_PATIENT_ID), none, none);
    p->name = tidy_name(r, get(s, row, COLUMN_NAME));
    if (p->name[0] == '\0') {
        char *given = tidy_name(r, get(s, row, COLUMN_GIVEN_NAME));
        p->name =
            report_join(r->arena, given, " ", tidy_name(r, get(s, row, COLUMN_FAMILY_NAME)));
    }
    p->sex = report_text(r->arena, text_view(sex_word(get(s, row, COLUMN_SEX))));
    p->birth_date =
        birth_date(r, at_column(s, COLUMN_BIRTH_DATE), get(s, row, COLUMN_BIRTH_DATE));
}

static const struct codemap_item *
find_item(struct sheet *s, const struct csv_row *row)
{
    struct run *r = s->table->run;
    struct view unit = get(s, row, COLUMN_UNIT), system = get(s, row, COLUMN_SYSTEM);
    const struct codemap_item *item = codemap_canonical(r->o->map, get(s, row, COLUMN_ITEM));
    if (item == NULL) {
        item =
            codemap_find(r->o->map, &r->sender, system, get(s, row, COLUMN_LOCAL_CODE), unit);
    }
    if (item == NULL) {
        item = codemap_find(r->o->map, &r->sender, text_view("LN"), get(s, row, COLUMN_LOINC),
                            unit);
    }
    if (item == NULL && get(s, row, COLUMN_LOCAL_CODE).count == 0) {
        item = codemap_find(r->o->map, &r->sender, system,
                            name_without_claims(get(s, row, COLUMN_ITEM_NAME)), unit);
    }
    return item;
}

static const char *
read_kind(struct sheet *s, const struct csv_row *row, const struct codemap_item *item)
{
    static const struct {
        const char *word, *kind;
    } words[] = {
        {"laboratory", "laboratory"}, {"lab", "laboratory"},      {"检验", "laboratory"},
        {"化验", "laboratory"},       {"imaging", "imaging"},     {"检查", "imaging"},
        {"影像", "imaging"},          {"pathology", "pathology"}, {"病理", "pathology"}};
    struct view sent = get(s, row, COLUMN_KIND);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is_nocase(sent, words[i].word)) {
            return words[i].kind;
        }
    }
    const char *kind = kind_of_section(sent);
    if (kind == NULL) {
        kind = item != NULL ? item->kind : kind_of_words(sent);
    }
    bool texts = get(s, row, COLUMN_FINDINGS).count + get(s, row, COLUMN_IMPRESSION).count > 0;
    if (kind == NULL && texts) {
        kind = kind_of_words(get(s, row, COLUMN_SERVICE));
        kind = kind == NULL ? "imaging" : kind;
    }
    return kind == NULL ? "laboratory" : kind;
}

static void
read_report(struct sheet *s, const struct csv_row *row, const struct codemap_item *item)
{
    struct run *r = s->table->run;
    Hr__Report *report = s->draft.report;
    char letter = '\0';
    read_patient(s, row);
    report->kind = report_text(r->arena, text_view(read_kind(s, row, item)));
    report->placer_id = copy(s, row, COLUMN_PLACER_ID);
    report->specimen = copy(s, row, COLUMN_SPECIMEN);
    report->department = copy(s, row, COLUMN_DEPARTMENT);
    report->service = copy(s, row, COLUMN_SERVICE);
    report->orderer = tidy_name(r, get(s, row, COLUMN_ORDERER));
    report->author = tidy_name(r, get(s, row, COLUMN_AUTHOR));
    report->reviewer = tidy_name(r, get(s, row, COLUMN_REVIEWER));
    report->side = copy(s, row, COLUMN_SIDE);
    report->body_site = copy(s, row, COLUMN_BODY_SITE);
    report->study_uid = copy(s, row, COLUMN_STUDY_UID);
    report->accession = copy(s, row, COLUMN_ACCESSION);
    report->sending_application = copy(s, row, COLUMN_SENDER);
    report->reported_at = time_text(r, at_column(s, COLUMN_REPORTED_AT),
                                    get(s, row, COLUMN_REPORTED_AT), r->o->offset_min);
    struct view status = get(s, row, COLUMN_ORDER_STATUS);
    if (status.count > 0 && item_status_word(status, &letter) != NULL) {
        s->draft.order_status = letter;
    }
    struct view mode = get(s, row, COLUMN_PROCESSING);
    if (text_is_nocase(mode, "T") || text_is_nocase(mode, "D")) {
        s->draft.ignored = "is a training or debugging row";
    }
}

static void
read_flags(struct sheet *s, const struct csv_row *row, Hr__Item *item)
{
    struct run *r = s->table->run;
    struct view flags = get(s, row, COLUMN_FLAGS), critical = get(s, row, COLUMN_CRITICAL);
    static const char *const yes[] = {"1", "Y", "YES", "TRUE", "是", "危急", "危急值", "有"};
    static const char *const usual[] = {"0",  "N", "NO", "FALSE",  "U",   "否",
                                        "无", "L", "M",  "不保密", "公开"};
    /* One row that is to be held back holds its report. */
    struct view held = get(s, row, COLUMN_HELD);
    bool hold = held.count > 0;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        hold = hold && !text_is_nocase(held, usual[i]);
    }
    s->draft.report->held = s->draft.report->held || hold;
    if (flags.count > 0) {
        (void)report_add_flag(r->arena, item, report_text(r->arena, flags));
        item->critical = is_critical_flag(flags);
    }
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        item->critical = item->critical || text_is_nocase(critical, yes[i]);
    }
}

static void
read_status(struct sheet *s, const struct csv_row *row, Hr__Item *item)
{
    struct run *r = s->table->run;
    struct view sent = get(s, row, COLUMN_STATUS);
    char letter = '\0';
    const char *meaning = codemap_field(r->o->map, &r->sender, "OBX-11", sent);
    const char *word = item_status_word(meaning != NULL ? text_view(meaning) : sent, &letter);
    if (word == NULL && sent.count == 0) {
        letter = s->draft.order_status != '\0' ? s->draft.order_status : 'F';
        word = item_status(letter); /* documented: a row without a status is final */
    } else if (word == NULL) {
        run_warn(r, at_column(s, COLUMN_STATUS), "an unknown status",
                 sent.count < 40 ? sent : text_view(""));
    }
    item->status = report_text(r->arena, text_view(word == NULL ? "unknown" : word));
    s->draft.unverified = s->draft.unverified || letter == 'R';
    s->draft.wrong_patient = s->draft.wrong_patient || letter == 'W';
    s->draft.unchanged = s->draft.unchanged || letter == 'U';
}

/* "covid-19:neg" holds name and value. */
static void
read_value(struct sheet *s, const struct csv_row *row, Hr__Item *item)
{
    struct run *r = s->table->run;
    struct view both = get(s, row, COLUMN_OBSERVATION);
    if (s->table->header.at[COLUMN_VALUE] >= 0 || both.count == 0) {
        item->value = narrow(s, get(s, row, COLUMN_VALUE));
        return;
    }
    size_t colon = both.count;
    while (colon > 0 && both.bytes[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        item->value = report_text(r->arena, both);
        return;
    }
    item->value = narrow(s, text_trim((struct view){both.bytes + colon, both.count - colon}));
    if (item->name[0] == '\0') {
        item->name = report_text(r->arena, text_trim((struct view){both.bytes, colon - 1}));
    }
}

static void
read_item(struct sheet *s, const struct csv_row *row, const struct codemap_item *found)
{
    struct run *r = s->table->run;
    Hr__Report *report = s->draft.report;
    Hr__Item *item = report_add_item(r->arena, report);
    if (item == NULL) {
        s->why = "the report has more rows than a report may have";
        return;
    }
    item->local_code = copy(s, row, COLUMN_LOCAL_CODE);
    item->local_system = copy(s, row, COLUMN_SYSTEM);
    item->name = copy(s, row, COLUMN_ITEM_NAME);
    read_value(s, row, item);
    if (item->local_code[0] == '\0') {
        item->local_code = copy(s, row, COLUMN_LOINC);
    }
    if (item->name[0] == '\0') {
        item->name = report->service;
    }
    if (item->local_code[0] == '\0') {
        item->local_code = copy(s, row, COLUMN_ITEM);
    }
    if (found != NULL) {
        item->code = report_text(r->arena, text_view(found->code));
    }
    item->unit = copy(s, row, COLUMN_UNIT);
    item->reference = copy(s, row, COLUMN_REFERENCE);
    if (item->reference[0] == '\0') {
        item->reference = report_join(r->arena, copy(s, row, COLUMN_REFERENCE_LOW), "-",
                                      copy(s, row, COLUMN_REFERENCE_HIGH));
    }
    item->method = copy(s, row, COLUMN_METHOD);
    item->device = copy(s, row, COLUMN_DEVICE);
    item->note = copy(s, row, COLUMN_NOTE);
    struct view mark;
    if (claim_of_cell(get(s, row, COLUMN_MARK), &mark)) {
        add_claim(r->arena, &item->claimed_marks, &item->n_claimed_marks, mark);
    }
    read_flags(s, row, item);
    read_status(s, row, item);
    char *text = copy(s, row, COLUMN_FINDINGS);
    report->findings = report_join(r->arena, report->findings, "\n", text);
    report->impression =
        report_join(r->arena, report->impression, "\n", copy(s, row, COLUMN_IMPRESSION));
    struct view when = get(s, row, COLUMN_EXAMINED_AT);
    item->examined_at = time_text(r, at_column(s, COLUMN_EXAMINED_AT), when, r->o->offset_min);
    if (when.count > 0 && item->examined_at[0] == '\0') {
        s->bad = at_column(s, COLUMN_EXAMINED_AT);
        s->why = "is no time; write year, month, day in this order, as 2024-01-05 08:03";
    }
    if (report->examined_at[0] == '\0') {
        report->examined_at = item->examined_at;
    }
}

static enum status
take_row(void *user, const struct csv_row *row)
{
    struct sheet *s = user;
    struct run *r = s->table->run;
    char patient[200];
    r->sender = (struct codemap_sender){{get(s, row, COLUMN_SENDER),
                                         {row->raw.bytes, 0},
                                         text_view(r->o->sender == NULL ? "" : r->o->sender)}};
    const struct codemap_item *found = find_item(s, row);
    describe_patient(s, row, patient, sizeof patient);
    if (s->draft.report->n_items == 0) {
        read_report(s, row, found);
        memcpy(s->first_patient, patient, sizeof patient);
    } else if (strcmp(s->first_patient, patient) != 0) {
        s->why = "rows of one report name different patients";
    }
    read_item(s, row, found);
    return STATUS_OK;
}

/* Header and rows, UTF-8: a file of its own for the quarantine. */
static struct view
collect_raw(struct table *t, const struct row_place *rows, size_t count)
{
    size_t bytes = t->header_raw.count + 1, n = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += rows[i].raw.count + 1;
    }
    uint8_t *out = report_alloc(t->run->arena, bytes);
    if (out == NULL) {
        return (struct view){NULL, 0};
    }
    for (size_t i = 0; i <= count; i++) {
        struct view part = i == 0 ? t->header_raw : rows[i - 1].raw;
        memcpy(out + n, part.bytes, part.count);
        n += part.count;
        if (n > 0 && out[n - 1] != '\n' && out[n - 1] != '\r') {
            out[n++] = '\n';
        }
    }
    return (struct view){out, n};
}

static enum status
make_report(struct table *t, const struct row_place *rows, size_t count)
{
    struct run *r = t->run;
    struct csv_error error;
    struct sheet *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    report_arena_reset(r->arena);
    r->warning_count = 0;
    r->warnings_cut = 0;
    r->record = rows[0].line;
    r->raw = collect_raw(t, rows, count);
    s->table = t;
    s->draft.report = report_new(r->arena);
    enum status st = s->draft.report == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (st == STATUS_OK) {
        s->draft.report->report_id = report_text(r->arena, text_view(rows[0].key));
    }
    for (size_t i = 0; st == STATUS_OK && i < count && s->why == NULL; i++) {
        st = csv_read(rows[i].raw, t->delimiter, take_row, s, &error);
        r->record = s->why != NULL ? rows[i].line : r->record;
    }
    if (st == STATUS_OK) {
        size_t before = r->warning_count;
        st = s->why != NULL ? run_refuse(r, s->bad, s->why) : run_finish(r, &s->draft);
        r->counts->warnings +=
            (uint32_t)(r->warning_count > before ? r->warning_count : before);
    }
    free(s);
    return st;
}

static int
compare_groups(const void *a, const void *b)
{
    const struct row_place *const *x = a, *const *y = b;
    return (*x)->line < (*y)->line ? -1 : (*x)->line > (*y)->line ? 1 : 0;
}

/* One report for each number, in the order of their first rows. */
static enum status
make_reports(struct table *t)
{
    if (t->count == 0) {
        return STATUS_OK;
    }
    qsort(t->rows, t->count, sizeof *t->rows, compare_rows);
    struct row_place **groups = calloc(t->count, sizeof(struct row_place *));
    size_t group_count = 0;
    enum status st = groups == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < t->count; i++) {
        if (i == 0 || strcmp(t->rows[i].key, t->rows[i - 1].key) != 0) {
            groups[group_count++] = &t->rows[i];
        }
    }
    if (st == STATUS_OK) {
        qsort(groups, group_count, sizeof(struct row_place *), compare_groups);
    }
    for (size_t i = 0; st == STATUS_OK && i < group_count; i++) {
        size_t n = 1, left = t->count - (size_t)(groups[i] - t->rows);
        while (n < left && strcmp(groups[i][n].key, groups[i]->key) == 0) {
            n++;
        }
        st = make_report(t, groups[i], n);
    }
    free(groups);
    return st;
}

enum status
normalise_csv(struct run *r, struct view file)
{
    struct charset_choice choice;
    struct csv_error error = {0};
    size_t count = 0;
    struct codemap_sender sender = {
        {text_view(r->o->sender == NULL ? "" : r->o->sender), text_view(""), text_view("")}};
    const char *set = codemap_field(r->o->map, &sender, "MSH-18", text_view(""));
    struct table t = {.run = r, .keys = report_arena_new(NORMALISE_BYTES_MAX)};
    uint8_t *text = malloc(file.count * 3 + 1);
    enum status st = t.keys == NULL || text == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (st == STATUS_OK &&
        charset_decode(file, CHARSET_NONE,
                       set == NULL ? CHARSET_NONE : charset_named(text_view(set)), text, &count,
                       &choice) != STATUS_OK) {
        st = run_refuse(r, (struct place){0}, "is neither UTF-8 nor GB 18030 text");
        goto cleanup;
    }
    if (st == STATUS_OK) {
        struct view utf8 = {text, count};
        t.delimiter = csv_delimiter(utf8);
        st = csv_read(utf8, t.delimiter, take_place, &t, &error);
        r->raw = (struct view){text, 0};
        if (st == STATUS_MALFORMED || st == STATUS_TOO_BIG) { /* the rows before are good */
            r->record = error.line;
            st = run_refuse(r, (struct place){0}, error.reason);
        }
    }
    if (st == STATUS_OK) {
        st = make_reports(&t);
    }
cleanup:
    free(t.rows);
    report_arena_free(t.keys);
    free(text);
    return st;
}

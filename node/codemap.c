#include "node/codemap.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/charset.h"
#include "proto/csv.h"
#include "proto/identifier.h"
#include "proto/limits.h"
#include "proto/report.h"
#include "proto/text.h"

enum { CATALOG_ROWS_MAX = 20000, MAP_BYTES_MAX = 512 * 1024 * 1024 };

struct catalog_row {
    struct codemap_item item;
    const char *loinc;
};

struct map_row {
    const char *sender, *system, *code, *unit; /* "" = any */
    const char *meaning;                       /* of a field row, else NULL */
    const struct codemap_item *item;
    size_t order;
};

struct codemap {
    struct report_arena *arena; /* all texts */
    struct catalog_row *rows;
    size_t row_count;
    const struct catalog_row **by_code, **by_loinc;
    size_t loinc_count;
    struct map_row *map;
    size_t map_count;
};

/* Columns of a header, by name. */
struct columns {
    const char *const *names;
    size_t count;
    int32_t at[8]; /* index of the cell, -1 = not there */
};

static void
read_header(const struct csv_row *r, struct columns *c)
{
    for (size_t k = 0; k < c->count; k++) {
        c->at[k] = -1;
        for (size_t i = 0; i < r->count; i++) {
            if (text_is_nocase(r->cells[i], c->names[k])) {
                c->at[k] = (int32_t)i;
            }
        }
    }
}

static struct view
cell(const struct csv_row *r, const struct columns *c, size_t k)
{
    static const uint8_t nothing[1];
    if (c->at[k] < 0 || (size_t)c->at[k] >= r->count) {
        return (struct view){nothing, 0};
    }
    return r->cells[c->at[k]];
}

/* ---- the catalog ---- */

static const char *const catalog_names[] = {"number", "code", "kind", "name_zh", "loinc"};

struct catalog_reader {
    struct codemap *m;
    struct columns columns;
    size_t room;
    bool header_read;
};

static enum status
take_catalog_row(void *user, const struct csv_row *r)
{
    struct catalog_reader *reader = user;
    struct codemap *m = reader->m;
    if (!reader->header_read) {
        reader->header_read = true;
        read_header(r, &reader->columns);
        for (size_t k = 0; k < reader->columns.count; k++) {
            if (reader->columns.at[k] < 0) {
                return STATUS_MALFORMED;
            }
        }
        return STATUS_OK;
    }
    if (m->row_count == CATALOG_ROWS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (m->row_count == reader->room) {
        size_t room = reader->room == 0 ? 256 : reader->room * 2;
        struct catalog_row *larger = realloc(m->rows, room * sizeof *larger);
        if (larger == NULL) {
            return STATUS_NO_MEMORY;
        }
        m->rows = larger;
        reader->room = room;
    }
    struct catalog_row *row = &m->rows[m->row_count];
    *row = (struct catalog_row){0};
    struct view kind = cell(r, &reader->columns, 2);
    row->item.kind = text_is(kind, "lab")         ? "laboratory"
                     : text_is(kind, "imaging")   ? "imaging"
                     : text_is(kind, "pathology") ? "pathology"
                                                  : NULL;
    if (row->item.kind == NULL ||
        !text_to_u32(cell(r, &reader->columns, 0), &row->item.number)) {
        return STATUS_MALFORMED;
    }
    row->item.code = report_text(m->arena, cell(r, &reader->columns, 1));
    row->item.name = report_text(m->arena, cell(r, &reader->columns, 3));
    row->loinc = report_text(m->arena, cell(r, &reader->columns, 4));
    m->row_count++;
    return STATUS_OK;
}

static int
compare_code(const void *a, const void *b)
{
    const struct catalog_row *const *x = a, *const *y = b;
    return strcmp((*x)->item.code, (*y)->item.code);
}

static int
compare_loinc(const void *a, const void *b)
{
    const struct catalog_row *const *x = a, *const *y = b;
    return strcmp((*x)->loinc, (*y)->loinc);
}

enum status
codemap_new(struct view catalog, struct codemap **out)
{
    struct csv_error error;
    struct codemap *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m == NULL || (m->arena = report_arena_new(MAP_BYTES_MAX)) == NULL) {
        codemap_free(m);
        return STATUS_NO_MEMORY;
    }
    struct catalog_reader reader = {
        .m = m,
        .columns = {.names = catalog_names,
                    .count = sizeof catalog_names / sizeof catalog_names[0]},
    };
    enum status st = csv_read(catalog, ',', take_catalog_row, &reader, &error);
    if (st == STATUS_OK && m->row_count == 0) {
        st = STATUS_MALFORMED;
    }
    if (st == STATUS_OK) {
        m->by_code = calloc(m->row_count, sizeof *m->by_code);
        m->by_loinc = calloc(m->row_count, sizeof *m->by_loinc);
        st = m->by_code == NULL || m->by_loinc == NULL || report_arena_failed(m->arena)
                 ? STATUS_NO_MEMORY
                 : STATUS_OK;
    }
    if (st != STATUS_OK) {
        codemap_free(m);
        return st;
    }
    for (size_t i = 0; i < m->row_count; i++) {
        m->by_code[i] = &m->rows[i];
        if (m->rows[i].loinc[0] != '\0') {
            m->by_loinc[m->loinc_count++] = &m->rows[i];
        }
    }
    qsort(m->by_code, m->row_count, sizeof *m->by_code, compare_code);
    qsort(m->by_loinc, m->loinc_count, sizeof *m->by_loinc, compare_loinc);
    *out = m;
    return STATUS_OK;
}

void
codemap_free(struct codemap *m)
{
    if (m != NULL) {
        report_arena_free(m->arena);
        free(m->rows);
        free(m->by_code);
        free(m->by_loinc);
        free(m->map);
        free(m);
    }
}

/* Compare a text with a C string as strcmp would. */
static int
compare_text(struct view v, const char *s)
{
    size_t n = strlen(s);
    int c = memcmp(v.bytes, s, v.count < n ? v.count : n);
    return c != 0 ? c : v.count < n ? -1 : v.count > n ? 1 : 0;
}

static const struct codemap_item *
search(const struct catalog_row *const *list, size_t count, bool by_loinc, struct view key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = compare_text(key, by_loinc ? list[middle]->loinc : list[middle]->item.code);
        if (c == 0) {
            return &list[middle]->item;
        }
        if (c < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct codemap_item *
codemap_canonical(const struct codemap *m, struct view code)
{
    return search((const struct catalog_row *const *)m->by_code, m->row_count, false, code);
}

/* ---- the hospital's own rows ---- */

static const char *const map_names[] = {"sender", "system", "local_code", "item", "unit"};
enum { SENDER, SYSTEM, LOCAL_CODE, ITEM, UNIT };

struct map_reader {
    struct codemap *m;
    struct columns columns;
    struct map_row *rows;
    size_t count, room;
    bool header_read;
    struct codemap_error *error;
};

static bool
is_field_name(struct view v)
{
    static const char *const fields[] = {"PID-3", "OBX-11", "OBR-24", "MSH-7", "MSH-18"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (text_is(v, fields[i])) {
            return true;
        }
    }
    return false;
}

static const char *
copy_or_any(struct codemap *m, struct view v)
{
    return text_is(v, "*") ? "" : report_text(m->arena, v);
}

static enum status
refuse(struct map_reader *r, uint32_t row, const char *reason, struct view about)
{
    char shown[80];
    text_show(about, shown, sizeof shown);
    r->error->row = row;
    snprintf(r->error->reason, sizeof r->error->reason, "%s%s%s", reason,
             about.count > 0 ? ": " : "", about.count > 0 ? shown : "");
    return STATUS_MALFORMED;
}

static enum status
take_map_header(struct map_reader *reader, const struct csv_row *r)
{
    char missing[100] = "";
    read_header(r, &reader->columns);
    for (size_t k = 0; k < UNIT; k++) {
        if (reader->columns.at[k] < 0) {
            size_t n = strlen(missing);
            snprintf(missing + n, sizeof missing - n, "%s%s", n == 0 ? "" : ", ", map_names[k]);
        }
    }
    if (missing[0] != '\0') {
        return refuse(reader, r->line, "the header has no column", text_view(missing));
    }
    return STATUS_OK;
}

static enum status
take_map_row(void *user, const struct csv_row *r)
{
    struct map_reader *reader = user;
    const struct columns *c = &reader->columns;
    if (r->cells[0].count > 0 && r->cells[0].bytes[0] == '#') {
        return STATUS_OK;
    }
    if (!reader->header_read) {
        reader->header_read = true;
        return take_map_header(reader, r);
    }
    if (reader->m->map_count + reader->count >= CODEMAP_ROWS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (reader->count == reader->room) {
        size_t room = reader->room == 0 ? 64 : reader->room * 2;
        struct map_row *larger = realloc(reader->rows, room * sizeof *larger);
        if (larger == NULL) {
            return STATUS_NO_MEMORY;
        }
        reader->rows = larger;
        reader->room = room;
    }
    struct view item = cell(r, c, ITEM), system = cell(r, c, SYSTEM);
    struct map_row row = {.order = reader->m->map_count + reader->count};
    if (is_field_name(system)) {
        if (item.count == 0) {
            return refuse(reader, r->line, "no meaning in the column item", system);
        }
        row.meaning = report_text(reader->m->arena, item);
    } else {
        row.item = codemap_canonical(reader->m, item);
        if (row.item == NULL) {
            return refuse(reader, r->line, "the catalog has no item of this code", item);
        }
        if (cell(r, c, LOCAL_CODE).count == 0) {
            return refuse(reader, r->line, "no local code for this item", item);
        }
    }
    row.sender = copy_or_any(reader->m, cell(r, c, SENDER));
    row.system = copy_or_any(reader->m, system);
    row.code = report_text(reader->m->arena, cell(r, c, LOCAL_CODE));
    row.unit = copy_or_any(reader->m, cell(r, c, UNIT));
    reader->rows[reader->count++] = row;
    return STATUS_OK;
}

static int
compare_map(const void *a, const void *b)
{
    const struct map_row *x = a, *y = b;
    int c = strcmp(x->code, y->code);
    return c != 0 ? c : x->order < y->order ? -1 : x->order > y->order ? 1 : 0;
}

enum status
codemap_add(struct codemap *m, struct view csv, struct codemap_error *error)
{
    struct csv_error bad = {0};
    struct charset_choice choice;
    size_t count = 0;
    *error = (struct codemap_error){0};
    if (csv.count > IMPORT_FILE_BYTES_MAX) {
        snprintf(error->reason, sizeof error->reason, "is larger than a code map may be");
        return STATUS_TOO_BIG;
    }
    uint8_t *text = malloc(csv.count * 3 + 1);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct map_reader reader = {
        .m = m,
        .columns = {.names = map_names, .count = sizeof map_names / sizeof map_names[0]},
        .error = error,
    };
    enum status st = charset_decode(csv, CHARSET_NONE, CHARSET_NONE, text, &count, &choice);
    if (st != STATUS_OK) {
        snprintf(error->reason, sizeof error->reason, "is neither UTF-8 nor GB 18030");
        st = STATUS_MALFORMED;
        goto cleanup;
    }
    struct view utf8 = {text, count};
    st = csv_read(utf8, csv_delimiter(utf8), take_map_row, &reader, &bad);
    if (st == STATUS_OK && !reader.header_read) {
        st = refuse(&reader, 0, "is empty: a code map begins with a header", text_view(""));
    }
    if (st != STATUS_OK) {
        if (error->reason[0] == '\0') {
            error->row = bad.line;
            snprintf(error->reason, sizeof error->reason, "%s", bad.reason);
        }
        goto cleanup;
    }
    if (reader.count > 0) {
        struct map_row *all = realloc(m->map, (m->map_count + reader.count) * sizeof *all);
        if (all == NULL || report_arena_failed(m->arena)) {
            m->map = all == NULL ? m->map : all;
            st = STATUS_NO_MEMORY;
            goto cleanup;
        }
        memcpy(all + m->map_count, reader.rows, reader.count * sizeof *all);
        m->map = all;
        m->map_count += reader.count;
        qsort(m->map, m->map_count, sizeof *m->map, compare_map);
    }
cleanup:
    free(reader.rows);
    free(text);
    return st;
}

/* ---- looking up ---- */

static bool
sender_matches(const struct codemap_sender *s, const char *name)
{
    for (size_t i = 0; i < sizeof s->names / sizeof s->names[0]; i++) {
        if (s->names[i].count > 0 && text_is(s->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* The best row of a code: 0 = does not hold, else higher is better. */
static unsigned
score(const struct map_row *row, const struct codemap_sender *sender, struct view system,
      struct view unit)
{
    unsigned s = 1;
    if (row->sender[0] != '\0') {
        if (!sender_matches(sender, row->sender)) {
            return 0;
        }
        s += 4;
    }
    if (row->system[0] != '\0') {
        if (!text_is_nocase(system, row->system)) {
            return 0;
        }
        s += 2;
    }
    if (row->unit[0] != '\0') {
        if (!text_is_nocase(unit, row->unit)) {
            return 0;
        }
        s += 1;
    }
    return s;
}

static const struct map_row *
find_row(const struct codemap *m, const struct codemap_sender *sender, struct view system,
         struct view code, struct view unit, bool field)
{
    const struct map_row *best = NULL;
    unsigned best_score = 0;
    size_t low = 0, high = m->map_count;
    while (low < high) { /* the first row that is not before `code` */
        size_t middle = low + (high - low) / 2;
        if (compare_text(code, m->map[middle].code) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < m->map_count && compare_text(code, m->map[low].code) == 0; low++) {
        const struct map_row *row = &m->map[low];
        unsigned s = (row->meaning != NULL) == field ? score(row, sender, system, unit) : 0;
        if (s > 0 && s >= best_score) {
            best = row;
            best_score = s;
        }
    }
    return best;
}

const struct codemap_item *
codemap_find(const struct codemap *m, const struct codemap_sender *sender, struct view system,
             struct view code, struct view unit)
{
    if (code.count == 0) {
        return NULL;
    }
    const struct map_row *row = find_row(m, sender, system, code, unit, false);
    if (row != NULL) {
        return row->item;
    }
    bool loinc = system.count == 0 || text_is_nocase(system, "LN") ||
                 text_is_nocase(system, "LOINC") || text_is(system, "http://loinc.org") ||
                 text_is(system, "2.16.840.1.113883.6.1");
    if (loinc && identifier_loinc_is_right(code)) {
        return search((const struct catalog_row *const *)m->by_loinc, m->loinc_count, true,
                      code);
    }
    return codemap_canonical(m, code);
}

const char *
codemap_field(const struct codemap *m, const struct codemap_sender *sender, const char *field,
              struct view value)
{
    const struct map_row *row =
        find_row(m, sender, text_view(field), value, text_view(""), true);
    return row == NULL || strcmp(row->system, field) != 0 ? NULL : row->meaning;
}

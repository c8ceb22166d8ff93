#include "node/policy_annex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/pack_csv.h"

struct entry {
    uint32_t number; /* of the item in the catalog */
    size_t line;
    struct policy_annex_row row;
};

struct policy_annex {
    const struct hr_catalog *catalog;
    size_t count;
    struct entry entries[]; /* by number, rising */
};

static int
compare(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Empty: no limit; else a plain decimal. */
static bool
read_limit(const char *text, struct policy_annex_row *row)
{
    size_t size = strlen(text);
    row->limited = size > 0;
    row->limit_days = 0;
    if (size > 5 || (size > 1 && text[0] == '0') || strspn(text, "0123456789") != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        row->limit_days = row->limit_days * 10 + (text[i] - '0');
    }
    return row->limit_days <= ANNEX_LIMIT_DAYS_MAX;
}

static const char *
read_entry(const struct pack_csv *csv, const size_t columns[3], size_t row,
           const struct hr_catalog *catalog, struct entry *out)
{
    const char *code = pack_csv_cell(csv, row, columns[0]);
    const struct hr_item *item =
        hr_catalog_by_code(catalog, (struct hr_text){code, strlen(code)});
    if (item == NULL) {
        return "item is not in the catalog";
    }
    if (!read_limit(pack_csv_cell(csv, row, columns[1]), &out->row)) {
        return "limit_days is not a plain number of days";
    }
    if (pack_csv_cell(csv, row, columns[2])[0] == '\0') {
        return "item has no citation";
    }
    out->number = item->number;
    out->line = csv->lines[row];
    out->row.listed = true;
    return NULL;
}

static const char *
read_entries(const struct pack_csv *csv, const struct hr_catalog *catalog,
             struct policy_annex *annex, size_t *line)
{
    static const char *const names[] = {"code", "limit_days", "citation"};
    size_t columns[3];
    *line = 1;
    for (size_t i = 0; i < 3; i++) {
        columns[i] = pack_csv_column(csv, names[i]);
        if (columns[i] == SIZE_MAX) {
            return "the columns code, limit_days and citation are needed";
        }
    }
    for (size_t row = 1; row < csv->row_count; row++) {
        *line = csv->lines[row];
        const char *bad = read_entry(csv, columns, row, catalog, &annex->entries[row - 1]);
        if (bad != NULL) {
            return bad;
        }
        annex->count++;
    }
    qsort(annex->entries, annex->count, sizeof *annex->entries, compare);
    for (size_t i = 1; i < annex->count; i++) {
        if (annex->entries[i].number == annex->entries[i - 1].number) {
            size_t a = annex->entries[i].line;
            size_t b = annex->entries[i - 1].line;
            *line = a > b ? a : b;
            return "an item stands twice";
        }
    }
    return NULL;
}

enum status
policy_annex_load(struct view data, const char *name, const struct hr_catalog *catalog,
                  struct policy_annex **out, char *error, size_t error_bytes)
{
    struct pack_csv csv;
    size_t line = 0;
    *out = NULL;
    enum status st = pack_csv_read(data, name, &csv, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    struct policy_annex *annex =
        calloc(1, sizeof *annex + csv.row_count * sizeof(struct entry));
    if (annex == NULL) {
        pack_csv_free(&csv);
        return STATUS_NO_MEMORY;
    }
    annex->catalog = catalog;
    const char *bad = read_entries(&csv, catalog, annex, &line);
    pack_csv_free(&csv);
    if (bad != NULL) {
        snprintf(error, error_bytes, "%s:%zu: %s", name, line, bad);
        policy_annex_free(annex);
        return STATUS_MALFORMED;
    }
    *out = annex;
    return STATUS_OK;
}

void
policy_annex_free(struct policy_annex *annex)
{
    free(annex);
}

size_t
policy_annex_count(const struct policy_annex *annex)
{
    return annex->count;
}

struct policy_annex_row
policy_annex_find(const struct policy_annex *annex, struct hr_text code)
{
    const struct hr_item *item = hr_catalog_by_code(annex->catalog, code);
    struct entry wanted = {.number = item == NULL ? 0 : item->number};
    const struct entry *found =
        bsearch(&wanted, annex->entries, annex->count, sizeof *annex->entries, compare);
    return found == NULL ? (struct policy_annex_row){false, false, 0} : found->row;
}

void
policy_annex_add(struct policy_annex_row *all, struct policy_annex_row one)
{
    if (one.limited && (!all->limited || one.limit_days < all->limit_days)) {
        all->limited = true;
        all->limit_days = one.limit_days;
    }
    all->listed = all->listed || one.listed;
}

json_t *
policy_annex_json(struct policy_annex_row row)
{
    return json_pack("{s:b,s:o}", "listed", (int)row.listed, "limit_days",
                     row.limited ? json_integer(row.limit_days) : json_null());
}

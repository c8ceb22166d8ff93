#include "node/pack_csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "policy/catalog.h"
#include "proto/limits.h"

struct reader {
    struct pack_csv *out;
    size_t cell_count, cell_capacity, line_capacity;
    size_t in_row;
    uint32_t line, row_line;
    const char *bad;
    bool no_memory;
};

static void
on_field(void *field, size_t size, void *context)
{
    struct reader *r = context;
    if (r->bad != NULL || r->no_memory) {
        return;
    }
    if (r->in_row == PACK_CSV_COLUMNS_MAX || memchr(field == NULL ? "" : field, 0, size)) {
        r->bad = "too many columns, or a zero byte";
        return;
    }
    if (r->cell_count == r->cell_capacity) {
        size_t capacity = r->cell_capacity * 2 + 256;
        char **cells = realloc(r->out->cells, capacity * sizeof *cells);
        if (cells == NULL) {
            r->no_memory = true;
            return;
        }
        r->out->cells = cells;
        r->cell_capacity = capacity;
    }
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        r->no_memory = true;
        return;
    }
    if (size > 0) {
        memcpy(copy, field, size);
    }
    copy[size] = '\0';
    r->out->cells[r->cell_count++] = copy;
    r->in_row++;
}

static void
on_row(int end, void *context)
{
    struct reader *r = context;
    (void)end;
    if (r->bad != NULL || r->no_memory) {
        return;
    }
    if (r->out->row_count == 0) {
        r->out->column_count = r->in_row;
    }
    if (r->in_row != r->out->column_count) {
        r->bad = "row has another number of columns than the header";
        return;
    }
    if (r->out->row_count == PACK_CSV_ROWS_MAX) {
        r->bad = "too many rows";
        return;
    }
    if (r->out->row_count == r->line_capacity) {
        size_t capacity = r->line_capacity * 2 + 64;
        uint32_t *lines = realloc(r->out->lines, capacity * sizeof *lines);
        if (lines == NULL) {
            r->no_memory = true;
            return;
        }
        r->out->lines = lines;
        r->line_capacity = capacity;
    }
    r->out->lines[r->out->row_count++] = r->row_line;
    r->in_row = 0;
}

static const char *
parser_error(struct csv_parser *parser, struct reader *r)
{
    int why = csv_error(parser);
    r->no_memory = r->no_memory || why == CSV_ENOMEM;
    return csv_strerror(why);
}

/* libcsv is fed line by line, so that a row knows where it began. */
static const char *
feed(struct csv_parser *parser, struct reader *r, struct view data)
{
    size_t at = 0;
    if (data.count >= 3 && memcmp(data.bytes, "\xef\xbb\xbf", 3) == 0) {
        at = 3;
    }
    while (at < data.count && r->bad == NULL && !r->no_memory) {
        const uint8_t *newline = memchr(data.bytes + at, '\n', data.count - at);
        size_t end = newline == NULL ? data.count : (size_t)(newline - data.bytes) + 1;
        size_t rows = r->out->row_count;
        r->line++;
        if (r->in_row == 0) {
            r->row_line = r->line;
        }
        if (csv_parse(parser, data.bytes + at, end - at, on_field, on_row, r) != end - at) {
            return parser_error(parser, r);
        }
        if (r->out->row_count > rows) {
            r->row_line = r->line + 1;
        }
        at = end;
    }
    if (r->bad == NULL && csv_fini(parser, on_field, on_row, r) != 0) {
        return parser_error(parser, r);
    }
    return r->bad;
}

enum status
pack_csv_read(struct view data, const char *name, struct pack_csv *out, char *error,
              size_t error_bytes)
{
    struct csv_parser parser;
    struct reader r = {.out = out, .row_line = 1};
    memset(out, 0, sizeof *out);
    if (data.count > HR_PACK_TEXT_BYTES_MAX ||
        csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        snprintf(error, error_bytes, "%s: file is too long", name);
        return STATUS_MALFORMED;
    }
    const char *bad = feed(&parser, &r, data);
    csv_free(&parser);
    if (bad == NULL && out->row_count == 0 && !r.no_memory) {
        bad = "file is empty";
    }
    if (bad == NULL && !r.no_memory) {
        return STATUS_OK;
    }
    if (bad != NULL) {
        snprintf(error, error_bytes, "%s:%u: %s", name, (unsigned)r.row_line, bad);
    }
    out->column_count = 1; /* so that every cell read so far is freed */
    out->row_count = r.cell_count;
    pack_csv_free(out);
    return r.no_memory ? STATUS_NO_MEMORY : STATUS_MALFORMED;
}

void
pack_csv_free(struct pack_csv *csv)
{
    for (size_t i = 0; csv->cells != NULL && i < csv->row_count * csv->column_count; i++) {
        free(csv->cells[i]);
    }
    free(csv->cells);
    free(csv->lines);
    memset(csv, 0, sizeof *csv);
}

size_t
pack_csv_column(const struct pack_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->column_count; i++) {
        if (strcmp(csv->cells[i], name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

const char *
pack_csv_cell(const struct pack_csv *csv, size_t row, size_t column)
{
    return column == SIZE_MAX ? "" : csv->cells[row * csv->column_count + column];
}

/* ---- the catalog ----------------------------------------------------------- */

/* Columns by name; false, with a message, when one is missing. */
static bool
find_columns(const struct pack_csv *csv, const char *name, const char *const *wanted,
             size_t count, size_t *columns, char *error, size_t error_bytes)
{
    for (size_t i = 0; i < count; i++) {
        columns[i] = pack_csv_column(csv, wanted[i]);
        if (columns[i] == SIZE_MAX) {
            snprintf(error, error_bytes, "%s:1: there is no column '%s'", name, wanted[i]);
            return false;
        }
    }
    return true;
}

static enum status
compile_items(struct view data, struct pack_text *out, char *error, size_t error_bytes)
{
    static const char *const wanted[] = {"number",  "code",    "kind",     "category",
                                         "name_zh", "name_en", "abbr",     "loinc",
                                         "side",    "site",    "sensitive"};
    enum { COLUMNS = sizeof wanted / sizeof wanted[0] };
    size_t columns[COLUMNS];
    struct pack_csv csv;
    enum status st = pack_csv_read(data, "catalog.csv", &csv, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    if (!find_columns(&csv, "catalog.csv", wanted, COLUMNS, columns, error, error_bytes)) {
        st = STATUS_MALFORMED;
    }
    for (size_t row = 1; st == STATUS_OK && row < csv.row_count; row++) {
        pack_text_field(out, "item");
        for (size_t i = 0; i < COLUMNS; i++) {
            pack_text_field(out, pack_csv_cell(&csv, row, columns[i]));
        }
        pack_text_end_line(out, csv.lines[row]);
    }
    pack_csv_free(&csv);
    return st;
}

struct sorted_row {
    const char *from, *to;
    size_t relation, row;
};

static int
compare_rows(const void *a, const void *b)
{
    const struct sorted_row *x = a;
    const struct sorted_row *y = b;
    int order = strcmp(x->from, y->from);
    if (order == 0) {
        order = (x->relation > y->relation) - (x->relation < y->relation);
    }
    return order != 0 ? order : strcmp(x->to, y->to);
}

static size_t
relation_number(const char *name)
{
    size_t i = 0;
    while (i < RELATION_COUNT && strcmp(hr_relation_names[i], name) != 0) {
        i++;
    }
    return i;
}

static enum status
compile_relations(struct view data, struct pack_text *out, char *error, size_t error_bytes)
{
    static const char *const wanted[] = {"code_a", "relation", "code_b"};
    size_t columns[3];
    struct pack_csv csv;
    enum status st = pack_csv_read(data, "catalog-relations.csv", &csv, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    struct sorted_row *rows = calloc(csv.row_count, sizeof *rows);
    if (rows == NULL) {
        st = STATUS_NO_MEMORY;
        goto cleanup;
    }
    if (!find_columns(&csv, "catalog-relations.csv", wanted, 3, columns, error, error_bytes)) {
        st = STATUS_MALFORMED;
        goto cleanup;
    }
    for (size_t i = 1; i < csv.row_count; i++) {
        rows[i - 1] = (struct sorted_row){
            pack_csv_cell(&csv, i, columns[0]), pack_csv_cell(&csv, i, columns[2]),
            relation_number(pack_csv_cell(&csv, i, columns[1])), i};
    }
    qsort(rows, csv.row_count - 1, sizeof *rows, compare_rows);
    for (size_t i = 0; i + 1 < csv.row_count; i++) {
        pack_text_field(out, "relation");
        for (size_t c = 0; c < 3; c++) {
            pack_text_field(out, pack_csv_cell(&csv, rows[i].row, columns[c]));
        }
        pack_text_end_line(out, csv.lines[rows[i].row]);
    }
cleanup:
    free(rows);
    pack_csv_free(&csv);
    return st;
}

enum status
catalog_compile(struct view items, struct view relations, struct pack_text *out, char *error,
                size_t error_bytes)
{
    memset(out, 0, sizeof *out);
    pack_text_field(out, "huren catalog 1");
    pack_text_end_line(out, 0);
    enum status st = compile_items(items, out, error, error_bytes);
    if (st == STATUS_OK) {
        st = compile_relations(relations, out, error, error_bytes);
    }
    if (st == STATUS_OK && out->failed) {
        st = STATUS_NO_MEMORY;
    }
    if (st != STATUS_OK) {
        pack_text_free(out);
    }
    return st;
}

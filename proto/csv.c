#include "proto/csv.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/text.h"

enum {
    CELLS_FIRST_BYTES = 1024,
    CELL_BLOCK_BYTES = 64 * 1024
}; /* libcsv grows by 128 bytes otherwise */

struct reader {
    enum status (*row)(void *user, const struct csv_row *r);
    void *user;
    enum status status;
    uint32_t row_line;
    const uint8_t *row_start, *row_end;
    uint8_t *bytes; /* the cells of the row, one after another */
    size_t used, room, count;
    size_t starts[CSV_COLUMNS_MAX + 1];
    struct view cells[CSV_COLUMNS_MAX];
    bool row_done; /* the line just read completed its row */
};

static void
take_cell(void *cell, size_t n, void *user)
{
    struct reader *r = user;
    if (r->status != STATUS_OK) {
        return;
    }
    if (r->count == CSV_COLUMNS_MAX || n > CSV_CELL_BYTES_MAX) {
        r->status = STATUS_TOO_BIG;
        return;
    }
    if (n > r->room - r->used) {
        size_t room = (r->room + n) * 2;
        uint8_t *larger = realloc(r->bytes, room);
        if (larger == NULL) {
            r->status = STATUS_NO_MEMORY;
            return;
        }
        r->bytes = larger;
        r->room = room;
    }
    if (n > 0) {
        memcpy(r->bytes + r->used, cell, n);
    }
    r->used += n;
    r->count++;
    r->starts[r->count] = r->used;
}

static void
take_row(int end, void *user)
{
    struct reader *r = user;
    (void)end;
    r->row_done = true;
    if (r->status != STATUS_OK) {
        return;
    }
    size_t filled = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct view cell = {r->bytes + r->starts[i], r->starts[i + 1] - r->starts[i]};
        r->cells[i] = text_trim(cell);
        filled += r->cells[i].count;
    }
    if (filled > 0) {
        struct csv_row row = {.line = r->row_line,
                              .count = r->count,
                              .cells = r->cells,
                              .raw = {r->row_start, (size_t)(r->row_end - r->row_start)}};
        r->status = r->row(r->user, &row);
    }
    r->used = 0;
    r->count = 0;
}

/* Length of the first line with its end: LF, CR or CRLF. */
static size_t
line_length(struct view v)
{
    for (size_t i = 0; i < v.count; i++) {
        if (v.bytes[i] == '\n') {
            return i + 1;
        }
        if (v.bytes[i] == '\r') {
            return i + 1 < v.count && v.bytes[i + 1] == '\n' ? i + 2 : i + 1;
        }
    }
    return v.count;
}

enum status
csv_read(struct view text, char delimiter,
         enum status (*row)(void *user, const struct csv_row *r), void *user,
         struct csv_error *error)
{
    struct csv_parser parser;
    struct reader *r = calloc(1, sizeof *r);
    *error = (struct csv_error){0};
    if (r == NULL || (r->bytes = malloc(CELLS_FIRST_BYTES)) == NULL ||
        csv_init(&parser, 0) != 0) {
        free(r != NULL ? r->bytes : NULL);
        free(r);
        return STATUS_NO_MEMORY;
    }
    r->room = CELLS_FIRST_BYTES;
    csv_set_delim(&parser, (unsigned char)delimiter);
    csv_set_blk_size(&parser, CELL_BLOCK_BYTES);
    r->row = row;
    r->user = user;
    uint32_t line = 0;
    size_t open_bytes = 0; /* of a row that a quote carries over a line end */
    while (text.count > 0 && r->status == STATUS_OK) {
        struct view one = {text.bytes, line_length(text)};
        line++;
        if (open_bytes == 0) {
            r->row_line = line;
            r->row_start = one.bytes;
        }
        r->row_end = one.bytes + one.count;
        r->row_done = false;
        if (csv_parse(&parser, one.bytes, one.count, take_cell, take_row, r) != one.count) {
            r->status = csv_error(&parser) == CSV_ENOMEM ? STATUS_NO_MEMORY : STATUS_MALFORMED;
        }
        /* libcsv passes over an empty line without a word. */
        bool between = r->row_done || (open_bytes == 0 && text_trim(one).count == 0);
        open_bytes = between ? 0 : open_bytes + one.count;
        if (open_bytes > (size_t)CSV_CELL_BYTES_MAX * 4 && r->status == STATUS_OK) {
            r->status = STATUS_TOO_BIG;
        }
        text.bytes += one.count;
        text.count -= one.count;
    }
    if (r->status == STATUS_OK &&
        open_bytes > 0) { /* the last line had no end, or a quote is open */
        r->row_done = false;
        (void)csv_parse(&parser, "\n", 1, take_cell, take_row, r);
        r->status = r->status == STATUS_OK && !r->row_done ? STATUS_MALFORMED : r->status;
    }
    error->line = r->row_line;
    error->reason = r->status == STATUS_MALFORMED ? "a quoted cell is never closed; the rows "
                                                    "from here on were not read"
                    : r->status == STATUS_TOO_BIG ? "too many cells, or a cell is too long"
                                                  : status_text(r->status);
    enum status st = r->status;
    csv_free(&parser);
    free(r->bytes);
    free(r);
    return st;
}

char
csv_delimiter(struct view text)
{
    static const char marks[] = {',', ';', '\t'};
    size_t counts[3] = {0}, best = 0;
    bool quoted = false;
    for (size_t i = 0;
         i < text.count && (quoted || (text.bytes[i] != '\n' && text.bytes[i] != '\r')); i++) {
        quoted = quoted != (text.bytes[i] == '"');
        for (size_t k = 0; k < 3 && !quoted; k++) {
            counts[k] += text.bytes[i] == (uint8_t)marks[k];
        }
    }
    for (size_t k = 1; k < 3; k++) {
        best = counts[k] > counts[best] ? k : best;
    }
    return marks[best];
}

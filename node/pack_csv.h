/* pack_csv.h: CSV tables of catalog and packs, and the compiled catalog.
 * Source: RFC 4180; the first row names the columns.  Pure. */
#ifndef NODE_PACK_CSV_H
#define NODE_PACK_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "node/pack_text.h"
#include "proto/status.h"
#include "proto/view.h"

enum { PACK_CSV_COLUMNS_MAX = 32, PACK_CSV_ROWS_MAX = 100000 };

/* A table read whole.  Zero it; free it with pack_csv_free. */
struct pack_csv {
    size_t column_count, row_count;
    char **cells;    /* row_count * column_count texts; the first row is the header */
    uint32_t *lines; /* for each row, its line in the file, from 1 */
};

/* Read a table: UTF-8 (a byte order mark is skipped), all rows as long as the
 * header.  `name` is the file in messages.
 *
 * STATUS_MALFORMED  with "name:line: reason" in `error`.
 * STATUS_NO_MEMORY  as it says. */
MUST_USE enum status pack_csv_read(struct view data, const char *name, struct pack_csv *out,
                                   char *error, size_t error_bytes);
void pack_csv_free(struct pack_csv *csv);
/* Column of this name, SIZE_MAX when there is none. */
size_t pack_csv_column(const struct pack_csv *csv, const char *name);
/* Cell of a row (0 is the header) and column; "" when the column is SIZE_MAX. */
const char *pack_csv_cell(const struct pack_csv *csv, size_t row, size_t column);

/* Compile catalog.csv and catalog-relations.csv.  Statuses as above. */
MUST_USE enum status catalog_compile(struct view items, struct view relations,
                                     struct pack_text *out, char *error, size_t error_bytes);

#endif

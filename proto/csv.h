/* csv.h: rows of a CSV file, over libcsv.
 * Source: RFC 4180, with what spreadsheets write: any line end, comma, semicolon
 * or tab.  Pure.  The text must be UTF-8 (proto/charset.h comes first). */
#ifndef PROTO_CSV_H
#define PROTO_CSV_H

#include "proto/status.h"
#include "proto/view.h"

struct csv_row {
    uint32_t line;            /* line of the file where the row begins, from 1 */
    size_t count;             /* cells */
    const struct view *cells; /* blanks at their ends are gone; valid in the callback */
    struct view raw;          /* the row as it stands in the text */
};

struct csv_error {
    uint32_t line;
    const char *reason; /* static */
};

/* Call `row` for each row that is not empty.  Anything but STATUS_OK from it ends
 * the reading with that status.
 *
 * STATUS_OK        read to the end.
 * STATUS_MALFORMED a quote is never closed; *error says where it began.
 * STATUS_TOO_BIG   more than CSV_COLUMNS_MAX cells or a cell above
 *                  CSV_CELL_BYTES_MAX; *error says where.
 * STATUS_NO_MEMORY */
MUST_USE enum status csv_read(struct view text, char delimiter,
                              enum status (*row)(void *user, const struct csv_row *r),
                              void *user, struct csv_error *error);

/* Comma, semicolon or tab: whichever the first line holds most of, outside quotes. */
char csv_delimiter(struct view text);

#endif

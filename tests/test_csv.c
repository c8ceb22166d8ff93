/* Goal: rows and cells come out as the spreadsheet meant them, with their lines.
 * Method: small files with every form of quoting and line end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/csv.h"
#include "proto/limits.h"
#include "proto/text.h"

static char seen[4096];

static enum status
note(void *user, const struct csv_row *r)
{
    size_t n = strlen(seen);
    (void)user;
    n += (size_t)snprintf(seen + n, sizeof seen - n, "%u:", (unsigned)r->line);
    for (size_t i = 0; i < r->count; i++) {
        n += (size_t)snprintf(seen + n, sizeof seen - n, "[%.*s]", (int)r->cells[i].count,
                              (const char *)r->cells[i].bytes);
    }
    snprintf(seen + n, sizeof seen - n, " ");
    return STATUS_OK;
}

static enum status
read_text(const char *text, char delimiter)
{
    struct csv_error e;
    seen[0] = '\0';
    return csv_read(text_view(text), delimiter, note, NULL, &e);
}

static void
test_rows_know_the_line_where_they_begin(void **state)
{
    (void)state;
    assert_int_equal(read_text("a,b\r\n\r\n1,\"x\n\ny\",3\n  \n\"q\"\"q\",,\r2", ','),
                     STATUS_OK);
    assert_string_equal(seen, "1:[a][b] 3:[1][x\n\ny][3] 7:[q\"q][][] 8:[2] ");
}

static void
test_blanks_around_cells_and_empty_rows_are_gone(void **state)
{
    (void)state;
    assert_int_equal(read_text(" a ,\xE3\x80\x80"
                               "b\xE3\x80\x80\n,,\n\nc\n",
                               ','),
                     STATUS_OK);
    assert_string_equal(seen, "1:[a][b] 4:[c] ");
    assert_int_equal(read_text(",\n", ','), STATUS_OK);
    assert_string_equal(seen, "");
}

static void
test_other_delimiters_are_found_in_the_header(void **state)
{
    (void)state;
    assert_int_equal(csv_delimiter(text_view("a,b;c,d\n;;;;")), ',');
    assert_int_equal(csv_delimiter(text_view("a;b;c\n")), ';');
    assert_int_equal(csv_delimiter(text_view("a\t\"b,c,d\"\tc\n")), '\t');
    assert_int_equal(csv_delimiter(text_view("")), ',');
    assert_int_equal(read_text("a\tb\n", '\t'), STATUS_OK);
    assert_string_equal(seen, "1:[a][b] ");
}

static void
test_an_open_quote_is_reported_with_its_line(void **state)
{
    (void)state;
    struct csv_error e;
    seen[0] = '\0';
    assert_int_equal(csv_read(text_view("a\nb\n\"c\nd\ne\n"), ',', note, NULL, &e),
                     STATUS_MALFORMED);
    assert_int_equal(e.line, 3);
    assert_string_equal(seen, "1:[a] 2:[b] ");
}

static void
test_limits_hold(void **state)
{
    (void)state;
    struct csv_error e;
    size_t n = CSV_COLUMNS_MAX + 8;
    char *many = malloc(n);
    memset(many, ',', n);
    seen[0] = '\0';
    assert_int_equal(csv_read((struct view){(const uint8_t *)many, n}, ',', note, NULL, &e),
                     STATUS_TOO_BIG);
    free(many);
    n = CSV_CELL_BYTES_MAX + 2;
    many = malloc(n);
    memset(many, 'x', n);
    assert_int_equal(csv_read((struct view){(const uint8_t *)many, n}, ',', note, NULL, &e),
                     STATUS_TOO_BIG);
    free(many);
}

static enum status
refuse(void *user, const struct csv_row *r)
{
    (*(int *)user)++;
    return r->line == 2 ? STATUS_REFUSED : STATUS_OK;
}

static void
test_the_callback_can_end_the_reading(void **state)
{
    (void)state;
    struct csv_error e;
    int rows = 0;
    assert_int_equal(csv_read(text_view("a\nb\nc\n"), ',', refuse, &rows, &e), STATUS_REFUSED);
    assert_int_equal(rows, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_know_the_line_where_they_begin),
        cmocka_unit_test(test_blanks_around_cells_and_empty_rows_are_gone),
        cmocka_unit_test(test_other_delimiters_are_found_in_the_header),
        cmocka_unit_test(test_an_open_quote_is_reported_with_its_line),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_the_callback_can_end_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

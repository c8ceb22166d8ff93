/* charter_quality_io.c: the rows of quality, from a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_source_io.h"
#include "node/origin.h"
#include "node/pack_csv.h"
#include "proto/charter.pb-c.h"

enum { TABLE_BYTES_MAX = 16 * 1024 * 1024 };

static Hr__QualityRow *
quality_row(struct charter_source *s, const char *institution, const char *item)
{
    for (size_t i = s->row_count; i-- > 0;) { /* tables come sorted: the last fits mostly */
        Hr__QualityRow *q = (Hr__QualityRow *)s->rows[i];
        if (strcmp(q->institution, institution) == 0 && strcmp(q->item, item) == 0) {
            return q;
        }
        if (i + 64 < s->row_count && s->row_count > 20000) {
            break; /* a table of that size has to be sorted; a second row is refused later */
        }
    }
    Hr__QualityRow *row = source_alloc(s, sizeof *row);
    if (row == NULL) {
        return NULL;
    }
    hr__quality_row__init(row);
    row->institution = source_text(s, institution);
    row->item = source_text(s, item);
    if (row->institution == NULL || row->item == NULL) {
        return NULL;
    }
    enum status st = source_add(s, &row->base, institution);
    return st == STATUS_OK ? row : NULL;
}

/* Append to an array of pointers of the arena, which cannot grow in place. */
static void *
append_pointer(struct charter_source *s, void *array, size_t count, void *element)
{
    void **old = array;
    if ((count & (count + 1)) == 0 || count == 0) { /* 0, 1, 3, 7 ...: room for 2n + 1 */
        void **more = source_alloc(s, (2 * count + 2) * sizeof *more);
        if (more == NULL) {
            return NULL;
        }
        if (count > 0) {
            memcpy(more, old, count * sizeof *more);
        }
        old = more;
    }
    old[count] = element;
    return old;
}

static enum status
add_quality(struct charter_source *s, const char *const cells[5])
{
    char institution[INSTITUTION_CHARS_MAX + 1];
    const char *item = cells[1], *organiser = cells[2], *date = cells[3];
    bool passed;
    enum status st;
    if (origin_fold_institution(cells[0], institution) != STATUS_OK) {
        return source_fail(s, STATUS_MALFORMED, NULL, NULL, "institution '%s' is not a code",
                           cells[0]);
    }
    if ((st = source_yes_no(s, NULL, "passed", cells[4], false, &passed)) != STATUS_OK) {
        return st;
    }
    if (cells[4][0] == 0) {
        return source_fail(s, STATUS_MALFORMED, NULL, NULL, "passed is empty");
    }
    s->error[0] = 0;
    Hr__QualityRow *q = quality_row(s, institution, item);
    if (q == NULL) {
        return s->error[0] != 0 ? STATUS_MALFORMED : source_no_memory(s);
    }
    if (strcmp(organiser, "inspection") == 0) {
        uint64_t year;
        if ((st = source_number(s, NULL, "year", date, 9999, &year)) != STATUS_OK) {
            return st;
        }
        if (!passed && year > q->inspection_failed_year) {
            q->inspection_failed_year = (uint32_t)year; /* the latest counts */
        }
    } else if (strcmp(organiser, "half_year") == 0) {
        Hr__HalfYear *h = source_alloc(s, sizeof *h);
        if (h == NULL) {
            return source_no_memory(s);
        }
        hr__half_year__init(h);
        h->half = source_text(s, date);
        h->passed = passed;
        q->institution_halves =
            append_pointer(s, q->institution_halves, q->n_institution_halves, h);
        q->n_institution_halves++;
        if (h->half == NULL || q->institution_halves == NULL) {
            return source_no_memory(s);
        }
    } else {
        Hr__Round *r = source_alloc(s, sizeof *r);
        if (r == NULL) {
            return source_no_memory(s);
        }
        hr__round__init(r);
        r->organiser = source_text(s, organiser);
        r->date = source_text(s, date);
        r->passed = passed;
        q->rounds = append_pointer(s, q->rounds, q->n_rounds, r);
        q->n_rounds++;
        if (r->organiser == NULL || r->date == NULL || q->rounds == NULL) {
            return source_no_memory(s);
        }
    }
    /* Check it as it is now, so that the line of the mistake is known. */
    size_t kept = s->row_count;
    st = source_add(s, &q->base, institution);
    s->row_count = kept;
    return st;
}

enum status
charter_source_quality(struct charter_source *s)
{
    static const char *const columns[] = {"institution", "item", "organiser", "date", "passed"};
    struct pack_csv csv;
    size_t at[5];
    char error[CHARTER_SOURCE_ERROR_CHARS];
    uint8_t *bytes = NULL;
    struct view text = s->text;
    const char *name = s->o->path;
    enum status st;
    memset(&csv, 0, sizeof csv);
    if (s->y->csv != NULL) {
        name = s->y->csv;
        size_t count;
        if ((st = source_read(s, name, TABLE_BYTES_MAX, &bytes, &count)) != STATUS_OK) {
            return st;
        }
        text = (struct view){bytes, count};
    }
    st = pack_csv_read(text, name, &csv, error, sizeof error);
    if (st != STATUS_OK) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%.1000s", error);
        goto cleanup;
    }
    s->table_name = name;
    s->table_line = 1;
    for (size_t i = 0; i < 5; i++) {
        at[i] = pack_csv_column(&csv, columns[i]);
        if (at[i] == SIZE_MAX) {
            st = source_fail(
                s, STATUS_MALFORMED, NULL, NULL,
                "the first line names no column %s (there must be institution, item, "
                "organiser, date, passed)",
                columns[i]);
            goto cleanup;
        }
    }
    for (size_t row = 1; st == STATUS_OK && row < csv.row_count; row++) {
        const char *cells[5];
        for (size_t i = 0; i < 5; i++) {
            cells[i] = pack_csv_cell(&csv, row, at[i]);
        }
        s->table_line = csv.lines[row];
        st = add_quality(s, cells);
    }
cleanup:
    pack_csv_free(&csv);
    free(bytes);
    return st;
}

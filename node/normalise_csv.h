/* normalise_csv.h: the columns of a CSV file of results, by any of their names.
 * The table of names is the documented header (node/README.md, import --help). */
#ifndef NODE_NORMALISE_CSV_H
#define NODE_NORMALISE_CSV_H

#include <stdbool.h>
#include <stdio.h>

#include "proto/csv.h"
#include "proto/view.h"

enum csv_column {
    COLUMN_REPORT_ID,
    COLUMN_SPECIMEN_ID,
    COLUMN_KIND,
    COLUMN_STATUS,
    COLUMN_ORDER_STATUS,
    COLUMN_RESIDENT_CARD,
    COLUMN_IDENTIFIER_TYPE,
    COLUMN_IDENTIFIER,
    COLUMN_COUNTRY,
    COLUMN_PATIENT_ID,
    COLUMN_NAME,
    COLUMN_FAMILY_NAME,
    COLUMN_GIVEN_NAME,
    COLUMN_SEX,
    COLUMN_BIRTH_DATE,
    COLUMN_ITEM,
    COLUMN_LOCAL_CODE,
    COLUMN_SYSTEM,
    COLUMN_LOINC,
    COLUMN_ITEM_NAME,
    COLUMN_VALUE,
    COLUMN_OBSERVATION,
    COLUMN_UNIT,
    COLUMN_REFERENCE,
    COLUMN_REFERENCE_LOW,
    COLUMN_REFERENCE_HIGH,
    COLUMN_FLAGS,
    COLUMN_CRITICAL,
    COLUMN_EXAMINED_AT,
    COLUMN_REPORTED_AT,
    COLUMN_SPECIMEN,
    COLUMN_METHOD,
    COLUMN_DEVICE,
    COLUMN_NOTE,
    COLUMN_SERVICE,
    COLUMN_DEPARTMENT,
    COLUMN_PLACER_ID,
    COLUMN_ORDERER,
    COLUMN_AUTHOR,
    COLUMN_REVIEWER,
    COLUMN_FINDINGS,
    COLUMN_IMPRESSION,
    COLUMN_SIDE,
    COLUMN_BODY_SITE,
    COLUMN_STUDY_UID,
    COLUMN_ACCESSION,
    COLUMN_SENDER,
    COLUMN_PROCESSING,
    COLUMN_HELD,
    COLUMN_MARK,
    COLUMN_COUNT
};

struct csv_header {
    int32_t at[COLUMN_COUNT]; /* cell of each column, -1 = not there */
    size_t cells;
};

/* Read a header.  `unknown` gets the names that are not read, `missing` those
 * without which no row can be taken; both are cut at `cap` and empty if none.
 * False when something is missing. */
bool csv_header_read(const struct csv_row *row, struct csv_header *h, char *unknown,
                     char *missing, size_t cap);

/* The cell of a column; empty when it is not there or stands for nothing. */
struct view csv_cell(const struct csv_header *h, const struct csv_row *row, enum csv_column c);

/* One line for each column: its names, the first being ours; for help and README. */
void csv_header_describe(void (*line)(void *user, const char *text), void *user);

#endif

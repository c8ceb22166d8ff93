/* report_html.h: a report as one page of HTML, for paper and screen.
 *
 * Source: Hubei 2023 annex 3 (laboratory form, all its fields in their order);
 * Chuan-Yu 2022 annex 4 (what an imaging report states of the patient); policy
 * contract, "The mark" (text, place, row sign, footnote of each pack).
 *
 * Marks are those in report->marks and items[]->marks, which only the rules set
 * (marks.h).  What the source claims, also in front of a name, is listed below as a
 * claim.  The page is self-contained HTML5: UTF-8, inline style, no script, nothing
 * fetched; every text of the report is escaped, and characters that may not be shown are
 * written as <U+200E>.  Pure: bytes into the caller's memory. */
#ifndef NODE_REPORT_HTML_H
#define NODE_REPORT_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "proto/report.pb-c.h"
#include "proto/status.h"

/* Fields of the form that a report does not carry; empty on paper unless given. */
#define REPORT_FIELD_MAP(X)                                                                    \
    X(REPORT_PATIENT_ID, "patient_id")                                                         \
    X(REPORT_SAMPLE_NO, "sample_no")                                                           \
    X(REPORT_SAMPLE_BARCODE, "sample_barcode")                                                 \
    X(REPORT_BED_NO, "bed_no")                                                                 \
    X(REPORT_PATIENT_CLASS, "patient_class")                                                   \
    X(REPORT_CLINICAL_DIAGNOSIS, "clinical_diagnosis")                                         \
    X(REPORT_RECEIVED_AT, "received_at")
#define REPORT_FIELD_ENUM(name, key) name,
enum report_field { REPORT_FIELD_MAP(REPORT_FIELD_ENUM) REPORT_FIELD_COUNT };
#undef REPORT_FIELD_ENUM

/* The key as above, static; `field` below REPORT_FIELD_COUNT. */
const char *report_field_key(enum report_field field);

/* Why the page bears the marks that it bears. */
enum report_marks {
    REPORT_MARKS_DERIVED,   /* from the charter in hand */
    REPORT_MARKS_PUBLISHED, /* as they were when the report was published */
    REPORT_MARKS_NO_CHARTER /* none: marks need the charter */
};

struct report_form {
    const Hr__Report *report;
    const char *institution;          /* its name; "" when not known */
    const char *printed_at;           /* as it is to stand there */
    const struct hr_catalog *catalog; /* for abbreviations */
    const struct hr_mark *signs;      /* of hr_pack_mark: places and footnotes, */
    size_t sign_count;                /* packs in force first */
    enum report_marks marks;
    const char *hold; /* why it is not to be released, or NULL; then it bears no mark */
    const char *fields[REPORT_FIELD_COUNT]; /* NULL: not given */
};

/* What is written so far: bytes[0 .. count), at most `max`. */
struct report_page {
    uint8_t *bytes;
    size_t max, count;
    bool full; /* something did not fit */
};

/* Begin a document, add any number of forms (each begins on a new sheet), end it.
 * `title` is the title of the window.
 *
 * STATUS_OK       bytes[0 .. count) is the document.
 * STATUS_TOO_BIG  it did not fit. */
void report_page_begin(struct report_page *p, const char *title);
void report_page_form(struct report_page *p, const struct report_form *form);
MUST_USE enum status report_page_end(struct report_page *p);

#endif

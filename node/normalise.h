/* normalise.h: files of results -> normalised reports (hr.Report).
 * Source: INTERFACES.md sections 1 to 4; DESIGN.md sections 5 (identifiers) and
 * 13 (bad input).  Pure: bytes in, callbacks out; time comes in as an argument.
 *
 * One report for each patient and filler order number (OBR-3) of a message, or
 * for each report number of a CSV file.  A bad record never loses the others:
 * it comes out as a problem, with its bytes for the quarantine.  Nothing is
 * dropped in silence.  Reasons never hold values of a patient. */
#ifndef NODE_NORMALISE_H
#define NODE_NORMALISE_H

#include <stdbool.h>

#include "proto/limits.h"
#include "proto/report.pb-c.h"
#include "proto/status.h"
#include "proto/view.h"

struct codemap;

enum problem_kind {
    PROBLEM_REFUSED, /* the record (or file) gave no report; goes to quarantine */
    PROBLEM_IGNORED, /* understood, but not a patient's result: training, quality control */
    PROBLEM_WARNING  /* taken, with a repair or a doubt */
};

struct problem {
    enum problem_kind kind;
    const char *file;
    uint32_t record;         /* message of the file or row of the CSV, from 1; 0 = whole file */
    char segment[4];         /* "OBX"; "" = none */
    uint32_t segment_number; /* how many of that name in the record, from 1; 0 = none */
    uint32_t field;          /* 0 = none; for CSV the column from 1 */
    const char *reason;      /* one line for people, valid during the callback */
    struct view raw;         /* REFUSED: the record as it stood in the file */
};

enum normalise_action {
    NORMALISE_PUBLISH,  /* Publish; Correct when another version is there already */
    NORMALISE_WITHDRAW, /* Withdraw what is there under this report id */
    NORMALISE_HOLD,     /* a result, but not to be released (now): see action_reason */
    NORMALISE_IGNORE    /* not a patient's result: see action_reason */
};

/* Valid during the callback only. */
struct normalised {
    Hr__Report *report; /* institution is options->institution */
    const char *file;
    uint32_t record;
    struct view raw; /* the record as it stood in the file */
    enum normalise_action action;
    uint32_t withdraw_reason;  /* Withdraw.reason of log.proto; 0 otherwise */
    const char *action_reason; /* NULL for PUBLISH */
    /* For each identifier of the patient: may a report be published under it?
     * Only then is its type one of RI, PP, HM, TW, RP and its value in normal
     * form; else both are as sent.  A report without any is HOLD. */
    bool usable[REPORT_IDENTIFIERS_MAX];
    const struct problem *warnings;
    size_t warning_count;
};

struct normalise_options {
    const struct codemap *map; /* LOINC and local codes, identifier types; not NULL */
    const char *sender;        /* overrides what the file says of itself; NULL = as sent */
    const char *institution;   /* "" when none */
    int32_t offset_min;        /* zone of times that state none; China: 480 */
    int32_t today;             /* days since 1970-01-01, or IDENTIFIER_ANY_DAY */
};

struct normalise_handler {
    void *user;
    /* Anything but STATUS_OK ends the run with that status. */
    enum status (*report)(void *user, const struct normalised *n);
    enum status (*problem)(void *user, const struct problem *p);
};

struct normalise_counts {
    uint32_t records;  /* messages, or rows of a CSV */
    uint32_t reports;  /* given to the report callback */
    uint32_t refused;  /* records refused */
    uint32_t ignored;  /* reports with action IGNORE */
    uint32_t warnings; /* inside reports, and of the file */
};

/* Normalise the bytes of one file (or one message from a listener), HL7 v2 or
 * CSV by its content.  `name` stands in messages and in `source`.
 *
 * STATUS_OK          read to its end; `counts` tells what came out.  An empty
 *                    file or one of an unknown form is one refused record 0.
 * STATUS_NO_MEMORY, or what a callback answered. */
MUST_USE enum status normalise_bytes(const struct normalise_options *o, const char *name,
                                     struct view bytes, const struct normalise_handler *handler,
                                     struct normalise_counts *counts);

/* One line for `p`: "record 2: OBX 3 field 5: reason".  Cut at `cap`. */
void problem_describe(const struct problem *p, char *out, size_t cap);

const char *normalise_action_text(enum normalise_action action); /* "publish", ... */

#endif

/* normalise_parts.h: what the files of the normaliser share; nobody else
 * includes it.  Pure. */
#ifndef NODE_NORMALISE_PARTS_H
#define NODE_NORMALISE_PARTS_H

#include "node/codemap.h"
#include "node/normalise.h"
#include "proto/hl7v2.h"
#include "proto/report.h"

/* One run over one file. */
struct run {
    const struct normalise_options *o;
    const char *file;
    const struct normalise_handler *handler;
    struct normalise_counts *counts;
    struct report_arena *arena; /* of the record in hand */
    struct codemap_sender sender;
    uint32_t record;
    struct view raw;
    struct problem warnings[REPORT_WARNINGS_MAX];
    size_t warning_count;
    uint32_t ignored_record; /* the last one that was reported as ignored */
    uint32_t warnings_cut;   /* above REPORT_WARNINGS_MAX */
};

/* Where in a record: any part may be empty or 0. */
struct place {
    const char *segment;
    uint32_t number, field;
};

/* Keep a warning for the reports of this record; `about` (or an empty view) is a
 * code, never a value of a patient. */
void run_warn(struct run *r, struct place at, const char *reason, struct view about);

/* Report the record as refused.  What the callback answers. */
enum status run_refuse(struct run *r, struct place at, const char *reason);

/* A report on its way. */
struct draft {
    Hr__Report *report;
    Hr__Item *service_item; /* imaging, pathology: the examination itself */
    bool usable[REPORT_IDENTIFIERS_MAX];
    char order_status;   /* OBR-25, 0 = not stated */
    char text_status;    /* OBX-11 of the last text of the report, 0 = none */
    bool unverified;     /* R: OBR-25 or an item */
    bool values_left;    /* at least one item came with a value or text */
    bool wrong_patient;  /* W among the items */
    bool unchanged;      /* U among the items: values not sent again */
    const char *ignored; /* why this is no patient's result, or NULL */
};

/* Set status and action from items and order, add what is missing, check the
 * size, and hand the report over (or refuse it). */
enum status run_finish(struct run *r, struct draft *d);

/* ---- items ---- */

/* Status words of OBX-11 letters; NULL when the letter is not in table 0085. */
const char *item_status(char letter);

/* The meaning of a status as sent, letter or word, English or Chinese; NULL =
 * none.  `*letter` gets the letter of table 0085 that stands for it. */
const char *item_status_word(struct view sent, char *letter);

bool is_critical_flag(struct view flag);
bool is_flag(struct view v); /* a token of table 0078 or an arrow */

/* "-", "--", "—", "无" and the like stand for nothing. */
bool is_placeholder(struct view v);

/* ---- people ---- */

/* Add an identifier with the type as sent (may be empty), deciding whether it is
 * person-wide.  `oid` is the assigner, `country` a passport's. */
void draft_identifier(struct run *r, struct draft *d, struct place at, struct view type,
                      struct view value, struct view oid, struct view country);

/* M F O U, or "" when nothing was said. */
const char *sex_word(struct view v);

/* YYYY[-MM[-DD]] or "" with a warning. */
char *birth_date(struct run *r, struct place at, struct view v);

/* A name without blanks between Chinese letters. */
char *tidy_name(struct run *r, struct view v);

/* ---- times ---- */

/* RFC 3339 with the precision sent, or "" (and a warning when it was not empty). */
char *time_text(struct run *r, struct place at, struct view v, int32_t offset_min);

/* ---- what an order or a piece of text is ---- */

enum text_part {
    PART_NONE,
    PART_FINDINGS,
    PART_IMPRESSION,
    PART_ADVICE,
    PART_STUDY_UID,
    PART_OTHER_UID
};

/* By code, coding system and name of an observation; `strict` asks for what
 * only imaging or pathology departments write. */
enum text_part text_part_of(struct view code, struct view system, struct view name, bool strict,
                            bool *is_pathology);

/* laboratory, imaging, pathology, or NULL. */
const char *kind_of_section(struct view section);
const char *kind_of_words(struct view text);

/* ---- marks that the source claims: normalise_marks.c ---- */

enum { REPORT_CLAIMS_MAX = 8 }; /* of one row, of one page */

/* Is all of this text (a note, a flag) a mark?  *mark gets how it is kept. */
bool claim_of_text(struct view text, struct view *mark);
/* The same of a cell that is there for marks: yes is one, too. */
bool claim_of_cell(struct view text, struct view *mark);
/* The name by which an item is found. */
struct view name_without_claims(struct view name);
/* Add a claim to a list, once; what is over REPORT_CLAIMS_MAX is left out. */
void add_claim(struct report_arena *a, char ***list, size_t *count, struct view mark);
/* Move the claims of a report out of names, notes and flags, and rows that are
 * nothing else, to claimed_marks. */
void claims_take(struct report_arena *a, Hr__Report *r);

/* ---- forms of files ---- */

enum status normalise_hl7(struct run *r, struct view file);
enum status normalise_csv(struct run *r, struct view file);

#endif

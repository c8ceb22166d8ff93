/* pack.h: one regulation, compiled.  Internal to policy/.
 *
 * Each struct is one line of the compiled text (policy/README.md); what a
 * regulation may say is exactly what these fields can hold. */
#ifndef POLICY_PACK_H
#define POLICY_PACK_H

#include "policy/catalog.h"
#include "policy/policy.h"

/* Sets of small enums, as bits. */
typedef uint8_t kind_set;     /* 1 << enum hr_kind; NONE: no kind known */
typedef uint8_t level_set;    /* 1 << enum hr_level */
typedef uint8_t alliance_set; /* 1 << enum hr_alliance_kind */
typedef uint8_t relation_set; /* 1 << enum relation */

enum party { ISSUER, RECEIVER, PARTY_COUNT };

/* Who a party must be.  Nothing set: anybody. */
struct party_test {
    level_set levels;          /* one of these */
    level_set levels_assessed; /* or one of these and itself assessed */
    enum hr_grade grade;
    enum hr_ownership ownership;
};

struct check_rule {
    bool present;
    enum hr_verdict cap_false, cap_unknown; /* HR_MUST: none */
    struct hr_rule rule;
    kind_set kinds;               /* of the items that the check concerns */
    struct party_test party;      /* issuer_class, receiver_class */
    bool limit_from_annex;        /* window */
    int32_t days;                 /* window */
    bool needs_note;              /* marked */
    bool marked_cap_set;          /* quality: cap when false, listed and marked */
    enum hr_verdict marked_cap;   /* quality */
    alliance_set softened_in;     /* item_listed: in these alliances ... */
    enum hr_verdict softened_cap; /* ... this is the cap */
};

struct scope_rule {
    enum hr_verdict force;
    struct hr_rule rule;
    struct party_test parties[PARTY_COUNT];
    bool same_level;
    alliance_set shared; /* an alliance of these kinds is shared; 0: not asked */
};

enum list_source { LIST_ROWS, LIST_ROWS_BY_LEVEL, LIST_ANNEX };

/* How the items of some kinds are found in the item list. */
struct list_rule {
    kind_set kinds;
    enum list_source source;
    relation_set widened; /* the code is one of these of a listed code */
    struct hr_rule rule;
};

enum list_need { NEED_PROTOCOL, NEED_DETECTOR_ROWS };

/* Listed under a condition: the code relates to a listed one in this way. */
struct condition_rule {
    enum relation relation;
    struct hr_text of; /* only of this listed code; empty: of any */
    bool itself;       /* and that code itself is under the condition */
    enum list_need need;
    int32_t at_least; /* detector rows */
    struct hr_rule rule;
};

enum quality_need {
    QUALITY_NOT_FAILED_NOW,       /* the latest round by D did not fail; read before E is */
    QUALITY_LATEST_PASSED,        /* the latest by E passed */
    QUALITY_EACH_ORGANISER,       /* for each organiser, by E and by D; none failed */
    QUALITY_PREVIOUS_YEAR_PASSED, /* the latest of the calendar year before E's passed */
    QUALITY_ROUND_SINCE_HALF,     /* a round from the half-year before E's up to E */
    QUALITY_INSTITUTION_PASSED,   /* the latest half-yearly evaluation ended before D's half */
    QUALITY_NEED_COUNT
};
struct quality_rule {
    kind_set kinds;
    uint32_t needs; /* 1 << enum quality_need */
    struct hr_rule rule;
};

enum note_need { NOTE_NEVER, NOTE_ALWAYS, NOTE_UNLESS_EXPIRED };
struct exception_rule {
    struct hr_exception exception;
    kind_set kinds;
    enum note_need note;
    bool not_in_window; /* does not count while the window is true */
};

struct form_rule {
    kind_set kinds;
    enum hr_form form;
    struct hr_rule rule;
};

struct duty_rule {
    struct hr_duty duty;
    bool repeated;           /* else: if recognized */
    enum hr_verdict verdict; /* from this verdict up */
    bool form_set;
    enum hr_form form;            /* only in this form */
    enum hr_encounter encounter;  /* only in this one; UNKNOWN: any */
    struct hr_text with, without; /* accepted circumstance; empty: not asked */
};

enum fee_when {
    FEE_RECOGNIZED,
    FEE_RECOGNIZED_WITH_DEPARTMENT,
    FEE_REPEATED_WITH_REASON,
    FEE_REPEATED,
    FEE_COUNT
};

struct footnote {
    kind_set kinds;
    struct hr_text text;
};

struct row {
    struct hr_listed listed;
    level_set levels; /* 0: the row holds for institutions of every level */
    bool force_set, protocol;
    enum hr_verdict force; /* the row's own */
};

struct hr_pack {
    struct hr_text id, version, parent, document, title_zh, title_en, gaps_zh, gaps_en;
    struct hr_date valid_from, valid_to;
    size_t territory_count, mark_count, scope_count, list_count, condition_count, quality_count,
        exception_count, form_count, duty_count, footnote_count, row_count;
    struct hr_text *territories;
    struct hr_text *marks;
    struct scope_rule *scopes;
    struct list_rule *lists;
    struct condition_rule *conditions;
    struct quality_rule *qualities;
    struct exception_rule *exceptions;
    struct form_rule *forms;
    struct duty_rule *duties;
    struct footnote *footnotes;
    struct row *rows; /* by code, rising */
    struct check_rule checks[HR_CHECK_COUNT];
    bool fees_set;
    enum hr_verdict fees_from;
    struct hr_duty fees[FEE_COUNT]; /* all four, or none */
    bool sign_off_set;
    enum hr_title sign_off_title;
    enum hr_verdict sign_off_from;
    struct hr_text sign_off_without; /* accepted circumstance that lifts it */
    struct hr_rule sign_off_rule;
    struct hr_text print, row_sign, place, alternative_footnote;
    struct hr_rule mark_rule;
};

/* The first row of this code, and how many there are. */
const struct row *hr_pack_rows(const struct hr_pack *p, struct hr_text code, size_t *count);

/* Names of the vocabulary, indexed by their enums; NULL: not to be written. */
extern const char *const hr_pack_verdict_names[];   /* HR_MUST + 1 */
extern const char *const hr_pack_level_names[];     /* HR_LEVEL_NONE + 1 */
extern const char *const hr_pack_quality_names[];   /* QUALITY_NEED_COUNT */
extern const char *const hr_pack_fee_names[];       /* FEE_COUNT */
extern const char *const hr_pack_encounter_names[]; /* HR_EMERGENCY + 1 */
extern const char *const hr_pack_title_names[];     /* HR_CHIEF + 1 */

#endif

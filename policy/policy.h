/* policy.h: is this result recognized here?  The one public header of
 * libhuren-policy.
 *
 * A *catalog* names the items and how they relate, a *pack* holds the rules of
 * one regulation; both are plain text in a compiled form (policy/README.md),
 * written by `huren policy build`.  One function, hr_decide, answers: it is
 * pure and total.  The answer depends on the arguments alone: no clock, no
 * allocation, no floating point, no I/O, no global state, so that two hospitals
 * and an auditor years later compute the same decision from the same bytes.
 * Every input gives a decision; what is not known is *unknown*, never a default.
 * The physician is the judge: a verdict says what the rules ask, and neither
 * orders nor blocks.
 *
 * Memory: catalog and pack live in memory that the caller provides and point
 * into the text they were loaded from; both must stay as long as they are used.
 * They are never changed after loading and may be shared between threads.
 * A decision points into the pack it was made with.
 *
 * A zeroed struct hr_policy_input means "nothing is known". */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* the rest of the library is hidden */
#endif

enum {
    HR_SCOPES_MAX = 16, /* scopes of one pack */
    HR_DUTIES_MAX = 16, /* duties of one pack, each of recognized and repeated */
    HR_PACK_TEXT_BYTES_MAX = 4 * 1024 * 1024
};

/* Borrowed text: UTF-8, not terminated.  bytes == NULL: unknown or not given. */
struct hr_text {
    const char *bytes;
    size_t size;
};

/* A Kleene value.  0 is unknown. */
enum hr_value {
    HR_UNKNOWN,
    HR_FALSE,
    HR_TRUE,
    HR_NOT_APPLICABLE, /* a check of the pack that does not concern this case */
    HR_NOT_IN_PACK     /* a check that the pack does not have */
};

/* What the rules ask, weakest first. */
enum hr_verdict { HR_NO_RULE, HR_BARRED, HR_MAY, HR_SHOULD, HR_MUST };

/* The checks, in the order in which they are reported. */
#define HR_CHECK_MAP(X)                                                                        \
    X(HR_IN_FORCE, "in_force")                                                                 \
    X(HR_ISSUER_TERRITORY, "issuer_territory")                                                 \
    X(HR_ISSUER_CLASS, "issuer_class")                                                         \
    X(HR_ISSUER_LISTED, "issuer_listed")                                                       \
    X(HR_ISSUER_STANDING, "issuer_standing")                                                   \
    X(HR_RECEIVER_TERRITORY, "receiver_territory")                                             \
    X(HR_RECEIVER_CLASS, "receiver_class")                                                     \
    X(HR_RECEIVER_LISTED, "receiver_listed")                                                   \
    X(HR_ISSUER_NOT_RECTIFYING, "issuer_not_rectifying_on_exam")                               \
    X(HR_SCOPE, "scope")                                                                       \
    X(HR_ITEM_LISTED, "item_listed")                                                           \
    X(HR_USABLE, "usable")                                                                     \
    X(HR_FINAL, "final")                                                                       \
    X(HR_EXAMINED_BEFORE_DECISION, "examined_before_decision")                                 \
    X(HR_MADE_IN_FORCE, "made_in_force")                                                       \
    X(HR_WINDOW, "window")                                                                     \
    X(HR_QUALITY, "quality")                                                                   \
    X(HR_INSPECTION, "inspection")                                                             \
    X(HR_MARKED, "marked")                                                                     \
    X(HR_IMAGES, "images")                                                                     \
    X(HR_FULL_FORCE, "full_force")                                                             \
    X(HR_METHOD_AND_INTERVAL, "method_and_interval")                                           \
    X(HR_REVIEWED, "reviewed")                                                                 \
    X(HR_PROTOCOL, "protocol")                                                                 \
    X(HR_SIDE, "side")                                                                         \
    X(HR_SITE, "site")
#define HR_CHECK_ENUM(code, name) code,
enum hr_check { HR_CHECK_MAP(HR_CHECK_ENUM) HR_CHECK_COUNT };
#undef HR_CHECK_ENUM

/* ---- input --------------------------------------------------------------- */

/* A civil date in UTC+8, as days since 1970-01-01. */
struct hr_date {
    bool known;
    int32_t day;
};

/* An instant: seconds since 1970-01-01T00:00:00Z and the digits of the
 * fraction, as printed ("25" is a quarter of a second); none: a whole second. */
struct hr_time {
    bool known;
    int64_t second;
    struct hr_text fraction;
};

enum hr_level { HR_LEVEL_UNKNOWN, HR_TERTIARY, HR_SECONDARY, HR_PRIMARY, HR_LEVEL_NONE };
enum hr_grade { HR_GRADE_UNKNOWN, HR_GRADE_A, HR_GRADE_B, HR_GRADE_C, HR_GRADE_NONE };
enum hr_ownership { HR_OWNERSHIP_UNKNOWN, HR_PUBLIC, HR_PRIVATE };
enum hr_alliance_kind { HR_ALLIANCE_OTHER, HR_CITY_GROUP, HR_COUNTY_GROUP };
enum hr_listing_status {
    HR_LISTING_UNKNOWN,
    HR_LISTED,
    HR_EXITED,
    HR_SUSPENDED,
    HR_RECTIFYING
};
enum hr_result_status {
    HR_STATUS_UNKNOWN,
    HR_FINAL_RESULT,
    HR_CORRECTED_RESULT,
    HR_PRELIMINARY_RESULT,
    HR_CANCELLED_RESULT
};
enum hr_side {
    HR_SIDE_NONE, /* result: unknown; order: not asked for; catalog: no side */
    HR_LEFT,
    HR_RIGHT,
    HR_BOTH,
    HR_SIDE_OPEN,      /* catalog only: the code leaves the side open */
    HR_SIDE_UNREADABLE /* order only: something was asked for that is no side */
};
enum hr_organiser { HR_ORGANISER_UNKNOWN, HR_NATIONAL, HR_PROVINCIAL };
enum hr_encounter { HR_ENCOUNTER_UNKNOWN, HR_OUTPATIENT, HR_INPATIENT, HR_EMERGENCY };
enum hr_title { HR_TITLE_UNKNOWN, HR_JUNIOR, HR_INTERMEDIATE, HR_ASSOCIATE, HR_CHIEF };

struct hr_alliance {
    struct hr_text id;
    enum hr_alliance_kind kind;
};
struct hr_period {
    enum hr_listing_status status;
    struct hr_date from, to; /* both included; not known: open */
};
struct hr_institution {
    struct hr_text territory; /* GB/T 2260, six digits */
    enum hr_level level;
    enum hr_grade grade;
    enum hr_ownership ownership;
    enum hr_value assessed; /* passed the expert assessment */
    bool alliances_known;   /* and none: known to be in none */
    size_t alliance_count;
    const struct hr_alliance *alliances;
    bool listing_known; /* and none: known to be on no list */
    size_t period_count;
    const struct hr_period *periods;
};
struct hr_round { /* of external quality assessment, for this issuer and item */
    enum hr_organiser organiser;
    struct hr_date date; /* known, else the rounds are not */
    bool passed;
};
struct hr_half {  /* half-yearly evaluation of the issuer */
    int32_t half; /* year * 2, + 1 for the second half */
    bool passed;
};
struct hr_circumstance { /* why the doctor wants a repeat */
    struct hr_text code;
    struct hr_text note;
};

struct hr_policy_input {
    struct hr_time at;            /* moment of the decision */
    struct hr_date in_force_from; /* from the charter */
    struct hr_text item;          /* canonical code; NULL: no map */
    struct hr_institution issuer, receiver;
    struct {
        struct hr_time examined_at;
        enum hr_result_status status;
        bool marks_known;
        size_t mark_count;
        const struct hr_text *marks; /* the marks that hold for this row */
        enum hr_value mark_note, images, method, reference_interval, reviewed,
            protocol_complete, critical;
        bool detector_rows_known;
        int64_t detector_rows;
        enum hr_side side;
        struct hr_text body_site;
        enum hr_value in_doubt; /* identity in doubt or log disputed: only true has an effect */
    } result;
    struct {
        bool known;
        bool rounds_known;
        size_t round_count;
        const struct hr_round *rounds;
        bool halves_known;
        size_t half_count;
        const struct hr_half *halves;
        enum hr_value inspection_failed; /* false: none; true: in the year below */
        int64_t inspection_failed_year;
    } quality;
    struct {
        bool known; /* the item list that is loaded separately */
        enum hr_value listed;
        enum hr_value limited; /* false: no limit; true: the limit below */
        int64_t limit_days;
    } annex;
    struct {
        enum hr_side side;
        bool site_asked; /* and body_site NULL: asked for something unreadable */
        struct hr_text body_site;
    } order;
    enum hr_encounter encounter;
    struct {
        enum hr_title title;
        bool needs_department;
        size_t circumstance_count;
        const struct hr_circumstance *circumstances;
    } doctor;
};

/* Read an RFC 3339 time or a full-date ("2025-03-01").  Anything else, also
 * a day that does not exist, gives known == false. */
struct hr_time hr_time_parse(struct hr_text text);
struct hr_date hr_date_parse(struct hr_text text);

/* ---- catalog ------------------------------------------------------------- */

enum hr_kind { HR_KIND_NONE, HR_LAB, HR_IMAGING, HR_PATHOLOGY };

struct hr_item {
    uint32_t number; /* permanent, from 1 */
    struct hr_text code;
    enum hr_kind kind;
    struct hr_text category, name_zh, name_en, abbreviation, loinc; /* loinc may be empty */
    enum hr_side side; /* NONE, LEFT, RIGHT, OPEN */
    bool site_open, sensitive;
};

struct hr_catalog; /* opaque, immutable */
struct hr_pack;    /* opaque, immutable */

/* Where loading failed: line of the compiled text, from 1, and why. */
struct hr_load_error {
    size_t line;
    const char *reason; /* static */
};

/* Bytes of memory that loading this text takes at most. */
size_t hr_catalog_memory_bytes(const char *text, size_t size);
size_t hr_pack_memory_bytes(const char *text, size_t size);

/* Load compiled text into `memory` (any alignment of malloc).  The text may
 * come from anywhere: it is checked.  On failure NULL, with *error filled in
 * (error may be NULL). */
const struct hr_catalog *hr_catalog_load(const char *text, size_t size, void *memory,
                                         size_t memory_bytes, struct hr_load_error *error);
const struct hr_pack *hr_pack_load(const char *text, size_t size, void *memory,
                                   size_t memory_bytes, struct hr_load_error *error);

/* Items are held in the order of their numbers; NULL when there is none. */
size_t hr_catalog_count(const struct hr_catalog *catalog);
const struct hr_item *hr_catalog_at(const struct hr_catalog *catalog, size_t index);
const struct hr_item *hr_catalog_by_number(const struct hr_catalog *catalog, uint32_t number);
const struct hr_item *hr_catalog_by_code(const struct hr_catalog *catalog, struct hr_text code);
const struct hr_item *hr_catalog_by_loinc(const struct hr_catalog *catalog,
                                          struct hr_text loinc);

/* ---- packs --------------------------------------------------------------- */

/* A rule's place in its document, and what it says in our own words. */
struct hr_rule {
    struct hr_text id, citation, zh, en;
};
struct hr_duty {
    struct hr_text name; /* "record_in_detail" */
    struct hr_rule rule;
};
struct hr_listed { /* a row of the pack's item list */
    struct hr_text code, name, citation;
    bool counted; /* false: a duplicate in print */
};
struct hr_exception { /* a circumstance that the pack knows */
    struct hr_text code;
    struct hr_rule rule;
};

struct hr_text hr_pack_id(const struct hr_pack *pack);
struct hr_text hr_pack_version(const struct hr_pack *pack);
struct hr_text hr_pack_parent(const struct hr_pack *pack);   /* id; empty: none */
struct hr_text hr_pack_document(const struct hr_pack *pack); /* number or name to cite */
struct hr_text hr_pack_title(const struct hr_pack *pack, bool english);
struct hr_text hr_pack_gaps(const struct hr_pack *pack, bool english); /* what is not in hand */
struct hr_date hr_pack_valid_from(const struct hr_pack *pack);         /* not known: open */
struct hr_date hr_pack_valid_to(const struct hr_pack *pack);
size_t hr_pack_territory_count(const struct hr_pack *pack);
struct hr_text hr_pack_territory(const struct hr_pack *pack, size_t index);
size_t hr_pack_item_count(const struct hr_pack *pack);
const struct hr_listed *hr_pack_item(const struct hr_pack *pack, size_t index);
size_t hr_pack_exception_count(const struct hr_pack *pack);
const struct hr_exception *hr_pack_exception(const struct hr_pack *pack, size_t index);
/* The rule behind a check; NULL when the pack has no such check. */
const struct hr_rule *hr_pack_check_rule(const struct hr_pack *pack, enum hr_check check);
size_t hr_pack_scope_count(const struct hr_pack *pack);
const struct hr_rule *hr_pack_scope_rule(const struct hr_pack *pack, size_t index,
                                         enum hr_verdict *force);

/* ---- decision ------------------------------------------------------------ */

enum hr_form { HR_DIRECT, HR_REREAD_REISSUE, HR_DIRECT_OR_REREAD_REISSUE };
enum hr_repeat { HR_FREE, HR_REASON, HR_LISTED_REASON };
enum hr_reason { HR_REASON_NONE, HR_REASON_ACCEPTED, HR_REASON_INCOMPLETE, HR_REASON_REJECTED };

struct hr_decision {
    enum hr_verdict verdict;
    enum hr_verdict at_best; /* if every unknown turned out well */
    enum hr_value checks[HR_CHECK_COUNT];
    /* The cap that the check set on the verdict: HR_MUST where it set none. */
    enum hr_verdict caps[HR_CHECK_COUNT];
    enum hr_value scopes[HR_SCOPES_MAX];
    enum hr_kind kind;
    bool recognize; /* may be pre-selected for the doctor; else ask */
    enum hr_form form;
    const struct hr_rule *form_rule; /* NULL: not stated */
    enum hr_repeat repeat;
    enum hr_reason reason;
    bool missing_note, missing_sign_off;
    size_t recognized_count, repeated_count;
    const struct hr_duty *if_recognized[HR_DUTIES_MAX];
    const struct hr_duty *if_repeated[HR_DUTIES_MAX];
    const struct hr_duty *fee_if_recognized; /* both NULL: no billing rule */
    const struct hr_duty *fee_if_repeated;
};

/* Decide.  Every field of *out is written. */
void hr_decide(const struct hr_pack *pack, const struct hr_catalog *catalog,
               const struct hr_policy_input *input, struct hr_decision *out);

/* Does this circumstance count in the decision just made, and has it what it
 * needs?  TRUE: it stands among the accepted codes; UNKNOWN: it counts but
 * lacks its note; FALSE: it does not count. */
enum hr_value hr_circumstance_counts(const struct hr_pack *pack,
                                     const struct hr_decision *decision,
                                     const struct hr_circumstance *circumstance);

/* The mark that the issuer prints; the receiver's side of `input` is not read.
 * The texts are NULL unless mark is HR_TRUE; row_sign and footnote may be NULL then. */
struct hr_mark {
    enum hr_value mark; /* TRUE, FALSE, UNKNOWN */
    struct hr_text text, row_sign, footnote;
    struct hr_text alternative_footnote; /* for a form without room for the text */
    struct hr_text place;                /* "before_row", "at_row", "top_right" */
    struct hr_rule rule;
    enum hr_value checks[HR_CHECK_COUNT]; /* those that were read */
};
void hr_mark(const struct hr_pack *pack, const struct hr_catalog *catalog,
             const struct hr_policy_input *input, struct hr_mark *out);
/* The texts that hr_mark gives for a result of this kind when the mark holds, without
 * deciding whether it does: for who lays out a page.  mark is HR_UNKNOWN. */
void hr_pack_mark(const struct hr_pack *pack, enum hr_kind kind, struct hr_mark *out);

/* Several packs over one case, each decided alone.  `decisions` holds one
 * decision a pack and is read; `order` gets the indexes, strongest verdict
 * first, `shown` the verdict to show for each pack: capped at may where a pack
 * of a narrower territory covers both sides and the item and its window is
 * over (AMB-TY02).  Both arrays have `count` places. */
void hr_several(const struct hr_pack *const *packs, const struct hr_decision *decisions,
                size_t count, size_t *order, enum hr_verdict *shown);

/* The duties of several decisions united, each name once, in the order in which the
 * decisions stand.  Writes at most `max`, returns how many were written: no more than
 * HR_DUTIES_MAX a decision. */
size_t hr_unite(const struct hr_decision *const *decisions, size_t count, bool if_recognized,
                const struct hr_duty **out, size_t max);

/* ---- words --------------------------------------------------------------- */

/* Names as the contract writes them; static. */
const char *hr_check_name(enum hr_check check);
const char *hr_value_name(enum hr_value value);
const char *hr_verdict_name(enum hr_verdict verdict);
const char *hr_form_name(enum hr_form form);
const char *hr_repeat_name(enum hr_repeat repeat);
const char *hr_reason_name(enum hr_reason reason);
const char *hr_kind_name(enum hr_kind kind);
/* For people: what a verdict means, and what would settle an unknown check. */
const char *hr_verdict_words(enum hr_verdict verdict, bool english);
const char *hr_check_title(enum hr_check check, bool english);
const char *hr_check_settle(enum hr_check check, bool english);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif

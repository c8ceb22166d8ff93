/* decision_input.h: what a decision is made of, from charter and report.
 *
 * Source: policy contract (DECIDE), DESIGN 7: every member under `issuer`,
 * `receiver` and `quality` comes from the charter; what stands in a document
 * that is missing or past its stale_after enters as unknown.
 *
 * An input is bounded (at most DECISION_INPUT_BYTES_MAX in canonical form), since
 * it stands whole in a log entry: text of a report or asker that is over its bound
 * is unknown, long lists of the charter keep what any rule can read, and of a
 * doctor's note only that there is one.  Pure. */
#ifndef NODE_DECISION_INPUT_H
#define NODE_DECISION_INPUT_H

#include <jansson.h>
#include <stdint.h>

#include "node/charter.h"
#include "node/policy_json.h"
#include "proto/report.pb-c.h"

enum { DECISION_INPUT_BYTES_MAX = 12 * 1024 };

/* What the place of the decision adds.  Text may be NULL, JSON too (borrowed). */
struct decision_case {
    const char *issuer;   /* institution codes, in lower case */
    const char *receiver; /* NULL for a mark */
    int64_t at_s;         /* moment of the decision */
    const json_t *order;  /* as in the contract, or NULL */
    const json_t *doctor;
    const char *encounter;
    bool in_doubt;                   /* identity in doubt, or the log is disputed */
    const struct policy_set *policy; /* where annexes are found; NULL: nowhere */
};

/* The input for row `item` of `report` under `pack`.  A new reference; NULL
 * without memory.  `at` is written in UTC+8. */
MUST_USE json_t *decision_input(const struct charter *c, const struct decision_case *k,
                                const char *pack, const Hr__Report *report,
                                const Hr__Item *item);

/* The member `quality` of an input alone, as the charter has it: of issuer and item, for
 * a decision at this moment about what was examined then (RFC 3339, or "").  A new
 * reference, JSON null when nothing is known; NULL without memory. */
MUST_USE json_t *decision_quality(const struct charter *c, const char *issuer, const char *item,
                                  int64_t at_s, const char *examined_at);

/* The marks that hold for this row: its own signs, and the page's marks unless
 * other rows bear a sign and this one does not (AMB-HB03).  Claims do not count.
 * A new reference. */
MUST_USE json_t *decision_marks(const Hr__Report *report, const Hr__Item *item);

/* The status of this row as the contract names it (the row's own, but a cancelled
 * report is cancelled in all its rows); NULL: unknown. */
const char *decision_status(const Hr__Report *report, const Hr__Item *item);

/* Index in the set of the pack that a row of the charter means, by hash and id;
 * SIZE_MAX: it is not here. */
size_t decision_pack(const struct policy_set *policy, const Hr__PolicyRow *row);

/* What the annexes that a row of the charter names say of an item, together. */
enum decision_annexes {
    DECISION_ANNEX_NONE,    /* the row names none */
    DECISION_ANNEX_HELD,    /* all are here: *out is filled in */
    DECISION_ANNEX_MISSING, /* one is not here: unknown */
};
enum decision_annexes decision_annexes(const struct policy_set *policy,
                                       const Hr__PolicyRow *row, const char *item,
                                       struct policy_annex_row *out);

/* "2026-11-22T09:30:00+08:00" (26 bytes with the NUL) and "2026-11-22" (11). */
void decision_time(int64_t unix_s, char out[26]);
void decision_date(int64_t unix_s, char out[11]);

#endif

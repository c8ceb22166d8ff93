/* recall_audit.h: what exchange logs say of recalls, read by somebody who trusts no
 * author of them: who was told of what, who acknowledged, who was never told.
 *
 * Source: DESIGN 6 (Recalled, Relied, Answered, Decided) and 9; for auditors, whom
 * gossip gives all exchange logs.  Pure: entries in, cases out. */
#ifndef NODE_RECALL_AUDIT_H
#define NODE_RECALL_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum { RECALL_AUDIT_CASES_MAX = 1000000 };

/* One result that did not stand, and one institution that relied on it. */
struct recall_case {
    char issuer[INSTITUTION_CHARS_MAX + 1];
    char who[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t leaf, by;
    uint64_t relied_ms;       /* in either log; 0: no entry read says so */
    uint64_t told_ms;         /* issuer's log, side 1 */
    uint64_t acknowledged_ms; /* issuer's log, side 3 */
    uint64_t heard_ms;        /* the other's log, side 2 */
};

enum recall_judgement {
    RECALL_CLOSED = 1,  /* acknowledged */
    RECALL_WAITING,     /* told or relied on less than so many hours ago */
    RECALL_OVERDUE,     /* told, and not acknowledged since */
    RECALL_UNCONFIRMED, /* acknowledged says the issuer's log, and the other's has no notice */
    RECALL_NOT_TOLD,    /* relied on, replaced, and the issuer's log tells nobody */
};

struct recall_audit; /* opaque */

/* Was this leaf replaced, and by which?  Asked of the auditor's own copies. */
typedef bool (*recall_replaced_fn)(void *ctx, const char *origin, uint64_t leaf, uint64_t *by);

MUST_USE enum status recall_audit_open(const char *network, recall_replaced_fn replaced,
                                       void *ctx, struct recall_audit **out);
void recall_audit_close(struct recall_audit *a); /* NULL is allowed */

/* Read one entry of the exchange log of `author`.  What it says of others than its
 * author could know is not taken; entries that are not understood are passed over.
 * STATUS_OK, STATUS_NO_MEMORY, STATUS_TOO_BIG (over RECALL_AUDIT_CASES_MAX). */
MUST_USE enum status recall_audit_add(struct recall_audit *a, const char *author,
                                      struct view entry);

size_t recall_audit_count(const struct recall_audit *a);
const struct recall_case *recall_audit_get(const struct recall_audit *a, size_t number);

/* As of `now_ms`, with so many hours allowed. */
enum recall_judgement recall_judge(const struct recall_case *c, uint64_t now_ms,
                                   uint64_t hours);
const char *recall_judgement_text(enum recall_judgement j); /* for programs */

#endif

/* evidence_impl.h: what the two halves of the check of evidence share. */
#ifndef NODE_EVIDENCE_IMPL_H
#define NODE_EVIDENCE_IMPL_H

#include "crypto/checkpoint.h"
#include "node/evidence.h"
#include "node/origin.h"
#include "proto/evidence.pb-c.h"
#include "proto/pbcheck.h"

/* Everything about one check; `report` is NULL while record and key are withheld. */
struct checking {
    struct pb_arena arena;
    const Hr__Evidence *e;
    struct charter_document *documents;
    size_t document_count;
    struct charter *charter;
    struct origin origin;
    struct checkpoint_opened head;
    const Hr__PublicKeys *signed_by; /* the set whose log key signed it */
    const struct policy_set *policy;
    int64_t now_s;
    const Hr__Report *report;
    struct evidence_found *found;
    json_t *missing; /* what of packs and annexes would be needed, and is not here */
    char *reason;
    bool no_memory; /* what looks like a difference may be none */
};

/* Write the reason, return the status. */
__attribute__((format(printf, 3, 4))) enum status
evidence_no(struct checking *k, enum status st, const char *format, ...);

/* Make k->charter of the notes and rows of k->e, which must follow from `root`. */
MUST_USE enum status evidence_read_charter(struct checking *k,
                                           const struct charter_document *root);

/* Row number `at` of those of the report that the file is about; NULL: no more. */
const Hr__Item *evidence_row(const struct checking *k, size_t at);

/* Check the decisions; *decisions and *moments get what to show of them. */
MUST_USE enum status evidence_check_decisions(struct checking *k, json_t *decisions,
                                              json_t *moments);

/* Describe what was proven. */
MUST_USE json_t *evidence_describe(const struct checking *k);

#endif

/* evidence.h: one file that proves one result, and the check that needs nothing
 * but the charter's root.
 *
 * Source: DESIGN 2, 5, 6, 7, 9.  The file is
 *
 *     huren evidence v1 LF || Evidence (proto/evidence.proto)
 *
 * It is an identified medical document when record and key are in it; without
 * them it still proves what was logged, when and by whom.  It never holds
 * brief_key, record_key, patient_key or a network key.
 *
 * Proven: the entry and its place in the log; that witnesses cosigned; the record,
 * its issuer and its rows; the charter's facts; that each decision is what the
 * pack gives for these facts (annexes among them: the proven policy row names them
 * by hash; who made the file without having them decided without, and it says so).
 * Said by its maker alone, and shown as `claims`: who
 * made it and when, the moment of a decision and what the asker added to it (order,
 * doctor, doubts).  `cosigned.of` counts the witnesses whose rows are in the file,
 * so it is at least that many.  Pure but for memory. */
#ifndef NODE_EVIDENCE_H
#define NODE_EVIDENCE_H

#include <jansson.h>

#include "crypto/keys.h"
#include "node/charter.h"
#include "node/lookup.h"
#include "node/policy_json.h"

enum { EVIDENCE_BYTES_MAX = 4 * 1024 * 1024, EVIDENCE_REASON_CHARS = 400 };

/* Make the evidence of a result that was opened, signed with our statement key:
 * what no log signs (the input of the decisions, who made the file and when)
 * then stands under our name.  *out is malloced; wipe and free it.  STATUS_NOT_FOUND: no signed
 * head covers the leaf yet. */
MUST_USE enum status evidence_make(const struct lookup *l, const struct lookup_result *r,
                                   struct store_txn *txn, const struct sign_key *statement,
                                   int64_t now_ms, uint8_t **out, size_t *count);

/* What the check found.  `report` lives in `arena`. */
struct evidence_found {
    json_t *json; /* for people's programs; owned by the caller */
    size_t cosigned_by, cosigned_of;
    bool opened;   /* record and key were in it */
    bool replayed; /* there are decisions, and those of packs that are here came out again */
    size_t decisions;
    /* Those that could not be made again, since their pack or an annex is not here:
     * json's member `missing` names it, as does `missing` in words. */
    size_t decisions_unknown;
    char missing[EVIDENCE_REASON_CHARS];
};

/* Check evidence against `root`, the whole root that the caller trusts (any
 * version that the evidence's chain reaches).  `reason` is one line for people.
 *
 * STATUS_OK             it proves what it says; *found is filled.
 * STATUS_BAD_PROOF, STATUS_BAD_SIGNATURE, STATUS_THRESHOLD, STATUS_UNKNOWN_KEY,
 * STATUS_REFUSED, STATUS_FORK  no: not proven, `reason` says what is wrong.
 * STATUS_MALFORMED, STATUS_TOO_BIG, STATUS_UNSUPPORTED  not readable as evidence.
 * STATUS_NO_MEMORY */
MUST_USE enum status evidence_check(struct view file, const struct charter_document *root,
                                    const struct policy_set *policy, int64_t now_s,
                                    struct evidence_found *found,
                                    char reason[EVIDENCE_REASON_CHARS]);

/* Does the file begin as evidence does? */
bool evidence_is(struct view file);

#endif

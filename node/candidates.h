/* candidates.h: what the index says about a patient: which leaves of which
 * logs stand under the patient's tokens, and which of them still count.
 *
 * Source: DESIGN 5 (tokens, briefs), 6 (Correct, Withdraw), 9 (look-up).
 * A Correct or Withdraw counts if the leaf it names stands in the same log,
 * earlier, under the same token, and counted until then: the first one wins.  Any
 * other is ignored, its own content too, and is a finding.  What replaces from the
 * disputed part of a frozen log retires nothing below: both are shown, disputed.
 * Pure: reads a snapshot of the store. */
#ifndef NODE_CANDIDATES_H
#define NODE_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/brief.h"
#include "crypto/token.h"
#include "crypto/tree.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "store/store.h"

/* Leaves under the tokens of one look-up.  A log that has more than its share of
 * them loses its oldest, so that no member can hide what others hold. */
enum { CANDIDATES_MAX = 16384 };

enum candidate_state {
    CANDIDATE_LIVE,      /* counts */
    CANDIDATE_REPLACED,  /* by the Correct at `replaced_by` */
    CANDIDATE_WITHDRAWN, /* by the Withdraw at `replaced_by` */
    CANDIDATE_IGNORED,   /* a Correct of something that it cannot correct */
    CANDIDATE_REFUSED,   /* under an epoch that ended over 60 days before (epochs.h) */
};

struct candidate {
    char origin[ORIGIN_CHARS_MAX + 1];
    char institution[INSTITUTION_CHARS_MAX + 1];
    uint32_t log;
    uint64_t leaf;
    size_t patient; /* which of the patient keys found it */
    uint32_t epoch;
    struct hash sealed; /* SHA-256 of the record */
    bool correct;       /* the entry is itself a Correct, of the leaf `replaces` */
    uint64_t replaces;
    bool held;          /* empty brief */
    bool brief_bad;     /* there is one, and it does not open: treat as unknown */
    bool late;          /* published after its network key epoch had ended (epochs.h) */
    bool disputed;      /* beyond what a frozen log may serve; in a look-up also: unlinked */
    struct brief brief; /* unless held or brief_bad */
    enum candidate_state state;
    uint64_t replaced_by;
};

struct candidates {
    struct candidate *at; /* by log, then leaf */
    size_t count;
    size_t findings; /* second replacements, strange entries: kept, not counted */
    size_t left_out; /* beyond CANDIDATES_MAX */
};

/* What a pub entry says of its record: the hash of it, and whether it is held
 * (empty brief).  False: it has none, or is no pub entry. */
bool candidates_sealed(struct view entry, struct hash *sealed, bool *held);

/* The token of a pub entry, for store_options.handle_of. */
bool candidates_handle_of(void *context, struct view origin, struct view entry,
                          uint8_t handle[TOKEN_BYTES]);

/* Find all leaves of logs of `network` under the patients' tokens of the
 * quarters first..last.  Free with candidates_free.
 *
 * STATUS_OK  also when there are none.
 * STATUS_NO_MEMORY, or what the store said. */
MUST_USE enum status candidates_find(struct store_txn *txn, const char *network,
                                     const struct patient_keys *patients, size_t patient_count,
                                     uint32_t quarter_first, uint32_t quarter_last,
                                     struct candidates *out);
void candidates_free(struct candidates *c);

/* Can this candidate's report hold the item with this catalog number?  A brief
 * that is cut (*more*), missing or unreadable says maybe. */
bool candidate_may_hold(const struct candidate *c, uint32_t number);

#endif

/* candidates.h: what the index says about a patient: which leaves of which
 * logs stand under the patient's tokens, and which of them still count.
 *
 * Source: DESIGN 5 (tokens, briefs), 6 (Correct, Withdraw), 9 (look-up).
 * A Correct or Withdraw counts for the leaf it names if it stands in the same
 * log, later, under the same token, and is the first to do so.  Pure: reads a
 * snapshot of the store. */
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

enum { CANDIDATES_MAX = 4096 };

enum candidate_state {
    CANDIDATE_LIVE,      /* counts */
    CANDIDATE_REPLACED,  /* by the Correct at `replaced_by` */
    CANDIDATE_WITHDRAWN, /* by the Withdraw at `replaced_by` */
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
    bool disputed;      /* beyond what a frozen log may serve */
    struct brief brief; /* unless held or brief_bad */
    enum candidate_state state;
    uint64_t replaced_by;
};

struct candidates {
    struct candidate *at; /* by log, then leaf */
    size_t count;
    size_t findings; /* second replacements, strange entries: kept, not counted */
};

/* The token of a pub entry, for store_options.handle_of. */
bool candidates_handle_of(void *context, struct view origin, struct view entry,
                          uint8_t handle[TOKEN_BYTES]);

/* Find all leaves of logs of `network` under the patients' tokens of the
 * quarters first..last.  Free with candidates_free.
 *
 * STATUS_OK       also when there are none.
 * STATUS_TOO_BIG  more than CANDIDATES_MAX.
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

/* publisher.h: reports into our own log, inside one write transaction.
 *
 * Between plan (publish.h) and store: finds the rows of a report in the
 * ledger, makes entries and records, and appends them in batches.  The caller
 * begins and commits the transaction and acknowledges only afterwards. */
#ifndef NODE_PUBLISHER_H
#define NODE_PUBLISHER_H

#include "node/publish.h"
#include "store/store.h"

enum { PUBLISHER_BATCH = 512 };

struct publisher {
    const struct publish_context *context;
    struct store_txn *txn;
    uint32_t log;
    uint64_t next;  /* leaf of the next step */
    uint64_t taken; /* entries from here on may have come back (publisher_taken.h) */
    size_t count;   /* waiting */
    struct publication *waiting;
    uint8_t (*handles)[PUBLISH_HANDLE_BYTES];
    uint8_t (*held_keys)[KEY_BYTES];
    uint64_t appended; /* steps in all */
};

/* Begin over the transaction; STATUS_NO_MEMORY or what the store said. */
MUST_USE enum status publisher_begin(struct publisher *p, const struct publish_context *c,
                                     struct store_txn *txn, uint32_t log);

/* Publish one report; *plan says what was done.  `random` is 32 fresh bytes for
 * each step that may be held (PUBLISH_IDENTIFIERS_MAX of them).
 * A status that is not STATUS_OK is one of publish_plan or publish_make for this
 * report alone (*fatal false: nothing of it was written, go on with the next),
 * or of the store (*fatal true: abort). */
MUST_USE enum status publisher_add(struct publisher *p, const Hr__Report *report,
                                   uint32_t withdraw,
                                   const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES],
                                   struct publish_plan *plan, bool *fatal);

/* Write what waits; call before the commit. */
MUST_USE enum status publisher_flush(struct publisher *p);
void publisher_end(struct publisher *p); /* frees; does not commit */

/* Is this leaf of our log the version of its report that counts now?  False
 * for what was corrected or withdrawn: it is not handed out any more. */
MUST_USE enum status publisher_is_live(struct store_txn *txn, uint32_t log, uint64_t leaf,
                                       bool *live);

#endif

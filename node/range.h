/* range.h: answering what other members ask of our copy: heads, ranges of
 * tiles, entries and records, charter documents, blobs.
 *
 * Source: DESIGN 6, 9, 11.  Each answer is one frame and says how much fitted.
 * Everything is read in one snapshot; nothing in the request is trusted.
 * Exchange logs are read by their author and by auditors alone; records are
 * served in `full` networks only; a frozen log only below its serve_to. */
#ifndef NODE_RANGE_H
#define NODE_RANGE_H

#include <stdbool.h>

#include "node/gossip_update.h"
#include "store/store.h"

/* Rows of a charter document that one answer with runs of a base covers at most. */
enum { RANGE_CHARTER_ROWS_MAX = 2048 };

struct range_asker {
    const char *network;
    const char *institution; /* who asks */
    bool auditor;            /* has that role */
    bool full;               /* the network replicates records */
};

/* Answer one request of kind HEAD, RANGE, CHARTER or BLOB (proto/frame.h): one
 * frame is appended to `u`.  *bytes is its size, for the peer's budget.
 *
 * STATUS_OK         answered, perhaps with a refusal in it.
 * STATUS_MALFORMED, STATUS_TOO_BIG  the message is not what it should be: an
 *                   empty refusal was appended; count it against the peer.
 * STATUS_NO_MEMORY */
MUST_USE enum status range_answer(struct store_txn *t, const struct range_asker *asker,
                                  uint32_t session, uint32_t request, uint8_t kind,
                                  struct view message, struct gossip_update *u, size_t *bytes);

/* Refuse such a request with `why` (STATUS_BUSY: the budget is used up). */
MUST_USE enum status range_refuse(uint32_t session, uint32_t request, uint8_t kind,
                                  enum status why, struct gossip_update *u);

/* The SHA-256 of the record that a `pub` entry names, unless it has none or is
 * a held report (no brief: DESIGN 5), which is never replicated. */
bool range_entry_sealed(struct view entry, struct hash *sealed);

#endif

/* charter_adopt_io.h: writing what a plan of adoption decided. */
#ifndef NODE_CHARTER_ADOPT_IO_H
#define NODE_CHARTER_ADOPT_IO_H

#include "node/charter.h"
#include "node/gossip.h"
#include "store/store.h"

/* Write in `txn`: adopted documents, merged notes, and those that were refused, as
 * evidence from `from` ("": a file).  `after` is the charter that charter_adopt_plan
 * gave; `before` (may be NULL) the one it was given.  STATUS_OK, or what the store says: abort
 * then. */
MUST_USE enum status
charter_adopt_put(struct store_txn *txn, const struct charter_document *const *documents,
                  const struct charter_step *steps, size_t count, const struct charter *before,
                  const struct charter *after, const char *from, int64_t now_s);

/* A document from a peer (GOSSIP_ADOPT): judge it against `c` (NULL: nothing is in hand,
 * and the first root comes from an operator), write it, its signatures, or the evidence.
 * *outcome is as of charter_check_next, for GOSSIP_STORED; *adopted says whether the
 * charter must be read again.  Returns STATUS_OK, or what the store says: abort then. */
MUST_USE enum status charter_adopt_one(struct store_txn *txn, const char *network,
                                       const struct charter *c, const struct gossip_action *a,
                                       int64_t now_s, enum status *outcome, bool *adopted,
                                       char reason[CHARTER_REASON_CHARS]);

/* About how many bytes that writes. */
uint64_t charter_adopt_bytes(const struct charter_document *const *documents, size_t count);

#endif

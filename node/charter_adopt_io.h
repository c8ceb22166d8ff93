/* charter_adopt_io.h: writing what a plan of adoption decided. */
#ifndef NODE_CHARTER_ADOPT_IO_H
#define NODE_CHARTER_ADOPT_IO_H

#include "node/charter.h"
#include "store/store.h"

/* Write in `txn`: adopted documents, merged notes, and those that were refused
 * although somebody signed them, as evidence.  `after` is the charter that
 * charter_adopt_plan gave.  STATUS_OK, or what the store says: abort then. */
MUST_USE enum status charter_adopt_put(struct store_txn *txn,
                                       const struct charter_document *const *documents,
                                       const struct charter_step *steps, size_t count,
                                       const struct charter *after);

/* About how many bytes that writes. */
uint64_t charter_adopt_bytes(const struct charter_document *const *documents, size_t count);

#endif

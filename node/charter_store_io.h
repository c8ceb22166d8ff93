/* charter_store_io.h: charters in the store of a home. */
#ifndef NODE_CHARTER_STORE_IO_H
#define NODE_CHARTER_STORE_IO_H

#include "node/charter.h"
#include "store/charter.h"

/* The kind as the store names it. */
enum store_charter charter_store_kind(enum charter_kind kind);

/* Make the charter of a network from what the store holds: all roots, and of the
 * other kinds the newest that counts (versions that a root declared void are
 * passed over).  Trust begins at the lowest root.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND  no root was adopted for this network.
 * STATUS_CORRUPT    what is stored is no charter; `reason` says more.
 * STATUS_NO_MEMORY, or what the store says. */
MUST_USE enum status charter_store_load(struct store_txn *txn, const char *network,
                                        struct charter **out,
                                        char reason[CHARTER_REASON_CHARS]);

/* One version as a file (charter_file_encode), in force or not.  *file is allocated.
 * STATUS_NOT_FOUND, STATUS_NO_MEMORY, or what the store says. */
MUST_USE enum status charter_store_file(struct store_txn *txn, const char *network,
                                        enum charter_kind kind, uint64_t version,
                                        uint8_t **file, size_t *file_count);

/* Whether another text of this version is kept already (after it was declared void, or
 * as an earlier version): then the document cannot be, and a higher version is needed.
 * STATUS_OK: no; STATUS_FORK; or what the store says. */
MUST_USE enum status charter_store_vet(struct store_txn *txn, const struct charter_head *head);

/* Keep a document that was adopted, or its note with merged signatures.
 * What the store says. */
MUST_USE enum status charter_store_put(struct store_txn *txn, const struct charter_document *d);

#endif

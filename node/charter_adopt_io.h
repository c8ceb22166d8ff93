/* charter_adopt_io.h: adopting documents into a home that this process owns. */
#ifndef NODE_CHARTER_ADOPT_IO_H
#define NODE_CHARTER_ADOPT_IO_H

#include "node/charter.h"
#include "store/store.h"

/* Write what a plan decided, in one transaction: adopted documents, merged notes,
 * and those that were refused although somebody signed them, as evidence.
 * `after` is the charter that charter_adopt_plan gave.
 * STATUS_OK, or what the store says; then nothing was written. */
MUST_USE enum status charter_adopt_write(struct store *store,
                                         const struct charter_document *const *documents,
                                         const struct charter_step *steps, size_t count,
                                         const struct charter *after);

#endif

/* cosigned.h: which head of a log vouches for a leaf (DESIGN 6).
 *
 * The store keeps the cosigned head that evidence is made of, and the offered
 * head, newer, whose cosignatures are still being gathered.  The first gives way
 * only when the second has as many, or when a third is offered; so where a witness
 * is gone and the log is quiet, the newest leaves stand under the offered head
 * alone, and whoever cosigned that one vouches for them. */
#ifndef NODE_COSIGNED_H
#define NODE_COSIGNED_H

#include "proto/status.h"
#include "store/store.h"

/* The cosigned head if it covers the leaf; else the offered one if that does and
 * anybody cosigned it; else the cosigned head all the same (it counts for other
 * leaves).  Lines are not verified.
 *
 * STATUS_OK         *note is valid as long as the transaction's views.
 * STATUS_NOT_FOUND  none is stored.
 * or what the store said. */
MUST_USE enum status cosigned_note(struct store_txn *txn, uint32_t log, uint64_t leaf,
                                   struct view *note);

/* How many cosignature lines a note has, and the size of its head (0: it is none).  Lines
 * are not verified; what the store keeps was. */
size_t cosigned_lines(struct view note, uint64_t *size);

#endif

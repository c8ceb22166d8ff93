/* recall_proof.h: that a result was corrected or withdrawn, as its log shows it.
 *
 * Source: DESIGN 6 (Correct, Withdraw: the first replacement of a leaf counts) and
 * 9.  Pure: reads a snapshot of the store. */
#ifndef NODE_RECALL_PROOF_H
#define NODE_RECALL_PROOF_H

#include "crypto/note.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/wire.pb-c.h"
#include "store/store.h"

enum { RECALL_MESSAGE_BYTES_MAX = 24 * 1024 };

/* What a pub entry says of another. */
struct recall_entry {
    uint8_t token[TOKEN_BYTES];
    bool replaces_one, withdraw;
    uint64_t replaces;
};
/* STATUS_OK, STATUS_MALFORMED: no pub entry of this version. */
MUST_USE enum status recall_entry_read(struct view bytes, struct recall_entry *out);

/* The entry that replaced `leaf`: the first one of the same log that names it under
 * the same token.
 * STATUS_NOT_FOUND  it still stands, as far as this copy of the log goes, or there
 *                   is no such leaf here. */
MUST_USE enum status recall_replaced(struct store_txn *txn, uint32_t log, uint64_t leaf,
                                     uint64_t *by, bool *withdraw);

/* The notice of kind RECALL that `by` replaced `old` in our log `origin`, packed.
 * STATUS_NOT_FOUND  no signed head covers `by` yet.
 * STATUS_REFUSED    `by` does not say so.
 * STATUS_TOO_BIG, or what the store said. */
MUST_USE enum status recall_proof_make(struct store_txn *txn, const char *origin, uint64_t old,
                                       uint64_t by, uint8_t *out, size_t max, size_t *count);

/* Check a notice from outside against the keys of the log's author.
 * STATUS_OK             the log says so; *what is the entry.
 * STATUS_MALFORMED      not one log, `old` not before `by`, or parts of another length.
 * STATUS_REFUSED        the entry does not replace `old`, or the head is of another log.
 * STATUS_BAD_PROOF, STATUS_BAD_SIGNATURE, STATUS_UNKNOWN_KEY ... as checkpoint_open and
 * tree_check_inclusion. */
MUST_USE enum status recall_proof_check(const Hr__Recall *m, const struct note_key *keys,
                                        size_t key_count, int64_t now_s,
                                        struct recall_entry *what);

#endif

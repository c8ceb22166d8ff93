/* charter.h: charter documents, kept in all versions.  Source: DESIGN 7.
 *
 * Signatures and versions are judged by the caller; the store keeps the note
 * and its rows.  A row is kept once however many versions hold it (by its
 * leaf hash), and checked by that hash when read. */
#ifndef STORE_CHARTER_H
#define STORE_CHARTER_H

#include "crypto/tree.h"
#include "store/store.h"

enum store_charter {
    STORE_CHARTER_ROOT = 1,
    STORE_CHARTER_MEMBERS = 2,
    STORE_CHARTER_QUALITY = 3,
    STORE_CHARTER_POLICY = 4,
};

/* Names a document.  `network` is 1 to NETWORK_CHARS_MAX bytes without NUL. */
struct store_charter_key {
    struct view network;
    enum store_charter kind;
    uint64_t version;
};

/* Keep a document.  Putting the same version again replaces the note (merged
 * signatures) and must bring the same rows: else STATUS_FORK.  `rows` in
 * order.  STATUS_TOO_BIG: NOTE_BYTES_MAX, CHARTER_ROW_BYTES_MAX or
 * CHARTER_ROWS_MAX.  STATUS_MALFORMED: network. */
MUST_USE enum status store_charter_put(struct store_txn *t, const struct store_charter_key *key,
                                       struct view note, const struct view *rows, size_t count);

/* Replace only the note of a version that is there. */
MUST_USE enum status store_charter_note_put(struct store_txn *t,
                                            const struct store_charter_key *key,
                                            struct view note);

/* The note and number of rows of this version; STATUS_NOT_FOUND. */
MUST_USE enum status store_charter_get(struct store_txn *t, const struct store_charter_key *key,
                                       struct view *note, uint32_t *rows);
/* The newest version below or at key->version (UINT64_MAX: of all), which is
 * written to key->version. */
MUST_USE enum status store_charter_newest(struct store_txn *t, struct store_charter_key *key,
                                          struct view *note, uint32_t *rows);

/* Row `number`, checked by its leaf hash. */
MUST_USE enum status store_charter_row(struct store_txn *t, const struct store_charter_key *key,
                                       uint32_t number, struct view *row);
/* The leaf hash of row `number`: for proofs, and to ask only for changed rows. */
MUST_USE enum status store_charter_leaf(struct store_txn *t,
                                        const struct store_charter_key *key, uint32_t number,
                                        struct hash *leaf);
/* Leaf hashes from `first` on: *count of them on entry at most, on return as many as
 * there are. */
MUST_USE enum status store_charter_leaves(struct store_txn *t,
                                          const struct store_charter_key *key, uint32_t first,
                                          struct hash *leaves, size_t *count);
/* A row by its leaf hash, whatever version holds it. */
MUST_USE enum status store_charter_row_by_hash(struct store_txn *t, const struct hash *leaf,
                                               struct view *row);

/* Networks that have a document: the first one after `after`. */
MUST_USE enum status store_charter_next_network(struct store_txn *t, struct view after,
                                                struct view *network);

/* Documents that were refused, kept as evidence: the newest
 * STORE_REFUSED_MAX of each network; the same bytes are kept once. */
enum { STORE_REFUSED_MAX = 64 };
MUST_USE enum status store_refused_put(struct store_txn *t, struct view network,
                                       enum status reason, struct view note);
/* Return false to stop. */
typedef bool (*store_refused_fn)(void *context, enum status reason, struct view note);
MUST_USE enum status store_refused_each(struct store_txn *t, struct view network,
                                        store_refused_fn fn, void *context);

#endif

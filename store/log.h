/* log.h: logs in the store: entries, tree hashes, records, notes.
 * Source: DESIGN 6 and 9; RFC 6962 trees; C2SP tlog-tiles (FORMATS 1 and 5).
 *
 * A log is named by its origin and, inside the store, by a small id that
 * never changes.  Entries are kept as written and appended only.  Hashes are
 * kept as tiles with their inner nodes, so that a proof is copied, not
 * recomputed.  Every function here needs an open transaction; those that
 * write need a write transaction (asserted).  STATUS_CORRUPT, STATUS_IO and,
 * from writers, STATUS_NO_SPACE can come from each of them. */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include "crypto/tree.h"
#include "store/store.h"

enum {
    STORE_LOG_OWN = 1,               /* we are its author */
    STORE_LOG_FROZEN = 2,            /* a fork is known: serve only below serve_to */
    STORE_APPEND_ENTRIES_MAX = 50000 /* entries in one call of store_log_append */
};

struct store_log {
    uint32_t id;
    uint32_t flags;
    uint64_t size;        /* entries held, all checked by whoever appended them */
    struct hash root;     /* of `size`; SHA-256 of nothing when empty */
    uint64_t indexed_to;  /* handles of entries below are in the index */
    uint64_t serve_to;    /* with STORE_LOG_FROZEN: only entries below may be served */
    int64_t first_seen_s; /* as given to store_log_create */
    struct view origin;
};

/* Make an empty log.  STATUS_EXISTS (and *id) if there is one of this origin;
 * STATUS_MALFORMED: empty, or a byte that is not printable ASCII;
 * STATUS_TOO_BIG: over ORIGIN_CHARS_MAX, or LOGS_MAX logs. */
MUST_USE enum status store_log_create(struct store_txn *t, struct view origin, uint32_t flags,
                                      int64_t first_seen_s, uint32_t *id);

/* STATUS_NOT_FOUND: no such log. */
MUST_USE enum status store_log_find(struct store_txn *t, struct view origin,
                                    struct store_log *out);
MUST_USE enum status store_log_get(struct store_txn *t, uint32_t id, struct store_log *out);

/* The first log whose origin is greater than `after` (bytes; empty view: the
 * first of all), so that a loop sees all logs sorted.  STATUS_NOT_FOUND: none. */
MUST_USE enum status store_log_next(struct store_txn *t, struct view after,
                                    struct store_log *out);

/* Set flags and serve_to. */
MUST_USE enum status store_log_mark(struct store_txn *t, uint32_t id, uint32_t flags,
                                    uint64_t serve_to);

/* Append `count` entries at the end (store_log_get tells where that is), with
 * their hashes and their pending handles.  Batch: one call for all entries of
 * a commit.  `leaves`, if not NULL, are the leaf hashes that the caller got
 * from a checked tile: a difference is STATUS_BAD_PROOF.  *root, if not NULL,
 * is the root of the new size.  After any failure abort the transaction.
 *
 * STATUS_TOO_BIG  an entry of more than ENTRY_BYTES_MAX bytes, or more than
 *                 STORE_APPEND_ENTRIES_MAX of them (50,000). */
MUST_USE enum status store_log_append(struct store_txn *t, uint32_t id,
                                      const struct view *entries, size_t count,
                                      const struct hash *leaves, struct hash *root);

/* What we keep of each entry of our own pub log beside the entry. */
struct store_own {
    uint8_t report[TOKEN_BYTES];  /* handle of the report: found by store_index_find, too */
    uint8_t content[TOKEN_BYTES]; /* hash of what was published: an exact repeat is a no-op */
    struct view rank;             /* caller's; at most STORE_RANK_BYTES_MAX bytes */
};
enum { STORE_RANK_BYTES_MAX = 1024 };

/* In the transaction that appended the leaf; or once, later, for an entry that
 * came back without its row.  STATUS_TOO_BIG: rank.  STATUS_NOT_FOUND: no such
 * leaf.  STATUS_EXISTS: an entry of before this transaction has its row. */
MUST_USE enum status store_own_put(struct store_txn *t, uint32_t id, uint64_t leaf,
                                   const struct store_own *own);
MUST_USE enum status store_own_get(struct store_txn *t, uint32_t id, uint64_t leaf,
                                   struct store_own *out);

/* The entry, checked against its leaf hash.  STATUS_NOT_FOUND: not below size. */
MUST_USE enum status store_entry_get(struct store_txn *t, uint32_t id, uint64_t index,
                                     struct view *out);
/* Up to `count` entries from `from` on, each checked; *got is how many there
 * were (fewer only at the end of the log). */
MUST_USE enum status store_entries_get(struct store_txn *t, uint32_t id, uint64_t from,
                                       size_t count, struct view *out, size_t *got);
/* The leaf hash, checked with its whole tile. */
MUST_USE enum status store_leaf_get(struct store_txn *t, uint32_t id, uint64_t index,
                                    struct hash *out);

/* The first `width` hashes (1 to 256) of a C2SP tile, one after the other,
 * checked.  Any width that the log has is there, so old partial tiles too.
 * STATUS_NOT_FOUND: not (yet) in the tree. */
MUST_USE enum status store_tile_get(struct store_txn *t, uint32_t id, unsigned level,
                                    uint64_t index, unsigned width, struct view *out);

/* The root that the tree had at `size` (not above its size now), from the
 * tiles alone.  Compare it with a signed head: it is not checked further. */
MUST_USE enum status store_root_at(struct store_txn *t, uint32_t id, uint64_t size,
                                   struct hash *out);

/* Make a proof (RFC 6962 2.1.1, 2.1.2; at most TREE_PROOF_HASHES_MAX hashes)
 * and check it against the roots before it is returned: damaged nodes give
 * STATUS_CORRUPT, never a wrong proof.  So give the roots that stand in the
 * checkpoints that the proof is shown with.
 * STATUS_NOT_FOUND: index >= size, or size above the log's; old_size 0. */
MUST_USE enum status store_prove_inclusion(struct store_txn *t, uint32_t id, uint64_t index,
                                           uint64_t size, const struct hash *root,
                                           struct hash proof[TREE_PROOF_HASHES_MAX],
                                           size_t *count);
MUST_USE enum status store_prove_consistency(struct store_txn *t, uint32_t id,
                                             uint64_t old_size, const struct hash *old_root,
                                             uint64_t size, const struct hash *root,
                                             struct hash proof[TREE_PROOF_HASHES_MAX],
                                             size_t *count);

/* Sealed records, by log and leaf: our own, and replicated or fetched ones.
 * `sealed` is what the entry says: SHA-256 of the record.  store_record_put
 * refuses other bytes with STATUS_BAD_PROOF, and is a no-op if it is there.
 * STATUS_TOO_BIG: empty, or above RECORD_BYTES_MAX.  STATUS_NOT_FOUND: not held.
 * `record` may be put before or after its entry. */
MUST_USE enum status store_record_put(struct store_txn *t, uint32_t id, uint64_t leaf,
                                      const struct hash *sealed, struct view record);
/* The same for a record that the caller has just sealed and hashed itself: it
 * is not hashed a second time (a tenth of what a publication costs). */
MUST_USE enum status store_record_put_own(struct store_txn *t, uint32_t id, uint64_t leaf,
                                          struct view record);
MUST_USE enum status store_record_get(struct store_txn *t, uint32_t id, uint64_t leaf,
                                      const struct hash *sealed, struct view *out);
/* Whether one is held (its hash is not looked at). */
MUST_USE enum status store_record_has(struct store_txn *t, uint32_t id, uint64_t leaf);

/* One note of each kind for each log; put replaces. */
enum store_note {
    STORE_NOTE_HEAD = 1,      /* newest checkpoint known */
    STORE_NOTE_COSIGNED = 2,  /* newest that carries cosignatures (or is offered for them) */
    STORE_NOTE_WITNESSED = 3, /* largest that we cosigned */
    STORE_NOTE_OFFERED = 4,   /* newest own one offered for cosigning */
};
/* STATUS_TOO_BIG: above NOTE_BYTES_MAX.  STATUS_NOT_FOUND: none. */
MUST_USE enum status store_note_put(struct store_txn *t, uint32_t id, enum store_note kind,
                                    struct view note);
MUST_USE enum status store_note_get(struct store_txn *t, uint32_t id, enum store_note kind,
                                    struct view *out);

#endif
